"""A small made-up recording, and ways to damage a file."""

import numpy as np

SIZES = {"train": 80, "val": 24, "test": 16}
N_NEURONS = 8
N_TRIALS = 6
IMAGE_SIZE = 32
# two objects of each category
OBJECTS = (
    "bear",
    "cow",
    "airplane1",
    "airplane2",
    "car1",
    "car2",
    "chair1",
    "chair2",
    "face1",
    "face2",
    "apple",
    "pear",
    "ship1",
    "ship2",
    "table1",
    "table2",
)


def made_up(seed=0, sizes=None, n_neurons=N_NEURONS, image_size=IMAGE_SIZE):
    """Arguments for ``itneurons.recordings.schema.write``: blobs whose brightness and colour drive the neurons."""
    sizes = SIZES if sizes is None else sizes
    rng = np.random.default_rng(seed)
    tuning = rng.standard_normal((3, n_neurons))
    images, rates, trials, objects = {}, {}, {}, {}
    for split, n_images in sizes.items():
        colour = rng.integers(20, 236, (n_images, 1, 1, 3))
        noise = rng.integers(-20, 20, (n_images, image_size, image_size, 3))
        images[split] = (colour + noise).astype(np.uint8)
        expected = 10 + colour[:, 0, 0] / 40 @ tuning
        trials[split] = expected + rng.standard_normal((N_TRIALS, n_images, n_neurons))
        rates[split] = trials[split].mean(axis=0)
        objects[split] = [OBJECTS[index % len(OBJECTS)] for index in range(n_images)]
    trials.pop("train")
    return {
        "images": images,
        "rates": rates,
        "objects": objects,
        "trials": trials,
        "noise_ceiling": np.full(n_neurons, 0.9),
        "source": "made-up recordings",
        "seed": seed,
        "citation": "nobody",
        "unit": "spikes/s",
    }


def normalised(n_images, size=IMAGE_SIZE, seed=0):
    """Images of noise (n_images, 3, size, size), float32, in the range of normalised ones."""
    return np.random.default_rng(seed).uniform(-2, 2, (n_images, 3, size, size)).astype(np.float32)


def flipped(content, position):
    """The bytes of a file, one of them changed."""
    return content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]


# what becomes of the bytes of a file
DAMAGES = {
    "cut_off": lambda content: content[: len(content) // 2],
    "last_byte_lost": lambda content: content[:-1],
    "emptied": lambda content: b"",
    "a_web_page": lambda content: b"<!DOCTYPE html><html><body>Quota exceeded</body></html>",
}
