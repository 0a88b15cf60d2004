"""How often 95 % intervals of a similarity hold the truth, on simulated areas and layers.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py [--simulations 200]

Stimuli are points in a latent space; a site or unit is a rectified random projection of it, in
part of the features that area and layer share, with noise of its own for each stimulus. The truth
is the similarity over very many stimuli, for these sites ("stimulus"), for these stimuli over many
samples of sites ("site"), or over both.
"""

from __future__ import annotations

import argparse

import numpy as np

from brainguided.correspondence._area_map import SiteResponses, draw_similarity
from brainguided.rdms.measures import pattern_distances

LATENT = 12


def main() -> None:
    """Print the coverage for every kind of interval, size and strength."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=200)
    number = parser.parse_args().simulations
    print("resampled           stimuli  shared  truth   mean r  coverage  width")
    for resample in (("stimulus",), ("site",), ("stimulus", "site")):
        for n_stimuli in (60, 200):
            for shared in (0.0, 0.4, 0.9):
                print_coverage(resample, n_stimuli, shared, number)


def print_coverage(
    resample: tuple[str, ...], n_stimuli: int, shared: float, simulations: int
) -> None:
    """Simulate and count."""
    held, widths, found, truths = [], [], [], []
    for seed in range(simulations):
        r, interval, truth = simulate(seed, resample, n_stimuli, shared)
        held.append(interval[0] <= truth <= interval[1])
        widths.append(interval[1] - interval[0])
        found.append(r)
        truths.append(truth)
    print(
        f"{' and '.join(resample):20}{n_stimuli:7}{shared:8.1f}{np.mean(truths):8.3f}"
        f"{np.mean(found):9.3f}{np.mean(held):9.3f}{np.mean(widths):8.3f}",
        flush=True,
    )


def simulate(
    seed: int, resample: tuple[str, ...], n_stimuli: int, shared: float
) -> tuple[float, np.ndarray, float]:
    """Return a similarity, its interval and the truth."""
    generator = np.random.default_rng([seed, n_stimuli])
    n_sites = 40
    layer = generator.normal(size=(LATENT, 100))
    area_features = shared * np.eye(LATENT) + (1 - shared) * generator.normal(
        0, LATENT**-0.5, (LATENT, LATENT)
    )
    sites = generator.normal(size=(LATENT, n_sites))
    stimuli = generator.normal(size=(n_stimuli, LATENT))

    def respond(points: np.ndarray, sites: np.ndarray) -> np.ndarray:
        rates = np.maximum(points @ area_features @ sites, 0)
        return rates + generator.normal(0, 0.7, rates.shape)

    def compare(points: np.ndarray, responses: np.ndarray) -> float:
        x, y = (
            pattern_distances(p, "correlation") for p in (np.maximum(points @ layer, 0), responses)
        )
        return float(np.corrcoef(x, y)[0, 1])

    responses = respond(stimuli, sites)
    many = generator.normal(size=(1000, LATENT))
    if resample == ("stimulus",):
        truth = compare(many, respond(many, sites))
    else:
        points = stimuli if resample == ("site",) else many
        others = [generator.normal(size=(LATENT, n_sites)) for _ in range(12)]
        truth = float(np.mean([compare(points, respond(points, s)) for s in others]))
    vectors = [pattern_distances(np.maximum(stimuli @ layer, 0), "correlation")]
    estimate = np.array([compare(stimuli, responses)])
    draws = draw_similarity(
        vectors, pattern_distances(responses, "correlation"), estimate,
        responses=SiteResponses(responses, np.full(n_sites, "")),
        resample=resample, draws=300, seed=seed,
    )  # fmt: skip
    return float(estimate[0]), np.quantile(draws[:, 0], [0.025, 0.975]), truth


if __name__ == "__main__":
    main()
