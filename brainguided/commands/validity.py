"""The verbs that check a search: what its scores predict, and whether its numbers come again."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from brainguided.commands.options import add_verb, natural, say, whole
from brainguided.settings.noted import find_run_file

_TOLERANCE = 1e-5
_SHOWN = 10  # differing numbers that are printed of a candidate


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    _add_verify(verbs)
    one = add_verb(
        verbs,
        "validity",
        validity,
        example="brainguided validity runs/first --mature finalists --out runs/first/validity",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument(
        "--mature",
        metavar="WHAT",
        required=True,
        help="accuracies after long training: finalists (of 'finalists --random N'), or "
        "TABLE.csv:COLUMN",
    )
    one.add_argument(
        "--architecture",
        metavar="COL",
        help="of the table: 'candidate', or the column of the architectures (architecture)",
    )
    one.add_argument(
        "--alpha",
        type=float,
        nargs="+",
        default=[0, 0.1, 0.5, 1, 2, 5],
        help="weights of TG (0 0.1 0.5 1 2 5)",
    )
    one.add_argument(
        "--top",
        type=whole,
        nargs="+",
        default=[1, 5],
        help="candidates that a score may choose, for the regret (1 5)",
    )
    one.add_argument("--draws", type=whole, default=1000, help="of the bootstrap (%(default)s)")
    one.add_argument("--seed", type=natural, default=0, help="of the draws (%(default)s)")
    one.add_argument("--out", type=Path, help="folder for figures (PNG, PDF, SVG) and validity.nc")
    one.add_argument(
        "--fit",
        type=Path,
        metavar="FILE.toml",
        help="write weights of a reward, fitted to the mature accuracies",
    )
    one.add_argument("--json", action="store_true", help="print all numbers as JSON")


def _add_verify(verbs: Any) -> None:
    one = add_verb(verbs, "verify", verify, example="brainguided verify runs/first --sample 5")
    one.add_argument("out", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument("--sample", type=whole, default=5, help="candidates (%(default)s)")
    one.add_argument("--seed", type=natural, default=0, help="of the draw (%(default)s)")
    one.add_argument("--run", type=Path, help="run file, if it is no longer where it was")


def verify(arguments: argparse.Namespace) -> None:
    """Train a sample of candidates again and compare every number with the record."""
    from brainguided.search.verify import verify_search
    from brainguided.settings.run_file import load_run

    say("Loading the data.")
    run = load_run(arguments.run or find_run_file(arguments.out))
    found = verify_search(
        arguments.out, run.task, sample=arguments.sample, tolerance=_TOLERANCE, seed=arguments.seed
    )
    for one in found:
        print(f"candidate {one.candidate}: {one.compared} numbers, {len(one.differences)} differ")
        for d in one.differences[:_SHOWN]:
            print(f"    {d.name} is {d.recorded} in the record and {d.again} now")
    wrong = sum(len(one.differences) for one in found)
    total = sum(one.compared for one in found)
    if wrong:
        raise ValueError(
            f"{wrong} of {total} numbers did not come out again to {_TOLERANCE:g}. Were the "
            "versions of torch and brainguided, or the kind of device, others than now? If not, "
            "the record is not of these trainings."
        )
    print(f"All {total} numbers of {len(found)} candidates came out again to {_TOLERANCE:g}.")


def validity(arguments: argparse.Namespace) -> None:
    """Say which scores of a search predict mature accuracy, against controls and shuffles."""
    from brainguided.replays.pools import load_pool
    from brainguided.replays.validity import compute_validity
    from brainguided.replays.validity_sentences import describe_validity

    started = time.monotonic()
    pool = load_pool(arguments.run, arguments.mature, architecture=arguments.architecture)
    found = compute_validity(
        pool,
        alphas=arguments.alpha,
        top=arguments.top,
        draws=arguments.draws,
        seed=arguments.seed,
    )
    lines = describe_validity(found)
    if arguments.json:
        print(json.dumps(_to_plain(found, lines), allow_nan=False))
    else:
        _print_table(found, lines)
    written = [] if arguments.out is None else _write(found, arguments.out)
    tell = say if arguments.json else print
    for path in written:
        tell(str(path))
    if arguments.fit is not None:
        from brainguided.replays.fitted_weights import fit_weights, save_weights

        tell(str(save_weights(fit_weights(pool), arguments.fit)))
    say(f"{len(pool.candidates)} candidates in {time.monotonic() - started:.0f} s.")


def _print_table(found: Any, lines: list[str]) -> None:
    tops = [str(s) for s in found["statistic"].values if str(s).startswith("regret")]
    print(f"{found.attrs['candidates']} candidates; mature accuracy: {found.attrs['mature']}")
    heads = "".join(f" {head:>9}" for head in tops)
    head = (
        f"{'score':<28} {'r':>6} {'95 % interval':>15} {'tau':>6} {'partial':>8} "
        f"{'95 % interval':>15}{heads} {'r - P':>7}"
    )
    trained = found["trained"].values
    for rung in found["rung"].values:
        print(f"\nstep {rung}", head, sep="\n")
        _print_rows(found.isel(score=trained).sel(rung=rung), tops)
    print(f"\nwithout training (r - P: step {found['rung'].values[-1]})", head, sep="\n")
    _print_rows(found.isel(score=~trained, rung=-1), tops)
    print(
        "\nr: Pearson; tau: Kendall; partial: ranks, given P (other scores'), parameters, "
        "multiply-adds and\ncounts of the graph, out of fold; regret@k: of the best of k chosen. "
        "Intervals are over candidates\nand no evidence for the brain; ranks among shuffles are:"
    )
    print("", *lines, sep="\n")


def _print_rows(found: Any, tops: list[str]) -> None:
    for name in map(str, found["score"].values):
        one = found.sel(score=name)
        if not bool(one["value"].notnull().any()):
            continue
        value = {str(s): float(one["value"].sel(statistic=s)) for s in one["statistic"].values}
        regrets = "".join(f" {_say(value[top]):>9}" for top in tops)
        print(
            f"{name:<28} {_say(value['pearson']):>6} {_say_interval(one, 'pearson'):>15} "
            f"{_say(value['kendall']):>6} {_say(value['partial']):>8} "
            f"{_say_interval(one, 'partial'):>15}{regrets} "
            f"{_say(float(one['difference'].sel(reference='P'))):>7}"
        )


def _say(value: float) -> str:
    return "-" if value != value else f"{value:.2f}"


def _say_interval(one: Any, statistic: str) -> str:
    low, high = (float(one[side].sel(statistic=statistic)) for side in ("lower", "upper"))
    return "-" if low != low else f"{low:.2f} to {high:.2f}"


def _to_plain(found: Any, lines: list[str]) -> dict[str, Any]:
    """Return a Dataset as plain data, NaN as null."""

    def clean(values: Any) -> Any:
        if isinstance(values, list):
            return [clean(value) for value in values]
        return None if isinstance(values, float) and values != values else values

    return {
        "coords": {str(k): clean(v.values.tolist()) for k, v in found.coords.items()},
        "variables": {
            str(k): {"dims": list(v.dims), "values": clean(v.values.tolist())}
            for k, v in found.data_vars.items()
        },
        "attrs": dict(found.attrs),
        "sentences": lines,
    }


def _write(found: Any, folder: Path) -> list[Path]:
    """Write the numbers and the figures."""
    from brainguided.plot import plot_alpha, plot_scores, plot_validity
    from neural_data.storage.netcdf import write_netcdf

    folder.mkdir(parents=True, exist_ok=True)
    figures = {"validity": plot_validity(found)[0, 0], "validity_scores": plot_scores(found)[0]}
    if "gain" in found:
        figures["validity_alpha"] = plot_alpha(found)
    written = [write_netcdf(found, folder / "validity.nc")]
    for name, axes in figures.items():
        figure: Any = axes.figure
        for kind in ("png", "pdf", "svg"):
            figure.savefig(folder / f"{name}.{kind}", dpi=300)
            written.append(folder / f"{name}.{kind}")
    return written
