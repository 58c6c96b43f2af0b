"""Tensors that live in a temporary file: activations that outgrow memory."""

import ctypes
import errno
import mmap
import os
import shutil
import tempfile

import numpy as np
import torch

from itneurons.storage.files import megabytes


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
        if hasattr(os, "posix_fallocate"):
            # room of its own: writing is faster, and a disk that others fill meanwhile cannot break it off
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        return torch.from_file(file.name, shared=True, size=n_values, dtype=dtype).reshape(shape)


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
