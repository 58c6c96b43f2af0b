"""Arrays that know what they were made of, and are used only while it holds.

One idea serves layers, models and recordings: what is stored says what it was ``made_of``; what was made of something
else, or is damaged, is made anew, and a line says why.
"""

import contextlib
import hashlib
import json
from pathlib import Path

import h5py
import numpy as np

from itneurons.storage.files import written_whole


class UnusableError(ValueError):
    """What is stored was made of something else, or is damaged; the message says which."""


def store(path, made_of, arrays):
    """Write arrays with what they were made of; the file appears only when it is whole.

    Parameters
    ----------
    path : str or Path
    made_of : dict of str to str, int, float or lists of them
    arrays : dict of str to array or number

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    """
    arrays = {name: np.atleast_1d(values) for name, values in arrays.items()}
    size = sum(values.nbytes for values in arrays.values())
    with written(path, made_of, size) as file:
        for name, values in arrays.items():
            write_checked(file, name, values)


@contextlib.contextmanager
def written(path, made_of, size):
    """A new HDF5 file that says what it was made of, and appears only when the block is done; see ``store``."""
    with written_whole(path, size) as temporary, create(temporary) as file:
        write_text(file, "key", json.dumps(made_of, sort_keys=True))
        yield file


def load(path, made_of):
    """Read arrays that were made of the same.

    Parameters
    ----------
    path : str or Path
    made_of : dict

    Returns
    -------
    arrays : dict of str to array

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnusableError
        If they were made of something else, or the file is damaged.
    """
    with opened(path, made_of) as file:
        # by name: file.items() gives None for what is damaged
        return {name: file[name][()] for name in file}


@contextlib.contextmanager
def opened(path, made_of):
    """A stored file to read from, if it was made of the same; raises what ``load`` does, for damage met inside too."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError("there is no such file")
    try:
        with h5py.File(path, "r") as file:
            check_made_of(json.loads(file.attrs["key"]), made_of)
            yield file
    except UnusableError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UnusableError(f"it is damaged ({error})") from error


def check_made_of(stored, made_of):
    """Compare what something stored was made of with what it should be made of.

    Raises
    ------
    UnusableError
        If they differ; the message says in what.
    """
    different = [name for name in made_of if stored.get(name) != made_of[name]]
    if different:
        raise UnusableError(f"it was made with other {', '.join(different)}")


def load_if_it_fits(path, made_of, load=load):
    """What is stored, or None where there is nothing, or nothing that fits; a line then says why.

    Parameters
    ----------
    path : str or Path
    made_of : dict
    load : callable
        Takes both; raises FileNotFoundError or UnusableError.

    Returns
    -------
    content : what ``load`` gives, or None
    """
    try:
        return load(path, made_of)
    except FileNotFoundError:
        return None
    except UnusableError as reason:
        print(f"{path} is made anew: {reason}")
        return None


def load_or_make(path, made_of, make, load=load, store=store):
    """What is stored if it fits; otherwise a line says why, and it is made and stored.

    Parameters
    ----------
    path : str or Path
    made_of : dict
        All that the content depends on.
    make : callable
        Without arguments, gives the content.
    load, store : callable
        How this kind of content is read (path, made_of) and written (path, made_of, content).

    Returns
    -------
    content : what ``load`` gives
        From the file even when it was just made: a run that is resumed gives the same numbers to the last digit.
    """
    content = load_if_it_fits(path, made_of, load)
    if content is None:
        store(path, made_of, make())
        content = load(path, made_of)
    return content


def create(path):
    """A new HDF5 file: the newest version of the format checks its own structure."""
    return h5py.File(path, "w", libver="latest")


def write_checked(group, name, values):
    """Write an array with a checksum of its contents, by which damage is found when it is read."""
    # the checksum needs chunks, and chunks need content
    filled = np.size(values) > 0
    group.create_dataset(name, data=values, chunks=filled or None, fletcher32=filled)


def write_text(group, name, text):
    """Write text as an attribute, of fixed length: other text has no checksum, and HDF5 may hang on damage."""
    encoded = text.encode()
    group.attrs[name] = np.array(encoded, dtype=f"S{max(len(encoded), 1)}")


def fingerprint(*contents):
    """Digest of arrays, or of a network's weights, that tells whether a stored result was made of the same.

    Parameters
    ----------
    *contents : array, tensor, sequence of str or torch.nn.Module
        Or what gives its ``dtype``, its ``shape``, and its content in ``batches()``.

    Returns
    -------
    digest : str
    """
    digest = hashlib.sha256()
    for content in contents:
        if hasattr(content, "batches"):
            # what stays on the disk has the digest of the same in memory
            digest.update(f" {content.dtype} {content.shape}".encode())
            for batch in content.batches():
                digest.update(np.ascontiguousarray(batch).data)
            continue
        if hasattr(content, "state_dict"):
            parts = [(name, value.cpu().numpy()) for name, value in content.state_dict().items()]
        else:
            parts = [("", np.asarray(content))]
        for name, values in parts:
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:16]
