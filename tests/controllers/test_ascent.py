"""The steps on the weights of a policy."""

from __future__ import annotations

import json

import pytest
import torch

from brainguided import PPO, Reinforce
from brainguided.controllers._ascent import Ascent
from brainguided.spaces import small_space


def make_weights() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(3, 37, generator=generator)),
        torch.nn.Parameter(torch.randn(5, generator=generator)),
        torch.nn.Parameter(torch.randn(4, generator=generator)),
        torch.nn.Parameter(torch.randn(2, generator=generator)),  # never has a gradient
    ]


def objective_of(weights: list[torch.nn.Parameter], step: int) -> torch.Tensor:
    terms = ((weight * (step + 1)).sin().sum() for weight in weights[:3])
    return sum(terms, torch.zeros(()))


def test_ascent_takes_the_steps_of_torchs_adam_and_sgd_to_the_bit() -> None:
    ours, theirs = make_weights(), make_weights()
    ascent = Ascent([*ours[:2], ours[3]], 0.006, [ours[2]], 0.5)
    optimizers = [
        torch.optim.Adam([*theirs[:2], theirs[3]], lr=0.006, fused=True),
        torch.optim.SGD([theirs[2]], lr=0.5),
    ]
    for step in range(30):
        if step == 10:  # goes on from what was saved, as JSON
            saved = json.loads(json.dumps(ascent.save()))
            ascent = Ascent([*ours[:2], ours[3]], 0.006, [ours[2]], 0.5)
            ascent.restore(saved)
        ascent.climb(objective_of(ours, step))
        for optimizer in optimizers:
            optimizer.zero_grad()
        (-objective_of(theirs, step)).backward()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], make_weights()[0])


@pytest.mark.parametrize("controller", [Reinforce, PPO])
def test_policies_learn_without_torchs_compiler(controller, monkeypatch) -> None:
    """The first optimizer that is made loads it, and 35 MiB with it."""

    def refuse(*given: object) -> None:
        raise AssertionError("an optimizer of torch was made")

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", refuse)
    search = controller(small_space(3), seed=0)
    before = [one.clone() for one in search._policy.parameters()]
    proposals = search.ask(8)
    search.tell(proposals, [proposal.depth / 10 for proposal in proposals])
    assert not all(map(torch.equal, before, search._policy.parameters()))
