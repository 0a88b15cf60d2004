"""Layers of any torch module: their names, how they are chosen, and what they would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import xarray as xr
from torch import nn

from brainguided.networks.preprocessing import Preprocessing
from neural_data.errors import raise_problems
from neural_data.labels import name_variables
from neural_data.model.stimuli import validate_stimuli

MEMORY = 512
"""MiB of activations that are held at a time."""
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_TRANSFORMERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.MultiheadAttention)
_PASSING = ("Identity", "Flatten", "DropPath", "StochasticDepth")


@dataclass(frozen=True)
class Observation:
    """Layers that are observed, and how: wherever layers are asked for, one of these may stand.

    Attributes
    ----------
    layers : str, sequence of str or None
        Names or patterns; see `select_layers`, also for the default.
    tokens : {"all", "class", "mean"}
        What is taken of a transformer's outputs (stimulus, token, feature): every feature of every
        token; those of the first, the class token; or their means over tokens. Outputs of other
        numbers of dimensions are taken whole.
    precision : {"float32", "bfloat16"}
        Of the forward pass. "bfloat16" runs it under autocast: activations have 8 significant bits.
    memory : float
        MiB of activations that are held at a time. What does not fit is written to disk.
    folder : Path or None
        Where it is written, and kept if the work is interrupted: the same observation of the same
        network and images goes on from there. None for a temporary file of which nothing is left.
    progress : callable or None
        Called with what is being done, the part that is done and the whole.
    """

    layers: str | Sequence[str] | None = None
    tokens: str = "all"
    precision: str = "float32"
    memory: float = MEMORY
    folder: Path | None = None
    progress: Callable[[str, int, int], None] | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; it is one of {', '.join(map(repr, known))}"
            for name, value, known in (
                ("tokens", self.tokens, ("all", "class", "mean")),
                ("precision", self.precision, ("float32", "bfloat16")),
            )
            if value not in known
        ]
        if not 0 < self.memory < float("inf"):
            problems.append(f"memory is {self.memory!r}; expected MiB above 0")
        raise_problems("Not an observation", problems, ValueError)


Layers = str | Sequence[str] | Observation | None


def as_observation(layers: Layers) -> Observation:
    """Return what was given as ``layers=`` as an observation."""
    return layers if isinstance(layers, Observation) else Observation(layers)


def list_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the layers that are observed by default, in the order of ``named_modules()``.

    Networks built here say so themselves (``observed_layers``: every convolutional layer after
    batch norm, ReLU and pooling of a plain or macro network, every cell, residual block or
    recurrent area of the others). Of any other module: all convolutions, linear maps and torch's
    multi-head attentions (their output, not their weights), and all blocks, whose output holds the
    residual sum. Blocks are the elements of an ``nn.Sequential``, ``ModuleList`` or ``ModuleDict``
    that are made of modules themselves (``layer1.0`` of a ResNet, ``blocks.0`` of a transformer),
    modules of a class that occurs several times outside of those, and torch's transformer layers.
    """
    own = getattr(network, "observed_layers", None)
    if own is not None:
        return tuple(own)
    blocks = set(find_blocks(network))
    return tuple(
        name
        for name, module in network.named_modules()
        if isinstance(module, _WEIGHTED) or name in blocks
    )


def find_blocks(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the blocks of a network; see `list_layers`."""

    def is_made(module: nn.Module) -> bool:
        return any(True for _ in module.children()) and not is_container(module)

    often = Counter(type(m) for m in network.modules() if is_made(m))

    def walk(parent: nn.Module, path: str, inside: bool) -> Iterator[str]:
        for name, module in parent.named_children():
            here = is_made(module) and (
                isinstance(parent, _CONTAINERS)
                or isinstance(module, _TRANSFORMERS)
                or (not inside and often[type(module)] > 1)
            )
            if here:
                yield path + name
            yield from walk(module, f"{path}{name}.", inside or here)

    return tuple(walk(network, "", False))


def is_container(module: nn.Module) -> bool:
    """Whether a module does nothing but hold others, or run one after the other."""
    plain = (nn.Sequential.forward, nn.Module.forward)
    return isinstance(module, _CONTAINERS) and type(module).forward in plain


def select_layers(
    network: nn.Module, patterns: str | Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names of layers that match, in the order of ``named_modules()``.

    Parameters
    ----------
    network : torch.nn.Module
        Any network; it is not changed.
    patterns : str or sequence of str, optional
        Names as in ``named_modules()``, or patterns in which ``*`` stands for anything (dots
        included) and ``?`` for one character: ``"features.*"``. Patterns match neither containers
        (``nn.Sequential`` and its like, whose output is that of their last module) nor dropouts
        and identities; a name does. What a pattern after ``!`` matches is left out:
        ``["*", "!*.norm*"]``; where all patterns begin so, of the default. By default all
        convolutions, linear maps, multi-head attentions and blocks; networks built here say
        themselves which layers are observed. A module that is used several times in one forward
        pass is observed each time, as ``name``, ``name:2``, ``name:3``; with ``name:2`` only that
        use is.

    Returns
    -------
    tuple of str
        Names as in ``named_modules()``, with the number of the use where one is named.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or nothing is left; the names that there are are listed.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    >>> select_layers(network), select_layers(network, "1"), select_layers(network, ["*", "!2"])
    (('0', '2'), ('1',), ('0', '1'))
    """
    return tuple(match_layers(network, patterns))


def match_layers(
    network: nn.Module, patterns: str | Sequence[str] | None = None
) -> dict[str, bool]:
    """Return the layers of `select_layers`, and whether each was asked for by its own name."""
    given = [patterns] if isinstance(patterns, str) else list(patterns or ())
    names = {name: module for name, module in network.named_modules() if name}
    unknown = []
    wanted: dict[tuple[int, int], tuple[str, bool]] = {}
    excluded: set[str] = set()
    for pattern in given:
        base, _, call = pattern.removeprefix("!").partition(":")
        found = [(k, n) for k, n in enumerate(names) if n == base or fnmatchcase(n, base)]
        if not found or (call and not call.isdigit()):
            unknown.append(pattern)
        elif pattern.startswith("!"):
            excluded.update(n + (f":{call}" if call else "") for _, n in found)
        else:
            for k, name in found:
                if name == base or not _passes_on(names[name]):
                    label = name + (f":{call}" if call else "")
                    asked = name == base or wanted.get((k, int(call or 0)), ("", False))[1]
                    wanted[k, int(call or 0)] = (label, asked)
    if unknown:
        raise ValueError(f"The network has no layers {unknown}; it has {list(names)}.")
    if all(pattern.startswith("!") for pattern in given):
        asked = hasattr(network, "observed_layers")
        chosen = dict.fromkeys(list_layers(network), asked)
    else:
        chosen = dict(wanted[key] for key in sorted(wanted))
    chosen = {
        name: asked
        for name, asked in chosen.items()
        if name not in excluded and name.partition(":")[0] not in excluded
    }
    if not chosen:
        asked_for = f"{given} leaves no layer" if given else "There are no layers to observe"
        raise ValueError(
            f"{asked_for} of the network ({type(network).__name__}); it has {list(names)}. Name "
            "those that are meant."
        )
    return chosen


def describe_layers(
    network: nn.Module,
    stimuli: xr.Dataset,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
) -> xr.Dataset:
    """Return how large the output of each layer is, from a forward pass of one stimulus.

    Parameters
    ----------
    network : torch.nn.Module
        Any network; it is not changed.
    stimuli : xr.Dataset
        Stimulus set.
    layers : str, sequence of str or Observation, optional
        As for `select_layers`.
    preprocessing : Preprocessing, optional
        What is done to the images.

    Returns
    -------
    xr.Dataset (layer)
        In the order in which the forward pass reaches them: `units`; `bytes` of the activations
        of all stimuli as float32; `shape` of the output for one stimulus; `kind` of module. Layers
        that a pattern matches and that the forward pass does not call are named in
        ``attrs["left_out"]``; ``attrs["tokens"]`` says what is taken of transformers' outputs.

    Raises
    ------
    ValueError
        If a layer does not exist, is not called though it was named, or returns no tensor; if the
        network cannot run on these images.

    Examples
    --------
    >>> from neural_data import simulate_objects
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> describe_layers(network, simulate_objects(1))["units"].to_series().to_dict()
    {'0': 7200}
    """
    from brainguided.networks.probe import probe_layers

    validate_stimuli(stimuli)
    found = probe_layers(network, stimuli["image"].values, layers, preprocessing=preprocessing)
    units = np.array(list(found.units.values()))
    modules = dict(network.named_modules())
    kinds = [type(modules[name.partition(":")[0]]).__name__ for name in found.shapes]
    table = xr.Dataset(
        {
            "units": ("layer", units),
            "bytes": ("layer", units * 4 * stimuli.sizes["stimulus"]),
            "shape": ("layer", [" x ".join(map(str, s)) for s in found.shapes.values()]),
            "kind": ("layer", kinds),
        },
        coords={"layer": list(found.shapes)},
        attrs={"stimuli": stimuli.sizes["stimulus"], **found.describe()},
    )
    named: xr.Dataset = name_variables(table, _NAMES)
    return named


_NAMES = {
    "layer": ("layer", ""),
    "units": ("units of the layer", "1"),
    "bytes": ("memory for all stimuli", "bytes"),
    "shape": ("shape of the output for one stimulus", ""),
    "kind": ("kind of module", ""),
}


def _passes_on(module: nn.Module) -> bool:
    """Whether a module is a container, or hands its input on when a network is evaluated."""
    dropout = isinstance(module, nn.modules.dropout._DropoutNd)
    return dropout or is_container(module) or type(module).__name__ in _PASSING
