"""A space of recurrent networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from brainguided.architectures import Architecture, RecurrentArchitecture, RecurrentArea
from brainguided.architectures.contract import count_problems
from brainguided.architectures.recurrent import RECURRENCES
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    option_index,
    options_problems,
    refuse_foreign,
    refuse_space,
)

_CHOICES = ("width", "kernel", "times", "recurrence")


@dataclass(frozen=True, repr=False)
class RecurrentSpace(SearchSpace):
    """Space of chains of areas, each recurrent within itself and unrolled in time.

    Parameters
    ----------
    name : str
    n_areas : int
        Each halves the map.
    widths, kernels, times : tuple of int
        Options for the channels, the (odd) kernels and the steps in time of an area.
    recurrences : tuple of {"additive", "bottleneck"}
    """

    kind: ClassVar[str] = "recurrent"
    name: str = "recurrent"
    n_areas: int = 4
    widths: tuple[int, ...] = (8, 16, 24, 32, 48, 64)
    kernels: tuple[int, ...] = (3, 5)
    times: tuple[int, ...] = (1, 2, 3, 4)
    recurrences: tuple[str, ...] = RECURRENCES

    def __post_init__(self) -> None:
        problems = options_problems(self, "widths", "kernels", "times")
        problems += options_problems(self, "recurrences", kind=str)
        problems += count_problems(self, "n_areas")
        if not problems and any(kernel % 2 == 0 for kernel in self.kernels):
            problems.append(f"kernels is {self.kernels!r}, expected odd ints")
        if not problems and not set(self.recurrences) <= set(RECURRENCES):
            problems.append(f"recurrences is {self.recurrences!r}, expected out of {RECURRENCES}")
        refuse_space(problems)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Width, kernel, steps in time and recurrence of every area."""
        options: tuple[tuple[int | str, ...], ...] = (
            self.widths,
            self.kernels,
            self.times,
            self.recurrences,
        )
        return tuple(
            Decision(f"area{area}.{choice}", values)
            for area in range(1, self.n_areas + 1)
            for choice, values in zip(_CHOICES, options, strict=True)
        )

    def _read(self, actions: tuple[int, ...]) -> RecurrentArchitecture:
        chosen = [
            decision.options[action]
            for decision, action in zip(self.decisions, actions, strict=True)
        ]
        return RecurrentArchitecture(
            tuple(
                RecurrentArea(*chosen[place : place + 4])  # type: ignore[arg-type]
                for place in range(0, len(chosen), 4)
            )
        )

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        actions: list[int] = []
        if isinstance(architecture, RecurrentArchitecture):
            if len(architecture.areas) != self.n_areas:
                problems.append(f"it has {len(architecture.areas)} areas, {self.n_areas} here")
            else:
                values = [getattr(area, name) for area in architecture.areas for name in _CHOICES]
                actions = [
                    option_index(decision, value, problems)
                    for decision, value in zip(self.decisions, values, strict=True)
                ]
        refuse_foreign(architecture, RecurrentArchitecture, self.name, problems)
        return tuple(actions)


def recurrent_space(
    *, n_areas: int = 4, widths: tuple[int, ...] = (8, 16, 24, 32, 48, 64), max_times: int = 4
) -> RecurrentSpace:
    """Return a space of CORnet-like networks [1]_: four areas, 1 to `max_times` steps in time.

    Parameters
    ----------
    n_areas : int
        Four in [1]_, named for V1, V2, V4 and IT; here their correspondence to areas is measured.
    widths : tuple of int
        Options for the channels of an area.
    max_times : int
        Largest number of steps in time of an area.

    Returns
    -------
    RecurrentSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Kubilius et al. 2019, Brain-like object recognition with high-performing shallow
       recurrent ANNs, section 2.

    Examples
    --------
    >>> recurrent_space(n_areas=1).n_architectures
    96
    """
    return RecurrentSpace(
        n_areas=n_areas, widths=tuple(widths), times=tuple(range(1, max_times + 1))
    )
