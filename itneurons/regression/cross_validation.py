"""Which training images are held out together."""

import numpy as np
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold


def held_out_folds(n_images, categories=None, n_folds=5, seed=0, groups=None):
    """The held-out images of each fold, shuffled by the seed, with the distribution of categories in each.

    Parameters
    ----------
    n_images : int
    categories : sequence of str, optional
        One for each image; one with fewer images than folds counts as the most frequent one.
    n_folds : int
    seed : int
    groups : sequence of str, optional
        One for each image, as ``fold_groups`` gives them: images of one group are held out together.

    Returns
    -------
    held_out : list of int arrays

    Raises
    ------
    ValueError
        If there are fewer images, or groups, than folds.
    """
    n_apart, what = (n_images, "images") if groups is None else (len(set(groups)), "groups of images")
    if n_apart < n_folds:
        raise ValueError(f"{n_apart} {what} cannot be divided into {n_folds} folds; give more {what} or fewer folds")
    splitter = KFold
    labels = np.zeros(n_images)
    if categories is not None:
        _, labels, counts = np.unique(np.asarray(categories), return_inverse=True, return_counts=True)
        labels = np.where(counts[labels] < n_folds, counts.argmax(), labels)
        if (labels != labels[0]).any():
            splitter = StratifiedKFold
    if groups is not None:
        splitter = StratifiedGroupKFold
    splits = splitter(n_folds, shuffle=True, random_state=seed).split(np.zeros(n_images), labels, groups)
    return [held_out for _, held_out in splits]


def fold_groups(objects_train, objects_val):
    """What folds hold out together, so that they are to training as validation is.

    Parameters
    ----------
    objects_train, objects_val : sequence of str
        Object name of each image.

    Returns
    -------
    groups : sequence of str or None
        The objects of the training images, with a line that says so, where validation shows none of them: a penalty
        must then be chosen by how well it carries over to other objects. None where validation shows objects that
        training shows too.
    """
    if not set(objects_train).isdisjoint(objects_val):
        return None
    print("Validation shows none of the objects of training, so folds hold out whole objects too.")
    return objects_train
