"""Activations that are kept on disk, so that a later notebook, or the next run, need not show the images again."""

from pathlib import Path

import numpy as np
import torch

from itneurons.device import has_bfloat16
from itneurons.features.extraction import extract_each
from itneurons.storage import disk_tensors, stored

# images that are written and read at once, each lot with a checksum
_AT_ONCE = 16


def layer_path(folder, backbone, layer, suffix=".h5"):
    """Where what is made of a layer is stored."""
    return Path(folder) / f"{backbone.replace('/', '_').replace(':', '_')}_{layer}{suffix}"


def activations_path(folder, backbone, layer):
    """Where a layer's activations are kept."""
    return layer_path(folder, backbone, layer, ".activations.h5")


def load_or_extract(folder, backbone, model, stimuli, made_of, layers, device="cpu", kept=None):
    """Activations of layers for several sets of images, as they were kept, or extracted and kept for the next time.

    The images are shown once for all layers that are missing. Where there is no room to keep them, a line says so.

    Parameters
    ----------
    folder : str or Path
        For example ``"Activations"``.
    backbone : str
        Name of the network, for the names of the files.
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
    made_of : dict
        Of ``what_components_are_made_of``.
    layers : sequence of str
    device : str or torch.device
    kept : sequence of str, optional
        Those of the layers that are kept; all when left out. The others are extracted each time.

    Returns
    -------
    activations : list of dict of str to tensor of shape (n_images, ...)
        As ``extract_activations`` gives them, one for each set of images.
    """
    made_of = _made_of(made_of, device)
    paths = {layer: activations_path(folder, backbone, layer) for layer in (layers if kept is None else kept)}
    found = {layer: stored.load_if_it_fits(paths[layer], made_of, _load) for layer in layers if layer in paths}
    missing = [layer for layer in layers if found.get(layer) is None]
    if missing:
        extracted = extract_each(model, stimuli, missing, device)
        for layer in missing:
            found[layer] = [part[layer] for part in extracted]
            if layer in paths:
                _keep(paths[layer], made_of, found[layer])
    return [{layer: found[layer][number] for layer in layers} for number in range(len(stimuli))]


def _made_of(made_of, device):
    # how many components there are does not matter here, but the type of the numbers does
    return {**{name: made_of[name] for name in ("stimuli", "weights", "version")}, "bfloat16": has_bfloat16(device)}


def _keep(path, made_of, parts):
    try:
        with stored.written(path, made_of, sum(part.nbytes for part in parts)) as file:
            for number, part in enumerate(parts):
                # laid out as it lies in memory, with the channels of a place side by side
                values = part.movedim(1, -1)
                shape = tuple(values.shape)
                dataset = file.create_dataset(
                    f"part{number}",
                    shape,
                    _numpy_type(part.dtype),
                    chunks=(min(_AT_ONCE, len(part)), *shape[1:]) if part.numel() else None,
                    fletcher32=part.numel() > 0,
                )
                for start in range(0, len(part), _AT_ONCE):
                    lot = values[start : start + _AT_ONCE].contiguous()
                    dataset[start : start + _AT_ONCE] = _bits(lot)
                    disk_tensors.release(part)
    except OSError as error:
        print(f"{Path(path).name} is not kept, its layer will be extracted again: {error}")


def _load(path, made_of):
    with stored.opened(path, made_of) as file:
        return [_read(file[f"part{number}"]) for number in range(len(file))]


def _read(dataset):
    dtype = torch.bfloat16 if dataset.dtype == np.int16 else torch.float32
    values = disk_tensors.room(dataset.shape, dtype)
    for start in range(0, len(values), _AT_ONCE):
        lot = torch.from_numpy(dataset[start : start + _AT_ONCE])
        values[start : start + _AT_ONCE] = lot.view(dtype)
        disk_tensors.release(values)
    return values.movedim(-1, 1)


def _numpy_type(dtype):
    # NumPy has no bfloat16: its bits are kept
    return np.int16 if dtype == torch.bfloat16 else np.float32


def _bits(values):
    return (values.view(torch.int16) if values.dtype == torch.bfloat16 else values).numpy()
