"""How well the responses of sites are predicted from a layer: cross-validated regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.correspondence._gram_regression import predict_pls
from brainguided.correspondence.cka import average_areas
from brainguided.rdms.conditions import condition_index, order_patterns, refuse_undefined
from brainguided.rdms.inner_products import cross_validate, predict_ridge
from brainguided.rdms.labels import check_alignment
from brainguided.rdms.variables import name_results
from neural_data.model.origin import origin_of
from neural_data.model.patterns import as_recording
from neural_data.model.recording import check_structure
from neural_data.model.stimuli import align_stimuli
from neural_data.reliability.intervals import bootstrap_site_reliability
from neural_data.reliability.reliable_sites import find_given, read_given

if TYPE_CHECKING:
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing

COMPONENTS = 25
"""Of partial least squares, as Brain-Score has it."""
METHODS = ("ridge", "pls")


def compute_predictivity(
    features: xr.DataArray,
    recording: xr.Dataset | xr.DataArray,
    *,
    method: str = "ridge",
    folds: int | Sequence[int] = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well a layer's features predict the mean response of each site to new stimuli.

    Stimuli are divided into folds at random, images of one object together. Each fold is predicted
    by a linear regression on the others, and the predictions correlated with the responses
    (Pearson) within the fold; the mean over folds is the predictivity. Ridge penalties are chosen
    for each site by leaving out stimuli of the training folds one at a time, in closed form [1]_;
    partial least squares has 25 components [2]_.

    Parameters
    ----------
    features : xr.DataArray (stimulus, unit)
        E.g. from ``recorded_activations.load_activations``.
    recording : xr.Dataset or xr.DataArray
        Responses to the same stimuli in the same order; or mean responses (stimulus, site), which
        have no ceiling.
    method : {"ridge", "pls"}, optional
    folds : int or sequence of int, optional
        Their number, with 3 or more stimuli in each; images that share an ``object_name`` of the
        recording are left out together, lest an object be predicted from other views of itself.
        Or the fold of each stimulus, see :func:`draw_folds`.
    seed : int, optional
        Of the folds.

    Returns
    -------
    xr.Dataset (site)
        `correlation`; `ceiling`: root of the site's reliability, the largest correlation to be
        expected, and `ceiling_usable`: whether a bootstrap interval of the reliability lies above
        0, or, of a recording without repetitions whose coordinate ``reliability`` over sites gives
        one, the reliability (``attrs["ceiling_from"]`` says which); `corrected` = correlation /
        ceiling where usable, else NaN. Coordinate ``area``.

    Raises
    ------
    AlignmentError
        If the stimuli differ in number, name or order.
    RecordingError
        If responses or features are missing, or the recording has several time bins.
    ValueError
        If the method is unknown or there are too few stimuli for the folds.

    References
    ----------
    .. [1] Hastie, Tibshirani & Friedman (2009), Elements of Statistical Learning, equation 7.52.
    .. [2] Schrimpf et al. (2018), bioRxiv 407007.
    """
    name = str(getattr(features, "name", None) or "features")
    ordered = order_patterns(features, name)
    refuse_undefined(ordered, name, "stimulus", measure="ridge")
    recording = as_recording(recording)
    check_structure(recording)
    labels = [[str(v) for v in x["stimulus"].values] for x in (ordered, recording)]
    check_alignment(labels[0], labels[1], names=("The features", "the recording"))
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it is one of 'ridge', 'pls'.")
    values = ordered.values.astype(float)
    values = values - values.mean(0)
    gram = values @ values.T

    def predict(train: np.ndarray, test: np.ndarray, y: np.ndarray) -> np.ndarray:
        if method == "ridge":
            return predict_ridge(gram, train, test, y)
        return predict_pls(gram, train, test, y, COMPONENTS)

    responses, sites = _join_sites(recording)
    drawn, said = _find_folds(recording, folds, seed)
    correlation = cross_validate(predict, responses, drawn)
    return _describe_sites(recording, sites, correlation, {"method": method, **said})


def compute_layer_predictivity(
    network: nn.Module,
    stimuli: xr.Dataset,
    recording: xr.Dataset | xr.DataArray,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
    folds: int | Sequence[int] = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well each layer of a network predicts each site, by ridge regression.

    Ridge regression needs the inner products of the stimuli only, so that layers are streamed as
    for RDMs and all their units are used.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (stimulus, channel, y, x) images to an output.
    stimuli : xr.Dataset
        Images of exactly the recorded stimuli, in any order.
    recording : xr.Dataset
        Responses.
    layers : str or sequence of str, optional
        As for ``layers.select_layers``.
    preprocessing : Preprocessing, optional
        As for ``activations.compute_layer_rdms``.
    folds, seed : int, optional
        As for :func:`compute_predictivity`.

    Returns
    -------
    xr.Dataset (layer, site, areas)
        `correlation` (layer, site); `ceiling`, `ceiling_usable` (site); `corrected` (layer, site);
        `predictivity` (layer, areas): the median of `corrected` over the usable sites of an area.

    Raises
    ------
    AlignmentError, RecordingError, ValueError
        As :func:`compute_predictivity`.
    """
    from brainguided.networks.grams import raw_gram
    from brainguided.networks.passes import stream_moments
    from brainguided.networks.probe import probe_layers

    recording = as_recording(recording)
    responses, sites = _join_sites(recording)
    names = recording["stimulus"].values.astype(str).tolist()
    images = align_stimuli(stimuli, names)["image"].values
    found: dict[str, np.ndarray] = {}
    drawn, said = _find_folds(recording, folds, seed)
    chosen = probe_layers(network, images, layers, preprocessing=preprocessing)
    for layer, moments in stream_moments(network, images, chosen, preprocessing=preprocessing):
        gram = raw_gram(moments[0])

        def predict(
            train: np.ndarray, test: np.ndarray, y: np.ndarray, gram: np.ndarray = gram
        ) -> np.ndarray:
            return predict_ridge(gram, train, test, y)

        found[layer] = cross_validate(predict, responses, drawn)
    table = np.stack(list(found.values()))
    result = _describe_sites(recording, sites, table, {"method": "ridge", **said})
    result = result.assign_coords(layer=list(found)).assign_attrs(chosen.describe())
    areas = list(dict.fromkeys(result["area"].values.tolist()))
    medians = np.full((len(found), len(areas)), np.nan)
    for k, area in enumerate(areas):
        chosen_sites = (result["area"].values == area) & result["ceiling_usable"].values
        if chosen_sites.any():
            medians[:, k] = np.median(result["corrected"].values[:, chosen_sites], axis=1)
    result["predictivity"] = xr.DataArray(medians, dims=("layer", "areas"), coords={"areas": areas})
    return result


def draw_folds(
    labelled: xr.Dataset | xr.DataArray, number: int = 10, *, unit: str | None = None, seed: int = 0
) -> np.ndarray:
    """Divide stimuli into folds at random, those of one object or other group together.

    Parameters
    ----------
    labelled : xr.Dataset or xr.DataArray
        A recording, or anything with labelled stimuli.
    number : int, optional
        Of folds.
    unit : str, optional
        Coordinate over stimuli whose groups are kept together; "stimulus" for none, "category" to
        predict other categories. By default "object_name" where there is one: each object is
        predicted from others.
    seed : int, optional
        The same seed gives the same folds.

    Returns
    -------
    ndarray of int (stimulus,)
        The fold of each stimulus, from 0; folds are as equal as groups of one size allow.

    Raises
    ------
    ValueError
        Fewer than 2 folds, fewer groups than folds, or fewer than 3 stimuli in a fold.
    RecordingError
        There is no such coordinate.
    """
    unit = _choose_groups(labelled, number) if unit is None else unit
    index, groups = condition_index(labelled, unit)
    if number < 2 or len(groups) < number or len(index) < 3 * number:
        of = "" if unit == "stimulus" else f" of {len(groups)} groups ({unit})"
        most = min(len(groups), len(index) // 3)
        raise ValueError(
            f"{len(index)} stimuli{of} cannot be divided into {number} folds of 3 or more: give "
            f"2 to {most}."
        )
    fold_of_group = np.empty(len(groups), dtype=int)
    order = np.random.default_rng([seed, 5]).permutation(len(groups))
    for fold, members in enumerate(np.array_split(order, number)):
        fold_of_group[members] = fold
    folds = np.asarray(fold_of_group[index])
    if (smallest := int(np.bincount(folds).min())) < 3:
        raise ValueError(
            f"Groups ({unit}) differ so much in size that a fold holds {smallest} of {len(index)} "
            "stimuli; 3 are needed for a correlation. Give fewer folds, another seed or unit=."
        )
    return folds


def _choose_groups(labelled: xr.Dataset | xr.DataArray, number: int) -> str:
    if "object_name" not in labelled.coords:
        return "stimulus"
    return "object_name" if len(np.unique(labelled["object_name"])) >= number else "stimulus"


def _find_folds(
    recording: xr.Dataset, folds: int | Sequence[int], seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the fold of each stimulus, and what is said of it in the result."""
    if isinstance(folds, int | np.integer):
        by = _choose_groups(recording, int(folds))
        drawn = draw_folds(recording, int(folds), unit=by, seed=seed)
        return drawn, {"folds": int(folds), "kept_together": by, "seed": seed}
    drawn = np.asarray(folds)
    n = recording.sizes["stimulus"]
    sizes = np.unique(drawn, return_counts=True)[1]
    if drawn.shape != (n,) or len(sizes) < 2 or sizes.min() < 3:
        raise ValueError(
            f"folds has shape {drawn.shape} and {len(sizes)} folds of {sizes.min()} stimuli or "
            f"more; expected the fold of each of {n} stimuli: 2 or more folds of 3 or more."
        )
    return drawn, {"folds": len(sizes), "kept_together": "as given"}


def _join_sites(recording: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    areas = average_areas(recording)
    responses = np.concatenate([a.values for a in areas.values()], axis=1).astype(float)
    return responses, [str(s) for a in areas.values() for s in a["site"].values]


def _describe_sites(
    recording: xr.Dataset, sites: list[str], correlation: np.ndarray, said: dict[str, Any]
) -> xr.Dataset:
    """Label correlations ([layer, ]site) and divide them by the ceilings that are usable."""
    part = recording.sel(site=sites)
    ceiling, usable, origin = _ceil_sites(part, int(said.get("seed", 0)))
    dims = ("layer", "site") if correlation.ndim == 2 else ("site",)
    corrected = np.where(usable, correlation / np.where(usable, ceiling, 1.0), np.nan)
    return name_results(
        xr.Dataset(
            {
                "correlation": (dims, correlation),
                "ceiling": ("site", ceiling),
                "ceiling_usable": ("site", usable),
                "corrected": (dims, corrected),
            },
            coords={"site": sites, "area": ("site", part["area"].values.astype(str))},
            attrs={**said, "ceiling_from": origin, **origin_of(recording)},
        )
    )


def _ceil_sites(part: xr.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the ceiling of each site, whether it may be divided by, and where it is from."""
    n_sites = part.sizes["site"]
    if find_given(part) is not None:
        given = read_given(part, "reliability").values
        ceiling = np.sqrt(np.where(given > 0, given, np.nan))
        return ceiling, given > 0, "given reliability"
    ceiling, usable = np.full(n_sites, np.nan), np.zeros(n_sites, dtype=bool)
    shown = part["response"].notnull()
    repeated = int(shown.sum("repetition").min()) if "repetition" in shown.dims else 1
    if repeated < 2 or part.sizes["stimulus"] < 10:
        return ceiling, usable, "none: fewer than two repetitions, or than ten stimuli"
    draws = bootstrap_site_reliability(part, draws=200, splits=20, seed=seed)
    draws = draws.isel(time_bin=0, drop=True, missing_dims="ignore").transpose("draw", "site")
    middle = np.median(draws.values, axis=0)
    usable = np.quantile(draws.values, 0.025, axis=0) > 0
    return np.sqrt(np.where(middle > 0, middle, np.nan)), usable, "repetitions"
