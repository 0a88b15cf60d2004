"""Limits on the size of candidates, checked before anything is built or trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from brainguided.architectures import Architecture
from neural_data.errors import raise_problems


@dataclass(frozen=True)
class Limits:
    """Limits on the size of candidates; larger ones are never proposed.

    Parameters
    ----------
    max_parameters : int, optional
        Largest number of trainable parameters.
    max_multiply_adds : int, optional
        Largest number of multiply-adds for one image.
    n_classes : int
        Outputs of the classifier, which counts.
    image_size : int
        Height and width in pixels, for the multiply-adds.

    Raises
    ------
    ValueError
        A limit is not a positive whole number; every problem is listed.

    Examples
    --------
    >>> from brainguided.spaces import small_space
    >>> limits = Limits(max_parameters=10_000, n_classes=10)
    >>> architecture = small_space().sample(0)
    >>> limits.admit(architecture) == (architecture.count_parameters(10) <= 10_000)
    True
    """

    max_parameters: int | None = None
    max_multiply_adds: int | None = None
    n_classes: int = 10
    image_size: int = 32

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}, expected a whole number, at least 1"
            for name, value in asdict(self).items()
            if (type(value) is not int or value < 1)
            and not (value is None and name.startswith("max"))
        ]
        raise_problems("Not limits", problems, ValueError)

    def admit(self, architecture: Architecture) -> bool:
        """Return whether an architecture is within the limits."""
        blueprint = architecture.to_blueprint(self.n_classes)
        most, adds = self.max_parameters, self.max_multiply_adds
        return (most is None or blueprint.n_parameters <= most) and (
            adds is None or blueprint.count_multiply_adds(self.image_size) <= adds
        )

    def describe(self) -> dict[str, Any]:
        """Return the limits as plain data fit for JSON."""
        return asdict(self)
