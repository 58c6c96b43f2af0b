"""Categories come out of rates that tell them and not out of others, and similarities are what was put in."""

import numpy as np
import pytest

from itneurons.evaluation import bootstrap
from itneurons.evaluation.readout import agreement, named_categories, read_out, similarity

CATEGORIES = np.array(["car", "face", "fruit", "ship"])
N_NEURONS = 12


def population(n_images=48, noise=0.2, seed=0):
    """Rates that are the category's own pattern and noise, and the categories."""
    rng = np.random.default_rng(seed)
    index = rng.permutation(np.arange(n_images) % len(CATEGORIES))
    patterns = rng.standard_normal((len(CATEGORIES), N_NEURONS))
    return 20 + 5 * (patterns[index] + noise * rng.standard_normal((n_images, N_NEURONS))), CATEGORIES[index]


def test_what_rates_tell_is_read_out():
    rates, categories = population()
    assert (named_categories(rates, categories, n_folds=2) == categories).all()


def test_what_rates_do_not_tell_is_chance():
    rates, categories = population()
    shuffled = np.random.default_rng(1).permutation(rates)
    found = read_out(rates, shuffled, categories, n_folds=2)
    assert found.measured == (1, 1, 1)
    assert found.chance == 0.25
    assert found.predicted.value < 0.5
    assert found.difference.value == pytest.approx(found.predicted.value - 1)
    assert found.difference.high < -0.4


def test_the_same_rates_differ_by_nothing_and_the_seed_decides():
    rates, categories = population(noise=2)
    found = read_out(rates, rates, categories, n_folds=2)
    assert found.difference == (0, 0, 0)
    assert found.measured.low < found.measured.value < found.measured.high < 1
    assert read_out(rates, rates, categories, n_folds=2) == found


def test_an_accuracy_that_is_known():
    # one neuron that tells two categories apart, except for a tenth of the images that lie deep on the other side
    categories = np.repeat(["car", "face"], 100)
    rates = np.where(categories == "car", 0.0, 10.0)
    rates[::10] = 10 - rates[::10]
    found = read_out(rates[:, None], np.where(categories == "car", 0.0, 10.0)[:, None], categories, n_folds=2)
    assert found.measured.value == pytest.approx(0.9)
    assert found.predicted.value == 1
    # the binomial standard error is 0.021
    assert found.difference.low == pytest.approx(0.1 - 1.96 * 0.021, abs=0.015)
    assert found.difference.high == pytest.approx(0.1 + 1.96 * 0.021, abs=0.015)


def test_intervals_of_shares_hold_the_truth_and_stay_within_what_a_share_can_be():
    rng, held, n_samples = np.random.default_rng(0), 0, 400
    for _ in range(n_samples):
        right = (rng.random(40) < 0.9).astype(float)
        low, high = bootstrap.interval(*bootstrap.mean_over_images(right, 500, seed=0), bootstrap.SHARE)
        assert 0 < low <= right.mean() <= high <= 1
        held += low <= 0.9 <= high
    # 95 % in truth; three binomial standard errors of 400 samples are 3 %
    assert held / n_samples > 0.92


def test_what_cannot_be_read_out_is_refused():
    rates, categories = population(20)
    with pytest.raises(ValueError, match="same images"):
        named_categories(rates[1:], categories)
    with pytest.raises(ValueError, match="finite"):
        named_categories(np.where(rates == rates[0, 0], np.nan, rates), categories)
    with pytest.raises(ValueError, match="two categories"):
        named_categories(rates, np.repeat("car", 20))
    with pytest.raises(ValueError, match="ship \\(1\\)"):
        named_categories(rates, np.array(["car"] * 19 + ["ship"]))


def test_similarity_is_a_correlation_over_neurons():
    rates, categories = population()
    matrix = similarity(rates)
    scaled = (rates - rates.mean(axis=0)) / rates.std(axis=0)
    assert matrix[3, 7] == pytest.approx(np.corrcoef(scaled[3], scaled[7])[0, 1])
    np.testing.assert_allclose(np.diag(matrix), 1)
    same = categories[:, None] == categories
    assert matrix[same].mean() > 0.8 > 0.2 > matrix[~same].mean()


def test_similarity_of_labels_ignores_units_and_silent_neurons():
    rates, categories = population()
    matrix = similarity(rates, categories)
    assert matrix.shape == (4, 4)
    louder = np.concatenate([rates * np.linspace(1, 50, N_NEURONS), np.zeros((48, 1))], axis=1)
    np.testing.assert_allclose(similarity(louder, categories), matrix, atol=1e-9)
    assert agreement(matrix, similarity(louder, categories)) == pytest.approx(1)


def test_agreement_leaves_the_diagonal_out():
    rng = np.random.default_rng(0)
    a, b = (np.corrcoef(rng.standard_normal((60, 40))) for _ in range(2))
    assert abs(agreement(a, b)) < 0.1
    assert agreement(a, -a) == pytest.approx(-1)
