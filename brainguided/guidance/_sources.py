"""Making the targets of a teacher: of a recording, of published RDMs, of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.guidance.target import Target
from brainguided.networks.grams import distances_from_moments
from brainguided.rdms.compute import build_rdms, compute_rdms, condition_index, select_rdm
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.labels import check_alignment, condition_labels
from neural_data.errors import AlignmentError, RecordingError
from neural_data.model.areas import group_areas
from neural_data.model.patterns import as_recording, zscore_sites
from neural_data.model.recording import check_structure, select_recording
from neural_data.model.stimuli import align_stimuli, validate_stimuli

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing


def targets_from_recording(
    recording: xr.Dataset | xr.DataArray,
    stimuli: xr.Dataset,
    areas: str | Sequence[str] | None,
    *,
    by: str,
    measure: str,
    noise: Noise,
    zscore: bool,
) -> tuple[Target, ...]:
    """Return the areas of a recording; see ``Teacher.from_recording``."""
    recording = as_recording(recording)
    check_structure(recording)
    recording = zscore_sites(recording) if zscore else recording
    n_bins = recording.sizes.get("time_bin", 1)
    if n_bins > 1:
        raise RecordingError(
            f"The recording has {n_bins} time bins; a teacher has one RDM an area. Choose the "
            "window that is to guide: average_window(recording, start, end)."
        )
    images = align_stimuli(stimuli, recording["stimulus"].values.astype(str).tolist())
    recording, images = _share_conditions(recording, images, by)
    found = list(dict.fromkeys(recording["area"].values.tolist()))
    chosen = found if areas is None else [areas] if isinstance(areas, str) else list(areas)
    targets = []
    for part in group_areas(recording, chosen):
        own = list(dict.fromkeys(part["area"].values.astype(str).tolist()))
        rdms = compute_rdms(part, by=by, measure=measure, noise=noise)
        shown = images
        if part.sizes["stimulus"] < images.sizes["stimulus"]:
            shown = images.sel(stimulus=part["stimulus"].values)
        for number, area in enumerate(own):
            single = select_recording(part, area=area)
            targets.append(Target(area, shown, select_rdm(rdms, number), by, single, noise))
    return tuple(sorted(targets, key=lambda target: chosen.index(target.area)))


def _share_conditions(
    recording: xr.Dataset, images: xr.Dataset, by: str
) -> tuple[xr.Dataset, xr.Dataset]:
    """Give recording and images the conditions that the other has, and refuse different ones."""
    if by != "stimulus" and by in recording.coords and by in images.coords:
        pairs = zip(recording[by].values.tolist(), images[by].values.tolist(), strict=True)
        differ = [n for n, (a, b) in enumerate(pairs) if str(a) != str(b)]
        if differ:
            raise AlignmentError(
                f"The recording and the images disagree on {by!r} of {len(differ)} stimuli, "
                f"e.g. {images['stimulus'].values[differ[0]]!r}: "
                f"{recording[by].values[differ[0]]!r} and {images[by].values[differ[0]]!r}. "
                "Correct one, or drop the coordinate of the recording with drop_vars."
            )
    if by not in recording.coords and by in images.coords:
        recording = recording.assign_coords({by: ("stimulus", images[by].values)})
    elif by != "stimulus" and by not in images.coords and by in recording.coords:
        images = images.assign_coords({by: ("stimulus", recording[by].values)})
    return recording, images


def targets_from_rdms(
    rdms: RDMs, stimuli: xr.Dataset, area: str | None, *, by: str
) -> tuple[Target, ...]:
    """Return the areas of published RDMs; see ``Teacher.from_rdms``."""
    labels = condition_labels(rdms)
    if by == "stimulus":
        images = align_stimuli(stimuli, labels, name="RDM")
    else:
        images = validate_stimuli(stimuli)
        index, groups = condition_index(images["image"], by)
        if sorted(groups) != sorted(labels):
            check_alignment(groups, labels, names=("The stimulus set", "the RDM"))
        rank = np.array([labels.index(g) for g in groups])[index]
        images = images.isel(stimulus=np.argsort(rank, kind="stable"))
    names = rdms.rdm_descriptors.get("area")
    if area is not None:
        if rdms.n_rdm != 1:
            raise ValueError(
                f"area={area!r} names one RDM, but there are {rdms.n_rdm}; set "
                "rdm_descriptors['area'] instead."
            )
        names = [area]
    if names is None:
        raise AlignmentError(
            f"The {rdms.n_rdm} RDMs have no descriptor 'area'; set rdm_descriptors["
            "'area'], or give area= for a single RDM."
        )
    return tuple(Target(str(name), images, select_rdm(rdms, k), by) for k, name in enumerate(names))


def targets_from_network(
    network: nn.Module,
    stimuli: xr.Dataset,
    layers: Layers,
    *,
    by: str,
    subset_size: int,
    preprocessing: Preprocessing | None,
    seed: int,
) -> tuple[Target, ...]:
    """Return the layers of a network; see ``Teacher.from_network``."""
    from brainguided.networks.passes import stream_subsets
    from brainguided.networks.probe import probe_layers
    from brainguided.networks.streamed import averaging_weights, condition_coords

    validate_stimuli(stimuli)
    group = None if by == "stimulus" else condition_index(stimuli["image"], by)[0]
    images = stimuli["image"].values
    found = probe_layers(network, images, layers, preprocessing=preprocessing)
    subsets = {}
    for k, (layer, units) in enumerate(found.units.items()):
        generator = np.random.default_rng((seed, k))
        number = 10 if units > subset_size else 1
        subsets[layer] = [
            np.sort(generator.permutation(units)[:subset_size]) for _ in range(number)
        ]
    streamed = stream_subsets(
        network, images, subsets, found,
        preprocessing=preprocessing, average=averaging_weights(group),
    )  # fmt: skip
    origin = {"source": f"network {type(network).__name__}"}
    coords = condition_coords(stimuli, by)
    targets = []
    for layer, moments in streamed:
        vector = np.mean([distances_from_moments(one) for one in moments], axis=0)
        rdm = build_rdms(
            vector, conditions=coords, by=by, rdm_descriptors={"area": [layer]}, origin=origin
        )
        rdm.descriptors.update(found.describe())
        targets.append(Target(layer, stimuli, rdm, by))
    return tuple(targets)
