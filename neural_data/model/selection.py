"""Choosing sites by what they did: complete, reliable, responsive; each choice is recorded."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.model.origin import origin_of
from neural_data.model.recording import take
from neural_data.model.schema import add_step
from neural_data.model.site_blocks import iterate_rows, iterate_sites
from neural_data.model.validation import ValueCheck, check_structure
from neural_data.model.windows import describe_window, find_time_bins, weigh_time_bins


def select_complete(
    recording: xr.Dataset, *, keep: Literal["stimuli", "sites"] = "stimuli"
) -> xr.Dataset:
    """Leave out the sites, or else the stimuli, that have gaps.

    A gap is a stimulus to which a site has no response in any repetition. Without gaps,
    repetitions can be averaged and RDMs computed.

    Parameters
    ----------
    recording : xarray.Dataset
        Read once, block by block.
    keep : "stimuli" or "sites"
        What to keep whole: all stimuli, leaving out the sites with gaps, or all sites, leaving
        out the stimuli with gaps.

    Returns
    -------
    xarray.Dataset
        A recording, lazily backed if the given one is.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, or nothing would be left.

    Examples
    --------
    >>> from neural_data.model.recording import recording_from_arrays
    >>> from neural_data.model.selection import select_complete
    >>> recording = recording_from_arrays([[1.0, float("nan")], [3.0, 4.0]],
    ...     stimulus=["a", "b"], site=["s1", "s2"], area="V4", units="spikes/s", source="made up")
    >>> select_complete(recording).site.values.tolist()
    ['s1']
    >>> select_complete(recording, keep="sites").stimulus.values.tolist()
    ['b']
    """
    check_structure(recording)
    if keep not in ("stimuli", "sites"):
        raise ValueError(f"keep is {keep!r}; expected 'stimuli' or 'sites'.")
    gaps = np.zeros((recording.sizes["stimulus"], recording.sizes["site"]), dtype=bool)
    for sites, block in iterate_sites(recording):
        for rows, values in iterate_rows(block):
            missing = np.isnan(values).all(axis=1)
            gaps[rows, sites] = missing if missing.ndim == 2 else missing.all(axis=2)
    kept_sites = np.arange(gaps.shape[1])
    kept_stimuli = np.arange(gaps.shape[0])
    if keep == "stimuli":
        kept_sites = np.flatnonzero(~gaps.any(axis=0))
    else:
        kept_stimuli = np.flatnonzero(~gaps.any(axis=1))
    if not (kept_sites.size and kept_stimuli.size):
        left_out, other = ("site", "sites") if keep == "stimuli" else ("stimulus", "stimuli")
        worst = int(gaps.sum(axis=0 if left_out == "site" else 1).min())
        raise RecordingError(
            f"Every {left_out} has gaps ({int(gaps.sum())} of {gaps.size} stimulus-site pairs "
            f"have no response; at least {worst} at each {left_out}), so nothing would be left. "
            f"Use keep={other!r}, or first select sites and stimuli that belong together with "
            "select_recording(...)."
        )
    return take(recording, kept_sites, kept_stimuli, step=f"select_complete(keep={keep!r})")


def select_shown(recording: xr.Dataset) -> xr.Dataset:
    """Leave out the stimuli that no site was shown.

    Of sites chosen from animals or sessions that were pooled, some stimuli were shown to others
    only; a recording without responses to a stimulus is none.

    Parameters
    ----------
    recording : xarray.Dataset
        Read once, block by block.

    Returns
    -------
    xarray.Dataset
        The recording itself if every stimulus was shown to some site; otherwise a recording, lazily
        backed if the given one is, whose history names the number of stimuli left.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, or nothing was shown.
    """
    check_structure(recording)
    shown = np.zeros(recording.sizes["stimulus"], dtype=bool)
    for _, block in iterate_sites(recording):
        for rows, values in iterate_rows(block):
            shown[rows] |= ~np.isnan(values).reshape(len(values), -1).all(axis=1)
    if shown.all():
        return recording
    if not shown.any():
        raise RecordingError("No stimulus was shown to any of these sites: choose others.")
    sites = np.arange(recording.sizes["site"])
    return take(recording, sites, np.flatnonzero(shown), step="select_shown()")


def compute_responsiveness(
    recording: xr.Dataset, *, baseline: tuple[float, float], window: tuple[float, float]
) -> xr.DataArray:
    """Compute how far each site's responses stand out from its activity before the stimulus.

    The discriminability d' of evoked from baseline activity over all presentations, of all
    stimuli and repetitions, that the site has: ``(mean(e) - mean(b)) / sqrt((var(e) + var(b))
    / 2)``, where e and b are the mean responses of one presentation in the two windows (time
    bins weighted by width) and variances are unbiased [1]_. It is negative where stimuli
    suppress a site. A site that never varies has d' 0 if both means agree, else infinity.

    Parameters
    ----------
    recording : xarray.Dataset
        With time bins and their times; read block by block.
    baseline, window : (start, end)
        ms from stimulus onset, such as (-100, 0) and (70, 170); the bins wholly inside count.

    Returns
    -------
    xarray.DataArray
        ``responsiveness (site)``, d', with the coordinates of the sites.

    Raises
    ------
    RecordingError
        There are no time bins or none inside a window, the windows overlap, or a site has
        fewer than two presentations.

    References
    ----------
    .. [1] Green & Swets (1966), Signal Detection Theory and Psychophysics, with the root mean
       square of two unequal standard deviations.
    """
    check_structure(recording)
    bins = [find_time_bins(recording, *limits) for limits in (baseline, window)]
    names = [describe_window(*limits) for limits in (baseline, window)]
    if np.intersect1d(bins[0], bins[1]).size:
        raise RecordingError(
            f"The baseline, {names[0]}, and the window, {names[1]}, have time bins in common; "
            "expected a baseline without the response, such as (-100, 0)."
        )
    weights = np.zeros((recording.sizes["time_bin"], 2))
    for column, chosen in enumerate(bins):
        weights[chosen, column] = weigh_time_bins(recording, chosen)
    d_prime = np.empty(recording.sizes["site"])
    counts = np.empty(recording.sizes["site"], dtype=np.int64)
    check = ValueCheck(recording)
    for sites, block in iterate_sites(recording):
        check.add(sites, block)
        d_prime[sites], counts[sites] = _discriminate(block, weights)
    raise_problems("Responsiveness cannot be computed", check.list_wrong_values())
    few = counts < 2
    if few.any():
        raise RecordingError(
            f"{int(few.sum())} of {len(few)} sites have fewer than two presentations "
            f"({format_names(recording['site'].values[few])}): leave them out with "
            "select_recording(recording, site=...)."
        )
    responsiveness = xr.DataArray(
        d_prime,
        dims="site",
        coords={k: c for k, c in recording.coords.items() if c.dims == ("site",)},
        name="responsiveness",
        attrs={"units": "d'", "baseline": names[0], "window": names[1]} | origin_of(recording),
    )
    step = f"compute_responsiveness: d' of {names[1]} against {names[0]} over presentations"
    return add_step(responsiveness, step)


def select_responsive_sites(
    recording: xr.Dataset,
    *,
    baseline: tuple[float, float],
    window: tuple[float, float],
    above: float,
) -> xr.Dataset:
    """Keep the sites whose responses stand out from their activity before the stimulus.

    Parameters
    ----------
    recording : xarray.Dataset
        With time bins and their times.
    baseline, window : (start, end)
        ms from stimulus onset, see `compute_responsiveness`.
    above : float
        Sites with a greater d' are kept.

    Returns
    -------
    xarray.Dataset
        A recording with the coordinate ``responsiveness (site)``, lazily backed if the given
        one is.

    Raises
    ------
    RecordingError
        Responsiveness cannot be computed, or no site is above the threshold.
    """
    responsiveness = compute_responsiveness(recording, baseline=baseline, window=window)
    windows = f"baseline={describe_window(*baseline)}, window={describe_window(*window)}"
    return select_above(
        recording,
        responsiveness,
        above,
        step=f"select_responsive_sites(above={above:g}, {windows})",
    )


def select_above(
    recording: xr.Dataset, measure: xr.DataArray, above: float, *, step: str
) -> xr.Dataset:
    """Keep the sites at which a measure (site) is above a threshold, and the measure as label."""
    name = str(measure.name)
    kept = np.flatnonzero(measure.values > above)
    if not kept.size:
        raise RecordingError(
            f"None of the {measure.size} sites has a {name} above {above:g}; their median is "
            f"{float(np.median(measure.values)):.3g}, their highest {float(measure.max()):.3g}."
        )
    attrs = {"units": measure.attrs["units"]}
    labelled = recording.assign_coords({name: ("site", measure.values, attrs)})
    return take(labelled, kept, np.arange(recording.sizes["stimulus"]), step=step)


def _discriminate(block: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return d' and the number of presentations of each site of a block with time bins.

    Sums are those of differences from the first presentation, so that large means do no harm.
    """
    n_sites = block.shape[2]
    counts = np.zeros(n_sites, dtype=np.int64)
    sums, squares = np.zeros((n_sites, 2)), np.zeros((n_sites, 2))
    origin = np.full((n_sites, 2), np.nan)
    for _, rows in iterate_rows(block):
        with np.errstate(invalid="ignore"):  # infinities are refused afterwards
            levels = (rows @ weights).reshape(-1, n_sites, 2)
        shown = ~np.isnan(levels[:, :, 0])
        fresh = np.isnan(origin[:, 0]) & shown.any(axis=0)
        origin[fresh] = levels[shown.argmax(axis=0)[fresh], fresh]
        counts += shown.sum(axis=0)
        deviations = np.where(shown[:, :, np.newaxis], levels - origin, 0.0)
        sums += deviations.sum(axis=0)
        squares += (deviations**2).sum(axis=0)
    n = np.maximum(counts, 2)[:, np.newaxis]
    variance = np.maximum(squares - sums**2 / n, 0.0) / (n - 1)
    means = origin + sums / n
    difference = means[:, 1] - means[:, 0]
    spread = np.sqrt(variance.mean(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / spread), counts
