"""What of a run is different when it is fitted again.

The manifest says which files were read, by their SHA-256, and with which versions. A run is
reproduced where the same files give every parameter again within `AGREES` of its uncertainty. On
one machine and with the same versions it is given again to the bit; other thread counts, devices
and libraries round otherwise, by 1e-8 sigma where the fit goes the same way, and up to the
tolerance at which a fit ends where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from homodyne_cli.assessments import SavedFit
from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.run.read_run import find_run
from homodyne_cli.io.run.schema import ParametersFile
from homodyne_cli.io.run.write_run import sha256_of
from homodyne_cli.results import FittedParameter
from homodyne_cli.version import versions

#: Sigmas up to which a parameter is the same: a fit ends where chi2 has less than 1e-4 to gain.
AGREES: Final = 0.01

FileState = Literal["same", "changed", "missing"]


@dataclass(frozen=True)
class FileNow:
    """A file that the run was made of, and how it is today; `fitted` if its content enters."""

    path: Path
    state: FileState
    fitted: bool


@dataclass(frozen=True)
class Refitted:
    """A parameter of the run and of the fit again; `apart` in uncertainties of the run."""

    before: FittedParameter
    after: FittedParameter

    @property
    def apart(self) -> float:
        """Infinite where a value without uncertainty is another one."""
        difference = self.after.value - self.before.value
        if difference == 0.0:
            return 0.0
        sigma = self.before.uncertainty
        return difference / sigma if sigma > 0.0 else math.copysign(math.inf, difference)


@dataclass(frozen=True)
class Reproduction:
    """A run, the fit again, and what is different.

    Attributes
    ----------
    run
        What was fitted again.
    kept_in
        Directory of the fit again; None if it was not to be kept.
    chi2
        Of the run and of the fit again.
    identical
        Whether ``parameters.json`` is the same to the bit, apart from the time.
    versions
        What has another version today: then and now, by name.
    """

    run: Path
    kept_in: Path | None
    files: tuple[FileNow, ...]
    parameters: tuple[Refitted, ...]
    chi2: tuple[float, float]
    versions: Mapping[str, tuple[str, str]]
    identical: bool

    @property
    def same_data(self) -> bool:
        """Whether what was fitted is what the run was fitted to."""
        return all(file.state == "same" for file in self.files if file.fitted)

    @property
    def reproduced(self) -> bool:
        """Whether the same data gave the same answer."""
        return self.same_data and all(abs(p.apart) <= AGREES for p in self.parameters)


def reproduction(
    saved: SavedFit, fresh: SavedFit, files: tuple[FileNow, ...], kept_in: Path | None
) -> Reproduction:
    """Compare a run with the fit again, both as they were read."""
    return Reproduction(
        run=saved.directory,
        kept_in=kept_in,
        files=files,
        parameters=tuple(map(Refitted, saved.result.parameters, fresh.result.parameters)),
        chi2=(saved.result.chi2, fresh.result.chi2),
        versions=_changed_versions(saved),
        identical=_text(saved.directory) == _text(fresh.directory),
    )


def files_now(saved: SavedFit, n_data: int, data: Path | None) -> tuple[FileNow, ...]:
    """Say of each file that was read how it is today.

    Parameters
    ----------
    n_data
        How many of the recorded inputs, the last ones, are data.
    data
        Where the data file is now; None for where it was.

    Raises
    ------
    DataError
        A data file is not there, or one cannot be read.
    """
    files = tuple(_files(saved, n_data, data))
    lost = next((file.path for file in files if file.fitted and file.state == "missing"), None)
    if lost is not None:
        raise DataError(
            f"no such file, which {saved.directory} was fitted to",
            path=lost,
            hint=f"name where it is now: homodyne rerun {saved.directory} --data PATH",
            code=Code.NO_FILE,
        )
    return files


def _files(saved: SavedFit, n_data: int, data: Path | None) -> Iterator[FileNow]:
    origin = saved.origin
    base, inputs = Path(origin.folder), list(origin.inputs.items())
    for path, digest in inputs[:-n_data]:
        yield FileNow(base / path, _state(base / path, digest), fitted=False)
    for path, digest in inputs[-n_data:]:
        now = base / path if data is None else data
        yield FileNow(now, _state(now, digest), fitted=True)
    for path, digest in origin.linked.items():
        yield FileNow(base / path, _state(base / path, digest), fitted=True)


def _state(path: Path, digest: str) -> FileState:
    try:
        if path.is_file():
            return "same" if sha256_of(path) == digest else "changed"
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    return "missing"


def _changed_versions(saved: SavedFit) -> dict[str, tuple[str, str]]:
    then, now = saved.origin.versions, versions()
    names = dict.fromkeys([*then, *now])
    return {n: (then.get(n, ""), now.get(n, "")) for n in names if then.get(n) != now.get(n)}


def _text(directory: Path) -> str:
    """Return what ``parameters.json`` says, without when."""
    parameters = find_run(directory).read("parameters.json", ParametersFile)
    return parameters.model_dump_json(exclude={"timestamp"})
