"""Maps of stimuli and of RDMs in the plane: multidimensional scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.rdm_figure import label_patterns
from brainguided.plot.style import COLOURS, COLUMN, LABEL, MARKERS, TICK, new_figure
from brainguided.plot.thumbnails import add_thumbnail, find_thumbnails
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.labels import name_rdms
from neural_data.model.origin import is_simulated

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

LARGEST_FIT = 1500
"""Conditions beyond which the map is that of classical scaling, without refinement."""


def plot_stimulus_mds(
    rdms: RDMs,
    stimuli: xr.Dataset | None = None,
    *,
    number: int = 0,
    seed: int = 0,
    axes: Axes | None = None,
) -> Axes:
    """Draw the conditions of an RDM as points whose distances are like their dissimilarities.

    Metric multidimensional scaling in two dimensions (scikit-learn's SMACOF), started from
    classical scaling. The figure states Kruskal's stress: below .1 the map is a good likeness,
    above .2 distances in it are to be read with caution [1]_.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One of them is drawn.
    stimuli : xr.Dataset, optional
        Stimulus set whose images are drawn in the place of points, where there are at most 120
        conditions; of a condition of several images, the first. Conditions are found by the
        coordinate that the RDMs are over.
    number : int, optional
        Which of the RDMs.
    seed : int, optional
        Of the fit.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Points are coloured by the pattern descriptor ``category`` where there is one.

    Raises
    ------
    IndexError
        If there are not so many RDMs.
    ValueError
        If the RDM holds NaN, or a condition has no image.

    References
    ----------
    .. [1] Kruskal (1964), Psychometrika 29, 1-27.
    """
    if not -rdms.n_rdm <= number < rdms.n_rdm:
        raise IndexError(f"number is {number}; there are {rdms.n_rdm} RDMs.")
    matrix = rdms.get_matrices()[number].astype(float)
    if not np.isfinite(matrix).all():
        raise ValueError("The RDM holds NaN; leave out the conditions without responses first.")
    places, stress = scale_distances(np.maximum(matrix, 0), seed=seed)
    axes = new_figure(COLUMN, COLUMN).add_subplot() if axes is None else axes
    labels, categories = label_patterns(rdms)
    images = None
    if stimuli is not None and len(labels) <= 120:
        images = find_thumbnails(rdms, stimuli)
    groups = np.zeros(len(labels), int) if categories is None else pd.factorize(categories)[0]
    for group in np.unique(groups).tolist():
        chosen = groups == group
        x, y = places[chosen].T
        axes.scatter(
            x,
            y,
            s=3 if images is not None else max(4.0, min(18.0, 2000 / len(labels))),
            color=COLOURS[group % len(COLOURS)],
            marker=MARKERS[(group // len(COLOURS) + group) % len(MARKERS)],
            linewidths=0,
            label="" if categories is None else categories[chosen][0],
        )
    if images is not None:
        zoom = 0.16 if len(labels) <= 40 else 0.1
        for place, image, shade in zip(places, images, groups.tolist(), strict=True):
            frame = None if categories is None else COLOURS[shade % len(COLOURS)]
            add_thumbnail(axes, place, image, side=zoom * COLUMN * 0.6, frame=frame)
    _finish(axes, places)
    if categories is not None:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=TICK, frameon=False,
            handletextpad=0.2, columnspacing=0.8, markerscale=1.5, borderaxespad=0.2,
        )  # fmt: skip
    name = name_rdms(rdms)[number]
    simulated = "simulated " if is_simulated(rdms) else ""
    axes.set_xlabel(f"{simulated}{name}, {len(labels)} conditions; stress {stress:.2f}", size=LABEL)
    return axes


def plot_rdm_mds(
    rdms: RDMs,
    *,
    method: str = "pearson",
    seed: int = 0,
    axes: Axes | None = None,
) -> Axes:
    """Draw RDMs (areas, layers, models) as points, near each other where they are alike.

    The distance of two RDMs is the angle between them, the arc cosine of their similarity, which
    unlike ``1 - r`` obeys the triangle inequality. Layers are joined in the order of depth.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Three or more, over the same conditions. Those with a descriptor ``kind`` of "layer" (or,
        without it, all with a descriptor ``layer``) are joined by a line; others are areas.
    method : str, optional
        As for ``comparisons.compare_rdms``.
    seed : int, optional
        Of the fit.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If there are fewer than three RDMs, or one cannot be compared.
    """
    if rdms.n_rdm < 3:
        raise ValueError(f"A map needs three RDMs or more; there are {rdms.n_rdm}.")
    angles = np.arccos(np.clip(compare_rdms(rdms, rdms, method=method), -1, 1))
    np.fill_diagonal(angles, 0.0)
    places, stress = scale_distances((angles + angles.T) / 2, seed=seed)
    axes = new_figure(COLUMN, COLUMN).add_subplot() if axes is None else axes
    names = name_rdms(rdms)
    known = rdms.rdm_descriptors
    kinds = known.get("kind", ["layer" if "layer" in known else "area"] * rdms.n_rdm)
    layers = np.array([str(kind) == "layer" for kind in kinds])
    if layers.any():
        axes.plot(*places[layers].T, color="#888888", lw=0.8, zorder=1)
        shade = np.linspace(0.15, 0.85, int(layers.sum()))
        x, y = places[layers].T
        axes.scatter(x, y, c=shade, cmap="cividis", vmin=0, vmax=1, s=16, zorder=2)
    for k in np.flatnonzero(~layers).tolist():
        colour, marker = COLOURS[(k + 1) % len(COLOURS)], MARKERS[(k + 1) % len(MARKERS)]
        x, y = places[k]
        axes.scatter(x, y, color=colour, marker=marker, s=36, zorder=3)
    every = -(-int(layers.sum()) // 12) if layers.any() else 1
    rank = np.cumsum(layers) - 1
    for k, name in enumerate(names):
        if layers[k] and rank[k] % every and k != np.flatnonzero(layers)[-1]:
            continue
        axes.annotate(
            name, tuple(places[k]), xytext=(3, 3), textcoords="offset points",
            fontsize=TICK if layers[k] else LABEL, fontweight="normal" if layers[k] else "bold",
        )  # fmt: skip
    _finish(axes, places)
    axes.set_xlabel(f"angle between RDMs (arc cosine of {method}); stress {stress:.2f}", size=LABEL)
    return axes


def scale_distances(distances: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, float]:
    """Return places (point, 2) with nearly these distances (point, point), and Kruskal's stress.

    The first axis is that of the largest spread. Signs are fixed, so that figures are the same
    on every machine.
    """
    from sklearn.manifold import smacof

    n = len(distances)
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances**2 @ centring)
    top = np.argsort(values)[::-1][:2]
    start = vectors[:, top] * np.sqrt(np.maximum(values[top], 0))
    places = start
    if n <= LARGEST_FIT:
        places = smacof(
            distances, n_components=2, init=start, n_init=1, max_iter=300, random_state=seed,
            normalized_stress=False,
        )[0]  # fmt: skip
    places = places - places.mean(0)
    places = places @ np.linalg.svd(places, full_matrices=False)[2].T
    largest = np.abs(places).argmax(0)
    places = places * np.sign(places[largest, [0, 1]])
    upper = np.triu_indices(n, 1)
    found = np.sqrt(((places[:, None] - places[None]) ** 2).sum(2))[upper]
    wanted = distances[upper]
    scale = found @ wanted / max(found @ found, 1e-300)
    stress = float(np.sqrt(((wanted - scale * found) ** 2).sum() / max(wanted @ wanted, 1e-300)))
    return places, stress


def _finish(axes: Axes, places: np.ndarray) -> None:
    half = 1.3 * np.abs(places).max() or 1.0
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
