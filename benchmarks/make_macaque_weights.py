"""Train the small network behind `neural_data.simulate_macaque` and write its weights.

Run from the root of the checkout, on one core, in about three and a half minutes:

    python benchmarks/make_macaque_weights.py neural_data/weights/macaque.npz

The network has five 3 x 3 convolutions of 16, 32, 64, 80 and 64 channels. It learns the category
of simulated objects at 32 px from the pictures of `simulate_objects(240, seed=20150930)`, in 3000
steps of 128 images. On 1536 images of another seed it names 86.3% of the categories (99.0, 91.0
and 68.8% at variation 0, 3 and 6; chance is 12.5%). Batch normalisation is folded into the
convolutions, so that a forward pass needs nothing but numpy. The file has 218 kB.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neural_data.simulation.objects import CATEGORIES, simulate_objects

CHANNELS = (16, 32, 64, 80, 64)
POOL_AFTER = (1, 2, 3)  # 2 x 2 maximum after these convolutions
PIXEL_MEAN, PIXEL_STD = 0.45, 0.22
TRAINING_SEED, TEST_SEED = 20150930, 20150931


def load_objects(n_per_object: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Return normalised images, categories as numbers, and levels of variation."""
    stimuli = simulate_objects(n_per_object, seed=seed)
    images = torch.tensor(stimuli["image"].values).permute(0, 3, 1, 2).float() / 255
    labels = [CATEGORIES.index(c) for c in stimuli["category"].values]
    return (images - PIXEL_MEAN) / PIXEL_STD, torch.tensor(labels), stimuli["variation"].values


def build() -> nn.Sequential:
    """Return the network to be trained."""
    layers: list[nn.Module] = []
    before = 3
    for k, width in enumerate(CHANNELS, start=1):
        layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [nn.ReLU()] + [nn.MaxPool2d(2)] * (k in POOL_AFTER)
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 8))


def measure(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return which images are classified correctly."""
    network.eval()
    with torch.no_grad():
        right = [
            (network(x).argmax(1) == y)
            for x, y in zip(images.split(256), labels.split(256), strict=True)
        ]
    network.train()
    return torch.cat(right).numpy()


def fold(network: nn.Sequential) -> dict[str, np.ndarray]:
    """Return weights (row, column, channel in, channel out) and biases, batch norm folded in."""
    convolutions = [m for m in network if isinstance(m, nn.Conv2d)]
    norms = [m for m in network if isinstance(m, nn.BatchNorm2d)]
    folded = {}
    for k, (conv, norm) in enumerate(zip(convolutions, norms, strict=True), start=1):
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (conv.weight * gain[:, None, None, None]).permute(2, 3, 1, 0)
        bias = norm.bias - norm.running_mean * gain
        folded[f"conv{k}_weight"] = weight.detach().numpy().astype(np.float16)
        folded[f"conv{k}_bias"] = bias.detach().numpy().astype(np.float32)
    return folded


def main() -> None:
    """Train, report the accuracy on other images, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels, _ = load_objects(240, TRAINING_SEED)
    test_images, test_labels, levels = load_objects(24, TEST_SEED)
    network = build()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps)
    order = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    for step in range(1, arguments.steps + 1):
        index = torch.randint(len(images), (128,), generator=order)
        batch = images[index].flip(-1) if step % 2 else images[index]
        loss = nn.functional.cross_entropy(network(batch), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step in (200, 1000, arguments.steps):
            right = measure(network, test_images, test_labels)
            by_level = {int(v): round(float(right[levels == v].mean()), 3) for v in (0, 3, 6)}
            seconds = time.perf_counter() - start
            print(f"step {step}: {right.mean():.3f} right, by level {by_level}, {seconds:.0f} s")
    np.savez_compressed(
        arguments.out,
        **fold(network.eval()),
        pool_after=np.array(POOL_AFTER),
        pixel_mean=np.float32(PIXEL_MEAN),
        pixel_std=np.float32(PIXEL_STD),
        test_accuracy=np.float32(right.mean()),
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
