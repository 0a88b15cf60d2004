"""Random division of repetitions into parts that have independent noise."""

from __future__ import annotations

import numpy as np


def divide_repetitions(
    values: np.ndarray, parts: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Return the mean responses of random parts of the repetitions.

    Where all repetitions were shown, a repetition of all stimuli and sites falls into one part, so
    that noise shared by sites recorded together stays within it.

    Parameters
    ----------
    values : ndarray (repetition, stimulus, site)
        NaN where a repetition was not shown; at least `parts` were, of everything.
    parts : int
        2 for halves.
    generator : numpy.random.Generator
        Drawn from once.

    Returns
    -------
    list of ndarray (stimulus, site)
        One mean a part; parts differ by at most one repetition.
    """
    shown = np.isfinite(values)
    priority = np.where(shown, generator.random((len(values), 1, 1)), np.inf)
    ordered = np.take_along_axis(values, np.argsort(priority, axis=0), axis=0)
    counts = shown.sum(0)  # what was not shown comes last
    place = np.arange(len(values))[:, None, None]
    means = []
    for k in range(parts):
        member = (place % parts == k) & (place < counts)
        means.append(np.where(member, ordered, 0.0).sum(0) / member.sum(0))
    return means
