"""Samplers of Optuna: what settles goes on with what is new."""

from __future__ import annotations

import pytest

from brainguided.controllers import tpe
from brainguided.spaces import nasbench201_space

pytest.importorskip("optuna")


def test_a_sampler_that_has_settled_is_asked_once_for_each_candidate() -> None:
    operations = ("skip_connect", "nor_conv_3x3", "avg_pool_3x3")
    controller = tpe(nasbench201_space(n_cells=1, filters=4, operations=operations), seed=0)
    networks = set()
    for _ in range(10):
        proposals = controller.ask(6)
        controller.tell(proposals, [float(a.operations.count("nor_conv_3x3")) for a in proposals])
        networks |= {architecture.canonical_key for architecture in proposals}
    assert len(networks) == 60
    # Asked until it proposes something new it would come to 1,038 trials, each slower than the last
    assert len(controller._study.trials) <= 2 * 60
