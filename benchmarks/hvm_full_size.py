"""The HvM recording at full size as BrainIO: opening, reading, averaging and writing it.

    python benchmarks/hvm_full_size.py [--folder /tmp] [--order neuroid] [--level 1] [--keep]

Makes a file at true shape (296 sites, 268,800 presentations of 5,760 images, 44 to 50 times each
in random order, one time bin, 19 columns of text and numbers over presentation) of random
responses. Each measure runs in a process of its own; prints seconds and peak memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.formats.brainio.reader import open_brainio, read_brainio
from neural_data.formats.brainio.writer import write_brainio
from neural_data.model.recording import average_repetitions, save_recording, select_recording

N_IMAGES, N_PRESENTATIONS, N_SITES = 5760, 268_800, 296


def make_columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make the columns of the stimulus set: hashes, names, poses."""
    hashes = np.array([f"{number:040x}" for number in rng.integers(0, 2**62, N_IMAGES)], object)
    names = np.array([f"object_{k % 64:02d}" for k in range(N_IMAGES)], object)
    columns: dict[str, np.ndarray] = {
        "image_id": hashes,
        "id": hashes,
        "background_id": rng.permutation(hashes),
        "image_file_name": names + "_" + hashes + "_256x256.png",
        "filename": names + "_" + hashes + "_256x256.png",
        "object_name": names,
        "category_name": np.array([f"category_{k % 8}" for k in range(N_IMAGES)], object),
        "variation": rng.choice([0, 3, 6], N_IMAGES),
        "size": np.full(N_IMAGES, 256),
    }
    for name in ("s", "ty", "tz", "rxy", "rxz", "ryz", "rxy_sem", "rxz_sem", "ryz_sem"):
        columns[name] = rng.normal(size=N_IMAGES)
    return columns


def make_assembly(order: str) -> xr.DataArray:
    """Make the responses, presentations in random order, as BrainIO has them."""
    rng = np.random.default_rng(0)
    counts = np.full(N_IMAGES, 44)
    extra = rng.permutation(np.repeat(np.arange(N_IMAGES), 6))[: N_PRESENTATIONS - counts.sum()]
    image = rng.permutation(np.repeat(np.arange(N_IMAGES), counts + np.bincount(extra)))
    seen = np.zeros(N_IMAGES, dtype=int)
    repetition = np.empty(image.size, dtype=np.int64)
    for k, which in enumerate(image):
        repetition[k] = seen[which]
        seen[which] += 1
    shape = (N_PRESENTATIONS, N_SITES) if order == "presentation" else (N_SITES, N_PRESENTATIONS)
    values = rng.standard_normal(shape, dtype=np.float32)[..., np.newaxis]
    dims = ("presentation", "neuroid") if order == "presentation" else ("neuroid", "presentation")
    sites = np.arange(N_SITES)
    return xr.DataArray(
        values,
        dims=(*dims, "time_bin"),
        coords={
            **{name: ("presentation", col[image]) for name, col in make_columns(rng).items()},
            "repetition": ("presentation", repetition),
            "neuroid_id": ("neuroid", [f"Chabo_L_M_{k // 10}_{k % 10}" for k in sites]),
            "region": ("neuroid", np.where(sites < 128, "V4", "IT").astype(object)),
            "animal": ("neuroid", np.where(sites % 2, "Chabo", "Tito").astype(object)),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        attrs={"identifier": "made.up", "stimulus_set_identifier": "made.up.hvm"},
    )


def write_plainly(assembly: xr.DataArray, path: Path, *, level: int = 1) -> None:
    """Write an assembly as xarray does."""
    encoding = {"data": {"zlib": True, "complevel": level}}
    assembly.to_dataset(name="data", promote_attrs=True).to_netcdf(path, encoding=encoding)


def _open(path: Path) -> None:
    open_brainio(path).close()


def _read(path: Path) -> None:
    read_brainio(path)


def _average(path: Path) -> None:
    with open_brainio(path) as recording:
        average = average_repetitions(select_recording(recording, area="IT"))
    assert average.shape == (N_IMAGES, 168)


def _write(path: Path) -> None:
    """Compare `write_brainio` with xarray's writing of the same rows, interleaved."""
    recording = read_brainio(path)
    ratios, out = [], path.parent / "hvm_written.nc"
    for _ in range(3):
        start = time.perf_counter()
        write_brainio(recording, out)
        ours = time.perf_counter() - start
        with xr.open_dataset(out, decode_timedelta=False) as file:
            assembly = file["data"].load().assign_attrs(file.attrs)
        plain = path.parent / "hvm_plain.nc"
        start = time.perf_counter()
        write_plainly(assembly, plain)
        ratios.append(ours / (time.perf_counter() - start))
        print(
            f"  write_brainio {ours:.1f} s, {out.stat().st_size / 2**20:.0f} MiB; "
            f"xarray {ours / ratios[-1]:.1f} s, {plain.stat().st_size / 2**20:.0f} MiB"
        )
        plain.unlink()
    out.unlink()
    print(f"  median ratio {np.median(ratios):.2f}")
    start = time.perf_counter()
    save_recording(recording, path.parent / "hvm_saved.nc")
    print(f"  save_recording {time.perf_counter() - start:.1f} s")
    (path.parent / "hvm_saved.nc").unlink()


def _write_lazily(path: Path) -> None:
    with open_brainio(path) as recording:
        write_brainio(recording, path.parent / "hvm_lazily.nc")
    (path.parent / "hvm_lazily.nc").unlink()


def _measure(function: Callable[[Path], None], path: Path) -> None:
    start = time.perf_counter()
    function(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**30 if sys.platform == "darwin" else 2**20
    )
    print(f"{function.__name__.strip('_')}: {seconds:.1f} s, peak {peak:.2f} GiB", flush=True)


def _make(path: Path, order: str, level: int) -> None:
    write_plainly(make_assembly(order), path, level=level)


def main() -> None:
    """Make the file and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--order", choices=("neuroid", "presentation"), default="neuroid")
    parser.add_argument("--level", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the file, or use the one there")
    parser.add_argument("--only", default="open,read,average,write,write_lazily")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    path = folder / f"hvm_{given.order}_first_level{given.level}.nc"
    context = multiprocessing.get_context("spawn")
    steps: list[tuple[Callable[..., None], tuple[object, ...]]] = []
    if not path.exists():
        steps.append((_make, (path, given.order, given.level)))
    measures = {
        "open": _open,
        "read": _read,
        "average": _average,
        "write": _write,
        "write_lazily": _write_lazily,
    }
    steps += [(_measure, (measures[name], path)) for name in given.only.split(",")]
    for function, arguments in steps:
        process = context.Process(target=function, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)
    if not given.keep:
        path.unlink()


if __name__ == "__main__":
    main()
