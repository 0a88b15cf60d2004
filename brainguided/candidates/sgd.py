"""Stochastic gradient descent: its settings."""

from __future__ import annotations

from dataclasses import dataclass

from brainguided.candidates.recipe import NOTHING, Recipe

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class SGD:
    """Settings of stochastic gradient descent with Nesterov momentum 0.9.

    Attributes
    ----------
    learning_rate : float
        Highest learning rate.
    weight_decay : float
        L2 penalty.
    schedule : {"cosine", "constant"}
        Of the learning rate: from the highest to 0 along a cosine, or constant after 10 steps of
        warm-up, with which rung 50 of 200 is what a search of 50 steps would measure.
    recipe : Recipe
        What long trainings add.
    """

    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    recipe: Recipe = NOTHING


PLAIN = SGD()
"""As in Bashivan et al. (2019), where the paper says it."""
