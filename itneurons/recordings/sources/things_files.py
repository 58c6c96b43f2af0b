"""The files behind ``things``: which picture was shown when, what the electrodes recorded, and THINGS' categories."""

import warnings
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from itneurons.recordings.schema import RecordingError

N_ELECTRODES = 1024
# where a table gives the categories of each object in a column of their own, not a column to each category
LABELS = ("category", "category_label", "Top-down Category (manual selection)")
# of the objects that a table of categories leaves without one
OTHER = "other"


class Activity(NamedTuple):
    """Multi-unit activity, normalised for each electrode and day by the test presentations of that day."""

    train: np.ndarray
    """(n_train, n_electrodes), of one presentation each."""
    test: np.ndarray
    """(n_test, n_electrodes), averaged over presentations."""
    trials: np.ndarray
    """(n_trials, n_test, n_electrodes) single presentations of the test images; NaN where one is missing."""
    reliability: np.ndarray
    """(n_electrodes,) correlation over the test images between two presentations, averaged over all pairs of them; NaN
    for an electrode that recorded nothing."""


def read_order(path):
    """Read which picture was shown for each row of the activity.

    Parameters
    ----------
    path : str or Path
        ``things_imgs.mat``: in its groups ``train_imgs`` and ``test_imgs`` the dataset ``things_path`` refers to a text
        for each picture, with the slashes of Windows (``aardvark\\aardvark_01b.jpg``).

    Returns
    -------
    order : mapping of "train" and "test" to list of str
        Paths of the pictures below THINGS' folder ``object_images``: the object, a slash, the file.

    Raises
    ------
    RecordingError
        If the file cannot be read, lacks these, or names something else than a file in the folder of an object.
    """
    order = {}
    with _open(path) as file:
        for part in ("train", "test"):
            references = _read(file, f"{part}_imgs/things_path")
            try:
                texts = [file[reference][()].tobytes().decode("utf-16-le") for reference in references.flat]
            except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
                raise RecordingError(f"{path}: {part}_imgs refers to no texts: {error}. Fetch it again") from error
            order[part] = [text.replace("\\", "/") for text in texts]
    for name in (name for names in order.values() for name in names):
        parts = name.split("/")
        if len(parts) != 2 or not all(part.strip(". ") for part in parts) or {":", "\0"} & set(name):
            raise RecordingError(
                f"{path} names the picture {name!r}, expected a file in the folder of an object, such as "
                "aardvark/aardvark_01b.jpg: this is not the file that was published. Fetch it again from elsewhere"
            )
    return order


def read_activity(path, electrodes, n_train, n_test):
    """Read the activity of some electrodes.

    Parameters
    ----------
    path : str or Path
        ``THINGS_normMUA.mat``; as h5py shows them, ``train_MUA`` (n_train, 1024), ``test_MUA`` (n_test, 1024),
        ``test_MUA_reps`` (n_trials, n_test, 1024) and ``reliab`` (n_pairs_of_trials, 1024).
    electrodes : slice
    n_train, n_test : int
        Numbers of pictures.

    Returns
    -------
    activity : Activity

    Raises
    ------
    RecordingError
        If the file cannot be read, a dataset is missing or has another shape, or the trials do not average to
        ``test_MUA``.
    """
    shapes = {
        "train_MUA": (n_train, N_ELECTRODES),
        "test_MUA": (n_test, N_ELECTRODES),
        "test_MUA_reps": (None, n_test, N_ELECTRODES),
        "reliab": (None, N_ELECTRODES),
    }
    with _open(path) as file:
        found = {name: _read(file, name, shape, electrodes) for name, shape in shapes.items()}
    with warnings.catch_warnings():
        # an electrode that recorded nothing has no mean
        warnings.simplefilter("ignore", RuntimeWarning)
        means, reliability = np.nanmean(found["test_MUA_reps"], axis=0), np.nanmean(found["reliab"], axis=0)
    if not np.allclose(means, found["test_MUA"], rtol=1e-4, atol=1e-4, equal_nan=True):
        raise RecordingError(
            f"{path}: test_MUA_reps does not average to test_MUA: this is not the file that was published. Fetch it "
            "again from elsewhere"
        )
    return Activity(found["train_MUA"], found["test_MUA"], found["test_MUA_reps"], reliability)


def _open(path):
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise RecordingError(f"{path} is no readable MATLAB 7.3 file: {error}. Fetch it again") from error


def _read(file, name, shape=None, electrodes=...):
    """A dataset, in single precision where its shape is given."""
    path = file.filename
    try:
        if name not in file:
            raise RecordingError(f"{path} lacks {name}; it holds {', '.join(file) or 'nothing'}. Fetch it again")
        dataset = file[name]
        if shape is None:
            return dataset[()]
        if len(dataset.shape) != len(shape) or any(s not in (None, n) for s, n in zip(shape, dataset.shape)):
            raise RecordingError(
                f"{path}: {name} has the shape {dataset.shape}, expected {shape} for the pictures that things_imgs.mat "
                "names: the two files do not belong together. Fetch them again"
            )
        return dataset[..., electrodes].astype(np.float32)
    except (OSError, RuntimeError, KeyError, AttributeError) as error:
        raise RecordingError(f"{path}: {name} cannot be read, the file is damaged: {error}. Fetch it again") from error


def read_categories(path, objects):
    """The category of each object, in one of the tables that THINGS publishes.

    Some have a column of 0 and 1 to each category, and name the objects (``category53_wide-format.tsv``) or list all of
    them in their order (``category27_manual.tsv``); others name an object and its categories in each row
    (``concepts-metadata_things.tsv``, ``category53_long-format.tsv``). Where an object belongs to several, as an apple
    to food and fruit, the one with the fewest objects tells most about it.

    Parameters
    ----------
    path : str or Path
        With tabs, or with commas where its name ends in ``.csv``. None: no category is known.
    objects : sequence of str

    Returns
    -------
    categories : mapping of object to str
        ``"other"`` for an object that the table gives none; ``""`` for all where there is no table.

    Raises
    ------
    RecordingError
        If it is no such table, or knows none of the objects.
    """
    if path is None:
        return dict.fromkeys(objects, "")
    try:
        separator = "," if Path(path).suffix == ".csv" else "\t"
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} is no readable table of categories: {error}") from error
    named = {column: table[column].isin(objects).sum() for column in table}
    names = max(named, key=named.get, default=None)
    if table.empty or (not named[names] and len(table) != len(set(objects))):
        raise RecordingError(
            f"{path} names none of the objects, such as {', '.join(list(objects)[:3])}, and its {len(table):,} rows "
            f"are not all {len(set(objects)):,} of them either. Take category27_manual.tsv of https://osf.io/jum2f"
        )
    # THINGS sorts spaces before hyphens, digits and letters, and writes them as underscores
    rows = table[names] if named[names] else pd.Series(sorted(set(objects), key=lambda name: name.replace("_", " ")))
    label = next((column for column in LABELS if column in table), None)
    if label is not None:
        pairs = [(name, one) for name, all_of in zip(rows, table[label]) for one in all_of.split(", ") if one]
    else:
        flags = [column for column in table if set(table[column]) <= {"0", "1"}]
        pairs = [(name, column) for column in flags for name in rows[table[column] == "1"]]
    if not pairs:
        raise RecordingError(
            f"{path} holds no categories: neither a column {' or '.join(LABELS)} nor columns of 0 and 1. Take "
            "category27_manual.tsv of https://osf.io/jum2f"
        )
    size = pd.Series([category for _, category in pairs]).value_counts()
    # the last one stays: that with the fewest objects
    known = dict(sorted(pairs, key=lambda pair: (-size[pair[1]], pair[1])))
    return {name: known.get(name, OTHER) for name in objects}
