"""Other recordings to learn from: read, freed of the images that are tested with, turned into a backbone's layers."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from itneurons.features.extraction import concatenate_layers, extract_activations
from itneurons.recordings.load import load_it_data, load_test_rates
from itneurons.recordings.schema import to_rgb


def drop_shared_images(stimuli, rates, kept_apart):
    """Leave out the images of a recording that occur among others, by what they show and not by their names.

    Images are the same whose pixels are, at eight bits a channel.

    Parameters
    ----------
    stimuli : array of shape (n_images, 3, height, width)
        Normalised with the mean and deviation of ImageNet.
    rates : array of shape (n_images, n_neurons)
    kept_apart : sequence of arrays of shape (n_other_images, 3, height, width)
        Stimuli that nothing may be learned from: those of the recording that is tested.

    Returns
    -------
    stimuli, rates : arrays
        Without the images that occur in ``kept_apart``.
    n_dropped : int

    Raises
    ------
    ValueError
        If there is not one row of rates for each image, or the images differ in size, so that equal ones would not be
        found.
    """
    if len(stimuli) != len(rates):
        raise ValueError(f"There are {len(stimuli)} stimuli but {len(rates)} rows of rates")
    for others in kept_apart:
        if np.shape(others)[1:] != np.shape(stimuli)[1:]:
            raise ValueError(
                f"Images of {np.shape(stimuli)[2:]} and {np.shape(others)[2:]} pixels cannot be compared pixel by "
                "pixel: make the recordings with one image size"
            )
    seen = {_digest(image) for others in kept_apart for image in others}
    kept = np.array([_digest(image) not in seen for image in stimuli], dtype=bool)
    if kept.all():
        return stimuli, rates, 0
    return stimuli[kept], rates[kept], int((~kept).sum())


def _digest(image):
    return hashlib.sha256(np.round(255 * to_rgb(image)).astype(np.uint8).tobytes()).digest()


def read_others(paths, kept_apart, model, layers, size=7, device="cpu", report=print):
    """Recordings as ``fit_shared`` takes them: layers of a backbone, and rates, for all images whose rates are known.

    Parameters
    ----------
    paths : sequence of str or Path
        Of recordings; each goes by the name of its file.
    kept_apart : sequence of arrays of shape (n_images, 3, height, width)
        The validation and test stimuli of the recording that is tested: images that occur there are left out.
    model : torch.nn.Module
        A backbone.
    layers : sequence of str
        Concatenated at ``size`` places; of a single layer the activations as they are.
    size : int
    device : str or torch.device
    report : callable
        Gets a line for each recording: images, neurons, and how many were left out.

    Returns
    -------
    recordings : dict of str to pair of tensors
        Inputs (n_images, n_channels, height, width), float16, and rates (n_images, n_neurons), float32.

    Raises
    ------
    ValueError
        If nothing is left of a recording, or two have the same name.
    """
    recordings = {}
    for path in map(Path, paths):
        if path.stem in recordings:
            raise ValueError(f"Two recordings are called {path.stem}: each needs a name of its own")
        data, test_rates = load_it_data(path), load_test_rates(path)
        parts = [(data.stimulus_train, data.spikes_train), (data.stimulus_val, data.spikes_val)]
        parts += [] if test_rates is None else [(data.stimulus_test, test_rates)]
        del data
        parts = [drop_shared_images(*part, kept_apart) for part in parts]
        n_dropped = sum(part[2] for part in parts)
        rates = torch.as_tensor(np.concatenate([part[1] for part in parts]), dtype=torch.float32)
        report(
            f"{path.stem}: {len(rates)} images, {rates.shape[1]} neurons; {n_dropped} images that occur among those "
            "kept apart were left out"
        )
        if len(rates) < 2:
            raise ValueError(f"{path}: no images are left to learn from")
        maps = [layers_of(model, part[0], layers, size, device) for part in parts if len(part[0])]
        recordings[path.stem] = torch.cat(maps), rates
    return recordings


def layers_of(model, stimuli, layers, size=7, device="cpu"):
    """Layers of a backbone as one map of float16, or one layer as it is; parameters as for ``read_others``."""
    activations = extract_activations(model, stimuli, layers, device=device)
    maps = activations[layers[0]] if len(layers) == 1 else concatenate_layers(activations, layers, size)
    return maps.half()
