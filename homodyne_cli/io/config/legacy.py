"""The homodyne 2.x config keys that have no effect here.

They are accepted so that a 2.x config can be used as it is, and listed so that nobody believes
they act. ``*`` stands for any list index or parameter name; a key stands for all below it.
"""

from __future__ import annotations

from typing import Final

from homodyne_cli.io.config.tree import ConfigTree
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show

NLSQ: Final = ("optimization", "nlsq")
#: What homodyne 2.x takes for multi_start.n_starts.
DEFAULT_STARTS: Final = 10

#: Other spellings of keys that act; given twice, they must agree.
SAME: Final = {
    "analyzer_parameters.temporal.dt": "analyzer_parameters.dt",
    "analyzer_parameters.temporal.start_frame": "analyzer_parameters.start_frame",
    "analyzer_parameters.temporal.end_frame": "analyzer_parameters.end_frame",
    "optimization.nlsq.tolerance": "optimization.nlsq.ftol",
}
#: Older places of keys that act; where both are given, the older one has no effect.
OLDER: Final = {
    "optimization_config.angle_filtering": "phi_filtering",
    "optimization.nlsq.diagnostics.enable": "optimization.nlsq.diagnostics.enabled",
    "optimization.nlsq.anti_degeneracy.per_angle_mode": "per_angle_mode",
    "optimization.nlsq.anti_degeneracy.fourier_order": "fourier_order",
    "optimization.nlsq.anti_degeneracy.fourier.order": "fourier_order",
}

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


def modernise(tree: ConfigTree) -> None:
    """Let the homodyne 2.x spellings of keys that act, act; list the keys that do not."""
    for old, new in SAME.items():
        tree.rename(tuple(old.split(".")), tuple(new.split(".")), must_agree=True)
    defence = (*NLSQ, "anti_degeneracy")
    enabled = tree.get((*defence, "enable")) is not False
    for old, new in OLDER.items():
        where = tuple(old.split("."))
        if enabled or where[: len(defence)] != defence:
            tree.rename(where, tuple(new.split(".")))
    _drop_unused(tree, tree.data, ())
    _multi_start(tree)


def _drop_unused(tree: ConfigTree, node: object, where: DataPath) -> None:
    if isinstance(node, list):
        for index, item in enumerate(node):
            _drop_unused(tree, item, (*where, index))
    if not isinstance(node, dict):
        return
    for key in list(node):
        name = unused_name((*where, key))
        if not isinstance(key, str):
            message = f"the key {show(key)} is {kind_of(key)}"
            tree.source.refuse((*where, key), message, hint="keys are text", key=True)
        elif name is None:
            _drop_unused(tree, node[key], (*where, key))
            continue
        else:
            tree.unused[name] = None
        del node[key]


def _multi_start(tree: ConfigTree) -> None:
    """Turn ``{enable, n_starts, seed}`` into the number of starts and ``nlsq.seed``."""
    where = (*NLSQ, "multi_start")
    section = tree.get(where)
    if not isinstance(section, dict):
        return
    known = ("enable", "n_starts", "seed")
    for key in [key for key in section if key not in known]:
        tree.refuse_key((*where, key), known)
    tree.rename((*where, "seed"), (*NLSQ, "seed"))
    enable, starts = section.get("enable"), section.get("n_starts")
    if enable is not None and not isinstance(enable, bool):
        message = f"{show(enable)} is {kind_of(enable)}"
        tree.refuse((*where, "enable"), message, hint="it should be true or false")
    count = DEFAULT_STARTS if starts is None else starts
    tree.put(where, 0 if enable is False else count)
    tree.source.move({where: (*where, "n_starts")})
