"""A recording as a notebook has it: fetched or made, read, and checked."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from itneurons.recordings import schema
from itneurons.recordings.sources import load_source
from itneurons.recordings.stimuli_on_disk import StimuliOnDisk, fits_in_memory

# in the order in which a folder is searched
FILE_NAMES = ("IT_data.h5", "IT_data_things_*.h5", "IT_data_simulated.h5", "V4_data_*.h5", "V1_data_*.h5")


class ITData(NamedTuple):
    """A recording, in the order in which every notebook of the course unpacks it."""

    stimulus_train: np.ndarray
    stimulus_val: np.ndarray
    stimulus_test: np.ndarray
    objects_train: list
    objects_val: list
    objects_test: list
    spikes_train: np.ndarray
    spikes_val: np.ndarray


def get_it_data(source="auto", folder=".", **options):
    """Make sure that a recording is there.

    Parameters
    ----------
    source : {"auto", "simulated", "course", "brainscore", "v4", "things"}
        ``"auto"`` takes ``IT_data.h5`` where the folder holds it, and otherwise makes the simulated recordings.
    folder : str or Path
    **options
        Handed to the source, for example ``url`` for a mirror, or ``session`` for ``"v4"``.

    Returns
    -------
    path : Path
        Of the HDF5 file, for ``load_it_data``.

    Raises
    ------
    ValueError
        If the source is unknown, or what lies in the folder is no recording.
    OSError
        If something cannot be fetched or written; the message says what to do.
    """
    folder = Path(folder)
    if source == "auto":
        path = folder / "IT_data.h5"
        if path.exists():
            schema.open_recording(path).close()
            return path
        print(f"{path} is not there: these are simulated recordings, not data of a brain (see README.md)")
        source = "simulated"
    return load_source(source).make(folder, **options)


def load_it_data(path_to_data=""):
    """Load a recording: images, object names, and the firing rates of the training and validation images.

    Parameters
    ----------
    path_to_data : str or Path
        The HDF5 file, or the folder that holds it.

    Returns
    -------
    data : ITData
        Stimuli (n_images, 3, height, width), float32, normalised with the ImageNet mean and standard deviation: do
        not normalise again. Those that would take more than a quarter of the memory are ``StimuliOnDisk``, which
        serves as the array does and reads images as they are needed. Object names as lists of str. Firing rates
        (n_images, n_neurons), float32.

    Raises
    ------
    FileNotFoundError
        If there is no recording.
    RecordingError
        If it is damaged, incomplete, or holds rates, images or names that cannot be right. Of stimuli on the disk a
        sample is looked at; damage in others is found when they are read.
    """
    path = _recording_path(path_to_data)
    with schema.open_recording(path) as file:
        shapes = {name: file[name].shape for name in (f"stimulus_{split}" for split in schema.SPLITS)}
        stimuli = {
            name: schema.read_array(file, name) if fits_in_memory(shape) else StimuliOnDisk(path.resolve(), name)
            for name, shape in shapes.items()
        }
        objects = {name: schema.read_array(file, name) for name in (f"object_{split}" for split in schema.SPLITS)}
        rates = {name: schema.read_array(file, name) for name in ("spikes_train", "spikes_val")}
        # where the file tells the categories, names need not
        checked = {name: names for name, names in objects.items() if name.replace("object", "category") not in file}
    looked_at = {name: _sample(values) if hasattr(values, "batches") else values for name, values in stimuli.items()}
    schema.check_content(path, looked_at, rates, checked)
    return ITData(*stimuli.values(), *objects.values(), *rates.values())


def _sample(stimuli, n_images=64):
    """Images at even distances."""
    return np.asarray(stimuli[np.linspace(0, len(stimuli) - 1, min(n_images, len(stimuli))).astype(int)])


def load_test_rates(path_to_data=""):
    """Firing rates of the test images (n_images, n_neurons), or None where the recording does not know them."""
    return _optional(path_to_data, "spikes_test")


def load_trials(path, split):
    """Single-trial responses (n_trials, n_images, n_neurons), NaN where missing; None where the file has none."""
    return _optional(path, f"trials_{split}")


def load_image_ids(path, split):
    """What the source calls each image, a list of str; None where the file does not say."""
    return _optional(path, f"image_id_{split}")


def load_noise_ceiling(path_to_data=""):
    """Exact noise ceiling (n_neurons,) where it is known, as for simulated recordings, else None."""
    return _optional(path_to_data, "noise_ceiling")


def source_of(path_to_data=""):
    """Where a recording comes from, in the words of figures and tables, for example "simulated recordings"."""
    with schema.open_recording(_recording_path(path_to_data)) as file:
        return schema.text_of(file, "source", "IT recordings (course)")


def unit_of(path_to_data=""):
    """Unit of the firing rates, as it stands on an axis, for example "spikes/s"."""
    with schema.open_recording(_recording_path(path_to_data)) as file:
        return schema.text_of(file, "unit", "as recorded")


def _optional(path_to_data, name):
    with schema.open_recording(_recording_path(path_to_data)) as file:
        if name not in file or file[name].size == 0:
            return None
        values = schema.read_array(file, name)
    if name.startswith("spikes"):
        schema.check_content(path_to_data, {}, {name: values}, {})
    return values


def _recording_path(path_to_data):
    path = Path(path_to_data)
    if not path.is_dir():
        return path
    found = [found for name in FILE_NAMES for found in sorted(path.glob(name))]
    if not found:
        raise FileNotFoundError(f"The folder {path.resolve()} holds no recording; utils.get_it_data() gets one")
    return found[0]


def object_categories(objects, path_to_data=None):
    """Category of each object name, or ``""`` for an image without a name.

    Parameters
    ----------
    objects : sequence of str
    path_to_data : str or Path, optional
        The recording, or the folder that holds it. Where it tells the categories of its objects itself, as THINGS
        does, they are taken from there, ``""`` for an object whose category is unknown. Otherwise, and without it, the
        name tells one of the eight categories of Majaj et al. 2015.

    Returns
    -------
    categories : array of shape (n_images,), str

    Raises
    ------
    RecordingError
        If no category knows a name.
    """
    known = {} if path_to_data is None else _categories(path_to_data)
    return np.array([known[name] if name in known else schema.category_of(name) for name in objects], dtype=str)


def _categories(path_to_data):
    """Categories by object name, of the objects whose category a recording tells itself."""
    known = {}
    with schema.open_recording(_recording_path(path_to_data)) as file:
        for split in schema.SPLITS:
            if f"category_{split}" in file:
                objects, categories = (schema.read_array(file, f"{kind}_{split}") for kind in ("object", "category"))
                known.update(zip(objects, categories))
    return known
