"""One run out of several that were made apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.journal.confirmed import SECOND_SEED, Confirming
from brainguided.journal.differing_settings import find_differences
from brainguided.journal.journal import FILE_NAME, Journal, JournalError


def merge_runs(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> xr.Dataset:
    """Put the candidates of several searches into one run folder.

    For searches of the same task on clusters that do not reach each other, each with another seed
    or controller. Candidates are numbered anew, run after run; none is left out, so an
    architecture that two searches evaluated is there twice, with the seed of each. The runs
    themselves are only read.

    Parameters
    ----------
    runs : sequence of path
        Run folders, at least two. A search that still runs gives what it has.
    out : path
        A new run folder. `write_report`, `run_finalists`, `table_from_run` and the warm start of a
        controller read it as any other; a search cannot go on in it. Of an architecture that is
        there twice, `table_from_run` takes the first evaluation.

    Returns
    -------
    xarray.Dataset
        The merged run, see `journal.exports.build_run`; ``attrs["config"]`` holds the settings that
        are common, and those of each search under "merged". Its front is that of the objectives
        that all searches learned from; where these differ, of P, TG and fewer parameters.

    Raises
    ------
    FileNotFoundError
        A folder has no journal.
    JournalError
        The tasks differ, or each run standardises its reward by its own first candidates
        (`RobustReward`), so rewards cannot be compared; two runs are the same search; or `out`
        holds a run already.
    ValueError
        Fewer than two runs.
    """
    folders = [Path(run) for run in runs]
    if len(folders) < 2:
        raise ValueError(f"Merging takes at least two runs, {len(folders)} given.")
    configs = [_read_config(folder) for folder in folders]
    _refuse_unlike(folders, configs)
    shared = [
        name
        for name in ("task", "space")
        if not any(find_differences(configs[0][name], c[name], ("", "")) for c in configs)
    ]
    config: dict[str, Any] = {name: configs[0][name] for name in shared}
    config["merged"] = [
        {name: value for name, value in config_.items() if name not in shared}
        for config_ in configs
    ]
    made = [path for path in (Path(out), *Path(out).parents) if not path.exists()]
    new = not (Path(out) / FILE_NAME).exists()
    try:
        with Journal.open(out) as journal:
            if journal.config is not None:
                raise JournalError(f"{journal.path} holds a run already; choose another folder.")
            with journal.one_transaction():
                journal.begin(config)
                journal.begin_session(workers=f"merged from {', '.join(map(str, folders))}")
                first = 0
                for folder in folders:
                    first = _copy(folder, journal, first)
                _note_confirming(folders, journal)
            new = False  # it is a run now
            return journal.export()
    finally:
        if new:
            _remove_journal(Path(out), made)


def _remove_journal(out: Path, made: Sequence[Path]) -> None:
    """Remove a journal that was only begun, and the folders made for it."""
    for suffix in ("", "-wal", "-shm"):
        (out / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
    (out / "journal.lock").unlink(missing_ok=True)
    with suppress(OSError):
        for folder in made:
            folder.rmdir()


def _read_config(folder: Path) -> dict[str, Any]:
    with Journal.read(folder) as journal:
        config = journal.config
    if config is None or "task" not in config:
        raise JournalError(f"{folder} was only begun and holds no settings of a search.")
    if "merged" in config:
        raise JournalError(
            f"{folder} is itself a merged run; give the runs it was made of "
            "(table 'session', column 'workers')."
        )
    return config


def _refuse_unlike(folders: Sequence[Path], configs: Sequence[dict[str, Any]]) -> None:
    """Refuse runs whose rewards cannot be compared, and a run that is given twice."""
    problems = []
    for k, (folder, config) in enumerate(zip(folders, configs, strict=True)):
        where = (f"in {folders[0]}", f"in {folder}")
        differences = find_differences(configs[0]["task"], config["task"], where)
        if differences:
            problems.append(f"\n{folder} has another task:" + "".join(differences))
        if first := (config["task"].get("reward") or {}).get("first"):
            problems.append(
                f"\n{folder} standardises its reward by its own first {first} candidates, so its "
                "rewards are on a scale of their own; compare the runs one by one with a reward "
                "that is the same in each, e.g. report --reward 'P+committed TG'"
            )
        for other, known in zip(folders[:k], configs[:k], strict=True):
            if not find_differences(known, config, ("", "")):
                problems.append(f"\n{folder} is the same search as {other}, with the same seed")
    if problems:
        raise JournalError("These runs cannot be merged:" + "".join(problems))


def _copy(folder: Path, journal: Journal, first: int) -> int:
    """Copy every candidate that has ended; return the number of the next one."""
    with Journal.read(folder) as source:
        attempts, timings = source.attempts(), source.timings_of_attempts()
        again = source.attempts_again()
    ended = sorted({a.candidate for a in attempts if a.outcome != "lost"})
    number = {candidate: first + k for k, candidate in enumerate(ended)}
    for attempt in [*attempts, *again]:
        if attempt.candidate not in number:
            continue
        owner = attempt.duplicate_of
        journal.record_attempt(
            replace(
                attempt,
                candidate=number[attempt.candidate],
                duplicate_of=None if owner is None else number[owner],
            ),
            timings.get((attempt.candidate, attempt.attempt)),
        )
    return first + len(ended)


def _note_confirming(folders: Sequence[Path], journal: Journal) -> None:
    """Note what the runs were to evaluate with other seeds, and what of that is missing."""
    notes, missing = [], 0
    for folder in folders:
        with Journal.read(folder) as source:
            noted, made = source.confirming(), source.again()
        if noted is None:  # of a version that noted nothing, or nothing was to be confirmed
            noted = Confirming(len({a.candidate for a in made if a.again > SECOND_SEED}), len(made))
        missing += max(0, noted.evaluations - len(made))
        hindered = f"{noted.hindered} in {folder}" if noted.hindered else ""
        notes.append(replace(noted, hindered=hindered))
    whole = Confirming(
        sum(noted.number for noted in notes),
        missing,
        "; ".join(noted.hindered for noted in notes if noted.hindered),
    )
    if any(noted.evaluations for noted in notes):
        journal.note_confirming(whole)
        made = journal.again()  # of those that compete in the merged run
        journal.note_confirming(replace(whole, evaluations=len(made) + missing))
