"""Recordings of the primate ventral stream as xarray datasets, and the images shown.

Public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "neural_data.formats.array_files": ("load_array",),
    "neural_data.formats.described": (
        "read_arrays",
        "read_described",
    ),
    "neural_data.formats.brainio.reader": (
        "open_brainio",
        "read_brainio",
    ),
    "neural_data.formats.brainio.writer": ("write_brainio",),
    "neural_data.formats.brainio.events": (
        "read_brainio_events",
        "read_brainio_spikes",
    ),
    "neural_data.formats.brainio.stimuli": ("read_brainio_stimuli",),
    "neural_data.catalog.entries": (
        "cite",
        "describe_datasets",
    ),
    "neural_data.formats.cowley2023": ("read_cowley2023",),
    "neural_data.catalog.load": (
        "load_dataset",
        "open_dataset",
    ),
    "neural_data.model.dissimilarities": (
        "load_dissimilarities",
        "save_dissimilarities",
        "validate_dissimilarities",
    ),
    "neural_data.errors": (
        "AlignmentError",
        "RecordingError",
    ),
    "neural_data.catalog.fetch": ("fetch_dataset",),
    "neural_data.inspection": (
        "describe_file",
        "describe_recording",
    ),
    "neural_data.formats.kriegeskorte2008": ("read_kriegeskorte2008",),
    "neural_data.formats.nwb.reader": (
        "read_nwb",
        "read_nwb_spikes",
    ),
    "neural_data.simulation.objects": ("simulate_objects",),
    "neural_data.model.presentations": ("recording_from_presentations",),
    "neural_data.model.recording": (
        "average_repetitions",
        "load_recording",
        "open_recording",
        "recording_from_arrays",
        "save_recording",
        "select_recording",
        "validate_recording",
    ),
    "neural_data.reliability.estimates": (
        "compute_rdm_reliability",
        "compute_site_reliability",
        "spearman_brown",
    ),
    "neural_data.reliability.intervals": (
        "bootstrap_rdm_reliability",
        "bootstrap_site_reliability",
    ),
    "neural_data.model.selection": (
        "compute_responsiveness",
        "select_complete",
        "select_reliable_sites",
        "select_responsive_sites",
    ),
    "neural_data.simulation.simulate": (
        "simulate_macaque",
        "simulate_rates",
    ),
    "neural_data.simulation.area": ("SimulatedArea",),
    "neural_data.simulation.macaque": ("Macaque",),
    "neural_data.simulation.noise": (
        "GaussianNoise",
        "PoissonNoise",
    ),
    "neural_data.simulation.time_course": ("TimeCourse",),
    "neural_data.formats.open_any": ("open_source",),
    "neural_data.model.spikes": (
        "bin_spikes",
        "load_spikes",
        "save_spikes",
        "spikes_from_arrays",
        "validate_spikes",
    ),
    "neural_data.model.stimuli": (
        "align_stimuli",
        "load_stimuli",
        "read_stimuli",
        "save_stimuli",
        "stimuli_from_arrays",
        "validate_stimuli",
    ),
    "neural_data.model.windows": (
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
