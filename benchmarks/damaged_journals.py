"""What does a damaged journal read as?

    python benchmarks/damaged_journals.py --times 400

Copies of the journal of a search, finished and killed half-way, and of a merged run are damaged:
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
from pathlib import Path
from typing import Any

from brainguided.controllers import LocalSearch
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.merge import merge_runs
from brainguided.journal.repair import repair_journal
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import SearchError, run_search
from brainguided.search.status import describe_status
from brainguided.spaces import small_space
from brainguided.testing import MadeUpTask, evaluate

FILE = "journal.db"


def go_on(out: Path, *, seed: int = 3, candidates: int = 30, stop: int | None = None) -> None:
    made = []

    def evaluate_until(architecture: Any, task: Any, *, seed: int) -> Any:
        made.append(seed)
        if stop is not None and len(made) > stop:
            raise KeyboardInterrupt
        return evaluate(architecture, task, seed=seed)

    controller = LocalSearch(small_space(3), seed=seed, initial=5, unique=False)
    with suppress(KeyboardInterrupt):
        run_search(
            controller,
            MadeUpTask(failing=5),
            candidates=candidates,
            out=out,
            evaluate=evaluate_until,
            schedule=Schedule(Batch(5)),
        )


def read(out: Path) -> tuple[Any, ...]:
    """Return all that can be known of a run; what only says how far it is comes last."""
    with Journal.read(out) as journal:
        return (
            journal.config,
            journal.events(),
            journal.attempts(),
            journal.timings_of_attempts(),
            journal.snapshot(),
            journal.last_session(),
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


def judge(out: Path, right: tuple[Any, ...], seed: int | None) -> str:
    """Return what becomes of a damaged journal."""
    try:
        found = read(out)
        describe_status(out)
        if seed is not None:
            go_on(out, seed=seed)
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
    """Return whether two attempts are; a failure not told yet has no reward."""
    if one is None:
        return False
    if one.outcome == other.outcome == "failed":
        return bool(vars(one) | {"reward": None} == vars(other) | {"reward": None})
    return bool(one == other)


def make_runs(folder: Path) -> dict[str, tuple[Path, int | None]]:
    go_on(folder / "whole")
    go_on(folder / "half", stop=12)
    go_on(folder / "other", seed=4)
    merge_runs([folder / "whole", folder / "other"], folder / "merged")
    killed = folder / "killed"  # with its log beside it
    killed.mkdir()
    go_on(folder / "source", stop=9)
    with Journal.open(folder / "source") as journal:
        journal.begin_session(workers="none")
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(folder / "source" / name, killed / name)
    return {
        "whole": (folder / "whole", 3),
        "half": (folder / "half", 3),
        "merged": (folder / "merged", None),
        "killed": (killed, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    kinds: Counter[str] = Counter()
    became: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        runs = make_runs(Path(place))
        shutil.copytree(runs["killed"][0], Path(place) / "unspoilt")
        right = {name: read(out) for name, (out, _) in runs.items() if name != "killed"}
        right["killed"] = read(Path(place) / "unspoilt")
        for number in range(options.times):
            name = chance.choice(list(runs))
            copy = Path(place) / f"copy{number}"
            copy.mkdir()
            for part in (FILE, f"{FILE}-wal"):
                if (runs[name][0] / part).exists():
                    shutil.copy(runs[name][0] / part, copy / part)
            way = damage_log if name == "killed" else chance.choice((damage_bytes, damage_rows))
            kind = way(copy / FILE, chance)
            found = judge(copy, right[name], runs[name][1])
            if found.isupper() or found[:3].isupper():
                print(f"{number}, {name}, {kind}: {found}", flush=True)
            kinds[kind] += 1
            became[found] += 1
            shutil.rmtree(copy)
    for title, counts in (("damage", kinds), ("became", became)):
        print(f"{title}: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))


if __name__ == "__main__":
    main()
