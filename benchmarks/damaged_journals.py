"""What does a damaged journal read as?

    python benchmarks/damaged_journals.py --times 400
    python benchmarks/damaged_journals.py --times 400 --run full "full half" "full killed"

Copies of the journal of a search, finished and killed half-way, of one that stops candidates early
and confirms the winner, with two seeds and controls, and of a merged run are damaged:
a bit, a byte, a block of zeros, bytes taken out, an end cut off, a value, a row or two rows
exchanged behind SQLite's back, or the log that SQLite keeps beside the file. Each copy is read,
its status said, and it is gone on with; where it is refused, it is repaired. Counted is what reads
as it was, what is refused, and what should not be: what reads as something else, errors that are
not the journal's own, and repairs that hold anything but the beginning of what there was.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from halved_candidates import RUNGS, HalvedTask

from brainguided.controllers import LocalSearch
from brainguided.journal.attempts import STOPPED
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.means import average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.journal.merge import merge_runs
from brainguided.journal.repair import repair_journal
from brainguided.search.orders import Again, Batch, Schedule
from brainguided.search.run import SearchError, run_search
from brainguided.search.status import describe_status
from brainguided.spaces import small_space
from brainguided.testing import MadeUpTask, evaluate

FILE = "journal.db"
RUNS = ("whole", "half", "full", "full half", "merged", "killed", "full killed")


@dataclass(frozen=True)
class SeededTask(HalvedTask):
    """A task with two seeds, areas and a control, whose candidates may be stopped early."""

    seeds: int = 2


def measure(architecture: Any, task: SeededTask, *, seed: int, bars: Any = ()) -> SimpleNamespace:
    """Return all that a measurement can hold, until the rung at which the bars stop it."""
    number = int(architecture.key[:8], 16)
    if number % 13 == 0:
        raise ValueError("too deep")
    repeats = []
    for k in range(task.seeds):
        draw = np.random.default_rng((number, seed, k))
        rungs = []
        for step in RUNGS:
            layers, (loss, committed, best) = draw.random((2, 2, 3)), draw.random(3)
            named = [dict(zip(("a", "b", "c"), row.tolist(), strict=True)) for row in layers[0]]
            found = {"V4": named[0], "IT": named[1], "IT:pixels": {**named[0], "c": None}}
            shuffles = {"IT": {"best": [float(best), None], "committed": [float(committed), 0.1]}}
            share = round(number % 97 / 97 * step / 10 + 0.01 * float(loss), 6)
            rungs.append(Rung(step, share, float(loss), step, found, {"IT": 0.1}, shuffles))
        repeats.append(Repeat(seed + k, tuple(rungs), draw.random(RUNGS[-1]).tolist()))
    given = Measurement(("V4", "IT"), repeats[0].rungs, {"paths": 3.0}, (), tuple(repeats))
    measured = average_repeats(given)
    stopped = [step for step, bar in bars if not task.reward(measured.up_to(step)) > bar]
    measured = measured.up_to(stopped[0]) if stopped else measured
    return SimpleNamespace(
        outcome="done", reason="", performance=measured.rung().performance,
        guidance=measured.guidance(), reward=None if stopped else task.reward(measured),
        measurement=measured, n_parameters=1, examples=measured.rung().examples,
    )  # fmt: skip


def go_on(
    out: Path, *, seed: int = 3, candidates: int = 30, stop: int | None = None, full: bool = False
) -> None:
    made = []
    task: Any = SeededTask() if full else MadeUpTask(failing=5)

    def evaluate_until(architecture: Any, task: Any, *, seed: int, bars: Any = ()) -> Any:
        made.append(seed)
        if stop is not None and len(made) > stop:
            raise KeyboardInterrupt
        if full:
            return measure(architecture, task, seed=seed, bars=bars)
        return evaluate(architecture, task, seed=seed)

    controller = LocalSearch(small_space(3), seed=seed, initial=5, unique=False)
    with suppress(KeyboardInterrupt):
        run_search(
            controller,
            task,
            candidates=candidates,
            out=out,
            evaluate=evaluate_until,
            schedule=Schedule(Batch(5), again=Again(confirm=2 if full else 0, repeat=0)),
        )


def read(out: Path) -> tuple[Any, ...]:
    """Return all that can be known of a run; what only says how far it is comes last."""
    with Journal.read(out) as journal:
        return (
            journal.config,
            journal.events(),
            [*journal.attempts(), *journal.attempts_again()],
            journal.timings_of_attempts(),
            journal.snapshot(),
            journal.last_session(),
            journal.confirming(),
            journal.progress(),
        )


def damage_bytes(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    place, kind = chance.randrange(len(content)), chance.randrange(5)
    if kind == 0:
        content[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        content[place] = chance.randrange(256)
    elif kind == 2:
        length = len(content[place : place + chance.choice((16, 512, 4096))])
        content[place : place + length] = bytes(length)
    elif kind == 3:
        del content[place : place + chance.choice((1, 512, 4096))]
    else:
        del content[place:]
    path.write_bytes(content)
    return ("bit", "byte", "zeros", "bytes out", "cut")[kind]


def damage_rows(path: Path, chance: random.Random) -> str:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [name for (name,) in file.execute(query)]
        table = chance.choice(tables)
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
        rows = file.execute(f"SELECT * FROM {table}").fetchall()
        if not rows:
            return "nothing"
        row = chance.choice(rows)
        where = " AND ".join(f"{name} IS ?" for name in columns)
        kind = chance.choice(("value", "value", "row out", "row twice"))
        try:
            if kind == "row out":
                file.execute(f"DELETE FROM {table} WHERE {where}", row)
            elif kind == "row twice":
                marks = ", ".join("?" * len(row))
                twin = [v + 1000 if k == 0 and isinstance(v, int) else v for k, v in enumerate(row)]
                file.execute(f"INSERT INTO {table} VALUES ({marks})", twin)
            else:
                column = chance.randrange(len(columns))
                value = alter(row[column], chance)
                file.execute(
                    f"UPDATE {table} SET {columns[column]} = ? WHERE {where}", (value, *row)
                )
        except sqlite3.IntegrityError:
            return "nothing"
        return kind


def alter(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str) and value:
        place = chance.randrange(len(value))
        return value[:place] + chance.choice("0123456789ax") + value[place + 1 :]
    if isinstance(value, int | float):
        return value + chance.choice((1, -1, 2**31))
    return 0.5


def damage_log(path: Path, chance: random.Random) -> str:
    """Leave a log beside the file as a driver that was killed does, and damage it."""
    log = path.with_name(f"{FILE}-wal")
    if not log.exists():
        return damage_bytes(path, chance)
    return f"log: {damage_bytes(log, chance)}"


def judge(out: Path, right: tuple[Any, ...], seed: int | None, *, full: bool) -> str:
    """Return what becomes of a damaged journal."""
    try:
        found = read(out)
        describe_status(out)
        if seed is not None:
            go_on(out, seed=seed, full=full)
    except (JournalError, SearchError):
        return judge_repair(out, right)
    except Exception as error:
        return f"FOREIGN ERROR {type(error).__name__}: {error}"
    if found[:-1] == right[:-1]:
        return "reads as it was"
    # The end of a log that was not written is an earlier moment of the same search
    begun = all(
        list(a)[: len(b)] == list(b) for a, b in zip(right[1:3], found[1:3], strict=True)
    ) and found[0] in (right[0], None)
    return "reads as it was earlier" if begun else "READS AS SOMETHING ELSE"


def judge_repair(out: Path, right: tuple[Any, ...]) -> str:
    try:
        repair_journal(out)
        found = read(out)
    except JournalError:
        return "refused, nothing to recover"
    except Exception as error:
        return f"FOREIGN ERROR of repair {type(error).__name__}: {error}"
    known = {(a.candidate, a.attempt): a for a in right[2]}
    same = all(is_same(known.get((a.candidate, a.attempt)), a) for a in found[2])
    if same and found[1] == right[1][: len(found[1])] and found[0] in (right[0], None):
        return "refused, its beginning recovered"
    return "REPAIRED TO SOMETHING ELSE"


def is_same(one: Any, other: Any) -> bool:
    """Return whether two attempts are; one that failed or was stopped has no reward until told."""
    if one is None:
        return False
    if one.outcome == other.outcome == "failed" or one.reason == other.reason == STOPPED:
        return bool(vars(one) | {"reward": None} == vars(other) | {"reward": None})
    return bool(one == other)


def make_runs(folder: Path) -> dict[str, tuple[Path, int | None]]:
    go_on(folder / "whole")
    go_on(folder / "full", full=True)
    go_on(folder / "full half", full=True, stop=14)
    go_on(folder / "half", stop=12)
    go_on(folder / "other", seed=4)
    merge_runs([folder / "whole", folder / "other"], folder / "merged")
    for name in ("killed", "full killed"):  # with its log beside it
        killed = folder / name
        killed.mkdir()
        source = folder / f"source of {name}"
        go_on(source, stop=9, full=name.startswith("full"))
        with Journal.open(source) as journal:
            journal.begin_session(workers="none")
            for part in (FILE, f"{FILE}-wal"):
                shutil.copy(source / part, killed / part)
    return {
        "whole": (folder / "whole", 3),
        "half": (folder / "half", 3),
        "full": (folder / "full", 3),
        "full half": (folder / "full half", 3),
        "merged": (folder / "merged", None),
        "killed": (folder / "killed", 3),
        "full killed": (folder / "full killed", 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", choices=RUNS, nargs="+", default=list(RUNS), help="damage these")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    kinds: Counter[str] = Counter()
    became: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        runs = make_runs(Path(place))
        right = {}
        for name, (out, _) in runs.items():  # to read one that was killed takes up its log
            unspoilt = Path(place) / f"unspoilt {name}"
            right[name] = read(shutil.copytree(out, unspoilt))
        for number in range(options.times):
            name = chance.choice(options.run)
            copy = Path(place) / f"copy{number}"
            copy.mkdir()
            for part in (FILE, f"{FILE}-wal"):
                if (runs[name][0] / part).exists():
                    shutil.copy(runs[name][0] / part, copy / part)
            way = (
                damage_log
                if name.endswith("killed")
                else chance.choice((damage_bytes, damage_rows))
            )
            kind = way(copy / FILE, chance)
            found = judge(copy, right[name], runs[name][1], full=name.startswith("full"))
            if found.isupper() or found[:3].isupper():
                print(f"{number}, {name}, {kind}: {found}", flush=True)
            kinds[kind] += 1
            became[found] += 1
            shutil.rmtree(copy)
    for title, counts in (("damage", kinds), ("became", became)):
        print(f"{title}: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))


if __name__ == "__main__":
    main()
