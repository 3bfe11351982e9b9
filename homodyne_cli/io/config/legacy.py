"""The homodyne 2.x config keys that have no effect here.

They are accepted so that a 2.x config can be used as it is, and listed so that nobody believes
they act. ``*`` stands for any list index or parameter name; a key stands for all below it.
"""

from __future__ import annotations

from typing import Final

from homodyne_cli.io.config.editor import Editor
from homodyne_cli.io.config.source import nearest
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show

NLSQ: Final = ("optimization", "nlsq")
#: What homodyne 2.x takes for multi_start.n_starts.
DEFAULT_STARTS: Final = 10

_TOP: Final = (
    "metadata config_version analysis_settings noise_estimation performance performance_settings "
    "logging quality_control plotting validation validation_rules hardware advanced "
    "advanced_settings pbs slurm data_filtering preprocessing output_settings "
    "optimization_config v2_features hpc_settings batch_processing"
)
_BY_SECTION: Final = {
    "analyzer_parameters": "temporal computational",
    "analyzer_parameters.scattering": "wavevector_q_list q_unit",
    "analyzer_parameters.geometry": "beam_size gap_unit",
    "experimental_data": (
        "phi_angles_path phi_angles_file phi_angles_manual cache_file_path cache_directory "
        "cache_enabled cache_filename_template cache_compression data_type file_format "
        "exchange_key preprocessing loading estimated_data_points frame_optimization"
    ),
    "phi_filtering": (
        "fallback_to_all_angles algorithm tolerance quality_control laminar_flow_ranges "
        "validation_mode"
    ),
    "phi_filtering.target_ranges.*": "description",
    "initial_parameters": "units",
    "parameter_space": "model priors",
    "parameter_space.bounds.*": "type prior_mu prior_sigma unit description physics_validation",
    "optimization": (
        "method lsq mcmc cmc vi hybrid streaming stratification sequential recovery sharding "
        "angle_filtering"
    ),
    "optimization.nlsq": (
        "enabled method workflow goal memory_fraction memory_threshold_gb verbose progress "
        "hybrid_streaming streaming stratified recovery anti_degeneracy cmaes quality_validation"
    ),
    "optimization.nlsq.multi_start": (
        "sampling_strategy n_workers use_screening screen_keep_fraction subsample_size "
        "warmup_only_threshold refine_top_k refinement_ftol degeneracy_threshold custom_starts"
    ),
    "output": (
        "base_directory formats plots reports create_subdirs timestamp_dirs compress_hdf5 "
        "compression_level save_per_shard_diagnostics save_combined_posterior "
        "save_convergence_metrics generate_plots plot_format plot_dpi log_level log_file "
        "console_output"
    ),
}

_TABLE: Final = {
    section: frozenset(names.split()) for section, names in {"": _TOP, **_BY_SECTION}.items()
}


def unused_below(where: DataPath) -> frozenset[str]:
    """Return the names of the unused 2.x keys directly below a path."""
    return _TABLE.get(pattern_of(where), frozenset())


def pattern_of(where: DataPath) -> str:
    """Return a path with list indices and parameter names under bounds written as ``*``."""
    steps = ["*" if isinstance(step, int) else step for step in where]
    if steps[:2] == ["parameter_space", "bounds"] and len(steps) > 2:
        steps[2] = "*"
    return ".".join(steps)


def unused_name(where: DataPath) -> str | None:
    """Return under which name an unused key is reported, None for a key that is not one.

    Keys that begin with an underscore were comments in early 2.x configs.
    """
    last = where[-1]
    if not isinstance(last, str):
        return None
    if last.startswith("_") or last in unused_below(where[:-1]):
        return pattern_of(where)
    return None


def modernise(tree: Editor) -> None:
    """Let the homodyne 2.x spellings of keys that act, act; list the keys that do not."""
    analyzer = ("analyzer_parameters",)
    for key in ("dt", "start_frame", "end_frame"):
        tree.rename((*analyzer, "temporal", key), (*analyzer, key), must_agree=True)
    tree.rename(("optimization_config", "angle_filtering"), ("phi_filtering",))
    tree.rename((*NLSQ, "tolerance"), (*NLSQ, "ftol"), must_agree=True)
    tree.rename((*NLSQ, "diagnostics", "enable"), (*NLSQ, "diagnostics", "enabled"))
    defence = (*NLSQ, "anti_degeneracy")
    if tree.get((*defence, "enable")) is not False:
        tree.rename((*defence, "per_angle_mode"), ("per_angle_mode",))
        tree.rename((*defence, "fourier_order"), ("fourier_order",))
        tree.rename((*defence, "fourier", "order"), ("fourier_order",))
    _drop_unused(tree, tree.data, ())
    _multi_start(tree)


def _drop_unused(tree: Editor, node: object, where: DataPath) -> None:
    if isinstance(node, list):
        for index, item in enumerate(node):
            _drop_unused(tree, item, (*where, index))
    if not isinstance(node, dict):
        return
    for key in list(node):
        if not isinstance(key, str):
            message = f"the key {show(key)} is {kind_of(key)}"
            raise tree.error((*where, key), message, hint="keys are text", key=True)
        name = unused_name((*where, key))
        if name is None:
            _drop_unused(tree, node[key], (*where, key))
        else:
            tree.unused[name] = None
            del node[key]


def _multi_start(tree: Editor) -> None:
    """Turn ``{enable, n_starts, seed}`` into the number of starts and ``nlsq.seed``."""
    where = (*NLSQ, "multi_start")
    if not isinstance(tree.get(where), dict):
        return
    tree.rename((*where, "seed"), (*NLSQ, "seed"))
    section = tree.get(where)
    if not isinstance(section, dict):
        return
    known = ("enable", "n_starts", "seed")
    for key in section:
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near!r}? " if near else ""
            hint += f"keys here are {', '.join(known)}"
            raise tree.error((*where, key), "unknown key", hint=hint, key=True)
    enable = section.get("enable")
    if enable is not None and not isinstance(enable, bool):
        message = f"{show(enable)} is {kind_of(enable)}"
        raise tree.error((*where, "enable"), message, hint="it should be true or false")
    starts = section.get("n_starts")
    count = DEFAULT_STARTS if starts is None else starts
    tree.put(where, 0 if enable is False else count, written=(*where, "n_starts"))
