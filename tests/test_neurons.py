"""The simulated sites: their noise, their ceiling and their fields are what the formulas say."""

import numpy as np
import pytest

from itneurons.evaluation import metrics
from itneurons.recordings.simulated.neurons import CONTRAST_GRID, WINDOW, Population, contrast_map
from itneurons.recordings.simulated.stimuli import OBJECTS, render, sample_scenes

N_NEURONS = 12


def population(seed=0, n_neurons=N_NEURONS):
    return Population(OBJECTS, n_neurons, seed)


@pytest.fixture(scope="module")
def experiment():
    """Scenes, contrast and expected rates of 256 images."""
    scenes = sample_scenes(np.arange(256) % len(OBJECTS), seed=0)
    contrast = np.random.default_rng(0).gamma(2, 0.02, (256, CONTRAST_GRID, CONTRAST_GRID))
    return scenes, contrast, population().rates(scenes, contrast)


def test_rates_are_positive_and_differ_between_images_and_sites(experiment):
    rates = experiment[2]
    assert rates.shape == (256, N_NEURONS)
    assert (rates > 0).all()
    assert (rates.std(axis=0) > 0.1 * rates.mean(axis=0)).all()
    assert np.abs(np.corrcoef(rates.T) - np.eye(N_NEURONS)).max() < 0.99


def test_the_same_seed_gives_the_same_population(experiment):
    scenes, contrast, rates = experiment
    np.testing.assert_array_equal(population().rates(scenes, contrast), rates)
    assert (population(seed=1).rates(scenes, contrast) != rates).all()
    first, again = (population().trials(rates, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != population().trials(rates, 3, seed=5)).any()


def test_trials_are_doubly_stochastic_poisson_counts():
    sites, n_trials = population(), 40_000
    rates = np.linspace(5, 80, 3 * N_NEURONS).reshape(3, N_NEURONS)
    trials = sites.trials(rates, n_trials, seed=0)
    assert trials.shape == (n_trials, 3, N_NEURONS)
    assert trials.dtype == np.float32
    counts = trials.astype(float) * WINDOW
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)
    mean = rates * WINDOW
    variance = mean + (sites.gain_sd * mean) ** 2
    # standard errors of 40,000 trials are about half a per cent of the mean and 1.5 % of the variance
    np.testing.assert_allclose(counts.mean(axis=0), mean, atol=5 * np.sqrt(variance / n_trials).max())
    np.testing.assert_allclose(counts.var(axis=0), variance, rtol=0.06)
    assert (variance > 1.02 * mean).all()


@pytest.mark.parametrize("n_trials", [5, 50])
def test_the_ceiling_is_what_a_perfect_model_reaches(experiment, n_trials):
    rates, sites = experiment[2], population()
    # the model that knows the expected rates, scored on many repetitions of the experiment
    scores = [
        metrics.explained_variance(sites.trials(rates, n_trials, seed).mean(axis=0), rates) for seed in range(1, 61)
    ]
    ceiling = sites.noise_ceiling(rates, n_trials)
    np.testing.assert_allclose(np.mean(scores, axis=0), ceiling, atol=0.02)
    assert abs(np.median(np.mean(scores, axis=0) - ceiling)) < 0.005


def test_the_ceiling_is_what_trials_say(experiment):
    rates, sites = experiment[2], population()
    errors = [
        metrics.noise_ceiling(sites.trials(rates, 20, seed), n_splits=30) - sites.noise_ceiling(rates, 20)
        for seed in range(10)
    ]
    assert abs(np.median(errors)) < 0.01


@pytest.mark.parametrize("size", [28, 32, 64, 112, 113])
def test_contrast_is_the_variance_of_luminance_in_each_cell(size):
    image = np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    luminance = image.astype(float) / 255 @ [0.299, 0.587, 0.114]
    edges = [int(cell * size / CONTRAST_GRID + 1e-9) for cell in range(CONTRAST_GRID + 1)]
    expected = [
        [luminance[top:bottom, left:right].var() for left, right in zip(edges, edges[1:])]
        for top, bottom in zip(edges, edges[1:])
    ]
    np.testing.assert_allclose(contrast_map(image), expected, atol=1e-6)


def test_contrast_of_an_even_image_is_zero():
    assert np.abs(contrast_map(np.full((64, 64, 3), 200, dtype=np.uint8))).max() < 1e-6


@pytest.mark.parametrize("term", [1, 2], ids=["place", "contrast"])
def test_fields_and_rendered_objects_share_their_coordinates(term):
    corners = np.array([[0.15, 0.15], [-0.15, 0.15], [0.15, -0.15], [-0.15, -0.15]])
    scenes = np.repeat(sample_scenes(np.zeros(1, dtype=int), seed=0), 4)
    scenes["x"], scenes["y"] = corners.T
    scenes["size"], scenes["rotation"] = 0.6, 0
    # contrast is where the object was drawn
    masks = [render(scene, image_size=112)[1].reshape(28, 4, 28, 4).mean(axis=(1, 3)) for scene in scenes]
    sites = population(n_neurons=4)
    sites.centres, sites.widths = corners, np.full(4, 0.1)
    sites.weights = np.tile(np.eye(3)[term], (4, 1))
    # each site answers most to the image that shows the object in its field
    assert sites.rates(scenes, np.stack(masks)).argmax(axis=0).tolist() == [0, 1, 2, 3]
