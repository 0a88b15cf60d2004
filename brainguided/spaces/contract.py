"""What every search space has to offer, and all that follows from its decisions alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from brainguided.architectures import Architecture
from neural_data.errors import raise_problems


@dataclass(frozen=True)
class Decision:
    """Decision of a space.

    Attributes
    ----------
    name : str
        Such as "layer3.filters".
    options : tuple of int or str
        One of them is chosen.
    """

    name: str
    options: tuple[int | str, ...]


class SearchSpace(ABC):
    """Everything that may be chosen, as a fixed sequence of decisions.

    An *action* is the position of the chosen option. `legal` says which actions may follow those
    already taken; decisions that do not matter (layers beyond the chosen depth) have only action 0
    left. So every architecture has exactly one sequence of actions, and every legal sequence is
    one architecture. Kinds of spaces are frozen dataclasses. How many architectures there are is
    `n_architectures`, exactly.
    """

    kind: ClassVar[str]
    name: str

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which they are taken; their number is fixed."""

    @abstractmethod
    def _read(self, actions: tuple[int, ...]) -> Architecture:
        """Return the architecture of a legal sequence of actions."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture.

        Raises
        ------
        ValueError
            The architecture is not in this space; every reason is listed.
        """

    def parse(self, text: str) -> Architecture:
        """Read an architecture of this space from text: its JSON.

        Raises
        ------
        ValueError
            It cannot be read, or is not in the space.
        """
        architecture = Architecture.from_json(text)
        self.encode(architecture)
        return architecture

    def legal(self, prefix: Sequence[int]) -> tuple[bool, ...]:
        """Return which options of the next decision may be taken after these actions.

        Parameters
        ----------
        prefix : sequence of int
            The actions taken so far, fewer than there are decisions.

        Returns
        -------
        tuple of bool
            One for each option of the decision at position ``len(prefix)``; never all False.

        Raises
        ------
        ValueError
            No decision is left.
        """
        if len(prefix) >= len(self.decisions):
            raise ValueError(
                f"{len(prefix)} actions were given, but the space has {len(self.decisions)} "
                "decisions: none is left."
            )
        return self._all_legal[len(prefix)]

    def legal_rows(self, taken: Sequence[Sequence[int]], place: int) -> np.ndarray:
        """Return `legal` for the decision at `place` after each of several sequences.

        Parameters
        ----------
        taken : sequence of sequence of int
            Of each the first `place` actions count.
        place : int

        Returns
        -------
        ndarray (sequence, option) of bool
        """
        return np.array([self.legal(actions[:place]) for actions in taken])

    @cached_property
    def _all_legal(self) -> tuple[tuple[bool, ...], ...]:
        return tuple((True,) * len(decision.options) for decision in self.decisions)

    @property
    def n_architectures(self) -> int:
        """Exact number of architectures in the space; isomorphic ones count apart."""
        return prod(len(decision.options) for decision in self.decisions)

    def decode(self, actions: Sequence[int]) -> Architecture:
        """Return the architecture that a full sequence of actions stands for.

        Raises
        ------
        ValueError
            The sequence has the wrong length or takes an option that is not legal.
        """
        if len(actions) != len(self.decisions):
            raise ValueError(
                f"{len(actions)} actions were given; the space '{self.name}' has "
                f"{len(self.decisions)} decisions."
            )
        taken: list[int] = []
        for action, decision in zip(actions, self.decisions, strict=True):
            mask = self.legal(taken)
            if not (0 <= action < len(mask) and mask[action]):
                legal = [number for number, allowed in enumerate(mask) if allowed]
                raise ValueError(
                    f"Action {action} for '{decision.name}' is not legal after {taken}; "
                    f"legal are {legal}."
                )
            taken.append(int(action))
        return self._read(tuple(taken))

    def sample(self, seed: int | np.random.Generator) -> Architecture:
        """Draw an architecture: each decision in turn, uniformly among its legal options.

        In a plain space the depth is therefore uniform. Where options are masked this is not
        quite uniform over architectures.
        """
        return self._read(self.sample_actions(seed))

    def sample_actions(self, seed: int | np.random.Generator) -> tuple[int, ...]:
        """Draw the actions of one architecture, as `sample` does."""
        generator = np.random.default_rng(seed)
        actions: list[int] = []
        # A fixed number of draws an architecture, whatever is masked
        for draw in generator.random(len(self.decisions)).tolist():
            legal = [number for number, allowed in enumerate(self.legal(actions)) if allowed]
            actions.append(legal[int(draw * len(legal))])
        return tuple(actions)

    def mutate(self, architecture: Architecture, seed: int | np.random.Generator) -> Architecture:
        """Change one decision of an architecture, drawn uniformly, to another legal option.

        Decisions that begin to matter by this (new layers) are drawn, others stay as they are
        unless they are no longer legal.

        Returns
        -------
        Architecture
            Never the one given, unless the space has no other.
        """
        generator = np.random.default_rng(seed)
        before = self.encode(architecture)
        masks = [self.legal(before[:place]) for place in range(len(before))]
        open_places = [place for place, mask in enumerate(masks) if sum(mask) > 1]
        if not open_places:
            return architecture
        place = open_places[int(generator.integers(len(open_places)))]
        others = [k for k, allowed in enumerate(masks[place]) if allowed and k != before[place]]
        actions = [*before[:place], others[int(generator.integers(len(others)))]]
        for later in range(place + 1, len(before)):
            legal = [k for k, allowed in enumerate(self.legal(actions)) if allowed]
            if before[later] in legal and (sum(masks[later]) > 1 or len(legal) == 1):
                actions.append(before[later])
            else:
                actions.append(legal[int(generator.integers(len(legal)))])
        return self._read(tuple(actions))

    def cross(
        self, one: Architecture, other: Architecture, seed: int | np.random.Generator
    ) -> Architecture:
        """Take each decision from one of two architectures, drawn uniformly.

        Where a decision matters in one of them alone it is taken from that one, and where what is
        taken is not legal any more, from the other, or drawn.

        Returns
        -------
        Architecture
            Whose decisions are all those of `one` where both are the same.
        """
        generator = np.random.default_rng(seed)
        parents = self.encode(one), self.encode(other)
        actions: list[int] = []
        for place, first in enumerate(generator.integers(2, size=len(self.decisions)).tolist()):
            legal = [k for k, allowed in enumerate(self.legal(actions)) if allowed]
            given = [
                parent[place]
                for parent in (parents[first], parents[1 - first])
                if parent[place] in legal and sum(self.legal(parent[:place])) > 1
            ]
            drawn = legal if given or len(legal) == 1 else generator.permutation(legal).tolist()
            actions.append((given or drawn)[0])
        return self._read(tuple(actions))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Return all architectures that differ in one decision, in the order of decisions.

        Other decisions stay as they are; those that are no longer legal, and those that begin to
        matter, take their first legal option.
        """
        before = self.encode(architecture)
        found = []
        for place in range(len(before)):
            for option, allowed in enumerate(self.legal(before[:place])):
                if not allowed or option == before[place]:
                    continue
                actions = [*before[:place], option]
                for later in range(place + 1, len(before)):
                    mask = self.legal(actions)
                    actions.append(before[later] if mask[before[later]] else mask.index(True))
                found.append(self._read(tuple(actions)))
        return found

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every architecture of the space, in the order of their actions."""

        def grow(actions: list[int]) -> Iterator[Architecture]:
            if len(actions) == len(self.decisions):
                yield self._read(tuple(actions))
                return
            for option, allowed in enumerate(self.legal(actions)):
                if allowed:
                    yield from grow([*actions, option])

        return grow([])

    def describe(self) -> dict[str, Any]:
        """Return the settings of the space as plain data fit for JSON."""
        settings = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()  # type: ignore[call-overload]
        }
        return {"kind": self.kind, **settings}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `describe` described.

        Raises
        ------
        ValueError
            It is no description of a space.
        """
        kinds = {kind.kind: kind for kind in SearchSpace.__subclasses__()}
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items()}
        kind = settings.pop("kind", None)
        if kind not in kinds:
            raise ValueError(f"The kind of a space is {kind!r}; expected one of {sorted(kinds)}.")
        try:
            return kinds[kind](**settings)
        except TypeError as error:
            raise ValueError(f"Not the description of a space: {error}.") from error

    def __repr__(self) -> str:
        given = ", ".join(
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)  # type: ignore[arg-type]
        )
        return f"{type(self).__name__}({given})"


def option_index(decision: Decision, value: Any, problems: list[str]) -> int:
    """Return the action for a value; -1, with a problem noted, where it is no option."""
    if value in decision.options:
        return decision.options.index(value)
    problems.append(f"{decision.name} is {value!r}, options are {decision.options}")
    return -1


def options_problems(space: Any, *names: str, kind: type = int) -> list[str]:
    """Return what is wrong with attributes that should be tuples of different options."""
    problems = []
    for name in names:
        values = getattr(space, name)
        wanted = "positive ints" if kind is int else "texts"
        if (
            not isinstance(values, tuple)
            or not values
            or any(type(v) is not kind or (isinstance(v, int) and v < 1) for v in values)
        ):
            problems.append(f"{name} is {values!r}, expected a tuple of {wanted}")
        elif len(set(values)) != len(values):
            problems.append(f"{name} is {values!r}, which repeats an option")
    return problems


def refuse_foreign(architecture: Any, kind: type, name: str, problems: list[str]) -> None:
    """Refuse an architecture of another kind, or with problems."""
    if not isinstance(architecture, kind):
        problems = [f"it is a {type(architecture).__name__}, expected a {kind.__name__}"]
    raise_problems(f"The architecture is not in the space '{name}'", problems, ValueError)


def refuse_space(problems: list[str]) -> None:
    """Refuse settings of a space that have problems."""
    raise_problems("Not a search space", problems, ValueError)
