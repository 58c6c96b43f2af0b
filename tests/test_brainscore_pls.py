"""The score on Brain-Score's scale, against a case that is known and against the benchmark's own package."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import StratifiedShuffleSplit

from itneurons.evaluation import brainscore


def problem(n_images=160, n_features=40, n_neurons=6, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_images, n_features)) * np.linspace(3, 0.3, n_features)
    signal = features @ rng.standard_normal((n_features, n_neurons)) / 5
    trials = signal + noise * rng.standard_normal((10, n_images, n_neurons))
    objects = np.array([f"object{index % 8}" for index in range(n_images)])
    return features, trials, objects


def test_features_that_are_the_rates_reach_one():
    features, trials, objects = problem(n_features=25, noise=0.0)
    score, r = brainscore.brainscore_pls(features, trials.mean(axis=0), objects, 1.0)
    assert r == pytest.approx(1, abs=1e-3)
    assert score == pytest.approx(1, abs=2e-3)


def test_the_ceiling_divides_the_square():
    features, trials, objects = problem()
    score, r = brainscore.brainscore_pls(features, trials.mean(axis=0), objects, [0.5, 0.8, 0.9])
    assert score == pytest.approx(r**2 / 0.8)


def test_unrelated_features_reach_nothing():
    _, trials, objects = problem()
    features = np.random.default_rng(1).standard_normal((160, 40))
    assert abs(brainscore.brainscore_pls(features, trials.mean(axis=0), objects, 1.0)[1]) < 0.15


def by_scikit_learn(features, rates, objects, **options):
    """The correlation of each split, median over neurons."""
    medians = []
    for train, test in StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1).split(features, objects):
        model = PLSRegression(min(25, features.shape[1]), scale=False, **options).fit(features[train], rates[train])
        predicted = model.predict(features[test])
        medians.append(np.median([np.corrcoef(p, r)[0, 1] for p, r in zip(predicted.T, rates[test].T)]))
    return np.array(medians)


@pytest.mark.parametrize("n_features", [20, 40, 300])
@pytest.mark.parametrize("n_neurons", [6, 30])
def test_it_agrees_with_scikit_learn(n_features, n_neurons):
    features, trials, objects = problem(n_features=n_features, n_neurons=n_neurons)
    rates = trials.mean(axis=0)
    found = brainscore.pls_correlations(features @ features.T, rates, objects)
    # what its iterations converge to
    exact = by_scikit_learn(features, rates, objects, max_iter=20_000, tol=1e-14)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert abs(found.mean() - by_scikit_learn(features, rates, objects).mean()) < 1e-3


def test_the_order_is_that_of_the_benchmark():
    features, trials, objects = problem()
    order = np.random.default_rng(0).permutation(len(objects))
    sorted_again = np.argsort(order)
    expected = brainscore.brainscore_pls(features, trials.mean(axis=0), objects, 0.9)
    shuffled = features[order], trials.mean(axis=0)[order], objects[order], 0.9
    assert brainscore.brainscore_pls(*shuffled, order=sorted_again) == pytest.approx(expected)
    assert brainscore.brainscore_pls(*shuffled) != pytest.approx(expected)


def test_it_agrees_with_the_benchmark():
    pytest.importorskip("brainscore_vision")
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_vision.benchmark_helpers.neural_common import explained_variance
    from brainscore_vision.metrics.internal_consistency.ceiling import InternalConsistency
    from brainscore_vision.metrics.regression_correlation import metric

    features, trials, objects = problem()
    n_trials, n_images, n_neurons = trials.shape
    images = np.array([f"image{index:04d}" for index in range(n_images)])

    def assembly(values, prefix, **presentation):
        neuroids = [f"{prefix}{index}" for index in range(values.shape[1])]
        coordinates = {name: ("presentation", given) for name, given in presentation.items()}
        coordinates |= {"neuroid_id": ("neuroid", neuroids), "region": ("neuroid", ["IT"] * len(neuroids))}
        return NeuroidAssembly(values, coords=coordinates, dims=["presentation", "neuroid"])

    single = assembly(
        trials.reshape(-1, n_neurons),
        "n",
        stimulus_id=np.tile(images, n_trials),
        object_name=np.tile(objects, n_trials),
        repetition=np.repeat(np.arange(n_trials), n_images),
    )
    ceiling = InternalConsistency()(single)
    benchmark = metric.CrossRegressedCorrelation(
        regression=metric.pls_regression(),
        correlation=metric.pearsonr_correlation(),
        crossvalidation_kwargs={"stratification_coord": "object_name"},
    )
    raw = benchmark(
        assembly(features, "f", stimulus_id=images, object_name=objects),
        assembly(trials.mean(axis=0), "n", stimulus_id=images, object_name=objects),
    )
    expected = float(explained_variance(raw, ceiling).values)
    score, r = brainscore.brainscore_pls(features, trials.mean(axis=0), objects, float(ceiling.values))
    print(f"benchmark {expected:.6f}, ours {score:.6f}")
    assert r == pytest.approx(float(raw.values), abs=1e-3)
    assert score == pytest.approx(expected, abs=1e-3)
