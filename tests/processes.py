"""Processes of a test: which there are, and whether they live."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    """Return all processes below a process, from /proc."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def list_shared_memory():
    """Return the names of shared memory, less those of joblib, which may run beside the tests."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.loky-")}


class Counted:
    """Counts in a file how often it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(self.path, "a") as file:
            file.write(f"{os.getpid()}\n")


def use(counted, number):
    time.sleep(0.05)
    return type(counted).__name__, number


def hold(n_bytes):
    return len(bytearray(n_bytes))


def work(number, seconds=0.0):
    time.sleep(seconds)
    return number, os.getpid()


def hold_the_interpreter(number, seconds):
    """Call into a library that lets no other thread run meanwhile."""
    ctypes.PyDLL(None).sleep(int(seconds))


def square(number):
    return number * number
