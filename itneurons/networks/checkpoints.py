"""The files that keep networks: complete in themselves, and read without executing anything in them."""

import zipfile
from pathlib import Path

import torch

from itneurons.device import seeded
from itneurons.networks.models import BackboneReadout, ResCNN, ShallowCNN
from itneurons.networks.shared_core import SharedCore
from itneurons.networks.training import History
from itneurons.storage.files import written_whole
from itneurons.storage.stored import UnusableError, load_or_make

# 2: the stages of a backbone go by their names, "core.layer3..."; in 1 by their numbers, "core.0..."
FORMAT = 2
NETWORKS = {network.__name__: network for network in (ShallowCNN, ResCNN, BackboneReadout, SharedCore)}


class CheckpointError(UnusableError):
    """A checkpoint cannot be used; the message says why, and what to do."""


def save_checkpoint(path, network, **about):
    """Write a network with all that is needed to use it; the file appears only when it is whole.

    Parameters
    ----------
    path : str or Path
    network : Network
    **about : str, int, float, bool or lists and dicts of them
        What it was made with, for example ``recording``, ``backbone``, ``layer``, ``image_size``.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; a checkpoint that was there stays.
    """
    content = {
        "format": FORMAT,
        "network": type(network).__name__,
        "config": network.config,
        "weights": {name: value.cpu() for name, value in network.state_dict().items()},
        "about": about,
    }
    write(path, content, sum(value.numel() * value.element_size() for value in content["weights"].values()))


def write(path, content, size=0):
    """Write what ``read_safely`` reads, of at least ``size`` bytes; the file appears only when it is whole."""
    # to an open file: else the archive would hold the name of the temporary one, another every time
    with written_whole(path, size) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def load_checkpoint(path, **expected):
    """Build the network of a checkpoint again.

    Nothing in the file is executed: it is read with ``weights_only=True``.

    Parameters
    ----------
    path : str or Path
    **expected
        What must be found in ``about``, for example ``recording=...``.

    Returns
    -------
    network : Network
        In evaluation mode, on the CPU.
    about : dict
        As it was given to ``save_checkpoint``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is damaged, holds code, names code of the user's that ``backbone`` does not allow to run, comes from a
        newer version, or was made with something else than expected.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no checkpoint {path}; the notebook that makes it saves it at its end")
    content = read_safely(path)
    if not isinstance(content, dict) or not {"format", "network", "config", "weights", "about"} <= content.keys():
        raise CheckpointError(f"{path} was not written by save_checkpoint; run the notebook that makes it")
    if content["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has the format {content['format']}, this version reads up to {FORMAT}: update the project"
        )
    about = content["about"]
    for name, value in expected.items():
        if about.get(name) != value:
            raise CheckpointError(
                f"{path} was made with {name} = {about.get(name)!r}, not {value!r}: it is for other data or another "
                "backbone. Run the notebook that makes it again"
            )
    if content["network"] not in NETWORKS:
        raise CheckpointError(f"{path} holds a {content['network']}, this version knows {', '.join(NETWORKS)}")
    config = content["config"]
    code = config.get("backbone", "") if config.get("stages") or config.get("layers") else ""
    if ":" in code and expected.get("backbone") != code:
        # a file must not choose what is run
        raise CheckpointError(
            f"{path} asks to run {code} to build its backbone. If you trust it, say so: "
            f"load_checkpoint(..., backbone={code!r})"
        )
    try:
        network = NETWORKS[content["network"]].rebuilt(content["config"])
        network.load_state_dict(_current_names(content))
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its weights do not fit a {content['network']} of this version ({error})"
        ) from error
    return network.eval(), about


def load_or_train(path, made_of, build, train, seed=0):
    """Train a network and store it, or load it if it was trained before.

    Parameters
    ----------
    path : str or Path
    made_of : dict
        All that the result depends on besides the network's configuration and the seed.
    build : callable
        Without arguments, gives an untrained network; what it draws comes from the seed.
    train : callable
        Trains the network that it is given, in place, and gives its history; called only where that is needed.
    seed : int

    Returns
    -------
    network : Network
        As the file holds it.
    history : training.History
    """
    with seeded(seed):
        network = build()

    def load(path, made_of):
        return load_checkpoint(path, **made_of)

    def store(path, made_of, history):
        save_checkpoint(path, network, **made_of, history=vars(history))

    made_of = {**made_of, "seed": seed, "config": network.config}
    network_as_stored, about = load_or_make(path, made_of, lambda: train(network), load, store)
    return network_as_stored, History(**about["history"])


def read_safely(path):
    """What ``torch.save`` wrote, with its sums checked; nothing in the file is executed.

    Raises
    ------
    CheckpointError
        If it is damaged or holds code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            # sums do not cover what an entry is: torch reads nothing from one that claims to be a folder
            damaged = damaged or next(
                (entry.filename for entry in archive.infolist() if entry.external_attr & 0x10), None
            )
        if damaged:
            raise CheckpointError(f"{path} is damaged at {damaged}; remove it and run the notebook that makes it")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        # a damaged archive makes the readers raise whatever they meet first
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path} is no checkpoint that can be read safely ({reason}). Remove it and run the notebook that makes it"
        ) from error
    return content


def _current_names(content):
    """The weights of a checkpoint under the names that they have today."""
    if content["format"] > 1:
        return content["weights"]
    stages = {f"core.{number}.": f"core.{stage}." for number, stage in enumerate(content["config"].get("stages", ()))}

    def current(name):
        number = ".".join(name.split(".")[:2]) + "."
        return stages[number] + name.removeprefix(number) if number in stages else name

    return {current(name): value for name, value in content["weights"].items()}
