"""What an evaluation or a peer may say: numbers become numbers, the rest fails that candidate."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from itertools import count
from types import SimpleNamespace

import fake_task
import numpy as np
import pytest
import torch
from fake_task import FakeTask
from folder_workers import attempt

from brainguided.controllers import RandomSearch
from brainguided.engines.attempt import MeasurementError, Outcome, run_attempt
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.jobs import make_folder, place, read_json
from brainguided.journal.attempts import Timing
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.search.run import run_search
from brainguided.spaces import small_space

TIMING = Timing(1.0, 1.0, 2.0, "host", 1)


def deep(levels):
    value = 0.5
    for _ in range(levels):
        value = [value]
    return value


def endless():
    value = {}
    value["again"] = value
    return value


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no")


NUMBERS = {
    "an array of no dimensions": np.array(0.5),
    "a number of numpy": np.float32(0.5),
    "a tensor": torch.tensor(0.5),
    "a tensor that learns": torch.tensor(0.5, requires_grad=True),
    "a half": np.float16(0.5),
    "a long double": np.longdouble(0.5),
    "a number that could be masked": np.ma.array(0.5, mask=False),
}
NONE = {
    "an array": ({"reward": np.full(3, 0.5)}, r"reward is ndarray of shape \(3,\); expected a num"),
    "a tensor of one": ({"reward": torch.ones(1)}, r"reward is Tensor of shape \(1,\)"),
    "text": ({"reward": "0.5"}, "reward is '0.5'; expected a number or None"),
    "a boolean": ({"reward": True}, "reward is True"),
    "a boolean of numpy": ({"reward": np.True_}, "reward is True"),
    "a masked number": ({"reward": np.ma.masked}, r"reward is MaskedConstant of shape \(\)"),
    "a masked array": ({"reward": np.ma.array(0.5, mask=True)}, "reward is MaskedArray of shape"),
    "a time": ({"examples": np.timedelta64(1, "s")}, r"examples is timedelta64 of shape \(\)"),
    "a date": ({"reward": np.datetime64("2020-01-01")}, "reward is datetime64 of shape"),
    "a complex number": ({"performance": 1j}, "performance is of type complex"),
    "not a number": ({"reward": float("nan")}, "^nan$"),
    "infinite": ({"reward": np.array(np.inf)}, "^nan$"),
    "a large integer": ({"n_parameters": 2**63}, "n_parameters is an integer of 64 bits"),
    "a larger one": ({"reward": 10**400}, "reward is an integer of 1329 bits"),
    "a negative count": ({"examples": -1}, "examples is -1; expected a whole"),
    "a deep list": ({"history": [{"x": deep(50)}]}, "nested more than 8 deep"),
    "a list in itself": ({"history": [endless()]}, "nested more than 8 deep"),
    "a large integer below": ({"history": [{"x": [2**64]}]}, "integer of 65 bits"),
    "half a surrogate pair": ({"reason": "\udc80"}, "reason is '.udc80'; expected text"),
    "one in a name": ({"similarity": {"\udc80": {}}}, "a name in similarity is '.udc80'"),
    "a name that is no text": ({"similarity": {4: {}}}, "a name in similarity is 4; expected"),
    "a long text": ({"reason": "x" * 50_000_000}, "reason is text of 50000000 characters"),
    "a long text below": ({"history": [{"x": "x" * 50_000_000}]}, "text of 50000000 characters"),
    "many values": ({"history": [{"x": [0.0] * 300_000}]}, "more than 200000 values"),
    "many characters": ({"history": [{"x": "y" * 9_999}] * 200}, "or 1048576 characters"),
    "many of another kind": ({"history": tuple(range(10**6))}, "history is 0; .*; 995 more"),
    "values without end": (
        {"measurement": SimpleNamespace(areas=(), rungs=(), statistics={}, losses=count())},
        "measurement: losses holds more than 200000 values",
    ),
    "another outcome": ({"outcome": "perfect"}, "outcome is 'perfect'; expected 'done' or 'f"),
    "a list for a mapping": ({"similarity": [1]}, "similarity is of type list; expected a mapping"),
    "an object": ({"history": [{"x": object()}]}, "of type object; expected numbers, text"),
    "no measurement": ({"measurement": 3}, "measurement is 3; expected a brain"),
    "rungs in disorder": (
        {"measurement": Measurement((), (Rung(3), Rung(0)))},
        r"measurement has rungs \[3, 0\]; expected ascending steps",
    ),
    "a rung of text": (
        {"measurement": Measurement((), (Rung(0, performance="a"),))},
        "measurement: performance is 'a'; expected a number",
    ),
    "no rung": ({"measurement": {"areas": []}}, "expected a brainguided Measurement"),
    "two at once": ({"reward": "a", "examples": 0.5}, "reward is 'a'.*; examples is 0.5"),
}


def measure(**changes):
    return SimpleNamespace(
        **{**vars(fake_task.succeed(SimpleNamespace(depth=2), 0, 0.5)), **changes}
    )


def attempt_with(**changes):
    text = RandomSearch(small_space(3), seed=1).ask(1)[0].to_json()
    return run_attempt(lambda *_, seed: measure(**changes), text, FakeTask(), 1)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_scalar_of_any_library_is_a_number(name):
    given = NUMBERS[name]
    rung = Rung(np.int64(3), performance=given, similarity={"IT": {"layer1": given}})
    measurement = Measurement(("IT",), (rung,), {"depth": given}, (given,))
    outcome = attempt_with(reward=given, measurement=measurement)
    assert outcome.values["outcome"] == "done"
    assert outcome.values["reward"] == 0.5
    plain = Rung(3, performance=0.5, similarity={"IT": {"layer1": 0.5}})
    expected = Measurement(("IT",), (plain,), {"depth": 0.5}, (0.5,))
    assert outcome.to_fields()["measurement"] == expected
    assert json.loads(json.dumps(outcome.values, allow_nan=False)) == outcome.values


def test_similarities_and_a_history_of_before_become_a_measurement():
    history = [{"step": 0, "performance": 0.1, "guidance": 0.25}, {"step": 4, "performance": 0.3}]
    given = {"similarity": {"IT": {"layer1": 0.5}}, "history": history, "performance": 0.3}
    measured = attempt_with(measurement=None, guidance=0.5, **given).to_fields()["measurement"]
    assert measured.steps == (0, 4)
    assert measured.similarity == {"IT": {"layer1": 0.5}}
    assert (measured.guidance(0), measured.guidance()) == (0.25, 0.5)
    assert measured.value("performance@0") == 0.1


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_measurement_fails_with_the_reason(name):
    changes, said = NONE[name]
    outcome = attempt_with(**changes)
    assert outcome.values["outcome"] == "failed"
    assert outcome.values["reward"] is None
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(outcome.values["reason"].removeprefix("no measurement: "))
    assert len(outcome.values["reason"]) <= 2000
    json.dumps(outcome.values, allow_nan=False, ensure_ascii=False).encode("utf-8")


def raise_surrogates():
    raise ValueError("\udc80 \x1b[31m red \x00")


def raise_unspeakable():
    raise Unspeakable


def cancel():
    raise asyncio.CancelledError("of a task")


def raise_at_length():
    raise ValueError("x" * 50_000_000)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (raise_surrogates, r"error: ValueError: \udc80 \x1b[31m red \x00"),
        (raise_unspeakable, "error: Unspeakable: (without a message)"),
        (raise_at_length, "error: ValueError: xxx"),
        (cancel, "error: CancelledError: of a task"),
    ],
)
def test_errors_that_no_file_can_hold_are_made_plain(fault, reason):
    text = RandomSearch(small_space(3), seed=1).ask(1)[0].to_json()
    outcome = run_attempt(lambda *_, seed: fault(), text, FakeTask(), 1)
    assert outcome.values["reason"].startswith(reason)
    assert len(outcome.values["reason"]) <= 2000
    assert len(outcome.log) < 70_000
    outcome.log.encode("utf-8")


def test_what_is_no_evaluation_at_all_is_said():
    text = RandomSearch(small_space(3), seed=1).ask(1)[0].to_json()
    outcome = run_attempt(lambda *_, seed: 0.5, text, FakeTask(), 1)
    assert outcome.values["reason"].startswith("no measurement: evaluate returned float without")
    assert "expected a brainguided.Evaluation" in outcome.values["reason"]


def test_odd_values_fail_their_candidates_alone_and_the_journal_goes_on(tmp_path):
    odd = [changes for changes, _ in NONE.values()] + [{"reward": v} for v in NUMBERS.values()]

    calls = []

    def evaluate(architecture, task, *, seed):
        calls.append(seed)
        which, rest = divmod(len(calls), 3)  # a search of failures alone would rightly stop
        return measure(**(odd[which % len(odd)] if rest == 0 else {}))

    def search(candidates, evaluate):
        return run_search(
            RandomSearch(small_space(3), seed=1), FakeTask(), candidates=candidates,
            out=tmp_path, evaluate=evaluate,
        )  # fmt: skip

    n = 3 * len(odd) + 9  # some are proposed twice
    run = search(n, evaluate)
    assert len(calls) >= 3 * len(odd)
    assert (run["outcome"].values == "failed").sum() >= len(NONE)
    search(n + 3, fake_task.evaluate)
    with Journal.read(tmp_path) as journal:
        assert len(journal.results()) == n + 3


# Files of peers


@pytest.mark.parametrize(
    ("values", "timing", "said"),
    [
        ({"outcome": "perfect"}, vars(TIMING), "outcome is 'perfect'"),
        ({"outcome": "done", "x": 1}, vars(TIMING), "there is no x"),
        ({"reward": 1.0}, vars(TIMING), "there is no outcome"),
        ({"outcome": "done", "reward": 2**64}, vars(TIMING), "integer of 65 bits"),
        ({"outcome": "failed"}, {**vars(TIMING), "pid": 2**70}, "timing"),
        ({"outcome": "failed"}, {**vars(TIMING), "host": ["h"]}, "timing"),
        ({"outcome": "failed"}, {**vars(TIMING), "seconds": "1"}, "timing"),
        ({"outcome": "failed"}, {"seconds": 1.0}, "no timing"),
        ([], vars(TIMING), "no values"),
    ],
)
def test_a_result_of_a_peer_keeps_to_the_schema_or_counts_as_lost(tmp_path, values, timing, said):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", "0000000-1"))
        text = json.dumps({**job, "values": values, "timing": timing})
        place(tmp_path, "results", "0000000-1").write_text(text)
        with pytest.raises(Exception, match=f"The result 0000000-1 is none: .*{said}"):
            future.result(20)


def make_pipe(path):
    os.mkfifo(path)


def make_link(path):
    target = path.with_name("secret")
    target.write_text("{}")
    path.symlink_to(target)


def make_large(path):
    with open(path, "wb") as file:
        file.write(b'{"log": "')
        file.truncate(17 * 2**20)


def make_deep(path):
    path.write_text('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}")


def make_digits(path):
    path.write_text('{"x": ' + "9" * 5_000 + "}")


def make_nan(path):
    path.write_text('{"x": NaN}')


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize(
    "make", [make_pipe, make_link, make_large, make_deep, make_digits, make_nan, os.mkdir]
)
def test_what_is_no_regular_bounded_file_of_json_is_not_read(tmp_path, make):
    make_folder(tmp_path)
    path = place(tmp_path, "results", "0000000-1")
    make(path)
    found = []
    thread = threading.Thread(target=lambda: found.append(read_json(path)), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [None], "a pipe would be waited for without end"


def test_an_outcome_is_validated_where_it_is_made():
    with pytest.raises(MeasurementError, match="reward is 'a'"):
        Outcome({"outcome": "done", "reward": "a"}, TIMING)
    assert Outcome({"outcome": "done", "reward": np.nan}, TIMING).values == {
        "outcome": "failed", "reason": "nan", "reward": None,
    }  # fmt: skip
