"""Orthographic pictures of ellipsoids and boxes: nearest surface and its shading, closed form."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

__all__ = ["FAR", "Parts", "trace_parts"]

FAR = np.float32(-9.0)  # depth where a ray meets nothing; nearer surfaces have larger z


class Parts(TypedDict):
    """Ellipsoids or boxes of n images in camera coordinates: x right, y up, z to the viewer."""

    centre: np.ndarray  # (n, part, 3)
    axes: np.ndarray  # (n, part, 3, 3), columns are the part's own axes
    radii: np.ndarray  # (n, part, 3), half sides for a box
    albedo: np.ndarray  # (n, part)


def trace_parts(
    ellipsoids: Parts, boxes: Parts, rays: np.ndarray, lamp: np.ndarray, ambient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth (n, ray) and luminance (n, ray) of the surface nearest to the viewer.

    A ray at (x, y) meets the ellipsoid d'Ad = 1, d = p - centre, where
    z = cz - (A13 dx + A23 dy) / A33 + sqrt((1 - Q) / A33), Q being the quadratic form of the Schur
    complement of A33; and a box where the nearest of its three front planes lies before the
    farthest of its three back planes. Luminance is Lambertian,
    albedo (ambient + (1 - ambient) max(0, normal . lamp)), and 0 where nothing is met.

    Parameters
    ----------
    ellipsoids, boxes : Parts
        The parts of n images.
    rays : numpy.ndarray (2, ray)
        x and y of the rays, the same in all images.
    lamp : numpy.ndarray (n, 3)
        Unit vectors towards the light.
    ambient : numpy.ndarray (n,)
        Share of the light that comes from everywhere, 0..1.
    """
    n = len(lamp)
    x, y = rays
    ones = np.ones_like(x)
    linear = np.stack([ones, x, y])
    quadratic = np.stack([ones, x, y, x * x, x * y, y * y])
    depth = np.full((n, x.size), FAR)
    winner = np.full((n, x.size), -1, dtype=np.int16)
    shapes = _shape_matrices(ellipsoids)
    n_ellipsoids, n_boxes = shapes.shape[1], boxes["radii"].shape[1]
    bends, planes = _ellipsoid_coefficients(shapes, ellipsoids["centre"])
    stretch = 1 / np.sqrt(shapes[..., 2, 2])
    for part in range(n_ellipsoids):
        inside = _combine(bends[:, part], quadratic)
        met = inside > 0
        np.maximum(inside, 0, out=inside)
        np.sqrt(inside, out=inside)
        inside *= stretch[:, part, None]
        inside += _combine(planes[:, part], linear)
        _keep_nearest(depth, winner, inside, met, part)
    normals, middles, halves = _box_coefficients(boxes)
    for part in range(n_boxes):
        planes3 = [_combine(middles[:, part, face], linear) for face in range(3)]
        half = halves[:, part]
        front = planes3[0] + half[:, 0, None]
        back = planes3[0] - half[:, 0, None]
        for face in (1, 2):
            np.minimum(front, planes3[face] + half[:, face, None], out=front)
            np.maximum(back, planes3[face] - half[:, face, None], out=back)
        _keep_nearest(depth, winner, front, front > back, n_ellipsoids + part)

    light = np.zeros_like(depth)
    shade = np.zeros_like(depth)
    image, ray = np.nonzero((winner >= 0) & (winner < n_ellipsoids))
    which = winner[image, ray]
    offset = np.stack([x[ray], y[ray], depth[image, ray]], axis=1)
    offset -= ellipsoids["centre"][image, which]
    normal = np.einsum("kij,kj->ki", shapes[image, which], offset)
    facing = np.einsum("ki,ki->k", normal, lamp[image])
    shade[image, ray] = facing / np.sqrt(np.einsum("ki,ki->k", normal, normal))
    light[image, ray] = ellipsoids["albedo"][image, which]

    image, ray = np.nonzero(winner >= n_ellipsoids)
    which = winner[image, ray] - n_ellipsoids
    fronts = np.einsum(
        "kfc,kc->kf",
        middles[image, which],
        np.stack([np.ones(len(ray), np.float32), x[ray], y[ray]], axis=1),
    )
    face = np.argmin(fronts + halves[image, which], axis=1)
    shade[image, ray] = np.einsum("ki,ki->k", normals[image, which, face], lamp[image])
    light[image, ray] = boxes["albedo"][image, which]

    ambient = ambient[:, None]
    light *= ambient + (1 - ambient) * np.maximum(shade, 0)
    return depth, light


def _combine(coefficients: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return sums of terms (n, ray), added one by one.

    A matrix product's rounding may differ with the number of images, and move a ray across an edge.
    """
    total: np.ndarray = coefficients[:, 0, None] + coefficients[:, 1, None] * terms[1]
    for k in range(2, len(terms)):
        total += coefficients[:, k, None] * terms[k]
    return total


def _keep_nearest(
    depth: np.ndarray, winner: np.ndarray, surface: np.ndarray, met: np.ndarray, part: int
) -> None:
    """Write into depth and winner the rays whose nearest surface so far is this part's."""
    met &= surface > depth
    np.copyto(depth, surface, where=met)
    winner[met] = part


def _shape_matrices(ellipsoids: Parts) -> np.ndarray:
    """Return A (n, part, 3, 3) with d'Ad = 1 on the surface."""
    scaled = ellipsoids["axes"] / ellipsoids["radii"][..., None, :]
    matrices: np.ndarray = scaled @ np.swapaxes(scaled, -1, -2)
    return matrices


def _ellipsoid_coefficients(a: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 - Q as polynomial in 1 x y xx xy yy, and the plane of depth in 1 x y."""
    cx, cy, cz = np.moveaxis(centre, -1, 0)
    kx, ky = a[..., 0, 2] / a[..., 2, 2], a[..., 1, 2] / a[..., 2, 2]
    sxx = a[..., 0, 0] - a[..., 0, 2] * kx
    sxy = a[..., 0, 1] - a[..., 0, 2] * ky
    syy = a[..., 1, 1] - a[..., 1, 2] * ky
    bends = [
        1 - (sxx * cx * cx + 2 * sxy * cx * cy + syy * cy * cy),
        2 * (sxx * cx + sxy * cy),
        2 * (sxy * cx + syy * cy),
        -sxx,
        -2 * sxy,
        -syy,
    ]
    planes = [cz + kx * cx + ky * cy, -kx, -ky]
    return np.stack(bends, axis=-1), np.stack(planes, axis=-1)


def _box_coefficients(boxes: Parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return normals, central planes and half thickness of the faces towards the viewer.

    Normals point outward, (n, part, face, 3); the planes through the centre are parallel to the
    faces, in 1 x y; the thickness is in depth.
    """
    normals = np.swapaxes(boxes["axes"], -1, -2)
    normals = np.where(normals[..., 2:] < 0, -normals, normals)
    cx, cy, cz = np.moveaxis(boxes["centre"][..., None, :], -1, 0)
    nz = np.maximum(normals[..., 2], 1e-3)
    kx, ky = normals[..., 0] / nz, normals[..., 1] / nz
    middles = np.stack([cz + kx * cx + ky * cy, -kx, -ky], axis=-1)
    return normals, middles, boxes["radii"] / nz
