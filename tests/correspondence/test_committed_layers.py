"""Known truth: areas of the simulated macaque are committed to their layers of origin."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from neural_data import simulate_objects
from neural_data.simulation._network import load_network, run_network

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "committed_layers.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("committed_layers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_network_in_torch_is_the_one_inside_the_macaque(script) -> None:
    images = simulate_objects(1, size=32, seed=3)["image"].values[:4]
    expected = run_network(load_network(), images, [3, 5])
    network, found = script.MacaqueNetwork().eval(), {}
    for k in (3, 5):
        network.get_submodule(f"conv{k}").register_forward_hook(
            lambda _m, _i, output, k=k: found.__setitem__(k, output)
        )
    how = Preprocessing(mean=(0, 0, 0), std=(255, 255, 255))
    with torch.no_grad():
        network(images_to_tensor(images, how))
    for k in (3, 5):
        maps = found[k].permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(maps, expected[k], atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_committed_layers_are_the_layers_of_origin(script, seed) -> None:
    found = script.find_committed(script.MacaqueNetwork().eval(), seed)
    assert found == {"V4": ("conv3", "conv3"), "IT": ("conv5", "conv5")}
