"""The canonical form of a wiring: the same for all numberings of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Edge = tuple[str, int]  # label, source; sources below 0 are inputs from outside
_BRANCHES = 720  # ways of breaking ties that are tried


def canonical_wiring(
    labels: Sequence[str], edges: Sequence[Sequence[Edge]]
) -> tuple[tuple[str, tuple[Edge, ...]], ...]:
    """Return the nodes of a directed acyclic graph in an order that ignores how they were numbered.

    Of all orders in which every node follows those that feed it, the first is taken by the wiring
    of the nodes; where nodes look the same so far, all ways to go on are compared. The order of
    the edges into a node does not matter.

    Parameters
    ----------
    labels : sequence of str
        What each node is.
    edges : sequence of sequence of (str, int)
        For each node, the label and the source of every edge into it.

    Returns
    -------
    tuple of (label, edges) for each node
        With sources renumbered by the new order and edges sorted. Equal for isomorphic graphs.
        Graphs with so many identical nodes that more than 720 orders tie may be told apart
        although they are isomorphic; never the reverse.
    """
    n = len(labels)
    colours = _refine(labels, edges)
    best: list[tuple[str, tuple[Edge, ...]]] | None = None
    branches = 0

    def place(order: list[int], form: list[tuple[str, tuple[Edge, ...]]]) -> None:
        nonlocal best, branches
        if best is not None and form > best[: len(form)]:
            return
        if len(order) == n:
            branches += 1
            best = list(form) if best is None else min(best, list(form))
            return
        position = {node: number for number, node in enumerate(order)}
        described = []
        for node in range(n):
            if node in position or any(s >= 0 and s not in position for _, s in edges[node]):
                continue
            renumbered = sorted((text, position.get(s, s)) for text, s in edges[node])
            described.append(((labels[node], tuple(renumbered)), colours[node], node))
        first = min((form_of, colour) for form_of, colour, _ in described)
        for form_of, colour, node in described:
            if (form_of, colour) == first:
                place([*order, node], [*form, form_of])
                if branches >= _BRANCHES:
                    return

    place([], [])
    return tuple(best or ())


def _refine(labels: Sequence[str], edges: Sequence[Sequence[Edge]]) -> list[int]:
    """Return a number for each node that tells apart what its surroundings tell apart."""
    n = len(labels)
    consumers: list[list[Edge]] = [[] for _ in range(n)]
    for node, sources in enumerate(edges):
        for text, source in sources:
            if source >= 0:
                consumers[source].append((text, node))
    ranks = {label: rank for rank, label in enumerate(sorted(set(labels)))}
    colours = [ranks[label] for label in labels]
    while True:
        seen = [
            (
                colours[node],
                sorted((text, s if s < 0 else colours[s]) for text, s in edges[node]),
                sorted((text, colours[c]) for text, c in consumers[node]),
            )
            for node in range(n)
        ]
        order = sorted(range(n), key=seen.__getitem__)
        refined = [0] * n
        for before, node in pairwise(order):
            refined[node] = refined[before] + (seen[node] != seen[before])
        if len(set(refined)) == len(set(colours)):
            return refined
        colours = refined
