"""One array out of a file of any common format."""

from __future__ import annotations

import gzip
import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.io import loadmat, savemat
from scipy.sparse import csc_array

from neural_data import load_recording, read_stimuli
from neural_data.errors import RecordingError
from neural_data.formats import read_brainio
from neural_data.formats.array_files import load_array
from neural_data.formats.matlab import is_mat, list_mat, read_mat
from neural_data.formats.nwb.reader import read_nwb_spikes

VALUES = np.random.default_rng(0).normal(size=(5, 4, 3))


def write_mat73(path: Path) -> Path:
    """Write a file as MATLAB 7.3 does: axes reversed, text as codes, cells as references."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(where, name, values, kind):
            item = where.create_dataset(name, data=values)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        def text(where, name, word):
            return put(where, name, np.array([[ord(c)] for c in word], dtype=np.uint16), "char")

        put(file, "rates", VALUES.T, "double")
        put(file, "shown", np.array([[1, 0]], dtype=np.uint8), "logical")
        text(file, "area", "IT")
        refs = file.create_group("#refs#")
        cells = [text(refs, name, word).ref for name, word in (("a", "cow"), ("b", "café"))]
        item = file.create_dataset("names", data=np.array([cells], dtype=h5py.ref_dtype))
        item.attrs["MATLAB_class"] = np.bytes_("cell")
        group = file.create_group("data")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        put(group, "counts", np.arange(6, dtype=np.int16).reshape(3, 2).T, "int16")
        put(group.create_group("deep"), "x", np.array([[3.0]]), "double")
        empty = put(file, "none", np.zeros(2, dtype=np.uint64), "double")
        empty.attrs["MATLAB_empty"] = 1
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)
    return path


@pytest.fixture(params=["v6", "v7", "v7.3"])
def mat(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "lab.mat"
    if request.param == "v7.3":
        return write_mat73(path)
    contents = {
        "rates": VALUES,
        "shown": np.array([[True], [False]]),
        "area": "IT",
        "names": np.array([["cow"], ["café"]], dtype=object),
        "data": {"counts": np.arange(6, dtype=np.int16).reshape(3, 2), "deep": {"x": 3.0}},
        "none": np.zeros((0, 0)),
    }
    savemat(path, contents, do_compression=request.param == "v7")
    return path


def test_every_version_of_matlab_gives_the_same_arrays(mat: Path) -> None:
    np.testing.assert_array_equal(load_array(mat, variable="rates"), VALUES)
    shown = load_array(mat, variable="shown")
    assert shown.dtype == bool
    assert shown.ravel().tolist() == [True, False]
    assert load_array(mat, variable="area").tolist() == ["IT"]
    assert load_array(mat, variable="names").ravel().tolist() == ["cow", "café"]
    counts = load_array(mat, variable="data.counts")
    assert counts.dtype == np.int16
    assert counts.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert load_array(mat, variable="data.deep.x").item() == 3
    assert load_array(mat, variable="none").shape == (0, 0)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (None, "name one as the variable: 'rates.*5x4x3.*'shown"),
        ("rate", "there is no 'rate'; where it should be, there is .*'rates'"),
        ("data.count", "there is no 'data.count'; where it should be, there is 'counts', 'deep'"),
        ("rates.x", "there is no 'rates.x'"),
        ("data", "'data' has several parts: name one, as 'data.counts', 'data.deep'"),
    ],
)
def test_a_variable_that_is_not_clear_is_refused_with_those_there_are(
    mat: Path, variable: str | None, message: str
) -> None:
    if variable is None:
        message = "name one as the variable: .*"
    with pytest.raises(RecordingError, match=message) as told:
        load_array(mat, variable=variable)
    if variable is None:
        assert "'rates (double 5x4x3)'" in str(told.value)


def test_scipy_and_the_reader_of_matlab_5_agree_on_every_kind_of_number(tmp_path: Path) -> None:
    kinds = ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    arrays = {f"x{kind}": np.arange(-3, 9).astype(kind).reshape(2, 3, 2) for kind in kinds}
    for compressed in (True, False):
        savemat(tmp_path / "a.mat", arrays, do_compression=compressed)
        for name, array in arrays.items():
            read = load_array(tmp_path / "a.mat", variable=name)
            assert read.dtype == array.dtype
            np.testing.assert_array_equal(read, array)


def test_big_endian_files_and_whole_numbers_stored_small_are_read(tmp_path: Path) -> None:
    # double array [1 2; 3 300] whose values MATLAB stored as miUINT16, on a big-endian machine
    def element(kind: int, body: bytes) -> bytes:
        return struct.pack(">II", kind, len(body)) + body + bytes(-len(body) % 8)

    matrix = (
        element(6, struct.pack(">II", 6, 0))
        + element(5, struct.pack(">ii", 2, 2))
        + struct.pack(">HH", 1, 1) + b"r\0\0\0"
        + element(4, struct.pack(">4H", 1, 3, 2, 300))
    )  # fmt: skip
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    path = tmp_path / "b.mat"
    path.write_bytes(header + element(14, matrix))
    assert load_array(path).tolist() == [[1, 2], [3, 300]]
    assert load_array(path).dtype == np.float64


def test_a_shape_that_asks_for_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"c": np.array([["a"], ["b"]], dtype=object)})
    content = (tmp_path / "a.mat").read_bytes()
    place = content.index(struct.pack("<ii", 2, 1))
    (tmp_path / "a.mat").write_bytes(
        content[:place] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + content[place + 8 :]
    )
    with pytest.raises(RecordingError, match=r"a cell array of shape .* has 2 parts"):
        load_array(tmp_path / "a.mat")


def test_a_flipped_bit_in_a_compressed_variable_is_noticed(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"r": np.zeros((40, 40))}, do_compression=True)
    content = bytearray((tmp_path / "a.mat").read_bytes())
    refused = 0
    for place in range(136, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 4
        (tmp_path / "b.mat").write_bytes(damaged)
        try:
            read = load_array(tmp_path / "b.mat")
        except RecordingError:
            refused += 1
        else:  # a bit that fills up the last byte of the stream
            np.testing.assert_array_equal(read, np.zeros((40, 40)))
    assert refused >= len(content) - 136 - 1


def test_a_compressed_variable_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    bomb = zlib.compress(struct.pack("<II", 14, 1000) + bytes(10**7))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (tmp_path / "b.mat").write_bytes(header + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(RecordingError, match="cannot be read"):
        load_array(tmp_path / "b.mat")


def test_a_compressed_variable_without_its_checksum_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"r": np.arange(100.0)}, do_compression=True)
    content = (tmp_path / "a.mat").read_bytes()
    cut = content[136:-4]
    (tmp_path / "a.mat").write_bytes(content[:128] + struct.pack("<II", 15, len(cut)) + cut)
    with pytest.raises(RecordingError, match="does not hold the"):
        load_array(tmp_path / "a.mat")


def test_damaged_matlab_files_of_every_version_end_in_our_error(mat: Path) -> None:
    rng = np.random.default_rng(5)
    whole = mat.read_bytes()
    damaged = mat.parent / "damaged.mat"
    refused = 0
    for k in range(150):
        content = bytearray(whole)
        if k % 3 == 0:
            content = content[: rng.integers(0, len(whole))]
        for _ in range(int(rng.integers(1, 5))):
            if content:
                content[rng.integers(0, min(len(content), 10**4))] = rng.integers(0, 256)
        damaged.write_bytes(content)
        for variable in ("rates", "names", "data.counts"):
            try:
                load_array(damaged, variable=variable)
            except RecordingError:
                refused += 1
    assert refused > 100


def test_structs_in_an_array_are_read_one_by_one(tmp_path: Path) -> None:
    structs = np.array([(1.0, "a"), (2.0, "b")], dtype=[("n", object), ("s", object)])
    savemat(tmp_path / "a.mat", {"st": structs})
    read = read_mat(tmp_path / "a.mat", "st")
    assert [item["s"].item() for item in read.ravel()] == ["a", "b"]
    assert list_mat(tmp_path / "a.mat")["st"] == ("struct", (1, 2))
    with pytest.raises(RecordingError, match="an array of 2 structs with the fields 'n', 's'"):
        load_array(tmp_path / "a.mat")


def test_rows_of_a_char_array_are_texts_without_their_blanks(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"c": np.array(["cow", "elephant", ""])})
    assert load_array(tmp_path / "a.mat").tolist() == ["cow", "elephant", ""]


@pytest.mark.parametrize("values", [np.array([1 + 2j]), {"a": 1j}, np.array([], dtype=object)])
def test_matlab_values_that_are_no_numbers_or_text_are_refused(tmp_path: Path, values) -> None:
    savemat(tmp_path / "a.mat", {"v": values})
    with pytest.raises(RecordingError):
        load_array(tmp_path / "a.mat", variable="v.a" if isinstance(values, dict) else "v")


def test_matlab_4_is_read_and_refused_when_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    values = {"v": VALUES[0], "s": csc_array(np.eye(3)), "t": np.array(["cow", "elephant"])}
    savemat(path, values, format="4")
    np.testing.assert_array_equal(load_array(path, variable="v"), VALUES[0])
    np.testing.assert_array_equal(load_array(path, variable="s"), np.eye(3))
    assert load_array(path, variable="t").tolist() == ["cow", "elephant"]
    whole = path.read_bytes()
    for end in (10, 40, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(RecordingError, match="a file of no version of MATLAB, or damaged"):
            load_array(path, variable="v")


@pytest.mark.parametrize("compressed", [True, False])
def test_sparse_arrays_of_matlab_are_full_ones(tmp_path: Path, compressed: bool) -> None:
    full = np.where(VALUES[0] > 0.5, VALUES[0], 0)
    savemat(tmp_path / "a.mat", {"s": csc_array(full)}, do_compression=compressed)
    np.testing.assert_array_equal(load_array(tmp_path / "a.mat"), full)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        group = file.create_group("s")
        group.attrs.update({"MATLAB_class": np.bytes_("double"), "MATLAB_sparse": np.uint64(4)})
        for name in ("data", "indices", "indptr"):
            part = getattr(csc_array(full), name)
            group[{"data": "data", "indices": "ir", "indptr": "jc"}[name]] = part
    np.testing.assert_array_equal(load_array(tmp_path / "b.mat", variable="s"), full)


def test_sparse_places_outside_of_the_array_are_refused_before_they_are_filled(
    tmp_path: Path,
) -> None:
    savemat(tmp_path / "a.mat", {"s": csc_array(np.eye(3))})
    whole = (tmp_path / "a.mat").read_bytes()
    place = whole.index(struct.pack("<iii", 0, 1, 2))
    for wrong in (10**6, -5):
        damaged = whole[:place] + struct.pack("<i", wrong) + whole[place + 4 :]
        (tmp_path / "b.mat").write_bytes(damaged)
        with pytest.raises(RecordingError, match="cannot be read"):
            load_array(tmp_path / "b.mat")


def element(kind: int, body: bytes) -> bytes:
    """One element of a MATLAB 5 file."""
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def own_kind(name: bytes, kind: bytes) -> bytes:
    """A variable that is an object of MATLAB's, as a table or a string is."""
    number = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<ii", 1, 1))
    number += element(1, b"") + element(9, struct.pack("<d", 7))
    parts = (element(1, name), element(1, b"MCOS"), element(1, kind), element(14, number))
    return element(14, element(6, struct.pack("<II", 17, 0)) + b"".join(parts))


def test_what_only_matlab_can_read_is_named_with_what_to_save_instead(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"rates": VALUES[0]})
    more = own_kind(b"trials", b"table") + own_kind(b"names", b"string")
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes() + more)
    np.testing.assert_array_equal(load_array(tmp_path / "a.mat", variable="rates"), VALUES[0])
    for variable, said in {"trials": "'table'.*table2array", "names": "'string'.*cellstr"}.items():
        with pytest.raises(RecordingError, match=said):
            load_array(tmp_path / "a.mat", variable=variable)
    with pytest.raises(RecordingError, match=r"'trials \(table \)'"):
        load_array(tmp_path / "a.mat")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file["t"] = np.array([[3707764736, 2, 1, 1, 1, 1]], dtype=np.uint32)
        file["t"].attrs["MATLAB_class"] = np.bytes_("table")
    with pytest.raises(RecordingError, match=r"'table'.*only MATLAB"):
        load_array(tmp_path / "b.mat")


def test_scipys_own_files_of_matlab_give_what_scipy_gives() -> None:
    folder = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data"
    damaged, read, refused = re.compile("bad|corrupt|malform"), 0, 0
    for path in sorted(folder.glob("*.mat")):
        for name in list_mat(path) if is_mat(path) and not damaged.search(path.name) else ():
            try:
                ours = load_array(path, variable=name)
            except RecordingError:
                refused += 1
                continue
            theirs = loadmat(path, variable_names=[name])[name]
            if ours.dtype.kind != "U" and theirs.dtype.kind != "O":
                theirs = theirs.toarray() if hasattr(theirs, "toarray") else theirs
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{path.name} {name}")
                read += 1
    if read + refused == 0:
        pytest.skip("scipy is installed without its tests")
    assert read >= 30


def test_deeply_nested_cells_are_refused_before_they_are_followed(tmp_path: Path) -> None:
    inner = b""
    for _ in range(3000):
        head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1))
        inner = element(14, head + element(1, b"") + (inner or element(14, b"")))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (tmp_path / "a.mat").write_bytes(header + inner)
    with pytest.raises(RecordingError, match="nested more than"):
        load_array(tmp_path / "a.mat", variable="x")


def test_groups_that_many_links_lead_to_are_read_once(tmp_path: Path) -> None:
    """Followed link by link, these 18 groups would be 8 ** 17 arrays."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3.0)
        inner = file["x"]
        for level in range(17):
            group = file.create_group(f"level{level}")
            for link in range(8):
                group[f"link{link}"] = inner
            inner = group
    with pytest.raises(RecordingError, match="has several parts: name one"):
        load_array(tmp_path / "a.h5", variable="level16")
    np.testing.assert_array_equal(load_array(tmp_path / "a.h5", variable="level0.link7"), range(3))


def test_complex_numbers_never_lose_their_imaginary_part(tmp_path: Path) -> None:
    for values in ({"z": np.array([1 + 2j])}, {"z": {"a": np.array([1 + 2j]), "b": 1.0}}):
        savemat(tmp_path / "a.mat", values)
        variable = "z" if isinstance(values["z"], np.ndarray) else "z.a"
        with pytest.raises(RecordingError, match=r"complex numbers: save real\(x\)"):
            load_array(tmp_path / "a.mat", variable=variable)


@pytest.mark.parametrize("array", [VALUES, VALUES.T, VALUES.astype(">f4"), np.array(5),
                                   np.zeros((0, 3)), np.array(["a", "ü"])])  # fmt: skip
def test_npy_and_npz_give_back_every_array(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array, y=array)
    np.savez_compressed(tmp_path / "b.npz", x=array)
    for read in (
        load_array(tmp_path / "a.npy"),
        load_array(tmp_path / "a.npz", variable="y"),
        load_array(tmp_path / "b.npz"),
    ):
        np.testing.assert_array_equal(read, array)
        assert read.dtype.isnative


def test_an_npy_whose_size_is_not_what_its_header_says_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((640, 168)))
    content = (tmp_path / "a.npy").read_bytes()
    wrong = {
        "too long": content + b"\0",
        "too short": content[:-8],
        "fewer rows": content.replace(b"(640, 168)", b"(140, 168)"),
        "more rows than memory": content.replace(b"(640, 168)", b"(10**9**9)"),
        "huge": content.replace(b"(640, 168)", b"(99999999,)"),
        "negative": content.replace(b"(640, 168)", b"(-640, -1)"),
        "objects": content.replace(b"<f8", b"|O8"),
    }
    for damaged in wrong.values():
        (tmp_path / "b.npy").write_bytes(damaged)
        with pytest.raises(RecordingError, match=r"cannot be read as an array|pickled objects"):
            load_array(tmp_path / "b.npy")


def test_objects_that_would_run_code_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(RecordingError, match="expected numbers or text"):
            load_array(tmp_path / name)


def test_a_flipped_byte_in_an_npz_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=VALUES)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[400] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(RecordingError, match="CRC"):
        load_array(tmp_path / "a.npz")


def test_names_of_an_npz_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rates=VALUES, names=["a"])
    with pytest.raises(RecordingError, match=r"holds 2 arrays.*'rates', 'names'"):
        load_array(tmp_path / "a.npz")
    with pytest.raises(RecordingError, match="no 'rate'; there are 'rates', 'names'"):
        load_array(tmp_path / "a.npz", variable="rate")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(RecordingError, match="holds 0 arrays"):
        load_array(tmp_path / "b.npz")


def test_hdf5_keeps_the_order_of_its_axes_and_takes_either_separator(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("session/rates", data=VALUES, compression="gzip")
        file.create_dataset("names", data=["a", "é"])
        file.create_dataset("never", shape=(10**6, 10**6), dtype="f8", chunks=(100, 100))
    np.testing.assert_array_equal(load_array(tmp_path / "a.h5", variable="session/rates"), VALUES)
    np.testing.assert_array_equal(load_array(tmp_path / "a.h5", variable="session.rates"), VALUES)
    assert load_array(tmp_path / "a.h5", variable="names").tolist() == ["a", "é"]
    with pytest.raises(RecordingError, match="8000000000000 bytes, of which 0 are stored"):
        load_array(tmp_path / "a.h5", variable="never")
    with pytest.raises(RecordingError, match=r"'session.rates \(float64 5x4x3\)'"):
        load_array(tmp_path / "a.h5")


def test_a_csv_of_numbers_is_a_matrix_with_nan_where_cells_are_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2.5,\nNA,-4e2,nan\n", encoding="utf-8")
    np.testing.assert_array_equal(
        load_array(tmp_path / "a.csv"), [[1, 2.5, np.nan], [np.nan, -400, np.nan]]
    )
    (tmp_path / "a.tsv").write_text("1\t2\r\n3\t4\r\n", encoding="utf-8-sig")
    assert load_array(tmp_path / "a.tsv").tolist() == [[1, 2], [3, 4]]


def test_a_column_of_a_csv_is_numbers_or_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,rate\ncow,1\n007,\n", encoding="utf-8")
    assert load_array(tmp_path / "a.csv", variable="name").tolist() == ["cow", "007"]
    np.testing.assert_array_equal(load_array(tmp_path / "a.csv", variable="rate"), [1, np.nan])
    with pytest.raises(RecordingError, match="name one as the variable: 'name', 'rate'"):
        load_array(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"1,2\n3,x\n", "a cell that is no number"),
        ("a.csv", b"1,2\n3\n", "line 2 has 1 cells, the first 2"),
        ("a.csv", b"1,2\n3,4,5\n", "cannot be read"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"\xff\xfe\x00a", "cannot be read"),
        ("a.csv", b"a,a\n1,2\n", "names a column twice"),
        ("a.npz", b"PK\x03\x04 and no more", "cannot be read"),
        ("a.h5", b"nothing", "does not begin as an HDF5 file"),
        ("a.mat", b"", "of no version of MATLAB"),
        ("a.txt", b"1", "ends in '.txt'; expected one of '.npy'"),
    ],
)
def test_files_that_hold_no_array_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        load_array(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there"):
        load_array(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_array(tmp_path)


@pytest.mark.data
def test_a_real_file_of_matlab_is_read_as_scipy_reads_it(shared_data: Path) -> None:
    path = shared_data / "kriegeskorte2008" / "Kriegeskorte_Neuron2008_supplementalData.mat"
    expected = loadmat(path)
    np.testing.assert_array_equal(
        load_array(path, variable="categoryVectors"), expected["categoryVectors"]
    )
    images = read_mat(path, "stimuli_92objs").ravel()
    assert images.size == 92
    for ours, theirs in zip(images, expected["stimuli_92objs"].ravel(), strict=True):
        np.testing.assert_array_equal(ours["image"], theirs["image"])


@pytest.mark.parametrize("compressed", [True, False])
def test_cells_and_structs_are_named_and_read_one_by_one(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    rdms = np.zeros((1, 2), dtype=[("RDM", object), ("name", object)])
    for k in range(2):
        rdms[0, k] = (rng.random((5, 5)), f"subject {k}")
    cells = np.empty((2, 2), object)
    for k in range(4):
        cells.flat[k] = rng.random((4, k + 2))
    path = tmp_path / "a.mat"
    savemat(path, {"RDMs": rdms, "spikes": cells}, do_compression=compressed)
    with pytest.raises(RecordingError, match=r"2 structs with the fields 'RDM', 'name'.*\(1\)"):
        load_array(path, variable="RDMs")
    with pytest.raises(RecordingError, match=r"4 arrays of the shapes \(4, 2\).*'NAME\{1\}'"):
        load_array(path, variable="spikes")
    np.testing.assert_array_equal(load_array(path, variable="RDMs(2).RDM"), rdms[0, 1]["RDM"])
    assert load_array(path, variable="RDMs(1).name").tolist() == ["subject 0"]
    # MATLAB counts down the columns
    np.testing.assert_array_equal(load_array(path, variable="spikes{2}"), cells[1, 0])
    for variable in ("spikes{5}", "spikes{0}", "RDMs(3).RDM", "RDMs(1).rdm"):
        with pytest.raises(RecordingError, match="where it should be, there is"):
            load_array(path, variable=variable)


def test_intact_files_of_another_kind_are_not_called_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", {"a": 1}, allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros(2, dtype=[("x", "f8"), ("y", "i4")]))
    np.save(tmp_path / "c.npy", np.zeros(2, dtype=complex))
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name in ("d.mat", "e.nc", "f.nwb", "g.zip", "h.png"):
        (tmp_path / name).write_text(lfs)
    (tmp_path / "i.npy").write_text("/annex/objects/SHA256E-s1--0\n")
    np.savez(tmp_path / "j.npz", images=np.zeros((8, 8, 3), np.uint8))
    savemat(tmp_path / "k.mat", {"c": np.full(3, 1j)})
    (tmp_path / "l.npy").write_bytes(pickle.dumps({"a": 1}))
    for name in ("m.mat", "n.nc"):
        (tmp_path / name).write_text("\n<!DOCTYPE html><html><body>Log in</body></html>")
    (tmp_path / "o.mat").write_bytes(gzip.compress(b"MATLAB"))
    (tmp_path / "p.csv").write_bytes(b"PK\x03\x04" + bytes(60))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "h.png").write_text(lfs)
    cases = [
        (load_array, "a.npy", "pickled objects of Python"),
        (load_array, "b.npy", "each of its fields"),
        (load_array, "c.npy", "it holds complex128"),
        (load_array, "d.mat", "pointer of Git LFS.*git lfs pull --include d.mat"),
        (load_recording, "e.nc", "pointer of Git LFS"),
        (read_brainio, "e.nc", "pointer of Git LFS"),
        (read_nwb_spikes, "f.nwb", "pointer of Git LFS"),
        (read_images, "g.zip", "pointer of Git LFS"),
        (read_images, "images", "h.png is a pointer of Git LFS"),
        (load_array, "i.npy", "pointer of git-annex"),
        (read_images, "j.npz", "holds arrays.*read_images"),
        (load_array, "k.mat", "k.mat: it holds complex numbers: save real"),
        (load_array, "l.npy", "l.npy: it holds pickled objects of Python"),
        (load_array, "m.mat", "m.mat is a web page, not the data"),
        (load_recording, "n.nc", "n.nc is a web page"),
        (load_array, "o.mat", "o.mat: it is compressed by gzip"),
        (load_array, "p.csv", "p.csv is a workbook of a spreadsheet program, or an archive"),
    ]
    for read, name, message in cases:
        with pytest.raises(RecordingError, match=message) as told:
            read(tmp_path / name)
        assert "damaged" not in str(told.value)


def read_images(path: Path) -> object:
    return read_stimuli(path, source="made up")


@pytest.mark.parametrize("text", ["1;2\n3;4\n", "1,5;2,5\n3;4,5\n"])
def test_semicolons_between_the_columns_are_said_to_be_so(tmp_path, text) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(RecordingError, match="between semicolons instead of commas"):
        load_array(tmp_path / "r.csv")


def test_cells_and_claims_of_one_hdf5_file_are_bounded_in_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of cells, each within bounds, and small datasets that all say they are large."""
    import h5py

    from neural_data.formats import _hdf5_arrays

    with h5py.File(tmp_path / "a.h5", "w") as file:
        inner = file.create_group("inner")
        for k in range(4):
            cells = inner.create_dataset(f"c{k}", (30,), dtype=h5py.ref_dtype)
            value = inner.create_dataset(f"v{k}", data=np.zeros(1000), compression="gzip")
            cells[:] = [value.ref] * 30
        outer = file.create_dataset("outer", (4,), dtype=h5py.ref_dtype)
        outer[:] = [inner[f"c{k}"].ref for k in range(4)]
    assert len(_hdf5_arrays.read_hdf5(tmp_path / "a.h5", "outer")) == 4
    monkeypatch.setattr(_hdf5_arrays, "MAX_CELLS", 100)
    with pytest.raises(RecordingError, match="it holds 124 cells; expected at most 100"):
        load_array(tmp_path / "a.h5", variable="outer")
    monkeypatch.setattr(_hdf5_arrays, "MAX_CELLS", 1000)
    monkeypatch.setattr(_hdf5_arrays, "MAX_RATIO", 1)
    monkeypatch.setattr(_hdf5_arrays, "FREE", 20_000)
    with pytest.raises(RecordingError, match=r"of which \d+ are stored \(with what it refers to"):
        load_array(tmp_path / "a.h5", variable="outer")
