"""Models side by side and together, on predictions whose quality is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from itneurons.evaluation import Comparison, Results, load_results, mean_score, write_overview

N_TRAIN, N_VAL, N_TEST, N_NEURONS = 90, 60, 40, 5
FOLDS = [np.arange(30, 60), np.arange(30)]


@pytest.fixture
def rates():
    rng = np.random.default_rng(0)
    return [10 + rng.standard_normal((n, N_NEURONS)) for n in (N_TRAIN, N_VAL, N_TEST)]


@pytest.fixture
def comparison(rates, tmp_path):
    train, val, _ = rates
    return Comparison(Results("week9", "made-up recordings", tmp_path), train, val, FOLDS, np.full(N_NEURONS, 0.9))


def noisy(rates, sd, seed):
    """Predictions for all splits that are off by noise; of the last training images nothing is predicted."""
    rng = np.random.default_rng(seed)
    train, val, test = (part + sd * rng.standard_normal(part.shape) for part in rates)
    train[60:] = np.nan
    return train, val, test


def test_a_model_is_scored_on_the_images_that_were_held_out(comparison, rates, capsys):
    held_out, val, test = noisy(rates, 0.5, 1)
    result = comparison.add("good", held_out, val, test, "combined", "layer3")
    assert comparison.scores["good"] == pytest.approx(mean_score(rates[0][:60], held_out[:60]))
    np.testing.assert_array_equal(result.predicted_test, test.astype(np.float32))
    assert comparison["good"] is result is comparison.results["good", "layer3", "val"]
    assert f"good: explained variance {comparison.scores['good']:.3f} on held-out folds" in capsys.readouterr().out


def test_of_a_committee_the_mean_of_the_members_counts(comparison, rates, capsys):
    members = [noisy(rates, 1.0, seed) for seed in range(8)]
    model = SimpleNamespace(
        predict=None,
        predict_each=lambda split: np.stack([member[split] for member in members]),
        held_out_predictions=np.hstack([members[0][0], np.zeros((N_TRAIN, 2))]),
        n_parameters=7,
        seconds=1.6,
    )
    result = comparison.add_model("committee", model, 1, 2, "combined")
    np.testing.assert_allclose(result.predicted, np.mean([m[1] for m in members], axis=0), rtol=1e-6)
    # columns besides the neurons, such as categories, are no neurons
    assert comparison.scores["committee"] == pytest.approx(mean_score(rates[0][:60], members[0][0][:60]))
    assert result.about == {"parameters": 7, "seconds": 2}
    assert "one seed each" in capsys.readouterr().out


def test_how_members_disagree_counts_where_others_predict(comparison, rates):
    members, refitted = (
        [noisy(rates, sd, seed) for seed in seeds] for sd, seeds in ((1.0, range(3)), (0.3, range(3, 8)))
    )
    model = SimpleNamespace(
        predict=None,
        predict_each=lambda split: np.stack([network[split] for network in refitted]),
        predict_by_member=lambda split: np.stack([member[split] for member in members]),
        refitted=refitted,
        held_out_predictions=members[0][0],
    )
    result = comparison.add_model("refitted", model, 1, 2, "combined")
    np.testing.assert_allclose(result.predicted, np.mean([network[1] for network in refitted], axis=0), rtol=1e-6)
    # as if the members themselves predicted
    weights = []
    for name, each in (("as it is", refitted), ("by members", members)):
        comparison.add(name, members[0][0], *(np.stack([one[split] for one in each]) for split in (1, 2)), "combined")
        weights.append(comparison.add_ensemble([name], f"of {name}").item())
    assert comparison.add_ensemble(["refitted"], "of refitted").item() == pytest.approx(weights[1])
    assert weights[0] != pytest.approx(weights[1], abs=0.01)
    # with committees whose members predict themselves
    assert len(comparison.add_ensemble(["refitted", "by members"], "both")) == 2


def test_the_ensemble_is_better_than_its_models_and_takes_only_those_named(comparison, rates):
    for name, sd, seed in (("a", 0.8, 1), ("b", 0.8, 2), ("poor", 4.0, 3), ("left out", 0.1, 4)):
        comparison.add(name, *noisy(rates, sd, seed), "combined")
    weights = comparison.add_ensemble(["a", "b", "poor"])
    assert list(weights.index) == ["a", "b", "poor"]
    assert weights["poor"] < 0.1 < min(weights["a"], weights["b"])
    assert comparison.scores["ensemble"] > max(comparison.scores[name] for name in ("a", "b", "poor"))
    assert comparison.best == "left out"
    assert comparison.gain("ensemble", "poor").low > 0 > comparison.gain("ensemble", "left out").high
    assert list(comparison) == ["a", "b", "poor", "left out", "ensemble"]


def test_results_are_found_by_what_they_are(tmp_path, rates):
    val = rates[1]
    results = Results("week6", "made-up recordings", tmp_path)
    for method in ("least squares", "ridge"):
        for features in ("pixels", "100 components"):
            results.add("pixels", f"{method}, {features}", val, val, "pixels", method=method, features=features)
    results.add("task-driven", "ridge, net trained", val, val, "layer1", method="ridge", features="trained")
    results.save()
    again = load_results(tmp_path, "week6", "made-up recordings")
    for found in (results, again):
        assert [r.model for r in found.find(method="ridge", approach="pixels")] == [
            "ridge, pixels",
            "ridge, 100 components",
        ]
        assert len(found.find(method="ridge", features=("pixels", "trained"))) == 2
        assert found.find(method="lasso") == []
    assert [r.name for r in again.find(approach="task-driven")] == ["ridge, net trained, layer1"]


def test_the_overview_has_a_line_for_every_model(tmp_path, rates):
    _, val, test = rates
    results = Results("test", "made-up recordings", tmp_path)
    results.add("combined", "a", val, val, "layer3", seconds=3)
    results.add("combined", "b", val, val)
    results.add("combined", "a", test, test, "layer3", "test")
    path = write_overview(tmp_path, "made-up recordings", results.find(split="val"), results.find(split="test"))
    text = path.read_text()
    assert text.startswith("# All models, made-up recordings")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    table = pd.DataFrame(rows[2:], columns=rows[0]).set_index("model")
    assert table.loc["a", "on test images"] == "1.000 [1.000, 1.000]"
    assert table.loc["b", "on test images"] == ""
    assert table.loc["a", "seconds"] == "3"
    assert table.loc["a", "fraction of ceiling"] == "unknown"
