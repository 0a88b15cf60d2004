"""Rewards are functions of a measurement, and say what is wrong with theirs."""

import math

import pytest

from brainguided.guidance.rewards import (
    FunctionReward,
    PaperReward,
    WeightedReward,
    parse_reward,
    reward_anew,
)
from brainguided.journal.attempts import Attempt
from brainguided.journal.measurement import Measurement, Rung

FIRST = Rung(0, performance=0.1, similarity={"V4": {"a": 0.5, "b": 0.2}, "IT": {"a": None}})
LAST = Rung(
    50,
    performance=0.6,
    similarity={"V4": {"a": 0.3, "b": 0.4}, "IT": {"a": 0.1, "b": None}, "IT:pixels": {"a": 0.9}},
    committed={"V4": 0.35, "IT": None},
)
MEASURED = Measurement(("V4", "IT"), (FIRST, LAST), {"parameters": 100.0, "synflow": None})


def test_the_papers_reward_is_p_and_the_mean_of_the_best_layers():
    assert PaperReward()(MEASURED) == 0.6 + (0.4 + 0.1) / 2
    assert PaperReward(alpha=0.5, rung=0)(MEASURED) == 0.1 + 0.5 * (0.5 + 0.0) / 2
    assert PaperReward(alpha=0)(MEASURED) == 0.6
    assert PaperReward()(Measurement((), (Rung(3, 0.7),))) == 0.7
    with pytest.raises(ValueError, match=r"at step 7, only at \[0, 50\]"):
        PaperReward(rung=7)(MEASURED)
    with pytest.raises(ValueError, match="alpha is nan; expected a finite number"):
        PaperReward(alpha=math.nan)


def test_a_control_earns_nothing_of_the_papers_reward():
    without = Measurement(("V4", "IT"), (FIRST, Rung(50, 0.6, similarity=dict(
        list(LAST.similarity.items())[:2]))))  # fmt: skip
    assert PaperReward()(without) == PaperReward()(MEASURED)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P", 0.6),
        ("TG", 0.25),
        ("P+TG", 0.85),
        ("P + 0.5*TG@0", 0.725),
        ("0.5*V4+.5*IT@0", 0.2),
        ("P-0.1*log_parameters", 0.6 - 0.1 * math.log(100)),
        ("P+-2*V4@a", 0.0),
        ("-1*P", -0.6),
        ("2*committed V4@50 + committed IT", 0.7),
        ("paper", 0.85),
    ],
)
def test_a_reward_can_be_written_as_a_sum(text, value):
    assert parse_reward(text)(MEASURED) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "P+", "P++TG", "2*", "P+P", "0.5", "*P"])
def test_what_is_no_sum_cannot_be_read(text):
    with pytest.raises(ValueError, match="cannot be read; expected a sum of different numbers"):
        parse_reward(text)


def test_names_that_were_not_measured_are_refused_with_those_that_were():
    with pytest.raises(ValueError, match=r"no 'V1'.*committed V4.*\[0, 50\]"):
        WeightedReward({"V1": 1.0})(MEASURED)
    with pytest.raises(ValueError, match="synflow of the candidate is undefined"):
        WeightedReward({"synflow": 1.0})(MEASURED)
    with pytest.raises(ValueError, match="terms is empty"):
        WeightedReward({})
    with pytest.raises(ValueError, match="the weight of 'V4' is 'a'"):
        WeightedReward({"V4": "a"})


def test_a_function_of_ones_own_is_given_the_measurement():
    source = "import math\ndef score(m):\n    return math.sqrt(m.value('parameters'))\n"
    reward = FunctionReward("mine.py", "score", source)
    assert reward(MEASURED) == 10.0
    assert reward.describe()["function"] == "mine.py:score"
    wrong = FunctionReward("mine.py", "score", "def score(m):\n    return 'a'\n")
    with pytest.raises(TypeError, match=r"score of mine\.py returned str; expected a number"):
        wrong(MEASURED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def score(m):\n    return 1 / (m.value('performance') - 0.5)\n", "ZeroDivisionError"),
        ("def score(m):\n    return float('nan')\n", "the reward is nan; expected a finite"),
    ],
)
def test_a_journal_is_not_rewarded_by_what_is_no_number(text: str, said: str) -> None:
    measured = Measurement((), (Rung(2, 0.5),))
    result = Attempt(7, 1, "{}", "k", 0, "done", measurement=measured)
    with pytest.raises(ValueError, match=f"Candidate 7: .*{said}"):
        reward_anew([result], FunctionReward("mine.py", "score", text))
