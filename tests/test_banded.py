import numpy as np
import pytest
import torch
from himalaya.kernel_ridge import WeightedKernelRidge

from itneurons.evaluation import metrics
from itneurons.regression import cross_validation, ridge
from itneurons.regression.banded import BandedRidge


@pytest.fixture(scope="module")
def fitted():
    """Two layers; the first half of the neurons reads the first layer, the others the second."""
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((200, 12)) * scale for scale in (1, 30)]
    rates = np.concatenate([layers[0] @ rng.standard_normal((12, 3)), layers[1] @ rng.standard_normal((12, 3)) / 30], 1)
    rates = 20 + rates + 0.5 * rng.standard_normal(rates.shape)
    train = [layer[:150] - layer[:150].mean(axis=0) for layer in layers]
    val = [layer[150:] - layer[:150].mean(axis=0) for layer in layers]
    model = BandedRidge(n_iter=8, n_folds=3, seed=0).fit(train, rates[:150])
    return model, train, val, rates


def test_each_neuron_weights_the_layer_it_reads(fitted):
    model, _, _, _ = fitted
    first_minus_second = model.deltas_[0] - model.deltas_[1]
    assert (first_minus_second[:3] > 1).all()
    assert (first_minus_second[3:] < -1).all()


def test_it_predicts_at_least_as_well_as_ridge_on_both_layers_together(fitted):
    model, train, val, rates = fitted
    plain = ridge.fit_ridge(np.concatenate(train, axis=1), rates[:150]).predict(np.concatenate(val, axis=1))
    score = metrics.explained_variance(rates[150:], model.predict(val)).mean()
    assert score > 0.85
    assert score > metrics.explained_variance(rates[150:], plain).mean() - 0.02


def test_contributions_add_up_to_the_explained_variance(fitted):
    model, _, val, rates = fitted
    contributions = model.contributions(val, rates[150:])
    whole = metrics.explained_variance(rates[150:], model.predict(val))
    np.testing.assert_allclose(contributions.sum(axis=0), whole, atol=1e-4)
    assert (contributions[0, :3] > 0.8).all()
    assert (np.abs(contributions[0, 3:]) < 0.1).all()


def test_held_out_predictions_do_not_know_their_fold(fitted):
    model, train, _, rates = fitted
    held_out = cross_validation.held_out_folds(150, n_folds=5, seed=0)[:2]
    found = model.held_out_predictions(held_out)
    aside = np.concatenate(held_out)
    assert np.isnan(np.delete(found, aside, axis=0)).all()
    honest = metrics.explained_variance(rates[aside], found[aside]).mean()
    fitted_there = metrics.explained_variance(rates[aside], model.predict([part[aside] for part in train])).mean()
    assert 0.8 < honest < fitted_there


def test_held_out_predictions_are_those_of_himalaya(fitted):
    model, _, _, rates = fitted
    (fold,) = held_out = cross_validation.held_out_folds(150, n_folds=5, seed=0)[:1]
    kept = np.setdiff1d(np.arange(150), fold)
    reference = WeightedKernelRidge(
        alpha=1.0,
        deltas=model.deltas_,
        kernels="precomputed",
        solver_params={"tol": 1e-6, "max_iter": 2000},
    )
    reference.fit(model.kernels_[:, kept][:, :, kept], model.centred_[kept])
    expected = reference.predict(model.kernels_[:, fold][:, :, kept]).numpy() + model.mean_
    np.testing.assert_allclose(model.held_out_predictions(held_out)[fold], expected, atol=2e-3 * rates.std())


def test_predictions_are_those_of_himalaya(fitted):
    model, train, val, rates = fitted
    reference = WeightedKernelRidge(
        alpha=1.0, deltas=model.deltas_, kernels="precomputed", solver_params={"tol": 1e-6, "max_iter": 2000}
    )
    reference.fit(model.kernels_, model.centred_)
    kernels = [scale * part @ layer.T for scale, part, layer in zip(model.scales_, val, train)]
    expected = reference.predict(torch.as_tensor(np.stack(kernels), dtype=torch.float32)).numpy() + model.mean_
    np.testing.assert_allclose(model.predict(val), expected, atol=2e-3 * rates.std())
