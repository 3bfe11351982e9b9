"""The config in its normal form: every key that acts, its type, default and meaning.

`config_forms` brings what a user or homodyne 2.x writes into this form first, so one way of
writing each thing is enough here. Null stands for the default everywhere.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from homodyne_cli.parameters import Convention, Loss, XScaleMode
from homodyne_cli.problem import DiagnosticsOptions, ShearTransforms, SolverOptions

#: No file has more frames than this; a range beyond it is a slip of the pen.
LAST_FRAME: Final = 10_000_000

_SOLVER = SolverOptions()
_SHEAR = ShearTransforms()
_DIAGNOSTICS = DiagnosticsOptions()


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Whole numbers may be written 1e3.
Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Frame: TypeAlias = Annotated[int, Field(ge=1, le=LAST_FRAME), BeforeValidator(_whole)]


def _as(text: str) -> dict[str, JsonValue]:
    """Name a type in the reference, where the written forms are wider than the schema."""
    return {"written": text}


class Section(BaseModel):
    """A mapping of the config: unknown keys are errors, null means the default."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_null(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: item for key, item in data.items() if item is not None or key not in known}


class Scattering(Section):
    """``analyzer_parameters.scattering``."""

    wavevector_q: Positive | None = Field(
        default=None, description="Wave vector in 1/Å; null takes the only ring of the data file."
    )


class Geometry(Section):
    """``analyzer_parameters.geometry``."""

    stator_rotor_gap: Positive | None = Field(
        default=None, description="Gap between stator and rotor in Å; required for laminar_flow."
    )


class AnalyzerParameters(Section):
    """``analyzer_parameters``."""

    dt: Positive | None = Field(
        default=None, description="Time between frames in seconds; null takes the data file's."
    )
    start_frame: Whole = Field(default=1, ge=1, description="First frame, counted from 1.")
    end_frame: Annotated[Whole, Field(ge=1)] | Literal[-1] = Field(
        default=-1,
        description="Last frame, included; -1 is the last of the file.",
        json_schema_extra=_as("integer >= 1, or -1"),
    )
    scattering: Scattering = Scattering()
    geometry: Geometry = Geometry()


class ExperimentalData(Section):
    """``experimental_data``."""

    file_path: str | None = Field(
        default=None, min_length=1, description="Data file, relative to the folder of the config."
    )
    data_folder_path: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the data file, without file_path.",
    )
    data_file_name: str | None = Field(
        default=None, min_length=1, description="Name of the data file in data_folder_path."
    )
    bad_frames: list[Frame] = Field(
        default=[],
        description="Frames whose pairs are left out, counted from 1 in the file, "
        "e.g. [12, 40-43].",
        json_schema_extra=_as("list of frames and ranges a-b"),
    )


class AngleRange(Section):
    """One interval of detector angles; ``min_angle > max_angle`` wraps through 180 degrees."""

    min_angle: float = Field(description="Lower end in degrees.")
    max_angle: float = Field(description="Upper end in degrees; below min_angle it wraps.")


class PhiFiltering(Section):
    """``phi_filtering``."""

    enabled: bool | None = Field(
        default=None,
        description="Whether target_ranges select angles; true when they are given.",
        json_schema_extra=_as("true | false"),
    )
    target_ranges: list[AngleRange] = Field(
        default=[],
        description="Detector angles to keep, in degrees; min_angle > max_angle wraps through 180.",
        json_schema_extra=_as("list of {min_angle, max_angle} or [min, max]"),
    )


class PerAngleScaling(Section):
    """``initial_parameters.per_angle_scaling``."""

    contrast: list[float] | None = Field(
        default=None,
        min_length=1,
        description="Contrast per angle, or one for all; required for per_angle_mode fixed.",
        json_schema_extra=_as("number or list of numbers"),
    )
    offset: list[float] | None = Field(
        default=None,
        min_length=1,
        description="Offset per angle, or one for all; required for per_angle_mode fixed.",
        json_schema_extra=_as("number or list of numbers"),
    )


class InitialParametersSection(Section):
    """``initial_parameters``."""

    parameter_names: list[str] | None = Field(
        default=None,
        description="Order of the list in values; null is the order of the model.",
        json_schema_extra=_as("list of names"),
    )
    values: dict[str, float] | None = Field(
        default=None,
        description="Start of the fit, inside the bounds; null leaves it to the program.",
        json_schema_extra=_as("list in parameter_names order, or mapping by name"),
    )
    per_angle_scaling: PerAngleScaling = PerAngleScaling()
    active_parameters: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Parameters to fit, the others stay at their start; null fits all.",
        json_schema_extra=_as("list of names"),
    )
    fixed_parameters: dict[str, float | None] = Field(
        default={},
        description="Parameters held at a value, or (as a list) at their start.",
        json_schema_extra=_as("mapping name: value, or list of names"),
    )


class Interval(Section):
    """Bounds of one parameter; null keeps the default."""

    min: float | None = Field(default=None, description="Lower bound.")
    max: float | None = Field(default=None, description="Upper bound.")


class ParameterSpace(Section):
    """``parameter_space``."""

    bounds: dict[str, Interval] = Field(
        default={},
        description="Bounds by parameter name; contrast and offset are names too.",
        json_schema_extra=_as("list of {name, min, max}, or mapping name: [min, max]"),
    )


class ShearTransformsSection(Section):
    """``optimization.nlsq.shear_transforms``."""

    enabled: bool = Field(
        default=_SHEAR.enabled,
        description="Optimise the logarithm of gamma_dot_t0 and beta from a reference.",
    )
    gamma_dot_t0_ref: Positive = Field(
        default=_SHEAR.gamma_dot_t0_ref, description="Reference shear rate prefactor."
    )
    beta_ref: float = Field(default=_SHEAR.beta_ref, description="Reference shear exponent.")
    decorrelate: bool = Field(
        default=_SHEAR.decorrelate,
        description="Optimise both power laws by their rate inside the window instead of D0 and "
        "gamma_dot_t0.",
    )


class DiagnosticsSection(Section):
    """``optimization.nlsq.diagnostics``."""

    enabled: bool = Field(default=_DIAGNOSTICS.enabled, description="Check and log gradients.")
    sample_size: Whole = Field(
        default=_DIAGNOSTICS.sample_size, ge=1, description="Pairs used for the gradient check."
    )
    check_gradients: bool = Field(
        default=_DIAGNOSTICS.check_gradients, description="Compare with finite differences."
    )
    log_jacobian_norms: bool = Field(
        default=_DIAGNOSTICS.log_jacobian_norms,
        description="Log Jacobian norms per iteration.",
    )


class NlsqSection(Section):
    """``optimization.nlsq``."""

    max_iterations: Whole = Field(
        default=_SOLVER.max_iterations, ge=1, description="Most iterations of the optimiser."
    )
    ftol: Positive = Field(
        default=_SOLVER.ftol, description="Relative change of the cost (tolerance in homodyne 2.x)."
    )
    xtol: Positive = Field(default=_SOLVER.xtol, description="Relative change of the parameters.")
    gtol: Positive = Field(default=_SOLVER.gtol, description="Norm of the scaled gradient.")
    loss: Loss = Field(default=_SOLVER.loss, description="Loss function, as SciPy defines it.")
    trust_region_scale: Positive = Field(
        default=_SOLVER.trust_region_scale, description="Factor on the first trust-region radius."
    )
    x_scale: XScaleMode | None = Field(
        default=None,
        description="How parameters are scaled; null is config where x_scale_map is given, "
        "else auto.",
    )
    x_scale_map: dict[str, Positive] | None = Field(
        default=None,
        description="Scale per parameter, as 'homodyne diagnose' recommends.",
        json_schema_extra=_as("mapping name: number > 0"),
    )
    shear_transforms: ShearTransformsSection = ShearTransformsSection()
    diagnostics: DiagnosticsSection = DiagnosticsSection()
    adaptive_x_scale: bool | None = Field(
        default=_SOLVER.adaptive_x_scale,
        description="Renew the scale wherever the fit moves out of balance; null does where "
        "x_scale is auto.",
    )
    global_search: bool = Field(
        default=_SOLVER.global_search,
        description="Look for the best minimum on decimated pairs before the fit; start values "
        "are one of its starts.",
    )
    multi_start: Whole = Field(
        default=_SOLVER.multi_start,
        ge=0,
        description="Starts that the global search refines, if more than its own 8.",
        json_schema_extra=_as("integer >= 0, or {enable, n_starts, seed}"),
    )
    seed: Whole = Field(default=_SOLVER.seed, ge=0, description="Seed of the starting points.")


class Optimization(Section):
    """``optimization``."""

    nlsq: NlsqSection = NlsqSection()


class ModelSection(Section):
    """``model``."""

    convention: Convention = Field(
        default="he2024", description="Form of the shear factor and of the integrals."
    )


class NoiseSection(Section):
    """``noise``."""

    sigma: Positive | None = Field(
        default=None, description="Noise of one c2 value; null estimates it from the data."
    )


class OutputSection(Section):
    """``output``."""

    directory: str | None = Field(
        default=None,
        min_length=1,
        description="Run directory, relative to the config's folder.",
    )


class Root(Section):
    """The whole config."""

    analysis_mode: Literal["laminar_flow", "static", "static_isotropic", "static_anisotropic"] = (
        Field(description="Model to fit; the static modes are one and the same.")
    )
    model: ModelSection = ModelSection()
    analyzer_parameters: AnalyzerParameters = AnalyzerParameters()
    experimental_data: ExperimentalData = ExperimentalData()
    phi_filtering: PhiFiltering = PhiFiltering()
    noise: NoiseSection = NoiseSection()
    per_angle_mode: Literal[
        "individual", "auto", "direct", "shared", "fixed", "constant", "fourier"
    ] = Field(
        default="individual",
        description="Contrast and offset: per angle (auto, direct: the same), shared, "
        "fixed (constant: the same), or smooth in phi (fourier).",
    )
    fourier_order: Whole = Field(default=2, ge=1, description="Highest harmonic for fourier.")
    initial_parameters: InitialParametersSection = InitialParametersSection()
    parameter_space: ParameterSpace = ParameterSpace()
    optimization: Optimization = Optimization()
    output: OutputSection = OutputSection()
