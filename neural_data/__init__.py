"""Recordings of the primate ventral stream as xarray datasets, and the images shown.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "neural_data.array_files": ("load_array",),
    "neural_data.arrays": (
        "read_arrays",
        "read_described",
    ),
    "neural_data.brainio": (
        "open_brainio",
        "read_brainio",
    ),
    "neural_data.brainio_export": ("write_brainio",),
    "neural_data.brainio_events": (
        "read_brainio_events",
        "read_brainio_spikes",
    ),
    "neural_data.brainio_stimuli": ("read_brainio_stimuli",),
    "neural_data.catalog": (
        "cite",
        "describe_datasets",
    ),
    "neural_data.cowley2023": ("read_cowley2023",),
    "neural_data.datasets": (
        "load_dataset",
        "open_dataset",
    ),
    "neural_data.dissimilarities": (
        "load_dissimilarities",
        "save_dissimilarities",
        "validate_dissimilarities",
    ),
    "neural_data.errors": (
        "AlignmentError",
        "RecordingError",
    ),
    "neural_data.fetch": ("fetch_dataset",),
    "neural_data.inspection": (
        "describe_file",
        "describe_recording",
    ),
    "neural_data.kriegeskorte2008": ("read_kriegeskorte2008",),
    "neural_data.nwb": (
        "read_nwb",
        "read_nwb_spikes",
    ),
    "neural_data.objects": ("simulate_objects",),
    "neural_data.presentations": ("recording_from_presentations",),
    "neural_data.recording": (
        "average_repetitions",
        "load_recording",
        "open_recording",
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
    "neural_data.reliability_intervals": (
        "bootstrap_rdm_reliability",
        "bootstrap_site_reliability",
    ),
    "neural_data.selection": (
        "compute_responsiveness",
        "select_complete",
        "select_reliable_sites",
        "select_responsive_sites",
    ),
    "neural_data.simulate": (
        "simulate_macaque",
        "simulate_rates",
    ),
    "neural_data.simulated_area": ("SimulatedArea",),
    "neural_data.simulated_macaque": ("Macaque",),
    "neural_data.simulated_noise": (
        "GaussianNoise",
        "PoissonNoise",
    ),
    "neural_data.simulated_time": ("TimeCourse",),
    "neural_data.sources": ("open_source",),
    "neural_data.spikes": (
        "bin_spikes",
        "load_spikes",
        "save_spikes",
        "spikes_from_arrays",
        "validate_spikes",
    ),
    "neural_data.stimuli": (
        "align_stimuli",
        "load_stimuli",
        "read_stimuli",
        "save_stimuli",
        "stimuli_from_arrays",
        "validate_stimuli",
    ),
    "neural_data.windows": (
        "average_window",
        "select_window",
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
