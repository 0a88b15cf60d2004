"""How busy are 40 workers? Sleeping evaluations on the local pool, or on three Ray nodes.

    python benchmarks/many_workers.py --engine pool --seconds 0.5
    python benchmarks/many_workers.py --engine ray --seconds 2 --sigma 0.5
    python benchmarks/many_workers.py --engine ray --seconds 2 --sigma 0.5 --order index --lag 120

Nothing is trained. The Ray nodes are three raylets on this machine (14 + 13 + 13 CPUs); with
``--kill`` one of them is killed in the middle, with ``--freeze`` another stops without a word,
with ``--join`` one more comes late. Time begins when every worker has started and imported what
it needs; how long that took is printed first. The last line compares with what `simulate_search`
predicts for the same durations.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from brainguided.controllers import RandomSearch
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal
from brainguided.replays.virtual_clock import Machines, observe_overhead, simulate_search
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space

FROZEN: list[int] = []
JOINED: list[subprocess.Popen[bytes]] = []


class Sleep:
    """Hold how long evaluations take."""

    def __init__(self, seconds: float, sigma: float) -> None:
        self.seconds, self.sigma = seconds, sigma

    def describe(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "sigma": self.sigma}

    def draw(self, seed: int) -> float:
        generator = np.random.default_rng(seed)
        return float(self.seconds * np.exp(self.sigma * generator.normal()))


def evaluate(architecture: Any, task: Sleep, *, seed: int) -> SimpleNamespace:
    time.sleep(task.draw(seed))
    reward = int(architecture.key[:6], 16) / 16**6
    return SimpleNamespace(
        outcome="done", reason="", performance=reward, guidance=None, reward=reward,
        similarity={}, history=(), n_parameters=1, examples=1,
    )  # fmt: skip


def warm_up(seconds: float) -> None:
    """Import what a worker needs of a search, and stay so long that each worker does."""
    import brainguided.search.dispatch  # noqa: F401

    time.sleep(seconds)


def start_cluster() -> tuple[Any, Any, dict[str, Any]]:
    """Return the executor, the cluster, and what may be done to its nodes."""
    from brainguided.engines.ray.executor import ray_executor
    from brainguided.engines.ray.session import import_ray

    import_ray(cluster=True)  # nodes and driver have to agree on tokens
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 14})
    second = cluster.add_node(num_cpus=13)
    third = cluster.add_node(num_cpus=13)
    cluster.wait_for_nodes()
    executor = ray_executor(cluster.address)

    def stop() -> None:
        # A machine that froze: the node and all its workers, not a word to anyone
        raylet = third.all_processes["raylet"][0].process.pid
        for pid in [*list_children(raylet), raylet]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                FROZEN.append(pid)

    actions = {
        "kill": lambda: cluster.remove_node(second, allow_graceful=False),
        "freeze": stop,
        "join": lambda: JOINED.append(join_node(cluster.address)),
    }
    return executor, cluster, actions


def join_node(address: str) -> subprocess.Popen[bytes]:
    """Start one more node, as on another machine."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    return subprocess.Popen(
        [*command, f"--address={address}", "--num-cpus=13", "--disable-usage-stats"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def list_children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in path.read_text().split()]
    return [p for child in children for p in (child, *list_children(child))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=("pool", "ray"), default="pool")
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--sigma", type=float, default=0.0)
    parser.add_argument("--order", choices=("completion", "index", "batch"), default="completion")
    parser.add_argument("--lag", type=int, default=120)
    for name in ("kill", "freeze", "join"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="s after which a node does")
    parser.add_argument("--timeout", type=float, help="deadline of a candidate, s")
    options = parser.parse_args()
    orders: dict[str, Any] = {
        "completion": Completion(), "index": Index(options.lag), "batch": Batch(options.workers),
    }  # fmt: skip
    order, task = orders[options.order], Sleep(options.seconds, options.sigma)
    out = tempfile.mkdtemp()
    cluster: Any = None
    actions: dict[str, Any] = {}
    if options.engine == "pool":
        executor: Any = local_pool(options.workers)
    else:
        executor, cluster, actions = start_cluster()
    with executor:
        begun = time.perf_counter()
        list(executor.map(warm_up, [2.0] * options.workers))  # every worker is there
        started = time.perf_counter()
        print(f"workers were ready after {started - begun:.1f} s")
        for name, action in actions.items():
            if delay := getattr(options, name):
                timer = threading.Timer(delay, action)
                timer.daemon = True
                timer.start()
        run_search(
            RandomSearch(small_space(), seed=0),
            task,
            candidates=options.candidates,
            out=out,
            schedule=Schedule(order, timeout=options.timeout),
            executor=executor,
            evaluate=evaluate,
        )
        elapsed = time.perf_counter() - started
    with Journal.read(out) as journal:
        results, attempts, times = journal.results(), journal.attempts(), journal.timings()
    begin, end = min(t.started for t in times), max(t.finished for t in times)
    low, high = begin + 0.25 * (end - begin), begin + 0.9 * (end - begin)
    busy = sum(max(0.0, min(t.finished, high) - max(t.started, low)) for t in times)
    warm = busy / (high - low) / options.workers
    work = sum(task.draw(r.seed) for r in results if r.duplicate_of is None)
    draws = iter([task.draw(r.seed) for r in results])
    predicted = simulate_search(
        order,
        lambda generator: next(draws),
        Machines(options.workers, overhead := observe_overhead(times)),
        candidates=options.candidates,
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(results)} results, {len(attempts)} attempts, {elapsed:.1f} s; work {work:.0f} s: "
        f"{work / elapsed:.1f} times sequential, "
        f"utilisation {work / elapsed / options.workers:.1%}, "
        f"between a quarter and nine tenths of the time {warm:.1%} "
        f"({warm * options.workers:.1f} times)"
    )
    if options.order != "completion":
        with Journal.read(out) as journal:
            told = repr((journal.events(), [(r.candidate, r.outcome, r.reward) for r in results]))
        print(f"events and results {hashlib.sha256(told.encode()).hexdigest()[:16]}")
    print(
        f"driver {memory:.2f} GiB; makespan {end - begin:.1f} s, simulated "
        f"{predicted.makespan:.1f} s ({predicted.makespan / (end - begin) - 1:+.1%}) "
        f"with {overhead:.3f} s between two evaluations of a worker"
    )
    for node in JOINED:
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
    for pid in FROZEN:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if cluster is not None:
        with suppress(AttributeError):  # of a node that is gone
            cluster.shutdown()
    shutil.rmtree(out)


if __name__ == "__main__":
    main()
