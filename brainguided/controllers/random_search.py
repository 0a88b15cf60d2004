"""Random search: the control of every other algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers.contract import check_ask, check_seed, check_tell
from brainguided.spaces import SearchSpace


class RandomSearch:
    """Draw architectures uniformly over decisions and learn nothing from their rewards.

    Parameters
    ----------
    space : SearchSpace
    seed : int

    Examples
    --------
    >>> from brainguided.spaces import small_space
    >>> controller = RandomSearch(small_space(), seed=1)
    >>> proposals = controller.ask(3)
    >>> controller.tell(proposals, [0.1, 0.5, 0.2])
    >>> len(proposals)
    3
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        check_seed(seed)
        self.space = space
        self.seed = seed
        self._generator = np.random.default_rng(seed)
        self._pending: list[Architecture] = []

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` architectures drawn independently of each other."""
        check_ask(n, self._pending)
        self._pending = [self.space.sample(self._generator) for _ in range(n)]
        return list(self._pending)

    def tell(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Check the rewards of the last proposals and forget them."""
        check_tell(self._pending, architectures, rewards)
        self._pending = []

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {"name": "random", "seed": self.seed}
