"""The rendered stimuli of the simulated experiment, and the network that was trained on them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from itneurons.recordings.schema import CATEGORIES, category_of, normalise
from itneurons.recordings.simulated import backbone, backgrounds
from itneurons.recordings.simulated.stimuli import OBJECTS, SCENE_DTYPE, render, render_images, sample_scenes

ROOT = Path(__file__).resolve().parents[1]


def correlation(a, b):
    return np.corrcoef(np.ravel(a).astype(float), np.ravel(b).astype(float))[0, 1]


@pytest.fixture(scope="module")
def scenes():
    return sample_scenes(np.arange(len(OBJECTS)), seed=1)


def test_names_belong_to_eight_categories_of_eight():
    assert len(set(OBJECTS)) == 64
    counts = [sum(category_of(name) == category for name in OBJECTS) for category in CATEGORIES]
    assert counts == [8] * 8


def test_one_scene_in_five_is_canonical_and_evenly_spread():
    scenes = sample_scenes(np.random.default_rng(0).permutation(np.arange(3200) % 64), seed=3)
    canonical = scenes[~scenes["varied"]]
    assert len(canonical) == 640
    assert (np.bincount(canonical["object"], minlength=64) == 10).all()
    assert (canonical["x"] == 0).all() and (canonical["y"] == 0).all()
    assert (canonical["size"] == 1).all() and (canonical["rotation"] == 0).all()
    varied = scenes[scenes["varied"]]
    assert np.abs(varied["x"]).max() <= 0.15 and varied["x"].std() > 0.05
    assert 0.6 <= varied["size"].min() and varied["size"].max() <= 1.6
    assert len(np.unique(scenes["seed"])) == 3200


def test_same_seed_same_scenes_and_another_seed_others():
    objects = np.arange(64)
    assert np.array_equal(sample_scenes(objects, seed=4), sample_scenes(objects, seed=4))
    assert not np.array_equal(sample_scenes(objects, seed=4), sample_scenes(objects, seed=5))
    assert sample_scenes(objects, seed=4).dtype == SCENE_DTYPE


def test_images_are_the_same_for_any_number_of_workers(scenes):
    alone = list(render_images(scenes[::3], image_size=48, workers=1))
    together = list(render_images(scenes[::3], image_size=48, workers=2))
    assert np.array_equal(alone, together)
    assert alone[0].shape == (48, 48, 3) and alone[0].dtype == np.uint8


def test_a_failing_worker_is_heard(scenes):
    broken = scenes[:40].copy()
    broken["object"][20] = 64
    with pytest.raises(IndexError):
        list(render_images(broken, image_size=32, workers=2))


def test_unknown_backgrounds_are_named(scenes):
    with pytest.raises(ValueError, match="expected one of experiment, training"):
        render(scenes[0], image_size=32, photographs="holiday")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_an_interrupted_parent(how, tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing
            import signal
            import numpy as np
            from itneurons.recordings.simulated.stimuli import render_images, sample_scenes

            if __name__ == "__main__":
                # jobs in the background of a shell ignore interrupts, and so would this one if the tests are such a job
                signal.signal(signal.SIGINT, signal.default_int_handler)
                scenes = sample_scenes(np.arange(64).repeat(500), seed=0)
                for image in render_images(scenes, image_size=32, workers=2):
                    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(how)
        parent.communicate(timeout=30)
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline, f"of the workers {workers} some still run"
        time.sleep(0.1)


def _runs(pid):
    # a process that has ended but was not waited for counts as ended
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_mask_says_where_the_object_is():
    scene = sample_scenes(np.arange(64), seed=2)[OBJECTS.index("apple")].copy()
    scene["x"], scene["y"], scene["size"] = 0.2, -0.1, 0.8
    image, mask = render(scene, image_size=96)
    scene["size"] = 1e-3
    empty, _ = render(scene, image_size=96)
    change = image.astype(int) - empty
    assert mask.dtype == np.float32 and mask.min() == 0 and mask.max() == 1
    assert (np.abs(change[mask == 1]).max(axis=1) > 20).mean() > 0.9
    # outside there is at most a soft shadow, and nothing on the far side of the image
    assert change[mask == 0].max() <= 1
    assert not change[:, :24].any()
    rows, columns = np.indices(mask.shape)
    centre = np.average(columns, weights=mask), np.average(rows, weights=mask)
    assert np.allclose(centre, (0.7 * 96, 0.4 * 96), atol=4)


def test_every_object_is_seen_and_stays_mostly_inside(scenes):
    canonical = scenes.copy()
    for field, value in (("x", 0), ("y", 0), ("size", 1), ("rotation", 0)):
        canonical[field] = value
    for scene in canonical:
        _, mask = render(scene, image_size=48)
        border = mask.copy()
        border[1:-1, 1:-1] = 0
        assert 0.03 < mask.mean() < 0.45, OBJECTS[scene["object"]]
        assert border.max() == 0, OBJECTS[scene["object"]]


def test_objects_differ_from_each_other():
    scenes = np.zeros(64, dtype=SCENE_DTYPE)
    scenes["object"], scenes["size"] = np.arange(64), 1
    images = np.stack([render(scene, image_size=48)[0] for scene in scenes]).astype(float)
    distances = np.abs(images[:, None] - images[None]).mean(axis=(2, 3, 4))
    assert distances[~np.eye(64, dtype=bool)].min() > 0.5


def test_small_images_are_shrunk_large_ones(scenes):
    for scene in scenes[::8]:
        large, large_mask = render(scene, image_size=192)
        small, small_mask = render(scene, image_size=64)
        shrunk = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
        assert correlation(shrunk, small) > 0.97
        assert abs(large_mask.mean() - small_mask.mean()) < 0.01


def test_the_two_sets_of_backgrounds_share_no_source():
    experiment, training = backgrounds.photographs("experiment"), backgrounds.photographs("training")
    for ours in experiment:
        for other in training:
            # the halves of one photograph, put together, are the photograph; of no two are the pixels alike
            assert np.abs(np.asarray(ours, dtype=int) - np.asarray(other, dtype=int)).mean() > 20
    ours, others = (np.stack(backgrounds.textures(source)) for source in backgrounds.SOURCES)
    assert max(abs(correlation(a, b)) for a, b in zip(ours, others, strict=True)) < 0.6
    assert not np.array_equal(*(backgrounds.background(32, np.random.default_rng(0), s) for s in backgrounds.SOURCES))


def test_light_and_materials_change_with_the_seed_alone(scenes):
    scene = scenes[OBJECTS.index("car1")].copy()
    first, mask = render(scene, image_size=64)
    scene["seed"] += 1
    second, other_mask = render(scene, image_size=64)
    assert np.array_equal(mask, other_mask)
    inside = mask == 1
    assert np.abs(first[inside].astype(int) - second[inside]).mean() > 5


def test_random_network_differs_by_seed_and_leaves_the_global_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, same, other = (backbone.build(pretrained=False, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.conv1.weight, same.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not first.training
    assert sum(parameter.numel() for parameter in first.parameters()) <= 5_000_000


def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(backbone, "WEIGHTS", tmp_path / "backbone.pth")
    with pytest.raises(FileNotFoundError, match=r"python -m itneurons\.recordings\.simulated\.backbone"):
        backbone.build()


def test_shipped_network_tells_fresh_objects_apart():
    stored = backbone.checkpoint()
    assert tuple(stored["objects"]) == OBJECTS and stored["input_size"] == backbone.INPUT_SIZE
    assert backbone.WEIGHTS.stat().st_size <= 12_000_000
    network = backbone.build()
    assert not network.training
    objects = np.arange(128) % 64
    scenes = sample_scenes(objects, seed=77)
    images = np.stack(list(render_images(scenes, backbone.INPUT_SIZE, workers=1)))
    right = backbone.accuracy(network, images, torch.from_numpy(objects))
    # chance is 1/64 and 1/8
    assert right["object"] > 0.6 and right["category"] > 0.7
    random = backbone.accuracy(backbone.build(pretrained=False), images, torch.from_numpy(objects))
    assert random["object"] < 0.15
    with torch.inference_mode():
        assert network(torch.from_numpy(normalise(images[:2]))).shape == (2, 64)


def test_training_writes_a_checkpoint_that_loads(monkeypatch, tmp_path):
    path = tmp_path / "backbone.pth"
    accuracies = backbone.train(n_images=64, epochs=1, batch_size=32, n_test=64, workers=1, path=path)
    assert set(accuracies) == {"training", "experiment"}
    monkeypatch.setattr(backbone, "WEIGHTS", path)
    assert "--images 64 --epochs 1" in backbone.checkpoint()["command"]
    trained, random = backbone.build(), backbone.build(pretrained=False)
    assert not torch.equal(trained.fc.weight, random.fc.weight)
