"""Whether candidates resemble an area more than they resemble its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brainguided.journal.means import average_best
from brainguided.journal.measurement import Measurement, Rung

SAME = 0.01
"""Difference of two similarities, or of two correlations, below which neither is larger."""
SHARE = 0.95
"""Of the shuffles that have to be exceeded."""
FEWEST_CANDIDATES = 10
"""Below which similarity and accuracy are not correlated."""
FEWEST_SHUFFLES = 20
"""Below which shuffles are no distribution."""


@dataclass(frozen=True)
class Comparison:
    """A number of an area, beside the same number of its controls and its shuffled copies.

    Attributes
    ----------
    value : float or None
        Of the area; None where it is not defined.
    controls : mapping of str to (float or None)
        By the control's name, without the area's.
    shuffles : tuple of float
        One a shuffle.
    """

    value: float | None
    controls: Mapping[str, float | None]
    shuffles: tuple[float, ...] = ()

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Names of controls whose number is smaller."""
        return tuple(name for name in self.controls if self._exceeds(self.controls[name]))

    @property
    def not_exceeded(self) -> tuple[str, ...]:
        """Names of controls that do as well or better, the best first."""
        if self.value is None:
            return ()
        known = {name: own for name, own in self.controls.items() if own is not None}
        rest = [name for name, own in known.items() if not self._exceeds(own)]
        return tuple(sorted(rest, key=lambda name: -known[name]))

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Names of controls whose number is not defined: of them nothing is known.

        All controls, where that of the area is not defined.
        """
        undefined = (n for n, own in self.controls.items() if own is None or self.value is None)
        return tuple(undefined)

    @property
    def share(self) -> float | None:
        """Share of the shuffles that are exceeded; None where there are none."""
        if self.value is None or not self.shuffles:
            return None
        return float(np.mean([self.value > one for one in self.shuffles]))

    @property
    def exceeds_shuffles(self) -> bool | None:
        """Whether 95 % of the shuffles are exceeded; None where there are fewer than 20."""
        if self.share is None or len(self.shuffles) < FEWEST_SHUFFLES:
            return None
        return self.share >= SHARE

    def _exceeds(self, other: float | None) -> bool:
        return self.value is not None and other is not None and self.value > other + SAME


@dataclass(frozen=True)
class Evidence:
    """What a search showed of one area, beside its controls.

    Attributes
    ----------
    area : str
        Name of the area that it is a control of.
    kind : {"committed", "best layer", "best layer with each seed"}
        Which similarity is compared. Where there are several seeds of the weights, that of the
        best layer is the mean over them, as that of the shuffles is.
    winner : Comparison
        The similarity of one candidate.
    correlation : Comparison
        Spearman correlations, over candidates, of the similarity with accuracy; with a value of
        None where there are fewer than 10 candidates.
    candidates : int
        That the correlation is over.
    stopped : int
        Candidates whose training ended before that rung: the correlation is over the others.
    among : str
        What these candidates are called.
    """

    area: str
    kind: str
    winner: Comparison
    correlation: Comparison
    candidates: int
    stopped: int = 0
    among: str = "candidates"

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if self.winner.value is None:
            return f"{self.area}: the winner has no similarity that is defined."
        said = (
            f"{self.area}: the winner's similarity ({self.winner.value:.3f}, {self.kind}) "
            f"{_say(self.winner)}."
        )
        if self.correlation.value is None:
            return said
        over = f"{self.candidates} {self.among}"
        if self.stopped:
            over += (
                f" ({self.stopped} more were stopped early: those left were selected by their "
                "rewards, which biases the correlation)"
            )
        return (
            f"{said} Over {over} the correlation of similarity with accuracy "
            f"({self.correlation.value:.2f}) {_say(self.correlation)}."
        )


def weigh_evidence(
    winner: Measurement,
    candidates: Sequence[Measurement],
    *,
    rung: int | None = None,
    among: str = "candidates",
) -> dict[str, Evidence]:
    """Compare the similarity to each area with that to its controls.

    A control that is not exceeded explains the similarity as well as the brain does. Rank among
    shuffles is evidence for the brain; an interval over candidates is none.

    Parameters
    ----------
    winner : Measurement
        What the winner showed.
    candidates : sequence of Measurement
        All that were measured at the rung. Of a search that stops candidates early, those that
        were to be trained to the end whatever their reward: over those that earned it the
        correlation is biased, and the sentence says so where others were stopped.
    rung : int, optional
        The last by default.
    among : str, optional
        What the candidates are called in the sentence.

    Returns
    -------
    dict of area to Evidence
        ``sentence`` puts each in words.

    Raises
    ------
    ValueError
        If the winner was not measured at the rung.
    """
    shown = winner.rung(rung)
    there = [m for m in candidates if shown.step in m.steps]
    rungs = [m.rung(shown.step) for m in there]
    stopped = sum(bool(m.steps) and m.steps[-1] < shown.step for m in candidates)
    best = "best layer with each seed" if len(winner.repeats) > 1 else "best layer"
    found = {}
    for area in winner.areas:
        committed = shown.committed.get(area) is not None
        names = [name for name in shown.similarity if name.startswith(f"{area}:")]
        key = "committed" if committed else "best"
        correlations = {
            name: _correlate(there, name, committed, shown.step) for name in (area, *names)
        }
        drawn = _shuffles(shown, area, key)
        found[area] = Evidence(
            area,
            "committed" if committed else best,
            Comparison(
                _similarity(winner, area, committed, shown.step),
                {_shorten(n): _similarity(winner, n, committed, shown.step) for n in names}
                | _bound_within(shown, area, key),
                tuple(v for v in drawn if v is not None),
            ),
            Comparison(
                correlations[area],
                {_shorten(name): correlations[name] for name in names},
                _correlate_shuffles(rungs, area, key, len(drawn)),
            ),
            len(rungs),
            stopped,
            among,
        )
    return found


def _similarity(shown: Measurement, target: str, committed: bool, step: int) -> float | None:
    rung = shown.rung(step)
    if committed:
        return rung.committed.get(target)
    return average_best(shown, target, step) if target in rung.similarity else None


def _shuffles(rung: Rung, area: str, key: str) -> Sequence[float | None]:
    return rung.shuffles.get(area, {}).get(key, ())


def _bound_within(rung: Rung, area: str, key: str) -> dict[str, float | None]:
    """Return what 95 % of the shuffles within categories (or other groups) do not exceed."""
    start = f"{area}:shuffled-within-"
    found: dict[str, float | None] = {}
    for name in rung.shuffles:
        drawn = [v for v in _shuffles(rung, name, key) if v is not None]
        if name.startswith(start) and len(drawn) >= FEWEST_SHUFFLES:
            within = name.removeprefix(start)
            found[f"95 % of shuffles within {within}"] = float(np.quantile(drawn, SHARE))
    return found


def _correlate(
    shown: Sequence[Measurement], target: str, committed: bool, step: int
) -> float | None:
    return _rank_correlation(
        [one.rung(step).performance for one in shown],
        [_similarity(one, target, committed, step) for one in shown],
    )


def _correlate_shuffles(
    rungs: Sequence[Rung], area: str, key: str, number: int
) -> tuple[float, ...]:
    performance = [rung.performance for rung in rungs]
    found = []
    for k in range(number):
        values = [drawn[k] if k < len(drawn := _shuffles(r, area, key)) else None for r in rungs]
        found.append(_rank_correlation(performance, values))
    return tuple(r for r in found if r is not None)


def _rank_correlation(
    first: Sequence[float | None], second: Sequence[float | None]
) -> float | None:
    from scipy.stats import rankdata

    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if len(pairs) < FEWEST_CANDIDATES:
        return None
    ranks = rankdata(np.array(pairs), axis=0)
    if (np.ptp(ranks, axis=0) == 0).any():
        return None
    return float(np.corrcoef(ranks.T)[0, 1])


def _shorten(name: str) -> str:
    return name.partition(":")[2]


def _say(found: Comparison) -> str:
    """Say what a number exceeds, what it does not, and what it could not be compared with."""
    above: list[str] = []
    below: list[str] = []
    if found.exceeds_shuffles is not None:
        (above if found.exceeds_shuffles else below).append(
            f"95 % of {len(found.shuffles)} shuffles ({found.share:.0%})"
        )
    for names, said in ((found.exceeded, above), (found.not_exceeded, below)):
        said += [f"{name} ({found.controls[name]:.3f})" for name in names]
    unknown = [f"{name} (undefined)" for name in found.not_compared]
    if found.exceeds_shuffles is None and found.shuffles:
        unknown.append(f"shuffles ({len(found.shuffles)} defined, {FEWEST_SHUFFLES} needed)")
    parts = [f"exceeds {_join(above, 'and')}"] if above else []
    parts += [f"does not exceed {_join(below, 'or')}"] if below else []
    parts += [f"could not be compared with {_join(unknown, 'or')}"] if unknown else []
    return ", but ".join(parts) or "was compared with no control"


def _join(parts: list[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"
