"""Cheap rivals of a brain score: numbers of a candidate that need no teacher, one row each.

To add one, write its row in `RIVALS` and its function, and its oracle in
``tests/candidates/test_rivals.py``. Parameters, multiply-adds, depth and the counts of the graph
are free and part of every measurement; so are the validation cross-entropy and the sum of the
training losses, which come with the rungs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from brainguided.architectures import Architecture
from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from torch import Tensor

    from brainguided.candidates.images import ImageSet
    from brainguided.networks.build import BlueprintNetwork

FREE = ("parameters", "multiply_adds", "depth", *GRAPH_COUNTS)
"""Names of the statistics that every measurement has."""
_BATCH = 128


@dataclass(frozen=True, eq=False)
class Rival:
    """A score of an untrained network by one batch of training images.

    Attributes
    ----------
    name : str
        As in ``[task] rivals`` and in the statistics of a measurement.
    source : str
        Where it is defined.
    function : callable
        Of a copy of the network, images (image, channel, y, x) in -1..1 and labels (image,) to a
        number, NaN or infinite where it is undefined.
    """

    name: str
    source: str
    function: Callable[[BlueprintNetwork, Tensor, Tensor], float]


def count_architecture(
    architecture: Architecture, *, n_classes: int, image_size: int
) -> dict[str, float]:
    """Return the statistics of an architecture that are free: nothing is built.

    Parameters
    ----------
    architecture : Architecture
        What is counted.
    n_classes : int
        Outputs of the classifier.
    image_size : int
        Height and width of the images in pixels.

    Returns
    -------
    dict of str to float
        ``parameters``; ``multiply_adds`` for one image; ``depth``, the number of layers that are
        compared with the brain; and the counts of `count_graph`.

    Raises
    ------
    ValueError
        If `n_classes` or `image_size` is less than 1.
    """
    for name, number in (("n_classes", n_classes), ("image_size", image_size)):
        if number < 1:
            raise ValueError(f"{name} is {number}; expected a whole number, at least 1.")
    blueprint = architecture.to_blueprint(n_classes)
    counts: dict[str, float] = {
        "parameters": blueprint.n_parameters,
        "multiply_adds": blueprint.count_multiply_adds(image_size),
        "depth": len(blueprint.observed),
        **count_graph(blueprint),
    }
    return {name: float(count) for name, count in counts.items()}


def compute_statistics(
    network: BlueprintNetwork,
    architecture: Architecture,
    images: ImageSet,
    *,
    names: Iterable[str] = (),
    seed: int = 0,
) -> dict[str, float | None]:
    """Return the statistics of a candidate before its training.

    Parameters
    ----------
    network : BlueprintNetwork
        Untrained; it is left as it is.
    architecture : Architecture
        Of which it was built.
    images : ImageSet
        Scores that need images take one batch of 128 training images.
    names : iterable of str, optional
        Rows of `RIVALS` beside the free statistics.
    seed : int, optional
        Of the batch: the same for all candidates that are to be compared.

    Returns
    -------
    dict of str to (float or None)
        Of `count_architecture` and those asked for; None where a score is undefined or infinite.

    Raises
    ------
    ValueError
        A name is unknown.
    """
    names = check_rivals(names)
    found: dict[str, float | None] = dict(
        count_architecture(
            architecture, n_classes=len(images.classes), image_size=images.image_size
        )
    )
    if not names:
        return found
    import torch

    from brainguided.networks.preprocessing import images_to_tensor

    n = len(images.train_images)
    batch = np.random.default_rng(seed).choice(n, min(n, _BATCH), replace=False)
    device = next(network.parameters()).device
    inputs = images_to_tensor(images.train_images[batch]).to(device)
    labels = torch.from_numpy(images.train_labels[batch]).to(device)
    for name in names:
        value = RIVALS[name].function(deepcopy(network), inputs, labels)
        found[name] = float(value) if np.isfinite(value) else None
    return found


def check_rivals(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of rivals, each once, or refuse unknown ones."""
    names = tuple(dict.fromkeys(names))
    problems = [
        f"{name!r} is free and always measured" if name in FREE else f"{name!r} is unknown"
        for name in names
        if name not in RIVALS
    ]
    raise_problems(f"rivals: expected out of {', '.join(RIVALS)}", problems, ValueError)
    return names


def _compute_synflow(network: BlueprintNetwork, inputs: Tensor, labels: Tensor) -> float:
    """Return the sum over weights of ``|w dR/dw|``, R the output for an image of ones.

    Weights are replaced by their absolute values, and batch norm is the identity, as it is at
    initialisation in evaluation mode. In float64: deep networks exceed float32.
    """
    import torch

    network = network.cpu().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(inputs[:1].cpu(), dtype=torch.float64)).sum().backward()
    known = [(p.detach(), p.grad) for p in network.parameters() if p.grad is not None]
    return float(sum((weight * slope).abs().sum() for weight, slope in known))


def _compute_naswot(network: BlueprintNetwork, inputs: Tensor, labels: Tensor) -> float:
    """Return log|det K|, K counting for each pair of images the units in the same state."""
    import torch

    n = len(inputs)
    kernel = torch.zeros(n, n, dtype=torch.float64)
    for active in _record_rectified(network, inputs):
        on = (active > 0).flatten(1).to(torch.float32)
        kernel += (on @ on.T + (1 - on) @ (1 - on).T).double().cpu()
    return _log_determinant(kernel)


def _compute_gradient_norm(network: BlueprintNetwork, inputs: Tensor, labels: Tensor) -> float:
    """Return the sum over convolutions and the classifier of the length of the loss's gradient."""
    from torch import nn

    network.train()
    nn.functional.cross_entropy(network(inputs), labels).backward()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return float(sum(m.weight.grad.norm() for m in layers if m.weight.grad is not None))


def _compute_response_correlation(
    network: BlueprintNetwork, inputs: Tensor, labels: Tensor
) -> float:
    """Return log|det| of the sum over layers of the absolute correlations between images.

    The part of WRCor by responses, without its weights of layers and without its gradients; layers
    are the rectified ones. It is the determinant of an RDM of no brain.
    """
    import torch

    n = len(inputs)
    total = torch.zeros(n, n, dtype=torch.float64)
    for active in _record_rectified(network, inputs):
        flat = active.flatten(1).cpu().double()
        flat = flat - flat.mean(1, keepdim=True)
        length = flat.norm(dim=1, keepdim=True)
        flat = torch.where(length > 0, flat / length, 0.0)  # a silent image resembles none
        total += (flat @ flat.T).abs()
    return _log_determinant(total)


def _compute_effective_dimensionality(
    network: BlueprintNetwork, inputs: Tensor, labels: Tensor
) -> float:
    """Return the participation ratio over images of the observed layers, their mean.

    Layers of which no unit varies are left out.
    """
    import torch

    from brainguided.networks.hooks import observe_layers

    ratios: list[float] = []

    def take(layer: str, output: Tensor) -> None:
        flat = output.flatten(1).cpu().double()
        gram = flat - flat.mean(0)
        gram = gram @ gram.T
        if float(gram.trace()) > 0:
            ratios.append(float(gram.trace() ** 2 / gram.square().sum()))

    layers = network.observed_layers
    with observe_layers(network, layers, take, n_stimuli=len(inputs)), torch.no_grad():
        network(inputs)
    return float(np.mean(ratios)) if ratios else float("nan")


def _record_rectified(network: BlueprintNetwork, inputs: Tensor) -> list[Tensor]:
    """Return the outputs of the rectifications, batch norms with the statistics of the batch."""
    import torch
    from torch import nn

    found: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # a later layer may write over what was handed out
            module.register_forward_hook(lambda _, __, output: found.append(output))
    network.train()
    with torch.no_grad():
        network(inputs)
    return found


def _log_determinant(matrix: Tensor) -> float:
    """Return log|det|; minus infinity of a singular matrix, as of a batch with equal images."""
    if np.linalg.matrix_rank(matrix.numpy(), hermitian=True) < len(matrix):
        return float("-inf")
    return float(np.linalg.slogdet(matrix.numpy())[1])


_SYNFLOW = "Tanaka, Kunin, Yamins & Ganguli (2020), NeurIPS; Abdelfattah et al. (2021), ICLR"
RIVALS: dict[str, Rival] = {
    rival.name: rival
    for rival in (
        Rival("synflow", _SYNFLOW, _compute_synflow),
        Rival(
            "naswot",
            "Mellor, Turner, Storkey & Crowley (2021), ICML, equation 2",
            _compute_naswot,
        ),
        Rival(
            "gradient_norm",
            "Abdelfattah, Mehrotra, Dudziak & Lane (2021), ICLR, section 3.2",
            _compute_gradient_norm,
        ),
        Rival(
            "response_correlation",
            "after Jing, Chen, Xu, Tai, Wang & Li (2025), arXiv 2507.08841",
            _compute_response_correlation,
        ),
        Rival(
            "effective_dimensionality",
            "Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy & Ganguli (2017), bioRxiv 214262",
            _compute_effective_dimensionality,
        ),
    )
}
"""The rivals that are measured on request, by name."""
