"""Run a part of the study, or go on with it: in its run folder, or after portions committed before.

    python studies/run.py b --seed 0 --out studies/runs/b0

The same command goes on where it was stopped. On another machine, without the run folder, it begins
with the networks that no portion of this part and seed holds (studies/portions/b_seed0*.nc). Part
c, of networks drawn at random, then draws as many as are left.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import xarray as xr

from brainguided.architectures.nasbench201 import OPERATIONS
from brainguided.controllers import ListSearch
from brainguided.settings.presets import SPACES

HERE = Path(__file__).parent
NEXT = 10  # what is added to a search's seed for every portion before: no weights come twice


def main() -> None:
    """Write the run file of what is left, unless there is one, and search."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=list("abcdefg"))
    parser.add_argument("--seed", type=int, help="of the weights; of part d 1 or 2, else 0")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--prepare", action="store_true", help="write the run file and end")
    arguments = parser.parse_args()
    seed = int(arguments.part == "d") if arguments.seed is None else arguments.seed
    if arguments.part in ("a", "d") and (seed == 0) != (arguments.part == "a"):
        parser.error(f"weight seed {seed} of these networks is part {'ad'[seed > 0]}")
    file = arguments.out / "RUN.toml"
    if not file.is_file():
        write_run_file(arguments.part, seed, arguments.out)
    if arguments.prepare:
        return
    command = [sys.executable, "-m", "brainguided", "search", file, "--out", arguments.out]
    raise SystemExit(subprocess.call([*command, "--workers", "1"]))


def write_run_file(part: str, seed: int, out: Path) -> None:
    """Write the run file of those networks of a part that no portion holds."""
    portions = sorted((HERE / "portions").glob(f"{part}_seed{seed}*.nc"))
    text = find_file(part).read_text("utf-8")
    text = write_rest(text, portions)
    text = re.sub(r"(?m)^seed = \d+", f"seed = {seed + NEXT * len(portions)}", text)
    up = os.path.relpath(HERE / "data", out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "RUN.toml").write_text(text.replace('"data/', f'"{up}/'), encoding="utf-8")


def find_file(part: str) -> Path:
    """Return the run file of a part; part d is other weight seeds of part a."""
    return HERE / f"{'a' if part == 'd' else part}.toml"


def write_rest(text: str, portions: list[Path]) -> str:
    """Return a run file with those networks, of a list or in number, that no portion holds."""
    wanted = tomllib.loads(text)["candidates"]
    done: set[str] = set()
    for path in portions:
        with xr.open_dataset(path) as portion:
            done |= set(portion["network"].values.tolist())
    listed = list_networks(tomllib.loads(text)) if done else None
    left = wanted - len(done) if listed is None else sum(name not in done for name in listed)
    if left <= 0:
        raise SystemExit(f"All {wanted} networks of this part and seed are in portions.")
    print(f"{left} of {wanted} networks are left.")
    if listed is not None:
        named = "".join(f'    "{name}",\n' for name in listed if name not in done)
        block = f"architectures = [\n{named}]"
        text = re.sub(r"(?m)^shuffle = true.*$", lambda _: block, text, count=1)
        text = re.sub(r"(?s)architectures = \[.*?\n\]", lambda _: block, text, count=1)
    return re.sub(r"(?m)^candidates = \d+", f"candidates = {left}", text)


def list_networks(file: dict) -> list[str] | None:
    """Return the networks that a run file goes through, in its order; None where it draws them."""
    controller, space = dict(file["controller"]), dict(file["space"])
    if controller.pop("name") != "list":
        return None
    if "architectures" in controller:
        return list(controller["architectures"])
    made = SPACES[space.pop("preset")](**space)
    search = ListSearch(made, seed=file["seed"], **controller)
    found = search.ask(made.n_architectures)
    return ["".join(str(OPERATIONS.index(one)) for one in a.operations) for a in found]


if __name__ == "__main__":
    main()
