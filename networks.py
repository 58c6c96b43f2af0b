"""Networks that predict firing rates, and the files that keep them.

A network is a core, which turns images or activations into a map of features, and a readout, which turns the map
into one number a neuron. All of them take their input as it comes and give spikes per second: the normalisation of
both is part of the network, so that a checkpoint is complete in itself. Training is in ``training.py``.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recordings.files import written_whole
from training import History, fit, predict, seeded
from utils import load_backbone

__all__ = [
    "BackboneReadout",
    "CheckpointError",
    "FactorisedReadout",
    "GaussianReadout",
    "History",
    "ResCNN",
    "ShallowCNN",
    "centres_of",
    "fit",
    "load_checkpoint",
    "predict",
    "save_checkpoint",
    "seeded",
]

FORMAT = 1


class Network(nn.Module):
    """What all networks share: ``forward`` takes (n_images, ...) and gives rates (n_images, n_neurons)."""

    def __init__(self, n_channels, n_neurons, **config):
        super().__init__()
        # what the checkpoint needs to build the same network again
        self.config = {"n_channels": n_channels, "n_neurons": n_neurons, **config}
        self.register_buffer("input_mean", torch.zeros(n_channels, 1, 1))
        self.register_buffer("input_scale", torch.ones(n_channels, 1, 1))
        self.register_buffer("rate_mean", torch.zeros(n_neurons))
        self.register_buffer("rate_scale", torch.ones(n_neurons))

    def normalise_to(self, inputs, rates):
        """Take the normalisation of the input, channel by channel, and of the rates from the training images.

        Parameters
        ----------
        inputs : tensor of shape (n_images, n_channels, height, width)
        rates : tensor of shape (n_images, n_neurons)
        """
        # some channels at a time: all of them in single precision might not fit in memory
        moments = [torch.std_mean(part.float(), dim=(0, 2, 3), keepdim=True) for part in inputs.split(64, dim=1)]
        deviation, mean = (torch.cat(parts, dim=1) for parts in zip(*moments))
        self.input_mean.copy_(mean[0])
        self.input_scale.copy_(torch.where(deviation > 0, deviation, 1.0)[0])
        deviation, mean = torch.std_mean(rates, dim=0)
        self.rate_mean.copy_(mean)
        # a neuron that does not vary is predicted by its mean, whatever the scale
        self.rate_scale.copy_(torch.where(deviation > 0, deviation, 1.0))

    def parameter_groups(self, learning_rate):
        """Parameters and their learning rates, as torch's optimisers take them."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def forward(self, inputs):
        return self.rates(self.normalised(inputs))

    def normalised(self, inputs):
        """Inputs as the body takes them; training does this once, not in every epoch."""
        return (inputs - self.input_mean) / self.input_scale

    def rates(self, normalised):
        """Rates (n_images, n_neurons) from normalised inputs."""
        return self.rate_mean + self.rate_scale * self.body(normalised).float()


class ShallowCNN(Network):
    """Two or three convolutional layers on the image, and a factorised readout.

    Parameters
    ----------
    n_neurons : int
    n_layers : {2, 3}
    n_filters : int
        In the first layer; twice as many in the following ones.
    kernel_size : int
        Of the first layer, in pixels.
    dropout : float
        Share of feature maps dropped before the readout.
    image_size : int
        Height and width of the images in pixels.
    n_channels : int
    """

    def __init__(self, n_neurons, n_layers=3, n_filters=32, kernel_size=7, dropout=0.2, image_size=64, n_channels=3):
        super().__init__(
            n_channels,
            n_neurons,
            n_layers=n_layers,
            n_filters=n_filters,
            kernel_size=kernel_size,
            dropout=dropout,
            image_size=image_size,
        )
        layers = [*_convolution(n_channels, n_filters, kernel_size, stride=2)]
        width = n_filters
        for _ in range(n_layers - 1):
            layers += [nn.MaxPool2d(2), *_convolution(width, 2 * n_filters, 3)]
            width = 2 * n_filters
        self.core = nn.Sequential(*layers, nn.Dropout2d(dropout))
        with torch.no_grad():
            shape = self.core.eval()(torch.zeros(1, n_channels, image_size, image_size)).shape[1:]
        self.core.train()
        self.readout = FactorisedReadout(*shape, n_neurons)

    def body(self, images):
        return self.readout(self.core(images))


class ResCNN(Network):
    """Three convolutional and two fully connected layers on the activations of a layer of a ResNet.

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the layer's activations, for example 1024, 14, 14 for layer3 of a ResNet-50 at 224 pixels.
    n_neurons : int
    n_filters : int
        Of each convolutional layer.
    n_hidden : int
        Units between the two fully connected layers.
    dropout : float
    """

    def __init__(self, n_channels, height, width, n_neurons, n_filters=80, n_hidden=256, dropout=0.2):
        super().__init__(
            n_channels, n_neurons, height=height, width=width, n_filters=n_filters, n_hidden=n_hidden, dropout=dropout
        )
        # the fully connected layers see at most 7 x 7 places
        pooled = (min(height, 7), min(width, 7))
        self.body = nn.Sequential(
            # one by one first: it brings the many channels down before the costly layers
            *_convolution(n_channels, n_filters, 1),
            *_convolution(n_filters, n_filters, 3),
            *_convolution(n_filters, n_filters, 3),
            nn.AdaptiveMaxPool2d(pooled),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(n_filters * pooled[0] * pooled[1], n_hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_neurons),
        )


class FactorisedReadout(nn.Module):
    """A spatial mask and a feature vector for each neuron (Klindt, Ecker, Euler and Bethge 2017).

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the core's output.
    n_neurons : int
    """

    def __init__(self, n_channels, height, width, n_neurons):
        super().__init__()
        self.mask = nn.Parameter(torch.randn(n_neurons, height * width) * 0.01 + 1 / (height * width))
        self.features = nn.Parameter(torch.randn(n_neurons, n_channels) / n_channels**0.5)
        self.bias = nn.Parameter(torch.zeros(n_neurons))
        self.shape = (height, width)

    def forward(self, maps):
        # one weight for each place and feature: a single matrix product, however many neurons
        weights = torch.einsum("nc,np->ncp", self.features, self.mask).flatten(1)
        return nn.functional.linear(maps.flatten(1), weights, self.bias)

    def fields(self):
        """Spatial masks (n_neurons, height, width), non-negative, each with a sum of one."""
        mask = self.mask.detach().abs()
        return (mask / mask.sum(dim=1, keepdim=True)).reshape(-1, *self.shape)


class GaussianReadout(nn.Module):
    """A feature vector for each neuron, read out at one learned position (Lurz et al. 2021).

    While training, the position is drawn from a Gaussian whose width is learned too, so that gradients reach beyond
    the neighbouring cells; afterwards it is the mean.

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the core's output.
    n_neurons : int
    spread : float
        Standard deviation of the position to begin with, where the map reaches from -1 to 1.
    """

    def __init__(self, n_channels, height, width, n_neurons, spread=0.4):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(n_neurons, 2))
        self.log_spread = nn.Parameter(torch.full((n_neurons, 1), spread).log())
        self.features = nn.Parameter(torch.randn(n_neurons, n_channels) / n_channels**0.5)
        self.bias = nn.Parameter(torch.zeros(n_neurons))

    def forward(self, maps):
        position = self.position.expand(len(maps), -1, -1)
        if self.training:
            position = position + self.log_spread.exp() * torch.randn_like(position)
        # features first, then the place: far less to interpolate than with every feature of every neuron
        drive = torch.einsum("icp,nc->inp", maps.flatten(2), self.features)
        return (drive * self._interpolation(position.clamp(-1, 1), maps.shape[2:])).sum(dim=2) + self.bias

    @staticmethod
    def _interpolation(position, shape):
        """Bilinear weights (n_images, n_neurons, height * width) of the cells around each position."""
        weights = []
        for axis, size in ((1, shape[0]), (0, shape[1])):
            # in units of cells, from the middle of the first one
            place = (((position[..., axis] + 1) * size - 1) / 2).clamp(0, size - 1)
            cells = torch.arange(size, device=place.device)
            weights.append((1 - (place[..., None] - cells).abs()).clamp(min=0))
        return (weights[0][..., :, None] * weights[1][..., None, :]).flatten(2)

    def centres(self):
        """Positions (n_neurons, 2) as (x, y) in fractions of the image from its middle, y downwards."""
        return (self.position.detach().cpu().clamp(-1, 1) * 0.5).numpy()


def centres_of(fields):
    """Centres of mass of receptive fields.

    Parameters
    ----------
    fields : array of shape (n_neurons, height, width)
        Non-negative, each with a sum of one.

    Returns
    -------
    centres : array of shape (n_neurons, 2)
        As (x, y) in fractions of the image from its middle, y downwards.
    """
    height, width = fields.shape[1:]
    x = (np.arange(width) + 0.5) / width - 0.5
    y = (np.arange(height) + 0.5) / height - 0.5
    return np.stack([fields.sum(axis=1) @ x, fields.sum(axis=2) @ y], axis=1)


class BackboneReadout(Network):
    """Stages of a backbone, trained further or left out, and a readout with a place for each neuron.

    Without stages it reads out activations as they are; with stages it is a backbone fine-tuned on neurons, which
    starts from the activations below its first stage: what lies below stays fixed, so it is computed only once.

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the input: activations of the layer below the first stage.
    n_neurons : int
    backbone : str
        Name for ``utils.load_backbone``.
    stages : sequence of str
        Successive layers of the backbone, for example ``("layer3", "layer4")``.
    readout : {"factorised", "gaussian"}
    dropout : float
        Share of feature maps dropped before the readout.
    """

    def __init__(
        self, n_channels, height, width, n_neurons, backbone="simulated", stages=(), readout="factorised", dropout=0.1
    ):
        super().__init__(
            n_channels,
            n_neurons,
            height=height,
            width=width,
            backbone=backbone,
            stages=list(stages),
            readout=readout,
            dropout=dropout,
        )
        trained = load_backbone(backbone) if stages else None
        self.core = nn.Sequential(*(getattr(trained, stage) for stage in stages)).eval()
        with torch.no_grad():
            shape = self.core(torch.zeros(1, n_channels, height, width)).shape[1:]
        kinds = {"factorised": FactorisedReadout, "gaussian": GaussianReadout}
        self.readout = nn.Sequential(
            nn.BatchNorm2d(shape[0], affine=False), nn.Dropout2d(dropout), kinds[readout](*shape, n_neurons)
        )

    def normalise_to(self, inputs, rates):
        super().normalise_to(inputs, rates)
        if len(self.core):
            # a trained stage expects activations as the stage below gives them
            self.input_mean.zero_()
            self.input_scale.fill_(1)

    def body(self, activations):
        return self.readout(self.core(activations))

    def parameter_groups(self, learning_rate):
        groups = [{"params": list(self.readout.parameters()), "lr": learning_rate}]
        if len(self.core):
            # what was learned from many images must not be overwritten by few
            groups.append({"params": list(self.core.parameters()), "lr": learning_rate / 20})
        return groups

    def train(self, mode=True):
        super().train(mode)
        # the statistics of the images that the backbone was trained on stay in force
        self.core.eval()
        return self


NETWORKS = {network.__name__: network for network in (ShallowCNN, ResCNN, BackboneReadout)}


class CheckpointError(ValueError):
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
    size = sum(value.numel() * value.element_size() for value in content["weights"].values())
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
        If it is damaged, holds code, comes from a newer version, or was made with something else than expected.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no checkpoint {path}; the notebook that makes it saves it at its end")
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
    if not isinstance(content, dict) or not {"format", "network", "config", "weights", "about"} <= content.keys():
        raise CheckpointError(f"{path} was not written by networks.save_checkpoint; run the notebook that makes it")
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
    try:
        network = NETWORKS[content["network"]](**content["config"])
        network.load_state_dict(content["weights"])
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{path}: its weights do not fit a {content['network']} of this version ({error})"
        ) from error
    return network.eval(), about


def _convolution(n_in, n_out, kernel_size, stride=1):
    return (
        nn.Conv2d(n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )
