"""Activations written to a netCDF file, for analyses that need the units themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor, nn

from brainguided.networks.hooks import observe_layers, show_images
from brainguided.networks.layers import Layers
from brainguided.networks.passes import BATCH_BYTES
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from brainguided.networks.probe import place_inputs, probe_layers
from neural_data.model.stimuli import validate_stimuli
from neural_data.storage.aside import write_aside
from neural_data.storage.hdf5_checks import check_hdf5


def record_activations(
    network: nn.Module,
    stimuli: xr.Dataset,
    path: str | Path,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
) -> Path:
    """Write the activations of layers to a netCDF file, a batch of stimuli at a time.

    Nothing is kept in memory beyond a batch. ``layers.describe_layers`` says beforehand how many
    bytes each layer takes.

    Parameters
    ----------
    network : torch.nn.Module
        Any module that maps (stimulus, channel, y, x) images to an output.
    stimuli : xr.Dataset
        Stimulus set (stimulus, y, x, channel) uint8.
    path : str or Path
        Must not exist. The file appears under its name once it is complete.
    layers : str, sequence of str or Observation, optional
        Names or patterns; see ``layers.select_layers``.
    preprocessing : Preprocessing, optional
        What is done to the images; by default they keep their size and are scaled to -1..1.

    Returns
    -------
    Path
        The file: one float32 variable (stimulus, unit) for each layer, see `load_activations`.

    Raises
    ------
    FileExistsError
        If there is something at `path`.
    OSError
        If the disk has less room than the activations need.
    RecordingError
        If the stimulus set is not valid.
    ValueError
        If a layer does not exist, is not called, or returns no tensor.
    """
    import netCDF4

    path = Path(path)
    validate_stimuli(stimuli)
    if path.exists():
        raise FileExistsError(f"{path} exists; give another name, or remove it first.")
    images = stimuli["image"].values
    found = probe_layers(network, images, layers, preprocessing=preprocessing)
    shapes, units, tokens = found.shapes, found.units, found.observation.tokens
    need = 4 * sum(units.values()) * len(images)
    free = shutil.disk_usage(path.parent).free
    if need > free:
        raise OSError(
            f"The activations of {len(units)} layers to {len(images)} stimuli take "
            f"{need / 2**30:.1f} GiB and {path.parent} has {free / 2**30:.1f} GiB free. Choose "
            "fewer layers, or compute their RDMs without storing them: compute_layer_rdms(...)."
        )
    uses = [layer if ":" in layer else f"{layer}:1" for layer in units]
    batch = int(max(1, BATCH_BYTES // (4 * found.widest)))
    with write_aside(path) as aside, netCDF4.Dataset(aside, "w") as file:
        variables = _create(file, stimuli, shapes, units)
        file.preprocessing = (preprocessing or Preprocessing()).describe()
        file.network = type(network).__name__
        file.setncatts(found.describe())
        for start in range(0, len(images), batch):
            rows = slice(start, start + batch)
            inputs = place_inputs(images_to_tensor(images[rows], preprocessing), network)

            def consume(layer: str, output: Tensor, rows: slice = rows) -> None:
                values = output.reshape(len(output), -1).float().cpu().numpy()
                variables[layer][rows] = values

            with observe_layers(network, uses, consume, n_stimuli=len(inputs), tokens=tokens):
                show_images(network, inputs)
    return path


def load_activations(path: str | Path, layer: str) -> xr.DataArray:
    """Return the activations of one layer: (stimulus, unit), float32.

    Parameters
    ----------
    path : str or Path
        A file that `record_activations` wrote.
    layer : str
        Name of the layer.

    Returns
    -------
    xr.DataArray (stimulus, unit)
        With the coordinates of the stimuli; ready for ``rdm.compute_rdms``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no such layer; those that it holds are listed.
    """
    check_hdf5(path)
    with xr.open_dataset(path, engine="netcdf4") as data:
        by_name = {
            str(v.attrs["layer"]): k for k, v in data.data_vars.items() if "layer" in v.attrs
        }
        if layer not in by_name:
            raise ValueError(f"{path} holds no layer {layer!r}; it holds {sorted(by_name)}.")
        labels = [name for name, v in data.data_vars.items() if "layer" not in v.attrs]
        variable = data.set_coords(labels)[by_name[layer]].load()
    unit = str(variable.dims[1])
    known = {
        k: data.attrs[k]
        for k in ("source", "preprocessing", "network", "tokens")
        if k in data.attrs
    }
    return variable.rename({unit: "unit"}).rename(layer).assign_attrs(known)


def _create(
    file: Any, stimuli: xr.Dataset, shapes: dict[str, tuple[int, ...]], units: dict[str, int]
) -> dict[str, Any]:
    """Define the file: labels of the stimuli, and a variable for each layer."""
    file.source = str(stimuli.attrs.get("source", "unknown"))
    file.createDimension("stimulus", stimuli.sizes["stimulus"])
    for name, coord in stimuli.coords.items():
        if coord.dims == ("stimulus",):
            text = coord.dtype.kind in "OUS"
            variable = file.createVariable(str(name), str if text else coord.dtype, ("stimulus",))
            variable[:] = coord.values.astype(object) if text else coord.values
    variables = {}
    for k, (layer, number) in enumerate(units.items()):
        file.createDimension(f"unit{k}", number)
        variable = file.createVariable(f"activation{k}", "f4", ("stimulus", f"unit{k}"))
        variable.layer = layer
        variable.shape_of_layer = " x ".join(map(str, shapes[layer]))
        variable.units = "activation"
        variables[layer] = variable
    return variables
