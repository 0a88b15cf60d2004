"""From a run file with controls and held-out data to the sentences of the report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from brainguided.__main__ import main
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.reports.evidence import describe_evidence, tabulate_targets
from brainguided.settings.run_file import load_run
from brainguided.settings.toml import RunFileError

RUN = """
seed = 1
candidates = 3
[space]
preset = "small"
max_depth = 2
[task]
n_train = 64
n_validation = 64
steps = 2
batch_size = 16
[heldout]
stimuli = 0.25
[[teacher]]
simulated = true
areas = ["IT"]
by = "object_name"
[[control]]
kind = "shuffled"
[[control]]
kind = "categories"
[[control]]
kind = "pixels"
"""


@pytest.mark.slow
def test_a_report_says_what_controls_explain_and_what_was_held_out(tmp_path, capsys) -> None:
    file, out = tmp_path / "run.toml", tmp_path / "run"
    file.write_text(RUN)
    assert main(["search", str(file), "--out", str(out)]) == 0
    with Journal.read(out) as journal:
        rung = journal.results()[0].measurement.rungs[-1]
    assert set(rung.similarity) == {"IT", "IT:categories", "IT:pixels"}
    assert len(rung.shuffles["IT"]["committed"]) == 20
    assert main(["finalists", str(out), "--steps", "2", "--top", "2"]) == 0
    assert "IT:heldout, which no reward used: similarity of the winner" in capsys.readouterr().out
    stored = json.loads((out / "finalists" / "heldout.json").read_text())
    assert len(stored["finalists"]) == 2
    assert main(["report", str(out)]) == 0
    said = capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert '<th scope="row">IT:pixels</th>' in page
    for text in (said, page):
        assert "IT: the winner's similarity" in text.replace("&#x27;", "'")
        assert "categories" in text
        assert "IT:heldout, which no reward used" in text


def test_areas_and_controls_stand_side_by_side() -> None:
    rung = Rung(
        5, performance=0.5, committed={"V4": 0.1, "V4:pixels": None},
        similarity={
            "V4": {"a": 0.1, "b": 0.2}, "IT": {"a": None}, "V4:pixels": {"a": 0.3, "b": 0.1}
        },
    )  # fmt: skip
    winner = Winner(Measurement(("V4", "IT"), (rung,)))
    assert tabulate_targets(winner) == [
        ["IT", "none", "", ""], ["V4", "b", "0.200", "0.100"], ["V4:pixels", "a", "0.300", ""]
    ]  # fmt: skip
    assert tabulate_targets(Winner(Measurement())) == tabulate_targets(None) == []


class Winner:
    def __init__(self, measurement: Measurement) -> None:
        self.measurement = measurement


def test_what_cannot_be_held_out_is_refused(tmp_path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(RUN.replace("stimuli = 0.25", 'stimuli = "few"\nstimulus = 1'))
    with pytest.raises(RunFileError) as caught:
        load_run(file)
    assert "[heldout] stimuli is 'few', expected a finite number" in str(caught.value)
    assert "'stimulus' is unknown; did you mean 'stimuli'" in str(caught.value)
    file.write_text(RUN.replace("stimuli = 0.25", 'areas = ["IT"]'))
    with pytest.raises(RunFileError, match="none is left to guide"):
        load_run(file)


def test_early_stopping_does_not_choose_whom_the_correlation_is_over() -> None:
    """Accuracy and similarity are independent; their sum decides who is trained to the end."""
    generator = np.random.default_rng(0)
    results, free = [], []
    for candidate in range(400):
        performance, similarity = generator.random(2)
        is_free = candidate < 24 or candidate % 10 == 0
        goes_on = is_free or performance + similarity > 1.0
        free += [(performance, similarity)] if is_free else []
        values = {"IT": {"layer1": similarity}, "IT:pixels": {"layer1": 0.1}}
        rungs = [Rung(step, performance=performance, similarity=values) for step in (10, 50)]
        shown = Measurement(("IT",), tuple(rungs[: 2 if goes_on else 1]))
        results.append(Attempt(candidate, 1, "", "", 0, "done", measurement=shown))
    winner = results[0]
    (kept,) = describe_evidence(winner, results, {"task": {"keep": 0.33}})
    text = f"Over {len(free)} candidates that were trained to the end whatever their reward"
    assert text in kept
    assert _read_correlation(kept) == pytest.approx(spearmanr(free).statistic, abs=0.006)
    (merged,) = describe_evidence(winner, results, {"task": {"keep": 0.33}, "merged": []})
    assert "more were stopped early" in merged
    assert _read_correlation(merged) < -0.3


def _read_correlation(sentence: str) -> float:
    return float(sentence.partition("similarity with accuracy (")[2].partition(")")[0])
