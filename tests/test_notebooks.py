"""The four notebooks, small, from nothing to the last table: they run, they agree with themselves, they go on."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
from papermill import PapermillExecutionError

from itneurons.notebooks import execute
from tests.notebooks import HERE, NOTEBOOKS, run


def test_they_write_what_they_promise(finished_run):
    _, output, log = finished_run
    scores = pd.read_csv(output / "figures" / "scores.csv")
    assert set(scores["notebook"]) == set(NOTEBOOKS)
    assert list(scores.columns) == [
        "source", "notebook", "approach", "model", "layer", "split", "neuron", "explained_variance", "correlation",
        "noise_ceiling",
    ]  # fmt: skip
    assert (scores["source"] == "simulated recordings").all()
    assert set(scores.loc[scores["notebook"] == "test", "split"]) == {"val", "test"}
    assert len(scores[scores["notebook"] == "week6"]) == 12 * (4 + 2 * 6)
    for name in ("Activations/simulated_layer3.h5", "Activations_RND/simulated_conv1.h5", "res_cnn_layer3.pth"):
        assert (output / name).exists()
    for figure in (output / "figures").glob("*.png"):
        assert figure.name in log
    assert "scores.csv" in log


def test_no_warning_and_no_progress_bar_stays_in_them(finished_run):
    for name in NOTEBOOKS:
        notebook = nbformat.read(finished_run[1] / f"{name}.ipynb", as_version=4)
        outputs = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
        assert "Warning" not in outputs
        assert "it/s" not in outputs
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))


def test_a_second_run_gives_the_same_scores(finished_run, tmp_path):
    folder, output, _ = finished_run
    run(folder, tmp_path)
    assert (tmp_path / "figures" / "scores.csv").read_text() == (output / "figures" / "scores.csv").read_text()


def test_a_run_again_does_nothing_twice(finished_run):
    folder, output, _ = finished_run
    before = (output / "figures" / "scores.csv").read_text()
    files = [*(output / "Activations").iterdir(), *(output / "Models").glob("*.pth")]
    times = {file: file.stat().st_mtime_ns for file in files}
    log = run(folder, output, "week6", "week7", "week9")
    assert "nothing to extract" in log
    assert "The study holds 5 finished trials already" in log
    assert {file: file.stat().st_mtime_ns for file in files} == times
    assert (output / "figures" / "scores.csv").read_text() == before


def test_where_a_cell_fails_the_notebook_up_to_there_stays_until_a_run_succeeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters = nbformat.v4.new_code_cell("wanted = 1", metadata={"tags": ["parameters"]})
    about = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    cells = [parameters, nbformat.v4.new_code_cell("assert wanted == 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), "short.ipynb")
    output, failed = tmp_path / "out" / "short.ipynb", tmp_path / "out" / "short.failed.ipynb"
    output.parent.mkdir()
    with pytest.raises(PapermillExecutionError, match="AssertionError"):
        execute("short", output, {"wanted": 2})
    assert "AssertionError" in failed.read_text() and not output.exists()
    execute("short", output, {})
    assert output.exists() and not failed.exists()


def test_real_recordings_without_object_names(tmp_path):
    source = HERE.parent / "shared" / "recordings" / "v4"
    if not source.exists():
        pytest.skip("the V4 recordings are not beside this checkout")
    options = {"session": "210325", "source_folder": str(source), "image_size": 64}
    log = run(tmp_path, tmp_path / "out", data="v4", RECORDING=options, BACKBONE="simulated")
    assert "no object names" in log
    scores = pd.read_csv(tmp_path / "out" / "figures" / "scores.csv")
    assert scores["noise_ceiling"].notna().all()
    assert scores["source"].str.contains("210325").all()
    assert "co-trained on categories" not in set(scores["model"])


def test_any_convolutional_network_serves_beside_one_that_has_seen_photographs(finished_run, tmp_path):
    options = {"BACKBONE": "mobilenet_v3_small", "PRETRAINED": False, "OTHER_BACKBONES": ["efficientnet_lite0"]}
    log = run(finished_run[0], tmp_path, **options)
    scores = pd.read_csv(tmp_path / "figures" / "scores.csv", keep_default_na=False)
    assert set(scores["notebook"]) == set(NOTEBOOKS)
    models = scores.groupby("model")["layer"].agg(set)
    # six layers, and the stage two before the last one for what is layer3 of a ResNet
    assert len(models["ridge, mobilenet_v3_small random"]) == 6
    assert models["ResCNN"] == models["res_cnn_layer3"] == {"features.8"}
    assert "ridge, efficientnet_lite0 blocks.4" in models.index
    assert "The best layer of efficientnet_lite0" in log


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_committed_notebooks_are_one_clean_run(name):
    path = HERE / f"{name}.ipynb"
    assert path.stat().st_size < 1_500_000
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]


def test_the_table_of_the_readme_is_that_of_the_scores():
    scores = pd.read_csv(HERE / "figures" / "scores.csv", keep_default_na=False, na_values={"explained_variance": [""]})
    means = scores.groupby(["split", "model", "layer"])["explained_variance"].mean()
    rows = [line.split("|")[1:-1] for line in (HERE / "README.md").read_text().splitlines() if "<!-- row -->" in line]
    assert len(rows) >= 6
    for row in rows:
        model, layer = row[0].replace("<!-- row -->", "").strip(), row[1].strip()
        for cell, split in ((row[2], "val"), (row[4], "test")):
            assert float(cell.split()[0]) == pytest.approx(means[split, model, layer], abs=6e-4)


def examples():
    """What README shows of Python: neurons to question, and the scores of a network."""
    return re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)


def test_the_example_of_the_readme_runs_as_written():
    done = subprocess.run([sys.executable, "-c", examples()[0]], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # two photographs, and a rate for each neuron of the saved model
    assert "picture 0" in done.stdout
    assert "[2 rows x 168 columns]" in done.stdout


def test_the_scores_of_the_readme_run_as_written(tmp_path, recording):
    # a small recording in place of the simulated one, and layers enough to see that they are there
    shutil.copy(recording, tmp_path / "IT_data_simulated.h5")
    example = examples()[1].replace('layers="all"', 'layers=["blocks.0", "global_pool"]')
    assert example != examples()[1]
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "blocks.0" in done.stdout and "explained variance, validation" in done.stdout
