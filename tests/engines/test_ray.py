"""Ray behind the interface of an executor."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import fake_task
import halving_task
import numpy as np
import pytest
from fake_task import FakeTask
from halving_task import HalvingTask
from processes import Counted, alive, children, list_shared_memory, use

# None of these needs torch, nor do processes of Ray here
from brainguided.controllers import LocalSearch, RegularizedEvolution
from brainguided.engines.local import local_pool
from brainguided.engines.ray import _nodes, session
from brainguided.engines.ray._call import run_call
from brainguided.engines.ray._nodes import Demand, Nodes
from brainguided.engines.ray.executor import ray_executor
from brainguided.engines.versions import list_versions
from brainguided.journal.attempts import STOPPED
from brainguided.journal.journal import Journal
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def executor():
    with ray_executor(workers=2) as executor:
        yield executor


def add(a, b=1):
    return a + b


def fail(text):
    raise KeyError(text)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail_to_import():
    raise ModuleNotFoundError("No module named 'brainguided'")


def niceness():
    return os.nice(0)


def test_results_and_errors_come_back_as_they_are(executor):
    assert executor.submit(add, 1, b=2).result(60) == 3
    with pytest.raises(KeyError, match="gone"):
        executor.submit(fail, "gone").result(60)
    assert executor.submit(niceness).result(60) == os.nice(0)
    assert executor.workers == 2


def list_listening():
    """Return the addresses on which something here listens, from /proc."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            _, address, _, state = line.split()[:4]
            if state == "0A":
                found.add(address)
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_nothing_listens_beyond_this_machine():
    code = (
        "import sys, time; from brainguided.engines.ray.executor import ray_executor\n"
        "with ray_executor(workers=1) as executor:\n"
        "    executor.submit(abs, -1).result(60); print('up', flush=True); sys.stdin.read()"
    )
    before = list_listening()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    new = list_listening() - before
    process.communicate()
    assert new
    assert [a for a in new if not a.split(":")[0].endswith("0100007F")] == []


def test_many_tasks_come_back(executor):
    futures = [executor.submit(add, k) for k in range(300)]
    assert [future.result(60) for future in futures] == list(range(1, 301))


def test_a_task_that_ends_while_it_is_handed_over_is_no_deadlock(executor, monkeypatch):
    class Ended:
        """A reference whose result is there at once."""

        def __init__(self, value):
            self.value = value

        def future(self):
            future = Future()
            future.set_result(self.value)
            return future

    class Call:
        def remote(self, *given):
            return Ended(7)

    monkeypatch.setattr(executor._nodes, "find_call", lambda node: Call())
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(executor.submit, add, 1).result(10).result(10) == 7


def test_a_killed_worker_costs_its_task_only(executor):
    lost = executor.submit(die)
    others = [executor.submit(add, k) for k in range(5)]
    with pytest.raises(BrokenExecutor, match="WorkerCrashed"):
        lost.result(60)
    assert [future.result(60) for future in others] == [1, 2, 3, 4, 5]


def test_large_arguments_are_shared_not_sent_again(executor):
    array = np.zeros(5_000_000)
    futures = [executor.submit(np.sum, array) for _ in range(20)]
    assert [future.result(60) for future in futures] == [0.0] * 20
    assert len([kept for kept, _ in executor._large.values() if kept is array]) == 1


def test_a_shared_argument_is_unpickled_once_by_each_process(executor, tmp_path):
    stand_in = executor.share(Counted(str(tmp_path / "unpickled")))
    for start in range(0, 30, 2):  # no more than there are places, as a search does
        pair = [executor.submit(use, stand_in, start + k) for k in range(2)]
        assert [f.result(60) for f in pair] == [("Counted", start), ("Counted", start + 1)]
    # What one process lacked may be sent to the other; but not for ever
    assert 1 <= len((tmp_path / "unpickled").read_text().split()) <= 6
    for lost in [executor.submit(die) for _ in range(2)]:
        with pytest.raises(BrokenExecutor):
            lost.result(60)
    found = [executor.submit(use, stand_in, number).result(60) for number in range(6)]
    assert found == [("Counted", number) for number in range(6)], "also those in their place"


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.05)


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.05)


def test_a_task_says_when_it_began_not_when_it_was_handed_over(executor, tmp_path):
    def submit(name):
        return executor._submit(uuid.uuid4().hex, wait_for, (str(tmp_path / name),), {})

    first = [submit("first") for _ in range(2)]
    waits = submit("last")  # there are two places
    until(lambda: None not in [executor.began(future) for future in first])
    assert executor.began(waits) is None
    still = time.monotonic()
    (tmp_path / "first").touch()
    until(lambda: executor.began(waits) is not None)
    assert executor.began(waits) > still
    (tmp_path / "last").touch()
    for future in (*first, waits):
        future.result(60)
    assert executor.began(waits) is None
    assert executor._began == {}


def test_a_task_that_runs_too_long_is_killed(executor):
    late = executor.submit(time.sleep, 600)
    time.sleep(1)
    executor.kill(late)
    started = time.monotonic()
    assert executor.submit(add, 1).result(60) == 2
    assert executor.submit(add, 1).result(60) == 2
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("order", [Index(4), Completion()], ids=["index", "completion"])
def test_a_search_on_ray_is_the_search(executor, tmp_path, order):
    settings = {"candidates": 24, "schedule": Schedule(order), "evaluate": fake_task.evaluate}
    task = FakeTask(failing=5)

    def make():
        return LocalSearch(small_space(3), seed=3, initial=5)

    run_search(make(), task, executor=executor, out=tmp_path / "ray", **settings)
    run_search(make(), task, out=tmp_path / "here", **settings)

    def content(name):
        file = sqlite3.connect(tmp_path / name / "journal.db")
        found = file.execute("SELECT * FROM evaluation").fetchall()
        file.close()
        return found

    if isinstance(order, Index):
        assert content("ray") == content("here")
    assert len(content("ray")) == 24


def test_a_search_that_stops_candidates_early_is_the_same_on_ray(executor, tmp_path):
    """Begun here, killed, and gone on with on Ray; or on Ray from the beginning."""

    def search(out, evaluate=halving_task.evaluate, executor=None):
        run_search(
            RegularizedEvolution(small_space(5), seed=2, population=8, sample=3),
            HalvingTask(), candidates=90, out=tmp_path / out, schedule=Schedule(Batch(6)),
            evaluate=evaluate, executor=executor,
        )  # fmt: skip
        with Journal.read(tmp_path / out) as journal:
            return journal.events(), journal.results()

    calls = []

    def stop_at_forty(*arguments, **options):
        calls.append(options)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return halving_task.evaluate(*arguments, **options)

    with local_pool(2) as pool:
        events, results = search("pool", executor=pool)
    assert sum(result.reason == STOPPED for result in results) > 10
    assert search("ray", executor=executor) == (events, results)
    with pytest.raises(KeyboardInterrupt):
        search("begun", evaluate=stop_at_forty)
    assert search("begun", executor=executor) == (events, results)


def test_a_request_that_no_node_meets_is_refused_with_what_there_is():
    code = (
        "from brainguided.engines.ray.executor import ray_executor; import sys\n"
        "try: ray_executor(workers=1, resources={'siteA': 1}, labels={'gpu': 'a100'})\n"
        "except ValueError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "takes (CPU 1, siteA 1, gpu=a100). There are:\n  - " in said
    assert "CPU 1" in said.splitlines()[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory")
def test_a_task_that_wants_more_than_its_memory_fails_alone():
    code = (
        "from brainguided.engines.ray.executor import ray_executor; from processes import hold\n"
        "with ray_executor(workers=1, memory=2**30) as executor:\n"
        "    try: executor.submit(hold, 2**31).result(60)\n"
        "    except MemoryError: print('memory')\n"
        "    print(executor.submit(hold, 2**20).result(60), executor.workers)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.stdout.split() == ["memory", str(2**20), "1"], done.stderr


DRIVER = """
import sys, time; from brainguided.engines.ray.executor import ray_executor
executor = ray_executor(workers=2)
futures = [executor.submit(time.sleep, 60) for _ in range(2)]
time.sleep(2); print("busy", flush=True); time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_nothing_of_ray_outlives_a_killed_driver_by_five_seconds():
    shared = list_shared_memory()
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    with driver.stdout:
        assert driver.stdout.readline() == "busy\n"
        family = children(driver.pid)
        assert len(family) >= 6, "Ray's own, two workers and the guard"
        driver.kill()
        driver.wait()
    deadline = time.monotonic() + 5
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in family if alive(pid)] == []
    assert list_shared_memory() <= shared


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="cpus is -1"):
        ray_executor(cpus=-1)
    with pytest.raises(ValueError, match="no end of places"):
        ray_executor(cpus=0)


@pytest.mark.skipif(os.name != "posix", reason="needs modes of files")
def test_the_token_is_for_this_user_alone(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ".ray" / "auth_token"
    session.import_ray(cluster=False)
    made = token.read_text()
    assert len(made) == 64
    assert token.stat().st_mode & 0o777 == 0o600
    token.chmod(0o644)  # as Ray makes it
    session.import_ray(cluster=False)
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() == made
    elsewhere = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(elsewhere))
    session.import_ray(cluster=False)
    assert elsewhere.stat().st_mode & 0o777 == 0o600


DEMAND = Demand(1, 0, {}, {}, None)


@pytest.mark.parametrize("name", ["torch", "brainguided"])
def test_a_node_with_another_version_is_given_nothing_and_named(executor, caplog, name):
    mine = {**list_versions(), name: "0.0.1"}
    nodes = Nodes(executor._ray, executor._ray.remote(run_call), DEMAND, versions=mine)
    nodes.count()
    assert nodes.places == {}, "it has not said yet"
    with caplog.at_level("WARNING", "brainguided"):
        nodes.find_places(120)
    assert nodes.places == {}
    (why,) = nodes.refused.values()
    assert why == f"{name} {list_versions()[name]} (here 0.0.1)"
    assert f"is given nothing: {why}. Install" in caplog.text
    said = session.say_refused(nodes.refused, nodes.name)
    assert f"{nodes.name(next(iter(nodes.refused)))}: {why}" in said


def test_a_node_with_the_same_versions_is_used_once_it_has_said_so(executor):
    nodes = Nodes(executor._ray, executor._ray.remote(run_call), DEMAND, versions=list_versions())
    nodes.find_places(120)
    assert list(nodes.places.values()) == [2]
    assert nodes.refused == {}


def test_a_node_that_cannot_say_its_versions_is_refused(executor, monkeypatch):
    monkeypatch.setattr(_nodes, "list_versions", fail_to_import)
    nodes = Nodes(executor._ray, executor._ray.remote(run_call), DEMAND, versions=list_versions())
    nodes.find_places(120)
    assert next(iter(nodes.refused.values())) == "No module named 'brainguided'"


def test_nothing_is_handed_over_anywhere_while_a_node_is_refused(executor, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(executor._nodes, "refused", {"other": "torch 1"})
        patch.setattr(executor._nodes, "list_places", dict)
        future = executor.submit(add, 1)
        assert executor.where(future) == "waiting for a node of Ray"
        assert len(executor._again) == 1
    assert future.result(60) == 2


JOIN = """
import sys
from brainguided.engines.ray.executor import ray_executor
try:
    with ray_executor(sys.argv[1]) as executor:
        print("used", executor.submit(abs, -3).result(60))
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("torch", [None, "0.0.1"])
def test_a_real_cluster_is_used_or_refused_by_its_version_of_torch(tmp_path, torch):
    """A node finds, before the real ones, the description of a torch that is not there."""
    places = [str(Path(__file__).parents[2])]
    if torch is not None:
        info = tmp_path / "other" / f"torch-{torch}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {torch}\n")
        places.insert(0, str(info.parent))
    temporary = tempfile.mkdtemp(prefix="bg")  # names of sockets have to be short
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
         f"--port={address.split(':')[1]}", "--include-dashboard=false", "--num-cpus=2",
         "--object-store-memory=100000000", f"--temp-dir={temporary}"],
        env=os.environ | session.ENVIRONMENT | {"RAY_AUTH_MODE": "token",
                                                "PYTHONPATH": os.pathsep.join(places)},
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for line in head.stdout:
            if "Ray runtime started" in line:
                break
        done = subprocess.run(
            [sys.executable, "-c", JOIN, address], capture_output=True, text=True, timeout=200,
            env=os.environ | {"PYTHONPATH": places[-1]},
        )  # fmt: skip
    finally:
        family = children(head.pid) | {head.pid}
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        head.wait()
        head.stdout.close()
        shutil.rmtree(temporary, ignore_errors=True)
    if torch is None:
        assert done.stdout == "used 3\n", done.stderr
    else:
        assert "No node of the Ray cluster has the versions of this process" in done.stdout
        assert "torch 0.0.1 (here " in done.stdout
