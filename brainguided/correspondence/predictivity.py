"""How well the responses of sites are predicted from a layer: cross-validated regression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.correspondence.cka import average_areas
from brainguided.rdms.conditions import order_patterns, refuse_undefined
from brainguided.rdms.labels import check_alignment
from neural_data.model.origin import origin_of
from neural_data.model.recording import check_structure
from neural_data.model.stimuli import align_stimuli
from neural_data.reliability.intervals import bootstrap_site_reliability

if TYPE_CHECKING:
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing

PENALTIES = 10.0 ** np.arange(-6, 7)
"""Of ridge regression, in units of the mean squared length of a pattern."""
COMPONENTS = 25
"""Of partial least squares, as Brain-Score has it."""
METHODS = ("ridge", "pls")


def compute_predictivity(
    features: xr.DataArray,
    recording: xr.Dataset,
    *,
    method: str = "ridge",
    folds: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well a layer's features predict the mean response of each site to new stimuli.

    Stimuli are divided into folds at random. Each fold is predicted by a linear regression on the
    others, and the predictions correlated with the responses (Pearson) within the fold; the mean
    over folds is the predictivity. Ridge penalties are chosen for each site by leaving out
    stimuli of the training folds one at a time, in closed form [1]_; partial least squares has
    25 components [2]_.

    Parameters
    ----------
    features : xr.DataArray (stimulus, unit)
        E.g. from ``recorded_activations.load_activations``.
    recording : xr.Dataset
        Responses to the same stimuli in the same order.
    method : {"ridge", "pls"}, optional
    folds : int, optional
        3 or more stimuli in each.
    seed : int, optional
        Of the folds.

    Returns
    -------
    xr.Dataset (site)
        `correlation`; `ceiling`: root of the site's reliability, the largest correlation to be
        expected, and `ceiling_usable`: whether a bootstrap interval of the reliability lies above
        0; `corrected` = correlation / ceiling where usable, else NaN. Coordinate ``area``.

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
    name = "features" if features.name is None else str(features.name)
    ordered = order_patterns(features, name)
    refuse_undefined(ordered, name, "stimulus", measure="ridge")
    check_structure(recording)
    labels = [[str(v) for v in x["stimulus"].values] for x in (ordered, recording)]
    check_alignment(labels[0], labels[1], names=("The features", "the recording"))
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it is one of 'ridge', 'pls'.")
    values = ordered.values.astype(float)
    values = values - values.mean(0)
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    if method == "ridge":
        gram = values @ values.T

        def predict(train: np.ndarray, test: np.ndarray, y: np.ndarray) -> np.ndarray:
            return predict_ridge(gram, train, test, y)
    else:

        def predict(train: np.ndarray, test: np.ndarray, y: np.ndarray) -> np.ndarray:
            return _predict_pls(values, train, test, y)

    responses, sites = _join_sites(recording)
    correlation = cross_validate(predict, responses, folds=folds, seed=seed)
    return _describe_sites(recording, sites, correlation, method, seed)


def compute_layer_predictivity(
    network: nn.Module,
    stimuli: xr.Dataset,
    recording: xr.Dataset,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
    folds: int = 10,
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
    xr.Dataset (layer, site, area)
        `correlation` (layer, site); `ceiling`, `ceiling_usable` (site); `corrected` (layer, site);
        `predictivity` (layer, area): the median of `corrected` over the usable sites of an area.

    Raises
    ------
    AlignmentError, RecordingError, ValueError
        As :func:`compute_predictivity`.
    """
    from brainguided.networks.grams import raw_gram
    from brainguided.networks.passes import stream_moments
    from brainguided.networks.probe import probe_layers

    responses, sites = _join_sites(recording)
    names = recording["stimulus"].values.astype(str).tolist()
    images = align_stimuli(stimuli, names)["image"].values
    found: dict[str, np.ndarray] = {}
    chosen = probe_layers(network, images, layers, preprocessing=preprocessing)
    for layer, moments in stream_moments(network, images, chosen, preprocessing=preprocessing):
        gram = raw_gram(moments[0])

        def predict(
            train: np.ndarray, test: np.ndarray, y: np.ndarray, gram: np.ndarray = gram
        ) -> np.ndarray:
            return predict_ridge(gram, train, test, y)

        found[layer] = cross_validate(predict, responses, folds=folds, seed=seed)
    table = np.stack(list(found.values()))
    result = _describe_sites(recording, sites, table, "ridge", seed)
    result = result.assign_coords(layer=list(found)).assign_attrs(chosen.describe())
    areas = list(dict.fromkeys(result["area"].values.tolist()))
    medians = np.full((len(found), len(areas)), np.nan)
    for k, area in enumerate(areas):
        chosen_sites = (result["area"].values == area) & result["ceiling_usable"].values
        if chosen_sites.any():
            medians[:, k] = np.median(result["corrected"].values[:, chosen_sites], axis=1)
    result["predictivity"] = xr.DataArray(medians, dims=("layer", "areas"), coords={"areas": areas})
    return result


def cross_validate(
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    responses: np.ndarray,
    *,
    folds: int,
    seed: int,
) -> np.ndarray:
    """Return the mean over folds of the correlation of predictions and responses: (site,).

    Parameters
    ----------
    predict : callable
        Of training stimuli, test stimuli (positions) and training responses (stimulus, site).
    responses : ndarray (stimulus, site)
    folds : int
    seed : int
    """
    n = len(responses)
    if folds < 2 or n < 3 * folds:
        raise ValueError(
            f"{n} stimuli cannot be divided into {folds} folds of 3 or more: give 2 to {n // 3}."
        )
    order = np.random.default_rng([seed, 5]).permutation(n)
    total = np.zeros(responses.shape[1])
    for test in np.array_split(order, folds):
        train = np.setdiff1d(order, test)
        predicted = predict(train, test, responses[train])
        total += _correlate_columns(predicted, responses[test])
    return total / folds


def predict_ridge(
    gram: np.ndarray, train: np.ndarray, test: np.ndarray, responses: np.ndarray
) -> np.ndarray:
    """Predict responses to test stimuli by ridge regression on inner products of features.

    Parameters
    ----------
    gram : ndarray (stimulus, stimulus)
        Of all stimuli, of raw or centred features.
    train, test : ndarray of int
        Positions of stimuli.
    responses : ndarray (training stimulus, site)

    Returns
    -------
    ndarray (test stimulus, site)
    """
    own = gram[np.ix_(train, train)]
    means = own.mean(1)
    centred = own - means[:, None] - means[None, :] + means.mean()
    cross = gram[np.ix_(test, train)]
    cross = cross - cross.mean(1, keepdims=True) - means[None, :] + means.mean()
    offset = responses.mean(0)
    y = responses - offset
    best = np.full(y.shape[1], np.inf)
    weights = np.zeros_like(y)
    for dual, left_out in fit_ridge(centred, y):
        error = np.mean(left_out**2, axis=0)
        better = error < best
        best[better] = error[better]
        weights[:, better] = dual[:, better]
    predicted: np.ndarray = cross @ weights + offset
    return predicted


def fit_ridge(gram: np.ndarray, responses: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each penalty, dual weights and the errors of leaving out each stimulus.

    Parameters
    ----------
    gram : ndarray (stimulus, stimulus)
        Inner products of features centred over these stimuli.
    responses : ndarray (stimulus, site)
        Centred over these stimuli.

    Yields
    ------
    dual, left_out : ndarray (stimulus, site)
        The error is that of a fit, its intercept included, to all other stimuli.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    turned, squares = vectors.T @ responses, vectors**2
    for penalty in PENALTIES * max(float(values.mean()), 1e-300):
        shrunk = 1 / (values + penalty)
        dual = vectors @ (shrunk[:, None] * turned)
        # 1 - leverage of each stimulus, that of the intercept included
        rest = penalty * (squares @ shrunk) - 1 / len(gram)
        yield dual, penalty * dual / np.maximum(rest, 1e-12)[:, None]


def _predict_pls(
    features: np.ndarray, train: np.ndarray, test: np.ndarray, responses: np.ndarray
) -> np.ndarray:
    from sklearn.cross_decomposition import PLSRegression

    number = min(COMPONENTS, len(train) - 1, features.shape[1])
    model = PLSRegression(n_components=number, scale=False)
    model.fit(features[train], responses)
    return np.asarray(model.predict(features[test])).reshape(len(test), -1)


def _join_sites(recording: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    areas = average_areas(recording)
    responses = np.concatenate([a.values for a in areas.values()], axis=1).astype(float)
    return responses, [str(s) for a in areas.values() for s in a["site"].values]


def _describe_sites(
    recording: xr.Dataset, sites: list[str], correlation: np.ndarray, method: str, seed: int
) -> xr.Dataset:
    """Label correlations ([layer, ]site) and divide them by the ceilings that are usable."""
    part = recording.sel(site=sites)
    shown = part["response"].notnull()
    repeated = shown.sum("repetition").min() if "repetition" in shown.dims else 1
    ceiling, usable = np.full(len(sites), np.nan), np.zeros(len(sites), dtype=bool)
    if int(repeated) >= 2 and part.sizes["stimulus"] >= 10:
        draws = bootstrap_site_reliability(part, draws=200, splits=20, seed=seed)
        draws = draws.isel(time_bin=0, drop=True, missing_dims="ignore").transpose("draw", "site")
        middle = np.median(draws.values, axis=0)
        usable = np.quantile(draws.values, 0.025, axis=0) > 0
        ceiling = np.sqrt(np.where(middle > 0, middle, np.nan))
    dims = ("layer", "site") if correlation.ndim == 2 else ("site",)
    corrected = np.where(usable, correlation / np.where(usable, ceiling, 1.0), np.nan)
    return xr.Dataset(
        {
            "correlation": (dims, correlation),
            "ceiling": ("site", ceiling),
            "ceiling_usable": ("site", usable),
            "corrected": (dims, corrected),
        },
        coords={"site": sites, "area": ("site", part["area"].values.astype(str))},
        attrs={"method": method, "seed": seed, **origin_of(recording)},
    )


def _correlate_columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(0), b - b.mean(0)
    size = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    return np.where(size > 0, (a * b).sum(0) / np.where(size > 0, size, 1.0), 0.0)
