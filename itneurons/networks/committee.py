"""A model as a committee: members of one kind, each trained with its own seed while another fold is held out.

Each member stops early on the fold it does not train on, and predicts it: together these predictions show, on training
images alone, how good the model is, which is what models are chosen and weighted by. On new images the committee
predicts the mean of its members, or of networks that were trained again on all images, with nothing left to choose.
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
    refitted : list of models.Network
        Trained again on all images; where there are any, it is they that predict new images.
    histories, refitted_histories : list of training.History
        Of the members, and of those that were trained again.
    held_out_predictions : array of shape (n_images, n_neurons)
        What the member that was not trained on an image predicts for it; NaN for images that every member was
        trained on.
    computing : dict
        ``device`` and ``bfloat16``, as for ``predict``.
    views : int
        Of each image in the inputs, view after view; predictions are the mean over them.
    """

    members: list
    refitted: list
    histories: list
    refitted_histories: list
    held_out_predictions: np.ndarray
    computing: dict
    views: int = 1

    @property
    def predicting(self):
        """The networks that predict new images."""
        return self.refitted or self.members

    @property
    def seconds(self):
        """Training time of all networks."""
        return sum(history.seconds for history in self.histories + self.refitted_histories)

    @property
    def n_parameters(self):
        """Parameters of all networks that predict."""
        return sum(parameter.numel() for network in self.predicting for parameter in network.parameters())

    def predict(self, inputs):
        """Mean of the rates (n_images, n_neurons) that the networks predict."""
        return np.mean(self.predict_each(inputs), axis=0)

    def predict_each(self, inputs):
        """Rates that each network predicts (n_networks, n_images, n_neurons)."""
        return self._of_each(self.predicting, inputs)

    def predict_by_member(self, inputs):
        """Rates that each member predicts (n_members, n_images, n_neurons), whichever networks predict new images."""
        return self._of_each(self.members, inputs)

    def _of_each(self, networks, inputs):
        return np.stack([_mean_over_views(network, inputs, self.views, self.computing) for network in networks])


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
        Without arguments, give inputs and rates, or None, as for ``fit``; called only where the network must be
        trained.
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


def train_committee(
    build, inputs, rates, held_out, path, made_of, seed=0, device="cpu", bfloat16=False, refit=0, views=1, **options
):
    """Train a member for each fold, or load those that were finished before.

    Processes that run the same in one folder at once, on machines that share it too, divide the networks among them.

    Parameters
    ----------
    build : callable
        Without arguments, gives an untrained network; what it draws comes from the network's seed.
    inputs : tensor of shape (views * n_images, n_channels, height, width)
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
    refit : int
        So many networks are trained on all images, for as many epochs as the members kept in the mean, and predict new
        images in the members' place. Where images are few, those that a member holds out are missed.
    views : int
        Of each image in the inputs, view after view, as ``layers_of`` gives them. All are learned from, and what is
        predicted is the mean over them.
    **options
        For ``fit``.

    Returns
    -------
    committee : Committee
    """
    rates, path = torch.as_tensor(rates), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    computing, everything = {"device": device, "bfloat16": bfloat16}, np.arange(len(rates))

    def in_views(images, views):
        return np.concatenate([images + view * len(rates) for view in range(views)])

    def part(images, views=views):
        return lambda: (disk_tensors.rows(inputs, in_views(images, views)), rates[images].repeat(views, 1))

    def trained(name, number, wait, *parts, **changed):
        place = path.with_stem(f"{path.stem}_{name}")
        description = f"{path.stem} {number + 1}/{len(held_out) + refit}"
        of_network = {"seed": seed + number, "description": description, **computing, **options, **changed}
        of_network |= {"views": views} if views > 1 else {}
        with FileLock(place.with_name(f".{place.name}.lock"), blocking=wait):
            return load_or_fit(place, made_of, build, *parts, **of_network)

    def member(number, wait):
        fold = held_out[number]
        return trained(number, number, wait, part(np.setdiff1d(everything, fold)), part(fold, 1))

    def refitted(number, wait):
        return trained(f"all_{number}", len(held_out) + number, wait, part(everything), lambda: None, epochs=epochs)

    members, histories = _each(member, len(held_out))
    epochs = round(np.mean([history.best_epoch + 1 for history in histories]))
    again, their_histories = _each(refitted, refit)
    predictions = np.full(rates.shape, np.nan, dtype=np.float32)
    for network, fold in zip(members, held_out):
        of_fold = disk_tensors.rows(inputs, in_views(fold, views))
        predictions[fold] = _mean_over_views(network, of_fold, views, computing)
    return Committee(members, again, histories, their_histories, predictions, computing, views)


def _mean_over_views(network, inputs, views, computing):
    rates = predict(network, inputs, **computing)
    return rates.reshape(views, -1, rates.shape[1]).mean(axis=0)


def _each(train, n):
    """Networks and histories by number; who finds one in another process's hands turns to the next, and comes back."""
    found = {}
    for wait in (False, True):
        for number in range(n):
            if number not in found:
                with contextlib.suppress(Timeout):
                    found[number] = train(number, wait)
    return tuple([found[number][part] for number in range(n)] for part in (0, 1))
