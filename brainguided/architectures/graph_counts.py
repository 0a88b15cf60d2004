"""Counts of the graph of a network: how convolutions follow each other from image to classifier."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from operator import or_

from brainguided.architectures.blueprint import Blueprint, Conv, Node, Zero

GRAPH_COUNTS = ("longest_path", "shortest_path", "paths", "convolutions", "skips")
"""Names of the counts, in the order in which they are given."""


def count_graph(blueprint: Blueprint) -> dict[str, int]:
    """Count convolutions along the ways from the image to the classifier.

    Of all cheap properties of a graph these few tell most of how well networks do after training
    [1]_; any score of a candidate that grows with depth predicts as much by that alone. A way is
    one sequence of nodes from the image to the classifier; a map of zeros ends it. What lies on no
    way, as a convolution of zeros, is not counted.

    Parameters
    ----------
    blueprint : Blueprint
        Layers of the whole network, with its stem and reductions.

    Returns
    -------
    dict of str to int
        ``longest_path`` and ``shortest_path``: most and fewest convolutions on a way (a depthwise
        and the pointwise convolution after it count as two); ``paths``: number of ways;
        ``convolutions``: those that lie on a way, shared ones as often as they are used;
        ``skips``: inputs of sums and concatenations that carry a map past convolutions, where
        another input of the same node has passed some since. All 0 where no way leads to the
        classifier.

    References
    ----------
    .. [1] Kadlecová, Lukasik, Pilát, Vidnerová, Safari, Neruda & Hutter (2024), GRAF, ICML,
       arXiv 2404.16551.

    Examples
    --------
    >>> from brainguided import NASBench201Architecture
    >>> cell = NASBench201Architecture.from_text("310330", n_cells=1)
    >>> counts = count_graph(cell.to_blueprint(n_classes=10))
    >>> counts["longest_path"], counts["shortest_path"], counts["paths"]
    (11, 6, 32)
    """
    nodes = {node.name: node for node in blueprint.nodes}
    reached = {"image"}
    for node in blueprint.nodes:
        if not _is_zero(node) and reached.intersection(node.inputs):
            reached.add(node.name)
    last = blueprint.nodes[-1].name
    if last not in reached:
        return dict.fromkeys(GRAPH_COUNTS, 0)
    live = {last}
    for node in reversed(blueprint.nodes):
        if node.name in live:
            live |= reached.intersection(node.inputs)
    own = {name: _count_convolutions(nodes[name]) for name in nodes if name in live}
    longest, shortest, paths = {"image": 0}, {"image": 0}, {"image": 1}
    for node in blueprint.nodes:
        if node.name not in live:
            continue
        sources = [name for name in node.inputs if name in live]
        longest[node.name] = own[node.name] + max(longest[name] for name in sources)
        shortest[node.name] = own[node.name] + min(shortest[name] for name in sources)
        paths[node.name] = sum(paths[name] for name in sources)
    return {
        "longest_path": longest[last],
        "shortest_path": shortest[last],
        "paths": paths[last],
        "convolutions": sum(own.values()),
        "skips": _count_skips(nodes, own),
    }


def _is_zero(node: Node) -> bool:
    return any(isinstance(step, Zero) for _, step in node.steps)


def _count_convolutions(node: Node) -> int:
    return sum(isinstance(step, Conv) for _, step in node.steps)


def _count_skips(nodes: dict[str, Node], own: dict[str, int]) -> int:
    """Return how many terms of sums and concatenations come from what others were convolved from.

    A sum that is but a term of another one is taken as part of that.
    """
    live = {"image", *own}
    used = Counter(name for node in nodes.values() if node.name in live for name in node.inputs)
    parts: set[str] = set()

    def expand(name: str, merge: str, *, alone: bool = True) -> list[str]:
        alone &= used[name] == 1
        if name == "image" or nodes[name].steps:
            return [name]
        sources = [source for source in nodes[name].inputs if source in live]
        if len(sources) > 1 and not (alone and nodes[name].merge == merge):
            return [name]
        parts.add(name)
        return [term for source in sources for term in expand(source, merge, alone=alone)]

    bits, passed = _find_passed(nodes, own)
    count = 0
    for node in reversed(nodes.values()):
        sources = [name for name in node.inputs if name in live]
        if node.name not in live or node.name in parts or len(sources) < 2:
            continue
        terms = [term for name in sources for term in expand(name, node.merge)]
        before = reduce(or_, (passed[term] for term in terms))
        count += sum(bits[term] & before > 0 for term in terms)
    return count


def _find_passed(
    nodes: dict[str, Node], own: dict[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bit of each node, and the bits of those left behind by a convolution before it."""
    bits = {name: 1 << place for place, name in enumerate(("image", *own))}
    before, passed = {"image": 0}, {"image": 0}
    for name, convolutions in own.items():
        sources = [source for source in nodes[name].inputs if source in bits]
        before[name] = reduce(or_, (bits[source] | before[source] for source in sources))
        passed[name] = reduce(or_, (passed[source] for source in sources))
        if convolutions:
            passed[name] = before[name]
    return bits, passed
