"""Damaging files at random and reading them in processes of their own.

A reader of a damaged file may crash or hang the process it runs in, so each batch of files is read
by a child process that is watched: what happened to every file is told apart from what happened
to the child.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import resource
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

KINDS = ("header", "anywhere", "truncated", "inserted", "swapped", "zeroed")
HEADER = 2048
SECONDS = 10.0
HUGE = 2 << 30  # bytes of address space that reading one small file may take in addition


def damage(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Return the content damaged once, in a place and to an extent drawn at random."""
    size = len(content)
    damaged = bytearray(content)
    if kind in ("header", "anywhere"):
        end = min(size, HEADER) if kind == "header" else size
        for place in rng.integers(end, size=int(rng.integers(1, 9))):
            damaged[place] ^= int(rng.integers(1, 256))
    elif kind == "truncated":
        del damaged[int(rng.integers(size)) :]
    elif kind == "inserted":
        place, length = int(rng.integers(size + 1)), int(2 ** rng.uniform(0, 12))
        block = rng.bytes(length) if rng.random() < 0.5 else bytes(length)
        damaged[place:place] = block
    elif kind == "swapped":
        length = min(int(2 ** rng.uniform(2, 10)), size // 3)
        first = int(rng.integers(size - 2 * length + 1))
        second = int(rng.integers(first + length, size - length + 1))
        a, b = content[first : first + length], content[second : second + length]
        damaged[first : first + length], damaged[second : second + length] = b, a
    else:
        length = min(int(2 ** rng.uniform(2, 12)), size)
        place = int(rng.integers(size - length + 1))
        damaged[place : place + length] = bytes(length)
    return bytes(damaged)


@dataclass(frozen=True)
class Outcome:
    """What reading one damaged file led to."""

    number: int
    kind: str
    what: str  # same, different, refused, foreign, huge, crash, hang
    detail: str = ""


@dataclass(frozen=True)
class Case:
    """A way of reading: `read` takes the file named `file` in a folder of valid files."""

    name: str
    read: Callable[[Path], Any]
    files: dict[str, bytes] = field(repr=False)
    file: str


def fingerprint(result: Any) -> str:
    """Digest of every value, label, dtype and attribute of arrays, datasets and tuples of them."""
    digest = hashlib.sha256()
    _add(digest, result)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, (xr.Dataset, xr.DataArray)):
        dataset = value if isinstance(value, xr.Dataset) else value.to_dataset(name="_value")
        for name in sorted(dataset.variables, key=str):
            variable = dataset.variables[name]
            digest.update(f"{name} {variable.dims} {name in dataset.coords}".encode())
            _add(digest, variable.values)
            _add(digest, variable.attrs)
        _add(digest, dataset.attrs)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _add(digest, item)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            digest.update(repr(key).encode())
            _add(digest, value[key])
    elif isinstance(value, np.ndarray) and value.dtype.kind not in "OT":
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.shape} {value.tolist()!r}".encode())
    else:
        digest.update(f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass"))


def read_damaged_files(
    case: Case, folder: Path, *, n: int, seed: int, kinds: Iterable[str] = KINDS
) -> list[Outcome]:
    """Read `n` damaged copies of a file, kinds of damage in turn; the same for the same seed."""
    kinds = tuple(kinds)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    expected = fingerprint(case.read(folder))
    outcomes: list[Outcome] = []
    child = None
    for number in range(n):
        kind = kinds[number % len(kinds)]
        damaged = damage(case.files[case.file], kind, np.random.default_rng([seed, number]))
        if damaged == case.files[case.file]:
            outcomes.append(Outcome(number, kind, "same"))
            continue
        target = folder / case.file
        target.unlink(missing_ok=True)  # a child that hangs may still hold the last one
        target.write_bytes(damaged)
        child = child or _Child(case, folder, expected)
        what, detail = child.read()
        if what in ("crash", "hang"):
            child = None
        outcomes.append(Outcome(number, kind, what, detail))
    if child:
        child.stop()
    return outcomes


def count(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How often each thing happened."""
    return Counter(outcome.what for outcome in outcomes)


class _Child:
    def __init__(self, case: Case, folder: Path, expected: str) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, case, folder, expected), daemon=True
        )
        self._process.start()
        other.close()

    def read(self) -> tuple[str, str]:
        self._pipe.send("read")
        try:
            if not self._pipe.poll(SECONDS):
                self.stop()
                return "hang", f"more than {SECONDS:.0f} s"
            what, detail = self._pipe.recv()
            return what, detail
        except (EOFError, OSError):
            self._process.join(SECONDS)
            return "crash", f"exit code {self._process.exitcode}"

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Any, case: Case, folder: Path, expected: str) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + HUGE, used + HUGE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError):
        while pipe.recv():
            pipe.send(_try(case, folder, expected))


def _try(case: Case, folder: Path, expected: str) -> tuple[str, str]:
    from neural_data.errors import AlignmentError, RecordingError

    try:
        result = case.read(folder)
        seen = fingerprint(result)
    except (RecordingError, AlignmentError, OSError) as error:
        if _is_memory(error):
            return "huge", f"{error}"
        ours = isinstance(error, (RecordingError, AlignmentError)) or error.errno is None
        return ("refused" if ours else "foreign"), f"{type(error).__name__}: {error}"
    except Exception as error:
        what = "huge" if _is_memory(error) else "foreign"
        last = traceback.extract_tb(error.__traceback__)[-1]
        return what, f"{type(error).__name__}: {error} ({last.name}, {last.filename}:{last.lineno})"
    return ("same" if seen == expected else "different"), ""


def _is_memory(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
