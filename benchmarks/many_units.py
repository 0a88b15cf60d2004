"""A recording of 47,503 units and 1,000 images: describing it, and a teacher of 300 of its units.

    python benchmarks/many_units.py [--folder /tmp] [--keep]

Makes a file of the shape of Triple-N (Li et al. 2026), mean responses with a reliability for each
unit, of random numbers, and images of 32 x 32 pixels. Each measure runs in a process of its own;
prints seconds, seconds of CPU and peak memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from brainguided import Teacher
from neural_data import (
    describe_file,
    load_stimuli,
    open_recording,
    save_recording,
    save_stimuli,
    select_recording,
    select_reliable_sites,
    stimuli_from_arrays,
    write_brainio,
)

N_UNITS, N_IMAGES, CHOSEN = 47_503, 1_000, 300


def make_files(folder: Path) -> None:
    """Write the recording and its images."""
    rng = np.random.default_rng(0)
    names = [f"nsd{k:05d}" for k in range(N_IMAGES)]
    values = rng.standard_normal((N_IMAGES, 1, N_UNITS), dtype=np.float32)
    units = np.arange(N_UNITS)
    recording = xr.Dataset(
        {"response": (("stimulus", "repetition", "site"), values, {"units": "z"})},
        coords={
            "stimulus": names,
            "site": [f"unit{k:05d}" for k in units],
            "area": ("site", np.array(["V1", "V4", "IT"])[units % 3]),
            "animal": ("site", np.array([f"monkey{k}" for k in range(5)])[units % 5]),
            "session": ("site", np.array([f"session{k:02d}" for k in range(90)])[units % 90]),
            "reliability": ("site", rng.random(N_UNITS)),
        },
        attrs={"source": "made up", "simulated": 1},
    )
    save_recording(recording, folder / "units.nc")
    names_of = {"identifier": "made.up", "stimulus_set_identifier": "made.up"}
    write_brainio(recording, folder / "assembly.nc", **names_of)
    images = rng.integers(0, 256, (N_IMAGES, 32, 32, 3)).astype(np.uint8)
    save_stimuli(stimuli_from_arrays(images, stimulus=names, source="made up"), folder / "i.nc")


def inspect(folder: Path) -> str:
    """Describe the file as `brainguided inspect` does."""
    return describe_file(folder / "units.nc")["sites"]


def inspect_brainio(folder: Path) -> str:
    """Describe the same data as BrainIO has them."""
    return describe_file(folder / "assembly.nc")["sites"]


def teach(folder: Path) -> str:
    """Make a teacher of 300 units that are chosen by name."""
    stimuli = load_stimuli(folder / "i.nc")
    chosen = np.random.default_rng(1).choice(N_UNITS, CHOSEN, replace=False)
    with open_recording(folder / "units.nc") as recording:
        names = recording["site"].values[np.sort(chosen)].tolist()
        teacher = Teacher.from_recording(select_recording(recording, site=names), stimuli)
    return ", ".join(teacher.areas)


def teach_reliable(folder: Path) -> str:
    """Make a teacher of the units that are most reliable, as they were given."""
    stimuli = load_stimuli(folder / "i.nc")
    with open_recording(folder / "units.nc") as recording:
        above = float(np.sort(recording["reliability"].values)[-CHOSEN - 1])
        reliable = select_reliable_sites(recording, above=above, given="reliability")
        teacher = Teacher.from_recording(reliable, stimuli)
    return ", ".join(teacher.areas)


def measure(job: Callable[[Path], str], folder: Path) -> None:
    """Run a job in a process of its own, and print what it took."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(job, folder))
    process.start()
    process.join()


def _run(job: Callable[[Path], str], folder: Path) -> None:
    start, busy = time.perf_counter(), time.process_time()
    said = job(folder)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{job.__name__:16} {seconds:6.1f} s ({busy:.1f} s of CPU)  {peak:5.2f} GiB  {said}",
        flush=True,
    )


def main() -> None:
    """Make the files and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--keep", action="store_true", help="leave the files there")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    make_files(folder)
    print(f"{folder / 'units.nc'}: {(folder / 'units.nc').stat().st_size / 2**20:.0f} MiB")
    for job in (inspect, inspect_brainio, teach, teach_reliable):
        measure(job, folder)
    if not arguments.keep:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


if __name__ == "__main__":
    main()
