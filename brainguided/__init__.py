"""Search for neural-network architectures whose representations resemble those of the brain.

``__all__`` holds what a lab types every day. Other public names are reached in their room, such as
``brainguided.plot.plot_anytime``; ``__init__.pyi`` shows all of them to editors and type checkers.
Names are loaded when first used, so that importing the package costs nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _, _ = lazy_loader.attach_stub(__name__, __file__)

__all__ = [
    # Dissimilarity matrices
    "align_rdms",
    "compare_rdms",
    "compute_rdms",
    "plot_rdms",
    # Any network and the areas of the brain
    "Inference",
    "Preprocessing",
    "bootstrap_similarity",
    "compute_correspondence",
    "compute_layer_rdms",
    "compute_noise_ceiling",
    "compute_similarity",
    "describe_layers",
    "plot_correspondence",
    "plot_depth",
    "record_activations",
    # What candidates learn, and whom they should resemble
    "PaperReward",
    "Task",
    "Teacher",
    "Training",
    "images_from_stimuli",
    "load_images",
    # Spaces and architectures
    "build_network",
    "nasbench201_space",
    "plot_architecture",
    "pnas_space",
    "small_space",
    # Controllers
    "Limits",
    "LocalSearch",
    "PredictorSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "tpe",
    # Search
    "Journal",
    "evaluate",
    "folder_executor",
    "load_run",
    "local_pool",
    "merge_runs",
    "plot_search",
    "ray_executor",
    "run_finalists",
    "run_search",
    "save_winner",
    "write_report",
]


def __dir__() -> list[str]:
    return sorted(__all__)
