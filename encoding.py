"""From features to firing rates: kernels, principal components and ridge regression.

One idea carries the module. There are far fewer images than features, so everything is computed from inner
products between images: the Gram matrix is summed over chunks of features, and its eigenvectors give the principal
components. In the same way one decomposition of the features gives the ridge solution for every penalty and,
exactly, its cross-validation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit

import mapped
from metrics import correlation


def linear_kernel(a, b=None, mean=None, chunk_size=8192, device="cpu"):
    """Inner products between images, ``K = (a - mean) (b - mean)^T``, summed over chunks of features.

    Parameters
    ----------
    a : array or tensor of shape (n_images_a, ...)
        Features; trailing dimensions are flattened. Half-precision features are centred in single precision,
        multiplied in their own, and summed in double precision.
    b : array or tensor of shape (n_images_b, ...), optional
        ``a`` when left out.
    mean : array or tensor of shape (...), optional
        Subtracted from both, feature by feature; usually the mean over the training images.
    chunk_size : int
        Features per chunk; working memory grows with it, not with the number of features.
    device : str or torch.device

    Returns
    -------
    kernel : tensor of shape (n_images_a, n_images_b), float64

    Raises
    ------
    ValueError
        If the numbers of features differ, or the result is not finite.
    """
    mean = None if mean is None else _flat(torch.as_tensor(mean).reshape(1, *a.shape[1:]), a)[0]
    a, b = _flat(a, a), None if b is None else _flat(b, a)
    b = a if b is None else b
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a has {a.shape[1]} features and b has {b.shape[1]}; both need the same features")

    def centred(features, chunk):
        part, offset = features[:, chunk], None if mean is None else mean[chunk].to(device)
        result = torch.empty(part.shape, dtype=part.dtype, device=device)
        # some images at a time, for the system takes in a mapped file by large pages
        for images, place in zip(part.split(256), result.split(256)):
            if offset is None:
                place.copy_(images)
            else:
                # into its own precision at once: no copy in single precision in between
                torch.sub(images.to(device), offset, out=place)
            mapped.release(features)
        return result

    kernel = torch.zeros(len(a), len(b), dtype=torch.float64, device=device)
    edges = np.linspace(0, len(b), 5).astype(int)
    for start in range(0, a.shape[1], chunk_size):
        chunk = slice(start, start + chunk_size)
        right = centred(b, chunk)
        if a is b:
            # of a symmetric matrix the lower triangle is enough, in blocks
            for top, bottom in zip(edges[:-1], edges[1:]):
                kernel[top:, top:bottom] += _product(right[top:], right[top:bottom])
        else:
            kernel += _product(centred(a, chunk), right)
    if a is b:
        kernel = kernel.tril() + kernel.tril(-1).T
    if not torch.isfinite(kernel).all():
        raise ValueError("The features hold NaN or infinite values")
    return kernel


def principal_components(train, *others, n_components=1000, device="cpu"):
    """Scores on the principal components of the training images, exact and without a features-sized matrix.

    The eigenvectors ``U`` of the centred Gram matrix ``K = X X^T = U S^2 U^T`` are the left singular vectors of
    the features ``X``; the scores are ``U S`` for the training images and ``K_other U / S`` for others, centred on
    the training mean. Where there are fewer features than images, the eigenvectors ``V`` of ``X^T X`` give the same
    scores ``X V`` at less cost. They equal those of ``sklearn.decomposition.PCA`` up to the sign of a component.

    Parameters
    ----------
    train : array or tensor of shape (n_images, ...)
        Features of the training images, flattened per image.
    *others : array or tensor of shape (n_other_images, ...)
        Features of further images, projected on the same components.
    n_components : int or None
        At most this many; None for all. Components without variance are left out, so that there are never more
        than n_images - 1.
    device : str or torch.device

    Returns
    -------
    components : tuple of arrays of shape (n_images, n_components), float32
        One for ``train`` and one for each of ``others``, by falling variance.

    Raises
    ------
    ValueError
        If the features are not finite, or do not vary over the training images.
    """
    train, others = _flat(train, train), [_flat(other, train) for other in others]
    # a mean in double precision: in single precision its rounding would itself look like a component
    mean = _mean(train).to(train.dtype if train.dtype == torch.float64 else torch.float32)
    # of X X^T and X^T X the smaller one: both have the same eigenvalues
    few = train.shape[1] < len(train)
    gram = linear_kernel((train.double() - mean).T if few else train, mean=None if few else mean, device=device)
    if train.dtype in (torch.bfloat16, torch.float16):
        # rounding in the products outweighs that of a decomposition in single precision, which is three times as fast
        gram = gram.float()
    eigenvalues, vectors = (part.double().flip(-1) for part in torch.linalg.eigh(gram))
    # what the rounding of a mean in double precision leaves is no variance
    if eigenvalues[0] <= 1e-24 * len(train) * mean.double().square().sum():
        raise ValueError("The features do not vary over the training images: there is no component to find")
    # what lies below the rounding of the products is no variance
    rounding = 1e-6 if train.dtype != torch.float64 else 1e-14
    rank = int((eigenvalues > rounding * eigenvalues[0]).sum())
    n_kept = min(rank, len(train) - 1, n_components or rank)
    vectors, lengths = vectors[:, :n_kept], eigenvalues[:n_kept].sqrt()
    if few:
        scores = [(part.double() - mean).to(device) @ vectors for part in (train, *others)]
    else:
        scores = [vectors * lengths]
        if others:
            kernel = linear_kernel(torch.cat(others), train, mean=mean, device=device)
            scores += (kernel @ (vectors / lengths)).split([len(other) for other in others])
    # a component's sign is arbitrary: the training image that is farthest out lies on the positive side
    signs = scores[0].gather(0, scores[0].abs().argmax(dim=0, keepdim=True)).sign()
    return tuple((score * signs).float().cpu().numpy() for score in scores)


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression, one penalty a neuron.

    Attributes
    ----------
    weights : array of shape (n_features, n_neurons)
    intercept : array of shape (n_neurons,)
    alphas : array of shape (n_alphas,)
        The penalties that were tried.
    best : array of shape (n_neurons,), int
        Index into ``alphas`` of the penalty that was chosen for each neuron.
    cv_scores : array of shape (n_alphas, n_neurons) or None
        Explained fraction ``1 - sum(residual^2) / sum((rate - mean)^2)`` of the held-out folds together; None
        where only one penalty was given.
    cv_predictions : array of shape (n_images, n_neurons) or None
        What the chosen penalty predicts for each training image while its fold is held out.
    """

    weights: np.ndarray
    intercept: np.ndarray
    alphas: np.ndarray
    best: np.ndarray
    cv_scores: np.ndarray | None
    cv_predictions: np.ndarray | None

    def predict(self, features):
        """Firing rates (n_images, n_neurons) for features (n_images, n_features)."""
        return np.asarray(features, dtype=np.float64) @ self.weights + self.intercept


def penalties(features, n_alphas=21):
    """Penalties worth trying: ``n_alphas`` of them, evenly spaced in logarithm, in units of the features' scale.

    They reach from 10^-6 to 10 times the summed variance of the features over the training images, so that one
    choice serves pixels and every layer.

    Parameters
    ----------
    features : array of shape (n_images, n_features)
    n_alphas : int

    Returns
    -------
    alphas : array of shape (n_alphas,)
    """
    return total_variance(features) * np.logspace(-6, 1, n_alphas)


def total_variance(features):
    """Squared distance of the images from their mean, summed over images and features."""
    features = np.asarray(features, dtype=np.float64)
    return np.square(features - features.mean(axis=0)).sum()


def fit_ridge(features, rates, categories=None, alphas=None, n_folds=5, seed=0, device="cpu"):
    """Ridge regression with an intercept, ``argmin_w |rates - features w|^2 + alpha |w|^2``, for all neurons at once.

    The penalty of each neuron is chosen by cross-validation that keeps the distribution of categories in every
    fold. No fold is fitted: with ``H`` the matrix that maps measured to fitted rates, leaving out the images ``F``
    leaves the residuals ``(I - H_FF)^-1 (rates - H rates)_F`` on them, exactly (for one image this is the formula
    of Allen's PRESS, 1974), and ``H`` for every penalty comes from one decomposition of the features.

    Parameters
    ----------
    features : array of shape (n_images, n_features)
    rates : array of shape (n_images, n_neurons)
    categories : sequence of str, optional
        One for each image. Left out, or without two different ones, folds are plain.
    alphas : float or sequence of float, optional
        ``penalties(features)`` when left out. A single one is used as it is, without cross-validation; 0 gives
        least squares, by the shortest weights where they are not unique.
    n_folds : int
    seed : int
        Draws the folds.
    device : str or torch.device

    Returns
    -------
    ridge : Ridge

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or a penalty is negative or (among several) zero.
    """
    alphas = np.atleast_1d(np.asarray(penalties(features) if alphas is None else alphas, dtype=np.float64))
    _check(features, rates, alphas)
    x = torch.as_tensor(np.asarray(features), dtype=torch.float64, device=device)
    y = torch.as_tensor(np.asarray(rates), dtype=torch.float64, device=device)
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    x, y = x - x_mean, y - y_mean
    # the rounding of its mean must not make a constant neuron look as if it varied
    y[:, (y == y[:1]).all(dim=0)] = 0

    left, lengths, right = _decompose(x)
    projected = left.T @ y
    if len(alphas) == 1:
        best = torch.zeros(y.shape[1], dtype=torch.long, device=device)
        cv_scores = cv_predictions = None
    else:
        residuals = _held_out_residuals(left, lengths, projected, y, alphas, folds(len(x), categories, n_folds, seed))
        errors = (residuals**2).sum(dim=1)
        best = errors.argmin(dim=0)
        total = (y**2).sum(dim=0)
        cv_scores = torch.where(total > 0, 1 - errors / total, torch.nan).cpu().numpy()
        chosen = residuals.gather(0, best.expand(1, len(y), -1))[0]
        cv_predictions = (y + y_mean - chosen).cpu().numpy()
    chosen_alphas = torch.as_tensor(alphas, device=device)[best]
    shrunk = lengths[:, None] / (lengths[:, None] ** 2 + chosen_alphas)
    weights = right @ (shrunk * projected)
    return Ridge(
        weights=weights.cpu().numpy(),
        intercept=(y_mean - x_mean @ weights).cpu().numpy(),
        alphas=alphas,
        best=best.cpu().numpy(),
        cv_scores=cv_scores,
        cv_predictions=cv_predictions,
    )


def folds(n_images, categories=None, n_folds=5, seed=0):
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
    _check(features, rates, np.ones(1))
    # the benchmark's own splits: its seed is 1
    splits = StratifiedShuffleSplit(n_splits=n_splits, train_size=0.9, random_state=1)
    medians = []
    for train, test in splits.split(features, objects):
        model = PLSRegression(n_components=n_components, scale=False).fit(features[train], rates[train])
        medians.append(np.nanmedian(correlation(rates[test], model.predict(features[test]))))
    r = float(np.mean(medians))
    return r**2 / float(np.nanmedian(ceiling)), r


def _check(features, rates, alphas):
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
    if (alphas < 0).any() or (len(alphas) > 1 and (alphas == 0).any()):
        raise ValueError(f"penalties must be positive (0 is allowed alone, as least squares), got {alphas.tolist()}")


def _decompose(x):
    """Thin singular value decomposition of centred features, by the smaller of the two Gram matrices."""
    wide = x.shape[1] > x.shape[0]
    eigenvalues, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = eigenvalues > eigenvalues.max() * 1e-13
    lengths, vectors = eigenvalues[kept].sqrt(), vectors[:, kept]
    others = (x.T if wide else x) @ vectors / lengths
    return (vectors, lengths, others) if wide else (others, lengths, vectors)


def _held_out_residuals(left, lengths, projected, y, alphas, held_out):
    """Residuals (n_alphas, n_images, n_neurons) of each image while its fold is left out."""
    n_images = len(y)
    residuals = torch.empty(len(alphas), *y.shape, dtype=y.dtype, device=y.device)
    for index, alpha in enumerate(alphas):
        shrinkage = lengths**2 / (lengths**2 + alpha)
        scaled = left * shrinkage
        in_sample = y - scaled @ projected
        for fold in held_out:
            fold = torch.as_tensor(fold, device=y.device)
            # the intercept is fitted too: it adds 1 / n_images to every entry of the hat matrix
            hat = scaled[fold] @ left[fold].T + 1 / n_images
            identity = torch.eye(len(fold), dtype=y.dtype, device=y.device)
            residuals[index, fold] = torch.linalg.solve(identity - hat, in_sample[fold])
    return residuals


def _product(left, right):
    if left.device.type == "cpu" and left.dtype in (torch.float32, torch.float64):
        # numpy's BLAS is as fast as torch's on Intel processors and twice as fast on AMD's
        return torch.from_numpy(left.numpy() @ right.numpy().T)
    return left @ right.T


def _mean(features, n_images=64):
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for part in features.split(n_images):
        total += part.sum(dim=0, dtype=torch.float64)
        mapped.release(features)
    return total / len(features)


def _flat(features, like):
    """Features (n_images, n_features), in the order in which ``like`` has them in memory, so that it is not copied."""
    features = torch.as_tensor(features)
    if torch.is_tensor(like) and like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        features = features.movedim(1, -1)
    return features.flatten(1)
