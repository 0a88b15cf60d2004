"""Training on images that are read from disk beside images held in memory: speed and memory.

    python benchmarks/images_on_disk.py FOLDER [--images 50000] [--size 64]

Makes a folder of JPEGs (blurred noise, a folder for each of ten classes) in FOLDER, unless it is
there. A search of two candidates with one worker says what the processes hold at most. Then the
same network is trained on images held, read, and read with the cache of the system emptied of
their file before each training, in turn; the first turn warms up. The network is the smallest of a
search, so that images cost as large a share as they can.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from brainguided import Task, Training, evaluate, load_images, local_pool
from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates import train_network
from brainguided.candidates.images import ImageSet
from brainguided.networks.build import build_network

SMALL = PlainArchitecture((ConvLayer(3, 3, 16, stride=2), ConvLayer(3, 3, 16, stride=2)))


def make_folder(folder: Path, *, n: int, size: int) -> None:
    """Write JPEGs of noise that has the spectrum of blurred pictures."""
    generator = np.random.default_rng(0)
    for number in range(n):
        file = folder / f"class{number % 10}" / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(file, quality=90)


def find_peak() -> float:
    """Return the most that this process held so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def train(images: ImageSet, steps: int) -> tuple[float, float]:
    """Return the seconds, of the wall and of the processor, that a step took."""
    network = build_network(SMALL, n_classes=len(images.classes), seed=0)
    start, busy = time.perf_counter(), time.process_time()
    train_network(
        network,
        images.train_images,
        images.train_labels,
        training=Training(steps=steps, batch_size=128),
        seed=0,
    )
    return (time.perf_counter() - start) / steps, (time.process_time() - busy) / steps


def main() -> None:
    """Print memory, then speed."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made, decoded = options.folder / "made", options.folder / "images.npy"
    if not made.exists():
        make_folder(made, n=options.images, size=options.size)
    start, busy = time.perf_counter(), time.process_time()
    read = load_images(made, decoded=decoded)
    print(
        f"{len(read.train_images)} + {len(read.validation_images)} images of {read.image_size} px, "
        f"{decoded.stat().st_size / 2**30:.2f} GiB: {time.perf_counter() - start:.0f} s to decode "
        f"or check ({time.process_time() - busy:.0f} s of the processor)"
    )
    task = Task(read, None, Training(steps=options.steps, rungs=(0,)))
    with local_pool(1) as pool:
        shared = pool.share(task)
        found = [pool.submit(evaluate, SMALL, shared, seed=seed).result() for seed in range(2)]
        worker = pool.submit(find_peak).result()
    assert all(one.outcome == "done" for one in found), found[0].reason
    print(f"at most held: driver {find_peak():.2f} GiB, worker {worker:.2f} GiB", flush=True)
    held = replace(
        read, train_images=read.train_images[:], validation_images=read.validation_images[:]
    )
    print(f"with images held: driver {find_peak():.2f} GiB", flush=True)
    ways = {"held": held, "read": read, "read, cache empty": read}
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for repeat in range(options.repeats + 1):
        for way, images in ways.items():
            if way == "read, cache empty":
                with decoded.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            times = train(images, options.steps)
            if repeat:
                took[way].append(times)
    print("images              ms a step: wall   processor   speed of held: wall   processor")
    base = np.array(took["held"])
    for way in ways:
        times = np.array(took[way])
        wall, processor = np.median(base / times, axis=0)
        shown = np.median(times, axis=0) * 1e3
        print(f"{way:<18} {shown[0]:>16.1f} {shown[1]:>11.1f} {wall:>21.1%} {processor:>11.1%}")


if __name__ == "__main__":
    main()
