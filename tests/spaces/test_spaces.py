"""A search space is a fixed sequence of decisions; legal sequences and architectures match."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.spaces import PlainSpace, small_space, zoph2017_space

TINY = PlainSpace(
    "tiny", 3, (1, 3), (1,), (4,), strides=(1, 2), pools=("none", "max"), max_downsampling=4
)
TINY_SKIPS = PlainSpace("tiny skips", 3, (1, 3), (1,), (4,), skips=True)
ALL = [
    small_space(),
    small_space(20),
    zoph2017_space(),
    zoph2017_space(20, strides=(1, 2, 3)),
    zoph2017_space(skips=True),
    TINY,
    TINY_SKIPS,
]
named = pytest.mark.parametrize("space", ALL, ids=lambda space: f"{space.name} {space.skips}")


def legal_sequences(space):
    """Walk the whole tree of decisions through the masks."""
    prefixes = [()]
    for _ in space.decisions:
        prefixes = [
            (*prefix, action)
            for prefix in prefixes
            for action, legal in enumerate(space.legal(prefix))
            if legal
        ]
    return prefixes


@named
def test_decoding_inverts_encoding(space):
    generator = np.random.default_rng(0)
    for _ in range(50):
        actions = space.sample_actions(generator)
        architecture = space.decode(actions)
        assert space.encode(architecture) == actions
        assert space.decode(space.encode(architecture)) == architecture


@pytest.mark.parametrize("space", [TINY, TINY_SKIPS], ids=["tiny", "skips"])
def test_the_number_of_architectures_is_exact(space):
    sequences = legal_sequences(space)
    keys = {space.decode(sequence).key for sequence in sequences}
    assert len(keys) == len(sequences) == space.n_architectures


@pytest.mark.parametrize("space", [TINY, TINY_SKIPS], ids=["tiny", "skips"])
def test_the_masks_allow_exactly_what_decodes(space):
    allowed = set(legal_sequences(space))
    sizes = [range(len(decision.options)) for decision in space.decisions]
    for sequence in product(*sizes):
        if sequence in allowed:
            space.decode(sequence)
        else:
            with pytest.raises(ValueError, match="is not legal"):
                space.decode(sequence)


def test_the_published_space_has_its_known_size():
    # 4 heights x 4 widths x 4 filters a layer
    assert zoph2017_space(1).n_architectures == 64
    assert zoph2017_space(2).n_architectures == 64 + 64**2
    assert zoph2017_space(2, skips=True).n_architectures == 64 + 2 * 64**2
    assert isinstance(zoph2017_space(20).n_architectures, int)


@named
def test_the_sequence_of_decisions_is_depth_then_the_layers(space):
    names = [decision.name for decision in space.decisions]
    assert names[0] == "depth"
    assert names[1:6] == [
        f"layer1.{kind}" for kind in ("kernel_height", "kernel_width", "filters", "stride", "pool")
    ]
    assert len(set(names)) == len(names)
    assert ("layer3.from_layer2" in names) == space.skips


@named
def test_layers_beyond_the_depth_have_only_the_first_option(space):
    actions = list(space.sample_actions(1))
    actions[0] = 0
    first_layer_ends = next(
        place for place, d in enumerate(space.decisions) if d.name.startswith("layer2.")
    )
    mask = space.legal(actions[:first_layer_ends])
    assert mask == (True,) + (False,) * (len(mask) - 1)


def test_the_depth_is_drawn_uniformly():
    space, generator = small_space(), np.random.default_rng(0)
    depths = Counter(space.sample(generator).depth for _ in range(3000))
    assert set(depths) == set(range(1, 11))
    assert chisquare(list(depths.values())).pvalue > 1e-3


def test_options_are_drawn_uniformly_where_nothing_is_masked():
    space, generator = zoph2017_space(strides=(1, 2, 3)), np.random.default_rng(1)
    layers = [space.sample(generator).layers[0] for _ in range(3000)]
    for kind in ("kernel_height", "kernel_width", "filters", "stride"):
        counts = Counter(getattr(layer, kind) for layer in layers)
        assert chisquare(list(counts.values())).pvalue > 1e-3, kind


def test_without_skips_every_layer_is_fed_by_the_one_before():
    architecture = small_space().sample(3)
    assert [layer.inputs for layer in architecture.layers] == [
        (number,) for number in range(architecture.depth)
    ]


def test_with_skips_a_layer_without_inputs_is_fed_by_the_image():
    space = zoph2017_space(3, skips=True)
    layers = tuple(ConvLayer(3, 3, 24, inputs=inputs) for inputs in [(0,), (0,), (1, 2)])
    architecture = PlainArchitecture(layers)
    assert space.decode(space.encode(architecture)) == architecture


def test_the_small_space_never_makes_32_pixels_smaller_than_4():
    space, generator = small_space(), np.random.default_rng(2)
    smallest = set()
    for _ in range(500):
        size = 32
        for layer in space.sample(generator).layers:
            size = -(-size // layer.stride)
            size = size if layer.pool == "none" else -(-size // 2)
        smallest.add(size)
    assert min(smallest) == 4
    assert max(smallest) > 4


def test_the_same_seed_draws_the_same_architecture():
    assert small_space().sample(5) == small_space().sample(5)
    assert small_space().sample(5) != small_space().sample(6)


def test_an_architecture_from_elsewhere_is_refused_with_every_reason():
    foreign = PlainArchitecture(
        (ConvLayer(7, 1, 8), ConvLayer(1, 1, 9, inputs=(0, 1)), *[ConvLayer(1, 1, 8)] * 2)
    )
    with pytest.raises(ValueError) as caught:
        small_space(3).encode(foreign)
    text = str(caught.value)
    assert "it has 4 layers, at most 3 here" in text
    assert "layer1.kernel_height is 7, options are (1, 3, 5)" in text
    assert "layer2.filters is 9" in text
    assert "layer 2 is fed by (0, 1), only by (1,) here" in text


def test_too_much_downsampling_is_refused():
    deep = PlainArchitecture((ConvLayer(1, 1, 8, stride=2, pool="max"),) * 2)
    with pytest.raises(ValueError, match="it downsamples by 16, at most 8"):
        small_space().encode(deep)


def test_image_and_layers_together_are_refused_with_skips():
    mixed = PlainArchitecture((ConvLayer(3, 3, 24), ConvLayer(3, 3, 24, inputs=(0, 1))))
    with pytest.raises(ValueError, match="the image feeds only layers with no other input"):
        zoph2017_space(skips=True).encode(mixed)


def test_sequences_of_the_wrong_length_are_refused():
    space = small_space(2)
    with pytest.raises(ValueError, match="3 actions were given"):
        space.decode((0, 0, 0))
    with pytest.raises(ValueError, match="none is left"):
        space.legal((0,) * len(space.decisions))


def test_an_impossible_space_is_refused_with_every_reason():
    with pytest.raises(ValueError) as caught:
        replace(
            small_space(),
            max_depth=0,
            kernel_heights=(2,),
            filters=(8, 8),
            strides=(2, 1),
            pools=("sum",),
        )
    text = str(caught.value)
    for part in ("max_depth is 0", "kernel_heights is (2,)", "filters is (8, 8), which repeats"):
        assert part in text
    for part in ("pools is ('sum',)", "strides is (2, 1), has to begin with 1"):
        assert part in text


def test_the_description_is_plain_and_tells_spaces_apart():
    import json

    texts = {json.dumps(space.describe()) for space in ALL}
    assert len(texts) == len(ALL)
