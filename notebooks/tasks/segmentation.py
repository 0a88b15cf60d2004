"""A task of one's own: which category each pixel of a picture shows, or background.

Nothing else knows of it. A run file beside this one names it: ``[task] file = "segmentation.py"``.
"""

import numpy as np
from torch import nn
from torch.nn import functional

from brainguided import ImageSet
from neural_data.simulation import compute_object_cover, simulate_objects
from neural_data.simulation.objects import CATEGORIES

CLASSES = ("background", *CATEGORIES)
PERFORMANCE = "mean intersection over union"
BACKGROUND = 0.15  # weight in the loss
LEVELS = (0, 3, 6)  # of variation of the built-in objects


def draw(n, size, seed):
    """Return n pictures and their maps of classes (image, y, x)."""
    stimuli = simulate_objects(n // 64, size=size, variation=LEVELS, seed=seed)
    number = np.array([CLASSES.index(name) for name in stimuli["category"].values])
    covered = compute_object_cover(stimuli).values >= 0.5
    return stimuli["image"].values, np.where(covered, number[:, None, None], 0)


def load_images(n_train=6400, n_validation=640, image_size=32):
    """Return what is trained and validated on."""
    train, validation = draw(n_train, image_size, 1), draw(n_validation, image_size, 2)
    return ImageSet(*train, *validation, CLASSES, f"segmented objects, levels {LEVELS}")


def load_test_images(n_train=6400, n_validation=640, image_size=32):
    """Return what the winner of the finalists is tested on, once."""
    return draw(n_validation, image_size, 3)


class EveryPlace(nn.Linear):
    """The classifier of a network, at every place of its last map."""

    def forward(self, maps):
        """Return logits (image, class, y, x)."""
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


def adapt(network):
    """Leave out the mean over places, and classify each of them."""
    for name, _ in list(network.named_children()):
        if name.endswith("_mean"):
            setattr(network, name, nn.Identity())
    n_inputs, n_classes = network.classifier.in_features, network.classifier.out_features
    network.classifier = EveryPlace(n_inputs, n_classes)


def enlarge(outputs, labels):
    """Return logits for every pixel."""
    return functional.interpolate(outputs, size=labels.shape[1:], mode="bilinear")


def loss(outputs, labels):
    """Return the cross-entropy of pixels, in nats; background, six pixels of seven, counts less."""
    weights = outputs.new_ones(len(CLASSES))
    weights[0] = BACKGROUND
    return functional.cross_entropy(enlarge(outputs, labels), labels, weights)


def tally(outputs, labels):
    """Return how many pixels of each class were given each class."""
    pairs = len(CLASSES) * labels + enlarge(outputs, labels).argmax(1)
    counts = np.bincount(pairs.flatten().cpu().numpy(), minlength=len(CLASSES) ** 2)
    return counts.reshape(len(CLASSES), len(CLASSES))


def performance(confusion):
    """Return intersection over union, the mean over classes."""
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return float((both / np.maximum(either, 1)).mean())


def chance(labels):
    """Return the best that one class for all pixels comes to."""
    shares = np.bincount(labels.flatten(), minlength=len(CLASSES)) / labels.size
    return float(shares.max() / len(CLASSES))


def augment(images, labels, generator):
    """Mirror half of the pictures, with their maps."""
    mirrored = generator.random(len(images)) < 0.5
    images, labels = images.copy(), labels.copy()
    images[mirrored], labels[mirrored] = images[mirrored, :, ::-1], labels[mirrored, :, ::-1]
    return images, labels
