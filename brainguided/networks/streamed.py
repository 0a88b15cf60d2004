"""Activations of the layers of any torch module, streamed into RDMs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from brainguided.networks.grams import (
    GramMoments,
    add_patterns,
    distances_from_moments,
    start_moments,
)
from brainguided.networks.hooks import Enough, observe_layers
from brainguided.networks.layers import find_shapes, select_layers
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from brainguided.rdms.compute import build_rdms
from brainguided.rdms.conditions import average_conditions, condition_index
from neural_data.model.stimuli import validate_stimuli

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

Consumer = Callable[[str, Tensor], None]
MEMORY = 512
"""MiB of activations that are held at a time."""
BATCH_BYTES = 128 * 2**20
"""Largest output of one layer within a forward pass, where stimuli run in batches."""


BLOCK_BYTES = 8 * 2**20
"""Activations that are shifted and multiplied at a time."""


class Slice(NamedTuple):
    """Some units of one layer."""

    layer: str
    start: int
    stop: int


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

    def flatten(layer: str, output: Tensor) -> None:
        consume(layer, _as_matrix(output))

    with observe_layers(network, layers, flatten, n_stimuli=len(inputs)), torch.no_grad():
        network(_place(inputs, network))


def stream_moments(
    network: nn.Module,
    images: np.ndarray,
    layers: Sequence[str],
    *,
    preprocessing: Preprocessing | None = None,
    averages: Sequence[np.ndarray | None] = (None,),
    precision: str = "float32",
    memory: float = MEMORY,
) -> Iterator[tuple[str, list[GramMoments]]]:
    """Yield the moments of one layer after the other, for several groupings of the stimuli.

    Where the widest layer's output for all stimuli takes less than a quarter of `memory`, there
    is one forward pass of all stimuli at once, and each layer is reduced while it lasts.
    Otherwise stimuli run in batches and the network runs several times: each time as many units
    of the layers that are still due are held, for all stimuli, as fit into `memory`, and the pass
    stops behind the last layer that it is for. So a layer of any width costs one matrix
    (stimulus, stimulus) beyond `memory`.

    Parameters
    ----------
    network : torch.nn.Module
    images : ndarray (stimulus, y, x, channel) of uint8
    layers : sequence of str
        As from ``layers.select_layers``.
    preprocessing : Preprocessing, optional
    averages : sequence of (ndarray (condition, stimulus) or None)
        Weights by which stimuli are averaged before moments are taken; None for no averaging.
    precision : {"float32", "bfloat16"}
        "bfloat16" runs the forward pass under autocast: activations have 8 significant bits.
    memory : float
        MiB.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}; it is one of 'float32', 'bfloat16'.")
    first = images_to_tensor(images[:1], preprocessing)
    shapes = find_shapes(network, first, layers)
    units = {layer: int(np.prod(shape)) for layer, shape in shapes.items()}
    widest = max(4 * max(units.values()), first[0].nbytes)
    if widest * len(images) <= memory * 2**20 // 4:
        yield from _stream_at_once(
            network, images_to_tensor(images, preprocessing), units, averages, precision
        )
        return
    batch = int(max(1, min(len(images), BATCH_BYTES // widest)))
    width = int(max(1, memory * 2**20 // (4 * len(images))))
    open_moments: list[GramMoments] = []
    for part in plan_passes(units, width):
        held = {s: np.empty((len(images), s.stop - s.start), np.float32) for s in part}
        _run_batches(network, images, preprocessing, held, batch, precision)
        for piece in part:
            if piece.start == 0:
                open_moments = _start(averages, len(images))
            values = torch.from_numpy(held.pop(piece))
            for moments, average in zip(open_moments, averages, strict=True):
                _add(moments, values, average)
            del values
            if piece.stop == units[piece.layer]:
                yield piece.layer, open_moments
                open_moments = []


def plan_passes(units: dict[str, int], width: int) -> list[list[Slice]]:
    """Return which units of which layers are held in each pass over the stimuli.

    Parameters
    ----------
    units : dict of layer to int
        In the order of the forward pass.
    width : int
        Units that may be held at a time.

    Examples
    --------
    >>> [[tuple(s) for s in part] for part in plan_passes({"a": 5, "b": 2}, 4)]
    [[('a', 0, 4)], [('a', 4, 5), ('b', 0, 2)]]
    """
    passes: list[list[Slice]] = [[]]
    room = width
    for layer, number in units.items():
        start = 0
        while start < number:
            if room == 0:
                passes.append([])
                room = width
            stop = min(number, start + room)
            passes[-1].append(Slice(layer, start, stop))
            room -= stop - start
            start = stop
    return passes


def stream_distances(
    network: nn.Module,
    images: np.ndarray,
    layers: Sequence[str],
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
    layers: str | Sequence[str] | None = None,
    by: str = "stimulus",
    measure: str = "correlation",
    preprocessing: Preprocessing | None = None,
    precision: str = "float32",
) -> RDMs:
    """Return the RDM of each layer of a network.

    All units of a layer enter its RDM (by default ``1 - Pearson r`` between activation patterns
    [1]_). The activations are not stored: inner products of patterns are added up over units,
    in one forward pass, or in several where activations do not fit into 512 MiB (see
    :func:`stream_moments`). Agrees with stored activations to about 1e-6; with "bfloat16", whose
    activations have 8 significant bits, to about 1e-2.

    Parameters
    ----------
    network : torch.nn.Module
        Any module that maps (stimulus, channel, y, x) images to an output.
    stimuli : xr.Dataset
        Stimulus set (stimulus, y, x, channel) uint8.
    layers : str or sequence of str, optional
        Names as in ``named_modules()``, or patterns such as ``"features.*"``; see
        ``layers.select_layers``, also for the default.
    by : str, optional
        Coordinate over ``stimulus`` whose values are the conditions.
    measure : {"correlation", "cosine", "squared euclidean", "euclidean"}, optional
        As for ``rdm.compute_rdms``.
    preprocessing : Preprocessing, optional
        What is done to the images; by default they keep their size and are scaled to -1..1.
    precision : {"float32", "bfloat16"}, optional
        Of the forward pass; sums are always taken in double precision.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM a layer (and call), float32, ``rdm_descriptors["layer"]`` their names,
        ``descriptors["preprocessing"]`` what was done to the images. A condition to which a layer
        does not respond at all has correlation distance 1 to all others.

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
    group = None if by == "stimulus" else condition_index(stimuli["image"], by)[0]
    average = averaging_weights(group)
    chosen = select_layers(network, layers)
    names: list[str] = []
    rows: list[np.ndarray] = []
    for layer, moments in stream_moments(
        network,
        stimuli["image"].values,
        chosen,
        preprocessing=preprocessing,
        averages=[average],
        precision=precision,
    ):
        names.append(layer)
        rows.append(distances_from_moments(moments[0], measure).astype(np.float32))
    bad = [name for name, row in zip(names, rows, strict=True) if not np.isfinite(row.sum())]
    if bad:
        raise ValueError(f"Activations of {bad} hold NaN or infinity; check the network's weights.")
    vectors = np.empty((len(rows), rows[0].size), np.float32)
    for k in range(len(names)):
        vectors[k] = rows.pop(0)  # never two copies of all rows
    rdms = build_rdms(
        vectors,
        conditions=_condition_coords(stimuli, by),
        by=by,
        rdm_descriptors={"layer": names},
        origin={"source": str(stimuli.attrs.get("source", "unknown"))},
        measure=measure,
    )
    rdms.descriptors["preprocessing"] = (preprocessing or Preprocessing()).describe()
    rdms.descriptors["network"] = type(network).__name__
    return rdms


def averaging_weights(group: np.ndarray | None) -> np.ndarray | None:
    """Return weights (condition, stimulus) that average the stimuli of each condition."""
    if group is None:
        return None
    one_hot = np.eye(group.max() + 1, dtype=np.float32)[:, group]
    weights: np.ndarray = one_hot / one_hot.sum(1, keepdims=True)
    return weights


def _stream_at_once(
    network: nn.Module,
    inputs: Tensor,
    units: dict[str, int],
    averages: Sequence[np.ndarray | None],
    precision: str,
) -> list[tuple[str, list[GramMoments]]]:
    found: list[tuple[str, list[GramMoments]]] = []
    inputs = _place(inputs, network)

    def consume(layer: str, output: Tensor) -> None:
        patterns = _as_matrix(output)
        moments = _start(averages, len(inputs))
        for one, average in zip(moments, averages, strict=True):
            _add(one, patterns, average)
        found.append((layer, moments))

    observed = observe_layers(network, list(units), consume, n_stimuli=len(inputs))
    with observed, torch.no_grad(), _autocast(inputs, precision):
        network(inputs)
    return found


def _run_batches(
    network: nn.Module,
    images: np.ndarray,
    preprocessing: Preprocessing | None,
    held: dict[Slice, np.ndarray],
    batch: int,
    precision: str,
) -> None:
    """Run all stimuli as far as needed and copy the units of `held` from the layers' outputs."""
    by_layer: dict[str, list[Slice]] = {}
    for piece in held:
        by_layer.setdefault(piece.layer, []).append(piece)
    last = list(by_layer)[-1]
    for start in range(0, len(images), batch):
        rows = slice(start, start + batch)
        inputs = _place(images_to_tensor(images[rows], preprocessing), network)

        def consume(layer: str, output: Tensor, rows: slice = rows) -> None:
            matrix = output.reshape(len(output), -1)
            for piece in by_layer[layer]:
                held[piece][rows] = matrix[:, piece.start : piece.stop].float().cpu().numpy()
            if layer == last:
                raise Enough

        observed = observe_layers(network, list(by_layer), consume, n_stimuli=len(inputs))
        with observed, torch.no_grad(), _autocast(inputs, precision):
            network(inputs)


def _start(averages: Sequence[np.ndarray | None], n_stimuli: int) -> list[GramMoments]:
    return [start_moments(n_stimuli if a is None else len(a)) for a in averages]


def _add(moments: GramMoments, patterns: Tensor, average: np.ndarray | None) -> None:
    if average is not None:
        patterns = torch.from_numpy(average).to(patterns) @ patterns
    n = len(patterns)
    add_patterns(moments, patterns, chunk=max(2048, BLOCK_BYTES // (4 * n)))


def _place(inputs: Tensor, network: nn.Module) -> Tensor:
    """Return inputs on the device, and in the floating type, of the network's parameters."""
    for parameter in network.parameters():
        kind = parameter.dtype if parameter.is_floating_point() else inputs.dtype
        return inputs.to(device=parameter.device, dtype=kind)
    return inputs


def _autocast(inputs: Tensor, precision: str) -> AbstractContextManager[object]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(inputs.device.type, dtype=torch.bfloat16)


def _condition_coords(stimuli: xr.Dataset, by: str) -> xr.DataArray | xr.Dataset:
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
    output = output.reshape(len(output), -1)
    return output if output.dtype in (torch.float32, torch.float64) else output.float()


def _equal(group: np.ndarray | None, other: np.ndarray | None) -> bool:
    if group is None or other is None:
        return group is other
    return np.array_equal(group, other)
