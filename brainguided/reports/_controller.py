"""How the controller of a search behaved: how varied its proposals were, and what it came to like.

All of it follows from what was asked and told, which every journal holds: of what a controller
keeps to itself nothing is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.reports._candidates import shorten
from brainguided.spaces import SearchSpace

_WINDOWS = 10  # parts of the search that are compared
_MOST = 150  # proposals looked at in each of them
_FEWEST = 8  # proposals in a window
_SHOWN = 12  # decisions

Events = Sequence[tuple[str, dict[str, Any]]]


def describe_controller(config: Mapping[str, Any], events: Events) -> dict[str, Any]:
    """Return what the page shows of the controller, ready for JSON.

    Parameters
    ----------
    config : mapping
        Settings of the search.
    events : sequence of (str, dict)
        As `Journal.events` returns them.

    Returns
    -------
    dict
        ``entropy``: for each window of proposals ``first``, the first candidate of it, ``bits``,
        the entropy of a decision in the mean over those that mattered, and ``uniform``, that of as
        many uniform draws from the space; ``baseline``: ``told`` candidates and the moving average
        of their rewards that a policy compares with, empty for controllers without one;
        ``preferences``: decisions with what was taken most often at the end, ``share``, and how
        often at the beginning and in uniform draws; ``said``: why something is missing.
    """
    found: dict[str, Any] = {"entropy": [], "preferences": [], "said": ""}
    found["baseline"] = trace_baseline(config, events)
    asked = [(event["first_candidate"] + k, text) for kind, event in events if kind == "ask"
             for k, text in enumerate(event["architectures"])]  # fmt: skip
    number = min(_WINDOWS, len(asked) // _FEWEST)
    if "merged" in config:
        found["said"] = "The runs merged here had a controller each: their own pages show it."
        return found
    if number < 2:
        found["said"] = (
            f"{len(asked)} candidates were proposed; from {2 * _FEWEST} on the page compares the "
            "first with the last."
        )
        return found
    try:
        space = SearchSpace.from_description(config.get("space") or {})
        windows = [
            _read_window(space, [asked[k] for k in _thin(part)])
            for part in np.array_split(np.arange(len(asked)), number)
        ]
    except (ValueError, KeyError) as error:
        found["said"] = f"The proposals could not be read as choices of a space: {error}"
        return found
    generator = np.random.default_rng(0)
    size = max(len(rows) for _, rows, _ in windows)
    drawn = [space.sample_actions(generator) for _ in range(size)]
    uniform = _count(space, drawn)
    for first, rows, counts in windows:
        alike = _count(space, drawn[: len(rows)])
        found["entropy"].append(
            {"first": first, "bits": shorten(_average_entropy(counts), 3),
             "uniform": shorten(_average_entropy(alike), 3)}
        )  # fmt: skip
    found["preferences"] = _prefer(space, windows[0][2], windows[-1][2], uniform)
    return found


def trace_baseline(config: Mapping[str, Any], events: Events) -> list[list[float]]:
    """Return, after each update of a policy, how many were told and its moving average of rewards.

    It is recomputed from what was told, by the rule and the settings of the search; without
    advantages, which do not move it. What was known before the first question, of an earlier search
    or of the candidates by which a reward is standardised, is heard at that question, in parts.

    Parameters
    ----------
    config : mapping
        Settings of the search.
    events : sequence of (str, dict)
        As `Journal.events` returns them.

    Returns
    -------
    list of [int, float]
        Empty for controllers without a baseline.
    """
    controller = config.get("controller") or {}
    decay, size = controller.get("baseline_decay"), controller.get("batch_size")
    if decay is None or size is None:
        return []
    phase = ((config.get("task") or {}).get("reward") or {}).get("first", 0)
    mean: float | None = None
    lowest: float | None = None
    before: list[float] = []
    pending: list[float] = []
    told, found = 0, []
    for kind, event in events:
        if kind == "ask" and told >= phase:
            parts = [before[k : k + size] for k in range(0, len(before), size)]
            lowest = min([*before, *_list_known([lowest])], default=None)
            before = []
        elif kind == "earlier" or (kind == "tell" and told < phase):
            before += _list_known(event["rewards"])
            told += len(event["rewards"]) if kind == "tell" else 0
            continue
        elif kind in ("tell", "correct"):
            lowest = min(_list_known([*event["rewards"], lowest]), default=None)
            heard = [lowest if r is None else float(r) for r in event["rewards"]]
            parts = [_list_known(heard)]
            told += len(heard) if kind == "tell" else 0
        else:
            continue
        for part in parts:
            pending += part
            if len(pending) < size:
                continue
            new = float(np.mean(pending))
            mean = new if mean is None else decay * mean + (1 - decay) * new
            found.append([told, round(mean, 5)])
            pending = []
    return found


def _list_known(rewards: Sequence[float | None]) -> list[float]:
    return [float(reward) for reward in rewards if reward is not None]


Window = tuple[int, list[tuple[int, ...]], list[dict[Any, int]]]


def _thin(part: np.ndarray) -> list[int]:
    """Return at most some of the places, evenly spaced."""
    step = -(-len(part) // _MOST)
    places: list[int] = part[::step].tolist()
    return places


def _read_window(space: SearchSpace, asked: Sequence[tuple[int, str]]) -> Window:
    rows = [space.encode(Architecture.from_json(text)) for _, text in asked]
    return asked[0][0], rows, _count(space, rows)


def _count(space: SearchSpace, rows: Sequence[tuple[int, ...]]) -> list[dict[Any, int]]:
    """Return how often each option of each decision was taken, where there was a choice."""
    found = []
    for place, decision in enumerate(space.decisions):
        open_to = space.legal_rows(rows, place).sum(axis=1) > 1
        counts: dict[Any, int] = {}
        for row, free in zip(rows, open_to.tolist(), strict=True):
            if free:
                option = decision.options[row[place]]
                counts[option] = counts.get(option, 0) + 1
        found.append(counts)
    return found


def _average_entropy(counts: Sequence[Mapping[Any, int]]) -> float:
    """Return the entropy of a decision, bits, in the mean over those that were ever open."""
    entropies = []
    for one in counts:
        if one:
            share = np.array(list(one.values()), dtype=float) / sum(one.values())
            entropies.append(float(-(share * np.log2(share)).sum()))
    return float(np.mean(entropies)) if entropies else 0.0


def _prefer(
    space: SearchSpace,
    first: Sequence[Mapping[Any, int]],
    last: Sequence[Mapping[Any, int]],
    uniform: Sequence[Mapping[Any, int]],
) -> list[dict[str, Any]]:
    """Return the decisions whose shares moved most from the first proposals to the last."""

    def share(counts: Mapping[Any, int], option: Any) -> float:
        return counts.get(option, 0) / max(sum(counts.values()), 1)

    moved: list[dict[str, Any]] = []
    for place, decision in enumerate(space.decisions):
        if not first[place] or not last[place]:
            continue
        change = sum(
            abs(share(last[place], o) - share(first[place], o)) for o in decision.options
        ) / 2  # fmt: skip
        option = max(decision.options, key=lambda o: last[place].get(o, 0))
        shares = [round(share(counts[place], option), 3) for counts in (last, first, uniform)]
        row: dict[str, Any] = {
            "decision": decision.name,
            "option": str(option),
            "change": round(change, 3),
        }
        moved.append(row | dict(zip(("last", "first", "uniform"), shares, strict=True)))
    return sorted(moved, key=lambda row: -row["change"])[:_SHOWN]
