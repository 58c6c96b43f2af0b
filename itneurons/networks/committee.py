"""A model as a committee: members of one kind, each trained with its own seed while another fold is held out.

Each member stops early on the fold it does not train on, and predicts it: together these predictions show, on training
images alone, how good the model is, which is what models are chosen and weighted by. On new images the committee
predicts the mean of its members.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from itneurons.networks.checkpoints import load_or_train
from itneurons.networks.training import fit, predict
from itneurons.storage import disk_tensors


@dataclass(frozen=True)
class Committee:
    """Trained members.

    Attributes
    ----------
    members : list of models.Network
    histories : list of training.History
    held_out_predictions : array of shape (n_images, n_neurons)
        What the member that was not trained on an image predicts for it; NaN for images that every member was
        trained on.
    computing : dict
        ``device`` and ``bfloat16``, as for ``predict``.
    """

    members: list
    histories: list
    held_out_predictions: np.ndarray
    computing: dict

    @property
    def seconds(self):
        """Training time of all members."""
        return sum(history.seconds for history in self.histories)

    @property
    def n_parameters(self):
        """Parameters of all members."""
        return sum(parameter.numel() for member in self.members for parameter in member.parameters())

    def predict(self, inputs):
        """Mean of the members' rates (n_images, n_neurons)."""
        return np.mean(self.predict_each(inputs), axis=0)

    def predict_each(self, inputs):
        """Rates of each member (n_members, n_images, n_neurons)."""
        return np.stack([predict(member, inputs, **self.computing) for member in self.members])


def load_or_fit(path, made_of, build, train, held_out, seed=0, device="cpu", bfloat16=False, description="", **options):
    """Train a network and store it, or load it if it was trained before.

    Parameters
    ----------
    path : str or Path
    made_of : dict
        All that the result depends on besides the network's configuration, the seed and the options.
    build : callable
        Without arguments, gives an untrained network; what it draws comes from the seed.
    train, held_out : callable
        Without arguments, give inputs and rates as for ``fit``; called only where the network must be trained.
    seed, device, bfloat16, description, **options
        As for ``fit``.

    Returns
    -------
    network : models.Network
        As the file holds it.
    history : training.History
    """
    computing = {"device": device, "bfloat16": bfloat16, "description": description or Path(path).stem}

    def fitted(network):
        return fit(network, train(), held_out(), seed=seed, **computing, **options)

    return load_or_train(path, {**made_of, **options}, build, fitted, seed)


def train_committee(build, inputs, rates, held_out, path, made_of, seed=0, device="cpu", bfloat16=False, **options):
    """Train a member for each fold, or load those that were finished before.

    Processes that run the same in one folder at once, on machines that share it too, divide the members among them.

    Parameters
    ----------
    build : callable
        Without arguments, gives an untrained network; what it draws comes from the member's seed.
    inputs : tensor of shape (n_images, n_channels, height, width)
    rates : tensor of shape (n_images, n_neurons)
    held_out : list of int arrays
        One for each member: the images that it does not train on.
    path : str or Path
        Where members are kept, with their number before the suffix.
    made_of : dict
        All that the result depends on besides the options of ``fit``; members made of something else are trained
        again, and a line says why.
    seed : int
        Of the first member; the others count up.
    device, bfloat16
        As for ``fit``.
    **options
        For ``fit``.

    Returns
    -------
    committee : Committee
    """
    rates, path = torch.as_tensor(rates), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    computing = {"device": device, "bfloat16": bfloat16}

    def part(images):
        return lambda: (disk_tensors.rows(inputs, images), rates[images])

    def member(number, place, fold):
        kept = np.setdiff1d(np.arange(len(rates)), fold)
        description = f"{path.stem} {number + 1}/{len(held_out)}"
        options_of_member = {"seed": seed + number, "description": description, **computing, **options}
        return load_or_fit(place, made_of, build, part(kept), part(fold), **options_of_member)

    found = {}
    # who finds a member in another process's hands turns to the next, and comes back for it
    for wait in (False, True):
        for number, fold in enumerate(held_out):
            place = path.with_stem(f"{path.stem}_{number}")
            lock = FileLock(place.with_name(f".{place.name}.lock"), blocking=wait)
            if number not in found:
                with contextlib.suppress(Timeout), lock:
                    found[number] = member(number, place, fold)
    members, histories = zip(*(found[number] for number in range(len(held_out))))
    predictions = np.full(rates.shape, np.nan, dtype=np.float32)
    for network, fold in zip(members, held_out):
        predictions[fold] = predict(network, disk_tensors.rows(inputs, fold), **computing)
    return Committee(list(members), list(histories), predictions, computing)
