"""Activations that are kept: the same as extracted ones, used only while they fit, and nobody needs them."""

import errno
from collections import Counter

import numpy as np
import pytest
import torch

from itneurons.features import backbones, components, extraction, kept
from itneurons.storage import disk_tensors, stored
from tests.small import DAMAGES, flipped, normalised

LAYERS = ("layer2", "layer3", "avgpool")


class Setup:
    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.model = backbones.load_backbone("resnet18", pretrained=False)
        self.model.input_size = 64
        self.stimuli = [normalised(n, 64, seed=n) for n in (20, 3, 0)]
        self.shown = Counter()
        extract = kept.extract_each

        def counted(model, stimuli, layers, device="cpu"):
            self.shown.update(dict.fromkeys(layers, sum(map(len, stimuli))))
            return extract(model, stimuli, layers, device)

        monkeypatch.setattr(kept, "extract_each", counted)

    def load_or_extract(self):
        made_of = components.what_components_are_made_of(self.model, self.stimuli, 5)
        return kept.load_or_extract(self.folder, "net", self.model, self.stimuli, made_of, LAYERS)

    def path(self, layer):
        return kept.activations_path(self.folder, "net", layer)


@pytest.fixture
def setup(tmp_path, monkeypatch):
    return Setup(tmp_path, monkeypatch)


def assert_same(some, others):
    for part, other in zip(some, others, strict=True):
        assert list(part) == list(other) == list(LAYERS)
        for layer in LAYERS:
            assert part[layer].dtype == other[layer].dtype
            assert torch.equal(part[layer], other[layer])


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("in_memory", [disk_tensors._IN_MEMORY, 0])
def test_what_is_kept_equals_what_was_extracted(setup, monkeypatch, bfloat16, in_memory):
    monkeypatch.setattr(disk_tensors, "_IN_MEMORY", in_memory)
    monkeypatch.setattr(kept, "has_bfloat16", lambda device: bfloat16)
    monkeypatch.setattr(extraction, "has_bfloat16", lambda device: bfloat16)
    first = setup.load_or_extract()
    assert first[0]["layer2"].dtype == (torch.bfloat16 if bfloat16 else torch.float32)
    assert first[0]["layer2"].std() > 0
    setup.shown.clear()
    again = setup.load_or_extract()
    assert not setup.shown
    assert_same(first, again)
    assert again[0]["layer2"].is_contiguous(memory_format=torch.channels_last)
    in_file = again[0]["layer2"].untyped_storage().filename is not None
    assert in_file == (in_memory == 0)


def test_layers_that_week6_extracts_are_not_extracted_again(setup):
    layers = ("conv1", *LAYERS)
    setup.stimuli = setup.stimuli[:2]
    made_of = components.what_components_are_made_of(setup.model, setup.stimuli, 5)
    components.store_components(setup.folder, "net", setup.model, setup.stimuli, made_of, layers, kept=LAYERS[:2])
    assert sorted(path.name for path in setup.folder.iterdir()) == sorted(
        [f"net_{layer}.h5" for layer in layers] + [f"net_{layer}.activations.h5" for layer in LAYERS[:2]]
    )
    setup.shown.clear()
    found = setup.load_or_extract()
    assert setup.shown == {"avgpool": 23}
    expected = extraction.extract_each(setup.model, setup.stimuli, LAYERS)
    assert_same(found, expected)


def test_interrupted_before_the_components_what_was_kept_is_not_extracted_again(setup, monkeypatch):
    setup.stimuli = setup.stimuli[:2]

    def store():
        made_of = components.what_components_are_made_of(setup.model, setup.stimuli, 5)
        components.store_components(setup.folder, "net", setup.model, setup.stimuli, made_of, LAYERS, kept=LAYERS[:2])
        return [components.load_components(setup.folder, "net", layer, made_of)[0] for layer in LAYERS]

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(components, "principal_components", interrupt)
        store()
    times = {layer: setup.path(layer).stat().st_mtime_ns for layer in LAYERS[:2]}
    setup.shown.clear()
    resumed = store()
    assert setup.shown == {LAYERS[2]: 23}
    assert {layer: setup.path(layer).stat().st_mtime_ns for layer in times} == times
    setup.folder = setup.folder / "anew"
    for component, expected in zip(resumed, store(), strict=True):
        np.testing.assert_array_equal(component, expected)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_activations_are_extracted_again_alone(setup, capsys, damage):
    first = setup.load_or_extract()
    setup.shown.clear()
    setup.path("layer3").write_bytes(damage(setup.path("layer3").read_bytes()))
    assert_same(setup.load_or_extract(), first)
    assert setup.shown == {"layer3": 23}
    assert capsys.readouterr().out.count("is made anew") == 1


def test_a_flipped_byte_is_found_or_changes_nothing(setup):
    first = setup.load_or_extract()
    whole = setup.path("layer3").read_bytes()
    found = 0
    for position in np.random.default_rng(0).integers(0, len(whole), 30):
        setup.path("layer3").write_bytes(flipped(whole, position))
        setup.shown.clear()
        assert_same(setup.load_or_extract(), first)
        found += bool(setup.shown)
    assert found > 20


def test_those_of_something_else_are_extracted_again(setup, capsys):
    setup.load_or_extract()
    setup.model.conv1.weight.data += 0.1
    setup.shown.clear()
    found = setup.load_or_extract()
    assert set(setup.shown) == set(LAYERS)
    assert capsys.readouterr().out.count("other weights") == len(LAYERS)
    assert_same(setup.load_or_extract(), found)


def test_without_room_they_are_used_and_not_kept(setup, monkeypatch, capsys):
    first = setup.load_or_extract()
    for layer in LAYERS:
        setup.path(layer).unlink()

    def full(path, bytes_needed=None):
        raise OSError(errno.ENOSPC, f"The disk is full: {path.name} needs about {bytes_needed} bytes")

    monkeypatch.setattr(stored, "written_whole", full)
    assert_same(setup.load_or_extract(), first)
    assert list(setup.folder.iterdir()) == []
    assert capsys.readouterr().out.count("is not kept, its layer will be extracted again") == len(LAYERS)


def test_what_is_read_into_a_file_is_released(setup, monkeypatch):
    released = []
    monkeypatch.setattr(disk_tensors, "_IN_MEMORY", 0)
    setup.load_or_extract()
    monkeypatch.setattr(disk_tensors, "release", lambda tensor: released.append(len(tensor)))
    setup.load_or_extract()
    # 20 and 3 images of three layers, 16 at a time
    assert Counter(released) == {20: 6, 3: 3}
