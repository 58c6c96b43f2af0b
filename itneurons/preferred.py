"""The image that drives a neuron most: gradient ascent on what a model predicts, at fixed mean and contrast.

After Bashivan, Kar and DiCarlo (2019, doi:10.1126/science.aav9436) and Walker et al. (2019,
doi:10.1038/s41593-019-0517-x). What such images must not show is what this one network alone answers to. Against it, as
Olah, Mordvintsev and Schubert (2017, doi:10.23915/distill.00007) do: the image is made of waves whose amplitude falls
with frequency, as in natural images, so that the ascent is smooth; it is shifted at random in every step; and where
there are several networks, one takes no part and judges what came out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from itneurons.networks import centres_of
from itneurons.recordings.schema import IMAGENET_MEAN, IMAGENET_STD, to_rgb

# how the three channels of natural images go together (Olah et al. 2017, as measured on ImageNet)
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


@dataclass(frozen=True)
class PreferredImages:
    """Images made for neurons, one for each.

    Attributes
    ----------
    neurons : list of int
    stimuli : array of shape (n_images, 3, height, width), float32
        With ImageNet's normalisation; a screen can show them, and ``NeuronModel.predict`` takes them.
    rates : array of shape (n_images,)
        Of each neuron to its own image, by the members that it was made with.
    judged : array of shape (n_images,), or None
        The same by the member that had no part in it; None where there is only one.
    judge : int or None
        Its number.
    """

    neurons: list
    stimuli: np.ndarray
    rates: np.ndarray
    judged: np.ndarray | None
    judge: int | None

    @property
    def pictures(self):
        """Images (n_images, height, width, 3), uint8."""
        return (255 * to_rgb(self.stimuli)).round().astype(np.uint8)


def most_exciting_image(
    neurons,
    neuron,
    steps=60,
    seed=0,
    members=None,
    judge=None,
    like=None,
    learning_rate=0.05,
    jitter=6,
    smoothness=1.5,
    roughness=0.1,
):
    """Make an image for each neuron, all at once.

    Parameters
    ----------
    neurons : NeuronModel
    neuron : int or sequence of int
    steps : int
        Of gradient ascent (Adam).
    seed : int
        Of the noise to begin with, and of the shifts.
    members : sequence of int, optional
        Of the committee: whose mean rate is raised. All but the judge when left out.
    judge : int, optional
        The member that has no part in it; the last one that is not in ``members`` when left out. A model of one
        network has none.
    like : array of shape (n_images, 3, height, width), optional
        Stimuli whose average mean and contrast (standard deviation over the pixels of an image) the images get. Those
        of ImageNet, 0 and 1, when left out.
    learning_rate : float
    jitter : int
        Largest shift in each direction, in pixels of the network's input.
    smoothness : float
        Power of the frequency that the amplitude of a wave is divided by.
    roughness : float
        Weight of the mean squared difference between neighbouring pixels, which is kept low.

    Returns
    -------
    images : PreferredImages

    Raises
    ------
    ValueError
        If there is no such neuron or member, or the judge is among the members.
    """
    chosen = neurons.checked(neuron)
    members, judge = _divided(len(neurons.members), members, judge)
    mean, contrast = (0.0, 1.0) if like is None else _mean_and_contrast(like)
    device, size, own = neurons.device, neurons.input_size, torch.arange(len(chosen))
    low, high = (
        torch.as_tensor((limit - IMAGENET_MEAN) / IMAGENET_STD, device=device)[:, None, None] for limit in (0, 1)
    )
    generator = torch.Generator().manual_seed(seed)
    fall = _frequencies(size) ** -smoothness
    waves = torch.randn(len(chosen), 3, *fall.shape, 2, generator=generator).to(device).requires_grad_()
    fall, colours = fall.to(device)[..., None], COLOURS.to(device)

    def image():
        noise = torch.fft.irfft2(torch.view_as_complex(waves * fall), s=(size, size))
        return _brought_to(torch.einsum("cd,ndhw->nchw", colours, noise), mean, contrast).clamp(low, high)

    def drive(stimuli):
        scale = torch.stack([neurons.members[m].rate_scale[chosen] for m in members])
        return neurons.rates(stimuli, members)[:, own, chosen] / scale

    optimiser = torch.optim.Adam([waves], lr=learning_rate)
    for _ in range(steps):
        stimuli = image()
        shift = torch.randint(0, 2 * jitter + 1, (2,), generator=generator).tolist()
        loss = -drive(_shifted(stimuli, jitter, shift)).mean(dim=0).sum() + roughness * _roughness(stimuli)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # whole levels of brightness, as a file would keep them
    with torch.no_grad():
        levels = (255 * to_rgb(image().cpu())).round() / 255
        stimuli = np.moveaxis((levels - IMAGENET_MEAN) / IMAGENET_STD, -1, 1).astype(np.float32)
        each = neurons.rates(torch.as_tensor(stimuli, device=device))[:, own, chosen].cpu().numpy()
    return PreferredImages(chosen, stimuli, each[members].mean(axis=0), None if judge is None else each[judge], judge)


def place_and_size(stimuli):
    """Where the energy of images lies, and over how much of the image it spreads.

    The energy of a pixel is its squared deviation from the mean of the image, summed over channels.

    Parameters
    ----------
    stimuli : array of shape (n_images, 3, height, width)

    Returns
    -------
    centres : array of shape (n_images, 2)
        As (x, y) in fractions of the image from its middle, y downwards.
    sizes : array of shape (n_images,)
        Root of the mean squared distance of the energy from its centre, in fractions of the image.
    """
    stimuli = np.asarray(stimuli, dtype=np.float64)
    energy = np.square(stimuli - stimuli.mean(axis=(2, 3), keepdims=True)).sum(axis=1)
    energy /= energy.sum(axis=(1, 2), keepdims=True)
    centres = centres_of(energy)
    rows, columns = ((np.arange(size) + 0.5) / size - 0.5 for size in energy.shape[1:])
    distances = (columns - centres[:, :1])[:, None, :] ** 2 + (rows - centres[:, 1:])[:, :, None] ** 2
    return centres, np.sqrt((energy * distances).sum(axis=(1, 2)))


def _divided(n_members, members, judge):
    """Which members optimise, and which one judges."""
    if members is None:
        if judge is None and n_members > 1:
            judge = n_members - 1
        members = [m for m in range(n_members) if m != judge]
    members = list(members)
    others = [m for m in range(n_members) if m not in members]
    if judge is None and others:
        judge = others[-1]
    known = range(n_members)
    if not members or judge in members or any(m not in known for m in members) or judge not in (None, *known):
        raise ValueError(
            f"members={members} and judge={judge} do not fit a committee of {n_members}: they are numbers from 0 to "
            f"{n_members - 1}, and the judge must not be among the members"
        )
    return members, judge


def _mean_and_contrast(stimuli):
    stimuli = torch.as_tensor(np.asarray(stimuli)).flatten(1)
    return stimuli.mean().item(), stimuli.std(dim=1).mean().item()


def _frequencies(size):
    """Frequencies (size, size // 2 + 1) in cycles per pixel; that of the mean counts as the lowest of the others."""
    radius = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size))
    return radius.clamp(min=1 / size) * size


def _brought_to(images, mean, contrast):
    deviation, middle = torch.std_mean(images, dim=(1, 2, 3), keepdim=True)
    return mean + contrast * (images - middle) / (deviation + 1e-8)


def _shifted(stimuli, jitter, shift):
    if not jitter:
        return stimuli
    size, (down, right) = stimuli.shape[-1], shift
    return pad(stimuli, [jitter] * 4, mode="reflect")[..., down : down + size, right : right + size]


def _roughness(stimuli):
    return sum(stimuli.diff(dim=axis).square().mean(dim=(1, 2, 3)).sum() for axis in (2, 3))
