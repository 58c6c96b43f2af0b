"""Files appear whole or not at all: they are written beside their place and renamed into it."""

import contextlib
import errno
import glob
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path


def megabytes(n_bytes):
    """Bytes as text a person reads, in megabytes of 10^6 bytes."""
    return f"{n_bytes / 1e6:,.1f} MB"


def process_name():
    """A name for this process that no other one has, on this machine or beside it."""
    return f"{re.sub(r'[^A-Za-z0-9]', '_', socket.gethostname())}-{os.getpid()}"


def is_gone(name):
    """Whether the process of that ``process_name`` has ended; of other machines nothing is known, hence no."""
    host, _, number = name.rpartition("-")
    # elsewhere the question itself would end the process
    if os.name != "posix" or not number.isdigit() or host != process_name().rpartition("-")[0]:
        return False
    try:
        os.kill(int(number), 0)
        # one that nobody waited for has ended too
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False


def refusal(error, path):
    """What to say where ``error`` means that nobody may write beside ``path``; None where it means something else."""
    if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
        return None
    message = f"No permission to write in {path.parent}; choose another folder"
    return PermissionError(error.errno, message, str(path))


@contextlib.contextmanager
def written_whole(path, bytes_needed=None):
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    What a killed process left of an earlier attempt at the same file is removed first.

    Parameters
    ----------
    path : str or Path
        Where the finished file shall be. Missing folders are made.
    bytes_needed : int, optional
        About how many bytes the file will take; named in the message when the disk is full.

    Yields
    ------
    temporary : Path
        Where to write, in the same folder and with the same suffix.

    Raises
    ------
    OSError
        With ``errno.ENOSPC`` and the bytes needed and free when the disk is full; with a message that says
        what to do when the folder cannot be written. Whatever stood at ``path`` before is untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(path)
        # beforehand, because HDF5 takes the whole process down when the disk is full while it closes a file
        if bytes_needed and shutil.disk_usage(path.parent).free < 1.01 * bytes_needed + 2**16:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}~{process_name()}~", suffix=path.suffix)
    except OSError as error:
        raise refusal(error, path) or _explained(error, path, bytes_needed) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        explained = _explained(error, path, bytes_needed)
        if explained is error:
            raise
        raise explained from error


def _remove_left_over(path):
    for left in path.parent.glob(f".{glob.escape(path.stem)}~*~*{glob.escape(path.suffix)}"):
        if is_gone(left.name.split("~")[-2]):
            left.unlink(missing_ok=True)


def _umask():
    # the umask can only be read by setting it
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _explained(error, path, bytes_needed):
    """The same error, or one that says how full the disk is, if that is what went wrong."""
    free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
    # torch and HDF5 wrap the system's error in one of their own, and may drop its number
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error) or "errno = 28" in str(error)
    full = full or (isinstance(error, (OSError, RuntimeError)) and bytes_needed is not None and free < bytes_needed)
    if not full:
        return error
    needed = f"needs about {megabytes(bytes_needed)}" if bytes_needed else "does not fit"
    return OSError(
        errno.ENOSPC,
        f"The disk is full: {path.name} {needed}, {megabytes(free)} are free in {path.parent}; "
        "make room or choose another folder",
        str(path),
    )
