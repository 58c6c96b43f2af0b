"""Inner products between images, and between features, in chunks: no copy of all features, one matrix at a time.

Features may be an array, a tensor in memory or in a file, or stimuli on the disk, which come image by image.
"""

import math
from itertools import pairwise

import numpy as np
import torch

from itneurons.storage import disk_tensors

# images of which all features are taken at once, where features come image by image
_ROWS, _COLUMNS = 2048, 256
# columns of a product that is added to a matrix: what it takes beside it
_BLOCK = 2048


def linear_kernel(a, b=None, mean=None, chunk_size=8192, device="cpu", dtype=torch.float64):
    """Inner products between images, ``K = (a - mean) (b - mean)^T``, summed over chunks of features.

    Parameters
    ----------
    a : array or tensor of shape (n_images_a, ...), or StimuliOnDisk
        Features; trailing dimensions are flattened. Features in bfloat16 are centred in single precision, multiplied in
        their own, and summed in the precision of the kernel; those in float16, whose products may pass its largest
        number, are multiplied in single precision.
    b : array or tensor of shape (n_images_b, ...), or StimuliOnDisk, optional
        ``a`` when left out.
    mean : array or tensor of shape (...), optional
        Subtracted from both, feature by feature; usually the mean over the training images.
    chunk_size : int
        Features per chunk; working memory grows with it, not with the number of features.
    device : str or torch.device
    dtype : torch.dtype
        Of the kernel.

    Returns
    -------
    kernel : tensor of shape (n_images_a, n_images_b)

    Raises
    ------
    ValueError
        If the numbers of features differ, or the result is not finite.
    """
    if mean is not None:
        mean = flat(torch.as_tensor(mean).reshape(1, *a.shape[1:]), a)[0]
    a, b = flat(a, a), None if b is None else flat(b, a)
    n_features = [math.prod(part.shape[1:]) for part in (a, a if b is None else b)]
    if n_features[0] != n_features[1]:
        raise ValueError(f"a has {n_features[0]} features and b has {n_features[1]}; both need the same features")
    kernel = torch.zeros(len(a), len(a if b is None else b), dtype=dtype, device=device)
    if any(map(on_disk, (a, b))):
        _add_by_images(kernel, a, b, mean)
    else:
        for start in range(0, n_features[0], chunk_size):
            chunk = slice(start, start + chunk_size)
            right = centred(a if b is None else b, chunk, mean, device)
            add_product(kernel, right if b is None else centred(a, chunk, mean, device), right, b is None)
    return finished(kernel, b is None)


def feature_kernel(features, mean, device="cpu", dtype=torch.float64):
    """Inner products between features over images, ``(features - mean)^T (features - mean)``.

    Parameters
    ----------
    features : tensor of shape (n_images, n_features), or StimuliOnDisk
    mean : tensor of shape (n_features,)
    device : str or torch.device
    dtype : torch.dtype
        Of the products, and of the result.

    Returns
    -------
    kernel : tensor of shape (n_features, n_features)

    Raises
    ------
    ValueError
        If the result is not finite.
    """
    kernel = torch.zeros(len(mean), len(mean), dtype=dtype, device=device)
    for part in centred_batches(features, mean, dtype, device):
        add_product(kernel, part.T, part.T, symmetric=True)
    return finished(kernel, symmetric=True)


def on_disk(features):
    """Whether these come image by image, in ``batches``."""
    return hasattr(features, "batches")


def batches(features, n_images):
    """Features of some images at a time (at most n_images, n_features), as tensors in their own precision."""
    if on_disk(features):
        for part in features.batches(n_images):
            yield torch.from_numpy(part).flatten(1)
    else:
        for part in features.split(n_images):
            yield part
            disk_tensors.release(features)


def centred_batches(features, mean, dtype, device="cpu", n_images=1024):
    """Features of some images at a time, less their mean."""
    for part in batches(features, n_images):
        yield (part.to(dtype) - mean.to(part.device)).to(device=device, dtype=dtype)


def mean_of(features):
    """Mean over images (n_features,), summed in double precision."""
    total = torch.zeros(math.prod(features.shape[1:]), dtype=torch.float64, device=getattr(features, "device", "cpu"))
    for part in batches(features, 64):
        total += part.sum(dim=0, dtype=torch.float64)
    return total / len(features)


def flat(features, like):
    """Features (n_images, n_features), in the order in which ``like`` has them in memory, so that it is not copied."""
    if on_disk(features):
        return features
    features = torch.as_tensor(features)
    if torch.is_tensor(like) and like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        features = features.movedim(1, -1)
    return features.flatten(1)


def centred(features, chunk, mean, device, out=None):
    """Some features less their mean (n_images, n_features of the chunk), written to ``out`` if that fits."""
    part, offset = features[:, chunk], None if mean is None else mean[chunk].to(device)
    dtype = torch.float32 if part.dtype == torch.float16 else part.dtype
    fits = out is not None and (out.shape, out.dtype) == (part.shape, dtype)
    result = out if fits else torch.empty(part.shape, dtype=dtype, device=device)
    # some images at a time, for the system takes in a mapped file by large pages
    for images, place in zip(part.split(256), result.split(256)):
        if offset is None:
            place.copy_(images)
        else:
            # into its own precision at once: no copy in single precision in between
            torch.sub(images.to(device), offset, out=place)
        disk_tensors.release(features)
    return result


def _add_by_images(kernel, a, b, mean):
    """Some images of ``a``, with all their features, meet those of ``b``, a few at a time."""

    def rows_of(features, n_images):
        first = 0
        for part in batches(features, n_images):
            part = part.to(kernel.device)
            if mean is not None:
                # what comes from the disk is nobody else's
                part = part.sub_(mean.to(part)) if on_disk(features) else part - mean.to(part)
            yield slice(first, first + len(part)), part
            first += len(part)

    for rows, left in rows_of(a, _ROWS):
        for columns, right in rows_of(a if b is None else b, _COLUMNS):
            if b is None and columns.start >= rows.stop:
                break
            kernel[rows, columns] = product(left, right).to(kernel.dtype)


def add_product(kernel, left, right, symmetric):
    """Add ``left right^T``; of a symmetric matrix the lower triangle is enough, in blocks."""
    for first, last in _blocks(kernel.shape[1]):
        top = first if symmetric else 0
        kernel[top:, first:last] += product(left[top:], right[first:last])


def finished(kernel, symmetric):
    """The kernel with its upper triangle, in its own place, if it is finite."""
    if symmetric:
        for first, last in _blocks(len(kernel)):
            kernel[first:last, last:] = kernel[last:, first:last].T
            diagonal = kernel[first:last, first:last]
            diagonal.copy_(diagonal.tril() + diagonal.tril(-1).T)
    if not all(torch.isfinite(part).all() for part in kernel.split(_BLOCK)):
        raise ValueError("The features hold NaN or infinite values")
    return kernel


def _blocks(size):
    return pairwise(np.linspace(0, size, max(4, math.ceil(size / _BLOCK)) + 1).astype(int).tolist())


def product(left, right):
    if left.device.type == "cpu" and left.dtype in (torch.float32, torch.float64):
        # numpy's BLAS is as fast as torch's on Intel processors and twice as fast on AMD's
        return torch.from_numpy(left.numpy() @ right.numpy().T)
    return left @ right.T
