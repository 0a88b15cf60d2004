"""Run a part of the study, or go on with it: in its run folder, or after portions committed before.

    python studies/run.py b --seed 0 --out studies/runs/b0

The same command goes on where it was stopped. On another machine, without the run folder, it begins
with the networks that no portion of this part and seed holds (studies/portions/b_seed0*.nc).
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

HERE = Path(__file__).parent
NEXT = 10  # what is added to a search's seed for every portion before: no weights come twice


def main() -> None:
    """Write the run file of what is left, unless there is one, and search."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", help="a part with a list of networks, such as b")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    arguments = parser.parse_args()
    file = arguments.out / "RUN.toml"
    if not file.is_file():
        portions = sorted((HERE / "portions").glob(f"{arguments.part}_seed{arguments.seed}*.nc"))
        text = write_rest((HERE / f"{arguments.part}.toml").read_text("utf-8"), portions)
        seed = arguments.seed + NEXT * len(portions)
        text = re.sub(r"(?m)^seed = \d+", f"seed = {seed}", text)
        up = os.path.relpath(HERE / "data", arguments.out)
        arguments.out.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace('"data/', f'"{up}/'), encoding="utf-8")
    command = [sys.executable, "-m", "brainguided", "search", file, "--out", arguments.out]
    raise SystemExit(subprocess.call([*command, "--workers", "1"]))


def write_rest(text: str, portions: list[Path]) -> str:
    """Return a run file with the networks of its list that no portion holds."""
    listed = tomllib.loads(text)["controller"]["architectures"]
    done: set[str] = set()
    for path in portions:
        with xr.open_dataset(path) as portion:
            done |= set(portion["network"].values.tolist())
    left = [name for name in listed if name not in done]
    if not left:
        raise SystemExit(f"All {len(listed)} networks of this part and seed are in portions.")
    print(f"{len(left)} of {len(listed)} networks are left.")
    named = "".join(f'    "{name}",\n' for name in left)
    text = re.sub(r"(?s)architectures = \[.*?\n\]", f"architectures = [\n{named}]", text, count=1)
    return re.sub(r"(?m)^candidates = \d+", f"candidates = {len(left)}", text)


if __name__ == "__main__":
    main()
