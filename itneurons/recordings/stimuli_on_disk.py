"""Stimuli that stay on the disk: what behaves like an array of all images, and reads those that are asked for."""

from itertools import pairwise

import numpy as np

from itneurons.recordings import schema
from itneurons.storage.memory import memory_size

# of the memory: stimuli that take more as floats stay on the disk
SHARE = 0.25
# images that are read at a time where all are needed
BATCH = 256


def fits_in_memory(shape):
    """Whether so many values take at most a quarter of the memory as float32."""
    return 4 * float(np.prod(shape, dtype=float)) <= SHARE * memory_size()


class StimuliOnDisk:
    """The images of a recording, read as they are asked for: normalised float32, whatever the file keeps them as.

    Stands for the array of shape (n_images, 3, height, width) that ``recordings.schema.read_array`` would give, and
    gives the same numbers. Integers, slices, arrays of integers and of booleans choose images, in memory where these
    fit there, otherwise again as ``StimuliOnDisk``; further indices choose inside of each image.

    Parameters
    ----------
    path : str or Path
        Of the recording.
    name : str
        Of the dataset, for example ``"stimulus_train"``.
    rows : array of int, optional
        Images of the dataset that it stands for, all when left out.

    Raises
    ------
    RecordingError
        From whatever reads images that are damaged; it names the file and the dataset.
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(self, path, name, rows=None):
        self.path, self.name = path, name
        self._file = schema.open_recording(path)
        self._dataset = self._file[name]
        self._rows = np.arange(len(self._dataset)) if rows is None else rows
        self.shape = (len(self._rows), *self._dataset.shape[1:])

    @property
    def size(self):
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self):
        """Bytes that all of it would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"<{self.name} of {self.path}, {self.shape}, on disk>"

    def __reduce__(self):
        # another process opens the file itself
        return type(self), (self.path, self.name, self._rows)

    def __getitem__(self, index):
        index, *inside = index if isinstance(index, tuple) else (index,)
        if index is None or index is Ellipsis:
            raise IndexError(f"{self.name} is on disk: choose images by an integer, a slice or an array first")
        # numpy's own rules, and errors, for whatever chooses one image or several
        rows = self._rows[index]
        if np.ndim(rows) == 0:
            return self._read(np.array([rows]))[(0, *inside)]
        if np.ndim(rows) != 1:
            raise IndexError(f"{self.name} is on disk: an array that chooses images has one dimension")
        if not fits_in_memory((len(rows), *self.shape[1:])):
            if inside:
                raise MemoryError(f"{self!r}: choose fewer images at a time, the rest does not fit in memory")
            return StimuliOnDisk(self.path, self.name, rows)
        images = self._gathered(rows, self.dtype)
        return images[(slice(None), *inside)] if inside else images

    def __iter__(self):
        for batch in self.batches():
            yield from batch

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(f"{self.name} is on disk: as an array it is always a copy")
        return self._gathered(self._rows, self.dtype if dtype is None else dtype)

    def batches(self, n_images=BATCH):
        """All images in their order, as arrays (at most n_images, 3, height, width)."""
        for first, last in _parts(len(self), n_images):
            yield self._read(self._rows[first:last])

    def _gathered(self, rows, dtype):
        images = np.empty((len(rows), *self.shape[1:]), dtype=dtype)
        for first, last in _parts(len(rows)):
            images[first:last] = self._read(rows[first:last])
        return images

    def _read(self, rows):
        # HDF5 wants them ascending and each once, and reads runs of neighbours at once
        wanted, places = np.unique(rows, return_inverse=True)
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
        parts = [schema.read_images(self._dataset, slice(run[0], run[-1] + 1)) for run in runs if len(run)]
        images = parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *parts])
        return images if np.array_equal(wanted, rows) else images[places]


def _parts(n_images, n_each=BATCH):
    return pairwise([*range(0, n_images, n_each), n_images])
