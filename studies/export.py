"""Write what a search of the study has measured so far as a portion, small enough to be committed.

    python studies/export.py studies/runs/b0 --out studies/portions/b_seed0.nc

A portion is read while the search goes on, and may be partial: its attributes say how many networks
of how many it holds. It keeps all that the tests of hypothesis.md need: similarities of every layer
to areas and controls, and to 200 shuffles (best layer and committed), in steps of 1/32,000;
committed ones to areas and controls as float32, and to all shuffles at the rung of the primary
test. Weights and whole journals are not kept: the seed of each network stands beside it, and the
same seed gives the same numbers again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture, NASBench201Architecture
from brainguided.architectures.nasbench201 import OPERATIONS
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement

PRIMARY = 100  # steps
SHUFFLES = 200
STEP = 1 / 32_000


def main() -> None:
    """Read the journal and write the portion."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, required=True, help="netCDF file")
    arguments = parser.parse_args()
    portion = build_portion(arguments.run)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_portion(portion, arguments.out)
    said = "{networks} of {wanted} networks, {failed} failed".format(**portion.attrs)
    print(f"{arguments.out}: {said}; {arguments.out.stat().st_size / 2**20:.2f} MiB")


def build_portion(run: str | Path, *, wanted: int | None = None) -> xr.Dataset:
    """Return what a journal holds as arrays over networks; see the top of this file."""
    with Journal.read(run) as journal:
        config, results = journal.config or {}, journal.results()
        versions = [row[4] for row in journal.sessions()]
    done = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
    if not done:
        raise SystemExit(f"{run}: no network has been measured yet.")
    found = [r.measurement for r in done]
    areas, first = list(found[0].areas), found[0].rungs
    controls = [name for name in found[0].targets if name not in areas]
    layers = list(dict.fromkeys(n for m in found for n in next(iter(m.similarity.values()))))
    coords = {
        "network": [write_network(r.architecture) for r in done],
        "rung": [rung.step for rung in first],
        "area": areas,
        "layer": layers,
        "target": [*areas, *controls],
        # Not noisy copies of a control, of which the mean is kept
        "shuffled": [name for name in first[0].shuffles if name in areas or ":shuffled" in name],
        "statistic": list(found[0].statistics),
    }
    variables = read_rungs(found, coords)
    variables["seed"] = "network", np.array([r.seed for r in done], dtype=np.int64)
    listed = config.get("controller", {}).get("architectures") or []
    attrs = {
        "networks": len(done),
        "wanted": wanted or len(listed) or -1,
        "failed": sum(r.outcome == "failed" for r in results),
        "search_seed": int(config.get("controller", {}).get("seed", -1)),
        "made_with": "; ".join(dict.fromkeys(map(say_versions, versions))),
        "config": json.dumps(config),
    }
    return xr.Dataset(variables, coords, attrs)


def read_rungs(found: list[Measurement], coords: dict[str, list]) -> dict[str, tuple]:
    """Return the variables of a portion by name, with their dimensions."""
    layers, targets, names = coords["layer"], coords["target"], coords["shuffled"]
    variables = {
        "performance": (("network", "rung"), of([[r.performance for r in m.rungs] for m in found])),
        "cross_entropy": (
            ("network", "rung"),
            of([[r.cross_entropy for r in m.rungs] for m in found]),
        ),
        "similarity": (
            ("network", "rung", "target", "layer"),
            of(
                [
                    [[[r.similarity[t].get(x) for x in layers] for t in targets] for r in m.rungs]
                    for m in found
                ]
            ),
        ),
        "committed": (
            ("network", "rung", "target"),
            of([[[r.committed[t] for t in targets] for r in m.rungs] for m in found]),
        ),
        "statistics": (
            ("network", "statistic"),
            np.array([list(m.statistics.values()) for m in found], dtype=float),
        ),
        "loss": (("network", "step"), of([list(m.losses) for m in found])),
    }
    first = found[0].rungs[0].shuffles
    number = min([SHUFFLES, *(len(first[name]["committed"]) for name in names)])
    for kind in ("best", "committed"):
        variables[f"shuffled_{kind}"] = (
            ("network", "rung", "shuffled", "shuffle"),
            of(
                [
                    [[r.shuffles[name][kind][:number] for name in names] for r in m.rungs]
                    for m in found
                ]
            ),
        )
    for name in names if PRIMARY in coords["rung"] else ():
        if len(first[name]["committed"]) > SHUFFLES:
            variables[f"committed at {PRIMARY} of all shuffles of {name}"] = (
                ("network", f"shuffle{len(first[name]['committed'])}"),
                of([m.rung(PRIMARY).shuffles[name]["committed"] for m in found]),
            )
    return variables


def of(values: list) -> np.ndarray:
    """Return nested numbers as float32, NaN for what is not defined."""
    return np.array(values, dtype=object).astype(np.float32)


def say_versions(versions: dict[str, str]) -> str:
    """Return the versions of a driver in words."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def write_network(architecture: str) -> str:
    """Return a cell of NAS-Bench-201 as six digits, any other architecture as JSON."""
    read = Architecture.from_json(architecture)
    if not isinstance(read, NASBench201Architecture):
        return read.to_json()
    return "".join(str(OPERATIONS.index(name)) for name in read.operations)


def write_portion(portion: xr.Dataset, path: Path) -> None:
    """Write a portion as compressed netCDF."""
    encoding = {}
    for name in portion.data_vars:
        encoding[name] = {"zlib": True, "complevel": 4, "shuffle": True}
        if "shuffle" in name or name == "similarity":
            encoding[name] |= {"dtype": "int16", "scale_factor": STEP, "_FillValue": -32768}
    portion.to_netcdf(path, encoding=encoding)


if __name__ == "__main__":
    main()
