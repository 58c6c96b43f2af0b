"""Do two populations find the same images alike? Linear CKA and the correlation of dissimilarity matrices.

Both need nothing but inner products between images, so that a layer of millions of features costs no more than its
kernel.
"""

import numpy as np
from scipy.stats import rankdata

from itneurons.evaluation.metrics import Interval


def linear_cka(a, b):
    """Linear centred kernel alignment of two populations (Kornblith et al. 2019), with its 95 % interval over images.

    ``HSIC(A, B) / sqrt(HSIC(A, A) HSIC(B, B))`` with ``HSIC(A, B)`` the sum of products of the entries of both kernels,
    centred. It is 1 for populations that differ by a rotation and a scale.

    Parameters
    ----------
    a, b : array of shape (n_images, n_images)
        Inner products between images, centred or not.

    Returns
    -------
    cka : Interval
        Two standard errors of the jackknife over images to either side.

    Raises
    ------
    ValueError
        If the shapes differ, or a population does not vary.
    """
    _check(a, b)
    a, b = _centred(a), _centred(b)
    value = _alignment(a, b)
    without = []
    for image in range(len(a)):
        kept = np.arange(len(a)) != image
        # what is centred on all images hardly has to be centred again without one
        without.append(_alignment(*(_without(matrix, image, kept) for matrix in (a, b))))
    return _interval(value, np.array(without))


def dissimilarity_correlation(a, b):
    """Spearman correlation of two matrices of dissimilarities, over pairs of different images.

    Representational similarity analysis (Kriegeskorte, Mur and Bandettini 2008); equal to rsatoolbox's
    ``compare(..., method="spearman")``.

    Parameters
    ----------
    a, b : array of shape (n_images, n_images)
        Dissimilarities, symmetric; see ``correlation_distances``.

    Returns
    -------
    correlation : Interval
        Two standard errors of the jackknife over images to either side; ranks stay as they are over all images.

    Raises
    ------
    ValueError
        If the shapes differ, or all dissimilarities of a population are the same.
    """
    _check(a, b)
    n_images = len(a)
    pairs = np.triu_indices(n_images, k=1)
    ranks = []
    for matrix in (a, b):
        rank = np.zeros((n_images, n_images))
        rank[pairs] = rankdata(matrix[pairs])
        ranks.append(rank + rank.T)
    n_pairs = n_images * (n_images - 1) / 2
    sums = np.array([[x.sum() / 2, (x * y).sum() / 2] for x, y in ((ranks[0], ranks[0]), (ranks[1], ranks[1]))])
    across = (ranks[0] * ranks[1]).sum() / 2

    def correlation(first, second, cross, n):
        spread = [squares - total**2 / n for total, squares in (first, second)]
        return (cross - first[0] * second[0] / n) / np.sqrt(spread[0] * spread[1])

    if min(squares - total**2 / n_pairs for total, squares in sums) <= 0:
        raise ValueError("All dissimilarities are the same: there is nothing to correlate")
    value = correlation(*sums, across, n_pairs)
    # an image takes its row of pairs with it
    rows = [np.array([rank.sum(axis=0), (rank**2).sum(axis=0)]) for rank in ranks]
    rows_across = (ranks[0] * ranks[1]).sum(axis=0)
    first, second = (total[:, None] - row for total, row in zip(sums, rows))
    return _interval(value, correlation(first, second, across - rows_across, n_pairs - n_images + 1))


def correlation_distances(patterns):
    """One minus Pearson's correlation over features between every two images.

    Parameters
    ----------
    patterns : array of shape (n_images, n_features)

    Returns
    -------
    distances : array of shape (n_images, n_images)
        Equal to rsatoolbox's ``calc_rdm(..., method="correlation")``; 1 where a pattern does not vary.
    """
    patterns = np.asarray(patterns, dtype=np.float64)
    patterns = patterns - patterns.mean(axis=1, keepdims=True)
    return distances_of(patterns @ patterns.T)


def distances_of(covariances):
    """``correlation_distances`` from covariances of patterns, up to a common factor."""
    spread = np.sqrt(np.clip(np.diag(covariances), 0, None))
    spread = np.where(spread > 0, spread, np.inf)
    distances = 1 - covariances / np.outer(spread, spread)
    np.fill_diagonal(distances, 0)
    return distances


def _check(a, b):
    if np.shape(a) != np.shape(b) or np.ndim(a) != 2 or np.shape(a)[0] != np.shape(a)[1] or len(a) < 3:
        raise ValueError(
            f"the matrices have the shapes {np.shape(a)} and {np.shape(b)}; both must be (n_images, n_images) of the "
            "same images, three at least"
        )


def _centred(kernel):
    kernel = np.asarray(kernel, dtype=np.float64)
    kernel = kernel - kernel.mean(axis=0)
    return kernel - kernel.mean(axis=1, keepdims=True)


def _without(centred, image, kept):
    """A centred kernel without an image, centred again: a correction of rank two of what is left."""
    row = centred[image, kept]
    n_left = len(row)
    # the sums over the images left are those over all, zero, less the image's own
    return centred[np.ix_(kept, kept)] + (row[:, None] + row[None, :]) / n_left + centred[image, image] / n_left**2


def _alignment(a, b):
    size = np.sqrt((a * a).sum() * (b * b).sum())
    if not size > 0:
        raise ValueError("One of the populations does not vary over the images")
    return (a * b).sum() / size


def _interval(value, without):
    error = np.sqrt((len(without) - 1) * np.mean((without - without.mean()) ** 2))
    return Interval(float(value), float(value - 1.96 * error), float(value + 1.96 * error))
