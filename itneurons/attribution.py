"""Where a neuron looks: what in an image its predicted rate hangs on, and its receptive field over many images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad


def attribution(neurons, image, neuron, method="integrated_gradients", n_steps=32, patch=16, stride=8):
    """What each place of an image adds to a neuron's rate, by captum.

    Parameters
    ----------
    neurons : NeuronModel
    image : picture or stimulus
        One, as ``NeuronModel.predict`` takes it.
    neuron : int
    method : {"integrated_gradients", "occlusion"}
        Integrated gradients (Sundararajan, Taly and Yan 2017) on the way from mean grey to the image; or by how much
        the rate falls when a patch of mean grey covers the place (Zeiler and Fergus 2014).
    n_steps : int
        Of integrated gradients.
    patch, stride : int
        Of occlusion, in pixels of the network's input.

    Returns
    -------
    map : array of shape (input_size, input_size)
        In the unit of the rates, positive where the image drives the neuron; that of integrated gradients sums up to
        the rate's difference from that to mean grey. Mean over members.

    Raises
    ------
    ValueError
        If there is no such neuron or method, or not one image.
    """
    # captum brings matplotlib with it
    from captum.attr import IntegratedGradients, Occlusion

    [neuron] = neurons.checked(neuron)
    stimulus = neurons.stimuli(image)
    if len(stimulus) != 1:
        raise ValueError(f"{len(stimulus)} pictures were given that can be shown; an attribution is of one")

    def rate(stimuli):
        return neurons.rates(stimuli).mean(dim=0)

    if method == "integrated_gradients":
        found = IntegratedGradients(rate).attribute(stimulus, target=neuron, n_steps=n_steps, internal_batch_size=32)
    elif method == "occlusion":
        with torch.no_grad():
            found = Occlusion(rate).attribute(
                stimulus, (3, patch, patch), strides=(3, stride, stride), target=neuron, perturbations_per_eval=32
            )
        # every channel of a pixel carries the fall of the rate
        found = found / 3
    else:
        raise ValueError(f"method is {method!r}, expected integrated_gradients or occlusion")
    return found[0].sum(dim=0).detach().cpu().numpy()


def mean_attribution(neurons, stimuli, neuron, **options):
    """Mean absolute attribution over images: a map (input_size, input_size), non-negative, with a sum of one.

    Parameters
    ----------
    neurons : NeuronModel
    stimuli : array of shape (n_images, 3, height, width)
    neuron : int
    **options
        As for ``attribution``.
    """
    found = np.mean([np.abs(attribution(neurons, stimulus, neuron, **options)) for stimulus in stimuli], axis=0)
    return found / found.sum()


@dataclass(frozen=True)
class ReceptiveFields:
    """Gaussian receptive fields.

    Attributes
    ----------
    centres : array of shape (n_neurons, 2)
        As (x, y) in fractions of the image from its middle, y downwards.
    widths : array of shape (n_neurons,)
        Standard deviations, in fractions of the image.
    explained : array of shape (n_neurons,)
        Share of the variance of the rates over places that the Gaussian explains.
    """

    centres: np.ndarray
    widths: np.ndarray
    explained: np.ndarray

    def maps(self, size=28):
        """The fields as maps (n_neurons, size, size), each with a sum of one."""
        ticks = (np.arange(size) + 0.5) / size - 0.5
        grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        maps = np.stack([_gaussian(grid, centre, width) for centre, width in zip(self.centres, self.widths)])
        return (maps / maps.sum(axis=1, keepdims=True)).reshape(-1, size, size)


def receptive_fields(neurons, stimuli, reach=0.2, n_places=5, widths=(0.2, 0.35, 0.5)):
    """The receptive fields of all neurons, from what they answer when pictures are moved about.

    Each image is shown at a grid of places, what it leaves bare filled with its own reflection. What a neuron answers
    to image i at place p is taken as b_i + a_i f(p): its liking for what is seen, times a Gaussian f that all images
    share. Of a grid of Gaussians the one is chosen that explains most variance, with a_i and b_i by least squares. An
    attribution cannot be used for that: it mixes where a neuron looks with where objects are, and liking with dislike.

    Parameters
    ----------
    neurons : NeuronModel
    stimuli : array of shape (n_images, 3, height, width)
        With their object in the middle, on average. Some sixty are enough.
    reach : float
        Largest displacement in each direction, in fractions of the image.
    n_places : int
        In each direction; every image is shown at ``n_places ** 2``.
    widths : sequence of float
        Standard deviations of the Gaussians that are tried.

    Returns
    -------
    fields : ReceptiveFields
    """
    shown, size = neurons.stimuli(stimuli), neurons.input_size
    offsets = np.round(np.linspace(-reach, reach, n_places) * size).astype(int)
    places = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2)
    margin = int(np.abs(offsets).max())
    rates = []
    with torch.inference_mode():
        for image in pad(shown, [margin] * 4, mode="reflect"):
            moved = torch.stack([image[:, margin - y :, margin - x :][:, :size, :size] for x, y in places])
            rates.append(neurons.rates(moved).mean(dim=0).cpu())
    # (n_neurons, n_images, n_places), less the mean over places
    deviations = torch.stack(rates).permute(2, 0, 1).double().numpy()
    deviations -= deviations.mean(axis=2, keepdims=True)
    squares = np.einsum("nip,niq->npq", deviations, deviations)
    ticks = np.linspace(-0.45, 0.45, 19)
    tried = [(x, y, width) for width in widths for y in ticks for x in ticks]
    shapes = np.stack([_gaussian(places / size, (x, y), width) for x, y, width in tried])
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    total = np.einsum("npp->n", squares)
    explained = np.einsum("kp,npq,kq->nk", shapes, squares, shapes, optimize=True)
    explained /= np.where(total > 0, total, 1)[:, None]
    best = explained.argmax(axis=1)
    chosen = np.array(tried)[best]
    return ReceptiveFields(chosen[:, :2], chosen[:, 2], explained[np.arange(len(best)), best])


def _gaussian(places, centre, width):
    return np.exp(-((places - np.asarray(centre)) ** 2).sum(axis=1) / (2 * width**2))
