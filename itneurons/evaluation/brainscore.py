"""The score of a layer on the scale of the public Brain-Score leaderboard."""

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from itneurons.evaluation.metrics import check_features, correlation


def brainscore_pls(features, rates, objects, ceiling, n_components=25, n_splits=10, order=None):
    """Score on the scale of the public Brain-Score leaderboard, after its benchmark MajajHong2015public.IT-pls.

    Partial least squares is fitted to nine tenths of the images and correlated with the measured rates on the tenth,
    for ten splits that keep the distribution of objects. The median over neurons, averaged over splits, is squared and
    divided by the median internal consistency, as version 4 of the benchmark does (Schrimpf et al. 2018).

    Parameters
    ----------
    features : array of shape (n_images, n_features)
        Of all images; the benchmark takes the first 1000 principal components of a layer.
    rates : array of shape (n_images, n_neurons)
    objects : sequence of str
        Object names, one for each image.
    ceiling : float or array of shape (n_neurons,)
        Internal consistency: split-half correlation, corrected with Spearman-Brown. The median over neurons counts.
    n_components, n_splits : int
    order : int array of shape (n_images,), optional
        The images in the order of the benchmark, that is of their ids: its splits depend on it, and so does the score,
        in the third digit. As they are when left out.

    Returns
    -------
    score : float
        Squared correlation as a fraction of the ceiling.
    correlation : float
        Median over neurons, mean over splits, before the square and the ceiling.

    Raises
    ------
    ValueError
        If the shapes do not fit, values are not finite, or an object has too few images for the splits.
    """
    features = np.asarray(features)
    check_features(features, rates)
    centred = np.asarray(features - features.mean(axis=0), dtype=np.float64)
    r = float(np.mean(pls_correlations(centred @ centred.T, rates, objects, n_components, n_splits, order)))
    return r**2 / float(np.nanmedian(ceiling)), r


def pls_correlations(kernel, rates, objects, n_components=25, n_splits=10, order=None):
    """The correlation of each split of ``brainscore_pls``, median over neurons, from inner products between images.

    Parameters
    ----------
    kernel : array of shape (n_images, n_images)
        Inner products of the features, centred or not.
    rates, objects, n_components, n_splits, order
        As for ``brainscore_pls``.

    Returns
    -------
    correlations : array of shape (n_splits,)
    """
    kernel, rates, objects = np.asarray(kernel, dtype=np.float64), np.asarray(rates), np.asarray(objects)
    if order is not None:
        kernel, rates, objects = kernel[np.ix_(order, order)], rates[order], objects[order]
    # the benchmark's own splits: its seed is 1
    splits = StratifiedShuffleSplit(n_splits=n_splits, train_size=0.9, random_state=1)
    medians = []
    for train, test in splits.split(kernel, objects):
        # centred on the images to be fitted
        inner, others = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
        means = inner.mean(axis=0)
        inner -= means + means[:, None] - means.mean()
        others -= means + others.mean(axis=1, keepdims=True) - means.mean()
        y = np.asarray(rates[train], dtype=np.float64)
        predicted = others @ _pls(inner, y - y.mean(axis=0), n_components) + y.mean(axis=0)
        medians.append(np.nanmedian(correlation(rates[test], predicted)))
    return np.array(medians)


def _pls(kernel, rates, n_components):
    """Partial least squares from inner products between images, without looking at the features.

    The second algorithm of Dayal and MacGregor (J. Chemometrics 11, 1997), in which every direction of the features is
    a weighted sum of images, ``X^T a``, and is known by its weights ``a`` (Rosipal and Trejo 2001). It finds what the
    iterations of NIPALS converge to, as in scikit-learn's ``PLSRegression``, for any number of features at the cost of
    one product of the kernel with the rates.

    Parameters
    ----------
    kernel : array of shape (n_images, n_images)
        Of centred features ``X``: ``X X^T``.
    rates : array of shape (n_images, n_neurons)
        Centred.
    n_components : int

    Returns
    -------
    coefficients : array of shape (n_images, n_neurons)
        Rates of other images are their inner products with these images, times the coefficients.
    """
    rotations, scores, loadings, targets = [], [], [], []
    # what of X^T Y is not yet explained, as weights of images, and their product with the kernel
    left, through = rates.copy(), kernel @ rates
    smallest = None
    for _ in range(min(n_components, len(kernel) - 1)):
        # the direction of the features that goes along with the rates most
        # numpy's decomposition: scipy's brings threads of its own, which get in the way of those of numpy's products
        lengths, vectors = np.linalg.eigh(left.T @ through)
        smallest = 1e-20 * lengths[-1] if smallest is None else smallest
        if not lengths[-1] > smallest:
            break
        weights, projected = (values @ vectors[:, -1] / np.sqrt(lengths[-1]) for values in (left, through))
        along = np.array(loadings).reshape(-1, len(kernel)) @ projected
        rotation = weights - along @ np.array(rotations).reshape(-1, len(kernel))
        score = projected - along @ np.array(scores).reshape(-1, len(kernel))
        variance = score @ score
        if not variance > 1e-14 * np.trace(kernel):
            break
        loading, target = score / variance, score @ rates / variance
        for kept, value in zip((rotations, scores, loadings, targets), (rotation, score, loading, target)):
            kept.append(value)
        left = left - variance * np.outer(loading, target)
        through = through - variance * np.outer(kernel @ loading, target)
    if not rotations:
        return np.zeros_like(rates)
    return np.array(rotations).T @ np.array(targets)
