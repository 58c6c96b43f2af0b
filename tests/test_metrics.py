"""Scores against scikit-learn, numpy and plain loops; the ceiling and the intervals against known truths."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import explained_variance_score

from benchmarks import coverage
from itneurons.evaluation import bootstrap, metrics


def problem(n_images=60, n_neurons=7, seed=0, noise=0.7, dtype=np.float32):
    rng = np.random.default_rng(seed)
    true = 5 + 3 * rng.standard_normal((n_images, n_neurons))
    return true.astype(dtype), (true + noise * rng.standard_normal(true.shape)).astype(dtype)


def numpy_correlation(true, predicted):
    return np.array([np.corrcoef(true[:, i], predicted[:, i])[0, 1] for i in range(true.shape[1])])


def sklearn_explained_variance(true, predicted):
    return explained_variance_score(true, predicted, multioutput="raw_values")


SCORES = [(metrics.explained_variance, sklearn_explained_variance), (metrics.correlation, numpy_correlation)]
each_score = pytest.mark.parametrize(("score", "reference"), SCORES, ids=["explained_variance", "correlation"])


@each_score
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["array", "tensor"])
@pytest.mark.parametrize(("n_images", "n_neurons"), [(60, 7), (3, 1), (20, 50)])
def test_scores_agree_with_the_libraries(score, reference, kind, n_images, n_neurons):
    for seed in range(5):
        true, predicted = problem(n_images, n_neurons, seed, noise=10.0 ** (seed - 2))
        expected = reference(true.astype(float), predicted.astype(float))
        scores = score(kind(true), kind(predicted))
        assert isinstance(scores, np.ndarray)
        assert scores.shape == (n_neurons,)
        np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_scores_of_known_predictions():
    true = problem()[0].astype(float)
    np.testing.assert_allclose(metrics.explained_variance(true, true + 4), 1)
    np.testing.assert_allclose(metrics.explained_variance(true, true / 2), 0.75)
    np.testing.assert_allclose(metrics.explained_variance(true, -true), -3)
    np.testing.assert_allclose(metrics.correlation(true, 2 - true / 2), -1)
    # a constant prediction tells nothing of the image
    assert (metrics.correlation(true, np.full_like(true, 0.1)) == 0).all()
    np.testing.assert_allclose(metrics.explained_variance(true, np.full_like(true, 0.1)), 0, atol=1e-12)


@each_score
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 / 3])
def test_a_neuron_that_does_not_vary_is_nan_and_named(score, reference, constant):
    true, predicted = problem()
    expected = score(true, predicted)
    true[:, 3] = constant
    with pytest.warns(UserWarning, match=r"\[3\] do not vary"):
        scores = score(true, predicted)
    assert np.isnan(scores[3])
    np.testing.assert_array_equal(np.delete(scores, 3), np.delete(expected, 3))


@each_score
@pytest.mark.parametrize(("which", "name"), [(0, "measured"), (1, "predicted")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(score, reference, which, name, bad):
    pair = problem()
    pair[which][5, 2] = bad
    with pytest.raises(ValueError, match=rf"{name} rates of the neurons \[2\]"):
        score(*pair)


@each_score
@pytest.mark.parametrize("shape", [(60, 6), (59, 7), (60,)])
def test_shapes_that_differ_are_refused(score, reference, shape):
    with pytest.raises(ValueError, match=r"\(60, 7\)"):
        score(problem()[0], np.zeros(shape))


def test_correlation_matrix_is_that_of_numpy():
    a, b = problem(40, 4)[0], problem(40, 3, seed=1)[0]
    np.testing.assert_allclose(metrics.correlation_matrix(a, b), np.corrcoef(a.T, b.T)[:4, 4:], rtol=1e-4)
    a[:, 2] = 5
    matrix = metrics.correlation_matrix(a, b)
    assert np.isnan(matrix[2]).all()
    assert np.isfinite(np.delete(matrix, 2, axis=0)).all()


def gaussian_trials(ceiling, n_trials, n_images, n_neurons, seed):
    """Trials of Gaussian neurons whose mean over ``n_trials`` has the reliability ``ceiling``."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n_images, n_neurons))
    noise_variance = n_trials * (1 - ceiling) / ceiling
    return signal + np.sqrt(noise_variance) * rng.standard_normal((n_trials, n_images, n_neurons))


def plain_ceiling(trials, n_splits, seed):
    """The noise ceiling, neuron by neuron, split by split and image by image, for the same random numbers."""
    n_trials, n_images, n_neurons = trials.shape
    ceiling = np.full(n_neurons, np.nan)
    for neuron in range(n_neurons):
        rng = np.random.default_rng(seed)
        correlations = []
        for _ in range(n_splits):
            keys = rng.random((n_trials, n_images))
            sizes, halves = [], []
            for image in range(n_images):
                row = [trials[trial, image, neuron] for trial in np.argsort(keys[:, image])]
                row = [response for response in row if not np.isnan(response)]
                half = len(row) // 2
                if half:
                    sizes.append((half, len(row)))
                    halves.append((np.mean(row[:half]), np.mean(row[half : 2 * half])))
            if len(halves) >= 3:
                correlations.append(np.corrcoef(np.transpose(halves))[0, 1])
        if correlations:
            r = np.mean(correlations)
            factor = np.mean([1 / half for half, _ in sizes]) / np.mean([1 / whole for _, whole in sizes])
            ceiling[neuron] = factor * r / (1 + (factor - 1) * r)
    return ceiling


def missing_at_random(trials, seed):
    missing = np.random.default_rng(seed).random(trials.shape) < 0.3
    return np.where(missing, np.nan, trials)


def missing_with_the_image(trials, seed):
    """Between 2 and all trials of each image, in all neurons alike."""
    n_trials, n_images, _ = trials.shape
    kept = np.random.default_rng(seed).integers(2, n_trials + 1, n_images)
    return np.where(np.arange(n_trials)[:, None, None] < kept[:, None], trials, np.nan)


MISSING = [lambda trials, seed: trials, missing_at_random, missing_with_the_image]


each_way_of_missing = pytest.mark.parametrize("remove", MISSING, ids=["complete", "at_random", "with_the_image"])


@each_way_of_missing
@pytest.mark.parametrize("n_trials", [2, 6, 7])
def test_ceiling_agrees_with_plain_loops(remove, n_trials):
    trials = remove(gaussian_trials(0.7, n_trials, 60, 4, seed=1), 2)
    expected = plain_ceiling(trials, n_splits=10, seed=5)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(metrics.noise_ceiling(trials, n_splits=10, seed=5), expected, rtol=1e-9)


@pytest.mark.parametrize(("n_trials", "factor"), [(2, 2), (6, 2), (7, 7 / 3), (3, 3)])
def test_correction_takes_the_trial_left_out_into_account(n_trials, factor, monkeypatch):
    monkeypatch.setattr(metrics, "_masked_correlation", lambda a, b, used: np.full(a.shape[1], 0.5))
    ceiling = metrics.noise_ceiling(gaussian_trials(0.7, n_trials, 20, 3, seed=0), n_splits=2)
    np.testing.assert_allclose(ceiling, factor * 0.5 / (1 + (factor - 1) * 0.5))


def test_ceiling_of_repeated_responses_is_one():
    trials = np.repeat(gaussian_trials(0.7, 1, 30, 3, seed=0), 5, axis=0)
    np.testing.assert_allclose(metrics.noise_ceiling(trials, n_splits=2), 1)


def expected_ceiling(trials, signal_variance, noise_variance):
    counts = np.isfinite(trials).sum(axis=0)
    counts = np.where(counts < 2, np.nan, counts)
    return signal_variance / (signal_variance + noise_variance * np.nanmean(1 / counts, axis=0))


@each_way_of_missing
@pytest.mark.parametrize(("ceiling", "n_trials"), [(0.82, 10), (0.79, 7), (0.3, 10)])
def test_ceiling_has_no_bias_over_seeds(remove, ceiling, n_trials):
    errors = []
    for seed in range(20):
        trials = remove(gaussian_trials(ceiling, n_trials, 288, 30, seed), seed)
        truth = expected_ceiling(trials, 1, n_trials * (1 - ceiling) / ceiling)
        errors.append(np.median(metrics.noise_ceiling(trials, n_splits=20, seed=seed) - truth))
    standard_error = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.median(errors)) <= 0.01
    assert abs(np.mean(errors)) <= 0.003 + 3 * standard_error


def test_ceiling_of_neurons_without_signal_is_about_zero():
    trials = np.random.default_rng(0).standard_normal((10, 288, 200))
    ceiling = metrics.noise_ceiling(trials, n_splits=30)
    assert abs(ceiling.mean()) < 0.03
    assert np.abs(ceiling).max() < 0.5


def test_ceiling_without_repeats_is_nan():
    trials = gaussian_trials(0.8, 6, 40, 3, seed=0)
    trials[1:, :, 1] = np.nan
    # two images are left
    trials[1:, 2:, 2] = np.nan
    ceiling = metrics.noise_ceiling(trials, n_splits=20)
    assert np.isfinite(ceiling).tolist() == [True, False, False]
    assert np.isnan(metrics.noise_ceiling(trials[:1], n_splits=2)).all()


def test_ceiling_is_the_same_for_a_seed_and_for_tensors():
    trials = gaussian_trials(0.5, 5, 30, 3, seed=0).astype(np.float32)
    first = metrics.noise_ceiling(trials, n_splits=5, seed=1)
    np.testing.assert_array_equal(metrics.noise_ceiling(torch.as_tensor(trials), n_splits=5, seed=1), first)
    assert (metrics.noise_ceiling(trials, n_splits=5, seed=2) != first).all()


def test_ceiling_needs_three_dimensions():
    with pytest.raises(ValueError, match=r"\(4, 5\).*n_trials, n_images, n_neurons"):
        metrics.noise_ceiling(np.zeros((4, 5)))


def drawn_images(n_images, n_bootstrap, seed):
    """The images of each draw, from the same random numbers as metrics takes."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_bootstrap)
    return [np.repeat(np.arange(n_images), count) for count in counts]


def test_draws_agree_with_explicit_resampling():
    true, predicted = problem(40, 6, noise=2.5)
    _, baseline = problem(40, 6, noise=4)
    ceiling = np.array([0.9, 0.8, 0.3, 0.7, 0.5, 0.6])
    draws = bootstrap.Draws(200, 3, true=true, predicted=predicted, residual=true - predicted, baseline=true - baseline)
    scores = bootstrap.explained_variance, bootstrap.correlation, bootstrap.fraction_of(ceiling), bootstrap.difference
    found = [draws.mean(score)[0] for score in scores]
    for draw, images in enumerate([np.arange(40), *drawn_images(40, 200, seed=3)]):
        drawn = sklearn_explained_variance(true[images], predicted[images])
        expected = (
            drawn.mean(),
            numpy_correlation(true[images], predicted[images]).mean(),
            (drawn / ceiling).mean(),
            (drawn - sklearn_explained_variance(true[images], baseline[images])).mean(),
        )
        np.testing.assert_allclose([means[draw] for means in found], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["explained variance", "correlation", "paired difference", "fraction", "ceiling"])
def test_standard_errors_are_those_of_the_influence_of_each_image(name):
    score = coverage.SCORES[name]
    true, predicted = problem(30, 4, noise=1.5)
    noise = np.random.default_rng(0).uniform(0.5, 1.5, true.shape)
    rates = {"true": true, "predicted": predicted, "residual": true - predicted, "baseline": true - predicted[::-1]}
    _, errors = bootstrap.Draws(10, 0, noise, **rates).mean(score)

    def weighted(weights):
        variances = {
            key: np.average((part - np.average(part, axis=0, weights=weights)) ** 2, axis=0, weights=weights)[None]
            for key, part in rates.items()
        }
        variances["noise"] = np.average(noise, axis=0, weights=weights)[None]
        return score(variances)[0].mean()

    step, same = 1e-5, np.full(30, 1 / 30)
    # what a little more weight of one image does to the score
    influence = [(weighted((1 - step) * same + step * one) - weighted(same)) / step for one in np.eye(30)]
    assert errors[0] == pytest.approx(np.sqrt(np.mean(np.square(influence)) / 30), rel=1e-3)


def test_an_interval_of_a_normal_score_is_two_standard_errors_wide():
    rng = np.random.default_rng(0)
    low, high = bootstrap.interval(np.append(0.5, 0.5 + 0.1 * rng.standard_normal(100_000)), np.full(100_001, 0.1))
    assert (low, high) == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=0.002)
    # draws that lie too low on average say that so does the score itself
    means = np.append(0.5, 0.4 + 0.1 * rng.standard_normal(100_000))
    assert bootstrap.interval(means, np.full(100_001, 0.1)) == pytest.approx((0.404, 0.796), abs=0.002)
    # and of a score that has no bias say nothing but how far an interval must reach to hold both sides
    low, high = bootstrap.interval(means, np.full(100_001, 0.1), biased=False)
    assert (low + high) / 2 == pytest.approx(0.5) and high > 0.73


@pytest.mark.parametrize("link", ["BELOW_ONE", "FISHER", "RELIABILITY", "SHARE"])
def test_scales_of_intervals_come_back_and_state_their_slope(link):
    to, derivative, back = getattr(bootstrap, link)
    values = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(back(to(values)), values)
    np.testing.assert_allclose((to(values + 1e-6) - to(values - 1e-6)) / 2e-6, derivative(values), rtol=1e-5)


@pytest.mark.parametrize("population", ["Gaussian", "sparse"])
def test_intervals_cover_the_truth(population):
    held = coverage.coverage(coverage.POPULATIONS[population], 120, n_bootstrap=300, of=(10,))
    for name, (studentised, percentiles) in held.items():
        # 95 % in truth; three binomial standard errors of 120 samples are 6 %
        assert studentised > 0.88, name
        if population == "sparse" and name in ("explained variance", "ceiling, 10 trials"):
            # the plain bootstrap would not do
            assert percentiles < 0.85, name


def test_an_estimated_ceiling_widens_the_interval_of_the_fraction():
    population, rng = coverage.POPULATIONS["Gaussian"], np.random.default_rng(0)
    rates, predicted, _ = population.draw(200, rng)
    trials = population.trials(rates, 4, rng)
    measured, ceiling = trials.mean(axis=0), metrics.noise_ceiling(trials)
    known = metrics.summarise(measured, predicted, ceiling).fraction
    estimated = metrics.summarise(measured, predicted, ceiling, noise=metrics.noise_variance(trials)).fraction
    assert known.value == estimated.value
    assert estimated.high - estimated.low != pytest.approx(known.high - known.low, rel=1e-3)


def test_the_mean_noise_ceiling_has_an_interval_that_holds_the_truth():
    population, rng = coverage.POPULATIONS["heavy-tailed"], np.random.default_rng(5)
    truth = population.truth(200_000)[4]["ceiling"]
    held = []
    for seed in range(60):
        rates, *_ = population.draw(150, rng)
        trials = population.trials(rates, 4, rng)
        ceiling = metrics.mean_noise_ceiling(trials, n_bootstrap=300, seed=seed)
        assert ceiling.value == metrics.noise_ceiling(trials, seed=seed).mean()
        assert ceiling.low < ceiling.value < ceiling.high
        held.append(ceiling.low <= truth <= ceiling.high)
    # 95 % in truth; three binomial standard errors of 60 samples are 8 %
    assert np.mean(held) > 0.86


def test_the_mean_noise_ceiling_is_that_of_neurons_and_images_with_trials():
    rng = np.random.default_rng(0)
    trials = rng.standard_normal((200, 3)) + 1.5 * rng.standard_normal((6, 200, 3))
    whole = metrics.mean_noise_ceiling(trials)
    holed = np.concatenate([trials, rng.standard_normal((6, 200, 1))], axis=2)
    # a neuron without a ceiling, and an image that nobody has a trial of
    holed[1:, :, 3] = np.nan
    empty = np.insert(holed, 7, np.nan, axis=1)
    assert metrics.mean_noise_ceiling(holed) == pytest.approx(whole, abs=1e-6)
    # its halves are drawn otherwise, its images are not
    assert metrics.mean_noise_ceiling(empty) == pytest.approx(whole, abs=0.02)
    assert metrics.mean_noise_ceiling(empty)[1:] == pytest.approx(whole[1:], abs=1e-6)
    nothing = metrics.mean_noise_ceiling(holed[:1])
    assert np.isnan(nothing).all()


def test_pairing_narrows_the_interval_of_a_difference():
    rng = np.random.default_rng(0)
    true, predicted = problem(100, 6, noise=2)
    baseline = predicted + 0.3 * rng.standard_normal(true.shape)
    paired = metrics.paired_difference(true, predicted, baseline)
    apart = [metrics.summarise(true, part).explained_variance for part in (predicted, baseline)]
    width = np.hypot(*(interval.high - interval.low for interval in apart))
    assert paired.high - paired.low < 0.7 * width
    assert paired.low < paired.value < paired.high
    assert metrics.paired_difference(true, predicted, predicted) == (0, 0, 0)


def test_summary_without_ceilings_has_no_fraction():
    true, predicted = problem()
    assert metrics.summarise(true, predicted, n_bootstrap=20).fraction is None
    low = metrics.summarise(true, predicted, np.full(7, 0.02), n_bootstrap=20)
    assert low.fraction is None
    assert low.n_left_out == 7


def test_summary_of_sparse_and_constant_neurons_is_finite():
    true, predicted = problem(24, 5, noise=2)
    alone = metrics.summarise(true[:, 2:], predicted[:, 2:], n_bootstrap=200)
    # one neuron answers to a single image, which a third of the draws lack; one to none
    true[:, 0] = 0
    true[3, 0] = 4
    predicted[:, 0] = true[:, 0] + predicted[:, 1] / 20
    true[:, 1] = 0.1
    with pytest.warns(UserWarning, match=r"\[1\] do not vary"):
        summary = metrics.summarise(true, predicted, np.array([0.5, 0.5, 0, 0.9, 0.9]), n_bootstrap=200)
    assert -2 < summary.explained_variance.low < summary.explained_variance.high < 1
    assert -1 <= summary.correlation.low < summary.correlation.high <= 1
    with pytest.warns(UserWarning, match=r"\[0\] do not vary"):
        without = metrics.summarise(true[:, 1:], predicted[:, 1:], n_bootstrap=200)
    np.testing.assert_allclose(without.explained_variance, alone.explained_variance)
    with pytest.warns(UserWarning, match="do not vary"):
        undefined = metrics.summarise(np.ones((9, 2)), predicted[:9, :2], n_bootstrap=20)
    assert np.isnan(undefined.explained_variance).all()


def test_summary_is_read_as_text():
    interval = metrics.Interval(0.12345, 0.1, 0.15)
    assert str(interval) == f"{interval}" == "0.123 [0.100, 0.150]"
    assert f"{interval:>25}" == "     0.123 [0.100, 0.150]"


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        true, predicted = problem()
        metrics.summarise(true, predicted, np.array([0, 0.5, np.nan, 0.9, 0.9, 0.9, -0.1]), n_bootstrap=20)
        metrics.noise_ceiling(missing_at_random(gaussian_trials(0.5, 4, 20, 3, 0), 0), n_splits=3)
