"""A run as a study of Optuna, for its dashboard and whatever else reads one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from brainguided.architectures import Architecture
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.journal import JournalError
from brainguided.journal.objectives import find_objectives, read_value
from brainguided.reports._rewarded import Run, read_run
from brainguided.spaces import SearchSpace
from neural_data.storage.aside import write_aside


def write_optuna_study(
    run: str | os.PathLike[str], path: str | os.PathLike[str], *, name: str | None = None
) -> Path:
    """Write a run as a study of Optuna in an SQLite file, which optuna-dashboard shows.

    A candidate is a trial: its decisions are the parameters (those that did not matter are left
    out), its reward the value, P at every rung the intermediate values. Stopped candidates are
    pruned trials, failed ones failed. A search for several objectives is a study of all of them,
    whose trials have their values instead, and none where they were pruned; one that begins with a
    minus, as "-parameters", is minimized under its name without it. User attributes hold what else
    is known: the reward, P, TG, the best layer of each area and its similarity, parameters of the
    network, its seed and architecture, why it failed, of which earlier candidate it is a
    duplicate, and what it earned with other seeds. Needs the extra ``optuna``.

    Parameters
    ----------
    run : path
        A run folder; it is only read. A search that still runs gives what it has.
    path : path
        The file to write or, in one step, to replace, e.g. ``study.db``: shown by
        ``optuna-dashboard sqlite:///study.db``.
    name : str, optional
        Of the study; by default that of the run folder.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The run holds no settings of a search space, such as one merged of several spaces.
    ImportError
        Optuna is not installed.
    """
    optuna = _import_optuna()
    import sqlalchemy  # which comes with it

    folder, path = Path(run), Path(path)
    known = read_run(folder)
    if "space" not in known.config:
        raise JournalError(
            f"{folder} holds no one search space; its candidates have no parameters."
        )
    space = SearchSpace.from_description(known.config["space"])
    goals = find_objectives(known.config)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with write_aside(path) as aside, warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Escaped: Optuna fills in what stands in braces, and "?" ends a path
            file = aside.absolute().as_uri()
            address = sqlalchemy.URL.create("sqlite", database=file, query={"uri": "true"})
            storage = optuna.storages.RDBStorage(address.render_as_string())
            try:
                study = optuna.create_study(
                    study_name=name or folder.resolve().name,
                    storage=storage,
                    directions=["minimize" if one.startswith("-") else "maximize" for one in goals]
                    or ["maximize"],
                )
                study.set_metric_names([one.removeprefix("-") for one in goals] or ["reward"])
                for key, value in _describe_run(known).items():
                    study.set_user_attr(key, value)
                study.add_trials(_list_trials(known, space, goals, optuna))
            finally:
                storage.remove_session()
                storage.engine.dispose()
    finally:
        optuna.logging.set_verbosity(level)
    return path


def _list_trials(run: Run, space: SearchSpace, goals: Sequence[str], optuna: Any) -> Iterator[Any]:
    """Yield a finished trial for each candidate, in their order."""
    again: dict[int, list[float | None]] = {}
    for one in run.again:
        again.setdefault(one.candidate, []).append(one.reward if one.outcome == "done" else None)
    for result in run.results:
        state = _find_state(result, goals)
        params, distributions = _read_params(space, result.architecture, optuna)
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState[state],
            params=params,
            distributions=distributions,
            values=_read_values(result, state, goals),
            intermediate_values={
                rung.step: float(rung.performance)
                for rung in result.measurement.rungs
                if rung.performance is not None
            },
            user_attrs=_describe_result(result, again.get(result.candidate)),
        )
        timing = run.timings.get((result.candidate, result.attempt))
        if timing is not None:
            trial.datetime_start = datetime.fromtimestamp(timing.started)
            trial.datetime_complete = datetime.fromtimestamp(timing.finished)
        yield trial


def _find_state(result: Attempt, goals: Sequence[str]) -> str:
    """Return the state of a trial; one whose reward is told with others later has failed so far."""
    if result.outcome != "done" or (result.reward is None and not goals):
        return "FAIL"
    return "PRUNED" if result.reason == STOPPED else "COMPLETE"


def _read_values(result: Attempt, state: str, goals: Sequence[str]) -> list[float] | None:
    """Return the reward, or each objective as it was measured.

    A candidate that was stopped early does not compete for several objectives: its numbers are
    those of less training.
    """
    if state == "FAIL" or (goals and state == "PRUNED"):
        return None
    if not goals:
        return [float(result.reward)] if result.reward is not None else None
    return [read_value(result.measurement, one.removeprefix("-")) for one in goals]


def _read_params(
    space: SearchSpace, architecture: str, optuna: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the decisions of an architecture that had more than one legal option."""
    actions = space.encode(Architecture.from_json(architecture))
    params, distributions = {}, {}
    for place, (action, decision) in enumerate(zip(actions, space.decisions, strict=True)):
        if sum(space.legal(actions[:place])) > 1:
            params[decision.name] = decision.options[action]
            distributions[decision.name] = optuna.distributions.CategoricalDistribution(
                decision.options
            )
    return params, distributions


def _describe_result(result: Attempt, again: list[float | None] | None) -> dict[str, Any]:
    """Return what is known of a candidate beside its parameters, by name."""
    known: dict[str, Any] = {
        "candidate": result.candidate,
        "reward": result.reward,
        "P": result.performance,
        "TG": result.guidance,
        "network parameters": result.n_parameters,
        "seed": result.seed,
        "reason": result.reason,
        "duplicate of": result.duplicate_of,
        "rewards with other seeds": again,
        "architecture": result.architecture,
    }
    for area, layer in result.best_layers.items():
        known |= {area: result.similarity[area][layer], f"layer {area}": layer}
    return {name: value for name, value in known.items() if value is not None and value != ""}


def _describe_run(run: Run) -> dict[str, Any]:
    described: dict[str, Any] = {"made by": "brainguided"}
    if run.simulated:
        described["recordings"] = "simulated"
    config: Mapping[str, Any] = run.config
    return described | {name: config[name] for name in sorted(config)}


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "A study of Optuna is written by Optuna: pip install 'brainguided[optuna]'."
        ) from error
    return optuna
