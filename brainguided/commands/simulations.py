"""The verbs simulate and status: how long a search would take, and how far one is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from brainguided.commands.options import add_verb, natural, whole


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    one = add_verb(verbs, "status", status, example="brainguided status runs/first")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder; it is only read")
    one.add_argument("--json", action="store_true", help="print it as JSON")

    one = add_verb(
        verbs,
        "simulate",
        simulate,
        example="brainguided simulate --workers 40 --candidates 1000 \\\n"
        "    --durations lognormal:600,0.5 --order index --lag 120",
    )
    one.add_argument("--workers", type=whole, required=True)
    one.add_argument("--clusters", type=whole, default=1, help="of equal size (%(default)s)")
    one.add_argument("--candidates", type=whole, required=True)
    one.add_argument(
        "--durations",
        required=True,
        metavar="RUN|lognormal:MEDIAN,SIGMA",
        help="folder of a run whose durations are drawn, or a distribution; s",
    )
    one.add_argument("--order", choices=("batch", "completion", "index"), default="completion")
    one.add_argument("--round-size", type=whole, default=8, help="of batch (%(default)s)")
    one.add_argument("--lag", type=natural, help="of index; default: three times the workers")
    one.add_argument("--timeout", type=float, help="deadline of an evaluation, s")
    one.add_argument(
        "--overhead",
        type=float,
        help="s between two evaluations of a worker; default: that of RUN, else 0",
    )
    for name in ("lost", "memory", "nan", "hang"):
        one.add_argument(f"--{name}", type=float, default=0.0, help="probability (%(default)s)")
    one.add_argument(
        "--outage",
        metavar="START,END",
        help="s between which one of the clusters is gone",
    )
    one.add_argument("--seed", type=natural, default=0)


def simulate(arguments: argparse.Namespace) -> None:
    """Run a search on a virtual clock: predict its time on machines that are not at hand."""
    from brainguided.replays.virtual_clock import Faults, Machines, simulate_search
    from brainguided.search.orders import Batch, Completion, Index

    lag = 3 * arguments.workers if arguments.lag is None else arguments.lag
    orders: dict[str, Any] = {
        "batch": Batch(arguments.round_size),
        "completion": Completion(),
        "index": Index(lag),
    }
    outage = None
    if arguments.outage:
        start, end = _read_numbers(arguments.outage, "--outage START,END")
        outage = (start, end, -(-arguments.workers // arguments.clusters))
    durations, overhead = _read_durations(arguments.durations)
    found = simulate_search(
        orders[arguments.order],
        durations,
        Machines(
            arguments.workers,
            overhead if arguments.overhead is None else arguments.overhead,
            arguments.timeout,
            Faults(arguments.lost, arguments.memory, arguments.nan, arguments.hang, outage),
        ),
        candidates=arguments.candidates,
        seed=arguments.seed,
    )
    rate = arguments.candidates / found.makespan
    outcomes = ", ".join(f"{number} {name}" for name, number in found.outcomes.items() if number)
    print(f"makespan {found.makespan:.1f} s ({found.makespan / 3600:.2f} h)")
    print(
        f"utilisation {found.utilisation:.1%}, between warm-up and the last start "
        f"{found.warm_utilisation:.1%}"
    )
    print(f"candidates a second {rate:.4g}; attempts {found.attempts}; outcomes: {outcomes}")
    print(f"results told between a proposal and its own, on average: {found.staleness:.1f}")


def status(arguments: argparse.Namespace) -> None:
    """Say how far a search is, from another shell, without disturbing it."""
    from brainguided.search.status import describe_status, gather_status

    if arguments.json:
        print(json.dumps(gather_status(arguments.out)))
    else:
        print(describe_status(arguments.out))


def _read_durations(text: str) -> tuple[Any, float]:
    """Return how durations are drawn, and the time between two."""
    from brainguided.journal.journal import Journal
    from brainguided.replays.virtual_clock import draw_lognormal, draw_observed, observe_overhead

    if text.startswith("lognormal:"):
        median, sigma = _read_numbers(text.removeprefix("lognormal:"), "lognormal:MEDIAN,SIGMA")
        return draw_lognormal(median, sigma), 0.0
    if not Path(text).is_dir():
        raise ValueError(
            f"--durations {text}: expected the folder of a run, or lognormal:MEDIAN,SIGMA."
        )
    with Journal.read(text) as journal:
        durations = draw_observed(list(journal.seconds().values()))
        return durations, observe_overhead(journal.timings())


def _read_numbers(text: str, expected: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} cannot be read; expected {expected}.") from None
    return first, second
