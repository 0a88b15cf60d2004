"""The line that says how far a search is."""

from __future__ import annotations

import sys

from brainguided.journal.attempts import Attempt, Timing
from brainguided.search import progress as progress_module
from brainguided.search.progress import Progress, open_bar


def end(candidate, outcome="done", reward=0.5, **more):
    return Attempt(
        candidate=candidate, attempt=1, architecture="{}", key="k", seed=1, outcome=outcome,
        reward=reward, examples=100, **more,
    )  # fmt: skip


def test_the_line_counts_and_foresees():
    progress = Progress(20, 4, now=100.0)
    timing = Timing(8.0, 0.0, 8.0, "here", 1)
    line = progress.describe(end(4), timing, done=5, running=2, waiting=3, workers=2, now=110.0)
    assert line == (
        "candidate 4 (attempt 1) done: reward 0.5000, 8.0 s; 5 of 20 done; 2 running; 3 waiting; "
        "workers busy 40%; 10 images/s; ends in about 2 min"
    )
    line = progress.describe(
        end(5, "failed", None, reason="nan"), timing, done=6, running=2, waiting=0, workers=2,
        now=110.0,
    )  # fmt: skip
    assert "failed: nan, 8.0 s; 6 of 20 done; 1 failed; 2 running; workers busy 80%" in line
    assert line.endswith("ends in about 70 s")


def test_the_line_says_p_beside_chance():
    config = {"task": {"images": {"classes": 8, "validation": 640}}}
    progress = Progress(20, 4, now=0.0, config=config)
    told = {"done": 5, "running": 2, "waiting": 3, "workers": 2, "now": 10.0}
    line = progress.describe(end(4, performance=0.25), None, **told)
    assert "done: reward 0.5000, P 0.2500 (chance 0.125); 5 of 20 done" in line
    line = progress.describe(end(5, performance=0.13), None, **told)
    assert "P 0.1300 (chance 0.125: no better than guessing);" in line
    line = progress.describe(end(6, "failed", None, reason="nan"), None, **told)
    assert "chance" not in line


def test_nothing_is_foreseen_at_the_end_or_before_anything_ended():
    progress = Progress(5, 4, now=0.0)
    lost = progress.describe(
        end(4, "lost", None), None, done=4, running=1, waiting=0, workers=None, now=1.0
    )
    assert "ends in" not in lost
    assert "busy" not in lost
    done = progress.describe(end(4), None, done=5, running=0, waiting=0, workers=1, now=2.0)
    assert "ends in" not in done


def test_several_hosts_are_told_apart_the_least_busy_first():
    progress = Progress(20, 0, now=0.0)
    for candidate, (host, pid) in enumerate((("north", 1), ("north", 2), ("south", 1))):
        line = progress.describe(
            end(candidate), Timing(6.0, 0.0, 6.0, host, pid), done=candidate + 1, running=3,
            waiting=0, workers=3, now=10.0,
        )  # fmt: skip
    assert "workers busy 60% (north 60%, south 60%)" in line
    line = progress.describe(
        end(3), Timing(3.0, 6.0, 9.0, "south", 1), done=4, running=3, waiting=0, workers=3, now=10.0
    )
    assert "workers busy 70% (north 60%, south 90%)" in line


def test_a_bar_that_nobody_watches_is_written_once_a_minute(capsys, monkeypatch):
    def show(watched):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
        monkeypatch.setattr(progress_module._log, "isEnabledFor", lambda level: False)
        with open_bar(True, 50, 0) as bar:
            for ended in range(1, 51):
                bar(end(ended), ended)
        return capsys.readouterr().err

    assert "50/50" in show(True)
    assert "best 0.5000" in show(True)
    assert show(False) == ""
    monkeypatch.setattr(progress_module, "_LINE_EVERY", 0.0)
    assert "50/50" in show(False)  # what takes longer does say so
