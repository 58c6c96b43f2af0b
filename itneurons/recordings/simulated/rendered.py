"""Rendered pictures on the disk, in blocks that are stored as they are finished: what was killed goes on from there."""

import contextlib
import shutil

import numpy as np
from tqdm.auto import tqdm

from itneurons.recordings.simulated.neurons import contrast_map
from itneurons.recordings.simulated.stimuli import render_images
from itneurons.storage import stored

# pictures of a block; a run that is killed loses what it drew of one
BLOCK = 256


class RenderedPictures:
    """The pictures of a sequence of scenes.

    Parameters
    ----------
    folder : Path
        Holds the blocks and nothing else.
    scenes : structured array of shape (n_images,), of SCENE_DTYPE
    image_size : int
    made_of : dict
        What the pictures depend on beside their scenes.
    """

    def __init__(self, folder, scenes, image_size, made_of):
        self.folder, self.scenes, self.image_size = folder, scenes, image_size
        self._blocks = [slice(start, start + BLOCK) for start in range(0, len(scenes), BLOCK)]
        self._made_of = [
            {**made_of, "image_size": image_size, "scenes": stored.fingerprint(scenes[block])} for block in self._blocks
        ]

    def render(self, workers=2):
        """Draw the pictures that are not there yet.

        Returns
        -------
        contrast : array of shape (n_images, CONTRAST_GRID, CONTRAST_GRID)
            Of each picture's ``contrast_map``.

        Raises
        ------
        OSError
            If the disk is full; finished blocks stay.
        """
        contrast = [self._load(number, "contrast") for number in range(len(self._blocks))]
        missing = [number for number, found in enumerate(contrast) if found is None]
        total = sum(len(self.scenes[self._blocks[number]]) for number in missing)
        if missing and len(missing) < len(self._blocks):
            n_images = len(self.scenes)
            print(f"{self.folder} holds {n_images - total:,} of {n_images:,} pictures, the rest is drawn")
        # all at once, so that no worker waits at the end of a block
        scenes = np.concatenate([self.scenes[:0], *(self.scenes[self._blocks[number]] for number in missing)])
        pictures = render_images(scenes, self.image_size, workers=workers)
        with contextlib.closing(pictures), tqdm(total=total, desc="rendering", unit="image") as progress:
            for number in missing:
                n_images = len(self.scenes[self._blocks[number]])
                images = np.empty((n_images, self.image_size, self.image_size, 3), dtype=np.uint8)
                maps = []
                for place, image in zip(images, pictures):
                    place[:] = image
                    maps.append(contrast_map(image))
                    progress.update()
                contrast[number] = np.stack(maps)
                arrays = {"images": images, "contrast": contrast[number]}
                stored.store(self._path(number), self._made_of[number], arrays)
        return np.concatenate(contrast)

    def images(self, first, last):
        """Pictures (image_size, image_size, 3), uint8, from the first to before the last, one after the other.

        Raises
        ------
        UnusableError
            If a block was damaged since it was drawn.
        """
        for number, block in enumerate(self._blocks):
            if block.start < last and first < block.stop:
                images = stored.load(self._path(number), self._made_of[number])["images"]
                yield from images[max(first - block.start, 0) : last - block.start]

    def remove(self):
        """Remove the blocks, and the folder."""
        shutil.rmtree(self.folder)

    def _path(self, number):
        return self.folder / f"block_{number:05d}.h5"

    def _load(self, number, name):
        found = stored.load_if_it_fits(self._path(number), self._made_of[number])
        return None if found is None else found[name]
