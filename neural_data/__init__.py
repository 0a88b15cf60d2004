"""Recordings of the primate ventral stream as xarray datasets, and the images shown.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "neural_data.cowley2023": ("read_cowley2023",),
    "neural_data.dissimilarities": (
        "load_dissimilarities",
        "save_dissimilarities",
        "validate_dissimilarities",
    ),
    "neural_data.errors": ("AlignmentError", "RecordingError"),
    "neural_data.kriegeskorte2008": ("read_kriegeskorte2008",),
    "neural_data.objects": ("simulate_objects",),
    "neural_data.recording": (
        "average_repetitions",
        "load_recording",
        "recording_from_arrays",
        "save_recording",
        "select_recording",
        "validate_recording",
    ),
    "neural_data.reliability": (
        "compute_rdm_reliability",
        "compute_site_reliability",
        "spearman_brown",
    ),
    "neural_data.simulate": ("simulate_macaque", "simulate_rates"),
    "neural_data.stimuli": (
        "align_stimuli",
        "load_stimuli",
        "read_stimuli",
        "save_stimuli",
        "stimuli_from_arrays",
        "validate_stimuli",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'neural_data' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
