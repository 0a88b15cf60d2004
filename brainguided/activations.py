"""Activations of the layers of any torch module, streamed into RDMs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from brainguided.rdm import (
    accumulate_gram,
    build_rdms,
    condition_index,
    gram_to_distances,
    upper_triangle,
)
from neural_data.stimuli import validate_stimuli

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

Consumer = Callable[[str, Tensor], None]


def images_to_tensor(images: np.ndarray, *, image_size: int | None = None) -> Tensor:
    """Return uint8 images as the float32 tensor that every network here is given.

    Values are scaled from 0..255 to -1..1; where the size differs, images are resized by
    antialiased bilinear interpolation.

    Parameters
    ----------
    images : ndarray (image, y, x, channel) of uint8
        RGB images.
    image_size : int, optional
        Height and width in pixels; by default the images' own.

    Returns
    -------
    torch.Tensor (image, channel, y, x)
        float32.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    if image_size is not None and tuple(tensor.shape[2:]) != (image_size, image_size):
        tensor = nn.functional.interpolate(
            tensor, size=(image_size, image_size), mode="bilinear", antialias=True
        )
    return tensor.div_(127.5).sub_(1).contiguous()


def list_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the layers that are observed by default, in the order of ``named_modules()``.

    Networks built here say so themselves (``observed_layers``: every convolutional layer after
    batch norm, ReLU and pooling); of any other module, all convolutions and linear maps.
    """
    own = getattr(network, "observed_layers", None)
    if own is not None:
        return tuple(own)
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return tuple(name for name, module in network.named_modules() if isinstance(module, kinds))


def stream_layers(
    network: nn.Module, inputs: Tensor, layers: Sequence[str], consume: Consumer
) -> None:
    """Run one forward pass and hand each layer's output to `consume` as it is made.

    Nothing is kept: an output lives as long as the forward pass needs it. A module that is used
    more than once is reported as ``name``, ``name:2``, ``name:3``.

    Parameters
    ----------
    network : torch.nn.Module
        Is put into evaluation mode for the pass, and back afterwards.
    inputs : torch.Tensor (stimulus, channel, y, x)
        All stimuli at once.
    layers : sequence of str
        Paths as in ``named_modules()``.
    consume : callable
        Called with the layer's name and its output as (stimulus, unit).

    Raises
    ------
    ValueError
        If a layer is not a module of the network, or was not reached by the forward pass.
    """
    modules = dict(network.named_modules())
    unknown = [name for name in layers if name not in modules]
    if unknown:
        known = [name for name in modules if name]
        raise ValueError(f"The network has no layers {unknown}; it has {known}.")
    calls = dict.fromkeys(layers, 0)

    def observe(name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            calls[name] += 1
            consume(name if calls[name] == 1 else f"{name}:{calls[name]}", _as_matrix(output))

        return hook

    was_training = network.training
    handles = [modules[name].register_forward_hook(observe(name)) for name in layers]
    try:
        network.eval()
        with torch.no_grad():
            network(inputs)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    silent = [name for name, n in calls.items() if n == 0]
    if silent:
        raise ValueError(f"The forward pass did not use the layers {silent}; leave them out.")


def stream_distances(
    network: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    groups: Sequence[np.ndarray | None],
) -> dict[str, list[np.ndarray]]:
    """Return correlation distances of every layer for several groupings of the same stimuli.

    Parameters
    ----------
    network, inputs, layers
        As in :func:`stream_layers`.
    groups : sequence of (ndarray (stimulus,) of int, or None)
        Number of the condition of each stimulus, whose patterns are averaged before the
        distances are taken; None where every stimulus is a condition of its own.

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
    averages = [None if g is None else _averaging_matrix(g, inputs) for g in different]
    distances: dict[str, list[np.ndarray]] = {}

    def consume(layer: str, patterns: Tensor) -> None:
        vectors = []
        for average in averages:
            rows = patterns if average is None else average @ patterns
            gram = torch.zeros(len(rows), len(rows), device=rows.device)
            accumulate_gram(gram, rows)
            vectors.append(upper_triangle(gram_to_distances(gram.double().cpu().numpy())))
        distances[layer] = [vectors[k] for k in which]

    stream_layers(network, inputs, layers, consume)
    return distances


def compute_layer_rdms(
    network: nn.Module,
    stimuli: xr.Dataset,
    *,
    layers: Sequence[str] | None = None,
    by: str = "stimulus",
    image_size: int | None = None,
) -> RDMs:
    """Return the correlation-distance RDM of each layer of a network, in one forward pass.

    All units of a layer enter its RDM (``1 - Pearson r`` between activation patterns [1]_). The
    activations are not stored: the Gram matrix of a layer is accumulated while the forward pass
    stands at that layer. Agrees with stored activations to about 1e-6.

    Parameters
    ----------
    network : torch.nn.Module
        Any module that maps (stimulus, channel, y, x) images in -1..1 to an output.
    stimuli : xr.Dataset
        Stimulus set (stimulus, y, x, channel) uint8.
    layers : sequence of str, optional
        Paths as in ``named_modules()``; by default see :func:`list_layers`.
    by : str, optional
        Coordinate over ``stimulus`` whose values are the conditions.
    image_size : int, optional
        Pixels to which images are resized; by default their own size.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM a layer (and call), ``rdm_descriptors["layer"]`` their names. A condition to
        which a layer does not respond at all has dissimilarity 1 to all others.

    Raises
    ------
    RecordingError
        If the stimulus set is not valid or has no coordinate `by`.
    ValueError
        If a layer does not exist or is not used, or an activation is not finite.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, eq. 1.
    """
    validate_stimuli(stimuli)
    inputs = images_to_tensor(stimuli["image"].values, image_size=image_size)
    inputs = inputs.to(next(network.parameters(), inputs).device)
    group = None if by == "stimulus" else condition_index(stimuli["image"], by)[0]
    chosen = list_layers(network) if layers is None else tuple(layers)
    distances = stream_distances(network, inputs, chosen, [group])
    vectors = np.stack([vector[0] for vector in distances.values()])
    finite = np.isfinite(vectors).all(1)
    bad = [name for name, ok in zip(distances, finite, strict=True) if not ok]
    if bad:
        raise ValueError(f"Activations of {bad} hold NaN or infinity; check the network's weights.")
    return build_rdms(
        vectors,
        conditions=_condition_coords(stimuli, by),
        by=by,
        rdm_descriptors={"layer": list(distances)},
        source=str(stimuli.attrs.get("source", "unknown")),
    )


def _condition_coords(stimuli: xr.Dataset, by: str) -> xr.DataArray | xr.Dataset:
    from brainguided.rdm import average_conditions

    if by == "stimulus":
        return stimuli
    count = xr.DataArray(
        np.zeros((stimuli.sizes["stimulus"], 1)),
        dims=("stimulus", "unit"),
        coords={k: v for k, v in stimuli.coords.items() if v.dims == ("stimulus",)},
    )
    return average_conditions(count, by)


def _as_matrix(output: Tensor) -> Tensor:
    """Return (stimulus, unit) without copying; the order of units does not matter to an RDM."""
    if output.ndim == 4 and not output.is_contiguous():
        output = output.permute(0, 2, 3, 1)
    return output.float().reshape(len(output), -1)


def _equal(group: np.ndarray | None, other: np.ndarray | None) -> bool:
    if group is None or other is None:
        return group is other
    return np.array_equal(group, other)


def _averaging_matrix(group: np.ndarray, inputs: Tensor) -> Tensor:
    one_hot = np.eye(group.max() + 1, dtype=np.float32)[:, group]
    return torch.from_numpy(one_hot / one_hot.sum(1, keepdims=True)).to(inputs.device)
