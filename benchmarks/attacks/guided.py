"""Bytes that a coverage-guided fuzzer makes up, given to the readers of untrusted files.

    python -m benchmarks.attacks.guided config|fix|npz|json [-runs=10000] [options of libFuzzer]

It needs ``pip install atheris``, which is not among the development dependencies: it is not there
for every Python and system. Code of ``homodyne_cli.io`` is instrumented; whatever ends a reader in
another way than with an answer or a `HomodyneError` stops the fuzzer with the input. HDF5 is not
among the kinds: its library may end the process, which `benchmarks.attacks.data_files` counts.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np


def _readers(folder: Path) -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """Return what each kind of file is read by, and seeds for it."""
    from homodyne_cli.io.config.load import load_config, template_text
    from homodyne_cli.io.maps.read_data import read_dataset
    from homodyne_cli.io.run.run_folder import RunFolder
    from homodyne_cli.io.run.schema import ParametersFile
    from homodyne_cli.io.scale_fix.scale_fix import read_fix
    from homodyne_cli.problem import DataSelection
    from tests.support.config_attacks import FIX

    path = folder / "parameters.json"

    def put(raw: bytes) -> Path:
        path.write_bytes(raw)
        return path

    run = Path(__file__).parents[2] / "tests/data/old_run/parameters.json"
    archive = io.BytesIO()
    c2 = np.ones((2, 5, 5))
    np.savez(archive, c2=c2, phi=np.zeros(2), q=0.005, dt=0.1)
    selection = DataSelection(path=path, q=0.005, dt=0.1)
    return {
        "config": (lambda raw: load_config(put(raw)), [template_text("laminar_flow").encode()]),
        "fix": (lambda raw: read_fix(put(raw)), [FIX.encode()]),
        "npz": (lambda raw: put(raw) and read_dataset(selection, "static"), [archive.getvalue()]),
        "json": (
            lambda raw: (
                put(raw) and RunFolder(folder, folder).read("parameters.json", ParametersFile)
            ),
            [run.read_bytes()],
        ),
    }


def main() -> None:
    """Fuzz one kind until libFuzzer ends."""
    import atheris

    kind, *options = sys.argv[1:] or ["config"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with atheris.instrument_imports(include=["homodyne_cli.io"]):
            read, seeds = _readers(folder)[kind]
        from homodyne_cli.errors import HomodyneError

        corpus = folder / "corpus"
        corpus.mkdir()
        for k, seed in enumerate(seeds):
            (corpus / str(k)).write_bytes(seed)

        def once(raw: bytes) -> None:
            with suppress(HomodyneError):
                read(raw)

        usual = ["-runs=10000", "-max_len=20000", "-timeout=10"]
        atheris.Setup([sys.argv[0], str(corpus), *usual, *options], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
