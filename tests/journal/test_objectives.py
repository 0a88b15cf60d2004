"""Objectives of candidates, and the front of those that none exceeds."""

from __future__ import annotations

import numpy as np
import pytest

from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.exports import build_run
from brainguided.journal.measurement import Measurement, Rung
from brainguided.journal.objectives import find_front, read_objectives, select_front


def attempt(candidate: int, p: float, **more: object) -> Attempt:
    rungs = (Rung(5, performance=p, similarity={"IT": {"layer1": p / 2, "layer2": None}}),)
    measurement = Measurement(("IT",), rungs, {"parameters": 100.0 - candidate})
    known = {"performance": p, "guidance": p / 2, "n_parameters": 100 - candidate}
    return Attempt(candidate, 1, "", "", 0, "done", reward=p, measurement=measurement,
                   **known, **more)  # fmt: skip


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
def test_the_front_is_what_no_other_row_exceeds(n_objectives: int) -> None:
    values = np.random.default_rng(n_objectives).integers(0, 9, (400, n_objectives)).astype(float)
    values[::50] = np.nan
    at_least = (values[:, None] >= values).all(-1)
    exceeded = (at_least & ~at_least.T).any(0)
    wanted = ~exceeded & ~np.isnan(values[:, 0])
    np.testing.assert_array_equal(select_front(values), wanted)
    assert select_front(values[:1]).tolist() == [False]
    assert select_front(values[:0]).tolist() == []


def test_objectives_are_numbers_of_the_measurement_and_a_minus_turns_them() -> None:
    measurement = attempt(2, 0.5).measurement
    found = read_objectives(measurement, ("performance", "-parameters", "IT", "IT@layer2"))
    assert found == (0.5, -98.0, 0.25, 0.0)
    with pytest.raises(ValueError, match="There is no 'V4' in what was measured; there are param"):
        read_objectives(measurement, ("-V4",))


def test_who_failed_repeats_another_or_was_stopped_is_not_on_the_front() -> None:
    results = [
        Attempt(0, 1, "", "", 0, "failed"), attempt(1, 0.9, duplicate_of=0),
        attempt(2, 0.9, reason=STOPPED), attempt(3, 0.5), attempt(4, 0.4), attempt(5, 0.3),
    ]  # fmt: skip
    assert find_front(results) == {3, 4, 5}
    assert find_front(results, ("performance", "IT")) == {3}
    assert find_front([]) == set()


def test_a_run_holds_its_front_and_the_objectives_of_its_search(tmp_path) -> None:
    results = [attempt(k, p) for k, p in enumerate((0.5, 0.7, 0.6))]
    plain = build_run(results, seconds={}, config={})
    assert plain["front"].values.tolist() == [False, True, True]
    assert "objectives" not in plain
    told = {"controller": {"objectives": ["performance", "parameters"]}}
    run = build_run(results, seconds={}, config=told)
    assert run["front"].values.tolist() == [True, True, False]
    assert run["objective"].values.tolist() == ["performance", "parameters"]
    assert run["objectives"].values.tolist() == [[0.5, 100.0], [0.7, 99.0], [0.6, 98.0]]
    run.to_netcdf(tmp_path / "run.nc")
