"""Recordings that do not fit in memory: the same numbers, from the disk."""

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from itneurons.features import components, extraction, gram
from itneurons.networks import others
from itneurons.recordings import load, schema, simulated
from itneurons.recordings.simulated import rendered
from itneurons.recordings.simulated.stimuli import sample_scenes
from itneurons.recordings.stimuli_on_disk import StimuliOnDisk, fits_in_memory
from itneurons.regression import fit_ridge, ridge
from itneurons.storage import memory, stored
from tests.notebooks import run
from tests.small import IMAGE_SIZE, flipped, made_up

HERE = Path(__file__).resolve().parents[1]
STIMULI = [f"stimulus_{split}" for split in schema.SPLITS]


@pytest.fixture(scope="module")
def as_bytes(tmp_path_factory):
    """The small recording, its images stored as bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "FLOATS_UP_TO", 0)
        return schema.write(tmp_path_factory.mktemp("bytes") / "IT_data.h5", **made_up())


@pytest.fixture
def little_memory(monkeypatch):
    """So little that a quarter of it holds 20 images of the small recording."""
    monkeypatch.setenv(memory.VARIABLE, str(4 * 20 * 3 * IMAGE_SIZE**2 * 4))


@pytest.fixture
def on_disk(as_bytes):
    return StimuliOnDisk(as_bytes, "stimulus_train")


@pytest.fixture
def plain(recording):
    return load.load_it_data(recording).stimulus_train


def test_bytes_read_as_floats_are_what_floats_store(recording, as_bytes):
    with h5py.File(recording) as floats, h5py.File(as_bytes) as stored_bytes:
        for name in STIMULI:
            assert (floats[name].dtype, stored_bytes[name].dtype) == (np.float32, np.uint8)
    for found, expected in zip(load.load_it_data(as_bytes), load.load_it_data(recording)):
        np.testing.assert_array_equal(found, expected)


def test_large_recordings_are_stored_as_bytes(tmp_path, monkeypatch):
    sizes = {"train": 8, "val": 4, "test": 2}
    room = 4 * sum(sizes.values()) * 3 * IMAGE_SIZE**2
    for limit, dtype in ((room, np.float32), (room - 1, np.uint8)):
        monkeypatch.setattr(schema, "FLOATS_UP_TO", limit)
        path = schema.write(tmp_path / "IT_data.h5", **made_up(sizes=sizes), image_size=IMAGE_SIZE)
        with h5py.File(path) as file:
            assert {file[name].dtype for name in STIMULI} == {np.dtype(dtype)}


def test_bytes_without_their_normalisation_are_refused(as_bytes, tmp_path):
    for name, value in (("mean", [0.5, 0.5, 0.5]), ("std", [1.0, 1.0]), ("mean", None)):
        path = tmp_path / "IT_data.h5"
        path.write_bytes(as_bytes.read_bytes())
        with h5py.File(path, "r+") as file:
            del file["stimulus_val"].attrs[name]
            if value is not None:
                file["stimulus_val"].attrs[name] = value
        with pytest.raises(schema.RecordingError, match=r"stimulus_val holds uint8.*mean.*std"):
            load.load_it_data(path)


@pytest.mark.parametrize("kept_as", ["recording", "as_bytes"])
def test_what_does_not_fit_stays_on_the_disk(kept_as, recording, little_memory, request, monkeypatch):
    data = load.load_it_data(request.getfixturevalue(kept_as))
    assert [isinstance(data[split], StimuliOnDisk) for split in range(3)] == [True, True, False]
    monkeypatch.delenv(memory.VARIABLE)
    for found, expected in zip(data, load.load_it_data(recording)):
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_it_behaves_as_the_array(on_disk, plain):
    assert (len(on_disk), on_disk.shape, on_disk.dtype, on_disk.ndim, on_disk.size, on_disk.nbytes) == (
        len(plain), plain.shape, plain.dtype, plain.ndim, plain.size, plain.nbytes,
    )  # fmt: skip
    assert np.shape(on_disk) == plain.shape
    some = np.arange(len(plain)) % 3 == 1
    indices = [
        0, -1, np.int64(7), slice(None), slice(3, 9), slice(60, 5, -7), slice(5, 5), [4, 2, 2, -1], np.array([70, 1]),
        np.array([], dtype=int), some, some.tolist(), (3, 1), (slice(2, 5), 0), (some, slice(None), 4), (5, ..., 2),
    ]  # fmt: skip
    for index in indices:
        found, expected = on_disk[index], plain[index]
        assert type(found) is type(expected) and found.dtype == expected.dtype, index
        np.testing.assert_array_equal(found, expected, err_msg=str(index))
    for wrong in (len(plain), [0, len(plain)], some[1:], (0, 3), 1.5, "a"):
        with pytest.raises(IndexError):
            on_disk[wrong]
        with pytest.raises(IndexError):
            plain[wrong]
    np.testing.assert_array_equal(np.stack(list(on_disk)), plain)
    np.testing.assert_array_equal(np.concatenate(list(on_disk.batches(7))), plain)
    assert np.asarray(on_disk, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(on_disk)), plain)


def test_a_large_part_stays_on_the_disk(on_disk, plain, little_memory):
    for index in (slice(0, 60), np.arange(60)[::-1], np.arange(80) > 30):
        part = on_disk[index]
        assert isinstance(part, StimuliOnDisk)
        np.testing.assert_array_equal(np.asarray(part), plain[index])
        np.testing.assert_array_equal(part[5:9], plain[index][5:9])
    assert isinstance(on_disk[:20], np.ndarray)


def test_memory_is_asked_for_once_and_understood(monkeypatch, tmp_path):
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMITS", [limit])
    whole = memory.memory_size()
    assert whole > 2**28
    limit.write_text("max\n")
    assert memory.memory_size() == whole
    limit.write_text("1000000\n")
    assert memory.memory_size() == 1e6
    monkeypatch.setenv(memory.VARIABLE, "4e6")
    assert fits_in_memory((1000, 250)) and not fits_in_memory((1000, 251))
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv(memory.VARIABLE, wrong)
        with pytest.raises(ValueError, match=r"ITNEURONS_MEMORY.*8e9"):
            memory.memory_size()


def test_a_digest_does_not_depend_on_where_stimuli_are(on_disk, plain):
    assert stored.fingerprint(on_disk, plain[:3]) == stored.fingerprint(plain, plain[:3])
    assert stored.fingerprint(on_disk) != stored.fingerprint(plain[::-1])


def test_damaged_images_are_named_when_they_are_read(as_bytes, tmp_path, little_memory):
    with h5py.File(as_bytes) as file:
        position = file["stimulus_val"].id.get_chunk_info(5).byte_offset + 100
    path = tmp_path / "IT_data.h5"
    path.write_bytes(flipped(as_bytes.read_bytes(), position))
    stimuli = StimuliOnDisk(path, "stimulus_val")
    assert stimuli[:5].shape == (5, 3, IMAGE_SIZE, IMAGE_SIZE)
    for read in (lambda: stimuli[5], lambda: np.asarray(stimuli), lambda: stored.fingerprint(stimuli)):
        with pytest.raises(schema.RecordingError, match=f"{path}: stimulus_val cannot be read"):
            read()


def test_kernels_and_components_of_stimuli_on_the_disk(on_disk, plain, as_bytes, monkeypatch):
    other, plain_other = StimuliOnDisk(as_bytes, "stimulus_val"), load.load_it_data(as_bytes).stimulus_val
    monkeypatch.setattr(gram, "_ROWS", 32)
    monkeypatch.setattr(gram, "_COLUMNS", 16)
    mean = plain.mean(axis=0)
    for a, b, expected in (
        (on_disk, None, gram.linear_kernel(plain, None, mean)),
        (other, on_disk, gram.linear_kernel(plain_other, plain, mean)),
        (plain_other, on_disk, gram.linear_kernel(plain_other, plain, mean)),
        (other, plain, gram.linear_kernel(plain_other, plain, mean)),
    ):
        torch.testing.assert_close(gram.linear_kernel(a, b, mean), expected, rtol=1e-4, atol=1e-2)
    # three colours drive the images, the rest is noise without axes of its own
    expected = components.principal_components(plain, plain_other, n_components=3)
    for found, wanted in zip(components.principal_components(on_disk, other, n_components=3), expected):
        np.testing.assert_allclose(found, wanted, atol=1e-3 * wanted.std())
    with pytest.raises(ValueError, match="features"):
        gram.linear_kernel(plain[:, :1], on_disk)


def test_resized_and_compared_images_are_the_same(on_disk, plain, little_memory):
    torch.testing.assert_close(extraction.resize(on_disk, 16), extraction.resize(plain, 16), rtol=0, atol=0)
    rates = np.arange(len(plain))[:, None]
    kept, of_kept, n_dropped = others.drop_shared_images(on_disk, rates, [plain[10:20]])
    assert n_dropped == 10 and isinstance(kept, StimuliOnDisk)
    np.testing.assert_array_equal(np.asarray(kept), plain[of_kept[:, 0]])


@pytest.mark.parametrize("shape", [(300, 1000), (1000, 300)], ids=["more features", "more images"])
def test_leading_components_are_those_of_a_full_decomposition(shape, monkeypatch):
    rng = np.random.default_rng(0)
    n, d = shape
    features = rng.standard_normal((n, d)) * np.arange(1, d + 1) ** -0.7
    features, other = np.split(features.astype(np.float32), [n - 20])
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    exact = vectors[:, ::-1][:, :50] * np.sqrt(values[::-1][:50])
    monkeypatch.setattr(components, "MOST_EXACT", 100)
    found = components.principal_components(features, other, n_components=50)
    np.testing.assert_allclose(np.square(found[0]).sum(axis=0), values[::-1][:50], rtol=1e-4)
    # the space is the same, whatever the sign of an axis
    np.testing.assert_allclose(found[0] @ found[0].T, exact @ exact.T, atol=2e-3 * values[-1] / n)
    projected = (other - features.mean(axis=0)) @ (centred.T @ (exact / values[::-1][:50]))
    np.testing.assert_allclose(found[1] @ found[0].T, projected @ exact.T, atol=2e-3 * values[-1] / n)


def test_all_components_are_the_leading_ones_where_there_are_many(monkeypatch, capsys):
    features = np.random.default_rng(0).standard_normal((120, 500)).astype(np.float32)
    monkeypatch.setattr(components, "MOST_EXACT", 60)
    (scores,) = components.principal_components(features, n_components=None)
    held = np.square(scores).sum() / np.square(features - features.mean(axis=0)).sum()
    assert scores.shape == (120, 60)
    assert capsys.readouterr().out == f"Of 120 components the leading 60 are taken, {held:.2%} of the variance\n"


@pytest.mark.parametrize("n_features", [3, 39])
def test_both_ways_of_cross_validation_are_one(n_features, monkeypatch):
    rng = np.random.default_rng(1)
    features = rng.standard_normal((200, n_features)) + 3
    rates = features @ rng.standard_normal((n_features, 5)) + 4 * rng.standard_normal((200, 5)) + 10
    rates[:, 4] = 7
    monkeypatch.setattr(ridge, "_residuals_by_images", None)
    by_features = fit_ridge(features, rates)
    monkeypatch.undo()
    monkeypatch.setattr(ridge, "_residuals_by_features", None)
    monkeypatch.setattr(ridge, "by_features", lambda *_: False)
    by_images = fit_ridge(features, rates)
    np.testing.assert_array_equal(by_features.best, by_images.best)
    np.testing.assert_allclose(by_features.cv_scores, by_images.cv_scores, atol=1e-9)
    np.testing.assert_allclose(by_features.held_out_predictions, by_images.held_out_predictions, atol=1e-8)
    np.testing.assert_allclose(by_features.weights, by_images.weights, atol=1e-9)
    np.testing.assert_allclose(by_features.intercept, by_images.intercept, atol=1e-8)


def test_a_full_disk_is_named_before_images_are_converted(small_disk, monkeypatch):
    monkeypatch.setattr(schema, "FLOATS_UP_TO", 0)
    content = made_up(sizes={"train": 80, "val": 20, "test": 4}, image_size=64)
    with pytest.raises(OSError, match=r"The disk is full: IT_data\.h5 needs about 1\.[0-9] MB, 1\.0 MB are free"):
        schema.write(small_disk / "IT_data.h5", **content, image_size=64)
    assert list(small_disk.iterdir()) == []


SLOWLY = """
import sys, time
from itneurons.recordings import schema
from tests.small import made_up

def slowly(images):
    for image in images:
        time.sleep(0.02)
        yield image

schema.FLOATS_UP_TO = 0
content = made_up()
content["images"] = {split: slowly(images) for split, images in content["images"].items()}
schema.write(sys.argv[1], **content)
"""


def killed_when(command, begun, timeout=120):
    """Run Python code in a process of its own, and kill it -9, its children with it, once something has begun."""
    process = subprocess.Popen([sys.executable, "-c", *map(str, command)], cwd=HERE, start_new_session=True)
    end = time.monotonic() + timeout
    while not begun() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    was_running = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return was_running


def test_a_conversion_that_was_killed_leaves_nothing(as_bytes, tmp_path, monkeypatch):
    path = tmp_path / "IT_data.h5"
    begun = lambda: [left for left in tmp_path.glob(".IT_data~*") if left.stat().st_size > 20_000]  # noqa: E731
    assert killed_when([SLOWLY, path], begun)
    assert list(tmp_path.glob(".IT_data~*")) and not path.exists()
    monkeypatch.setattr(schema, "FLOATS_UP_TO", 0)
    schema.write(path, **made_up())
    assert path.read_bytes() == as_bytes.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


OPTIONS = {"sizes": (40, 12, 9), "image_size": 48, "n_neurons": 5, "n_trials": 4}
RENDERING = """
import sys
from itneurons.recordings import simulated
from itneurons.recordings.simulated import rendered

rendered.BLOCK = 8
simulated.make(sys.argv[1], sizes=(40, 12, 9), image_size=48, n_neurons=5, n_trials=4, workers=1)
"""


def counted(monkeypatch):
    """Blocks of eight pictures; gives the list of the numbers of scenes that are drawn."""
    drawn, render_images = [], rendered.render_images
    monkeypatch.setattr(rendered, "BLOCK", 8)
    monkeypatch.setattr(
        rendered, "render_images", lambda scenes, *a, **k: drawn.append(len(scenes)) or render_images(scenes, *a, **k)
    )
    return drawn


def test_rendering_that_was_killed_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    expected = simulated.make(tmp_path / "at once", **OPTIONS, workers=1)
    folder = tmp_path / "killed"
    pictures = folder / "IT_data_simulated_pictures"
    assert killed_when([RENDERING, folder], lambda: len(list(pictures.glob("block_*.h5"))) >= 2)
    n_there = len(list(pictures.glob("block_*.h5")))
    drawn = counted(monkeypatch)
    found = simulated.make(folder, **OPTIONS, workers=1)
    assert drawn == [61 - 8 * n_there]
    assert found.read_bytes() == expected.read_bytes()
    assert [path.name for path in folder.iterdir() if not path.name.endswith(".lock")] == [found.name]


def test_a_damaged_block_of_pictures_is_drawn_again_alone(tmp_path, monkeypatch):
    drawn = counted(monkeypatch)
    scenes = sample_scenes(np.arange(20) % 64, seed=0)
    first = rendered.RenderedPictures(tmp_path, scenes, 32, {"model": 1})
    contrast = first.render(workers=1)
    images = np.stack(list(first.images(0, 20)))
    block = tmp_path / "block_00001.h5"
    block.write_bytes(flipped(block.read_bytes(), block.stat().st_size // 2))
    np.testing.assert_array_equal(first.render(workers=1), contrast)
    np.testing.assert_array_equal(np.stack(list(first.images(5, 17))), images[5:17])
    # others than those of before are drawn anew
    rendered.RenderedPictures(tmp_path, scenes[::-1], 32, {"model": 1}).render(workers=1)
    assert drawn == [20, 8, 20]


def test_a_full_disk_while_pictures_are_drawn_keeps_those_that_are_finished(small_disk, monkeypatch):
    drawn = counted(monkeypatch)
    with pytest.raises(OSError, match=r"The disk is full: block_0000.*MB are free") as raised:
        simulated.make(small_disk, **{**OPTIONS, "image_size": 96}, workers=1)
    assert raised.value.errno == errno.ENOSPC
    n_there = len(list((small_disk / "IT_data_simulated_pictures").glob("block_*.h5")))
    assert 0 < n_there < 8
    with pytest.raises(OSError, match="The disk is full"):
        simulated.make(small_disk, **{**OPTIONS, "image_size": 96}, workers=1)
    assert drawn == [61, 61 - 8 * n_there]


def test_notebooks_do_not_notice(finished_run, tmp_path, monkeypatch):
    recordings, finished, _ = finished_run
    output = tmp_path / "output"
    shutil.copytree(finished, output)
    for folder in ("Activations", "Activations_RND", "figures"):
        shutil.rmtree(output / folder)
    # a quarter of it holds eight images
    monkeypatch.setenv(memory.VARIABLE, str(4 * 8 * 3 * 64**2 * 4))
    log = run(recordings, output)
    assert "on disk" not in log
    found, expected = (pd.read_csv(folder / "figures" / "scores.csv") for folder in (output, finished))
    names = [name for name in expected if not pd.api.types.is_numeric_dtype(expected[name])]
    pd.testing.assert_frame_equal(found[names], expected[names])
    for name in set(expected) - set(names):
        np.testing.assert_allclose(found[name], expected[name], atol=2e-3)
