r"""Networks of kept weights: those of one file, and for `brainguided correspond`.

    KEPT=studies/data/weights/b/1013476761_100.npz brainguided correspond \
        --teacher TEACHER.toml --model studies/kept.py:network --out RESULTS

A file is named PART/SEED_STEP.npz; which network the seed belongs to stands in the portions of that
part.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from brainguided import Preprocessing, build_network, nasbench201_space
from brainguided.architectures import Architecture
from brainguided.networks.build import BlueprintNetwork
from brainguided.spaces import SearchSpace, small_space

HERE = Path(__file__).parent
SIZE = 32  # pixels


def network() -> tuple[BlueprintNetwork, Preprocessing]:
    """Return the network of the file that the environment names as KEPT."""
    if "KEPT" not in os.environ:
        raise ValueError("Name the file of weights: KEPT=studies/data/weights/PART/SEED_STEP.npz.")
    path = Path(os.environ["KEPT"])
    name = find_network(path, HERE / "portions")
    return load_kept(parse(name), path), Preprocessing(size=SIZE)


def find_network(path: Path, portions: Path) -> str:
    """Return the network whose weights a file holds, as the portions of its part name it.

    Parts have portions of their own, for they have networks of the same seeds.
    """
    part, seed = path.resolve().parent.name, int(path.stem.partition("_")[0])
    for portion in sorted(portions.glob(f"{part}_seed*.nc")):
        with xr.open_dataset(portion) as one:
            at = np.flatnonzero(one["seed"].values == seed)
            if len(at):
                return str(one["network"].values[at[0]])
    raise ValueError(
        f"No portion of part {part!r} in {portions} holds the seed {seed} of {path.name}; export "
        "the run first, and keep the file in the folder of its part."
    )


def parse(name: str) -> Architecture:
    """Read a network as portions name it: six digits, or JSON."""
    space: SearchSpace = nasbench201_space(n_cells=1, filters=8)
    return (small_space(10) if name.startswith("{") else space).parse(name)


def load_kept(architecture: Architecture, path: Path) -> BlueprintNetwork:
    """Return a network with weights that were kept.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It holds the weights of another architecture.
    """
    with np.load(path, allow_pickle=False) as file:
        kept = {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}
    made = build_network(architecture, n_classes=len(kept["classifier.bias"]), seed=0)
    own = made.state_dict()
    odd = [k for k in own if k not in kept or kept[k].shape != own[k].shape]
    if odd or set(kept) != set(own):
        raise ValueError(f"{path} holds the weights of another network: {odd[:3]} do not fit.")
    made.load_state_dict({key: value.to(own[key].dtype) for key, value in kept.items()})
    return made.eval()
