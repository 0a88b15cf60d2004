"""The verbs of a search: demo, search, worker, merge, repair, report, watch, finalists."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainguided.commands._engines import (
    add_engine,
    add_memory,
    check_engine,
    count_bytes,
    find_jobs,
    find_workers,
    is_here,
    open_engine,
    say_memory,
)
from brainguided.commands.options import add_verb, add_workers, natural, say, whole
from brainguided.settings.noted import find_run_file, note_run_file

_KEYS = (
    "settings of the search; its keys are those of help(brainguided.settings.load_run), and the "
    "page 'Keys of a run file' of the documentation"
)


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    _add_search(verbs)
    one = add_verb(verbs, "worker", worker, example="brainguided worker runs/first --workers 8")
    one.add_argument(
        "out", metavar="DIR", type=Path, help="folder of 'search --folder DIR', or its run folder"
    )
    one.add_argument("--run", type=Path, help="run file, if it or its data lie elsewhere here")
    one.add_argument(
        "--idle",
        type=float,
        default=3600.0,
        help="s without anything to do after which it ends (%(default)s)",
    )
    add_memory(one)
    add_workers(one)

    one = add_verb(verbs, "merge", merge, example="brainguided merge runs/a runs/b --out runs/all")
    one.add_argument("runs", metavar="DIR", nargs="+", type=Path, help="run folders; only read")
    one.add_argument("--out", type=Path, required=True, help="new run folder")

    one = add_verb(verbs, "repair", repair, example="brainguided repair runs/first")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")

    add_verb(
        verbs,
        "schema",
        schema,
        example="brainguided schema > run_file.schema.json",
        more="Editors that know TOML (Even Better TOML, Taplo) complete and check a run file that "
        "begins\nwith the line  #:schema ./run_file.schema.json",
    )

    _add_reports(verbs)
    _add_finalists(verbs)
    one = add_verb(verbs, "demo", demo, example="brainguided demo --out demo")
    one.add_argument("--out", type=Path, default=Path("demo"), help="run folder (%(default)s)")
    one.add_argument("--candidates", type=whole, default=24, help="architectures (%(default)s)")
    one.add_argument("--steps", type=whole, default=400, help="SGD steps of each (%(default)s)")
    one.add_argument("--seed", type=natural, default=0, help="seed of the search (%(default)s)")
    add_workers(one)


def _add_finalists(verbs: Any) -> None:
    one = add_verb(
        verbs,
        "finalists",
        finalists,
        example="brainguided finalists runs/first --top 10 --steps 5000",
    )
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")
    one.add_argument("--top", type=whole, help="candidates with the highest rewards (10)")
    one.add_argument(
        "--random",
        type=whole,
        metavar="N",
        help="in place of --top: drawn without choosing, for 'brainguided validity'",
    )
    one.add_argument("--steps", type=whole, required=True, help="SGD steps of the long training")
    one.add_argument(
        "--final-steps", type=whole, help="of the winner on all but the test images (as --steps)"
    )
    one.add_argument(
        "--continue",
        dest="continued",
        action="store_true",
        help="go on from the weights that the search kept ([task] weights), to --steps in all, in "
        "place of new weights",
    )
    one.add_argument("--run", type=Path, help="run file, if it is no longer where it was")
    _add_retry(one, "finalists")
    add_engine(one)


def _add_reports(verbs: Any) -> None:
    one = add_verb(
        verbs,
        "report",
        report,
        example='brainguided report runs/first --reward "P+0.5*IT@50"',
    )
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")
    one.add_argument(
        "--reward",
        metavar="SUM",
        help="another than that of the search: any sum of what was measured, paper or robust; the "
        "report is written into DIR/another_reward",
    )

    one = add_verb(verbs, "watch", watch, example="brainguided watch runs/first --port 8420")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder; only read")
    one.add_argument("--port", type=natural, default=0, help="port (any that is free)")
    one.add_argument(
        "--listen",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address of this machine that others reach, 0.0.0.0 for all it has (%(default)s: none "
        "but this machine itself); the token then crosses the network unencrypted",
    )


def _add_search(verbs: Any) -> None:
    one = add_verb(verbs, "search", search, example="brainguided search RUN.toml --out runs/first")
    one.add_argument("run_file", metavar="RUN.toml", type=Path, help=_KEYS)
    one.add_argument("--out", type=Path, help="run folder; an old one is resumed")
    one.add_argument(
        "--check",
        action="store_true",
        help="check the run file and its data, say what the search will cost, and stop",
    )
    _add_retry(one, "candidates")
    one.add_argument("--seed", type=natural, help="in place of the run file's")
    add_engine(one)


def _add_retry(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help=f"first try {what} again that failed, once what made them fail is mended",
    )


def demo(arguments: argparse.Namespace) -> None:
    """Search with the built-in simulated macaque as the teacher."""
    from brainguided.settings.run_file import write_demo

    say("The teacher of this demonstration is a simulated macaque, not a recording.")
    settings = {key: getattr(arguments, key) for key in ("candidates", "steps", "seed")}
    arguments.run_file = write_demo(arguments.out / "RUN.toml", **settings)
    arguments.ray = arguments.folder = arguments.memory = None
    arguments.check = arguments.retry_failed = False
    search(arguments)


def search(arguments: argparse.Namespace) -> None:
    """Run a search or go on with one, then save its winner and the report."""
    from brainguided.search.run import run_search
    from brainguided.search.winner import save_winner

    if arguments.out is None and not arguments.check:
        raise ValueError("The run folder is missing: give --out DIR, or --check to check alone.")
    check_engine(arguments)
    if arguments.check:
        _check(arguments)
        return
    try:
        with open_engine(arguments, arguments.run_file, "Searching", seed=arguments.seed) as (
            run,
            executor,
        ):
            again = replace(run.schedule.again, failed=arguments.retry_failed)
            run_search(
                run.controller,
                run.task,
                candidates=run.candidates,
                schedule=replace(run.schedule, again=again),
                out=arguments.out,
                executor=executor,
            )
            note_run_file(arguments.run_file, arguments.out)
            say("Training the winner again for its RDMs.")
            save_winner(arguments.out, run.task, executor=executor)
    except (RuntimeError, OSError, MemoryError):
        _report_what_there_is(arguments.out)
        raise
    report(arguments)


def _report_what_there_is(out: Path) -> None:
    """Write the report of a search that ended with an error, which is said after it."""
    from brainguided.journal.journal import FILE_NAME
    from brainguided.reports.page import write_report

    if not (out / FILE_NAME).is_file():
        return
    try:
        say(f"What there is so far: {write_report(out)[-1]}")
    except Exception as error:  # the first error is the one to mend
        say(f"There is no report: {error}")


def _check(arguments: argparse.Namespace) -> None:
    """Check all that can be known before the first candidate."""
    from brainguided.search.check import Plan, check_search
    from brainguided.settings.run_file import load_run

    run = load_run(arguments.run_file, seed=arguments.seed)
    memory = count_bytes(arguments.memory)
    plan = Plan(run.controller, run.candidates, run.schedule.order, memory)
    check_search(run.task, out=arguments.out, here=is_here(arguments), plan=plan)
    each = "" if run.task.seeds == 1 else f", each trained with {run.task.seeds} seeds,"
    print(f"{arguments.run_file}: a search of {run.candidates} candidates{each} can begin.")
    if not is_here(arguments):
        say(
            "What it costs is known where candidates are trained: check without --ray and --folder."
        )
        return
    from brainguided.search.cost import estimate_cost

    say("Trying one candidate.")
    cost = estimate_cost(
        run.task, run.controller, candidates=run.candidates, schedule=run.schedule,
        workers=find_workers(arguments),
    )  # fmt: skip
    print(*cost.describe(), sep="\n")


def worker(arguments: argparse.Namespace) -> None:
    """Evaluate candidates of a search that runs with --folder, here or on another machine."""
    from brainguided.engines.folder.worker import serve_folder
    from brainguided.settings.run_file import load_run

    jobs = find_jobs(arguments.out)
    say("Loading the data.")
    run = load_run(arguments.run or find_run_file(arguments.out))
    say(f"Working for {jobs}, workers: {arguments.workers}. Ctrl-C stops.")
    say_memory(arguments.workers, arguments.memory)
    ended = serve_folder(
        jobs,
        run.task,
        workers=arguments.workers,
        idle=arguments.idle,
        memory=count_bytes(arguments.memory),
    )
    print(f"{ended} evaluations ended here")


def merge(arguments: argparse.Namespace) -> None:
    """Put the candidates of searches of the same task, made apart, into one run folder."""
    from brainguided.journal.merge import merge_runs

    run = merge_runs(arguments.runs, arguments.out)
    print(f"{run.sizes['candidate']} candidates of {len(arguments.runs)} runs in {arguments.out}")


def repair(arguments: argparse.Namespace) -> None:
    """Recover what was recorded of a search before its journal was damaged."""
    from brainguided.journal.repair import repair_journal

    number, problem = repair_journal(arguments.out)
    if not problem:
        print(f"The journal of {arguments.out} is whole; nothing was done.")
        return
    print(
        f"The first bad row was {problem}; {number} candidates were recovered. The damaged file "
        f"is {arguments.out / 'journal.damaged.db'}. Start the same search again to go on."
    )


def report(arguments: argparse.Namespace) -> None:
    """Write the figures and the page of a run."""
    from brainguided.reports.page import report_run

    reward = getattr(arguments, "reward", None)  # of the verb report alone
    written, said = report_run(arguments.out, reward=reward)
    print(said, *written, sep="\n")


def watch(arguments: argparse.Namespace) -> None:
    """Show the page of a run while it is being searched, to those who have its address."""
    from brainguided.reports.live import Address, open_server

    with open_server(arguments.out, Address(arguments.listen, arguments.port)) as server:
        print(server.url, flush=True)
        say(
            "Open this address in a browser; without its token nobody can read the run. Ctrl-C "
            "stops; the search is not touched."
        )
        server.serve_forever()


def finalists(arguments: argparse.Namespace) -> None:
    """Train the best candidates longer, choose on validation, test the winner once."""
    from brainguided.candidates.recipe import LongTraining
    from brainguided.reports.evidence import describe_heldout
    from brainguided.reports.model_card import write_model_card
    from brainguided.search.choice import Drawn
    from brainguided.search.continued import Continued
    from brainguided.search.finalists import run_finalists
    from brainguided.search.heldout import compare_heldout

    if arguments.top is not None and arguments.random is not None:
        raise ValueError("--top chooses and --random does not: give one of them.")
    check_engine(arguments)
    run_file = arguments.run or find_run_file(arguments.out)
    with open_engine(arguments, run_file, "Training finalists") as (run, executor):
        run.check_test()
        steps: Any = LongTraining(arguments.steps, arguments.final_steps, run.recipe)
        if arguments.continued and steps.describe() != {"steps": arguments.steps}:
            raise ValueError(
                "A training that goes on (--continue) is that of the search: leave --final-steps "
                "and the table [finalists] of the run file out."
            )
        steps = Continued(arguments.steps) if arguments.continued else steps
        record = run_finalists(
            arguments.out,
            run.task,
            run.load_test,
            steps=steps,
            top=(arguments.top or 10) if arguments.random is None else Drawn(arguments.random),
            retry_failed=arguments.retry_failed,
            executor=executor,
        )
        if run.heldout is not None:
            compare_heldout(arguments.out, run.task, run.heldout)
    attrs = record.attrs
    print(
        f"winner: candidate {attrs['winner']}, test accuracy {attrs['test_accuracy']:.4f} "
        f"({attrs['test_images']} images); {attrs['examples']} training images in all"
    )
    folder = arguments.out / "finalists"
    written = (*write_model_card(arguments.out), folder / "winner_network.py")
    print(*describe_heldout(arguments.out), *written, sep="\n")


def schema(arguments: argparse.Namespace) -> None:
    """Print the JSON Schema of a run file, by which editors complete and check one."""
    from brainguided.settings.schema import build_schema

    print(json.dumps(build_schema(), indent=1))
