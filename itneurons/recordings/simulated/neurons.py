"""A simulated population of IT sites: from what a scene shows to spike counts, with the answer known exactly.

Each site's drive is a weighted sum of three terms, each of unit variance over the stimuli:

object
    Preference for the category and for the single object (Kiani, Esteky, Mirpour and Tanaka 2007), times a Gaussian
    receptive field over the object's position (Op de Beeck and Vogels 2000), times tuning to the logarithm of its
    size (Ito, Tamura, Fujita and Tanaka 1995), times tuning to its view (Logothetis, Pauls and Poggio 1995).
place
    Position and size whatever the object: IT carries such category-orthogonal properties (Hong, Yamins, Majaj and
    DiCarlo 2016). The same receptive field and size tuning.
contrast
    Root-mean-square luminance contrast inside the receptive field, object and background alike; higher visual
    areas keep some dependence on contrast (Avidan et al. 2002).

A softplus turns the drive into a firing rate, and trial-by-trial counts in a window of 100 ms are drawn from a
doubly stochastic Poisson process whose gain varies from trial to trial (Goris, Movshon and Simoncelli 2014): the
variance of a count with mean m is m + (gain_sd * m)^2. With both moments known, so is the noise ceiling.
"""

from dataclasses import dataclass

import numpy as np

from itneurons.recordings.schema import CATEGORIES, category_of

WINDOW = 0.1  # seconds in which spikes are counted
CONTRAST_GRID = 28  # the contrast inside a receptive field is summed over a grid of this height and width


@dataclass(frozen=True)
class Tuning:
    """Parameters of the population; calibrated once, against published scores of real IT sites (see README)."""

    object_weight: float = 2.0
    place_weight: float = 0.8
    contrast_weight: float = 0.3
    category_share: float = 0.6  # of the variance of preference, the rest is the single object's
    field_centre_sd: float = 0.15  # fractions of the image: most fields include the fovea
    field_width: tuple = (0.18, 0.5)  # standard deviation of a field, fractions of the image
    size_width: tuple = (0.5, 1.5)  # octaves
    view_width: tuple = (0.8, 2.5)  # radians
    slope: float = 0.6  # of the softplus, in standard deviations of the drive
    offset: tuple = (0.5, 2.0)  # where on the softplus a site works
    peak: tuple = (1.8, 0.6)  # mean and standard deviation of the logarithm of the gain, spikes/s
    gain_sd: tuple = (0.2, 0.6)  # trial-to-trial standard deviation of the gain


def contrast_map(image):
    """Variance of luminance in each cell of a grid.

    Parameters
    ----------
    image : array of shape (height, width, 3), uint8

    Returns
    -------
    contrast : array of shape (CONTRAST_GRID, CONTRAST_GRID)
        In units of squared luminance, luminance in [0, 1].
    """
    luminance = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255
    edges = np.linspace(0, len(luminance), CONTRAST_GRID + 1).astype(int)
    sizes = np.diff(edges)

    def cell_means(values):
        sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=0), edges[:-1], axis=1)
        return sums / np.outer(sizes, sizes)

    return np.maximum(cell_means(luminance**2) - cell_means(luminance) ** 2, 0)


class Population:
    """Sites with tuning drawn at random.

    Parameters
    ----------
    objects : sequence of str
        Object names; ``scenes["object"]`` points into it.
    n_neurons : int
    seed : int
    tuning : Tuning

    Attributes
    ----------
    centres : array of shape (n_neurons, 2)
        Of the receptive fields, (x, y) in fractions of the image from its middle, y
        downwards, as in the scenes.
    widths : array of shape (n_neurons,)
        Standard deviations of the receptive fields, in fractions of the image.
    """

    def __init__(self, objects, n_neurons=168, seed=0, tuning=None):
        self.tuning = t = tuning or Tuning()
        rng = np.random.default_rng([seed, 1])
        categories = np.array([CATEGORIES.index(category_of(name)) for name in objects])
        by_category = rng.standard_normal((len(CATEGORIES), n_neurons))
        by_object = rng.standard_normal((len(objects), n_neurons))
        self.preference = np.sqrt(t.category_share) * by_category[categories]
        self.preference += np.sqrt(1 - t.category_share) * by_object
        self.centres = t.field_centre_sd * rng.standard_normal((n_neurons, 2))
        self.widths = rng.uniform(*t.field_width, n_neurons)
        self.preferred_size = rng.uniform(-0.5, 0.5, n_neurons)  # octaves from the canonical size
        self.size_width = rng.uniform(*t.size_width, n_neurons)
        self.preferred_view = rng.uniform(-0.8, 0.8, (n_neurons, 3))
        self.view_width = rng.uniform(*t.view_width, n_neurons)
        # each site mixes the three terms in proportions of its own
        weights = np.array([t.object_weight, t.place_weight, t.contrast_weight])
        self.weights = np.sqrt(weights) * np.sqrt(rng.gamma(2.0, 0.5, (n_neurons, 3)))
        self.weights /= np.linalg.norm(self.weights, axis=1, keepdims=True)
        self.weights[:, 1:] *= rng.choice([1, 1, 1, -1], (n_neurons, 2))
        self.offset = rng.uniform(*t.offset, n_neurons)
        self.gain = np.exp(t.peak[0] + t.peak[1] * rng.standard_normal(n_neurons))
        self.gain_sd = rng.uniform(*t.gain_sd, n_neurons)

    def rates(self, scenes, contrast):
        """Expected firing rates.

        The terms are brought to unit variance over the scenes given, so give the whole set of stimuli at once.

        Parameters
        ----------
        scenes : structured array of shape (n_images,)
        contrast : array of shape (n_images, CONTRAST_GRID, CONTRAST_GRID)
            Of ``contrast_map``.

        Returns
        -------
        rates : array of shape (n_images, n_neurons)
            Spikes per second.
        """
        position = np.stack([scenes["x"], scenes["y"]], axis=1)
        field = self._field(position)
        octaves = np.log2(scenes["size"])[:, None] - self.preferred_size
        place = field * np.exp(-0.5 * (octaves / self.size_width) ** 2)
        turn = scenes["rotation"][:, None, :] - self.preferred_view
        # angles that differ by a full turn are the same
        turn = np.angle(np.exp(1j * turn))
        view = np.exp(-0.5 * (turn**2).sum(axis=2) / self.view_width**2)
        identity = self.preference[scenes["object"]] * place * view

        ticks = (np.arange(CONTRAST_GRID) + 0.5) / CONTRAST_GRID - 0.5
        grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        weights = self._field(grid)
        local = np.sqrt(contrast.reshape(len(contrast), -1) @ (weights / weights.sum(axis=0)))

        terms = np.stack([_standardised(term) for term in (identity, place, local)])
        drive = np.einsum("tin,nt->in", terms, self.weights)
        return self.gain * np.logaddexp(0, self.tuning.slope * drive + self.offset) / np.log(2)

    def trials(self, rates, n_trials, seed):
        """Single-trial firing rates: spike counts over the window.

        Parameters
        ----------
        rates : array of shape (n_images, n_neurons)
            Expected, in spikes per second.
        n_trials : int
        seed : int

        Returns
        -------
        trials : array of shape (n_trials, n_images, n_neurons), float32
            Spikes per second.
        """
        rng = np.random.default_rng([seed, 2])
        shape = 1 / self.gain_sd**2
        trials = np.empty((n_trials, *rates.shape), dtype=np.float32)
        for trial in trials:
            gain = rng.gamma(shape, 1 / shape, rates.shape)
            trial[:] = rng.poisson(gain * rates * WINDOW) / WINDOW
        return trials

    def noise_ceiling(self, rates, n_trials):
        """Explained variance of a model that knows the expected rates, for means over trials.

        Parameters
        ----------
        rates : array of shape (n_images, n_neurons)
        n_trials : int

        Returns
        -------
        ceiling : array of shape (n_neurons,)
            Variance of the expected rates over images, as a fraction of the variance of the mean responses.
        """
        counts = rates * WINDOW
        noise = (counts + (self.gain_sd * counts) ** 2).mean(axis=0) / n_trials
        signal = counts.var(axis=0)
        return signal / (signal + noise)

    def _field(self, positions):
        distance = ((positions[:, None] - self.centres) ** 2).sum(axis=2)
        return np.exp(-0.5 * distance / self.widths**2)


def _standardised(term):
    return (term - term.mean(axis=0)) / term.std(axis=0)
