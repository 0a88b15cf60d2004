"""Architectures are frozen data with one canonical JSON."""

from __future__ import annotations

import json
import pickle

import pytest

from brainguided.architectures import Architecture, ConvLayer, PlainArchitecture
from brainguided.spaces import small_space, zoph2017_space

TWO = PlainArchitecture((ConvLayer(3, 1, 16), ConvLayer(5, 5, 32, stride=2, pool="max")))


def test_the_json_is_one_sorted_line_without_spaces():
    assert TWO.to_json() == (
        '{"kind":"plain","layers":['
        '{"filters":16,"inputs":[0],"kernel_height":3,"kernel_width":1,"pool":"none","stride":1},'
        '{"filters":32,"inputs":[1],"kernel_height":5,"kernel_width":5,"pool":"max","stride":2}]}'
    )


@pytest.mark.parametrize("space", [small_space(), zoph2017_space(skips=True)], ids=str)
def test_any_architecture_survives_json_and_pickle(space):
    for seed in range(30):
        architecture = space.sample(seed)
        again = Architecture.from_json(architecture.to_json())
        assert again == architecture
        assert again.to_json() == architecture.to_json()
        assert again.key == architecture.key
        assert pickle.loads(pickle.dumps(architecture)) == architecture


def test_keys_differ_where_architectures_do():
    keys = {small_space().sample(seed).key for seed in range(200)}
    assert len(keys) == 200
    assert all(len(key) == 64 for key in keys)


def test_spaces_and_key_order_in_json_do_not_matter_for_the_key():
    data = json.loads(TWO.to_json())
    data["layers"] = [dict(reversed(layer.items())) for layer in data["layers"]]
    assert Architecture.from_json(json.dumps(data, indent=2)).key == TWO.key


def test_empty_inputs_mean_the_layer_before():
    written_out = (ConvLayer(3, 1, 16, inputs=(0,)), ConvLayer(5, 5, 32, 2, "max", inputs=(1,)))
    assert PlainArchitecture(written_out) == TWO
    assert PlainArchitecture(written_out).key == TWO.key


def test_outputs_are_the_layers_that_feed_nothing():
    layers = tuple(ConvLayer(3, 3, 8, inputs=inputs) for inputs in [(0,), (0,), (1,), (1, 3)])
    assert PlainArchitecture(layers).outputs == (2, 4)


def test_a_layer_lists_all_its_problems_at_once():
    with pytest.raises(ValueError) as caught:
        ConvLayer(2, 0, True, stride=-1, pool="sum", inputs=(2, 1))
    text = str(caught.value)
    for part in ("kernel_height is 2", "kernel_width is 0", "filters is True", "stride is -1"):
        assert part in text
    assert "pool is 'sum', expected one of none, max, avg" in text
    assert "inputs is (2, 1), expected ascending" in text


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "no layers"),
        ((ConvLayer(3, 3, 8, inputs=(1,)),), "layer 1: fed by layer 1, expected only 0 to 0"),
        ([ConvLayer(3, 3, 8)], "expects a tuple of ConvLayer"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        PlainArchitecture(layers)


def test_foreign_json_lists_all_its_problems_at_once():
    data = json.loads(TWO.to_json())
    data["name"] = "x"
    del data["layers"][0]["pool"]
    data["layers"][0]["filters"] = 1.5
    data["layers"][1]["dilation"] = 2
    data["layers"][1]["inputs"] = [5]
    with pytest.raises(ValueError) as caught:
        Architecture.from_json(json.dumps(data))
    text = str(caught.value)
    for part in (
        "unknown key 'name'",
        "layer 1: missing key 'pool'",
        "layer 1: filters is 1.5",
        "layer 2: unknown key 'dilation'",
        "layer 2: fed by layer 5",
    ):
        assert part in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        "null",
        '{"kind":"plain"}',
        '{"kind":"plain","layers":[]}',
        '{"kind":"plain","layers":{}}',
        '{"kind":"plain","layers":[1]}',
        TWO.to_json().replace('"kind"', '"kind":"plain","kind"'),
        TWO.to_json().replace("[0]", "0"),
        TWO.to_json().replace("[0]", "[]"),
        TWO.to_json().replace('"none"', '["none"]'),
    ],
)
def test_what_is_not_the_json_of_an_architecture_is_refused(text):
    with pytest.raises(ValueError, match="Not the JSON of an architecture"):
        Architecture.from_json(text)
