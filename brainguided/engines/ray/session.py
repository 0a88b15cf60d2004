"""How Ray is started on this machine, or a cluster of it joined; and what its nodes offer."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from brainguided.engines.ray._guard import list_children, narrow_guard, start_guard

ENVIRONMENT = {  # read by Ray when it is imported
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to anyone
    "RAY_task_oom_retries": "0",  # running out of memory is a result, not to be repeated for ever
    "RAY_worker_niceness": "0",  # as every other process, not behind them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STORE = 256 * 2**20  # bytes of shared memory on one machine
_QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


def import_ray(*, cluster: bool) -> Any:
    """Return the module, imported with our settings where it was not imported before."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if cluster:  # on one machine Ray makes a token by itself
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as error:
        raise ImportError("Ray is not installed: pip install 'brainguided[ray]'.") from error
    keep_token_private()
    return ray


def keep_token_private() -> None:
    """Let nobody but this user read the token of Ray; make it before Ray does, who lets others.

    Whoever reads it can run code in the clusters of this user.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_MODE") == "disabled":
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with suppress(OSError):  # a read-only home: then Ray says what it cannot do
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
        if os.stat(path).st_mode & 0o077:
            os.chmod(path, 0o600)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Let SIGTERM do what it did before: Ray's own leaves at once, in the middle."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def join_cluster(ray: Any, address: str) -> None:
    """Connect to a cluster.

    Raises
    ------
    ConnectionError
        There is none, or it does not let us in.
    """
    try:
        with _signals_kept():
            ray.init(address=address, **_QUIET)
    except Exception as error:
        raise ConnectionError(
            f"There is no Ray cluster at {address}, or its token is not on this machine "
            f"({say_line(error)}). Start one with 'ray start --head', and see "
            "'ray get-auth-token'."
        ) from error


def start_here(ray: Any, cpus: int, *, store: int) -> subprocess.Popen[bytes] | None:
    """Start Ray on this machine for this process alone.

    Parameters
    ----------
    ray : module
    cpus : int
        That tasks can take.
    store : int
        Bytes of shared memory.

    Returns
    -------
    subprocess.Popen or None
        Its guard, see `ray_guard`; None where there is no /proc.
    """
    # Workers find what this process can import, as those of multiprocessing do; and Ray's parts
    # talk to each other by way of 127.0.0.1, as where it knows one machine only
    here = {
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    before = {name: os.environ.get(name) for name in here}
    constants = ray._private.ray_constants
    clusters = constants.ENABLE_RAY_CLUSTER
    os.environ.update(here)
    constants.ENABLE_RAY_CLUSTER = False
    guard = start_guard() if os.path.isdir("/proc/self/task") else None
    family = list_children(os.getpid())  # the guard is of it
    try:
        with _signals_kept():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=store,
                num_cpus=cpus,
                **_QUIET,
            )
    except BaseException:
        if guard is not None:
            narrow_guard(guard, [])
            guard.communicate()
        raise
    finally:
        constants.ENABLE_RAY_CLUSTER = clusters
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    if guard is not None:
        narrow_guard(guard, [pid for pid in list_children(os.getpid()) if pid not in family])
    return guard


def say_offers(
    needs: Mapping[str, float], labels: Mapping[str, str], nodes: list[dict[str, Any]]
) -> str:
    """Say that no node is large enough or has the labels, and what each has."""
    wanted = ", ".join(f"{name} {need:g}" for name, need in needs.items())
    wanted += "".join(f", {name}={value}" for name, value in labels.items())
    text = f"No node of the Ray cluster has what a candidate takes ({wanted}). There are:"
    for node in nodes:
        there = {k: v for k, v in node["Resources"].items() if not k.startswith("node:")}
        said = ", ".join(f"{name} {value:g}" for name, value in sorted(there.items()))
        own = {k: v for k, v in node.get("Labels", {}).items() if not k.startswith("ray.io/")}
        said += "".join(f", {name}={value}" for name, value in own.items())
        text += f"\n  - {node.get('NodeManagerHostname', 'a node')}: {said}"
    return f"{text}\nTake less, or start nodes that have it: ray start --resources, --labels."


def say_refused(refused: Mapping[str, str], name: Callable[[str], str]) -> str:
    """Say which nodes have other versions than this process; "" where none has."""
    if not refused:
        return ""
    found = "".join(f"\n  - {name(node)}: {why}" for node, why in refused.items())
    return (
        f"No node of the Ray cluster has the versions of this process:{found}\nResults would "
        "differ; install the same versions everywhere."
    )


def say_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split())[:300]
