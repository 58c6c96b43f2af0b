"""Arrays that were costly to make, stored with a note of what they were made of, and used only while it holds."""

import json
from pathlib import Path

import h5py
import numpy as np

from recordings.files import written_whole


def store(path, key, arrays):
    """Write arrays with the key that says what they were made of; the file appears only when it is whole.

    Parameters
    ----------
    path : str or Path
    key : dict of str to str, int, float or lists of them
    arrays : dict of str to array or number

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    """
    arrays = {name: np.atleast_1d(values) for name, values in arrays.items()}
    size = sum(values.nbytes for values in arrays.values())
    # latest: this version of HDF5's format checks its own structure, and fletcher32 its contents
    with written_whole(path, size) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        # of fixed length: text of variable length has no checksum
        file.attrs["key"] = np.bytes_(json.dumps(key, sort_keys=True).encode())
        for name, values in arrays.items():
            # the checksum needs chunks, and chunks need content
            filled = values.size > 0
            file.create_dataset(name, data=values, chunks=filled or None, fletcher32=filled)


def load(path, key):
    """Read arrays if they were made of what the key says.

    Parameters
    ----------
    path : str or Path
    key : dict

    Returns
    -------
    arrays : dict of str to array, or None
        None if they cannot be used.
    reason : str or None
        Why they cannot be used.
    """
    path = Path(path)
    if not path.exists():
        return None, "there is no such file"
    try:
        with h5py.File(path, "r") as file:
            stored = json.loads(file.attrs["key"])
            different = [name for name in key if stored.get(name) != key[name]]
            if different:
                return None, f"it was made with other {', '.join(different)}"
            # by name: file.items() gives None for what is damaged
            return {name: file[name][()] for name in file}, None
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        return None, f"it is damaged ({error})"
