"""The images of a BrainIO stimulus set: a CSV table with a folder or a zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neural_data.errors import RecordingError
from neural_data.formats.brainio.stimuli import read_brainio_stimuli


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Five images of grey level 10 k in a zip, in no order, one of them in no table."""
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for k in (3, 0, 4, 1, 2):
            buffer = io.BytesIO()
            Image.new("RGB", (6, 6), (10 * k,) * 3).save(buffer, format="PNG")
            archive.writestr(f"set/picture{k}.png", buffer.getvalue())
    rows = "".join(f"id{k},picture{k}.png,{k / 2},thing\n" for k in range(4))
    table = tmp_path / "set.csv"
    table.write_text("image_id,filename,x,category_name\n" + rows, encoding="utf-8")
    return table, tmp_path / "images.zip"


def test_every_row_of_the_table_gets_its_image(files):
    stimuli = read_brainio_stimuli(*files)
    assert stimuli["stimulus"].values.tolist() == ["id0", "id1", "id2", "id3"]
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert set(stimuli["category"].values) == {"thing"}
    assert stimuli["brainio_x"].values.tolist() == [0, 0.5, 1, 1.5]
    assert stimuli.attrs["source"] == "set.csv and images.zip"


def test_only_the_stimuli_of_a_recording_are_read_in_its_order(files):
    stimuli = read_brainio_stimuli(*files, only=np.array(["id3", "id1"]), size=4, source="us")
    assert stimuli["image"].shape == (2, 4, 4, 3)
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [30, 10]
    assert stimuli.attrs["source"] == "us"


def test_stimuli_without_row_or_image_are_refused_together(files):
    table, images = files
    table.write_text("stimulus_id,filename\na,picture1.png\nb,gone.png\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="1 of the 3 stimuli wanted have no row") as caught:
        read_brainio_stimuli(table, images, only=["a", "b", "c"])
    assert "'gone.png'" in str(caught.value)
    table.write_text("stimulus_id\na\na\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="names stimuli twice: 'a'"):
        read_brainio_stimuli(table, images)


@pytest.mark.data
def test_the_ten_real_images_are_read(shared_data):
    folder = shared_data / "brainio_fixtures" / "images"
    stimuli = read_brainio_stimuli(
        folder / "image_test_ten_images.csv", folder, only=["n9", "n0"], size=16
    )
    assert stimuli["stimulus"].values.tolist() == ["n9", "n0"]
    assert stimuli["thing"].values.tolist() == ["foo9", "foo0"]
