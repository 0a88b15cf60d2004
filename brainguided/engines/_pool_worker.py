"""One worker process of the local pool: how it is started, spoken to and ended."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_UNGUARDED = 113  # exit code of a worker that found itself starting workers
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_GRACE = 5.0  # s in which a process that was closed or killed has to be gone
_environment_lock = threading.Lock()
_kept: dict[int, Any] = {}  # in a worker: what was shared with it
# What a process does before it imports anything of its driver, which may take long
_FIRST = f"""
import ctypes, os, signal
try:
    ctypes.CDLL(None).prctl({_KILL_WITH_PARENT}, signal.SIGKILL)
except (OSError, AttributeError):  # as where prctl is not allowed
    pass
if os.getppid() != %d:  # it died before
    os._exit(1)
"""


@dataclass(frozen=True)
class Shared:
    """Stand-in for an object that is sent to each worker once."""

    token: int


class WorkerDied(Exception):
    """Raised when a worker process has died while running a task."""


class UnguardedScriptError(SystemExit):
    """A script starts its work wherever it is imported, and so in each of its own workers.

    It ends the script with its text and no traceback: nothing but the script can be mended.
    """


def end_unguarded_import(*, said: bool = True) -> None:
    """End this process where it is a worker that is only about to import the script of its driver.

    The script has then come as far as to start its work: it has no guard. The driver of a
    `local_pool` says so; else, without `said`, this process does.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        if not said:
            os.write(2, f"{_say_unguarded()}\n".encode())
        os._exit(_UNGUARDED)


def _say_unguarded() -> str:
    names = (
        getattr(sys.modules.get(name), "__file__", None) for name in ("__mp_main__", "__main__")
    )
    script = next(filter(None, names), "The script")
    return (
        f"{script} starts its work when its own worker processes import it; put what it does, from "
        "where it makes an executor on, under a line 'if __name__ == \"__main__\":' (functions "
        "and classes stay above it)."
    )


class UnreachableError(TypeError):
    """What is to be evaluated cannot be imported by worker processes."""


def pickle_for_workers(value: Any) -> bytes:
    """Return a value pickled for processes that import what it names.

    Raises
    ------
    UnreachableError
        It, or its class, was defined where they cannot import it from: in a notebook, at a prompt,
        or inside a function.
    """
    named = value if hasattr(value, "__qualname__") else type(value)
    name = getattr(named, "__qualname__", repr(named))
    main = sys.modules["__main__"]
    nowhere = getattr(main, "__spec__", None) is None and not os.path.isfile(
        getattr(main, "__file__", None) or ""
    )
    if getattr(named, "__module__", None) == "__main__" and nowhere:
        raise UnreachableError(
            f"'{name}' was defined in a notebook or at a prompt, from where worker processes "
            "cannot import it; write it into a file beside it, e.g. with the cell magic "
            f"'%%writefile my_search.py', then 'from my_search import {name}'."
        )
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UnreachableError(
            f"'{name}' cannot be sent to worker processes ({error}); define it at the top level of "
            "a module that they can import, and keep open files and locks out of it."
        ) from error


class _MortalName(str):
    """Name of a process that ends when its driver does, from the first thing it reads on.

    `multiprocessing` sends the name before all else, and the process unpickles it before it
    imports the driver's script or this package.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"(exec({_FIRST % os.getpid()!r}, {{}}), {str(self)!r})[1]",)


class PoolWorker:
    """Worker process that runs one task after the other.

    Parameters
    ----------
    memory : int or None
        Bytes of data that it may hold.
    """

    def __init__(self, memory: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        name = "brainguided-worker"
        if sys.platform.startswith("linux"):
            name = _MortalName(name)
        self._process = context.Process(
            target=_serve, args=(theirs, memory, os.getpid()), name=name
        )
        with _one_thread():  # it inherits the environment of this moment
            self._process.start()
        theirs.close()
        self._known: set[int] = set()  # what was shared with it
        self._loaded: set[tuple[str, str]] = set()  # functions that it has unpickled

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid or 0

    def prepare(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], shared: dict[int, bytes]
    ) -> None:
        """Wait until the process has started and has all that a task needs.

        What is imported and sent then belongs to the start of a worker, not to the time of a task.
        """
        for token in {a.token for a in arguments if isinstance(a, Shared)} - self._known:
            self.run(_keep, (token, shared[token]), {})
            self._known.add(token)
        functions = [x for x in (function, *arguments) if callable(x)]
        names = {(getattr(x, "__module__", ""), getattr(x, "__qualname__", "")) for x in functions}
        if not names <= self._loaded:
            self.run(_load, (functions,), {})
            self._loaded |= names

    def run(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Return what a function returns there, or raise what it raises.

        Raises
        ------
        WorkerDied
            The process was killed, or left.
        """
        payload = pickle.dumps((function, arguments, keywords), protocol=pickle.HIGHEST_PROTOCOL)
        try:
            self._pipe.send_bytes(payload)
            answer = self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self._process.join(_GRACE)
            if self._process.exitcode == _UNGUARDED:
                raise UnguardedScriptError(_say_unguarded()) from None
            raise WorkerDied(
                f"The worker process {self.pid} died ({_say_end(self._process.exitcode)}): killed, "
                "or no memory."
            ) from error
        good, result = pickle.loads(answer)
        if good:
            return result
        raise result

    def kill(self) -> None:
        """End the process at once, whatever it is at; from any thread."""
        with suppress(OSError):
            os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def close(self) -> None:
        """Let the process end, and wait for it."""
        self._pipe.close()
        self._process.join(_GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_GRACE)


def _say_end(code: int | None) -> str:
    if code is None:
        return "it answers no more"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start meanwhile use one thread each; numeric libraries look only once."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _serve(pipe: Connection, memory: int | None, driver: int) -> None:
    """Run in the process: answer one task after the other until the other side is closed."""
    _end_with(driver)
    _begin(memory)
    while True:
        try:
            payload = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        answer = _answer(payload)
        del payload
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _answer(payload: bytes) -> bytes:
    """Return whether a task was good, and what it returned or raised, pickled."""
    try:
        function, arguments, keywords = pickle.loads(payload)
        given = (_kept[a.token] if isinstance(a, Shared) else a for a in arguments)
        result = function(*given, **keywords)
        return pickle.dumps((True, result), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return _pickle_error(error)


def _pickle_error(error: BaseException) -> bytes:
    """Return an error pickled; one that does not survive that as another with its text."""
    if hasattr(error, "add_note"):
        error.add_note(f"In the worker process {os.getpid()}:\n{traceback.format_exc()}")
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)
    except Exception:
        answer = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return answer


def _load(functions: list[Callable[..., Any]]) -> None:
    """Unpickling the functions was all."""


def _keep(token: int, payload: bytes) -> None:
    """Hold a shared object in this worker."""
    _kept[token] = pickle.loads(payload)


def _begin(memory: int | None) -> None:
    """Prepare a worker: one thread, Ctrl-C left to the driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if memory is not None:
        import resource  # not on every system

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _end_with(driver: int) -> None:
    """Let this process end when its driver does, whatever way, whatever this one is at.

    Linux kills it at that moment, see `_FIRST`. Elsewhere a thread waits for the pipe that the
    end of the driver closes; it may have to wait for a long call into a library.
    """
    threading.Thread(target=_follow_parent, name="brainguided-follow", daemon=True).start()
    if os.getppid() != driver:  # it died before
        os._exit(1)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
