"""What the JSON files of a run directory hold: the same models write them and read them.

Names and keys are those of homodyne 2.x where it has them, so that its readers keep working. Null
stands for a number that is not known. `schema_version` counts the changes that a reader has to know
of; directories without it were written before it was recorded and have the keys of version 1. Keys
that a model does not know are passed over. ``docs/schema`` holds the models as JSON Schema.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from homodyne_cli.io.run.convergence_schema import ConvergenceFile as ConvergenceFile
from homodyne_cli.io.run.convergence_schema import SearchEntry as SearchEntry
from homodyne_cli.io.run.fields import (
    AgreementEntry,
    Count,
    Entry,
    Figure,
    FindingEntry,
    Flag,
    Limit,
    Name,
    Number,
    Pair,
    Rows,
    RunFile,
    Size,
    SparseEntry,
    Table,
    Text,
    Whole,
)
from homodyne_cli.noise_report import UNKNOWN_NOISE, NoiseReport, SpeckleWeights
from homodyne_cli.parameters import (
    AnalysisMode,
    Convention,
    Loss,
    PerAngleMode,
    PerRepeatMode,
    names_of,
)

#: No series is longer; a count beyond it would be a list that no memory holds.
MOST_FRAMES: Final = 10_000_000


class ParameterEntry(Entry):
    """A parameter: its unit holds for value, start and bounds.

    `uncertainty_hessian` is what independent noise in every pair would give; `moved` tells whether
    a free parameter left its start.
    """

    value: Number
    uncertainty: Size = math.nan
    uncertainty_hessian: Size = math.nan
    uncertainty_unbounded: Size = math.nan
    unit: Text = ""
    at_bound: Flag = False
    fixed: Flag = False
    initial: Figure = math.nan
    bounds: Pair
    moved: Flag = True


class ScalingBounds(Entry):
    """Bounds of contrast and offset, the same for all angles."""

    contrast: Pair
    offset: Pair


class ScalingEntry(SparseEntry):
    """Contrast, offset and noise at one angle (degrees), of a ring (1/Å), in a repeat."""

    phi: float
    contrast: float
    contrast_uncertainty: Size
    offset: float
    offset_uncertainty: Size
    sigma: float
    q: float | None = None
    repeat: Annotated[int, Field(ge=1)] | None = None


class CovarianceEntry(Entry):
    """Covariance of the free parameters that are not at a bound, null where not determined."""

    names: Rows[Name]
    matrix: Rows[Rows[Figure]]

    @field_validator("matrix")
    @classmethod
    def _is_square(cls, matrix: tuple[tuple[float, ...], ...], info: ValidationInfo) -> object:
        size = len(info.data.get("names", ()))
        if {len(matrix), *map(len, matrix)} - {size}:
            raise PydanticCustomError("shape", f"not {size} rows of {size} numbers")
        return matrix


class NoiseEntry(Entry):
    """Noise in the residuals; `n_speckles` is null where none is correlated; see `weights`."""

    n_speckles: Limit = math.inf
    white_share: Figure = 1.0
    shared_out: Flag = False
    n_speckles_error: Figure = math.nan
    photons: Figure = math.nan
    photons_error: Figure = math.nan
    gain: Figure = math.nan
    weights: SpeckleWeights | None = None


class ProfileEntry(Entry):
    """Where the profile of a parameter has risen by `chi2_rise`; null: not before its bound."""

    name: Name
    value: float
    lower: float | None
    upper: float | None
    chi2_rise: Figure


class CombinationEntry(Entry):
    """A linear combination of parameters that the data determine."""

    names: Rows[Name]
    coefficients: Rows[float]
    value: Figure
    uncertainty: Size
    unit: Text


class ParametersFile(SparseEntry, RunFile):
    """``parameters.json``: what the fit found."""

    timestamp: Text = ""
    analysis_mode: AnalysisMode
    convention: Convention
    per_angle_mode: PerAngleMode
    per_repeat_mode: PerRepeatMode = "individual"
    loss: Loss
    noise: NoiseEntry | None = None
    profiles: Rows[ProfileEntry] = ()
    fourier_order: Count
    chi_squared: Figure = math.nan
    reduced_chi_squared: Figure = math.nan
    parameters: Table[Name, ParameterEntry]
    scaling_bounds: ScalingBounds
    scaling: Rows[ScalingEntry] = ()
    covariance: CovarianceEntry
    undetermined: Rows[Text] = ()
    combinations: Rows[CombinationEntry] = ()
    equivalents: Rows[Table[Name, float]] = ()

    @property
    def noise_report(self) -> NoiseReport:
        """The noise as results have it."""
        return UNKNOWN_NOISE if self.noise is None else NoiseReport(**dict(self.noise))

    @model_validator(mode="after")
    def _weights_are_of_this_run(self) -> ParametersFile:
        w = None if self.noise is None else self.noise.weights
        if w is not None:
            sizes = [*map(len, (w.parameters, w.contrast, w.photon_noise, w.n_speckles))]
            if sizes != [len(self.parameters), *3 * [len(self.scaling)]]:
                raise PydanticCustomError("shape", "noise.weights are of another run")
        return self

    @field_validator("parameters")
    @classmethod
    def _are_those_of_the_mode(
        cls, parameters: dict[str, ParameterEntry], info: ValidationInfo
    ) -> object:
        wanted = names_of(info.data.get("analysis_mode", "laminar_flow"))
        lacking = [n for n in wanted if n not in parameters]
        beyond = [n for n in parameters if n not in wanted]
        if lacking or beyond:
            what = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(beyond)} too many"
            raise PydanticCustomError("names", what)
        if all(entry.fixed for entry in parameters.values()):
            raise PydanticCustomError("free", "all of them are fixed, which leaves nothing to fit")
        return {n: parameters[n] for n in wanted}


class FitQuality(Entry):
    """How well the model describes the data; `edm` is the chi2 still to be had."""

    chi_squared: Figure
    reduced_chi_squared: Figure
    plain_chi_squared: Figure = math.nan
    degrees_of_freedom: Whole
    edm: Figure
    loss: Loss
    convergence_status: Literal["converged", "not_converged", "interrupted"]


class ProvenanceEntry(Entry):
    """A resolved quantity and where it came from."""

    value: Text
    source: Text


class DatasetInfo(SparseEntry):
    """What was fitted: 1/Å, seconds, Å and degrees.

    `q_value` is null where maps are of several rings: `q_values` has that of each map then, and
    `repeats` which measurement it is of, where there are several.
    """

    n_angles: Count
    n_time_points: Annotated[int, Field(ge=2, le=MOST_FRAMES)]
    total_data_points: Count
    masked_pairs: Count
    q_value: float | None
    q_values: Rows[float] = ()
    repeats: Rows[Annotated[int, Field(ge=1)]] = ()
    dt: float
    stator_rotor_gap: float | None
    phi_angles: Rows[float]
    provenance: Table[Text, ProvenanceEntry] = Field(default_factory=dict)
    notes: Rows[Text] = ()
    findings: Rows[FindingEntry] = ()

    @field_validator("phi_angles")
    @classmethod
    def _are_counted(cls, phi: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if len(phi) != info.data.get("n_angles", len(phi)):
            raise PydanticCustomError("shape", "not as many as n_angles")
        return phi

    @model_validator(mode="after")
    def _every_map_has_a_ring(self) -> DatasetInfo:
        sizes = {len(self.phi_angles)} | ({len(self.repeats)} if self.repeats else set())
        if self.q_value is None:
            sizes.add(len(self.q_values))
        if len(sizes) > 1:
            raise PydanticCustomError("shape", "q_values or repeats are not those of the maps")
        return self


class OptimizationSummary(Entry):
    """How the optimiser ended; time in seconds."""

    success: Flag
    status: Whole
    message: Text
    iterations: Count
    evaluations: Count
    execution_time: Figure


class AnalysisFile(SparseEntry, RunFile):
    """``analysis_results_nlsq.json``: what was fitted and how well."""

    method: Literal["nlsq"]
    timestamp: Text
    analysis_mode: AnalysisMode
    convention: Convention
    fit_quality: FitQuality
    dataset_info: DatasetInfo
    optimization_summary: OptimizationSummary
    agreements: Rows[AgreementEntry] = ()


class InputEntry(Entry):
    """A file that was read."""

    path: Text
    bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ManifestFile(RunFile):
    """``manifest.json``: how the run was made.

    `inputs` are the config and the data files, `linked` the files that links in these lead to.
    `folder` is the working directory.
    """

    written_by: Text
    created: Text
    versions: Table[Text, Text]
    device: Text
    command_line: Rows[Text]
    folder: Text = ""
    convention: Convention
    seed: Count
    inputs: Rows[InputEntry]
    linked: Rows[InputEntry] = ()


#: The JSON files of a run directory, in the order in which they are read.
RUN_FILES: Final[dict[str, type[RunFile]]] = {
    "parameters.json": ParametersFile,
    "convergence_metrics.json": ConvergenceFile,
    "analysis_results_nlsq.json": AnalysisFile,
    "manifest.json": ManifestFile,
}
