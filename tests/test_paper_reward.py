"""The paper's reward gives what the searches of version 0.1 gave, bit for bit.

``tests/earlier/paper`` holds three run files and what version 0.1 made of them: a teacher of two
areas with checkpoints, half the weight with candidates that diverge, and accuracy alone after a
warm start.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from brainguided import Journal, run_search
from brainguided.candidates.evaluation import evaluate
from brainguided.settings.run_file import load_run

EARLIER = Path(__file__).parent / "earlier" / "paper"
EXPECTED = json.loads((EARLIER / "expected.json").read_text())
NUMBERS = ("performance", "guidance", "reward")
KEPT = ("candidate", "attempt", "architecture", "seed", "outcome", "n_parameters", "examples",
        "duplicate_of")  # fmt: skip


def compare_with(expected, found):
    """Return what a number has to equal: itself where sums come out the same, else nearly so.

    Processors of one name add up in different orders (the first similarity then differs by 1e-8),
    and what torch says of them does not tell: whether they do is seen in the first candidate.
    """
    first = [attempt for attempt in expected["attempts"] if attempt["guidance"]][:1]
    same = torch.__version__ == EXPECTED["torch"] and all(
        found[attempt["candidate"]].guidance == attempt["guidance"] for attempt in first
    )
    return lambda value: value if same or value is None else pytest.approx(value, abs=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("paper")
    for path in EARLIER.glob("*.toml"):
        text = path.read_text().replace("[task]\n", '[task]\nbatch_norm = "running"\n')
        (made / path.name).write_text(text)
    shutil.copytree(EARLIER / "run", made / "reinforce")  # the warm start of another
    return made


def stop_at(number):
    """Return an evaluation that is interrupted at its nth call."""
    calls = []

    def evaluate_some(*arguments, seed):
        calls.append(seed)
        if len(calls) == number:
            raise KeyboardInterrupt
        return evaluate(*arguments, seed=seed)

    return evaluate_some


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("name", ["reinforce", "evolution", "warm"])
def test_the_paper_reward_gives_the_journals_of_before_also_after_a_stop(name, folder, tmp_path):
    def search(**options):
        run = load_run(folder / f"{name}.toml")
        return run_search(
            run.controller,
            run.task,
            candidates=run.candidates,
            out=tmp_path,
            schedule=run.schedule,
            **options,
        )

    with pytest.raises(KeyboardInterrupt, match="Nothing is lost"):
        search(evaluate=stop_at(6))
    search()
    expected = EXPECTED[name]
    with Journal.read(tmp_path) as journal:
        events, found = journal.events(), journal.attempts()
    like = compare_with(expected, found)
    assert [kind for kind, _ in events] == [kind for kind, _ in expected["events"]]
    for (_, payload), (_, before) in zip(events, expected["events"], strict=True):
        rewards, earlier = payload.pop("rewards", []), before.get("rewards", [])
        assert payload == {key: value for key, value in before.items() if key != "rewards"}
        assert rewards == [like(value) for value in earlier]
    for attempt, before in zip(found, expected["attempts"], strict=True):
        assert {key: getattr(attempt, key) for key in KEPT} == {key: before[key] for key in KEPT}
        assert attempt.reason[:40] == before["reason"]
        for number in NUMBERS:
            assert getattr(attempt, number) == like(before[number])
        if before["outcome"] == "failed":
            continue
        for area, layers in before["similarity"].items():
            assert attempt.similarity[area] == {one: like(r) for one, r in layers.items()}
        for entry in before["history"]:
            rung = attempt.measurement.rung(entry["step"])
            assert rung.performance == like(entry["performance"])
            assert attempt.measurement.guidance(entry["step"]) == like(entry["guidance"])
    winner = json.loads((tmp_path / "winner.json").read_text())
    assert winner["candidate"] == expected["winner"]
