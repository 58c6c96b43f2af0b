"""The layout of a recording: one HDF5 file of stimuli, firing rates and object names.

Every source ends in this file, and everything after it reads this file alone. It is the layout of the course's
``IT_data.h5`` with a few optional additions:

=====================  ===========================================  ==============================================
dataset                shape and type                               meaning
=====================  ===========================================  ==============================================
stimulus_<split>       (n_images, 3, height, width) float           RGB, normalised with the ImageNet statistics; or
                       or uint8                                     bytes, whose attributes ``mean`` and ``std`` say by
                                                                    what they are normalised as they are read
object_<split>         (n_images,) bytes, latin-1                   object name; empty where there is none
category_<split>       (n_images,) bytes, latin-1                   optional: the object's category where its name does
                                                                    not tell it; empty where it is unknown
image_id_<split>       (n_images,) bytes, latin-1                   optional: what the source calls the image
spikes_<split>         (n_images, n_neurons) float                  mean firing rate; the test split may lack it
trials_<split>         (n_trials, n_images, n_neurons) float        optional; NaN where a trial is missing
noise_ceiling          (n_neurons,) float                           optional; exact explained variance of a
                                                                    perfect model, where it is known
=====================  ===========================================  ==============================================

with <split> one of train, val and test; the file's attributes are ``source``, ``version``, ``seed``,
``citation``, ``unit``, ``settings``.
"""

import contextlib
from pathlib import Path

import h5py
import numpy as np
from tqdm.auto import tqdm

from itneurons.storage.files import written_whole
from itneurons.storage.stored import create, write_checked, write_text

VERSION = 1
SPLITS = ("train", "val", "test")
IMAGE_SIZE = 224
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

MAJAJ_2015 = (
    "Majaj NJ, Hong H, Solomon EA, DiCarlo JJ (2015). Simple learned weighted sums of inferior temporal neuronal "
    "firing rates accurately predict human core object recognition performance. Journal of Neuroscience "
    "35(39):13402-13418"
)
# bytes of all images of a recording as floats; a larger recording stores bytes
FLOATS_UP_TO = 4e9
# the eight categories of Majaj et al. 2015: six are named in the object's name, two list their members
NAMED_CATEGORIES = ("face", "car", "chair", "airplane", "table", "ship")
LISTED_CATEGORIES = {
    "fruit": ("apple", "apricot", "peach", "pear", "raspberry", "strawberry", "walnut", "watermelon"),
    "animal": ("bear", "cow", "dog", "elephant", "gorilla", "hedgehog", "lioness", "turtle"),
}
CATEGORIES = ("animal", "airplane", "car", "chair", "face", "fruit", "ship", "table")


class RecordingError(ValueError):
    """A recording does not hold what the analysis needs; the message says what, where, and what to do."""


def category_of(name):
    """Category of an object by its name, e.g. ``"car"`` for ``"car3"``; ``""`` for the empty name.

    Raises
    ------
    RecordingError
        If no category knows the name.
    """
    if not name:
        return ""
    lowered = name.lower()
    for category, members in LISTED_CATEGORIES.items():
        if any(lowered.startswith(member) for member in members):
            return category
    for category in NAMED_CATEGORIES:
        if category in lowered:
            return category
    raise RecordingError(
        f"No category knows the object {name!r}. Names hold one of {', '.join(NAMED_CATEGORIES)}, or are one of "
        + ", ".join(member for members in LISTED_CATEGORIES.values() for member in members)
    )


def _levels():
    """What each of the 256 levels of each of the three channels is when it is normalised."""
    levels = (np.arange(256, dtype=np.float32) / 255 - IMAGENET_MEAN[:, None]) / IMAGENET_STD[:, None]
    # eleven significant bits tell the levels apart (the error is a fifteenth of a level), and files get a third smaller
    return levels.astype(np.float16).astype(np.float32)


def normalise(images):
    """RGB bytes (..., height, width, 3) to ImageNet-normalised floats (..., 3, height, width)."""
    # a table of 256 levels a channel: no image is touched twice
    return np.stack([levels[images[..., channel]] for channel, levels in enumerate(_levels())], axis=-3)


def to_rgb(stimulus):
    """Undo the ImageNet normalisation: (..., 3, height, width) floats to (..., height, width, 3) in [0, 1]."""
    channels_last = np.moveaxis(np.asarray(stimulus), -3, -1)
    return np.clip(channels_last * IMAGENET_STD + IMAGENET_MEAN, 0, 1)


def write(
    path,
    images,
    rates,
    objects,
    *,
    source,
    seed,
    citation,
    unit="as recorded",
    settings="",
    trials=None,
    noise_ceiling=None,
    categories=None,
    image_ids=None,
    image_size=IMAGE_SIZE,
):
    """Write a recording; the file appears at ``path`` only when it is whole.

    Images that would take more than ``FLOATS_UP_TO`` bytes as floats are stored as the bytes that they are; reading
    gives the same numbers for both.

    Parameters
    ----------
    path : str or Path
    images : mapping of split to iterable of arrays of shape (height, width, 3), uint8
        RGB, all of one size; taken one by one, so that they never lie in memory together.
    rates : mapping of split to array of shape (n_images, n_neurons)
        Mean firing rates; the test split may be missing.
    objects : mapping of split to sequence of str
        Object names, ``""`` where an image has none.
    source, citation : str
        Where the recording comes from, and what to cite for it.
    seed : int
        The seed that drew the splits, or the simulation.
    unit : str
        Of the rates, as it stands on an axis, for example ``"spikes/s"``.
    settings : str
        What the file was made with, for who asks whether to make it anew.
    trials : mapping of split to array of shape (n_trials, n_images, n_neurons), optional
    noise_ceiling : array of shape (n_neurons,), optional
    categories : mapping of split to sequence of str, optional
        Of the objects, where their names do not tell them (``category_of``); ``""`` where one is unknown.
    image_ids : mapping of split to sequence of str, optional
    image_size : int
        Height and width, by which it is told beforehand how much room all images take.

    Returns
    -------
    path : Path

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    RecordingError
        If the numbers of images, names and rates disagree.
    """
    path = Path(path)
    trials = trials or {}
    total = sum(len(names) for names in objects.values())
    numbers = [np.asarray(values) for mapping in (rates, trials) for values in mapping.values()]
    as_bytes = 4 * total * 3 * image_size**2 > FLOATS_UP_TO
    bytes_needed = (1 if as_bytes else 4) * total * 3 * image_size**2 + 4 * sum(values.size for values in numbers)
    with (
        written_whole(path, bytes_needed) as temporary,
        create(temporary) as file,
        tqdm(total=total, unit="image", desc=path.name) as progress,
    ):
        file.attrs.update(version=VERSION, seed=seed)
        for name, text in {"source": source, "citation": citation, "unit": unit, "settings": settings}.items():
            write_text(file, name, text)
        for split in SPLITS:
            _write_images(file, split, images[split], len(objects[split]), as_bytes, progress)
            for kind, names in (("object", objects), ("category", categories or {}), ("image_id", image_ids or {})):
                if split in names:
                    encoded = np.array([name.encode("latin-1") for name in names[split]], dtype="S")
                    write_checked(file, f"{kind}_{split}", encoded)
            for kind, values in (("spikes", rates), ("trials", trials)):
                if split in values:
                    write_checked(file, f"{kind}_{split}", np.asarray(values[split], dtype=np.float32))
        if noise_ceiling is not None:
            write_checked(file, "noise_ceiling", np.asarray(noise_ceiling, dtype=np.float32))
        check_layout(file, path)
    return path


def _write_images(file, split, images, n_images, as_bytes, progress):
    dataset, count = None, 0
    name, dtype = f"stimulus_{split}", "u1" if as_bytes else "f4"
    for count, image in enumerate(images, start=1):
        if dataset is None:
            shape = (3, *image.shape[:2])
            # not compressed: half the room would cost four times the time, whenever a notebook loads it
            dataset = file.create_dataset(
                name, shape=(n_images, *shape), dtype=dtype, chunks=(1, *shape), fletcher32=True
            )
        if count > n_images:
            break
        dataset[count - 1] = np.moveaxis(image, -1, 0) if as_bytes else normalise(image)
        progress.update()
    if count != n_images:
        raise RecordingError(f"The {split} split has {n_images} object names but {count} images were given")
    if dataset is None:
        dataset = file.create_dataset(name, shape=(0, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=dtype)
    if as_bytes:
        dataset.attrs.update(mean=IMAGENET_MEAN, std=IMAGENET_STD)


def check_layout(file, path):
    """Check the names and shapes of an open recording.

    Parameters
    ----------
    file : h5py.File
    path : str or Path
        Named in the messages.

    Raises
    ------
    RecordingError
        If a dataset is missing, or its shape or type does not fit.
    """
    required = [f"{kind}_{split}" for kind in ("stimulus", "object") for split in SPLITS]
    missing = [name for name in (*required, "spikes_train", "spikes_val") if name not in file]
    if missing:
        raise RecordingError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(file) or 'nothing'}. "
            "It is no recording in the layout of the course's IT_data.h5: remove it and fetch it again"
        )
    n_neurons = file["spikes_train"].shape[-1]
    image_shape = file["stimulus_train"].shape[1:]
    for split in SPLITS:
        stimuli = file[f"stimulus_{split}"]
        n_images = len(stimuli)
        if stimuli.ndim != 4 or stimuli.shape[1:] != image_shape or image_shape[0] != 3:
            raise RecordingError(
                f"{path}: stimulus_{split} has the shape {stimuli.shape}, expected (n_images, 3, height, width) "
                "and one image size in all splits"
            )
        if stimuli.dtype.kind != "f" and not _says_how_to_normalise(stimuli):
            raise RecordingError(
                f"{path}: stimulus_{split} holds {stimuli.dtype}, expected floats that are normalised with the "
                "ImageNet mean and standard deviation (recordings.schema.normalise turns RGB bytes into them), or "
                f"uint8 with attributes mean {IMAGENET_MEAN.tolist()} and std {IMAGENET_STD.tolist()}"
            )
        expected = {
            f"object_{split}": (n_images,),
            f"category_{split}": (n_images,),
            f"image_id_{split}": (n_images,),
            f"spikes_{split}": (n_images, n_neurons),
            f"trials_{split}": (None, n_images, n_neurons),
        }
        for name, shape in expected.items():
            if name in file and not _fits(file[name].shape, shape):
                raise RecordingError(
                    f"{path}: {name} has the shape {file[name].shape}, expected {shape} because there are "
                    f"{n_images} {split} stimuli and {n_neurons} neurons"
                )
    if "noise_ceiling" in file and file["noise_ceiling"].shape != (n_neurons,):
        raise RecordingError(
            f"{path}: noise_ceiling has the shape {file['noise_ceiling'].shape}, expected {(n_neurons,)}"
        )
    for split in ("train", "val"):
        if not len(file[f"stimulus_{split}"]):
            raise RecordingError(f"{path}: the {split} split is empty; training and validation images are needed")


def _says_how_to_normalise(stimuli):
    """Whether these are bytes that are to be normalised as all recordings are."""
    said = [np.ravel(stimuli.attrs.get(name, ())) for name in ("mean", "std")]
    return stimuli.dtype == np.uint8 and all(
        np.shape(found) == (3,) and np.allclose(found, wanted, atol=1e-6)
        for found, wanted in zip(said, (IMAGENET_MEAN, IMAGENET_STD))
    )


def _fits(shape, expected):
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected))


def check_content(path, stimuli, rates, objects):
    """Check the values of a recording that was read.

    Parameters
    ----------
    path : str or Path
        Named in the messages.
    stimuli : mapping of dataset name to array of shape (n_images, 3, height, width)
    rates : mapping of dataset name to array of shape (n_images, n_neurons)
    objects : mapping of dataset name to sequence of str

    Raises
    ------
    RecordingError
        If rates are not finite, images are not in the range that ImageNet normalisation gives, or an object
        belongs to no category.
    """
    for name, values in rates.items():
        bad = ~np.isfinite(values)
        if bad.any():
            images, neurons = np.flatnonzero(bad.any(axis=1)), np.flatnonzero(bad.any(axis=0))
            raise RecordingError(
                f"{path}: {name} has {bad.sum()} rates that are NaN or infinite, in neurons {_few(neurons)} at "
                f"images {_few(images)}. Leave these neurons or images out of the file: no score is defined for them"
            )
    lowest = (-IMAGENET_MEAN / IMAGENET_STD).min()
    highest = ((1 - IMAGENET_MEAN) / IMAGENET_STD).max()
    for name, values in stimuli.items():
        if not values.size:
            continue
        low, high = values.min(), values.max()
        # written so that NaN fails too
        if not (low >= lowest - 0.1 and high <= highest + 0.1):
            raise RecordingError(
                f"{path}: {name} lies in [{low:.3g}, {high:.3g}], but images normalised with the ImageNet mean and "
                f"standard deviation lie in [{lowest:.3g}, {highest:.3g}]. Were they normalised twice, or not at all?"
            )
    for name, names in objects.items():
        for index, object_name in enumerate(names):
            try:
                category_of(object_name)
            except RecordingError as error:
                raise RecordingError(f"{path}: {name}[{index}]: {error}") from None


def _few(indices, most=5):
    listed = ", ".join(map(str, indices[:most]))
    return listed + (f" and {len(indices) - most} more" if len(indices) > most else "")


def open_recording(path):
    """Open a recording for reading, with its layout checked.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        If it cannot be read as HDF5 or does not have the layout.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no recording at {path}; utils.get_it_data() gets one")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise RecordingError(
            f"{path} ({path.stat().st_size:,} bytes) is no readable HDF5 file, perhaps cut off or not a recording at "
            f"all: {error}. Remove it and get it again with utils.get_it_data()"
        ) from error
    try:
        check_layout(file, path)
        # reading them checks their sums
        dict(file.attrs)
    except RecordingError:
        file.close()
        raise
    except (OSError, RuntimeError, KeyError) as error:
        file.close()
        raise RecordingError(
            f"{path} is damaged: {error}. Remove it and get it again with utils.get_it_data()"
        ) from error
    return file


def text_of(file, name, default=""):
    """An attribute of an open recording as text, or the default where it has none."""
    value = file.attrs.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def read_array(file, name):
    """One dataset of an open recording as a native float32 array, or a list of str for names.

    Raises
    ------
    RecordingError
        If the bytes on disk do not agree with their checksum, or end too early.
    """
    dataset = file[name]
    if dataset.dtype == np.uint8 and name.startswith("stimulus_"):
        values = np.empty(dataset.shape, dtype=np.float32)
        # some images at a time: the bytes never lie beside the floats
        for start in range(0, len(values), 256):
            values[start : start + 256] = read_images(dataset, slice(start, start + 256))
        return values
    with _damage_named(dataset):
        if name.startswith(("object_", "category_", "image_id_")):
            return [bytes(value).decode("latin-1") for value in dataset[()]]
        values = np.empty(dataset.shape, dtype=np.float32)
        if dataset.size:
            dataset.read_direct(values)
        return values


def read_images(dataset, images):
    """Some images of a stimulus dataset of an open recording, normalised, whatever the file keeps them as.

    Bytes become what ``normalise`` makes of them, to the last digit.

    Parameters
    ----------
    dataset : h5py.Dataset
    images : slice

    Returns
    -------
    values : array of shape (n_images, 3, height, width), float32

    Raises
    ------
    RecordingError
        If the bytes on disk do not agree with their checksum, or end too early.
    """
    with _damage_named(dataset):
        read = dataset[images]
    if read.dtype != np.uint8:
        return read.astype(np.float32, copy=False)
    values = np.empty(read.shape, dtype=np.float32)
    table = _levels()
    for image, place in zip(read, values):
        for channel in range(3):
            # into their place, without a check of bytes that cannot be out of range: four times as fast
            np.take(table[channel], image[channel], out=place[channel], mode="clip")
    return values


@contextlib.contextmanager
def _damage_named(dataset):
    try:
        yield
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{dataset.file.filename}: {dataset.name.strip('/')} cannot be read, the file is damaged: {error}. "
            "Remove it and get it again with utils.get_it_data()"
        ) from error
