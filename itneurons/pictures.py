"""Pictures of any kind as stimuli: files, folders, PIL images and arrays, each with a name.

A picture is shown as a camera's owner expects: turned as its EXIF says, the first frame where there are several,
what is transparent on mid grey, the largest square in its middle. What is no picture is left out by name.
"""

import itertools
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn.functional import interpolate

from itneurons.recordings.schema import IMAGE_SIZE, IMAGENET_MEAN, IMAGENET_STD, normalise

# what cameras, browsers and papers write; others run foreign programs to be read (EPS), or are no pictures (PDF)
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
GREY = (128, 128, 128)
_LOWEST = (-IMAGENET_MEAN / IMAGENET_STD).min() - 0.1
_HIGHEST = ((1 - IMAGENET_MEAN) / IMAGENET_STD).max() + 0.1


class PictureError(ValueError):
    """Something is no picture that can be shown; the message says why."""


def named_pictures(pictures):
    """What was given, one picture after another, each with its name.

    Parameters
    ----------
    pictures : path, PIL image, array, or a list of them
        The path of a file, or of a folder: all pictures in it, in alphabetical order. Arrays as for ``to_stimulus``;
        one of four dimensions holds several pictures.

    Yields
    ------
    name : str
        The path; for an array ``"picture 3"`` by its position among all.
    picture : Path, PIL image or array
    """
    position = itertools.count()
    for picture in pictures if isinstance(pictures, (list, tuple)) else [pictures]:
        for name, single in _singles(picture):
            number = next(position)
            yield name or f"picture {number}", single


def _singles(picture):
    if isinstance(picture, (str, os.PathLike)):
        path = Path(picture)
        if not path.is_dir():
            return [(str(path), path)]
        inside = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in _suffixes())
        if not inside:
            warnings.warn(f"The folder {path} holds no pictures", stacklevel=4)
        return [(str(file), file) for file in inside]
    if isinstance(picture, Image.Image):
        return [(str(getattr(picture, "filename", "")), picture)]
    if len(getattr(picture, "shape", ())) == 4:
        # row by row: a recording may lie on disk, and is read as it is needed
        return ((None, picture[row]) for row in range(len(picture)))
    return [(None, picture)]


def _suffixes():
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS} - {".pdf"}


def to_stimulus(picture, size=IMAGE_SIZE):
    """One picture as a recording holds it.

    Parameters
    ----------
    picture : Path, PIL image or array
        Arrays are a picture of bytes (height, width), (height, width, 3 or 4), or of floats in [0, 1]
        (height, width, 3); or a stimulus, as ``load_it_data`` gives it: floats (3, height, width), normalised with the
        ImageNet mean and standard deviation, which is taken as it is.
    size : int
        Height and width in pixels of what is shown: the largest square in the middle, resized with antialiasing.
        A square picture of this size keeps its pixels.

    Returns
    -------
    stimulus : array of shape (3, size, size), float32
        Normalised with the ImageNet mean and standard deviation.

    Raises
    ------
    PictureError
        If it is no picture, is damaged, or would take more pixels than Pillow takes for safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if isinstance(picture, Path):
                with Image.open(picture, formats=_known_formats()) as opened:
                    # a JPEG far larger than what is shown is decoded at a half, a quarter or an eighth
                    opened.draft(None, (4 * size, 4 * size))
                    return _shown(opened, size)
            if isinstance(picture, Image.Image):
                return _shown(picture, size)
            return _from_array(np.asarray(picture), size)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("there is no such file") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = Image.MAX_IMAGE_PIXELS
        raise PictureError(f"it has more than {most:,} pixels; make it smaller first") from None
    except Exception as error:
        # a damaged file makes the decoders raise whatever they meet first
        raise PictureError(f"it cannot be read as a picture ({str(error).partition(chr(10))[0]})") from error


def _known_formats():
    Image.init()
    return [kind for kind in FORMATS if kind in Image.OPEN]


def _shown(image, size):
    """The stimulus of a PIL image."""
    # Pillow itself cuts off what lies above eight bits
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise PictureError("it holds floats whose range is unknown; make it bytes first")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*GREY, 255)), image)
    image = image.convert("RGB")
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return normalise(np.asarray(image))


def _from_array(array, size):
    if array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3, 4))):
        return _shown(Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array), size)
    if array.dtype.kind == "f" and array.ndim == 3:
        if not np.isfinite(array).all():
            raise PictureError("it holds NaN or infinite values")
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        if len(array) == 3 and array.shape[1] == array.shape[2]:
            if _LOWEST <= low and high <= _HIGHEST:
                return array.astype(np.float32)
            raise PictureError(
                f"it lies in [{low:.3g}, {high:.3g}], but stimuli normalised with the ImageNet mean and standard "
                f"deviation lie in [{_LOWEST:.3g}, {_HIGHEST:.3g}]"
            )
        if array.shape[-1] == 3 and low >= 0 and high <= 1:
            return _shown(Image.fromarray((255 * array).round().astype(np.uint8)), size)
    raise PictureError(
        f"it is an array of {array.dtype} of the shape {array.shape}; expected bytes (height, width) or "
        "(height, width, 3 or 4), floats in [0, 1] (height, width, 3), or a normalised stimulus (3, size, size)"
    )


def stimuli_of(pictures, input_size, size=IMAGE_SIZE, batch_size=256):
    """Pictures in batches, at the size that a network takes; what is no picture is left out, and a warning says so.

    Parameters
    ----------
    pictures
        As for ``named_pictures``.
    input_size : int
        Height and width of what is given. Resized with antialiasing, as ``extract_activations`` does it.
    size : int
        Height and width of the recording's stimuli, which pictures are brought to first.
    batch_size : int

    Yields
    ------
    names : list of str
    stimuli : tensor of shape (n_images, 3, input_size, input_size)
        Normalised with the ImageNet mean and standard deviation.
    left_out : dict of str to str
        Names and reasons.
    """
    found = named_pictures(pictures)
    while batch := list(itertools.islice(found, batch_size)):
        names, stimuli, left_out = [], [], {}
        for name, picture in batch:
            try:
                stimulus = torch.from_numpy(to_stimulus(picture, size))
            except PictureError as reason:
                left_out[name] = str(reason)
                warnings.warn(f"{name} is left out: {reason}", stacklevel=3)
                continue
            names.append(name)
            stimuli.append(_resized(stimulus, input_size))
        yield names, torch.stack(stimuli) if stimuli else torch.empty(0, 3, input_size, input_size), left_out


def _resized(stimulus, size):
    if stimulus.shape[-1] == size:
        return stimulus
    resized = interpolate(stimulus[None], size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0]
