"""The command line: one function a verb. Results go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided import __version__

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

_EXAMPLES = {
    "demo": "brainguided demo --out demo",
    "import": "brainguided import cowley2023 data/ --session 201025 --out v4.nc "
    "--stimuli-out v4_images.nc",
    "cowley2023": "brainguided import cowley2023 data/ --session 201025 --out v4.nc "
    "--stimuli-out v4_images.nc",
    "kriegeskorte2008": "brainguided import kriegeskorte2008 data/ --out it.nc "
    "--stimuli-out it_images.nc",
    "arrays": "brainguided import arrays responses.npy --stimuli stimuli.csv --sites sites.txt "
    "--area IT \\\n      --units spikes/s --source 'our lab, monkey M' --out it.nc",
    "images": "brainguided import images images.zip --table stimuli.csv --size 64 "
    "--source 'our lab' --out images.nc",
    "inspect": "brainguided inspect v4.nc",
    "rdms": "brainguided rdms v4.nc --by object_name --out rdms.png",
    "search": "brainguided search RUN.toml --out runs/first --workers 2",
    "report": "brainguided report runs/first",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, 1 for what the user can mend, 130 for Ctrl-C."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _build_parser().parse_args(given)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("brainguided").setLevel(logging.INFO)
    try:
        arguments.verb(arguments)
    except KeyboardInterrupt as stop:
        again = shlex.join(["brainguided", *given])
        print(f"{stop or 'Stopped.'}\nThe same command goes on: {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, RuntimeError) as error:
        print(f"brainguided: error: {_describe(error)}", file=sys.stderr)
        return 1
    return 0


def demo(arguments: argparse.Namespace) -> None:
    """Search with the built-in simulated macaque as the teacher."""
    from brainguided.runfile import write_demo

    _say("The teacher of this demonstration is a simulated macaque, not a recording.")
    settings = {key: getattr(arguments, key) for key in ("candidates", "steps", "seed")}
    arguments.run_file = write_demo(arguments.out / "RUN.toml", **settings)
    search(arguments)


def import_cowley2023(arguments: argparse.Namespace) -> None:
    """Import V4 responses and images of Cowley et al. 2023."""
    from neural_data import read_cowley2023, save_recording, save_stimuli

    recording, stimuli = read_cowley2023(
        arguments.folder, arguments.session, per_repetition=arguments.per_repetition
    )
    print(save_recording(recording, arguments.out))
    print(save_stimuli(stimuli, arguments.stimuli_out))


def import_kriegeskorte2008(arguments: argparse.Namespace) -> None:
    """Import the IT dissimilarities of 92 images of Kriegeskorte et al. 2008."""
    from neural_data import read_kriegeskorte2008, save_dissimilarities, save_stimuli

    dissimilarities, stimuli = read_kriegeskorte2008(arguments.folder, species=arguments.species)
    print(save_dissimilarities(dissimilarities, arguments.out))
    print(save_stimuli(stimuli, arguments.stimuli_out))


def import_arrays(arguments: argparse.Namespace) -> None:
    """Import a .npy array of responses with lists of stimulus and site names."""
    from neural_data import save_recording
    from neural_data.arrays import read_arrays

    keys = ("stimuli", "sites", "area", "units", "source")
    recording = read_arrays(arguments.responses, **{key: getattr(arguments, key) for key in keys})
    print(save_recording(recording, arguments.out))


def import_images(arguments: argparse.Namespace) -> None:
    """Import a folder or zip of images as a stimulus set."""
    from neural_data import read_stimuli, save_stimuli

    keys = ("table", "size", "source")
    stimuli = read_stimuli(arguments.images, **{key: getattr(arguments, key) for key in keys})
    print(save_stimuli(stimuli, arguments.out))


def inspect(arguments: argparse.Namespace) -> None:
    """Print what a file holds: a recording, a stimulus set, or dissimilarities."""
    from neural_data.inspection import describe_file

    for name, value in describe_file(arguments.file).items():
        print(f"{name:14} {value}")


def rdms(arguments: argparse.Namespace) -> None:
    """Draw the RDM of every area, and save the dissimilarities if asked for."""
    import matplotlib

    matplotlib.use("Agg")
    from brainguided.plot import plot_rdms
    from brainguided.rdm import dissimilarities_from_rdms
    from neural_data import save_dissimilarities

    computed = _load_rdms(arguments.recording, arguments.area, arguments.by)
    figure = plot_rdms(computed)[0].figure
    figure.savefig(arguments.out, dpi=200)
    print(arguments.out)
    if arguments.save:
        print(save_dissimilarities(dissimilarities_from_rdms(computed), arguments.save))


def search(arguments: argparse.Namespace) -> None:
    """Run a search or go on with one, then save its winner and the report."""
    from brainguided.executors import local_pool
    from brainguided.runfile import load_run
    from brainguided.search import run_search
    from brainguided.winner import save_winner

    _say("Loading the data.")
    run = load_run(arguments.run_file)
    _say(f"Searching, workers: {arguments.workers}. Ctrl-C stops; the same command goes on.")
    with local_pool(arguments.workers) as executor:
        run_search(
            run.controller,
            run.task,
            candidates=run.candidates,
            round_size=run.round_size,
            out=arguments.out,
            executor=executor,
        )
    _say("Training the winner again for its RDMs.")
    save_winner(arguments.out, run.task)
    report(arguments)


def report(arguments: argparse.Namespace) -> None:
    """Write the figures and the page of a run."""
    from brainguided.report import describe_winner, write_report

    written = write_report(arguments.out)
    print(describe_winner(arguments.out), *written, sep="\n")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="brainguided",
        description="Search for network architectures whose representations resemble the brain's.",
        epilog=f"example:\n  {_EXAMPLES['demo']}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"brainguided {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    one = _add_verb(verbs, "demo", demo)
    one.add_argument("--out", type=Path, default=Path("demo"), help="run folder (%(default)s)")
    one.add_argument("--candidates", type=_whole, default=24, help="architectures (%(default)s)")
    one.add_argument("--steps", type=_whole, default=100, help="SGD steps of each (%(default)s)")
    one.add_argument("--seed", type=_natural, default=0, help="seed of the search (%(default)s)")
    _add_workers(one)

    one = _add_verb(verbs, "import", None, "Turn data of a foreign format into netCDF files.")
    formats = one.add_subparsers(metavar="FORMAT", required=True)
    one = _add_verb(formats, "cowley2023", import_cowley2023)
    one.add_argument("folder", type=Path, help="holds responses_SESSION.npy, images_SESSION.zip")
    one.add_argument("--session", required=True, help="six digits, e.g. 201025")
    one.add_argument("--per-repetition", action="store_true", help="keep every repetition")
    _add_out(one, "recording", stimuli=True)
    one = _add_verb(formats, "kriegeskorte2008", import_kriegeskorte2008)
    one.add_argument("folder", type=Path, help="holds the supplementary .mat file")
    one.add_argument("--species", choices=("monkey", "human"), default="monkey")
    _add_out(one, "dissimilarities", stimuli=True)
    one = _add_verb(formats, "arrays", import_arrays)
    one.add_argument(
        "responses", type=Path, help=".npy: (stimulus, site) or (stimulus, repetition, site)"
    )
    names = "one name a line, or a .csv with a column '{0}'; other columns are kept"
    one.add_argument("--stimuli", type=Path, required=True, help=names.format("stimulus"))
    one.add_argument("--sites", type=Path, required=True, help=names.format("site"))
    one.add_argument("--area", help="of all sites; or a column 'area' in the table of sites")
    one.add_argument("--units", required=True, help="e.g. spikes/s")
    one.add_argument("--source", required=True, help="where the data come from")
    _add_out(one, "recording")
    one = _add_verb(formats, "images", import_images)
    one.add_argument("images", type=Path, help="folder or .zip")
    one.add_argument("--table", type=Path, help=".csv with a column 'stimulus', maybe 'filename'")
    one.add_argument("--size", type=_whole, help="scale to this many pixels, square")
    one.add_argument("--source", required=True, help="where the images come from")
    _add_out(one, "stimulus set")

    one = _add_verb(verbs, "inspect", inspect)
    one.add_argument("file", type=Path, help="netCDF file of this package")

    one = _add_verb(verbs, "rdms", rdms)
    one.add_argument(
        "recording", type=Path, help="netCDF file of a recording, or of dissimilarities"
    )
    one.add_argument("--area", action="append", help="only this area; may be repeated")
    one.add_argument("--by", default="stimulus", help="what is one condition, e.g. object_name")
    one.add_argument("--out", type=Path, required=True, help="figure: .png, .pdf or .svg")
    one.add_argument("--save", type=Path, help="netCDF file for the dissimilarities")

    one = _add_verb(verbs, "search", search)
    one.add_argument("run_file", metavar="RUN.toml", type=Path, help="settings of the search")
    one.add_argument("--out", type=Path, required=True, help="run folder; an old one is resumed")
    _add_workers(one)

    one = _add_verb(verbs, "report", report)
    one.add_argument("out", metavar="DIR", type=Path, help="run folder")
    return parser


def _add_verb(verbs: Any, name: str, function: Any, about: str = "") -> argparse.ArgumentParser:
    about = about or function.__doc__
    parser = verbs.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=function)
    return parser


def _add_out(parser: argparse.ArgumentParser, what: str, *, stimuli: bool = False) -> None:
    parser.add_argument("--out", type=Path, required=True, help=f"netCDF file of the {what}")
    if stimuli:
        parser.add_argument(
            "--stimuli-out", type=Path, required=True, help="netCDF file of the images"
        )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    cores = min(os.cpu_count() or 1, 8)
    parser.add_argument(
        "--workers",
        type=_whole,
        default=cores,
        help="processes; results do not depend on it (%(default)s)",
    )


def _load_rdms(path: Path, areas: list[str] | None, by: str) -> RDMs:
    """Return the RDMs of a recording, or those of a file of dissimilarities as they are."""
    from brainguided.rdm import compute_rdms, rdms_from_dissimilarities
    from neural_data import load_recording, select_recording
    from neural_data.netcdf import open_netcdf

    if "dissimilarity" in (data := open_netcdf(path)) and areas is None and by == "stimulus":
        return rdms_from_dissimilarities(data)
    return compute_rdms(select_recording(load_recording(path), area=areas), by=by)


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than 0")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _describe(error: Exception) -> str:
    """Return the message of an error; of one from the operating system, with the file."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    return str(error) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
