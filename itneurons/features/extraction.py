"""What a network makes of the stimuli: the activations of several layers from one forward pass."""

import copy
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate
from torch.nn.utils import fuse_conv_bn_eval
from tqdm.auto import tqdm

from itneurons.device import has_bfloat16
from itneurons.features.backbones import IMAGENET, LAYERS
from itneurons.features.stages import at_places, one_tensor, unknown_layers
from itneurons.storage import disk_tensors

# activations that take more go to a file; what is left serves the stimuli and the Gram matrices
_MEMORY = 2.5e9


def extract_activations(model, stimuli, layers=None, batch_size=16, bfloat16=None, device="cpu", memory=_MEMORY):
    """Activations of several layers from one forward pass.

    Parameters
    ----------
    model : torch.nn.Module
        Used in evaluation mode. Images of another size than its ``input_size`` are resized, with antialiasing, and
        normalised with its ``mean`` and ``std`` in place of ImageNet's.
    stimuli : array of shape (n_images, 3, height, width)
        RGB, normalised with the mean and deviation of ImageNet, as recordings store it.
    layers : sequence of str, optional
        Names of submodules, as ``model.named_modules()`` gives them; ``model.layers`` when left out. A layer that gives
        a tuple with one tensor in it, as attention does, gives that tensor.
    batch_size : int
        Small batches stay in the processor's cache; a GPU wants more.
    bfloat16 : bool, optional
        Compute in bfloat16 where that is safe (autocast), and store what comes out. By default where the processor
        has it. Averages over places are taken, and kept, in float32.
    device : str or torch.device
    memory : float
        Bytes; activations that take more are kept in a temporary file that vanishes with the tensors.

    Returns
    -------
    activations : dict of str to tensor of shape (n_images, ...)
        On the CPU, in bfloat16 or float32, in the order of ``layers``.

    Raises
    ------
    ValueError
        If a layer does not exist, is not reached, or does not give one tensor with a row for each image, or if the
        stimuli are not images.
    OSError
        If the disk is too full for the temporary file.
    """
    if layers is None:
        stated = getattr(model, "layers", None)
        layers = stated if isinstance(stated, tuple) else LAYERS
    n_images = len(stimuli)
    if not n_images and np.ndim(stimuli) == 4:
        # one image tells the shapes
        one = np.zeros((1, *np.shape(stimuli)[1:]), dtype=np.float32)
        return {layer: kept[:0] for layer, kept in extract_activations(model, one, layers, 1, bfloat16, device).items()}
    first, store = {}, {}

    def keep(layer, images, output):
        if layer in store:
            store[layer][images].copy_(output)
            disk_tensors.release(store[layer])
        else:
            # the first batch tells the shapes, hence how much there will be to keep
            first[layer] = output.detach().to("cpu", copy=True)

    def allocate():
        store.update(_allocate({layer: first.pop(layer) for layer in layers}, n_images, memory))

    show(model, stimuli, layers, keep, batch_size, bfloat16, device, after_first=allocate)
    return {layer: store[layer] for layer in layers}


def extract_each(model, stimuli, layers=None, device="cpu"):
    """Activations for each of several sets of images, which share the memory that one would have for itself.

    Parameters
    ----------
    model, layers, device
        As for ``extract_activations``.
    stimuli : sequence of arrays of shape (n_images, 3, height, width)

    Returns
    -------
    activations : list of dict of str to tensor of shape (n_images, ...)
    """
    share = _MEMORY / max(1, sum(map(len, stimuli)))
    return [extract_activations(model, part, layers, device=device, memory=share * len(part)) for part in stimuli]


class _Enough(Exception):  # noqa: N818
    """All that is wanted has been reached: the rest of the network need not be computed."""


@torch.inference_mode()
def show(model, stimuli, layers, keep, batch_size=16, bfloat16=None, device="cpu", after_first=None, until=None):
    """Show images to a network, and hand over what layers give as soon as it is computed.

    A hook on each layer does so before a ReLU that works in place can overwrite it.

    Parameters
    ----------
    model, stimuli, layers, batch_size, bfloat16, device
        As for ``extract_activations``.
    keep : callable
        Takes a layer, the slice of the images and what the layer gives for them, of shape (n_images, ...); a later
        layer may overwrite it.
    after_first : callable, optional
        Called after the first batch.
    until : str, optional
        One of the layers, after which the network need not be computed.

    Raises
    ------
    ValueError
        As ``extract_activations``.
    """
    show_prepared(prepared(model, bfloat16, device), stimuli, layers, keep, batch_size, after_first, until)


class Prepared(NamedTuple):
    """A network as images are shown to it: ``prepared`` makes it."""

    given: torch.nn.Module
    folded: torch.nn.Module
    unfolded: dict[str, torch.nn.Module]
    bfloat16: bool
    device: str | torch.device


def prepared(model, bfloat16=None, device="cpu"):
    """A copy of a network, folded and in the type that it computes in, for ``show_prepared``."""
    bfloat16 = has_bfloat16(device) if bfloat16 is None else bfloat16
    folded, unfolded = _folded(model.to(device))
    for module in (*folded.modules(), *unfolded.values()):
        # once, where autocast would do the same for every batch
        low = bfloat16 and isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
        for name, values in module.named_parameters(recurse=False):
            layout = torch.channels_last if values.dim() == 4 else torch.preserve_format
            # in place of the given network's parameters, which stay as they are
            changed = values.detach().to(dtype=torch.bfloat16 if low else values.dtype, memory_format=layout)
            setattr(module, name, torch.nn.Parameter(changed, requires_grad=False))
    return Prepared(model, folded, unfolded, bfloat16, device)


@torch.inference_mode()
def show_prepared(network, stimuli, layers, keep, batch_size=16, after_first=None, until=None):
    """``show`` for a network that was prepared, which many calls may share."""
    model, device, bfloat16, unfolded = network.folded, network.device, network.bfloat16, network.unfolded
    unknown = unknown_layers(network.given, layers)
    if unknown:
        raise ValueError(unknown)
    if np.ndim(stimuli) != 4 or np.shape(stimuli)[1] != 3:
        raise ValueError(f"stimuli have the shape {np.shape(stimuli)}, expected (n_images, 3, height, width)")
    images, reached, n_calls, once_each = slice(0, 0), set(), 0, False

    def hand_over(layer):
        def hook(module, inputs, output):
            nonlocal n_calls
            if layer in unfolded:
                output = unfolded[layer](*inputs)
            output = one_tensor(output)
            if output is None or output.dim() < 2 or len(output) != images.stop - images.start:
                raise ValueError(f"The layer {layer} does not give one tensor with a row for each image: leave it out")
            reached.add(layer)
            n_calls += 1
            keep(layer, images, output)
            if layer == until or (once_each and len(reached) == len(layers)):
                raise _Enough

        return hook

    def in_single_precision(module, inputs):
        return tuple(part.float() if torch.is_tensor(part) else part for part in inputs)

    modules = dict(model.named_modules())
    handles = [modules[layer].register_forward_hook(hand_over(layer)) for layer in layers]
    # a mean over places differs little between images, by less than bfloat16 can tell in some networks
    handles += [
        modules[layer].register_forward_pre_hook(in_single_precision)
        for layer in layers
        if _only_averages(modules[layer])
    ]
    try:
        for start in tqdm(range(0, len(stimuli), batch_size), desc="forward pass", unit="batch", leave=False):
            batch = torch.as_tensor(np.asarray(stimuli[start : start + batch_size]), dtype=torch.float32)
            images, n_calls = slice(start, start + len(batch)), 0
            reached.clear()
            batch = _resized(batch.to(device), getattr(model, "input_size", batch.shape[-1]))
            batch = as_wanted(model, batch)
            with (
                suppress(_Enough),
                torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=bfloat16),
            ):
                model(batch.contiguous(memory_format=torch.channels_last))
            if start == 0:
                missing = [layer for layer in layers if layer not in reached]
                if missing:
                    raise ValueError(f"The forward pass does not reach the layer {', '.join(missing)}")
                # from now on the rest of the network need not be computed when each layer has had its turn
                once_each = n_calls == len(layers)
                if after_first is not None:
                    after_first()
    finally:
        for handle in handles:
            handle.remove()


def concatenate_layers(activations, layers, size=7):
    """Several layers as one map: each brought to at most ``size`` x ``size`` places, their channels together.

    A finer map is averaged over the pixels of each place, a coarser one interpolated.

    Parameters
    ----------
    activations : dict of str to tensor of shape (n_images, n_channels, height, width)
    layers : sequence of str
    size : int

    Returns
    -------
    maps : tensor of shape (n_images, sum of n_channels, size, size)
        In the type of the first layer. ``size`` is that of the finest layer if it is smaller.
    """
    parts = [activations[layer] for layer in layers]
    places = [min(size, max(part.shape[axis] for part in parts)) for axis in (2, 3)]
    n_channels = np.cumsum([0, *(part.shape[1] for part in parts)])
    # three layers of a ResNet-50 together take a gigabyte
    maps = disk_tensors.room((len(parts[0]), *places, n_channels[-1]), parts[0].dtype).movedim(-1, 1)
    for part, first, last in zip(parts, n_channels[:-1], n_channels[1:]):
        for image, place in zip(part.split(256), maps.split(256)):
            place[:, first:last] = at_places(image.float(), places)
            disk_tensors.release(part)
            disk_tensors.release(maps)
    return maps


class _Tracer(torch.fx.Tracer):
    """Does not look into timm's convolutions and normalisations, which inherit from torch's."""

    def is_leaf_module(self, module, name):
        return isinstance(module, (torch.nn.Conv2d, torch.nn.BatchNorm2d)) or super().is_leaf_module(module, name)


def _folded(model):
    """A copy in evaluation mode that computes the same in fewer passes, and the convolutions it replaced, by name.

    Each batch normalisation becomes part of the weights of the convolution before it. Which do must not depend on the
    layers asked for, or the same layer would differ in its last digits. The first convolution, which is often asked
    for, stays.
    """
    # the copy shares the parameters until they are replaced: two copies of them need not lie in memory
    shared = {id(values): values for values in model.parameters()}
    original, model, replaced = model, copy.deepcopy(model, shared).eval(), {}
    modules = dict(model.named_modules())
    first = next((module for module in modules.values() if isinstance(module, torch.nn.Conv2d)), None)
    try:
        # a traced network hangs in cycles until Python looks for them: several copies would lie in memory
        nodes = _Tracer().trace(model if original.training else original).nodes
    except Exception:
        # a network whose path depends on what it sees: used as it is
        return model, replaced
    calls = Counter(node.target for node in nodes if node.op == "call_module")
    for node in nodes:
        norm = modules.get(node.target) if node.op == "call_module" else None
        # by their names: others that inherit from them may do more
        if type(norm).__name__ not in ("BatchNorm2d", "BatchNormAct2d") or norm.running_mean is None:
            continue
        before = node.args[0]
        convolution = modules.get(before.target) if before.op == "call_module" else None
        if type(convolution).__name__ not in ("Conv2d", "Conv2dSame") or convolution is first:
            continue
        if len(before.users) == calls[before.target] == calls[node.target] == 1:
            replaced[before.target] = convolution
            both = fuse_conv_bn_eval(convolution, norm)
            # timm's normalisation brings its activation with it
            rest = torch.nn.Sequential(OrderedDict(norm.named_children()))
            for target, replacement in ((before.target, both), (node.target, rest)):
                parent, _, name = target.rpartition(".")
                setattr(model.get_submodule(parent), name, replacement)
    return model, replaced


def _resized(batch, size):
    if batch.shape[-1] == size:
        return batch
    return interpolate(batch, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def as_wanted(model, stimuli):
    """ImageNet-normalised stimuli as the network wants them normalised; gradients pass through."""
    return _renormalised(stimuli, *(getattr(model, wish, None) for wish in ("mean", "std")))


def _renormalised(batch, mean, std):
    """From ImageNet's mean and deviation to others, channel by channel; untouched where they are the same."""
    if not isinstance(mean, tuple) or np.allclose((mean, std), IMAGENET, rtol=0, atol=1e-6):
        return batch
    mean, std, mean_before, std_before = (batch.new_tensor(values)[:, None, None] for values in (mean, std, *IMAGENET))
    return batch * (std_before / std) + (mean_before - mean) / std


def _only_averages(module):
    """Whether a layer does nothing but average over places; timm wraps torch's own average."""
    averages = any(isinstance(part, (torch.nn.AdaptiveAvgPool2d, torch.nn.AvgPool2d)) for part in module.modules())
    return averages and next(module.parameters(), None) is None


def _allocate(first, n_images, memory):
    """Room for all images in the type of the first batch, with that batch in its place."""
    needed = sum(output[0].numel() * output.element_size() for output in first.values()) * n_images
    if needed > memory:
        # of all layers together, before any of them is computed
        disk_tensors.check_room(needed)
    store = {}
    for layer, output in first.items():
        # laid out as it comes, with the channels of a place side by side: copied straight through
        shape = (n_images, *output[0].movedim(0, -1).shape)
        room = (
            torch.empty(shape, dtype=output.dtype) if needed <= memory else disk_tensors.allocate(shape, output.dtype)
        )
        store[layer] = room.movedim(-1, 1)
        store[layer][: len(output)] = output
    return store


def resize(stimuli, size):
    """Images (n_images, 3, height, width) at another size, bilinear with antialiasing.

    Returns
    -------
    images : tensor of shape (n_images, 3, size, size), float32
    """
    small = torch.empty(len(stimuli), 3, size, size)
    # in parts: antialiasing makes large intermediate results
    for start, place in zip(range(0, len(stimuli), 256), small.split(256)):
        part = torch.as_tensor(np.asarray(stimuli[start : start + 256]))
        place[:] = interpolate(part, size=(size, size), mode="bilinear", antialias=True)
    return small
