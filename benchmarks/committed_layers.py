"""Whether committed layers are the layers of origin, on the simulated macaque.

    OMP_NUM_THREADS=1 python benchmarks/committed_layers.py [--seeds 100]

The network inside the macaque is rebuilt in torch from the weights that are shipped, and mapped to
the recordings of macaques with other sites, noise and stimuli each.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

from brainguided import Inference, Preprocessing, Teacher, compute_correspondence
from neural_data import simulate_macaque, simulate_objects
from neural_data.simulation._network import load_network


class MacaqueNetwork(nn.Module):
    """The convolutions of the simulated macaque, as torch modules ``conv1``, ``conv2`` ..."""

    def __init__(self) -> None:
        super().__init__()
        stored = load_network()
        self.pool_after = {int(k) for k in stored["pool_after"]}
        self.number = sum(name.endswith("_weight") for name in stored)
        for k in range(1, self.number + 1):
            weight = torch.from_numpy(stored[f"conv{k}_weight"])
            if weight.shape[0] == 3 and weight.shape[1] == 3:  # y, x, in, out
                weight = weight.permute(3, 2, 0, 1)
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.weight.data, conv.bias.data = (
                weight.contiguous(), torch.from_numpy(stored[f"conv{k}_bias"]),
            )  # fmt: skip
            self.add_module(f"conv{k}", nn.Sequential(conv, nn.ReLU()))
        self.register_buffer("mean", torch.from_numpy(stored["pixel_mean"]).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.from_numpy(stored["pixel_std"]).reshape(1, -1, 1, 1))

    @property
    def observed_layers(self) -> tuple[str, ...]:
        """Every convolution, after its ReLU."""
        return tuple(f"conv{k}" for k in range(1, self.number + 1))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        for k in range(1, self.number + 1):
            x = self.get_submodule(f"conv{k}")(x)
            if k in self.pool_after:
                x = nn.functional.max_pool2d(x, 2)
        return x


def find_committed(network: nn.Module, seed: int) -> dict[str, tuple[str, str]]:
    """Return the committed layer and the layer of origin of each area."""
    stimuli = simulate_objects(4, size=32, seed=seed)
    recording, _ = simulate_macaque(stimuli, repetitions=10, seed=seed)
    teacher = Teacher.from_recording(recording, stimuli)
    found = compute_correspondence(
        network,
        teacher,
        preprocessing=Preprocessing(mean=(0, 0, 0), std=(255, 255, 255)),
        inference=Inference(draws=0, permutations=0, splits=20),
        seed=seed,
    )
    origins = {}
    for area in teacher.areas:
        sites = recording["area"].values == area
        origins[area] = str(recording["origin"].values[sites][0])
    return {a: (str(found["committed_layer"].sel(area=a).item()), origins[a]) for a in origins}


def main() -> None:
    """Count over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    seeds = parser.parse_args().seeds
    network, right, start = MacaqueNetwork().eval(), 0, time.perf_counter()
    for seed in range(seeds):
        found = find_committed(network, seed)
        good = all(layer == origin for layer, origin in found.values())
        right += good
        if not good:
            print(seed, found, flush=True)
    print(f"{right} of {seeds} seeds: the committed layers of all areas are those of origin")
    print(f"{(time.perf_counter() - start) / seeds:.1f} s a seed")


if __name__ == "__main__":
    main()
