"""A simulated experiment in the layout of the real one: rendered stimuli and sites whose tuning is known."""

from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from recordings import schema
from recordings.fetch import one_at_a_time
from recordings.simulated.neurons import Population, contrast_map
from recordings.simulated.stimuli import OBJECTS, render_images, sample_scenes

SOURCE = "simulated recordings"
FILE_NAME = "IT_data_simulated.h5"
SIZES = (2592, 288, 320)
N_TRIALS = 50
CITATION = "Simulated recordings; no animal was recorded. See recordings/simulated/ for the model and its sources."

# goes up when the stimuli or the neurons change, so that a file made before is made anew
MODEL_VERSION = 1


def make(folder=".", sizes=SIZES, image_size=schema.IMAGE_SIZE, n_neurons=168, n_trials=N_TRIALS, seed=0, workers=2):
    """Make the simulated recordings, unless the folder holds the very same.

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
    path, sizes = Path(folder) / FILE_NAME, tuple(sizes)
    settings = f"{CITATION} Model {MODEL_VERSION}: {sizes}, {image_size} px, {n_neurons} sites, {n_trials} trials."
    with one_at_a_time(path):
        if not _is_there(path, settings, seed):
            population = Population(OBJECTS, n_neurons, seed)
            _write(path, population, sizes, image_size, n_trials, settings, seed, workers)
    return path


def _is_there(path, settings, seed):
    if not path.exists():
        return False
    try:
        with schema.open_recording(path) as file:
            if schema.text_of(file, "citation") == settings and file.attrs.get("seed") == seed:
                return True
        reason = f"{path} was made with other settings or another version"
    except schema.RecordingError as error:
        reason = error
    print(f"{path} is made anew: {reason}")
    return False


def _write(path, population, sizes, image_size, n_trials, settings, seed, workers):
    scenes, images, contrast = _show(sizes, image_size, seed, workers)
    rates = population.rates(scenes, contrast)
    trials = population.trials(rates, n_trials, seed)
    bounds = np.cumsum((0, *sizes))
    parts = {split: slice(a, b) for split, a, b in zip(schema.SPLITS, bounds[:-1], bounds[1:])}
    names = np.array(OBJECTS)[scenes["object"]]
    schema.write(
        path,
        images={split: images[part] for split, part in parts.items()},
        rates={split: trials[:, part].mean(axis=0) for split, part in parts.items()},
        objects={split: names[part].tolist() for split, part in parts.items()},
        trials={split: trials[:, parts[split]] for split in ("val", "test")},
        noise_ceiling=population.noise_ceiling(rates, n_trials),
        source=SOURCE,
        seed=seed,
        citation=settings,
        unit="spikes/s",
    )


def _show(sizes, image_size, seed, workers):
    """Scenes, images (n_images, image_size, image_size, 3) as uint8, and their contrast, in the order of the splits."""
    n_images = sum(sizes)
    rng = np.random.default_rng([seed, 0])
    scenes = rng.permutation(sample_scenes(np.arange(n_images) % len(OBJECTS), seed))
    images = np.empty((n_images, image_size, image_size, 3), dtype=np.uint8)
    contrast = []
    rendered = render_images(scenes, image_size, workers=workers)
    for image, drawn in zip(images, tqdm(rendered, total=n_images, desc="rendering", unit="image")):
        image[:] = drawn
        contrast.append(contrast_map(drawn))
    return scenes, images, np.stack(contrast)


def simulated_centres(path):
    """True centres of the receptive fields of simulated recordings.

    Parameters
    ----------
    path : str or Path
        Of a recording.

    Returns
    -------
    centres : array of shape (n_neurons, 2), or None
        As (x, y) in fractions of the image from its middle, y downwards; None for recordings that are not simulated.
    """
    with schema.open_recording(path) as file:
        if schema.text_of(file, "source") != SOURCE:
            return None
        return Population(OBJECTS, file["spikes_train"].shape[1], int(file.attrs["seed"])).centres
