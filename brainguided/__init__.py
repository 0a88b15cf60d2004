"""Search for neural-network architectures whose representations resemble those of the brain.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "brainguided.networks.streamed": ("compute_layer_rdms",),
    "brainguided.architectures": (
        "Architecture",
        "CellArchitecture",
        "ConvLayer",
        "MacroArchitecture",
        "NASBench201Architecture",
        "PlainArchitecture",
        "RecurrentArchitecture",
        "ResidualArchitecture",
    ),
    "brainguided.correspondence.bootstrap": ("bootstrap_similarity",),
    "brainguided.correspondence.ceilings": ("compute_ceiling", "compute_noise_ceiling"),
    "brainguided.correspondence.cka": ("compute_cka", "compute_layer_cka"),
    "brainguided.rdms.compare": ("align_rdms", "compare_rdms", "prepare_rdms"),
    "brainguided.controllers": (
        "PPO",
        "Limits",
        "LocalSearch",
        "OptunaSearch",
        "RandomSearch",
        "RegularizedEvolution",
        "Reinforce",
        "nasnet_ppo",
        "tpe",
        "zoph2017_reinforce",
    ),
    "brainguided.correspondence.compute": (
        "Inference",
        "compute_correspondence",
        "correspondence_from_rdms",
    ),
    "brainguided.candidates.evaluation": ("Evaluation", "Task", "evaluate", "train_candidate"),
    "brainguided.engines.local": ("local_pool",),
    "brainguided.networks.export": ("export_network",),
    "brainguided.search.finalists": ("run_finalists",),
    "brainguided.correspondence.hierarchy": ("compute_hierarchy", "permute_hierarchy"),
    "brainguided.candidates.images": ("ImageSet", "images_from_stimuli", "load_images"),
    "brainguided.correspondence.permutation": ("compare_layers", "permute_similarity"),
    "brainguided.journal.journal": ("Journal", "JournalError"),
    "brainguided.networks.layers": ("describe_layers", "select_layers"),
    "brainguided.reports.model_card": ("write_model_card",),
    "brainguided.networks.build": ("build_network",),
    "brainguided.rdms.noise": ("compute_noise_precision",),
    "brainguided.plot": (
        "plot_anytime",
        "plot_architecture",
        "plot_correspondence",
        "plot_depth",
        "plot_rdm_mds",
        "plot_rdms",
        "plot_recording_summary",
        "plot_reliability",
        "plot_reliability_over_time",
        "plot_repetitions",
        "plot_responses",
        "plot_search",
        "plot_similarity_over_time",
        "plot_stimulus_mds",
    ),
    "brainguided.correspondence.predictivity": (
        "compute_layer_predictivity",
        "compute_predictivity",
    ),
    "brainguided.networks.preprocessing": ("Preprocessing",),
    "brainguided.rdms.compute": (
        "compute_rdms",
        "dissimilarities_from_rdms",
        "rdms_from_dissimilarities",
    ),
    "brainguided.networks.recorded": ("load_activations", "record_activations"),
    "brainguided.search.orders": ("Batch", "Completion", "Index"),
    "brainguided.journal.merge": ("merge_runs",),
    "brainguided.engines.folder.executor": ("folder_executor",),
    "brainguided.engines.ray.executor": ("ray_executor",),
    "brainguided.replays.replay": ("replay_search", "run_replays", "summarize_replays"),
    "brainguided.reports.page": ("write_report",),
    "brainguided.settings.run_file": ("load_run",),
    "brainguided.search.run": ("SearchError", "run_search"),
    "brainguided.guidance.similarity": ("best_layers", "compute_guidance", "compute_similarity"),
    "brainguided.replays.virtual_clock": ("simulate_search",),
    "brainguided.spaces": (
        "SearchSpace",
        "enas_macro_space",
        "enas_micro_space",
        "nasbench201_space",
        "nasnet_space",
        "pnas_space",
        "recurrent_space",
        "residual_space",
        "small_space",
        "zoph2017_space",
    ),
    "brainguided.replays.table": ("Table", "load_table", "table_from_run"),
    "brainguided.guidance.teacher": ("Target", "Teacher"),
    "brainguided.correspondence.time_courses": ("compute_similarity_over_time",),
    "brainguided.candidates.training": ("Training", "train_network"),
    "brainguided.search.winner": ("save_winner",),
    "brainguided.engines.folder.worker": ("serve_folder",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'brainguided' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
