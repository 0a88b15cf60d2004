"""See to it that no part of a Ray of ours outlives the process that started it.

Ray's agents stay for good where that process is killed. Run as a program, this waits for its end
and then ends them: ``python -m brainguided.ray_guard PID ...``, with standard input held open by
whoever is watched.
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
from typing import IO

_LOOK = 2.0  # s between two looks at which processes there are
_GRACE = 1.0  # s that Ray has to end by itself


def list_children(pid: int) -> dict[int, str]:
    """Return the processes below one, with when each was started, which tells them from others
    that have the same number later. Empty where there is no /proc."""
    found: dict[int, str] = {}
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found[child] = _find_start(child)
                found |= list_children(child)
    return found


def start_guard(pids: list[int]) -> subprocess.Popen[bytes]:
    """Watch over these processes of ours, and all below them, until this process ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "brainguided.ray_guard", *map(str, pids)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )


def watch(pids: list[int], until: IO[bytes]) -> None:
    """Wait until the other side of a pipe is closed, then end what is left of the processes."""
    known = {pid: _find_start(pid) for pid in pids}
    while True:
        for pid in pids:
            if _find_start(pid) == known[pid]:
                known |= list_children(pid)
        ready, _, _ = select.select([until], [], [], _LOOK)
        if ready and not until.read(1):
            break
    time.sleep(_GRACE)
    for pid, started in known.items():
        if started and _find_start(pid) == started:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _find_start(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was; "" if it is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


if __name__ == "__main__":
    watch([int(text) for text in sys.argv[1:]], sys.stdin.buffer)
