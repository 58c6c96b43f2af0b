"""The table of scores: complete, replaced notebook by notebook, never torn."""

import multiprocessing
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest

from itneurons.evaluation import metrics, results
from itneurons.evaluation.results import COLUMNS, Results, load_results, predictions_path, summary_table
from tests.small import DAMAGES, flipped

CEILING = np.array([0.9, 0.8, 0.05])


def made(folder, notebook="week6", source="made-up recordings", models=("pixels", "layer3"), seed=0):
    """Results of a few models on 30 images and 3 neurons, the second without a ceiling."""
    rng = np.random.default_rng(seed)
    found = Results(notebook, source, folder)
    for index, model in enumerate(models):
        measured = rng.standard_normal((30, 3))
        predicted = measured + 0.5 * rng.standard_normal((30, 3))
        ceiling = None if index else CEILING
        found.add("ridge", model, measured, predicted, "NA", ceiling=ceiling, parameters=7, note="é")
    return found


def read(folder):
    return pd.read_csv(folder / "scores.csv", keep_default_na=False)


def test_the_table_has_a_row_for_each_model_and_neuron(tmp_path):
    found = made(tmp_path / "a b")
    path = found.save()
    assert path == tmp_path / "a b" / "scores.csv"
    table = read(tmp_path / "a b")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 6
    result = found["pixels", "NA", "val"]
    rows = table[table["model"] == "pixels"]
    np.testing.assert_array_equal(rows["neuron"], [0, 1, 2])
    expected = metrics.explained_variance(result.measured, result.predicted)
    np.testing.assert_allclose(rows["explained_variance"].astype(float), expected, atol=5e-7)
    expected = metrics.correlation(result.measured, result.predicted)
    np.testing.assert_allclose(rows["correlation"].astype(float), expected, atol=5e-7)
    np.testing.assert_allclose(rows["noise_ceiling"].astype(float), CEILING)
    # a ceiling that is not known is empty, a layer called NA is a name
    assert (table["noise_ceiling"][table["model"] == "layer3"] == "").all()
    assert set(table["layer"]) == {"NA"}
    assert set(table["source"]) == {"made-up recordings"}


def test_a_rerun_replaces_its_own_rows_only(tmp_path):
    made(tmp_path).save()
    made(tmp_path, source="other recordings").save()
    made(tmp_path, notebook="test").save()
    before = read(tmp_path)
    assert len(before) == 18
    made(tmp_path, models=("lasso",), seed=1).save()
    after = read(tmp_path)
    own = (before["notebook"] == "week6") & (before["source"] == "made-up recordings")
    kept = after[after["model"] != "lasso"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before[~own].reset_index(drop=True))
    assert (after["model"] == "lasso").sum() == 3


def test_the_same_results_give_the_same_file(tmp_path):
    path = made(tmp_path).save()
    made(tmp_path, notebook="test").save()
    content = path.read_bytes()
    made(tmp_path).save()
    made(tmp_path, notebook="test").save()
    assert path.read_bytes() == content


def save_many(folder, notebook, barrier):
    barrier.wait()
    for seed in range(8):
        made(folder, notebook, seed=seed).save()


def test_processes_that_save_at_once_all_survive(tmp_path):
    context = multiprocessing.get_context("fork")
    names = ["week6", "week7", "week9"]
    barrier = context.Barrier(len(names))
    workers = [context.Process(target=save_many, args=(tmp_path, name, barrier)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    table = read(tmp_path)
    assert table.groupby("notebook").size().to_dict() == dict.fromkeys(names, 6)
    made(tmp_path / "alone", "week7", seed=7).save()
    alone = read(tmp_path / "alone")
    pd.testing.assert_frame_equal(table[table["notebook"] == "week7"].reset_index(drop=True), alone)


def assert_equal(found, expected):
    assert [result.model for result in found] == [result.model for result in expected]
    for a, b in zip(found, expected, strict=True):
        assert (a.approach, a.layer, a.split, a.about) == (b.approach, b.layer, b.split, b.about)
        for name in ("measured", "predicted", "ceiling"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_predictions_are_loaded_again(tmp_path):
    expected = made(tmp_path)
    expected.save()
    assert_equal(load_results(tmp_path, "week6", "made-up recordings"), expected)


def test_results_of_another_source_or_notebook_are_left_out_with_a_line(tmp_path, capsys):
    made(tmp_path).save()
    assert load_results(tmp_path, "week6", "IT recordings") is None
    assert "holds predictions for made-up recordings: left out. Run week6.ipynb again" in capsys.readouterr().out
    assert load_results(tmp_path, "week9", "made-up recordings") is None
    assert "Run week9.ipynb to have it in the comparison" in capsys.readouterr().out


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_predictions_are_left_out_with_a_line(tmp_path, capsys, damage):
    made(tmp_path).save()
    path = predictions_path(tmp_path, "week6")
    path.write_bytes(damage(path.read_bytes()))
    assert load_results(tmp_path, "week6", "made-up recordings") is None
    assert f"No results of week6 ({path}" in capsys.readouterr().out


def test_a_flipped_byte_in_predictions_is_found_or_changes_nothing(tmp_path):
    expected = made(tmp_path)
    expected.save()
    path, refused = predictions_path(tmp_path, "week6"), 0
    content = path.read_bytes()
    with h5py.File(path) as file:
        values = file["000/predicted"].id.get_chunk_info(0).byte_offset + 40
    positions = [values, *np.random.default_rng(0).integers(0, len(content), 60)]
    for position in positions:
        path.write_bytes(flipped(content, int(position)))
        found = load_results(tmp_path, "week6", "made-up recordings")
        if found is None:
            refused += 1
        else:
            assert position != values
            assert_equal(found, expected)
    assert refused > len(positions) / 3


def test_a_model_of_the_same_name_is_replaced(tmp_path):
    found = made(tmp_path)
    found.add("ridge", "pixels", np.ones((4, 3)), np.zeros((4, 3)), "NA")
    assert [result.model for result in found] == ["pixels", "layer3"]
    assert found["pixels", "NA", "val"].measured.shape == (4, 3)


def test_the_summary_says_what_is_known(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = summary_table(made(tmp_path), n_bootstrap=50)
    assert table["model"].tolist() == ["pixels", "layer3"]
    summary = made(tmp_path)["pixels", "NA", "val"].summary(n_bootstrap=50)
    assert table["explained variance"][0] == str(summary.explained_variance)
    assert table["fraction of ceiling"].tolist() == [str(summary.fraction), "unknown"]
    assert table["neurons left out of the fraction"].tolist() == [1, ""]
    assert table["parameters"].tolist() == [7, 7]


def test_names_of_columns_are_those_of_the_issue():
    assert ",".join(results.COLUMNS) == (
        "source,notebook,approach,model,layer,split,neuron,explained_variance,correlation,noise_ceiling"
    )
