"""Other recordings to learn from: read, freed of the images that are tested with, turned into a backbone's layers."""

import glob
import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from itneurons.features.extraction import concatenate_layers, extract_activations
from itneurons.networks.joint import load_or_fit_shared
from itneurons.networks.shared_core import SharedCore
from itneurons.networks.views import MOST_VIEWS, moved
from itneurons.recordings import schema
from itneurons.recordings.load import load_it_data, load_test_rates
from itneurons.storage.stored import fingerprint

# images that are moved at once
_AT_ONCE = 512


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
    return hashlib.sha256(np.round(255 * schema.to_rgb(image)).astype(np.uint8).tobytes()).digest()


def find_others(folder, names, path):
    """Files of other recordings in a folder.

    Parameters
    ----------
    folder : str or Path
    names : sequence of str
        Their names, or patterns such as ``"V4_data_*.h5"`` or ``"*/IT_data.h5"``.
    path : str or Path
        The recording that is tested, which is never among them.

    Returns
    -------
    paths : list of Path
        Each once, sorted by name.

    Raises
    ------
    FileNotFoundError
        If a name or pattern fits no other file.
    """
    found = set()
    for name in names:
        # a path of its own stays one
        pattern = os.path.join(glob.escape(str(folder)), name)
        fitting = {file for file in map(Path, glob.glob(pattern)) if not file.samefile(path)}
        if not fitting:
            wanted = Path(folder) / name
            raise FileNotFoundError(f"No recording {wanted} beside {Path(path).name}; itneurons get makes recordings")
        found |= fitting
    return sorted(found)


def read_others(paths, kept_apart, inputs_of, report=print):
    """Recordings as ``fit_shared`` takes them: inputs and rates of all images whose rates are known.

    Parameters
    ----------
    paths : sequence of str or Path
        Of recordings; each goes by the name of its file, and of its folder where several files have one name.
    kept_apart : sequence of arrays of shape (n_images, 3, height, width)
        The validation and test stimuli of the recording that is tested: images that occur there are left out.
    inputs_of : callable
        Makes of stimuli (n_images, 3, height, width) the inputs of the core.
    report : callable
        Gets a line for each recording: images, neurons, and how many were left out.

    Returns
    -------
    recordings : dict of str to pair of tensors
        Inputs and rates (n_images, n_neurons), float32.

    Raises
    ------
    ValueError
        If nothing is left of a recording, or two have the same name.
    """
    recordings = {}
    for name, path in _named(paths).items():
        data, test_rates = load_it_data(path), load_test_rates(path)
        parts = [(data.stimulus_train, data.spikes_train), (data.stimulus_val, data.spikes_val)]
        parts += [] if test_rates is None else [(data.stimulus_test, test_rates)]
        del data
        parts = [drop_shared_images(*part, kept_apart) for part in parts]
        n_dropped = sum(part[2] for part in parts)
        rates = torch.as_tensor(np.concatenate([part[1] for part in parts]), dtype=torch.float32)
        report(
            f"{name}: {len(rates)} images, {rates.shape[1]} neurons; {n_dropped} images that occur among those "
            "kept apart were left out"
        )
        if len(rates) < 2:
            raise ValueError(f"{path}: no images are left to learn from")
        recordings[name] = torch.cat([inputs_of(part[0]) for part in parts if len(part[0])]), rates
    return recordings


def _named(paths):
    paths = [Path(path) for path in paths]
    alike = Counter(path.stem for path in paths)
    found = {}
    for path in paths:
        name = path.stem if alike[path.stem] == 1 else f"{path.resolve().parent.name}/{path.stem}"
        if name in found:
            raise ValueError(f"Two recordings are called {name}: each needs a name of its own")
        found[name] = path
    return found


def train_core(path, paths, kept_apart, model, layers, made_of=None, trained_stages=None, size=7, seed=0, **options):
    """A core that other recordings have trained, or the one that was stored.

    Parameters
    ----------
    path : str or Path
        Where it is kept.
    paths, kept_apart
        As for ``read_others``.
    model : torch.nn.Module
        A backbone.
    layers : sequence of str
        Of it; the core sees them concatenated at ``size`` places.
    made_of : dict, optional
        What tells the backbone and its weights from others, and the images that are kept apart.
    trained_stages : dict, optional
        Train all that leads from the first layer to the others too: ``backbone``, ``pretrained``, ``seed`` and
        ``checkpoint`` of the backbone, as for ``load_backbone``.
    size, seed : int
    **options
        For ``fit_shared``; ``device`` also computes the layers.

    Returns
    -------
    core : SharedCore

    Raises
    ------
    ValueError
        If two recordings have the same name.
    """
    device, neurons, rates = options.get("device", "cpu"), {}, {}
    for name, place in _named(paths).items():
        with schema.open_recording(place) as file:
            neurons[name] = file["spikes_train"].shape[1]
            rates[name] = fingerprint(schema.read_array(file, "spikes_train"))
    # one image tells the shapes
    extracted = layers[:1] if trained_stages else layers
    shape = layers_of(model, kept_apart[0][:1], extracted, size, device).shape[1:]
    stages = {**trained_stages, "layers": layers, "size": size} if trained_stages else {}

    def build():
        return SharedCore(*shape, neurons, dropout=(0.15, 0.15, 0.1), **stages)

    def recordings():
        return read_others(paths, kept_apart, lambda stimuli: layers_of(model, stimuli, extracted, size, device))

    made_of = {**(made_of or {}), "others": rates, "layer": "+".join(layers), "input_size": model.input_size}
    return load_or_fit_shared(path, made_of, build, recordings, seed, **options)[0]


@torch.no_grad()
def layers_of(model, stimuli, layers, size=7, device="cpu", core=None, views=1):
    """Layers of a backbone as one map; those that a core has trained on, as it has trained them.

    Parameters
    ----------
    model : torch.nn.Module
        A backbone.
    stimuli : array of shape (n_images, 3, height, width)
    layers : sequence of str
        Of one layer the activations as they are; several are concatenated at ``size`` places.
    size : int
    device : str or torch.device
    core : SharedCore, optional
        If it has stages of its own, they lead from the first layer to the others.
    views : int
        So many of each image, as ``moved`` gives them: first all images as they are, then all in the next view.

    Returns
    -------
    maps : tensor of shape (views * n_images, n_channels, height, width), float16

    Raises
    ------
    ValueError
        If there are not so many views.
    """
    if not 1 <= views <= MOST_VIEWS:
        raise ValueError(f"There are 1 to {MOST_VIEWS} views of an image, not {views}")
    if views > 1:
        lots = [(view, start) for view in range(views) for start in range(0, len(stimuli), _AT_ONCE)]
        return torch.cat(
            [
                layers_of(model, moved(stimuli[start : start + _AT_ONCE], view), layers, size, device, core)
                for view, start in lots
            ]
        )
    trained = core is not None and len(core.stages) > 0
    layers = layers[:1] if trained else layers
    activations = extract_activations(model, stimuli, layers, device=device)
    maps = activations[layers[0]] if len(layers) == 1 else concatenate_layers(activations, layers, size)
    if trained:
        core.to(device)
        maps = torch.cat([core.maps(part.to(device)).cpu() for part in maps.split(64)])
    return maps.half()
