"""The sites of the simulated macaque: what each reads from the network, and its rates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neural_data.rounding import SINGLE
from neural_data.simulation._network import load_network, run_network
from neural_data.simulation.area import STAGES, USUAL_STAGE, Stage
from neural_data.simulation.macaque import (
    WINDOW_MS,
    Macaque,
    cut_off_latency,
    find_latency,
    get_area,
)
from neural_data.simulation.noise import find_variance_terms, raise_values
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.time_course import compute_course

STREAM = 7013  # keeps these random streams apart from others started with the same seed
WINDOW_SECONDS = (WINDOW_MS[1] - WINDOW_MS[0]) / 1000
USUAL_RELIABILITY = (0.3, 0.75, 0.95)  # lowest, median, highest, of the mean over 10 repetitions
_RELIABILITY_SPREAD = 1.1  # SD of its logit before clipping
_REFERENCE_SEED = 20150932  # pictures on which drives are brought to a common scale
_SITES = 32  # weighed at once, the last block filled up: the same sums whatever the number of sites
_IMAGES = 512  # in memory at once as maps of the network


class Sites(NamedTuple):
    """Noise-free rates and the truth about each site."""

    rates: np.ndarray  # (stimulus, site) or (stimulus, site, time bin), spikes/s
    reliability: np.ndarray  # (site)
    latency: np.ndarray | None  # (site), ms


def simulate_usual_sites(images: np.ndarray, n_v4: int, n_it: int, seed: int) -> Sites:
    """Draw all sites of an area from one random stream: what a seed gives when nothing is chosen.

    With mean m and variance v of the response over stimuli, a window of T seconds and 10
    repetitions, signal variance over noise variance is gain^2 v 10 T / (base + gain m) =
    r / (1 - r), solved for gain.
    """
    network = load_network()
    convolutions = [STAGES[stage].convolution for stage in USUAL_STAGE.values()]
    shown = run_network(network, images, convolutions)
    reference = run_network(network, _draw_reference(), convolutions)
    rates, reliability = [], []
    for number, (area, n_sites) in enumerate((("V4", n_v4), ("IT", n_it))):
        rng = np.random.default_rng([STREAM, 0, int(seed), number])
        stage = STAGES[USUAL_STAGE[area]]
        usual = reference[stage.convolution]
        spread = usual.std(axis=(0, 1, 2)) + 1e-3
        weights = np.zeros((n_sites, *usual.shape[1:]), dtype=np.float32)
        for site in range(n_sites):
            weights[site] = _draw_weights(stage, weights.shape[1], spread, rng)
        drives = _weigh(usual, weights)
        mean, deviation = drives.mean(axis=0), drives.std(axis=0)
        response = _respond((drives - mean) / deviation)
        logit = _RELIABILITY_SPREAD * rng.standard_normal(n_sites)
        reliable = _spread_reliability(logit)
        base = 3.0 + 9.0 * rng.random(n_sites)
        odds = reliable / (1 - reliable) / (10 * WINDOW_SECONDS)
        average, variance = response.mean(axis=0), response.var(axis=0)
        root = np.sqrt((odds * average) ** 2 + 4 * variance * odds * base)
        gain = (odds * average + root) / (2 * variance)
        drive = (_weigh(shown[stage.convolution], weights) - mean) / deviation
        rates.append(base + gain * _respond(drive))
        reliability.append(reliable)
    return Sites(np.concatenate(rates, axis=1), np.concatenate(reliability), None)


def simulate_chosen_sites(
    images: np.ndarray, macaque: Macaque, layout: dict[str, np.ndarray], seed: int
) -> Sites:
    """Draw each site from random streams of its own, so that no site depends on the others.

    Parameters
    ----------
    images : numpy.ndarray (stimulus, y, x, 3) uint8
    macaque : Macaque
    layout : dict of numpy.ndarray
        What `lay_out_sites` returns.
    seed : int

    Raises
    ------
    ValueError
        If a site cannot have the reliability chosen for it, under the noise and for these images.
    """
    network = load_network()
    reference = _draw_reference()
    usual, shown = _compute_drives(network, (reference, images), layout, seed)
    n_sites = len(layout["site"])
    n_bins = () if macaque.time is None else (macaque.time.n_bins,)
    rates = np.empty((len(images), n_sites, *n_bins), dtype=np.float32)
    reliability, latency = np.empty(n_sites), np.empty(n_sites)
    unfit: list[tuple[float, float]] = []
    for i in range(n_sites):
        area, number = str(layout["area"][i]), int(layout["number"][i])
        rng = np.random.default_rng([STREAM, 3, int(seed), _number(area), number])
        base = 3.0 + 9.0 * rng.random()
        numbers = (rng.standard_normal(), rng.random(), rng.standard_normal())
        mean, deviation = usual[i].mean(), usual[i].std()
        response = _respond((shown[i] - mean) / deviation)
        chosen = get_area(macaque, area)
        typical = response
        if chosen.site_reliability is not None:
            reliability[i] = chosen.site_reliability[number]
        elif isinstance(chosen.reliability, tuple):
            low, high = chosen.reliability
            reliability[i] = low + (high - low) * numbers[1]
        elif chosen.reliability is not None:
            reliability[i] = chosen.reliability
        else:
            reliability[i] = _spread_reliability(np.array(_RELIABILITY_SPREAD * numbers[0]))
            typical = _respond((usual[i] - mean) / deviation)
        terms = find_variance_terms(macaque.noise, WINDOW_SECONDS)
        gain, highest = _solve_gain(
            typical, base, terms, float(reliability[i]), chosen.of_repetitions
        )
        if gain is None:
            unfit.append((float(reliability[i]), highest))
            continue
        latency[i] = cut_off_latency(*find_latency(macaque, area), numbers[2])
        if macaque.time is None:
            rates[:, i] = base + gain * response
        else:
            course = compute_course(macaque.time, latency[i], WINDOW_MS)
            rates[:, i] = base + np.outer(gain * response, course)
    if unfit:
        asked, highest = max(unfit, key=lambda pair: pair[0] - pair[1])
        raise_values(
            "recording",
            [
                f"{len(unfit)} of {n_sites} sites cannot have their reliability, e.g. {asked:.3g} "
                f"where at most {highest:.3g} is possible: with the shared gain of this noise "
                f"(SD {macaque.noise.shared_gain_sd:g}) and these {len(images)} images. Choose a "
                "lower reliability, a smaller shared_gain_sd, or more different images"
            ],
        )
    return Sites(rates, reliability, latency if macaque.time is not None else None)


def _solve_gain(
    response: np.ndarray,
    base: float,
    terms: tuple[float, float, float],
    reliability: float,
    repetitions: int,
) -> tuple[float | None, float]:
    """Return the gain in spikes/s, None if there is none, and the highest reliability.

    The reliability r of the mean over n repetitions is that of signal variance over noise
    variance: n gain^2 v = r / (1 - r) E[a + b rate + c rate^2] with rate = base + gain x
    response, of mean m and variance v over stimuli: a quadratic equation for the gain.
    """
    constant, linear, square = terms
    mean = float(response.mean(dtype=np.float64))
    spread = float(response.var(dtype=np.float64))
    signal = float(response.var(dtype=np.float64, ddof=1)) if response.size > 1 else 0.0
    varies = signal > SINGLE**2 * (mean**2 + spread)
    if reliability == 0:
        return 0.0, 1.0
    limit = square * (mean**2 + spread)
    highest = repetitions * signal / (repetitions * signal + limit) if varies else 0.0
    odds = reliability / (1 - reliability)
    a = repetitions * signal - odds * limit
    if highest == 0 or a <= 0:
        return None, highest
    b = odds * mean * (linear + 2 * square * base)
    c = odds * (constant + linear * base + square * base**2)
    return (b + np.sqrt(b**2 + 4 * a * c)) / (2 * a), highest


def _compute_drives(
    network: dict[str, np.ndarray],
    sets: tuple[np.ndarray, np.ndarray],
    layout: dict[str, np.ndarray],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the drives (site, stimulus) of reference and shown images, unscaled, float64."""
    convolutions = sorted({STAGES[stage].convolution for stage in layout["origin"].tolist()})
    maps = run_network(network, sets[0], convolutions)
    blocks: list[tuple[np.ndarray, int, np.ndarray]] = []
    for area in ("V4", "IT"):
        for name, stage in STAGES.items():
            members = np.flatnonzero((layout["area"] == area) & (layout["origin"] == name))
            for start in range(0, len(members), _SITES):
                block = members[start : start + _SITES]
                usual = maps[stage.convolution]
                spread = usual.std(axis=(0, 1, 2)) + 1e-3
                weights = np.zeros((_SITES, *usual.shape[1:]), dtype=np.float32)
                for row, number in enumerate(layout["number"][block].tolist()):
                    rng = np.random.default_rng([STREAM, 2, int(seed), _number(area), number])
                    weights[row] = _draw_weights(stage, usual.shape[1], spread, rng)
                blocks.append((block, stage.convolution, weights))
    n_sites = len(layout["site"])
    drives = (np.empty((n_sites, len(sets[0]))), np.empty((n_sites, len(sets[1]))))
    for images, found in zip(sets, drives, strict=True):
        for start in range(0, len(images), _IMAGES):
            seen = run_network(network, images[start : start + _IMAGES], convolutions)
            for block, convolution, weights in blocks:
                drive = _weigh(seen[convolution], weights)[:, : len(block)]
                found[block, start : start + _IMAGES] = drive.T
    return drives


def _draw_reference() -> np.ndarray:
    return np.asarray(simulate_objects(4, seed=_REFERENCE_SEED)["image"].values)


def _draw_weights(
    stage: Stage, size: int, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the weights of a site (y, x, channel): a Gaussian field times random channels."""
    row, column = rng.uniform(stage.margin, size - 1 - stage.margin, size=2)
    field_y = np.exp(-0.5 * ((np.arange(size) - row) / stage.width) ** 2)
    field_x = np.exp(-0.5 * ((np.arange(size) - column) / stage.width) ** 2)
    chosen = rng.choice(len(spread), size=stage.channels, replace=False)
    values = rng.standard_normal(stage.channels) / spread[chosen]
    weights = np.zeros((size, size, len(spread)), dtype=np.float32)
    weights[:, :, chosen] = (field_y[:, None] * field_x)[..., None] * values
    return weights


def _weigh(maps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return drives (stimulus, site)."""
    return np.asarray(maps.reshape(len(maps), -1) @ weights.reshape(len(weights), maps[0].size).T)


def _respond(drive: np.ndarray) -> np.ndarray:
    """Return the rectified response to a standardised drive, in units of the site's gain."""
    return np.asarray(np.logaddexp(0.0, 1.5 * np.minimum(drive, 3.5) - 0.5))


def _spread_reliability(logit: np.ndarray) -> np.ndarray:
    """Return the usual reliability of sites from the deviation of its logit from the median."""
    lowest, median, highest = USUAL_RELIABILITY
    odds = np.log(median / (1 - median)) + logit
    return np.asarray(np.clip(1 / (1 + np.exp(-odds)), lowest, highest))


def _number(area: str) -> int:
    return 0 if area == "V4" else 1
