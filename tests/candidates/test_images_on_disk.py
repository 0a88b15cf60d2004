"""Images that are read from a file as they are needed."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates.after_search import train_again
from brainguided.candidates.evaluation import Task, evaluate
from brainguided.candidates.images import load_images
from brainguided.candidates.images_on_disk import join_images
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.training import Training
from brainguided.engines.local import local_pool
from neural_data.storage.aside import write_whole

TINY = PlainArchitecture((ConvLayer(3, 3, 4, stride=2),))


@pytest.fixture
def folder(tmp_path):
    """Noise in which the class shows as a colour, 20 images of each of three classes."""
    generator = np.random.default_rng(0)
    for k, name in enumerate(("cat", "dog", "emu")):
        (tmp_path / "made" / name).mkdir(parents=True)
        for number in range(20):
            image = generator.integers(0, 160, (12, 12, 3), dtype=np.uint8)
            image[..., k] += 60
            Image.fromarray(image).save(tmp_path / "made" / name / f"{number}.png")
    return tmp_path / "made"


def make_task(images) -> Task:
    return Task(images, None, Training(steps=6, batch_size=8, rungs=(0, 3)))


def test_images_read_from_disk_are_those_held_in_memory(folder, tmp_path) -> None:
    held = load_images(folder, n_validation=9, image_size=8, seed=3)
    read = load_images(
        folder, n_validation=9, image_size=8, seed=3, decoded=tmp_path / "to" / "images.npy"
    )
    assert read.held_bytes == 0 < held.held_bytes
    rows = np.random.default_rng(0).integers(0, 51, 30)
    np.testing.assert_array_equal(read.train_images[rows], held.train_images[rows])
    np.testing.assert_array_equal(read.train_images[3:7], held.train_images[3:7])
    np.testing.assert_array_equal(read.train_images[48:99], held.train_images[48:99])
    np.testing.assert_array_equal(read.validation_images[:], held.validation_images)
    np.testing.assert_array_equal(read.train_labels, held.train_labels)
    both = join_images(read.train_images, read.validation_images)
    np.testing.assert_array_equal(both[:], join_images(held.train_images, held.validation_images))
    np.testing.assert_array_equal(np.load(tmp_path / "to" / "images.npy"), both[:])


def test_training_from_disk_gives_the_same_numbers_and_the_same_task(folder, tmp_path) -> None:
    held = make_task(load_images(folder))
    read = make_task(load_images(folder, decoded=tmp_path / "images.npy"))
    assert held.describe() == read.describe()  # so that either goes on with the other's journal
    expected = evaluate(TINY, held, seed=1)
    assert expected.outcome == "done"
    assert evaluate(TINY, read, seed=1).measurement == expected.measurement
    again = Retraining(0, TINY.to_json(), 1, steps=4, validation=True)
    weights, same = (train_again(again, task)[1] for task in (held, read))
    assert all(np.array_equal(weights[name], same[name]) for name in weights)


def test_workers_are_sent_the_path_and_not_the_images(folder, tmp_path) -> None:
    held = make_task(load_images(folder, image_size=64))
    read = make_task(load_images(folder, image_size=64, decoded=tmp_path / "images.npy"))
    assert len(pickle.dumps(held)) > 60 * 64 * 64 * 3 > 20_000 > len(pickle.dumps(read))
    with local_pool(1) as pool:
        found = pool.submit(evaluate, TINY, pool.share(read), seed=1).result()
    assert found.measurement == evaluate(TINY, held, seed=1).measurement


def test_images_are_decoded_once_and_again_when_their_files_change(folder, tmp_path) -> None:
    path = tmp_path / "images.npy"
    load_images(folder, decoded=path)
    written = path.stat().st_mtime_ns
    load_images(folder, decoded=path)
    assert path.stat().st_mtime_ns == written
    moved = shutil.move(folder, tmp_path / "elsewhere")  # keeps the times of files
    load_images(moved, decoded=path)
    assert path.stat().st_mtime_ns == written
    first = moved / "cat" / "0.png"
    Image.fromarray(np.full((12, 12, 3), 7, dtype=np.uint8)).save(first)
    changed = load_images(moved, decoded=path)
    assert path.stat().st_mtime_ns > written
    both = join_images(changed.train_images, changed.validation_images)
    assert sum((image == 7).all() for image in both[:]) == 1
    other = load_images(moved, seed=1, decoded=path)
    np.testing.assert_array_equal(other.train_images[:], load_images(moved, seed=1).train_images)


def test_archives_of_arrays_are_put_on_disk_as_well(tmp_path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.arange(40) % 2)
    held, read = (
        load_images(tmp_path / "images.npz", decoded=at) for at in (None, tmp_path / "on_disk.npy")
    )
    np.testing.assert_array_equal(read.train_images[:], held.train_images)


def test_a_file_that_is_damaged_or_of_another_program_is_refused(folder, tmp_path) -> None:
    path = tmp_path / "images.npy"
    load_images(folder, decoded=path)
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ValueError, match=r"was changed since it was written .*Remove it"):
        load_images(folder, decoded=path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"cannot be read .*Remove it"):
        load_images(folder, decoded=path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match="another program's"):
        load_images(folder, decoded=path)
    path.with_suffix(".json").write_text(json.dumps({"made": 1}))
    with pytest.raises(ValueError, match="lacks 'made_of'"):
        load_images(folder, decoded=path)
    with pytest.raises(ValueError, match=r"ends in \.npy"):
        load_images(folder, decoded=tmp_path / "images")


def test_a_file_that_is_gone_or_cut_says_so_where_images_are_read(folder, tmp_path) -> None:
    path = tmp_path / "images.npy"
    images = load_images(folder, decoded=path).train_images
    with pytest.raises(TypeError, match="not read at once"):
        np.asarray(images)
    written = path.stat().st_mtime
    path.write_bytes(path.read_bytes()[:1000])
    os.utime(path, (written, written))
    with pytest.raises(OSError, match="ends within image 30"):
        images[np.array([30])]
    path.unlink()
    with pytest.raises(FileNotFoundError, match="all machines share"):
        images[:1]


def test_images_of_several_sizes_are_refused_across_parts(tmp_path, monkeypatch) -> None:
    for name, size in (("cat", 8), ("dog", 16)):
        (tmp_path / "made" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (size, size)).save(tmp_path / "made" / name / f"{number}.png")
    monkeypatch.setattr("brainguided.candidates.images_on_disk._PART", 1)  # one image each
    with pytest.raises(ValueError, match=r"differ in size.*image_size"):
        load_images(tmp_path / "made", decoded=tmp_path / "images.npy")
    assert not (tmp_path / "images.npy").exists()


def test_other_images_in_the_place_of_those_of_a_search_are_not_read(folder, tmp_path) -> None:
    path = tmp_path / "images.npy"
    images = load_images(folder, decoded=path).train_images
    sent = pickle.loads(pickle.dumps(images))
    load_images(folder, seed=1, decoded=path)
    later = path.stat().st_mtime + 2
    os.utime(path, (later, later))  # as if decoding had taken a while
    for known in (images, sent):
        with pytest.raises(OSError, match="was changed since"):
            known[:1]


def test_a_file_beside_it_of_another_program_is_not_written_over(folder, tmp_path) -> None:
    other = tmp_path / "images.json"
    other.write_text('{"annotations": []}')
    with pytest.raises(ValueError, match=r"images\.json lacks 'made_of'"):
        load_images(folder, decoded=tmp_path / "images.npy")
    assert other.read_text() == '{"annotations": []}'


def test_decoding_that_was_killed_is_begun_again(folder, tmp_path, monkeypatch) -> None:
    path, kept = tmp_path / "images.npy", []

    def stop(file, content):
        if kept:
            raise KeyboardInterrupt
        return kept.append(file) or write_whole(file, content)

    monkeypatch.setattr("brainguided.candidates.images_on_disk.write_whole", stop)
    with pytest.raises(KeyboardInterrupt):
        load_images(folder, decoded=path)
    monkeypatch.undo()
    expected = load_images(folder).train_images
    np.testing.assert_array_equal(load_images(folder, decoded=path).train_images[:], expected)
    path.unlink()  # a note alone
    np.testing.assert_array_equal(load_images(folder, decoded=path).train_images[:], expected)


def test_a_file_that_lies_among_binaries_is_used_again(tmp_path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3073), dtype=np.uint8)
    images[:, 0] = np.arange(20) % 2
    for k in range(1, 6):
        images.tofile(tmp_path / f"data_batch_{k}.bin")
    path = tmp_path / "images.npy"
    load_images(tmp_path, decoded=path)
    written = path.stat().st_mtime_ns
    load_images(tmp_path, decoded=path)
    assert path.stat().st_mtime_ns == written
