"""How similar a model could be to an area at best, of which other sites or animals are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.correspondence.ceilings import compute_noise_ceiling
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import average_conditions, build_rdms, compute_rdms
from brainguided.rdms.crossnobis import Noise, select_noise
from neural_data.errors import RecordingError
from neural_data.model.origin import origin_of
from neural_data.model.recording import check_structure, select_recording
from neural_data.reliability.estimates import spearman_brown

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

FEWEST_SITES = 3
"""Of one half, or of one animal: patterns over fewer are no patterns."""


def compute_site_ceiling(
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    noise: Noise = "shrinkage",
    method: str = "pearson",
    splits: int = 100,
    seed: int = 0,
) -> xr.DataArray:
    """Compute, for each area, how similar its RDM is to that of all sites of the area.

    Sites are split into halves at random, and the RDMs of the halves compared. The mean over
    splits, corrected to all sites recorded [1]_, is the reliability of the RDM over samples of
    sites; its root is the expected correlation with the RDM of the whole population, from which
    the sites are taken to be a random sample. For squared distances, which are means over sites,
    the correction is exact. Noise of single sites is part of what differs between halves; noise
    that sites share, in presentations that they saw together, is part of what is alike.

    Parameters
    ----------
    recording : xr.Dataset
        Without time bins; repetitions are averaged, and may be lacking.
    by, measure : str, optional
        As for ``compute_rdms``.
    noise : str or mapping of area to ndarray, optional
        As for ``compute_rdms``; it is estimated for each half by itself.
    method : str, optional
        As for ``compare_rdms``.
    splits : int, optional
        Number of random halvings.
    seed : int, optional
        The same seed gives the same splits.

    Returns
    -------
    xr.DataArray (area,)
        0 to 1; NaN with fewer than 6 sites, or where halves are no more alike than by chance.

    Raises
    ------
    RecordingError
        If an RDM cannot be computed, or not of half of the sites.
    ValueError
        If there are no splits.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.
    """
    check_structure(recording)
    if splits < 1:
        raise ValueError(f"splits is {splits}; expected at least 1.")
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    found = []
    for area in areas:
        part = select_recording(recording, area=area)
        n = part.sizes["site"]
        if n < 2 * FEWEST_SITES:
            found.append(np.nan)
            continue
        r = []
        for split in range(splits):
            order = np.random.default_rng([seed, 21, split]).permutation(n)
            halves = [
                _compute_part(part, np.sort(members), by, measure, noise)
                for members in (order[: n // 2], order[n - n // 2 :])
            ]
            r.append(compare_rdms(*halves, method=method)[0, 0])
        reliability = float(spearman_brown(float(np.mean(r)), factor=n / (n // 2)))
        found.append(np.sqrt(reliability) if reliability > 0 else np.nan)
    return xr.DataArray(
        np.array(found),
        dims="area",
        coords={"area": areas},
        name="site_ceiling",
        attrs={"by": by, "measure": measure, "method": method, "splits": splits, "seed": seed},
    )


def compute_animal_ceiling(
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    noise: Noise = "shrinkage",
    method: str = "pearson",
) -> xr.DataArray:
    """Compute, for each area, how similar a model can be to the RDMs of its animals, on average.

    The bounds of ``compute_noise_ceiling`` [1]_: each animal's RDM beside the mean of the others,
    which a model of what animals have in common should reach, and beside the mean of all, which no
    model can exceed on average.

    Parameters
    ----------
    recording : xr.Dataset
        With coordinate ``animal`` over sites, as ``pool_recordings`` makes it; without time bins.
    by, measure : str, optional
        As for ``compute_rdms``.
    noise : str or mapping of area to ndarray, optional
        As for ``compute_rdms``.
    method : str, optional
        As for ``compare_rdms``.

    Returns
    -------
    xr.DataArray (area, bound)
        ``lower`` and ``upper``; NaN in areas with fewer than two animals of three sites or more.

    Raises
    ------
    RecordingError
        If no site says whose it is, or an RDM cannot be computed.

    References
    ----------
    .. [1] Nili et al. (2014), PLoS Comput. Biol. 10(4):e1003553.
    """
    check_structure(recording)
    if "animal" not in recording.coords:
        raise RecordingError(
            "No coordinate 'animal' over dim 'site' says whose the sites are: pool_recordings puts "
            "animals side by side, or recording.assign_coords(animal=('site', [...]))."
        )
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    bounds = np.full((len(areas), 2), np.nan)
    for k, area in enumerate(areas):
        part = select_recording(recording, area=area)
        names, index, counts = np.unique(
            part["animal"].values.astype(str), return_inverse=True, return_counts=True
        )
        enough = np.flatnonzero(counts >= FEWEST_SITES)
        if len(enough) < 2:
            continue
        rdms = [_compute_part(part, np.flatnonzero(index == a), by, measure, noise) for a in enough]
        joined = build_rdms(
            np.concatenate([one.dissimilarities for one in rdms]),
            conditions=average_conditions(part["response"].isel(repetition=0), by),
            by=by,
            rdm_descriptors={"animal": names[enough].tolist()},
            origin=origin_of(recording),
            measure=measure,
        )
        bounds[k] = compute_noise_ceiling(joined, method=method)
    return xr.DataArray(
        bounds,
        dims=("area", "bound"),
        coords={"area": areas, "bound": ["lower", "upper"]},
        name="animal_ceiling",
        attrs={"by": by, "measure": measure, "method": method},
    )


def _compute_part(
    recording: xr.Dataset, sites: np.ndarray, by: str, measure: str, noise: Noise
) -> RDMs:
    """Return the RDM of some sites of one area, given by position."""
    area = str(recording["area"].values[0])
    chosen = np.zeros(recording.sizes["site"], dtype=bool)
    chosen[sites] = True
    own = select_noise(noise, area, chosen)
    return compute_rdms(recording.isel(site=sites), by=by, measure=measure, noise=own)
