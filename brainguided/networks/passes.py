"""Forward passes over many stimuli: every image is shown once, whatever fits into memory.

Inner products between all stimuli need all of their activations. Where these fit into memory they
are held; where they do not, each layer's activations are written to a file while the stimuli run
in batches, and read back a block of units at a time. Where stimuli are only averaged, sums for
each condition are all that is held.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from brainguided.networks._spool import Kept, Slice, Spool, find_room, open_kept
from brainguided.networks.grams import GramMoments, add_patterns, start_moments
from brainguided.networks.hooks import Enough, observe_layers, show_images
from brainguided.networks.layers import Layers
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from brainguided.networks.probe import ProbedLayers, place_inputs, probe_layers

Consumer = Callable[[str, Tensor], None]
BATCH_BYTES = 128 * 2**20
"""Largest output of one module within a forward pass, where stimuli run in batches."""
BLOCK_BYTES = 8 * 2**20
"""Activations of few stimuli that are shifted and multiplied at a time."""
BLOCK_UNITS = 8192
"""Units of many stimuli that are multiplied at a time."""

Averages = Sequence[np.ndarray | None]


def stream_moments(
    network: nn.Module,
    images: np.ndarray,
    layers: Layers | ProbedLayers = None,
    *,
    preprocessing: Preprocessing | None = None,
    averages: Averages = (None,),
) -> Iterator[tuple[str, list[GramMoments]]]:
    """Yield the moments of one layer after the other, for several groupings of the stimuli.

    Every stimulus is shown once. Where outputs are small beside ``Observation.memory``, all
    stimuli run at once and each layer is reduced while the pass lasts. Otherwise they run in
    batches: sums for each condition are held where all groupings average; else the activations of
    all stimuli, in memory if they fit and on disk if not. Only where neither has room does the
    network run several times, each time for as many units as there is room for.

    Parameters
    ----------
    network : torch.nn.Module
    images : ndarray (stimulus, y, x, channel) of uint8
    layers : str, sequence of str or Observation, optional
        As for ``layers.select_layers``, or from ``probe.probe_layers``.
    preprocessing : Preprocessing, optional
    averages : sequence of (ndarray (condition, stimulus) or None)
        Weights by which stimuli are averaged before moments are taken; None for no averaging.
    """
    found = probe_layers(network, images, layers, preprocessing=preprocessing)
    run = _Run(network, images, preprocessing, found)
    memory = found.observation.memory * 2**20
    if 4 * found.widest * len(images) <= memory / 4:
        yield from _stream_at_once(run, averages)
        return
    weights = [average for average in averages if average is not None]
    sums = 8 * sum(len(w) for w in weights) * sum(found.units.values())
    if len(weights) == len(averages) and sums <= memory:
        yield from _sum_conditions(run, weights)
    else:
        yield from _hold_patterns(run, averages)


def stream_subsets(
    network: nn.Module,
    images: np.ndarray,
    subsets: dict[str, list[np.ndarray]],
    found: ProbedLayers,
    *,
    preprocessing: Preprocessing | None = None,
    average: np.ndarray | None = None,
) -> Iterator[tuple[str, list[GramMoments]]]:
    """Yield the moments of subsets of each layer's units, from one pass over the stimuli.

    Parameters
    ----------
    network : torch.nn.Module
    images : ndarray (stimulus, y, x, channel) of uint8
    subsets : dict of layer to list of ndarray (unit,) of int
        Numbers of the units of each subset.
    found : ProbedLayers
        The layers.
    preprocessing : Preprocessing, optional
    average : ndarray (condition, stimulus), optional
        Weights by which stimuli are averaged; only sums for each condition are held then.
    """
    pieces: dict[str, list[Slice]] = {}
    for layer, chosen in subsets.items():
        ends = np.cumsum([len(units) for units in chosen]).tolist()
        starts = [0, *ends[:-1]]
        pieces[layer] = [Slice(layer, a, b) for a, b in zip(starts, ends, strict=True)]
    run = _Run(network, images, preprocessing, found)
    run.chosen = {layer: np.concatenate(chosen) for layer, chosen in subsets.items()}
    if average is not None:
        width = {layer: len(units) for layer, units in run.chosen.items()}
        for layer, (total,) in _sum_patterns(run, [average], width):
            parts = [total[:, piece.start : piece.stop] for piece in pieces[layer]]
            yield layer, [_take_moments(part) for part in parts]
        return
    every = [piece for part in pieces.values() for piece in part]
    need = 4 * len(images) * sum(len(units) for units in run.chosen.values())
    on_disk = need > found.observation.memory * 2**20
    with Spool(
        every, len(images), folder=Path(tempfile.gettempdir()) if on_disk else None
    ) as spool:
        _fill(run, spool, None)
        for layer, part in pieces.items():
            moments = []
            for piece in part:
                moments.append(_take_moments(*spool.read(piece)))
                spool.drop(piece)
            yield layer, moments


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


def _as_matrix(output: Tensor) -> Tensor:
    """Return (stimulus, unit) without copying; the order of units does not matter to an RDM."""
    if output.ndim == 4 and not output.is_contiguous():
        output = output.permute(0, 2, 3, 1)
    output = output.reshape(len(output), -1)
    return output if output.dtype in (torch.float32, torch.float64) else output.float()


class _Run:
    """A network, the images that it is shown, and the layers that are observed meanwhile."""

    def __init__(
        self,
        network: nn.Module,
        images: np.ndarray,
        preprocessing: Preprocessing | None,
        found: ProbedLayers,
    ) -> None:
        self.network = network
        self.images = images
        self.preprocessing = preprocessing
        self.found = found
        self.chosen: dict[str, np.ndarray] = {}
        self.batch = int(max(1, min(len(images), BATCH_BYTES // (4 * found.widest))))

    def say(self, what: str, done: int, total: int) -> None:
        if self.found.observation.progress is not None:
            self.found.observation.progress(what, done, total)

    def show(self, rows: slice, layers: Sequence[str], consume: Consumer) -> None:
        """Show some of the images and hand on the outputs of `layers`; stop behind the last."""
        inputs = images_to_tensor(self.images[rows], self.preprocessing)
        inputs = place_inputs(inputs, self.network)
        tokens, last = self.found.observation.tokens, layers[-1]

        def until_last(layer: str, output: Tensor) -> None:
            if layer in self.chosen:
                output = output.reshape(len(output), -1)[:, self.chosen[layer]]
            consume(layer, output)
            if layer == last:
                raise Enough

        uses = [layer if ":" in layer else f"{layer}:1" for layer in layers]  # not the later ones
        observed = observe_layers(
            self.network, uses, until_last, n_stimuli=len(inputs), tokens=tokens
        )
        with observed, _autocast(inputs, self.found.observation.precision):
            show_images(self.network, inputs)

    def show_all(
        self, layers: Sequence[str], consume: Callable[[slice, str, Tensor], None], start: int = 0
    ) -> Iterator[int]:
        """Show all images from `start` on in batches; yield how many were shown."""
        for first in range(start, len(self.images), self.batch):
            rows = slice(first, min(first + self.batch, len(self.images)))
            self.show(rows, layers, partial(consume, rows))
            self.say("images shown", rows.stop, len(self.images))
            yield rows.stop


def _stream_at_once(run: _Run, averages: Averages) -> list[tuple[str, list[GramMoments]]]:
    moments: list[tuple[str, list[GramMoments]]] = []

    def consume(layer: str, output: Tensor) -> None:
        patterns = _as_matrix(output)
        started = _start(averages, len(patterns))
        for one, average in zip(started, averages, strict=True):
            _add(one, patterns, average)
        moments.append((layer, started))

    run.show(slice(0, len(run.images)), list(run.found.shapes), consume)
    return moments


def _sum_conditions(
    run: _Run, weights: Sequence[np.ndarray]
) -> Iterator[tuple[str, list[GramMoments]]]:
    """Yield moments of condition means."""
    for layer, totals in _sum_patterns(run, weights, run.found.units):
        yield layer, [_take_moments(total) for total in totals]


def _sum_patterns(
    run: _Run, weights: Sequence[np.ndarray], units: dict[str, int]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield condition means (condition, unit), added up while the stimuli run in batches."""
    sums = {layer: [np.zeros((len(w), number)) for w in weights] for layer, number in units.items()}

    def consume(rows: slice, layer: str, output: Tensor) -> None:
        patterns = output.reshape(len(output), -1)
        for total, weight in zip(sums[layer], weights, strict=True):
            part = torch.from_numpy(np.ascontiguousarray(weight[:, rows])).to(patterns)
            total += (part @ patterns).double().cpu().numpy()

    for _ in run.show_all(list(units), consume):
        pass
    for layer in units:
        yield layer, sums.pop(layer)


def _hold_patterns(run: _Run, averages: Averages) -> Iterator[tuple[str, list[GramMoments]]]:
    """Yield moments from the activations of all stimuli, in memory, on disk, or piece by piece."""
    n, units, wanted = len(run.images), run.found.units, run.found.observation
    memory = int(wanted.memory * 2**20)
    folder = Path(tempfile.gettempdir() if wanted.folder is None else wanted.folder)
    folder.mkdir(parents=True, exist_ok=True)
    fits = wanted.folder is None and 4 * n * sum(units.values()) <= memory
    room = memory if fits else max(memory, find_room(folder))
    on_disk = folder if room > memory else None
    parts = plan_passes(units, max(1, room // (4 * n)))
    with ExitStack() as stack:
        kept = None
        if wanted.folder is not None and len(parts) == 1:
            kept = stack.enter_context(_open_kept(run, averages, folder))
        moments: list[GramMoments] = []
        for part in parts:
            due = [piece for piece in part if kept is None or not kept.is_done(piece.layer)]
            spool = stack.enter_context(Spool(due, n, folder=on_disk, kept=kept))
            _fill(run, spool, kept)
            done = 0
            for piece in part:
                if piece.start == 0:
                    moments = _start(averages, n)
                if kept is not None and kept.is_done(piece.layer):
                    moments = kept.load(piece.layer)
                else:
                    for block in spool.read(piece):
                        for one, average in zip(moments, averages, strict=True):
                            _add(one, torch.from_numpy(block), average)
                        done += block.shape[1]
                        run.say("units multiplied", done, sum(s.stop - s.start for s in due))
                    if kept is not None:
                        kept.save(piece.layer, moments)
                    spool.drop(piece)
                if piece.stop == units[piece.layer]:
                    yield piece.layer, moments


def _fill(run: _Run, spool: Spool, kept: Kept | None) -> None:
    """Write the units of a spool from the forward passes of all stimuli, or of those still due."""
    by_layer: dict[str, list[Slice]] = {}
    for piece in spool.pieces:
        by_layer.setdefault(piece.layer, []).append(piece)

    def consume(rows: slice, layer: str, output: Tensor) -> None:
        matrix = output.reshape(len(output), -1)
        for piece in by_layer[layer]:
            values = matrix[:, piece.start : piece.stop].float().cpu().numpy()
            spool.write(piece, rows.start, values)

    if not by_layer:
        return
    before = shown = kept.shown if kept else 0
    try:
        for shown in run.show_all(list(by_layer), consume, before):
            if kept is not None:
                kept.note(shown, spool)
    finally:
        if kept is not None:
            kept.note(shown, spool, now=True)


def _open_kept(run: _Run, averages: Averages, folder: Path) -> AbstractContextManager[Kept]:
    """Return what was kept of the same observation before, if its first stimulus looks the same."""
    first: dict[str, np.ndarray] = {}

    def consume(layer: str, output: Tensor) -> None:
        first[layer] = output.reshape(-1).float().cpu().numpy()

    run.show(slice(0, 1), list(run.found.shapes), consume)
    said = [
        type(run.network).__name__,
        (run.preprocessing or Preprocessing()).describe(),
        repr(run.found.shapes),
        run.found.observation.tokens,
        run.found.observation.precision,
    ]
    arrays = [run.images, *(np.zeros(0) if a is None else a for a in averages)]
    arrays += [
        value.detach().float().cpu().numpy()
        for value in run.network.state_dict().values()
        if isinstance(value, Tensor)
    ]
    return open_kept(folder, said, arrays, first)


def _take_moments(*blocks: np.ndarray) -> GramMoments:
    """Return the moments of patterns (stimulus, unit), given in blocks of units."""
    moments = start_moments(len(blocks[0]))
    for block in blocks:
        _add(moments, torch.from_numpy(np.ascontiguousarray(block, dtype=float)), None)
    return moments


def _start(averages: Averages, n_stimuli: int) -> list[GramMoments]:
    return [start_moments(n_stimuli if a is None else len(a)) for a in averages]


def _add(moments: GramMoments, patterns: Tensor, average: np.ndarray | None) -> None:
    if average is not None:
        patterns = torch.from_numpy(average).to(patterns) @ patterns
    n = len(patterns)
    chunk = BLOCK_UNITS if n > 1024 else max(2048, BLOCK_BYTES // (4 * n))
    add_patterns(moments, patterns, chunk=chunk)


def _autocast(inputs: Tensor, precision: str) -> AbstractContextManager[object]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(inputs.device.type, dtype=torch.bfloat16)
