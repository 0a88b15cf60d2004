"""Means and spread of what a candidate showed with several seeds of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from brainguided.journal.measurement import Measurement, Rung


def average_repeats(measurement: Measurement) -> Measurement:
    """Return a measurement whose rungs and losses are the means of its repeats.

    Every number is the mean over seeds, the similarity of each single layer among them; that of
    the best layer is then the largest of these means, while a shuffle's is the mean of the best
    layer's with each seed: see `average_best` for what to compare with it. A similarity that is not
    defined, of a layer that is dead with some of the seeds, counts as 0 in the mean, and one that
    is defined with no seed stays undefined. Examples are those of all seeds together.

    Parameters
    ----------
    measurement : Measurement
        With repeats, which have the same rungs.
    """
    repeats = measurement.repeats
    rungs = zip(*(one.rungs for one in repeats), strict=True)
    losses = zip(*(one.losses for one in repeats), strict=False)
    return replace(
        measurement,
        rungs=tuple(_merge(same, average, _average_similarity) for same in rungs),
        losses=tuple(fmean(same) for same in losses),
    )


def average_best(measurement: Measurement, target: str, step: int | None = None) -> float | None:
    """Return the mean over seeds of the best layer's similarity to a target.

    This is how shuffles and copies of controls are averaged, and so what is compared with them:
    the largest of the means of layers is smaller, the more layers there are. Of one seed it is
    the best layer's similarity itself. As there, a similarity not defined with some of the seeds
    counts as 0; the mean is None where it is defined with none.

    Parameters
    ----------
    measurement : Measurement
    target : str
        An area or control, or "TG": the mean over areas.
    step : int, optional
        Of the rung; default: the last.

    Raises
    ------
    ValueError
        There is no such number or rung.
    """
    name = target if step is None else f"{target}@{step}"
    return _average_similarity([one.value(name) for one in measurement.of_seeds()])


def average(values: Sequence[float | None]) -> float | None:
    """Return the mean of numbers; None where one of them is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _average_similarity(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean([*known, *[0.0] * (len(values) - len(known))]) if known else None


def spread(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation of numbers (n - 1); None of fewer than two that are known."""
    known = [value for value in values if value is not None]
    return stdev(known) if len(known) > 1 else None


def spread_repeats(measurement: Measurement) -> tuple[Rung, ...]:
    """Return the standard deviation over seeds of every number, as rungs; () without repeats.

    Parameters
    ----------
    measurement : Measurement

    Returns
    -------
    tuple of Rung
        Their ``guidance`` is that of TG. Examples are those of all seeds together.
    """
    if len(measurement.repeats) < 2:
        return ()
    alone = measurement.of_seeds()
    return tuple(
        replace(
            _merge(same, spread, spread),
            guidance=spread([one.guidance(same[0].step) for one in alone]),
        )
        for same in zip(*(one.rungs for one in alone), strict=True)
    )


_Number = Callable[[Sequence["float | None"]], "float | None"]


def _merge(rungs: Sequence[Rung], number: _Number, similarity: _Number) -> Rung:
    """Return what functions make of the numbers measured at one step with each seed."""
    first = rungs[0]
    return Rung(
        first.step,
        number([one.performance for one in rungs]),
        number([one.cross_entropy for one in rungs]),
        sum(one.examples for one in rungs),
        {
            target: {
                layer: similarity([one.similarity[target][layer] for one in rungs])
                for layer in layers
            }
            for target, layers in first.similarity.items()
        },
        {
            target: similarity([one.committed[target] for one in rungs])
            for target in first.committed
        },
        {
            target: {
                kind: tuple(
                    similarity(same)
                    for same in zip(*(one.shuffles[target][kind] for one in rungs), strict=True)
                )
                for kind in kinds
            }
            for target, kinds in first.shuffles.items()
        },
    )
