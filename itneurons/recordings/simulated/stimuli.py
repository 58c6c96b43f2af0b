"""Stimuli of the simulated experiment: rendered objects on natural-looking backgrounds.

Modelled on the stimuli of Majaj, Hong, Solomon and DiCarlo 2015: 64 objects of eight categories, each shown at its
canonical place, size and view in one image of five, and at random ones in the others, on unrelated backgrounds.
"""

import collections
import concurrent.futures
import multiprocessing
import os
import signal
import threading

import numpy as np
from scipy.ndimage import gaussian_filter, shift
from threadpoolctl import threadpool_limits

from itneurons.recordings.schema import IMAGE_SIZE, category_of
from itneurons.recordings.simulated.backgrounds import SOURCES, background
from itneurons.recordings.simulated.objects import OBJECTS, VIEWS, solid
from itneurons.recordings.simulated.renderer import cast, shade
from itneurons.recordings.simulated.shapes import turn

__all__ = ["OBJECTS", "SCENE_DTYPE", "render", "render_images", "sample_scenes"]

SCENE_DTYPE = np.dtype(
    [
        ("object", "i2"),  # index into OBJECTS
        ("x", "f4"),  # the object's centre, from the middle of the image: to the right, -0.5..0.5 of its width
        ("y", "f4"),  # and downwards, as rows of pixels count
        ("size", "f4"),  # 1 is canonical
        ("rotation", "f4", 3),  # yaw, pitch, roll in radians, from the canonical view
        ("varied", "?"),  # False where position, size and view are canonical
        ("seed", "u4"),  # draws background, light and materials of this image alone
    ]
)
UNVARIED_SHARE = 5
SIZE_RANGE = (0.6, 1.6)
POSITION_RANGE = 0.15
ROTATION_RANGE = np.deg2rad([90, 35, 35])
# share of the image's width that an object of size 1 takes, about
OBJECT_WIDTH = 0.5
SUPERSAMPLING = 2
# scenes a worker draws at a time
CHUNK = 16
# colour shall not give made objects away: up to how many degrees their hue turns from image to image
HUE_RANGE = {"animal": 12, "airplane": 60, "car": 60, "chair": 35, "face": 5, "fruit": 12, "ship": 40, "table": 25}


def sample_scenes(objects, seed):
    """Draw scenes: where, how large and from which side each object is seen.

    Parameters
    ----------
    objects : array of shape (n_images,), int
        Indices into OBJECTS, one an image.
    seed : int

    Returns
    -------
    scenes : structured array of shape (n_images,), of SCENE_DTYPE
        One image in five, spread evenly over the objects, has the canonical position, size and view. The others
        are uniform in position (the centre within +-0.15 of the image's width, 0.3 of its half-width), in the
        logarithm of size (0.6-1.6) and in yaw (+-90 degrees); pitch and roll (+-35 degrees) peak at zero.
    """
    rng = np.random.default_rng(seed)
    objects = np.asarray(objects)
    n_images = len(objects)
    scenes = np.zeros(n_images, dtype=SCENE_DTYPE)
    scenes["object"] = objects
    scenes["x"] = rng.uniform(-POSITION_RANGE, POSITION_RANGE, n_images)
    scenes["y"] = rng.uniform(-POSITION_RANGE, POSITION_RANGE, n_images)
    scenes["size"] = np.exp(rng.uniform(*np.log(SIZE_RANGE), n_images))
    rotation = rng.uniform(-1, 1, (n_images, 3))
    rotation[:, 1:] = rng.triangular(-1, 0, 1, (n_images, 2))
    scenes["rotation"] = rotation * ROTATION_RANGE
    scenes["seed"] = rng.integers(0, 2**32, n_images, dtype=np.uint32)
    # every fifth in the order of objects, shuffled within each
    order = np.lexsort((rng.random(n_images), objects))
    scenes["varied"] = True
    canonical = scenes[order[UNVARIED_SHARE // 2 :: UNVARIED_SHARE]]
    for field, value in (("x", 0), ("y", 0), ("size", 1), ("rotation", 0), ("varied", False)):
        canonical[field] = value
    scenes[order[UNVARIED_SHARE // 2 :: UNVARIED_SHARE]] = canonical
    return scenes


def _jittered(materials, hue, rng):
    """The materials in other colours: hue turned by up to ``hue`` degrees, luminance and tint changed a little."""
    angle = np.deg2rad(rng.uniform(-hue, hue))
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    # a rotation about the axis of greys
    turned = grey + np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * cross
    tint = rng.uniform(0.8, 1.12) * rng.uniform(0.95, 1.05, 3)
    changed = {}
    for material in dict.fromkeys(materials):
        factor = tint * rng.uniform(0.94, 1.06) * rng.uniform(0.97, 1.03, 3)
        colours = [c if c is None else tuple(np.clip(turned @ c * factor, 0, 1)) for c in material[:2]]
        changed[material] = material._replace(colour=colours[0], second=colours[1])
    return [changed[material] for material in materials]


def _rotation(scene, category):
    """From the object's frame to the screen: roll, pitch and yaw add to the canonical view's."""
    yaw, pitch = VIEWS[category]
    more_yaw, more_pitch, roll = np.rad2deg(scene["rotation"].astype(float))
    return turn("z", roll) @ turn("x", pitch + more_pitch) @ turn("y", -yaw - more_yaw)


def _light(rng):
    """A direction from somewhere above and in front."""
    azimuth, height = rng.uniform(-0.9, 0.9), rng.uniform(0.5, 1.1)
    return np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])


def render(scene, image_size=IMAGE_SIZE, photographs="experiment"):
    """Draw one scene.

    Parameters
    ----------
    scene : element of an array of SCENE_DTYPE
    image_size : int
        Pixels; smaller images show the same as shrunk larger ones.
    photographs : "experiment" or "training"
        Disjoint sources of backgrounds.

    Returns
    -------
    image : array of shape (image_size, image_size, 3), uint8
    mask : array of shape (image_size, image_size), float32
        The share of each pixel that the object covers.

    Raises
    ------
    ValueError
        If there is no such source of backgrounds.
    """
    if photographs not in SOURCES:
        raise ValueError(f"photographs is {photographs!r}, expected one of {', '.join(SOURCES)}")
    rng = np.random.default_rng(int(scene["seed"]))
    # each its own stream: how much one draws does not change the others
    backdrop_rng, object_rng = rng.spawn(2)
    backdrop = background(image_size, backdrop_rng, photographs)

    category = category_of(OBJECTS[scene["object"]])
    shape = solid(int(scene["object"]))
    size = image_size * SUPERSAMPLING
    offset = float(scene["x"]) * size, -float(scene["y"]) * size
    scale = OBJECT_WIDTH * size * float(scene["size"])
    rotation = _rotation(scene, category)
    light = _light(object_rng)
    materials = _jittered([part.material for part in shape.parts], HUE_RANGE[category], object_rng)
    depth, owner = cast(shape, rotation, scale, offset, size)
    colours, pixels = shade(shape, rotation, scale, offset, depth, owner, materials, light, object_rng)

    fine = np.zeros((size * size, 3), dtype=np.float32)
    # bytes are about the square root of light; very bright light saturates softly
    fine[pixels] = np.sqrt(1 - np.exp(-1.25 * np.maximum(colours, 0)))
    mask = _pooled((owner >= 0).astype(np.float32)[..., None])[..., 0]
    foreground = _pooled(fine.reshape(size, size, 3))

    backdrop *= 1 - _shadow(mask, light, image_size)[..., None]
    image = foreground + (1 - mask[..., None]) * backdrop
    return (image * 255 + 0.5).clip(0, 255).astype(np.uint8), mask


def _pooled(values):
    """Means of blocks of SUPERSAMPLING x SUPERSAMPLING pixels."""
    rows = sum(values[k::SUPERSAMPLING] for k in range(SUPERSAMPLING))
    return sum(rows[:, k::SUPERSAMPLING] for k in range(SUPERSAMPLING)) / np.float32(SUPERSAMPLING**2)


def _shadow(mask, light, image_size):
    """How much of the background's light a soft shadow behind and below the object takes away."""
    away = np.array([0.05 + 0.03 * light[1], -0.06 * light[0]]) * image_size
    return 0.5 * shift(gaussian_filter(mask, 0.025 * image_size, truncate=2.5, mode="constant"), away, order=1)


def render_images(scenes, image_size=IMAGE_SIZE, photographs="experiment", workers=2):
    """Draw many scenes, in their order, a few at a time.

    Parameters
    ----------
    scenes : structured array of shape (n_images,), of SCENE_DTYPE
    image_size, photographs
        As in ``render``.
    workers : int
        Processes that draw; 1 draws in this process.

    Yields
    ------
    image : array of shape (image_size, image_size, 3), uint8

    Raises
    ------
    Exception
        Whatever a worker raised; ``concurrent.futures.process.BrokenProcessPool`` if one died.
    """
    if workers <= 1:
        for scene in scenes:
            yield render(scene, image_size, photographs)[0]
        return
    chunks = (scenes[start : start + CHUNK] for start in range(0, len(scenes), CHUNK))
    # spawn: a fork of a process that runs threads, as torch and Jupyter do, may hang
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker)
    waiting = collections.deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_render_chunk, chunk, image_size, photographs))
            # a bounded queue: images do not pile up before a slow reader
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _render_chunk(scenes, image_size, photographs):
    return [render(scene, image_size, photographs)[0] for scene in scenes]


def _start_worker():
    # Ctrl-C reaches the parent alone, which then shuts the pool down
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the workers share the processor: threads of each one's matrix products would only wait for those of the others
    threadpool_limits(1)
    # and a parent that was killed takes its workers along
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
