"""How good predictions are: explained variance and correlation, the noise ceiling, bootstrap intervals.

All scores are computed neuron by neuron over images. Inputs are arrays or tensors; results are numpy arrays.
"""

import warnings
from typing import NamedTuple

import numpy as np

from itneurons.evaluation import bootstrap

# below this ceiling a neuron's fraction of the ceiling is mostly noise divided by noise
LOWEST_CEILING = 0.1


def explained_variance(true, predicted):
    """Explained variance of each neuron, ``1 - var(true - predicted) / var(true)`` over images.

    Parameters
    ----------
    true, predicted : array of shape (n_images, n_neurons)
        Measured and predicted firing rates, in the same unit.

    Returns
    -------
    scores : array of shape (n_neurons,)
        At most 1. NaN, with a warning that names the neuron, where the measured rate does not vary. Elsewhere
        equal to ``sklearn.metrics.explained_variance_score(..., multioutput="raw_values")``.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is NaN or infinite.
    """
    true, predicted = _checked_pair(true, predicted)
    variance = _variance_or_nan(true)
    return 1 - (true - predicted).var(axis=0) / variance


def correlation(true, predicted):
    """Pearson correlation over images of each neuron's measured and predicted rates.

    Parameters
    ----------
    true, predicted : array of shape (n_images, n_neurons)

    Returns
    -------
    scores : array of shape (n_neurons,)
        Equal to ``numpy.corrcoef``, but 0 where a prediction is constant (it tells nothing about the image), and
        NaN, with a warning that names the neuron, where the measured rate does not vary.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is NaN or infinite.
    """
    true, predicted = _checked_pair(true, predicted)
    variance = _variance_or_nan(true)
    centred = true - true.mean(axis=0)
    covariance = (centred * (predicted - predicted.mean(axis=0))).mean(axis=0)
    constant = _is_constant(predicted)
    spread = np.sqrt(variance * predicted.var(axis=0))
    scores = np.where(constant, 0.0, covariance / np.where(constant, 1.0, spread))
    return np.where(np.isnan(variance), np.nan, scores)


def correlation_matrix(a, b):
    """Correlations over images between every neuron of ``a`` and every neuron of ``b``.

    Parameters
    ----------
    a : array of shape (n_images, n_neurons_a)
    b : array of shape (n_images, n_neurons_b)

    Returns
    -------
    matrix : array of shape (n_neurons_a, n_neurons_b)
        NaN in the rows and columns of neurons that do not vary.
    """

    def standardised(values):
        values = _array(values)
        values = values - values.mean(axis=0)
        norm = np.linalg.norm(values, axis=0)
        return values / np.where(norm > 0, norm, np.nan)

    return standardised(a).T @ standardised(b)


def noise_ceiling(trials, n_splits=100, seed=0):
    """Explained variance that a perfect model would reach: the reliability of the mean response.

    The trials of each image are split at random into two halves of equal size, the halves' means are correlated
    over images, and the mean correlation ``r`` over many splits is extended to all trials with the formula of
    Spearman (1910) and Brown (1910), ``f r / (1 + (f - 1) r)``. The factor ``f`` is how much the noise variance of
    a mean shrinks from a half to all trials, ``mean(1 / n_half) / mean(1 / n_trials)`` over images: 2 for an even
    number of trials, 7 / 3 where seven trials are split into three and three (the seventh is left out).

    The correlation is averaged before it is corrected: the correction is concave, so that the other order is
    biased downwards, and unbounded for the negative correlations of a neuron without signal.

    Parameters
    ----------
    trials : array of shape (n_trials, n_images, n_neurons)
        Single-trial responses; NaN where a trial is missing. Numbers of trials may differ between images and
        neurons; an image with fewer than two trials is left out.
    n_splits : int
        Number of random splits.
    seed : int

    Returns
    -------
    ceiling : array of shape (n_neurons,)
        At most 1; about 0, and possibly negative, for a neuron that tells nothing of the image. A perfect model
        correlates ``sqrt(ceiling)`` with the mean response. NaN where fewer than three images have two trials.

    Raises
    ------
    ValueError
        If ``trials`` does not have three dimensions.
    """
    trials = _array(trials)
    if trials.ndim != 3:
        raise ValueError(f"trials has the shape {trials.shape}, expected (n_trials, n_images, n_neurons)")
    valid = np.isfinite(trials)
    if (valid == valid[:, :, :1]).all():
        # trials that are missing are missing in all neurons: one split serves them all
        valid = valid[:, :, :1]
    trials = np.nan_to_num(trials)
    counts = valid.sum(axis=0)
    halves = counts // 2
    used = halves > 0
    enough = used.sum(axis=0) >= 3

    rng = np.random.default_rng(seed)
    total = np.zeros(trials.shape[2])
    for _ in range(n_splits):
        order = rng.random(trials.shape[:2]).argsort(axis=0)[:, :, None]
        shuffled = np.take_along_axis(valid, order, axis=0)
        rank = np.empty(valid.shape, dtype=np.int32)
        np.put_along_axis(rank, order, np.cumsum(shuffled, axis=0, dtype=np.int32), axis=0)
        first = valid & (rank <= halves)
        second = valid & (rank > halves) & (rank <= 2 * halves)
        total += _masked_correlation(_mean_of(trials, first, halves), _mean_of(trials, second, halves), used)
    mean_correlation = total / n_splits

    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_half = np.where(used, 1 / halves, 0).sum(axis=0)
        inverse_all = np.where(used, 1 / counts, 0).sum(axis=0)
        factor = inverse_half / inverse_all
        ceiling = factor * mean_correlation / (1 + (factor - 1) * mean_correlation)
    return np.where(enough, ceiling, np.nan)


def ceiling_of_one_trial(ceiling, n_trials):
    """Noise ceiling of single presentations, from that of the mean over several.

    The formula of Spearman (1910) and Brown (1910), solved for the reliability of one of ``n_trials``,
    ``rho / (n - (n - 1) rho)``. It is what the correlation between two presentations is on average.

    Parameters
    ----------
    ceiling : array of shape (n_neurons,)
        Of the mean over all trials, as ``noise_ceiling`` gives it.
    n_trials : int

    Returns
    -------
    ceiling : array of shape (n_neurons,)
    """
    ceiling = np.asarray(ceiling)
    return ceiling / (n_trials - (n_trials - 1) * ceiling)


def _mean_of(trials, chosen, size):
    if chosen.shape[2] == 1:
        summed = np.einsum("tin,ti->in", trials, chosen[:, :, 0].astype(trials.dtype))
    else:
        summed = (trials * chosen).sum(axis=0)
    return summed / np.maximum(size, 1)


def _masked_correlation(a, b, used):
    n_used = np.maximum(used.sum(axis=0), 1)
    a = (a - (a * used).sum(axis=0) / n_used) * used
    b = (b - (b * used).sum(axis=0) / n_used) * used
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=0) / spread


class Interval(NamedTuple):
    """A score, averaged over neurons, with its 95 % bootstrap interval over images."""

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __format__(self, specification):
        return format(str(self), specification)


class Summary(NamedTuple):
    """Scores of one model, averaged over neurons.

    ``fraction`` is the explained variance over the noise ceiling, averaged over the neurons whose ceiling is at
    least ``LOWEST_CEILING``; None where no ceiling is known. ``n_left_out`` counts the other neurons.
    """

    explained_variance: Interval
    correlation: Interval
    fraction: Interval | None
    n_left_out: int


def summarise(true, predicted, ceiling=None, n_bootstrap=1000, seed=0, noise=None):
    """Mean scores of a model with 95 % intervals over images.

    The intervals are those of ``bootstrap.interval``: images are drawn with replacement, the scores of every neuron are
    computed on the drawn images and averaged over neurons, in units of the standard error of that draw. Those of
    explained variance and its fraction are corrected for the bias that few images bring, and so need not lie
    symmetrically about the score. Neurons that do not vary are left out of the averages.

    Parameters
    ----------
    true, predicted : array of shape (n_images, n_neurons)
    ceiling : array of shape (n_neurons,), optional
        Noise ceiling of each neuron, as explained variance.
    n_bootstrap : int
    seed : int
        Summaries with one seed draw the same images.
    noise : array of shape (n_images, n_neurons), optional
        Of ``noise_variance``, where the ceiling was estimated from trials of these images: the interval of the fraction
        then holds the uncertainty of the ceiling too. Without it the ceiling is taken as known.

    Returns
    -------
    summary : Summary
    """
    true, predicted = _checked_pair(true, predicted)
    ev, r = explained_variance(true, predicted), correlation(true, predicted)
    # a neuron whose noise is not known has no ceiling either, and is left out of the fraction
    noise = None if noise is None else _checked_pair(true, np.nan_to_num(noise))[1]
    draws = bootstrap.Draws(n_bootstrap, seed, noise, true=true, predicted=predicted, residual=true - predicted)
    fraction, n_left_out = None, 0
    if ceiling is not None:
        kept = np.asarray(ceiling) >= LOWEST_CEILING
        n_left_out = int((~kept).sum())
        if kept.any():
            known = np.asarray(ceiling)[kept]
            score = bootstrap.fraction_of(known) if noise is None else bootstrap.fraction(LOWEST_CEILING)
            fraction = _interval(ev[kept] / known, draws.of(kept), score)
    return Summary(
        _interval(ev, draws, bootstrap.explained_variance),
        _interval(r, draws, bootstrap.correlation),
        fraction,
        n_left_out,
    )


def paired_difference(true, predicted, baseline, n_bootstrap=1000, seed=0):
    """By how much ``predicted`` explains more variance than ``baseline``, with both scored on the same draws.

    Parameters
    ----------
    true, predicted, baseline : array of shape (n_images, n_neurons)

    Returns
    -------
    difference : Interval
        Mean over neurons of the difference of explained variances; an interval that excludes zero says that
        the images do not explain the difference.
    """
    (true, predicted), baseline = _checked_pair(true, predicted), _checked_pair(true, baseline)[1]
    values = explained_variance(true, predicted) - explained_variance(true, baseline)
    draws = bootstrap.Draws(n_bootstrap, seed, true=true, residual=true - predicted, baseline=true - baseline)
    return _interval(values, draws, bootstrap.difference)


def noise_variance(trials):
    """Squared standard error of each mean response: the variance over trials divided by their number.

    Parameters
    ----------
    trials : array of shape (n_trials, n_images, n_neurons)
        Single-trial responses; NaN where a trial is missing.

    Returns
    -------
    noise : array of shape (n_images, n_neurons)
        An image with one trial, or none, has the neuron's mean variance over trials. NaN where no image of the neuron
        has two.
    """
    trials = _array(trials)
    counts = np.isfinite(trials).sum(axis=0)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        variance = np.nanvar(trials, axis=0) * counts / (counts - 1)
        return np.where(counts < 2, np.nanmean(variance, axis=0), variance) / np.maximum(counts, 1)


def mean_noise_ceiling(trials, n_bootstrap=1000, seed=0):
    """Noise ceiling, averaged over the neurons that have one, with its 95 % interval over images.

    Parameters
    ----------
    trials : array of shape (n_trials, n_images, n_neurons)
        As for ``noise_ceiling``.
    n_bootstrap, seed : int
        As for ``summarise``.

    Returns
    -------
    ceiling : Interval
        Its limits are NaN where fewer than three images have a trial of every neuron that has a ceiling.

    Raises
    ------
    ValueError
        As ``noise_ceiling``.
    """
    values = noise_ceiling(trials, seed=seed)
    known = np.isfinite(values)
    if not known.any():
        return Interval(np.nan, np.nan, np.nan)
    trials = _array(trials)[:, :, known]
    trials = trials[:, np.isfinite(trials).any(axis=0).all(axis=1)]
    if trials.shape[1] < 3:
        return Interval(float(np.nanmean(values)), np.nan, np.nan)
    draws = bootstrap.Draws(n_bootstrap, seed, noise_variance(trials), true=np.nanmean(trials, axis=0))
    return _interval(values, draws, bootstrap.ceiling)


def _interval(values, draws, score):
    with warnings.catch_warnings():
        # the mean over no neuron is NaN, and a warning has named the neurons already
        warnings.simplefilter("ignore", RuntimeWarning)
        return Interval(float(np.nanmean(values)), *draws.interval(score))


def check_features(features, rates):
    """Check features and rates of a regression.

    Parameters
    ----------
    features : array of shape (n_images, n_features)
    rates : array of shape (n_images, n_neurons)

    Raises
    ------
    ValueError
        If the shapes do not fit, or values are NaN or infinite.
    """
    features, rates = np.asarray(features), np.asarray(rates)
    if features.ndim != 2 or rates.ndim != 2 or len(features) != len(rates):
        raise ValueError(
            f"features have the shape {features.shape} and rates {rates.shape}; expected (n_images, n_features) "
            "and (n_images, n_neurons) with the same images"
        )
    for name, values in (("features", features), ("rates", rates)):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
        if bad.size:
            raise ValueError(f"{name} hold NaN or infinite values in the columns {bad[:10].tolist()}")


def _array(values):
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def _checked_pair(true, predicted):
    true, predicted = _array(true), _array(predicted)
    if true.shape != predicted.shape or true.ndim != 2:
        raise ValueError(
            f"measured rates have the shape {true.shape} and predicted ones {predicted.shape}; "
            "both must be (n_images, n_neurons)"
        )
    for name, values in (("measured", true), ("predicted", predicted)):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
        if bad.size:
            raise ValueError(f"{name} rates of the neurons {bad.tolist()} hold NaN or infinite values")
    return true, predicted


def _is_constant(values):
    return (values == values[:1]).all(axis=0)


def _variance_or_nan(true):
    constant = _is_constant(true)
    if constant.any():
        warnings.warn(
            f"the measured rates of the neurons {np.flatnonzero(constant).tolist()} do not vary: "
            "their scores are undefined (NaN)",
            stacklevel=3,
        )
    return np.where(constant, np.nan, true.var(axis=0))
