"""Networks by name: what they are made of, how they want their images, and which layers stand for their stages."""

import urllib.error
from pathlib import Path

import torch
import torchvision

from itneurons.recordings.load import source_of
from itneurons.recordings.simulated import backbone as simulated_backbone

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4", "avgpool")


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


def choose_backbone(path, name="auto"):
    """The name of the backbone for a recording: ``name`` unless it is ``"auto"``.

    Simulated recordings get the network that ships with them, all others a ResNet-50.
    """
    if name != "auto":
        return name
    return "simulated" if source_of(path).startswith("simulated") else "resnet50"
