"""Low-level features of images: pixels, and the energy of Gabor filters."""

from __future__ import annotations

import numpy as np

GABOR_PIXELS = 64
"""Images are averaged over blocks of pixels down to at most twice this size."""
WAVELENGTHS = (4.0, 8.0, 16.0)
ORIENTATIONS = 8
CONTRAST = 0.1
"""Semi-saturation of contrast normalisation, in units of the mean energy of all images."""


def read_pixels(images: np.ndarray) -> np.ndarray:
    """Return images (stimulus, y, x, channel) as features (stimulus, unit), 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def compute_gabor_energy(images: np.ndarray) -> np.ndarray:
    """Return the contrast-normalised energy of Gabor filters in small patches of images.

    Pairs of filters in quadrature, of 3 wavelengths (4, 8 and 16 px of an image of about 64 px) and
    8 orientations; the root of the energy [1]_ is averaged over patches of half a wavelength and
    divided by its mean over all filters at that place plus a constant [2]_.

    Parameters
    ----------
    images : ndarray (stimulus, y, x, channel) of uint8

    Returns
    -------
    ndarray (stimulus, unit)

    References
    ----------
    .. [1] Adelson & Bergen (1985), J. Opt. Soc. Am. A 2, 284-299.
    .. [2] Heeger (1992), Vis. Neurosci. 9, 181-197.
    """
    grey = _shrink(images.astype(np.float32).mean(-1) / 255)
    spectrum = np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True))
    height, width = grey.shape[1:]
    energies = []
    for wavelength in WAVELENGTHS:
        for k in range(ORIENTATIONS):
            even, odd = _make_pair(height, width, wavelength, np.pi * k / ORIENTATIONS)
            parts = [
                np.fft.irfft2(spectrum * np.fft.rfft2(f), s=(height, width)) for f in (even, odd)
            ]
            energies.append(np.hypot(*parts).astype(np.float32))
    pool = np.mean(energies, axis=0)
    divisor = pool + CONTRAST * max(float(pool.mean()), 1e-12)
    features = []
    for number, energy in enumerate(energies):
        patch = max(1, int(WAVELENGTHS[number // ORIENTATIONS] // 2))
        features.append(_average_blocks(energy / divisor, patch).reshape(len(images), -1))
    return np.concatenate(features, axis=1)


def _make_pair(
    height: int, width: int, wavelength: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return an even and an odd Gabor filter, centred on the first pixel, as FFTs want it."""
    y = np.fft.fftfreq(height, 1 / height)[:, np.newaxis]
    x = np.fft.fftfreq(width, 1 / width)[np.newaxis]
    along = x * np.cos(angle) + y * np.sin(angle)
    envelope = np.exp(-(x**2 + y**2) / (2 * (0.5 * wavelength) ** 2))
    envelope /= envelope.sum()
    even = envelope * np.cos(2 * np.pi * along / wavelength)
    even -= envelope * even.sum()  # no response to the mean
    return even, envelope * np.sin(2 * np.pi * along / wavelength)


def _shrink(grey: np.ndarray) -> np.ndarray:
    return _average_blocks(grey, max(1, min(grey.shape[1:]) // GABOR_PIXELS))


def _average_blocks(values: np.ndarray, side: int) -> np.ndarray:
    """Return means over square blocks of `side` pixels; what is left at the margins is dropped."""
    n, height, width = values.shape
    side = min(side, height, width)
    rows, columns = height // side, width // side
    part = values[:, : rows * side, : columns * side]
    mean: np.ndarray = part.reshape(n, rows, side, columns, side).mean((2, 4))
    return mean
