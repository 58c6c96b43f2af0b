"""Ridge regression from features to firing rates, one penalty a neuron.

One decomposition of the features gives the solution for every penalty and, exactly, its cross-validation.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from itneurons.evaluation.metrics import check_features
from itneurons.features.gram import product
from itneurons.regression.cross_validation import held_out_folds


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression, one penalty a neuron.

    Attributes
    ----------
    weights : array of shape (n_features, n_neurons)
    intercept : array of shape (n_neurons,)
    alphas : array of shape (n_alphas,)
        The penalties that were tried.
    best : array of shape (n_neurons,), int
        Index into ``alphas`` of the penalty that was chosen for each neuron.
    cv_scores : array of shape (n_alphas, n_neurons) or None
        Explained fraction ``1 - sum(residual^2) / sum((rate - mean)^2)`` of the held-out folds together; None
        where only one penalty was given.
    held_out_predictions : array of shape (n_images, n_neurons) or None
        What the chosen penalty predicts for each training image while its fold is held out.
    """

    weights: np.ndarray
    intercept: np.ndarray
    alphas: np.ndarray
    best: np.ndarray
    cv_scores: np.ndarray | None
    held_out_predictions: np.ndarray | None

    def predict(self, features):
        """Firing rates (n_images, n_neurons) for features (n_images, n_features)."""
        return np.asarray(features, dtype=np.float64) @ self.weights + self.intercept


def alpha_grid(features, n_alphas=21):
    """Penalties worth trying: ``n_alphas`` of them, evenly spaced in logarithm, in units of the features' scale.

    They reach from 10^-6 to 10 times the summed variance of the features over the training images, so that one
    choice serves pixels and every layer.

    Parameters
    ----------
    features : array of shape (n_images, n_features)
    n_alphas : int

    Returns
    -------
    alphas : array of shape (n_alphas,)
    """
    return total_variance(features) * np.logspace(-6, 1, n_alphas)


def total_variance(features):
    """Squared distance of the images from their mean, summed over images and features."""
    features = np.asarray(features, dtype=np.float64)
    return np.square(features - features.mean(axis=0)).sum()


def fit_ridge(features, rates, categories=None, alphas=None, n_folds=5, seed=0, device="cpu", groups=None):
    """Ridge regression with an intercept, ``argmin_w |rates - features w|^2 + alpha |w|^2``, for all neurons at once.

    The penalty of each neuron is chosen by cross-validation that keeps the distribution of categories in every
    fold. No fold is fitted: with ``H`` the matrix that maps measured to fitted rates, leaving out the images ``F``
    leaves the residuals ``(I - H_FF)^-1 (rates - H rates)_F`` on them, exactly (for one image this is the formula
    of Allen's PRESS, 1974), and ``H`` for every penalty comes from one decomposition of the features. Where features
    are few, the normal equations of the images that are left, decomposed once a fold, cost less and say the same.

    Parameters
    ----------
    features : array of shape (n_images, n_features)
    rates : array of shape (n_images, n_neurons)
    categories : sequence of str, optional
        One for each image. Left out, or without two different ones, folds are plain.
    alphas : float or sequence of float, optional
        ``alpha_grid(features)`` when left out. A single one is used as it is, without cross-validation; 0 gives
        least squares, by the shortest weights where they are not unique.
    n_folds : int
    seed : int
        Draws the folds.
    device : str or torch.device
    groups : sequence of str, optional
        Images of one group are held out together (``fold_groups``).

    Returns
    -------
    ridge : Ridge

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or a penalty is negative or (among several) zero.
    """
    alphas = np.atleast_1d(np.asarray(alpha_grid(features) if alphas is None else alphas, dtype=np.float64))
    check_features(features, rates)
    if (alphas < 0).any() or (len(alphas) > 1 and (alphas == 0).any()):
        raise ValueError(f"penalties must be positive (0 is allowed alone, as least squares), got {alphas.tolist()}")
    x = torch.as_tensor(np.asarray(features), dtype=torch.float64, device=device)
    y = torch.as_tensor(np.asarray(rates), dtype=torch.float64, device=device)
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    x, y = x - x_mean, y - y_mean
    # the rounding of its mean must not make a constant neuron look as if it varied
    y[:, (y == y[:1]).all(dim=0)] = 0

    if len(alphas) == 1:
        best, cv_scores, held_out_predictions = torch.zeros(y.shape[1], dtype=torch.long, device=device), None, None
        solve = partial(_shrunk, *_decompose(x), y)
    else:
        held_out = held_out_folds(len(x), categories, n_folds, seed, groups)
        if by_features(x.shape[1], held_out):
            normal = x.T @ x, x.T @ y
            solve = partial(_penalised, *_normal_equations(*normal))
            residuals = _residuals_by_features(x, y, *normal, alphas, held_out)
        else:
            left, lengths, right = _decompose(x)
            solve = partial(_shrunk, left, lengths, right, y)
            residuals = _residuals_by_images(left, lengths, y, alphas, held_out)
        errors = torch.stack([(of_alpha**2).sum(dim=0) for of_alpha in residuals])
        best = errors.argmin(dim=0)
        total = (y**2).sum(dim=0)
        cv_scores = torch.where(total > 0, 1 - errors / total, torch.nan).cpu().numpy()
        chosen = residuals.gather(0, best.expand(1, len(y), -1))[0]
        held_out_predictions = (y + y_mean - chosen).cpu().numpy()
    weights = solve(torch.as_tensor(alphas, device=device)[best])
    return Ridge(
        weights=weights.cpu().numpy(),
        intercept=(y_mean - x_mean @ weights).cpu().numpy(),
        alphas=alphas,
        best=best.cpu().numpy(),
        cv_scores=cv_scores,
        held_out_predictions=held_out_predictions,
    )


def by_features(n_features, held_out):
    """Whether a decomposition by features for each fold costs less than a matrix of its images for each penalty."""
    # measured with 21 penalties: even at about twice as many features as a fold has images
    return n_features < 2 * min(map(len, held_out))


def _shrunk(left, lengths, right, y, alphas):
    """Weights (n_features, n_neurons) of the fit to all images, a penalty for each neuron, by the decomposition."""
    return right @ (lengths[:, None] / (lengths[:, None] ** 2 + alphas) * (left.T @ y))


def _penalised(eigenvalues, vectors, projected, alphas):
    """``(gram + alpha I)^-1 products``, a penalty for each column, by what ``_normal_equations`` gives."""
    return vectors @ (projected / (eigenvalues[:, None] + alphas))


def _normal_equations(gram, products):
    """Normal equations for every penalty: eigenvalues and vectors of the Gram matrix, and products along these."""
    eigenvalues, vectors = torch.linalg.eigh(gram)
    # rounding makes what is nothing a little less
    return eigenvalues.clamp_(min=0), vectors, vectors.T @ products


def _decompose(x):
    """Thin singular value decomposition of centred features, by the smaller of the two Gram matrices."""
    wide = x.shape[1] > x.shape[0]
    eigenvalues, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = eigenvalues > eigenvalues.max() * 1e-13
    lengths, vectors = eigenvalues[kept].sqrt(), vectors[:, kept]
    others = (x.T if wide else x) @ vectors / lengths
    return (vectors, lengths, others) if wide else (others, lengths, vectors)


def _residuals_by_images(left, lengths, y, alphas, held_out):
    """Residuals (n_alphas, n_images, n_neurons) of each image while its fold is left out, by the hat matrix.

    Takes the inverse of a matrix of the images of a fold.
    """
    n_images, projected = len(y), left.T @ y
    shrinkages = [lengths**2 / (lengths**2 + alpha) for alpha in alphas]
    residuals = torch.empty(len(alphas), *y.shape, dtype=y.dtype, device=y.device)
    for of_alpha, shrinkage in zip(residuals, shrinkages):
        torch.sub(y, left @ (shrinkage[:, None] * projected), out=of_alpha)
    for fold in held_out:
        fold = torch.as_tensor(fold, device=y.device)
        of_fold, identity = left[fold], torch.eye(len(fold), dtype=y.dtype, device=y.device)
        for index, shrinkage in enumerate(shrinkages):
            # of a matrix times its own transpose only half is computed
            half = of_fold * shrinkage.sqrt()
            # the intercept is fitted too: it adds 1 / n_images to every entry of the hat matrix
            hat = product(half, half) + 1 / n_images
            residuals[index, fold] = torch.linalg.solve(identity - hat, residuals[index, fold])
    return residuals


def _residuals_by_features(x, y, gram, products, alphas, held_out):
    """The same where features are few, by the normal equations without the fold, decomposed once for all penalties."""
    residuals = torch.empty(len(alphas), *y.shape, dtype=y.dtype, device=y.device)
    for fold in held_out:
        fold = torch.as_tensor(fold, device=y.device)
        x_out, y_out, n_kept = x[fold], y[fold], len(x) - len(fold)
        # all images have a mean of zero: those that are kept have the opposite of what is held out
        x_mean, y_mean = -x_out.sum(dim=0) / n_kept, -y_out.sum(dim=0) / n_kept
        of_kept = gram - x_out.T @ x_out - n_kept * torch.outer(x_mean, x_mean)
        with_rates = products - x_out.T @ y_out - n_kept * torch.outer(x_mean, y_mean)
        eigenvalues, vectors, projected = _normal_equations(of_kept, with_rates)
        x_out, y_out = (x_out - x_mean) @ vectors, y_out - y_mean
        for of_alpha, alpha in zip(residuals, alphas):
            of_alpha[fold] = y_out - x_out @ (projected / (eigenvalues[:, None] + alpha))
    return residuals
