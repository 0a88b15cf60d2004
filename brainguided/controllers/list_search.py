"""The architectures of a list, or all of a space, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems

_MOST = 200_000  # architectures of a space that is listed whole
_SHOWN = 5  # problems quoted in an error


class ListSearch(Controller):
    """Enumeration: every architecture of a list once, rewards ignored.

    For pools that are measured whole: a complete (sub-)space, or networks chosen beforehand.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Of the order, where it is shuffled.
    architectures : sequence of str or Architecture
        As ``space.parse`` reads them: JSON or the notation of the space. By default all of the
        space, in the order of their actions.
    shuffle : bool
        Whether to go through them in random order, so that any beginning is a random sample.
    unique : bool
        Whether isomorphic architectures are left out but for the first.
    limits : Limits, optional

    Raises
    ------
    ValueError
        Architectures are not in the space, or there are none and the space has more than 200,000.

    Examples
    --------
    >>> from brainguided.spaces import nasbench201_space
    >>> space = nasbench201_space(operations=("none", "skip_connect", "nor_conv_3x3"))
    >>> len(ListSearch(space).ask(729))
    132
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        architectures: Sequence[str | Architecture] = (),
        shuffle: bool = False,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.shuffle = shuffle
        self._named = [a if isinstance(a, str) else a.to_json() for a in architectures]
        self._list = _read(space, self._named) if self._named else _enumerate(space)
        if shuffle:
            order = np.random.default_rng(seed).permutation(len(self._list))
            self._list = [self._list[k] for k in order.tolist()]
        self._next = 0

    def _find(self, n: int) -> list[Proposal]:
        """Return the next that may be proposed, however many before them may not."""
        found: list[Proposal] = []
        while len(found) < n and (proposals := self._propose(1)):
            if self._admit(proposals[0].architecture):
                found += proposals
        return found

    def _propose(self, n: int) -> list[Proposal]:
        chosen = self._list[self._next : self._next + n]
        self._next += len(chosen)
        return [Proposal(architecture) for architecture in chosen]

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        pass

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"name": "list", "shuffle": self.shuffle}
        return settings | ({"architectures": self._named} if self._named else {})

    def _save(self) -> dict[str, Any]:
        return {"next": self._next}

    def _restore(self, own: dict[str, Any]) -> None:
        self._next = own["next"]


def _read(space: SearchSpace, texts: Sequence[str]) -> list[Architecture]:
    found, problems = [], []
    for number, text in enumerate(texts):
        try:
            found.append(space.parse(text))
            space.encode(found[-1])
        except ValueError as error:
            problems.append(f"architecture {number}: {' '.join(str(error).split())}")
    if len(problems) > _SHOWN:
        problems[_SHOWN:] = [f"and {len(problems) - _SHOWN} more"]
    raise_problems(f"Not a list of architectures of the space '{space.name}'", problems, ValueError)
    return found


def _enumerate(space: SearchSpace) -> list[Architecture]:
    if space.n_architectures > _MOST:
        raise ValueError(
            f"The space '{space.name}' has {space.n_architectures} architectures, more than "
            f"{_MOST}; name those to go through (architectures = [...]), or take a smaller space."
        )
    return list(space.enumerate())
