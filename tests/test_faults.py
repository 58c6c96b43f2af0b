"""Whole notebooks meet the faults of FAULTS.md: killed, run twice at once, on a full disk, without permission."""

import contextlib
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import optuna
import pandas as pd
import pytest

from itneurons.networks.search import finished_trials
from itneurons.recordings import schema
from tests.notebooks import HERE, NOTEBOOKS, Run, run
from tests.small import made_up

N_KILLS = 10


def scores(output, *notebooks):
    """Rows of the notebooks in ``scores.csv``, as text."""
    table = pd.read_csv(output / "figures" / "scores.csv", dtype=str, keep_default_na=False)
    return table[table["notebook"].isin(notebooks)].reset_index(drop=True)


def finished_work(output):
    """What is finished: files of layers and models with their times, trials with their scores."""
    files = [*output.glob("Activations*/*.h5"), *output.glob("Models/*.h5"), *output.glob("Models/*.pth")]
    work = {path: path.stat().st_mtime_ns for path in files if not path.name.startswith(".")}
    database = output / "Models" / "week7_study.db"
    if database.exists():
        storage = f"sqlite:///{database}"
        for summary in optuna.get_all_study_summaries(storage):
            for trial in finished_trials(optuna.load_study(study_name=summary.study_name, storage=storage)):
                work[trial.number] = (trial.params, trial.value, trial.datetime_complete)
    return work


def killed_again_and_again(name, recordings, finished_output, folder, seconds):
    """Kill a notebook at ten random moments, each time going on from where it was; then let it finish."""
    rng = np.random.default_rng(NOTEBOOKS.index(name))
    output, n_killed, done = folder / name, 0, {}
    while n_killed < N_KILLS:
        # what it needs of the others
        if name == "test" and not output.exists():
            shutil.copytree(finished_output, output)
            table = scores(output, *NOTEBOOKS[:3])
            table.to_csv(output / "figures" / "scores.csv", index=False)
        run = Run(recordings or output, output, name)
        killed = run.kill_after(rng.uniform(0.1, 1) * seconds)
        n_killed += killed
        now = finished_work(output) if output.exists() else {}
        assert {key: now.get(key) for key in done} == done, f"{name}: finished work was done again"
        done = now
        if not killed:
            # it came to its end before: what remains of the ten meets a new beginning
            status, log = run.finish()
            assert status == 0, log[-5000:]
            pd.testing.assert_frame_equal(scores(output, name), scores(finished_output, name))
            shutil.rmtree(output)
            done = {}
    status, log = Run(recordings or output, output, name).finish()
    assert status == 0, log[-5000:]
    now = finished_work(output)
    assert {key: now.get(key) for key in done} == done, f"{name}: finished work was done again"
    pd.testing.assert_frame_equal(scores(output, name), scores(finished_output, name))
    assert [path for path in output.rglob(".*") if "~" in path.name] == []


def test_killed_at_ten_moments_each_notebook_ends_with_the_same_scores(finished_run, tmp_path):
    recordings, output, log = finished_run
    seconds = {name: float(re.search(rf"{name}\.ipynb took (\d+) s", log)[1]) for name in NOTEBOOKS}

    def torment(name):
        # the first notebook makes its recordings, and is killed in that too
        killed_again_and_again(name, None if name == "week6" else recordings, output, tmp_path, seconds[name])

    # the longest first; two at a time, each on one thread
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(torment, sorted(NOTEBOOKS, key=seconds.get, reverse=True)))


def test_two_runs_at_once_in_one_folder_both_finish_right(finished_run, tmp_path):
    _, finished_output, _ = finished_run
    runs = [Run(tmp_path, tmp_path) for _ in range(2)]
    for status, log in [running.finish() for running in runs]:
        assert status == 0, log[-5000:]
    # a search that two processes share takes its turns in another order
    for name in ("week6", "week9", "test"):
        found, expected = (scores(output, name) for output in (tmp_path, finished_output))
        # the shallow CNN on the test images is what that search found
        found, expected = (rows[rows["model"] != "shallow CNN"] for rows in (found, expected))
        pd.testing.assert_frame_equal(found, expected)
    week7 = scores(tmp_path, "week7")
    assert len(week7) == len(scores(finished_output, "week7"))
    assert (week7["explained_variance"] != "").all()
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/Models/week7_study.db")
    assert len(finished_trials(study)) == 5
    for path in tmp_path.rglob("*.h5"):
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, item: isinstance(item, h5py.Dataset) and item[()])
    assert [path for path in tmp_path.rglob(".*") if "~" in path.name] == []


@contextlib.contextmanager
def read_only(source, place):
    """A folder as it is seen where nobody may write."""
    place.mkdir()
    if subprocess.run(["mount", "--bind", source, place], capture_output=True).returncode:
        pytest.skip("this user may not mount a folder")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_clone_for_reading_only_with_data_and_results_elsewhere(finished_run, tmp_path):
    recordings, finished_output, _ = finished_run
    with read_only(HERE, tmp_path / "clone") as clone:
        run(recordings, tmp_path / "results", "week6", clone=clone)
        status, log = Run(recordings, "results", "week6", clone=clone).finish()
    pd.testing.assert_frame_equal(scores(tmp_path / "results", "week6"), scores(finished_output, "week6"))
    assert status != 0
    assert "No permission to write in" in log
    assert "choose another folder" in log


def test_recordings_in_a_folder_for_reading_only_are_used(finished_run, tmp_path):
    with read_only(finished_run[0], tmp_path / "data") as folder:
        run(folder, tmp_path / "results", "week7")


def test_a_full_disk_ends_a_notebook_with_what_it_needs(finished_run, small_disk):
    status, log = Run(finished_run[0], small_disk, "week6").finish()
    assert status != 0
    assert re.search(r"The disk is full: .* MB are free in", log)
    for path in small_disk.glob("Activations*/*.h5"):
        with h5py.File(path, "r") as file:
            assert len(file["part0"][()]) == 160
    assert [path for path in small_disk.rglob("*") if "~" in path.name] == []


def odd_recording(folder, kind):
    """A file that the notebooks take for the course's."""
    if kind == "one neuron, no test images, one image in a category":
        content = made_up(sizes={"train": 60, "val": 20, "test": 0}, n_neurons=1, image_size=schema.IMAGE_SIZE)
        content["objects"]["train"] = ["face1", *["car1", "ship2"] * 29, "car2"]
    else:
        content = made_up(sizes={"train": 24, "val": 20, "test": 8}, n_neurons=30)
        for split in ("train", "val", "test"):
            content["rates"][split] -= 12
            content["rates"][split][:, 3] = 4
        assert (content["rates"]["train"] < 0).any()
    schema.write(Path(folder) / "IT_data.h5", **content)


@pytest.mark.parametrize(
    "kind",
    ["one neuron, no test images, one image in a category", "more neurons than images, negative rates, a constant one"],
)
def test_odd_recordings_run_through_all_notebooks(tmp_path, kind):
    odd_recording(tmp_path, kind)
    run(tmp_path, tmp_path, data="auto", RECORDING={}, BACKBONE="simulated")
    table = pd.read_csv(tmp_path / "figures" / "scores.csv")
    assert set(table["notebook"]) == set(NOTEBOOKS)
    undefined = set(table.loc[table["explained_variance"].isna(), "neuron"])
    assert undefined == ({3} if "constant" in kind else set())


def test_every_line_of_the_table_has_its_test():
    lines = [line for line in (Path(__file__).parent / "FAULTS.md").read_text().splitlines() if line.startswith("|")]
    for line in lines[2:]:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            assert f"def {test}(" in (Path(__file__).parent / file).read_text(), f"{file} has no {test}"
