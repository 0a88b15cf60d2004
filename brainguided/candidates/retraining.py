"""What is trained again after a search: its winner, and its finalists for longer."""

from __future__ import annotations

from dataclasses import dataclass, field

from brainguided.candidates.recipe import NOTHING, Recipe


@dataclass(frozen=True)
class Retraining:
    """Training of a candidate after the search: plain data, which every engine carries.

    Attributes
    ----------
    candidate : int
        Its number in the search.
    architecture : str
        JSON.
    seed : int
        Of the weights and the order of the images, that of the search.
    steps : int or None
        SGD steps; None trains and scores the candidate once more as the search did.
    validation : bool
        Whether the validation images are trained on as well; then there is no accuracy.
    start : bytes, optional
        Content of the file of kept weights from which the training goes on; `steps` counts those
        made before. None for new weights.
    recipe : Recipe
        What is added to the settings of the search.

    Raises
    ------
    ValueError
        `steps` is less than 1.
    """

    candidate: int
    architecture: str
    seed: int
    steps: int | None = None
    validation: bool = False
    start: bytes | None = field(default=None, compare=False, repr=False)
    recipe: Recipe = NOTHING

    def __post_init__(self) -> None:
        if self.steps is not None and (type(self.steps) is not int or self.steps < 1):
            raise ValueError(f"steps is {self.steps!r}; expected a whole number, at least 1.")
