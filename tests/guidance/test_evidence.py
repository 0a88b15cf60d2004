"""Planted teachers: nothing but labels, blocks or pixels, or more; the right control is named."""

import numpy as np
import pytest

from brainguided import Teacher
from brainguided.guidance._control_parts import replace_vector
from brainguided.guidance._rdm_family import Orders, RDMFamily
from brainguided.guidance.controls import (
    blocks_control,
    categories_control,
    make_controls,
    pixels_control,
)
from brainguided.guidance.evidence import Comparison, Evidence, weigh_evidence
from brainguided.guidance.scoring import Shuffles
from brainguided.guidance.target import Target, find_halved
from brainguided.journal.means import average_best, average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.rdms.distances import standardise
from brainguided.rdms.halves import draw_halves, score_committed, weigh_pairs
from neural_data import simulate_macaque, simulate_objects

KINDS = ("categories", "blocks", "pixels")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    recording, stimuli = simulate_macaque(simulate_objects(2, seed=0), repetitions=4, n_v4=0)
    return Teacher.from_recording(recording, stimuli, by="object_name")


def plant(teacher: Teacher, vector: np.ndarray) -> Teacher:
    target = teacher.targets[0]
    return Teacher((Target("IT", target.stimuli, replace_vector(target, vector), target.by),))


def search(teacher: Teacher, seed: int = 0) -> list[Measurement]:
    """Return candidates that resemble the area the more, the better they classify."""
    controls = make_controls(teacher, [{"kind": "shuffled"}, *({"kind": k} for k in KINDS)])
    targets = [*teacher, *(c for c in controls if isinstance(c, Target))]
    shuffles = [c for c in controls if isinstance(c, Shuffles)]
    units = find_halved(targets[0])
    first = draw_halves(units, 4, 0)
    halves = [(half, weigh_pairs(units, half)) for half in np.concatenate([first, ~first])]
    family = RDMFamily([t.vector for t in targets], None, halves, [Orders([0], shuffles[0].orders)])
    generator = np.random.default_rng(seed)
    made = []
    for performance in np.linspace(0.2, 0.6, 16):
        noise = standardise(generator.standard_normal((3, len(targets[0].vector))))
        scores = family.score(performance * targets[0].vector + 0.5 * noise)

        def commit(halves: np.ndarray) -> np.ndarray:
            return score_committed(halves.reshape(2, 4, *halves.shape[1:]))

        names = [t.area for t in targets]
        drawn = [float(commit(halves)[0]) for halves in scores.shuffled_halves[0]]
        rung = Rung(
            50, performance=float(performance),
            similarity={n: {f"layer{k}": float(v) for k, v in enumerate(scores.whole[:, i])}
                        for i, n in enumerate(names)},
            committed=dict(zip(names, commit(scores.halves).tolist(), strict=True)),
            shuffles={"IT": {"committed": drawn, "best": drawn}},
        )  # fmt: skip
        made.append(Measurement(("IT",), (rung,)))
    return made


@pytest.mark.parametrize(
    ("make", "right"),
    [(categories_control, "categories"), (blocks_control, "blocks"), (pixels_control, "pixels")],
)
def test_a_teacher_that_is_its_control_is_said_to_be(teacher, make, right) -> None:
    planted = plant(teacher, make(teacher, "IT").rdm.dissimilarities[0])
    candidates = search(planted)
    found = weigh_evidence(candidates[-1], candidates)["IT"]
    assert right in found.winner.not_exceeded
    assert right in found.correlation.not_exceeded
    also = {"blocks"} if right == "categories" else set()  # labels are blocks too
    assert set(found.winner.not_exceeded) <= {right} | also
    assert found.winner.exceeds_shuffles
    assert f"does not exceed {found.winner.not_exceeded[0]}" in found.sentence
    assert "exceeds 95 % of 20 shuffles (100%)" in found.sentence


def test_a_mixture_exceeds_all_of_its_parts(teacher) -> None:
    generator = np.random.default_rng(3)
    parts = [make(teacher, "IT").vector for make in (categories_control, pixels_control)]
    own = standardise(generator.standard_normal(len(parts[0])))
    candidates = search(plant(teacher, np.sum([*parts, 1.2 * own], axis=0)))
    found = weigh_evidence(candidates[-1], candidates)["IT"]
    assert set(found.winner.exceeded) == set(KINDS)
    assert found.winner.not_exceeded == ()
    assert "does not exceed" not in found.sentence.split(" Over ")[0]


def test_a_winner_like_any_other_does_not_exceed_the_shuffles(teacher) -> None:
    generator = np.random.default_rng(4)
    rung = Rung(
        50, performance=0.5, similarity={"IT": {"layer1": 0.1}}, committed={"IT": 0.01},
        shuffles={"IT": {"committed": generator.normal(0, 0.05, 20).tolist()}},
    )  # fmt: skip
    winner = Measurement(("IT",), (rung,))
    found = weigh_evidence(winner, [winner])["IT"]
    assert found.winner.exceeds_shuffles is False
    assert "does not exceed 95 % of 20 shuffles" in found.sentence
    assert "Over" not in found.sentence


def test_without_controls_the_sentence_says_so_and_dead_winners_are_named() -> None:
    rung = Rung(5, performance=0.5, similarity={"V4": {"layer1": 0.1}, "IT": {"layer1": None}})
    winner = Measurement(("V4", "IT"), (rung,))
    found = weigh_evidence(winner, [winner])
    assert found["V4"].sentence.endswith("(0.100, best layer) was compared with no control.")
    assert found["IT"].sentence == "IT: the winner has no similarity that is defined."


def test_shuffles_within_categories_are_a_control_of_their_own() -> None:
    rung = Rung(
        5, performance=0.5, similarity={"IT": {"layer1": 0.3}}, committed={"IT": 0.3},
        shuffles={"IT:shuffled-within-category": {"committed": np.linspace(0.2, 0.4, 21).tolist()}},
    )  # fmt: skip
    winner = Measurement(("IT",), (rung,))
    sentence = weigh_evidence(winner, [winner])["IT"].sentence
    assert sentence.endswith("does not exceed 95 % of shuffles within category (0.390).")


def test_a_control_without_a_number_is_neither_exceeded_nor_not() -> None:
    comparison = Comparison(0.3, {"pixels": None, "blocks": 0.1, "gabor": 0.5}, (0.1, 0.2))
    assert comparison.exceeded == ("blocks",)
    assert comparison.not_exceeded == ("gabor",)
    assert comparison.not_compared == ("pixels",)
    said = Evidence("IT", "committed", comparison, Comparison(None, {}), 1).sentence
    assert said.endswith(
        "exceeds blocks (0.100), but does not exceed gabor (0.500), but could not be compared "
        "with pixels (undefined) or shuffles (2 defined, 20 needed)."
    )
    unknown = Comparison(None, {"pixels": 0.2, "blocks": None})
    assert unknown.exceeded == unknown.not_exceeded == ()
    assert unknown.not_compared == ("pixels", "blocks")


def test_a_dead_control_is_said_not_to_have_been_compared() -> None:
    similarity = {"IT": {"layer1": 0.3}, "IT:pixels": {"layer1": None}}
    rung = Rung(5, performance=0.5, similarity=similarity, committed={"IT": 0.3, "IT:pixels": None})
    winner = Measurement(("IT",), (rung,))
    sentence = weigh_evidence(winner, [winner])["IT"].sentence
    assert sentence.endswith("committed) could not be compared with pixels (undefined).")
    assert "exceed" not in sentence


def test_a_correlation_over_those_not_stopped_is_said_to_be_biased(teacher) -> None:
    candidates = search(teacher)
    early = Measurement(("IT",), (Rung(10, performance=0.1, similarity={"IT": {"layer1": 0.0}}),))
    found = weigh_evidence(candidates[-1], [*candidates, early, early])["IT"]
    assert (found.candidates, found.stopped) == (16, 2)
    assert "Over 16 candidates (2 more were stopped early: those left were" in found.sentence
    assert "stopped" not in weigh_evidence(candidates[-1], candidates)["IT"].sentence


def measure_null(generator: np.random.Generator, shuffles: int = 99) -> Measurement:
    """Return what nothing but chance makes, of three seeds: the area is one shuffle of many."""
    drawn = generator.normal(size=(3, shuffles + 1, 8))  # seed, shuffle, layer
    repeats = tuple(
        Repeat(
            seed,
            (
                Rung(
                    50,
                    performance=0.5,
                    similarity={"IT": {f"layer{k}": v for k, v in enumerate(each[0].tolist())}},
                    shuffles={"IT": {"best": each[1:].max(1).tolist()}},
                ),
            ),
        )
        for seed, each in enumerate(drawn)
    )
    return average_repeats(Measurement(("IT",), repeats=repeats))


def test_of_several_seeds_an_area_without_signal_exceeds_its_shuffles_in_5_of_100() -> None:
    """The best of the mean layers does in less than 1."""
    generator = np.random.default_rng(4)
    passed = beside = 0
    for _ in range(500):
        found = weigh_evidence(winner := measure_null(generator), [])["IT"]
        assert found.kind == "best layer with each seed"
        passed += bool(found.winner.exceeds_shuffles)
        mean_layers = Comparison(winner.best("IT")[1], {}, found.winner.shuffles)
        beside += bool(mean_layers.exceeds_shuffles)
    assert 10 <= passed <= 40  # 25, with a standard deviation of 4.9
    assert beside < 5


def test_the_best_layer_of_one_seed_is_its_own_mean() -> None:
    rung = Rung(5, similarity={"IT": {"layer1": 0.3, "layer2": 0.4}, "IT:dead": {"layer1": None}})
    measured = Measurement(("IT",), (rung,))
    assert [average_best(measured, name) for name in ("IT", "TG", "IT:dead")] == [0.4, 0.4, None]
    dead = Rung(5, similarity={"IT": {"layer1": None, "layer2": None}, "IT:dead": {"layer1": None}})
    both = average_repeats(Measurement(("IT",), repeats=(Repeat(1, (rung,)), Repeat(2, (dead,)))))
    assert [average_best(both, name) for name in ("IT", "TG", "IT:dead")] == [0.2, 0.2, None]
