"""Does a predicted population keep what the measured one says of the object? Categories read out, and similarities.

Majaj, Hong, Solomon and DiCarlo (2015, doi:10.1523/JNEUROSCI.5181-14.2015) found that weighted sums of IT rates account
for what humans recognise; here the same sums are taken of measured and of predicted rates. Kriegeskorte, Mur and
Bandettini (2008, doi:10.3389/neuro.06.004.2008) compare populations by which images they answer to alike.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from itneurons.evaluation import bootstrap
from itneurons.evaluation.metrics import Interval

# how little the weights are held back; chosen inside the training folds
PENALTIES = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Readout:
    """How often a linear readout names the category rightly, from measured and from predicted rates.

    Attributes
    ----------
    measured, predicted : metrics.Interval
        Share of images, with its 95 % interval over images (studentised bootstrap).
    difference : metrics.Interval
        Predicted less measured, on the same draws of images.
    chance : float
        Share of the most frequent category.
    """

    measured: Interval
    predicted: Interval
    difference: Interval
    chance: float

    def __str__(self):
        return (
            f"measured {self.measured}, predicted {self.predicted}, difference {self.difference}, "
            f"chance {self.chance:.3f}"
        )


def named_categories(rates, categories, n_folds=5, seed=0):
    """The category that a linear readout of the rates names for each image, from the other folds alone.

    Multinomial logistic regression on standardised rates, its penalty chosen inside the training folds.

    Parameters
    ----------
    rates : array of shape (n_images, n_neurons)
    categories : sequence of str
        One for each image.
    n_folds : int
    seed : int
        Of the folds, which keep the distribution of the categories and depend on nothing else.

    Returns
    -------
    named : array of shape (n_images,), str

    Raises
    ------
    ValueError
        If the numbers of images differ, rates are not finite, or a category has too few images.
    """
    rates, categories = np.asarray(rates, dtype=np.float64), np.asarray(categories, dtype=str)
    _check(rates, categories, n_folds)
    inner = StratifiedKFold(3, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    search = GridSearchCV(model, {"logisticregression__C": PENALTIES}, cv=inner)
    named = np.empty_like(categories)
    for train, held_out in StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rates, categories):
        named[held_out] = search.fit(rates[train], categories[train]).predict(rates[held_out])
    return named


def _check(rates, categories, n_folds):
    if rates.ndim != 2 or len(rates) != len(categories) or not np.isfinite(rates).all():
        raise ValueError(
            f"rates have the shape {rates.shape} for {len(categories)} categories; expected (n_images, n_neurons), "
            "finite, with the same images"
        )
    names, counts = np.unique(categories, return_counts=True)
    # three folds inside each training part want one image each
    least = max(n_folds, 4)
    if len(names) < 2 or counts.min() < least:
        raise ValueError(
            f"The readout needs two categories with {least} images each, it has "
            + ", ".join(f"{name or 'no name'} ({count})" for name, count in zip(names, counts))
        )


def read_out(measured, predicted, categories, n_folds=5, n_bootstrap=1000, seed=0):
    """Read the category out of measured and of predicted rates, with the same folds, and compare.

    Parameters
    ----------
    measured, predicted : array of shape (n_images, n_neurons)
        Of images that the predictions were not fitted to.
    categories : sequence of str
        One for each image.
    n_folds, n_bootstrap, seed : int

    Returns
    -------
    readout : Readout

    Raises
    ------
    ValueError
        As ``named_categories``.
    """
    categories = np.asarray(categories, dtype=str)
    right = np.stack(
        [named_categories(rates, categories, n_folds, seed) == categories for rates in (measured, predicted)]
    ).astype(float)

    def interval(values, link=None):
        means, errors = bootstrap.mean_over_images(values, n_bootstrap, seed)
        return Interval(float(means[0]), *bootstrap.interval(means, errors, link, biased=False))

    return Readout(
        measured=interval(right[0], bootstrap.SHARE),
        predicted=interval(right[1], bootstrap.SHARE),
        difference=interval(right[1] - right[0]),
        chance=float(np.unique(categories, return_counts=True)[1].max() / len(categories)),
    )


def similarity(rates, labels=None):
    """How alike a population answers to images, or to what they show: correlations over neurons.

    Each neuron is brought to zero mean and unit variance over images first, so that those that fire most do not decide.

    Parameters
    ----------
    rates : array of shape (n_images, n_neurons)
        Neurons that do not vary are left out.
    labels : sequence of str, optional
        Objects or categories: rates are averaged over the images of each.

    Returns
    -------
    matrix : array of shape (n_images, n_images) or (n_labels, n_labels)
        Labels in the order of ``numpy.unique``.
    """
    rates = np.asarray(rates, dtype=np.float64)
    rates = StandardScaler().fit_transform(rates[:, np.ptp(rates, axis=0) > 0])
    if labels is not None:
        labels = np.asarray(labels, dtype=str)
        rates = np.stack([rates[labels == label].mean(axis=0) for label in np.unique(labels)])
    return np.corrcoef(rates)


def agreement(a, b):
    """Correlation of two similarity matrices, over pairs of different images."""
    pairs = np.triu_indices(len(a), k=1)
    return float(np.corrcoef(a[pairs], b[pairs])[0, 1])
