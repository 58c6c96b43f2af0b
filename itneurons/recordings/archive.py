"""Pictures by name, out of a ZIP archive or a folder, read one by one: nothing is ever unpacked to a path that an
archive names."""

import io
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from itneurons.recordings.schema import RecordingError

_WORKERS = 4
# few enough that decoded images never pile up while the file is written
_BATCH = 64
# bit of an entry's flags
_ENCRYPTED = 0x1
# what the field of the compression method says where AES was used
_AES = 99
# an entry that is damaged, or was decrypted with a wrong password
_UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Pictures:
    """What an archive and a folder of pictures share; both know ``path`` and how to ``read`` the bytes of a name."""

    def check(self, names, remedy="Fetch it again"):
        """Check that all of these pictures are there.

        Parameters
        ----------
        names : sequence of str
        remedy : str
            What the message says to do.

        Raises
        ------
        RecordingError
            Naming the first ones that are not, with their number.
        """
        missing = [name for name in names if name not in self]
        if missing:
            raise RecordingError(
                f"{self.path} lacks {len(missing):,} of {len(names):,} images, for example {', '.join(missing[:3])}; "
                f"it holds {', '.join(self.names[:3]) or 'nothing'} and so on. {remedy}"
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

        def decoded(name):
            try:
                with Image.open(io.BytesIO(self.read(name))) as image:
                    return np.asarray(image.convert("RGB").resize((size, size), resample))
            except (*_UNREADABLE, Image.DecompressionBombError) as error:
                raise RecordingError(f"{self.path}: {name} is no readable image: {error}") from error

        # decoding and resizing run outside the interpreter's lock
        with ThreadPoolExecutor(_WORKERS) as pool:
            for start in range(0, len(names), _BATCH):
                yield from pool.map(decoded, names[start : start + _BATCH])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class ImageFolder(Pictures):
    """The pictures below a folder, by their path from there with forward slashes.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path):
        self.path = Path(path)

    def __contains__(self, name):
        return (self.path / name).is_file()

    @property
    def names(self):
        """Some of what lies in the folder, for messages."""
        return sorted(entry.name for entry in self.path.iterdir())[:3]

    def read(self, name):
        """The bytes of a picture."""
        return (self.path / name).read_bytes()


class ImageArchive(Pictures):
    """The images of a ZIP archive.

    Parameters
    ----------
    path : str or Path
    below : str, optional
        Name of a folder of the archive, wherever it lies: images are known by their path below it, and all else is
        left aside. Left out, they are known by file name, whatever folder they lie in.
    password : str, optional

    Attributes
    ----------
    names : list of str
        Names of the files, in alphabetical order.
    encrypted : bool

    Raises
    ------
    RecordingError
        If it is no ZIP archive, holds an entry that points out of it, a name twice or no such folder, or if it is
        encrypted and the password does not open it.
    """

    def __init__(self, path, below=None, password=None):
        self.path, self._password = path, password.encode() if password else None
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise RecordingError(f"{path} is no readable ZIP archive: {error}. Fetch it again") from error
        try:
            self._entries = self._index(below)
            self._check_password()
        except RecordingError:
            self._archive.close()
            raise
        self.names = sorted(self._entries)

    def _index(self, below):
        entries = {}
        for entry in self._archive.namelist():
            parts = PurePosixPath(entry).parts
            # zipfile itself accepts these names, and only its extract methods make them harmless
            if entry.startswith("/") or "\\" in entry or ":" in entry or ".." in parts:
                raise RecordingError(
                    f"{self.path} holds the entry {entry!r}, which points out of the archive: this is not the file "
                    "that was published. Nothing of it was used; fetch it from another address"
                )
            # archives made on a mac carry a shadow of each file
            if entry.endswith("/") or entry.startswith("__MACOSX/") or (below and below not in parts[:-1]):
                continue
            name = "/".join(parts[parts.index(below) + 1 :]) if below else parts[-1]
            if name in entries:
                raise RecordingError(f"{self.path} holds {name} twice, as {entries[name]} and as {entry}")
            entries[name] = entry
        if below and not entries:
            raise RecordingError(
                f"{self.path} holds no folder {below} with images in it; it holds "
                f"{', '.join(self._archive.namelist()[:3]) or 'nothing'} and so on. Give the archive that was published"
            )
        return entries

    def _check_password(self):
        """Read one encrypted entry to its end: a wrong password passes zipfile's own check now and then."""
        encrypted = [entry for entry in self._entries.values() if self._archive.getinfo(entry).flag_bits & _ENCRYPTED]
        self.encrypted = bool(encrypted)
        if not encrypted:
            return
        if self._archive.getinfo(encrypted[0]).compress_type == _AES:
            raise RecordingError(
                f"{self.path} is encrypted with AES, which Python cannot read. Unpack it with another program, for "
                "example 7-Zip, and give the folder"
            )
        if self._password is None:
            raise RecordingError(f"{self.path} is encrypted: give its password, on the command line with --password")
        try:
            self._archive.read(encrypted[0], self._password)
        except _UNREADABLE as error:
            raise RecordingError(
                f"{self.path}: {encrypted[0]} cannot be read with this password: it is wrong, or the archive damaged "
                f"({error})"
            ) from error

    def __contains__(self, name):
        return name in self._entries

    def __exit__(self, *_):
        self._archive.close()

    def read(self, name):
        """The bytes of an image."""
        return self._archive.read(self._entries[name], self._password)
