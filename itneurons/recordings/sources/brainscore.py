"""The public Brain-Score release ``MajajHong2015.public``, turned into ``IT_data.h5``.

Multi-unit recordings of macaque IT and V4 while 3200 images of 64 objects were shown about 50 times each (Majaj, Hong,
Solomon and DiCarlo 2015). The release is one netCDF file of firing rates by presentation, one table of images, and
one archive of images; the IT sites are kept.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pooch
import xarray as xr
from PIL import Image
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

from itneurons.recordings import fetch, schema
from itneurons.recordings.archive import ImageArchive
from itneurons.recordings.schema import IMAGE_SIZE, RecordingError, category_of

FILE_NAME = "IT_data.h5"
DOWNLOADS = "brainscore_downloads"
URL = "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore"
# name of each file, and its SHA-1
FILES = {
    "rates": ("assy_dicarlo_MajajHong2015_public.nc", "13d28ca0ce88ee550b54db3004374ae19096e9b9"),
    "table": ("stimulus_hvm-public.csv", "5ca7a3da00d8e9c694a9cd725df5ba0ad6d735af"),
    "images": ("stimulus_hvm-public.zip", "8aa44e038d7b551efa8077467622f9d48d72e473"),
}
N_SITES = 168
SOURCE = "brainscore MajajHong2015.public"
CITATION = schema.MAJAJ_2015
VAL_FRACTION, TEST_FRACTION = 0.09, 0.10
# what the release calls the categories, and what object names call them
CATEGORIES = {
    "animals": "animal",
    "boats": "ship",
    "cars": "car",
    "chairs": "chair",
    "faces": "face",
    "fruits": "fruit",
    "planes": "airplane",
    "tables": "table",
}
# pooch announces each file; the download has a bar of its own
pooch.get_logger().setLevel("WARNING")
# of the rates, read at once
_BYTES_AT_ONCE = 64e6


class Presentations(NamedTuple):
    """Firing rates of the IT sites by image."""

    image_ids: list
    """(n_images,) identifiers of the images, in alphabetical order."""
    trials: np.ndarray
    """(n_trials, n_images, n_sites) firing rates; NaN where an image was shown less often."""
    sites: list
    """(n_sites,) identifiers of the sites."""


def add_arguments(parser):
    """Options of ``itneurons get brainscore``."""
    parser.add_argument("--url", help="a mirror to fetch from instead of Brain-Score's own address")
    parser.add_argument("--seed", type=int, default=0, help="draws the splits")


def make(folder, url=None, seed=0, image_size=IMAGE_SIZE):
    """Fetch the Brain-Score release and turn it into ``IT_data.h5``.

    Rates are averaged over presentations. Images are resized as in Brain-Score's own preprocessing (torchvision's
    ``Resize`` of a Pillow image: bilinear, antialiased).

    Parameters
    ----------
    folder : str or Path
        The three files are kept in its folder ``brainscore_downloads``.
    url : str, optional
        Address of a folder that holds the three files under their names, instead of Brain-Score's own.
    seed : int
        Draws the splits: 81 % of the images to train, 9 % for validation, 10 % for test, each with the same
        distribution over objects.
    image_size : int

    Returns
    -------
    path : Path
        ``<folder>/IT_data.h5``. Kept as it is if it lies there already.

    Raises
    ------
    itneurons.recordings.fetch.SourceError
        If a file cannot be fetched, or is not the one that was published.
    RecordingError
        If the files do not hold what they should, or the course's recording lies in the file's place.
    """
    path = Path(folder) / FILE_NAME
    with fetch.one_at_a_time(path):
        if fetch.is_there(path, "brainscore"):
            return path
        files = {kind: _fetch(Path(folder) / DOWNLOADS, url or URL, *FILES[kind]) for kind in FILES}
        _convert(path, files, seed, image_size)
    print(
        f"{path}: the recordings of Brain-Score's public release. It differs from the course's {FILE_NAME} in which "
        f"images fall in which split (drawn here with seed {seed}), and in that the rates of the test images and the "
        f"single trials of validation and test are known. Its downloads, in {path.parent / DOWNLOADS}, can be removed"
    )
    return path


def _fetch(folder, url, name, sha1):
    address = f"{url.rstrip('/')}/{name}"

    def downloader(_, output, __):
        # pooch's own downloader cannot resume; a file that breaks off stays beside the place of the whole one
        fetch.download(address, folder / f"{name}.download").replace(output)

    try:
        return Path(pooch.retrieve(address, f"sha1:{sha1}", fname=name, path=folder, downloader=downloader))
    except ValueError as error:
        raise fetch.SourceError(
            f"{address} is not the file that was published: its SHA-1 is not {sha1}. It was removed. Try again, in "
            "case it was damaged on the way; if that does not help, the server holds another file: use another --url, "
            "or none"
        ) from error


def _convert(path, files, seed, image_size):
    presentations = read_presentations(files["rates"])
    table = read_table(files["table"], presentations.image_ids)
    rates = mean_rates(presentations)
    if len(presentations.sites) != N_SITES:
        print(f"{files['rates'].name} holds {len(presentations.sites)} IT sites; the public release has {N_SITES}")
    splits = stratified_splits(table["object"].to_numpy(), seed)
    with ImageArchive(files["images"]) as archive:
        archive.check(table["filename"])
        schema.write(
            path,
            images={
                split: archive.images(table["filename"].iloc[chosen].tolist(), image_size, Image.Resampling.BILINEAR)
                for split, chosen in splits.items()
            },
            rates={split: rates[chosen] for split, chosen in splits.items()},
            objects={split: table["object"].iloc[chosen].tolist() for split, chosen in splits.items()},
            trials={split: presentations.trials[:, splits[split]] for split in ("val", "test")},
            image_ids={split: [presentations.image_ids[row] for row in chosen] for split, chosen in splits.items()},
            source=SOURCE,
            seed=seed,
            citation=CITATION,
            image_size=image_size,
        )


def read_presentations(path):
    """Read the firing rates of the IT sites, presentation by presentation.

    Parameters
    ----------
    path : str or Path
        A netCDF file of one array with the dimensions presentation, neuroid and, if at all, one time_bin.

    Returns
    -------
    presentations : Presentations

    Raises
    ------
    RecordingError
        If the file cannot be read, or lacks the array, a coordinate, or IT sites.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf", cache=False, decode_times=False) as dataset:
            return _read_presentations(dataset, path)
    except (OSError, EOFError) as error:
        raise RecordingError(f"{path} is no readable netCDF-4 file: {error}. Fetch it again") from error


def _read_presentations(dataset, path):
    arrays = [v for v in dataset.variables.values() if {"presentation", "neuroid"} <= set(v.dims)]
    if len(arrays) != 1:
        raise RecordingError(
            f"{path} holds {len(arrays)} arrays with the dimensions presentation and neuroid, expected one of firing "
            f"rates. It has the dimensions {', '.join(map(str, dataset.sizes))}"
        )
    rates = arrays[0]
    blocks = _blocks(rates)
    for dim in set(rates.dims) - {"presentation", "neuroid"}:
        if rates.sizes[dim] != 1:
            raise RecordingError(
                f"{path}: {dim} has the length {rates.sizes[dim]}, expected 1, the bin from 70 to 170 ms after onset"
            )
        rates = rates.squeeze(dim)
    region = _coordinate(dataset, path, "neuroid", "region")
    in_it = np.flatnonzero(region == "IT")
    if not len(in_it):
        raise RecordingError(f"{path} has no sites in IT; its regions are {', '.join(np.unique(region)) or 'none'}")
    sites = _coordinate(dataset, path, "neuroid", "neuroid_id")[in_it].tolist()
    shown = _coordinate(dataset, path, "presentation", "stimulus_id", "image_id")
    image_ids, image = np.unique(shown, return_inverse=True)
    trial = _count_within(image)
    trials = np.full((trial.max(initial=-1) + 1, len(image_ids), len(sites)), np.nan, dtype=np.float32)
    for start, stop in tqdm(blocks, desc="firing rates"):
        block = rates.isel(presentation=slice(start, stop)).transpose("presentation", "neuroid").values
        trials[trial[start:stop], image[start:stop]] = block[:, in_it]
    return Presentations(image_ids.tolist(), trials, sites)


def _coordinate(dataset, path, dim, *names):
    """Text along a dimension, under the first of the names that is there."""
    for name in names:
        if name in dataset.variables and dataset.variables[name].dims == (dim,):
            values = dataset.variables[name].values
            return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], dtype=str)
    raise RecordingError(
        f"{path} lacks the coordinate {' or '.join(names)} along {dim}; it has "
        f"{', '.join(str(n) for n, v in dataset.variables.items() if v.dims == (dim,)) or 'none'}"
    )


def _count_within(groups):
    """For each element, how many of its group stand before it."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    counts = np.empty(len(groups), dtype=int)
    counts[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
    return counts


def _blocks(rates):
    """Ranges of presentations, a multiple of the file's own chunks, so that none is decompressed twice."""
    n_presentations = rates.sizes["presentation"]
    sizes = rates.encoding.get("chunksizes")
    chunks = dict(zip(rates.dims, sizes, strict=True)) if sizes else {}
    chunk = chunks.get("presentation", 1)
    at_once = max(1, round(_BYTES_AT_ONCE / rates.dtype.itemsize / rates.sizes["neuroid"] / chunk)) * chunk
    return [(start, min(start + at_once, n_presentations)) for start in range(0, n_presentations, at_once)]


def mean_rates(presentations):
    """Firing rate of each site for each image, averaged over the presentations that it was recorded in.

    Returns
    -------
    rates : array of shape (n_images, n_sites)

    Raises
    ------
    RecordingError
        If a site has no rate at all for some image.
    """
    recorded = np.isfinite(presentations.trials)
    count = recorded.sum(axis=0)
    if not count.all():
        missing = np.flatnonzero((count == 0).any(axis=0))
        site = missing[0]
        image = np.flatnonzero(count[:, site] == 0)[0]
        raise RecordingError(
            f"{len(missing)} of {len(presentations.sites)} IT sites have no firing rate at all for some image: site "
            f"{presentations.sites[site]} has none for image {presentations.image_ids[image]}. The public release has "
            "no such gap: remove the downloads and fetch them again"
        )
    return presentations.trials.sum(axis=0, where=recorded, dtype=np.float64) / count


def read_table(path, image_ids):
    """Read the table of images, in the order of ``image_ids``.

    Returns
    -------
    table : pandas.DataFrame
        With the columns filename and object; the object's name is one that ``schema.category_of`` knows.

    Raises
    ------
    RecordingError
        If a column or an image is missing, or an object fits no category.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise RecordingError(f"{path} is no readable table: {error}. Fetch it again") from error
    table = table.rename(columns={"image_id": "stimulus_id"} if "stimulus_id" not in table else {})
    missing = [name for name in ("stimulus_id", "filename", "object_name") if name not in table]
    if missing:
        raise RecordingError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(table)}")
    table = table.drop_duplicates("stimulus_id").set_index("stimulus_id")
    unknown = [image_id for image_id in image_ids if image_id not in table.index]
    if unknown:
        raise RecordingError(
            f"{path} lacks {len(unknown)} of the {len(image_ids)} images that have firing rates, for example "
            f"{unknown[0]}: the two files do not belong together. Remove the downloads and fetch them again"
        )
    table = table.loc[image_ids]
    categories = table["category_name"] if "category_name" in table else [""] * len(table)
    pairs = list(zip(table["object_name"], categories, strict=True))
    known = {pair: object_name(*pair) for pair in dict.fromkeys(pairs)}
    return pd.DataFrame({"filename": table["filename"].to_numpy(), "object": [known[pair] for pair in pairs]})


def object_name(name, category=""):
    """A name for an object that tells its category, by ``itneurons.recordings.schema.category_of``.

    Parameters
    ----------
    name : str
        What the release calls the object, e.g. ``"face0001"`` or ``"alfa155"``.
    category : str
        What the release calls its category, e.g. ``"Cars"``; ``""`` if it does not say.

    Returns
    -------
    name : str
        The same name where it tells the category, else with the category in front, e.g. ``"car_alfa155"``.

    Raises
    ------
    RecordingError
        If no name can be found.
    """
    if not category:
        # raises if no category knows the name
        category_of(name)
        return name
    wanted = CATEGORIES.get(category.lower())
    if wanted is None:
        raise RecordingError(
            f"The object {name!r} is of the category {category!r}; known are {', '.join(sorted(CATEGORIES))}"
        )
    # animals and fruits are known by their members, the others by the category itself
    fronts = [wanted]
    if wanted in schema.LISTED_CATEGORIES:
        fronts = sorted((m for m in schema.LISTED_CATEGORIES[wanted] if m in name.lower()), key=len)
    # spelled out, a name holds no other category's word: a cargo ship is no car
    candidates = [name, *(f"{front}_{end}" for front in fronts[-1:] for end in (name, "_".join(name)))]
    for candidate in candidates:
        if _category_or_none(candidate) == wanted:
            return candidate
    raise RecordingError(
        f"The object {name!r} is said to be of the category {category!r}, but its name holds none of "
        f"{', '.join(schema.LISTED_CATEGORIES[wanted])}, by which that category is known. "
        "Add the name to itneurons.recordings.schema.LISTED_CATEGORIES"
    )


def _category_or_none(name):
    try:
        return category_of(name)
    except RecordingError:
        return None


def stratified_splits(objects, seed):
    """Draw the splits, each with the same distribution over objects.

    Parameters
    ----------
    objects : array of shape (n_images,)
    seed : int

    Returns
    -------
    splits : mapping of split to array of int
        Indices of its images: 2592 / 288 / 320 of 3200.

    Raises
    ------
    RecordingError
        If there are too few images of an object.
    """
    n_images = len(objects)
    try:
        rest, test = train_test_split(
            np.arange(n_images), test_size=round(TEST_FRACTION * n_images), stratify=objects, random_state=seed
        )
        train, val = train_test_split(
            rest, test_size=round(VAL_FRACTION * n_images), stratify=objects[rest], random_state=seed
        )
    except ValueError as error:
        raise RecordingError(
            f"{n_images} images of {len(np.unique(objects))} objects are too few to draw three splits that hold each "
            f"object: {error}"
        ) from error
    return {"train": train, "val": val, "test": test}
