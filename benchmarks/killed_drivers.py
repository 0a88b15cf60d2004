"""How long do workers live on when their driver is killed?

    python benchmarks/killed_drivers.py --phase busy --trials 15 --load 16
    python benchmarks/killed_drivers.py --phase starting --trials 15 --load 16

Drivers with two workers of `local_pool` are killed by SIGKILL while the workers sleep in an
evaluation ("busy"), hold Python's lock in a call into a library ("holding"), or are only starting
("starting", at a random instant of their first two seconds). Meanwhile `--load` processes compute
without end. Prints how long the last process of each driver lived on. Needs /proc.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from brainguided.engines.local import local_pool

SPIN = "while True: pass"


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def hold(seconds: float) -> None:
    """Call into a library that lets no other thread run meanwhile."""
    ctypes.PyDLL(None).sleep(int(seconds))


def drive(phase: str) -> None:
    """Have two workers at work, until this process is killed."""
    pool = local_pool(2)
    futures = [pool.submit(hold if phase == "holding" else sleep, 120.0) for _ in range(2)]
    while phase != "starting" and not all(future.running() for future in futures):
        time.sleep(0.01)
    print("now", flush=True)
    time.sleep(120)


def list_family(pid: int) -> list[int]:
    """Return all processes below one, as /proc has them."""
    found: list[int] = []
    with suppress(OSError):  # it, or one of its threads, has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    found += [child, *list_family(child)]
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def measure(phase: str, chance: random.Random) -> float:
    """Return for how many seconds the last worker outlives a driver that is killed."""
    driver = subprocess.Popen(
        [sys.executable, __file__, "--drive", "--phase", phase], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    driver.stdout.readline()
    time.sleep(chance.random() * 2 if phase == "starting" else 0.5)
    family = list_family(driver.pid)
    start = time.perf_counter()
    driver.kill()
    while any(map(is_alive, family)):
        time.sleep(0.001)
    ended = time.perf_counter() - start
    driver.wait()
    driver.stdout.close()
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phase", choices=["busy", "holding", "starting"], default="busy")
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--load", type=int, default=0, help="processes that compute meanwhile")
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(options.phase)
        return
    chance = random.Random(0)
    load = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(options.load)]
    try:
        times = [measure(options.phase, chance) for _ in range(options.trials)]
    finally:
        for process in load:
            process.kill()
            process.wait()
    late = sum(seconds > 4 for seconds in times)
    print(
        f"{options.phase}, load {options.load} on {os.cpu_count()} cores: median "
        f"{statistics.median(times):.3f} s, longest {max(times):.3f} s, {late} of {len(times)} "
        "longer than 4 s"
    )


if __name__ == "__main__":
    main()
