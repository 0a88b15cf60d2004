import json
import math

import pytest

from brainguided.journal.measurement import Measurement, Repeat, Rung

LAYERS = {"layer1": 0.1, "layer2": None, "layer3": 0.3, "layer10": 0.3}


def made() -> Measurement:
    first = Rung(
        0,
        performance=0.1,
        cross_entropy=2.3,
        similarity={"V4": {**LAYERS, "layer1": 0.9}, "V4:pixels": LAYERS, "IT": LAYERS},
        committed={"V4": 0.7, "V4:pixels": 1 / 3, "IT": None},
    )
    last = Rung(
        50,
        performance=0.5,
        cross_entropy=1.2,
        examples=6400,
        similarity={"V4": LAYERS, "V4:pixels": LAYERS, "IT": dict.fromkeys(LAYERS)},
        committed={"V4": 0.25, "V4:pixels": 1 / 3, "IT": None},
        shuffles={"V4": {"best": [0.01, None], "committed": [1 / 3, 0.0]}},
    )
    return Measurement(
        ("V4", "IT"),
        (first, last),
        {"parameters": 1000.0, "synflow": None},
        (2.0, 1.0),
        (Repeat(7, (first, last), (2.0, 1.0)),),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("performance", 0.5),
        ("performance@0", 0.1),
        ("cross_entropy@50", 1.2),
        ("loss_sum", 3.0),
        ("loss_sum@0", 0.0),
        ("V4", 0.3),
        ("V4@0", 0.9),
        ("V4@layer1", 0.1),
        ("V4@layer1@0", 0.9),
        ("V4@layer2", None),
        ("V4:pixels", 0.3),
        ("IT", None),
        ("TG", 0.15),
        ("TG@0", 0.6),
        ("committed V4", 0.25),
        ("committed V4@0", 0.7),
        ("committed TG@0", 0.35),
        ("parameters", 1000.0),
        ("log_parameters", math.log(1000.0)),
        ("log_synflow", None),
    ],
)
def test_a_name_reads_its_number(name, value):
    assert made().value(name) == value


@pytest.mark.parametrize(
    "name",
    [
        "V1",
        "V4@25",
        "V4@layer9",
        "V4@layer1@25",
        "performance@layer1",
        "log_depth",
        "heldout IT",
        "",
    ],
)
def test_an_unknown_name_lists_those_that_there_are(name):
    with pytest.raises(ValueError, match=r"parameters, synflow, performance.*\[0, 50\]"):
        made().value(name)


def test_the_best_layer_is_the_shallowest_of_equals():
    assert made().best("V4") == ("layer3", 0.3)
    assert made().best("IT") is None
    assert made().guidance() == 0.15
    assert Measurement(rungs=(Rung(0, 0.1),)).guidance() is None
    with pytest.raises(ValueError, match=r"at step 25, only at \[0, 50\]"):
        made().rung(25)


def test_a_target_whose_name_holds_an_at_sign_is_read_as_it_stands():
    rung = Rung(0, similarity={"V4": {"a": 0.1}, "V4@left": {"a": 0.2}})
    measurement = Measurement(("V4", "V4@left"), (rung,))
    assert measurement.value("V4@left") == 0.2
    assert measurement.value("V4@left@a@0") == 0.2
    assert measurement.value("V4@a") == 0.1


def test_a_measurement_comes_back_from_json_with_its_areas_exact():
    found = Measurement.from_dict(json.loads(json.dumps(made().to_dict())))
    exact = made()
    third = round(1 / 3, 6)
    assert found.rung().committed == {"V4": 0.25, "V4:pixels": third, "IT": None}
    assert found.rung().shuffles["V4"]["committed"] == [third, 0.0]
    assert list(found.rung().similarity["V4"]) == list(LAYERS)
    assert found.rung(0).similarity == exact.rung(0).similarity
    assert found.statistics == exact.statistics
    assert found.repeats[0].seed == 7
    again = Measurement.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found


def test_journals_of_before_that_name_what_no_reward_uses_are_read():
    data = made().to_dict()
    before = {**data, "rungs": [{**rung, "heldout": {}} for rung in data["rungs"]]}
    assert "heldout" not in data["rungs"][0]
    assert Measurement.from_dict(before) == Measurement.from_dict(data)


def test_similarities_of_areas_are_not_rounded_and_targets_may_differ_in_layers():
    rung = Rung(0, similarity={"V4": {"a": 1 / 3}, "IT": {"b": 2 / 3}, "IT:pixels": {"a": 1 / 3}})
    found = Measurement.from_dict(Measurement(("V4", "IT"), (rung,)).to_dict())
    assert found.rung().similarity == {
        "V4": {"a": 1 / 3},
        "IT": {"b": 2 / 3},
        "IT:pixels": {"a": 0.333333},
    }


def test_a_measurement_without_rungs_has_statistics_alone():
    measurement = Measurement(statistics={"depth": 3.0})
    assert measurement.names() == ["depth"]
    assert measurement.targets == ()
    assert measurement.value("log_depth") == math.log(3)
