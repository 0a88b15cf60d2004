"""RDMs as labs and papers keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform

from brainguided.__main__ import main
from neural_data import load_dissimilarities, read_rdm
from neural_data.errors import RecordingError

RNG = np.random.default_rng(0)
PAIRS = [pdist(RNG.normal(size=(5, 9)), "correlation") for _ in range(2)]
IT, V4 = map(squareform, PAIRS)
SAID = {"measure": "1 - Pearson r", "source": "made up"}
NAMES = list("edcba")


@pytest.fixture
def names(tmp_path: Path) -> Path:
    (tmp_path / "names.csv").write_text("stimulus,kind\n" + "\n".join(f"{n},{n}" for n in NAMES))
    return tmp_path / "names.csv"


@pytest.mark.parametrize(
    ("values", "area"),
    [
        (IT, "IT"),
        (PAIRS[0], "IT"),
        (PAIRS[0][np.newaxis], "IT"),
        (IT[np.newaxis], ["IT"]),
        (np.stack([IT, V4]), ["IT", "V4"]),
        (np.stack([IT, V4], axis=-1), ["IT", "V4"]),
    ],
)
def test_matrices_and_pairs_give_the_same_rdm(
    tmp_path: Path, names: Path, values: np.ndarray, area: Any
) -> None:
    np.save(tmp_path / "r.npy", values)
    rdm = read_rdm(tmp_path / "r.npy", area=area, stimuli=names, **SAID)
    np.testing.assert_array_equal(rdm["dissimilarity"].sel(area="IT"), IT)
    if len(area) == 2 and not isinstance(area, str):
        np.testing.assert_array_equal(rdm["dissimilarity"].sel(area="V4"), V4)
    assert rdm["stimulus"].values.tolist() == NAMES
    assert rdm["kind"].values.tolist() == NAMES
    assert rdm["dissimilarity"].attrs["units"] == "1 - Pearson r"


def test_an_array_of_structs_of_the_toolbox_of_matlab(tmp_path: Path, names: Path) -> None:
    rdms = np.zeros((1, 2), dtype=[("RDM", object), ("name", object)])
    for k, matrix in enumerate((IT, V4)):
        rdms[0, k] = (matrix, f"subject {k}")
    savemat(tmp_path / "r.mat", {"RDMs": rdms})
    given = {"area": "V4", "stimuli": names, **SAID}
    rdm = read_rdm(tmp_path / "r.mat", variable="RDMs(2).RDM", **given)
    np.testing.assert_array_equal(rdm["dissimilarity"][0], V4)
    with pytest.raises(RecordingError, match=r"no 'RDMs.RDM'.*'\(1\).RDM', '\(2\).RDM'"):
        read_rdm(tmp_path / "r.mat", variable="RDMs.RDM", **given)


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_table_whose_first_row_and_column_are_names(tmp_path: Path, ending: str) -> None:
    rows = [
        ["", *NAMES],
        *([n, *map(repr, row)] for n, row in zip(NAMES, IT.tolist(), strict=True)),
    ]
    mark = "," if ending == "csv" else "\t"
    path = tmp_path / f"r.{ending}"
    path.write_text("\n".join(mark.join(row) for row in rows))
    rdm = read_rdm(path, area="IT", **SAID)
    np.testing.assert_array_equal(rdm["dissimilarity"][0], IT)
    assert rdm["stimulus"].values.tolist() == NAMES
    rows[1][0], rows[2][0] = rows[2][0], rows[1][0]
    path.write_text("\n".join(mark.join(row) for row in rows))
    with pytest.raises(RecordingError, match="same names in the same order"):
        read_rdm(path, area="IT", **SAID)


@pytest.mark.parametrize(
    ("values", "change", "message"),
    [
        (1 - IT, {}, "similarities r become dissimilarities as 1 - r"),
        (IT + np.eye(5, k=1), {}, "not symmetric"),
        (IT[:4], {}, r"shape \(4, 5\); expected 1 square"),
        (np.stack([IT, V4]), {}, "2 matrices; expected one for each of the 1 areas"),
        (np.stack([IT] * 5), {"area": list("abcde")}, "as many matrices as stimuli"),
        (IT[:3, :3], {}, "5 names for the 3 stimuli"),
        (IT, {"stimuli": None}, "no names: give the names"),
        (np.where(np.eye(5, k=1) + np.eye(5, k=-1), np.nan, IT), {}, "NaN"),
        (np.array(["a"] * 10), {}, "expected dissimilarities"),
        (np.ones(4), {}, r"shape \(4,\); expected"),
    ],
)
def test_what_is_no_rdm_is_refused(
    tmp_path: Path, names: Path, values: np.ndarray, change: dict[str, Any], message: str
) -> None:
    np.save(tmp_path / "r.npy", values)
    given = {"area": "IT", "stimuli": names, **SAID, **change}
    with pytest.raises(RecordingError, match=message):
        read_rdm(tmp_path / "r.npy", **given)


def test_the_command_line_imports_an_rdm(tmp_path: Path, names: Path) -> None:
    np.save(tmp_path / "r.npy", np.stack([IT, V4]))
    words = ["import", "rdm", tmp_path / "r.npy", "--stimuli", names, "--area", "IT", "V4"]
    words += ["--measure", "1 - Pearson r", "--source", "made up", "--out", tmp_path / "r.nc"]
    assert main([str(word) for word in words]) == 0
    rdm = load_dissimilarities(tmp_path / "r.nc")
    np.testing.assert_array_equal(rdm["dissimilarity"].sel(area="V4"), V4)
