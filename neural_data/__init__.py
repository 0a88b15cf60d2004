"""Recordings of the primate ventral stream as xarray datasets, and the images shown.

``__all__`` holds what a lab types every day. Other public names are reached in their room, such as
``neural_data.formats.read_nwb``; ``__init__.pyi`` shows all of them to editors and type checkers.
Names are loaded when first used, so that importing the package costs nothing.
"""

import lazy_loader

__getattr__, _, _ = lazy_loader.attach_stub(__name__, __file__)

__all__ = [
    # Recordings
    "AlignmentError",
    "RecordingError",
    "load_recording",
    "open_recording",
    "recording_from_arrays",
    "recording_from_presentations",
    "save_recording",
    "validate_recording",
    # Choosing and averaging
    "average_repetitions",
    "average_window",
    "bin_spikes",
    "select_complete",
    "select_recording",
    "select_reliable_sites",
    # Stimuli and dissimilarities
    "load_dissimilarities",
    "load_stimuli",
    "read_stimuli",
    "save_dissimilarities",
    "save_stimuli",
    "stimuli_from_arrays",
    # Reliability
    "compute_rdm_reliability",
    "compute_site_reliability",
    # Files of others and public data sets
    "cite",
    "describe_datasets",
    "describe_file",
    "fetch_dataset",
    "load_dataset",
    "open_source",
    "write_brainio",
    # Simulated data
    "simulate_macaque",
    "simulate_objects",
]


def __dir__() -> list[str]:
    return sorted(__all__)
