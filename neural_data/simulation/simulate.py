"""A simulated macaque: V4 and IT sites driven by a small trained network, the truth known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import raise_problems
from neural_data.model.recording import validate_recording
from neural_data.model.stimuli import validate_stimuli
from neural_data.simulation._responses import (
    USUAL_GAIN_SD,
    draw_chosen_responses,
    draw_usual_responses,
    remove_missing,
)
from neural_data.simulation.area import STAGES, USUAL_STAGE
from neural_data.simulation.macaque import (
    WINDOW_MS,
    Macaque,
    describe_macaque,
    get_area,
    lay_out_sites,
)
from neural_data.simulation.noise import is_number
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.sites import (
    USUAL_RELIABILITY,
    simulate_chosen_sites,
    simulate_usual_sites,
)

__all__ = ["simulate_macaque", "simulate_rates"]


def simulate_macaque(
    stimuli: xr.Dataset | None = None,
    *,
    repetitions: int | tuple[int, int] = 10,
    n_v4: int = 128,
    n_it: int = 168,
    seed: int = 0,
    macaque: Macaque | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return a simulated recording of V4 and IT sites, and the stimulus set shown.

    Rates come from `simulate_rates`. On each presentation the count in a window of 100 ms is
    Poisson with mean rate x 0.1 s x g; the gain g is gamma distributed with mean 1 and SD 0.08
    and shared by all sites of an animal, so that the variance is slightly above the mean, as in
    cortex [1]_. Responses are counts over 0.1 s. All else is chosen with `macaque`: the noise,
    the reliability of sites, their layer of origin, animals, a time course, sessions.

    Parameters
    ----------
    stimuli : xarray.Dataset, optional
        A stimulus set of square images, 32 px or larger; by default the 640 images of
        ``simulate_objects(10, seed=seed)``.
    repetitions : int or (fewest, most)
        Presentations of each image. Of two numbers, every one between is as likely, and the
        repetitions not shown are NaN, at random places.
    n_v4, n_it : int
        Sites of each area, 0 or more. The defaults are those of Majaj et al. [2]_.
    seed : int
        Seed of sites and noise, 0 or more.
    macaque : Macaque, optional
        With it, each site has random streams of its own: it stays the same, noise included, when
        there are more sites or repetitions. The sites differ from those drawn without it.

    Returns
    -------
    recording : xarray.Dataset
        `response` (stimulus, repetition, site[, time_bin]) float32 in spikes/s. Over site:
        `area`, `animal`, `origin` (stage of the network), `true_reliability` (expected
        reliability of the mean over 10 repetitions on simulated objects, or as chosen) and, if
        asked for, `session` and `true_latency` in ms. ``attrs["truth"]`` holds the generating
        model as JSON; ``attrs["simulated"]`` is 1.
    stimuli : xarray.Dataset
        The stimulus set.

    Raises
    ------
    ValueError
        If a number is out of range, images are unfit or a reliability cannot be reached; all
        reasons are named.
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
    >>> from neural_data.simulation.area import SimulatedArea
    >>> mixed = Macaque(it=SimulatedArea(origin=["conv4", "conv5"]), animals=1)
    >>> recording, _ = simulate_macaque(repetitions=(1, 3), n_v4=0, n_it=4, macaque=mixed)
    >>> recording["origin"].values.tolist()
    ['conv4', 'conv5', 'conv4', 'conv5']
    """
    fewest, most = _check_repetitions(repetitions, n_v4, n_it, seed, macaque)
    if stimuli is None:
        stimuli = simulate_objects(10, seed=seed)
    rates = simulate_rates(stimuli, n_v4=n_v4, n_it=n_it, seed=seed, macaque=macaque)
    if macaque is None:
        response = draw_usual_responses(rates, most, seed)
        layout = None
    else:
        layout = lay_out_sites(macaque, n_v4, n_it)
        response = draw_chosen_responses(rates, most, seed, macaque, layout)
    if fewest < most or (macaque is not None and macaque.left_out):
        remove_missing(response, fewest, seed, macaque, layout)
    attrs = {"units": "spikes/s"}
    if "time_bin" not in rates.dims:
        attrs["window"] = "{}-{} ms".format(*WINDOW_MS)
    counted = f"{most}" if fewest == most else f"{fewest} to {most}"
    recording = xr.Dataset(
        {"response": (("stimulus", "repetition", *rates.dims[1:]), response, attrs)},
        coords=rates.coords,
        attrs={
            "source": f"simulated macaque (brainguided neural_data.simulate_macaque, seed={seed}) "
            f"shown: {stimuli.attrs['source']}",
            "simulated": 1,
            "truth": json.dumps(_describe_truth(fewest, most, n_v4, n_it, seed, macaque)),
            "history": f"simulate_macaque(seed={seed}): {rates.sizes['stimulus']} stimuli x "
            f"{counted} repetitions x {rates.sizes['site']} sites",
        },
    )
    return validate_recording(recording, name="simulated recording"), stimuli


def simulate_rates(
    stimuli: xr.Dataset,
    *,
    n_v4: int = 128,
    n_it: int = 168,
    seed: int = 0,
    macaque: Macaque | None = None,
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
    macaque : Macaque, optional
        As given to `simulate_macaque`.

    Returns
    -------
    xarray.DataArray
        Rates (stimulus, site[, time_bin]) float32 in spikes/s, above 0. A site's rate to an image
        does not depend on the other images, unless `macaque` chooses the reliability that sites
        have for the images shown.

    Raises
    ------
    ValueError
        If a number is out of range, images are unfit or a reliability cannot be reached; all
        reasons are named.
    RecordingError
        If `stimuli` is no stimulus set.

    Examples
    --------
    >>> from neural_data.simulation.objects import simulate_objects
    >>> simulate_rates(simulate_objects(1), n_v4=2, n_it=2).shape
    (64, 4)
    """
    _check(n_v4, n_it, seed, macaque)
    if n_v4 + n_it == 0:
        raise ValueError("n_v4 and n_it are both 0; expected at least one site.")
    validate_stimuli(stimuli)
    layout = lay_out_sites(macaque or Macaque(), n_v4, n_it)
    images = stimuli["image"].values
    if macaque is None:
        sites = simulate_usual_sites(images, n_v4, n_it, seed)
    else:
        sites = simulate_chosen_sites(images, macaque, layout, seed)
    coords: dict[str, Any] = {
        name: stimuli[name].variable
        for name in ("stimulus", "object_name", "category", "variation")
        if name in stimuli.coords
    }
    coords["site"] = layout["site"]
    coords |= {name: ("site", layout[name]) for name in ("area", "animal", "origin")}
    coords["true_reliability"] = ("site", sites.reliability.astype(np.float32))
    dims: tuple[str, ...] = ("stimulus", "site")
    if macaque is not None and macaque.sessions is not None:
        coords["session"] = ("site", layout["session"])
    if macaque is not None and macaque.time is not None:
        dims = (*dims, "time_bin")
        edges = macaque.time.edges
        coords["true_latency"] = ("site", sites.latency, {"units": "ms"})
        coords["time_bin_start"] = ("time_bin", edges[:-1], {"units": "ms"})
        coords["time_bin_end"] = ("time_bin", edges[1:], {"units": "ms"})
    return xr.DataArray(
        sites.rates.astype(np.float32, copy=False),
        dims=dims,
        coords=coords,
        attrs={
            "units": "spikes/s",
            "source": f"simulated macaque, noise-free, seed={seed}",
            "simulated": 1,
        },
    )


def _describe_truth(
    fewest: int, most: int, n_v4: int, n_it: int, seed: int, macaque: Macaque | None
) -> dict[str, Any]:
    """Return the generating model as plain data for JSON."""
    call = f"neural_data.simulate_rates(stimuli, n_v4={n_v4}, n_it={n_it}, seed={seed}"
    if macaque is not None:
        return {
            "seed": int(seed),
            "repetitions": [fewest, most],
            **describe_macaque(macaque),
            "mean_rates": f"{call}, macaque={macaque!r})",
        }
    missing = {"repetitions": [fewest, most]} if fewest < most else {}
    return {
        "seed": int(seed),
        "areas": {area: STAGES[stage]._asdict() for area, stage in USUAL_STAGE.items()},
        "noise": {"count": "Poisson", "window_ms": WINDOW_MS, "shared_gain_sd": USUAL_GAIN_SD},
        "reliability": {"of_repetitions": 10, "lowest_median_highest": USUAL_RELIABILITY},
        **missing,
        "mean_rates": f"{call})",
    }


def _check_repetitions(
    repetitions: int | tuple[int, int], n_v4: int, n_it: int, seed: int, macaque: Macaque | None
) -> tuple[int, int]:
    """Return fewest and most repetitions; raise one error that names all that is out of range."""
    given = repetitions if isinstance(repetitions, tuple | list) else (repetitions, repetitions)
    problems = []
    if (
        len(given) != 2
        or not all(is_number(n) and int(n) == n and n >= 1 for n in given)
        or given[0] > given[1]
    ):
        problems.append(
            f"repetitions is {repetitions!r}, expected a whole number of 1 or more, or two of "
            "them, (fewest, most)"
        )
    _check(n_v4, n_it, seed, macaque, problems=problems)
    return int(given[0]), int(given[1])


def _check(
    n_v4: int,
    n_it: int,
    seed: int,
    macaque: Macaque | None,
    *,
    problems: list[str] | None = None,
) -> None:
    """Raise one error that names every problem, those found before included."""
    found = list(problems or [])
    whole = {}
    for name, value in (("n_v4", n_v4), ("n_it", n_it), ("seed", seed)):
        whole[name] = is_number(value) and int(value) == value and value >= 0
        if not whole[name]:
            found.append(f"{name} is {value!r}, expected a whole number of 0 or more")
    if macaque is not None and not isinstance(macaque, Macaque):
        found.append(f"macaque is a {type(macaque).__name__}, expected a Macaque")
    elif macaque is not None:
        for area, name, n_sites in (("V4", "n_v4", n_v4), ("IT", "n_it", n_it)):
            values = get_area(macaque, area).site_reliability
            if whole[name] and values is not None and len(values) != n_sites:
                found.append(
                    f"site_reliability of {name[2:]} has {len(values)} values, but {name} is "
                    f"{n_sites}: give one for each site"
                )
    raise_problems("cannot simulate this recording", found, ValueError)
