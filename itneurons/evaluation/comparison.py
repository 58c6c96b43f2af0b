"""Models side by side, and together."""

import numpy as np
import pandas as pd

from itneurons.evaluation.ensemble import ensemble_weights, mean_score, weighted
from itneurons.evaluation.metrics import paired_difference


class Comparison:
    """Models that are compared, and combined, by what they predict for training images that they were not fitted to.

    Parameters
    ----------
    results : Results
        Where each model's predictions for the validation images go.
    rates_train, rates_val : array of shape (n_images, n_neurons)
    held_out : list of int arrays
        The training images by which models are compared.
    ceiling : array of shape (n_neurons,), optional

    Attributes
    ----------
    scores : dict of str to float
        Mean explained variance of each model on the held-out training images.
    """

    def __init__(self, results, rates_train, rates_val, held_out, ceiling=None):
        self.results, self.rates_train, self.rates_val, self.ceiling = results, rates_train, rates_val, ceiling
        self.images = np.sort(np.concatenate(held_out))
        self.scores, self._found, self._held_out, self._members = {}, {}, {}, {}

    def add(self, name, held_out, val, test, approach, layer="", by_member=None, **about):
        """Keep what a model predicts, and print how good it is.

        Parameters
        ----------
        name : str
        held_out : array of shape (n_training_images, n_neurons)
            For each training image the prediction of a model that was not fitted to it; NaN where there is none.
        val, test : array of shape (n_images, n_neurons) or (n_members, n_images, n_neurons)
            Of the members of a committee, of which the mean is the prediction.
        approach, layer : str
        by_member : array of shape (n_members, n_images, n_neurons), optional
            What the members that made ``held_out`` predict for the validation images, where others made ``val``: how
            they disagree tells the ensemble how much one of them errs more than their mean.
        **about
            As for ``Results.add``.

        Returns
        -------
        result : Result
        """
        # what a network learns besides the neurons stands in further columns
        n_neurons = self.rates_val.shape[1]
        val, test, held_out = (values[..., :n_neurons] for values in (val, test, held_out))
        members = val if val.ndim == 3 else val[None]
        test = test.mean(axis=0) if test.ndim == 3 else test
        self._held_out[name] = held_out[self.images]
        self._members[name] = members if by_member is None else by_member[..., :n_neurons]
        self.scores[name] = mean_score(self.rates_train[self.images], self._held_out[name])
        result = self.results.add(
            approach,
            name,
            self.rates_val,
            members.mean(axis=0) if len(members) > 1 else members[0],
            layer,
            ceiling=self.ceiling,
            predicted_test=test,
            **about,
        )
        self._found[name] = result
        print(
            f"{name}: explained variance {self.scores[name]:.3f} on held-out folds, "
            f"{result.mean_explained_variance:.3f} on validation"
        )
        if len(members) > 1:
            each = ", ".join(f"{mean_score(self.rates_val, member):.3f}" for member in members)
            print(f"  single members on validation, one seed each: {each}")
        return result

    def add_model(self, name, model, val, test, approach, layer="", **about):
        """Keep what a model predicts for the features of the validation and of the test images.

        Parameters
        ----------
        name : str
        model : Ridge, BandedRidge or Committee
            With ``predict(features)``, or ``predict_each(features)`` for its members, and ``held_out_predictions``.
        val, test : features of the images, as the model takes them
        approach, layer, **about
            As for ``add``.

        Returns
        -------
        result : Result
        """
        predict = getattr(model, "predict_each", model.predict)
        if hasattr(model, "n_parameters"):
            about |= {"parameters": model.n_parameters, "seconds": round(model.seconds)}
        if getattr(model, "refitted", ()):
            about["by_member"] = model.predict_by_member(val)
        return self.add(name, model.held_out_predictions, predict(val), predict(test), approach, layer, **about)

    def __getitem__(self, name):
        return self._found[name]

    def __iter__(self):
        return iter(self._found)

    def gain(self, name, over, seed=0):
        """By how much one model explains more variance of the validation rates than another, as an ``Interval``."""
        return paired_difference(self.rates_val, self[name].predicted, self[over].predicted, seed=seed)

    @property
    def best(self):
        """Name of the model that predicts the held-out training images best."""
        return max(self.scores, key=self.scores.get)

    def add_ensemble(self, names=None, name="ensemble"):
        """Combine models that were added, and add the ensemble to them.

        Parameters
        ----------
        names : sequence of str, optional
            All models when left out.
        name : str
            Of the ensemble.

        Returns
        -------
        weights : pandas.Series
            One for each model.
        """
        names = list(names or self)
        held_out, members = ([part[n] for n in names] for part in (self._held_out, self._members))
        weights = ensemble_weights(held_out, self.rates_train[self.images], members)
        mean = self.rates_train.mean(axis=0)
        val, test = ([getattr(self[n], part) for n in names] for part in ("predicted", "predicted_test"))
        together = np.full(self.rates_train.shape, np.nan)
        together[self.images] = weighted(held_out, weights, mean)
        self.add(name, together, weighted(val, weights, mean), weighted(test, weights, mean), "combined")
        return pd.Series(weights, index=names, name=f"weight in the {name}")
