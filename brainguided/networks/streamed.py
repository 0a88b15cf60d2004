"""Activations of the layers of any torch module, streamed into RDMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from torch import nn

from brainguided.networks.grams import distances_from_moments
from brainguided.networks.layers import Layers, as_observation
from brainguided.networks.passes import stream_moments
from brainguided.networks.preprocessing import Preprocessing
from brainguided.networks.probe import ProbedLayers, probe_layers
from brainguided.rdms.compute import build_rdms
from brainguided.rdms.conditions import average_conditions, condition_index
from neural_data.model.stimuli import validate_stimuli

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def stream_distances(
    network: nn.Module,
    images: np.ndarray,
    layers: Layers | ProbedLayers,
    groups: Sequence[np.ndarray | None],
    *,
    measures: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
) -> dict[str, list[np.ndarray]]:
    """Return dissimilarities of every layer for several groupings of the same stimuli.

    Parameters
    ----------
    network, images, layers, preprocessing
        As in :func:`stream_moments`.
    groups : sequence of (ndarray (stimulus,) of int, or None)
        Number of the condition of each stimulus, whose patterns are averaged before the
        distances are taken; None where every stimulus is a condition of its own.
    measures : sequence of str, optional
        Measure for each grouping; by default correlation distances.

    Returns
    -------
    dict of layer to list of ndarray (pair,)
        One vector of upper-triangle distances for each grouping, float64, in the order of
        the forward pass.
    """
    different: list[np.ndarray | None] = []
    which = []
    for group in groups:
        same = (k for k, other in enumerate(different) if _equal(group, other))
        which.append(next(same, len(different)))
        if which[-1] == len(different):
            different.append(group)
    averages = [averaging_weights(g) for g in different]
    names = ["correlation"] * len(groups) if measures is None else list(measures)
    distances: dict[str, list[np.ndarray]] = {}
    for layer, moments in stream_moments(
        network, images, layers, preprocessing=preprocessing, averages=averages
    ):
        vectors = {
            (k, name): distances_from_moments(moments[k], name)
            for k, name in dict.fromkeys(zip(which, names, strict=True))
        }
        distances[layer] = [vectors[key] for key in zip(which, names, strict=True)]
    return distances


def compute_layer_rdms(
    network: nn.Module,
    stimuli: xr.Dataset,
    *,
    layers: Layers = None,
    by: str = "stimulus",
    measure: str = "correlation",
    preprocessing: Preprocessing | None = None,
    precision: str = "float32",
) -> RDMs:
    """Return the RDM of each layer of a network.

    All units of a layer enter its RDM (by default ``1 - Pearson r`` between activation patterns
    [1]_). Every image is shown once and no activation is left: inner products of patterns are
    added up over units, while the forward pass lasts or from what was held or written to disk
    meanwhile (see :func:`passes.stream_moments`). Agrees with stored activations to about 1e-6;
    with "bfloat16", whose activations have 8 significant bits, to about 1e-2.

    Parameters
    ----------
    network : torch.nn.Module
        Any module that maps (stimulus, channel, y, x) images to an output.
    stimuli : xr.Dataset
        Stimulus set (stimulus, y, x, channel) uint8.
    layers : str, sequence of str or Observation, optional
        Names as in ``named_modules()``, or patterns such as ``"features.*"``; see
        ``layers.select_layers``, also for the default. An `Observation` also says what is taken
        of transformers' tokens, how much memory may be used and where to keep what does not fit.
    by : str, optional
        Coordinate over ``stimulus`` whose values are the conditions.
    measure : {"correlation", "cosine", "squared euclidean", "euclidean"}, optional
        As for ``rdm.compute_rdms``.
    preprocessing : Preprocessing, optional
        What is done to the images; by default they keep their size and are scaled to -1..1.
    precision : {"float32", "bfloat16"}, optional
        Of the forward pass. Products of a few thousand units are summed in single precision, and
        these sums in double.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM a layer (and call), float32, ``rdm_descriptors["layer"]`` their names,
        ``descriptors`` say the ``network``, its ``preprocessing``, which ``tokens`` were taken and
        which layers were ``left_out`` since the forward pass does not call them. A condition to
        which a layer does not respond at all has correlation distance 1 to all others.

    Raises
    ------
    RecordingError
        If the stimulus set is not valid or has no coordinate `by`.
    ValueError
        If a layer that was named does not exist or is not called, an activation is not finite, or
        the network cannot run on these images.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, eq. 1.
    """
    validate_stimuli(stimuli)
    group = None if by == "stimulus" else condition_index(stimuli["image"], by)[0]
    average = averaging_weights(group)
    images = stimuli["image"].values
    observation = as_observation(layers)
    if precision != "float32":
        observation = replace(observation, precision=precision)
    chosen = probe_layers(network, images, observation, preprocessing=preprocessing)
    names: list[str] = []
    rows: list[np.ndarray] = []
    for layer, moments in stream_moments(
        network, images, chosen, preprocessing=preprocessing, averages=[average]
    ):
        names.append(layer)
        rows.append(distances_from_moments(moments[0], measure).astype(np.float32))
    bad = [name for name, row in zip(names, rows, strict=True) if not np.isfinite(row.sum())]
    if bad:
        raise ValueError(f"Activations of {bad} hold NaN or infinity{_find_odd_weights(network)}.")
    vectors = np.empty((len(rows), rows[0].size), np.float32)
    for k in range(len(names)):
        vectors[k] = rows.pop(0)  # never two copies of all rows
    rdms = build_rdms(
        vectors,
        conditions=condition_coords(stimuli, by),
        by=by,
        rdm_descriptors={"layer": names},
        origin={"source": str(stimuli.attrs.get("source", "unknown"))},
        measure=measure,
    )
    rdms.descriptors["preprocessing"] = (preprocessing or Preprocessing()).describe()
    rdms.descriptors["network"] = type(network).__name__
    rdms.descriptors.update(chosen.describe())
    return rdms


def averaging_weights(group: np.ndarray | None) -> np.ndarray | None:
    """Return weights (condition, stimulus) that average the stimuli of each condition."""
    if group is None:
        return None
    one_hot = np.eye(group.max() + 1, dtype=np.float32)[:, group]
    weights: np.ndarray = one_hot / one_hot.sum(1, keepdims=True)
    return weights


def _find_odd_weights(network: nn.Module) -> str:
    """Say which weights of a network are not finite, or what else to look at."""
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    odd = [n for n, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if odd:
        return f"; so do the network's weights {odd[:3]}"
    return (
        ", though the weights are finite; check the preprocessing of the images, and whether "
        "the network overflows in its floating type"
    )


def condition_coords(stimuli: xr.Dataset, by: str) -> xr.DataArray | xr.Dataset:
    """Return the coordinates of the conditions, as ``build_rdms`` takes them."""
    if by == "stimulus":
        return stimuli
    count = xr.DataArray(
        np.zeros((stimuli.sizes["stimulus"], 1)),
        dims=("stimulus", "unit"),
        coords={k: v for k, v in stimuli.coords.items() if v.dims == ("stimulus",)},
    )
    return average_conditions(count, by)


def _equal(group: np.ndarray | None, other: np.ndarray | None) -> bool:
    if group is None or other is None:
        return group is other
    return np.array_equal(group, other)
