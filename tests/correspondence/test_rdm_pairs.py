"""RDMs of two files compared: similarity, interval over units, test; what is left out is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from reordered_rdms import reorder
from rsatoolbox.rdm import RDMs

from brainguided.__main__ import main
from brainguided.correspondence.bootstrap import bootstrap_similarity
from brainguided.correspondence.compute import Inference
from brainguided.correspondence.rdm_pairs import compare_rdm_pairs, describe_pairs
from brainguided.rdms.compare import align_rdms, compare_rdms
from brainguided.rdms.compute import compute_rdms, dissimilarities_from_rdms
from neural_data import save_dissimilarities, simulate_macaque
from neural_data.errors import AlignmentError


@pytest.fixture(scope="module")
def rdms():
    return compute_rdms(simulate_macaque(repetitions=2)[0], by="object_name")


def test_conditions_in_another_order_are_the_same_and_units_are_found(rdms):
    order = np.random.default_rng(0).permutation(rdms.n_cond)
    few = Inference(permutations=200)
    found = compare_rdm_pairs(rdms, rdms, inference=few)
    again = compare_rdm_pairs(rdms, reorder(rdms, order), inference=few)
    xr.testing.assert_identical(found, again)
    np.testing.assert_allclose(found["similarity"], compare_rdms(rdms, rdms))
    np.testing.assert_allclose(np.diag(found["similarity"]), 1)
    assert (found.attrs["unit"], found.attrs["unit_count"]) == ("category", 8)
    inside = found["similarity_interval"].values[0, 1]
    assert inside[0] < found["similarity"].values[0, 1] < inside[1] < 1
    assert found["p_value"].values[0, 0] == 1 / 201
    assert all({"long_name", "units"} <= one.attrs.keys() for one in found.data_vars.values())
    alone = compare_rdm_pairs(rdms.subset("area", "V4"), rdms.subset("area", "IT"), inference=few)
    assert alone["p_value"].item() == found["p_value"].values[0, 1]
    assert alone["corrected_p_value"].item() == alone["p_value"].item()
    assert found["corrected_p_value"].values[0, 0] == pytest.approx(4 / 201)


def test_single_stimuli_are_narrower_than_categories_and_near_their_bootstrap(rdms):
    v4, it = (rdms.subset("area", area) for area in ("V4", "IT"))
    with pytest.warns(UserWarning, match="category"):
        single = compare_rdm_pairs(v4, it, inference=Inference(unit="stimulus", permutations=0))
    whole = compare_rdm_pairs(v4, it, inference=Inference(permutations=0))
    widths = [float(np.diff(one["similarity_interval"].values[0, 0])[0]) for one in (single, whole)]
    assert widths[0] < widths[1]
    with pytest.warns(UserWarning, match="category"):
        drawn = bootstrap_similarity(v4, it, draws=2000, unit="stimulus").values[:, 0, 0]
    width = np.diff(np.quantile(drawn, [0.025, 0.975]))[0]
    assert 0.6 < widths[0] / width < 1.4
    assert single["p_value"].isnull().all()


@pytest.mark.parametrize("seed", range(3))
def test_rdms_that_have_nothing_in_common_are_told_so(seed):
    generator = np.random.default_rng(seed)
    names = [f"s{k}" for k in range(20)]
    sides = [
        RDMs(generator.random((2, 190)), pattern_descriptors={"stimulus": names},
             dissimilarity_measure="correlation", rdm_descriptors={"area": ["a", "b"]})
        for _ in range(2)
    ]  # fmt: skip
    found = compare_rdm_pairs(*sides)
    assert (found["corrected_p_value"] > 0.02).all()
    low, high = np.moveaxis(found["similarity_interval"].values, -1, 0)
    assert ((low < 0) & (high > 0)).mean() >= 0.75


def test_what_a_comparison_does_not_allow_is_left_out_and_said(rdms):
    few = Inference(permutations=20)
    kendall = compare_rdm_pairs(rdms, rdms, method="kendall", inference=few)
    assert kendall["similarity_interval"].isnull().all()
    assert kendall["p_value"].isnull().all()
    text = "\n".join(describe_pairs(kendall))
    assert "Intervals are not defined for 'kendall'" in text
    assert "p = " not in text
    two = list(dict.fromkeys(rdms.pattern_descriptors["category"]))[:2]
    part = rdms.subset_pattern("category", two)
    assert "fewer than 6" in compare_rdm_pairs(part, part, inference=few).attrs["said"]
    squared = reorder(rdms, np.arange(rdms.n_cond))
    squared.dissimilarity_measure = "sqeuclidean"
    cosine = compare_rdm_pairs(squared, rdms, method="cosine", inference=few)
    assert cosine["similarity_interval"].isnull().all()
    assert cosine["p_value"].notnull().all()
    with pytest.raises(AlignmentError, match="in common"):
        compare_rdm_pairs(rdms, part)
    with pytest.raises(ValueError, match="No unit of inference"):
        compare_rdm_pairs(rdms, rdms, inference=Inference(unit="day"))


def test_the_command_compares_two_files_and_draws_them(rdms, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_dissimilarities(dissimilarities_from_rdms(rdms.subset("area", "IT")), "a.nc")
    save_dissimilarities(dissimilarities_from_rdms(align_rdms(rdms, rdms)), "b.nc")
    assert main(["compare", "a.nc", "b.nc", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "IT and V4: pearson 0." in said
    assert "64 conditions in 8 units (category)" in said
    with Image.open("out/compare.png") as image:
        assert min(image.size) > 400
    from brainguided.plot import plot_rdm_pairs

    it = rdms.subset("area", "IT")
    panels = plot_rdm_pairs(it, it, compare_rdm_pairs(it, it, inference=Inference(permutations=9)))
    title = panels[0].figure.get_suptitle()
    assert (title, len(panels)) == ("Pearson r = 1.000 (95 %: 1.000 to 1.000), p = 0.1", 2)
    assert main(["compare", "a.nc", "a.nc", "--json", "--method", "spearman"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"][0]["similarity"] == pytest.approx(1)
    for words, message in (
        (["a.nc", "b.nc", "a.nc"], "a.nc, b.nc, a.nc are files; expected"),
        (["a.nc", "."], "a.nc is a file, . no file; expected"),
        (["a.nc", "missing.nc"], "There is no missing.nc; expected"),
        (["a.nc", "b.nc", "--different-tasks"], "for run folders"),
        ([".", "--unit", "category"], "for files of RDMs"),
        (["a.nc", "b.nc", "--out", "out"], "--overwrite"),
    ):
        assert main(["compare", *words]) == 1
        assert message in capsys.readouterr().err
