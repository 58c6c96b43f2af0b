"""What both ways are given, and what both hand back."""

import resource
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

import utils

STEPS = ("extraction", "principal components", "ridge")
N_FOLDS = 5


@dataclass(frozen=True)
class Task:
    """One measurement, small enough to be handed to another process.

    Attributes
    ----------
    path : str
        Of the recording.
    network : str
        ``"simulated"`` with the weights that ship; a torchvision model gets random ones, for it needs no download.
    image_size : int
        Height and width at which the network sees the images.
    n_components : int
    batch_size : int
        Of the usual way; ours has its own.
    timed_neurons : int
        The usual loop over neurons is timed on so many, and the time scaled to all.
    solver : str
        Of the usual way's PCA, as scikit-learn names it: ``"full"`` for exact components. Empty for scikit-learn's own
        choice, which at full size is ``"randomized"`` and approximate.
    memory : float
        Bytes; the usual way takes fewer training images where a layer needs more, and the time is scaled.
    """

    path: str
    network: str
    image_size: int
    n_components: int = 1000
    batch_size: int = 64
    timed_neurons: int = 8
    solver: str = ""
    memory: float = 20e9

    def model(self):
        model = utils.load_backbone(self.network, pretrained=self.network == "simulated")
        # the same size for both ways, so that neither resizes
        model.input_size = self.image_size
        return model

    def data(self):
        return utils.load_it_data(self.path)


@dataclass
class Measurement:
    """What one way took, and what came out.

    Attributes
    ----------
    seconds : dict of str to float
        By step, all layers together.
    scores : dict of str to list of float
        Explained variance of every neuron on the validation images, by layer; a layer that was measured on a part of
        the images has none.
    peak_memory : int
        Bytes resident at most, over the whole process.
    gram_rate : float
        Operations a second of the Gram matrix of the largest layer; 0 where there is none.
    notes : list of str
        What was measured on a part.
    """

    seconds: dict = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    scores: dict = field(default_factory=dict)
    peak_memory: int = 0
    gram_rate: float = 0.0
    notes: list = field(default_factory=list)

    @contextmanager
    def timed(self, step, scale=1.0):
        start = time.perf_counter()
        yield
        self.seconds[step] += scale * (time.perf_counter() - start)

    @property
    def total(self):
        return sum(self.seconds.values())

    def finish(self):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Linux counts it in kilobytes, macOS in bytes
        self.peak_memory = peak if sys.platform == "darwin" else peak * 1024
        return self


def n_components(task, n_images, n_features):
    """Components that exist: one fewer than images, for they are centred."""
    return int(np.min([task.n_components, n_images - 1, n_features]))
