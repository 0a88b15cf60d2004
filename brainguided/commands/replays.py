"""The verb replay: searches on a table, at no cost."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from brainguided.commands.options import (
    add_overwrite,
    add_verb,
    add_workers,
    natural,
    refuse_existing,
    say,
    whole,
)
from neural_data.errors import raise_problems

_FILES = ("replay.nc", "replay.csv", "replay.png")
_BENCHMARK = "benchmark"  # a folder of that name is ./benchmark


def add_verbs(verbs: Any) -> None:
    """Add the verb of this module to the command line."""
    one = add_verb(
        verbs,
        "replay",
        replay,
        example="brainguided replay nasbench201.csv --space nasbench201 --architecture ops \\\n"
        "    --reward val_12 --cost seconds_12 --score test_200 --budget 12000 \\\n"
        "    --controller random evolution reinforce --seeds 100 --out replays\n"
        "  brainguided replay benchmark --reward P P+TG robust --controller random local \\\n"
        "    --budget 20 --seeds 500",
    )
    one.add_argument(
        "table",
        metavar="TABLE",
        help="CSV file (.gz too), the folder of a run, or 'benchmark': the table that comes with "
        "the package, see docs/explanation/does_the_brain_help.md",
    )
    one.add_argument(
        "--pool",
        default="trained",
        help="of the benchmark: trained, untrained, plain or tiny100 (%(default)s)",
    )
    one.add_argument("--space", help="of a CSV table: e.g. nasbench201, pnas, small")
    one.add_argument("--architecture", metavar="COL", help="column of the architectures")
    one.add_argument(
        "--reward",
        metavar="COL",
        nargs="+",
        required=True,
        help="column that searches are told; of a run: P, TG, P+0.5*TG, any sum of what was "
        "measured as P+0.3*IT@50, paper, robust; several compare",
    )
    one.add_argument(
        "--cost",
        metavar="COL",
        help="column of the cost of an evaluation; of the benchmark each costs 1 by default",
    )
    one.add_argument(
        "--score",
        metavar="COL",
        help="column by which outcomes are judged; of a run: performance (of the end of the short "
        "training), guidance, reward, finalists (accuracy after long training); of the benchmark: "
        "mature (default)",
    )
    one.add_argument(
        "--scores",
        metavar="FILE",
        type=Path,
        help="of a run: CSV file with the columns candidate and score, in place of --score",
    )
    _add_searches(one)


def _add_searches(one: argparse.ArgumentParser) -> None:
    """Add which searches are replayed, and what becomes of them."""
    one.add_argument("--units", default="s", help="of the cost (%(default)s)")
    one.add_argument(
        "--step", type=natural, help="of a run or the benchmark: the rung, default the last"
    )
    one.add_argument("--budget", type=float, required=True, help="cost that a search may spend")
    one.add_argument("--controller", metavar="NAME", nargs="+", required=True)
    one.add_argument("--seeds", type=whole, default=100, help="searches of each (%(default)s)")
    one.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        help="settings of the space, e.g. n_blocks=5 skips=true strides=1,2,3",
    )
    one.add_argument(
        "--nearest",
        action="store_true",
        help="give architectures that the table lacks the results of the nearest one",
    )
    one.add_argument("--out", type=Path, help="folder for replay.nc, replay.csv and replay.png")
    add_overwrite(one)
    add_workers(one)


def replay(arguments: argparse.Namespace) -> None:
    """Search on a table of architectures that were evaluated before, many times over."""
    from brainguided.engines.local import local_pool
    from brainguided.replays.replay import run_replays, summarize_replays

    if arguments.out is not None:
        refuse_existing(arguments, *(arguments.out / name for name in _FILES))
    makers = _find_makers(arguments.controller)
    own = arguments.table == _BENCHMARK  # before a path, of which ./benchmark is the same
    arguments.table = Path(arguments.table)
    if own and arguments.table.exists():
        raise ValueError(
            f"{_BENCHMARK} is the table of the package, and there is a {_BENCHMARK} here too; for "
            f"that write ./{_BENCHMARK}, for the table go to another folder."
        )
    if not own and not arguments.table.exists():
        raise FileNotFoundError(
            f"There is no {arguments.table}; expected a CSV table, a run folder or {_BENCHMARK}."
        )
    tables = _load_benchmark(arguments) if own else _load_tables(arguments, _make_space(arguments))
    first = next(iter(tables.values()))
    nearest = arguments.nearest or own or arguments.table.is_dir()
    total = first.space.n_architectures
    say(f"The table holds {len(first.actions):,} of {total:,} architectures.")
    if nearest and not first.is_complete:
        say("Others are given the results of an isomorphic one, or of the nearest.")
    started = time.monotonic()
    with local_pool(arguments.workers) as executor:
        replays = run_replays(
            tables,
            makers,
            budget=arguments.budget,
            seeds=arguments.seeds,
            nearest=nearest,
            executor=executor,
        )
    summary = summarize_replays(replays)
    say(f"{replays['score'].size} searches in {time.monotonic() - started:.0f} s.")
    _print_searches(replays, summary, first)
    if arguments.out is not None:
        for path in _write(replays, summary, arguments.out):
            print(path)


def _print_searches(replays: Any, summary: Any, first: Any) -> None:
    """Print a line for each kind of search."""
    print(
        f"{'search':<24} {'n':>5} {'mean':>9} {'sd':>7} {'95 % interval':>19} "
        f"{'evaluations':>12} {'nearest':>9}"
    )
    for name in map(str, replays["search"].values):
        one, n = summary.sel(search=name), replays.sizes["seed"]
        evaluations = float(replays["evaluations"].sel(search=name).mean())
        interval = f"{float(one['lower']):.3f} to {float(one['upper']):.3f}" if n > 1 else "none"
        asked = int(replays["asked"].sel(search=name).sum())
        near = int(replays["nearest"].sel(search=name).sum())
        print(
            f"{name:<24} {n:>5} {float(one['mean']):>9.3f} {float(one['sd']):>7.3f} "
            f"{interval:>19} {evaluations:>12.1f} {near / max(asked, 1):>9.1%}"
        )
    print(
        f"Intervals are over the seeds of the searches{_say_trainings(first.reward)} images; "
        "nearest: proposals answered by the row of another architecture."
    )


def _say_trainings(reward: Any) -> str:
    """Say over how many trainings intervals are, of rewards (draw, row) with gaps too."""
    import numpy as np

    times = np.isfinite(np.atleast_2d(reward)).sum(axis=0)
    fewest, most = int(times.min()), int(times.max())
    if most <= 1:
        return " only, not over trainings or"
    several = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f" and {several} trainings of each network, not over"


def _make_space(arguments: argparse.Namespace) -> Any:
    from brainguided.journal.journal import Journal
    from brainguided.settings.presets import SPACES
    from brainguided.spaces import SearchSpace

    if arguments.table.is_dir():
        with Journal.read(arguments.table) as journal:
            return SearchSpace.from_description((journal.config or {}).get("space", {}))
    if arguments.space not in SPACES:
        given = f"--space {arguments.space}"
        said = "A CSV table also needs --space" if arguments.space is None else given
        raise ValueError(f"{said}: expected one of {', '.join(SPACES)}.")
    return SPACES[arguments.space](**_read_settings(arguments.set, SPACES[arguments.space]))


def _read_settings(texts: list[str], function: Any) -> dict[str, Any]:
    """Return settings of a space, each of the type that its default has."""
    from inspect import signature

    defaults = {
        name: parameter.default for name, parameter in signature(function).parameters.items()
    }
    settings, problems = {}, []
    for text in texts:
        key, found, value = text.partition("=")
        if not found:
            problems.append(f"{text} is no setting, expected KEY=VALUE, e.g. n_cells=1")
        elif key not in defaults:
            known = ", ".join(f"{name}={_say_value(one)}" for name, one in defaults.items())
            problems.append(f"{key!r} is unknown; known, with their defaults: {known or 'none'}")
        else:
            try:
                settings[key] = _READ[type(defaults[key])](value)
            except (KeyError, ValueError):
                like = _say_value(defaults[key])
                problems.append(f"{key} is {value!r}, expected a value like {like}")
    raise_problems("--set was refused", problems, ValueError)
    return settings


def _say_value(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


_READ: dict[type, Any] = {
    bool: lambda text: {"true": True, "false": False}[text.lower()],
    int: int,
    str: str,
    tuple: lambda text: tuple(int(part) for part in text.split(",") if part),
}


def _find_makers(names: list[str]) -> dict[str, Any]:
    from brainguided.settings.presets import CONTROLLERS

    unknown = [name for name in names if name not in CONTROLLERS]
    if unknown:
        known = ", ".join(CONTROLLERS)
        raise ValueError(f"--controller {', '.join(unknown)}: expected out of {known}.")
    return {name: partial(CONTROLLERS[name]) for name in names}


def _load_tables(arguments: argparse.Namespace, space: Any) -> dict[str, Any]:
    from brainguided.replays.table import load_table, read_scores, table_from_run

    if arguments.table.is_dir():
        if arguments.scores is not None and arguments.score:
            raise ValueError("--score and --scores were both given; expected one of them.")
        score = arguments.score or "performance"
        return {
            reward: table_from_run(
                arguments.table,
                space,
                reward=reward,
                step=arguments.step,
                score=score if arguments.scores is None else read_scores(arguments.scores),
            )
            for reward in arguments.reward
        }
    if arguments.scores is not None:
        raise ValueError(
            "--scores belongs to a run folder; of a CSV table, name a column: --score."
        )
    missing = [
        f"--{name}" for name in ("architecture", "cost", "score") if not getattr(arguments, name)
    ]
    if missing:
        raise ValueError(f"A CSV table also needs {', '.join(missing)}: the names of its columns.")
    return {
        reward: load_table(
            arguments.table,
            space,
            architecture=arguments.architecture,
            reward=reward,
            cost=arguments.cost,
            score=arguments.score,
            units=arguments.units,
        )
        for reward in arguments.reward
    }


def _load_benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the tables of the benchmark, and say how much of it there is."""
    from brainguided.replays.benchmark import load_benchmark, tables_from_benchmark

    given = [n for n in ("space", "architecture", "scores", "set") if getattr(arguments, n)]
    if given:
        raise ValueError(
            f"--{', --'.join(given)}: the benchmark has its own; leave out what belongs to a CSV "
            "table or a run."
        )
    benchmark = load_benchmark(arguments.pool)
    say(f"{benchmark.attrs['counts']}: {benchmark.attrs['state']}.")
    return tables_from_benchmark(
        benchmark,
        arguments.reward,
        step=arguments.step,
        score=arguments.score or "mature",
        cost=arguments.cost,
    )


def _write(replays: Any, summary: Any, folder: Path) -> list[Path]:
    """Write the searches, their summary and the figure."""
    from brainguided.plot import plot_anytime
    from neural_data.storage.netcdf import write_netcdf

    folder.mkdir(parents=True, exist_ok=True)
    table = summary[["mean", "sd", "lower", "upper"]].to_dataframe()
    table["evaluations"] = replays["evaluations"].mean("seed").to_series()
    table.to_csv(folder / "replay.csv", lineterminator="\n")
    figure: Any = plot_anytime(summary).figure
    figure.savefig(folder / "replay.png", dpi=300)
    written = write_netcdf(replays, folder / "replay.nc")
    return [written, folder / "replay.csv", folder / "replay.png"]
