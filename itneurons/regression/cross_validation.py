"""Which training images are held out together."""

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold


def held_out_folds(n_images, categories=None, n_folds=5, seed=0):
    """The held-out images of each fold, shuffled by the seed, with the distribution of categories in each.

    Parameters
    ----------
    n_images : int
    categories : sequence of str, optional
        One for each image; one with fewer images than folds counts as the most frequent one.
    n_folds : int
    seed : int

    Returns
    -------
    held_out : list of int arrays

    Raises
    ------
    ValueError
        If there are fewer images than folds.
    """
    if n_images < n_folds:
        raise ValueError(f"{n_images} images cannot be divided into {n_folds} folds; give more images or fewer folds")
    splitter = KFold(n_folds, shuffle=True, random_state=seed)
    labels = np.zeros(n_images)
    if categories is not None:
        _, labels, counts = np.unique(np.asarray(categories), return_inverse=True, return_counts=True)
        labels = np.where(counts[labels] < n_folds, counts.argmax(), labels)
        if (labels != labels[0]).any():
            splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return [held_out for _, held_out in splitter.split(np.zeros(n_images), labels)]
