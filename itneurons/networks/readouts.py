"""Readouts: from a map of features to one number a neuron, each neuron with a place in the image."""

import numpy as np
import torch
from torch import nn

# weights for every place and feature of all neurons: more than so many no longer stay in a processor's cache
_MOST_WEIGHTS = 2**22


def _read_out(maps, features, masks, bias):
    """Rates ``sum_cp maps[i, c, p] features[n, c] masks[n, p] + bias[n]``, in whichever order moves less memory."""
    if len(features) * maps.shape[1:].numel() <= _MOST_WEIGHTS:
        # one weight for each place and feature: a single matrix product, however many neurons
        weights = torch.einsum("nc,np->ncp", features, masks).flatten(1)
        return nn.functional.linear(maps.flatten(1), weights, bias)
    # features first: as many products, but neither these weights nor maps laid out anew
    drive = torch.einsum("icp,nc->inp", maps.flatten(2), features)
    return (drive * masks).sum(dim=2) + bias


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
        return _read_out(maps, self.features, self.mask, self.bias)

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


class GaussianMaskReadout(nn.Module):
    """A feature vector for each neuron, read out under a Gaussian mask whose centre and widths are learned.

    Factorised as in Klindt et al. (2017), with four numbers for the mask as in Lurz et al. (2021): what is left of a
    mask where images are few.

    Parameters
    ----------
    n_channels, height, width : int
        Shape of the core's output.
    n_neurons : int
    spread : float
        Standard deviation of the mask to begin with, where the map reaches from -1 to 1.
    """

    def __init__(self, n_channels, height, width, n_neurons, spread=0.5):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(n_neurons, 2))
        self.log_spread = nn.Parameter(torch.full((n_neurons, 2), spread).log())
        self.features = nn.Parameter(torch.randn(n_neurons, n_channels) / n_channels**0.5)
        self.bias = nn.Parameter(torch.zeros(n_neurons))
        self.shape = (height, width)
        x, y = ((torch.arange(size) + 0.5) / size * 2 - 1 for size in (width, height))
        places = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)]).flatten(1)
        self.register_buffer("places", places, persistent=False)

    def forward(self, maps):
        return _read_out(maps, self.features, self._mask(), self.bias)

    def _mask(self):
        # neither narrower than a place of a coarse map nor without a place
        distance = (self.places - self.position[..., None]) / self.log_spread.clamp(-2.5, 1).exp()[..., None]
        return torch.softmax(-0.5 * distance.square().sum(dim=1), dim=1)

    def fields(self):
        """Spatial masks (n_neurons, height, width), each with a sum of one."""
        return self._mask().detach().reshape(-1, *self.shape)

    def centres(self):
        """Positions (n_neurons, 2) as (x, y) in fractions of the image from its middle, y downwards."""
        return (self.position.detach().cpu() * 0.5).numpy()


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


# the names by which ``BackboneReadout`` and its checkpoints know them
READOUTS = {"factorised": FactorisedReadout, "gaussian": GaussianReadout, "gaussian mask": GaussianMaskReadout}
