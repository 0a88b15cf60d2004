"""Places for the nodes of a directed acyclic graph, in ranks from top to bottom."""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_GAP = 1.6  # between two boxes of a rank, mm
_BEND = 1.2  # width kept free for an edge that passes a rank, mm
_SWEEPS = 24


@dataclass
class Layout:
    """Positions of nodes, and the points through which edges pass.

    Attributes
    ----------
    x : dict of str to float
        Centre of each node, mm; the drawing is centred at 0.
    rank : dict of str to int
        0 at the top.
    routes : list of list of (float, int)
        For every edge, x in mm and rank of its points, ends included.
    width : float
        Of the whole drawing, mm.
    """

    x: dict[str, float]
    rank: dict[str, int]
    routes: list[list[tuple[float, int]]] = field(default_factory=list)
    width: float = 0.0


def place_nodes(widths: Mapping[str, float], edges: Sequence[tuple[str, str]]) -> Layout:
    """Rank nodes by their longest path, order ranks to avoid crossings, and space them.

    Parameters
    ----------
    widths : mapping of str to float
        Width of each node, mm; nodes in a topological order.
    edges : sequence of (str, str)
        From and to.
    """
    rank = _find_ranks(list(widths), edges)
    rows: list[list[str]] = [[] for _ in range(max(rank.values()) + 1)]
    for name in widths:
        rows[rank[name]].append(name)
    room = dict(widths)
    chains, links = [], []
    for number, (start, end) in enumerate(edges):
        chain = [start]
        for level in range(rank[start] + 1, rank[end]):
            bend = f"bend {number} {level}"
            room[bend] = _BEND
            rows[level].append(bend)
            chain.append(bend)
        chain.append(end)
        chains.append(chain)
        links += list(itertools.pairwise(chain))
    above: dict[str, list[str]] = {name: [] for name in room}
    below: dict[str, list[str]] = {name: [] for name in room}
    for start, end in links:
        below[start].append(end)
        above[end].append(start)
    rows = _order_rows(rows, above, below)
    x = _space_rows(rows, room, above, below)
    level_of = {name: level for level, row in enumerate(rows) for name in row}
    left = min(x[name] - room[name] / 2 for name in x)
    right = max(x[name] + room[name] / 2 for name in x)
    x = {name: value - (left + right) / 2 for name, value in x.items()}
    routes = [[(x[name], level_of[name]) for name in chain] for chain in chains]
    return Layout({name: x[name] for name in widths}, rank, routes, right - left)


def _find_ranks(names: list[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    rank = dict.fromkeys(names, 0)
    for name in names:
        rank[name] = max((rank[a] + 1 for a, b in edges if b == name), default=0)
    for name in reversed(names):  # operations stand right above what they feed
        fed = [rank[b] for a, b in edges if a == name]
        if fed and any(b == name for _, b in edges):
            rank[name] = min(fed) - 1
    return rank


def _order_rows(
    rows: list[list[str]], above: dict[str, list[str]], below: dict[str, list[str]]
) -> list[list[str]]:
    """Order every rank by the mean place of its neighbours, down and up, and keep the best."""
    best, fewest = rows, _count_crossings(rows, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        neighbours = above if down else below
        rows = [list(row) for row in rows]
        for level in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            place = {n: k for k, n in enumerate(rows[level - 1 if down else level + 1])}
            own = {n: k for k, n in enumerate(rows[level])}

            means = {}
            for name in rows[level]:
                found = [place[n] for n in neighbours[name] if n in place]
                means[name] = sum(found) / len(found) if found else float(own[name])
            rows[level].sort(key=means.__getitem__)
        crossings = _count_crossings(rows, below)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _count_crossings(rows: list[list[str]], below: dict[str, list[str]]) -> int:
    total = 0
    for upper, lower in itertools.pairwise(rows):
        place = {name: k for k, name in enumerate(lower)}
        ends = [place[n] for name in upper for n in sorted(below[name], key=place.__getitem__)]
        before: list[int] = []
        for end in ends:
            total += len(before) - bisect_right(before, end)
            insort(before, end)
    return total


def _space_rows(
    rows: list[list[str]],
    room: Mapping[str, float],
    above: dict[str, list[str]],
    below: dict[str, list[str]],
) -> dict[str, float]:
    """Draw every node towards its neighbours as far as the boxes beside it allow."""
    x: dict[str, float] = {}
    for row in rows:
        _put(row, [0.0] * len(row), room, x)
    for _ in range(30):
        for row in rows:
            wanted = []
            for name in row:
                near = [x[n] for n in above[name] + below[name]]
                wanted.append(sum(near) / len(near) if near else x[name])
            _put(row, wanted, room, x)
    return x


def _put(
    row: list[str], wanted: Sequence[float], room: Mapping[str, float], x: dict[str, float]
) -> None:
    """Place a rank in its order, close to where its nodes want to be, without overlap."""
    offsets = [0.0]
    for first, second in itertools.pairwise(row):
        offsets.append(offsets[-1] + (room[first] + room[second]) / 2 + _GAP)
    # With the spacing taken out, order alone is left to respect: pool what disagrees
    groups: list[list[float]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        groups.append([place - offset, 1.0])
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            mean, weight = groups.pop()
            groups[-1] = [
                (groups[-1][0] * groups[-1][1] + mean * weight) / (groups[-1][1] + weight),
                groups[-1][1] + weight,
            ]
    fitted = [mean for mean, weight in groups for _ in range(int(weight))]
    for name, value, offset in zip(row, fitted, offsets, strict=True):
        x[name] = value + offset
