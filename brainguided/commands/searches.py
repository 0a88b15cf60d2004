"""The verbs of a search: demo, search, worker, merge, report, finalists."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from brainguided.commands.options import add_verb, add_workers, natural, say, whole

_JOBS = "jobs"  # in the run folder, where workers find candidates
_RUN_FILE = "run_file.txt"  # where the run file lies, seen from the run folder


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    one = add_verb(verbs, "search", search, example="brainguided search RUN.toml --out runs/first")
    one.add_argument("run_file", metavar="RUN.toml", type=Path, help="settings of the search")
    one.add_argument("--out", type=Path, required=True, help="run folder; an old one is resumed")
    one.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="run on Ray: on this machine, or in the cluster at HOST:PORT or 'auto'",
    )
    one.add_argument(
        "--folder",
        action="store_true",
        help="leave candidates in the run folder for 'brainguided worker DIR' on other machines",
    )
    one.add_argument(
        "--memory", type=float, metavar="GIB", help="that each process may hold (Linux)"
    )
    add_workers(one)

    one = add_verb(verbs, "worker", worker, example="brainguided worker runs/first --workers 8")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder of 'search --folder'")
    one.add_argument("--run", type=Path, help="run file, if it or its data lie elsewhere here")
    one.add_argument(
        "--idle",
        type=float,
        default=3600.0,
        help="s without anything to do after which it ends (%(default)s)",
    )
    add_workers(one)

    one = add_verb(verbs, "merge", merge, example="brainguided merge runs/a runs/b --out runs/all")
    one.add_argument("runs", metavar="DIR", nargs="+", type=Path, help="run folders; only read")
    one.add_argument("--out", type=Path, required=True, help="new run folder")

    one = add_verb(verbs, "report", report, example="brainguided report runs/first")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")

    one = add_verb(
        verbs,
        "finalists",
        finalists,
        example="brainguided finalists runs/first --top 10 --steps 5000",
    )
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")
    one.add_argument("--top", type=whole, default=10, help="candidates (%(default)s)")
    one.add_argument("--steps", type=whole, required=True, help="SGD steps of the long training")
    one.add_argument("--run", type=Path, help="run file, if it is no longer where it was")
    add_workers(one)

    one = add_verb(verbs, "demo", demo, example="brainguided demo --out demo")
    one.add_argument("--out", type=Path, default=Path("demo"), help="run folder (%(default)s)")
    one.add_argument("--candidates", type=whole, default=24, help="architectures (%(default)s)")
    one.add_argument("--steps", type=whole, default=100, help="SGD steps of each (%(default)s)")
    one.add_argument("--seed", type=natural, default=0, help="seed of the search (%(default)s)")
    add_workers(one)


def demo(arguments: argparse.Namespace) -> None:
    """Search with the built-in simulated macaque as the teacher."""
    from brainguided.runfile import write_demo

    say("The teacher of this demonstration is a simulated macaque, not a recording.")
    settings = {key: getattr(arguments, key) for key in ("candidates", "steps", "seed")}
    arguments.run_file = write_demo(arguments.out / "RUN.toml", **settings)
    search(arguments)


def search(arguments: argparse.Namespace) -> None:
    """Run a search or go on with one, then save its winner and the report."""
    from brainguided.runfile import load_run
    from brainguided.search import run_search
    from brainguided.winner import save_winner

    if getattr(arguments, "folder", False) and arguments.ray is not None:
        raise ValueError("--ray and --folder are two ways to spread a search; give one of them.")
    say("Loading the data.")
    run = load_run(arguments.run_file)
    with _open_executor(arguments, run.ray) as executor:
        run_search(
            run.controller,
            run.task,
            candidates=run.candidates,
            order=run.order,
            timeout=run.timeout,
            out=arguments.out,
            executor=executor,
        )
    _note_run_file(arguments)
    say("Training the winner again for its RDMs.")
    save_winner(arguments.out, run.task)
    report(arguments)


def worker(arguments: argparse.Namespace) -> None:
    """Evaluate candidates of a search that runs with --folder, here or on another machine."""
    from brainguided.runfile import load_run
    from brainguided.worker import serve_folder

    say("Loading the data.")
    run = load_run(arguments.run or _find_run_file(arguments.out))
    say(f"Working for {arguments.out}, workers: {arguments.workers}. Ctrl-C stops.")
    ended = serve_folder(
        arguments.out / _JOBS, run.task, workers=arguments.workers, idle=arguments.idle
    )
    print(f"{ended} evaluations ended here")


def merge(arguments: argparse.Namespace) -> None:
    """Put the candidates of searches of the same task, made apart, into one run folder."""
    from brainguided.merge import merge_runs

    run = merge_runs(arguments.runs, arguments.out)
    print(f"{run.sizes['candidate']} candidates of {len(arguments.runs)} runs in {arguments.out}")


def _note_run_file(arguments: argparse.Namespace) -> None:
    """Write down where the run file is, seen from the run folder."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    place = os.path.relpath(arguments.run_file, arguments.out)
    (arguments.out / _RUN_FILE).write_text(f"{place}\n", encoding="utf-8")


def _find_run_file(out: Path) -> Path:
    note = out / _RUN_FILE
    if not note.is_file():
        raise FileNotFoundError(
            f"{note} does not say where the run file is (has the search begun, or for finalists "
            "ended?); give it with --run RUN.toml."
        )
    return out / note.read_text(encoding="utf-8").strip()


def _open_executor(arguments: argparse.Namespace, needs: dict[str, Any]) -> Any:
    """Return where candidates are evaluated, and say so."""
    from brainguided.executors import local_pool

    if getattr(arguments, "folder", False):
        from brainguided.on_folder import folder_executor

        _note_run_file(arguments)
        say(
            "Searching; candidates wait for workers, on any machine that sees this folder:\n"
            f"    brainguided worker {arguments.out}\nCtrl-C stops; the same command goes on."
        )
        return folder_executor(arguments.out / _JOBS)
    address = getattr(arguments, "ray", None)
    if address is None:
        say(f"Searching, workers: {arguments.workers}. Ctrl-C stops; the same command goes on.")
        memory = getattr(arguments, "memory", None)
        _say_memory(arguments.workers, memory)
        return local_pool(
            arguments.workers, memory=None if memory is None else round(memory * 2**30)
        )
    from brainguided.on_ray import STORE, ray_executor

    if address == "local":
        _say_memory(arguments.workers, None, store=STORE)
        executor = ray_executor(workers=arguments.workers, **needs)
    else:
        executor = ray_executor(address, **needs)
    say(
        f"Searching on Ray ({address}), candidates at a time: {executor.workers}. Ctrl-C stops; "
        "the same command goes on."
    )
    return executor


def _say_memory(workers: int, limit: float | None, *, store: int = 0) -> None:
    """Say what processes will take: as much as this one has with the same data and libraries."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    each = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    most = (workers + 1) * each + store / 2**30
    text = f"Memory: about {most:.1f} of {there:.0f} GiB before training, {each:.2f} a process"
    if store:
        text += f", {store / 2**30:.2f} of them shared by Ray"
    if limit is not None:
        text += f"; no process may hold more than {limit:g}"
    if most > there:
        text += ". That is more than there is: give fewer --workers"
    say(f"{text}.")


def report(arguments: argparse.Namespace) -> None:
    """Write the figures and the page of a run."""
    from brainguided.report import describe_winner, write_report

    written = write_report(arguments.out)
    print(describe_winner(arguments.out), *written, sep="\n")


def finalists(arguments: argparse.Namespace) -> None:
    """Train the best candidates longer, choose on validation, test the winner once."""
    from brainguided.executors import local_pool
    from brainguided.finalists import run_finalists
    from brainguided.model_card import write_model_card
    from brainguided.runfile import load_run

    run_file = arguments.run or _find_run_file(arguments.out)
    say("Loading the data.")
    run = load_run(run_file)
    run.check_test()
    say(
        f"Training finalists, workers: {arguments.workers}. Ctrl-C stops; the same command goes on."
    )
    with local_pool(arguments.workers) as executor:
        record = run_finalists(
            arguments.out,
            run.task,
            run.load_test,
            steps=arguments.steps,
            top=arguments.top,
            executor=executor,
        )
    attrs = record.attrs
    print(
        f"winner: candidate {attrs['winner']}, test accuracy {attrs['test_accuracy']:.4f} "
        f"({attrs['test_images']} images); {attrs['examples']} training images in all"
    )
    folder = arguments.out / "finalists"
    print(*write_model_card(arguments.out), folder / "winner_network.py", sep="\n")
