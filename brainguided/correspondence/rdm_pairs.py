"""RDMs of two kinds compared pair by pair, with intervals and tests over units of stimuli."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from brainguided.correspondence.compute import Inference
from brainguided.correspondence.multiple_tests import correct_holm
from brainguided.correspondence.permutation import exceed_maximum, permute_vectors
from brainguided.correspondence.standard_errors import measure_spread
from brainguided.rdms.compare import align_rdms, compare_rdms
from brainguided.rdms.comparisons import Comparison, find_comparison
from brainguided.rdms.labels import name_rdms
from brainguided.rdms.measures import read_measure
from brainguided.rdms.units import FEWEST_UNITS, Units, find_rdm_units
from brainguided.rdms.variables import name_results
from neural_data.model.origin import origin_of

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def compare_rdm_pairs(
    first: RDMs,
    second: RDMs,
    *,
    method: str = "pearson",
    inference: Inference | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return how similar each RDM of one side is to each of the other, and how sure that is.

    Parameters
    ----------
    first, second : rsatoolbox.rdm.RDMs
        Over the same conditions, in any order: they are brought into that of `first` by label.
    method : str, optional
        As for ``compare_rdms``.
    inference : Inference, optional
        The unit of stimuli that was sampled, and permutations; 0 ``draws`` leave intervals out.
        Nothing else of it is used: RDMs hold neither sites nor repetitions.
    seed : int, optional
        Of the permutations.

    Returns
    -------
    xarray.Dataset (first, second, bound)
        ``similarity`` (first, second); ``similarity_interval`` (first, second, bound): 95 % over
        samples of units, by the jackknife with Student's t on Fisher's z [1]_; ``p_value``
        (first, second): of permuted units, one-sided, of each pair alone, and
        ``corrected_p_value`` for the number of pairs (Holm). ``attrs``: ``unit`` and
        ``unit_count``, what was sampled; ``said``, why an interval or a test is missing (it is
        NaN then).

    Raises
    ------
    AlignmentError
        The conditions are not the same.
    ValueError
        An RDM holds NaN or is constant; the method or unit is unknown, or the two sides label
        the conditions otherwise.

    Warns
    -----
    UserWarning
        A coordinate that groups the stimuli is ignored.

    References
    ----------
    .. [1] Efron & Stein (1981), Annals of Statistics 9, 586-596.

    Examples
    --------
    >>> from brainguided import compute_rdms
    >>> from neural_data import simulate_macaque
    >>> rdms = compute_rdms(simulate_macaque()[0], by="object_name")
    >>> found = compare_rdm_pairs(rdms.subset("area", "V4"), rdms.subset("area", "IT"))
    >>> found["similarity"].dims, found.attrs["unit"]
    (('first', 'second'), 'category')
    """
    how = Inference() if inference is None else inference
    kind = find_comparison(method)
    second = align_rdms(second, first)
    similarity = compare_rdms(first, second, method=method)
    units = find_rdm_units(first, second, unit=how.unit)
    reasons = _find_reasons(first, second, kind, units)
    interval = np.full((*similarity.shape, 2), np.nan)
    if how.draws and not reasons["interval"]:
        rows = [np.asarray(row, dtype=float) for row in first.dissimilarities]
        for k, row in enumerate(second.dissimilarities):
            spread = measure_spread(rows, np.asarray(row, dtype=float), units, method=method)
            interval[:, k] = spread.interval()
    p = np.full(similarity.shape, np.nan)
    if how.permutations and not reasons["test"]:
        for k, row in enumerate(second.dissimilarities):
            null = permute_vectors(
                np.asarray(first.dissimilarities),
                np.asarray(row, dtype=float),
                how.permutations,
                method=method,
                seed=seed,
                units=units,
            )
            for n in range(first.n_rdm):
                p[n, k] = exceed_maximum(similarity[[n], k], null[:, [n]]).item()
    said = dict.fromkeys(reason for reason in reasons.values() if reason)
    found = xr.Dataset(
        {
            "similarity": (("first", "second"), similarity),
            "similarity_interval": (("first", "second", "bound"), interval),
            "p_value": (("first", "second"), p),
            "corrected_p_value": (("first", "second"), correct_holm(p)),
        },
        coords={
            "first": name_rdms(first, unnamed="RDM {}"),
            "second": name_rdms(second, unnamed="RDM {}"),
            "bound": ["lower", "upper"],
        },
        attrs={
            "method": method,
            "unit": units.name,
            "unit_count": units.number,
            "conditions": int(first.n_cond),
            "permutations": how.permutations,
            "seed": seed,
            "said": " ".join(said),
        }
        | origin_of(first, second),
    )
    found["similarity"].attrs["long_name"] = f"RDM similarity ({method})"
    return name_results(found)


def tabulate_pairs(comparison: xr.Dataset) -> pd.DataFrame:
    """Return a row for each pair of RDMs: similarity, interval and p-value.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `compare_rdm_pairs`.

    Returns
    -------
    pandas.DataFrame
        Columns ``first``, ``second``, ``similarity``, ``lower``, ``upper``, ``p_value``,
        ``corrected_p_value``.
    """
    columns = comparison[["similarity"]]
    for bound in ("lower", "upper"):
        columns[bound] = comparison["similarity_interval"].sel(bound=bound, drop=True)
    for name in ("p_value", "corrected_p_value"):
        columns[name] = comparison[name]
    return columns.to_dataframe().reset_index()


def describe_pairs(comparison: xr.Dataset) -> list[str]:
    """Return what a comparison of RDMs says, a line for each pair and what it rests on.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `compare_rdm_pairs`.

    Returns
    -------
    list of str
    """
    attrs, lines = comparison.attrs, []
    for row in tabulate_pairs(comparison).to_dict("records"):
        line = f"{row['first']} and {row['second']}: {attrs['method']} {row['similarity']:.4f}"
        if np.isfinite(row["lower"]):
            line += f" ({row['lower']:.4f} to {row['upper']:.4f})"
        if np.isfinite(row["p_value"]):
            line += f", p = {row['p_value']:.3g}"
            if comparison["p_value"].size > 1:
                line += f", {row['corrected_p_value']:.3g} corrected"
        lines.append(line)
    rests = f"{attrs['conditions']} conditions"
    if attrs["unit_count"] < attrs["conditions"]:
        rests += f" in {attrs['unit_count']} units ({attrs['unit']})"
    if comparison["similarity_interval"].notnull().any():
        rests += "; 95 % intervals are over samples of these"
    if comparison["p_value"].notnull().any():
        rests += f"; p of {attrs['permutations']} permutations"
        rests += ", corrected for the number of pairs (Holm)" if len(lines) > 1 else ""
    return [*lines, f"{rests}.", *([attrs["said"]] if attrs["said"] else [])]


def _find_reasons(first: RDMs, second: RDMs, kind: Comparison, units: Units) -> dict[str, str]:
    """Return why there is no interval, and why no test; empty where there is one."""
    few = (
        f"There are {units.number} units ({units.name}); of fewer than {FEWEST_UNITS} no interval "
        "or test holds what it promises. To speak of other stimuli of these units: unit='stimulus'."
    )
    found = {"interval": "" if units.enough else few, "test": "" if units.enough else few}
    measures = dict.fromkeys(str(side.dissimilarity_measure or "") for side in (first, second))
    biased = [name for name in measures if name and _is_biased(name)]
    grouped = len(units.index) > units.number
    if not kind.draws:
        found["interval"] = f"Intervals are not defined for {kind.name!r}."
    elif not kind.centres and grouped and biased:
        found["interval"] = (
            f"Intervals of the {kind.name} of {' and '.join(biased)} distances do not hold what "
            f"they promise where stimuli come in units ({units.name}); compare by Pearson "
            "correlation."
        )
    if not kind.permutes:
        found["test"] = f"Permutations of {kind.name!r} would take hours."
    return found


def _is_biased(measure: str) -> bool:
    """Whether noise adds to dissimilarities of this name; not known of one that is not known."""
    try:
        return read_measure(measure).noise == "adds"
    except ValueError:
        return False
