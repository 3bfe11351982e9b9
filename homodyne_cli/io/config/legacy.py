"""The homodyne 2.x config keys that have no effect here.

They are accepted so that a 2.x config can be used as it is, and listed so that nobody believes
they act. ``*`` stands for any list index or parameter name; a key stands for all below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from homodyne_cli.io.config.tree import ConfigTree, Node
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.io.yaml_text.scalars import kind_of, show

NLSQ: Final = "optimization.nlsq"
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

#: Section (the first is the top level): its keys without effect.
_UNUSED: Final = """
: metadata config_version analysis_settings noise_estimation performance performance_settings
    logging quality_control plotting validation validation_rules hardware advanced advanced_settings
    pbs slurm data_filtering preprocessing output_settings optimization_config v2_features
    hpc_settings batch_processing
analyzer_parameters: temporal computational
analyzer_parameters.scattering: wavevector_q_list q_unit
analyzer_parameters.geometry: beam_size gap_unit
experimental_data: phi_angles_path phi_angles_file phi_angles_manual cache_file_path cache_directory
    cache_enabled cache_filename_template cache_compression data_type file_format exchange_key
    preprocessing loading estimated_data_points frame_optimization
phi_filtering: fallback_to_all_angles algorithm tolerance quality_control laminar_flow_ranges
    validation_mode
phi_filtering.target_ranges.*: description
initial_parameters: units
parameter_space: model priors
parameter_space.bounds.*: type prior_mu prior_sigma unit description physics_validation
optimization: method lsq mcmc cmc vi hybrid streaming stratification sequential recovery sharding
    angle_filtering
optimization.nlsq: enabled method workflow goal memory_fraction memory_threshold_gb verbose progress
    hybrid_streaming streaming stratified recovery anti_degeneracy cmaes quality_validation
optimization.nlsq.multi_start: sampling_strategy n_workers use_screening screen_keep_fraction
    subsample_size warmup_only_threshold refine_top_k refinement_ftol degeneracy_threshold
    custom_starts
output: base_directory formats plots reports create_subdirs timestamp_dirs compress_hdf5
    compression_level save_per_shard_diagnostics save_combined_posterior save_convergence_metrics
    generate_plots plot_format plot_dpi log_level log_file console_output
"""
_TABLE: Final = {
    section: frozenset(names.split())
    for section, _, names in (
        line.partition(":") for line in _UNUSED.strip().replace("\n    ", " ").splitlines()
    )
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
        _rename(tree, old, new, must_agree=True)
    defence = "optimization.nlsq.anti_degeneracy."
    switch = tree.find(f"{defence}enable")
    for old, new in OLDER.items():
        if not old.startswith(defence) or switch is None or switch.value is not False:
            _rename(tree, old, new)
    _drop_unused(tree, tree.root, ())
    _multi_start(tree)


def _rename(tree: ConfigTree, old: str, new: str, *, must_agree: bool = False) -> None:
    """Let a value act under a new path, unless one is there already.

    With `must_agree` two different values are refused; otherwise the old one is unused. A value
    set on the command line wins over one in the file.
    """
    present, node = tree.find(new), tree.take(old)
    if node is None:
        return
    if present is None or (isinstance(node.at, str) and not isinstance(present.at, str)):
        tree.put(new, node)
    elif not must_agree:
        tree.unused[node.name] = None
    elif present.plain() != node.plain() and not isinstance(present.at, str):
        message = f"{show(node.plain())} disagrees with {new}, {show(present.plain())}"
        tree.refuse(node, message, hint="they are the same setting; keep one of them")


def _drop_unused(tree: ConfigTree, node: Node, where: DataPath) -> None:
    steps: Sequence[str | int] = list(node.entries) or range(len(node.items))
    for step, item in list(zip(steps, node.items, strict=True)):
        name = unused_name((*where, step))
        if name is None:
            _drop_unused(tree, item, (*where, step))
        else:
            tree.unused[name] = None
            del node.entries[str(step)]


def _multi_start(tree: ConfigTree) -> None:
    """Turn ``{enable, n_starts, seed}`` into the number of starts and ``nlsq.seed``."""
    where, known = f"{NLSQ}.multi_start", ("enable", "n_starts", "seed")
    section = tree.find(where)
    if section is None or not isinstance(section.value, dict):
        return
    for key, node in section.entries.items():
        if key not in known:
            tree.refuse_key(node, known)
    _rename(tree, f"{where}.seed", f"{NLSQ}.seed")
    enable, starts = tree.find(f"{where}.enable"), tree.find(f"{where}.n_starts")
    if enable is not None and not isinstance(enable.value, bool):
        message = f"{show(enable.plain())} is {kind_of(enable.plain())}"
        tree.refuse(enable, message, hint="it should be true or false")
    if enable is not None and enable.value is False:
        tree.put(where, section.become(0))
    elif section.entries:
        tree.put(where, starts or section.become(DEFAULT_STARTS))
