"""Principal components of features, exact and without a features-sized matrix, and those of layers, stored.

There are far fewer images than features, so everything is computed from inner products between images: the Gram matrix
is summed over chunks of features, and its eigenvectors give the principal components.
"""

import numpy as np
import torch
from tqdm.auto import tqdm

from itneurons.features.backbones import IMAGENET, LAYERS
from itneurons.features.extraction import extract_each
from itneurons.features.kept import keep, layer_path
from itneurons.recordings.simulated.backbone import INPUT_SIZE
from itneurons.storage import disk_tensors, stored
from itneurons.storage.stored import fingerprint

# goes up when the code changes what a stored component means
_VERSION = 2


def linear_kernel(a, b=None, mean=None, chunk_size=8192, device="cpu"):
    """Inner products between images, ``K = (a - mean) (b - mean)^T``, summed over chunks of features.

    Parameters
    ----------
    a : array or tensor of shape (n_images_a, ...), or a list of them
        Features; trailing dimensions are flattened. A list stands for all its images, one after the other, without a
        copy of them. Half-precision features are centred in single precision, multiplied in their own, and summed in
        double precision.
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
    like = a[0] if isinstance(a, list) else a
    mean = None if mean is None else _flat(torch.as_tensor(mean).reshape(1, *like.shape[1:]), like)[0]
    a, b = [_flat(part, like) for part in (a if isinstance(a, list) else [a])], None if b is None else [_flat(b, like)]
    b = a if b is None else b
    if a[0].shape[1] != b[0].shape[1]:
        raise ValueError(f"a has {a[0].shape[1]} features and b has {b[0].shape[1]}; both need the same features")
    n_a, n_b = (sum(map(len, parts)) for parts in (a, b))

    def centred(parts, chunk):
        n_images, n_features = sum(map(len, parts)), parts[0][:, chunk].shape[1]
        result = torch.empty(n_images, n_features, dtype=parts[0].dtype, device=device)
        offset = None if mean is None else mean[chunk].to(device)
        for features, room in zip(parts, result.split([len(part) for part in parts])):
            # some images at a time, for the system takes in a mapped file by large pages
            for images, place in zip(features[:, chunk].split(256), room.split(256)):
                if offset is None:
                    place.copy_(images)
                else:
                    # into its own precision at once: no copy in single precision in between
                    torch.sub(images.to(device), offset, out=place)
                disk_tensors.release(features)
        return result

    kernel = torch.zeros(n_a, n_b, dtype=torch.float64, device=device)
    edges = np.linspace(0, n_b, 5).astype(int)
    for start in range(0, a[0].shape[1], chunk_size):
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
    # what the rounding of a mean in double precision leaves is no variance
    least = 1e-24 * float(len(train) * mean.double().square().sum())
    rounding = 1e-6 if train.dtype != torch.float64 else 1e-14
    vectors, lengths = _axes(gram, len(train) - 1, n_components, least, rounding)
    if few:
        scores = [(part.double() - mean).to(device) @ vectors for part in (train, *others)]
    else:
        scores = [vectors * lengths]
        if others:
            kernel = linear_kernel(others, train, mean=mean, device=device)
            scores += (kernel @ (vectors / lengths)).split([len(other) for other in others])
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
    eigenvalues, vectors = (part.double().flip(-1) for part in torch.linalg.eigh(gram))
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
    parts = extract_each(model, stimuli, missing, device)
    for layer in tqdm(missing, desc="principal components", unit="layer", leave=False):
        activations = [part.pop(layer) for part in parts]
        if layer in kept:
            keep(folder, backbone, layer, made_of, activations, device)
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


def _product(left, right):
    if left.device.type == "cpu" and left.dtype in (torch.float32, torch.float64):
        # numpy's BLAS is as fast as torch's on Intel processors and twice as fast on AMD's
        return torch.from_numpy(left.numpy() @ right.numpy().T)
    return left @ right.T


def _mean(features, n_images=64):
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for part in features.split(n_images):
        total += part.sum(dim=0, dtype=torch.float64)
        disk_tensors.release(features)
    return total / len(features)


def _flat(features, like):
    """Features (n_images, n_features), in the order in which ``like`` has them in memory, so that it is not copied."""
    features = torch.as_tensor(features)
    if torch.is_tensor(like) and like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        features = features.movedim(1, -1)
    return features.flatten(1)
