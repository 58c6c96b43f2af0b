"""Tensors that live in a temporary file, and parts of tensors that are not copied: activations that outgrow memory."""

import ctypes
import errno
import io
import mmap
import os
import shutil
import tempfile
import weakref

import numpy as np
import torch

from itneurons.storage.files import megabytes

# bytes: tensors that take more need not lie in memory, and rows that take more are not copied as a whole
_IN_MEMORY, _COPIED = 2**28, 2**29


def allocate(shape, dtype):
    """A tensor in a file that has no name any more: its room is freed with the tensor, however the program ends.

    Parameters
    ----------
    shape : sequence of int
    dtype : torch.dtype

    Returns
    -------
    tensor : tensor of the given shape

    Raises
    ------
    OSError
        If the disk is too full for it.
    """
    n_values = int(np.prod(shape))
    n_bytes = n_values * dtype.itemsize
    check_room(n_bytes)
    with tempfile.NamedTemporaryFile(prefix="activations-") as file:
        _take_room(file, n_bytes)
        return torch.from_file(file.name, shared=True, size=n_values, dtype=dtype).reshape(shape)


class Columns:
    """A matrix that is written some rows at a time and then read some columns at a time.

    It lies in a temporary file without a name, or in memory. The file is written and read rather than mapped, for what
    a mapped page costs the system is a multiple of the copy, and it counts as memory of the program.

    Parameters
    ----------
    shape : (int, int)
    dtype : torch.dtype
    in_memory : bool
    width : int
        Columns that are read at once.

    Raises
    ------
    OSError
        If the disk is too full for it.
    """

    def __init__(self, shape, dtype, in_memory=False, width=8192):
        (self.n_rows, n_columns), self.dtype = shape, dtype
        self.parts = [slice(first, min(first + width, n_columns)) for first in range(0, n_columns, width)]
        n_bytes = self.n_rows * n_columns * dtype.itemsize
        if in_memory:
            self.file = io.BytesIO()
        else:
            check_room(n_bytes)
            self.file = tempfile.TemporaryFile()  # noqa: SIM115
            weakref.finalize(self, self.file.close)
            _take_room(self.file, n_bytes)

    def write(self, first, rows):
        """Put rows (n, n_columns) in their place, from row ``first`` on."""
        for part in self.parts:
            # the columns that are read at once lie together
            self.file.seek((part.start * self.n_rows + first * (part.stop - part.start)) * self.dtype.itemsize)
            self.file.write(_bytes(rows[:, part].to(device="cpu", dtype=self.dtype).contiguous()))

    def __iter__(self):
        """Columns (n_rows, at most ``width``), from the first on; each overwrites the one before."""
        self.file.seek(0)
        room = torch.empty(
            self.n_rows * max((part.stop - part.start for part in self.parts), default=0), dtype=self.dtype
        )
        for part in self.parts:
            values = room[: self.n_rows * (part.stop - part.start)].reshape(self.n_rows, -1)
            self.file.readinto(_bytes(values))
            yield values


def room(shape, dtype):
    """An empty tensor, in memory, or in a file where it takes more than 268 MB."""
    in_memory = int(np.prod(shape)) * dtype.itemsize <= _IN_MEMORY
    return torch.empty(shape, dtype=dtype) if in_memory else allocate(shape, dtype)


def _take_room(file, n_bytes):
    # room of its own: writing is faster, and a disk that others fill meanwhile cannot break it off
    if n_bytes and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)


def _bytes(values):
    return values.view(torch.uint8).numpy()


def check_room(n_bytes):
    """Check that the disk for temporary files has room for all that will be put there.

    Raises
    ------
    OSError
        If it has not; the message says how much is needed and how much is free.
    """
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"The disk is full: the activations need {megabytes(n_bytes)} for a while, {megabytes(free)} are free "
            f"in {tempfile.gettempdir()}; set TMPDIR to another folder, or extract fewer layers at once",
        )


def release(tensor):
    """Give back the memory in which the system keeps what was read or written of a tensor in a file.

    The values stay in the file and are read again when they are needed. Other tensors stay as they are.
    """
    if tensor.device.type != "cpu" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    storage = tensor.untyped_storage()
    if storage.filename is not None:
        # python's mmap could do it too, but torch makes the mapping
        ctypes.CDLL(None).madvise(
            ctypes.c_void_p(storage.data_ptr()), ctypes.c_size_t(storage.nbytes()), mmap.MADV_DONTNEED
        )


class Rows:
    """Rows of a tensor that are read a few at a time, where a copy of all of them would take too much memory.

    Parameters
    ----------
    tensor : tensor of shape (n_rows, ...)
    chosen : int array of shape (n_chosen,)
    """

    def __init__(self, tensor, chosen):
        self.tensor, self.chosen = tensor, torch.as_tensor(chosen)
        self.shape = (len(self.chosen), *tensor.shape[1:])

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, part):
        return self.tensor[self.chosen[part]]

    def split(self, n_rows):
        """The chosen rows in their order, ``n_rows`` at a time."""
        for part in self.chosen.split(n_rows):
            copied = self.tensor[part]
            release(self.tensor)
            yield copied


def rows(tensor, chosen):
    """The chosen rows of a tensor: a copy, or ``Rows`` where that would take more than 512 MB."""
    if len(chosen) * tensor[:1].nbytes > _COPIED:
        return Rows(tensor, chosen)
    copied = tensor[chosen]
    # pages of a file are given back once they have been read
    release(tensor)
    return copied
