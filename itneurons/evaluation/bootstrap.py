"""Intervals from drawing the images again: the symmetric studentised bootstrap of a mean over neurons, or over images.

Every score of neurons is a function of a few variances over images, so that all draws of all neurons are matrix
products: of how often an image is drawn with the squares, and, for the standard error inside a draw, of the score's
derivatives with them. scipy's and arch's bootstraps gather the drawn images anew for every draw, which takes longer.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, logit

# what is left of a variance by rounding, in parts of the whole
ROUNDING = 1e-12


class Draws:
    """Variances over images that are drawn with replacement; the first "draw" is every image once.

    Parameters
    ----------
    n_bootstrap, seed : int
        Draws with one seed and number of images are the same.
    noise : array of shape (n_images, n_neurons), optional
        Squared standard error of each measured rate; its mean over images is kept beside the variances.
    **rates : arrays of shape (n_images, n_neurons)
        By the name that the scores below know.

    Attributes
    ----------
    variances : dict of str to array of shape (1 + n_bootstrap, n_neurons)
        NaN where what is drawn does not vary.
    """

    def __init__(self, n_bootstrap, seed, noise=None, **rates):
        self.weights = _weights(len(rates["true"]), n_bootstrap, seed)
        # every score is a ratio: in units of the neuron's own spread single precision does where nothing is subtracted
        scale = rates["true"].std(axis=0)
        scale = np.where(scale > 0, scale, 1)
        self._means, self._columns, self.variances = {}, {}, {}
        for name, values in rates.items():
            # a neuron that answers to few images may not vary over those drawn
            constant = (values == values[:1]).all(axis=0)
            values = (values - values.mean(axis=0)) / scale
            mean, square = self.weights @ values, self.weights @ values**2
            variance = square - mean**2
            self.variances[name] = np.where(constant | (variance <= ROUNDING * variance[0]), np.nan, variance)
            self._means[name] = mean
            self._columns[name] = np.stack([values**2, values]).astype(np.float32)
        if noise is not None:
            noise = noise / scale**2
            self.variances["noise"] = self.weights @ noise
            self._columns["noise"] = noise[None].astype(np.float32)

    def of(self, neurons):
        """These draws, of some of the neurons (bool or int array)."""
        part = object.__new__(Draws)
        part.weights = self.weights
        for name in ("_means", "_columns", "variances"):
            setattr(part, name, {key: values[..., neurons] for key, values in getattr(self, name).items()})
        return part

    def mean(self, score):
        """Mean of a score over the neurons that have one, and its standard error, in every draw.

        Parameters
        ----------
        score : callable
            One of those below: variances to values and their derivatives by each variance.

        Returns
        -------
        means, standard_errors : array of shape (1 + n_bootstrap,)
            NaN where no neuron has a score. The standard error is that of the influence function (the nonparametric
            delta method; Davison and Hinkley 1997, section 2.7).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            values, derivatives = score(self.variances)
            known = np.isfinite(values)
            n_known = known.sum(axis=1)
            means = np.where(known, values, 0).sum(axis=1) / n_known
        slopes, columns = [], []
        for name, slope in derivatives.items():
            slope = np.where(known & np.isfinite(slope), slope, 0)
            slopes.append(slope)
            if name in self._means:
                # the derivative of a squared deviation from the draw's own mean
                slopes.append(-2 * slope * self._means[name])
            columns.extend(self._columns[name])
        influence = np.hstack(slopes, dtype=np.float32) @ np.hstack(columns).T
        influence -= np.einsum("di,di->d", self.weights, influence)[:, None]
        variance = np.einsum("di,di,di->d", self.weights, influence, influence) / self.weights.shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return means, np.sqrt(variance) / n_known

    def interval(self, score):
        """95 % interval of the mean of a ``Score`` over neurons: low and high, of the function ``interval``."""
        return interval(*self.mean(score), score.link, score.biased)


@lru_cache(maxsize=4)
def _weights(n_images, n_bootstrap, seed):
    """How often each draw holds each image, as a fraction (1 + n_bootstrap, n_images); the first holds all alike."""
    drawn = np.random.default_rng(seed).multinomial(n_images, np.full(n_images, 1 / n_images), size=n_bootstrap)
    weights = np.vstack([np.ones(n_images), drawn]) / n_images
    weights.setflags(write=False)
    return weights


def mean_over_images(values, n_bootstrap, seed):
    """Mean of a number that each image has, and its standard error, in every draw.

    Parameters
    ----------
    values : array of shape (n_images,)
    n_bootstrap, seed : int
        As for ``Draws``, which draws the same images.

    Returns
    -------
    means, standard_errors : array of shape (1 + n_bootstrap,)
    """
    weights = _weights(len(values), n_bootstrap, seed)
    means = weights @ values
    means[0] = values.mean()
    variance = weights @ values**2 - means**2
    return means, np.sqrt(np.where(variance > ROUNDING, variance, 0) / len(values))


def interval(means, errors, link=None, biased=True):
    """95 % interval of a mean: studentised and symmetric, about the median of the draws where a score is biased.

    In each draw the mean's deviation from that of all images is divided by the draw's own standard error. The median of
    these pivots is the bias that few images bring, and is taken off where there is one; the 95 % quantile of their
    distance from it is how many standard errors the interval extends (Hall 1988,
    doi:10.1111/j.2517-6161.1988.tb01709.x: symmetric intervals err in coverage by the square of what equal tails err
    by).

    Parameters
    ----------
    means, errors : array of shape (1 + n_bootstrap,)
        Of ``Draws.mean`` or ``mean_over_images``.
    link : tuple of functions, optional
        The scale on which the interval is symmetric: to it, its derivative, and back. ``BELOW_ONE``, ``FISHER``,
        ``SHARE`` and ``RELIABILITY`` keep intervals within what a score can reach.
    biased : bool
        Whether few images make the score too high or too low, as they do explained variance, its fraction and the
        ceiling. What the median of the pivots says of correlations, differences and shares is mostly noise.

    Returns
    -------
    low, high : float
        NaN where there is no score.
    """
    to, derivative, back = link or UNBOUNDED
    if not errors[0] > 0:
        # no image differs from another, as for a prediction without error
        return float(means[0]), float(means[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        transformed, errors = to(means), errors * derivative(means)
        pivots = (transformed[1:] - transformed[0]) / errors[1:]
    pivots = pivots[np.isfinite(pivots)]
    if not len(pivots):
        return np.nan, np.nan
    middle = np.median(pivots) if biased else 0.0
    reach = np.quantile(np.abs(pivots - middle), 0.95, method="weibull")
    low, high = back(transformed[0] - (middle + np.array([reach, -reach])) * errors[0])
    return float(low), float(high)


UNBOUNDED = (lambda x: x, np.ones_like, lambda x: x)
BELOW_ONE = (lambda x: -np.log(1 - x), lambda x: 1 / (1 - x), lambda x: 1 - np.exp(-x))
FISHER = (np.arctanh, lambda x: 1 / (1 - x**2), np.tanh)
# a sample without the few images that drive a neuron most takes its ceiling for too low: on the scale of the sixth
# power of noise's share intervals of heavy-tailed neurons err to both sides (benchmarks/README.md)
RELIABILITY = (lambda x: -((1 - x) ** 6), lambda x: 6 * (1 - x) ** 5, lambda x: 1 - np.maximum(-x, 0) ** (1 / 6))
SHARE = (logit, lambda x: 1 / (x * (1 - x)), expit)


@dataclass(frozen=True)
class Score:
    """A function of variances, and what its intervals are like: ``link`` and ``biased`` of ``interval``."""

    function: callable
    link: tuple | None = None
    biased: bool = True

    def __call__(self, variances):
        return self.function(variances)


def _score(link=None, biased=True):
    return lambda function: Score(function, link, biased)


@_score(BELOW_ONE)
def explained_variance(variances):
    """``1 - var(residual) / var(true)``, with its derivatives."""
    true = variances["true"]
    missed = np.nan_to_num(variances["residual"]) / true
    return 1 - missed, {"residual": -1 / true, "true": missed / true}


@_score(FISHER, biased=False)
def correlation(variances):
    """Pearson's, by the law of cosines, with its derivatives; 0 where a prediction is constant."""
    true, predicted = variances["true"], variances["predicted"]
    residual = np.nan_to_num(variances["residual"])
    twice = 2 * np.sqrt(true * predicted)
    r = (true + predicted - residual) / twice
    r = np.where(np.isnan(predicted) & ~np.isnan(true), 0.0, r)
    return r, {"residual": -1 / twice, "true": 1 / twice - r / (2 * true), "predicted": 1 / twice - r / (2 * predicted)}


@_score(biased=False)
def difference(variances):
    """Explained variance less that of the baseline, with its derivatives."""
    true = variances["true"]
    gain = (np.nan_to_num(variances["baseline"]) - np.nan_to_num(variances["residual"])) / true
    return gain, {"baseline": 1 / true, "residual": -1 / true, "true": -gain / true}


@_score(RELIABILITY)
def ceiling(variances):
    """Reliability of the measured rates, ``1 - noise / var(true)``, with its derivatives."""
    true, noise = variances["true"], variances["noise"]
    return 1 - noise / true, {"noise": -1 / true, "true": noise / true**2}


def fraction_of(known):
    """Explained variance over a ceiling (n_neurons,) that is known exactly."""

    @_score()
    def score(variances):
        values, derivatives = explained_variance(variances)
        return values / known, {name: slope / known for name, slope in derivatives.items()}

    return score


def fraction(lowest):
    """Explained variance over the ceiling of the same draw; none for neurons whose ceiling is below ``lowest``."""

    @_score()
    def score(variances):
        true, noise = variances["true"], variances["noise"]
        signal = np.where(true - noise >= lowest * true, true - noise, np.nan)
        values = (true - np.nan_to_num(variances["residual"])) / signal
        return values, {"residual": -1 / signal, "true": (1 - values) / signal, "noise": values / signal}

    return score
