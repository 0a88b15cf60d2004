"""The presentations of the simulated macaque: noisy responses, and those that are missing."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.simulation.counts import tabulate_shares
from neural_data.simulation.macaque import Macaque, get_animals
from neural_data.simulation.noise import draw_responses, draw_shared_noise
from neural_data.simulation.sites import STREAM, WINDOW_SECONDS

USUAL_GAIN_SD = 0.08  # of the gain shared by an animal's sites on one presentation


def draw_usual_responses(rates: xr.DataArray, repetitions: int, seed: int) -> np.ndarray:
    """Draw Poisson counts from one random stream, as responses (stimulus, repetition, site)."""
    rng = np.random.default_rng([STREAM, 1, int(seed)])
    animals = ("sim1", "sim2")
    shape = (rates.sizes["stimulus"], repetitions, len(animals))
    gain = rng.gamma(1 / USUAL_GAIN_SD**2, USUAL_GAIN_SD**2, size=shape)
    animal = np.searchsorted(animals, rates["animal"].values)
    counts = rng.poisson(rates.values[:, None, :] * WINDOW_SECONDS * gain[:, :, animal])
    return np.asarray((counts / WINDOW_SECONDS).astype(np.float32))


def draw_chosen_responses(
    rates: xr.DataArray,
    repetitions: int,
    seed: int,
    macaque: Macaque,
    layout: dict[str, np.ndarray],
) -> np.ndarray:
    """Draw responses (stimulus, repetition, site[, time bin]) site by site, float32."""
    values = rates.values if "time_bin" in rates.dims else rates.values[:, :, np.newaxis]
    n_stimuli, n_sites, n_bins = values.shape
    seconds = WINDOW_SECONDS if macaque.time is None else macaque.time.bin_width / 1000
    noise = macaque.noise
    shares = tabulate_shares(noise.correlation) if noise.correlation else None
    response = np.empty((n_stimuli, repetitions, n_sites, n_bins), dtype=np.float32)
    for group, members in _group_sites(macaque, layout).items():
        rng = np.random.default_rng([STREAM, 5, int(seed), *group])
        shared = draw_shared_noise(noise, (repetitions, n_stimuli, n_bins), rng)
        for i in members.tolist():
            area = int(layout["area"][i] == "IT")
            own = np.random.default_rng([STREAM, 4, int(seed), area, int(layout["number"][i])])
            drawn = draw_responses(
                noise,
                values[:, i],
                shared,
                seconds,
                window_seconds=WINDOW_SECONDS,
                shares=shares,
                rng=own,
            )
            response[:, :, i] = drawn.swapaxes(0, 1)
    return response if "time_bin" in rates.dims else response[..., 0]


def remove_missing(
    response: np.ndarray,
    fewest: int,
    seed: int,
    macaque: Macaque | None,
    layout: dict[str, np.ndarray] | None,
) -> None:
    """Set to NaN, in place, the presentations that were not shown to a site."""
    n_stimuli, most, n_sites = response.shape[:3]
    together = {(0, 0): np.arange(n_sites)}
    left_out = 0.0
    if macaque is not None and macaque.sessions is not None and layout is not None:
        together = _group_sites(macaque, layout)
        left_out = macaque.left_out
    shown, kept = {}, {}
    for group in together:
        rng = np.random.default_rng([STREAM, 6, int(seed), *group])
        count = rng.integers(fewest, most + 1, size=(n_stimuli, 1))
        shown[group] = rng.random((n_stimuli, most)).argsort(axis=1) < count
        kept[group] = np.ones(n_stimuli, dtype=bool)
        kept[group][rng.permutation(n_stimuli)[: int(left_out * n_stimuli)]] = False
    nowhere = np.flatnonzero(~np.any(list(kept.values()), axis=0))
    back = np.random.default_rng([STREAM, 7, int(seed)]).integers(len(kept), size=len(nowhere))
    for number, group in enumerate(together):
        kept[group][nowhere[back == number]] = True
    for group, members in together.items():
        row, repetition = np.nonzero(~(shown[group] & kept[group][:, np.newaxis]))
        for i in members.tolist():
            response[row, repetition, i] = np.nan


def _group_sites(
    macaque: Macaque, layout: dict[str, np.ndarray]
) -> dict[tuple[int, int], np.ndarray]:
    """Return the positions of the sites recorded together, by numbers of animal and session."""
    groups = {}
    for animal, name in enumerate(get_animals(macaque)):
        for session in range(macaque.sessions or 1):
            found = np.flatnonzero(layout["session"] == f"{name}_s{session + 1}")
            if found.size:
                groups[animal, session] = found
    return groups
