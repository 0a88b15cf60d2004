"""Runs as studies of Optuna: every candidate a trial, read back by Optuna itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_task import run_eight
from rewritten_runs import rewrite_run

from brainguided.__main__ import main
from brainguided.architectures import Architecture
from brainguided.controllers import nsga2
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.objectives import find_front, read_objectives
from brainguided.reports.optuna_study import write_optuna_study
from brainguided.spaces import SearchSpace, pnas_space, small_space

optuna = pytest.importorskip("optuna")


def load(path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    (study,) = optuna.study.get_all_study_names(storage)
    return optuna.load_study(study_name=study, storage=storage)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    run_eight(out)
    return out


def stop_one(run, out):
    """The same run with its first success stopped at a rung."""
    with Journal.read(run) as journal:
        results = journal.results()
    done = next(a.candidate for a in results if a.outcome == "done" and a.duplicate_of is None)
    rewrite_run(
        run,
        out,
        attempt=lambda one: replace(one, reason="stopped") if one.candidate == done else one,
    )
    return done


def test_optuna_reads_every_candidate_with_its_decisions_and_values(run, tmp_path):
    path = write_optuna_study(run, tmp_path / "study.db")
    study = load(path)
    assert study.study_name == "first"
    with Journal.read(run) as journal:
        results, config = journal.results(), journal.config
        timings = journal.timings_of_attempts()
    space = SearchSpace.from_description(config["space"])
    assert len(study.trials) == len(results) == 8
    states = {trial.state.name for trial in study.trials}
    assert states == {"COMPLETE", "FAIL"}
    for trial, result in zip(study.trials, results):
        assert trial.user_attrs["candidate"] == trial.number == result.candidate
        actions = space.encode(Architecture.from_json(trial.user_attrs["architecture"]))
        for name, value in trial.params.items():
            place = [decision.name for decision in space.decisions].index(name)
            assert space.decisions[place].options[actions[place]] == value
        if result.outcome == "failed":
            assert (trial.state.name, trial.value) == ("FAIL", None)
            assert trial.user_attrs["reason"] == result.reason
            continue
        assert trial.value == result.reward
        assert trial.intermediate_values == {0: 0.1, 10: result.performance}
        assert trial.user_attrs["P"] == result.performance
        layer = result.best_layers["IT"]
        assert trial.user_attrs["layer IT"] == layer
        assert trial.user_attrs["IT"] == result.similarity["IT"][layer]
        if timing := timings.get((result.candidate, result.attempt)):
            assert trial.datetime_complete.timestamp() == pytest.approx(timing.finished, abs=1e-5)
    winner = max((r for r in results if r.outcome == "done"), key=lambda r: r.reward)
    assert study.best_trial.number == winner.candidate
    assert study.user_attrs["task"] == config["task"]


def test_a_stopped_candidate_is_a_pruned_trial_and_decisions_that_do_not_matter_are_left_out(
    run, tmp_path
):
    done = stop_one(run, tmp_path / "stopped")
    study = load(write_optuna_study(tmp_path / "stopped", tmp_path / "s.db", name="mine"))
    trial = study.trials[done]
    assert (study.study_name, trial.state.name) == ("mine", "PRUNED")
    assert trial.value == trial.user_attrs["P"] * 2
    shallow = [t for t in study.trials if t.params.get("depth") == 1]
    assert all(not any(name.startswith("layer3") for name in t.params) for t in shallow)


def test_a_search_for_several_objectives_is_a_study_of_all_of_them(tmp_path):
    goals = ("performance", "-depth", "IT")
    proposer = nsga2(small_space(3), objectives=goals, seed=3, population=4)
    run_eight(tmp_path / "several", controller=proposer)
    study = load(write_optuna_study(tmp_path / "several", tmp_path / "several.db"))
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["performance", "depth", "IT"]
    with Journal.read(tmp_path / "several") as journal:
        results, front = journal.results(), find_front(journal.results(), goals)
    for trial, result in zip(study.trials, results):
        if result.outcome == "failed":
            assert (trial.state.name, trial.values) == ("FAIL", None)
            continue
        told = read_objectives(result.measurement, goals)
        assert trial.values == [told[0], -told[1], told[2]]
        assert trial.user_attrs["reward"] == result.reward
    assert {trial.number for trial in study.best_trials} >= front
    done = stop_one(tmp_path / "several", tmp_path / "stopped")
    trial = load(write_optuna_study(tmp_path / "stopped", tmp_path / "s.db")).trials[done]
    assert (trial.state.name, trial.values) == ("PRUNED", None)


def test_the_command_refuses_to_replace_and_runs_without_a_space(run, tmp_path, capsys):
    out = tmp_path / "study.db"
    assert main(["export", "optuna", str(run), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert main(["export", "optuna", str(run), "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", "optuna", str(run), "--out", str(out), "--overwrite"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]
    rewrite_run(run, tmp_path / "bare", config=lambda config: {"task": config["task"]})
    with pytest.raises(JournalError, match="no one search space"):
        write_optuna_study(tmp_path / "bare", tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()


def test_a_name_may_hold_what_addresses_of_databases_give_a_meaning(run, tmp_path):
    for name in ("{x}.db", "{SCHEMA_VERSION}.db", "a?b#c%20d.db"):
        assert write_optuna_study(run, tmp_path / name).read_bytes().startswith(b"SQLite format 3")
    assert len(list(tmp_path.iterdir())) == 3


def test_every_architecture_of_another_space_has_parameters_too(tmp_path):
    from brainguided.reports.optuna_study import _read_params

    space = pnas_space(n_blocks=2)
    for seed in range(20):
        params, distributions = _read_params(space, space.sample(seed).to_json(), optuna)
        assert params.keys() == distributions.keys()
        assert all(value in distributions[name].choices for name, value in params.items())
