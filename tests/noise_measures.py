"""Naive measures of the noise of a recording, for the tests of the simulated macaque."""

from __future__ import annotations

import numpy as np


def measure_reliability(response, *, of=10, splits=20):
    """Naive split-half reliability (site) of the mean over `of` repetitions."""
    rng = np.random.default_rng(0)
    n = response.shape[1]
    found = []
    for _ in range(splits):
        order = rng.permutation(n)
        halves = [response[:, order[k::2]].mean(axis=1) for k in (0, 1)]
        a, b = ((h - h.mean(axis=0)) / h.std(axis=0) for h in halves)
        found.append((a * b).mean(axis=0))
    r = np.mean(found, axis=0)  # of the mean over n / 2
    one = r / (n / 2 - (n / 2 - 1) * r)
    return of * one / (1 + (of - 1) * one)


def correlate_noise(recording):
    """Mean noise correlation of pairs of sites of one animal, and of two animals."""
    response = recording["response"].values.astype(float)
    rest = response - response.mean(axis=1, keepdims=True)
    rest /= rest.std(axis=1, keepdims=True)
    matrix = np.tensordot(rest, rest, axes=((0, 1), (0, 1))) / rest[..., 0].size
    upper = np.triu_indices(len(matrix), 1)
    animal = recording["animal"].values
    same = (animal[:, None] == animal[None, :])[upper]
    return matrix[upper][same], matrix[upper][~same]
