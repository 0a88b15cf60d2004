"""What a simulated macaque is made of: areas, animals, noise, time course, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from neural_data.simulation.area import (
    STAGES,
    USUAL_LATENCY,
    USUAL_STAGE,
    SimulatedArea,
    as_tuple,
    is_whole,
)
from neural_data.simulation.noise import Noise, PoissonNoise, is_number, raise_values
from neural_data.simulation.time_course import TimeCourse

__all__ = ["Macaque"]

WINDOW_MS = (70, 170)
_LATEST = 150.0  # ms: the response begins well before the window ends
_JITTERS = 2.0  # SDs from the mean at which the latency of a site is cut off


@dataclass(frozen=True, kw_only=True)
class Macaque:
    """Settings of a simulated recording of V4 and IT, for `simulate_macaque(macaque=)`.

    Parameters
    ----------
    v4, it : SimulatedArea
        Origin, reliability and latency of the sites of each area.
    animals : int or sequence of str
        Number or names of the animals, among which the sites of an area are dealt out in turn.
    noise : PoissonNoise or GaussianNoise
        Independent between animals and between sessions.
    time : TimeCourse, optional
        The recording then has time bins; without it, one response in the window from 70 to
        170 ms.
    sessions : int, optional
        Sessions of each animal, in which its sites were recorded in turn. Each session shows its
        own number of repetitions of a stimulus, so that sites miss different presentations.
        Without it all sites of all animals saw the same presentations.
    left_out : float
        Fraction of the stimuli that each session does not show at all, 0 to below 1; every
        stimulus is shown in some session. Needs sessions.

    Raises
    ------
    ValueError
        If numbers or names are unfit; all are named.

    Examples
    --------
    >>> from neural_data.simulation.noise import GaussianNoise
    >>> macaque = Macaque(it=SimulatedArea(reliability=0.8), animals=3,
    ...     noise=GaussianNoise(fano=1.5), time=TimeCourse(bin_width=20))
    >>> macaque.animals
    ('sim1', 'sim2', 'sim3')
    """

    v4: SimulatedArea = field(default_factory=SimulatedArea)
    it: SimulatedArea = field(default_factory=SimulatedArea)
    animals: int | Sequence[str] = ("sim1", "sim2")
    noise: Noise = field(default_factory=PoissonNoise)
    time: TimeCourse | None = None
    sessions: int | None = None
    left_out: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}, expected a {kind}"
            for name, value, kind, kinds in (
                ("v4", self.v4, "SimulatedArea", SimulatedArea),
                ("it", self.it, "SimulatedArea", SimulatedArea),
                ("noise", self.noise, "PoissonNoise or a GaussianNoise", Noise),
                ("time", self.time, "TimeCourse or None", TimeCourse | None),
            )
            if not isinstance(value, kinds)
        ]
        if not problems:
            for area in ("V4", "IT"):
                problems += self._check_latency(area)
        problems += self._check_animals()
        if self.sessions is not None and not is_whole(self.sessions, 1):
            problems.append(f"sessions is {self.sessions!r}, expected a whole number of 1 or more")
        if not (is_number(self.left_out) and 0 <= self.left_out < 1):
            problems.append(f"left_out is {self.left_out!r}, expected a fraction from 0 to below 1")
        elif self.left_out and self.sessions is None:
            problems.append(
                "left_out is given without sessions; stimuli that one session leaves out are "
                "shown in others: give sessions"
            )
        raise_values("Macaque", problems)

    def _check_animals(self) -> list[str]:
        given: Any = self.animals
        if is_whole(given, 1):
            object.__setattr__(self, "animals", tuple(f"sim{i + 1}" for i in range(int(given))))
            return []
        names = () if isinstance(given, str | bool) else as_tuple(given)
        fit = all(isinstance(name, str) and name for name in names)
        if not names or not fit or len(set(names)) < len(names):
            return [f"animals is {given!r}, expected a number above 0 or a list of unique names"]
        object.__setattr__(self, "animals", tuple(str(name) for name in names))
        return []

    def _check_latency(self, area: str) -> list[str]:
        chosen = get_area(self, area)
        if self.time is None:
            if chosen.latency is None and chosen.latency_jitter is None:
                return []
            return [f"{area.lower()} has a latency, but there is no time course: give time"]
        mean, jitter = find_latency(self, area)
        first, last = mean - _JITTERS * jitter, mean + _JITTERS * jitter
        if first < 0 or last > _LATEST:
            return [
                f"latencies of {area.lower()} lie between {first:g} and {last:g} ms (mean "
                f"{mean:g}, SD {jitter:g}, cut off at 2 SD), expected 0 to {_LATEST:g} ms"
            ]
        return []


def get_animals(macaque: Macaque) -> list[str]:
    """Return the names of the animals."""
    given = macaque.animals
    return [f"sim{i + 1}" for i in range(given)] if isinstance(given, int) else list(given)


def get_area(macaque: Macaque, area: str) -> SimulatedArea:
    """Return what the macaque says about an area."""
    return macaque.v4 if area == "V4" else macaque.it


def find_latency(macaque: Macaque, area: str) -> tuple[float, float]:
    """Return mean and SD over sites of the latency of an area in ms."""
    chosen = get_area(macaque, area)
    mean, jitter = USUAL_LATENCY[area]
    return (
        mean if chosen.latency is None else float(chosen.latency),
        jitter if chosen.latency_jitter is None else float(chosen.latency_jitter),
    )


def cut_off_latency(mean: float, jitter: float, normal: float) -> float:
    """Return the latency of a site in ms from its standard normal number."""
    return mean + jitter * min(max(normal, -_JITTERS), _JITTERS)


def lay_out_sites(macaque: Macaque, n_v4: int, n_it: int) -> dict[str, np.ndarray]:
    """Return labels over site: `site`, `area`, `number` in it, `animal`, `origin`, `session`.

    Site k of an area belongs to animal k modulo their number; the sites of an animal take the
    stages of origin in turn, and those of one stage the sessions.
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("site", "area", "number", "animal", "origin", "session")
    }
    names = get_animals(macaque)
    for area, n_sites in (("V4", n_v4), ("IT", n_it)):
        stages = tuple(get_area(macaque, area).origin or (USUAL_STAGE[area],))
        for k in range(n_sites):
            animal, turn = names[k % len(names)], k // len(names)
            session = turn // len(stages) % (macaque.sessions or 1)
            columns["site"].append(f"{animal}_{area}_{k:03d}")
            columns["area"].append(area)
            columns["number"].append(k)
            columns["animal"].append(animal)
            columns["origin"].append(stages[turn % len(stages)])
            columns["session"].append(f"{animal}_s{session + 1}")
    return {name: np.array(values) for name, values in columns.items()}


def describe_macaque(macaque: Macaque) -> dict[str, Any]:
    """Return everything that was chosen as plain data for JSON."""
    described: dict[str, Any] = {"areas": {}}
    for area in ("V4", "IT"):
        chosen = asdict(get_area(macaque, area))
        chosen["origin"] = list(chosen["origin"] or (USUAL_STAGE[area],))
        if macaque.time is not None:
            chosen["latency"], chosen["latency_jitter"] = find_latency(macaque, area)
        described["areas"][area] = chosen
    described["stages"] = {name: stage._asdict() for name, stage in STAGES.items()}
    described["animals"] = get_animals(macaque)
    described["noise"] = {"kind": type(macaque.noise).__name__, **asdict(macaque.noise)}
    described["window_ms"] = list(WINDOW_MS)
    described["time"] = None if macaque.time is None else asdict(macaque.time)
    described["sessions"] = macaque.sessions
    described["left_out"] = macaque.left_out
    return described
