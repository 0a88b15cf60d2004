"""The verbs of a search: demo, search, worker, merge, repair, report, finalists."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import add_verb, add_workers, natural, say, whole

if TYPE_CHECKING:
    from brainguided.engines.local import LocalPool

_JOBS = "jobs"  # in the run folder, where workers find candidates if no other place is given
_RUN_FILE = "run_file.txt"  # where the run file lies, seen from the folder that says so
_JOBS_FOLDER = "jobs_folder.txt"  # where workers find candidates, seen from the run folder
_CORES = min(os.cpu_count() or 1, 8)


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
    _add_memory(one)
    add_workers(one)

    one = add_verb(verbs, "merge", merge, example="brainguided merge runs/a runs/b --out runs/all")
    one.add_argument("runs", metavar="DIR", nargs="+", type=Path, help="run folders; only read")
    one.add_argument("--out", type=Path, required=True, help="new run folder")

    one = add_verb(verbs, "repair", repair, example="brainguided repair runs/first")
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")

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
    _add_retry(one, "finalists")
    add_workers(one)

    one = add_verb(verbs, "demo", demo, example="brainguided demo --out demo")
    one.add_argument("--out", type=Path, default=Path("demo"), help="run folder (%(default)s)")
    one.add_argument("--candidates", type=whole, default=24, help="architectures (%(default)s)")
    one.add_argument("--steps", type=whole, default=100, help="SGD steps of each (%(default)s)")
    one.add_argument("--seed", type=natural, default=0, help="seed of the search (%(default)s)")
    add_workers(one)


def _add_search(verbs: Any) -> None:
    one = add_verb(verbs, "search", search, example="brainguided search RUN.toml --out runs/first")
    one.add_argument("run_file", metavar="RUN.toml", type=Path, help="settings of the search")
    one.add_argument("--out", type=Path, help="run folder; an old one is resumed")
    one.add_argument(
        "--ray",
        type=_no_run_file,
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="run on Ray: on this machine, or in the cluster at HOST:PORT or 'auto'",
    )
    one.add_argument(
        "--folder",
        type=_no_run_file,
        metavar="DIR",
        nargs="?",
        const="",
        help="leave candidates there for 'brainguided worker DIR' on other machines; without DIR "
        f"in '{_JOBS}' of the run folder. The run folder itself may then lie on a local disk",
    )
    one.add_argument(
        "--check", action="store_true", help="check the run file and its data, and stop"
    )
    _add_retry(one, "candidates")
    one.add_argument("--seed", type=natural, help="in place of the run file's")
    _add_memory(one)
    one.add_argument(
        "--workers", type=whole, help=f"processes, one thread each ({_CORES}); not with --folder"
    )


def _add_retry(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help=f"first try {what} again that failed, once what made them fail is mended",
    )


def _add_memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--memory", type=float, metavar="GIB", help="that each process may hold (Linux)"
    )


def _no_run_file(text: str) -> str:
    """Refuse the run file after an option that may stand alone, which takes it for its value."""
    if text.endswith(".toml") or (text not in ("", "local", "auto") and Path(text).is_file()):
        raise argparse.ArgumentTypeError(
            f"{text} looks like the run file; give that first: brainguided search {text} ..."
        )
    return text


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
    from brainguided.settings.run_file import load_run

    _check_spread(arguments)
    if arguments.check:
        _check(arguments)
        return
    with ExitStack() as stack:
        pool = _start_pool(arguments)
        if pool is not None:
            stack.enter_context(pool)
        say("Loading the data.")
        run = load_run(arguments.run_file, seed=arguments.seed)
        executor = pool or stack.enter_context(_open_executor(arguments, run.ray))
        if pool is not None:
            workers = arguments.workers or _CORES
            say(f"Searching, workers: {workers}. Ctrl-C stops; the same command goes on.")
            _say_memory(workers, arguments.memory)
        run_search(
            run.controller,
            run.task,
            candidates=run.candidates,
            schedule=replace(run.schedule, retry_failed=arguments.retry_failed),
            out=arguments.out,
            executor=executor,
        )
    _note_run_file(arguments.run_file, arguments.out)
    say("Training the winner again for its RDMs.")
    save_winner(arguments.out, run.task)
    report(arguments)


def _check(arguments: argparse.Namespace) -> None:
    """Check all that can be known before the first candidate."""
    from brainguided.search.check import check_search
    from brainguided.settings.run_file import load_run

    run = load_run(arguments.run_file, seed=arguments.seed)
    here = arguments.folder is None and arguments.ray is None
    check_search(run.task, out=arguments.out, here=here)
    print(f"{arguments.run_file}: a search of {run.candidates} candidates can begin.")


def _check_spread(arguments: argparse.Namespace) -> None:
    """Refuse options of which only one can be meant, or that are not there."""
    if arguments.out is None and not arguments.check:
        raise ValueError("The run folder is missing: give --out DIR, or --check to check alone.")
    if arguments.ray is not None and find_spec("ray") is None:
        raise ValueError("Ray is not installed: pip install 'brainguided[ray]'.")
    if arguments.folder is None:
        return
    problems = [
        f"--{name} is of the machines that evaluate: give it to 'brainguided worker'."
        for name in ("workers", "memory")
        if getattr(arguments, name) is not None
    ]
    if arguments.ray is not None:
        problems.append("--ray and --folder are two ways to spread a search: give one of them.")
    if problems:
        raise ValueError("\n".join(problems))


def worker(arguments: argparse.Namespace) -> None:
    """Evaluate candidates of a search that runs with --folder, here or on another machine."""
    from brainguided.engines.folder.worker import serve_folder
    from brainguided.settings.run_file import load_run

    jobs = _find_jobs(arguments.out)
    say("Loading the data.")
    run = load_run(arguments.run or _find_run_file(arguments.out))
    say(f"Working for {jobs}, workers: {arguments.workers}. Ctrl-C stops.")
    _say_memory(arguments.workers, arguments.memory)
    ended = serve_folder(
        jobs,
        run.task,
        workers=arguments.workers,
        idle=arguments.idle,
        memory=_count_bytes(arguments.memory),
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


def _note_run_file(run_file: Path, folder: Path) -> None:
    """Write down where the run file is, seen from a folder."""
    _note(folder / _RUN_FILE, run_file)


def _note(note: Path, target: Path) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{os.path.relpath(target, note.parent)}\n", encoding="utf-8")


def _find_jobs(out: Path) -> Path:
    """Return the folder of jobs, given that or the run folder."""
    note = out / _JOBS_FOLDER
    if note.is_file():
        return out / note.read_text(encoding="utf-8").strip()
    if (out / "waiting").is_dir():
        return out
    if (out / _JOBS).is_dir():
        return out / _JOBS
    raise FileNotFoundError(
        f"{out} is neither a folder of candidates nor the run folder of a search with --folder; "
        "start 'brainguided search RUN.toml --out RUN --folder' first, then give what it says."
    )


def _find_run_file(out: Path) -> Path:
    note = out / _RUN_FILE
    if not note.is_file():
        raise FileNotFoundError(
            f"{note} does not say where the run file is (has the search begun, or for finalists "
            "ended?); give it with --run RUN.toml."
        )
    return out / note.read_text(encoding="utf-8").strip()


def _start_pool(arguments: argparse.Namespace) -> LocalPool | None:
    """Return a pool that warms up while the data are loaded; None for a search elsewhere."""
    if arguments.folder is not None or arguments.ray:
        return None
    from brainguided.candidates.evaluation import warm_up
    from brainguided.engines.local import local_pool

    workers = arguments.workers or _CORES
    pool = local_pool(workers, memory=_count_bytes(arguments.memory))
    for _ in range(workers):
        pool.submit(warm_up)
    return pool


def _open_executor(arguments: argparse.Namespace, needs: dict[str, Any]) -> Any:
    """Return where candidates are evaluated if not in a pool here, and say so."""
    if arguments.folder is not None:
        from brainguided.engines.folder.executor import folder_executor

        jobs = Path(arguments.folder or arguments.out / _JOBS)
        folder = folder_executor(jobs)
        _note_run_file(arguments.run_file, jobs)
        _note(arguments.out / _JOBS_FOLDER, jobs)
        _note_run_file(arguments.run_file, arguments.out)
        say(
            "Searching; candidates wait for workers, on any machine that sees this folder:\n"
            f"    brainguided worker {jobs}\nCtrl-C stops; the same command goes on."
        )
        return folder
    address, limit = arguments.ray, arguments.memory
    workers = arguments.workers or _CORES
    memory = _count_bytes(limit)
    from brainguided.engines.ray.executor import ray_executor
    from brainguided.engines.ray.session import STORE

    if address == "local":
        _say_memory(workers, limit, store=STORE)
        executor = ray_executor(workers=workers, memory=memory, **needs)
    else:
        executor = ray_executor(address, memory=memory, **needs)
    say(
        f"Searching on Ray ({address}), candidates at a time: {executor.workers}. Ctrl-C stops; "
        "the same command goes on."
    )
    return executor


def _count_bytes(gib: float | None) -> int | None:
    return None if gib is None else round(gib * 2**30)


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
    from brainguided.reports.page import describe_winner, write_report

    written = write_report(arguments.out)
    print(describe_winner(arguments.out), *written, sep="\n")


def finalists(arguments: argparse.Namespace) -> None:
    """Train the best candidates longer, choose on validation, test the winner once."""
    from brainguided.engines.local import local_pool
    from brainguided.reports.model_card import write_model_card
    from brainguided.search.finalists import run_finalists
    from brainguided.settings.run_file import load_run

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
            retry_failed=arguments.retry_failed,
            executor=executor,
        )
    attrs = record.attrs
    print(
        f"winner: candidate {attrs['winner']}, test accuracy {attrs['test_accuracy']:.4f} "
        f"({attrs['test_images']} images); {attrs['examples']} training images in all"
    )
    folder = arguments.out / "finalists"
    print(*write_model_card(arguments.out), folder / "winner_network.py", sep="\n")
