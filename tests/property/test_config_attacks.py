"""No bytes end a reader of configs in another way than with a config or one error."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.support.config_attacks import CONFIGS, outcome_of


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CONFIGS)
def test_any_bytes_are_a_config_or_one_error(tmp_path: Path, raw: bytes) -> None:
    outcome = outcome_of(raw, tmp_path / "c.yaml")
    assert outcome == outcome.lower()
