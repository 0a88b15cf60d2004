"""Fixtures shared by the tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Engines look at what the whole machine listens to and shares, and want all of it: one worker runs
# their tests, one after the other. (pytest 9.2 ignores the groups of xdist 3.8.)
ENGINES = "tests/engines/"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", metavar="K/N", help="run every Nth of the tests, from the Kth on")


@pytest.hookimpl(trylast=True)  # when -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if share := config.getoption("share"):
        first, step = map(int, share.split("/"))
        left_out = [item for k, item in enumerate(items) if k % step != first % step]
        config.hook.pytest_deselected(items=left_out)
        items[:] = items[first % step :: step]


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers take the cores already
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the drivers of tests hear Ctrl-C


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Share the whole suite among the cores; the tests of a file or two are sooner done alone."""
    return None if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):
        """Whichever worker is free takes the next test; the engines go to one together."""

        def _split_scope(self, nodeid: str) -> str:
            return ENGINES if nodeid.startswith(ENGINES) else nodeid

    return OneByOne(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the checkout; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real recordings beside this checkout")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Close the figures of each test: pyplot keeps them, and warns of the twenty-first."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
