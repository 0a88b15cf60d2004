"""Accuracies are said with that of guessing."""

from __future__ import annotations

import numpy as np
import pytest

from brainguided.journal.chance import find_chance, say_accuracy


def settings(classes=8, validation=640):
    return {"task": {"images": {"classes": classes, "validation": validation}}}


def test_chance_is_one_over_the_number_of_classes():
    assert find_chance(settings(8)) == 0.125
    assert find_chance(settings(100)) == 0.01


@pytest.mark.parametrize("config", [None, {}, {"task": None}, {"task": {"images": 3}}])
def test_without_classes_there_is_no_chance(config):
    assert find_chance(config) is None
    assert say_accuracy(0.25, config) == "0.2500"


def test_an_accuracy_near_chance_is_said_to_be_no_better():
    assert say_accuracy(0.14, settings()) == "0.1400 (chance 0.125: no better than guessing)"
    assert say_accuracy(0.173, settings()) == "0.1730 (chance 0.125)"
    assert say_accuracy(0.1, settings(1000, 50)).endswith("(chance 0.001)")
    assert say_accuracy(None, settings()) == "none"


def test_guessing_is_taken_for_better_than_guessing_in_5_of_100_cases():
    guessed = np.random.default_rng(0).binomial(640, 1 / 8, 4000) / 640
    better = np.mean(["no better" not in say_accuracy(p, settings()) for p in guessed])
    assert 0.03 < better < 0.05
