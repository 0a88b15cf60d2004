"""Networks written down as Python files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from brainguided.networks.build import build_network
from brainguided.networks.export import export_network
from brainguided.networks.preprocessing import images_to_tensor
from brainguided.spaces import (
    enas_macro_space,
    enas_micro_space,
    kuhn2025_space,
    nasbench201_space,
    nasnet_space,
    pnas_space,
    recurrent_space,
    residual_space,
    small_space,
    zoph2017_space,
)

SPACES = {
    "small": small_space(10),
    "zoph2017": zoph2017_space(6, skips=True, strides=(1, 2, 3)),
    "pnas": pnas_space(filters=4, n_cells=1),
    "nasnet": nasnet_space(filters=4, n_cells=1, stem="imagenet", stem_cells=2),
    "pnas published": pnas_space(filters=4, n_cells=1, stack="published"),
    "nasnet published": nasnet_space(filters=4, n_cells=1, stack="published"),
    "enas micro": enas_micro_space(filters=4, n_cells=1),
    "enas macro": enas_macro_space(filters=4),
    "nasbench201": nasbench201_space(n_cells=1, filters=4),
    "residual": residual_space(widths=(4, 8)),
    "kuhn2025": kuhn2025_space(4, filters=(4, 8)),
    "recurrent": recurrent_space(widths=(4, 8)),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 21, 21, 3), dtype=np.uint8)
READER = """
import sys
sys.modules["brainguided"] = None  # importing it raises
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
torch.set_num_threads(1)
images = np.load(sys.argv[1] + "/images.npy")
names = sys.argv[2:]
for name in names:
    module = __import__(name)
    network = module.load()
    with torch.no_grad():
        np.save(f"{sys.argv[1]}/{name}_logits.npy", network(module.to_input(images)).numpy())
    assert set(module.LAYERS) <= {n for n, _ in network.named_modules()}
    assert module.CLASSES[0] == 'a "quoted"\\nname'
"""


def export(space, seed, folder, name="winner"):
    network = build_network(space.sample(seed), n_classes=3, seed=seed)
    with torch.no_grad():  # norms that have seen data
        for _ in range(3):
            network(torch.randn(8, 3, 21, 21, generator=torch.Generator().manual_seed(seed)))
    classes = ('a "quoted"\nname', "b", "c")
    export_network(
        space.sample(seed).to_blueprint(3),
        network.state_dict(),
        folder / f"{name}.py",
        classes=classes,
        image_size=21,
        about='Found """ by {nothing} \\',
    )
    return network.eval()


def test_files_of_every_space_predict_the_same_in_a_process_without_brainguided(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    networks = {}
    for number, space in enumerate(SPACES.values()):
        for seed in range(2):
            name = f"net_{number}_{seed}"
            networks[name] = export(space, seed, tmp_path, name)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", READER, str(tmp_path), *networks], check=True
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, network in networks.items():
        with torch.no_grad():
            expected = network(images_to_tensor(IMAGES)).numpy()
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}_logits.npy"), expected)
    torch.set_num_threads(threads)


def test_the_file_reads_like_one_written_by_hand(tmp_path):
    export(SPACES["pnas"], 0, tmp_path)
    text = (tmp_path / "winner.py").read_text()
    compile(text, "winner.py", "exec")
    assert text.isascii()
    assert "self.cell1_block1_1 =" in text
    assert "brainguided" not in text


def test_weights_of_another_network_are_refused(tmp_path):
    blueprint = SPACES["small"].sample(0).to_blueprint(3)
    weights = build_network(SPACES["small"].sample(0), n_classes=3, seed=0).state_dict()
    weights["classifier.bias"] = torch.zeros(4)
    weights["other"] = torch.zeros(1)
    del weights["classifier.weight"]
    with pytest.raises(ValueError) as caught:
        export_network(blueprint, weights, tmp_path / "a.py", classes="abc", image_size=21)
    for part in ("1 missing: classifier.weight", "1 unexpected: other", "another shape"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="cannot be imported"):
        export_network(blueprint, {}, tmp_path / "my-net.py", classes="abc", image_size=21)
    assert not list(tmp_path.iterdir())
