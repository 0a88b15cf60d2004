"""The section of the page on which choices went with what candidates showed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from brainguided.plot import plot_importance
from brainguided.replays.importance import describe_importance, importance_of_results
from brainguided.reports._figures import save_figure
from brainguided.reports._markup import figure, plain, table
from brainguided.reports._rewarded import Run

_PERMUTATIONS = 199
_MOST = 1000  # candidates looked at, so that a page of many takes seconds
_LEVEL = 0.05
_SHOWN = 12  # rows
_CAPTION = (
    "Share of the variance of each measure that goes with each choice, over the space; dots where "
    "the corrected p is at most 0.05. An asterisk stands for any number: all decisions of a kind."
)


def describe_choices(run: Run) -> str:
    """Return which choices go with P, each area and each control, as HTML; or why not."""
    try:
        found = importance_of_results(
            run.results, run.config, permutations=_PERMUTATIONS, most=_MOST
        )
        drawn = _draw(found)
    except ValueError as error:
        return f"<p>{plain(error)}</p>"
    except Exception as error:  # the page is written whatever this fails of
        return f"<p>This could not be computed ({type(error).__name__}: {plain(error)}).</p>"
    heads = ["choice", *(f"{name} (p)" for name in found["measure"].values)]
    learns = (run.config.get("controller") or {}).get("name", "") not in ("random", "list")
    best = [str(m) for m in found["measure"].values[found["similarity"].values == "best layer"]]
    notes = [
        f"The best of many layers is similar by chance: depth may go with {', '.join(best)} for "
        "that reason alone."
        if best
        else "",
        f"From {found.attrs['candidates']} candidates; p is corrected for all choices and "
        f"measures, by {_PERMUTATIONS} permutations.",
        "The controller learned, so choices went together and p is approximate: read this as "
        "where to look, not as an experiment."
        if learns
        else "",
    ]
    return (
        "".join(f"<p>{plain(one)}</p>" for one in describe_importance(found, level=_LEVEL))
        + figure(drawn, _CAPTION)
        + "<details><summary>Shares and p in numbers</summary>"
        + table(heads, _list_rows(found), label="Importance of choices", names=True)
        + "</details>"
        + "".join(f"<p>{plain(note)}</p>" for note in notes if note)
    )


def _draw(found: xr.Dataset) -> bytes:
    axes = plot_importance(found, level=_LEVEL)
    drawn = axes.figure
    assert isinstance(drawn, Figure)
    from matplotlib import pyplot

    pyplot.close(drawn)  # it can still be saved
    return save_figure(drawn, "png")


def _list_rows(found: xr.Dataset) -> Sequence[Sequence[str]]:
    """Return all kinds, and the single decisions that matter most."""
    importance, p = found["importance"].values, found["corrected_p_value"].values
    kinds = np.flatnonzero(found["level"].values == "kind").tolist()
    lowest = np.where(np.isnan(p), 1.0, p).min(axis=0)
    single = [k for k in np.argsort(lowest, kind="stable").tolist() if k not in kinds]
    names = found["choice"].values.astype(str)
    return [
        [names[k], *(f"{s:.2f} ({q:.2g})" for s, q in zip(importance[:, k], p[:, k], strict=True))]
        for k in [*kinds, *single[:_SHOWN]]
    ]
