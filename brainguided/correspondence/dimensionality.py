"""Effective dimensionality of responses: over how many dimensions their variance is spread."""

from __future__ import annotations

import numpy as np
import xarray as xr

from brainguided.correspondence._parts import divide_repetitions
from brainguided.rdms.conditions import order_patterns, refuse_undefined
from brainguided.rdms.variables import name_results
from neural_data.errors import RecordingError
from neural_data.model.recording import check_structure
from neural_data.rounding import TOLERANCE

QUARTERS = 4


def compute_dimensionality(responses: xr.DataArray) -> float:
    """Return the participation ratio of responses to a set of stimuli.

    ``(sum of the eigenvalues)^2 / sum of their squares`` of the covariance of units over stimuli
    [1]_: N if variance is spread evenly over N dimensions, 1 if all lies in one. It describes these
    stimuli: other stimuli, or more of them, can span more dimensions. Noise adds dimensions; for
    recordings see `compute_area_dimensionality`.

    Parameters
    ----------
    responses : xr.DataArray (stimulus, site) or (stimulus, unit)
        E.g. a layer's activations or mean responses.

    Returns
    -------
    float
        1 to the smaller of the number of units and of stimuli less 1.

    Raises
    ------
    RecordingError
        If responses are missing, or there are fewer than 3 stimuli.
    ValueError
        If the responses do not vary over stimuli.

    References
    ----------
    .. [1] Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy & Ganguli (2017), bioRxiv 214262.

    Examples
    --------
    >>> x = xr.DataArray(np.eye(4), dims=("stimulus", "unit"), coords={"stimulus": list("abcd")})
    >>> round(compute_dimensionality(x), 12)
    3.0
    """
    name = str(getattr(responses, "name", None) or "responses")
    ordered = order_patterns(responses, name)
    refuse_undefined(ordered, name, "stimulus", measure="cka")
    values = ordered.values.astype(float)
    centred = values - values.mean(0)
    strength = np.linalg.svd(centred, compute_uv=False) ** 2
    if strength.sum() <= TOLERANCE**2 * np.square(values).sum():
        raise ValueError(f"{name} do not vary over stimuli; they have no dimensionality.")
    share = strength / strength.sum()
    return float(1 / np.square(share).sum())


def compute_area_dimensionality(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0
) -> xr.Dataset:
    """Return the dimensionality of each area's signal, the noise between repetitions left out.

    Repetitions are divided at random into four parts with means A, B, C, D (stimulus, site), each
    centred over stimuli. Noise is independent between parts, so that tr(A'B) and <A'B, C'D> are
    unbiased estimates of the sum of the eigenvalues of the signal covariance (times its divisor)
    and of the sum of their squares; both are averaged over splits and the ratio is taken once. The
    principle is that of cross-validated principal components [1]_.

    Parameters
    ----------
    recording : xr.Dataset
        With at least four repetitions of every stimulus at every site, without time bins.
    splits : int
        Random divisions of the repetitions.
    seed : int
        Of the divisions.

    Returns
    -------
    xarray.Dataset (area)
        `dimensionality`: of the signal; NaN where its variance is not above 0. `of_means`: the
        participation ratio of the mean responses, with the noise that is left in them.

    Raises
    ------
    RecordingError
        If the recording is not valid, has time bins, or has fewer than four repetitions of a
        stimulus at a site.

    References
    ----------
    .. [1] Stringer, Pachitariu, Steinmetz, Carandini & Harris (2019), Nature 571, 361-365.
    """
    check_structure(recording)
    response = recording["response"]
    if recording.sizes.get("time_bin", 1) > 1:
        raise RecordingError(
            f"The recording has {recording.sizes['time_bin']} time bins. Choose a window: "
            "average_window(recording, start, end)."
        )
    response = response.isel(time_bin=0, drop=True, missing_dims="ignore")
    values = response.transpose("repetition", "stimulus", "site").values.astype(float)
    shown = np.isfinite(values).sum(0)
    if shown.min() < QUARTERS:
        few = int((shown < QUARTERS).sum())
        raise RecordingError(
            f"{few} of {shown.size} stimulus-site pairs have fewer than {QUARTERS} repetitions; "
            "the noise-free dimensionality needs that many. Leave them out, or use "
            "compute_dimensionality on mean responses."
        )
    areas = recording["area"].values.astype(str)
    names = list(dict.fromkeys(areas.tolist()))
    generator = np.random.default_rng([seed, 12])
    trace, squares = np.zeros(len(names)), np.zeros(len(names))
    for _ in range(splits):
        parts = [p - p.mean(0) for p in divide_repetitions(values, QUARTERS, generator)]
        for k, area in enumerate(names):
            a, b, c, d = (part[:, areas == area] for part in parts)
            trace[k] += np.vdot(a, b)
            # <A'B, C'D> = <A C', B D'>: inner products of stimuli, however many sites there are
            squares[k] += np.vdot(a @ c.T, b @ d.T)
    trace, squares = trace / splits, squares / splits
    with np.errstate(invalid="ignore", divide="ignore"):
        signal = np.where((trace > 0) & (squares > 0), trace**2 / squares, np.nan)
    means = xr.DataArray(np.asarray(np.nanmean(values, axis=0)), dims=("stimulus", "site"),
                         coords={"stimulus": recording["stimulus"].values})  # fmt: skip
    raw = [compute_dimensionality(means[:, areas == area].rename(area)) for area in names]
    return name_results(
        xr.Dataset(
            {"dimensionality": ("area", signal), "of_means": ("area", raw)},
            coords={"area": names},
            attrs={
                "long_name": "participation ratio",
                "splits": splits,
                "seed": seed,
                "source": str(recording.attrs.get("source", "unknown")),
            },
        )
    )
