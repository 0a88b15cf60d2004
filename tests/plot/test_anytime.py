"""Curves of searches: none hides another."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib import pyplot

from brainguided.plot import plot_anytime


def test_searches_that_found_the_same_are_both_seen() -> None:
    pyplot.switch_backend("Agg")
    curve = np.linspace(0, 1, 50)
    curves = np.stack([curve, curve, 2 - curve, curve])
    names = ["random", "local", "reinforce", "evolution"]
    summary = xr.Dataset(
        {
            "mean": ("search", curves[:, -1]),
            **{name: (("search", "cost"), curves)
               for name in ("curve_mean", "curve_lower", "curve_upper")},
        },
        coords={"search": names, "cost": np.arange(50.0)},
    )  # fmt: skip
    lines = plot_anytime(summary).get_lines()
    drawn = {line.get_label().split()[0]: line._unscaled_dash_pattern for line in lines}
    assert drawn["reinforce"] == (0, None)
    shares = {name: drawn[name] for name in ("random", "local", "evolution")}
    assert {pattern for _, pattern in map(lambda d: (d[0], tuple(d[1])), shares.values())} == {
        (4.0, 8.0)
    }
    assert sorted(offset for offset, _ in shares.values()) == [0.0, 4.0, 8.0]
    pyplot.close("all")


def test_curves_that_meet_for_a_while_are_both_seen_there() -> None:
    pyplot.switch_backend("Agg")
    cost = np.arange(100.0)
    curve = np.sqrt(cost / 99)
    apart = np.where(cost < 70, 0.15, 0.0)  # the last third lies on the other curve
    curves = np.stack([curve, curve - apart, curve - 0.3])
    summary = xr.Dataset(
        {
            "mean": ("search", curves[:, -1]),
            **{name: (("search", "cost"), curves)
               for name in ("curve_mean", "curve_lower", "curve_upper")},
        },
        coords={"search": ["local", "tpe", "random"], "cost": cost},
    )  # fmt: skip
    local, tpe, random = (line._unscaled_dash_pattern for line in plot_anytime(summary).get_lines())
    assert {local[0], tpe[0]} == {0.0, 4.0}
    assert tuple(local[1]) == tuple(tpe[1]) == (4.0, 4.0)
    assert random == (0, None)
    pyplot.close("all")
