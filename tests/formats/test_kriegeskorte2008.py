"""Reading the dissimilarities of 92 images in IT, Kriegeskorte et al. 2008."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from neural_data.errors import RecordingError
from neural_data.formats.kriegeskorte2008 import FILE, read_kriegeskorte2008


def make_struct(fields: list[str], rows: list[tuple]) -> np.ndarray:
    made = np.empty(len(rows), dtype=[(field, object) for field in fields])
    made[:] = rows
    return made


@pytest.fixture
def folder(tmp_path):
    """The same format with four images: RDM entries count the pairs, images are grey 10 k."""
    rdms = [("mIT_674neurons", [[0, 0, 0]], np.arange(1.0, 7)[np.newaxis])]
    rdms += [("hITvisStim_316vx", [[0, 0, 0]], np.arange(6.0, 0, -1)[np.newaxis])]
    images = [
        ("human face", k < 1, k < 2, k < 3, 1, np.full((5, 5, 3), 10 * k, np.uint8))
        for k in range(4)
    ]
    savemat(
        tmp_path / FILE,
        {
            "RDMs_mIT_hIT_fig1": make_struct(["name", "color", "RDM"], rdms),
            "stimuli_92objs": make_struct(
                ["category", "human", "face", "animal", "natural", "image"], images
            ),
        },
    )
    return tmp_path


def test_the_vector_of_pairs_becomes_a_square_row_by_row(folder):
    dissimilarities, stimuli = read_kriegeskorte2008(folder)
    assert dissimilarities["dissimilarity"].values[0].tolist() == [
        [0, 1, 2, 3],
        [1, 0, 4, 5],
        [2, 4, 0, 6],
        [3, 5, 6, 0],
    ]
    assert stimuli["stimulus"].values.tolist() == ["im01", "im02", "im03", "im04"]
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert stimuli["face"].values.tolist() == [True, True, False, False]
    human, _ = read_kriegeskorte2008(folder / FILE, species="human")
    assert human["dissimilarity"].values[0, 0].tolist() == [0, 6, 5, 4]


def test_what_cannot_be_read_is_refused(folder):
    with pytest.raises(RecordingError, match="species is 'cat'; expected 'monkey' or 'human'"):
        read_kriegeskorte2008(folder, species="cat")
    with pytest.raises(FileNotFoundError, match=f"absent. Expected a folder with {FILE}"):
        read_kriegeskorte2008(folder / "absent")
    whole = (folder / FILE).read_bytes()
    for size in (0, 50, 200, len(whole) // 2):
        (folder / FILE).write_bytes(whole[:size])
        with pytest.raises(RecordingError, match=f"{FILE} (cannot be read|is not the data set)"):
            read_kriegeskorte2008(folder)
    savemat(folder / FILE, {"RDMs": np.ones(3)})
    with pytest.raises(RecordingError, match=r"is not the data set expected .*RDMs_mIT_hIT_fig1"):
        read_kriegeskorte2008(folder)


@pytest.mark.data
def test_monkey_and_human_it_agree_as_published(shared_data):
    """Kriegeskorte et al. 2008, Figure 2: r = .49 between the 4186 pairs."""
    folder = shared_data / "kriegeskorte2008"
    monkey, stimuli = read_kriegeskorte2008(folder)
    human, _ = read_kriegeskorte2008(folder, species="human")
    pairs = np.triu_indices(92, 1)
    vectors = [d["dissimilarity"].values[0][pairs] for d in (monkey, human)]
    assert np.corrcoef(vectors)[0, 1] == pytest.approx(0.49, abs=0.005)
    assert stimuli["image"].shape == (92, 175, 175, 3)
    assert len(set(stimuli["category"].values)) == 6
    assert monkey["stimulus"].equals(stimuli["stimulus"])
