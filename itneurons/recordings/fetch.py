"""What the sources that fetch share: a download that resumes, and one process at a time for each file."""

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

import requests
from filelock import FileLock
from tqdm.auto import tqdm

from itneurons.recordings.schema import RecordingError, open_recording, text_of
from itneurons.storage.files import megabytes, refusal

# seconds to wait for a connection, and then for the next bytes
TIMEOUT = 20.0
ATTEMPTS = 3
# seconds before the second attempt; doubled before each further one
PAUSE = 1.0
# bytes; less than this is lost when a connection breaks off
BLOCK = 1 << 16


class SourceError(OSError):
    """A file cannot be fetched; the message says from where, why, and what to do."""


class MissingFileError(SourceError):
    """The server is there, and has no such file."""


@contextlib.contextmanager
def one_at_a_time(path):
    """Let one process at a time make ``path``; the others wait, and then find it there.

    Raises
    ------
    PermissionError
        If the folder cannot be written and does not hold the file already.
    """
    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        # in a folder for reading only there is nothing to wait for
        if not (refused := refusal(error, path)) or not path.exists():
            raise (refused or error) from error
    try:
        yield
    finally:
        lock.release()


def is_there(path, source):
    """Whether ``path`` already holds a recording from this source; says so when it does.

    Parameters
    ----------
    path : str or Path
    source : str
        The file's attribute ``source``, or the first word of it. The course's file has no such attribute.

    Raises
    ------
    RecordingError
        If another source's recording lies there, or something that is no recording. It is left untouched.
    """
    path = Path(path)
    if not path.exists():
        return False
    with open_recording(path) as file:
        found = text_of(file, "source", "course")
    if source not in (found, *found.split()[:1]):
        raise RecordingError(
            f"{path} is there already, but it came from {found!r}, not from {source!r}, and both have that name. "
            "Move it away, or choose another folder"
        )
    print(f"{path} is there already and is kept ({megabytes(path.stat().st_size)}); remove it to make it anew")
    return True


def download(url, path):
    """Download a file over HTTP; it appears at ``path`` only when it is whole.

    A download that breaks off is kept as ``<path>.part`` and continued by the next attempt or call, if the server
    still has the same version of the file.

    Parameters
    ----------
    url : str
    path : str or Path

    Returns
    -------
    path : Path

    Raises
    ------
    MissingFileError
        If the server answers that it has no such file.
    SourceError
        If the address does not answer, answers with something else than a file, or breaks off each time.
    OSError
        With ``errno.ENOSPC`` if the file does not fit on the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _continue(url, part)
            break
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            problem = error
        except requests.RequestException as error:
            raise SourceError(f"{url} cannot be fetched: {error}. Check the address") from error
    else:
        kept = part.stat().st_size if part.exists() else 0
        raise SourceError(
            f"{url} could not be fetched in {ATTEMPTS} attempts: {_reason(problem)}. "
            + (f"{megabytes(kept)} are kept in {part}, and the next call continues from there. " if kept else "")
            + "Check the network connection and try again, or name another address with --url"
        ) from problem
    _version(part).unlink(missing_ok=True)
    os.replace(part, path)
    return path


def _version(part):
    """Where the server's name for the version of a partial file is kept."""
    return part.with_name(part.name + ".version")


def _continue(url, part):
    """Fetch what ``part`` lacks of the file at ``url``."""
    version = _version(part)
    # bytes of an unknown version are never continued: the file may have changed on the server
    known = part.exists() and version.exists()
    done = part.stat().st_size if known else 0
    # byte ranges count the bytes as stored, so they must not be compressed on the way
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers.update({"Range": f"bytes={done}-", "If-Range": version.read_text()})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and done:
            if response.headers.get("Content-Range") == f"bytes */{done}":
                return
            part.unlink()
            raise requests.ConnectionError("the server's file is shorter than what was kept of it")
        _refuse_other_answers(response, url)
        if response.status_code != requests.codes.partial_content:
            done = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            part.unlink()
            raise requests.ConnectionError("the server sent another range of bytes than it was asked for")
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        _check_space(part, (total or 0) - done)
        _keep_version(version, response.headers)
        with (
            open(part, "ab" if done else "wb") as file,
            tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=part.stem) as progress,
        ):
            for block in response.iter_content(BLOCK):
                file.write(block)
                progress.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise requests.ConnectionError(f"it ended after {part.stat().st_size:,} of {total:,} bytes")


def _refuse_other_answers(response, url):
    status = response.status_code
    if status in (requests.codes.not_found, requests.codes.gone):
        raise MissingFileError(f"{url} does not exist (HTTP {status}). Check the address, above all that of --url")
    if status >= 500 or status == requests.codes.too_many_requests:
        raise requests.ConnectionError(f"the server answered HTTP {status} {response.reason}")
    if status >= 400:
        raise SourceError(
            f"{url} was refused (HTTP {status} {response.reason}). Open it in a browser to see why, "
            "or name another address with --url"
        )
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise SourceError(
            f"{url} answered with a web page instead of the file, perhaps to log in or to confirm something. "
            "Open it in a browser to see what it asks for, or name another address with --url"
        )


def _check_space(part, bytes_needed):
    free = shutil.disk_usage(part.parent).free
    if bytes_needed > free:
        raise OSError(
            errno.ENOSPC,
            f"The disk is full: {part.stem} needs {megabytes(bytes_needed)} more, {megabytes(free)} are free in "
            f"{part.parent}; make room or choose another folder",
            str(part),
        )


def _keep_version(version, headers):
    tag = headers.get("ETag", "")
    # a weak tag does not promise the same bytes
    tag = headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    if tag:
        version.write_text(tag)
    else:
        version.unlink(missing_ok=True)


def _reason(error):
    """What went wrong, without the layers that the network libraries wrap around it."""
    text = str(error)
    if isinstance(error, requests.Timeout) or "timed out" in text.lower():
        return f"no answer within {TIMEOUT:g} s"
    if "IncompleteRead" in text:
        return "the connection broke off in the middle of the file"
    return text
