"""Natural-looking backgrounds: crops of photographs, coloured 1/f noise, and mixtures of both.

The two sets of sources, "experiment" and "training", share no pixel: each has its own halves of the two photographs
that scikit-learn ships, and its own noise.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageFilter

SOURCES = ("experiment", "training")
# mean colours of foliage, earth, stone, sky, sand and dusk
TINTS = np.array([[95, 120, 75], [125, 100, 80], [125, 125, 122], [115, 135, 160], [160, 140, 110], [90, 90, 110]])


@cache
def photographs(source):
    """The photographs of one set, as a list of PIL images."""
    # imported here: it takes a second that a program without stimuli need not spend
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    middle = china.shape[1] // 2
    left, right = slice(0, middle), slice(middle, None)
    halves = (china[:, left], flower[:, right]) if source == "experiment" else (china[:, right], flower[:, left])
    return [Image.fromarray(np.ascontiguousarray(half)) for half in halves]


@cache
def textures(source, count=12, size=256):
    """Periodic coloured noise whose amplitude falls as a power of frequency near 1/f, as a list of PIL images."""
    rng = np.random.default_rng([73, SOURCES.index(source)])
    x, y = np.fft.rfftfreq(size), np.fft.fftfreq(size)[:, None]
    images = []
    for index in range(count):
        # the two sets also differ in the slope of their spectra; half of the textures have a direction
        slope = 1.0 + 0.5 * (index + SOURCES.index(source) / 2) / count
        angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 3) if index % 2 else 1.0
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        radius = np.hypot(along, across * stretch)
        radius[0, 0] = np.inf
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((3, size, size))) / radius**slope, s=(size, size))
        noise /= noise.std(axis=(1, 2), keepdims=True)
        # a strong common part in the three channels: natural images vary most in luminance
        colour = noise[:1] + rng.uniform(0.1, 0.3) * noise
        tint = rng.choice(TINTS) + rng.uniform(-12, 12, 3)
        pixels = tint[:, None, None] + rng.uniform(28, 45) * colour
        images.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0)))
    return images


def _crop(image, size, rng, least):
    """A square crop, random in place, scale, mirroring and quarter turns, as floats (size, size, 3) in 0..1."""
    side = rng.uniform(least, 1.0) * min(image.size)
    left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    crop = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.25:
        crop = crop.transpose(Image.Transpose.ROTATE_90)
    blur = max(0, rng.uniform(-0.004, 0.008)) * size
    if blur > 0.3:
        crop = crop.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(crop, dtype=np.float32) / 255


def _graded(pixels, rng):
    """Other colours and contrast for the same picture."""
    if rng.random() < 0.06:
        pixels = pixels[..., rng.permutation(3)]
    mean = pixels.mean(axis=(0, 1))
    # towards grey, as most natural scenes are
    grey = rng.uniform(0, 0.7)
    mix = (1 - grey) * np.eye(3) + grey / 3
    gain = rng.uniform(0.7, 1.15) * rng.uniform(0.95, 1.05, 3)
    level = rng.uniform(0.3, 0.62) + rng.uniform(-0.03, 0.03, 3) + 0.7 * (1 - grey) * (mean - mean.mean())
    return pixels @ (mix * gain).astype(np.float32) + (level - mean @ (mix * gain)).astype(np.float32)


def background(size, rng, source):
    """A background of shape (size, size, 3), float32 in 0..1.

    Parameters
    ----------
    size : int
        Pixels; the same picture comes out at every size.
    rng : numpy.random.Generator
    source : "experiment" or "training"
    """

    def picture():
        if rng.random() < 0.65:
            images, least = photographs(source), 0.3
        else:
            images, least = textures(source), 0.5
        return _graded(_crop(images[rng.integers(len(images))], size, rng, least), rng)

    pixels = picture()
    if rng.random() < 0.5:
        # a second picture, divided from the first by a horizon or by the edge of a smooth cloud
        cloud = Image.fromarray(rng.standard_normal((5, 5)).astype(np.float32))
        cloud = np.asarray(cloud.resize((size, size), Image.Resampling.BICUBIC))
        if rng.random() < 0.5:
            horizon = (np.arange(size) + 0.5) / size - rng.uniform(0.35, 0.75)
            cloud = 0.15 * cloud + 12 * horizon[:, None]
        weight = 0.5 + 0.5 * np.tanh(rng.uniform(1, 6) * cloud).astype(np.float32)
        pixels += weight[..., None] * (picture() - pixels)
    slope = rng.uniform(-0.18, 0.18, 2)
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    pixels *= 1 + (slope[0] * ramp[:, None] + slope[1] * ramp).astype(np.float32)[..., None]
    return np.clip(pixels, 0, 1)
