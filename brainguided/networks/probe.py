"""One forward pass of one stimulus, which shows the layers that a network really uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainguided.networks.hooks import (
    at_rest,
    drop_weights,
    reduce_tokens,
    show_images,
    take_tensor,
)
from brainguided.networks.layers import (
    Layers,
    Observation,
    as_observation,
    find_blocks,
    is_container,
    match_layers,
)
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from neural_data.errors import check_type


@dataclass(frozen=True)
class ProbedLayers:
    """Layers that a network uses, in the order of the forward pass.

    Attributes
    ----------
    observation : Observation
        What was asked for.
    shapes : dict of str to tuple of int
        Shape of each layer's output for one stimulus.
    left_out : dict of str to str
        Layers that a pattern matches and that are not observed, and why.
    widest : int
        Numbers in the largest output of any module for one stimulus.
    """

    observation: Observation
    shapes: dict[str, tuple[int, ...]]
    left_out: dict[str, str]
    widest: int

    @property
    def units(self) -> dict[str, int]:
        """Number of units of each layer."""
        return {name: prod(shape) for name, shape in self.shapes.items()}

    def describe(self) -> dict[str, str]:
        """Return what a result says of its layers: ``tokens``, and ``left_out`` where some are."""
        said = {"tokens": self.observation.tokens}
        if self.left_out:
            said["left_out"] = "; ".join(f"{k}: {why}" for k, why in self.left_out.items())
        return said


def probe_layers(
    network: nn.Module,
    images: np.ndarray,
    layers: Layers | ProbedLayers = None,
    *,
    preprocessing: Preprocessing | None = None,
) -> ProbedLayers:
    """Return the layers of a network that are observed, from a forward pass of one stimulus.

    Parameters
    ----------
    network : torch.nn.Module
    images : ndarray (stimulus, y, x, channel) of uint8
        The first is shown.
    layers : str, sequence of str or Observation, optional
        As for ``layers.select_layers``. Layers that a pattern, or the default, matches are left
        out where the forward pass does not call them, they return no tensor over stimuli, or their
        output is that of another layer handed on. What was found before is returned as it is.
    preprocessing : Preprocessing, optional

    Raises
    ------
    ValueError
        If a layer that was named is not called or returns no tensor over stimuli, if none is left,
        or if the network cannot run on these images: then with the module that failed.
    """
    if isinstance(layers, ProbedLayers):
        return layers
    check_type(
        hasattr(network, "named_modules"), network, name="The network", wanted="a torch module"
    )
    observation = as_observation(layers)
    _refuse_compiled(network)
    wanted = match_layers(network, observation.layers)
    seen = _Seen(wanted, observation.tokens)
    inputs = place_inputs(images_to_tensor(images[:1], preprocessing), network)
    with _watch_modules(network, seen), at_rest(network):
        try:
            show_images(network, inputs)
        except _Refused as refused:
            raise ValueError(str(refused)) from None
        except Exception as cause:  # whatever the user's network raises
            raise ValueError(_say_failure(network, inputs, seen.running, cause)) from cause
    silent = {n: asked for n, asked in wanted.items() if n not in seen.reached}
    named = [name for name, asked in silent.items() if asked]
    scripted = [n for n, m in network.named_modules() if isinstance(m, torch.jit.ScriptModule)]
    inside = [name for name in named if any(name.startswith(f"{n}.") for n in scripted)]
    if inside:
        raise ValueError(
            f"The layers {inside} are inside TorchScript, compiled code whose layers cannot be "
            "observed; give the Python module that it was made of."
        )
    if named:
        around = list(filter(None, (_find_attention(network, seen, name) for name in named)))
        instead = f", or take the attention that uses their weights: {around}" if around else ""
        raise ValueError(
            f"The forward pass did not call the layers {named}; leave them out{instead}."
        )
    for name in silent:
        attention = _find_attention(network, seen, name)
        seen.left_out[name] = (
            f"its weights are used by {attention} without calling it, so it cannot be observed "
            f"(take {attention})"
            if attention
            else "not called in the forward pass"
        )
    _leave_out_repeated(seen, network)
    if not seen.shapes and set(seen.left_out) == {""}:
        raise ValueError(
            f"The network is a single {type(network).__name__}, and no layer of it has a name; "
            "wrap it: torch.nn.Sequential(network)."
        )
    if not seen.shapes:
        raise ValueError(f"No layer is left: {seen.left_out}. Name those that are meant.")
    return ProbedLayers(observation, seen.shapes, seen.left_out, max(seen.widest, inputs.numel()))


def place_inputs(inputs: Tensor, network: nn.Module) -> Tensor:
    """Return inputs on the device, and in the floating type, of the network's parameters."""
    for parameter in network.parameters():
        kind = parameter.dtype if parameter.is_floating_point() else inputs.dtype
        return inputs.to(device=parameter.device, dtype=kind)
    return inputs


class _Refused(Exception):
    """Raised by a hook for a layer that was asked for by name and has no usable output."""


@dataclass
class _Seen:
    """What the forward pass of one stimulus has shown so far."""

    wanted: dict[str, bool]
    tokens: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    running: list[str] = field(default_factory=list)
    outputs: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    widest: int = 1

    def note(self, name: str, output: Any) -> None:
        """Take note of what a module returned."""
        call = self.calls[name] = self.calls.get(name, 0) + 1
        if isinstance(output, Tensor):
            self.widest = max(self.widest, output.numel())
        keys = [key for key in (name, f"{name}:{call}") if key in self.wanted]
        if not keys:
            return
        label = name if call == 1 else f"{name}:{call}"
        self.reached.update(keys)
        try:
            tensor = take_tensor(output, label, 1)
        except ValueError as problem:
            if any(self.wanted[key] for key in keys):
                raise _Refused(str(problem)) from None
            self.left_out[label] = str(problem).partition(";")[0].removeprefix(f"Layer {label!r} ")
            return
        self.shapes[label] = tuple(reduce_tokens(tensor, self.tokens).shape[1:])
        if not any(self.wanted[key] for key in keys):
            self.outputs[label] = (tensor, _count_changes(tensor))


def _count_changes(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place: it is another layer's output then."""
    return 0 if tensor.is_inference() else tensor._version


@contextmanager
def _watch_modules(network: nn.Module, seen: _Seen) -> Iterator[None]:
    def enter(name: str) -> Callable[..., None]:
        return lambda *_: seen.running.append(name)

    def leave(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            seen.running.pop()
            seen.note(name, drop_weights(module, output))

        return hook

    handles = []
    for name, module in network.named_modules():
        if name and not isinstance(module, torch.jit.ScriptModule):
            handles.append(module.register_forward_pre_hook(enter(name)))
            handles.append(module.register_forward_hook(leave(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _find_attention(network: nn.Module, seen: _Seen, name: str) -> str:
    """Return the attention of torch that used a layer's weights without calling it, or nothing."""
    parent = name.partition(":")[0].rpartition(".")[0]
    used = parent in seen.calls and name not in seen.calls
    return (
        parent if used and isinstance(network.get_submodule(parent), nn.MultiheadAttention) else ""
    )


def _leave_out_repeated(seen: _Seen, network: nn.Module) -> None:
    """Leave out layers that hand on the output of another; a block stays rather than its last."""
    blocks = set(find_blocks(network))
    first: dict[tuple[int, int], str] = {}
    for label, (tensor, version) in seen.outputs.items():
        other = first.setdefault((id(tensor), version), label)
        if other == label:
            continue
        if label.partition(":")[0] in blocks and other.partition(":")[0] not in blocks:
            label, other = other, label
            first[id(tensor), version] = other
        seen.left_out[label] = f"same output as {other}"
        del seen.shapes[label]


def _refuse_compiled(network: nn.Module) -> None:
    """Refuse networks whose layers cannot be observed, and say what can be given instead."""
    kind = type(network).__name__
    if kind == "OptimizedModule":
        raise ValueError(
            "The network was compiled by torch.compile, which runs past what is observed; give the "
            "module that it was made of: network._orig_mod."
        )
    if isinstance(network, nn.DataParallel) and network.device_ids:
        raise ValueError(
            "The network is in DataParallel, which divides the stimuli; give network.module."
        )
    if isinstance(network, torch.jit.ScriptModule):
        raise ValueError(
            "The network is TorchScript, compiled code whose layers cannot be observed; give the "
            "Python module that it was made of."
        )
    lazy = [name for name, p in network.named_parameters() if torch.nn.parameter.is_lazy(p)]
    if lazy:
        raise ValueError(
            f"The parameters {lazy[:3]} have no values before the first forward pass; run one "
            "yourself, with the seed that you mean."
        )


def _say_failure(network: nn.Module, inputs: Tensor, running: list[str], cause: Exception) -> str:
    modules = dict(network.named_modules())
    inner = [name for name in running if not is_container(modules[name])]
    where = f" in {inner[-1]!r} ({type(modules[inner[-1]]).__name__})" if inner else ""
    size = " x ".join(map(str, inputs.shape[1:]))
    remedy = "Preprocessing(size=..., crop=...) shows images at the size it was made for"
    if isinstance(cause, TypeError) and "argument" in str(cause):
        remedy = "a network of several inputs goes into a module of one, whose forward adds them"
    return (
        f"The network ({type(network).__name__}) cannot run on images of {size} (channel x y x x): "
        f"{type(cause).__name__}{where}: {cause}. If it is not the network itself, {remedy}."
    )
