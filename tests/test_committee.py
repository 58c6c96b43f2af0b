import threading
import time

import numpy as np
import pytest
import torch
from filelock import FileLock

from itneurons import networks
from itneurons.evaluation import ensemble
from itneurons.networks import committee
from itneurons.storage import disk_tensors


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    inputs = torch.as_tensor(rng.standard_normal((60, 4, 5, 5)), dtype=torch.float32)
    rates = inputs.mean(dim=(2, 3)) @ torch.as_tensor(rng.standard_normal((4, 3)), dtype=torch.float32)
    folds = np.array_split(rng.permutation(60), 5)[:2]
    return inputs, rates + 5, folds


def build():
    return networks.BackboneReadout(4, 5, 5, 3)


def train(problem, path, **options):
    inputs, rates, folds = problem
    options = {"made_of": {"recording": "a"}, "epochs": 2, "batch_size": 16, **options}
    return committee.train_committee(build, inputs, rates, folds, path, **options)


def test_members_predict_the_folds_they_did_not_see(problem, tmp_path):
    trained = train(problem, tmp_path / "model.pth")
    inputs, _, folds = problem
    for member, fold in zip(trained.members, folds):
        np.testing.assert_allclose(
            trained.held_out_predictions[fold], networks.predict(member, inputs[fold]), rtol=1e-6
        )
    # images that no member held out have no such prediction
    assert np.isnan(trained.held_out_predictions).all(axis=1).sum() == len(inputs) - sum(map(len, folds))
    each = trained.predict_each(inputs)
    assert not np.allclose(each[0], each[1])
    np.testing.assert_allclose(trained.predict(inputs), (each[0] + each[1]) / 2, rtol=1e-6)


def test_finished_members_are_loaded_and_others_trained(problem, tmp_path, monkeypatch):
    first = train(problem, tmp_path / "model.pth")
    (tmp_path / "model_1.pth").unlink()
    calls = []
    monkeypatch.setattr(committee, "fit", lambda *a, **k: calls.append(k["seed"]) or networks.fit(*a, **k))
    again = train(problem, tmp_path / "model.pth")
    assert calls == [1]
    np.testing.assert_array_equal(again.held_out_predictions, first.held_out_predictions)


def test_networks_trained_again_on_all_images_predict_new_ones(problem, tmp_path, monkeypatch):
    inputs, _, folds = problem
    seen = []

    def noted(network, train, held_out, **options):
        seen.append((len(train[0]), held_out is None, options["seed"], options["epochs"]))
        history = networks.fit(network, train, held_out, **options)
        # as if members had been best after one and after two of three epochs
        history.best_epoch = history.best_epoch if held_out is None else options["seed"]
        return history

    monkeypatch.setattr(committee, "fit", noted)
    trained = train(problem, tmp_path / "model.pth", epochs=3, refit=3)
    assert seen == [(48, False, 0, 3), (48, False, 1, 3), *((60, True, seed, 2) for seed in (2, 3, 4))]
    each = trained.predict_each(inputs)
    np.testing.assert_array_equal(each, [networks.predict(network, inputs) for network in trained.refitted])
    np.testing.assert_allclose(trained.predict(inputs), each.mean(axis=0), rtol=1e-6)
    n_parameters = sum(parameter.numel() for parameter in build().parameters())
    assert (len(trained.histories), len(trained.refitted_histories)) == (2, 3)
    assert all(history.explained_variance for history in trained.histories)
    assert trained.n_parameters == 3 * n_parameters
    for member, fold in zip(trained.members, folds):
        np.testing.assert_allclose(
            trained.held_out_predictions[fold], networks.predict(member, inputs[fold]), rtol=1e-6
        )
    again = train(problem, tmp_path / "model.pth", epochs=3, refit=3)
    assert len(seen) == 5
    np.testing.assert_array_equal(again.predict(inputs), trained.predict(inputs))


def test_all_views_are_learned_from_and_predictions_are_their_mean(problem, tmp_path, monkeypatch):
    inputs, rates, folds = problem
    seen = []

    def noted(network, train, held_out, **options):
        seen.append((train, held_out))
        return networks.fit(network, train, held_out, **options)

    monkeypatch.setattr(committee, "fit", noted)
    views = torch.cat([inputs, inputs + 0.1, inputs - 0.1])
    trained = committee.train_committee(
        build, views, rates, folds, tmp_path / "model.pth", {}, epochs=2, batch_size=16, views=3
    )
    for member, fold, (train, held_out) in zip(trained.members, folds, seen):
        kept = np.setdiff1d(np.arange(60), fold)
        torch.testing.assert_close(train[0], torch.cat([inputs[kept], inputs[kept] + 0.1, inputs[kept] - 0.1]))
        torch.testing.assert_close(train[1], torch.cat([rates[kept]] * 3))
        # as the images are, once each
        torch.testing.assert_close(held_out, (inputs[fold], rates[fold]))
        expected = np.mean([networks.predict(member, inputs[fold] + by) for by in (0, 0.1, -0.1)], axis=0)
        np.testing.assert_allclose(trained.held_out_predictions[fold], expected, rtol=1e-5)
    expected = [np.mean([networks.predict(m, inputs + by) for by in (0, 0.1, -0.1)], axis=0) for m in trained.members]
    np.testing.assert_allclose(trained.predict_each(views), expected, rtol=1e-5)


def test_an_epoch_is_as_long_with_views_as_without(problem):
    inputs, rates, folds = problem
    drawn = []

    class Noting(networks.BackboneReadout):
        def rates(self, inputs):
            if self.training:
                drawn.append(len(inputs))
            return super().rates(inputs)

    views = torch.cat([inputs] * 3), rates.repeat(3, 1)
    networks.fit(Noting(4, 5, 5, 3), views, (inputs[folds[0]], rates[folds[0]]), epochs=2, batch_size=20, views=3)
    assert drawn == [20] * 6


def test_without_held_out_images_the_last_epoch_is_kept(problem):
    inputs, rates, _ = problem
    both = []
    # every epoch is better than the one before on the very images that are learned
    for held_out in ((inputs, rates), None):
        with networks.seeded(0):
            network = build()
        history = networks.fit(network, (inputs, rates), held_out, epochs=4, batch_size=16, learning_rate=1e-2)
        assert history.best_epoch == 3 and len(history.loss) == 4
        both.append(networks.predict(network, inputs))
    np.testing.assert_array_equal(*both)
    assert history.explained_variance == []


@pytest.mark.parametrize("change", [{"made_of": {"recording": "b"}}, {"epochs": 3}, {"seed": 7}])
def test_members_made_of_something_else_are_trained_again(problem, tmp_path, capsys, change):
    train(problem, tmp_path / "model.pth")
    train(problem, tmp_path / "model.pth", **change)
    assert capsys.readouterr().out.count("is made anew") == 2


def test_rows_that_are_not_copied_train_the_same(problem, tmp_path, monkeypatch):
    copied = train(problem, tmp_path / "copied.pth")
    monkeypatch.setattr(disk_tensors, "_COPIED", 0)
    read = []
    monkeypatch.setattr(
        disk_tensors.Rows,
        "__init__",
        lambda self, *a, made=disk_tensors.Rows.__init__: (read.append(len(a[1])), made(self, *a))[1],
    )
    not_copied = train(problem, tmp_path / "read.pth")
    assert sorted(set(read)) == [12, 48]
    np.testing.assert_allclose(not_copied.held_out_predictions, copied.held_out_predictions, rtol=1e-4)


def test_weights_of_an_ensemble_are_found():
    rng = np.random.default_rng(1)
    signals = rng.standard_normal((2, 400, 5))
    rates = 10 + 0.7 * signals[0] + 0.3 * signals[1]
    predictions = [10 + signals[0], 10 + signals[1], 10 - signals[0]]
    weights = ensemble.ensemble_weights(predictions, rates)
    np.testing.assert_allclose(weights, [0.7, 0.3, 0], atol=0.02)
    found = ensemble.weighted(predictions, weights, rates.mean(axis=0))
    assert ensemble.mean_score(rates, found) > 0.999


def test_weights_are_those_for_the_mean_of_all_members():
    rng = np.random.default_rng(0)
    n_members, n_images, n_neurons, spread = 4, 4000, 5, np.array([1.0, 0.5, 0.0])
    seed_noise = rng.standard_normal((n_members, n_images, n_neurons))

    def members(signal, noise):
        """Of a poor and a better model whose members err alike, and of one of one piece that errs by itself."""
        own = 0.7 * rng.standard_normal(signal.shape)
        return [signal + noise * s for s in spread[:2]] + [(signal + own)[None]]

    signal = rng.standard_normal((n_images, n_neurons))
    rates = signal + rng.standard_normal(signal.shape)
    held_out = [m[0] for m in members(signal, seed_noise)]
    other = rng.standard_normal((3000, n_neurons))
    unlabelled = members(other, rng.standard_normal((n_members, *other.shape)))
    # what would be found if the rates of the other images were known
    answer = other + rng.standard_normal(other.shape)
    known = ensemble.ensemble_weights([m.mean(axis=0) for m in unlabelled], answer)
    found = ensemble.ensemble_weights(held_out, rates, unlabelled)
    np.testing.assert_allclose(found, known, atol=0.05)
    assert np.abs(ensemble.ensemble_weights(held_out, rates) - known).max() > 0.2
    # a single model: what is due to the signal, of signal and noise
    alone = [ensemble.ensemble_weights(held_out[:1], rates, m)[0] for m in (None, unlabelled[:1])]
    np.testing.assert_allclose(alone, [1 / 2, 1 / (1 + 1 / n_members)], atol=0.03)
    # models that predict the same share the weight, whichever way
    twice = ensemble.ensemble_weights([held_out[0]] * 2, rates, [unlabelled[0]] * 2)
    assert twice.sum() == pytest.approx(alone[1], abs=1e-6)


def test_a_constant_neuron_does_not_spoil_the_score():
    rates = np.random.default_rng(2).standard_normal((50, 3))
    rates[:, 1] = 4
    assert ensemble.mean_score(rates, rates) == pytest.approx(1)


def test_two_processes_divide_the_members(problem, tmp_path, monkeypatch):
    path = tmp_path / "model.pth"
    whole = train(problem, tmp_path / "alone.pth")
    order = []

    def counted(*arguments, **options):
        order.append(options["seed"])
        return networks.fit(*arguments, **options)

    monkeypatch.setattr(committee, "fit", counted)
    # another process holds the first member: this one begins with the second, and then waits for the first
    held = threading.Event()

    def hold():
        with FileLock(tmp_path / ".model_0.pth.lock"):
            held.set()
            time.sleep(3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    divided = train(problem, path)
    other.join()
    assert order == [1, 0]
    np.testing.assert_array_equal(divided.held_out_predictions, whole.held_out_predictions)
