"""The page as people use it: in a browser, by keyboard, at three widths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from made_runs import HOSTILE, make_page
from served_runs import record, serving

SORTED = "document.querySelector('#rows th[aria-sort=%s] button')?.textContent"
COUNT = "document.getElementById('count').textContent"
FOCUSED = "document.activeElement.dataset.key"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    one = Browser(tmp_path_factory.mktemp("browser"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_page(tmp_path_factory.mktemp("run"), 120).as_uri()


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_it_opens_without_complaint_or_request_and_fits(browser, page, width) -> None:
    browser.open(page, width=width)
    assert browser.run("document.querySelectorAll('#rows tbody tr').length") == 25
    assert browser.run("document.querySelectorAll('svg.chart').length") == 4
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requests == [page]


def test_the_number_of_a_candidate_stays_where_the_table_is_moved_aside(browser, page) -> None:
    browser.open(page, width=360)
    table = "document.querySelector('div.candidates')"
    assert browser.run(f"{table}.scrollWidth > {table}.clientWidth")
    browser.run(f"{table}.scrollLeft = 200")
    places = "['th', 'td'].map((kind) => document.querySelector(`#rows tbody ${kind}`)"
    number, outcome = browser.run(f"{places}.getBoundingClientRect().left)")
    assert number >= 0
    assert outcome < 0


def test_numbers_along_an_axis_have_the_same_decimals(browser, page) -> None:
    browser.open(page)
    chart = "document.querySelectorAll('#course text[text-anchor=end]')"
    shown = browser.run(f"[...{chart}].map((one) => one.textContent)")
    assert len(shown) > 2
    assert len({len(one.partition(".")[2]) for one in shown}) == 1


def test_hostile_names_run_nothing(browser, page) -> None:
    title = Path(page).parent.name
    browser.open(f"{page}#candidate-19")
    browser.wait("document.querySelector('.detail pre') !== null")
    assert HOSTILE in browser.run("document.querySelector('.detail pre').textContent")
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.run("document.title") == title
    assert browser.complaints == []


def test_rows_are_filtered_sorted_and_opened_by_keyboard(browser, page) -> None:
    browser.open(page)
    browser.run("document.getElementById('filter').focus()")
    browser.write("failed")
    assert browser.run(COUNT) == "6 of 120 candidates; rows 1 to 6."
    browser.run("document.getElementById('filter').select()")
    browser.write("reward > 0.5, outcome = done")
    assert "of 120 candidates; rows 1 to 25." in browser.run(COUNT)
    for _ in range(20):  # to the heading of the column of rewards
        if browser.run(FOCUSED) == "sort reward":
            break
        browser.press("Tab")
    browser.press("Enter")
    assert browser.run(SORTED % "descending").startswith("reward")
    assert browser.run(FOCUSED) == "sort reward"
    cells = "[...document.querySelectorAll('#rows tbody tr:not(.detail) td:nth-child(3)')]"
    rewards = [float(x) for x in browser.run(f"{cells}.map((c) => c.textContent)")]
    assert rewards == sorted(rewards, reverse=True)
    assert min(rewards) > 0.5
    browser.press(" ")
    assert browser.run(SORTED % "ascending").startswith("reward")
    for _ in range(30):
        if str(browser.run(FOCUSED)).startswith("row"):
            break
        browser.press("Tab")
    first = browser.run(FOCUSED)
    browser.press("ArrowDown")
    assert browser.run(FOCUSED) not in (first, None)
    browser.press("Home")
    assert browser.run(FOCUSED) == first
    browser.press("Enter")
    assert browser.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert browser.run("document.querySelectorAll('.detail svg.architecture rect').length") > 2
    for text in ("Similarity of layers", "Rungs", "Attempts", "V4:pixels", "committed"):
        assert text in browser.run("document.querySelector('tr.detail').textContent")
    browser.press("Escape")
    assert browser.run("document.querySelectorAll('tr.detail').length") == 0
    assert browser.run(FOCUSED) == first
    assert browser.complaints == []


def test_a_filter_that_cannot_be_read_says_what_there_is(browser, page) -> None:
    browser.open(page)
    browser.run("document.getElementById('filter').focus()")
    browser.write("loss < 3")
    said = browser.run("document.getElementById('problem').textContent")
    assert "There is no column \u201closs\u201d; there are candidate, outcome, reward, P" in said
    assert "120 candidates" in browser.run(COUNT)


def test_the_front_is_shown_in_the_table(browser, page) -> None:
    browser.open(page)
    browser.run("document.getElementById('front').click()")
    rings = browser.run("document.querySelectorAll('circle.ring').length")
    assert browser.run(COUNT).startswith(f"{rings} of 120 candidates")


def test_chance_and_ceiling_stand_beside_the_curves(browser, tmp_path) -> None:
    areas = [
        {"area": area, "sites": 9, "ceiling": 0.8, "ceiling_usable": True} for area in ("V4", "IT")
    ]
    (tmp_path / "teacher.json").write_text(json.dumps({"areas": areas}))
    browser.open(make_page(tmp_path, 120).as_uri())
    said = browser.run("[...document.querySelectorAll('#series label')].map((l) => l.textContent)")
    assert {"P (by chance 0.125)", "TG (ceiling 0.800)", "IT (ceiling 0.800)", "reward"} <= {*said}
    assert browser.run("document.querySelectorAll('#course line.level').length") == 1
    legend = browser.run("document.querySelector('#pareto p').textContent")
    assert legend.endswith("parameters; TG (ceiling 0.800)")
    values = [0.1, 1.2]
    drawn = (
        "(() => {const host = document.getElementById('course'); draw.course(host, {incumbents: "
        f"[{{candidate: 0, values: {{TG: {values[0]}}}}}, {{candidate: 9, values: {{TG: {values[1]}"
        "}}], rewards: [], numbers: [0, 9], series: ['TG'], shown: new Set(['TG']), levels: {TG: "
        "0.3}, ceilings: {TG: 0.8}}); return [...host.querySelectorAll('line.level, line.ceiling')]"
        ".map((line) => line.textContent)})()"
    )
    assert browser.run(drawn) == ["TG: by chance", "TG: noise ceiling"]
    assert browser.complaints == []


def test_it_prints(browser, page, tmp_path) -> None:
    browser.open(page)
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_text_is_asked_for_exactly_and_has_no_order(browser, tmp_path) -> None:
    browser.open(make_page(tmp_path, 120).as_uri())
    data = "JSON.parse(document.getElementById('data').textContent)"
    texts = f"{data}.columns.find((one) => one.key === 'layer IT')"
    layers = browser.run(f"{texts}.codes.map((k) => {texts}.texts[k])")
    assert {"layer1", "layer10"} <= {*layers}
    browser.run("document.getElementById('filter').focus()")
    browser.write("layer IT = Layer1")
    assert browser.run(COUNT).startswith(f"{layers.count('layer1')} of 120 ")
    browser.run("document.getElementById('filter').select()")
    browser.write("layer IT > layer1")
    said = browser.run("document.getElementById('problem').textContent")
    assert "holds texts, which have no order; write layer IT = layer1" in said


def test_a_live_page_follows_its_search(browser, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("brainguided.reports.live._PAUSE", 0.0)
    monkeypatch.setattr("brainguided.reports.live._SHARE", 0.0)
    record(tmp_path, 0, 5)
    with serving(tmp_path) as server:
        browser.open(server.url)
        assert "5 candidates" in browser.run(COUNT)
        browser.run("document.querySelector('#rows button.row').click()")
        browser.wait("document.querySelector('.detail svg.architecture') !== null")
        record(tmp_path, 5, 9)
        browser.wait(f"{COUNT}.startsWith('9 candidates')")
        assert browser.run("document.querySelectorAll('.detail svg.architecture').length") == 1
        assert "done 9" in browser.run("document.getElementById('status').textContent")
        lines = browser.run("document.getElementById('status').innerText.split('\\n').length")
        assert lines == len(server.watched.status.splitlines()) > 1
        assert browser.complaints == []
        place = server.url.partition("?")[0]
        assert all(one.startswith(place) and server.token in one for one in browser.requests)
        browser.open("about:blank#")
