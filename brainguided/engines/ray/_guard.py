"""See to it that no part of a Ray of ours outlives the process that started it.

Ray's agents stay for good where that process is killed. Run as a program, this waits for its end
and then ends them: ``python -m brainguided.engines.ray._guard PID [CHILD ...]``, with standard
input held open by the process of that number, which has those children already. What it starts
besides counts as Ray's until a line on standard input says which processes are.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_LOOK = 2.0  # s between two looks at which processes there are
_LOOK_CLOSELY = 0.1  # while Ray starts, and when it is left
_GRACE = 1.0  # s that Ray has to end by itself


def list_children(pid: int) -> dict[int, str]:
    """Return the processes below one and the start of each; empty where there is no /proc.

    The start tells a process from others that have the same number later.
    """
    found: dict[int, str] = {}
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found[child] = _find_start(child)
                found |= list_children(child)
    return found


def start_guard() -> subprocess.Popen[bytes]:
    """Watch over what this process is about to start; `narrow_guard` says which of it is Ray's."""
    before = map(str, list_children(os.getpid()))
    return subprocess.Popen(
        [sys.executable, "-m", "brainguided.engines.ray._guard", str(os.getpid()), *before],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )


def narrow_guard(guard: subprocess.Popen[bytes], pids: list[int]) -> None:
    """Let a guard watch over these processes and all below them, and over no others."""
    assert guard.stdin is not None
    guard.stdin.write(" ".join(map(str, pids)).encode() + b"\n")
    guard.stdin.flush()


def watch(driver: int, before: list[int], until: int) -> None:
    """Wait until the other side of a pipe is closed, then end what is left of Ray.

    Parameters
    ----------
    driver : int
        Process that starts it.
    before : list of int
        What that had started before.
    until : int
        Descriptor of the pipe.
    """
    known: dict[int, str] = {}
    said = b""
    while True:
        if b"\n" not in said:  # it starts
            new = list_children(driver)
            known |= {pid: start for pid, start in new.items() if pid not in before}
        _add_children(known)
        pause = _LOOK if b"\n" in said else _LOOK_CLOSELY
        ready, _, _ = select.select([until], [], [], pause)
        if not ready:
            continue
        heard = os.read(until, 65536)
        if not heard:
            break
        said += heard
        if b"\n" in said:
            known = {pid: _find_start(pid) for pid in map(int, said.split())}
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        _add_children(known)  # a node that has just begun may go on to start others
        time.sleep(_LOOK_CLOSELY)
    known |= _find_followers(known)
    known.pop(os.getpid(), None)
    for pid, started in known.items():
        if started and _find_start(pid) == started:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _add_children(known: dict[int, str]) -> None:
    for pid, started in list(known.items()):
        if pid != os.getpid() and started and _find_start(pid) == started:
            known |= list_children(pid)


def _find_followers(known: dict[int, str]) -> dict[int, str]:
    """Return the processes that a node of ours has started, also those that lost their parent."""
    found = {}
    names = {f"RAY_RAYLET_PID={pid}".encode() for pid in known}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):  # gone, or not ours
            if folder.name.isdigit() and names & set(
                (folder / "environ").read_bytes().split(b"\0")
            ):
                found[int(folder.name)] = _find_start(int(folder.name))
    return found


def _find_start(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was; "" if it is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    watch(given[0], given[1:], sys.stdin.fileno())
