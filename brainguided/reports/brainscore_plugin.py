"""The winner of a run as a model plugin of Brain-Score: plain files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from brainguided.networks.export import export_network
from brainguided.search.saved_winner import WinnerNetwork, load_winner_network
from neural_data.storage.aside import write_whole

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_INIT = '''"""{about}"""

from brainscore_vision import model_registry
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment

from .model import LAYERS, REGION_LAYER_MAP, get_model

model_registry['{identifier}'] = lambda: ModelCommitment(
    identifier='{identifier}',
    activations_model=get_model(),
    layers=LAYERS,
    behavioral_readout_layer=LAYERS[-1],
    region_layer_map=REGION_LAYER_MAP,
    visual_degrees={degrees!r},
)
'''

_MODEL = '''"""{about}

Layers of areas: {how}.
The outputs of the network are {classes} classes of its own, not those of ImageNet: behavioural
benchmarks read out LAYERS[-1].
"""

import functools

from brainscore_vision.model_helpers.activations.pytorch import (
    PytorchWrapper,
    load_preprocess_images,
)
from torch import nn

from . import winner_network

LAYERS = {layers}
REGION_LAYER_MAP = {regions}


def get_model():
    """Return the network as Brain-Score looks into it; images are scaled to -1 to 1."""
    network = winner_network.load()
    for module in network.modules():  # what a layer puts out must stay as it is
        if isinstance(module, nn.ReLU):
            module.inplace = False
    size = winner_network.IMAGE_SIZE
    preprocessing = functools.partial(
        load_preprocess_images,
        image_size=size,
        normalize_mean=(0.5, 0.5, 0.5),
        normalize_std=(0.5, 0.5, 0.5),
    )
    wrapper = PytorchWrapper(
        identifier={identifier!r}, model=network, preprocessing=preprocessing
    )
    wrapper.image_size = size
    return wrapper


def get_layers():
    """Return the layers that were compared with the brain."""
    return LAYERS
'''

_TEST = '''"""Brain-Score finds the model."""

import brainscore_vision
import pytest


@pytest.mark.travis_slow
def test_has_identifier():
    model = brainscore_vision.load_model({identifier!r})
    assert model.identifier == {identifier!r}
'''


def write_brainscore_plugin(
    run: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    identifier: str | None = None,
    visual_degrees: float = 8,
) -> list[Path]:
    """Write the winner of a run as a model plugin of Brain-Score.

    The winner of the finalists where there are some, else that of the search, which was trained
    for a few steps only. Nothing of Brain-Score is needed to write it; the folder goes into
    ``brainscore_vision/models``.

    Parameters
    ----------
    run : path
        A run folder; it is only read.
    folder : path
        The plugin, made if it is missing: ``__init__.py`` (registers the model), ``model.py``
        (layers, areas, preprocessing), ``winner_network.py`` and ``.pt`` (the network, which needs
        torch alone), ``region_layer_map/IDENTIFIER.json``, ``test.py``, ``requirements.txt``.
    identifier : str, optional
        Of the model; by default the name of the folder.
    visual_degrees : float, optional
        How large images are shown to the model, in degrees of visual angle.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    FileNotFoundError
        The folder has no journal, or no weights of a winner.
    JournalError
        No candidate succeeded.
    ValueError
        The identifier has other characters than letters, digits, ``_``, ``-`` and ``.``.

    Notes
    -----
    Areas are called by the names of the run; Brain-Score's benchmarks are about V1, V2, V4 and IT,
    and it scores the model on those that have a layer here.
    """
    folder = Path(folder)
    identifier = folder.resolve().name if identifier is None else identifier
    if not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(
            f"The identifier is {identifier!r}; expected letters, digits, '_', '-' and '.', e.g. "
            "'mylab-winner'."
        )
    winner = load_winner_network(Path(run))
    texts = _write_texts(winner, identifier, visual_degrees)
    (folder / "region_layer_map").mkdir(parents=True, exist_ok=True)
    network = export_network(
        winner.blueprint,
        winner.weights,
        folder / "winner_network.py",
        classes=winner.classes,
        image_size=winner.image_size,
        about=winner.about,
    )
    return [*network, *(write_whole(folder / name, text) for name, text in texts.items())]


def name_files(identifier: str) -> list[str]:
    """Return the names of the files of a plugin."""
    return ["winner_network.py", "winner_network.pt", "__init__.py", "model.py", "test.py",
            "requirements.txt", f"region_layer_map/{identifier}.json"]  # fmt: skip


def _write_texts(winner: WinnerNetwork, identifier: str, degrees: float) -> dict[str, str]:
    values = {
        "about": winner.about,
        "how": winner.how,
        "identifier": identifier,
        "degrees": degrees,
        "classes": len(winner.classes),
        "layers": repr(list(dict.fromkeys((*winner.blueprint.observed, *winner.layers.values())))),
        "regions": repr(dict(winner.layers)),
    }
    mapped = json.dumps(winner.layers, indent=1) + "\n"
    return {
        "__init__.py": _INIT.format(**values),
        "model.py": _MODEL.format(**values),
        "test.py": _TEST.format(**values),
        "requirements.txt": "torch\n",
        f"region_layer_map/{identifier}.json": mapped,
    }
