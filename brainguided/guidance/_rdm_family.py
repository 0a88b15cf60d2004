"""Pearson correlations of RDMs, whole and within halves, with many targets and shuffles at once.

Targets that share their conditions and the measure of layers form a family: each layer's RDM is
divided into halves once, and compared with all targets in one matrix product. A shuffled target is
the target's own matrix read in another order, so that shuffles take no memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from brainguided.rdms.distances import standardise
from brainguided.rdms.partial import SINGULAR, leave_residuals, span_controls
from neural_data.rounding import is_flat

FLAT = 1e-5
"""Spread of a half of an RDM, as a part of that of the whole, below which single precision ends."""

_AT_ONCE = 16  # orders that are read together: rows of memory as long as a processor fetches


class Orders(NamedTuple):
    """Orders (shuffle, condition) in which some targets of a family are read as well."""

    columns: list[int]
    orders: np.ndarray


class FamilyScores(NamedTuple):
    """Similarities: `whole` (layer, target), `halves` (half, layer, target), and of shuffles."""

    whole: np.ndarray
    halves: np.ndarray
    shuffled: list[np.ndarray]
    shuffled_halves: list[np.ndarray]


class _Pairs(NamedTuple):
    """Pairs of conditions of a half (or of all): rows, columns, and places in an RDM's vector.

    Each is multiplied by the root of its weight (pair, 1), where they do not count alike.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    places: torch.Tensor
    basis: torch.Tensor
    root: torch.Tensor | None


class RDMFamily:
    """Targets over the same conditions, whose layers are compared by one measure.

    Parameters
    ----------
    vectors : sequence of ndarray (pair,)
        Dissimilarities of the targets, standardised.
    given : ndarray (control, pair) or None
        RDMs that are partialled out of both sides, within each half.
    halves : sequence of (ndarray of bool (condition,), ndarray (pair,) or None)
        Conditions of each half, and the weights of its pairs.
    shuffles : sequence of Orders
    """

    def __init__(
        self,
        vectors: Sequence[np.ndarray],
        given: np.ndarray | None,
        halves: Sequence[tuple[np.ndarray, np.ndarray | None]],
        shuffles: Sequence[Orders],
    ) -> None:
        self._n = round((1 + (1 + 8 * len(vectors[0])) ** 0.5) / 2)
        self._basis = None if given is None else span_controls(given)
        if self._basis is None:
            self._vectors = [np.asarray(v) for v in vectors]
        else:
            self._vectors = list(leave_residuals(np.stack(vectors), self._basis))
        everything = np.ones(self._n, dtype=bool)
        self._all = self._find_pairs(everything, None, given) if shuffles else None
        self._parts = [self._find_pairs(*half, given) for half in halves]
        table = np.stack(self._vectors) * np.sqrt(self._vectors[0].size)
        self._targets = [_scale(_rest(_take(table, p.places), p)) for p in self._parts]
        self._shuffles = [self._lay_out(one, table) for one in shuffles]

    def score(self, rows: np.ndarray) -> FamilyScores:
        """Compare the RDMs (layer, pair) of layers with all targets."""
        flat = ~np.isfinite(rows).all(1) | is_flat(rows)
        if self._basis is None:
            whole = np.array([[row @ v for v in self._vectors] for row in map(standardise, rows)])
        else:
            rest = np.nan_to_num(leave_residuals(rows, self._basis))  # nothing is left: 0
            whole = rest @ np.stack(self._vectors).T
        whole[flat] = np.nan
        spread = standardise(np.where(flat[:, None], 0.0, rows)) * np.sqrt(rows.shape[1])
        layers = torch.from_numpy(np.nan_to_num(spread).T.astype(np.float32))
        sides = [_scale_layers(layers.index_select(0, p.places), p) for p in self._parts]
        halves = [side.T @ target for side, target in zip(sides, self._targets, strict=True)]
        shuffled, shuffled_halves = [], []
        if self._all is not None:
            scaled = [_scale_layers(layers, self._all), *sides]
            parts = (self._all, *self._parts)  # weights in the place of every shuffle
            every = [_weigh(side, pairs) for side, pairs in zip(scaled, parts, strict=True)]
            for one in self._shuffles:
                found = self._score_orders(one, every)
                shuffled.append(found[:, 0])
                shuffled_halves.append(found[:, 1:])
        return FamilyScores(
            whole, np.stack([h.numpy() for h in halves]) if halves else np.empty((0, *whole.shape)),
            shuffled, shuffled_halves,
        )  # fmt: skip

    def _find_pairs(
        self, members: np.ndarray, weights: np.ndarray | None, given: np.ndarray | None
    ) -> _Pairs:
        kept = np.flatnonzero(members)
        rows, columns = (kept[k] for k in np.triu_indices(len(kept), 1))
        places = rows * (2 * self._n - rows - 1) // 2 + columns - rows - 1
        few = np.empty((0, len(places))) if given is None else given[:, places]
        root = None if weights is None else np.sqrt(weights)
        return _Pairs(
            torch.from_numpy(rows),
            torch.from_numpy(columns),
            torch.from_numpy(places),
            torch.from_numpy(_span(few, root)),
            None if root is None else torch.from_numpy(root.astype(np.float32)[:, None]),
        )

    def _lay_out(self, shuffle: Orders, table: np.ndarray) -> _Shuffled:
        square = np.zeros((self._n, self._n, len(shuffle.columns)), dtype=np.float32)
        rows, columns = np.triu_indices(self._n, 1)
        chosen = table[shuffle.columns].T
        square[rows, columns] = square[columns, rows] = chosen
        matrix = torch.from_numpy(square.reshape(self._n**2, -1))
        lengths = [
            torch.stack([_length(_rest(one, pairs)) for one, pairs in self._divide(read)])
            for read in self._read(matrix, shuffle.orders)
        ]
        sizes = torch.cat(lengths, 1).reshape(len(self._parts) + 1, len(shuffle.orders), -1)
        return _Shuffled(matrix, shuffle.orders, sizes)

    def _read(self, matrix: torch.Tensor, orders: np.ndarray) -> Iterator[torch.Tensor]:
        """Yield the targets of a table in some orders of the conditions, (pair, order x target)."""
        assert self._all is not None
        n_targets = matrix.shape[1]
        for some in torch.from_numpy(orders).split(max(1, _AT_ONCE // n_targets)):
            turned = some.T.contiguous()
            places = turned.index_select(0, self._all.rows).mul_(self._n)
            places += turned.index_select(0, self._all.columns)
            found = matrix.index_select(0, places.view(-1))
            yield found.reshape(len(self._all.rows), len(some) * n_targets)

    def _divide(self, read: torch.Tensor) -> Iterator[tuple[torch.Tensor, _Pairs]]:
        """Yield targets (pair, target) over all pairs of conditions, then over those of a half."""
        assert self._all is not None
        yield read, self._all
        for pairs in self._parts:
            yield read.index_select(0, pairs.places), pairs

    def _score_orders(self, shuffle: _Shuffled, sides: list[torch.Tensor]) -> np.ndarray:
        """Return similarities (shuffle, all or half, layer, target)."""
        found = [
            torch.stack(
                [side.T @ one for side, (one, _) in zip(sides, self._divide(read), strict=True)]
            )
            for read in self._read(shuffle.matrix, shuffle.orders)
        ]
        values = torch.cat(found, 2)  # all or half, layer, shuffle x target
        values = values.reshape(*values.shape[:2], *shuffle.sizes.shape[1:])
        return (values / shuffle.sizes[:, None]).permute(2, 0, 1, 3).numpy()


class _Shuffled(NamedTuple):
    """Targets (pair in both directions, target), orders, and lengths (part, order, target)."""

    matrix: torch.Tensor
    orders: np.ndarray
    sizes: torch.Tensor


def _span(given: np.ndarray, root: np.ndarray | None) -> np.ndarray:
    """Return an orthonormal basis (pair, number) of a constant and what varies of the controls.

    Both times the root of the weights of pairs, where these do not count alike.
    """
    n = given.shape[1]
    constant = np.full((n, 1), 1 / np.sqrt(max(n, 1)))
    varied = given[~is_flat(given)] if n else given[:0]
    if root is not None:
        constant = constant * root[:, None] / np.linalg.norm(constant[:, 0] * root)
    if len(varied):
        columns = standardise(varied).T
        if root is not None:
            columns = columns * root[:, None]
            columns -= constant @ (constant.T @ columns)
            columns /= np.linalg.norm(columns, axis=0)
        left, strength, _ = np.linalg.svd(columns, full_matrices=False)
        constant = np.column_stack([constant, left[:, strength**2 > SINGULAR]])
    return constant.astype(np.float32)


def _take(table: np.ndarray, places: torch.Tensor) -> torch.Tensor:
    """Return columns of a table (rdm, pair) as (pair, rdm), in single precision."""
    return torch.from_numpy(table[:, places.numpy()].T.astype(np.float32))


def _weigh(values: torch.Tensor, pairs: _Pairs) -> torch.Tensor:
    """Return columns (pair, rdm) times the roots of the weights."""
    return values if pairs.root is None else values * pairs.root


def _rest(values: torch.Tensor, pairs: _Pairs) -> torch.Tensor:
    """Return what the basis leaves of weighted columns (pair, rdm)."""
    values = _weigh(values, pairs)
    return values - pairs.basis @ (pairs.basis.T @ values)


def _length(rest: torch.Tensor) -> torch.Tensor:
    """Return the lengths of columns; NaN where they are rounding, or too few to be correlated."""
    size = torch.linalg.vector_norm(rest, dim=0)
    rounding = FLAT * len(rest) ** 0.5
    return torch.where((size > rounding) & (len(rest) >= 3), size, torch.nan)


def _scale(rest: torch.Tensor) -> torch.Tensor:
    return rest / _length(rest)


def _scale_layers(values: torch.Tensor, pairs: _Pairs) -> torch.Tensor:
    """Return what a basis leaves of layers (pair, layer), at length 1.

    NaN for a layer that is constant, 0 for one that varies, but has nothing left.
    """
    rest = _rest(values, pairs)
    if pairs.basis.shape[1] == 1:
        return _scale(rest)
    varies = torch.isfinite(_length(values - values.mean(0)))
    scaled = torch.nan_to_num(_scale(rest), nan=0.0)
    return torch.where(varies, scaled, torch.nan)
