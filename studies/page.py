"""Write the numbers of docs/explanation/does_the_brain_help.md, between its markers.

    python studies/page.py

from the table that ships. Every verdict is "cannot be told yet" until parts a to c are complete:
this script does not judge, and `primary.py` is run once, by hand, when there are four weight seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

import numpy as np
import xarray as xr
from figures import CHANGE, CONTROLS, compute_correlations, list_areas, say_counts

from brainguided.replays.benchmark import POOLS, list_pools, load_benchmark

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "does_the_brain_help.md"
REPLAYS = Path(__file__).parents[1] / "brainguided" / "replays"
SITES = {"V4": 89, "V4-WE": 36}  # recorded at the same time
YET = "cannot be told yet"
# claim, the paper's figure, (score, rung) of ours, or where they stand, what would change it
CLAIMS = (
    (
        "After a short training P says little of mature accuracy",
        "r = .10 at 200 steps, .36 at 500, .70 at 1,000 (116 networks)",
        (("P", 100), ("P", 200)),
        "four weight seeds; part c, whose networks mature themselves",
    ),
    (
        "P + TG says more than P",
        ".15, .61 and .83 at the same steps (teacher: a trained network)",
        (("P + TG", 100), ("P + TG", 200)),
        "part b with four seeds, part e with such a teacher; it has to exceed shuffles",
    ),
    (
        "Similarity to V4 and IT says something of mature accuracy that P and counts do not",
        "no figure; 296 sites of V4 and IT",
        (("committed V4", 100), ("committed IT", 100)),
        "the primary test: rank among 1,000 shuffles, four weight seeds",
    ),
    (
        "V4 and IT together guide better than either",
        "no figure of either alone",
        (("TG", 100), ("V4", 100), ("IT", 100)),
        "as above",
    ),
    (
        "A search with P + TG finds better networks than one with P",
        "error 38.3 against 41.0 % (3 runs), 32.5 against 34.4 % (recordings, 1 run)",
        "[Searches replayed](#searches-replayed)",
        "replays on all 132 networks with four weight seeds, and on all 6,040 (part a)",
    ),
    (
        "It does so with a tenth of the examples",
        "an order of magnitude",
        "[Examples](#examples-until-a-good-network-is-found)",
        "replays: examples at which the median regret of the best of five falls below .5",
    ),
    (
        "Some 300 sites suffice",
        "296 sites, no curve over sites",
        (("V4", 100), ("V4:sites-30", 100), ("V4:sites-10", 100)),
        "300 sites of V4 and IT with the same images are not public; 10 and 30 sites of V4, a "
        "sampled network and a simulated macaque stand in (part b)",
    ),
    (
        "It is the brain, and not what any teacher would give",
        "no control",
        (("V4:pixels", 100), ("V4:gabor", 100), ("IT:categories", 100), ("IT:network", 100)),
        "areas against shuffles, categories, blocks, pixels, Gabor energy, a trained network",
    ),
    ("Error on ImageNet; cost of SAGENet", "32.5 % top-1; 225 million images", None, "not tested"),
)


def main() -> None:
    """Fill every section of the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="(%(default)s)")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args()
    found = compute_correlations(load_benchmark(), draws=arguments.draws)
    text = arguments.page.read_text("utf-8")
    sections = {
        "counts": write_counts(),
        "correlations": write_correlations(found),
        "change": write_change(found),
        "sites": write_sites(found),
        "claims": write_claims(found),
        "sheet": write_sheet(),
    }
    for name, section in sections.items():
        text = fill(text, name, section)
    arguments.page.write_text(text, encoding="utf-8")
    print(f"{arguments.page}: {say_counts(found)}")


def fill(text: str, name: str, section: str) -> str:
    """Return a page with a section between its markers."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"The page has no place for {name!r}: {begin} ... {end}, once each.")
    pattern = f"(?s){re.escape(begin)}.*?{re.escape(end)}"
    return re.sub(pattern, lambda _: f"{begin}\n{section.strip()}\n{end}", text)


def write_counts() -> str:
    """Say how much of each pool there is."""
    lines = ["| pool | measured | networks | weight seeds of each | steps |", "|---" * 5 + "|"]
    for pool in POOLS:
        if pool not in list_pools():
            lines.append(f"| {pool} | nothing yet | 0 | | |")
            continue
        one = load_benchmark(pool)
        times = (one["weight_seed"] >= 0).sum("seed").values
        seeds = " to ".join(dict.fromkeys(map(str, (times.min(), times.max()))))
        steps = ", ".join(map(str, one["rung"].values.tolist()))
        state = "" if one.attrs["state"] == "complete" else " (**partial**)"
        said = f"{one.attrs['counts']}{state}"
        lines.append(f"| {pool} | {said} | {one.sizes['network']} | {seeds} | {steps} |")
    return "\n".join(lines)


def write_correlations(found: xr.Dataset) -> str:
    """Return the rank correlations of P, areas, TG and controls with mature accuracy, by rung."""
    rungs = found["rung"].values.tolist()
    head = " | ".join(f"{rung} steps" for rung in rungs)
    lines = [
        f"Rank correlation with mature accuracy, {say_counts(found)}; in brackets 95 % intervals "
        "of a bootstrap over networks, which are no evidence for the brain; below each area what "
        "95 % of its own shuffles lie between.",
        "",
        f"| | {head} |",
        "|---" * (len(rungs) + 1) + "|",
    ]
    areas = [*list_areas(found), "TG"]
    for name in ("P", "validation loss", "P + TG"):
        lines.append(f"| {name} | {' | '.join(_say(found, name, rung) for rung in rungs)} |")
    for area in areas:
        for name in (area, f"committed {area}"):
            cells = [_say(found, name, rung) for rung in rungs]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            lines.append(_say_band(found, name, rungs))
    for area in areas:
        for kind in CONTROLS:
            if (name := f"{area}:{kind}") in found["score"].values:
                cells = [_number(float(found["value"].sel(score=name, rung=r))) for r in rungs]
                lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "Without training:", "", "| | rank correlation |", "|---|---|"]
    for name in found["statistic"].values.tolist():
        one = found.sel(statistic=name)
        low, high = _number(float(one["free_lower"])), _number(float(one["free_upper"]))
        lines.append(f"| {name} | {_number(float(one['free']))} ({low} .. {high}) |")
    for name, text in (
        ("by_rung", "Rank correlation with mature accuracy by training steps, one panel an area"),
        ("alpha", "Gain of P + alpha TG over P, by alpha and training steps"),
        ("rivals", "Rank correlations of all scores at the last step"),
    ):
        lines += ["", f"![{text}](study/{name}.png)"]
    return "\n".join(lines)


def write_change(found: xr.Dataset) -> str:
    """Return the rank correlations of what similarity gained since the untrained network."""
    rungs = [rung for rung in found["rung"].values.tolist() if rung]
    lines = [
        f"Rank correlation of the change since step 0 with mature accuracy, {say_counts(found)}; "
        "brackets and shuffles as above.",
        "",
        f"| | {' | '.join(f'{rung} steps' for rung in rungs)} |",
        "|---" * (len(rungs) + 1) + "|",
    ]
    for area in list_areas(found):
        for name in (f"{area}{CHANGE}", f"committed {area}{CHANGE}"):
            cells = [_say(found, name, rung) for rung in rungs]
            lines.append(f"| {name.removesuffix(CHANGE)} | {' | '.join(cells)} |")
            lines.append(_say_band(found, name, rungs))
    return "\n".join(lines)


def write_sites(found: xr.Dataset) -> str:
    """Return the rank correlations of areas of which a part of the sites was kept."""
    rungs = found["rung"].values.tolist()
    lines = [
        f"Rank correlation with mature accuracy when fewer sites had been recorded, "
        f"{say_counts(found)}.",
        "",
        f"| | {' | '.join(f'{rung} steps' for rung in rungs)} |",
        "|---" * (len(rungs) + 1) + "|",
    ]
    for area, number in SITES.items():
        for kept in (number, 30, 10):
            name = area if kept == number else f"{area}:sites-{kept}"
            if name in found["score"].values:
                for prefix in ("", "committed "):
                    cells = [_say(found, f"{prefix}{name}", rung) for rung in rungs]
                    lines.append(f"| {prefix}{area}, {kept} sites | {' | '.join(cells)} |")
    return "\n".join(lines)


def _say_band(found: xr.Dataset, name: str, rungs: list[int]) -> str:
    """Return a row with what 95 % of an area's shuffles lie between."""
    drawn = [found["shuffled"].sel(brain=name, rung=rung).values for rung in rungs]
    bands = [" .. ".join(map(_number, np.quantile(one, (0.025, 0.975)))) for one in drawn]
    return f"| *its shuffles* | {' | '.join(bands)} |"


def write_claims(found: xr.Dataset) -> str:
    """Return the table of the paper's claims, none of which this script judges."""
    ours = f"ours, so far ({say_counts(found)})"
    lines = [
        f"| claim | the paper's figure | {ours} | verdict | what would change it |",
        "|---|---|---|---|---|",
    ]
    for claim, figure, shown, change in CLAIMS:
        said = "not measured yet"
        if change == "not tested":
            said = "not tested"
        elif isinstance(shown, str):
            said = shown
        elif shown is not None:
            said = "; ".join(
                f"{name} at {rung} steps {_say(found, name, rung)}"
                for name, rung in shown
                if name in found["score"].values and rung in found["rung"].values
            )
        verdict = "cannot be told" if change == "not tested" else YET
        lines.append(f"| {claim} | {figure} | {said} | {verdict} | {change} |")
    return "\n".join(lines)


def write_sheet() -> str:
    """Return what only the files can say: size, hash, versions, rounding."""
    lines = ["| file | size | SHA-256 | made with | rounding |", "|---|---|---|---|---|"]
    for pool in list_pools():
        path = REPLAYS / f"benchmark_{pool}.nc"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        one = load_benchmark(pool)
        size = f"{path.stat().st_size / 2**20:.2f} MiB"
        made, rounding = one.attrs["made_with"], one.attrs["rounding"]
        lines.append(f"| `{path.name}` | {size} | `{digest}` | {made} | {rounding} |")
    return "\n".join(lines)


def say_value(value: float, low: float, high: float) -> str:
    """Return a correlation and its interval, as .25 (-.10 .. .41)."""
    value, low, high = (_number(float(one)) for one in (value, low, high))
    return f"{value} ({low} .. {high})"


def _say(found: xr.Dataset, name: str, rung: int) -> str:
    one = found.sel(score=name, rung=rung)
    return say_value(*(one[v] for v in ("value", "lower", "upper")))


def _number(value: float) -> str:
    """Return a correlation with two decimals, as .25 or -.30."""
    if not np.isfinite(value):
        return "none"
    text = re.sub(r"^(-?)0\.", r"\1.", f"{value:.2f}")
    return ".00" if text == "-.00" else text


if __name__ == "__main__":
    main()
