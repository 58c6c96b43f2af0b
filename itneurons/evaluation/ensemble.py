"""Several models as one: weights from what each predicts for training images that it was not fitted to."""

import numpy as np
from scipy.optimize import nnls

from itneurons.evaluation.metrics import explained_variance


def ensemble_weights(predictions, rates, members=None):
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


def mean_score(rates, predicted):
    """Mean explained variance over the neurons that vary."""
    varies = np.ptp(rates, axis=0) > 0
    return float(explained_variance(rates[:, varies], predicted[:, varies]).mean())
