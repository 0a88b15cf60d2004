"""Runs of searches side by side: which of them are repetitions of one search with other seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.journal.differing_settings import (
    find_differences,
    flatten_settings,
    is_held_out,
)
from brainguided.journal.journal import Journal, JournalError

_SEEDS = ("seed", "controller.seed")
_FIRST = ("controller.name", "task.reward.preset", "task.reward.alpha")  # in labels
_FREE = ("reward", "keep", "controls", "rivals")  # parts of a task in which searches may differ


@dataclass(frozen=True, eq=False)
class GroupedRun:
    """One run of a search, and to which group it belongs.

    Attributes
    ----------
    name : str
        Of its folder, with as much of the path as tells it from the others.
    seed : int
        Of the search.
    group : str
        Label of all runs that differ from it in their seeds alone: what differs between groups.
    results : tuple of Attempt
        Final attempts at its candidates, up to the first that has not ended.
    config : mapping
        Settings of the search.
    """

    name: str
    seed: int
    group: str
    results: tuple[Attempt, ...]
    config: Mapping[str, Any]


def group_runs(
    runs: Sequence[str | os.PathLike[str]], *, different_tasks: bool = False
) -> list[GroupedRun]:
    """Read runs and group those that differ in their seeds alone.

    Parameters
    ----------
    runs : sequence of path
        Run folders; they are only read. Of a search that still runs, what it has.
    different_tasks : bool, optional
        Whether the tasks may differ in more than reward, controls, rivals and early stopping: in
        images, stimuli, teachers or training.

    Returns
    -------
    list of GroupedRun
        In the order given.

    Raises
    ------
    FileNotFoundError
        A folder has no journal.
    JournalError
        The tasks differ, a run is given twice, was merged of several or has no candidate, or two
        runs of a group have the same seed; all such problems at once.
    ValueError
        No run is given.
    """
    folders = [Path(run) for run in runs]
    if not folders:
        raise ValueError("No run is given; expected the folders of two or more.")
    found = [_read(folder) for folder in folders]
    configs = [config for config, _ in found]
    problems = [
        f"\n{folder} {problem}"
        for folder, (config, results) in zip(folders, found, strict=True)
        if (problem := _find_problem(config, results))
    ]
    labels: list[str] = []
    if not problems:
        labels = label_groups(_list_settings(configs))
        if not different_tasks:
            problems += _find_other_tasks(folders, configs)
        problems += _find_same_seeds(folders, labels, [int(config["seed"]) for config in configs])
    if problems:
        raise JournalError("These runs cannot be compared:" + "".join(problems))
    names = _tell_apart(folders)
    return [
        GroupedRun(name, int(config["seed"]), label, tuple(results), config)
        for name, label, (config, results) in zip(names, labels, found, strict=True)
    ]


def label_groups(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return for each run the label of its group: few settings that tell all groups apart.

    Parameters
    ----------
    settings : sequence of mapping of str to str
        Of each run by dotted names, as JSON.

    Returns
    -------
    list of str
        The same for runs of the same settings, e.g. "random" and "evolution", or "alpha = 0.0"
        and "alpha = 1.0". Where there is one group, the name of its controller. Values that look
        the same without the quotes of JSON keep them, and beside null what is missing is
        "nothing".
    """
    rows = [tuple(sorted(one.items())) for one in settings]
    groups = list(dict.fromkeys(rows))
    known = [dict(group) for group in groups]
    taken = _find_telling(known)
    shorts = [name.split(".")[-1] for name in taken]
    columns = []
    for name, short in zip(taken, shorts, strict=True):
        what = f"{short if shorts.count(short) == 1 else name} = "
        said = _say_apart([one.get(name) for one in known])
        columns.append([("" if name == "controller.name" else what) + value for value in said])
    labels = {
        group: ", ".join(parts) or _say(dict(group).get("controller.name"))
        for group, *parts in zip(groups, *columns, strict=True)
    }
    return [labels[row] for row in rows]


def _find_telling(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return few settings that tell all others apart, of those that a label begins with first."""
    order = sorted(
        find_differing(settings),
        key=lambda n: (_FIRST.index(n) if n in _FIRST else len(_FIRST), n.count("."), n),
    )
    groups = len({tuple(sorted(one.items())) for one in settings})
    taken: list[str] = []
    while _count(settings, taken) < groups:
        taken.append(max(order, key=lambda name: _count(settings, [*taken, name])))
    return taken


def find_differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the dotted names of the settings that are not the same everywhere, sorted."""
    names = sorted({name for one in settings for name in one})
    return [name for name in names if len({one.get(name) for one in settings}) > 1]


def find_unlabelled(runs: Sequence[GroupedRun]) -> list[str]:
    """Return the settings in which groups differ and of which their labels say nothing.

    Settings of a controller go with its name, and are left out where that differs.
    """
    settings = _list_settings([run.config for run in runs])
    names, said = find_differing(settings), _find_telling(settings)
    by_name = "controller.name" in names
    return [n for n in names if n not in said and not (by_name and n.startswith("controller."))]


def _read(folder: Path) -> tuple[dict[str, Any], list[Attempt]]:
    with Journal.read(folder) as journal:
        config, results = journal.config or {}, journal.results()
    ended = [result for place, result in enumerate(results) if result.candidate == place]
    return config, ended


def _find_problem(config: Mapping[str, Any], results: Sequence[Attempt]) -> str:
    if "merged" in config:
        return "was merged of several searches; give the runs that it was made of"
    if "task" not in config or "seed" not in config:
        return "was only begun and holds no settings of a search"
    if not any(result.outcome == "done" for result in results):
        return "has no candidate that succeeded"
    return ""


def _find_other_tasks(folders: Sequence[Path], configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the tasks that differ, a problem each."""
    lines = find_task_differences(configs, [str(folder) for folder in folders])
    if not lines:
        return []
    return [
        " their tasks differ, so that P and similarities are not of the same things. Compare "
        f"runs of one task, or all the same with different_tasks=True:{lines}"
    ]


def find_task_differences(configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return a line for every setting in which tasks differ from the first; "" for none.

    Parameters
    ----------
    configs : sequence of mapping
        Settings of searches.
    names : sequence of str
        What to call the searches.
    """
    tasks = [{k: v for k, v in config["task"].items() if k not in _FREE} for config in configs]
    first = next((k for k, task in enumerate(tasks) if "held_out" in task), 0)  # says all
    lines = [
        line
        for task, name in zip(tasks, names, strict=True)
        for line in find_differences(tasks[first], task, (f"in {names[first]}", f"in {name}"))
    ]
    return "".join(dict.fromkeys(lines))


def _find_same_seeds(
    folders: Sequence[Path], labels: Sequence[str], seeds: Sequence[int]
) -> list[str]:
    """Return runs of one seed in a group, of which a test over seeds could take only one.

    A run that is given twice is one of them.
    """
    known: dict[tuple[str, int], Path] = {}
    problems = []
    for folder, label, seed in zip(folders, labels, seeds, strict=True):
        other = known.setdefault((label, seed), folder)
        if other is not folder:
            problems.append(
                f"\n{folder} and {other} are both of the group {label!r} and of seed {seed}; "
                "give one of them"
            )
    return problems


def _list_settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the settings of searches but their seeds, and where their data lie.

    What is held out was not always recorded: it is left out where those that say it agree.
    """
    found = [
        {
            name: value
            for name, value in flatten_settings(dict(config))
            if name not in _SEEDS and name.split(".")[-1] != "source"
        }
        for config in configs
    ]
    held = [{n: v for n, v in one.items() if is_held_out(n)} for one in found]
    if len({tuple(sorted(one.items())) for one in held if one}) > 1:
        return found
    return [{n: v for n, v in one.items() if not is_held_out(n)} for one in found]


def _count(settings: Sequence[Mapping[str, str]], names: Sequence[str]) -> int:
    """Return how many of the settings some names tell apart."""
    return len({tuple(one.get(name) for name in names) for one in settings})


def _say(value: str | None) -> str:
    return "none" if value in (None, "null") else str(value).strip('"')


def _say_apart(values: Sequence[str | None]) -> list[str]:
    """Return texts of values of a setting, as different as these."""
    said = [_say(value) for value in values]
    if len(set(said)) == len(set(values)):
        return said
    return ["nothing" if value is None else value for value in values]


def _tell_apart(folders: Sequence[Path]) -> list[str]:
    """Return names of folders: the last parts of their paths, as many as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for number in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-number:]) for one in parts]
        if len(set(names)) == len(names):
            break
    return names
