"""No statistic depends on the unit of the data: responses in volts are those in microvolts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs
from torch import nn

import brainguided.correspondence as c
import brainguided.rdms as rdms
import neural_data.reliability as reliability
from brainguided import Inference, Teacher, compute_similarity
from brainguided.guidance import (
    Scorer,
    estimate_reliability,
    gaussian_control,
    partial_control,
    pixels_control,
    shuffled_control,
)
from brainguided.rdms import compare_rdms, compute_noise_precision, compute_rdms
from brainguided.rdms.comparisons import COMPARISONS
from brainguided.rdms.measures import MEASURES
from brainguided.rdms.partial import compare_partial, partition_variance, permute_partial
from neural_data import recording_from_arrays, simulate_macaque, stimuli_from_arrays
from neural_data.model.windows import assign_time_bins

SCALES = (1e-12, 1e-6, 1e6, 1e12)
N, SITES = 24, 16
NAMES = [f"im{k}" for k in range(N)]
FEW = Inference(draws=30, permutations=30, splits=6)


def make_recording(scale: float, *, bins: int = 0) -> xr.Dataset:
    generator = np.random.default_rng(0)
    signal = generator.gamma(2.0, 2.0, (N, 1, SITES)) + 5
    values = signal + generator.normal(size=(N, 6, SITES))
    if bins:
        values = np.stack([values + generator.normal(size=values.shape) for _ in range(bins)], 3)
    recording = recording_from_arrays(
        values * scale,
        stimulus=NAMES,
        site=[f"s{k}" for k in range(SITES)],
        area=["V4"] * 8 + ["IT"] * 8,
        units="V",
        source="made up",
    )
    return assign_time_bins(recording, 50.0 * np.arange(bins + 1)) if bins else recording


def make_macaque(scale: float) -> xr.Dataset:
    """Sites of one area that have something in common, unlike those of `make_recording`."""
    recording, _ = simulate_macaque(n_v4=0, n_it=40, repetitions=2)
    scaled = recording["response"].astype(float) * scale
    return recording.assign(response=scaled.assign_attrs(units="V"))


def make_mean(scale: float, seed: int = 0, units: int = SITES) -> xr.DataArray:
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(9).normal(size=(N, units))
    return xr.DataArray(
        (shared + generator.normal(size=(N, units)) + 3) * scale,
        dims=("stimulus", "site"),
        coords={"stimulus": NAMES},
        name="IT",
    )


def make_rdms(scale: float, number: int = 3, measure: str = "squared euclidean") -> RDMs:
    rows = [
        compute_rdms(make_mean(scale, 10 + k), measure=measure).dissimilarities[0]
        for k in range(number)
    ]
    return RDMs(
        np.stack(rows),
        dissimilarity_measure=measure,
        rdm_descriptors={"layer": [f"layer{k}" for k in range(number)]},
        pattern_descriptors={"stimulus": NAMES},
        descriptors={"conditions": "stimulus"},
    )


def make_images() -> xr.Dataset:
    pixels = np.random.default_rng(1).integers(0, 256, (N, 10, 10, 3), dtype=np.uint8)
    return stimuli_from_arrays(pixels, stimulus=NAMES, source="noise")


def make_teacher(scale: float, measure: str = "squared euclidean") -> Teacher:
    return Teacher.from_recording(make_recording(scale), make_images(), measure=measure)


def make_network(scale: float) -> nn.Module:
    """Every layer's activations are multiplied by a power of `scale`'s root."""
    import torch

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False))
    with torch.no_grad():
        for k in (0, 2):
            for parameter in network[k].parameters():
                parameter *= scale**0.5
    return network


def correspond(scale: float) -> xr.Dataset:
    return c.correspondence_from_rdms(make_rdms(scale), make_teacher(scale), inference=FEW)


def score_all(scale: float) -> list[float | None]:
    """Similarities, whole and committed, by Pearson's r, CKA and ridge, of area and controls."""
    found: list[float | None] = []
    for name in ("pearson", "cka", "ridge"):
        teacher = make_teacher(scale).with_similarity(name)
        controls = [gaussian_control(teacher, "IT"), shuffled_control(teacher, "IT", number=2)]
        if name == "pearson":
            controls.append(partial_control(teacher, "IT", [pixels_control(teacher, "IT")]))
        scores = Scorer(teacher, controls, splits=2).score(make_network(scale))
        found += [*scores.committed.values(), *scores.shuffles["IT"]["best"]]
        found += [r for layers in scores.similarity.values() for r in layers.values()]
    return found


STATISTICS: dict[str, Callable[[float], Any]] = {
    "site reliability": lambda s: reliability.compute_site_reliability(make_recording(s), splits=8),
    "RDM reliability": lambda s: reliability.compute_rdm_reliability(make_recording(s), splits=8),
    "interval of site reliability": lambda s: reliability.bootstrap_site_reliability(
        make_recording(s), draws=8, splits=4
    ),
    "interval of RDM reliability": lambda s: reliability.bootstrap_rdm_reliability(
        make_recording(s), draws=8, splits=4
    ),
    "ceiling": lambda s: c.compute_ceiling(
        make_recording(s), rdm=c.RDMSettings(measure="squared euclidean"), splits=6
    ),
    "ceiling of crossnobis": lambda s: c.compute_ceiling(
        make_recording(s), rdm=c.RDMSettings(measure="crossnobis", noise="diagonal"), splits=6
    ),
    "ceiling over sites": lambda s: c.compute_site_ceiling(
        make_macaque(s), by="object_name", measure="squared euclidean", splits=6
    ),
    "ceiling over animals": lambda s: c.compute_animal_ceiling(
        make_recording(s).assign_coords(
            animal=("site", ["a", "a", "a", "a", "b", "b", "b", "b"] * 2)
        ),
        measure="squared euclidean",
    ),
    "noise ceiling": lambda s: np.array(c.compute_noise_ceiling(make_rdms(s))),
    "noise ceiling of ranks": lambda s: np.array(
        c.compute_noise_ceiling(make_rdms(s), method="spearman")
    ),
    "reliable sites": lambda s: reliability.select_reliable_sites(
        make_recording(s), above=0.8, splits=8
    )["reliability"],
    "scores of all similarities": lambda s: np.array(score_all(s), dtype=float),
    "reliability of an RDM and of what a control leaves of it": lambda s: np.array(
        [
            estimate_reliability(make_teacher(s).targets[1], given=given)
            for given in (None, make_teacher(1.0).targets[:1][0].vector[np.newaxis])
        ]
    ),
    "CKA": lambda s: c.compute_cka(make_mean(s, 1), make_mean(s * s, 2)),
    "debiased CKA": lambda s: c.compute_cka(make_mean(s, 1), make_mean(1.0, 2), debiased=True),
    "Procrustes": lambda s: c.compute_procrustes(make_mean(s, 1), make_mean(1.0, 2)),
    "soft matching": lambda s: c.compute_soft_matching(make_mean(s, 1), make_mean(1.0, 2)),
    "permuted responses": lambda s: c.permute_responses(
        c.compute_procrustes, make_mean(s, 1), make_mean(1.0, 2), permutations=9
    ),
    "coupling of layers": lambda s: c.couple_layers(correspond(s)["similarity"]),
    "predictivity of a network": lambda s: c.compute_layer_predictivity(
        make_network(s), make_images(), make_recording(s), folds=4
    ),
    "dimensionality": lambda s: c.compute_dimensionality(make_mean(s)),
    "dimensionality of areas": lambda s: c.compute_area_dimensionality(make_recording(s), splits=4),
    "ridge": lambda s: c.compute_predictivity(make_mean(s, units=40), make_recording(s), folds=4),
    "PLS": lambda s: c.compute_predictivity(
        make_mean(s, units=40), make_recording(s), method="pls", folds=4
    ),
    "bootstrap": lambda s: c.bootstrap_similarity(
        make_rdms(s), make_rdms(s, 2), draws=10, method="pearson"
    ),
    "bootstrap of cosines": lambda s: c.bootstrap_similarity(
        make_rdms(s), make_rdms(s, 2), draws=10, method="cosine"
    ),
    "bootstrap of ranks": lambda s: c.bootstrap_similarity(
        make_rdms(s), make_rdms(s, 2), draws=5, method="spearman"
    ),
    "permutations": lambda s: c.permute_similarity(make_rdms(s), make_rdms(s, 2), permutations=9),
    "whitened permutations": lambda s: c.permute_similarity(
        make_rdms(s), make_rdms(s, 2), permutations=9, method="whitened pearson"
    ),
    "correspondence": lambda s: correspond(s),
    "comparison of pairs of RDMs": lambda s: c.compare_rdm_pairs(
        make_rdms(s), make_rdms(s, 2), inference=FEW
    ),
    "comparison of layers": lambda s: c.compare_layers(correspond(s)),
    "comparison of networks": lambda s: c.compare_networks(
        {"one": correspond(s), "other": correspond(2 * s)},
        layers={"one": "layer0", "other": "layer1"},
    ),
    "hierarchy": lambda s: c.compute_hierarchy(correspond(s)),
    "permuted hierarchy": lambda s: c.permute_hierarchy(
        make_rdms(s), make_teacher(s), permutations=9
    ),
    "coupling": lambda s: c.permute_coupling(make_rdms(s), make_teacher(s), permutations=9),
    "time course": lambda s: c.compute_similarity_over_time(
        make_rdms(s), make_recording(s, bins=3), measure="squared euclidean"
    ),
    "intervals over time": lambda s: c.compute_intervals_over_time(
        make_rdms(s), make_recording(s, bins=3), measure="squared euclidean", unit="stimulus"
    ),
    "temporal generalisation": lambda s: c.compute_temporal_generalisation(
        make_recording(s, bins=3), measure="squared euclidean", splits=3
    ),
    "partial similarity": lambda s: compare_partial(
        make_rdms(s, 2), make_rdms(s, 1), make_rdms(s, 4).subset("layer", "layer3")
    ),
    "permuted partial similarity": lambda s: permute_partial(
        make_rdms(s, 2),
        make_rdms(s, 1),
        make_rdms(s, 4).subset("layer", "layer3"),
        permutations=9,
    ),
    "partitioned variance": lambda s: partition_variance(
        make_rdms(s, 2), make_rdms(s, 1), make_rdms(s, 4).subset("layer", "layer3")
    ),
    "fitted layers": lambda s: c.fit_layers(
        make_rdms(s), make_rdms(s, 4).subset("layer", "layer3"), folds=3
    )[["similarity", "best_layer_similarity", "fold_similarity"]],
    "similarity of a network": lambda s: compute_similarity(make_network(s), make_teacher(s)),
    "CKA of a network": lambda s: c.compute_layer_cka(
        make_network(s), make_images(), make_recording(s)
    ),
    "correspondence of a network": lambda s: c.compute_correspondence(
        make_network(s), make_teacher(s), inference=FEW
    ),
}


def read_numbers(found: Any) -> dict[str, np.ndarray]:
    if isinstance(found, xr.Dataset):
        return {str(k): v.values for k, v in found.items()}
    return {"value": np.asarray(found)}


@pytest.mark.parametrize("name", STATISTICS)
def test_no_statistic_depends_on_the_unit(name) -> None:
    if name == "soft matching":
        pytest.importorskip("ot", reason="POT is an extra")
    expected = read_numbers(STATISTICS[name](1.0))
    assert any(np.isfinite(v).any() for v in expected.values() if v.dtype.kind == "f")
    # Networks compute in single precision; the heaviest penalties of predictivity leave
    # predictions that hardly vary, and the fit of PLS ends at a tolerance of its own.
    loose = "network" in name or "scores" in name or name in ("ridge", "PLS")
    for scale in SCALES:
        found = read_numbers(STATISTICS[name](scale))
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(
                    found[key], values, rtol=1e-3 if loose else 1e-6,
                    atol=1e-4 if loose else 1e-8, err_msg=f"{key} at {scale}",
                )  # fmt: skip
            else:
                np.testing.assert_array_equal(found[key], values)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("measure", [row for row in MEASURES.values() if row.power is not None],
                         ids=lambda row: row.name)  # fmt: skip
def test_dissimilarities_scale_by_the_power_that_their_row_says(measure, scale) -> None:
    expected = compute_rdms(make_recording(1.0), measure=measure.name).dissimilarities
    found = compute_rdms(make_recording(scale), measure=measure.name).dissimilarities
    np.testing.assert_allclose(found / scale**measure.power, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", COMPARISONS)
def test_no_comparison_depends_on_the_unit(method, scale) -> None:
    a, b = make_rdms(1.0), make_rdms(1.0, 5)
    expected = compare_rdms(a, b, method=method)
    found = compare_rdms(make_rdms(scale), make_rdms(1 / scale, 5), method=method)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_the_precision_of_noise_scales_by_the_inverse_square(scale) -> None:
    expected = compute_noise_precision(make_recording(1.0)).values
    found = compute_noise_precision(make_recording(scale)).values
    np.testing.assert_allclose(found * scale**2, expected, rtol=1e-8)


@pytest.mark.parametrize("scale", SCALES)
def test_a_precision_that_is_not_symmetric_is_refused_in_any_unit(scale) -> None:
    precision = np.eye(8) * scale
    precision[0, 1] = 0.1 * scale
    with pytest.raises(ValueError, match="not symmetric"):
        compute_rdms(
            make_recording(1.0), measure="mahalanobis", noise={"V4": precision, "IT": precision}
        )


def test_whatever_the_rooms_of_statistics_offer_is_tested_here() -> None:
    public = {name for name in dir(c) if not name.startswith("_")} | set(reliability.__all__)
    source = __import__("pathlib").Path(__file__).read_text(encoding="utf-8")
    without = {"Inference", "spearman_brown", "draw_folds"}  # settings, a formula, numbers of folds
    assert {name for name in public - without if f".{name}(" not in source} == set()
    statistics = ("compare_", "compute_", "partition_", "permute_")
    of_rdms = {name for name in dir(rdms) if name.startswith(statistics)}
    assert {name for name in of_rdms if f" {name}(" not in source} == set()
