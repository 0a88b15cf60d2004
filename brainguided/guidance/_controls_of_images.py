"""Controls of the images alone: pixels, Gabor energy, layers of other networks, other RDMs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture, ConvLayer, PlainArchitecture
from brainguided.guidance._control_parts import (
    compare_features,
    compare_gram,
    find_area,
    gram_of_rdm,
    make_control,
)
from brainguided.guidance._images import compute_gabor_energy, read_pixels
from brainguided.guidance.similarity import compute_similarity
from brainguided.guidance.target import Target
from brainguided.guidance.teacher import Teacher
from brainguided.networks.build import build_network
from brainguided.networks.grams import raw_gram
from brainguided.networks.passes import stream_subsets
from brainguided.networks.probe import probe_layers
from brainguided.networks.streamed import averaging_weights
from brainguided.rdms.compute import condition_index, rdms_from_dissimilarities
from brainguided.rdms.labels import condition_labels

if TYPE_CHECKING:
    from torch import nn

    from brainguided.networks.preprocessing import Preprocessing

DEPTH, FILTERS = 6, 64
"""Of the untrained network where none is given; every second layer has stride 2."""


def pixels_control(teacher: Teacher, area: str) -> Target:
    """Return the RDM of the images' pixels.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.

    Returns
    -------
    Target
        Named "V4:pixels", after the area.
    """
    target = find_area(teacher, area)
    features = read_pixels(target.stimuli["image"].values)
    vector, gram = compare_features(target, features)
    return make_control(target, "pixels", vector, gram, source="pixels of the images")


def gabor_control(teacher: Teacher, area: str) -> Target:
    """Return the RDM of contrast-normalised Gabor energies of the images.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.

    Returns
    -------
    Target
        Named "V4:gabor", after the area.
    """
    target = find_area(teacher, area)
    features = compute_gabor_energy(target.stimuli["image"].values)
    vector, gram = compare_features(target, features)
    return make_control(target, "gabor", vector, gram, source="Gabor energy of the images")


def untrained_control(
    teacher: Teacher,
    area: str,
    *,
    architecture: Architecture | None = None,
    layer: str | None = None,
    seed: int = 0,
) -> Target:
    """Return the RDM of a layer of an untrained network.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    architecture : Architecture, optional
        By default 6 convolutions of 3 x 3 with 64 filters.
    layer : str, optional
        By default the one most similar to the area: the hardest control.
    seed : int, optional
        Of the weights.

    Returns
    -------
    Target
        Named "V4:untrained", after the area.
    """
    if architecture is None:
        strides = [2 if k % 2 else 1 for k in range(DEPTH)]
        architecture = PlainArchitecture(tuple(ConvLayer(3, 3, FILTERS, stride=s) for s in strides))
    network = build_network(architecture, n_classes=10, seed=seed)
    target = find_area(teacher, area)
    name, (vector, gram) = _observe(target, network, layer, None, None, seed)
    kind = "untrained" if seed == 0 else f"untrained-{seed}"
    return make_control(target, kind, vector, gram, source=f"untrained network, {name}")


def network_control(
    teacher: Teacher,
    area: str,
    network: nn.Module,
    *,
    layer: str | None = None,
    units: int | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
) -> Target:
    """Return the RDM of a few units of a layer of a network, such as a trained one.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    network : torch.nn.Module
        Maps images to an output.
    layer : str, optional
        By default the one most similar to the area: the hardest control.
    units : int, optional
        Units drawn at random; all by default.
    preprocessing : Preprocessing, optional
        What is done to the images.
    seed : int, optional
        Of the units.

    Returns
    -------
    Target
        Named "V4:network", after the area.
    """
    target = find_area(teacher, area)
    name, (vector, gram) = _observe(target, network, layer, units, preprocessing, seed)
    source = f"network {type(network).__name__}, {name}"
    return make_control(target, "network", vector, gram, source=source, seed=seed)


def rdm_control(teacher: Teacher, area: str, *, rdm: xr.Dataset, name: str = "rdm") -> Target:
    """Return an RDM that was made elsewhere, such as that of a model.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    rdm : xr.Dataset
        Dissimilarities (area, stimulus, other_stimulus) with one area, over the area's conditions
        in any order.
    name : str, optional
        What follows the colon in the control's name.

    Returns
    -------
    Target
        Named "V4:rdm", after the area.

    Raises
    ------
    ValueError
        The RDM is of several areas or of other conditions.
    """
    target = find_area(teacher, area)
    found = rdms_from_dissimilarities(rdm)
    conditions, given = target.conditions, condition_labels(found, name="The RDM")
    if found.n_rdm != 1 or sorted(conditions) != sorted(given):
        raise ValueError(
            f"{found.n_rdm} RDMs over {len(given)} conditions, the first {given[:3]}; expected one "
            f"over the {len(conditions)} of {area}, the first {conditions[:3]}."
        )
    order = [given.index(label) for label in conditions]
    square = found.get_matrices()[0][np.ix_(order, order)]
    vector = square[np.triu_indices(len(order), 1)]
    source = str(found.descriptors.get("source", "unknown"))
    return make_control(target, name, vector, gram_of_rdm(target, vector), source=source)


def _observe(
    target: Target,
    network: nn.Module,
    layer: str | None,
    units: int | None,
    preprocessing: Preprocessing | None,
    seed: int,
) -> tuple[str, tuple[np.ndarray, np.ndarray]]:
    """Return the layer, and dissimilarities and inner products of some of its units."""
    if layer is None:
        table = compute_similarity(network, Teacher((target,)), preprocessing=preprocessing)
        if not np.isfinite(table.values).any():
            raise ValueError(f"No layer of the network has a similarity to {target.area}.")
        layer = str(table["layer"].values[int(np.nanargmax(table.values[:, 0]))])
    images = target.stimuli["image"].values
    found = probe_layers(network, images, layer, preprocessing=preprocessing)
    name, number = next(iter(found.units.items()))
    if units is not None and not 3 <= units <= number:
        raise ValueError(f"units is {units}; layer {name!r} has {number}: give 3 to {number}.")
    drawn = np.random.default_rng([seed, 26]).permutation(number)[: units or number]
    group = (
        None if target.by == "stimulus" else condition_index(target.stimuli["image"], target.by)[0]
    )
    streamed = stream_subsets(
        network, images, {name: [np.sort(drawn)]}, found,
        preprocessing=preprocessing, average=averaging_weights(group),
    )  # fmt: skip
    _, (moments,) = next(iter(streamed))
    sums = moments.sums + moments.n_units * moments.shift
    return name, compare_gram(target, raw_gram(moments), sums, moments.n_units)
