"""Inner products between images for every layer of a network, in bounded memory and disk.

Whatever is asked of a layer later (components, regression, similarity) needs nothing but inner products between images.
They are sums over features, so that a layer need not be kept whole: layers, or slices of a large one, are taken in
groups that fit on the disk, each group by a forward pass that stops after its last layer. A layer that is a function,
value by value, of another one takes no room: its features are made from those of the other as they are read.
"""

import copy
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
from itneurons.features.gram import add_product, centred, finished, mean_of
from itneurons.features.stages import elementwise_layers
from itneurons.scoring.layers import pooled
from itneurons.storage import disk_tensors

# activations of a group that take more go to the disk
_MEMORY = 2**28


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
    network = prepared(model, bfloat16, device)
    # projections of the one are not a function of those of the other, nor a mean over tokens of the other's mean
    sources = elementwise_layers(model, list(shapes)) if tokens == "all" and not projections else {}
    made = {source: [layer for layer in shapes if sources.get(layer) == source] for source in shapes}
    sums = {}
    groups = plan({layer: size for layer, size in sizes.items() if layer not in sources}, room)
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
        shared = (time.perf_counter() - start) / sum(1 + len(made[layer]) for layer in layers)
        for layer, _, last in group:
            start = time.perf_counter()
            together = [layer, *made[layer]]
            for name in together:
                function = _out_of_place(model.get_submodule(name)) if name != layer else None
                sums.setdefault(name, _Sums(n_images, device, function))
            for features in store.features.pop(layer):
                for name in together:
                    sums[name].add(features, len(stimuli[0]))
            taken = (time.perf_counter() - start) / len(together)
            for name in together:
                sums[name].seconds += shared + taken
                if last == sizes[layer]:
                    # of projections too the sums are exact
                    yield name, sums.pop(name).kernel(n_features[name], store.exact.get(name))


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
        # of layers that are projected: the sums over their features themselves
        self.features, self.exact, self.offset = {}, {}, 0

    def keep(self, layer, images, output):
        first_image = images.start + self.offset
        output = pooled(output, self.tokens)
        _, first, last = self.group[layer]
        if layer in self.projections:
            sums = self.exact.setdefault(layer, np.zeros(self.n_images))
            sums[first_image : first_image + len(output)] = output.sum(dim=1, dtype=torch.float64).cpu()
            output = torch.from_numpy(self.projections[layer].transform(output.float().cpu().numpy()))
        if layer not in self.features:
            self._allocate(layer, last - first, output)
        self.features[layer].write(first_image, output[:, first:last])

    def _allocate(self, layer, width, output):
        n_features = sum(piece.last - piece.first for piece in self.group.values())
        needed = n_features * self.n_images * output.element_size()
        in_memory = needed <= _MEMORY
        if not self.features and not in_memory:
            # of all layers of the group together
            disk_tensors.check_room(needed)
        self.features[layer] = disk_tensors.Columns((self.n_images, width), output.dtype, in_memory)


class _Sums:
    """What is summed over a layer's features, some of them at a time."""

    def __init__(self, n_images, device, function=None):
        self.inner = torch.zeros(n_images, n_images, dtype=torch.float64, device=device)
        self.features, self.along = torch.zeros(2, n_images, dtype=torch.float64)
        self.mean_square, self.seconds = 0.0, 0.0
        self.function, self.room = function, None

    def add(self, features, n_train):
        if self.function is not None:
            features = self.function(features)
        mean = mean_of(features[:n_train])
        self.mean_square += float(mean.square().sum())
        mean = mean.float()
        # few images at a time, so that their copies in single precision stay in the processor's cache
        for part, place, along in zip(*(whole.split(64) for whole in (features, self.features, self.along))):
            part = part.float()
            place += part.sum(dim=1)
            along += (part - mean) @ mean
        self.room = centred(features, slice(None), mean, self.inner.device, out=self.room)
        add_product(self.inner, self.room, self.room, symmetric=True)

    def kernel(self, n_features, exact_sums=None):
        """The sums as a ``LayerKernel``, or the error if they are not finite."""
        try:
            inner = finished(self.inner, symmetric=True).cpu().numpy()
        except ValueError as error:
            return error
        sums = self.features.numpy() if exact_sums is None else exact_sums
        return LayerKernel(
            inner, sums, self.along.numpy(), n_features, self.mean_square, self.seconds, exact_sums is not None
        )


def _out_of_place(module):
    module = copy.copy(module)
    if getattr(module, "inplace", False):
        module.inplace = False
    return module


def _batch_size(n_features, layers):
    """Few images at a time where their activations are many: a layer's output lies in memory beside what is kept."""
    return int(np.clip(3e7 // max(n_features[layer] for layer in layers), 2, 16))


def _projection(n_features, n_projections, seed):
    projection = SparseRandomProjection(n_projections, dense_output=True, random_state=seed)
    # it only wants to know how many features there are
    return projection.fit(np.broadcast_to(np.float32(0), (1, n_features)))
