"""Tasks of one's own: a Python file that says what networks are shown and learn."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.goal import CLASSIFICATION, Goal
from brainguided.candidates.images import ImageSet
from brainguided.guidance.own_code import digest_source, run_source
from brainguided.networks.build import BlueprintNetwork, build_network
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from brainguided.candidates.evaluation import Task

_JUDGED = ("tally", "performance", "chance")  # belong together
_KNOWN = ("load_images", "load_test_images", "adapt", "loss", "augment", *_JUDGED)


@dataclass(frozen=True)
class OwnTask:
    """What a Python file of the user's own says of a task.

    The file defines

    - ``load_images(**settings)``, which returns an `ImageSet`; settings are those of ``n_train``,
      ``n_validation`` and ``image_size`` that the run file has; and what of the rest differs from
      classification:
    - ``load_test_images(**settings)``, images (image, y, x, channel) uint8 and their labels, for
      finalists;
    - ``loss(outputs, labels)``, a scalar tensor, the mean over images (else cross-entropy);
    - ``tally(outputs, labels)``, numbers that are added over batches; ``performance(total)``, P of
      their sum, higher is better; ``chance(labels)``, the P of guessing on the validation labels;
      and ``PERFORMANCE = "..."``, what P is called (else accuracy);
    - ``adapt(network)``, which changes modules in place so that outputs are as wanted. Names and
      shapes of weights stay, and so do their values, which follow from the seed;
    - ``augment(images, labels, generator)``, which returns both (else shifts and flips of images).

    Attributes
    ----------
    file : str
        As the run file names it.
    source : str
        Its text: it runs in every process that needs it.
    folder : str
        That it lies in: of its ``__file__``, by which it finds files beside it.
    chance : float or None
        P of guessing; None where P is accuracy.
    """

    file: str
    source: str = field(repr=False)
    folder: str = ""
    chance: float | None = None

    @property
    def names(self) -> dict[str, Any]:
        """What the file defines."""
        return run_source(os.path.join(self.folder, os.path.basename(self.file)), self.source)

    @property
    def goal(self) -> Goal:
        """Loss and performance; those of classification where the file says nothing."""
        known, usual = self.names, CLASSIFICATION
        return Goal(
            known.get("loss", usual.loss),
            known.get("tally", usual.tally),
            known.get("performance", usual.performance),
            known.get("augment"),
        )

    def adapt(self, network: BlueprintNetwork) -> None:
        """Change a network as the file says; its weights keep their names and values.

        Raises
        ------
        ValueError
            Weights have other names or shapes afterwards.
        """
        change = self.names.get("adapt")
        if change is None:
            return
        before = {name: value.clone() for name, value in network.state_dict().items()}
        change(network)
        shapes = [
            {name: tuple(value.shape) for name, value in weights.items()}
            for weights in (before, network.state_dict())
        ]
        if changed := sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()}):
            raise ValueError(
                f"adapt of {self.file} changes names or shapes of weights ({', '.join(changed[:3])}"
                "); expected the same, as a linear layer has that is applied at every place of a "
                "map, so that winners can be exported."
            )
        network.load_state_dict(before)

    def describe(self) -> dict[str, Any]:
        """Return the file, its SHA-256, and what P is and is by chance."""
        described: dict[str, Any] = {"file": self.file, "sha256": digest_source(self.source)}
        if self.chance is not None:
            described |= {"performance": self.names["PERFORMANCE"], "chance": self.chance}
        return described

    def load_test_images(self, settings: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return test images and their labels.

        Raises
        ------
        ValueError
            The file has none.
        """
        self.check_test_images()
        found = self.names["load_test_images"](**settings)
        return found[0], found[1]

    def check_test_images(self) -> None:
        """Raise ValueError where the file has no test images, without loading any."""
        if "load_test_images" not in self.names:
            raise ValueError(
                f"{self.file} has no test images: define load_test_images(), which returns images "
                "and their labels."
            )


def load_own_task(
    path: str | os.PathLike[str], *, settings: Mapping[str, Any] | None = None, name: str = ""
) -> tuple[OwnTask, ImageSet]:
    """Run a Python file that holds a task, and load its images.

    Parameters
    ----------
    path : path
        The file; see `OwnTask` for what it defines. It is run: name none that you would not run.
    settings : mapping, optional
        Given to its ``load_images``.
    name : str, optional
        What the file is called in the journal; default: its name.

    Returns
    -------
    own : OwnTask
        What the file says, for ``Task(own=...)``.
    images : ImageSet
        Those that it loads, for ``Task(images=...)``.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file fails, lacks what belongs to it, or returns something else than images.
    """
    path = Path(path)
    name = name or path.name
    source = path.read_text(encoding="utf-8")
    folder = str(path.absolute().parent)
    own = OwnTask(name, source, folder)
    known = _try(f"{path} cannot be run", lambda: own.names)
    problems = [
        f"{function} is no function" for function in _KNOWN if not callable(known.get(function, id))
    ]
    if "load_images" not in known:
        problems.append("load_images is missing: a function that returns an ImageSet")
    own_judge = [function for function in (*_JUDGED, "PERFORMANCE") if function in known]
    if 0 < len(own_judge) < len(_JUDGED) + 1:
        lacking = sorted({*_JUDGED, "PERFORMANCE"} - set(own_judge))
        problems.append(f"{' and '.join(own_judge)} want {', '.join(lacking)} beside them")
    raise_problems(f"{path} is no task", problems, ValueError)
    given = dict(settings or {})
    images = _try(f"load_images of {path} failed", lambda: known["load_images"](**given))
    if not isinstance(images, ImageSet):
        raise ValueError(
            f"load_images of {path} returned {type(images).__name__}; expected a "
            "brainguided.ImageSet."
        )
    chance = None
    if own_judge:
        labels = images.validation_labels
        chance = _try(f"chance of {path} failed", lambda: float(known["chance"](labels)))
        if not math.isfinite(chance):
            raise ValueError(f"chance of {path} is {chance}; expected a finite number.")
    return OwnTask(name, source, folder, chance), images


def _try(what: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as cause:  # whatever the user's file raises
        raise ValueError(f"{what} ({type(cause).__name__}: {cause}).") from cause


def check_own_task(task: Task) -> None:
    """Refuse labels and settings that belong to another kind of task.

    Raises
    ------
    ValueError
        Every problem is listed.
    """
    labels, own = task.images.train_labels, task.own
    problems = []
    for part in (labels, task.images.validation_labels):
        if own is None and (part.ndim != 1 or part.dtype.kind not in "iu"):
            problems.append(
                f"labels are {part.dtype} {part.shape}; expected the number of a class for each "
                "image, or a task of your own, which says what is learnt from others"
            )
    if own is not None:
        known = own.names
        if task.training.augment and labels.ndim > 2 and "augment" not in known:
            problems.append(
                f"augment moves images and not their labels (of shape {labels.shape}): define "
                f"augment in {own.file}, or set augment = false"
            )
        if "gradient_norm" in task.rivals and "loss" in known:
            problems.append("the rival gradient_norm is of classification; leave it out")
    raise_problems("The task cannot be trained", problems, ValueError)


def build_candidate(architecture: Architecture, task: Task, *, seed: int) -> BlueprintNetwork:
    """Return the untrained network of a candidate, as its task wants it.

    Parameters
    ----------
    architecture : Architecture
    task : Task
        Its classes are the outputs; one of the user's own may adapt the network.
    seed : int
        Of the weights.
    """
    network = build_network(architecture, n_classes=len(task.images.classes), seed=seed)
    if task.own is not None:
        task.own.adapt(network)
    return network
