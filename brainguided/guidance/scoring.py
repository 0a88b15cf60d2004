"""All that a rung of training asks of a network: its similarity to every target, in one go.

Targets are the areas of a teacher and its controls. For each the similarity of every layer is
measured, that of a layer committed to on half of the conditions, and both for copies of a target
whose conditions were shuffled. Targets that share their stimuli share one forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.guidance._rdm_family import FamilyScores, Orders, RDMFamily
from brainguided.guidance.similarities import find_similarity
from brainguided.guidance.target import Target, find_halved, fingerprint
from brainguided.networks.grams import GramMoments, distances_from_moments, raw_gram
from brainguided.networks.layers import Layers
from brainguided.networks.passes import stream_moments
from brainguided.networks.preprocessing import Preprocessing
from brainguided.networks.probe import probe_layers
from brainguided.networks.streamed import averaging_weights
from brainguided.rdms.compute import condition_index
from brainguided.rdms.halves import draw_halves, score_committed, weigh_pairs
from brainguided.rdms.measures import network_measure
from brainguided.rdms.units import Units
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from torch import nn

SPLITS = 10
"""Random halves by which layers are committed to."""
Number = float | None


@dataclass(frozen=True, eq=False)
class Shuffles:
    """Copies of a target whose conditions were permuted at random.

    Attributes
    ----------
    name : str
        As in the scores; that of the target where conditions were permuted freely.
    target : str
        An area, or a control of one.
    orders : ndarray of int (shuffle, condition)
        Which condition takes which place.
    """

    name: str
    target: str
    orders: np.ndarray


@dataclass(frozen=True, eq=False)
class Copies:
    """Copies of one control with independent noise; their mean is the control's similarity.

    Attributes
    ----------
    name : str
        The control's.
    targets : tuple of Target
        The copies.
    reliability : float
        Of each copy's RDM, as was asked for.
    """

    name: str
    targets: tuple[Target, ...]
    reliability: float


@dataclass(frozen=True)
class Scores:
    """Similarities of one network to every target.

    Attributes
    ----------
    similarity : mapping of target to mapping of layer to (float or None)
        Layers in the order of the forward pass; None for a dead layer.
    committed : mapping of target to (float or None)
        Similarity of layers chosen on one half of the conditions, on the other half: mean over
        random halves and both directions.
    shuffles : mapping of str to mapping of {"best", "committed"} to tuple of (float or None)
        Of the most similar layer, and committed, for each shuffle of an area, and each noisy copy
        of a control.
    described : mapping
        What is said of the layers that were observed.
    """

    similarity: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    committed: Mapping[str, Number] = field(default_factory=dict)
    shuffles: Mapping[str, Mapping[str, tuple[Number, ...]]] = field(default_factory=dict)
    described: Mapping[str, Any] = field(default_factory=dict)


class Scorer:
    """Compares networks with targets; made once for many networks.

    Parameters
    ----------
    targets : iterable of Target
        Such as a Teacher.
    controls : sequence of Target, Shuffles or Copies, optional
        What is measured beside them, see ``controls``.
    splits : int, optional
        Random halves of each target's conditions, the same for every network; whole categories,
        or objects where there are fewer than 6 categories, fall on one side. 0 for no committed
        similarity.
    seed : int, optional
        Of the halves.

    Raises
    ------
    ValueError
        If two targets share a name, or shuffles are those of an unknown one.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        controls: Sequence[Target | Shuffles | Copies] = (),
        *,
        splits: int = SPLITS,
        seed: int = 0,
    ) -> None:
        everything = [*targets, *(c for c in controls if isinstance(c, Target))]
        shuffles = [c for c in controls if isinstance(c, Shuffles)]
        self._copies = [c for c in controls if isinstance(c, Copies)]
        self._names = [t.area for t in everything]
        everything += [
            replace(target, area=f"{one.name}\0{k}")
            for one in self._copies
            for k, target in enumerate(one.targets)
        ]
        _check_names([*self._names, *(c.name for c in self._copies)], everything, shuffles)
        self._shuffles = shuffles
        passes: dict[str, list[Target]] = {}
        for target in everything:
            passes.setdefault(fingerprint(target.stimuli["image"].values), []).append(target)
        self._passes = [_Pass(shown, shuffles, splits, seed) for shown in passes.values()]

    def score(
        self,
        network: nn.Module,
        *,
        layers: Layers = None,
        preprocessing: Preprocessing | None = None,
    ) -> Scores:
        """Show a network the targets' images and compare its layers with all of them.

        Parameters
        ----------
        network : torch.nn.Module
            Maps (stimulus, channel, y, x) images, by default in -1..1, to an output.
        layers : str, sequence of str or Observation, optional
            As for ``layers.select_layers``.
        preprocessing : Preprocessing, optional
            What is done to the images; by default they keep their size.
        """
        found: dict[str, _TargetScores] = {}
        described: dict[str, Any] = {}
        for one in self._passes:
            described.update(one.score(network, layers, preprocessing, found))
        similarity = {name: found[name].similarity for name in self._names}
        committed = {name: found[name].committed for name in self._names}
        shuffled: dict[str, dict[str, tuple[Number, ...]]] = {}
        for shuffle in self._shuffles:
            best, other = found[shuffle.target].shuffles[shuffle.name]
            shuffled[shuffle.name] = {"best": _plain(best), "committed": _plain(other)}
        for copies in self._copies:
            each = [found[f"{copies.name}\0{k}"] for k in range(len(copies.targets))]
            similarity[copies.name] = {
                layer: _average([one.similarity[layer] for one in each])
                for layer in each[0].similarity
            }
            shuffled[copies.name] = {
                "best": tuple(_find_largest(one.similarity) for one in each),
                "committed": tuple(one.committed for one in each),
            }
            committed[copies.name] = _average(shuffled[copies.name]["committed"])
        return Scores(similarity, committed, shuffled, described)


@dataclass
class _TargetScores:
    similarity: dict[str, Number]
    committed: Number
    shuffles: dict[str, tuple[np.ndarray, np.ndarray]]


class _Pass:
    """Targets that were shown the same images: one forward pass, and what is compared with it."""

    def __init__(
        self, targets: list[Target], shuffles: list[Shuffles], splits: int, seed: int
    ) -> None:
        self._images = targets[0].stimuli["image"].values
        self._groups: list[np.ndarray | None] = []
        members: dict[tuple[Any, ...], list[Target]] = {}
        units: dict[tuple[Any, ...], Units] = {}
        for target in targets:
            of = find_halved(target)
            alone = target.similarity != "pearson" and target.area
            given = None if target.given is None else target.given.tobytes()
            key = (self._number(target), network_measure(target.measure), of.index.tobytes())
            members.setdefault((*key, alone, given), []).append(target)
            units[(*key, alone, given)] = of
        self._families = [
            _Family(
                key[0], key[1], own, (units[key], draw_halves(units[key], splits, seed)), shuffles
            )
            for key, own in members.items()
        ]

    def score(
        self,
        network: nn.Module,
        layers: Layers,
        preprocessing: Preprocessing | None,
        found: dict[str, _TargetScores],
    ) -> dict[str, Any]:
        chosen = probe_layers(network, self._images, layers, preprocessing=preprocessing)
        wanted = list(dict.fromkeys((f.group, f.side) for f in self._families))
        sides: dict[tuple[int, str], list[np.ndarray]] = {key: [] for key in wanted}
        names = []
        for layer, moments in stream_moments(
            network,
            self._images,
            chosen,
            preprocessing=preprocessing,
            averages=[averaging_weights(group) for group in self._groups],
        ):
            names.append(layer)
            for group, side in wanted:
                sides[group, side].append(_find_side(moments[group], side))
        for family in self._families:
            found.update(family.score(names, np.stack(sides[family.group, family.side])))
        return dict(chosen.describe())

    def _number(self, target: Target) -> int:
        """Return the number of the grouping of a target's stimuli into conditions."""
        index = None
        if target.by != "stimulus":
            index = condition_index(target.stimuli["image"], target.by)[0]
        for k, other in enumerate(self._groups):
            if index is other or (
                index is not None and other is not None and np.array_equal(index, other)
            ):
                return k
        self._groups.append(index)
        return len(self._groups) - 1


class _Family:
    """Targets that one side of the layers, their RDMs or inner products, is compared with."""

    def __init__(
        self,
        group: int,
        measure: str,
        targets: list[Target],
        halved: tuple[Units, np.ndarray],
        shuffles: list[Shuffles],
    ) -> None:
        self.group = group
        self._targets = targets
        self._row = find_similarity(targets[0].similarity)
        self.side = measure if self._row.layer == "rdm" else "gram"
        units, first = halved
        self._halves = np.concatenate([first, ~first])
        self._weights = [weigh_pairs(units, half) for half in self._halves]
        names = [t.area for t in targets]
        self._orders: list[Orders] = []
        self._columns: dict[str, list[tuple[str, int, int]]] = {name: [] for name in names}
        places: dict[bytes, int] = {}
        for one in shuffles:
            if one.target not in names:
                continue
            place = places.setdefault(one.orders.tobytes(), len(self._orders))
            if place == len(self._orders):
                self._orders.append(Orders([], np.asarray(one.orders)))
            self._columns[one.target].append((one.name, place, len(self._orders[place].columns)))
            self._orders[place].columns.append(names.index(one.target))
        self._rdms = None
        if self._row.name == "pearson":
            vectors = [t.vector for t in targets]
            halves = list(zip(self._halves, self._weights, strict=True))
            self._rdms = RDMFamily(vectors, targets[0].given, halves, self._orders)

    def score(self, layers: list[str], sides: np.ndarray) -> Iterator[tuple[str, _TargetScores]]:
        """Yield the scores of each target, given the sides (layer, ...) of the layers."""
        scores = self._compare(sides) if self._rdms is None else self._rdms.score(sides)
        committed = self._commit(scores.halves)
        best = [_find_best(values) for values in scores.shuffled]
        both = [
            np.stack([self._commit(values) for values in halves])
            for halves in scores.shuffled_halves
        ]
        for k, target in enumerate(self._targets):
            yield (
                target.area,
                _TargetScores(
                    dict(zip(layers, _plain(scores.whole[:, k]), strict=True)),
                    _plain(committed[k : k + 1])[0],
                    {
                        name: (best[place][:, column], both[place][:, column])
                        for name, place, column in self._columns[target.area]
                    },
                ),
            )

    def _commit(self, halves: np.ndarray) -> np.ndarray:
        """Return the committed similarity (target,) from those within halves."""
        return score_committed(halves.reshape(2, len(halves) // 2, *halves.shape[1:]))

    def _compare(self, sides: np.ndarray) -> FamilyScores:
        """Compare layers with the one target of another similarity than Pearson's."""
        target = self._row.read(self._targets[0])
        n = self._halves.shape[1]
        orders = [np.arange(n)[np.newaxis], *(one.orders for one in self._orders)]
        every = np.concatenate(orders)
        parts = [np.arange(n), *(np.flatnonzero(half) for half in self._halves)]
        values = np.full((len(parts), len(sides), len(every)), np.nan)
        for p, part in enumerate(parts):
            if len(part) < 3:
                continue
            others = [self._row.take(target, order[part]) for order in every]
            weighed = (self._weights[p - 1],) if p and self._row.target == "rdm" else ()
            for k, side in enumerate(sides):
                values[p, k] = self._row.compare(self._take_layer(side, part, n), others, *weighed)
        ends = np.cumsum([len(one) for one in orders])
        split = [
            np.moveaxis(values[:, :, a:b], 2, 0)[..., np.newaxis]
            for a, b in pairwise(ends.tolist())
        ]
        return FamilyScores(
            values[0, :, :1], values[1:, :, :1], [s[:, 0] for s in split], [s[:, 1:] for s in split]
        )

    def _take_layer(self, side: np.ndarray, part: np.ndarray, n: int) -> np.ndarray:
        if self._row.layer == "gram":
            return np.asarray(side[np.ix_(part, part)])
        rows, columns = (part[k] for k in np.triu_indices(len(part), 1))
        return np.asarray(side[rows * (2 * n - rows - 1) // 2 + columns - rows - 1])


def _check_names(names: list[str], targets: list[Target], shuffles: list[Shuffles]) -> None:
    several = [s.name for s in shuffles]
    problems = [f"two targets are named {n!r}" for n in sorted(set(names)) if names.count(n) > 1]
    twice = sorted({name for name in several if several.count(name) > 1})
    problems += [f"two sets of shuffles are named {name!r}" for name in twice]
    for one in shuffles:
        target = next((t for t in targets if t.area == one.target), None)
        if target is None:
            problems.append(f"shuffles of {one.target!r}; there are {names}")
            continue
        n = target.rdm.n_cond
        if not all(np.array_equal(np.sort(order), np.arange(n)) for order in one.orders):
            problems.append(f"the orders of the shuffles {one.name!r} are none of {n} conditions")
    raise_problems("Targets and controls cannot be told apart", problems, ValueError)


def _find_side(moments: GramMoments, side: str) -> np.ndarray:
    return raw_gram(moments) if side == "gram" else distances_from_moments(moments, side)


def _find_best(values: np.ndarray) -> np.ndarray:
    """Return the largest similarity over layers of (shuffle, layer, target)."""
    largest = np.where(np.isfinite(values), values, -np.inf).max(1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _find_largest(values: Mapping[str, Number]) -> Number:
    return max((v for v in values.values() if v is not None), default=None)


def _average(values: Sequence[Number]) -> Number:
    """Return the mean of what is defined; None where nothing is."""
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _plain(values: np.ndarray) -> tuple[Number, ...]:
    return tuple(None if np.isnan(v) else float(v) for v in values)
