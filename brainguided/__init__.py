"""Search for neural-network architectures whose representations resemble those of the brain.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "brainguided.activations": ("compute_layer_rdms",),
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
    "brainguided.bootstrap": ("bootstrap_similarity",),
    "brainguided.ceilings": ("compute_ceiling", "compute_noise_ceiling"),
    "brainguided.cka": ("compute_cka", "compute_layer_cka"),
    "brainguided.comparisons": ("align_rdms", "compare_rdms", "prepare_rdms"),
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
    "brainguided.correspondence": (
        "Inference",
        "compute_correspondence",
        "correspondence_from_rdms",
    ),
    "brainguided.evaluation": ("Evaluation", "Task", "evaluate", "train_candidate"),
    "brainguided.executors": ("local_pool",),
    "brainguided.export": ("export_network",),
    "brainguided.finalists": ("run_finalists",),
    "brainguided.hierarchy": ("compute_hierarchy", "permute_hierarchy"),
    "brainguided.images": ("ImageSet", "images_from_stimuli", "load_images"),
    "brainguided.inference": ("compare_layers", "permute_similarity"),
    "brainguided.journal": ("Journal", "JournalError"),
    "brainguided.layers": ("describe_layers", "select_layers"),
    "brainguided.model_card": ("write_model_card",),
    "brainguided.network": ("build_network",),
    "brainguided.noise": ("compute_noise_precision",),
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
    "brainguided.predictivity": ("compute_layer_predictivity", "compute_predictivity"),
    "brainguided.preprocessing": ("Preprocessing",),
    "brainguided.rdm": (
        "compute_rdms",
        "dissimilarities_from_rdms",
        "rdms_from_dissimilarities",
    ),
    "brainguided.recorded_activations": ("load_activations", "record_activations"),
    "brainguided.orders": ("Batch", "Completion", "Index"),
    "brainguided.merge": ("merge_runs",),
    "brainguided.on_folder": ("folder_executor",),
    "brainguided.on_ray": ("ray_executor",),
    "brainguided.replay": ("replay_search", "run_replays", "summarize_replays"),
    "brainguided.report": ("write_report",),
    "brainguided.runfile": ("load_run",),
    "brainguided.search": ("SearchError", "run_search"),
    "brainguided.similarity": ("best_layers", "compute_guidance", "compute_similarity"),
    "brainguided.simulation": ("simulate_search",),
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
    "brainguided.tables": ("Table", "load_table", "table_from_run"),
    "brainguided.teacher": ("Target", "Teacher"),
    "brainguided.time_courses": ("compute_similarity_over_time",),
    "brainguided.training": ("Training", "train_network"),
    "brainguided.winner": ("save_winner",),
    "brainguided.worker": ("serve_folder",),
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
