"""The verb that maps the layers of a network to areas: correspond."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import (
    add_overwrite,
    add_verb,
    gibibytes,
    natural,
    refuse_existing,
    say,
    whole,
)
from brainguided.search.progress import say_time

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

    from brainguided.guidance.teacher import Teacher
    from brainguided.networks.layers import Observation
    from brainguided.networks.preprocessing import Preprocessing

_FILES = [
    "correspondence.nc",
    "correspondence.csv",
    *(f"{name}.{ending}" for name in ("correspondence", "depth") for ending in ("png", "pdf")),
]


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
        "--teacher",
        type=Path,
        required=True,
        help="TOML file with [[teacher]] tables, or RUN.toml; [[control]] tables are mapped too",
    )
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--model",
        metavar="FILE.py:FUNCTION",
        help="returns a torch module, or a module and its Preprocessing; the file is run",
    )
    which.add_argument(
        "--architecture",
        type=Path,
        metavar="WINNER.json",
        help="of a run folder, with winner.pt; or finalists/finalist_K.json, with its .pt",
    )
    one.add_argument("--out", type=Path, required=True, help="folder for results and figures")
    _add_observation(one)
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
    one.add_argument(
        "--unit",
        nargs="+",
        metavar="COORDINATE",
        help="what was sampled, e.g. category or object_name; the coarsest first, where several "
        "are nested (default: the coarsest of session, category, object_name that the data name)",
    )
    for name, number, about in (
        ("--draws", 1000, "bootstrap draws for intervals"),
        ("--permutations", 1000, "of units of stimuli, for p-values"),
        ("--splits", 100, "halvings, for ceilings and committed layers"),
        ("--seed", 0, "seed of all that is random"),
    ):
        one.add_argument(name, type=natural, default=number, help=f"{about} (%(default)s)")
    add_overwrite(one)


def _add_observation(one: argparse.ArgumentParser) -> None:
    """Add which layers are observed, and how."""
    one.add_argument(
        "--layers",
        action="append",
        metavar="PATTERN",
        help="name or pattern such as '_blocks.*'; may be repeated (default: all convolutions, "
        "linear maps, attentions and blocks, or what the network names in observed_layers)",
    )
    one.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="layers to leave out, such as '*.norm*'; may be repeated",
    )
    one.add_argument(
        "--tokens",
        choices=("all", "class", "mean"),
        default="all",
        help="of transformers: all tokens, the class token, or their mean (%(default)s)",
    )
    one.add_argument(
        "--memory",
        type=gibibytes,
        default=1.0,
        metavar="GIB",
        help="activations held at a time; others lie in OUT/unfinished meanwhile (%(default)g)",
    )


def correspond(arguments: argparse.Namespace) -> None:
    """Map the layers of a network to areas: similarity, ceiling, intervals, committed layers."""
    from brainguided.correspondence.compute import Inference, compute_correspondence
    from brainguided.networks.layers import Observation
    from brainguided.networks.preprocessing import Preprocessing
    from brainguided.settings.teacher_file import load_controlled_teacher

    folder: Path = arguments.out
    refuse_existing(arguments, *(folder / name for name in _FILES))
    inference = Inference(
        tuple(dict.fromkeys(arguments.resample)),
        arguments.draws,
        arguments.permutations,
        arguments.splits,
        _name_unit(arguments.unit),
    )
    network, how = _load_network(arguments)
    if how is not None and arguments.image_size:
        raise ValueError(
            f"--image-size {arguments.image_size} is given, but the model says itself how its "
            f"images are shown ({how.describe()}): leave it out, or change its Preprocessing."
        )
    if arguments.image_size:
        how = Preprocessing(size=arguments.image_size)
    say("Loading the recordings.")
    teacher = load_controlled_teacher(arguments.teacher)
    observation = Observation(
        [*(arguments.layers or []), *(f"!{pattern}" for pattern in arguments.exclude)],
        tokens=arguments.tokens,
        memory=arguments.memory * 1024,
        folder=folder / "unfinished",
        progress=_Progress().tell,
    )
    _state_images(network, teacher, how)
    _state_cost(network, teacher, observation, how)
    try:
        result = compute_correspondence(
            network,
            teacher,
            layers=observation,
            preprocessing=how,
            method=arguments.method,
            inference=inference,
            seed=arguments.seed,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_say_kept(folder / "unfinished")) from None
    folder.mkdir(parents=True, exist_ok=True)
    print(describe_correspondence(result))
    for path in (*_save(result, folder), *_draw(result, folder)):
        print(path)
    shutil.rmtree(folder / "unfinished", ignore_errors=True)


class _Progress:
    """Lines on how far the network's work is, with the time that is left.

    Parameters
    ----------
    every : float
        Seconds between two lines.
    clock : callable
        Returns seconds.
    """

    def __init__(self, every: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._what = ""
        self._before = self._start = self._told = 0.0
        self._done = 0

    def tell(self, what: str, done: int, total: int) -> None:
        """Say how far it is, if that was not said a moment ago."""
        now = self._clock()
        if what != self._what or done < self._done:
            self._what, self._before, self._start, self._told = what, done, now, now
        self._done = done
        if now - self._told < self._every:
            return
        self._told = now
        rate = (done - self._before) / (now - self._start)
        left = f", about {say_time((total - done) / rate)} left" if rate and done < total else ""
        say(f"{what}: {done} of {total}{left}")


def _say_kept(folder: Path) -> str:
    """Say what a stopped correspondence leaves behind."""
    shown = [json.loads(path.read_text())["shown"] for path in folder.glob("*/shown.json")]
    done = len(list(folder.glob("*/[0-9]*.npz")))
    if not shown:
        return "Stopped before anything was kept: images are shown from the first on again."
    said = [f"{sum(shown)} images were shown", f"{done} layers are done"]
    return f"Stopped. What is done is kept in {folder}: {', '.join(said[: 1 + bool(done)])}."


def _name_unit(names: list[str] | None) -> str | tuple[str, ...] | None:
    return names[0] if names and len(names) == 1 else tuple(names) if names else None


def describe_correspondence(result: xr.Dataset) -> str:
    """Return a few lines for each area: its ceiling, its best and its committed layer."""
    lines = []
    for area in result["area"].values.tolist():
        one = result.sel(area=area)
        usable = bool(one["ceiling_usable"])
        ceiling = f"{float(one['ceiling']):.3f}" if usable else "none"
        lines.append(f"{area} (noise ceiling {ceiling})")
        best, committed = str(one["best_layer"].values), str(one["committed_layer"].values)
        if best:
            low, high = one["similarity_interval"].sel(layer=best).values
            said = f"similarity {float(one['best_similarity']):.3f}"
            if low == low:
                said += f", 95 % {low:.3f} to {high:.3f}"
            p_value = float(one["p_value"].sel(layer=best))
            said += f", p = {p_value:.2g}" if p_value == p_value else ""
            share = float(one["corrected_similarity"].sel(layer=best))
            said += f", {share:.0%} of the ceiling" if share == share else ""
            lines.append(f"  best layer       {best}: {said}")
        if committed:
            lines.append(
                f"  committed layer  {committed}: similarity "
                f"{float(one['committed_similarity']):.3f}, the best in "
                f"{float(one['committed_share']):.0%} of the halves"
            )
        else:
            lines.append("  committed layer  none")
    unit = result.attrs.get("unit")
    if unit:
        lines.append(f"Intervals and p-values speak of other units of: {unit}")
    return "\n".join(lines)


def _load_network(arguments: argparse.Namespace) -> tuple[nn.Module, Preprocessing | None]:
    from brainguided.settings.model_file import load_model, load_winner

    if arguments.architecture is not None:
        return load_winner(arguments.architecture)
    return load_model(arguments.model)


def _state_images(network: nn.Module, teacher: Teacher, how: Preprocessing | None) -> None:
    """Say what is done to the images; refuse a size that the network says it was not made for."""
    from brainguided.networks.preprocessing import Preprocessing
    from brainguided.settings.model_file import ModelError, find_image_size

    sizes = [target.stimuli["image"].sizes for target in teacher]
    given = " and ".join(sorted({f"{one['y']} x {one['x']} px" for one in sizes}))
    done = how or Preprocessing()
    shown = {done.crop or done.size or min(one["y"], one["x"]) for one in sizes}
    meant = find_image_size(network)
    odd = meant is not None and shown != {meant}
    if odd and how is None:
        own = f", or --image-size {min(shown)} to show them as they are" if len(shown) == 1 else ""
        raise ModelError(
            f"The network was made for images of {meant} px (IMAGE_SIZE), and these are {given}. "
            f"Give --image-size {meant} to show them at that size{own}."
        )
    if done.crop is None and any(one["y"] != one["x"] for one in sizes):
        given += ", cropped to the largest square"
    elif not (done.size or done.crop):
        given += " as shown"
    but = f", though the network was made for {meant} px (IMAGE_SIZE)" if odd else ""
    say(f"Images: {given}, {done.describe()}{but}.")


def _state_cost(
    network: nn.Module, teacher: Teacher, layers: Observation, how: Preprocessing | None
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
    say(
        f"{total:.2f} GiB in all, of which {layers.memory / 1024:g} GiB are held at a time. Every "
        "image is shown once."
    )
    if "left_out" in table.attrs:
        say(f"Left out: {table.attrs['left_out']}.")


def _save(result: xr.Dataset, folder: Path) -> list[Path]:
    from neural_data.storage.netcdf import write_netcdf

    table = folder / "correspondence.csv"
    columns = result[["similarity", "corrected_similarity", "p_value"]]
    for bound in ("lower", "upper"):
        columns[bound] = result["similarity_interval"].sel(bound=bound, drop=True)
    frame = columns.to_dataframe().reset_index()
    for name in ("ceiling", "ceiling_usable", "committed_layer"):
        frame[name] = result[name].sel(area=frame["area"].values).values
    frame["committed"] = frame["layer"] == frame.pop("committed_layer")
    frame["unit"] = result.attrs.get("unit", "")
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
