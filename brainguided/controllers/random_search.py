"""Random search: the control of every other algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace


class RandomSearch(Controller):
    """Random search: options drawn uniformly at every decision, rewards ignored.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional

    Examples
    --------
    >>> from brainguided.spaces import small_space
    >>> controller = RandomSearch(small_space(), seed=1)
    >>> proposals = controller.ask(3)
    >>> controller.tell(proposals, [0.1, 0.5, 0.2])
    >>> len(proposals)
    3
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(space, seed=seed, unique=unique, limits=limits)

    def _propose(self, n: int) -> list[Proposal]:
        return [Proposal(self.space.sample(self._generator)) for _ in range(n)]

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        pass

    def _settings(self) -> dict[str, Any]:
        return {"name": "random"}

    def _save(self) -> dict[str, Any]:
        return {}

    def _restore(self, own: dict[str, Any]) -> None:
        pass
