"""Recurrent architectures: a few areas, each with recurrent connections unrolled in time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Relu
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    is_count,
    key_problems,
    read_parts,
    refuse,
)

RECURRENCES = ("additive", "bottleneck")
EXPANSION = 4  # of the inner convolution of a bottleneck


@dataclass(frozen=True)
class RecurrentArea:
    """Recurrent area: how wide it is and how it is unrolled in time.

    Parameters
    ----------
    width : int
        Channels of its state.
    kernel : int
        Of its convolutions; odd.
    times : int
        Steps in time; with 1 the area is feed-forward.
    recurrence : {"additive", "bottleneck"}
        "additive": the state is a convolution of input plus last state, as in CORnet-RT;
        "bottleneck": the state passes 1x1, kernel and 1x1 convolutions and is added to itself at
        the first step's input, as in CORnet-S.
    """

    width: int
    kernel: int = 3
    times: int = 2
    recurrence: str = "bottleneck"

    def __post_init__(self) -> None:
        problems = count_problems(self, "width", "times")
        if not (is_count(self.kernel) and self.kernel % 2):
            problems.append(f"kernel is {self.kernel!r}, expected an odd positive int")
        if self.recurrence not in RECURRENCES:
            known = ", ".join(RECURRENCES)
            problems.append(f"recurrence is {self.recurrence!r}, expected one of {known}")
        refuse(problems, "a recurrent area")


@dataclass(frozen=True)
class RecurrentArchitecture(Architecture):
    """Chain of areas, each recurrent within itself, after CORnet [1]_.

    Weights of convolutions are shared over time, batch norms are not. Each area halves the map
    with its input convolution. Observed are the states of the areas after their last step,
    ``area1`` ...

    Parameters
    ----------
    areas : tuple of RecurrentArea

    References
    ----------
    .. [1] Kubilius et al. 2019, Brain-like object recognition with high-performing shallow
       recurrent ANNs, section 2.
    """

    kind: ClassVar[str] = "recurrent"
    areas: tuple[RecurrentArea, ...]

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.areas, tuple) or not all(
            isinstance(area, RecurrentArea) for area in self.areas
        ):
            problems.append(f"areas is {self.areas!r}, expected a tuple of RecurrentArea")
        elif not self.areas:
            problems.append("it has no areas; at least one is needed")
        refuse(problems, "a recurrent architecture")

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the areas, unrolled."""
        draft = Draft(in_channels)
        last = draft.add(
            "stem",
            "image",
            ("conv", Conv(self.areas[0].width, (3, 3))),
            ("norm", Norm()),
            ("relu", Relu(alone=True)),
        )
        observed = []
        for number, area in enumerate(self.areas, 1):
            add = _add_additive if area.recurrence == "additive" else _add_bottleneck
            last = add(draft, f"area{number}", last, area)
            observed.append(last)
        return draft.finish(last, n_classes, observed)

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> RecurrentArchitecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, ("areas",))
        refuse(problems)
        areas = read_parts(RecurrentArea, data["areas"], "area", problems)
        refuse(problems)
        return cls(areas)


def _add_input(draft: Draft, name: str, source: str, area: RecurrentArea) -> str:
    conv = Conv(area.width, (area.kernel, area.kernel), (2, 2))
    return draft.add(
        f"{name}_input", source, ("conv", conv), ("norm", Norm()), ("relu", Relu(alone=True))
    )


def _add_additive(draft: Draft, name: str, source: str, area: RecurrentArea) -> str:
    entry = _add_input(draft, name, source, area)
    state, conv = "", Conv(area.width, (area.kernel, area.kernel))
    for time in range(1, area.times + 1):
        drive = (entry, state) if state else (entry,)
        shared = f"{name}_conv" if time > 1 else ""
        own = f"{name}_conv" if time == 1 else f"{name}_conv_time{time}"
        turned = draft.add(own, drive, ("conv", conv), merge="add", shares=shared)
        state = _add_norm(draft, name, "state", turned, time, area.times)
    return state


def _add_norm(draft: Draft, name: str, what: str, source: str, time: int, times: int) -> str:
    own = name if what == "state" and time == times else f"{name}_{what}_time{time}"
    return draft.add(own, source, ("norm", Norm()), ("relu", Relu(alone=True)))


def _add_bottleneck(draft: Draft, name: str, source: str, area: RecurrentArea) -> str:
    entry = _add_input(draft, name, source, area)
    wide = area.width * EXPANSION
    convs = (
        Conv(wide, (1, 1)),
        Conv(wide, (area.kernel, area.kernel)),
        Conv(area.width, (1, 1)),
    )
    state = entry
    for time in range(1, area.times + 1):
        turned = state
        for number, conv in enumerate(convs, 1):
            first = f"{name}_conv{number}"
            own, shared = (first, "") if time == 1 else (f"{first}_time{time}", first)
            turned = draft.add(own, turned, ("conv", conv), shares=shared)
            if number < len(convs):
                turned = _add_norm(draft, name, f"norm{number}", turned, time, area.times)
        normed = draft.add(f"{name}_norm3_time{time}", turned, ("norm", Norm()))
        own = name if time == area.times else f"{name}_state_time{time}"
        state = draft.add(own, (normed, state), ("relu", Relu(alone=True)), merge="add")
    return state
