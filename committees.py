"""A model as a committee: members of one kind, each trained with its own seed while another fold is set aside.

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
from scipy.optimize import nnls

import mapped
from metrics import explained_variance
from networks import CheckpointError, History, fit, load_checkpoint, predict, save_checkpoint, seeded


@dataclass(frozen=True)
class Committee:
    """Trained members.

    Attributes
    ----------
    members : list of networks.Network
    histories : list of training.History
    held_out : list of int arrays
        The training images that each member did not train on.
    held_out_predictions : list of arrays of shape (n_held_out, n_neurons)
    """

    members: list
    histories: list
    held_out: list
    held_out_predictions: list

    @property
    def seconds(self):
        """Training time of all members."""
        return sum(history.seconds for history in self.histories)

    @property
    def n_parameters(self):
        """Parameters of all members."""
        return sum(parameter.numel() for member in self.members for parameter in member.parameters())

    def predict(self, inputs, **options):
        """Mean of the members' rates (n_images, n_neurons); options as for ``networks.predict``."""
        return np.mean(self.predict_each(inputs, **options), axis=0)

    def predict_each(self, inputs, **options):
        """Rates of each member (n_members, n_images, n_neurons)."""
        return np.stack([predict(member, inputs, **options) for member in self.members])

    def held_out_prediction(self):
        """Predictions for the images that some member held out, in the order of ``np.concatenate(held_out)``."""
        return np.concatenate(self.held_out_predictions)


def train_committee(build, inputs, rates, held_out, path, about, seed=0, device="cpu", bfloat16=False, **options):
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
    about : dict
        All that the result depends on besides the options of ``networks.fit``; members made of something else are
        trained again, and a line says why.
    seed : int
        Of the first member; the others count up.
    device, bfloat16
        As for ``networks.fit``.
    **options
        For ``networks.fit``.

    Returns
    -------
    committee : Committee
    """
    rates, path = torch.as_tensor(rates), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    places = [path.with_stem(f"{path.stem}_{number}") for number in range(len(held_out))]

    def member(number, place, fold):
        kept = np.setdiff1d(np.arange(len(rates)), fold)
        with seeded(seed + number):
            network = build()
        made_of = {**about, **options, "seed": seed + number, "config": network.config}
        try:
            network, stored = load_checkpoint(place, **made_of)
        except (FileNotFoundError, CheckpointError) as reason:
            if place.exists():
                print(f"{place} is made anew: {reason}")
            train, unseen = ((inputs[images], rates[images]) for images in (kept, fold))
            # activations that outgrow memory lie in a file, and have now been read
            mapped.release(inputs)
            history = fit(
                network,
                train,
                unseen,
                seed=seed + number,
                device=device,
                bfloat16=bfloat16,
                description=f"{path.stem} {number + 1}/{len(places)}",
                **options,
            )
            save_checkpoint(place, network, **made_of, history=vars(history))
            # what predicts is what is in the file: a run that is resumed must give the same numbers to the last digit
            network, stored = load_checkpoint(place, **made_of)
        return network, History(**stored["history"])

    found = {}
    # who finds a member in another process's hands goes on to the next, and comes back for it
    for wait in (False, True):
        for number, (place, fold) in enumerate(zip(places, held_out)):
            lock = FileLock(place.with_name(f".{place.name}.lock"), blocking=wait)
            if number not in found:
                with contextlib.suppress(Timeout), lock:
                    found[number] = member(number, place, fold)
    members, histories = zip(*(found[number] for number in range(len(places))))
    predictions = [
        predict(network, inputs[fold], device=device, bfloat16=bfloat16) for network, fold in zip(members, held_out)
    ]
    return Committee(list(members), list(histories), list(held_out), predictions)


def combine(predictions, rates, members=None):
    """Weights of models in an ensemble: non-negative least squares on held-out predictions, all neurons together.

    An image that was held out is predicted by one member of a committee alone, which errs more than the mean of all
    members, of which the ensemble is made. By how much more is seen in how the members disagree, for which no rates are
    needed: their covariance is taken off the squares that least squares works with.

    Parameters
    ----------
    predictions : sequence of arrays of shape (n_images, n_neurons)
        What each model predicts for training images that it was not fitted to.
    rates : array of shape (n_images, n_neurons)
    members : sequence of arrays of shape (n_members, n_other_images, n_neurons), optional
        What the members of each model predict for other images, the same ones for all models; a model of one piece has
        one member.

    Returns
    -------
    weights : array of shape (n_models,)
    """
    mean, scale = rates.mean(axis=0), rates.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    columns = np.stack([((p - mean) / scale).ravel() for p in predictions], axis=1).astype(np.float64)
    squares = columns.T @ columns / len(columns)
    products = columns.T @ ((rates - mean) / scale).ravel() / len(columns)
    if members is not None:
        n_members = max(map(len, members))
        deviations = [np.broadcast_to((m - m.mean(axis=0)) / scale, (n_members, *m.shape[1:])).ravel() for m in members]
        deviations = np.stack(deviations, axis=1).astype(np.float64)
        squares -= deviations.T @ deviations / len(deviations)
    # least squares from the normal equations; models that predict the same leave a direction without length
    lengths, vectors = np.linalg.eigh(squares)
    kept = lengths > 1e-10 * lengths[-1]
    roots, vectors = np.sqrt(lengths[kept]), vectors[:, kept]
    return nnls(roots[:, None] * vectors.T, vectors.T @ products / roots)[0]


def weighted(predictions, weights, mean):
    """Prediction (n_images, n_neurons) of an ensemble: deviations from the training mean, weighted and summed."""
    return mean + sum(weight * (prediction - mean) for weight, prediction in zip(weights, predictions))


def held_out_score(rates, prediction):
    """Mean explained variance over the neurons that vary."""
    varies = np.ptp(rates, axis=0) > 0
    return float(explained_variance(rates[:, varies], prediction[:, varies]).mean())
