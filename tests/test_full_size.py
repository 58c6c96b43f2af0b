"""What week9.ipynb does, at the shapes of a ResNet-50 and the course's recordings, in the memory of a small machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from itneurons.device import has_bfloat16

PROGRAM = """
import resource

import numpy as np
import torch

from itneurons import device, networks
from itneurons.features import backbones, extraction
from itneurons.storage import disk_tensors

n_images, n_few, n_neurons, layers = 2592, 16, 168, ("layer2", "layer3", "layer4")
model = backbones.load_backbone("resnet50", pretrained=False)
rng = np.random.default_rng(0)
# what a notebook has in memory besides
stimuli = np.full((n_images + 288 + 320, 3, 224, 224), 0.5, dtype=np.float32)
stimuli[:n_few] = rng.standard_normal(stimuli[:n_few].shape)
few = extraction.extract_activations(model, stimuli[:n_few], layers)
print({layer: tuple(values.shape[1:]) for layer, values in few.items()})
# a forward pass of all images takes minutes; the same few, again and again, lie where theirs would
maps = extraction._allocate(few, n_images, extraction._MEMORY)
for layer, room in maps.items():
    for part in room.split(n_few):
        part.copy_(few[layer][: len(part)])
    disk_tensors.release(room)
rates = torch.randn(n_images, n_neurons)
maps["all"] = extraction.concatenate_layers(maps, layers)
options = {"epochs": 1, "bfloat16": device.has_bfloat16()}
for layer in ("layer3", "all"):
    committee = networks.train_committee(
        lambda: networks.ResCNN(*maps[layer].shape[1:], n_neurons), maps[layer], rates, [np.arange(518)],
        f"{layer}.pth", {"layer": layer}, **options,
    )
    predicted = np.isfinite(committee.held_out_predictions).all(axis=1)
    print(layer, np.flatnonzero(predicted).tolist() == list(range(518)))
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_res_cnn_on_a_resnet50_fits_in_eight_gigabytes(tmp_path):
    here = Path(__file__).parent.parent
    environment = {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shapes, *scores, peak = done.stdout.splitlines()
    assert shapes == "{'layer2': (512, 28, 28), 'layer3': (1024, 14, 14), 'layer4': (2048, 7, 7)}"
    assert scores == ["layer3 True", "all True"]
    # without bfloat16 everything is kept in single precision, of twice the size
    assert int(peak) < (8e9 if has_bfloat16() else 10e9)
    assert {path.name for path in tmp_path.glob("*.pth")} == {"layer3_0.pth", "all_0.pth"}
