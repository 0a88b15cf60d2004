"""The parts of a run file that are made by name: space, controller, limits and schedule."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from brainguided.candidates.images import ImageSet
from brainguided.candidates.rivals import RIVALS
from brainguided.controllers.contract import Controller
from brainguided.controllers.limits import Limits
from brainguided.controllers.policy_search import Learning
from brainguided.controllers.screen import COUNTS, Screen
from brainguided.search.orders import Again, Batch, Completion, Index, Order, Schedule
from brainguided.settings.presets import CONTROLLERS, SPACES
from brainguided.settings.toml import check_keys, nest_problems, say_unknown, show
from brainguided.spaces import SearchSpace

ORDERS = ("batch", "completion", "index")
CHOICE = {"name": "text", "warm_start": "text", "warm_start_anyway": "truth"}
_LEARNING = {  # the fields of Learning stand in the table itself
    "hidden": "whole",
    "batch_size": "whole",
    "learning_rate": "number",
    "bias_rate": "number",
    "baseline_decay": "number",
    "entropy_weight": "number",
    "init": "number",
}
_MOST = 100_000  # that any count of a space or controller may be
SCREEN = {"statistic": "text", "of": "whole"}

LIMITS = {
    "max_parameters": "whole",
    "max_multiply_adds": "whole",
    "hours": "number",
    "examples": "whole",
}
WINNER = {"confirm": "whole", "repeat": "whole"}


def _choose(
    where: str, table: dict[str, Any], key: str, choices: dict[str, Any], problems: list[str]
) -> str | None:
    """Return the name chosen, the first by default; None if it is none of those known."""
    name = table.get(key, next(iter(choices)))
    if not isinstance(name, str):
        problems.append(f"{where}{key} is {show(name)}, expected one of {', '.join(choices)}")
    elif name not in choices:
        problems.append(say_unknown(f"{where}{key} ", name, list(choices)))
    return name if isinstance(name, str) and name in choices else None


def make_schedule(
    table: dict[str, Any], limits: dict[str, Any], winner: dict[str, Any], problems: list[str]
) -> Schedule:
    """Return the order of asking and telling, the deadline of an evaluation, and the end."""
    order, timeout = _make_order(table, problems), table.get("timeout")
    if isinstance(timeout, int | float) and timeout <= 0:
        problems.append(f"timeout is {timeout}, expected a positive number of seconds")
    before = check_keys("[winner] ", winner, WINNER)
    problems += before
    candidates, confirm = table.get("candidates"), winner.get("confirm")
    if type(candidates) is type(confirm) is int and confirm > candidates > 0:
        problems.append(
            f"[winner] confirm is {confirm}, expected at most the {candidates} candidates"
        )
    try:
        again = Again() if before else Again(**winner)
    except ValueError as cause:
        problems += nest_problems("[winner] ", cause)
    if problems or check_keys("", limits, LIMITS):  # said where the limits of size are read
        return Schedule()
    ends = {key: limits[key] for key in ("hours", "examples") if key in limits}
    try:
        return Schedule(order, timeout, again=again, **ends)
    except ValueError as cause:
        problems += nest_problems("[limits] ", cause)
    return Schedule()


def _make_order(table: dict[str, Any], problems: list[str]) -> Order:
    """Return the order: a name, or a table of the name with its number.

    Earlier files have the number in a key of its own.
    """
    given = table.get("order", "batch")
    earlier = {key: table[key] for key in ("round_size", "lag") if key in table}
    if not isinstance(given, str | dict):
        return Batch()
    if isinstance(given, dict):
        problems += [f"{key} and order = {{...}} say the same; keep order alone" for key in earlier]
        if len(given) != 1:
            problems.append("order is a table of one name and its number, e.g. {index = 24}")
            return Batch()
    number: Any
    ((name, number),) = given.items() if isinstance(given, dict) else ((given, None),)
    if name not in ORDERS:
        problems.append(say_unknown("order ", name, list(ORDERS)))
        return Batch()
    for key, owner in (("round_size", "batch"), ("lag", "index")):
        if key in earlier and name != owner:
            problems.append(f"{key} belongs to the order '{owner}', not to '{name}'")
        elif key in earlier and number is None:
            number = earlier[key]
    if name == "completion":
        if number is not None:
            problems.append("order 'completion' takes no number; expected order = \"completion\"")
        return Completion()
    if name == "index" and number is None:
        problems.append(
            "order 'index' needs its lag, about three times the workers: order = {index = 24}"
        )
        return Batch()
    try:
        return Index(number) if name == "index" else Batch(8 if number is None else number)
    except ValueError as cause:
        problems += nest_problems("order: ", cause)
    return Batch()


def list_settings(function: Callable[..., Any]) -> dict[str, str]:
    """Return the settings of a function, named by their defaults, and what each has to be."""
    kinds = {bool: "truth", int: "whole", float: "number", str: "text", tuple: "wholes"}
    parameters = signature(function).parameters
    own = {
        name: "texts"
        if isinstance(setting.default, tuple) and "str" in str(setting.annotation)
        else kinds[type(setting.default)]
        for name, setting in parameters.items()
        if type(setting.default) in kinds and name != "seed"
    }
    return own | _LEARNING if "learning" in parameters else own


def _check_counts(where: str, table: dict[str, Any]) -> list[str]:
    """Return which counts are so large that memory would end before any work."""
    return [
        f"{where}{key} is {show(value)}, expected at most {_MOST:,}"
        for key, value in table.items()
        for count in (value if isinstance(value, list) else [value])
        if type(count) is int and count > _MOST
    ]


def make_space(table: dict[str, Any], problems: list[str]) -> SearchSpace | None:
    """Return the space of a [space] table; None, with problems noted, if it is none."""
    where = "[space] "
    name = _choose(where, table, "preset", SPACES, problems)
    if name is None:
        return None
    before = check_keys(where, table, {"preset": "text", **list_settings(SPACES[name])})
    before += _check_counts(where, table)
    problems += before
    if before:
        return None
    given = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in table.items()
        if key != "preset"
    }
    try:
        return SPACES[name](**given)
    except ValueError as cause:
        problems += nest_problems(where, cause)
    return None


def make_limits(table: dict[str, Any], problems: list[str]) -> Limits | None:
    """Return the limits of a [limits] table; None if there are none."""
    before = check_keys("[limits] ", table, LIMITS)
    problems += before
    sizes = {key: value for key, value in table.items() if key.startswith("max_")}
    if before or not sizes:
        return None
    try:
        return Limits(**sizes)
    except ValueError as cause:
        problems += nest_problems("[limits] ", cause)
    return None


def check_screen(table: dict[str, Any], problems: list[str], *, own: bool) -> None:
    """Note what is wrong with a [screen] table, of a task of the user's own if so."""
    before = check_keys("[screen] ", table, SCREEN)
    problems += before
    statistic = table.get("statistic", COUNTS)
    if own and statistic == "gradient_norm":
        problems.append("[screen] statistic 'gradient_norm' is of classification; take another")
    try:
        if not before:  # images are not loaded yet
            Screen(COUNTS if statistic in RIVALS else statistic, of=table.get("of", 10))
    except ValueError as cause:
        problems += nest_problems("[screen] ", cause)


def make_screen(table: dict[str, Any], images: ImageSet) -> Screen | None:
    """Return the screen of a [screen] table that was checked; None if there is none."""
    if not table:
        return None
    n_classes, size = len(images.classes), images.image_size
    return Screen(**table, n_classes=n_classes, image_size=size, images=images)


def make_controller(
    table: dict[str, Any],
    space: SearchSpace | None,
    seed: Any,
    limits: Limits | None,
    problems: list[str],
) -> Controller | None:
    """Return the controller of a [controller] table; None, with problems noted, if it is none."""
    where = "[controller] "
    name = _choose(where, table, "name", CONTROLLERS, problems)
    if name is None:
        return None
    settings = list_settings(CONTROLLERS[name])
    before = check_keys(where, table, {**CHOICE, **settings}) + _check_counts(where, table)
    problems += before
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in table.items()
        if key not in CHOICE
    }
    if before or space is None or type(seed) is not int or seed < 0:
        return None
    try:
        if settings.keys() >= _LEARNING.keys():
            learning = {key: given.pop(key) for key in _LEARNING if key in given}
            given["learning"] = Learning(**learning)
        return CONTROLLERS[name](space, seed=seed, limits=limits, **given)
    except (ValueError, ImportError) as cause:
        problems += nest_problems(where, ValueError(str(cause)))
    return None


def find_weights(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return where the [task] of a run file keeps weights, and whether exact ones."""
    place = folder / table["weights"] if "weights" in table else None
    return {"weights": place, "exact_weights": table.get("exact_weights", False)}
