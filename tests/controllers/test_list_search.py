"""Enumeration: what is listed comes once, in its order, and nothing else."""

from __future__ import annotations

import pytest

from brainguided.controllers import Limits, ListSearch
from brainguided.spaces import nasbench201_space, pnas_space, small_space

FEW = ("none", "skip_connect", "nor_conv_3x3")


def test_a_subspace_of_the_benchmark_is_gone_through_whole():
    space = nasbench201_space(operations=FEW)
    controller = ListSearch(space)
    met = []
    while found := controller.ask(50):
        met += found
        controller.tell(found, [0.0] * len(found))
    assert len({architecture.canonical_key for architecture in met}) == len(met) == 132
    assert {a.canonical_key for a in space.enumerate()} == {a.canonical_key for a in met}


def test_isomorphic_architectures_come_too_unless_they_are_unique():
    assert len(ListSearch(nasbench201_space(operations=FEW), unique=False).ask(1000)) == 729


def test_a_list_is_taken_in_its_order_in_any_notation():
    space = nasbench201_space()
    texts = ["333333", space.parse("301211").to_json(), "|nor_conv_1x1~0|+|none~0|none~1|+"
             "|none~0|none~1|skip_connect~2|"]  # fmt: skip
    found = ListSearch(space, architectures=texts).ask(10)
    assert [a.to_text() for a in found] == [space.parse(text).to_text() for text in texts]


def test_a_random_order_is_that_of_the_seed_and_of_the_same_architectures():
    space = small_space(2)
    first, again, other = (ListSearch(space, shuffle=True, seed=s).ask(8) for s in (1, 1, 2))
    assert first == again != other
    whole = ListSearch(space, shuffle=True, seed=1).ask(10**4)
    assert {a.key for a in whole} <= {a.key for a in space.enumerate()}
    assert whole != ListSearch(space).ask(10**4)


def test_a_controller_goes_on_from_its_saved_state():
    space = nasbench201_space(operations=FEW)
    controller, again = ListSearch(space), ListSearch(space)
    controller.tell(found := controller.ask(5), [0.1] * len(found))
    again.restore_state(controller.save_state())
    assert again.ask(4) == controller.ask(4)


def test_limits_leave_out_what_is_larger():
    space = nasbench201_space(n_cells=1, filters=4, operations=FEW)
    limits = Limits(max_parameters=6000)
    found = ListSearch(space, limits=limits).ask(1000)
    whole = ListSearch(space).ask(1000)
    assert 0 < len(found) < len(whole)
    assert found == [a for a in whole if limits.admit(a)]


def test_a_list_goes_on_however_many_in_a_row_are_too_large():
    space = nasbench201_space(n_cells=1, filters=4, operations=("none", "nor_conv_3x3"))
    large, small = space.parse("333333"), space.parse("300000")
    limits = Limits(max_parameters=small.count_parameters(10))
    named = [large] * 60 + [small]
    assert ListSearch(space, architectures=named, limits=limits).ask(1) == [small]


def test_every_architecture_that_is_not_of_the_space_is_named():
    space = nasbench201_space(operations=FEW)
    with pytest.raises(ValueError, match=r"(?s)architecture 0: .*architecture 2: .*nor_conv_1x1"):
        ListSearch(space, architectures=["nonsense", "000000", "222222"])


def test_a_space_too_large_to_list_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"more than 200000; name those .*architectures = \[...\]"):
        ListSearch(pnas_space())
