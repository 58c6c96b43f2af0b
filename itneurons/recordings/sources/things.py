"""The THINGS ventral stream data (TVSD), turned into ``IT_data_things_<monkey>.h5``.

Multi-unit activity of 1024 electrodes in V1, V4 and IT of each of two macaques while 22,248 images of 1,854 objects
were shown once and 100 further ones thirty times (Papale, Wang, Self and Roelfsema 2025). The activity is fetched; the
images are those of THINGS (Hebart et al. 2019), whose licence leaves it to the user to get them.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from itneurons.recordings import fetch, schema
from itneurons.recordings.archive import ImageArchive, ImageFolder
from itneurons.recordings.schema import IMAGE_SIZE, RecordingError
from itneurons.recordings.sources.things_files import read_activity, read_categories, read_order

URL = "https://gin.g-node.org/paolo_papale/TVSD/raw/master"
DOWNLOADS = "things_downloads"
CITATION = (
    "Papale P, Wang F, Self MW, Roelfsema PR (2025). An extensive dataset of spiking activity to reveal the syntax of "
    "the ventral stream. Neuron 113. doi.org/10.1016/j.neuron.2024.12.003 (CC BY 4.0). Images: Hebart MN, Dickter AH, "
    "Kidder A, Kwok WY, Corriveau A, Van Wicklin C, Baker CI (2019). THINGS: a database of 1,854 object concepts and "
    "more than 26,000 naturalistic object images. PLoS ONE 14(10):e0223792"
)
# path of each file in the repository, and its name in a flat folder
FILES = {
    "order": ("monkey{}/_logs/things_imgs.mat", "things_imgs.mat"),
    "activity": ("monkey{}/THINGS_normMUA.mat", "THINGS_normMUA.mat"),
}
# the electrodes of each area, as the authors' norm_MUA.m has them; the file is in this order, not in that of the
# recording system
ELECTRODES = {
    "F": {"V1": slice(0, 512), "IT": slice(512, 832), "V4": slice(832, 1024)},
    "N": {"V1": slice(0, 512), "V4": slice(512, 768), "IT": slice(768, 1024)},
}
PICTURES = "object_images"
# what is normalised by the mean and the standard deviation of the test presentations of a day
UNIT = "SD of MUA"
RELIABILITY = 0.3
VAL_FRACTION = 0.1
SHOWN_ONCE = (
    "Training and validation images were shown once each: their rates hold all the noise of that presentation, and no "
    "model can explain as much of them as of rates that are averaged over many"
)
WHERE_PICTURES_ARE = (
    "The monkeys saw pictures of the THINGS database, which its licence allows for research and teaching that is not "
    "commercial, and does not allow anyone to hand on. Read it at https://osf.io/jum2f, get images_THINGS.zip there "
    "(about 5 GB; its password is in password_images.txt), and give the archive with --images and --password, or the "
    f"folder that it unpacks to ({PICTURES}/aardvark/aardvark_01b.jpg and so on), which is read much faster"
)


def add_arguments(parser):
    """Options of ``itneurons get things``."""
    monkeys, areas = sorted(ELECTRODES), sorted(ELECTRODES["F"])
    parser.add_argument("--monkey", default="F", choices=monkeys, help="F or N (default: %(default)s)")
    parser.add_argument("--area", default="IT", choices=areas, help="IT, V4 or V1 (default: %(default)s)")
    parser.add_argument("--images", metavar="PATH", help="THINGS: images_THINGS.zip, or the folder it unpacks to")
    parser.add_argument("--password", help="of the archive, if it is encrypted; it comes with the licence of THINGS")
    parser.add_argument(
        "--categories", metavar="FILE", help="category27_manual.tsv of THINGS, or another table of its categories"
    )
    parser.add_argument(
        "--reliability",
        type=float,
        default=RELIABILITY,
        help="keep electrodes whose presentations correlate by more than this (default: %(default)s)",
    )
    parser.add_argument("--n-train", type=int, help="so many training images, of as few objects as hold them")
    parser.add_argument(
        "--val-fraction", type=float, default=VAL_FRACTION, help="objects for validation (default: %(default)s)"
    )
    parser.add_argument("--url", help="a mirror to fetch from instead of the public repository")
    parser.add_argument("--from", dest="source_folder", metavar="FOLDER", help="a folder that holds the files already")
    parser.add_argument("--seed", type=int, default=0, help="draws the objects for validation")


def make(
    folder,
    monkey="F",
    area="IT",
    images=None,
    password=None,
    categories=None,
    reliability=RELIABILITY,
    n_train=None,
    val_fraction=VAL_FRACTION,
    url=None,
    source_folder=None,
    seed=0,
    image_size=IMAGE_SIZE,
):
    """Fetch the activity of one area of one monkey, and join it with the pictures of THINGS.

    Pictures are resized as in Brain-Score's preprocessing (torchvision's ``Resize`` of a Pillow image: bilinear,
    antialiased). Electrodes are chosen by the repeated presentations of the test images, as the authors do.

    Parameters
    ----------
    folder : str or Path
        The two files with the activity are kept in its folder ``things_downloads``.
    monkey : {"F", "N"}
    area : {"IT", "V4", "V1"}
    images : str or Path
        The archive ``images_THINGS.zip``, or a folder that holds ``object_images``. Not needed where the recording is
        there already.
    password : str, optional
        Of the archive.
    categories : str or Path, optional
        A table of categories of THINGS, as ``read_categories`` takes it. Without it, no category is known.
    reliability : float
        Electrodes are kept whose mean correlation between two presentations of the test images exceeds this.
    n_train : int, optional
        Takes so many of the training images, of as few objects as hold them, and as much less for validation.
    val_fraction : float
        Share of the objects whose training images become validation.
    url : str, optional
        Address below which the files lie at the same paths as in the repository.
    source_folder : str or Path, optional
        A folder that holds the files already: a clone of the repository, or ``THINGS_normMUA.mat`` and
        ``things_imgs.mat`` beside each other.
    seed : int
        Draws the objects for validation, and those of a part of the training images.
    image_size : int

    Returns
    -------
    path : Path
        ``<folder>/IT_data_things_<monkey>.h5``, or ``V4_...``, ``V1_...``, with single trials of the test images. Kept
        as it is if it lies there already.

    Raises
    ------
    itneurons.recordings.fetch.SourceError
        If there is no such monkey or area, no pictures are given, or a file cannot be fetched or found.
    RecordingError
        If the files do not hold what they should (those that were fetched are removed), pictures are missing or
        cannot be read, no electrode is reliable enough, or a file with other settings lies there.
    """
    if area not in ELECTRODES.get(monkey, {}):
        raise fetch.SourceError(
            f"There is no monkey {monkey!r} with an area {area!r}: monkeys are {' and '.join(ELECTRODES)}, areas "
            f"{', '.join(ELECTRODES['F'])}"
        )
    path = Path(folder) / f"{area}_data_things_{monkey}.h5"
    source = f"things monkey {monkey}, {area}"
    settings = (
        f"reliability {reliability:g}, n_train {n_train}, val_fraction {val_fraction:g}, seed {seed}, "
        f"{image_size} px, categories {'no' if categories is None else Path(categories).name}"
    )
    with fetch.one_at_a_time(path):
        if fetch.is_there(path, source):
            # who gives no pictures takes what is there
            if images is not None:
                _check_settings(path, settings)
        else:
            with _pictures(images, password) as pictures:
                order, activity = _recorded(path.parent, monkey, ELECTRODES[monkey][area], url or URL, source_folder)
                kept = reliable_electrodes(activity, reliability)
                objects = {part: [name.partition("/")[0] for name in names] for part, names in order.items()}
                splits = split_by_object(objects["train"], objects["test"], val_fraction, n_train, seed)
                category_of = read_categories(categories, sorted({*objects["train"], *objects["test"]}))
                about = {"source": source, "seed": seed, "settings": settings}
                _convert(path, pictures, image_size, order, objects, category_of, activity, kept, splits, about)
            print(f"{path}: {len(kept)} of {len(activity.reliability)} electrodes in {area} of monkey {monkey}")
            if source_folder is None:
                print(f"What was fetched, in {path.parent / DOWNLOADS}, serves other areas too, and can be removed")
    print(SHOWN_ONCE)
    return path


def _check_settings(path, settings):
    with schema.open_recording(path) as file:
        found = schema.text_of(file, "settings")
    if found != settings:
        raise RecordingError(
            f"{path} is there already, and was made with other settings: {found}, not {settings}. Remove it, or choose "
            "another folder"
        )


def _pictures(images, password):
    """The user's copy of THINGS, opened."""
    if images is None:
        raise fetch.SourceError(f"The pictures are missing. {WHERE_PICTURES_ARE}")
    path = Path(images).expanduser()
    if path.is_dir():
        folder = path / PICTURES if (path / PICTURES).is_dir() else path
        if not any(entry.is_dir() for entry in folder.iterdir()):
            raise fetch.SourceError(
                f"{path} holds no folder {PICTURES} with a folder to each object. {WHERE_PICTURES_ARE}"
            )
        return ImageFolder(folder)
    if not path.exists():
        raise fetch.SourceError(f"There is nothing at {path}. {WHERE_PICTURES_ARE}")
    archive = ImageArchive(path, below=PICTURES, password=password)
    if archive.encrypted:
        print(
            f"Python decrypts about a megabyte a second: unpack {path.name}, and give the folder, if you want all of it"
        )
    return archive


def _recorded(folder, monkey, electrodes, url, source_folder):
    """Paths of the pictures, and activity; files that were fetched and do not hold them are removed."""
    fetched = []

    def file(kind):
        remote, local = FILES[kind][0].format(monkey), FILES[kind][1]
        if source_folder is not None:
            found = [place for place in (Path(source_folder) / remote, Path(source_folder) / local) if place.exists()]
            if not found:
                raise fetch.SourceError(
                    f"{source_folder} holds neither {remote} nor {local}. Choose another folder, or leave it out to "
                    "fetch the file"
                )
            return found[0]
        place = folder / DOWNLOADS / remote
        # another area of the same monkey needs the same files
        with fetch.one_at_a_time(place):
            if not place.exists():
                fetch.download(f"{url.rstrip('/')}/{remote}", place)
        fetched.append(place)
        return place

    try:
        order = read_order(file("order"))
        # where the two do not agree, either may be the wrong one
        return order, read_activity(file("activity"), electrodes, len(order["train"]), len(order["test"]))
    except RecordingError:
        for place in fetched:
            place.unlink()
        raise


def _convert(path, pictures, image_size, order, objects, category_of, activity, kept, splits, about):
    rows = {
        **{split: ("train", chosen) for split, chosen in splits.items()},
        "test": ("test", range(len(order["test"]))),
    }
    names, shown = (
        {split: [table[part][row] for row in chosen] for split, (part, chosen) in rows.items()}
        for table in (order, objects)
    )
    pictures.check([name for found in names.values() for name in found], f"Give a whole copy. {WHERE_PICTURES_ARE}")
    schema.write(
        path,
        images={split: pictures.images(found, image_size, Image.Resampling.BILINEAR) for split, found in names.items()},
        rates={split: getattr(activity, part)[chosen][:, kept] for split, (part, chosen) in rows.items()},
        objects=shown,
        trials={"test": activity.trials[:, :, kept]},
        categories={split: [category_of[name] for name in found] for split, found in shown.items()},
        citation=CITATION,
        unit=UNIT,
        image_size=image_size,
        **about,
    )


def reliable_electrodes(activity, threshold):
    """Electrodes that respond to an image as they did the time before.

    Parameters
    ----------
    activity : Activity
    threshold : float
        For their reliability.

    Returns
    -------
    kept : array of int
        Electrodes above the threshold, without those that have a gap in what they recorded; a line says how many.

    Raises
    ------
    RecordingError
        If none is left.
    """
    above = activity.reliability > threshold
    whole = np.isfinite(activity.train).all(axis=0) & np.isfinite(activity.test).all(axis=0)
    if not (above & whole).any():
        known = activity.reliability[np.isfinite(activity.reliability)]
        best = f"the highest is {known.max():.2f}" if len(known) else "none recorded anything"
        raise RecordingError(
            f"None of the {len(above)} electrodes has a reliability above {threshold:g}: {best}. Choose a lower "
            "--reliability, or another area"
        )
    if (above & ~whole).any():
        print(f"{(above & ~whole).sum()} electrodes have NaN or infinite activity for some image, and are left out")
    return np.flatnonzero(above & whole)


def split_by_object(train, test, val_fraction=VAL_FRACTION, n_train=None, seed=0):
    """Divide the training images into training and validation, so that the two show different objects.

    The objects of the test images come first into validation, so that training shows none of these either where
    validation is large enough. Which of them, and the others, are drawn at random.

    Parameters
    ----------
    train, test : sequence of str
        Object that each image shows.
    val_fraction : float
        Share of the objects whose images become validation.
    n_train : int, optional
        Takes so many images for training, of as few objects as hold them, and as much less for validation.
    seed : int

    Returns
    -------
    splits : mapping of "train" and "val" to array of int
        Rows of the training images, ascending.

    Raises
    ------
    RecordingError
        If one of the two would be empty.
    """
    train = np.asarray(train)
    concepts, of_image = np.unique(train, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(concepts))
    order = order[np.argsort(~np.isin(concepts[order], test), kind="stable")]
    rank = np.argsort(order)[of_image]
    # as much less for validation
    share = 1 if n_train is None else min(1, n_train / len(train) / max(1 - val_fraction, 0.01))
    n_val = max(1, round(val_fraction * share * len(concepts)))
    val, rest = np.flatnonzero(rank < n_val), np.flatnonzero(rank >= n_val)
    # from the other end, away from the objects of the test images
    rest = np.sort(rest[np.argsort(-rank[rest], kind="stable")][:n_train])
    if not 0 < val_fraction < 1 or not len(rest):
        raise RecordingError(
            f"val_fraction {val_fraction:g} and n_train {n_train} leave {len(rest):,} of {len(train):,} images for "
            f"training and {len(val):,} for validation. Give a fraction between 0 and 1"
        )
    return {"train": rest, "val": val}
