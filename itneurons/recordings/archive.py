"""Images out of a ZIP archive, read into memory: nothing is ever unpacked to a path that the archive names."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from itneurons.recordings.schema import RecordingError

_WORKERS = 4
# few enough that decoded images never pile up while the file is written
_BATCH = 64


class ImageArchive:
    """The images of a ZIP archive by file name, whatever folder of the archive they lie in.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    names : list of str
        Names of the files, without folders, in alphabetical order.

    Raises
    ------
    RecordingError
        If it is no ZIP archive, or holds an entry that points out of it, or a file name twice.
    """

    def __init__(self, path):
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise RecordingError(f"{path} is no readable ZIP archive: {error}. Fetch it again") from error
        try:
            self._entries = self._index()
        except RecordingError:
            self._archive.close()
            raise
        self.names = sorted(self._entries)

    def _index(self):
        entries = {}
        for entry in self._archive.namelist():
            # zipfile itself accepts these names, and only its extract methods make them harmless
            if entry.startswith("/") or "\\" in entry or ":" in entry or ".." in PurePosixPath(entry).parts:
                raise RecordingError(
                    f"{self.path} holds the entry {entry!r}, which points out of the archive: this is not the file "
                    "that was published. Nothing of it was used; fetch it from another address"
                )
            # archives made on a mac carry a shadow of each file
            if entry.endswith("/") or entry.startswith("__MACOSX/"):
                continue
            name = PurePosixPath(entry).name
            if name in entries:
                raise RecordingError(f"{self.path} holds {name} twice, as {entries[name]} and as {entry}")
            entries[name] = entry
        return entries

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._archive.close()

    def check(self, names):
        """Check that all of these images are there.

        Raises
        ------
        RecordingError
            Naming the first ones that are not.
        """
        missing = [name for name in names if name not in self._entries]
        if missing:
            raise RecordingError(
                f"{self.path} lacks {len(missing)} of {len(names)} images, for example {', '.join(missing[:3])}; "
                f"it holds {', '.join(self.names[:3]) or 'nothing'} and so on. Fetch it again"
            )

    def images(self, names, size, resample):
        """Images as RGB, one after another in the order of ``names``.

        Parameters
        ----------
        names : sequence of str
        size : int
            Height and width that they are resized to; Pillow averages over the area of a pixel when it reduces.
        resample : PIL.Image.Resampling

        Yields
        ------
        image : array of shape (size, size, 3), uint8

        Raises
        ------
        RecordingError
            If an image cannot be decoded.
        """

        def read(name):
            try:
                with Image.open(io.BytesIO(self._archive.read(self._entries[name]))) as image:
                    return np.asarray(image.convert("RGB").resize((size, size), resample))
            except (OSError, zipfile.BadZipFile, Image.DecompressionBombError) as error:
                raise RecordingError(f"{self.path}: {name} is no readable image: {error}") from error

        # decoding and resizing run outside the interpreter's lock
        with ThreadPoolExecutor(_WORKERS) as pool:
            for start in range(0, len(names), _BATCH):
                yield from pool.map(read, names[start : start + _BATCH])
