"""How similar a model could be at best: noise ceilings of the RDMs of areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from brainguided.correspondence._area_ceiling import ceil_area, describe_ceiling
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.labels import check_rdms
from brainguided.rdms.units import UnitName, find_target_units
from brainguided.rdms.variables import name_results
from neural_data.model.patterns import zscore_sites
from neural_data.model.recording import check_structure, select_recording

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


@dataclass(frozen=True, eq=False)
class RDMSettings:
    """Settings by which the RDM of a recording was made.

    Attributes
    ----------
    by : str
        Coordinate of the conditions.
    measure : str
        Dissimilarity.
    noise : str or mapping of str to ndarray
        How noise between sites is estimated, or its precision for each area.
    zscore : bool
        Whether sites are brought to mean 0 and deviation 1 over stimuli.

    Notes
    -----
    Arguments of ``compute_rdms``, with the same defaults.
    """

    by: str = "stimulus"
    measure: str = "correlation"
    noise: Noise = "shrinkage"
    zscore: bool = False


DEFAULTS = RDMSettings()


class NoiseCeiling(NamedTuple):
    """Bounds of the mean similarity that the best possible model has to several RDMs."""

    lower: float
    upper: float


def compute_ceiling(
    recording: xr.Dataset,
    *,
    rdm: RDMSettings = DEFAULTS,
    method: str = "pearson",
    splits: int = 100,
    unit: UnitName = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return, for each area, the similarity that a model without error would have to its RDM.

    The repetitions are split into equal halves at random, and the RDMs of the halves compared. The
    mean over splits, corrected to all repetitions [1]_ (see ``spearman_brown``), is the reliability
    of the RDM: its similarity to one of as many new repetitions.

    The ceiling is the expected similarity of the measured RDM to the one without noise. It is less
    than the root of the reliability where noise has a share in what the halves have in common:
    squared distances grow by the noise of both patterns, and correlations shrink by it. To Pearson
    r this is no matter as long as all stimuli are equally noisy, but rates vary with their mean,
    and stimuli may have been shown unequally often; to a cosine it always is. For Pearson r and
    cosine of correlation, cosine, squared Euclidean and Mahalanobis distances the noise of each
    stimulus is estimated from its repetitions, removed from the RDMs of both halves (crossnobis has
    none), and the ceiling is

        ``cov(measured, truth) / sqrt(var(truth) var(measured))``,

    covariances over pairs of stimuli (for a cosine, mean products) being taken between halves.
    Correlations of patterns whose signal is less than a tenth of the mean are corrected as if it
    were that. If more than one in ten stimuli have so little, `ceiling_unbiased` is false, and
    the ceiling may be too high by some hundredths. So is that of other measures and comparisons,
    for which it is the root of the reliability [2]_, and too high if stimuli are unequally noisy:
    prefer crossnobis there.

    Intervals leave out one unit at a time, with Student's t of one degree of freedom less than
    there are units. They hold for correlation distances; where a few very long squared distances
    make up an RDM, as those of one category far from all others, they are too narrow.

    Each site's repetitions of a stimulus are halved whatever their numbers are, so that sessions
    may be pooled. Stimuli that any site saw only once (for crossnobis, fewer than four times) have
    no halves: the ceiling is then that of the others, of which `ceiling_stimuli` says how many they
    are.

    Parameters
    ----------
    recording : xr.Dataset
        With repetitions; without time bins.
    rdm : RDMSettings, optional
        With which the RDM was made. Noise is estimated once, from all repetitions, and halves are
        taken by it, as the measured RDM is.
    method : str, optional
        As for ``comparisons.compare_rdms``.
    splits : int, optional
        Number of random halvings.
    unit : str or tuple of str, optional
        The unit of stimuli that was sampled, a coordinate of the recording; by default the
        coarsest of ``session``, ``category`` and ``object_name``: see ``Inference``.
    seed : int, optional
        The same seed gives the same splits.

    Returns
    -------
    xr.Dataset (area, bound)
        `reliability` (area): Spearman-Brown corrected; `ceiling` (area), NaN where it or the
        reliability is not above 0, or fewer than three stimuli have halves; `ceiling_interval`
        (area, bound): 95 % over samples of units, NaN with fewer than 6 units, or for a method that
        has no intervals; `ceiling_usable` (area): whether the 95 % interval of what halves have in
        common, noise removed, lies above 0 (that over single conditions, where there are fewer than
        6 units, and the estimate for a method without intervals). An RDM that is not reliably
        different from noise has no ceiling to divide by. `ceiling_unbiased` (area): whether the
        bias by noise is removed; `ceiling_stimuli` (area): of how many stimuli the ceiling is.

    Raises
    ------
    RecordingError
        If an RDM cannot be computed (see ``rdm.compute_rdms``).
    ValueError
        If the unit that is named is no coordinate of the stimuli or has fewer than 6 values, or
        there are no splits.

    Warns
    -----
    UserWarning
        If a coordinate that groups the stimuli is ignored.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.
    .. [2] Lage-Castellanos et al. (2019), PLoS Comput. Biol. 15(3):e1006397, section 2.2.
    """
    if splits < 1:
        raise ValueError(f"splits is {splits}; expected at least 1.")
    made: dict[str, Any] = {"by": rdm.by, "measure": rdm.measure, "noise": rdm.noise}
    check_structure(recording)
    recording = zscore_sites(recording) if rdm.zscore else recording
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    found, sampled = [], []
    for area in areas:
        part = select_recording(recording, area=area)
        sampled.append(find_target_units(part, made["by"], unit))
        found.append(describe_ceiling(
            ceil_area(part, made, method, sampled[-1], splits=splits, seed=seed)
        ))  # fmt: skip
    return name_results(xr.Dataset(
        {
            name: (("area", "bound")[: 1 + np.ndim(value)], np.array([one[name] for one in found]))
            for name, value in found[0].items()
        },
        coords={"area": areas, "bound": ["lower", "upper"]},
        attrs={
            "by": made["by"], "measure": made["measure"], "method": method, "splits": splits,
            "unit": "; ".join(dict.fromkeys(units.name for units in sampled)), "seed": seed,
        },
    ))  # fmt: skip


def compute_noise_ceiling(rdms: RDMs, *, method: str = "cosine") -> NoiseCeiling:
    """Return the bounds of how similar a model can be, on average, to the RDMs of several animals.

    The upper bound is the mean similarity of the RDMs to their own (normalised) mean, which no
    model can exceed; the lower one, of each RDM to the mean of the others [1]_. For Pearson,
    cosine and their whitened kinds both follow from the similarities of all RDMs to each other.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Two or more, of the same conditions: one an animal or subject.
    method : str, optional
        As for ``comparisons.compare_rdms``. For ranks the mean is that of the ranks, which is only
        nearly the best.

    Returns
    -------
    NoiseCeiling
        ``lower`` and ``upper``.

    Raises
    ------
    ValueError
        If there are fewer than two RDMs, or one cannot be compared.

    References
    ----------
    .. [1] Nili et al. (2014), PLoS Comput. Biol. 10(4):e1003553.
    """
    check_rdms(rdms)
    if rdms.n_rdm < 2:
        raise ValueError(
            f"A noise ceiling needs the RDMs of two animals or more; there is {rdms.n_rdm}. From "
            "repetitions of one recording: compute_ceiling(recording)."
        )
    if find_comparison(method).averages:
        gram = compare_rdms(rdms, rdms, method=method)
        own, total = gram.sum(1), gram.sum()
        own_others = own - np.diag(gram)
        others = total - 2 * own + np.diag(gram)
        lower, upper = np.mean(own_others / np.sqrt(others)), np.mean(own / np.sqrt(total))
        return NoiseCeiling(float(lower), float(upper))
    return _rank_ceiling(rdms, method)


def _rank_ceiling(rdms: RDMs, method: str) -> NoiseCeiling:
    from rsatoolbox.rdm import RDMs as Container
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(v) for v in rdms.dissimilarities])
    total = ranks.sum(0)
    labels = {k: list(v) for k, v in rdms.pattern_descriptors.items() if k != "index"}
    known = dict(rdms.descriptors)

    def mean_similarity(mean: np.ndarray, rows: np.ndarray) -> float:
        sides = [
            Container(v, descriptors=known, pattern_descriptors=dict(labels))
            for v in (mean[np.newaxis], rows)
        ]
        return float(compare_rdms(sides[0], sides[1], method=method).mean())

    rows = np.asarray(rdms.dissimilarities)
    lower = [mean_similarity(total - own, rows[k : k + 1]) for k, own in enumerate(ranks)]
    return NoiseCeiling(float(np.mean(lower)), mean_similarity(total, rows))
