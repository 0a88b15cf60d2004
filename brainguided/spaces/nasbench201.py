"""The space of NAS-Bench-201."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures import Architecture, NASBench201Architecture
from brainguided.architectures.contract import count_problems
from brainguided.architectures.nasbench201 import EDGES, OPERATIONS
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    options_problems,
    refuse_foreign,
    refuse_space,
)


@dataclass(frozen=True, repr=False)
class NASBench201Space(SearchSpace):
    """Space of NAS-Bench-201: one of five operations on each of six edges.

    Parameters
    ----------
    name : str
    n_cells, filters : int
        See `NASBench201Architecture`; the same for all architectures.
    operations : tuple of str
        Those that an edge may have, out of the five of the benchmark: a complete sub-space.
    """

    kind: ClassVar[str] = "nasbench201"
    name: str = "nasbench201"
    n_cells: int = 5
    filters: int = 16
    operations: tuple[str, ...] = OPERATIONS

    def __post_init__(self) -> None:
        problems = count_problems(self, "n_cells", "filters")
        problems += (wrong := options_problems(self, "operations", kind=str))
        if not wrong and (unknown := [n for n in self.operations if n not in OPERATIONS]):
            problems.append(f"operations has {unknown}, expected out of {', '.join(OPERATIONS)}")
        refuse_space(problems)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The operation of every edge."""
        return tuple(
            Decision(f"edge{start}{end}.operation", self.operations) for start, end in EDGES
        )

    def _read(self, actions: tuple[int, ...]) -> NASBench201Architecture:
        operations = tuple(self.operations[action] for action in actions)
        return NASBench201Architecture(operations, self.n_cells, self.filters)

    def parse(self, text: str) -> Architecture:
        """Read an architecture from its JSON, six digits or the notation of the benchmark."""
        if text.lstrip().startswith("{"):
            return super().parse(text)
        return NASBench201Architecture.from_text(text, n_cells=self.n_cells, filters=self.filters)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems = []
        if isinstance(architecture, NASBench201Architecture):
            for name in ("n_cells", "filters"):
                if getattr(architecture, name) != getattr(self, name):
                    problems.append(
                        f"{name} is {getattr(architecture, name)}, {getattr(self, name)} here"
                    )
            if foreign := sorted(set(architecture.operations) - set(self.operations)):
                problems.append(f"operations has {foreign}; here are {', '.join(self.operations)}")
        refuse_foreign(architecture, NASBench201Architecture, self.name, problems)
        assert isinstance(architecture, NASBench201Architecture)
        return tuple(self.operations.index(operation) for operation in architecture.operations)

    def describe(self) -> dict[str, Any]:
        """Return the settings; the operations only where they are not all of the benchmark."""
        settings = super().describe()
        if self.operations == OPERATIONS:
            del settings["operations"]
        return settings


def nasbench201_space(
    *, n_cells: int = 5, filters: int = 16, operations: tuple[str, ...] = OPERATIONS
) -> NASBench201Space:
    """Return the space of Dong & Yang 2020 [1]_, 15,625 architectures, or a sub-space of it.

    Parameters
    ----------
    n_cells : int
        Cells a stage; 5 in the benchmark, fewer for a CPU.
    filters : int
        Of the first stage; 16 in the benchmark.
    operations : tuple of str
        Those that an edge may have; all five by default.

    Returns
    -------
    NASBench201Space
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Dong & Yang 2020, NAS-Bench-201, section 2.1.

    Examples
    --------
    >>> nasbench201_space().n_architectures
    15625
    >>> nasbench201_space(operations=("none", "skip_connect", "nor_conv_3x3")).n_architectures
    729
    """
    return NASBench201Space(n_cells=n_cells, filters=filters, operations=operations)
