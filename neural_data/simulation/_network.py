"""The network inside the simulated macaque: shipped weights and a forward pass in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import numpy as np

__all__ = ["load_network", "run_network"]

_INPUT_SIZE = 32  # pixels
_BLOCK = 64  # images in memory at once: speed only


def load_network() -> dict[str, np.ndarray]:
    """Return the shipped weights, made by benchmarks/make_macaque_weights.py."""
    with (
        resources.files("neural_data.simulation")
        .joinpath("weights", "macaque.npz")
        .open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        return {name: np.asarray(stored[name], dtype=np.float32) for name in stored.files}


def run_network(
    network: dict[str, np.ndarray], images: np.ndarray, convolutions: Sequence[int]
) -> dict[int, np.ndarray]:
    """Return the rectified maps (image, y, x, channel) after each of the named convolutions.

    Parameters
    ----------
    network : dict of numpy.ndarray
        What `load_network` returns.
    images : numpy.ndarray (image, y, x, 3) uint8
        Square, 32 px or larger; larger ones are averaged over areas of pixels down to 32 px.
    convolutions : sequence of int
        Counted from 1.

    Raises
    ------
    ValueError
        If the images are smaller than 32 px or not square.
    """
    blocks: dict[int, list[np.ndarray]] = {k: [] for k in convolutions}
    for start in range(0, len(images), _BLOCK):
        maps = _shrink(images[start : start + _BLOCK]) / np.float32(255)
        maps = (maps - network["pixel_mean"]) / network["pixel_std"]
        for k in range(1, max(convolutions) + 1):
            maps = _convolve(maps, network[f"conv{k}_weight"], network[f"conv{k}_bias"])
            if k in blocks:
                blocks[k].append(maps)
            if k in network["pool_after"]:
                n, height, width, channels = maps.shape
                maps = maps.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return {k: np.concatenate(parts) for k, parts in blocks.items()}


def _shrink(images: np.ndarray) -> np.ndarray:
    """Return images (n, 32, 32, 3) float32: each pixel the mean over the area that it covers."""
    _, height, width, _ = images.shape
    if height != width or height < _INPUT_SIZE:
        raise ValueError(
            f"images are {height} x {width} px; the simulated macaque looks at square images of "
            f"{_INPUT_SIZE} px or more. Crop or enlarge them, e.g. read_stimuli(..., size=64)."
        )
    images = images.astype(np.float32)
    if height == _INPUT_SIZE:
        return images
    step = height / _INPUT_SIZE
    low = step * np.arange(_INPUT_SIZE)[:, None]
    pixel = np.arange(height)[None, :]
    overlap = np.clip(np.minimum(low + step, pixel + 1) - np.maximum(low, pixel), 0, None)
    means = (overlap / step).astype(np.float32)
    smaller: np.ndarray = np.einsum("iy,nyxc,jx->nijc", means, images, means, optimize=True)
    return smaller


def _convolve(maps: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the rectified convolution of (n, y, x, channel) with zero padding, same size."""
    rows, columns, before, after = weight.shape
    edges = ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(maps, edges), (rows, columns), axis=(1, 2)
    )
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, rows * columns * before)
    out: np.ndarray = patches @ weight.reshape(-1, after) + bias
    rectified: np.ndarray = np.maximum(out, 0)
    return rectified.reshape(*maps.shape[:3], after)
