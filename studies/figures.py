"""Correlations of every score with mature accuracy, by rung, from the table that ships; figures.

    python studies/figures.py           # docs/explanation/study/*.png; works on a partial table

Rank correlations over the live networks of part b that have been measured, each number the mean
over their weight seeds. Intervals are of a bootstrap over networks, and no evidence for the brain;
the band holds 95 % of the area's own shuffles. The primary test of hypothesis.md is not made here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import expand_counts, rank_columns
from brainguided.replays._association import correlate, draw_weights, find_interval, find_regret
from brainguided.replays._out_of_fold import find_neighbours, predict_out_of_fold
from brainguided.replays.benchmark import find_space, load_benchmark

HERE = Path(__file__).parent
OUT = HERE.parent / "docs" / "explanation" / "study"
ALPHAS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # those of figure 2 of the paper
WANTED = 132
CONTROLS = ("categories", "blocks", "pixels", "gabor", "network", "untrained", "gaussian")
FREE = ("parameters", "multiply_adds", *GRAPH_COUNTS)
RIVALS = ("synflow", "naswot", "gradient_norm", "response_correlation", "effective_dimensionality")
CHANGE = " since step 0"
FEWEST = 10  # networks below which nothing is drawn


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT, help="folder (%(default)s)")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args()
    found = compute_correlations(load_benchmark(), draws=arguments.draws)
    import matplotlib

    matplotlib.use("Agg")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, plot in {"by_rung": plot_rungs, "alpha": plot_alpha, "rivals": plot_rivals}.items():
        path = arguments.out / f"{name}.png"
        plot(found).savefig(path, dpi=200)
        print(path)


def choose_pool(benchmark: xr.Dataset) -> xr.Dataset:
    """Return the live networks of part b, with the weight seeds that all of them have."""
    is_b = benchmark["part"].values == "b"
    live = is_b.any(1) & (benchmark["dead"].values == 0)
    if live.sum() < FEWEST:
        raise SystemExit(f"{live.sum()} live networks of part b were measured; {FEWEST} are needed")
    return benchmark.isel(network=live, seed=is_b[live].all(0))


def read_scores(pool: xr.Dataset) -> dict[str, np.ndarray]:
    """Return each score (network, seed, rung); what is dead resembles nothing."""
    best = pool["similarity"].max("layer").fillna(0.0)
    committed = pool["committed"].fillna(0.0)
    areas = pool["target"].values[pool["is_area"].values.astype(bool)].tolist()
    guidance = best.sel(target=areas).mean("target")
    dims = ("network", "seed", "rung")
    scores = {
        "P": pool["performance"],
        "P + TG": pool["performance"] + guidance,
        "validation loss": -pool["cross_entropy"],
        "TG": guidance,
        "committed TG": committed.sel(target=areas).mean("target"),
    }
    for target in pool["target"].values.tolist():
        scores[target] = best.sel(target=target)
        scores[f"committed {target}"] = committed.sel(target=target)
    for area in areas:  # cancels what an untrained architecture brings along
        for name in (area, f"committed {area}"):
            scores[f"{name}{CHANGE}"] = scores[name] - scores[name].sel(rung=0)
    return {name: one.transpose(*dims).values.astype(float) for name, one in scores.items()}


def read_shuffles(pool: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the scores of shuffled areas, and of their mean (network, seed, rung, shuffle)."""
    found = {}
    areas = pool["target"].values[pool["is_area"].values.astype(bool)].tolist()
    for kind, prefix in (("best", ""), ("committed", "committed ")):
        drawn = pool[f"shuffled_{kind}"].fillna(0.0)
        drawn = drawn.transpose("network", "seed", "rung", "shuffled", "shuffle")
        for area in pool["shuffled"].values.tolist():
            found[f"{prefix}{area}"] = drawn.sel(shuffled=area).values.astype(float)
        found[f"{prefix}TG"] = drawn.sel(shuffled=areas).mean("shuffled").values.astype(float)
        for area in areas:
            of_area = found[f"{prefix}{area}"]
            found[f"{prefix}{area}{CHANGE}"] = of_area - of_area[:, :, :1]
    return found


def list_areas(found: xr.Dataset) -> list[str]:
    """Return the areas among what shuffles were made of."""
    other = (":", "committed", CHANGE, "TG")
    return [n for n in found["brain"].values.tolist() if not any(x in n for x in other)]


def compute_correlations(benchmark: xr.Dataset, *, draws: int = 1000) -> xr.Dataset:
    """Return rank correlations with mature accuracy, of scores by rung and of free statistics.

    Returns
    -------
    xarray.Dataset
        ``value``, ``lower``, ``upper``, ``one_seed`` and ``regret`` (score, rung); ``gain`` and
        its interval (alpha, rung), of P + alpha * TG less P; ``shuffled`` (brain, rung, shuffle);
        ``free``, ``free_lower``, ``free_upper`` (statistic).
    """
    pool = choose_pool(benchmark)
    scores, shuffles = read_scores(pool), read_shuffles(pool)
    mature = pool["mature"].values.astype(float)
    ranks = rankdata(mature)
    weights = draw_weights(len(mature), draws, 0)
    rungs = pool["rung"].values.tolist()

    def draw(values: np.ndarray) -> np.ndarray:
        return correlate(rankdata(values), ranks, weights)

    columns: dict[str, list] = {n: [] for n in ("value", "lower", "upper", "one_seed", "regret")}
    for values in scores.values():
        drawn = [draw(values[..., k].mean(1)) for k in range(len(rungs))]
        columns["value"].append([one[0] for one in drawn])
        columns["lower"].append([find_interval(one[1:])[0] for one in drawn])
        columns["upper"].append([find_interval(one[1:])[1] for one in drawn])
        columns["one_seed"].append(_correlate_seeds(values, ranks))
        means = values.mean(1).T
        columns["regret"].append([find_regret(x, mature, weights[:1], 1)[0] for x in means])
    found = xr.Dataset(
        {name: (("score", "rung"), np.array(rows, dtype=float)) for name, rows in columns.items()},
        {"score": list(scores), "rung": rungs, "brain": list(shuffles), "alpha": list(ALPHAS)},
        {"networks": len(mature), "seeds": pool.sizes["seed"], "state": benchmark.attrs["state"]},
    )
    once = np.ones((1, len(mature)))
    found["shuffled"] = (
        ("brain", "rung", "shuffle"),
        np.array(
            [
                [
                    [correlate(rankdata(one), ranks, once)[0] for one in values[:, :, k].mean(1).T]
                    for k in range(len(rungs))
                ]
                for values in shuffles.values()
            ]
        ),
    )
    _add_gains(found, scores, draw)
    _add_free(found, pool, draw)
    return found


def _correlate_seeds(values: np.ndarray, ranks: np.ndarray) -> list[float]:
    """Return the mean over weight seeds of the correlation of one: what a search sees."""
    once = np.ones((1, len(ranks)))
    return [
        float(np.mean([correlate(rankdata(one), ranks, once)[0] for one in values[..., k].T]))
        for k in range(values.shape[2])
    ]


def _add_gains(found: xr.Dataset, scores: dict[str, np.ndarray], draw: Any) -> None:
    """Add what TG adds to P, over its weight."""
    gains = []
    for alpha in ALPHAS:
        both = (scores["P"] + alpha * scores["TG"]).mean(1)
        alone = scores["P"].mean(1)
        gains.append([draw(both[:, k]) - draw(alone[:, k]) for k in range(both.shape[1])])
    dims = ("alpha", "rung")
    found["gain"] = dims, np.array([[one[0] for one in row] for row in gains])
    for name, side in (("gain_lower", 0), ("gain_upper", 1)):
        bounds = [[find_interval(one[1:])[side] for one in row] for row in gains]
        found[name] = dims, np.array(bounds)


def _add_free(found: xr.Dataset, pool: xr.Dataset, draw: Any) -> None:
    """Add scores without training: counts, rivals, published short trainings."""
    statistics = pool["statistics"].mean("seed")
    known = set(statistics["statistic"].values.tolist())
    columns = {n: statistics.sel(statistic=n).values for n in (*FREE, *RIVALS) if n in known}
    space = find_space(pool)
    actions = [space.encode(space.parse(name)) for name in pool["network"].values.tolist()]
    counts = np.column_stack([columns[name] for name in GRAPH_COUNTS])
    mature = rank_columns(pool["mature"].values[:, None].astype(float))
    near = find_neighbours(actions, counts)
    columns["graph counts, out of fold"] = predict_out_of_fold(expand_counts(counts), mature, near)[
        :, 0
    ]
    columns["accuracy after 12 epochs (published)"] = pool["val_12"].values
    columns = {name: values for name, values in columns.items() if np.isfinite(values).all()}
    drawn = {name: draw(values) for name, values in columns.items()}
    found.coords["statistic"] = list(drawn)
    found["free"] = "statistic", np.array([one[0] for one in drawn.values()])
    for name, side in (("free_lower", 0), ("free_upper", 1)):
        bounds = [find_interval(one[1:])[side] for one in drawn.values()]
        found[name] = "statistic", np.array(bounds)


def say_counts(found: xr.Dataset) -> str:
    """Say of how many networks and weight seeds numbers are."""
    number, seeds = found.attrs["networks"], found.attrs["seeds"]
    partial = ", PARTIAL" if found.attrs["state"] != "complete" else ""
    return f"{number} live networks, {seeds} weight seed{'s' if seeds > 1 else ''}{partial}"


def plot_rungs(found: xr.Dataset) -> Any:
    """Draw the correlation of P, each area, TG and controls by rung, with the band of shuffles."""
    from brainguided.plot.style import (
        COLOURS,
        GREY,
        LABEL,
        MARKERS,
        PAGE,
        TICK,
        new_figure,
        strip_axes,
    )

    areas = [*list_areas(found), "TG"]
    figure = new_figure(PAGE, 4.6)
    axes = figure.subplots(2, -(-len(areas) // 2), sharex=True, sharey=True, squeeze=False)
    place = np.arange(found.sizes["rung"])
    for one, area in zip(axes.flat, areas, strict=False):
        drawn = found["shuffled"].sel(brain=area).values
        low, high = np.quantile(drawn, (0.025, 0.975), axis=-1)
        one.fill_between(place, low, high, color=GREY, alpha=0.5, lw=0, label="95 % of shuffles")
        for k, kind in enumerate(CONTROLS):
            if (name := f"{area}:{kind}") in found["score"].values:
                style = (0, (1 + k % 3, 1 + k // 3))
                values = found["value"].sel(score=name).values
                one.plot(place, values, color="#666666", lw=0.7, ls=style, label=kind)
        lines = {"P": "P", area: "best layer", f"committed {area}": "committed layer"}
        for k, (name, label) in enumerate(lines.items()):
            row = found.sel(score=name)
            value = row["value"].values
            bars = np.clip([value - row["lower"], row["upper"] - value], 0, None)
            one.errorbar(
                place + 0.06 * (k - 1),
                value,
                yerr=bars,
                color=("black", COLOURS[0], COLOURS[1])[k],
                marker=MARKERS[k],
                markersize=3,
                linewidth=1.0,
                elinewidth=0.6,
                label=label,
            )
        one.axhline(0, color="black", linewidth=0.5)
        one.set_title(area, fontsize=LABEL)
        one.set_xticks(place, [str(rung) for rung in found["rung"].values])
        strip_axes(one)
    for one in axes[-1]:
        one.set_xlabel("training steps", fontsize=LABEL)
    for row in axes:
        row[0].set_ylabel("rank correlation with\nmature accuracy", fontsize=LABEL)
    handles = {
        t: h for one in axes.flat for h, t in zip(*one.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=6,
        fontsize=TICK,
        frameon=False,
        title=say_counts(found),
        title_fontsize=LABEL,
    )
    return figure


def plot_alpha(found: xr.Dataset) -> Any:
    """Draw what TG adds to P over its weight: figure 2 of the paper."""
    from brainguided.plot import plot_alpha as plot

    axes = plot(found)
    axes.set_ylabel("gain in rank correlation over P")
    axes.set_title(say_counts(found), fontsize=7)
    return axes.figure


def plot_rivals(found: xr.Dataset) -> Any:
    """Draw scores without a teacher beside P, TG and areas at the last rung."""
    from brainguided.plot.style import COLOURS, COLUMN, GREY, LABEL, TICK, new_figure, strip_axes

    rung = int(found["rung"].values[-1])
    last = found.sel(rung=rung)
    brain = [n for n in found["brain"].values.tolist() if ":" not in n and CHANGE not in n]
    rows = [(n, *(float(last[v].sel(score=n)) for v in ("value", "lower", "upper")))
            for n in ("P", "validation loss", "P + TG", *brain)]  # fmt: skip
    rows += [(n, *(float(found[v].sel(statistic=n)) for v in ("free", "free_lower", "free_upper")))
             for n in found["statistic"].values.tolist()]  # fmt: skip
    figure = new_figure(1.5 * COLUMN, 0.8 + 0.15 * len(rows))
    axes = figure.add_subplot()
    for y, (name, value, low, high) in enumerate(reversed(rows)):
        colour = COLOURS[0] if name in brain else "black" if "P" in name[:1] else COLOURS[1]
        if name in brain:
            band = np.quantile(last["shuffled"].sel(brain=name).values, (0.025, 0.975))
            axes.fill_between(band, y - 0.4, y + 0.4, color=GREY, alpha=0.5, linewidth=0)
        axes.plot([low, high], [y, y], color=colour, linewidth=1)
        axes.plot([value], [y], marker="o", markersize=3, color=colour)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)], fontsize=TICK)
    axes.set_xlabel(f"rank correlation with mature accuracy, {rung} steps", fontsize=LABEL)
    axes.set_title(say_counts(found), fontsize=LABEL)
    strip_axes(axes)
    return figure


if __name__ == "__main__":
    main()
