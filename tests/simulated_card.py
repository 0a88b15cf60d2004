"""A device that shares no memory with the CPU, simulated: moves are real, sums are the CPU's.

Under its mode, what is moved to "meta" becomes a tensor of another kind; an operation on tensors
here and there fails as on a GPU, and so does numpy's view of one that was not moved back.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from brainguided.candidates.training import Training

DEVICE = torch.device("meta")  # the one device beside the CPU that every torch has


class OnCard(torch.Tensor):
    """A tensor on the card; `held` has its numbers."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on a card that is not there")


class SimulatedCard(TorchDispatchMode):
    """Inside the block there is a card; `here` and `there` name what ran on the CPU and on it."""

    def __init__(self) -> None:
        super().__init__()
        self.here: list[str] = []
        self.there: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        cards = {id(t.held): t for t in tensors if isinstance(t, OnCard)}
        if "device" in kwargs and kwargs["device"] is not None:
            on_card = torch.device(kwargs["device"]) == DEVICE
            kwargs["device"] = torch.device("cpu")
        else:
            on_card = bool(cards)
            if cards and any(t.ndim and not isinstance(t, OnCard) for t in tensors):
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        (self.there if on_card else self.here).append(str(func))
        found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if not on_card:
            return found

        def lift(value):
            if not isinstance(value, torch.Tensor):
                return value
            return cards[id(value)] if id(value) in cards else OnCard(value)  # changed in place

        return tree_map(lift, found)


def _held(value):
    return value.held if isinstance(value, OnCard) else value


def on_card(training: Training) -> Training:
    """Return settings with the card as their device, which no run file can name."""
    changed = replace(training)
    object.__setattr__(changed, "device", DEVICE.type)
    return changed
