"""Where networks are trained: options and engines that the verbs of a search share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import gibibytes, say, whole
from brainguided.settings.noted import note_path, note_run_file
from neural_data.storage.text_files import read_text

if TYPE_CHECKING:
    from brainguided.engines.local import LocalPool
    from brainguided.settings.run_file import Run

_JOBS = "jobs"  # in the run folder, where workers find candidates if no other place is given
_JOBS_FOLDER = "jobs_folder.txt"  # where workers find candidates, seen from the run folder
_CORES = min(os.cpu_count() or 1, 8)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the choice between processes here, Ray and a folder."""
    parser.add_argument(
        "--ray",
        type=_no_run_file,
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="run on Ray: on this machine, or in the cluster at HOST:PORT or 'auto'",
    )
    parser.add_argument(
        "--folder",
        type=_no_run_file,
        metavar="DIR",
        nargs="?",
        const="",
        help="leave candidates there for 'brainguided worker DIR' on other machines; without DIR "
        f"in '{_JOBS}' of the run folder. The run folder itself may then lie on a local disk",
    )
    add_memory(parser)
    parser.add_argument(
        "--workers", type=whole, help=f"processes, one thread each ({_CORES}); not with --folder"
    )


def add_memory(parser: argparse.ArgumentParser) -> None:
    """Add the limit on the memory of each process."""
    parser.add_argument(
        "--memory", type=gibibytes, metavar="GIB", help="that each process may hold (Linux)"
    )


def _no_run_file(text: str) -> str:
    """Refuse the run file after an option that may stand alone, which takes it for its value."""
    if text.endswith(".toml") or (text not in ("", "local", "auto") and Path(text).is_file()):
        raise argparse.ArgumentTypeError(
            f"{text} looks like the run file; give that first: brainguided search {text} ..."
        )
    return text


def check_engine(arguments: argparse.Namespace) -> None:
    """Refuse options of which only one can be meant, or that are not there."""
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


def find_workers(arguments: argparse.Namespace) -> int:
    """Return the number of processes that were asked for."""
    return int(arguments.workers or _CORES)


def is_here(arguments: argparse.Namespace) -> bool:
    """Return whether networks are trained on this machine, which then needs their device."""
    return arguments.folder is None and arguments.ray is None


@contextmanager
def open_engine(
    arguments: argparse.Namespace, run_file: Path, what: str, *, seed: int | None = None
) -> Iterator[tuple[Run, Any]]:
    """Load the data of a run file, and open the engine that trains on them."""
    from brainguided.settings.run_file import load_run

    with ExitStack() as stack:
        pool = _start_pool(arguments)
        if pool is not None:
            stack.enter_context(pool)
        say("Loading the data.")
        run = load_run(run_file, seed=seed)
        if pool is None:
            executor = stack.enter_context(_open_elsewhere(arguments, run_file, run.ray, what))
            yield run, executor
            return
        workers = find_workers(arguments)
        say(f"{what}, workers: {workers}. Ctrl-C stops; the same command goes on.")
        say_memory(workers, arguments.memory)
        yield run, pool


def _start_pool(arguments: argparse.Namespace) -> LocalPool | None:
    """Return a pool that warms up while the data are loaded; None where others train."""
    if not is_here(arguments):
        return None
    from brainguided.candidates.evaluation import warm_up
    from brainguided.engines.local import local_pool

    workers = find_workers(arguments)
    pool = local_pool(workers, memory=count_bytes(arguments.memory))
    for _ in range(workers):
        pool.submit(warm_up)
    return pool


def _open_elsewhere(
    arguments: argparse.Namespace, run_file: Path, needs: dict[str, Any], what: str
) -> Any:
    """Return what trains on other machines or on Ray, and say so."""
    if arguments.folder is not None:
        from brainguided.engines.folder.executor import folder_executor

        jobs = Path(arguments.folder or arguments.out / _JOBS)
        folder = folder_executor(jobs)
        note_run_file(run_file, jobs)
        note_path(arguments.out / _JOBS_FOLDER, jobs)
        note_run_file(run_file, arguments.out)
        say(
            f"{what}; candidates wait for workers, on any machine that sees this folder:\n"
            f"    brainguided worker {jobs}\nCtrl-C stops; the same command goes on."
        )
        return folder
    from brainguided.engines.ray.executor import ray_executor
    from brainguided.engines.ray.session import STORE

    address, limit = arguments.ray, arguments.memory
    memory, workers = count_bytes(limit), find_workers(arguments)
    if address == "local":
        say_memory(workers, limit, store=STORE)
        executor = ray_executor(workers=workers, memory=memory, **needs)
    else:
        executor = ray_executor(address, memory=memory, **needs)
    say(
        f"{what} on Ray ({address}), candidates at a time: {executor.workers}. Ctrl-C stops; "
        "the same command goes on."
    )
    return executor


def find_jobs(out: Path) -> Path:
    """Return the folder of jobs, given that or the run folder."""
    note = out / _JOBS_FOLDER
    if note.is_file():
        return out / read_text(note).strip()
    if (out / "waiting").is_dir():
        return out
    if (out / _JOBS).is_dir():
        return out / _JOBS
    raise FileNotFoundError(
        f"{out} is neither a folder of candidates nor the run folder of a search with --folder; "
        "start 'brainguided search RUN.toml --out RUN --folder' first, then give what it says."
    )


def count_bytes(gib: float | None) -> int | None:
    """Return GiB as bytes."""
    return None if gib is None else round(gib * 2**30)


def say_memory(workers: int, limit: float | None, *, store: int = 0) -> None:
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
