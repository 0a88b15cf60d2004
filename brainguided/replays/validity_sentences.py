"""Sentences on what a validity study found of each area."""

from __future__ import annotations

import numpy as np
import xarray as xr

SAME = 0.95
"""Correlation over candidates and layers from which on two targets are not told apart."""
_PARTIAL = "partial"


def describe_validity(found: xr.Dataset) -> list[str]:
    """Return sentences on each area: against its shuffles, against its controls.

    Parameters
    ----------
    found : xr.Dataset
        From `compute_validity`.

    Returns
    -------
    list of str
        For each area, whether it exceeds its shuffles after correction, by its partial
        correlation, also those within groups where there are such; and which control it cannot be
        told from, by the similarity of all layers of all candidates.
    """
    lines = []
    if "p_value" not in found:
        lines.append(
            "There are no shuffled teachers in this run, so nothing here is evidence for the "
            'brain; add [[control]] kind = "shuffled".'
        )
    else:
        areas = _areas_of(found, "p_value")
        lines += [_say_shuffles(found, area, "p_value", "its shuffles") for area in areas]
    for group in found["within"].values.tolist() if "within" in found.coords else ():
        own, what = found.sel(within=group), f"its shuffles within {group}"
        areas = _areas_of(own, "p_value_within")
        lines += [_say_shuffles(own, area, "p_value_within", what) for area in areas]
    if "resemblance" in found:
        lines += [_say_controls(found, str(area)) for area in found["area"].values]
    return lines


def _areas_of(found: xr.Dataset, test: str) -> list[str]:
    known = found[test].notnull().any(("rung", "tested"))
    names = [str(name) for name in found["score"].values[known.values]]
    return [name for name in names if not name.startswith("committed ")]


def _say_shuffles(found: xr.Dataset, area: str, test: str, what: str) -> str:
    names = [n for n in (area, f"committed {area}") if n in found["score"].values]
    tests = found[[test, f"corrected_{test}"]].sel(score=names, tested=_PARTIAL)
    stacked = tests.stack(test=("score", "rung")).dropna("test")
    if not stacked.sizes["test"]:
        return f"{area} has no partial correlation that is defined."
    best = stacked.isel(test=int(np.argmin(stacked[f"corrected_{test}"].values)))
    name, rung = best["test"].item()
    p, corrected = float(best[test]), float(best[f"corrected_{test}"])
    value = float(found["value"].sel(score=name, rung=rung, statistic=_PARTIAL))
    verb = "exceeds" if corrected <= 0.05 else "does not exceed"
    more = ""
    if test == "p_value" and corrected <= 1 / ((number := found.sizes["shuffle"]) + 1) + 1e-9:
        more = f", the least that {number} shuffles can give"
    return (
        f"{area} {verb} {what}: at best its partial correlation is {value:.2f} ({name}, step "
        f"{rung}; p {p:.3f}, corrected for all areas, rungs and scores {corrected:.3f}{more})."
    )


def _say_controls(found: xr.Dataset, area: str) -> str:
    alike = found["resemblance"].sel(area=area).dropna("control")
    own = [str(name).startswith(f"{area}:") for name in alike["control"].values]
    alike = alike[own] if any(own) else alike  # the same stimuli may show several areas
    if not alike.sizes["control"]:
        return f"{area} has no control with the same layers."
    nearest = alike.isel(control=int(np.argmax(alike.values)))
    control, r = str(nearest["control"].item()), float(nearest)
    rung = int(found["rung"].values[-1])
    left = found.sel(area=area, control=control, rung=rung)
    what = (
        f"{float(left['given']):.2f} ({float(left['given_lower']):.2f} to "
        f"{float(left['given_upper']):.2f})"
    )
    if not np.isfinite(float(left["given"])):
        what = "nothing"
    said = f"cannot be told from {control} over candidates and layers (r {r:.2f})"
    if r < SAME:
        said = f"resembles none of its controls; nearest is {control} (r {r:.2f})"
    return f"{area} {said}; given it, P, size and counts, {what} is left at step {rung}."
