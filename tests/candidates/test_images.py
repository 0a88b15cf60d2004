"""Image sets for the classification task."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from brainguided.candidates.images import (
    ImageSet,
    images_from_stimuli,
    load_images,
    load_test_images,
)
from neural_data.errors import RecordingError
from neural_data.simulation.objects import simulate_objects

LABELS = np.arange(60) % 3


def make_images(n: int = 60, size: int = 8) -> np.ndarray:
    """Images whose every pixel is the image's number, so that it can be told apart."""
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, size, size, 3))


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, x_train=make_images(), y_train=LABELS, x_test=np.zeros(1), y_test=np.zeros(1))
    return path


def test_npz_is_split_without_overlap_and_balanced_over_classes(npz) -> None:
    images = load_images(npz, n_validation=15, seed=3)
    train = images.train_images[:, 0, 0, 0]
    validation = images.validation_images[:, 0, 0, 0]
    assert sorted([*train, *validation]) == list(range(60))
    np.testing.assert_array_equal(images.train_labels, train % 3)
    np.testing.assert_array_equal(np.bincount(images.validation_labels), [5, 5, 5])


def test_the_split_depends_on_the_seed_alone(npz) -> None:
    first, same, other = (load_images(npz, n_validation=15, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.train_images, same.train_images)
    assert not np.array_equal(first.validation_images, other.validation_images)


def test_the_test_part_of_a_file_is_never_read(tmp_path) -> None:
    path = tmp_path / "images.npz"
    broken = np.array([object()], dtype=object)  # reading it would raise
    np.savez(path, x_train=make_images(), y_train=LABELS, x_test=broken, test_label=broken)
    assert len(load_images(path).train_images) == 54


def test_encoded_images_are_decoded_and_resized(tmp_path) -> None:
    files = []
    for image in make_images():
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG")
        files.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
    path = tmp_path / "jpeg.npz"
    np.savez(
        path,
        train_jpeg=np.concatenate(files),
        train_offset=np.cumsum([0] + [len(f) for f in files]),
        train_label=LABELS,
        classes=np.array(["cat", "dog", "emu"]),
    )
    images = load_images(path, n_train=30, n_validation=6, image_size=16)
    assert images.train_images.shape == (30, 16, 16, 3)
    assert images.classes == ("cat", "dog", "emu")
    np.testing.assert_array_equal(images.train_images[:, 0, 0, 0] % 3, images.train_labels)


def test_folders_by_class_with_and_without_a_validation_part(tmp_path) -> None:
    for part in ("plain", "split/train", "split/val"):
        for k, name in enumerate(("cat", "dog")):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for n in range(5):
                image = np.full((6, 6, 3), 100 * k + n, np.uint8)
                Image.fromarray(image).save(folder / f"{n}.png")
    plain = load_images(tmp_path / "plain", n_validation=4)
    assert plain.classes == ("cat", "dog")
    np.testing.assert_array_equal(plain.train_images[:, 0, 0, 0] // 100, plain.train_labels)
    split = load_images(tmp_path / "split")
    assert (len(split.train_images), len(split.validation_images)) == (10, 10)


def test_what_is_no_image_set_is_refused_with_what_was_expected(tmp_path, npz) -> None:
    with pytest.raises(FileNotFoundError, match=r"No images at .*nowhere"):
        load_images(tmp_path / "nowhere")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"holds \['a'\]; expected x_train"):
        load_images(tmp_path / "other.npz")
    (tmp_path / "torn.npz").write_bytes(npz.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        load_images(tmp_path / "torn.npz")
    with pytest.raises(ValueError, match=r"60 training images; 100 for training"):
        load_images(npz, n_train=100)
    with pytest.raises(ValueError, match="one for each class"):
        load_images(tmp_path)


def test_every_problem_of_an_image_set_is_listed() -> None:
    with pytest.raises(ValueError, match="train images are float64") as caught:
        ImageSet(np.zeros((4, 8, 8, 3)), np.zeros(4, int), make_images(6), LABELS[:5], ("a",), "x")
    for part in ("6 validation images have labels of shape", "needs two"):
        assert part in str(caught.value)


def test_stimuli_become_a_task_by_category_and_may_not_overlap() -> None:
    train = simulate_objects(2, size=32, seed=1)
    validation = simulate_objects(1, size=32, seed=2)
    images = images_from_stimuli(train, validation)
    assert len(images.classes) == 8
    assert images.source.lower().count("simulated")
    with pytest.raises(ValueError, match="in both parts"):
        images_from_stimuli(train, train)
    with pytest.raises(ValueError, match="no coordinate 'pose'"):
        images_from_stimuli(train, validation, label="pose")


def test_images_and_labels_of_an_npz_must_fit(tmp_path) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, x_train=make_images(), y_train=LABELS[:50])
    with pytest.raises(ValueError, match="60 images in x_train but 50 labels"):
        load_images(path)
    for labels in (LABELS[:0], np.int64(3), LABELS.reshape(2, -1)):
        np.savez(path, x_train=make_images(), y_train=labels)
        with pytest.raises(
            ValueError, match=r"images\.npz have shape \(.*\); expected \(n,\), n > 0"
        ):
            load_images(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ValueError, match=r"images\.npz is a pointer of Git LFS"):
        load_images(path)
    np.savez(path, x_train=make_images() / 255, y_train=LABELS)
    with pytest.raises(ValueError, match=r"x_train .* is float64"):
        load_images(path, image_size=4)
    np.savez(path, x_train=make_images()[..., :2], y_train=LABELS)
    with pytest.raises(ValueError, match=r"\(n, y, x, 1\) of grey images"):
        load_images(path)
    np.savez(path, x_train=make_images(), y_train=LABELS, x_val=make_images())
    with pytest.raises(ValueError, match="only one of x_val and y_val"):
        load_images(path)


@pytest.mark.parametrize("label", [2**32 - 1, 60, -1])
def test_a_label_that_stands_for_none_makes_no_class(tmp_path, label: int) -> None:
    labels = LABELS.astype(np.uint32 if label > 0 else np.int64)
    labels[7] = label
    np.savez(tmp_path / "images.npz", x_train=make_images(), y_train=labels)
    with pytest.raises(ValueError, match=rf"for 60 images, first {label} at image 7"):
        load_images(tmp_path / "images.npz")


def test_images_in_folders_are_named_in_errors(tmp_path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for k in range(4):
            Image.fromarray(make_images(1)[0]).save(tmp_path / name / f"{name}{k}.png")
    (tmp_path / "dogs" / "dogs1.png").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match=r"dogs1\.png cannot be read as an image"):
        load_images(tmp_path)


def test_few_validation_images_may_be_of_any_class(tmp_path) -> None:
    few = {"x_val": make_images(2), "y_val": np.array([0, int(LABELS.max())])}
    np.savez(tmp_path / "images.npz", x_train=make_images(), y_train=LABELS, **few)
    assert len(load_images(tmp_path / "images.npz").validation_labels) == 2


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("neural_data.storage.image_files.FREE", 2**10)
    images = np.zeros((2000, 8, 8, 3), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x_train=images, y_train=np.arange(2000) % 2)
    with pytest.raises(ValueError, match="would unpack to"):
        load_images(tmp_path / "a.npz")


@pytest.mark.parametrize("dims", [3, 4])
def test_grey_images_have_three_equal_channels(tmp_path, dims: int) -> None:
    grey = make_images()[..., :1]
    stored = grey if dims == 4 else grey[..., 0]
    path = tmp_path / "grey.npz"
    np.savez(path, x_train=stored, y_train=LABELS, x_test=stored, y_test=LABELS)
    images = load_images(path, n_train=30, n_validation=6)
    assert images.train_images.shape[1:] == (*grey.shape[1:3], 3)
    assert (images.train_images == images.train_images[..., :1]).all()
    shown, _ = load_test_images(path, classes=images.classes, image_size=grey.shape[1])
    np.testing.assert_array_equal(shown, np.repeat(grey, 3, axis=-1))


def write_idx(path, values: np.ndarray, *, code: int = 8, tail: bytes = b"") -> None:
    head = bytes([0, 0, code, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    data = head + values.astype(np.uint8).tobytes() + tail
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("more", ["", ".gz"])
def test_idx_files_are_read_as_published(tmp_path, more: str) -> None:
    grey = make_images()[..., 0]
    for begin in ("train", "t10k"):
        write_idx(tmp_path / f"{begin}-images-idx3-ubyte{more}", grey)
        write_idx(tmp_path / f"{begin}-labels-idx1-ubyte{more}", LABELS)
    images = load_images(tmp_path, n_train=54, n_validation=6)
    assert images.classes == ("class0", "class1", "class2")
    both = np.concatenate([images.train_images, images.validation_images])
    np.testing.assert_array_equal(np.unique(both[..., 0], axis=0), np.unique(grey, axis=0))
    assert (both == both[..., :1]).all()
    shown, labels = load_test_images(tmp_path, classes=images.classes, image_size=grey.shape[1])
    np.testing.assert_array_equal(shown[..., 2], grey)
    np.testing.assert_array_equal(labels, LABELS)


def test_idx_files_that_are_none_are_refused(tmp_path) -> None:
    grey, images = make_images()[..., 0], tmp_path / "train-images-idx3-ubyte"
    write_idx(images, grey)
    with pytest.raises(ValueError, match="has 60 images, and none labels are beside it"):
        load_images(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:50])
    with pytest.raises(ValueError, match="has 60 images, and 50 labels are beside it"):
        load_images(tmp_path)
    write_idx(images, grey, code=13)
    with pytest.raises(ValueError, match=r"begins with 00000d03; expected 00000803, an idx file"):
        load_images(tmp_path)
    write_idx(images, grey, tail=b"more")
    with pytest.raises(ValueError, match=r"says that it holds \[60, .*\], \d+ bytes, and has more"):
        load_images(tmp_path)
    images.write_bytes(images.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"bytes, and has 84\."):
        load_images(tmp_path)
    images.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)  # says that it holds 10^28 bytes
    with pytest.raises(ValueError, match=r"bytes, and has 0\."):
        load_images(tmp_path)
    images.rename(tmp_path / f"{images.name}.gz")
    with pytest.raises(ValueError, match=r"ubyte\.gz cannot be read"):
        load_images(tmp_path)


@pytest.mark.parametrize("n_labels", [1, 2])
def test_cifar_binaries_are_read_as_published(tmp_path, n_labels: int) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 4
    rows = np.concatenate([pixels[:, 0, 0, :1]] * (n_labels - 1) + [labels[:, None]], axis=1)
    rows = np.concatenate([rows, pixels.transpose(0, 3, 1, 2).reshape(40, -1)], axis=1)
    if n_labels == 1:
        names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
        (tmp_path / "batches.meta.txt").write_text("cat\ndog\nemu\nfox\n\n")
    else:
        names = ["train.bin", "test.bin"]
    parts = [*np.array_split(rows, len(names) - 1), rows]
    for name, part in zip(names, parts, strict=True):
        (tmp_path / name).write_bytes(part.tobytes())
    images = load_images(tmp_path, n_train=32, n_validation=8)
    assert images.classes[1] == ("dog" if n_labels == 1 else "class1")
    assert np.bincount(images.validation_labels).tolist() == [2] * 4
    order = {pixels[k].tobytes(): int(labels[k]) for k in range(40)}
    assert [order[one.tobytes()] for one in images.train_images] == images.train_labels.tolist()
    shown, known = load_test_images(tmp_path, classes=images.classes, image_size=32)
    np.testing.assert_array_equal(shown, pixels)
    np.testing.assert_array_equal(known, labels)
    (tmp_path / names[-2]).write_bytes(rows.tobytes()[:-1])
    with pytest.raises(ValueError, match=r"expected a multiple of 307[34]"):
        load_images(tmp_path)
    (tmp_path / names[-2]).unlink()
    with pytest.raises(ValueError, match=r"lacks data_batch_5\.bin of CIFAR-10|one for each class"):
        load_images(tmp_path)
