"""What a network makes of the stimuli: backbones, the activations of their layers, and stored principal components."""

import copy
import hashlib
import urllib.error
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.nn.functional import adaptive_avg_pool2d, interpolate
from torch.nn.utils import fuse_conv_bn_eval
from tqdm.auto import tqdm

import cache
import mapped
from encoding import principal_components
from recordings.simulated import backbone as simulated_backbone

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4", "avgpool")

# goes up when the code changes what a stored component means
_VERSION = 2
# activations that take more go to a file; what is left serves the stimuli and the Gram matrices
_MEMORY = 2.5e9


def load_backbone(name, pretrained=True, seed=0):
    """A network by name, in evaluation mode.

    Parameters
    ----------
    name : str
        ``"simulated"`` for the ResNet that ships with the simulated experiment, or any classification model of
        torchvision, for example ``"resnet50"``.
    pretrained : bool
        With the weights that torchvision lists as its default (or those that ship, for ``"simulated"``), otherwise
        initialised at random.
    seed : int
        Of the random initialisation; the generators of the session are left as they were.

    Returns
    -------
    model : torch.nn.Module
        ``model.input_size`` is the height and width of the images it was made for.

    Raises
    ------
    ValueError
        If torchvision has no such model, or no weights for it.
    OSError
        If the weights are not at hand and cannot be downloaded, or the file that holds them is damaged.
    """
    if name == "simulated":
        model = simulated_backbone.build(pretrained=pretrained, seed=seed)
        model.input_size = simulated_backbone.INPUT_SIZE
        return model.eval()
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"torchvision has no model {name!r}; torchvision.models.list_models() lists them")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = torchvision.models.get_model(name, weights=None)
    if pretrained:
        _load_pretrained(model, name)
    model.input_size = 224
    return model.eval()


def _load_pretrained(model, name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    file_name = weights.url.rsplit("/", 1)[1]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    where = f"{file_name} ({weights.meta['_file_size']:.0f} MB)"
    try:
        model.load_state_dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise OSError(
            f"The weights of {name} are not here and cannot be downloaded ({error}). Download {where} from "
            f"{weights.url} on a machine with a network and put it in the folder {folder}"
        ) from error
    except Exception as error:
        # whatever a damaged archive makes the reader raise, of which the first line says enough
        reason = str(error).partition("\n")[0]
        raise OSError(
            f"The weights of {name} cannot be read from {folder / file_name} ({reason}). Remove that file, so that "
            f"{where} is downloaded again"
        ) from error


def has_bfloat16(device="cpu"):
    """Whether the processor multiplies bfloat16 in hardware, so that it is faster than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    if torch.device(device).type != "cpu":
        return False
    # older versions of torch cannot tell: then the safe answer is no
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@torch.inference_mode()
def extract_activations(model, stimuli, layers=LAYERS, batch_size=16, bfloat16=None, device="cpu", memory=_MEMORY):
    """Activations of several layers from one forward pass.

    A hook on each layer copies its output to its place as soon as it is computed, before a ReLU that works in place
    can overwrite it.

    Parameters
    ----------
    model : torch.nn.Module
        Used in evaluation mode. Images of another size than its ``input_size`` are resized, with antialiasing.
    stimuli : array of shape (n_images, 3, height, width)
        Normalised as the model expects it.
    layers : sequence of str
        Names of submodules, as ``model.named_modules()`` gives them.
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
    modules = dict(model.named_modules())
    unknown = [layer for layer in layers if layer not in modules]
    if unknown:
        known = [name for name in modules if name and name.count(".") <= 1]
        raise ValueError(f"The network has no layer {', '.join(unknown)}; it has {', '.join(known)}")
    if np.ndim(stimuli) != 4 or np.shape(stimuli)[1] != 3:
        raise ValueError(f"stimuli have the shape {np.shape(stimuli)}, expected (n_images, 3, height, width)")
    bfloat16 = has_bfloat16(device) if bfloat16 is None else bfloat16
    n_images = len(stimuli)
    if not n_images:
        # one image tells the shapes
        one = np.zeros((1, *np.shape(stimuli)[1:]), dtype=np.float32)
        return {layer: kept[:0] for layer, kept in extract_activations(model, one, layers, 1, bfloat16, device).items()}
    store, batch_output = {}, {}

    def keep(layer):
        def hook(module, inputs, output):
            if layer in unfolded:
                output = unfolded[layer](*inputs)
            if not torch.is_tensor(output) or len(output) != batch_output["size"]:
                raise ValueError(f"The layer {layer} does not give one tensor with a row for each image")
            if layer in store:
                store[layer][batch_output["at"]].copy_(output)
            else:
                # the first batch tells the shapes, hence how much there will be to keep
                batch_output[layer] = output.detach().to("cpu", copy=True)

        return hook

    def in_single_precision(module, inputs):
        return tuple(part.float() if torch.is_tensor(part) else part for part in inputs)

    model, unfolded = _folded(model.to(device))
    if bfloat16:
        # once, where autocast would do the same for every batch
        for module in (*model.modules(), *unfolded.values()):
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                module.to(torch.bfloat16)
    model.to(memory_format=torch.channels_last)
    modules = dict(model.named_modules())
    handles = [modules[layer].register_forward_hook(keep(layer)) for layer in layers]
    # a mean over places differs little between images, by less than bfloat16 can tell in some networks
    handles += [
        modules[layer].register_forward_pre_hook(in_single_precision)
        for layer in layers
        if isinstance(modules[layer], (torch.nn.AdaptiveAvgPool2d, torch.nn.AvgPool2d))
    ]
    try:
        for start in tqdm(range(0, n_images, batch_size), desc="forward pass", unit="batch", leave=False):
            batch = torch.as_tensor(np.asarray(stimuli[start : start + batch_size]), dtype=torch.float32)
            batch_output.update(at=slice(start, start + len(batch)), size=len(batch))
            batch = _resized(batch.to(device), getattr(model, "input_size", batch.shape[-1]))
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=bfloat16):
                model(batch.contiguous(memory_format=torch.channels_last))
            if start == 0:
                missing = [layer for layer in layers if layer not in batch_output]
                if missing:
                    raise ValueError(f"The forward pass does not reach the layer {', '.join(missing)}")
                store.update(_allocate({layer: batch_output.pop(layer) for layer in layers}, n_images, memory))
            for kept in store.values():
                mapped.release(kept)
    finally:
        for handle in handles:
            handle.remove()
    return {layer: store[layer] for layer in layers}


def joined(activations, layers, size=7):
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
    maps = torch.empty(len(parts[0]), *places, n_channels[-1], dtype=parts[0].dtype).movedim(-1, 1)
    for part, first, last in zip(parts, n_channels[:-1], n_channels[1:]):
        for image, place in zip(part.split(256), maps.split(256)):
            averaged = adaptive_avg_pool2d(image.float(), [min(n, m) for n, m in zip(image.shape[2:], places)])
            place[:, first:last] = interpolate(averaged, size=places, mode="bilinear")
            mapped.release(part)
    return maps


def _folded(model):
    """A copy in evaluation mode that computes the same in fewer passes, and the convolutions it replaced, by name.

    Each batch normalisation becomes part of the weights of the convolution before it. Which do must not depend on the
    layers asked for, or the same layer would differ in its last digits. The first convolution, which is often asked
    for, stays.
    """
    model, replaced = copy.deepcopy(model).eval(), {}
    modules = dict(model.named_modules())
    first = next((module for module in modules.values() if isinstance(module, torch.nn.Conv2d)), None)
    try:
        nodes = torch.fx.symbolic_trace(model).graph.nodes
    except Exception:
        # a network whose path depends on what it sees: used as it is
        return model, replaced
    calls = Counter(node.target for node in nodes if node.op == "call_module")
    for node in nodes:
        norm = modules.get(node.target) if node.op == "call_module" else None
        if not isinstance(norm, torch.nn.BatchNorm2d) or norm.running_mean is None:
            continue
        before = node.args[0]
        convolution = modules.get(before.target) if before.op == "call_module" else None
        if not isinstance(convolution, torch.nn.Conv2d) or convolution is first:
            continue
        if len(before.users) == calls[before.target] == calls[node.target] == 1:
            replaced[before.target] = convolution
            both = fuse_conv_bn_eval(convolution, norm)
            for target, replacement in ((before.target, both), (node.target, torch.nn.Identity())):
                parent, _, name = target.rpartition(".")
                setattr(model.get_submodule(parent), name, replacement)
    return model, replaced


def _resized(batch, size):
    if batch.shape[-1] == size:
        return batch
    return interpolate(batch, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def _allocate(first, n_images, memory):
    """Room for all images in the type of the first batch, with that batch in its place."""
    needed = sum(output[0].numel() * output.element_size() for output in first.values()) * n_images
    store = {}
    for layer, output in first.items():
        # laid out as it comes, with the channels of a place side by side: copied straight through
        shape = (n_images, *output[0].movedim(0, -1).shape)
        room = torch.empty(shape, dtype=output.dtype) if needed <= memory else mapped.allocate(shape, output.dtype)
        store[layer] = room.movedim(-1, 1)
        store[layer][: len(output)] = output
    return store


def fingerprint(*contents):
    """Digest of arrays, or of a network's weights, that tells whether a stored result was made of the same.

    Parameters
    ----------
    *contents : array, tensor, sequence of str or torch.nn.Module

    Returns
    -------
    digest : str
    """
    digest = hashlib.sha256()
    for content in contents:
        if isinstance(content, torch.nn.Module):
            parts = [(name, value.cpu().numpy()) for name, value in content.state_dict().items()]
        else:
            parts = [("", np.asarray(content))]
        for name, values in parts:
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:16]


def components_path(folder, backbone, layer):
    """Where ``store_components`` keeps a layer."""
    return Path(folder) / f"{backbone}_{layer}.h5"


def components_key(model, stimuli, n_components=1000):
    """What the stored components of a network's layers depend on.

    Parameters
    ----------
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
        Training images first.
    n_components : int

    Returns
    -------
    key : dict of str to str or int
    """
    return {
        "stimuli": fingerprint(*stimuli),
        "weights": fingerprint(model),
        "n_components": n_components,
        "version": _VERSION,
    }


def store_components(folder, backbone, model, stimuli, key, layers=LAYERS, device="cpu"):
    """Make sure that the principal components of every layer are stored, and make those that are not.

    What is stored already and fits the key stays; what was made of something else is remade, and a line says why.

    Parameters
    ----------
    folder : str or Path
        For example ``"Activations"``.
    backbone : str
        Name of the network, for the names of the files.
    model : torch.nn.Module
    stimuli : sequence of arrays of shape (n_images, 3, height, width)
        Training images first: components are theirs, the others are projected.
    key : dict
        Of ``components_key(model, stimuli, n_components)``.
    layers : sequence of str
    device : str or torch.device

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; layers finished before stay.
    """
    missing = []
    for layer in layers:
        path = components_path(folder, backbone, layer)
        _, reason = cache.load(path, key)
        if reason:
            missing.append(layer)
            if path.exists():
                print(f"{path} is made anew: {reason}")
    if not missing:
        print(f"{folder} holds all {len(layers)} layers of {backbone} for these stimuli: nothing to extract")
        return
    parts = [extract_activations(model, part, missing, device=device) for part in stimuli]
    for layer in tqdm(missing, desc="principal components", unit="layer", leave=False):
        scores = principal_components(
            *(part.pop(layer) for part in parts), n_components=key["n_components"], device=device
        )
        path = components_path(folder, backbone, layer)
        cache.store(path, key, {f"part{index}": score for index, score in enumerate(scores)})
        print(f"{path}: {scores[0].shape[1]} components")


def load_components(folder, backbone, layer, key):
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
    arrays, reason = cache.load(path, key)
    if reason:
        raise ValueError(f"{path} cannot be used: {reason}. Run the extraction (section A) again")
    return tuple(arrays[name] for name in sorted(arrays))
