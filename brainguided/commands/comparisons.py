"""The verb compare: searches with each other, or RDMs of two files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import add_overwrite, add_verb, refuse_existing, say

if TYPE_CHECKING:
    import xarray as xr

_FILES = ("compare.nc", "groups.csv", "differences.csv", "compare.png")


def add_verbs(verbs: Any) -> None:
    """Add the verb of this module to the command line."""
    one = add_verb(
        verbs,
        "compare",
        compare,
        example="brainguided compare runs/random_* runs/evolution_* --out compared",
        more="Runs that differ in their seeds alone are one group, named by what differs between "
        "groups.\nGroups are tested over seeds: paired where they have seeds in common.",
    )
    one.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="run folders; only read")
    one.add_argument(
        "--different-tasks",
        action="store_true",
        help="also runs whose images, stimuli, teachers or training differ",
    )
    one.add_argument("--out", type=Path, help="folder for " + ", ".join(_FILES))
    one.add_argument("--json", action="store_true", help="print all numbers as JSON")
    add_overwrite(one)


def compare(arguments: argparse.Namespace) -> None:
    """Compare what searches found, with intervals and tests over their seeds."""
    from brainguided.replays.comparison_sentences import describe_comparison
    from brainguided.replays.run_comparison import compare_runs

    if arguments.out is not None:
        refuse_existing(arguments, *(arguments.out / name for name in _FILES))
    found = compare_runs(arguments.runs, different_tasks=arguments.different_tasks)
    if arguments.json:
        print(json.dumps(_to_plain(found), allow_nan=False))
    else:
        print(*describe_comparison(found), sep="\n")
    if arguments.out is not None:
        tell = say if arguments.json else print
        for path in _write(found, arguments.out):
            tell(str(path))


def _to_plain(found: xr.Dataset) -> dict[str, Any]:
    """Return a comparison as plain data: rows of groups and of differences, None for NaN."""
    from brainguided.replays.comparison_sentences import tabulate_differences, tabulate_groups

    def rows(table: Any) -> list[dict[str, Any]]:
        return [
            {name: None if value != value else value for name, value in row.items()}
            for row in table.to_dict("records")
        ]

    return {
        "candidates": found.sizes["candidate"],
        "runs": {
            str(name): {"group": str(group), "seed": int(seed)}
            for name, group, seed in zip(
                found["run"].values, found["group_of_run"].values, found["seed"].values, strict=True
            )
        },
        "groups": rows(tabulate_groups(found)),
        "differences": rows(tabulate_differences(found)),
        "said": str(found.attrs["said"]).splitlines(),
    }


def _write(found: xr.Dataset, folder: Path) -> list[Path]:
    """Write the comparison, its tables and its figure."""
    import matplotlib

    matplotlib.use("Agg")
    from brainguided.plot import plot_runs
    from brainguided.replays.comparison_sentences import tabulate_differences, tabulate_groups
    from neural_data.storage.netcdf import write_netcdf

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in _FILES]
    write_netcdf(found, paths[0])
    for path, table in zip(
        paths[1:3], (tabulate_groups(found), tabulate_differences(found)), strict=True
    ):
        table.to_csv(path, index=False, lineterminator="\n")
    figure: Any = plot_runs(found)[0].figure
    figure.savefig(paths[3], dpi=300)
    return paths
