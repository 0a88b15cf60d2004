"""Centred kernel alignment of layers and areas: a second measure, to be kept out of the reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.rdms.conditions import order_patterns, refuse_undefined
from brainguided.rdms.inner_products import cka_from_grams
from brainguided.rdms.labels import check_alignment
from neural_data.errors import RecordingError
from neural_data.model.origin import origin_of
from neural_data.model.patterns import as_recording
from neural_data.model.recording import average_repetitions, check_structure, select_recording
from neural_data.model.stimuli import align_stimuli
from neural_data.rounding import centre

if TYPE_CHECKING:
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing


def compute_cka(a: xr.DataArray, b: xr.DataArray, *, debiased: bool = False) -> float:
    """Return the linear centred kernel alignment of two sets of responses to the same stimuli.

    ``<K, L> / (|K| |L|)`` of the stimuli's inner products K and L, each unit centred over stimuli
    [1]_: 1 for responses that are rotations and scalings of each other. With few units and many
    stimuli unrelated responses have a CKA well above 0; the debiased one [2]_ is 0 on average.

    Parameters
    ----------
    a, b : xr.DataArray (stimulus, site) or (stimulus, unit)
        The same stimuli in the same order.
    debiased : bool, optional
        Use the unbiased estimator of the inner products.

    Returns
    -------
    float
        0 to 1; if debiased, 1 at most, and negative at times.

    Raises
    ------
    AlignmentError
        If the stimuli differ in number, name or order.
    RecordingError
        If responses are missing, or there are fewer than 3 stimuli.

    References
    ----------
    .. [1] Kornblith, Norouzi, Lee & Hinton (2019), ICML, equation 3 with linear kernels.
    .. [2] Song, Smola, Gretton, Bedo & Borgwardt (2012), JMLR 13, 1393-1434, equation 4.

    Examples
    --------
    >>> x = xr.DataArray(
    ...     np.eye(4), dims=("stimulus", "unit"), coords={"stimulus": ["a", "b", "c", "d"]}
    ... )
    >>> round(compute_cka(x, 3 * x[:, ::-1]), 12)
    1.0
    """
    sides = []
    for responses in (a, b):
        name = str(getattr(responses, "name", None) or "responses")
        ordered = order_patterns(responses, name)
        refuse_undefined(ordered, name, "stimulus", measure="cka")
        sides.append(ordered)
    labels = [[str(v) for v in s["stimulus"].values] for s in sides]
    check_alignment(labels[0], labels[1], names=("The first", "the second"))
    grams = []
    for side in sides:
        values = centre(side.values, axis=0)
        grams.append(values @ values.T)
    return cka_from_grams(grams[0], grams[1], debiased=debiased)


def compute_layer_cka(
    network: nn.Module,
    stimuli: xr.Dataset,
    recording: xr.Dataset | xr.DataArray,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
    debiased: bool = True,
) -> xr.DataArray:
    """Return the centred kernel alignment of every layer with every area of a recording.

    Layers are streamed as for RDMs: a layer of any width costs one matrix (stimulus, stimulus).

    Parameters
    ----------
    network : torch.nn.Module
        Maps (stimulus, channel, y, x) images to an output.
    stimuli : xr.Dataset
        Images of exactly the recorded stimuli, in any order.
    recording : xr.Dataset
        Responses; repetitions are averaged.
    layers : str or sequence of str, optional
        As for ``layers.select_layers``.
    preprocessing : Preprocessing, optional
        What is done to the images.
    debiased : bool, optional
        As for `compute_cka`.

    Returns
    -------
    xr.DataArray (layer, area)
        1 where layer and area agree up to rotation and scale; about 0, if debiased, where
        they have nothing in common.

    Raises
    ------
    AlignmentError
        If stimuli lack images or images lack responses.
    RecordingError
        If the recording is not valid or has several time bins.
    """
    from brainguided.networks.grams import raw_gram
    from brainguided.networks.passes import stream_moments
    from brainguided.networks.probe import probe_layers

    recording = as_recording(recording)
    areas = average_areas(recording)
    names = recording["stimulus"].values.astype(str).tolist()
    images = align_stimuli(stimuli, names)["image"].values
    grams = {}
    for area, responses in areas.items():
        values = centre(responses.values, axis=0)
        grams[area] = values @ values.T
    found = {}
    chosen = probe_layers(network, images, layers, preprocessing=preprocessing)
    for layer, moments in stream_moments(network, images, chosen, preprocessing=preprocessing):
        gram = raw_gram(moments[0])
        found[layer] = [cka_from_grams(gram, g, debiased=debiased) for g in grams.values()]
    return xr.DataArray(
        np.array(list(found.values())),
        dims=("layer", "area"),
        coords={"layer": list(found), "area": list(areas)},
        name="cka",
        attrs={
            "long_name": f"linear CKA{' (debiased)' if debiased else ''}",
            **origin_of(recording),
            **chosen.describe(),
        },
    )


def average_areas(recording: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the mean responses (stimulus, site) of each area."""
    check_structure(recording)
    n_bins = recording.sizes.get("time_bin", 1)
    if n_bins > 1:
        raise RecordingError(
            f"The recording has {n_bins} time bins. Choose a window: "
            "average_window(recording, start, end)."
        )
    found = {}
    for area in dict.fromkeys(recording["area"].values.astype(str).tolist()):
        mean = average_repetitions(select_recording(recording, area=area))
        found[area] = mean.isel(time_bin=0, drop=True, missing_dims="ignore").transpose(
            "stimulus", "site"
        )
    return found
