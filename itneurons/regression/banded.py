"""Banded ridge regression: several layers at once, with a weighting of the layers for every neuron.

The model is ``rates = sum_i features_i w_i`` with a penalty of its own on each layer (Nunez-Elizalde, Huth and
Gallant 2019). The solver is himalaya's random search over kernels (Dupré la Tour et al. 2022).
"""

import time

import numpy as np
import torch
from himalaya.backend import set_backend
from himalaya.kernel_ridge import predict_weighted_kernel_ridge, solve_multiple_kernel_ridge_random_search
from sklearn.model_selection import PredefinedSplit

from itneurons.regression.cross_validation import held_out_folds
from itneurons.regression.ridge import total_variance


class BandedRidge:
    """Banded ridge on the features of several layers.

    Parameters
    ----------
    n_iter : int
        Weightings of the layers that are tried; the first ones are the single layers and the plain sum.
    n_folds : int
        Of the cross-validation by which each neuron chooses its weighting and penalty.
    seed : int
        Of the folds and of the weightings.

    Attributes
    ----------
    deltas_ : tensor of shape (n_layers, n_neurons)
        Logarithm of the weight of each layer, penalty included.
    seconds_ : float
        That ``fit`` took.
    """

    # of the sum of the weighted kernels, each of unit variance over images
    alphas = tuple(10.0 ** (exponent / 2) for exponent in range(-3, 6))

    def __init__(self, n_iter=20, n_folds=3, seed=0):
        self.n_iter, self.n_folds, self.seed = n_iter, n_folds, seed

    def fit(self, features, rates, categories=None, groups=None):
        """Choose weightings and penalties, and fit.

        Parameters
        ----------
        features : sequence of arrays of shape (n_images, n_features)
            One for each layer, centred on the training images, as principal components are.
        rates : array of shape (n_images, n_neurons)
        categories : sequence of str, optional
            Kept in the same mix in every fold.
        groups : sequence of str, optional
            Images of one group are held out together (``fold_groups``).

        Returns
        -------
        self : BandedRidge
        """
        start = time.perf_counter()
        set_backend("torch")
        self.features_ = [np.asarray(part, dtype=np.float32) for part in features]
        # every layer gets the same say before the weighting, whatever the scale of its activations
        self.scales_ = [len(part) / total_variance(part) for part in self.features_]
        self.mean_ = rates.mean(axis=0)
        centred = torch.as_tensor(rates - self.mean_, dtype=torch.float32)
        held_out = held_out_folds(len(rates), categories, self.n_folds, self.seed, groups)
        fold_of = np.empty(len(rates), dtype=int)
        for number, fold in enumerate(held_out):
            fold_of[fold] = number
        kernels = self._kernels(self.features_)
        n_layers = len(kernels)
        weightings = np.concatenate(
            [
                np.eye(n_layers),
                np.full((1, n_layers), 1 / n_layers),
                np.random.default_rng(self.seed).dirichlet(np.ones(n_layers), max(self.n_iter - n_layers - 1, 0)),
            ]
        )[: self.n_iter]
        self.deltas_, _, _ = solve_multiple_kernel_ridge_random_search(
            kernels,
            centred,
            # a weight of zero has no logarithm
            n_iter=torch.as_tensor(weightings + 1e-8, dtype=torch.float32),
            alphas=torch.tensor(self.alphas),
            cv=PredefinedSplit(fold_of),
            # the winners are fitted below, each once
            return_weights=None,
            progress_bar=False,
        )
        self.kernels_, self.centred_ = kernels, centred
        self.weights_ = self._weights(np.arange(len(rates)))
        self.seconds_ = time.perf_counter() - start
        return self

    def predict(self, features):
        """Firing rates (n_images, n_neurons) for the layers' features of other images."""
        return self._predicted(self._kernels(features), self.weights_).numpy() + self.mean_

    def contributions(self, features, rates):
        """What each layer contributes to the explained variance, adding up to that of the whole model.

        The product measure of each layer's part of the prediction (Dupré la Tour et al. 2022).

        Returns
        -------
        contributions : array of shape (n_layers, n_neurons)
        """
        target = torch.as_tensor(rates - rates.mean(axis=0), dtype=torch.float32)
        parts = self._predicted(self._kernels(features), self.weights_, split=True)
        # explained variance does not count a shift of the mean
        parts = parts - parts.mean(dim=1, keepdim=True)
        whole = parts.sum(dim=0)
        total = (target**2).sum(dim=0)
        return ((parts * (2 * target - whole)).sum(dim=1) / total).numpy()

    def held_out_predictions(self, held_out):
        """Predictions for training images from fits without them, with the weightings as chosen.

        Parameters
        ----------
        held_out : list of int arrays

        Returns
        -------
        rates : array of shape (n_images, n_neurons)
            NaN for images that no fold holds.
        """
        images, predicted = np.arange(len(self.centred_)), np.full(self.centred_.shape, np.nan, dtype=self.mean_.dtype)
        for fold in held_out:
            kept = np.setdiff1d(images, fold)
            predicted[fold] = self._predicted(self.kernels_[:, fold][:, :, kept], self._weights(kept)).numpy()
        return predicted + self.mean_

    def _weights(self, images):
        """Dual weights (n_images, n_neurons) of the fit to these training images, with the weightings as chosen."""
        weights = torch.empty(len(images), self.centred_.shape[1], dtype=torch.float64)
        kernels, centred = self.kernels_[:, images][:, :, images].double(), self.centred_[images].double()
        # neurons share few weightings and penalties, and for each of them one exact solution serves all its neurons
        shared, member = np.unique(self.deltas_, axis=1, return_inverse=True)
        for number, deltas in enumerate(shared.T):
            neurons = np.flatnonzero(np.ravel(member) == number)
            penalised = torch.tensordot(torch.as_tensor(deltas).double().exp(), kernels, dims=1)
            penalised.diagonal().add_(1)
            weights[:, neurons] = torch.cholesky_solve(centred[:, neurons], torch.linalg.cholesky(penalised))
        return weights.float()

    def _predicted(self, kernels, weights, split=False):
        return predict_weighted_kernel_ridge(kernels, weights, self.deltas_, split=split)

    def _kernels(self, features):
        products = [
            scale * (np.asarray(part, dtype=np.float32) @ train.T)
            for part, train, scale in zip(features, self.features_, self.scales_)
        ]
        return torch.as_tensor(np.stack(products), dtype=torch.float32)
