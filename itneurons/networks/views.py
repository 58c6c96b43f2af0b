"""Images a little moved: more to learn from where images are few, and a steadier prediction for new ones.

Neurons of V4 and IT answer much the same to an image that is moved by a small part of their receptive fields.
"""

import numpy as np
import torch

# to the right and downwards, in parts of the farthest that images are moved
_DIRECTIONS = (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (0.5, 0.5), (-0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)
MOST_VIEWS = len(_DIRECTIONS)


def moved(stimuli, view, farthest=1 / 28):
    """Images as they are in view 0, in the others moved to one of eight sides; what comes in repeats the edge.

    Parameters
    ----------
    stimuli : array or tensor of shape (n_images, n_channels, height, width)
        Images, or maps of a layer.
    view : int
        Less than ``MOST_VIEWS``.
    farthest : float
        In parts of the height and width.

    Returns
    -------
    stimuli : array or tensor of shape (n_images, n_channels, height, width)
    """
    if view == 0:
        return stimuli
    stimuli = stimuli if torch.is_tensor(stimuli) else np.asarray(stimuli)
    right, down = (round(share * farthest * size) for share, size in zip(_DIRECTIONS[view], stimuli.shape[:1:-1]))
    rows, columns = (np.clip(np.arange(size) - by, 0, size - 1) for by, size in zip((down, right), stimuli.shape[2:]))
    return stimuli[:, :, rows[:, None], columns]
