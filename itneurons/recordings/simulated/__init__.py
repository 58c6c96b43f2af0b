"""A simulated experiment in the layout of the real one: rendered stimuli and sites whose tuning is known."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from itneurons.recordings import schema
from itneurons.recordings.fetch import one_at_a_time
from itneurons.recordings.simulated.neurons import Population
from itneurons.recordings.simulated.rendered import RenderedPictures
from itneurons.recordings.simulated.stimuli import OBJECTS, sample_scenes
from itneurons.storage.stored import UnusableError, load_or_make

SOURCE = "simulated recordings"
FILE_NAME = "IT_data_simulated.h5"
SIZES = (2592, 288, 320)
N_TRIALS = 50
CITATION = (
    "Simulated recordings; no animal was recorded. See itneurons/recordings/simulated/ for the model and its sources."
)

# goes up when the stimuli or the neurons change, so that a file made before is made anew
MODEL_VERSION = 1


def add_arguments(parser):
    """Options of ``itneurons get simulated``."""
    parser.add_argument(
        "--sizes", type=int, nargs=3, default=SIZES, metavar=("TRAIN", "VAL", "TEST"), help="numbers of images"
    )
    parser.add_argument("--image-size", type=int, default=schema.IMAGE_SIZE, help="height and width in pixels")
    parser.add_argument("--neurons", type=int, default=168, dest="n_neurons")
    parser.add_argument("--trials", type=int, default=N_TRIALS, dest="n_trials", help="presentations of each image")
    parser.add_argument("--seed", type=int, default=0)


def make(folder=".", sizes=SIZES, image_size=schema.IMAGE_SIZE, n_neurons=168, n_trials=N_TRIALS, seed=0, workers=2):
    """Make the simulated recordings, unless the folder holds the very same.

    Pictures are kept beside the file, in ``IT_data_simulated_pictures``, until it is whole: drawing them goes on where
    it was broken off.

    Parameters
    ----------
    folder : str or Path
    sizes : tuple of int
        Numbers of training, validation and test images.
    image_size : int
        Height and width in pixels.
    n_neurons, n_trials : int
        Sites, and presentations of each image.
    seed : int
        Same seed, same file content.
    workers : int
        Processes that render; the result does not depend on it.

    Returns
    -------
    path : Path
        ``IT_data_simulated.h5`` in the folder.
    """
    path = Path(folder) / FILE_NAME
    made_of = {
        "model": MODEL_VERSION,
        "sizes": list(sizes),
        "image_size": image_size,
        "n_neurons": n_neurons,
        "n_trials": n_trials,
        "seed": seed,
    }
    with one_at_a_time(path):
        load_or_make(path, made_of, lambda: _pictures(path, made_of), _check, partial(_write, workers=workers))
    return path


def _check(path, made_of):
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with schema.open_recording(path) as file:
            settings = schema.text_of(file, "settings")
            # files of before kept their settings as a sentence at the end of the citation
            sentence = schema.text_of(file, "citation").partition(" Model ")[2]
            found = (
                json.loads(settings) if settings else {"sentence": sentence, "seed": int(file.attrs.get("seed", -1))}
            )
    except schema.RecordingError as error:
        raise UnusableError(error) from error
    if found not in (made_of, {"sentence": _sentence(made_of), "seed": made_of["seed"]}):
        raise UnusableError("it was made with other settings or another version")
    return path


def _sentence(made_of):
    sizes = tuple(made_of["sizes"])
    return "{model}: {0}, {image_size} px, {n_neurons} sites, {n_trials} trials.".format(sizes, **made_of)


def _pictures(path, made_of):
    n_images, seed = sum(made_of["sizes"]), made_of["seed"]
    rng = np.random.default_rng([seed, 0])
    scenes = rng.permutation(sample_scenes(np.arange(n_images) % len(OBJECTS), seed))
    folder = path.with_name(f"{path.stem}_pictures")
    return RenderedPictures(folder, scenes, made_of["image_size"], {"model": made_of["model"]})


def _write(path, made_of, pictures, workers):
    sizes, seed, n_trials = made_of["sizes"], made_of["seed"], made_of["n_trials"]
    population = Population(OBJECTS, made_of["n_neurons"], seed)
    rates = population.rates(pictures.scenes, pictures.render(workers))
    trials = population.trials(rates, n_trials, seed)
    bounds = np.cumsum((0, *sizes)).tolist()
    parts = {split: slice(a, b) for split, a, b in zip(schema.SPLITS, bounds[:-1], bounds[1:])}
    names = np.array(OBJECTS)[pictures.scenes["object"]]
    schema.write(
        path,
        images={split: pictures.images(part.start, part.stop) for split, part in parts.items()},
        rates={split: trials[:, part].mean(axis=0) for split, part in parts.items()},
        objects={split: names[part].tolist() for split, part in parts.items()},
        trials={split: trials[:, parts[split]] for split in ("val", "test")},
        noise_ceiling=population.noise_ceiling(rates, n_trials),
        source=SOURCE,
        seed=seed,
        citation=CITATION,
        unit="spikes/s",
        settings=json.dumps(made_of),
        image_size=made_of["image_size"],
    )
    pictures.remove()


def simulated_population(path):
    """The population behind simulated recordings, with its true tuning.

    Parameters
    ----------
    path : str or Path
        Of a recording.

    Returns
    -------
    population : neurons.Population, or None
        None for recordings that are not simulated.
    """
    with schema.open_recording(path) as file:
        if schema.text_of(file, "source") != SOURCE:
            return None
        return Population(OBJECTS, file["spikes_train"].shape[1], int(file.attrs["seed"]))


def simulated_centres(path):
    """True centres of the receptive fields of simulated recordings.

    Returns
    -------
    centres : array of shape (n_neurons, 2), or None
        As (x, y) in fractions of the image from its middle, y downwards; None for recordings that are not simulated.
    """
    population = simulated_population(path)
    return None if population is None else population.centres
