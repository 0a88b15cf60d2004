"""The verb compare: searches with each other, or RDMs of two files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import add_overwrite, add_verb, refuse_existing, say

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_FILES = ("compare.nc", "groups.csv", "differences.csv", "compare.png")
_OF_RDMS = ("compare.nc", "compare.csv", "compare.png")


def add_verbs(verbs: Any) -> None:
    """Add the verb of this module to the command line."""
    one = add_verb(
        verbs,
        "compare",
        compare,
        example="brainguided compare runs/random_* runs/evolution_* --out compared\n"
        "  brainguided compare it_rdms.nc layer_rdms.nc --out compared",
        more="Runs that differ in their seeds alone are one group, named by what differs between "
        "groups.\nGroups are tested over seeds: paired where they have the same, else by Welch's "
        "t. Of two files of RDMs\n('brainguided rdms --save'), each RDM of the first is compared "
        "with each of the second.",
    )
    one.add_argument(
        "paths",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="run folders, or two files of RDMs; only read",
    )
    one.add_argument(
        "--different-tasks",
        action="store_true",
        help="also runs whose images, stimuli, teachers or training differ",
    )
    one.add_argument("--method", help="of RDMs: comparison, e.g. spearman (pearson)")
    one.add_argument("--unit", help="of RDMs: what was sampled, e.g. category, or stimulus")
    one.add_argument("--out", type=Path, help="folder for tables (CSV), compare.nc and compare.png")
    one.add_argument("--json", action="store_true", help="print all numbers as JSON")
    add_overwrite(one)


def compare(arguments: argparse.Namespace) -> None:
    """Compare what searches found, over their seeds; or the RDMs of two files, over stimuli."""
    missing = [str(path) for path in arguments.paths if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"There is no {' and no '.join(missing)}; expected run folders, or two files of RDMs."
        )
    files = [path for path in arguments.paths if path.is_file()]
    of_rdms = [f"--{name}" for name in ("method", "unit") if getattr(arguments, name)]
    if files and (len(files) < len(arguments.paths) or len(files) != 2):
        folders = [str(path) for path in arguments.paths if path not in files]
        raise ValueError(
            f"{', '.join(map(str, files))} {'is a file' if len(files) == 1 else 'are files'}"
            + (f", {', '.join(folders)} no file" if folders else "")
            + "; expected run folders, or two files of RDMs."
        )
    if files:
        if arguments.different_tasks:
            raise ValueError("--different-tasks is for run folders, and these are files of RDMs.")
        _compare_rdms(arguments)
        return
    if of_rdms:
        raise ValueError(f"{' and '.join(of_rdms)}: for files of RDMs, and these are run folders.")
    _compare_runs(arguments)


def _compare_runs(arguments: argparse.Namespace) -> None:
    from brainguided.replays.comparison_sentences import describe_comparison
    from brainguided.replays.run_comparison import compare_runs

    if arguments.out is not None:
        refuse_existing(arguments, *(arguments.out / name for name in _FILES))
    found = compare_runs(arguments.paths, different_tasks=arguments.different_tasks)
    if arguments.json:
        print(json.dumps(_to_plain(found), allow_nan=False))
    else:
        print(*describe_comparison(found), sep="\n")
    if arguments.out is not None:
        _tell(arguments, _write(found, arguments.out))


def _tell(arguments: argparse.Namespace, paths: list[Path]) -> None:
    """Print the files written; beside JSON, on stderr."""
    tell = say if arguments.json else print
    for path in paths:
        tell(str(path))


def _compare_rdms(arguments: argparse.Namespace) -> None:
    from brainguided.correspondence.compute import Inference
    from brainguided.correspondence.rdm_pairs import (
        compare_rdm_pairs,
        describe_pairs,
        tabulate_pairs,
    )
    from brainguided.rdms.compute import rdms_from_dissimilarities
    from neural_data import load_dissimilarities

    if arguments.out is not None:
        refuse_existing(arguments, *(arguments.out / name for name in _OF_RDMS))
    first, second = (rdms_from_dissimilarities(load_dissimilarities(p)) for p in arguments.paths)
    found = compare_rdm_pairs(
        first,
        second,
        method=arguments.method or "pearson",
        inference=Inference(unit=arguments.unit),
    )
    if arguments.json:
        said = {name: found.attrs[name] for name in ("method", "unit", "unit_count", "said")}
        print(json.dumps({**said, "pairs": _list_rows(tabulate_pairs(found))}, allow_nan=False))
    else:
        print(*describe_pairs(found), sep="\n")
    if arguments.out is None:
        return
    import matplotlib

    matplotlib.use("Agg")
    from brainguided.plot import plot_rdm_pairs
    from neural_data.storage.netcdf import write_netcdf

    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = [arguments.out / name for name in _OF_RDMS]
    write_netcdf(found, paths[0])
    tabulate_pairs(found).to_csv(paths[1], index=False, lineterminator="\n")
    plot_rdm_pairs(first, second, found)[0].figure.savefig(paths[2], dpi=300)
    _tell(arguments, paths)


def _list_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as plain data, None for NaN."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _to_plain(found: xr.Dataset) -> dict[str, Any]:
    """Return a comparison as plain data: rows of groups and of differences, None for NaN."""
    from brainguided.replays.comparison_sentences import tabulate_differences, tabulate_groups

    return {
        "candidates": found.sizes["candidate"],
        "runs": {
            str(name): {"group": str(group), "seed": int(seed)}
            for name, group, seed in zip(
                found["run"].values, found["group_of_run"].values, found["seed"].values, strict=True
            )
        },
        "groups": _list_rows(tabulate_groups(found)),
        "differences": _list_rows(tabulate_differences(found)),
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
