"""Kernels, components and ridge against numpy, scikit-learn and himalaya."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from itneurons.features import components
from itneurons.regression import cross_validation, ridge

# features, rates: few and many features, one neuron, more neurons than images
SHAPES = [(50, 20, 3), (40, 300, 3), (40, 25, 1), (30, 12, 70)]
ALPHAS = np.logspace(-1, 4, 9)


def problem(n_images, n_features, n_neurons=3, seed=0, dtype=np.float32):
    """Correlated features with an offset, and rates that follow them with noise."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_images, n_features)) * np.linspace(2, 0.5, n_features) + 3
    rates = features @ rng.standard_normal((n_features, n_neurons)) / 5 + rng.standard_normal((n_images, n_neurons))
    return features.astype(dtype), (rates + 10).astype(dtype)


@pytest.mark.parametrize("chunk_size", [1, 7, 100, 4096])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("centred", [False, True], ids=["raw", "centred"])
def test_kernel_is_that_of_numpy(chunk_size, dtype, centred):
    a, b = (problem(n, 100, seed=n, dtype=dtype)[0].reshape(n, 4, 5, 5) for n in (20, 9))
    mean = a.mean(axis=0) if centred else None
    left, right = (x.reshape(len(x), -1).astype(float) - (mean.ravel() if centred else 0) for x in (a, b))
    tolerance = {"rtol": 0, "atol": (1e-14 if dtype == np.float64 else 1e-6) * np.abs(left @ left.T).max()}
    for kernel, expected in (
        (components.linear_kernel(a, mean=mean, chunk_size=chunk_size), left @ left.T),
        (components.linear_kernel(torch.as_tensor(a), b, mean, chunk_size), left @ right.T),
    ):
        assert kernel.dtype == torch.float64
        np.testing.assert_allclose(kernel, expected, **tolerance)


@pytest.mark.parametrize("train_last", [False, True])
@pytest.mark.parametrize("other_last", [False, True])
def test_the_order_in_memory_changes_nothing(train_last, other_last):
    a, b = (torch.as_tensor(problem(n, 100, seed=n)[0].reshape(n, 4, 5, 5)) for n in (20, 9))
    mean = a.mean(dim=0)
    expected = components.linear_kernel(a, b, mean)
    scores = components.principal_components(a.double(), b.double())
    assert not torch.allclose(components.linear_kernel(a, b.roll(1, dims=1), mean), expected)
    a, b = (
        x.contiguous(memory_format=torch.channels_last) if last else x for x, last in ((a, train_last), (b, other_last))
    )
    for offset in (mean, a.mean(dim=0), mean.flatten().numpy()):
        torch.testing.assert_close(components.linear_kernel(a, b, offset), expected, rtol=1e-5, atol=1e-3)
    for found, wanted in zip(components.principal_components(a.double(), b.double()), scores):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    # and nothing is copied
    assert components.flat(a, a).data_ptr() == a.data_ptr()


def test_kernel_of_half_precision_is_near():
    features = torch.as_tensor(problem(60, 3000)[0])
    mean = features.mean(dim=0)
    exact = components.linear_kernel(features, mean=mean)
    half = components.linear_kernel(features.bfloat16(), mean=mean)
    # eight significant bits, on the diagonal and in what remains of the differences
    assert (half - exact).abs().max() < 0.01 * exact.abs().max()
    assert (half != exact).any()


def test_products_that_float16_cannot_hold_are_made_in_single_precision():
    features = 40 * torch.as_tensor(problem(60, 3000)[0]).half()
    exact = components.linear_kernel(features.double())
    assert exact.abs().max() > torch.finfo(torch.float16).max
    torch.testing.assert_close(
        components.linear_kernel(features), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max())
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")
def test_kernel_refuses_features_that_are_not_finite(bad):
    features = problem(10, 20)[0]
    features[3, 4] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        components.linear_kernel(features)
    with pytest.raises(ValueError, match="NaN or infinite"):
        components.principal_components(features)


def test_kernel_refuses_other_features():
    with pytest.raises(ValueError, match="20 features and b has 21"):
        components.linear_kernel(np.zeros((3, 20)), np.zeros((3, 21)))


def constant_features(features):
    features[:, ::3] = 0.1
    return features


def repeated_images(features):
    """Half as many components as images."""
    features[len(features) // 2 :] = features[: len(features) - len(features) // 2]
    return features


@pytest.mark.parametrize("change", [lambda x: x, constant_features, repeated_images])
@pytest.mark.parametrize(("n_images", "n_features", "n_components"), [(80, 30, 10), (40, 500, 20), (40, 500, 1000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_are_those_of_scikit_learn(change, n_images, n_features, n_components, dtype):
    train = change(problem(n_images, n_features, dtype=dtype)[0])
    other = problem(15, n_features, seed=1, dtype=dtype)[0]
    scores, projected = components.principal_components(train, other, n_components=n_components)
    rank = min(n_images - 1, np.linalg.matrix_rank(train.astype(float) - train.mean(axis=0, dtype=float), tol=1e-2))
    assert scores.shape == (n_images, min(n_components, rank))
    assert projected.shape == (15, scores.shape[1])
    pca = PCA(scores.shape[1], svd_solver="full").fit(train.astype(float))
    for found, features in ((scores, train), (projected, other)):
        expected = pca.transform(features.astype(float))
        expected *= np.sign((found * expected).sum(axis=0))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_components_reproduce_the_kernel():
    train, other = problem(30, 90)[0], problem(8, 90, seed=1)[0]
    scores, projected = components.principal_components(train.reshape(30, 10, 3, 3), torch.as_tensor(other))
    mean = train.mean(axis=0)
    np.testing.assert_allclose(scores @ scores.T, (train - mean) @ (train - mean).T, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(projected @ scores.T, (other - mean) @ (train - mean).T, rtol=1e-4, atol=1e-2)
    every = components.principal_components(train, n_components=None)
    assert len(every) == 1
    np.testing.assert_array_equal(every[0], scores)


def test_components_have_a_fixed_sign():
    scores = components.principal_components(problem(30, 90)[0])[0]
    assert (scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])] > 0).all()


def test_components_of_no_other_images_are_empty():
    scores, empty = components.principal_components(problem(12, 20)[0], np.zeros((0, 20), dtype=np.float32))
    assert empty.shape == (0, scores.shape[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 0.1, 1e6 / 3])
def test_components_need_variance(value, dtype):
    with pytest.raises(ValueError, match="do not vary"):
        components.principal_components(np.full((7, 9), value, dtype=dtype))


def counts_by_fold(held_out, categories):
    return np.array([[(categories[fold] == name).sum() for name in np.unique(categories)] for fold in held_out])


@pytest.mark.parametrize("sizes", [(40, 40, 20), (33, 21, 8), (50, 47, 3), (50, 49, 1), (4, 4, 3), (13, 0, 0)])
def test_folds_hold_out_every_image_once_and_keep_categories(sizes):
    categories = np.random.default_rng(0).permutation(np.repeat(["car", "face", "ship"], sizes))
    held_out = cross_validation.held_out_folds(len(categories), categories)
    assert sorted(np.concatenate(held_out)) == list(range(len(categories)))
    frequent = [name for name, size in zip(("car", "face", "ship"), sizes) if size >= 5]
    for name in frequent:
        counts = [(categories[fold] == name).sum() for fold in held_out]
        # a rare category takes its places among the most frequent one
        rare = sum(size for size in sizes if size < 5)
        assert max(counts) - min(counts) <= 1 + rare * (name == "car")
    again = cross_validation.held_out_folds(len(categories), categories)
    assert all((a == b).all() for a, b in zip(held_out, again))
    other = cross_validation.held_out_folds(len(categories), categories, seed=1)
    assert any(a.tolist() != b.tolist() for a, b in zip(held_out, other))


@pytest.mark.parametrize("categories", [None, [""] * 23])
def test_folds_without_categories_are_plain(categories):
    held_out = cross_validation.held_out_folds(23, categories, n_folds=4)
    assert sorted(np.concatenate(held_out)) == list(range(23))
    assert sorted(map(len, held_out)) == [5, 6, 6, 6]


def test_folds_need_an_image_each():
    with pytest.raises(ValueError, match="4 images cannot be divided into 5 folds"):
        cross_validation.held_out_folds(4)


def constant_neuron(features, rates):
    rates[:, 0] = 7.3
    return features, rates


CHANGES = [
    lambda features, rates: (features, rates),
    lambda features, rates: (constant_features(features), rates),
    lambda features, rates: (repeated_images(features), rates),
    constant_neuron,
]
each_problem = pytest.mark.parametrize(
    "change", CHANGES, ids=["plain", "constant_features", "repeated_images", "constant_neuron"]
)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def close(found, expected):
    """Equal to 1e-4 of the size of the numbers."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(initial=0))


@each_shape
@each_problem
def test_ridge_is_that_of_scikit_learn(shape, change):
    features, rates = change(*problem(*shape))
    categories = np.array(["car", "face"])[np.arange(len(rates)) % 2]
    fitted = ridge.fit_ridge(features, rates, categories, ALPHAS)
    chosen = fitted.alphas[fitted.best]
    other = problem(*shape, seed=1)[0]
    predicted = fitted.predict(other)
    assert predicted.shape == rates.shape
    reference = Ridge(chosen, solver="cholesky").fit(features.astype(float), rates.astype(float))
    close(fitted.weights, reference.coef_.T.reshape(fitted.weights.shape))
    close(fitted.intercept, reference.intercept_)
    close(predicted, reference.predict(other.astype(float)).reshape(rates.shape))


def held_out_predictions(features, rates, alpha, held_out):
    """What scikit-learn's ridge predicts for each fold from the others."""
    features, rates = features.astype(float), rates.astype(float)
    predicted = np.empty_like(rates)
    for fold in held_out:
        others = np.setdiff1d(np.arange(len(rates)), fold)
        model = Ridge(alpha, solver="cholesky").fit(features[others], rates[others])
        predicted[fold] = model.predict(features[fold]).reshape(len(fold), -1)
    return predicted


@each_shape
@each_problem
def test_cross_validation_equals_explicit_folds(shape, change):
    features, rates = change(*problem(*shape))
    held_out = cross_validation.held_out_folds(len(rates), None, n_folds=4, seed=2)
    fitted = ridge.fit_ridge(features, rates, None, ALPHAS, n_folds=4, seed=2)
    predicted = np.stack([held_out_predictions(features, rates, alpha, held_out) for alpha in ALPHAS])
    errors = ((rates - predicted) ** 2).sum(axis=1)
    varies = np.ptp(rates, axis=0) > 0
    scores = 1 - errors[:, varies] / rates[:, varies].astype(float).var(axis=0) / len(rates)
    close(fitted.cv_scores[:, varies], scores)
    assert np.isnan(fitted.cv_scores[:, ~varies]).all()
    assert (fitted.best[varies] == scores.argmax(axis=0)).all()
    close(fitted.held_out_predictions, np.stack([predicted[best, :, n] for n, best in enumerate(fitted.best)], axis=1))


@each_shape
def test_penalties_agree_with_himalaya(shape):
    himalaya = pytest.importorskip("himalaya.ridge")
    scoring = pytest.importorskip("himalaya.scoring")
    features, rates = problem(*shape, dtype=np.float64)
    folds = cross_validation.held_out_folds(len(rates), n_folds=5)
    assert len({len(fold) for fold in folds}) == 1
    splits = [(np.setdiff1d(np.arange(len(rates)), fold), fold) for fold in folds]
    model = himalaya.RidgeCV(
        ALPHAS, fit_intercept=True, cv=splits, solver_params={"score_func": scoring.l2_neg_loss, "warn": False}
    ).fit(features, rates)
    fitted = ridge.fit_ridge(features, rates, alphas=ALPHAS)
    np.testing.assert_allclose(fitted.alphas[fitted.best], model.best_alphas_)
    np.testing.assert_allclose(fitted.weights, model.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted.predict(features), model.predict(features), rtol=1e-6)


@each_shape
@each_problem
def test_no_penalty_is_least_squares_of_minimum_norm(shape, change):
    features, rates = change(*problem(*shape, dtype=np.float64))
    fitted = ridge.fit_ridge(features, rates, alphas=0)
    weights, *_ = np.linalg.lstsq(features - features.mean(axis=0), rates - rates.mean(axis=0), rcond=1e-10)
    np.testing.assert_allclose(fitted.weights, weights, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        fitted.predict(features), (features - features.mean(axis=0)) @ weights + rates.mean(axis=0)
    )
    assert fitted.cv_scores is None
    assert fitted.held_out_predictions is None


@pytest.mark.parametrize("n_images", [20, 77, 501])
@pytest.mark.parametrize("constant", [0.1, 7.3, 1e6 / 3])
def test_a_constant_neuron_has_no_score_and_is_predicted_as_it_is(n_images, constant):
    features, rates = problem(n_images, 5, 2, dtype=np.float64)
    alone = ridge.fit_ridge(features, rates[:, 1:], alphas=ALPHAS)
    rates[:, 0] = constant
    fitted = ridge.fit_ridge(features, rates, alphas=ALPHAS)
    assert np.isnan(fitted.cv_scores[:, 0]).all()
    np.testing.assert_allclose(fitted.predict(features)[:, 0], constant)
    np.testing.assert_allclose(fitted.cv_scores[:, 1:], alone.cv_scores)


def test_features_without_variance_predict_the_mean():
    features, rates = np.full((20, 5), 0.1), problem(20, 5)[1]
    fitted = ridge.fit_ridge(features, rates, alphas=[1.0, 10.0])
    np.testing.assert_allclose(fitted.predict(features), np.tile(rates.mean(axis=0, dtype=float), (20, 1)))


def test_default_penalties_scale_with_the_features():
    features, rates = problem(60, 30)
    fitted, larger = (ridge.fit_ridge(scale * features.astype(float), rates) for scale in (1, 1000))
    centred = features.astype(float) - features.mean(axis=0, dtype=float)
    np.testing.assert_allclose(fitted.alphas, (centred**2).sum() * 10.0 ** np.linspace(-6, 1, 21))
    np.testing.assert_array_equal(larger.best, fitted.best)
    close(larger.predict(1000 * features), fitted.predict(features))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((11, 4))}, r"\(11, 4\) and rates \(12, 2\)"),
        ({"features": np.zeros((12, 4, 1))}, r"n_images, n_features"),
        ({"rates": np.zeros(12)}, r"n_images, n_neurons"),
        ({"features": np.full((12, 4), np.nan)}, r"features hold NaN .* columns \[0, 1, 2, 3\]"),
        ({"rates": np.array([[0, 1]] * 11 + [[0, np.inf]])}, r"rates hold NaN .* columns \[1\]"),
        ({"alphas": [-1.0]}, "must be positive"),
        ({"alphas": [0.0, 1.0]}, "must be positive"),
        ({"n_folds": 13}, "12 images cannot be divided into 13 folds"),
    ],
)
def test_ridge_refuses_what_it_cannot_fit(change, message):
    features, rates = problem(12, 4, 2)
    with pytest.raises(ValueError, match=message):
        ridge.fit_ridge(**{"features": features, "rates": rates, "alphas": [1.0, 2.0], **change})
