"""A task of one's own with one channel: which way the stripes of a grey picture run.

Loss, accuracy and chance are those of classification, so that only images are here.
"""

import numpy as np

from brainguided import ImageSet

CLASSES = ("0 degrees", "45 degrees", "90 degrees", "135 degrees")


def draw(n, size, seed):
    """Return n grey gratings under noise, of any frequency and phase, and their classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    turn = np.pi / len(CLASSES) * labels[:, None, None]
    y, x = np.mgrid[:size, :size] / size
    cycles, phase = generator.uniform([[2], [0]], [[5], [1]], (2, n))[..., None, None]
    wave = np.sin(2 * np.pi * (cycles * (np.cos(turn) * x + np.sin(turn) * y) + phase))
    grey = 128 + 40 * wave + 40 * generator.standard_normal((n, size, size))
    channel = np.clip(grey, 0, 255).astype(np.uint8)[..., None]
    return np.repeat(channel, 3, axis=-1), labels  # networks see stimuli in colour, and so these


def load_images(n_train=2000, n_validation=400, image_size=32):
    """Return what is trained and validated on."""
    train, validation = draw(n_train, image_size, 1), draw(n_validation, image_size, 2)
    return ImageSet(*train, *validation, CLASSES, "grey gratings")


def load_test_images(n_train=2000, n_validation=400, image_size=32):
    """Return what the winner of the finalists is tested on, once."""
    return draw(n_validation, image_size, 3)
