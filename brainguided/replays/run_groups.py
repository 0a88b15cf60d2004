"""Runs of searches side by side: which of them are repetitions of one search with other seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.journal.differing_settings import find_differences, flatten_settings
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
        The tasks differ, a run is given twice, was merged of several or has no candidate; all
        such problems at once.
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
    if not problems:
        problems = _find_unlike(folders, configs, different_tasks)
    if problems:
        raise JournalError("These runs cannot be compared:" + "".join(problems))
    labels = label_groups([_settings(config) for config in configs])
    names = _tell_apart(folders)
    return [
        GroupedRun(name, int(config["seed"]), label, tuple(results), config)
        for name, label, (config, results) in zip(names, labels, found, strict=True)
    ]


def label_groups(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return for each run the label of its group: the fewest settings that tell all groups apart.

    Parameters
    ----------
    settings : sequence of mapping of str to str
        Of each run by dotted names, as JSON.

    Returns
    -------
    list of str
        The same for runs of the same settings, e.g. "random" and "evolution", or "alpha = 0.0"
        and "alpha = 1.0". Where there is one group, the name of its controller.
    """
    rows = [tuple(sorted(one.items())) for one in settings]
    groups = list(dict.fromkeys(rows))
    known = [dict(group) for group in groups]
    differing = find_differing(known)
    order = sorted(
        differing, key=lambda n: (_FIRST.index(n) if n in _FIRST else len(_FIRST), n.count("."), n)
    )
    taken: list[str] = []
    while _count(known, taken) < len(groups):
        taken.append(max(order, key=lambda name: _count(known, [*taken, name])))
    shorts = [name.split(".")[-1] for name in taken]
    labels = {}
    for group, one in zip(groups, known, strict=True):
        parts = [
            _say(one.get(name))
            if name == "controller.name"
            else f"{short if shorts.count(short) == 1 else name} = {_say(one.get(name))}"
            for name, short in zip(taken, shorts, strict=True)
        ]
        labels[group] = ", ".join(parts) or _say(one.get("controller.name"))
    return [labels[row] for row in rows]


def find_differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the dotted names of the settings that are not the same everywhere, sorted."""
    names = sorted({name for one in settings for name in one})
    return [name for name in names if len({one.get(name) for one in settings}) > 1]


def find_unlabelled(runs: Sequence[GroupedRun]) -> list[str]:
    """Return the settings in which groups differ and of which their labels say nothing.

    Settings of a controller go with its name, and are left out where that differs.
    """
    settings = {run.group: _settings(run.config) for run in runs}
    names = find_differing(list(settings.values()))
    said = [n for n in names if all(_names(group, n, one) for group, one in settings.items())]
    by_name = "controller.name" in names
    return [n for n in names if n not in said and not (by_name and n.startswith("controller."))]


def _names(label: str, name: str, settings: Mapping[str, str]) -> bool:
    """Whether a label holds a setting."""
    return f"{name.split('.')[-1]} = {_say(settings.get(name))}" in label


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


def _find_unlike(
    folders: Sequence[Path], configs: Sequence[dict[str, Any]], different_tasks: bool
) -> list[str]:
    """Return what forbids to compare runs: other tasks, and a run that is given twice."""
    problems = []
    names = [str(folder) for folder in folders]
    if not different_tasks and (lines := find_task_differences(configs, names)):
        problems.append(
            " their tasks differ, so that P and similarities are not of the same things. Compare "
            f"runs of one task, or all the same with different_tasks=True:{lines}"
        )
    for k, folder in enumerate(folders):
        for other, config in zip(folders[:k], configs[:k], strict=True):
            if not find_differences(config, configs[k], ("", "")):
                problems.append(f"\n{folder} is the same search as {other}, with the same seed")
    return problems


def find_task_differences(configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return a line for every setting in which a task differs from the first; "" for none.

    Parameters
    ----------
    configs : sequence of mapping
        Settings of searches.
    names : sequence of str
        What to call the searches.
    """
    tasks = [{k: v for k, v in config["task"].items() if k not in _FREE} for config in configs]
    lines = [
        line
        for task, name in zip(tasks, names, strict=True)
        for line in find_differences(tasks[0], task, (f"in {names[0]}", f"in {name}"))
    ]
    return "".join(dict.fromkeys(lines))


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a search but its seeds, and where its data lie."""
    return {
        name: value
        for name, value in flatten_settings(config)
        if name not in _SEEDS and name.split(".")[-1] != "source"
    }


def _count(settings: Sequence[Mapping[str, str]], names: Sequence[str]) -> int:
    """Return how many of the settings some names tell apart."""
    return len({tuple(one.get(name) for name in names) for one in settings})


def _say(value: str | None) -> str:
    return "none" if value in (None, "null") else str(value).strip('"')


def _tell_apart(folders: Sequence[Path]) -> list[str]:
    """Return names of folders: the last parts of their paths, as many as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for number in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-number:]) for one in parts]
        if len(set(names)) == len(names):
            break
    return names
