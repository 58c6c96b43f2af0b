"""The score of a layer on the scale of the public Brain-Score leaderboard."""

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import StratifiedShuffleSplit

from itneurons.evaluation.metrics import check_features, correlation


def brainscore_pls(features, rates, objects, ceiling, n_components=25, n_splits=10):
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
    features, rates, objects = np.asarray(features), np.asarray(rates), np.asarray(objects)
    check_features(features, rates)
    # the benchmark's own splits: its seed is 1
    splits = StratifiedShuffleSplit(n_splits=n_splits, train_size=0.9, random_state=1)
    medians = []
    for train, test in splits.split(features, objects):
        model = PLSRegression(n_components=n_components, scale=False).fit(features[train], rates[train])
        medians.append(np.nanmedian(correlation(rates[test], model.predict(features[test]))))
    r = float(np.mean(medians))
    return r**2 / float(np.nanmedian(ceiling)), r
