"""The coupling of all layers with all areas: POT, marginals, order, refusals."""

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs

from brainguided import Teacher
from brainguided.correspondence import couple_layers, permute_coupling
from brainguided.rdms.measures import pattern_distances
from neural_data import stimuli_from_arrays


def table(values) -> xr.DataArray:
    values = np.asarray(values, dtype=float)
    return xr.DataArray(
        values,
        dims=("layer", "area"),
        coords={
            "layer": [f"layer{k}" for k in range(len(values))],
            "area": [f"area{k}" for k in range(values.shape[1])],
        },
    )


@pytest.mark.parametrize("shape", [(1, 2), (5, 2), (7, 3), (3, 5), (4, 4)])
def test_the_coupling_is_as_good_as_that_of_optimal_transport(shape) -> None:
    ot = pytest.importorskip("ot")
    similarity = np.random.default_rng(0).normal(size=shape)
    found = couple_layers(table(similarity))
    masses = [np.full(n, 1 / n) for n in shape]
    plan = ot.emd(*masses, similarity.max() - similarity)
    assert found["score"].item() == pytest.approx(np.vdot(plan, similarity), abs=1e-9)
    np.testing.assert_allclose(found["coupling"].sum("area"), masses[0])
    np.testing.assert_allclose(found["coupling"].sum("layer"), masses[1])


def test_areas_get_their_layers_although_one_layer_is_most_similar_to_both() -> None:
    similarity = table([[0.3, 0.1], [0.35, 0.3], [0.6, 0.7], [0.2, 0.4]])
    assert (similarity.argmax("layer") == 2).all()
    found = couple_layers(similarity)
    assert found["depth"].sel(area="area0") < found["depth"].sel(area="area1")
    assert found["coupling"].sel(layer="layer0", area="area0").item() == 0.25
    assert found["layer"].values.tolist() == ["layer0", "layer1", "layer2", "layer3"]


def test_the_score_is_calibrated_under_the_null_and_finds_planted_areas() -> None:
    generator = np.random.default_rng(1)
    names = [f"im{k}" for k in range(12)]
    images = stimuli_from_arrays(
        np.zeros((12, 4, 4, 3), dtype=np.uint8), stimulus=names, source="black"
    )

    def rdms_of(number: int, patterns=None, **descriptors) -> RDMs:
        patterns = generator.normal(size=(number, 12, 20)) if patterns is None else patterns
        vectors = np.stack([pattern_distances(x, "correlation") for x in patterns])
        descriptors["index"] = list(range(number))
        return RDMs(vectors, rdm_descriptors=descriptors, pattern_descriptors={"stimulus": names})

    p = []
    for _ in range(100):
        teacher = Teacher.from_rdms(rdms_of(2, area=["V4", "IT"]), images)
        found = permute_coupling(
            rdms_of(5), teacher, permutations=39, seed=int(generator.integers(1000))
        )
        p.append(found["p_value"].item())
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    patterns = generator.normal(size=(4, 12, 20))
    teacher = Teacher.from_rdms(rdms_of(2, patterns[[0, 3]], area=["V4", "IT"]), images)
    found = permute_coupling(rdms_of(4, patterns), teacher, permutations=99)
    assert found["p_value"].item() == 0.01
    assert found["coupling"].sel(area="V4").values[0] == 0.25
    assert found["coupling"].sel(area="IT").values[3] == 0.25


def test_permutations_without_a_similarity_count_as_large(monkeypatch) -> None:
    generator = np.random.default_rng(2)
    rows = np.stack([pattern_distances(generator.normal(size=(12, 9)), "correlation")] * 2)
    names = [f"i{k}" for k in range(12)]
    images = stimuli_from_arrays(
        generator.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8), stimulus=names, source="noise"
    )

    def label(vectors: np.ndarray, kind: str) -> RDMs:
        return RDMs(
            vectors, dissimilarity_measure="correlation",
            rdm_descriptors={kind: [f"{kind}{k}" for k in range(len(vectors))]},
            pattern_descriptors={"stimulus": list(names)},
        )  # fmt: skip

    teacher = Teacher.from_rdms(label(rows, "area"), images)
    assert permute_coupling(label(rows, "layer"), teacher, permutations=19)["p_value"] == 0.05
    null = np.zeros((19, 2))
    null[:4, 1] = np.nan
    monkeypatch.setattr(
        "brainguided.correspondence.coupling.permute_vectors", lambda *_, **__: null
    )
    found = permute_coupling(label(rows, "layer"), teacher, permutations=19)
    assert found["p_value"] == 0.25
    assert np.isnan(found["null_score"]).sum() == 4


def test_missing_similarities_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 4 similarities are missing"):
        couple_layers(table([[0.3, np.nan], [0.1, 0.2]]))
    with pytest.raises(ValueError, match="expected \\(layer, area\\)"):
        couple_layers(table([[0.3, 0.1]]).rename(layer="unit"))
