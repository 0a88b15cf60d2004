"""Hooks that hand over the outputs of layers during a forward pass, and are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Enough(Exception):
    """Raised to stop a forward pass early."""


@contextmanager
def observe_layers(
    network: nn.Module,
    layers: Sequence[str],
    consume: Callable[[str, Tensor], None],
    *,
    n_stimuli: int,
) -> Iterator[dict[str, int]]:
    """Hand each layer's output to `consume` while forward passes run in the ``with`` block.

    The network is in evaluation mode inside the block, and afterwards as it was before.

    Parameters
    ----------
    network : torch.nn.Module
    layers : sequence of str
        As from ``layers.select_layers``. A module used more than once in one forward pass is
        reported as ``name``, ``name:2``, ``name:3``.
    consume : callable
        Called with the name and the output (stimulus, ...).
    n_stimuli : int
        In one forward pass; an output whose first dimension differs is refused.

    Yields
    ------
    dict of str to int
        How often each module was called; to be cleared between forward passes.

    Raises
    ------
    ValueError
        If a layer is no module of the network, was not used, or returns no tensor over stimuli.
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

    def observe(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            call = calls[name]
            if not wanted[name] & {0, call}:
                return
            label = name if call == 1 else f"{name}:{call}"
            reached.update((name, label, f"{name}:{call}"))
            consume(label, _get_tensor(output, label, n_stimuli))

        return hook

    was_training = {module: module.training for module in network.modules()}
    handles = [modules[name].register_forward_hook(observe(name)) for name in wanted]
    try:
        network.eval()
        yield calls
        silent = [layer for layer in layers if layer not in reached]
        if silent:
            raise ValueError(f"The forward pass did not use the layers {silent}; leave them out.")
    except Enough:
        pass
    finally:
        for module, training in was_training.items():
            module.training = training
        for handle in handles:
            handle.remove()


def _get_tensor(output: Any, layer: str, n_stimuli: int) -> Tensor:
    """Return the tensor that a layer returns, the first of several."""
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(first, Tensor):
        raise ValueError(
            f"Layer {layer!r} returns {type(first).__name__}, not a tensor; choose a layer inside "
            "it or around it."
        )
    if first.ndim == 0 or len(first) != n_stimuli:
        raise ValueError(
            f"Layer {layer!r} returns a tensor of shape {tuple(first.shape)} for {n_stimuli} "
            "stimuli; its first dimension is expected to be the stimuli. Leave this layer out, or "
            "build the network with the stimuli first (batch_first)."
        )
    return first
