"""The course's ``IT_data.h5``, as it is handed out on Google Drive or by a mirror.

Recordings of Majaj et al. 2015 (see ``brainscore``), prepared by the course; the test images come without rates. The
file is checked and put in place as it is, never changed.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import gdown
import requests
from gdown.exceptions import DownloadError, FileURLRetrievalError
from tqdm.auto import tqdm

from itneurons.recordings import fetch, schema
from itneurons.recordings.schema import RecordingError

CITATION = schema.MAJAJ_2015
FILE_NAME = "IT_data.h5"
# 384 MB; what gdown.download is asked for
DRIVE = {"id": "1s6caFNRpyR9m7ZM6XEv_e8mcXT3_PnHS"}
DRIVE_PAGE = f"https://drive.google.com/file/d/{DRIVE['id']}/view"
_IMAGES_AT_ONCE = 128


def add_arguments(parser):
    """Options of ``itneurons get course``."""
    parser.add_argument("--url", help="a mirror to fetch from instead of Google Drive")


def make(folder, url=None):
    """Fetch the course's file, check it, and put it into a folder.

    Parameters
    ----------
    folder : str or Path
    url : str, optional
        Address of a copy of the file, or of a folder that holds ``IT_data.h5``, instead of Google Drive.

    Returns
    -------
    path : Path
        ``<folder>/IT_data.h5``. Kept as it is if it lies there already.

    Raises
    ------
    itneurons.recordings.fetch.SourceError
        If it cannot be fetched; what has arrived is kept, and the next call continues.
    RecordingError
        If what was fetched is not a valid recording (it is removed), or another one lies in its place.
    """
    path = Path(folder) / FILE_NAME
    with fetch.one_at_a_time(path):
        if fetch.is_there(path, "course"):
            return path
        arrived = path.with_name(f"{FILE_NAME}.download")
        address = _file_address(url) if url else DRIVE_PAGE
        if url:
            fetch.download(address, arrived)
        else:
            _download_from_drive(arrived)
        try:
            check(arrived)
        except RecordingError as error:
            arrived.unlink()
            raise RecordingError(
                f"What {address} handed out is not the course's recording, and was removed: {error}. "
                + _other_ways(path)
            ) from error
        os.replace(arrived, path)
    print(f"{path}: the course's recording, from {address}")
    return path


def check(path):
    """Check layout and values of a recording, a few images at a time.

    Raises
    ------
    RecordingError
        As ``itneurons.recordings.schema.open_recording`` and ``itneurons.recordings.schema.check_content``.
    """
    with schema.open_recording(path) as file:
        rates = [name for name in file if name.startswith("spikes_")]
        objects = [f"object_{split}" for split in schema.SPLITS]
        names = {name: schema.read_array(file, name) for name in objects}
        schema.check_content(
            path, stimuli={}, rates={name: schema.read_array(file, name) for name in rates}, objects=names
        )
        for name, values in names.items():
            if "" in values:
                raise RecordingError(f"{path}: {name}[{values.index('')}] is empty, expected the name of an object")
        total = sum(len(file[f"stimulus_{split}"]) for split in schema.SPLITS)
        with tqdm(total=total, unit="image", desc=f"checking {path.name}") as progress:
            for name in (f"stimulus_{split}" for split in schema.SPLITS):
                for start in range(0, len(file[name]), _IMAGES_AT_ONCE):
                    try:
                        images = file[name][start : start + _IMAGES_AT_ONCE]
                    except OSError as error:
                        raise RecordingError(f"{path}: {name} cannot be read, the file is damaged: {error}") from error
                    schema.check_content(path, stimuli={name: images}, rates={}, objects={})
                    progress.update(len(images))


def _file_address(url):
    parts = urlsplit(url)
    is_file = parts.query or parts.path.endswith((".h5", ".hdf5"))
    return url if is_file else f"{url.rstrip('/')}/{FILE_NAME}"


def _download_from_drive(arrived):
    try:
        # with resume=True gdown keeps what arrived before it broke off, beside its place
        gdown.download(
            **DRIVE,
            output=str(arrived),
            resume=True,
            retries=fetch.ATTEMPTS - 1,
            timeout=(fetch.TIMEOUT, fetch.TIMEOUT),
        )
    except FileURLRetrievalError as error:
        # gdown wraps what Drive says into a longer text of its own, as the second paragraph
        said = " ".join("".join(str(error).split("\n\n")[1:2]).split()) or str(error)
        raise fetch.SourceError(
            "Google Drive does not hand out the course's file: it answered with a page that reports its quota or asks "
            f"to confirm ({said}). {_other_ways(arrived.with_name(FILE_NAME))}"
        ) from error
    except (DownloadError, requests.RequestException) as error:
        kept = "".join(
            f"What has arrived is kept, and the next call continues; remove {part.name} to start over. "
            for part in arrived.parent.glob(f"{arrived.name}*.part")
        )
        # what follows the first line speaks of gdown's own command
        said = str(error).splitlines()[0].rstrip(".")
        raise fetch.SourceError(
            f"The download from Google Drive broke off: {said}. {kept}"
            f"Check the network connection and try again. {_other_ways(arrived.with_name(FILE_NAME))}"
        ) from error


def _other_ways(path):
    return (
        f"Two other ways: the same recordings as Brain-Score released them, with `itneurons get brainscore "
        f"--folder {path.parent}`; or open {DRIVE_PAGE} in a browser and put the file at {path}"
    )
