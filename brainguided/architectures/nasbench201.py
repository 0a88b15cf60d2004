"""Architectures of NAS-Bench-201: four nodes, six edges, one of five operations on each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Pool, Relu, Step, Zero
from brainguided.architectures.canonical import canonical_wiring
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    key_problems,
    refuse,
)

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@dataclass(frozen=True)
class NASBench201Architecture(Architecture):
    """Cell of NAS-Bench-201 [1]_ and how it is stacked.

    Parameters
    ----------
    operations : tuple of 6 str
        On the edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3; out of none, skip_connect, nor_conv_1x1,
        nor_conv_3x3, avg_pool_3x3.
    n_cells : int
        Cells in each of the three stages; 5 in the benchmark.
    filters : int
        Of the first stage; doubled in each of the others; 16 in the benchmark.

    Raises
    ------
    ValueError
        Not six operations out of those; every problem is listed.

    References
    ----------
    .. [1] Dong & Yang 2020, NAS-Bench-201, section 2.1.

    Examples
    --------
    >>> architecture = NASBench201Architecture.from_text("301211")
    >>> architecture.operations[0], architecture.to_text()[:16]
    ('nor_conv_3x3', '|nor_conv_3x3~0|')
    """

    kind: ClassVar[str] = "nasbench201"
    operations: tuple[str, ...]
    n_cells: int = 5
    filters: int = 16

    def __post_init__(self) -> None:
        problems = count_problems(self, "n_cells", "filters")
        operations = self.operations
        if not isinstance(operations, tuple) or len(operations) != len(EDGES):
            problems.append(f"operations is {operations!r}, expected a tuple of {len(EDGES)}")
        elif unknown := [name for name in operations if name not in OPERATIONS]:
            problems.append(f"operations has {unknown}, expected out of {', '.join(OPERATIONS)}")
        refuse(problems, "a NAS-Bench-201 architecture")

    @cached_property
    def canonical(self) -> str:
        """The sum that the cell computes: skips passed through, what is fed by zeros is zero.

        The notation, terms before their operation and sorted as text, is that by which the
        benchmark counts 6,466 classes. It is not quite a class of networks: what a convolution
        makes of zeros is taken for zero, though its batch norm learns a shift; an operation that
        is used twice reads like two operations, with weights of their own; and a sum passed on by
        a skip is not sorted into the next. So 523 of the classes hold networks with different
        numbers of parameters, which `canonical_key` tells apart; by that there are 6,040 networks.
        """
        nodes = ["x"]
        for target in (1, 2, 3):
            terms = []
            for (source, end), operation in zip(EDGES, self.operations, strict=True):
                if end != target:
                    continue
                if operation == "none" or nodes[source] == "#":
                    terms.append("#")
                elif operation == "skip_connect":
                    terms.append(nodes[source])
                else:
                    terms.append(f"({nodes[source]})@{operation}")
            nodes.append("+".join(sorted(terms)))
        return f"nasbench201 {nodes[-1]} {self.n_cells} {self.filters}"

    @cached_property
    def canonical_key(self) -> str:
        """SHA-256 of the operations that reach the output and how they are wired.

        The same only for cells with the same network: each convolution and pooling on an edge is
        a node, fed by the sum of those that reach it over skips; one without input stays if it
        is a convolution, whose batch norm learns a shift, and goes if it is a pooling.
        """
        labels: list[str] = []
        edges: list[list[tuple[str, int]]] = []
        sums: list[list[int]] = [[-1]]  # what is added up at each node of the cell; -1 its input
        for target in (1, 2, 3):
            terms: list[int] = []
            for (source, end), operation in zip(EDGES, self.operations, strict=True):
                if end != target or operation == "none":
                    continue
                if operation == "skip_connect":
                    terms += sums[source]
                elif sums[source] or not operation.startswith("avg_pool"):
                    terms.append(len(labels))
                    labels.append(operation)
                    edges.append([("", term) for term in sums[source]])
            sums.append(terms)
        needed = {term for term in sums[3] if term >= 0}
        for node in reversed(range(len(labels))):
            if node in needed:
                needed |= {source for _, source in edges[node] if source >= 0}
        place = {node: number for number, node in enumerate(sorted(needed))}

        def renumber(terms: list[int]) -> list[tuple[str, int]]:
            return [("", place.get(term, term)) for term in terms]

        form = canonical_wiring(
            [*(labels[node] for node in place), "output"],
            [
                *(renumber([source for _, source in edges[node]]) for node in place),
                renumber(sums[3]),
            ],
        )
        text = f"nasbench201 {form} {self.n_cells} {self.filters}"
        return hashlib.sha256(text.encode()).hexdigest()

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return three stages of cells with residual blocks of stride 2 between them."""
        draft = Draft(in_channels)
        conv = Conv(self.filters, (3, 3))
        last = draft.add("stem", "image", ("conv", conv), ("norm", Norm()))
        observed: list[str] = []
        for stage in range(3):
            filters = self.filters * 2**stage
            if stage:
                last = _add_reduction(draft, f"reduction{stage}", last, filters)
            for _ in range(self.n_cells):
                last = self._add_cell(draft, f"cell{len(observed) + 1}", last, filters)
                observed.append(last)
        head = draft.add("head", last, ("norm", Norm()), ("relu", Relu(alone=True)))
        return draft.finish(head, n_classes, observed)

    def _add_cell(self, draft: Draft, name: str, source: str, filters: int) -> str:
        maps = [source]
        for target in (1, 2, 3):
            terms = []
            for (start, end), operation in zip(EDGES, self.operations, strict=True):
                if end == target and operation != "none":
                    own = f"{name}_edge{start}{end}"
                    terms.append(draft.add(own, maps[start], *_edge_steps(operation, filters)))
            own = name if target == 3 else f"{name}_node{target}"
            if terms:
                maps.append(draft.add(own, terms, merge="add"))
            else:
                maps.append(draft.add(own, source, ("zero", Zero())))
        return name

    def to_text(self) -> str:
        """Return the cell in the notation of the benchmark, ``|nor_conv_3x3~0|+...``."""
        ends = {target: "|" for target in (1, 2, 3)}
        for (source, end), operation in zip(EDGES, self.operations, strict=True):
            ends[end] += f"{operation}~{source}|"
        return "+".join(ends.values())

    @classmethod
    def from_text(
        cls, text: str, *, n_cells: int = 5, filters: int = 16
    ) -> NASBench201Architecture:
        """Read a cell in the notation of the benchmark, or as six digits.

        Parameters
        ----------
        text : str
            ``|nor_conv_3x3~0|+|...|+|...|``, or a digit for each edge, 0 none, 1 skip_connect,
            2 nor_conv_1x1, 3 nor_conv_3x3, 4 avg_pool_3x3.
        n_cells, filters : int

        Raises
        ------
        ValueError
            It is neither.
        """
        text = text.strip()
        if len(text) == len(EDGES) and all(digit in "01234" for digit in text):
            return cls(tuple(OPERATIONS[int(digit)] for digit in text), n_cells, filters)
        terms = [term.split("~") for part in text.split("+") for term in part.split("|") if term]
        wiring = [tuple(term[1:]) for term in terms]
        if wiring != [(str(source),) for source, _ in EDGES]:
            raise ValueError(
                f"{text!r} is no NAS-Bench-201 cell; expected six digits 0 to 4, or "
                "'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'."
            )
        return cls(tuple(term[0] for term in terms), n_cells, filters)

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {
            "operations": list(self.operations),
            "n_cells": self.n_cells,
            "filters": self.filters,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> NASBench201Architecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, ("operations", "n_cells", "filters"))
        refuse(problems)
        if isinstance(data["operations"], list):
            data = {**data, "operations": tuple(data["operations"])}
        return cls(**data)


def _edge_steps(operation: str, filters: int) -> tuple[tuple[str, Step], ...]:
    if operation == "skip_connect":
        return ()
    if operation == "avg_pool_3x3":
        return (("pool", Pool("avg", 3, 1)),)
    side = 1 if operation == "nor_conv_1x1" else 3
    return (("relu", Relu()), ("conv", Conv(filters, (side, side))), ("norm", Norm()))


def _add_reduction(draft: Draft, name: str, source: str, filters: int) -> str:
    """Add the residual block of stride 2 that joins two stages."""
    main = draft.add(
        f"{name}_main",
        source,
        ("relu1", Relu()),
        ("conv1", Conv(filters, (3, 3), (2, 2))),
        ("norm1", Norm()),
        ("relu2", Relu(alone=True)),
        ("conv2", Conv(filters, (3, 3))),
        ("norm2", Norm()),
    )
    shortcut = draft.add(
        f"{name}_shortcut", source, ("pool", Pool("avg", 2, 2)), ("conv", Conv(filters, (1, 1)))
    )
    return draft.add(name, (main, shortcut), merge="add")
