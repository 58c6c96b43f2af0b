"""Networks that predict firing rates.

A network is a core, which turns images or activations into a map of features, and a readout, which turns the map
into one number a neuron. All of them take their input as it comes and give spikes per second: the normalisation of
both is part of the network, so that a checkpoint is complete in itself.
"""

import functools

import torch
from torch import nn

from itneurons.features.backbones import load_backbone
from itneurons.features.stages import stages_between
from itneurons.networks.readouts import READOUTS, FactorisedReadout
from itneurons.storage.disk_tensors import Rows


def scale_of(deviation):
    """What values are divided by: their standard deviation; 1 where they do not vary, for then any scale serves."""
    return torch.where(deviation > 0, deviation, 1.0)


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

    @classmethod
    def rebuilt(cls, config):
        """The network of a ``config``, its weights still to be loaded."""
        # a function of the user's makes its backbone as it always does; of others no weights are asked for
        own = {"pretrained": ":" in config["backbone"], "checkpoint": None} if "backbone" in config else {}
        network = cls(**{**config, **own})
        network.config = dict(config)
        return network

    def normalise_to(self, inputs, rates):
        """Take the normalisation of the input, channel by channel, and of the rates from the training images.

        Parameters
        ----------
        inputs : tensor of shape (n_images, n_channels, height, width)
        rates : tensor of shape (n_images, n_neurons)
        """
        deviation, mean = _std_mean(inputs)
        self.input_mean.copy_(mean)
        self.input_scale.copy_(scale_of(deviation))
        self.normalise_rates_to(rates)

    def normalise_rates_to(self, rates):
        """Take the normalisation of the rates alone."""
        deviation, mean = torch.std_mean(rates, dim=0)
        self.rate_mean.copy_(mean)
        self.rate_scale.copy_(scale_of(deviation))

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
        Successive ones of the backbone's ``layers``, for example ``("layer3", "layer4")``.
    readout : {"factorised", "gaussian"}
    dropout : float
        Share of feature maps dropped before the readout.
    pretrained, seed, checkpoint
        Which weights the backbone starts from, as for ``utils.load_backbone``.

    Raises
    ------
    ValueError
        If the stages are not successive layers of the backbone with a layer below them, or form no chain.
    """

    def __init__(
        self,
        n_channels,
        height,
        width,
        n_neurons,
        backbone="simulated",
        stages=(),
        readout="factorised",
        dropout=0.1,
        pretrained=True,
        seed=0,
        checkpoint=None,
    ):
        weights = {
            "pretrained": pretrained,
            "seed": seed,
            "checkpoint": None if checkpoint is None else str(checkpoint),
        }
        usual = {"pretrained": True, "seed": 0, "checkpoint": None}
        super().__init__(
            n_channels,
            n_neurons,
            height=height,
            width=width,
            backbone=backbone,
            stages=list(stages),
            readout=readout,
            dropout=dropout,
            # what is as it was before one could choose is not said, so that networks stored then still fit
            **{name: value for name, value in weights.items() if value != usual[name]},
        )
        self.core = (_stages(load_backbone(backbone, **weights), stages) if stages else nn.Sequential()).eval()
        with torch.no_grad():
            shape = self.core(torch.zeros(1, n_channels, height, width)).shape[1:]
        self.readout = nn.Sequential(
            nn.BatchNorm2d(shape[0], affine=False), nn.Dropout2d(dropout), READOUTS[readout](*shape, n_neurons)
        )

    def normalise_to(self, inputs, rates):
        if not self.config["stages"]:
            super().normalise_to(inputs, rates)
            return
        # a trained stage expects activations as the stage below gives them
        self.input_mean.zero_()
        self.input_scale.fill_(1)
        self.normalise_rates_to(rates)

    def body(self, activations):
        return self.readout(self.core(activations))

    def parameter_groups(self, learning_rate):
        groups = [{"params": list(self.readout.parameters()), "lr": learning_rate}]
        if self.config["stages"]:
            # what was learned from many images must not be overwritten by few
            groups.append({"params": list(self.core.parameters()), "lr": learning_rate / 20})
        return groups

    def train(self, mode=True):
        super().train(mode)
        # the statistics of the images that the backbone was trained on stay in force
        self.core.eval()
        return self


def _std_mean(inputs):
    """Standard deviation and mean of each channel (n_channels, 1, 1), over images and places."""
    if not isinstance(inputs, Rows):
        # some channels at a time: all of them in single precision might not fit in memory
        moments = [torch.std_mean(part.float(), dim=(0, 2, 3), keepdim=True) for part in inputs.split(64, dim=1)]
        return tuple(torch.cat(parts, dim=1)[0] for parts in zip(*moments))
    # read once, a few images at a time, all channels together; sums about a mean near the true one lose no digits
    centre, total, squares = None, 0, 0
    for part in inputs.split(8):
        values = part.movedim(1, -1).flatten(0, -2).float()
        centre = values.mean(dim=0) if centre is None else centre
        values = values.sub_(centre) if part.dtype != torch.float32 else values - centre
        total = total + values.sum(dim=0).double()
        squares = squares + values.square().sum(dim=0).double()
    n_values = inputs.shape[0] * inputs.shape[2] * inputs.shape[3]
    variance = (squares - total.square() / n_values) / (n_values - 1)
    both = variance.clamp(min=0).sqrt(), centre + total / n_values
    return tuple(values.float()[:, None, None] for values in both)


def _stages(model, stages):
    """The part of a backbone between the layer below its first stage and its last stage."""
    layers, stages = tuple(model.layers), tuple(stages)
    first = layers.index(stages[0]) if stages[0] in layers else 0
    if first == 0 or layers[first : first + len(stages)] != stages:
        raise ValueError(
            f"stages are {', '.join(stages)}; they must be successive ones of the backbone's layers "
            f"{', '.join(layers[1:])}, from any on"
        )
    return depthwise_in_float32(stages_between(model, layers[first - 1], stages[-1]))


def depthwise_in_float32(part):
    """Let convolutions of single channels compute in float32 where the rest is in bfloat16 (autocast).

    On processors their gradient takes several times as long in bfloat16. The part is changed in place and given back.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
            module.__class__ = _in_float32(type(module))
    return part


@functools.cache
def _in_float32(kind):
    class InFloat32(kind):
        def forward(self, inputs):
            if inputs.device.type != "cpu":
                return super().forward(inputs)
            with torch.autocast("cpu", enabled=False):
                return super().forward(inputs.to(self.weight.dtype))

    return InFloat32


def _convolution(n_in, n_out, kernel_size, stride=1):
    return (
        nn.Conv2d(n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )
