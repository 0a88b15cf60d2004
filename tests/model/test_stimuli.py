"""Stimulus sets: reading images, and joining them to responses by name."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neural_data.errors import AlignmentError, RecordingError
from neural_data.model.stimuli import (
    align_stimuli,
    decode_images,
    load_stimuli,
    read_stimuli,
    save_stimuli,
    stimuli_from_arrays,
    validate_stimuli,
)


def draw_image(k: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """An image that can be told from the others after any lossless round trip."""
    return np.random.default_rng(k).integers(0, 256, (*size, 3)).astype(np.uint8)


def encode(pixels: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three PNG images, one of them in a subfolder, beside files that are no images."""
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    for k, name in enumerate(["im10.png", "more/im2.PNG", "im1.png"]):
        (images / name).write_bytes(encode(draw_image(k)))
    (images / "notes.txt").write_text("not an image")
    (images / ".hidden.png").write_text("not an image either")
    return images


@pytest.fixture
def stimuli() -> xr.Dataset:
    return stimuli_from_arrays(
        np.stack([draw_image(k) for k in range(3)]),
        stimulus=["im10", "im2", "im1"],
        source="made up",
        category=["face", "car", "face"],
        object_name=["f1", "c1", "f2"],
    )


def pack(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_stimulus_set_survives_its_file_identically(stimuli, tmp_path):
    stimuli = stimuli.assign_coords(variation=("stimulus", [0, 3, 6]))
    loaded = load_stimuli(save_stimuli(stimuli, tmp_path / "stimuli.nc"))
    xr.testing.assert_identical(loaded, stimuli)
    assert loaded["image"].dtype == np.uint8


def test_read_stimuli_names_images_by_file_and_sorts_them(folder):
    stimuli = read_stimuli(folder, source="made up")
    assert stimuli["stimulus"].values.tolist() == ["im1", "im10", "im2"]
    np.testing.assert_array_equal(stimuli["image"].values[0], draw_image(2))
    np.testing.assert_array_equal(stimuli["image"].values[2], draw_image(1))


def test_a_zip_gives_the_same_stimuli_as_the_folder(folder, tmp_path):
    members = {
        f"top/{file.relative_to(folder).as_posix()}": file.read_bytes()
        for file in sorted(folder.rglob("*.*"), reverse=True)
    }
    packed = pack(tmp_path / "images.zip", {**members, "__MACOSX/._im1.png": b"not an image"})
    xr.testing.assert_identical(
        read_stimuli(packed, source="made up"), read_stimuli(folder, source="made up")
    )


def test_a_table_gives_order_names_and_properties(folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "image_id,filename,variation,size,category,note\n"
        "007,more/im2.PNG,3,0.5,car,\n"
        "001,im1.png,0,,face,NA\n"
        "003,im10.png,6,2,face,x\n"
    )
    stimuli = read_stimuli(folder, table=table, source="made up")
    assert stimuli["stimulus"].values.tolist() == ["007", "001", "003"]
    np.testing.assert_array_equal(stimuli["image"].values[1], draw_image(2))
    assert stimuli["variation"].values.tolist() == [3, 0, 6]
    np.testing.assert_array_equal(stimuli["size"].values, [0.5, np.nan, 2.0])
    assert stimuli["category"].values.tolist() == ["car", "face", "face"]
    assert stimuli["note"].values.tolist() == ["", "NA", "x"]


def test_a_table_without_file_names_finds_images_by_their_stem(folder, tmp_path):
    (tmp_path / "table.csv").write_text("stimulus\nim2\nim1\nim10\n")
    stimuli = read_stimuli(folder, table=tmp_path / "table.csv", source="made up")
    assert stimuli["stimulus"].values.tolist() == ["im2", "im1", "im10"]
    np.testing.assert_array_equal(stimuli["image"].values[0], draw_image(1))


def test_rows_without_image_and_images_without_row_are_listed_together(folder, tmp_path):
    (tmp_path / "table.csv").write_text("stimulus\nim1\nim2\nim99\n")
    with pytest.raises(RecordingError) as error:
        read_stimuli(folder, table=tmp_path / "table.csv", source="made up")
    assert "1 of the 3 stimuli in the table have no image of that name" in str(error.value)
    assert "'im99'" in str(error.value)
    assert "1 of the 3 images have no row in the table ('im10.png')" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nim1\n", "the columns 'name'; expected .* a column 'stimulus', 'stimulus_id'"),
        ("stimulus\n", "has 0 rows"),
        ("stimulus,x\nim1,3\nim2,4\nim10,5\n", "columns 'x', the names of the image and its dims"),
        ("stimulus\nim1\nim1\nim2\nim10\n", "several rows of the table name one image: 'im1.png'"),
        ("stimulus,filename\na,../secret.png\n", r"no image of that name.*'a \(../secret.png\)'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_stimuli(folder, table=tmp_path / "table.csv", source="made up")


def test_missing_images_and_tables_are_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder or zip file .*absent"):
        read_stimuli(tmp_path / "absent", source="made up")
    with pytest.raises(FileNotFoundError, match=r"no table .*absent.csv"):
        read_stimuli(folder, table=tmp_path / "absent.csv", source="made up")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match=r"has no images; expected files ending in .png"):
        read_stimuli(tmp_path / "empty", source="made up")


def test_two_files_of_one_stem_are_refused_without_a_table(folder):
    (folder / "more" / "im1.png").write_bytes(encode(draw_image(5)))
    with pytest.raises(RecordingError, match=r"share one name .*'im1.png', 'more/im1.png'"):
        read_stimuli(folder, source="made up")


@pytest.mark.parametrize(
    "name", ["../out.png", "a/../../out.png", "/etc/out.png", "..\\out.png", "C:/out.png"]
)
def test_a_zip_whose_paths_climb_out_is_refused_and_nothing_written(tmp_path, name):
    (tmp_path / "in").mkdir()
    packed = pack(tmp_path / "in" / "a.zip", {"im1.png": encode(draw_image(0)), name: b"x"})
    with pytest.raises(RecordingError, match=r"a.zip has paths that lead out of it: .*out.png"):
        read_stimuli(packed, source="made up")
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == [
        "in",
        "in/a.zip",
    ]


def test_a_damaged_zip_is_refused(tmp_path):
    packed = pack(tmp_path / "a.zip", {"im1.png": encode(draw_image(0))})
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(RecordingError, match=r"a.zip cannot be read as a zip of images"):
        read_stimuli(packed, source="made up")


def test_images_of_different_size_need_a_size(folder):
    (folder / "wide.png").write_bytes(encode(draw_image(9, size=(8, 12))))
    with pytest.raises(RecordingError, match=r"differ in size .*3 of 8 x 8, 1 of 12 x 8"):
        read_stimuli(folder, source="made up")
    stimuli = read_stimuli(folder, size=6, source="made up")
    assert stimuli["image"].shape == (4, 6, 6, 3)
    assert "squashed to a square: 1 of 4 images ('wide.png')" in stimuli.attrs["history"]


def test_every_unreadable_image_is_named(folder):
    (folder / "im1.png").write_bytes(b"not an image")
    (folder / "im10.png").write_bytes(encode(draw_image(0))[:50])
    with pytest.raises(RecordingError) as error:
        read_stimuli(folder, source="made up")
    assert "im1.png cannot be read as an image" in str(error.value)
    assert "im10.png cannot be read as an image" in str(error.value)


def test_decode_images_turns_grey_and_palette_images_to_colour():
    grey = np.full((8, 8), 77, dtype=np.uint8)
    decoded = decode_images([encode(grey), encode(draw_image(1), "P"), encode(draw_image(2))])
    assert decoded.shape == (3, 8, 8, 3)
    assert (decoded[0] == 77).all()
    np.testing.assert_array_equal(decoded[2], draw_image(2))


def test_a_damaged_image_is_named_whatever_the_decoder_raises():
    """The second page of this TIFF has no size, for which Pillow raises a TypeError."""
    whole = io.BytesIO()
    Image.fromarray(draw_image(0)).save(whole, "TIFF")
    content = bytearray(whole.getvalue())
    first = struct.unpack_from("<I", content, 4)[0]
    n_tags = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * n_tags, len(content))
    content += struct.pack("<HHHIII", 1, 259, 3, 1, 1, 0)
    with pytest.raises(RecordingError, match="cannot be read as an image: Missing dimensions"):
        decode_images([bytes(content)])


def test_decode_images_refuses_what_it_cannot_show_faithfully():
    clear = np.zeros((8, 8, 4), dtype=np.uint8)
    deep = np.full((8, 8), 40000, dtype=np.uint16)
    with pytest.raises(RecordingError) as error:
        decode_images([encode(clear), encode(deep), b"nothing"])
    assert "image 0 is transparent" in str(error.value)
    assert "image 1 has more than 8 bits" in str(error.value)
    assert "image 2 cannot be read" in str(error.value)
    opaque = np.dstack([draw_image(1), np.full((8, 8), 255, np.uint8)])
    np.testing.assert_array_equal(decode_images([encode(opaque)])[0], draw_image(1))
    with pytest.raises(RecordingError, match="the list is empty"):
        decode_images([])


def test_align_stimuli_joins_by_name_never_by_position(stimuli):
    aligned = align_stimuli(stimuli, np.array(["im1", "im10", "im2"], dtype=object))
    assert aligned["stimulus"].values.tolist() == ["im1", "im10", "im2"]
    np.testing.assert_array_equal(aligned["image"].values[0], draw_image(2))
    assert aligned["object_name"].values.tolist() == ["f2", "f1", "c1"]
    xr.testing.assert_identical(align_stimuli(aligned, stimuli["stimulus"]), stimuli)


def test_align_stimuli_lists_what_lacks_an_image_and_what_lacks_a_response(stimuli):
    with pytest.raises(AlignmentError) as error:
        align_stimuli(stimuli, ["im1", "im7", "im8", "im1"], name="teacher")
    message = str(error.value)
    assert "The teacher and the images are not about the same stimuli (1 in common)" in message
    assert "2 of the 4 stimuli of the teacher have no image: 'im7', 'im8'" in message
    assert "2 of the 3 images have no response in the teacher: 'im10', 'im2'" in message
    assert "names stimuli twice: 'im1'" in message
    assert "stimuli.sel(stimulus=...)" in message


def test_validate_stimuli_lists_every_problem_at_once(stimuli):
    broken = xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"), np.zeros((2, 4, 4, 1)))},
        coords={"stimulus": ["a", "a"], "size": ("y", [1, 2, 3, 4])},
    )
    with pytest.raises(RecordingError) as error:
        validate_stimuli(broken, name="set.nc")
    message = str(error.value)
    assert message.startswith("set.nc does not follow the stimulus-set schema:")
    assert "has 1 channels; expected 3" in message
    assert "holds float64; expected uint8" in message
    assert "no attrs['source']" in message
    assert "'stimulus' repeats 'a'" in message
    assert "'size' has dims ('y',)" in message
    assert validate_stimuli(stimuli) is stimuli


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s["image"], "is a DataArray; a stimulus set is an xarray.Dataset"),
        (lambda s: s.rename(image="pixels"), r"no variable 'image' \(variables: 'pixels'\)"),
        (lambda s: s.transpose("y", ...), "'image' has dims"),
        (lambda s: s.isel(stimulus=[]), "'image' is empty"),
        (lambda s: s.assign_coords(x=("stimulus", [1, 2, 3])), "name of a dim of the images"),
    ],
)
def test_validate_stimuli_refuses(stimuli, spoil, message):
    with pytest.raises(RecordingError, match=message):
        validate_stimuli(spoil(stimuli))


def test_stimuli_from_arrays_refuses_grey_images_and_wrong_lengths():
    with pytest.raises(RecordingError) as error:
        stimuli_from_arrays(
            np.zeros((2, 8, 8), np.uint8), stimulus=["a"], category=["b"], source="made up"
        )
    assert "shape (2, 8, 8); expected (stimulus, y, x, 3)" in str(error.value)
    assert "'stimulus' has shape (1,) for 2 images" in str(error.value)
    assert "'category' has shape (1,) for 2 images" in str(error.value)


def png_of_16_bits(channels: int = 3) -> bytes:
    """A PNG of 8 x 8 pixels with 16 bits a channel, all detail below the upper 8."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    values = np.arange(64 * channels).reshape(8, 8, channels).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in values)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", 8, 8, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def frames(kind: str) -> bytes:
    stream = io.BytesIO()
    pages = [Image.fromarray(np.full((8, 8), k, np.uint8)) for k in (7, 90)]
    pages[0].save(stream, kind, save_all=True, append_images=pages[1:])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png_of_16_bits(3), "a.png has more than 8 bits a channel"),
        (png_of_16_bits(4), "a.png has more than 8 bits a channel"),
        (b"P6 2 2 65535\n" + bytes(24), "a.png has more than 8 bits a channel"),
        (frames("TIFF"), "a.png holds 2 pages or frames"),
        (frames("GIF"), "a.png holds 2 pages or frames"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "of PNG, JPEG"),
        (b"P6 90000 900 255\n", "90000 x 900 pixels; expected at most"),
    ],
)
def test_images_that_would_be_cut_or_chosen_among_are_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        read_stimuli(tmp_path, source="x")
    with pytest.raises(RecordingError, match=message.replace("a.png", "image 0")):
        decode_images([content])


def test_postscript_is_never_handed_to_its_interpreter(tmp_path, monkeypatch) -> None:
    from PIL import EpsImagePlugin

    def run(*_args: object, **_settings: object) -> None:
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF"
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.png cannot be read as an image of PNG"):
        read_stimuli(tmp_path, source="x")


def test_images_are_turned_as_exif_says_and_the_history_tells(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 8))
    image.paste((255, 0, 0), (0, 0, 8, 8))  # the left half is red
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: left becomes top
    image.save(tmp_path / "a.png", exif=exif)
    stimuli = read_stimuli(tmp_path, source="x")
    pixels = stimuli["image"].values[0]
    assert pixels.shape == (16, 8, 3)
    assert (pixels[:8] == [255, 0, 0]).all()
    assert not pixels[8:].any()
    assert "turned as EXIF says: 1 of 1 images ('a.png')" in stimuli.attrs["history"]
    assert decode_images([(tmp_path / "a.png").read_bytes()]).shape == (1, 16, 8, 3)


def test_colour_profiles_other_than_srgb_are_told(tmp_path: Path) -> None:
    from PIL import ImageCms

    for kind in ("LAB", "sRGB"):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
        Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / "a.png", icc_profile=profile)
        history = read_stimuli(tmp_path, source="x").attrs.get("history", "")
        assert ("not applied, values as stored: 1 of 1 images" in history) is (kind == "LAB")


def test_gammas_other_than_that_of_srgb_are_told(tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    for gamma in (100_000, 45_455):  # linear, and that of sRGB, in hundred-thousandths
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"gAMA", gamma.to_bytes(4, "big"))
        Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / "a.png", pnginfo=chunks)
        history = read_stimuli(tmp_path, source="x").attrs.get("history", "")
        assert ("gamma 1 not applied, values as stored" in history) is (gamma == 100_000)


def test_an_orientation_that_exif_does_not_know_turns_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.new("RGB", (16, 8)).save(tmp_path / "a.png", exif=exif)
    stimuli = read_stimuli(tmp_path, source="x")
    assert stimuli["image"].shape == (1, 8, 16, 3)
    assert "EXIF" not in stimuli.attrs.get("history", "")


def test_a_zip_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for shade in (0, 255):
            stream = io.BytesIO()
            Image.new("RGB", (8, 8), (shade,) * 3).save(stream, "PNG")
            archive.writestr("a.png", stream.getvalue())
    with pytest.raises(RecordingError, match=r"several members of one name \('a.png'\)"):
        read_stimuli(path, source="x")


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused_unopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neural_data.storage.image_files.FREE", 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**23))
    with pytest.raises(RecordingError, match=r"would unpack to 8,388,608"):
        read_stimuli(tmp_path / "a.zip", source="x")


def test_a_table_may_name_a_part_of_a_folder_where_it_is_said(tmp_path: Path) -> None:
    for k in range(4):
        (tmp_path / f"im{k}.png").write_bytes(encode(draw_image(k)))
    (tmp_path / "few.csv").write_text("stimulus,category\nim2,face\nim0,car\n")
    table = tmp_path / "few.csv"
    with pytest.raises(RecordingError, match=r"2 of the 4 images have no row.*subset=True"):
        read_stimuli(tmp_path, table=table, source="x")
    stimuli = read_stimuli(tmp_path, table=table, subset=True, source="x")
    assert stimuli["stimulus"].values.tolist() == ["im2", "im0"]
    np.testing.assert_array_equal(stimuli["image"].values[1], draw_image(0))
    table.write_text("stimulus\nim2\nim7\n")
    with pytest.raises(RecordingError, match=r"1 of the 2 stimuli in the table have no image"):
        read_stimuli(tmp_path, table=table, subset=True, source="x")


def test_names_that_differ_only_in_endings_are_said_to() -> None:
    images = np.stack([draw_image(k) for k in range(3)])
    stimuli = stimuli_from_arrays(images, stimulus=["a", "b", "c.v2"], source="x")
    with pytest.raises(AlignmentError, match=r"differ only in the ending of a file name"):
        align_stimuli(stimuli, ["a.png", "b.png", "c.v2.JPG"])
    with pytest.raises(AlignmentError) as told:
        align_stimuli(stimuli, ["a", "b", "c"])
    assert "ending" not in str(told.value)


def test_names_of_other_case_or_nothing_in_common_are_said_to_be_so() -> None:
    images = np.stack([draw_image(k) for k in range(2)])
    stimuli = stimuli_from_arrays(images, stimulus=["Face1", "Face2"], source="x")
    with pytest.raises(
        AlignmentError, match=r"in upper and lower case, as 'face1' and 'Face1'"
    ) as told:
        align_stimuli(stimuli, ["face1", "face2"])
    assert "rename first" in str(told.value)
    assert "Select those" not in str(told.value)
    with pytest.raises(AlignmentError, match=r"No name is the same in both: check that") as told:
        align_stimuli(stimuli, ["car1", "car2"])
    assert "case" not in str(told.value)
    assert "Select those" not in str(told.value)
