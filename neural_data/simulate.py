"""A simulated macaque: V4 and IT sites driven by a small trained network, the truth known."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import xarray as xr

from neural_data.objects import simulate_objects
from neural_data.recording import validate_recording
from neural_data.simulated_network import load_network, run_network
from neural_data.stimuli import validate_stimuli

__all__ = ["simulate_macaque", "simulate_rates"]

_STREAM = 7013  # keeps these random streams apart from others started with the same seed
_REFERENCE_SEED = 20150932  # pictures on which drives are brought to a common scale
_WINDOW_MS = (70, 170)
_GAIN_SD = 0.08  # of the gain shared by an animal's sites on one presentation
_RELIABILITY = (0.3, 0.75, 0.95)  # lowest, median and highest, of the mean over 10 repetitions
_RELIABILITY_SPREAD = 1.1  # SD of its logit before clipping
_ANIMALS = ("sim1", "sim2")


class _Stage(NamedTuple):
    """Where the sites of an area read the network."""

    convolution: int  # read after this one, counted from 1, and its rectification
    channels: int  # read by one site
    width: float  # SD of the receptive field, in steps of the stage's map
    margin: float  # receptive field centres keep this far from the map's border, in steps


_STAGES = {"V4": _Stage(3, 6, 0.9, 1.5), "IT": _Stage(5, 10, 1.5, 1.0)}


def simulate_macaque(
    stimuli: xr.Dataset | None = None,
    *,
    repetitions: int = 10,
    n_v4: int = 128,
    n_it: int = 168,
    seed: int = 0,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return a simulated recording of V4 and IT sites, and the stimulus set shown.

    Rates come from `simulate_rates`. On each presentation the count in a window of 100 ms is
    Poisson with mean rate x 0.1 s x g; the gain g is gamma distributed with mean 1 and SD 0.08
    and shared by all sites of an animal, so that the variance is slightly above the mean, as in
    cortex [1]_. Responses are counts over 0.1 s.

    Parameters
    ----------
    stimuli : xarray.Dataset, optional
        A stimulus set of square images, 32 px or larger; by default the 640 images of
        ``simulate_objects(10, seed=seed)``.
    repetitions : int
        Presentations of each image.
    n_v4, n_it : int
        Sites of each area, 0 or more. The defaults are those of Majaj et al. [2]_.
    seed : int
        Seed of sites and noise, 0 or more.

    Returns
    -------
    recording : xarray.Dataset
        `response` (stimulus, repetition, site) in spikes/s. Over site: `area`, `animal`, `origin`
        (stage of the network) and `true_reliability` (expected reliability of the mean over 10
        repetitions on simulated objects). ``attrs["truth"]`` holds the generating model as JSON;
        ``attrs["source"]`` says "simulated".
    stimuli : xarray.Dataset
        The stimulus set.

    Raises
    ------
    ValueError
        If a number is out of range or images are unfit; all reasons are named.
    RecordingError
        If `stimuli` is no stimulus set.

    References
    ----------
    .. [1] Goris, Movshon and Simoncelli (2014), Nat. Neurosci. 17, 858-865, equation 3.
    .. [2] Majaj, Hong, Solomon and DiCarlo (2015), J. Neurosci. 35(39), 13402-13418.

    Examples
    --------
    >>> recording, stimuli = simulate_macaque(repetitions=2, n_v4=3, n_it=4)
    >>> dict(recording["response"].sizes)
    {'stimulus': 640, 'repetition': 2, 'site': 7}
    >>> recording["area"].values.tolist()
    ['V4', 'V4', 'V4', 'IT', 'IT', 'IT', 'IT']
    """
    _check({"repetitions": (repetitions, 1), "n_v4": (n_v4, 0), "n_it": (n_it, 0)}, seed)
    if stimuli is None:
        stimuli = simulate_objects(10, seed=seed)
    rates = simulate_rates(stimuli, n_v4=n_v4, n_it=n_it, seed=seed)
    rng = np.random.default_rng([_STREAM, 1, int(seed)])
    shape = (rates.sizes["stimulus"], repetitions, len(_ANIMALS))
    gain = rng.gamma(1 / _GAIN_SD**2, _GAIN_SD**2, size=shape)
    animal = np.searchsorted(_ANIMALS, rates["animal"].values)
    seconds = (_WINDOW_MS[1] - _WINDOW_MS[0]) / 1000
    counts = rng.poisson(rates.values[:, None, :] * seconds * gain[:, :, animal])
    attrs = {"units": "spikes/s", "window": "{}-{} ms".format(*_WINDOW_MS)}
    dims = ("stimulus", "repetition", "site")
    response = xr.Variable(dims, (counts / seconds).astype(np.float32), attrs)
    truth = {
        "seed": int(seed),
        "areas": {area: stage._asdict() for area, stage in _STAGES.items()},
        "noise": {"count": "Poisson", "window_ms": _WINDOW_MS, "shared_gain_sd": _GAIN_SD},
        "reliability": {"of_repetitions": 10, "lowest_median_highest": _RELIABILITY},
        "mean_rates": f"neural_data.simulate.simulate_rates(stimuli, n_v4={n_v4}, n_it={n_it}, "
        f"seed={seed})",
    }
    recording = xr.Dataset(
        {"response": response},
        coords=rates.coords,
        attrs={
            "source": f"simulated macaque (brainguided neural_data.simulate_macaque, seed={seed}) "
            f"shown: {stimuli.attrs['source']}",
            "truth": json.dumps(truth),
        },
    )
    return validate_recording(recording, name="simulated recording"), stimuli


def simulate_rates(
    stimuli: xr.Dataset, *, n_v4: int = 128, n_it: int = 168, seed: int = 0
) -> xr.DataArray:
    """Return the noise-free rates of the simulated sites: what infinitely many repetitions give.

    A convolutional network, trained to tell the categories of simulated objects, sees the images
    (averaged over areas of pixels down to 32 px). A site weighs a few channels of one stage,
    chosen at random, within a Gaussian receptive field: V4 sites in the third of five
    convolutions, IT sites in the last. With z the weighted sum, standardised over a fixed set of
    simulated objects, the rate is base + gain log(1 + exp(1.5 z - 0.5)), saturated at z = 3.5.
    The base is 3 to 12 spikes/s; the gain gives the site the reliability drawn for it.

    Parameters
    ----------
    stimuli : xarray.Dataset
        A stimulus set of square images, 32 px or larger.
    n_v4, n_it : int
        Sites of each area, 0 or more.
    seed : int
        Seed of the sites, 0 or more: equal to that of `simulate_macaque` for the same sites.

    Returns
    -------
    xarray.DataArray
        Rates (stimulus, site) in spikes/s, above 0. A site's rate to an image does not depend on
        the other images.

    Raises
    ------
    ValueError
        If a number is out of range or images are unfit; all reasons are named.

    Examples
    --------
    >>> from neural_data.objects import simulate_objects
    >>> simulate_rates(simulate_objects(1), n_v4=2, n_it=2).shape
    (64, 4)
    """
    _check({"n_v4": (n_v4, 0), "n_it": (n_it, 0)}, seed)
    if n_v4 + n_it == 0:
        raise ValueError("n_v4 and n_it are both 0; expected at least one site.")
    validate_stimuli(stimuli)
    network = load_network()
    convolutions = [stage.convolution for stage in _STAGES.values()]
    shown = run_network(network, stimuli["image"].values, convolutions)
    standard = simulate_objects(4, seed=_REFERENCE_SEED)["image"].values
    reference = run_network(network, standard, convolutions)
    rates, reliability = [], []
    for number, (area, n_sites) in enumerate((("V4", n_v4), ("IT", n_it))):
        rng = np.random.default_rng([_STREAM, 0, int(seed), number])
        stage = _STAGES[area]
        usual = reference[stage.convolution]
        weights = _draw_weights(stage, usual, n_sites, rng)
        drives = _weigh(usual, weights)
        mean, deviation = drives.mean(axis=0), drives.std(axis=0)
        base, gain, reliable = _draw_tuning(_respond((drives - mean) / deviation), rng)
        drive = (_weigh(shown[stage.convolution], weights) - mean) / deviation
        rates.append(base + gain * _respond(drive))
        reliability.append(reliable)
    areas = np.repeat(["V4", "IT"], [n_v4, n_it])
    within = np.concatenate([np.arange(n_v4), np.arange(n_it)])
    animal = np.array(_ANIMALS)[within % 2]
    names = [f"{m}_{a}_{k:03d}" for m, a, k in zip(animal, areas, within, strict=True)]
    coords = {
        name: stimuli[name].variable
        for name in ("stimulus", "object_name", "category", "variation")
        if name in stimuli.coords
    }
    return xr.DataArray(
        np.concatenate(rates, axis=1).astype(np.float32),
        dims=("stimulus", "site"),
        coords={
            **coords,
            "site": np.array(names),
            "area": ("site", areas),
            "animal": ("site", animal),
            "origin": ("site", [f"conv{_STAGES[a].convolution}" for a in areas]),
            "true_reliability": ("site", np.concatenate(reliability).astype(np.float32)),
        },
        attrs={"units": "spikes/s", "source": f"simulated macaque, noise-free, seed={seed}"},
    )


def _check(numbers: dict[str, tuple[int, int]], seed: int) -> None:
    """Raise one error that names every number below what is allowed."""
    problems = [
        f"{name} is {value!r}, expected a whole number of {least} or more"
        for name, (value, least) in {**numbers, "seed": (seed, 0)}.items()
        if isinstance(value, bool) or int(value) != value or value < least
    ]
    if problems:
        raise ValueError("cannot simulate this recording:\n  - " + "\n  - ".join(problems))


def _draw_weights(
    stage: _Stage, reference: np.ndarray, n_sites: int, rng: np.random.Generator
) -> np.ndarray:
    """Return weights (site, y, x, channel): a Gaussian field times a few random channels."""
    _, height, width, channels = reference.shape
    spread = reference.std(axis=(0, 1, 2)) + 1e-3
    weights = np.zeros((n_sites, height, width, channels), dtype=np.float32)
    for site in range(n_sites):
        row, column = rng.uniform(stage.margin, height - 1 - stage.margin, size=2)
        field_y = np.exp(-0.5 * ((np.arange(height) - row) / stage.width) ** 2)
        field_x = np.exp(-0.5 * ((np.arange(width) - column) / stage.width) ** 2)
        chosen = rng.choice(channels, size=stage.channels, replace=False)
        values = rng.standard_normal(stage.channels) / spread[chosen]
        weights[site][:, :, chosen] = (field_y[:, None] * field_x)[..., None] * values
    return weights


def _weigh(maps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return drives (stimulus, site)."""
    return maps.reshape(len(maps), -1) @ weights.reshape(len(weights), maps[0].size).T


def _respond(drive: np.ndarray) -> np.ndarray:
    """Return the rectified response to a standardised drive, in units of the site's gain."""
    return np.logaddexp(0.0, 1.5 * np.minimum(drive, 3.5) - 0.5)


def _draw_tuning(
    response: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return base and gain in spikes/s and the reliability they give each site.

    With mean m and variance v of `response` (stimulus, site) over stimuli, a window of T seconds
    and 10 repetitions, signal variance over noise variance is
    gain^2 v 10 T / (base + gain m) = r / (1 - r), solved for gain.
    """
    n_sites: int = response.shape[1]
    lowest, median, highest = _RELIABILITY
    logit = np.log(median / (1 - median)) + _RELIABILITY_SPREAD * rng.standard_normal(n_sites)
    reliability: np.ndarray = np.clip(1 / (1 + np.exp(-logit)), lowest, highest)
    base = 3.0 + 9.0 * rng.random(n_sites)
    odds = reliability / (1 - reliability) / (10 * (_WINDOW_MS[1] - _WINDOW_MS[0]) / 1000)
    mean, variance = response.mean(axis=0), response.var(axis=0)
    root = np.sqrt((odds * mean) ** 2 + 4 * variance * odds * base)
    gain = (odds * mean + root) / (2 * variance)
    return base, gain, reliability
