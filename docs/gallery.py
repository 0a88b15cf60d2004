"""The gallery: every plot of the package, drawn from the simulated macaque, with its lines."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "_build" / "gallery"
PACKAGES = ("brainguided", "neural_data")

SETUP = """
from neural_data import simulate_macaque, simulate_objects

recording, stimuli = simulate_macaque(simulate_objects(5, seed=0), repetitions=6, seed=0)
"""


@dataclass(frozen=True)
class Example:
    """Lines that draw a plot; what earlier examples made is there."""

    plot: str
    code: str
    needs: str = ""


EXAMPLES = (
    (
        "Recordings",
        (
            Example(
                "plot_recording_summary",
                """
from brainguided import plot_recording_summary

plot_recording_summary(recording)
""",
            ),
            Example(
                "plot_responses",
                """
from brainguided import plot_responses

plot_responses(recording)
""",
            ),
            Example(
                "plot_repetitions",
                """
from brainguided import plot_repetitions

gaps, _ = simulate_macaque(stimuli, repetitions=(3, 6), n_v4=20, n_it=30, seed=0)
plot_repetitions(gaps)
""",
            ),
            Example(
                "plot_reliability",
                """
from brainguided import plot_reliability
from neural_data import compute_site_reliability

plot_reliability(compute_site_reliability(recording, seed=0))
""",
            ),
            Example(
                "plot_reliability_over_time",
                """
from brainguided import plot_reliability_over_time
from neural_data import Macaque, TimeCourse

few = simulate_objects(1, seed=0)
course = Macaque(time=TimeCourse(start=-50, end=250, bin_width=25))
timed, shown = simulate_macaque(few, repetitions=6, n_v4=40, n_it=40, macaque=course)
reliability = compute_site_reliability(timed, splits=20, seed=0)
plot_reliability_over_time(reliability)
""",
            ),
        ),
    ),
    (
        "RDMs",
        (
            Example(
                "plot_rdms",
                """
from brainguided import compute_rdms, plot_rdms

rdms = compute_rdms(recording, by="object_name")
plot_rdms(rdms, thumbnails=stimuli)
""",
            ),
            Example(
                "plot_rdm_pairs",
                """
from brainguided import compare_rdm_pairs, plot_rdm_pairs

v4, it = rdms.subset("area", "V4"), rdms.subset("area", "IT")
plot_rdm_pairs(v4, it, compare_rdm_pairs(v4, it, seed=0))
""",
            ),
            Example(
                "plot_stimulus_mds",
                """
from brainguided import plot_stimulus_mds

plot_stimulus_mds(rdms, number=1)
""",
            ),
            Example(
                "plot_rdm_mds",
                """
from brainguided import PlainArchitecture, ConvLayer, build_network, compute_layer_rdms, plot_rdm_mds

layers = (ConvLayer(3, 3, 16), ConvLayer(3, 3, 32, stride=2), ConvLayer(3, 3, 64, pool="max"))
architecture = PlainArchitecture(layers)
network = build_network(architecture, n_classes=8, seed=0)
layer_rdms = compute_layer_rdms(network, stimuli, by="object_name")
plot_rdm_mds(layer_rdms)
""",
            ),
        ),
    ),
    (
        "Layers and areas",
        (
            Example(
                "plot_correspondence",
                """
from brainguided import Inference, Teacher, compute_correspondence, plot_correspondence

teacher = Teacher.from_recording(recording, stimuli, by="object_name")
found = compute_correspondence(
    network, teacher, inference=Inference(draws=200, permutations=200, splits=20), seed=0
)
plot_correspondence(found)
""",
            ),
            Example(
                "plot_depth",
                """
from brainguided import plot_depth

plot_depth(found)
""",
            ),
            Example(
                "plot_similarity_over_time",
                """
from brainguided import compute_similarity_over_time, plot_similarity_over_time

rdms_of_layers = compute_layer_rdms(network, shown)
plot_similarity_over_time(compute_similarity_over_time(rdms_of_layers, timed))
""",
            ),
        ),
    ),
    (
        "Architectures and searches",
        (
            Example(
                "plot_architecture",
                """
from brainguided import plot_architecture, pnas_space

plot_architecture(pnas_space(n_blocks=5, n_cells=1, filters=8).sample(seed=0))
""",
            ),
            Example(
                "plot_search",
                """
from brainguided import RandomSearch, Schedule, Task, Training, images_from_stimuli
from brainguided import plot_search, run_search, small_space

images = images_from_stimuli(simulate_objects(4, seed=1), simulate_objects(2, seed=2))
task = Task(images, teacher, Training(steps=4))
quiet, space = Schedule(progress=False), small_space(max_depth=3)
run = run_search(
    RandomSearch(space, seed=0), task, candidates=16, out="random_0", schedule=quiet
)
plot_search(run)
""",
            ),
            Example(
                "plot_front",
                """
from brainguided.controllers import nsga2  # pip install ".[optuna]"
from brainguided.plot import plot_front

objectives = ("performance", "TG", "-parameters")
both = run_search(
    nsga2(space, seed=0, objectives=objectives), task, candidates=16, out="nsga2_0", schedule=quiet
)
plot_front(both, x="TG", y="performance")
""",
                needs="optuna",
            ),
            Example(
                "plot_runs",
                """
from brainguided import LocalSearch, compare_runs, plot_runs

for seed in (1, 2):
    run_search(
        RandomSearch(space, seed=seed), task, candidates=16, out=f"random_{seed}", schedule=quiet
    )
for seed in (0, 1, 2):
    local = LocalSearch(space, seed=seed)
    run_search(local, task, candidates=16, out=f"local_{seed}", schedule=quiet)
runs = [f"{kind}_{seed}" for kind in ("random", "local") for seed in (0, 1, 2)]
plot_runs(compare_runs(runs))
""",
            ),
        ),
    ),
    (
        "The table that comes with the package",
        (
            Example(
                "plot_anytime",
                """
from brainguided import load_benchmark, plot_anytime, run_replays, summarize_replays
from brainguided.replays import tables_from_benchmark

benchmark = load_benchmark()  # recorded V4 and IT, so far in part
tables = tables_from_benchmark(benchmark, ["P", "P+TG"])
replays = run_replays(tables, {"random": RandomSearch}, budget=26, seeds=50, nearest=True)
plot_anytime(summarize_replays(replays))
""",
            ),
            Example(
                "plot_importance",
                """
from brainguided import compute_importance, plot_importance

plot_importance(compute_importance(tables["P+TG"], permutations=199))
""",
            ),
            Example(
                "plot_validity",
                """
from brainguided.plot import plot_validity
from brainguided.replays import compute_validity, pool_from_benchmark

shown = ["V4", "V4:pixels", "V4:gabor", "IT", "IT:pixels", "IT:gabor", "IT:categories"]
part = benchmark.sel(rung=[0, 50, 200], target=shown, shuffled=["V4", "IT"])
validity = compute_validity(pool_from_benchmark(part), draws=50)
plot_validity(validity)
""",
            ),
            Example(
                "plot_alpha",
                """
from brainguided.plot import plot_alpha

plot_alpha(validity)
""",
            ),
            Example(
                "plot_scores",
                """
from brainguided.plot import plot_scores

plot_scores(validity)
""",
            ),
        ),
    ),
)


def write_gallery(page: Path, images: Path, *, examples: Any = EXAMPLES) -> None:
    """Draw all examples, or take them as they were drawn of the same code, and write the page."""
    drawn = _draw(examples)
    shutil.rmtree(images, ignore_errors=True)
    shutil.copytree(drawn, images, ignore=shutil.ignore_patterns("*.json"))
    left_out = json.loads((drawn / "left_out.json").read_text(encoding="utf-8"))
    import brainguided.plot as plots

    text = [
        "# Gallery\n",
        "Every plot of the package with the lines that drew it, from top to bottom: what is made above is",
        "used below. All of it is from a **simulated** macaque and short searches, but for the last section,",
        "which is from the table of networks that comes with the package. Each function returns axes of",
        'matplotlib: `axes.figure.savefig("figure.pdf")` saves one.\n',
        f"```python\n{SETUP.strip()}\n```\n",
    ]
    for title, group in examples:
        text.append(f"## {title}\n")
        for example in group:
            target = f"brainguided.plot.{example.plot}"
            said = (inspect.getdoc(getattr(plots, example.plot)) or "").partition("\n\n")[0]
            text += [f"### {example.plot}\n", f"{{py:obj}}`{example.plot} <{target}>`: {said}\n"]
            text.append(f"```python\n{example.code.strip()}\n```\n")
            if example.plot in left_out:
                text.append(f"Not drawn here: `{example.needs}` was not installed.\n")
            else:
                name = f"{images.name}/{example.plot}.png"
                text.append(f"```{{image}} {name}\n:alt: {said}\n```\n")
    page.write_text("\n".join(text), encoding="utf-8")


def _draw(examples: Any) -> Path:
    """Return the folder of the figures, drawn unless the same code has drawn them before."""
    folder = KEPT / _digest(examples)
    if folder.is_dir():
        return folder
    import matplotlib as mpl

    mpl.use("Agg")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(KEPT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work, chdir(work):
        aside = Path(work) / "figures"
        aside.mkdir()
        left_out = draw_examples(examples, aside)
        (aside / "left_out.json").write_text(json.dumps(left_out), encoding="utf-8")
        KEPT.mkdir()
        shutil.copytree(aside, folder.with_suffix(".part"))
    os.replace(folder.with_suffix(".part"), folder)
    return folder


def draw_examples(examples: Any, folder: Path) -> list[str]:
    """Run the lines of all examples in one namespace, save figures; return what lacks a package."""
    from matplotlib import pyplot

    space: dict[str, Any] = {}
    exec(SETUP, space)
    left_out = []
    for _, group in examples:
        for example in group:
            if example.needs and find_spec(example.needs) is None:
                left_out.append(example.plot)
                continue
            pyplot.close("all")
            exec(example.code, space)
            pyplot.gcf().savefig(folder / f"{example.plot}.png", dpi=150)
    pyplot.close("all")
    return left_out


def _digest(examples: Any) -> str:
    """Return what the figures depend on in this checkout and environment, as a number."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for needs in sorted({example.needs for _, group in examples for example in group} - {""}):
        digest.update(f"{needs} {find_spec(needs) is not None}\n".encode())
    for package in PACKAGES:
        for source in sorted((ROOT / package).rglob("*")):  # tables that come with it, too
            if source.is_file() and source.suffix != ".pyc":
                digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
