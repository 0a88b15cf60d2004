"""Layers of any torch module: their names, how they are chosen, and what they would cost."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from brainguided.networks.hooks import observe_layers
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from neural_data.model.stimuli import validate_stimuli


def list_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the layers that are observed by default, in the order of ``named_modules()``.

    Networks built here say so themselves (``observed_layers``: every convolutional layer after
    batch norm, ReLU and pooling of a plain or macro network, every cell, residual block or
    recurrent area of the others); of any other module, all convolutions and linear maps.
    """
    own = getattr(network, "observed_layers", None)
    if own is not None:
        return tuple(own)
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return tuple(name for name, module in network.named_modules() if isinstance(module, kinds))


def select_layers(
    network: nn.Module, patterns: str | Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names of layers that match, in the order of ``named_modules()``.

    Parameters
    ----------
    network : torch.nn.Module
    patterns : str or sequence of str, optional
        Names as in ``named_modules()``, or patterns in which ``*`` stands for anything (dots
        included) and ``?`` for one character: ``"features.*"``. By default `list_layers`. A
        module that is used several times in one forward pass is observed each time, as ``name``,
        ``name:2``, ``name:3``; with ``name:2`` only that use is.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If a pattern matches nothing; the names that there are are listed.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    >>> select_layers(network), select_layers(network, "1")
    (('0', '2'), ('1',))
    """
    if patterns is None:
        return list_layers(network)
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    names = [name for name, _ in network.named_modules() if name]
    chosen: dict[str, None] = {}
    unknown = []
    wanted: list[tuple[int, int, str]] = []
    for pattern in given:
        base, _, call = pattern.partition(":")
        found = [k for k, name in enumerate(names) if name == base or fnmatchcase(name, base)]
        if not found or (call and not call.isdigit()):
            unknown.append(pattern)
        wanted += [(k, int(call or 0), names[k] + (f":{call}" if call else "")) for k in found]
    if unknown:
        raise ValueError(f"The network has no layers {unknown}; it has {names}.")
    for _, _, name in sorted(wanted):
        chosen.setdefault(name)
    return tuple(chosen)


def describe_layers(
    network: nn.Module,
    stimuli: xr.Dataset,
    *,
    layers: str | Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
) -> xr.Dataset:
    """Return how large the output of each layer would be, without running the stimuli.

    Shapes are found with tensors that hold no numbers (torch's meta device) or, for modules that
    do not allow that, with one blank image.

    Parameters
    ----------
    network : torch.nn.Module
    stimuli : xr.Dataset
        Stimulus set.
    layers : str or sequence of str, optional
        As for `select_layers`.
    preprocessing : Preprocessing, optional
        What is done to the images.

    Returns
    -------
    xr.Dataset (layer)
        In the order in which the forward pass reaches them: `units`; `bytes` of the activations
        of all stimuli as float32; `shape` of the output for one stimulus; `kind` of module.

    Raises
    ------
    ValueError
        If a layer does not exist, is not used, or returns no tensor.

    Examples
    --------
    >>> from neural_data import simulate_objects
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> describe_layers(network, simulate_objects(1))["units"].to_series().to_dict()
    {'0': 7200}
    """
    validate_stimuli(stimuli)
    first = images_to_tensor(stimuli["image"].isel(stimulus=[0]).values, preprocessing)
    shapes = find_shapes(network, first, select_layers(network, layers))
    units = np.array([int(np.prod(shape)) for shape in shapes.values()])
    modules = dict(network.named_modules())
    kinds = [type(modules[name.partition(":")[0]]).__name__ for name in shapes]
    return xr.Dataset(
        {
            "units": ("layer", units),
            "bytes": ("layer", units * 4 * stimuli.sizes["stimulus"]),
            "shape": ("layer", [" x ".join(map(str, shape)) for shape in shapes.values()]),
            "kind": ("layer", kinds),
        },
        coords={"layer": list(shapes)},
        attrs={"stimuli": stimuli.sizes["stimulus"]},
    )


def find_shapes(
    network: nn.Module, inputs: Tensor, layers: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's output for one stimulus, in the order of the forward pass.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : torch.Tensor (stimulus, channel, y, x)
        Only the shape of one stimulus matters.
    layers : sequence of str
        As from `select_layers`.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    empty = {name: value.to("meta") for name, value in own.items()}
    with observe_layers(network, layers, note, n_stimuli=1) as seen, torch.no_grad():
        try:
            torch.func.functional_call(network, empty, (_cast(inputs[:1], own).to("meta"),))
        except Exception:  # a forward pass that makes tensors of its own, or looks at numbers
            shapes.clear()
            seen.clear()
            place = next(iter(own.values())).device if own else inputs.device
            network(torch.zeros_like(_cast(inputs[:1], own)).to(place))
    return shapes


def _cast(inputs: Tensor, own: dict[str, Any]) -> Tensor:
    """Return inputs in the floating type of the network's parameters."""
    kind = next((v.dtype for v in own.values() if v.is_floating_point()), inputs.dtype)
    return inputs.to(kind)
