"""What a notebook imports first."""

import random

import h5py
import numpy as np
import pytest
import torch

import utils
from itneurons.recordings import load, simulated
from itneurons.recordings.schema import IMAGENET_MEAN, RecordingError, normalise
from tests.small import DAMAGES, SIZES


@pytest.fixture
def no_simulation(monkeypatch):
    """What would make the simulated recordings says where."""
    monkeypatch.setattr(simulated, "make", lambda folder, **options: (folder, options))


def test_auto_takes_the_recording_that_is_there(recording, no_simulation, capsys):
    assert utils.get_it_data(folder=recording.parent) == recording
    assert utils.get_it_data("auto", str(recording.parent)) == recording
    assert capsys.readouterr().out == ""


def test_auto_simulates_where_there_is_none_and_says_so(tmp_path, no_simulation, capsys):
    assert utils.get_it_data("auto", tmp_path, seed=3) == (tmp_path, {"seed": 3})
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1
    assert "IT_data.h5 is not there: these are simulated recordings" in said


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_auto_does_not_pass_over_a_damaged_recording(recording, tmp_path, no_simulation, damage):
    (tmp_path / "IT_data.h5").write_bytes(damage(recording.read_bytes()))
    with pytest.raises(RecordingError, match=r"IT_data\.h5"):
        utils.get_it_data(folder=tmp_path)


def test_a_source_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no source 'google'; choose one of auto, simulated, course, brainscore, v4"):
        utils.get_it_data("google", tmp_path)


def test_the_simulated_recording_is_made_once(tmp_path, capsys):
    options = {"sizes": (18, 9, 4), "image_size": 32, "n_neurons": 3, "n_trials": 4, "workers": 1}
    path = utils.get_it_data("simulated", tmp_path, **options)
    data, made = utils.load_it_data(path), path.stat().st_mtime_ns
    assert [len(part) for part in data] == [18, 9, 4] * 2 + [18, 9]
    assert utils.source_of(path) == "simulated recordings"
    assert utils.unit_of(path) == "spikes/s"
    trials = utils.load_trials(path, "test")
    np.testing.assert_allclose(trials.mean(axis=0), utils.load_test_rates(path), rtol=1e-5)
    assert utils.load_noise_ceiling(path).shape == (3,)
    assert utils.get_it_data("simulated", tmp_path, **options).stat().st_mtime_ns == made
    assert utils.get_it_data("simulated", tmp_path, **options, seed=1).stat().st_mtime_ns != made
    assert "is made anew" in capsys.readouterr().out
    assert (utils.load_it_data(path).stimulus_val != data.stimulus_val).any()


@pytest.mark.parametrize("where", ["file", "folder", "text", "here"])
def test_a_recording_is_found_by_file_and_folder(recording, monkeypatch, where):
    monkeypatch.chdir(recording.parent)
    path = {"file": recording, "folder": recording.parent, "text": str(recording.parent), "here": ""}[where]
    stimulus_train, _, stimulus_test, objects_train, *_, spikes_val = utils.load_it_data(path)
    assert stimulus_train.shape == (SIZES["train"], 3, 32, 32)
    assert len(stimulus_test) == SIZES["test"]
    assert len(objects_train) == SIZES["train"]
    assert spikes_val.shape == (SIZES["val"], 8)
    assert utils.load_trials(path, "val").shape == (6, SIZES["val"], 8)


def test_real_recordings_come_before_simulated_and_v4(recording, tmp_path):
    names = ["V4_data_2.h5", "V4_data_1.h5", "IT_data_simulated.h5", "IT_data.h5"]
    for name, first in zip(names, ["V4_data_2.h5", "V4_data_1.h5", *names[2:]]):
        (tmp_path / name).write_bytes(recording.read_bytes())
        assert load._recording_path(tmp_path) == tmp_path / first


def test_a_folder_without_a_recording_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"folder {tmp_path} holds no recording; utils.get_it_data\(\)"):
        utils.load_it_data(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        utils.load_it_data(tmp_path / "nowhere.h5")


def test_categories_of_objects():
    categories = utils.object_categories(["car1", "", "ELEPHANT_M", "apple"])
    assert categories.tolist() == ["car", "", "animal", "fruit"]
    assert utils.object_categories([]).shape == (0,)
    with pytest.raises(RecordingError, match="unicorn"):
        utils.object_categories(["car1", "unicorn"])


def test_images_are_shown_as_they_were():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8)
    shown = utils.to_rgb(normalise(images))
    assert shown.shape == images.shape
    np.testing.assert_array_equal((shown * 255).round().astype(np.uint8), images)
    np.testing.assert_array_equal(utils.to_rgb(normalise(images)[2]), shown[2])
    np.testing.assert_allclose(utils.to_rgb(np.zeros((3, 2, 2)))[0, 0], IMAGENET_MEAN)
    # what lies outside cannot be shown
    assert utils.to_rgb(np.full((3, 2, 2), 100)).max() == 1


def test_an_image_is_drawn_with_its_name(recording, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: None)
    data = utils.load_it_data(recording)
    utils.visualize_img(data.stimulus_val, data.objects_val, 3)
    axis = plt.gca()
    assert axis.get_title() == data.objects_val[3]
    np.testing.assert_allclose(axis.images[0].get_array(), utils.to_rgb(data.stimulus_val[3]))
    plt.close("all")


def test_a_seed_gives_the_same_numbers():
    def draw(seed):
        utils.seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    first = draw(3)
    assert draw(3) == first
    assert all(a != b for a, b in zip(draw(4), first))


def test_the_device_is_one_that_works():
    assert torch.zeros(1, device=utils.get_device()).device.type in ("cuda", "mps", "cpu")


def test_simulated_recordings_of_an_older_version_are_taken(tmp_path, capsys):
    options = {"sizes": (18, 9, 4), "image_size": 32, "n_neurons": 3, "n_trials": 4, "workers": 1}
    path = utils.get_it_data("simulated", tmp_path, **options)
    # there the settings stood at the end of the citation, after a path that has moved since
    with h5py.File(path, "a") as file:
        del file.attrs["settings"]
        file.attrs["citation"] = np.bytes_(
            b"Simulated recordings; no animal was recorded. See recordings/simulated/ for the model and its sources. "
            b"Model 1: (18, 9, 4), 32 px, 3 sites, 4 trials."
        )
    before = path.stat().st_mtime_ns
    assert utils.get_it_data("simulated", tmp_path, **options).stat().st_mtime_ns == before
    utils.get_it_data("simulated", tmp_path, **{**options, "n_trials": 5})
    assert "is made anew: it was made with other settings" in capsys.readouterr().out
