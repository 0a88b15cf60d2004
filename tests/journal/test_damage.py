"""No journal that was damaged reads as something else, and what came before can be recovered."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import fake_task
import pytest
from fake_task import FakeTask

from brainguided.__main__ import main
from brainguided.controllers import LocalSearch
from brainguided.journal import Journal, JournalError, repair_journal
from brainguided.search import Batch, Schedule, run_search
from brainguided.spaces import small_space


def go_on(out, candidates=20):
    return run_search(
        LocalSearch(small_space(3), seed=3, initial=5, unique=False), FakeTask(failing=5),
        candidates=candidates, out=out, evaluate=fake_task.evaluate, schedule=Schedule(Batch(5)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    go_on(out)
    return out


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copy(whole / "journal.db", tmp_path / "journal.db")
    return tmp_path


def read(out):
    """Return all that can be known of a run."""
    with Journal.read(out) as journal:
        return (
            journal.config, journal.events(), journal.attempts(), journal.timings_of_attempts(),
            journal.snapshot(), journal.last_session(), journal.progress(),
        )  # fmt: skip


def damage_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return the content with a byte or bit changed, a block of zeros, or an end cut off."""
    changed = bytearray(content)
    place = chance.randrange(len(changed))
    kind = chance.randrange(4)
    if kind == 0:
        changed[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        changed[place] = chance.randrange(256)
    elif kind == 2:
        changed[place : place + 64] = bytes(len(changed[place : place + 64]))
    else:
        del changed[place:]
    return bytes(changed)


@pytest.mark.parametrize(
    "times", [60, pytest.param(400, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_journal_with_damaged_bytes_is_refused_or_reads_as_it_was(whole, tmp_path, times):
    right = read(whole)
    content = (whole / "journal.db").read_bytes()
    chance, refused = random.Random(7), 0
    for _ in range(times):
        (tmp_path / "journal.db").write_bytes(damage_bytes(content, chance))
        try:
            found = read(tmp_path)
        except JournalError:
            refused += 1
            continue
        assert found[:-1] == right[:-1]
        assert found[-1] in (right[-1], None), "how far it was may be unknown, never wrong"
    assert refused > times / 3


ROWS = {
    "UPDATE search SET config = replace(config, '\"seed\":3', '\"seed\":4')": "the settings is",
    "UPDATE evaluation SET performance = 0.9 WHERE candidate = 7": "candidate 7, attempt 1 is",
    "UPDATE evaluation SET architecture = replace(architecture, '8', '9') WHERE candidate = 3": (
        "candidate 3, attempt 1 is"
    ),
    "DELETE FROM evaluation WHERE candidate = 9": "candidate 9, attempt 1 is",
    "DELETE FROM event WHERE seq = 3": "event 3 is",
    "UPDATE event SET payload = replace(payload, '0.', '1.') WHERE seq = 1": "event 1 is",
    "UPDATE timing SET seconds = 99 WHERE candidate = 2": "the times of candidate 2, attempt 1",
    "INSERT INTO timing VALUES (99, 1, 1.0, 1.0, 1.0, 'a', 1)": "candidate 99, attempt 1, which",
    "DELETE FROM chain WHERE seq = 12": "entry 12 of its chain",
    "UPDATE chain SET row = link WHERE seq = 5": "entry 5 of its chain",
    "PRAGMA user_version = 2": "has format 2",
    "ALTER TABLE evaluation RENAME COLUMN reward TO rewards": "are not those of a journal",
}


@pytest.mark.parametrize("change", ROWS)
def test_the_first_bad_row_is_named(copy, change, capsys):
    with closing(sqlite3.connect(copy / "journal.db", isolation_level=None)) as file:
        file.execute(change)
    with pytest.raises(JournalError) as caught:
        Journal.read(copy)
    assert ROWS[change] in str(caught.value)
    for verb in ("status", "report"):
        assert main([verb, str(copy)]) == 1
        assert ROWS[change] in capsys.readouterr().err
    with pytest.raises(JournalError):
        go_on(copy)


@pytest.mark.parametrize("candidate", [0, 7, 19])
def test_what_came_before_the_damage_is_recovered_and_the_search_goes_on(
    whole, copy, candidate, capsys
):
    with closing(sqlite3.connect(copy / "journal.db", isolation_level=None)) as file:
        file.execute("UPDATE evaluation SET seed = 1 WHERE candidate = ?", (candidate,))
    assert main(["repair", str(copy)]) == 0
    assert f"candidate {candidate}, attempt 1" in capsys.readouterr().out
    assert (copy / "journal.damaged.db").is_file()
    with Journal.read(copy) as journal:
        known = {attempt.candidate for attempt in journal.attempts()}
    assert candidate not in known
    assert known == set(range(candidate))
    go_on(copy)
    names = slice(0, 3)  # settings, events and evaluations
    assert read(copy)[names] == read(whole)[names]
    assert repair_journal(copy) == (0, "")


def test_a_journal_without_digests_is_not_repaired(copy):
    with closing(sqlite3.connect(copy / "journal.db", isolation_level=None)) as file:
        file.executescript("DROP TABLE chain; DROP TABLE progress; PRAGMA user_version = 2")
    with pytest.raises(JournalError, match="carries no digests"):
        repair_journal(copy)
