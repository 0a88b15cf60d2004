"""What the page holds of all candidates: columns, front, curves, details, diagnostics."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_runs import HOSTILE, make_page, make_run

from brainguided.controllers.policy import Baseline
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.measurement import Measurement, Rung
from brainguided.journal.objectives import find_front
from brainguided.plot.rdm_figure import spread_panels
from brainguided.reports._beside import find_ceilings, find_chance_levels, say_ceiling
from brainguided.reports._candidates import tabulate_candidates, trace_incumbents
from brainguided.reports._controller import describe_controller, trace_baseline
from brainguided.reports._details import choose_details, describe_details
from brainguided.reports._figures import draw_figures
from brainguided.reports._markup import breakable, to_json
from brainguided.reports._sections import describe_cost, describe_origin
from brainguided.reports.page import build_page, collect_data
from brainguided.reports.summary import summarize_run
from brainguided.settings.noted import note_run_file
from brainguided.spaces import small_space


def read_data(page: str) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def test_hostile_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    page = make_page(tmp_path, 40).read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img src=x" not in page
    assert "<!--" not in page
    data = read_data(page)
    assert data["details"]["19"]["logs"][0]["text"].endswith(f"{HOSTILE}\n")  # itself, as text
    assert HOSTILE in next(one for one in data["columns"] if one["key"] == "reason")["texts"]


def test_json_in_a_page_ends_no_element_and_stays_what_it_was() -> None:
    text = "</ScRiPt><!--]]>&amp;\u2028\u2029"
    written = to_json({text: [text, None, 0.5]})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {text: [text, None, 0.5]}
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))  # which no browser reads


def test_names_are_broken_after_dots_and_underscores_alone() -> None:
    assert breakable("task.rdm_sha256<") == "task.<wbr>rdm_<wbr>sha256&lt;"


@pytest.mark.parametrize("number", [1000])
def test_a_page_of_many_candidates_stays_small(tmp_path: Path, number: int) -> None:
    page = make_page(tmp_path, number)
    assert page.stat().st_size < 8e6
    data = read_data(page.read_text(encoding="utf-8"))
    assert all(len(one.get("values", one.get("codes"))) == number for one in data["columns"])


def test_details_keep_to_their_budget_and_the_best_come_first(tmp_path: Path) -> None:
    run = make_run(200)
    details = describe_details(run.results, run.timings, tmp_path, budget=200_000)
    assert len(json.dumps(details)) < 210_000
    assert 20 < len(details) < 200
    front = {str(candidate) for candidate in find_front(run.results)}
    best = max(run.results, key=lambda result: result.reward)
    assert front | {str(best.candidate), "19"} <= details.keys()


def test_every_section_is_there(tmp_path: Path) -> None:
    page = make_page(tmp_path, 40).read_text(encoding="utf-8")
    titles = re.findall(r'<h2 id="([^"]*)">', page)
    assert titles == re.findall(r'<li><a href="#([^"]*)">', page)
    assert {"winner", "candidates", "controller", "failures", "cost", "to-do-it-again"} <= {*titles}
    for text in ("SHA-256 of the settings", "share of the time", "noise ceiling", "by chance"):
        assert text in page


def attempt(candidate: int, p: float, tg: float | None, size: int, **more: object) -> Attempt:
    return Attempt(candidate, 1, "", "", 0, "done", performance=p, guidance=tg, reward=p,
                   n_parameters=size, **more)  # fmt: skip


def test_the_front_is_what_none_exceeds() -> None:
    generator = np.random.default_rng(1)
    rows = [
        (float(p), float(tg), int(n))
        for p, tg, n in generator.integers(0, 12, size=(300, 3)).tolist()
    ]
    results = [attempt(k, *row) for k, row in enumerate(rows)]

    def exceeds(a: tuple, b: tuple) -> bool:
        better = a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2]
        return better and a != b

    wanted = {k for k, row in enumerate(rows) if not any(exceeds(other, row) for other in rows)}
    assert find_front(results) == wanted
    assert find_front([attempt(0, 0.5, None, 9), attempt(1, 0.4, None, 9)]) == {0}
    assert find_front([attempt(0, 0.5, 0.1, 9, duplicate_of=3)]) == find_front([]) == set()


def test_who_was_stopped_early_does_not_compete_with_finishers() -> None:
    early = attempt(0, 0.5, 0.1, 9, reason=STOPPED)
    assert find_front([early, attempt(1, 0.4, 0.1, 9)]) == {1}


def test_the_report_of_several_objectives_shows_their_front(tmp_path: Path) -> None:
    run = make_run(30)
    run.config["controller"] = {"name": "optuna", "objectives": ["performance", "-parameters<"]}
    for result in run.results:
        result.measurement.statistics["parameters<"] = result.n_parameters
    front = find_front(run.results, ("performance", "-parameters<"))
    assert 1 < len(front) < 20
    assert front == {int(k) for k in run.dataset["candidate"][run.dataset["front"].values]}
    drawn = draw_figures(tmp_path, run.dataset, None, run.config)
    assert [*drawn.images] == ["search", "front"], drawn.remarks
    page = build_page(run, tmp_path, drawn, collect_data(run, tmp_path, drawn))
    assert "all objectives of the search: performance, \N{MINUS SIGN}parameters&lt;" in page
    (column,) = (one for one in read_data(page)["columns"] if one["key"] == "front")
    ringed = {k for k, code in enumerate(column["codes"]) if column["texts"][code] == "front"}
    assert ringed == front
    said = summarize_run(run, tmp_path)
    assert f"{len(front)} candidates on the Pareto front of performance, -parameters<: " in said


def test_a_reward_of_nothing_stands_between_gain_and_loss(tmp_path: Path) -> None:
    rewards = dict(enumerate((0.5, -1.0, 0.0, None)))
    results = [
        replace(attempt(k, 0.5, 0.1, 9, duplicate_of=8), reward=r) for k, r in rewards.items()
    ]
    assert [r.candidate for r in choose_details(results)] == [0, 2, 1, 3]


def test_the_command_of_a_search_has_its_run_file_and_its_seed(tmp_path: Path) -> None:
    folder = tmp_path / "my runs" / "first"
    note_run_file(tmp_path / "RUN.toml", folder)
    page = describe_origin(folder, {"controller": {"seed": 7}}, [])
    (command,) = re.findall("brainguided search [^<]*", unescape(page))
    given = shlex.split(command)[2:]
    assert (folder / given[0]).resolve() == Path(given[0]).resolve() == tmp_path / "RUN.toml"
    assert given[1:] == ["--out", str(folder), "--seed", "7"]
    assert "search RUN.toml --out" in describe_origin(tmp_path, {}, [])
    assert "2 runs were merged" in describe_origin(tmp_path, {"merged": [{}, {}]}, [])


def test_incumbents_have_ever_more_reward_and_hold_controls() -> None:
    run = make_run(100)
    found = trace_incumbents(run.results)
    rewards = [one["values"]["reward"] for one in found]
    assert all(a < b for a, b in pairwise(rewards))
    best = max((r for r in run.results if r.outcome == "done"), key=lambda result: result.reward)
    assert found[-1]["candidate"] == best.candidate
    assert {"P", "TG", "IT", "IT:pixels"} <= found[-1]["values"].keys()


def test_what_is_not_finite_or_not_there_is_none_in_the_table() -> None:
    columns = tabulate_candidates([attempt(0, float("nan"), None, 5)], {})
    values = {one["key"]: one.get("values") for one in columns}
    assert values["P"] == values["seconds"] == [None]
    assert "TG" not in values


def test_the_baseline_is_that_of_the_policy() -> None:
    rewards = np.random.default_rng(0).normal(size=(6, 4))
    events = [("tell", {"candidates": [0] * 4, "rewards": row.tolist()}) for row in rewards]
    baseline, wanted = Baseline(0.7), []
    for row in rewards:
        baseline.compute_advantages(row)
        wanted.append(baseline.mean)
    found = trace_baseline({"controller": {"baseline_decay": 0.7, "batch_size": 4}}, events)
    assert [told for told, _ in found] == [4, 8, 12, 16, 20, 24]
    assert [mean for _, mean in found] == pytest.approx(wanted, abs=1e-5)
    assert trace_baseline({"controller": {"name": "random"}}, events) == []


def test_a_controller_that_settles_has_less_entropy_and_its_preference_is_named() -> None:
    space = small_space(3)
    generator = np.random.default_rng(0)
    asked = [space.sample(generator).to_json() for _ in range(100)]
    asked += [space.sample(5).to_json()] * 100
    events = [("ask", {"first_candidate": 0, "architectures": asked})]
    found = describe_controller({"space": space.describe()}, events)
    first, last = found["entropy"][0], found["entropy"][-1]
    assert last["bits"] == 0
    assert first["bits"] > 0.8 * first["uniform"]
    assert all(row["last"] == 1 for row in found["preferences"])
    few = describe_controller({"space": space.describe()}, [])
    assert "0 candidates were proposed" in few["said"]
    assert "could not be read" in describe_controller({"space": {"kind": "?"}}, events)["said"]
    assert "their own pages" in describe_controller({"merged": [{}, {}]}, [])["said"]


def test_chance_levels_of_shuffles_stand_beside_areas_and_tg() -> None:
    drawn = {"best": [k / 100 for k in range(100)], "committed": []}
    rung = Rung(1, similarity={"V4": {"a": 0.4}, "IT": {"a": 0.2}},
                shuffles={"V4": drawn, "IT": drawn})  # fmt: skip
    winner = replace(attempt(0, 0.5, 0.3, 9), measurement=Measurement(("V4", "IT"), (rung,)))
    levels, said = find_chance_levels(winner, {}, {})
    assert levels == pytest.approx(dict.fromkeys(("V4", "IT", "TG"), 0.9405))
    assert "measured in the search" in said


def test_tg_has_a_ceiling_where_every_area_has_one() -> None:
    winner = make_run(2).results[0]
    one = {"sites": 3, "ceiling": 0.8, "ceiling_usable": True}
    known = {"V4": one, "IT": {**one, "ceiling": 0.6}}
    assert find_ceilings(winner, known) == pytest.approx({"V4": 0.8, "IT": 0.6, "TG": 0.7})
    assert find_ceilings(winner, {"V4": one, "IT": {**one, "ceiling_usable": False}}) == {"V4": 0.8}


def test_ceilings_are_said_with_the_reason_where_there_is_none() -> None:
    known = {"sites": 3, "ceiling": 0.8, "ceiling_usable": True, "ceiling_interval": [0.7, 0.9]}
    assert say_ceiling(known) == "0.800 (0.700 to 0.900)"
    assert "not reliably" in say_ceiling({**known, "ceiling_usable": False, "reliability": 0.1})
    assert "without recording" in say_ceiling({"sites": None})
    assert say_ceiling(None) == "not noted"
    assert "for RDMs alone" in say_ceiling({"sites": 3})
    assert say_ceiling({"sites": 3, "ceiling_says": "2 stimuli\nare few"}) == (
        "none: 2 stimuli are few"
    )
    unknown = {"sites": 3, "ceiling": None, "reliability": None, "ceiling_usable": False}
    assert "repeated often enough" in say_ceiling(unknown)


def test_no_group_of_rdms_ends_in_a_lone_panel() -> None:
    for number in range(2, 40):
        columns, (rows,) = spread_panels([number])
        assert columns <= 6
        assert rows == 1 or number - columns * (rows - 1) >= min(columns, 2)


def test_hosts_are_busy_as_long_as_their_evaluations_ran() -> None:
    run = make_run(10)
    said = describe_cost(run.timings, run.sessions, run.examples)
    assert "<td>22%</td>" in said  # 10 of 2 s in the 92 s from the first start to the last end
    assert "6,400" in said
