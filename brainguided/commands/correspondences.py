"""The verb that maps the layers of a network to areas: correspond."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import add_verb, natural, say, whole

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

    from brainguided.guidance.teacher import Teacher
    from brainguided.networks.preprocessing import Preprocessing


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    one = add_verb(
        verbs,
        "correspond",
        correspond,
        example="brainguided correspond --teacher TEACHER.toml \\\n"
        "      --model brainguided.pretrained:efficientnet_lite0 --out lite0",
    )
    one.add_argument(
        "--teacher", type=Path, required=True, help="TOML file with [[teacher]] tables, or RUN.toml"
    )
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--model",
        metavar="FILE.py:FUNCTION",
        help="returns a torch module, or a module and its Preprocessing; the file is run",
    )
    which.add_argument(
        "--architecture", type=Path, metavar="WINNER.json", help="of a run folder, with winner.pt"
    )
    one.add_argument("--out", type=Path, required=True, help="folder for results and figures")
    one.add_argument(
        "--layers", action="append", help="name or pattern such as '_blocks.*'; may be repeated"
    )
    one.add_argument(
        "--image-size", type=whole, help="pixels, where the model does not say (default: as shown)"
    )
    one.add_argument("--method", default="pearson", help="comparison of RDMs (%(default)s)")
    one.add_argument(
        "--resample",
        nargs="+",
        choices=("stimulus", "site", "animal"),
        default=["stimulus"],
        help="what intervals generalise over (stimulus)",
    )
    for name, number, about in (
        ("--draws", 1000, "bootstrap draws for intervals"),
        ("--permutations", 1000, "of the conditions, for p-values"),
        ("--splits", 100, "halvings, for ceilings and committed layers"),
        ("--seed", 0, "seed of all that is random"),
    ):
        one.add_argument(name, type=natural, default=number, help=f"{about} (%(default)s)")
    one.add_argument("--overwrite", action="store_true", help="replace results that are there")


def correspond(arguments: argparse.Namespace) -> None:
    """Map the layers of a network to areas: similarity, ceiling, intervals, committed layers."""
    from brainguided.correspondence.compute import Inference, compute_correspondence
    from brainguided.networks.preprocessing import Preprocessing
    from brainguided.settings.teacher_file import load_teacher

    folder: Path = arguments.out
    if (folder / "correspondence.nc").exists() and not arguments.overwrite:
        raise FileExistsError(
            f"{folder} holds a correspondence already. Give another folder, or --overwrite."
        )
    inference = Inference(
        tuple(dict.fromkeys(arguments.resample)),
        arguments.draws,
        arguments.permutations,
        arguments.splits,
    )
    network, how = _load_network(arguments)
    if how is None and arguments.image_size:
        how = Preprocessing(size=arguments.image_size)
    say("Loading the recordings.")
    teacher = load_teacher(arguments.teacher)
    _state_cost(network, teacher, arguments.layers, how)
    result = compute_correspondence(
        network,
        teacher,
        layers=arguments.layers,
        preprocessing=how,
        method=arguments.method,
        inference=inference,
        seed=arguments.seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    print(describe_correspondence(result))
    for path in (*_save(result, folder), *_draw(result, folder)):
        print(path)


def describe_correspondence(result: xr.Dataset) -> str:
    """Return a table, one row an area: its layers, and how similar they are."""
    from brainguided.commands.recordings import format_table

    rows = []
    for area in result["area"].values.tolist():
        one = result.sel(area=area)
        best = str(one["best_layer"].values)
        bounds = one["similarity_interval"].sel(layer=best).values if best else (float("nan"),) * 2
        usable = bool(one["ceiling_usable"])
        rows.append(
            {
                "area": area,
                "committed layer": f"{one['committed_layer'].values} "
                f"({float(one['committed_share']):.0%})",
                "similarity": f"{float(one['committed_similarity']):.3f}",
                "best layer": best,
                "its similarity": f"{float(one['best_similarity']):.3f}",
                "95 %": f"{bounds[0]:.3f} to {bounds[1]:.3f}",
                "p": f"{float(one['p_value'].sel(layer=best)):.2g}" if best else "",
                "ceiling": f"{float(one['ceiling']):.3f}" if usable else "none",
                "of ceiling": f"{float(one['corrected_similarity'].sel(layer=best)):.3f}"
                if usable and best
                else "",
            }
        )
    return format_table(rows)


def _load_network(arguments: argparse.Namespace) -> tuple[nn.Module, Preprocessing | None]:
    from brainguided.settings.model_file import load_model, load_winner

    if arguments.architecture is not None:
        return load_winner(arguments.architecture)
    return load_model(arguments.model)


def _state_cost(
    network: nn.Module, teacher: Teacher, layers: list[str] | None, how: Preprocessing | None
) -> None:
    """Say what the layers hold before the first forward pass."""
    from brainguided.networks.layers import describe_layers

    largest = max(teacher, key=lambda target: target.stimuli.sizes["stimulus"])
    table = describe_layers(network, largest.stimuli, layers=layers, preprocessing=how)
    say(f"{'layer':24} {'shape':>16} {'MiB for ' + str(table.attrs['stimuli']) + ' stimuli':>22}")
    for layer in table["layer"].values.tolist():
        one = table.sel(layer=layer)
        shape, size = str(one["shape"].values), float(one["bytes"]) / 2**20
        say(f"{layer:24} {shape:>16} {size:22.1f}")
    total = float(table["bytes"].sum()) / 2**30
    say(f"{total:.2f} GiB in all; every image is shown once.")
    if "left_out" in table.attrs:
        say(f"Left out: {table.attrs['left_out']}.")


def _save(result: xr.Dataset, folder: Path) -> list[Path]:
    from neural_data.storage.netcdf import write_netcdf

    table = folder / "correspondence.csv"
    columns = result[["similarity", "corrected_similarity", "p_value"]]
    for bound in ("lower", "upper"):
        columns[bound] = result["similarity_interval"].sel(bound=bound, drop=True)
    frame = columns.to_dataframe().reset_index()
    frame.to_csv(table, index=False)
    stored = result.copy()
    stored["ceiling_usable"] = stored["ceiling_usable"].astype("int8")
    return [write_netcdf(stored, folder / "correspondence.nc"), table]


def _draw(result: xr.Dataset, folder: Path) -> list[Path]:
    import matplotlib

    matplotlib.use("Agg")
    from brainguided.plot import plot_correspondence, plot_depth

    written = []
    for name, plot in (("correspondence", plot_correspondence), ("depth", plot_depth)):
        figure: Any = plot(result).figure
        for ending in ("png", "pdf"):
            written.append(folder / f"{name}.{ending}")
            figure.savefig(written[-1], dpi=300)
    return written
