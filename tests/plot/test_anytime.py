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
