"""Train the teacher of part e, a small residual network, and write the RDMs of its three stages.

    python studies/stages.py studies/data          # needs tiny100_jpeg.npz there

writes ``stages.nc``, one RDM of 100 categories a stage (responses averaged over ten held-out images
of each, as in the paper), and ``stages_images.nc``, those images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from brainguided import (
    ResidualArchitecture,
    Training,
    build_network,
    compute_layer_rdms,
    dissimilarities_from_rdms,
    load_images,
    train_network,
)
from brainguided.architectures.residual import Stage
from brainguided.candidates.accuracy import compute_performance
from neural_data import save_dissimilarities, save_stimuli

STAGES = {"stage1_block1": "Stage1", "stage2_block1": "Stage2", "stage3_block1": "Stage3"}
WIDTHS = (16, 32, 64)
IMAGES = 10  # of each category
SEED = 2019


def main() -> None:
    """Train, say how good the network is, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with tiny100_jpeg.npz")
    parser.add_argument("--steps", type=int, default=5000, help="(%(default)s)")
    arguments = parser.parse_args()
    images = load_images(arguments.data / "tiny100_jpeg.npz", n_train=45_000, n_validation=5_000)
    architecture = ResidualArchitecture(tuple(Stage(1, width) for width in WIDTHS))
    network = build_network(architecture, n_classes=len(images.classes), seed=SEED)
    train_network(
        network,
        images.train_images,
        images.train_labels,
        training=Training(steps=arguments.steps),
        seed=SEED,
    )
    network.eval()
    accuracy, _ = compute_performance(network, images.validation_images, images.validation_labels)
    stimuli = choose_stimuli(images.validation_images, images.validation_labels, images.classes)
    rdms = compute_layer_rdms(network, stimuli, layers=list(STAGES), by="category")
    made = dissimilarities_from_rdms(rdms)
    made = made.assign_coords(area=[STAGES[name] for name in made["area"].values.tolist()])
    made.attrs["source"] = (
        f"residual network of {len(WIDTHS)} blocks, {arguments.steps} steps on 100 classes, "
        f"validation accuracy {accuracy:.3f}"
    )
    save_dissimilarities(made, arguments.data / "stages.nc")
    save_stimuli(stimuli, arguments.data / "stages_images.nc")
    print(made.attrs["source"])


def choose_stimuli(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> xr.Dataset:
    """Return the first held-out images of each class as a stimulus set."""
    chosen = np.concatenate([np.flatnonzero(labels == k)[:IMAGES] for k in range(len(classes))])
    names = [f"{classes[labels[k]]}_{k}" for k in chosen]
    return xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"), images[chosen])},
        {"stimulus": names, "category": ("stimulus", [classes[labels[k]] for k in chosen])},
        {"source": "Tiny ImageNet, 100 classes, held-out images"},
    )


if __name__ == "__main__":
    main()
