"""Where the time of a training step goes: ours beside a bare torch loop, in one run.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --network nasbench201 --steps 20 --device cuda

The bare loop has its batches ready as tensors on the device: forward pass, cross-entropy, backward
pass, SGD with the same settings. Ours draws, shifts and flips images, looks at the loss of every
step and moves the learning rate. Both alternate, on one thread; times are those of the processor
(of the wall on a GPU), the median of the repetitions. 100 % would be no cost at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from brainguided.architectures import Architecture
from brainguided.candidates import Training, train_network
from brainguided.networks.build import build_network
from brainguided.spaces import nasbench201_space, pnas_space, small_space

NETWORKS: dict[str, Callable[[], Architecture]] = {
    "ten layers": lambda: next(
        a for a in map(small_space(10).sample, range(1000)) if len(a.layers) == 10
    ),
    "nasbench201": lambda: nasbench201_space(n_cells=1).sample(0),
    "pnas": lambda: pnas_space(n_cells=1, filters=8).sample(0),
}


def run_bare(network: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Train on batches that are ready."""
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    for images, labels in batches:
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    if batches[0][0].is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    size, n = options.image_size, options.batch_size * options.steps
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, n)
    ready = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
    batches = [
        (a.to(options.device), b.to(options.device))
        for a, b in zip(
            ready.split(options.batch_size),
            torch.from_numpy(labels).split(options.batch_size),
            strict=True,
        )
    ]
    print("network        ms a step: bare   ours   ours without augmentation   bare / ours")
    for name in options.network:
        architecture = NETWORKS[name]()
        took: dict[str, list[float]] = {"bare": [], "ours": [], "plain": []}
        for repeat in range(options.repeats + 1):
            for how in took:
                network = build_network(architecture, n_classes=10, seed=0).to(options.device)
                training = Training(
                    steps=options.steps,
                    batch_size=options.batch_size,
                    augment=how == "ours",
                    device=options.device,
                )
                start = clock()
                if how == "bare":
                    run_bare(network, batches)
                else:
                    train_network(network, images, labels, training=training, seed=0)
                if repeat:  # the first warms up
                    took[how].append((clock() - start) / options.steps * 1e3)
        bare, ours, plain = (float(np.median(times)) for times in took.values())
        print(
            f"{name:<14} {bare:>14.1f} {ours:>6.1f} {plain:>16.1f} {bare / ours:>19.1%}", flush=True
        )


if __name__ == "__main__":
    main()
