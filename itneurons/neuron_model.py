"""A saved model as neurons: rates for any picture, the images that drive a neuron, and where it looks.

>>> neurons = load_neurons("res_cnn_layer3.pth")
>>> rates = neurons.predict(["cat.jpg", "holidays/"])
>>> image = neurons.most_exciting_image(neurons.best(1)[0])
"""

import glob
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from itneurons import attribution, preferred
from itneurons.device import get_device, has_bfloat16
from itneurons.features import concatenate_layers, extract_activations, load_backbone
from itneurons.features.extraction import as_wanted
from itneurons.features.stages import at_places
from itneurons.networks import CheckpointError, load_checkpoint, predict
from itneurons.pictures import stimuli_of
from itneurons.recordings.schema import IMAGE_SIZE
from itneurons.storage.stored import fingerprint

# what the members of one committee have in common
SHARED = ("recording", "weights", "backbone", "layer", "image_size", "n_auxiliary")


def load_neurons(checkpoints, recording=None, backbone=None, device=None):
    """The neurons that a checkpoint, or a committee of them, stands for.

    Parameters
    ----------
    checkpoints : path, or a list of them
        A checkpoint of week9.ipynb; or the members of one committee, made of the same but the seed, as a list, a
        pattern such as ``"Models/ResCNN_[0-9].pth"``, or a folder that holds nothing else.
    recording : str or ITData, optional
        Whose neurons they must be: what ``load_it_data`` gives, or the fingerprint of it that checkpoints hold.
    backbone : str or torch.nn.Module, optional
        The network below, or its name; as the checkpoint says when left out. A name that runs code of yours
        (``"module:function"``) is never taken from a checkpoint.
    device : str or torch.device, optional
        The fastest one here when left out.

    Returns
    -------
    neurons : NeuronModel

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    CheckpointError
        If one is damaged or holds code, if they are no committee, or are for another recording or backbone.
    """
    paths = _paths(checkpoints)
    members, abouts = zip(*map(load_checkpoint, paths))
    about = abouts[0]
    _check_committee(paths, members, abouts)
    lacking = [name for name in ("recording", "weights", "backbone", "layer") if name not in about]
    if lacking:
        raise CheckpointError(
            f"{paths[0]} does not say its {', '.join(lacking)}, without which no picture can be shown to it: only "
            "networks on the layers of a backbone can be loaded so. Take one of week9.ipynb"
        )
    expected = recording
    if recording is not None and not isinstance(recording, str):
        stimuli = (recording.stimulus_train, recording.stimulus_val, recording.stimulus_test)
        expected = fingerprint(*stimuli, recording.spikes_train)
    if expected is not None and about["recording"] != expected:
        raise CheckpointError(
            f"{paths[0]} holds neurons of another recording: {about.get('source', 'of an unknown source')} "
            f"({about['recording']}), not {expected}. Run week9.ipynb on your recording"
        )
    return NeuronModel(members, abouts, _backbone(paths[0], about, backbone), device)


def _paths(checkpoints):
    if isinstance(checkpoints, (list, tuple)):
        found = [Path(path) for path in checkpoints]
    elif Path(checkpoints).is_dir():
        found = sorted(Path(checkpoints).glob("*.pth"))
    elif Path(checkpoints).exists() or not glob.has_magic(os.fspath(checkpoints)):
        found = [Path(checkpoints)]
    else:
        found = [Path(path) for path in sorted(glob.glob(os.fspath(checkpoints)))]
    if not found:
        raise FileNotFoundError(f"There is no checkpoint in {checkpoints}; week9.ipynb saves some in Models/")
    return found


def _check_committee(paths, members, abouts):
    for path, member, about in zip(paths, members, abouts):
        different = [name for name in SHARED if about.get(name) != abouts[0].get(name)]
        if type(member) is not type(members[0]) or member.config != members[0].config:
            different.append("network")
        if different:
            raise CheckpointError(
                f"{path} and {paths[0]} are no committee, they differ in {', '.join(different)}: name the members of "
                "one alone, for example with a pattern such as Models/ResCNN_[0-9].pth"
            )


def _backbone(path, about, backbone):
    """The network below, checked to be the one that the checkpoint was trained on."""
    if backbone is None:
        backbone = about["backbone"]
        if ":" in backbone:
            raise CheckpointError(
                f"{path} asks to run {backbone} to build its backbone. If you trust it, say so: "
                f"load_neurons(..., backbone={backbone!r})"
            )
    model = load_backbone(backbone) if isinstance(backbone, str) else backbone
    if fingerprint(model) != about["weights"]:
        raise CheckpointError(
            f"{path} was trained on other weights of {about['backbone']}: run week9.ipynb again, or give the network "
            "with load_neurons(..., backbone=...)"
        )
    model.input_size = about.get("image_size", getattr(model, "input_size", IMAGE_SIZE))
    return model


class NeuronModel:
    """Neurons that can be shown pictures; ``load_neurons`` makes it.

    Parameters
    ----------
    members : sequence of networks.Network
    abouts : sequence of dict
        What the checkpoint of each says.
    backbone : torch.nn.Module
        In evaluation mode; with ``input_size``.
    device : str or torch.device, optional

    Attributes
    ----------
    n_neurons : int
    unit : str
        Of the rates, for example "spikes/s".
    source : str
        Whose neurons, for example "simulated recordings".
    explained_variance : array of shape (n_neurons,), or None
        How well each neuron is predicted on images that were held out; None where the checkpoint does not say. May
        be set.
    """

    def __init__(self, members, abouts, backbone, device=None):
        about = abouts[0]
        self.device = torch.device(device or get_device())
        # gradients pass a tenth faster with the channels of a pixel side by side
        layout = {"device": self.device, "memory_format": torch.channels_last}
        self.members = [member.eval().requires_grad_(False).to(**layout) for member in members]
        self.backbone = backbone.eval().requires_grad_(False).to(**layout)
        self.about = about
        self.layers = about["layer"].split("+")
        self.input_size = backbone.input_size
        self.stimulus_size = about.get("stimulus_size", IMAGE_SIZE)
        # what was learned beside the neurons, such as categories, follows them
        self.n_neurons = members[0].config["n_neurons"] - about.get("n_auxiliary", 0)
        self.unit = about.get("unit", "as recorded")
        self.source = about.get("source", "recordings of an unknown source")
        known = [each["explained_variance"] for each in abouts if "explained_variance" in each]
        self.explained_variance = np.mean(known, axis=0) if known else None

    def __repr__(self):
        on = f"{self.about['backbone']} {self.about['layer']}"
        return f"<{self.n_neurons} neurons of {self.source}, {len(self.members)} network(s) on {on}>"

    def best(self, n):
        """Numbers of the ``n`` neurons that are predicted best on images that were held out, best first.

        Raises
        ------
        ValueError
            If that is not known.
        """
        if self.explained_variance is None:
            raise ValueError(
                "The checkpoint does not say how well each neuron is predicted: choose neurons by their numbers, or "
                "set neurons.explained_variance"
            )
        order = np.argsort(-np.nan_to_num(self.explained_variance, nan=-np.inf), kind="stable")
        return order[:n].tolist()

    def chosen(self, which):
        """Numbers of neurons from words: ``"all"``, ``"best:10"``, or numbers such as ``"0,5,7"``.

        Raises
        ------
        ValueError
            If these are no such words, or there is no such neuron.
        """
        if which == "all":
            return list(range(self.n_neurons))
        word, _, number = which.rpartition(":")
        try:
            if word == "best":
                return self.best(int(number))
            return self.checked([int(number) for number in which.split(",")])
        except ValueError as error:
            if "invalid literal" not in str(error):
                raise
            raise ValueError(f"Which neurons is {which!r}? Say all, best:10, or numbers such as 0,5,7") from None

    def checked(self, numbers):
        """The same numbers as a list of int, all of neurons that there are.

        Raises
        ------
        ValueError
            If one is of no neuron.
        """
        numbers = [int(number) for number in np.atleast_1d(numbers)]
        wrong = [number for number in numbers if not 0 <= number < self.n_neurons]
        if wrong:
            raise ValueError(f"There is no neuron {wrong[0]}; there are {self.n_neurons}, counted from 0")
        return numbers

    def predict(self, pictures, spread=False, batch_size=256):
        """Firing rates that pictures would evoke.

        Parameters
        ----------
        pictures : path, PIL image, array, or a list of them
            Files, folders, images, or stimuli as ``load_it_data`` gives them; see ``itneurons.pictures``. The largest
            square in the middle of a picture is shown. What cannot be shown is left out, with a warning.
        spread : bool
            Give how much the members of a committee disagree, too.
        batch_size : int

        Returns
        -------
        rates : DataFrame of shape (n_images, n_neurons)
            In ``unit``, the mean over members. The index names the pictures, ``rates.attrs["left_out"]`` those left
            out, with the reason.
        spread : DataFrame of shape (n_images, n_neurons)
            Only if asked for: standard deviation over members.

        Raises
        ------
        ValueError
            If the spread of a single network is asked for.
        """
        if spread and len(self.members) < 2:
            raise ValueError("One network alone has no spread: load a committee, for example Models/ResCNN_[0-9].pth")
        each, names, left_out = self._predict_each(pictures, batch_size)

        def table(values):
            rates = pd.DataFrame(values, pd.Index(names, name="picture", dtype=object), pd.RangeIndex(self.n_neurons))
            rates.columns.name = "neuron"
            rates.attrs.update(unit=self.unit, source=self.source, left_out=left_out)
            return rates

        mean = table(each.mean(axis=0))
        return (mean, table(each.std(axis=0, ddof=1))) if spread else mean

    def predict_each(self, pictures, batch_size=256):
        """Rates of each member (n_members, n_images, n_neurons), for pictures as ``predict`` takes them."""
        return self._predict_each(pictures, batch_size)[0]

    def _predict_each(self, pictures, batch_size):
        computing = {"device": self.device, "bfloat16": has_bfloat16(self.device)}
        parts, names, left_out = [np.empty((len(self.members), 0, self.n_neurons), np.float32)], [], {}
        for shown, stimuli, refused in stimuli_of(pictures, self.input_size, self.stimulus_size, batch_size):
            names += shown
            left_out |= refused
            if shown:
                activations = extract_activations(self.backbone, stimuli, self.layers, device=self.device)
                single = len(self.layers) == 1
                maps = activations[self.layers[0]] if single else concatenate_layers(activations, self.layers)
                parts.append(np.stack([predict(member, maps, **computing) for member in self.members]))
        return np.concatenate([part[..., : self.n_neurons] for part in parts], axis=1), names, left_out

    def stimuli(self, pictures):
        """Pictures as the network takes them (n_images, 3, input_size, input_size), with ImageNet's normalisation."""
        parts = [stimuli for _, stimuli, _ in stimuli_of(pictures, self.input_size, self.stimulus_size)]
        return torch.cat(parts).to(self.device)

    def rates(self, stimuli, members=None):
        """Rates that gradients pass through.

        Parameters
        ----------
        stimuli : tensor of shape (n_images, 3, input_size, input_size)
            As ``stimuli`` gives them.
        members : sequence of int, optional
            All when left out.

        Returns
        -------
        rates : tensor of shape (n_members, n_images, n_neurons)
        """
        maps = self._maps(stimuli)
        chosen = self.members if members is None else [self.members[member] for member in members]
        return torch.stack([member(maps)[:, : self.n_neurons] for member in chosen])

    def _maps(self, stimuli):
        """What ``extract_activations`` and ``concatenate_layers`` give, with gradients; no layer above is computed."""
        found = {}

        def keep(layer):
            def hook(module, inputs, output):
                # a ReLU that works in place may follow
                found[layer] = output.clone()
                if len(found) == len(self.layers):
                    raise _Reached

            return hook

        handles = [self.backbone.get_submodule(layer).register_forward_hook(keep(layer)) for layer in self.layers]
        try:
            self.backbone(as_wanted(self.backbone, stimuli).contiguous(memory_format=torch.channels_last))
        except _Reached:
            pass
        finally:
            for handle in handles:
                handle.remove()
        parts = [found[layer] for layer in self.layers]
        if len(parts) == 1:
            return parts[0]
        places = [min(7, max(part.shape[axis] for part in parts)) for axis in (2, 3)]
        return torch.cat([at_places(part, places) for part in parts], dim=1)

    def most_exciting_image(self, neuron, **options):
        """The image that drives a neuron most, or one image for each of several: see ``preferred``."""
        return preferred.most_exciting_image(self, neuron, **options)

    def attribution(self, image, neuron, method="integrated_gradients", **options):
        """What in an image drives or silences a neuron: see ``attribution``."""
        return attribution.attribution(self, image, neuron, method, **options)

    def receptive_field(self, stimuli, neuron, **options):
        """Mean absolute attribution over images, a map with a sum of one: see ``attribution.mean_attribution``."""
        return attribution.mean_attribution(self, stimuli, neuron, **options)

    def receptive_fields(self, stimuli, **options):
        """Gaussian receptive fields of all neurons, from pictures moved about: see ``attribution``."""
        return attribution.receptive_fields(self, stimuli, **options)


class _Reached(Exception):  # noqa: N818, it is no error
    """The highest layer asked for has been computed."""
