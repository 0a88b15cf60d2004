"""The benchmark of random kills: what it is asked for is what it does."""

from __future__ import annotations

import random
import sys
import types
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Paused(Exception):
    """Raised at the first pause, with the most candidates that may end meanwhile."""


@pytest.mark.parametrize("target", ["driver", "worker", "folder", "stopping", "ray", "raylet"])
def test_kills_are_spread_over_the_searches_that_are_asked_for(target, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import random_kills

    def pause(out, chance, driver, most):
        raise Paused(most)

    class Process:
        def poll(self):
            return None

    class Cluster:
        address = "here"

        def __init__(self, **settings):
            pass

        add_node = remove_node = shutdown = __init__

    monkeypatch.setattr(random_kills, "pause", pause)
    monkeypatch.setattr(random_kills, "start", lambda *words: Process())
    monkeypatch.setattr("brainguided.engines.ray.session.import_ray", lambda cluster: None)
    fake = types.ModuleType("ray.cluster_utils")
    fake.Cluster = Cluster
    monkeypatch.setitem(sys.modules, "ray.cluster_utils", fake)
    counted = random_kills.Count(target, 20, None)
    for counted.spread, most in ((1, 12), (5, 62)):
        with pytest.raises(Paused) as asked:
            random_kills.KILL[target](tmp_path, counted, random.Random(0))
        assert asked.value.args == (most,)
