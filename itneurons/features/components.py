"""Principal components of features, exact and without a features-sized matrix, and those of layers, stored.

There are far fewer images than features, so everything is computed from inner products between images: the Gram matrix
is summed over chunks of features, and its eigenvectors give the principal components.
"""

import math

import numpy as np
import torch
from tqdm.auto import tqdm

from itneurons.features.backbones import IMAGENET, LAYERS
from itneurons.features.gram import centred_batches, feature_kernel, flat, linear_kernel, mean_of
from itneurons.features.kept import layer_path, load_or_extract
from itneurons.features.leading import MOST_EXACT, leading_eigenvectors
from itneurons.recordings.simulated.backbone import INPUT_SIZE
from itneurons.storage import stored
from itneurons.storage.stored import fingerprint

# goes up when the code changes what a stored component means
_VERSION = 2


def principal_components(train, *others, n_components=1000, device="cpu"):
    """Scores on the principal components of the training images, without a features-sized matrix.

    The eigenvectors ``U`` of the centred Gram matrix ``K = X X^T = U S^2 U^T`` are the left singular vectors of
    the features ``X``; the scores are ``U S`` for the training images and ``K_other U / S`` for others, centred on
    the training mean. Where there are fewer features than images, the eigenvectors ``V`` of ``X^T X`` give the same
    scores ``X V`` at less cost. They equal those of ``sklearn.decomposition.PCA`` up to the sign of a component.

    Parameters
    ----------
    train : array or tensor of shape (n_images, ...), or StimuliOnDisk
        Features of the training images, flattened per image.
    *others : array or tensor of shape (n_other_images, ...), or StimuliOnDisk
        Features of further images, projected on the same components.
    n_components : int or None
        At most this many; None for all. Components without variance are left out, so that there are never more
        than n_images - 1. Where images and features are more than ``leading.MOST_EXACT`` (4096), components are
        found in a Krylov space in place of a full decomposition, at most as many, and a line says what share of
        the variance they hold if all were asked for.
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
    train, others = flat(train, train), [flat(other, train) for other in others]
    n_features = math.prod(train.shape[1:])
    of_double = train.dtype == torch.float64
    # a mean in double precision: in single precision its rounding would itself look like a component
    mean = mean_of(train).to(torch.float64 if of_double else torch.float32)
    # of X X^T and X^T X the smaller one: both have the same eigenvalues
    few = n_features < len(train)
    # many sums take as much memory as there may be: in single precision they err no more than their products
    sums = torch.float64 if of_double or min(n_features, len(train)) <= MOST_EXACT else torch.float32
    if few:
        gram = feature_kernel(train, mean, device, sums)
    else:
        gram = linear_kernel(train, mean=mean, device=device, dtype=sums)
    if train.dtype in (torch.bfloat16, torch.float16):
        # rounding in the products outweighs that of a decomposition in single precision, which is three times as fast
        gram = gram.float()
    # what the rounding of a mean in double precision leaves is no variance
    least = 1e-24 * float(len(train) * mean.double().square().sum())
    rounding = 1e-14 if of_double else 1e-6
    vectors, lengths = _axes(gram, len(train) - 1, n_components, least, rounding)
    # its room goes to the products with other images
    del gram
    if few:
        scores = [
            torch.cat([batch @ vectors for batch in centred_batches(part, mean, vectors.dtype, device)])
            for part in (train, *others)
        ]
    else:
        scores = [vectors * lengths]
        for other in others:
            kernel = linear_kernel(other, train, mean, device=device, dtype=sums)
            scores.append(kernel.to(vectors.dtype) @ (vectors / lengths))
    return _signed(scores)


def components_of_kernel(kernel, sizes, n_components=1000, rounding=1e-6):
    """``principal_components`` from inner products between all images, for features that are not kept.

    Parameters
    ----------
    kernel : array of shape (n_images, n_images)
        Inner products of features, centred on the mean of the training images, which stand first.
    sizes : sequence of int
        Numbers of training images and of images in each further part.
    n_components : int or None
    rounding : float
        Components with less than this share of the largest variance are rounding.

    Returns
    -------
    components : tuple of arrays of shape (n_images, n_components), float32

    Raises
    ------
    ValueError
        If the features do not vary over the training images.
    """
    kernel, n_train = torch.as_tensor(kernel), sizes[0]
    vectors, lengths = _axes(kernel[:n_train, :n_train], n_train - 1, n_components, 0, rounding)
    scores = [vectors * lengths, *(kernel[n_train:, :n_train] @ (vectors / lengths)).split(list(sizes[1:]))]
    return _signed(scores)


def _axes(gram, most, n_components, least, rounding):
    """Eigenvectors of a Gram matrix and the roots of their eigenvalues, by falling variance, without rounding."""
    if len(gram) <= MOST_EXACT:
        eigenvalues, vectors = (part.double().flip(-1) for part in torch.linalg.eigh(gram))
    else:
        eigenvalues, vectors = leading_eigenvectors(gram, min(n_components or MOST_EXACT, MOST_EXACT))
        if n_components is None:
            share = float(eigenvalues.sum() / gram.diagonal().sum())
            print(f"Of {len(gram):,} components the leading {MOST_EXACT:,} are taken, {share:.2%} of the variance")
    if eigenvalues[0] <= least:
        raise ValueError("The features do not vary over the training images: there is no component to find")
    # what lies below the rounding of the products is no variance
    rank = int((eigenvalues > rounding * eigenvalues[0]).sum())
    n_kept = min(rank, most, n_components or rank)
    return vectors[:, :n_kept], eigenvalues[:n_kept].sqrt()


def _signed(scores):
    # a component's sign is arbitrary: the training image that is farthest out lies on the positive side
    signs = scores[0].gather(0, scores[0].abs().argmax(dim=0, keepdim=True)).sign()
    return tuple((score * signs).float().cpu().numpy() for score in scores)


def components_path(folder, backbone, layer):
    """Where ``store_components`` keeps a layer."""
    return layer_path(folder, backbone, layer)


def what_components_are_made_of(model, stimuli, n_components=1000):
    """All that the stored components of a network's layers depend on.

    Parameters
    ----------
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
        Training images first.
    n_components : int

    Returns
    -------
    made_of : dict of str to str or int
    """
    return {
        "stimuli": fingerprint(*stimuli) + _seen_otherwise(model),
        "weights": fingerprint(model),
        "n_components": n_components,
        "version": _VERSION,
    }


def _seen_otherwise(model):
    """How a network sees the stimuli, where that is not how every network saw them in older versions.

    Those showed all networks ImageNet's normalisation, at 224 pixels, or 112 for the simulated experiment's. What they
    stored is still taken, for nothing is said of it; what they showed wrongly is made anew. It stands with the stimuli
    and not beside them, so that what is stored with something said never fits where there is nothing to say.
    """
    size, *normalisation = (getattr(model, wish, None) for wish in ("input_size", "mean", "std"))
    size, normalisation = size or 224, normalisation if isinstance(normalisation[0], tuple) else IMAGENET
    renormalises = bool(getattr(model, "transform_input", False))
    usual = size in (224, INPUT_SIZE) and np.allclose(normalisation, IMAGENET, rtol=0, atol=1e-6) and not renormalises
    if usual:
        return ""
    mean, std = normalisation
    return f", at {size} pixels, mean {mean}, deviation {std}{', normalised again by the network' * renormalises}"


def store_components(folder, backbone, model, stimuli, made_of, layers=LAYERS, device="cpu", kept=()):
    """Make sure that the principal components of every layer are stored, and make those that are not.

    What is stored already and was made of the same stays; the rest is made anew, and a line says why.

    Parameters
    ----------
    folder : str or Path
        For example ``"Activations"``.
    backbone : str
        Name of the network, for the names of the files.
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
        Training images first: components are theirs, the others are projected.
    made_of : dict
        Of ``what_components_are_made_of(model, stimuli, n_components)``.
    layers : sequence of str
    device : str or torch.device
    kept : sequence of str
        Layers of which, where they are extracted, the activations are kept too, for ``load_or_extract``.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; layers finished before stay.
    """
    paths = {layer: components_path(folder, backbone, layer) for layer in layers}
    missing = [layer for layer, path in paths.items() if stored.load_if_it_fits(path, made_of) is None]
    if not missing:
        print(f"{folder} holds all {len(layers)} layers of {backbone} for these stimuli: nothing to extract")
        return
    parts = load_or_extract(folder, backbone, model, stimuli, made_of, missing, device, kept)
    for layer in tqdm(missing, desc="principal components", unit="layer", leave=False):
        activations = [part.pop(layer) for part in parts]
        scores = principal_components(*activations, n_components=made_of["n_components"], device=device)
        del activations
        stored.store(paths[layer], made_of, {f"part{index}": score for index, score in enumerate(scores)})
        print(f"{paths[layer]}: {scores[0].shape[1]} components")


def load_components(folder, backbone, layer, made_of):
    """Principal components of a layer that ``store_components`` stored.

    Returns
    -------
    components : tuple of arrays of shape (n_images, n_components), float32
        In the order of the stimuli that they were made of.

    Raises
    ------
    ValueError
        If nothing is stored, it was made of something else, or it is damaged; the message says which.
    """
    path = components_path(folder, backbone, layer)
    try:
        arrays = stored.load(path, made_of)
    except (FileNotFoundError, stored.UnusableError) as reason:
        raise ValueError(f"{path} cannot be used: {reason}. Run the extraction (section A) again") from reason
    return tuple(arrays[f"part{index}"] for index in range(len(arrays)))
