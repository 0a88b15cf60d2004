"""Does a search survive that its processes are killed at random instants?

    python benchmarks/random_kills.py driver --kills 100
    python benchmarks/random_kills.py worker --kills 100
    python benchmarks/random_kills.py folder --kills 100
    python benchmarks/random_kills.py stopping --kills 20 --searches 5
    python benchmarks/random_kills.py ray --kills 20 --searches 5
    python benchmarks/random_kills.py raylet --kills 100

SIGKILL goes to the driver of a search on `local_pool`; to one of its workers; to the driver or
the worker of a search by way of a folder; to the driver of a search that stops candidates early
(`keep`), on `local_pool` or on Ray; or to the raylet of a node of a Ray cluster of three on this
machine, the head apart. What was killed is started again, and each search that ends is compared
with one that nobody disturbed: settings, events, and every candidate's result. After the death of
a driver its workers have to be gone within 5 s. Prints what was counted. Needs /proc.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import halved_candidates
from killed_drivers import is_alive, list_family

from brainguided.controllers import LocalSearch
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.worker import serve_folder
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space
from brainguided.testing import MadeUpTask, evaluate

CANDIDATES = 100
TASK = MadeUpTask(seconds=0.4, failing=10)


def search(out: Path, executor: Executor | None, *, halved: bool = False) -> None:
    # It learns, and needs no torch, which every process would have to import
    controller = LocalSearch(small_space(5 if halved else 3), seed=3, initial=5)
    task: Any = TASK if executor else MadeUpTask(failing=10)
    if halved:
        task = halved_candidates.HalvedTask(seconds=TASK.seconds if executor else 0.0)
    run_search(
        controller,
        task,
        candidates=CANDIDATES,
        out=out,
        schedule=Schedule(Batch(8)),
        executor=executor,
        evaluate=halved_candidates.evaluate if halved else evaluate,
    )


def read(out: Path) -> Any:
    """Return all that has to be the same, whoever was killed."""
    with Journal.read(out) as journal:
        results = [replace(result, attempt=0) for result in journal.results()]
        return journal.config, journal.events(), results


def count(out: Path) -> int:
    try:
        with Journal.read(out) as journal:
            return journal.n_results
    except (OSError, ValueError):
        return 0


def start(role: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, role, "--out", str(out), *more])


class Count:
    """What was seen."""

    def __init__(self, target: str, kills: int, right: Any) -> None:
        self.target, self.wanted, self.right = target, kills, right
        self.spread = 1  # fewest searches over which kills are spread
        self.kills = self.searches = self.different = self.unreadable = self.orphans = 0
        self.lost = self.given_up = self.empty = 0

    @property
    def most(self) -> int:
        """Candidates that end at most between kills, so that kills are spread over searches."""
        return max(8, round(2.5 * CANDIDATES * self.spread / self.wanted))

    def end_search(self, out: Path) -> None:
        self.searches += 1
        with Journal.read(out) as journal:
            given_up = sum(result.reason == "lost" for result in journal.results())
            self.given_up += given_up
            self.different += not given_up and read(out) != self.right
            self.lost += sum(attempt.outcome == "lost" for attempt in journal.attempts())

    def look(self, out: Path) -> None:
        """See whether the journal is whole, whatever was killed."""
        if not (out / "journal.db").exists():
            return
        try:
            with Journal.read(out):
                pass
        except (OSError, ValueError) as error:
            if "an empty SQLite file" in str(error):  # killed before anything was recorded
                self.empty += 1
                return
            self.unreadable += 1
            print(error, flush=True)

    def say(self) -> None:
        print(
            f"{self.target}: {self.kills} kills in {self.searches} searches that ended; "
            f"{self.different} of these differ, {self.unreadable} journals unreadable, "
            f"{self.empty} not begun, {self.orphans} drivers outlived by a worker for 5 s, "
            f"{self.lost} attempts lost and made again, {self.given_up} candidates given up "
            "because they were lost three times",
            flush=True,
        )


def pause(out: Path, chance: random.Random, driver: subprocess.Popen[bytes], most: int) -> None:
    """Wait for a random instant: at the start, or when 1 to `most` more candidates have ended."""
    wanted = count(out) + (0 if chance.random() < 0.2 else chance.randrange(1, most + 1))
    until = time.monotonic() + 300
    while count(out) < wanted and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(chance.random() * (4 if wanted == count(out) else 0.5))


def kill(process: subprocess.Popen[bytes], counted: Count) -> None:
    family = list_family(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    counted.kills += 1
    until = time.monotonic() + 5
    while any(map(is_alive, family)) and time.monotonic() < until:
        time.sleep(0.02)
    counted.orphans += any(map(is_alive, family))


def end(role: str, out: Path) -> None:
    """Start a driver until one ends well: on a busy machine Ray may not start in its 30 s."""
    for _ in range(9):
        if start(role, out).wait() == 0:
            return
    raise RuntimeError(f"the search in {out} does not end")


def kill_drivers(folder: Path, counted: Count, chance: random.Random, role: str = "drive") -> None:
    out = folder / "0"
    while counted.kills < counted.wanted or 0 < count(out) < CANDIDATES:  # the last one ends too
        driver = start(role, out)
        if counted.kills >= counted.wanted:
            driver.wait()
        else:
            pause(out, chance, driver, counted.most)
        if driver.poll() is None:
            kill(driver, counted)
            counted.look(out)
        if count(out) >= CANDIDATES:
            end(role, out)
            counted.end_search(out)
            out = folder / str(counted.searches)


def kill_workers(folder: Path, counted: Count, chance: random.Random) -> None:
    while counted.kills < counted.wanted:
        out = folder / str(counted.searches)
        driver = start("drive", out)
        while driver.poll() is None and counted.kills < counted.wanted:
            pause(out, chance, driver, counted.most)
            workers = [pid for pid in list_family(driver.pid) if is_worker(pid)]
            if driver.poll() is None and workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                counted.kills += 1
        driver.wait()
        counted.end_search(out)


def is_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command and is_alive(pid)


def kill_by_folder(folder: Path, counted: Count, chance: random.Random) -> None:
    roles = ("drive-folder", "serve-folder")
    while counted.kills < counted.wanted:
        out = folder / str(counted.searches)
        running = {role: start(role, out) for role in roles}
        while count(out) < CANDIDATES and counted.kills < counted.wanted:
            pause(out, chance, running["drive-folder"], counted.most)
            role = chance.choice(roles)
            if running[role].poll() is None and count(out) < CANDIDATES:
                kill(running[role], counted)
                counted.look(out)
            for other in roles:
                if running[other].poll() is not None:
                    running[other] = start(other, out)
        running["drive-folder"].wait()
        if count(out) < CANDIDATES:
            raise RuntimeError(f"the search in {out} did not end")
        subprocess.run([sys.executable, __file__, "drive-folder", "--out", str(out)], check=True)
        running["serve-folder"].terminate()
        running["serve-folder"].wait()
        counted.end_search(out)


def start_node(cluster: Any) -> Any:
    """Return a new node; Ray waits for one for 30 s, in which a busy machine may not start it."""
    for _ in range(9):
        try:
            return cluster.add_node(num_cpus=2)
        except Exception as error:
            print(error, flush=True)
    raise RuntimeError("no node of Ray could be started")


def kill_raylets(folder: Path, counted: Count, chance: random.Random) -> None:
    """Kill nodes under a driver that lives; others take their place."""
    from brainguided.engines.ray.session import import_ray

    import_ray(cluster=True)  # nodes and driver have to agree on tokens
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [start_node(cluster) for _ in range(2)]
    try:
        while counted.kills < counted.wanted:
            out = folder / str(counted.searches)
            driver = start("join-ray", out, "--address", cluster.address)
            while driver.poll() is None and counted.kills < counted.wanted:
                pause(out, chance, driver, counted.most)
                if driver.poll() is None:
                    node = nodes.pop(chance.randrange(len(nodes)))
                    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
                    counted.kills += 1
                    counted.look(out)
                    time.sleep(chance.random() * 4)
                    cluster.remove_node(node, allow_graceful=False)
                    nodes.append(start_node(cluster))
            if driver.wait():
                raise RuntimeError(f"the search in {out} ended with {driver.returncode}")
            counted.end_search(out)
    finally:
        cluster.shutdown()


def play(role: str, out: Path, address: str | None) -> None:
    """Be one of the processes that are killed, or whose nodes are."""
    if role == "drive":
        with local_pool(3) as pool:
            search(out, pool)
    elif role == "drive-halved":
        with local_pool(3) as pool:
            search(out, pool, halved=True)
    elif role == "drive-ray":
        from brainguided.engines.ray.executor import ray_executor

        with ray_executor(workers=3) as executor:
            search(out, executor, halved=True)
    elif role == "drive-folder":
        with folder_executor(out / "jobs", silence=10) as executor:
            search(out, executor)
    elif role == "join-ray":
        from brainguided.engines.ray.executor import ray_executor

        with ray_executor(address) as executor:
            search(out, executor)
    elif role == "serve-folder":
        serve_folder(out / "jobs", TASK, workers=2, evaluate=evaluate, idle=600)


KILL = {
    "driver": kill_drivers,
    "worker": kill_workers,
    "folder": kill_by_folder,
    "stopping": partial(kill_drivers, role="drive-halved"),
    "ray": partial(kill_drivers, role="drive-ray"),
    "raylet": kill_raylets,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help=", ".join(KILL))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--searches", type=int, default=1, help="fewest that kills are spread over")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.out is not None:
        play(options.target, options.out, options.address)
        return
    with tempfile.TemporaryDirectory() as place:
        if options.target in ("ray", "raylet") and importlib.util.find_spec("ray") is None:
            parser.error("Ray is not installed")
        search(Path(place) / "whole", None, halved=options.target in ("stopping", "ray"))
        counted = Count(options.target, options.kills, read(Path(place) / "whole"))
        counted.spread = options.searches
        try:
            chance = random.Random(f"{options.target} {options.seed}")
            KILL[options.target](Path(place), counted, chance)
        finally:
            counted.say()


if __name__ == "__main__":
    main()
