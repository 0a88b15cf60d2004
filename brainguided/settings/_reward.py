"""The reward of a run file: a preset with its settings, or a function of the user's own."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from brainguided.guidance.rewards import (
    FunctionReward,
    PaperReward,
    Reward,
    RobustReward,
    WeightedReward,
    check_keep,
)
from brainguided.settings.toml import KINDS, check_keys, nest_problems, read_toml, say_unknown

PRESETS: dict[str, tuple[Any, dict[str, str]]] = {  # what makes each, and its settings
    "paper": (PaperReward, {"alpha": "number", "rung": "whole"}),
    "weighted": (WeightedReward, {"terms": "numbers"}),
    "robust": (RobustReward, {"weights": "weights"}),
}
_WHERE = "[reward] "


def make_reward(
    table: dict[str, Any] | None, alpha: Any, folder: Path, problems: list[str]
) -> Reward:
    """Return the reward of a [reward] table; problems are noted, and then it is the paper's.

    Parameters
    ----------
    table : dict or None
        None where there is no such table.
    alpha : number or None
        That of [task], where files of before have it.
    folder : Path
        Of the run file, where a file that it names is looked for.
    problems : list of str
        Grows.
    """
    if table is None:
        known = type(alpha) in (int, float) and isfinite(alpha)
        return _try(PaperReward, {"alpha": float(alpha)} if known else {}, problems)
    if alpha is not None:
        problems.append("[task] alpha and [reward] say the same; keep [reward] alone")
    if "function" in table:
        return _read_function(table, folder, problems)
    if "preset" not in table:
        problems.append(f'{_WHERE}has neither a preset nor a function; e.g. preset = "paper"')
        return PaperReward()
    name = table["preset"]
    if name not in PRESETS:
        problems.append(say_unknown(f"{_WHERE}preset ", str(name), list(PRESETS)))
        return PaperReward()
    make, settings = PRESETS[name]
    given = {key: value for key, value in table.items() if key != "preset"}
    before = check_keys(_WHERE, given, settings)
    if not before and isinstance(given.get("weights"), str):
        given["weights"] = _read_weights(given["weights"], folder, before)
    problems += before
    return PaperReward() if before else _try(make, given, problems)


def note_keep(
    table: dict[str, Any], rungs: tuple[int, ...], reward: Reward, problems: list[str]
) -> None:
    """Note why candidates cannot be stopped early, where [task] asks for that."""
    try:
        check_keep(table.get("keep"), rungs, reward)
    except ValueError as cause:
        problems += nest_problems("[task] ", cause)


def _read_weights(name: str, folder: Path, problems: list[str]) -> dict[str, float] | None:
    """Return the weights of a TOML file, its table [weights]; None for "default"."""
    if name == "default":
        return None
    try:
        weights = read_toml(folder / name, "file of weights").get("weights")
    except (FileNotFoundError, ValueError) as cause:
        problems.append(f"{_WHERE}weights: {cause}")
        return None
    if not isinstance(weights, dict) or not KINDS["numbers"][0](weights):
        problems.append(
            f'{_WHERE}weights: {name} has no table [weights] of numbers, as "V4@50" = 1'
        )
        return None
    return weights


def _try(make: Any, given: dict[str, Any], problems: list[str]) -> Reward:
    try:
        made: Reward = make(**given)
        return made
    except (TypeError, ValueError) as cause:
        problems += nest_problems(_WHERE, ValueError(str(cause)))
    return PaperReward()


def _read_function(table: dict[str, Any], folder: Path, problems: list[str]) -> Reward:
    """Return a function that stands in a file beside the run file."""
    before = check_keys(_WHERE, table, {"function": "text"})
    file, _, name = str(table["function"]).rpartition(":")
    if not before and not (file and name.isidentifier()):
        before.append(
            f"{_WHERE}function is {table['function']!r}, expected a file and a function in it, "
            'e.g. "my_reward.py:score"'
        )
    elif not before and not (folder / file).is_file():
        before.append(f"{_WHERE}function: {folder / file} does not exist")
    problems += before
    if before:
        return PaperReward()
    try:
        return FunctionReward(file, name, (folder / file).read_text(encoding="utf-8"))
    except Exception as cause:  # whatever the user's file raises
        problems.append(f"{_WHERE}function: {type(cause).__name__}: {cause}")
    return PaperReward()
