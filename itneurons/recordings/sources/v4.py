"""Recordings of macaque V4 from a public repository, turned into ``V4_data_<session>.h5``.

Spike counts in a bin of 100 ms while natural, synthesised or optimised images of 112 px were shown (Cowley, Stan,
Pillow and Smith 2023). The repository holds, for each session, an archive of images, the responses averaged over
repeats, and the raw responses.
"""

import argparse
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from itneurons.recordings import fetch, schema
from itneurons.recordings.archive import ImageArchive
from itneurons.recordings.schema import IMAGE_SIZE, RecordingError

REPOSITORY = "cowleygroup/V4_compact_models"
URL = f"https://raw.githubusercontent.com/{REPOSITORY}/HEAD"
CITATION = (
    "Cowley BR, Stan PL, Pillow JW, Smith MA (2023). Compact deep neural network models of visual cortex. bioRxiv. "
    f"Data: github.com/{REPOSITORY} (GPL-3.0)"
)
VAL_FRACTION = TEST_FRACTION = 0.10
# path of each file in the repository, and its name in a flat folder
FILES = {
    "images": ("data_V4_responses/images/images_{}.zip", "images_{}.zip"),
    "averaged": (
        "data_V4_responses/responses_repeat_averaged/responses_{}.npy",
        "responses_repeat_averaged_{}.npy",
    ),
    "raw": ("data_V4_responses/responses_raw/responses_{}.npy", "responses_raw_{}.npy"),
}


class Session(NamedTuple):
    """What a session holds."""

    n_neurons: int
    n_images: int
    n_repeats: int
    """About how often each image was shown."""
    images: str


# numbers of repeats and kinds of images as the repository's own table gives them, numbers of neurons and images as its
# files have them; sessions 201016 to 201020 are left out because the repository has no images of theirs
SESSIONS = {
    "190923": Session(33, 1200, 14, "natural"),
    "190924": Session(25, 1200, 13, "natural, active learning"),
    "190925": Session(36, 1200, 14, "natural, active learning"),
    "190926": Session(27, 1200, 15, "natural, active learning"),
    "190927": Session(31, 1200, 11, "natural, active learning"),
    "190928": Session(24, 1200, 13, "natural, active learning"),
    "190929": Session(33, 1200, 15, "natural, active learning"),
    "201021": Session(88, 1600, 7, "natural, active learning, gaudy"),
    "201022": Session(79, 2000, 5, "natural, active learning, gaudy"),
    "201023": Session(86, 2000, 7, "natural, active learning, gaudy"),
    "201024": Session(85, 2000, 7, "natural, active learning, gaudy"),
    "201025": Session(89, 1200, 12, "natural"),
    "210224": Session(67, 800, 9, "natural"),
    "210225": Session(55, 1200, 6, "natural"),
    "210226": Session(78, 1600, 6, "natural, maximizing"),
    "210301": Session(61, 2000, 4, "maximizing, validation"),
    "210302": Session(70, 2000, 5, "maximizing, validation"),
    "210303": Session(67, 2049, 3, "maximizing"),
    "210304": Session(65, 1968, 5, "maximizing"),
    "210305": Session(70, 400, 22, "validation"),
    "210308": Session(70, 2000, 4, "natural, validation"),
    "210309": Session(56, 2000, 4, "natural, validation, artificial"),
    "210310": Session(64, 2000, 3, "natural, gaudy"),
    "210312": Session(81, 2000, 4, "maximizing"),
    "210315": Session(65, 2000, 2, "maximizing"),
    "210316": Session(62, 2000, 3, "natural, gaudy"),
    "210322": Session(59, 1200, 4, "natural, Bashivan et al. 2019"),
    "210323": Session(59, 1200, 4, "natural, gaudy"),
    "210324": Session(54, 1200, 4, "natural, gaudy"),
    "210325": Session(50, 640, 8, "Bashivan et al. 2019"),
    "210326": Session(60, 1200, 4, "natural, gaudy"),
    "210620": Session(42, 1600, 9, "natural"),
    "210621": Session(51, 1200, 16, "natural"),
    "211008": Session(21, 1200, 24, "natural"),
    "211012": Session(51, 2000, 15, "natural, gaudy"),
    "211013": Session(52, 2000, 15, "natural, gaudy"),
    "211014": Session(46, 2000, 11, "natural, gaudy"),
    "211015": Session(49, 2000, 18, "natural, gaudy"),
    "211018": Session(56, 3000, 10, "natural, gaudy"),
    "211022": Session(42, 1600, 20, "natural"),
    "211025": Session(54, 2000, 16, "natural, maximizing, gaudy, artificial"),
    "211026": Session(56, 2000, 13, "natural, validation, active learning, gaudy"),
    "211027": Session(56, 2000, 18, "natural, validation, active learning, gaudy"),
    "211028": Session(55, 2000, 14, "natural, validation, active learning, gaudy"),
    "211103": Session(49, 3000, 13, "natural, maximizing, active learning, gaudy"),
}


def add_arguments(parser):
    """Options of ``itneurons get v4``."""
    lines = ["session  neurons  images  repeats  kind of images"]
    for name, session in SESSIONS.items():
        lines.append("{:7s}  {:7}  {:6}  {:7}  {}".format(name, *session))
    parser.epilog, parser.formatter_class = "\n".join(lines), argparse.RawDescriptionHelpFormatter
    parser.add_argument("--session", nargs="+", default=["201025"], choices=sorted(SESSIONS), metavar="SESSION")
    parser.add_argument(
        "--split", choices=SPLITS, default="random", help="how images are divided (default %(default)s)"
    )
    parser.add_argument("--url", help="a mirror to fetch from instead of the public repository")
    parser.add_argument("--from", dest="source_folder", metavar="FOLDER", help="a folder that holds the files already")
    parser.add_argument("--seed", type=int, default=0, help="draws the splits")
    parser.add_argument("--image-size", type=int, default=IMAGE_SIZE, help="pixels (default %(default)s; shown: 112)")


def make(folder, session="201025", split="random", url=None, source_folder=None, seed=0, image_size=IMAGE_SIZE):
    """Fetch a session and turn it into ``V4_data_<session>.h5``.

    Images of 112 px are enlarged with Pillow's bicubic filter. They show no named objects: the names are empty.

    Parameters
    ----------
    folder : str or Path
    session : str or list of str
        One or several keys of ``SESSIONS``.
    split : {"random", "halves"}
        ``"random"``: 80 % of the images to train, 10 % for validation, 10 % for test. ``"halves"``, as the recordings'
        own authors score: the first half of the images to train, a tenth of it for validation, the second half for
        test.
    url : str, optional
        Address below which the files lie at the same paths as in the repository.
    source_folder : str or Path, optional
        A folder that holds the files already: a clone of the repository, or a flat folder with
        ``images_<session>.zip``, ``responses_repeat_averaged_<session>.npy`` and, if at all,
        ``responses_raw_<session>.npy``.
    seed : int
        Draws the splits.
    image_size : int

    Returns
    -------
    path : Path
        ``<folder>/V4_data_<session>.h5``, with single trials of validation and test where the raw responses can be had.
        Kept as it is if it lies there already. A list of them for several sessions.

    Raises
    ------
    itneurons.recordings.fetch.SourceError
        If there is no such session, or its files cannot be fetched or found.
    RecordingError
        If the files do not hold what they should (those that were fetched are removed), or the file that is there has
        another split.
    """
    if not isinstance(session, (str, int)):
        return [make(folder, one, split, url, source_folder, seed, image_size) for one in session]
    session = str(session)
    if session not in SESSIONS:
        raise fetch.SourceError(f"There is no V4 session {session!r}; known are {', '.join(SESSIONS)}")
    path = Path(folder) / f"V4_data_{session}.h5"
    with fetch.one_at_a_time(path):
        source = f"v4 session {session} of {REPOSITORY}" + (", halves" if split == "halves" else "")
        if fetch.is_there(path, source):
            return path
        if source_folder is not None:
            files = _find(Path(source_folder), session)
            _convert(path, source, files, split, seed, image_size)
        else:
            # a folder of its own, so that removing it disturbs no other session's download
            downloads = path.parent / f"v4_downloads_{session}"
            files = _fetch(downloads, url or URL, session)
            try:
                _convert(path, source, files, split, seed, image_size)
            except RecordingError:
                shutil.rmtree(downloads)
                raise
            shutil.rmtree(downloads)
    trials = "with single trials" if "raw" in files else "without single trials, hence without a noise ceiling"
    print(f"{path}: V4 session {session}, {trials}")
    return path


def _fetch(folder, url, session):
    """Fetch the files of a session; the raw responses may be missing."""
    files = {}
    for kind, (remote, local) in FILES.items():
        file = folder / local.format(session)
        try:
            # whole already if an earlier call broke off at a later file
            if not file.exists():
                fetch.download(f"{url.rstrip('/')}/{remote.format(session)}", file)
            files[kind] = file
        except fetch.MissingFileError:
            if kind != "raw":
                raise
    return files


def _find(folder, session):
    """The files of a session in a flat folder or a clone of the repository; the raw responses may be missing."""
    files = {}
    for kind, (remote, local) in FILES.items():
        candidates = [folder / local.format(session), folder / remote.format(session)]
        found = [candidate for candidate in candidates if candidate.exists()]
        if found:
            files[kind] = found[0]
        elif kind != "raw":
            raise fetch.SourceError(
                f"{folder} does not hold the {kind} file of session {session}: there is neither {candidates[0].name} "
                f"nor {remote.format(session)}. Choose another folder, or leave the folder out to fetch the session"
            )
    return files


def _convert(path, source, files, split, seed, image_size):
    rates = read_responses(files["averaged"], n_dims=2).T
    n_images = len(rates)
    bad = np.flatnonzero(~np.isfinite(rates).all(axis=0))
    if len(bad):
        raise RecordingError(
            f"{files['averaged']}: {len(bad)} of {rates.shape[1]} neurons have responses that are NaN or infinite, "
            f"neurons {', '.join(map(str, bad[:5]))}{' and more' if len(bad) > 5 else ''}. No score is defined for "
            "them: fetch the file again, or choose another session"
        )
    trials = read_trials(files["raw"], rates) if "raw" in files else None
    splits = SPLITS[split](n_images, seed)
    names = [f"image{number:04d}.jpg" for number in range(1, n_images + 1)]
    with ImageArchive(files["images"]) as archive:
        archive.check(names)
        if len(archive.names) != n_images:
            raise RecordingError(
                f"{files['images']} holds {len(archive.names)} images, but {files['averaged']} has responses to "
                f"{n_images}: the two do not belong together. Fetch them again"
            )
        schema.write(
            path,
            images={
                split: archive.images([names[index] for index in chosen], image_size, Image.Resampling.BICUBIC)
                for split, chosen in splits.items()
            },
            rates={split: rates[chosen] for split, chosen in splits.items()},
            objects={split: [""] * len(chosen) for split, chosen in splits.items()},
            trials=None if trials is None else {split: trials[:, splits[split]] for split in ("val", "test")},
            source=source,
            seed=seed,
            citation=CITATION,
            unit="spikes in 100 ms",
            image_size=image_size,
        )


def read_responses(path, n_dims):
    """Read an array of responses.

    Raises
    ------
    RecordingError
        If it is no array of numbers with this number of dimensions.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise RecordingError(f"{path} is no readable NumPy array: {error}. Fetch it again") from error
    if not isinstance(values, np.ndarray) or values.ndim != n_dims or values.dtype.kind not in "fiu":
        found = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else "an archive of arrays"
        raise RecordingError(f"{path} holds {found}, expected numbers in {n_dims} dimensions")
    return values.astype(np.float64)


def read_trials(path, rates):
    """Read raw responses, and check that they are those of the averaged ones.

    Parameters
    ----------
    path : str or Path
    rates : array of shape (n_images, n_neurons)

    Returns
    -------
    trials : array of shape (n_repeats, n_images, n_neurons)
        NaN where an image was shown less often.

    Raises
    ------
    RecordingError
        If the average over repeats is not ``rates``.
    """
    trials = read_responses(path, n_dims=3).transpose(2, 1, 0)
    expected = (trials.shape[0], *rates.shape)
    recorded = np.isfinite(trials)
    with np.errstate(invalid="ignore"):
        means = trials.sum(axis=0, where=recorded) / recorded.sum(axis=0)
    if trials.shape != expected or not np.allclose(means, rates, rtol=1e-4, atol=1e-4):
        raise RecordingError(
            f"{path}: the raw responses do not average to the averaged ones, the two files do not belong together. "
            "Fetch them again; or put the images and the averaged responses alone into a folder, and give that folder "
            "as the source, to do without single trials"
        )
    return trials


def random_splits(n_images, seed):
    """80 % of the images to train, 10 % for validation, 10 % for test, drawn at random.

    Returns
    -------
    splits : mapping of split to array of int
        Indices of its images.
    """
    shuffled = np.random.default_rng(seed).permutation(n_images)
    n_val, n_test = round(VAL_FRACTION * n_images), round(TEST_FRACTION * n_images)
    return {"train": shuffled[n_val + n_test :], "val": shuffled[:n_val], "test": shuffled[n_val : n_val + n_test]}


def halves(n_images, seed):
    """The first half of the images to train, a random tenth of it for validation, the second half for test.

    Returns
    -------
    splits : mapping of split to array of int
        Indices of its images.
    """
    shuffled = np.random.default_rng(seed).permutation(n_images // 2)
    n_val = round(VAL_FRACTION * len(shuffled))
    return {"train": shuffled[n_val:], "val": shuffled[:n_val], "test": np.arange(n_images // 2, n_images)}


SPLITS = {"random": random_splits, "halves": halves}
