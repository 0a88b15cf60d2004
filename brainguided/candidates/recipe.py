"""What long trainings add to stochastic gradient descent: plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from neural_data.errors import raise_problems


@dataclass(frozen=True)
class Recipe:
    """Settings of long trainings, those of finalists. Each has no effect unless it is set.

    Attributes
    ----------
    warm_up : int
        Steps in which the learning rate rises linearly to what the cosine has there.
    label_smoothing : float
        Share of the target that is spread evenly over all classes [1]_; 0 to below 1. Of a task of
        one's own the loss is its own.
    cutout : int
        Side in pixels of a square that is made grey around a random place of each training
        image [2]_; it may reach out of the image.
    average : float
        Decay of a moving average of the weights, which are those in the end; 0 to below 1. After t
        steps it is (1 + t) / (10 + t) where that is less.

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens & Wojna (2016), CVPR, section 7.
    .. [2] DeVries & Taylor (2017), arXiv 1708.04552.
    """

    warm_up: int = 0
    label_smoothing: float = 0.0
    cutout: int = 0
    average: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; expected a whole number, 0 or more"
            for name in ("warm_up", "cutout")
            if type(value := getattr(self, name)) is not int or value < 0
        ]
        problems += [
            f"{name} is {value!r}; expected a share from 0 to below 1"
            for name in ("label_smoothing", "average")
            if type(value := getattr(self, name)) not in (int, float) or not 0 <= value < 1
        ]
        raise_problems("Unusable settings of a long training", problems, ValueError)

    def describe(self) -> dict[str, Any]:
        """Return those that are set."""
        usual = asdict(NOTHING)
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


NOTHING = Recipe()
"""A recipe that adds nothing."""


@dataclass(frozen=True)
class LongTraining:
    """How finalists are trained.

    Attributes
    ----------
    steps : int
        SGD steps of each finalist.
    final_steps : int, optional
        Of the winner among them, on training and validation images; default: as many.
    recipe : Recipe
        What is added to the settings of the search.
    """

    steps: int
    final_steps: int | None = None
    recipe: Recipe = NOTHING

    def __post_init__(self) -> None:
        for name in ("steps", "final_steps"):
            number = getattr(self, name)
            if number is None and name == "final_steps":
                continue
            if type(number) is not int or number < 1:
                raise ValueError(f"{name} is {number!r}; expected a whole number, at least 1.")

    @property
    def last_steps(self) -> int:
        """Steps of the winner."""
        return self.steps if self.final_steps is None else self.final_steps

    def describe(self) -> dict[str, Any]:
        """Return what finalists have to share."""
        described: dict[str, Any] = {"steps": self.steps}
        if self.last_steps != self.steps:
            described["final_steps"] = self.last_steps
        return {**described, **({"recipe": known} if (known := self.recipe.describe()) else {})}
