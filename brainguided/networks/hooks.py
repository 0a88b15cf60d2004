"""Hooks that hand over the outputs of layers during a forward pass, and are always removed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Enough(Exception):
    """Raised to stop a forward pass of which nothing more is needed."""


@contextmanager
def at_rest(network: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode, without gradients, while the ``with`` block lasts.

    Afterwards every module is in the mode in which it was, and torch's random state is what it
    was. Transformer layers run module by module, never fused, so that all can be observed.
    """
    was_training = {module: module.training for module in network.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    cards = {p.device.index for p in network.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(cards)), torch.no_grad():
        try:
            network.eval()
            torch.backends.mha.set_fastpath_enabled(False)
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            for module, training in was_training.items():
                module.training = training


@contextmanager
def observe_layers(
    network: nn.Module,
    layers: Sequence[str],
    consume: Callable[[str, Tensor], None],
    *,
    n_stimuli: int,
    tokens: str = "all",
) -> Iterator[dict[str, int]]:
    """Hand each layer's output to `consume` while forward passes run in the ``with`` block.

    The network is in evaluation mode and without gradients inside the block, and afterwards as
    it was before (see `at_rest`).

    Parameters
    ----------
    network : torch.nn.Module
    layers : sequence of str
        As from ``layers.select_layers``. A module used more than once in one forward pass is
        reported as ``name``, ``name:2``, ``name:3``.
    consume : callable
        Called with the name and the output (stimulus, ...); of a tuple or mapping, the first
        tensor over stimuli.
    n_stimuli : int
        In one forward pass; an output whose first dimension differs is refused.
    tokens : {"all", "class", "mean"}
        What is taken of outputs (stimulus, token, feature); see ``layers.Observation``.

    Yields
    ------
    dict of str to int
        How often each module was called; to be cleared between forward passes.

    Raises
    ------
    ValueError
        If a layer is no module of the network, was not called, or returns no tensor over stimuli.
    """
    modules = dict(network.named_modules())
    calls: dict[str, int] = {}
    wanted: dict[str, set[int]] = {}
    for layer in layers:
        name, _, call = layer.partition(":")
        wanted.setdefault(name, set()).add(int(call or 0))
    unknown = [name for name in wanted if name not in modules]
    if unknown:
        known = [name for name in modules if name]
        raise ValueError(f"The network has no layers {unknown}; it has {known}.")
    reached: set[str] = set()

    def observe(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            call = calls[name]
            if not wanted[name] & {0, call}:
                return
            label = name if call == 1 else f"{name}:{call}"
            reached.update((name, label, f"{name}:{call}"))
            tensor = take_tensor(drop_weights(module, output), label, n_stimuli)
            consume(label, reduce_tokens(tensor, tokens))

        return hook

    handles = [modules[name].register_forward_hook(observe(name)) for name in wanted]
    try:
        with at_rest(network):
            yield calls
        silent = [layer for layer in layers if layer not in reached]
        if silent:
            raise ValueError(f"The forward pass did not call the layers {silent}; leave them out.")
    except Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()


def show_images(network: nn.Module, inputs: Tensor) -> Any:
    """Run a network on images: as ``pixel_values`` where its forward pass names them so."""
    if "pixel_values" in inspect.signature(network.forward).parameters:
        return network(pixel_values=inputs)
    return network(inputs)


def drop_weights(module: nn.Module, output: Any) -> Any:
    """Return a module's output; of torch's attention without the weights that it also returns.

    With tokens first, these are the only part over stimuli, and would pass for its output.
    """
    attends = isinstance(module, nn.MultiheadAttention) and isinstance(output, tuple)
    return output[0] if attends else output


def take_tensor(output: Any, layer: str, n_stimuli: int) -> Tensor:
    """Return the tensor that a layer returns: of a tuple or mapping, the first over stimuli.

    Raises
    ------
    ValueError
        If there is none, or it holds complex numbers.
    """
    parts = list(output.values()) if isinstance(output, Mapping) else output
    parts = list(parts) if isinstance(parts, (tuple, list)) else [parts]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if any(tensor.is_complex() for tensor in tensors):
        raise ValueError(
            f"Layer {layer!r} returns complex numbers; choose a layer around it that makes real "
            "ones of them."
        )
    for tensor in tensors:
        if tensor.ndim and len(tensor) == n_stimuli:
            if tensor.is_complex():
                raise ValueError(
                    f"Layer {layer!r} returns {tensor.dtype}; real numbers were expected. Choose a "
                    "layer behind it, or one that returns real and imaginary parts."
                )
            return tensor
    if not tensors:
        raise ValueError(
            f"Layer {layer!r} returns {type(output).__name__}, not a tensor; choose a layer inside "
            "it or around it."
        )
    raise ValueError(
        f"Layer {layer!r} returns a tensor of shape {tuple(tensors[0].shape)} for {n_stimuli} "
        f"stimuli; its first dimension is expected to be the stimuli. Leave this layer out "
        f"({'!' + layer!r}), or build the network with the stimuli first (batch_first)."
    )


def reduce_tokens(output: Tensor, tokens: str) -> Tensor:
    """Return the class token or the mean over tokens of an output (stimulus, token, feature)."""
    if tokens == "all" or output.ndim != 3:
        return output
    return output[:, 0] if tokens == "class" else output.mean(1)
