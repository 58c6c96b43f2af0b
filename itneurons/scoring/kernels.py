"""Inner products between images for every layer of a network, in bounded memory and disk.

Whatever is asked of a layer later (components, regression, similarity) needs nothing but inner products between images.
They are sums over features, so that a layer need not be kept whole: layers, or slices of a large one, are taken in
groups that fit on the disk, each group by a forward pass that stops after its last layer.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from sklearn.random_projection import SparseRandomProjection
from tqdm.auto import tqdm

from itneurons.device import has_bfloat16
from itneurons.evaluation.representation import distances_of
from itneurons.features.extraction import prepared, show_prepared
from itneurons.features.gram import linear_kernel, mean_of
from itneurons.scoring.layers import pooled
from itneurons.storage import disk_tensors

# activations of a group that take more go to the disk
_MEMORY = 2e9
_CHUNK = 8192


@dataclass
class LayerKernel:
    """What is kept of a layer.

    Attributes
    ----------
    centred : array of shape (n_images, n_images), float64
        Inner products of the features, centred on the mean over the training images.
    sums : array of shape (n_images,)
        Of each image's features.
    along : array of shape (n_images,)
        Inner products of each image's centred features with that mean.
    mean_square : float
        Squared length of that mean.
    n_features : int
    seconds : float
        For the forward passes, shared among the layers of a group, and the products.
    approximate : bool
        Whether it is of random projections.
    """

    centred: np.ndarray
    sums: np.ndarray
    along: np.ndarray
    n_features: int
    mean_square: float = 0.0
    seconds: float = 0.0
    approximate: bool = False

    def correlation_distances(self):
        """One minus the correlation over features between every two images (n_images, n_images)."""
        inner = self.centred + self.along[:, None] + self.along[None, :] + self.mean_square
        return distances_of(inner - np.outer(self.sums, self.sums) / self.n_features)


class Slice(NamedTuple):
    """Some of a layer's features, from ``first`` to before ``last``."""

    layer: str
    first: int
    last: int


def layer_kernels(
    model, stimuli, shapes, tokens="all", disk=20e9, n_projections=None, seed=0, device="cpu", bfloat16=None
):
    """Kernels of layers, one after the other as they are finished.

    Parameters
    ----------
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
        Training images first; an array may be empty.
    shapes : dict of str to tuple of int
        Of ``choose_layers``: what is scored of each layer, in the order in which an image meets them.
    tokens : {"all", "class", "mean"}
    disk : float
        Bytes that activations may take on the disk.
    n_projections : int, optional
        Approximate: of layers with more features so many sparse random projections (Li, Hastie and Church 2006) stand
        for them, which keep distances between images (Johnson and Lindenstrauss 1984) to about
        ``sqrt(2 / n_projections)``. One forward pass then serves all layers.
    seed : int
        Of the projections.
    device : str or torch.device
    bfloat16 : bool, optional
        As for ``extract_activations``.

    Yields
    ------
    layer : str
    kernel : LayerKernel or ValueError
        The error where the layer holds NaN or infinite values.

    Raises
    ------
    OSError
        If the disk is too full; the message counts all that a group needs.
    """
    n_images = sum(map(len, stimuli))
    bfloat16 = has_bfloat16(device) if bfloat16 is None else bfloat16
    n_features = {layer: int(np.prod(shape)) for layer, shape in shapes.items()}
    projections = {
        layer: _projection(n, n_projections, seed)
        for layer, n in n_features.items()
        if n_projections and n > n_projections
    }
    sizes = {layer: n_projections if layer in projections else n for layer, n in n_features.items()}
    room = max(1, int(disk / n_images / (2 if bfloat16 and not projections else 4)))
    found = {}
    network = prepared(model, bfloat16, device)
    groups = plan(sizes, room)
    bar = tqdm(groups, desc="groups of layers", unit="group", leave=False, disable=len(groups) == 1)
    for group in bar:
        layers = [piece.layer for piece in group]
        bar.set_postfix_str(f"{layers[0]} to {layers[-1]}")
        start = time.perf_counter()
        store = _Store(group, stimuli, tokens, projections)
        batch_size = _batch_size(n_features, layers)
        for part, offset in zip(stimuli, np.cumsum([0, *map(len, stimuli)])):
            if len(part):
                store.offset = offset
                show_prepared(network, part, layers, store.keep, batch_size, until=layers[-1])
        shared = (time.perf_counter() - start) / len(group)
        for layer, _, last in group:
            start = time.perf_counter()
            if not isinstance(found.get(layer), ValueError):
                kernel = found.setdefault(
                    layer,
                    LayerKernel(
                        np.zeros((n_images, n_images)),
                        np.zeros(n_images),
                        np.zeros(n_images),
                        n_features[layer],
                        approximate=layer in projections,
                    ),
                )
                try:
                    _add(kernel, store.features.pop(layer), len(stimuli[0]), device)
                    # exact even where the features are projected
                    kernel.sums = store.sums[layer]
                except ValueError as error:
                    found[layer] = error
                kernel.seconds += shared + time.perf_counter() - start
            if last == sizes[layer]:
                yield layer, found.pop(layer)


def plan(sizes, room):
    """Groups of features that fill the room, in the order of the layers; large layers are cut.

    Parameters
    ----------
    sizes : dict of str to int
        Features of each layer.
    room : int
        Features of a group.

    Returns
    -------
    groups : list of lists of Slice
    """
    groups, left = [[]], room
    for layer, size in sizes.items():
        first = 0
        while first < size:
            if not left:
                groups.append([])
                left = room
            last = min(size, first + left)
            groups[-1].append(Slice(layer, first, last))
            left -= last - first
            first = last
    return groups


class _Store:
    """Takes the features of a group's layers, for all images, as they are computed."""

    def __init__(self, group, stimuli, tokens, projections):
        self.group = {piece.layer: piece for piece in group}
        self.n_images, self.tokens, self.projections = sum(map(len, stimuli)), tokens, projections
        self.features, self.sums, self.offset = {}, {}, 0

    def keep(self, layer, images, output):
        place = slice(images.start + self.offset, images.stop + self.offset)
        output = pooled(output, self.tokens)
        _, first, last = self.group[layer]
        self.sums.setdefault(layer, np.zeros(self.n_images))[place] = output.sum(dim=1, dtype=torch.float64).cpu()
        if layer in self.projections:
            output = torch.from_numpy(self.projections[layer].transform(output.float().cpu().numpy()))
        if layer not in self.features:
            self._allocate(layer, last - first, output)
        self.features[layer][place].copy_(output[:, first:last])
        disk_tensors.release(self.features[layer])

    def _allocate(self, layer, width, output):
        n_features = sum(piece.last - piece.first for piece in self.group.values())
        needed = n_features * self.n_images * output.element_size()
        shape = self.n_images, width
        if needed <= _MEMORY:
            self.features[layer] = torch.empty(shape, dtype=output.dtype)
            return
        if not self.features:
            # of all layers of the group together
            disk_tensors.check_room(needed)
        self.features[layer] = disk_tensors.allocate(shape, output.dtype)


def _add(kernel, features, n_train, device):
    """Add the inner products of some of a layer's features."""
    mean = mean_of(features[:n_train])
    kernel.centred += linear_kernel(features, mean=mean.float(), device=device).cpu().numpy()
    kernel.mean_square += float(mean.square().sum())
    for start in range(0, features.shape[1], _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = features[:, chunk].float()
        kernel.along += ((part - mean[chunk].float()) @ mean[chunk].float()).double().numpy()
        disk_tensors.release(features)


def _batch_size(n_features, layers):
    """Few images at a time where their activations are many: a layer's output lies in memory beside what is kept."""
    return int(np.clip(3e7 // max(n_features[layer] for layer in layers), 2, 16))


def _projection(n_features, n_projections, seed):
    projection = SparseRandomProjection(n_projections, dense_output=True, random_state=seed)
    # it only wants to know how many features there are
    return projection.fit(np.broadcast_to(np.float32(0), (1, n_features)))
