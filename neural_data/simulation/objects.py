"""Procedural pictures of objects: 8 categories, known pose, backgrounds that tell nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
import xarray as xr

from neural_data.errors import raise_problems
from neural_data.model.stimuli import validate_stimuli
from neural_data.simulation._object_rays import FAR, Parts, trace_parts
from neural_data.simulation._object_shapes import (
    CATEGORIES,
    OBJECTS_PER_CATEGORY,
    build_object,
    compute_rotation,
)

__all__ = ["CATEGORIES", "compute_object_cover", "simulate_objects"]

_STREAM = 6021  # keeps these random streams apart from others started with the same seed
_BLOCK = 32  # images in memory at once: speed only, never the pictures
_POSITION = 0.045  # image widths a level
_ENLARGEMENT = 1.6  # largest factor on size, at level 6
_YAW, _PITCH, _ROLL = 14.0, 7.0, 7.0  # degrees a level, either way
_HALF_LENGTH = 0.62  # half the object's longest side in half image widths, at scale 1
_FINE = 2  # rays along each side of a pixel
_BLOBS = 5  # soft ellipses in the background
_LATENTS = 20 + 6 * _BLOBS  # uniform numbers an image
_VIEW = {  # yaw and pitch of the canonical view, degrees
    "animals": (-25.0, 8.0),
    "boats": (-25.0, 12.0),
    "cars": (-35.0, 18.0),
    "chairs": (-35.0, 18.0),
    "faces": (0.0, 0.0),
    "fruits": (-20.0, 10.0),
    "planes": (-40.0, 30.0),
    "tables": (-30.0, 22.0),
}
_METADATA = {
    "category": {},
    "object_name": {},
    "variation": {},
    "shift_x": {"units": "image widths", "long_name": "shift to the right of the centre"},
    "shift_y": {"units": "image widths", "long_name": "shift above the centre"},
    "scale": {"units": "1", "long_name": "size over the canonical size"},
    "yaw": {"units": "degrees", "long_name": "turn about the vertical from the canonical view"},
    "pitch": {"units": "degrees", "long_name": "turn of the top towards the viewer"},
    "roll": {"units": "degrees", "long_name": "anticlockwise turn in the image"},
}

_SEEN = ("shift_x", "shift_y", "scale", "yaw", "pitch", "roll")


def simulate_objects(
    n_per_object: int = 10,
    *,
    size: int = 32,
    variation: Sequence[int] = (0, 3, 6),
    seed: int = 0,
) -> xr.Dataset:
    """Draw simulated pictures of 64 objects in 8 categories on uncorrelated backgrounds.

    Made in the spirit of the HvM images [1]_: animals, boats, cars, chairs, faces, fruits, planes
    and tables, 8 objects each, at three levels of variation in position, size and pose. Every
    object is a fixed composition of ellipsoids and boxes, seen in orthographic projection with
    one distant light; light, tint, reflectance and the textured background are drawn anew for
    every image and independently of the object.

    An image depends on `seed`, `size`, object, level and its index only: a larger set with the
    same seed holds the smaller one. Take another seed for images to test on.

    Parameters
    ----------
    n_per_object : int
        Images of each object, dealt out evenly over the levels of `variation`; 64 times as many
        images in all.
    size : int
        Height and width in pixels, 32 to 96.
    variation : sequence of int
        Levels between 0 (the canonical view in the middle) and 6. A level v shifts by up to
        0.045 v image widths, enlarges or shrinks by up to a factor of 1.6**(v/6), and turns by up
        to 14 v (yaw), 7 v (pitch) and 7 v (roll) degrees.
    seed : int
        Seed of views, lights and backgrounds, 0 or more. What an object looks like is fixed.

    Returns
    -------
    xarray.Dataset
        A stimulus set: `image` (stimulus, y, x, channel) uint8, with `category`, `object_name`,
        `variation` and the view of each image (`shift_x`, `shift_y`, `scale`, `yaw`,
        `pitch`, `roll`) as coordinates over stimulus, and "simulated" in ``attrs["source"]``.

    Raises
    ------
    ValueError
        If an argument is out of its range; all such arguments are named.

    References
    ----------
    .. [1] Majaj, Hong, Solomon and DiCarlo (2015), J. Neurosci. 35(39), 13402-13418.

    Examples
    --------
    >>> stimuli = simulate_objects(3, seed=1)
    >>> dict(stimuli["image"].sizes)
    {'stimulus': 192, 'y': 32, 'x': 32, 'channel': 3}
    >>> str(stimuli["object_name"].values[0]), str(stimuli["stimulus"].values[0])
    ('animals_0', 'objects32_seed1_animals_0_v0_0000')
    """
    levels = _check(n_per_object, size, variation, seed)
    counts = [len(range(i, n_per_object, len(levels))) for i in range(len(levels))]
    images, columns = [], []
    for category in CATEGORIES:
        groups = [
            (number, level, count)
            for number in range(OBJECTS_PER_CATEGORY)
            for level, count in zip(levels, counts, strict=True)
            if count
        ]
        view = _draw_views(category, groups, size, seed)
        columns.append(view)
        images.append(_draw_images(category, groups, view, size, seed))
    table = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    coords = {name: ("stimulus", table[name], attrs) for name, attrs in _METADATA.items()}
    dataset = xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"), np.concatenate(images))},
        coords={"stimulus": table["stimulus"], **coords},
        attrs={
            "source": f"simulated objects (brainguided neural_data.simulate_objects, seed={seed}, "
            f"size={size}, variation={tuple(levels)})"
        },
    )
    return validate_stimuli(dataset, name="simulated objects")


def compute_object_cover(stimuli: xr.Dataset) -> xr.DataArray:
    """Compute how much of each pixel the object covers, in pictures of `simulate_objects`.

    Parameters
    ----------
    stimuli : xarray.Dataset
        Such pictures, or some of them: the object and its view are read from the coordinates.

    Returns
    -------
    xarray.DataArray
        `cover` (stimulus, y, x) float32: 0 where there is background alone, 1 where all four rays
        through a pixel meet the object.

    Raises
    ------
    ValueError
        The set has no object or no view, or an object that is none of the 64.

    Examples
    --------
    >>> stimuli = simulate_objects(1, seed=1)
    >>> dict(compute_object_cover(stimuli).sizes)
    {'stimulus': 64, 'y': 32, 'x': 32}
    """
    if missing := [name for name in ("image", *_METADATA) if name not in stimuli.variables]:
        raise ValueError(
            f"The stimuli have no {', '.join(missing)}; expected pictures of simulate_objects."
        )
    names, size = stimuli["object_name"].values.astype(str), stimuli.sizes["y"]
    known = {f"{c}_{k}": (c, k) for c in CATEGORIES for k in range(OBJECTS_PER_CATEGORY)}
    if unknown := sorted(set(names.tolist()) - known.keys()):
        raise ValueError(
            f"Objects {unknown[:3]} are none of simulate_objects, e.g. 'animals_0'; give pictures "
            "of it."
        )
    cover = np.zeros((len(names), size, size), dtype=np.float32)
    categories = np.array([known[name][0] for name in names.tolist()])
    for category in CATEGORIES:
        objects = [build_object(category, k) for k in range(OBJECTS_PER_CATEGORY)]
        rows = np.flatnonzero(categories == category)
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            view = {name: stimuli[name].values[some] for name in _METADATA if name in _SEEN}
            view["number"] = np.array([known[name][1] for name in names[some].tolist()])
            view["u"] = np.zeros((len(some), _LATENTS), dtype=np.float32)  # light covers nothing
            cover[some] = _draw_object(category, objects, view, size)[1]
    return xr.DataArray(
        cover,
        dims=("stimulus", "y", "x"),
        coords={"stimulus": stimuli["stimulus"]},
        name="cover",
        attrs={"long_name": "share of a pixel that the object covers", "units": "1"},
    )


def _check(n_per_object: int, size: int, variation: Sequence[int], seed: int) -> list[int]:
    """Return the levels as a list or raise one error naming every argument out of range."""
    problems = []
    levels = list(variation) if isinstance(variation, Sequence) else [variation]
    if isinstance(n_per_object, bool) or int(n_per_object) != n_per_object or n_per_object < 1:
        problems.append(f"n_per_object is {n_per_object!r}, expected a whole number of 1 or more")
    if isinstance(size, bool) or int(size) != size or not 32 <= size <= 96:
        problems.append(f"size is {size!r}, expected a whole number of pixels from 32 to 96")
    if not levels or any(v not in range(7) for v in levels) or len(set(levels)) < len(levels):
        problems.append(f"variation is {variation!r}, expected different whole numbers from 0 to 6")
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        problems.append(f"seed is {seed!r}, expected a whole number of 0 or more")
    raise_problems("simulate_objects cannot draw this", problems, ValueError)
    return [int(v) for v in levels]


def _stream(purpose: int, category: str, number: int, level: int, seed: int) -> np.random.Generator:
    """Return the generator of one purpose, object and level: images are drawn from it in order."""
    key = [_STREAM, purpose, int(seed), CATEGORIES.index(category), number, level]
    return np.random.default_rng(key)


_Groups = Sequence[tuple[int, int, int]]  # (object number, level, images)


def _draw_views(category: str, groups: _Groups, size: int, seed: int) -> dict[str, np.ndarray]:
    """Return names, view and further latent numbers ('u', uniform in 0..1) of the images."""
    u = np.concatenate(
        [_stream(0, category, g[0], g[1], seed).random((g[2], _LATENTS)) for g in groups]
    )
    number = np.repeat([g[0] for g in groups], [g[2] for g in groups])
    level = np.repeat([g[1] for g in groups], [g[2] for g in groups])
    index = np.concatenate([np.arange(g[2]) for g in groups])
    names = np.array([f"{category}_{k}" for k in number])
    # adding 0 below turns the -0 of level 0 into 0
    signed = 2 * u[:, :6] - 1
    labels = zip(names, level, index, strict=True)
    return {
        "stimulus": np.array([f"objects{size}_seed{seed}_{n}_v{v}_{i:04d}" for n, v, i in labels]),
        "category": np.full(len(u), category),
        "object_name": names,
        "variation": level,
        "shift_x": signed[:, 0] * _POSITION * level + 0.0,
        "shift_y": signed[:, 1] * _POSITION * level + 0.0,
        "scale": _ENLARGEMENT ** (signed[:, 2] * level / 6),
        "yaw": signed[:, 3] * _YAW * level + 0.0,
        "pitch": signed[:, 4] * _PITCH * level + 0.0,
        "roll": signed[:, 5] * _ROLL * level + 0.0,
        "number": number,
        "u": u.astype(np.float32),
    }


def _draw_images(
    category: str, groups: _Groups, view: dict[str, np.ndarray], size: int, seed: int
) -> np.ndarray:
    """Return images (n, size, size, 3) uint8, computed in blocks."""
    objects = [build_object(category, k) for k in range(OBJECTS_PER_CATEGORY)]
    images = np.empty((len(view["u"]), size, size, 3), dtype=np.uint8)
    noise = _draw_noise(category, groups, size, seed)
    for start in range(0, len(images), _BLOCK):
        block = {name: values[start : start + _BLOCK] for name, values in view.items()}
        n = len(block["u"])
        white = np.stack([next(noise) for _ in range(n)])
        ground = _draw_background(block["u"], white)
        light, cover = _draw_object(category, objects, block, size)
        images[start : start + n] = _compose(block["u"], ground, light, cover)
    return images


def _draw_noise(category: str, groups: _Groups, size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield white noise (size, size) for one image after the other."""
    for number, level, count in groups:
        rng = _stream(size, category, number, level, seed)
        for _ in range(count):
            yield rng.standard_normal((size, size), dtype=np.float32)


def _draw_background(u: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Return luminances (n, y, x): noise with a 1/f spectrum, oriented at random, and blobs."""
    n, size, _ = white.shape
    fy = np.fft.fftfreq(size).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size).astype(np.float32)[None, :]
    turn, squeeze = np.pi * u[:, 13], 1 + 2 * u[:, 14]
    along = np.cos(turn)[:, None, None] * fx + np.sin(turn)[:, None, None] * fy
    across = np.cos(turn)[:, None, None] * fy - np.sin(turn)[:, None, None] * fx
    power = (squeeze[:, None, None] * along) ** 2 + across**2
    power[:, 0, 0] = np.inf
    power **= -(0.4 + 0.4 * u[:, 12])[:, None, None]
    texture = scipy.fft.irfft2(scipy.fft.rfft2(white) * power, s=(size, size))
    texture /= texture.std(axis=(1, 2), keepdims=True)
    ground = (0.08 + 0.12 * u[:, 11])[:, None, None] * texture
    v, w = _pixel_grid(size, 1)
    for b in range(_BLOBS):
        p = u[:, 20 + 6 * b : 26 + 6 * b, None]
        dx, dy = v - (2.4 * p[:, 0] - 1.2), w - (2.4 * p[:, 1] - 1.2)
        c, s = np.cos(np.pi * p[:, 2]), np.sin(np.pi * p[:, 2])
        wide, tall = 0.15 + 0.5 * p[:, 3], 0.08 + 0.25 * p[:, 4]
        inside = ((c * dx + s * dy) / wide) ** 2 + ((c * dy - s * dx) / tall) ** 2
        edge = np.clip(4 * (1 - inside), 0, 1)
        ground += (0.5 * (p[:, 5] - 0.5) * edge).reshape(n, size, size)
    background: np.ndarray = ground + (0.25 + 0.4 * u[:, 10])[:, None, None]
    return background


def _pixel_grid(size: int, fine: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the rays, half image widths, flat: the rays of one pixel lie apart.

    The order is (fine, fine, size, size), so that a mean over the first two gives pixels.
    """
    at = (2 * (np.arange(size * fine) + 0.5) / (size * fine) - 1).astype(np.float32)
    at = at.reshape(size, fine).T
    y = -np.broadcast_to(at[:, None, :, None], (fine, fine, size, size))
    x = np.broadcast_to(at[None, :, None, :], (fine, fine, size, size))
    return x.reshape(-1), y.reshape(-1)


def _draw_object(
    category: str,
    objects: list[dict[str, dict[str, np.ndarray]]],
    block: dict[str, np.ndarray],
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the object's luminance times cover, and cover in 0..1, both (n, y, x)."""
    u, n = block["u"], len(block["u"])
    yaw, pitch = _VIEW[category]
    pose = compute_rotation(block["yaw"] + yaw, block["pitch"] + pitch, block["roll"])
    scale = (_HALF_LENGTH * block["scale"]).astype(np.float32)
    shift = np.stack([2 * block["shift_x"], 2 * block["shift_y"], np.zeros(n)], axis=1)
    parts: dict[str, Parts] = {}
    for kind in "eb":
        stacked = {
            name: np.stack([objects[k][kind][name] for k in block["number"]]).astype(np.float32)
            for name in objects[0][kind]
        }
        centre = scale[:, None, None] * np.einsum("nij,npj->npi", pose, stacked["centre"])
        parts[kind] = {
            "centre": (centre + shift[:, None, :]).astype(np.float32),
            "axes": np.einsum("nij,npjk->npik", pose, stacked["turn"]),
            "radii": scale[:, None, None] * stacked["radii"],
            "albedo": stacked["albedo"],
        }
    azimuth, height = 2 * np.pi * u[:, 6], np.deg2rad(20 + 50 * u[:, 7])
    lamp = np.stack(
        [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], axis=1
    )
    rays = np.stack(_pixel_grid(size, _FINE))
    depth, light = trace_parts(parts["e"], parts["b"], rays, lamp, 0.3 + 0.3 * u[:, 8])
    cover = (depth > FAR).astype(np.float32)
    shape = (n, _FINE * _FINE, size, size)
    return light.reshape(shape).mean(axis=1), cover.reshape(shape).mean(axis=1)


def _compose(u: np.ndarray, ground: np.ndarray, light: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return RGB uint8 (n, y, x, 3): the lit object before its background, both weakly tinted."""
    gain = (0.35 + 1.15 * u[:, 9])[:, None, None]
    behind = ground * (1 - cover)
    images = np.empty((*ground.shape, 3), dtype=np.uint8)
    for channel, (a, b) in enumerate(((1.0, 0.0), (-0.5, 0.866), (-0.5, -0.866))):
        tints = [
            1 + 0.15 * (a * (2 * u[:, i] - 1) + b * (2 * u[:, i + 1] - 1))[:, None, None]
            for i in (15, 17)
        ]
        value = (light * gain) * tints[0] + behind * tints[1]
        images[..., channel] = np.clip(255 * value + 0.5, 0, 255)
    return images
