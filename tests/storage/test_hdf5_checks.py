"""A file cannot make another file of its reader be read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neural_data import RecordingError, load_array, load_recording, open_source
from neural_data.formats import read_brainio
from neural_data.formats.nwb.reader import read_nwb_spikes
from neural_data.storage.checksums import append_checksum
from neural_data.storage.hdf5_checks import check_hdf5

SECRET = np.arange(12.0).reshape(3, 2, 2)


@pytest.fixture(params=["external link", "external storage", "virtual dataset"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file whose 'response' is in another file of the user."""
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = SECRET
    path = tmp_path / "stranger.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("deep")
        if request.param == "external link":
            group["response"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
        elif request.param == "external storage":
            place = [(str(tmp_path / "secret.bin"), 0, SECRET.nbytes)]
            group.create_dataset("response", shape=SECRET.shape, dtype="f8", external=place)
        else:
            layout = h5py.VirtualLayout(SECRET.shape, "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", SECRET.shape)
            group.create_virtual_dataset("response", layout)
            # Stored values too, so that its size does not give it away
            group["large"] = np.zeros(1000)
        file["alias"] = h5py.SoftLink("/deep/response")
    return path


def test_data_in_other_files_are_refused_by_every_reader(stranger: Path) -> None:
    with pytest.raises(RecordingError, match="'/deep/response' lie in another file"):
        check_hdf5(stranger)
    mat = stranger.with_suffix(".mat")
    mat.write_bytes(stranger.read_bytes())
    readers = [
        lambda: load_array(stranger, variable="deep.response"),
        lambda: load_array(mat, variable="alias"),
        lambda: load_recording(stranger),
        lambda: read_brainio(stranger),
        lambda: read_nwb_spikes(stranger),
        lambda: open_source(stranger),
    ]
    for read in readers:
        with pytest.raises(RecordingError, match="lie in another file"):
            read()


def test_a_checksum_does_not_make_such_a_file_trusted(stranger: Path) -> None:
    append_checksum(stranger)
    with pytest.raises(RecordingError, match="lie in another file"):
        load_recording(stranger)


def test_data_reached_by_reference_alone_are_refused(stranger: Path) -> None:
    with h5py.File(stranger, "a") as file:
        if "response" not in file["deep"] or not isinstance(
            file["deep"].get("response", getlink=True), h5py.HardLink
        ):
            pytest.skip("a link cannot be referred to")
        cells = file.create_dataset("names", data=[file["deep/response"].ref], dtype=h5py.ref_dtype)
        assert cells.shape == (1,)
        del file["alias"], file["deep"]["response"], file["deep"]
    with pytest.raises(RecordingError, match=r"lie in another file|cannot be read"):
        load_array(stranger, variable="names")


def test_links_within_a_file_and_groups_in_a_circle_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("a/b")["x"] = np.ones(3)
        file["a/b/up"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/b/x")
        file["nowhere"] = h5py.SoftLink("/none")
    check_hdf5(path)
    assert load_array(path, variable="soft").tolist() == [1, 1, 1]
