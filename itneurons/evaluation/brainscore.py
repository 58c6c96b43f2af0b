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
    r = float(np.mean(pls_correlations(features, rates, objects, n_components, n_splits, order)))
    return r**2 / float(np.nanmedian(ceiling)), r


def pls_correlations(features, rates, objects, n_components=25, n_splits=10, order=None):
    """The correlation of each split of ``brainscore_pls``, median over neurons.

    Returns
    -------
    correlations : array of shape (n_splits,)
    """
    features, rates, objects = (np.asarray(values) for values in (features, rates, objects))
    check_features(features, rates)
    if order is not None:
        features, rates, objects = features[order], rates[order], objects[order]
    x, y = (np.asarray(values - values.mean(axis=0), dtype=np.float64) for values in (features, rates))
    if x.shape[1] > len(x):
        # partial least squares does not mind a rotation: to as many axes as there are images
        lengths, vectors = np.linalg.eigh(x @ x.T)
        x = vectors * np.sqrt(np.clip(lengths, 0, None))
    squares, products = x.T @ x, x.T @ y
    # the benchmark's own splits: its seed is 1
    splits = StratifiedShuffleSplit(n_splits=n_splits, train_size=0.9, random_state=1)
    medians = []
    for train, test in splits.split(x, objects):
        # of the images to be fitted: all but those held out, brought to their own mean
        n_train, x_test = len(train), x[test]
        x_mean, y_mean = x[train].mean(axis=0), y[train].mean(axis=0)
        coefficients = _pls(
            squares - x_test.T @ x_test - n_train * np.outer(x_mean, x_mean),
            products - x_test.T @ y[test] - n_train * np.outer(x_mean, y_mean),
            n_components,
        )
        medians.append(np.nanmedian(correlation(rates[test], (x_test - x_mean) @ coefficients + y_mean)))
    return np.array(medians)


def _pls(squares, products, n_components):
    """Coefficients of partial least squares from ``X^T X`` and ``X^T Y``, without looking at the images again.

    The second algorithm of Dayal and MacGregor (J. Chemometrics 11, 1997). It finds what the iterations of NIPALS
    converge to, as in scikit-learn's ``PLSRegression``, in a hundredth of the time where images are many.

    Parameters
    ----------
    squares : array of shape (n_features, n_features)
    products : array of shape (n_features, n_neurons)
    n_components : int

    Returns
    -------
    coefficients : array of shape (n_features, n_neurons)
    """
    rotations, loadings, targets = [], [], []
    left, smallest = products.copy(), 1e-20 * np.square(products).sum()
    for _ in range(min(n_components, len(squares))):
        # the direction of the features that goes along with the rates most
        few = left.shape[1] < left.shape[0]
        lengths, vectors = np.linalg.eigh(left.T @ left if few else left @ left.T)
        if lengths[-1] <= smallest:
            break
        weights = left @ vectors[:, -1] if few else vectors[:, -1]
        rotation = weights = weights / np.linalg.norm(weights)
        for loading, earlier in zip(loadings, rotations):
            rotation = rotation - (loading @ weights) * earlier
        along = squares @ rotation
        variance = rotation @ along
        if variance <= 1e-14 * np.trace(squares):
            break
        rotations.append(rotation)
        loadings.append(along / variance)
        targets.append(rotation @ left / variance)
        left = left - variance * np.outer(loadings[-1], targets[-1])
    return np.array(rotations).T @ np.array(targets) if rotations else np.zeros_like(products)
