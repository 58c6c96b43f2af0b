"""One core for the neurons of several recordings, and a readout for each recording.

What differs between recordings, which neurons there are and where in the image they look, goes into the readouts. What
neurons of an area share, the features they answer to, goes into the core, which so learns from the images of all
recordings (Klindt, Ecker, Euler and Bethge 2017; Lurz et al. 2021). A new one then needs a readout, and little else.
"""

import torch
from torch import nn
from torch.nn.functional import softplus

from itneurons.features.backbones import load_backbone
from itneurons.features.stages import at_places, stages_between
from itneurons.networks.models import Network, depthwise_in_float32, scale_of
from itneurons.networks.readouts import READOUTS
from itneurons.storage.stored import fingerprint

# images of each recording that the normalisation of the core's input is taken from
_N_FOR_MOMENTS = 200


class SharedCore(Network):
    """A convolutional core on several layers of a backbone, and for each recording a readout with places.

    The layers come as one map, as ``concatenate_layers`` gives it. A convolution of 1 x 1 makes ``n_filters`` features
    of it, a residual one of 3 x 3 lets neighbouring places meet, and the rate of a neuron is ``scale *
    softplus(readout)``, its scale the standard deviation over its training images.

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the input: the concatenated layers, or with ``layers`` the activations of the first of them.
    n_neurons : int or dict of str to int
        Of each recording, by its name; a number where there is one recording. Rates of all recordings stand side by
        side in this order.
    n_filters : int
        Features of the core.
    readout : str
        One of ``readouts.READOUTS``.
    dropout : sequence of three float
        Shares of the maps dropped before the core, after its convolution, and before the readout.
    core_rate : float
        Learning rate of the core as a multiple of that of the readouts; 0 keeps it as it is.
    origin : str
        Fingerprint of the core that this one began as, whose normalisation of the input is kept; empty for a new one.
    backbone : str
        Name for ``load_backbone``, used with ``layers`` alone.
    layers : sequence of str
        Layers of the backbone, each after the one before. The input is what the first gives; the parts that lead to the
        others belong to the network and are trained with it, by ``fit_shared``. Without: the input is concatenated.
    size : int
        Layers are brought to at most so many places in height and width.
    pretrained, seed, checkpoint
        Which weights the backbone starts from, as for ``load_backbone``.

    Raises
    ------
    ValueError
        If the layers form no chain, or the input does not have the shape of the first.
    """

    def __init__(
        self,
        n_channels,
        height,
        width,
        n_neurons,
        n_filters=128,
        readout="gaussian mask",
        dropout=(0.3, 0.3, 0.2),
        core_rate=1.0,
        origin="",
        backbone="simulated",
        layers=(),
        size=7,
        pretrained=True,
        seed=0,
        checkpoint=None,
    ):
        recordings = dict(n_neurons) if isinstance(n_neurons, dict) else {"": n_neurons}
        shape = n_channels, height, width
        model = load_backbone(backbone, pretrained, seed, checkpoint) if layers else None
        stages = [depthwise_in_float32(stages_between(model, *pair)) for pair in zip(layers[:-1], layers[1:])]
        size = [min(size, height), min(size, width)] if layers else [height, width]
        maps = _concatenated(stages, torch.zeros(1, *shape), size)
        super().__init__(maps.shape[1], sum(recordings.values()))
        self.config = {
            **dict(zip(("n_channels", "height", "width"), shape)),
            "n_neurons": n_neurons,
            "n_filters": n_filters,
            "readout": readout,
            "dropout": list(dropout),
            "core_rate": core_rate,
            "origin": origin,
            "backbone": backbone,
            "layers": list(layers),
            "size": max(size),
            "pretrained": pretrained,
            "seed": seed,
            "checkpoint": None if checkpoint is None else str(checkpoint),
        }
        self.stages, self.size = nn.ModuleList(stages).eval(), size
        self.core = nn.Sequential(
            nn.Dropout2d(dropout[0]),
            nn.Conv2d(maps.shape[1], n_filters, 1, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.ELU(),
            _Residual(n_filters, dropout[1]),
            nn.Dropout2d(dropout[2]),
        )
        self.readouts = nn.ModuleList(READOUTS[readout](n_filters, *size, count) for count in recordings.values())
        for part in self.readouts:
            # every neuron begins with its mean rate, so that the core is not led by readouts that know nothing yet
            nn.init.normal_(part.features, std=0.01)
        ends = torch.tensor([0, *recordings.values()]).cumsum(0).tolist()
        # name of a recording: its readout, and where its neurons stand
        self.recordings = {name: (number, slice(*ends[number : number + 2])) for number, name in enumerate(recordings)}

    def normalise_to(self, inputs, rates):
        self.normalise_to_all({next(iter(self.recordings)): (inputs, rates)})

    @torch.no_grad()
    def normalise_to_all(self, recordings):
        """Take the normalisation of the input from all recordings together, and that of the rates from each.

        Parameters
        ----------
        recordings : dict of str to pair of tensors
            Inputs and rates (n_images, n_neurons) of each recording.
        """
        if not self.config["origin"]:
            some = [inputs[:: max(1, len(inputs) // _N_FOR_MOMENTS)] for inputs, _ in recordings.values()]
            maps = torch.cat([self.maps(part) for inputs in some for part in inputs.split(64)])
            deviation, mean = torch.std_mean(maps, dim=(0, 2, 3))
            self.input_mean.copy_(mean[:, None, None])
            self.input_scale.copy_(scale_of(deviation)[:, None, None])
        for name, (_, rates) in recordings.items():
            number, neurons = self.recordings[name]
            rates = torch.as_tensor(rates).float()
            deviation, mean = torch.std_mean(rates, dim=0)
            scale = scale_of(deviation)
            # firing rates end at zero; what can be below it, such as differences from a baseline, at its minimum
            floor = rates.amin(dim=0).clamp(max=0)
            self.rate_mean[neurons], self.rate_scale[neurons] = floor, scale
            above = ((mean - floor) / scale).clamp(min=0.05)
            self.readouts[number].bias.copy_(above.expm1().log())

    def maps(self, inputs):
        """The layers as one map (n_images, n_channels, height, width), from what is the network's input."""
        return _concatenated(self.stages, inputs.float(), self.size)

    def normalised(self, inputs):
        return (self.maps(inputs) - self.input_mean) / self.input_scale

    def rates(self, normalised, recording=None):
        """Rates (n_images, n_neurons) of one recording, or of all of them side by side."""
        features = self.core(normalised)
        numbers = range(len(self.readouts)) if recording is None else [self.recordings[recording][0]]
        neurons = slice(None) if recording is None else self.recordings[recording][1]
        drive = torch.cat([self.readouts[number](features) for number in numbers], dim=1).float()
        return self.rate_mean[neurons] + self.rate_scale[neurons] * softplus(drive)

    def parameter_groups(self, learning_rate):
        """Parameters by learning rate and weight decay: masks learn fast and freely, the backbone slowly."""
        masks = ("mask", "position", "log_spread")
        named = [(name.rpartition(".")[2], part) for name, part in self.readouts.named_parameters()]
        core, rate = list(self.core.parameters()), learning_rate * self.config["core_rate"]
        groups = [
            (list(self.stages.parameters()), rate / 6, 0.01),
            ([part for part in core if part.dim() > 1], rate, 0.05),
            ([part for part in core if part.dim() == 1], rate, 0.0),
            ([part for name, part in named if name == "features"], learning_rate, 0.1),
            ([part for name, part in named if name in masks], 3 * learning_rate, 0.0),
            ([part for name, part in named if name == "bias"], learning_rate, 0.0),
        ]
        return [{"params": params, "lr": rate, "weight_decay": decay} for params, rate, decay in groups if params]

    def train(self, mode=True):
        super().train(mode)
        # the statistics of the images that the backbone was trained on stay in force
        self.stages.eval()
        return self

    def adapted(self, n_neurons, core_rate=0.3, dropout=(0.2, 0.2, 0.2)):
        """A network for a new recording: a copy of this core and a fresh readout, untrained.

        Its input is what ``maps`` of this network gives. ``fit`` and ``train_committee`` train it.

        Parameters
        ----------
        n_neurons : int
        core_rate, dropout
            As for the class.

        Returns
        -------
        network : SharedCore
        """
        config = {name: self.config[name] for name in ("n_filters", "readout")}
        config |= {"origin": fingerprint(self), "core_rate": core_rate, "dropout": dropout}
        network = SharedCore(len(self.input_mean), *self.size, n_neurons, **config)
        network.core.load_state_dict(self.core.state_dict())
        network.input_mean.copy_(self.input_mean)
        network.input_scale.copy_(self.input_scale)
        return network


class _Residual(nn.Module):
    """A convolution of 3 x 3 beside the way straight on."""

    def __init__(self, n_filters, dropout):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(n_filters, n_filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.ELU(),
            nn.Dropout2d(dropout),
        )

    def forward(self, maps):
        return maps + self.branch(maps)


def _concatenated(stages, inputs, size):
    """What goes in and what each stage makes of it, at ``size`` places, their channels together."""
    layers = [inputs]
    for stage in stages:
        layers.append(stage(layers[-1]))
    if len(layers) == 1:
        return inputs
    return torch.cat([at_places(layer, size) for layer in layers], dim=1)
