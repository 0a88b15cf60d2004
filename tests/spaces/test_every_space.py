"""One suite for all spaces: a new one adds a line to SPACES."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from brainguided.architectures import (
    Architecture,
    Block,
    CellArchitecture,
    ConvLayer,
    MacroArchitecture,
    MacroLayer,
    NASBench201Architecture,
    PlainArchitecture,
    RecurrentArea,
    ResidualArchitecture,
    SequenceArchitecture,
    SequenceLayer,
    Stage,
)
from brainguided.spaces import (
    CellSpace,
    RecurrentSpace,
    ResidualSpace,
    SearchSpace,
    SequenceSpace,
    enas_macro_space,
    enas_micro_space,
    kuhn2025_space,
    nasbench201_space,
    nasnet_space,
    pnas_space,
    recurrent_space,
    residual_space,
    small_space,
    zoph2017_space,
)

SPACES = {
    "small": small_space(10),
    "zoph2017": zoph2017_space(20, skips=True, strides=(1, 2, 3)),
    "pnas 1": pnas_space(n_blocks=1),
    "pnas": pnas_space(),
    "pnas 8": pnas_space(n_blocks=8, stem="imagenet", stem_cells=2),
    "nasnet": nasnet_space(),
    "pnas published": pnas_space(stack="published"),
    "nasnet published": nasnet_space(stem="imagenet", stem_cells=2, stack="published"),
    "enas micro": enas_micro_space(),
    "enas macro": enas_macro_space(),
    "nasbench201": nasbench201_space(),
    "residual": residual_space(),
    "recurrent": recurrent_space(),
    "kuhn2025": kuhn2025_space(),
}
every = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
UNMASKED = {
    name: space for name, space in SPACES.items() if name not in ("small", "zoph2017", "kuhn2025")
}
unmasked = pytest.mark.parametrize("space", UNMASKED.values(), ids=UNMASKED)


def check_round_trip(space, n):
    generator = np.random.default_rng(0)
    for _ in range(n):
        actions = space.sample_actions(generator)
        architecture = space.decode(actions)
        assert space.encode(architecture) == actions
        assert Architecture.from_json(architecture.to_json()) == architecture
        assert space.parse(architecture.to_json()) == architecture


@every
def test_random_architectures_survive_encoding_and_json(space):
    check_round_trip(space, 200)


@pytest.mark.slow
@every
def test_ten_thousand_random_architectures_survive_encoding_and_json(space):
    check_round_trip(space, 10_000)


@every
def test_every_option_of_the_first_decision_is_equally_likely(space):
    n = len(space.decisions[0].options)
    generator = np.random.default_rng(1)
    counts = Counter(space.sample_actions(generator)[0] for _ in range(150 * n))
    assert chisquare([counts[k] for k in range(n)]).pvalue > 1e-4


@every
def test_a_mutation_changes_something_legal_and_repeats_with_its_seed(space):
    for seed in range(60):
        architecture = space.sample(seed)
        mutant = space.mutate(architecture, seed)
        assert mutant != architecture
        assert space.decode(space.encode(mutant)) == mutant
        assert space.mutate(architecture, seed) == mutant


@unmasked
def test_a_mutation_changes_one_decision_and_reaches_all(space):
    changed = Counter()
    for seed in range(40 * len(space.decisions)):
        before = np.array(space.encode(space.sample(seed)))
        after = np.array(space.encode(space.mutate(space.sample(seed), seed)))
        (place,) = np.flatnonzero(before != after)
        changed[place] += 1
    assert len(changed) == len(space.decisions)


@every
def test_a_child_takes_each_decision_from_a_parent_where_that_is_legal(space):
    generator = np.random.default_rng(0)
    for seed in range(20):
        one, other = space.sample(generator), space.sample(generator)
        child = space.cross(one, other, seed)
        assert space.decode(space.encode(child)) == child
        assert space.cross(one, other, seed) == child
        assert space.cross(one, one, seed) == one
        if space.name in ("nasbench201", "residual"):  # nothing depends on another decision
            pairs = zip(*map(space.encode, (child, one, other)), strict=True)
            assert all(action in parents for action, *parents in pairs)


def test_a_sequence_has_all_its_architectures_and_no_other():
    space = kuhn2025_space(3, filters=(8, 16), max_pools=1)
    every_one = list(space.enumerate())
    assert len({a.to_json() for a in every_one}) == len(every_one) == space.n_architectures
    for architecture in every_one:
        widths = [layer.filters for layer in architecture.layers if layer.filters]
        assert widths == sorted(widths)
        assert len(architecture.layers) - len(widths) <= 1
    wrong = SequenceArchitecture((SequenceLayer("conv", 3, 16), SequenceLayer("conv", 3, 8)))
    with pytest.raises(ValueError, match=r"layer2.filters is 8 after 1 poolings, or fewer"):
        space.encode(wrong)


def test_layers_that_a_mutation_adds_are_drawn():
    space = small_space(4)
    one = PlainArchitecture((ConvLayer(1, 1, 8),))
    grown = [space.mutate(one, seed) for seed in range(400)]
    grown = [architecture for architecture in grown if architecture.depth == 4]
    assert len({layer.filters for a in grown for layer in a.layers[1:]}) == 4


@unmasked
def test_neighbours_differ_in_one_decision_and_are_all_there(space):
    architecture = space.sample(3)
    before = np.array(space.encode(architecture))
    found = [np.array(space.encode(neighbour)) for neighbour in space.neighbours(architecture)]
    assert all((other != before).sum() == 1 for other in found)
    assert len({tuple(other) for other in found}) == len(found)
    assert len(found) == sum(len(decision.options) - 1 for decision in space.decisions)


@every
def test_neighbours_are_in_the_space(space):
    for neighbour in space.neighbours(space.sample(1)):
        assert space.decode(space.encode(neighbour)) == neighbour


@every
def test_the_description_gives_the_space_back(space):
    description = json.loads(json.dumps(space.describe()))
    assert SearchSpace.from_description(description) == space


def test_a_description_that_is_none_is_refused():
    with pytest.raises(ValueError, match="kind of a space is 'nonsense'"):
        SearchSpace.from_description({"kind": "nonsense"})
    with pytest.raises(ValueError, match="Not the description"):
        SearchSpace.from_description({"kind": "cell", "flavour": 1})


@every
def test_architectures_of_another_space_are_refused(space):
    other = nasbench201_space(n_cells=2) if space.kind != "nasbench201" else pnas_space()
    with pytest.raises(ValueError, match="not in the space"):
        space.encode(other.sample(0))


def test_the_sizes_of_the_spaces_are_those_of_the_papers():
    assert pnas_space().n_architectures == 8**10 * 720**2  # 5.6e14
    assert nasbench201_space().n_architectures == 15_625
    assert f"{enas_macro_space().n_architectures:.1e}" == "1.6e+29"
    assert pnas_space(n_blocks=1).n_architectures == 256


def test_one_block_makes_136_different_cells():
    assert len({a.canonical_key for a in pnas_space(n_blocks=1).enumerate()}) == 136


def test_nas_bench_201_has_its_architectures_and_classes():
    architectures = list(nasbench201_space().enumerate())
    assert len({a.key for a in architectures}) == 15_625
    assert len({a.canonical for a in architectures}) == 6_466
    assert len({a.canonical_key for a in architectures}) == 6_040


def find_sizes(architectures):
    """Return the sizes of networks by their key, and numbers of parameters by their class."""
    found, classes = {}, {}
    for architecture in architectures:
        size = architecture.count_parameters(10), architecture.count_multiply_adds(32, 10)
        found.setdefault(architecture.canonical_key, set()).add(size)
        classes.setdefault(architecture.canonical, set()).add(size[0])
    return found, classes


def test_nasbench201_cells_with_the_same_key_have_the_same_network():
    cells = list(nasbench201_space(n_cells=1, filters=4).enumerate())[::10]
    found, _ = find_sizes(cells)
    assert len(found) < len(cells)
    assert all(len(sizes) == 1 for sizes in found.values())

    def key(text):
        return NASBench201Architecture.from_text(text).canonical_key

    assert key("000003") != key("000000")  # a convolution of zeros
    assert key("000004") == key("000000")  # a pooling of zeros
    assert key("301011") != key("330011")  # one convolution read twice, and two convolutions
    assert key("010001") == key("000100")  # a skip over two nodes or one


@pytest.mark.slow
def test_all_nasbench201_cells_with_the_same_key_have_the_same_network():
    """The classes of the benchmark do not: a convolution of zeros learns a shift."""
    found, classes = find_sizes(nasbench201_space(n_cells=1, filters=4).enumerate())
    assert all(len(sizes) == 1 for sizes in found.values())
    assert sum(len(sizes) > 1 for sizes in classes.values()) == 523


def renumber(blocks, order):
    """Return the same blocks in another order, inputs of every second one exchanged."""
    place = {0: 0, 1: 1} | {old + 2: new + 2 for new, old in enumerate(order)}
    moved = []
    for new, old in enumerate(order):
        b = blocks[old]
        halves = [(place[b.input1], b.operation1), (place[b.input2], b.operation2)]
        (i1, o1), (i2, o2) = halves[::-1] if new % 2 else halves
        moved.append(Block(i1, o1, i2, o2, b.combine))
    return tuple(moved)


def topological_order(blocks, generator):
    order = []
    while len(order) < len(blocks):
        ready = [
            k
            for k, b in enumerate(blocks)
            if k not in order and all(i < 2 or i - 2 in order for i in (b.input1, b.input2))
        ]
        order.append(int(generator.choice(ready)))
    return order


@pytest.mark.parametrize(
    "space", [pnas_space(), nasnet_space(), pnas_space(n_blocks=8), pnas_space(stack="published")]
)
def test_isomorphic_cells_hash_alike_and_others_do_not(space):
    generator = np.random.default_rng(0)
    for _ in range(150):
        architecture = space.sample(generator)
        order = topological_order(architecture.normal, generator)
        moved = CellArchitecture(
            renumber(architecture.normal, order),
            architecture.reduction,
            space.n_cells,
            space.filters,
            space.stem,
            space.stem_cells,
            space.stack,
        )
        assert moved.canonical_key == architecture.canonical_key
    different = {space.sample(seed).canonical_key for seed in range(300)}
    assert len(different) == 300


def test_a_block_shared_is_not_the_same_as_two_alike():
    start = Block(0, "identity", 1, "sep_conv_3x3")
    shared = (start, start, Block(2, "identity", 2, "sep_conv_3x3"))
    apart = (start, start, Block(2, "identity", 3, "sep_conv_3x3"))
    assert CellArchitecture(shared).canonical != CellArchitecture(apart).canonical


def test_cells_of_many_equal_blocks_hash_quickly():
    blocks = tuple(Block(0, "identity", 1, "identity") for _ in range(12))
    assert CellArchitecture(blocks).canonical_key == CellArchitecture(blocks[:12]).canonical_key


def test_parallel_layers_numbered_otherwise_are_the_same():
    wide, deep = ConvLayer(5, 5, 8, inputs=(0,)), ConvLayer(3, 3, 8, inputs=(0,))
    first = PlainArchitecture((wide, deep, ConvLayer(1, 1, 4, inputs=(1,))))
    second = PlainArchitecture((deep, wide, ConvLayer(1, 1, 4, inputs=(2,))))
    third = PlainArchitecture((deep, wide, ConvLayer(1, 1, 4, inputs=(1,))))
    assert first.canonical_key == second.canonical_key != third.canonical_key


def test_the_notations_of_nas_bench_201_agree():
    space = nasbench201_space()
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
    text += "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    assert space.parse("421211") == space.parse(text)
    assert space.parse(text).to_text() == text
    assert space.parse(space.parse(text).to_json()) == space.parse(text)
    for wrong in ("42121", "421215", "|none~0|", text.replace("~2", "~1"), ""):
        with pytest.raises(ValueError, match="is no NAS-Bench-201 cell"):
            space.parse(wrong)


@every
def test_json_with_other_keys_or_values_is_refused(space):
    data = json.loads(space.sample(0).to_json())
    with pytest.raises(ValueError, match="unknown key 'colour'"):
        Architecture.from_json(json.dumps({**data, "colour": 1}))
    for name in [key for key in data if key not in ("kind", "stack")]:  # "simple" is left out
        with pytest.raises(ValueError, match=f"missing key '{name}'"):
            Architecture.from_json(json.dumps({k: v for k, v in data.items() if k != name}))
        with pytest.raises(ValueError, match=r"Not "):
            Architecture.from_json(json.dumps({**data, name: 1.5}))


def test_an_unknown_kind_is_refused_with_those_known():
    with pytest.raises(ValueError, match="kind is 'graph', expected one of 'cell', 'macro'"):
        Architecture.from_json('{"kind": "graph"}')
    with pytest.raises(ValueError, match="kind is missing"):
        Architecture.from_json("{}")
    with pytest.raises(ValueError, match="kind is 'macro', expected 'cell'"):
        CellArchitecture.from_json(MacroArchitecture((MacroLayer("conv_3x3"),)).to_json())


def test_all_problems_of_an_architecture_are_listed():
    for make, parts in (
        (lambda: Block(-1, "sep_9x9", 0, "identity", "mul"), ("input1", "operation1", "combine")),
        (
            lambda: CellArchitecture((Block(0, "identity", 3, "identity"),), (), 0, 8, "vgg"),
            ("n_cells", "fed by 0 and 3", "stem is 'vgg'"),
        ),
        (lambda: CellArchitecture((), stem_cells=3), ("no block", "stem_cells is 3")),
        (lambda: NASBench201Architecture(("none",), 0), ("n_cells", "expected a tuple of 6")),
        (lambda: MacroLayer("mlp", (2, 1)), ("operation is 'mlp'", "ascending")),
        (lambda: MacroArchitecture((MacroLayer("conv_3x3", (1,)),), 0), ("filters", "earlier")),
        (lambda: Stage(0, 8, 2), ("depth is 0", "kernel is 2")),
        (lambda: ResidualArchitecture((), "dense"), ("block is 'dense'", "no stages")),
        (lambda: SequenceLayer("skip", 2), ("operation is 'skip'", "kernel is 2")),
        (lambda: SequenceLayer("max", 3, 8), ("filters is 8, expected 0 for a pooling",)),
        (lambda: SequenceArchitecture(()), ("it has no layers",)),
        (lambda: RecurrentArea(0, 4, 0, "lstm"), ("width", "kernel", "times", "recurrence")),
    ):
        with pytest.raises(ValueError) as caught:
            make()
        assert all(part in str(caught.value) for part in parts), caught.value


def test_all_problems_of_a_space_are_listed():
    for make, parts in (
        (lambda: CellSpace("x", ("identity", "identity"), 0), ("repeats an option", "n_blocks")),
        (lambda: CellSpace("x", ("skip",), stem="vgg"), ("operations has ['skip']",)),
        (lambda: pnas_space(stem="vgg"), ("stem is 'vgg'",)),
        (lambda: ResidualSpace(n_stages=0, depths=()), ("depths is ()", "n_stages is 0")),
        (lambda: SequenceSpace(max_depth=0, max_pools=-1), ("max_depth is 0", "max_pools is -1")),
        (lambda: kuhn2025_space(filters=(16, 8)), ("expected ascending",)),
        (lambda: RecurrentSpace(kernels=(2,)), ("expected odd",)),
        (lambda: nasbench201_space(n_cells=0), ("n_cells is 0",)),
        (lambda: enas_macro_space(n_layers=0), ("n_layers is 0",)),
    ):
        with pytest.raises(ValueError, match="Not a search space") as caught:
            make()
        assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    "space",
    [small_space(), zoph2017_space(5, skips=True, strides=(1, 2, 3)), pnas_space()],
    ids=["small", "skips", "pnas"],
)
def test_what_is_legal_for_many_is_what_is_legal_for_each(space):
    taken = [space.sample_actions(seed) for seed in range(40)]
    for place in range(len(space.decisions)):
        expected = [space.legal(actions[:place]) for actions in taken]
        np.testing.assert_array_equal(space.legal_rows(taken, place), expected)
