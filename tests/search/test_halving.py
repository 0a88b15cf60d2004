"""Early stopping: who goes on is known beforehand, the same everywhere and after every restart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from halving_task import RUNGS, HalvingTask, evaluate, measure
from scipy.stats import spearmanr

from brainguided.controllers import RegularizedEvolution
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.local import local_pool
from brainguided.guidance.rewards import PaperReward, check_keep, parse_reward, reward_anew
from brainguided.journal import Journal
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.measurement import Measurement, Rung
from brainguided.replays.table import table_from_run
from brainguided.search._halving import Halving
from brainguided.search.orders import Again, Batch, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def stop_at(number):
    calls = []

    def some(*arguments, **options):
        calls.append(options)
        if len(calls) == number:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    return some


def search(out, *, order=None, evaluate=evaluate, executor=None, sign=1.0):
    return run_search(
        RegularizedEvolution(small_space(5), seed=2, population=8, sample=3),
        HalvingTask(sign=sign), candidates=90, out=out, schedule=Schedule(order or Batch(6)),
        evaluate=evaluate, executor=executor,
    )  # fmt: skip


def read(folder):
    with Journal.read(folder) as journal:
        return journal.events(), journal.results()


@pytest.mark.parametrize("order", [Batch(6), Index(4)])
def test_a_stopped_search_ends_with_the_same_journal(tmp_path, order):
    search(tmp_path / "whole", order=order)
    events, results = read(tmp_path / "whole")
    stopped = [r.candidate for r in results if r.reason == STOPPED]
    assert len(stopped) > 10
    assert all(c >= 24 and c % 10 for c in stopped if results[c].duplicate_of is None)
    for number in (20, 40, 61):
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / str(number), order=order, evaluate=stop_at(number))
        search(tmp_path / str(number), order=order)
        assert read(tmp_path / str(number)) == (events, results)
    told = {}
    for kind, payload in events:
        if kind == "tell":
            told |= dict(zip(payload["candidates"], payload["rewards"], strict=True))
    assert told == {result.candidate: result.reward for result in results}


def test_a_resumed_search_hears_candidates_as_they_were_told_though_they_were_mended(tmp_path):
    def broken(architecture, task, *, seed, bars=()):
        if int(architecture.key[:8], 16) % 3 == 0:
            raise OSError("the disk of the images is gone")
        return evaluate(architecture, task, seed=seed, bars=bars)

    def go_on(out, candidates, *, retry, evaluate=evaluate):
        return run_search(
            RegularizedEvolution(small_space(5), seed=2, population=8, sample=3),
            HalvingTask(), candidates=candidates, out=out, evaluate=evaluate,
            schedule=Schedule(Batch(6), again=Again(failed=retry)),
        )  # fmt: skip

    for name in ("at_once", "resumed"):
        go_on(tmp_path / name, 48, retry=False, evaluate=broken)
    go_on(tmp_path / "at_once", 72, retry=True)
    go_on(tmp_path / "resumed", 48, retry=True)
    go_on(tmp_path / "resumed", 72, retry=False)
    events, results = read(tmp_path / "at_once")
    assert "correct" in [kind for kind, _ in events]
    assert any(payload.get("bars") for _, payload in events)
    assert read(tmp_path / "resumed") == (events, results)


def test_bars_travel_with_jobs_to_a_pool_and_a_folder(tmp_path):
    search(tmp_path / "here")
    with local_pool(2) as pool:
        search(tmp_path / "pool", executor=pool)
    assert read(tmp_path / "pool") == read(tmp_path / "here")


def test_a_job_in_a_folder_carries_its_bars(tmp_path):
    from brainguided.engines.folder.jobs import place, read_json

    architecture = small_space(3).sample(0)
    bars = ((2, 0.5), (5, 0.75))
    job = Attempt(30, 1, architecture.to_json(), architecture.key, 0, "lost", bars=bars)
    with folder_executor(tmp_path) as executor:
        task, function = executor.prepare(HalvingTask(), evaluate)
        future = executor.submit_attempt(job, task, function)
        assert read_json(place(tmp_path, "waiting", "0000030-1"))["bars"] == [[2, 0.5], [5, 0.75]]
        future.cancel()


def test_bars_and_predicted_rewards_are_those_worked_out_by_hand(tmp_path):
    search(tmp_path)
    events, results = read(tmp_path)
    seen: list[Attempt] = []
    bars_of, checked = {}, 0
    for kind, payload in events:
        if kind == "ask":
            first = payload["first_candidate"]
            for k in range(len(payload["architectures"])):
                bars_of[first + k] = dict(payload.get("bars", []))
            window = [r for r in seen if r.outcome == "done"][-100:]
            for step, bar in payload.get("bars", []):
                at = [
                    r.measurement.rung(step).performance
                    for r in window if step in r.measurement.steps
                ]  # fmt: skip
                assert bar == pytest.approx(np.quantile(at, 0.6))
                checked += 1
            continue
        group = [results[c] for c in payload["candidates"] if results[c].duplicate_of is None]
        seen += group
        done = [r for r in seen if r.outcome == "done" and r.reason != STOPPED]
        for one in group:
            if one.reason != STOPPED:
                continue
            step = one.measurement.steps[-1]
            value = one.measurement.rung().performance
            assert value <= bars_of[one.candidate][step]
            x = np.array([r.measurement.rung(step).performance for r in done])
            y = np.array([r.reward for r in done])
            weight = [
                10 if (r.candidate < 24 or r.candidate % 10 == 0) and any(
                    r.measurement.rung(s).performance <= b for s, b in bars_of[r.candidate].items()
                ) else 1
                for r in done
            ]  # fmt: skip
            line = np.polynomial.Polynomial.fit(x, y, 1, w=np.sqrt(weight))
            assert one.reward == pytest.approx(min(line(value), y.min()))
    assert checked > 20


def test_a_rung_that_does_not_predict_stops_nobody(tmp_path):
    for sign in (0.0, -1.0):
        run = search(tmp_path / str(sign), sign=sign)
        assert not (run["reason"] == STOPPED).any()
        events, results = read(tmp_path / str(sign))
        free = [r for r in results[:24] if r.outcome == "done"]
        early, late = ([r.measurement.rung(s).performance for r in free] for s in (5, 10))
        assert spearmanr(early, late)[0] < 0.4
        assert not any("bars" in payload for _, payload in events)


PAIR = (RUNGS[0], RUNGS[-1])


def hear(halving, number, early, late):
    measured = Measurement((), tuple(Rung(s, float(v)) for s, v in zip(PAIR, (early, late))))
    halving.hear(Attempt(number, 1, "{}", "k", 0, "done", measurement=measured), ())


def test_where_nothing_predicts_a_rung_seldom_ever_stops_anybody_however_often_it_is_asked():
    """Each look alone is wrong in few of a hundred; all of them together are in at most ten."""
    generator, ever = np.random.default_rng(0), 0
    for _ in range(100):
        halving, barred = Halving(0.33, PAIR, PaperReward()), False
        for number in range(300):  # those that go on by chance come one by one
            if Halving.goes_on(number):
                hear(halving, number, *generator.random(2))
                barred |= number >= 23 and bool(halving.find_bars())
        ever += barred
    assert 0 < ever <= 10


def test_what_predicts_is_seen_at_the_first_look():
    generator, found = np.random.default_rng(0), 0
    for _ in range(100):
        halving = Halving(0.33, PAIR, PaperReward())
        for number in range(24):
            quality, noise = generator.normal(size=2)
            hear(halving, number, quality + noise, quality)  # r = .71
        found += bool(halving.find_bars())
    assert found >= 90


@pytest.mark.parametrize("fails", [lambda: float("nan"), lambda: 1 / 0, lambda: float("inf")])
def test_a_reward_that_is_no_number_at_a_rung_neither_ends_a_search_nor_stops_all(fails):
    class Odd:
        def __call__(self, measured):
            value = measured.rung().performance
            return fails() if measured.steps[-1] == PAIR[0] and value > 0.9 else value

        def describe(self):
            return {}

    odd, without = (Halving(0.33, PAIR, reward) for reward in (Odd(), PaperReward()))
    for number, value in enumerate(np.random.default_rng(0).random(40)):
        hear(odd, number, value, value)
        if value <= 0.9:
            hear(without, number, value, value)
    assert odd.find_bars() == without.find_bars() != ()
    part = Measurement((), (Rung(PAIR[0], 0.95),))
    assert odd.predict(part) == min(h.rewards[PAIR[-1]] for h in odd._finished)


def test_stopped_candidates_never_win_and_are_left_out_of_replays(tmp_path):
    run = search(tmp_path)
    _, results = read(tmp_path)
    finished = [r for r in results if r.outcome == "done" and r.reason != STOPPED]
    whole = [measure(int(r.key[:8], 16), 1.0).rung().performance for r in results
             if r.outcome == "done"]  # fmt: skip
    assert float(run["reward"].max()) == max(r.reward for r in finished) <= max(whole)
    assert max(r.reward for r in results if r.reason == STOPPED) <= min(r.reward for r in finished)
    table = table_from_run(tmp_path, small_space(5), reward="P")
    assert len(table.reward) == len({r.architecture for r in finished})
    again = reward_anew(results, PaperReward())
    assert [r.reward for r in again if r.reason == ""] == [r.reward for r in finished]


def test_nobody_is_stopped_by_a_reward_that_a_rung_does_not_have():
    with pytest.raises(ValueError, match=r"keep is 1.5; .*\n.*rungs are \[10\]"):
        check_keep(1.5, (10,), PaperReward())
    for text in ("P+V4@5", "robust"):
        with pytest.raises(ValueError, match=r"names rungs of its own|not known at a rung"):
            check_keep(0.5, (5, 10), parse_reward(text))
    with pytest.raises(ValueError, match="names rungs of its own"):
        check_keep(0.5, (5, 10), PaperReward(rung=5))
    check_keep(None, (10,), PaperReward(rung=5))


def test_before_any_finished_nothing_is_predicted():
    halving = Halving(0.5, RUNGS, PaperReward())
    part = measure(1, 1.0).up_to(5)
    assert halving.predict(part) is None
    assert halving.find_bars() == ()
    architecture = small_space(3).sample(0)
    done = Attempt(0, 1, architecture.to_json(), architecture.key, 0, "done",
                   measurement=measure(2, 1.0))  # fmt: skip
    halving.hear(done, ())
    assert halving.predict(part) == done.measurement.rung().performance
    assert halving.is_stopped(replace(done, measurement=part))
