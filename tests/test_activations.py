"""Activations against plain forward passes, weights that are missing or damaged, and stored components."""

import copy
import gc
import urllib.error
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torchvision

from itneurons.features import backbones, components, extraction, kept
from itneurons.features.components import principal_components
from itneurons.storage import disk_tensors, stored
from tests.small import DAMAGES, flipped, normalised

SIZE = 64
LAYERS = ("conv1", "layer2", "avgpool")
# layers of each kind of network; in many of them a ReLU works in place on what was taken
NETWORKS = {
    "resnet18": ("conv1", "bn1", "layer1", "layer4", "avgpool"),
    "vgg11": ("features.0", "features.8", "features.20"),
    "densenet121": ("features.conv0", "features.norm0", "features.denseblock1", "features.transition2"),
    "squeezenet1_1": ("features.0", "features.3", "features.12"),
    "mobilenet_v3_small": ("features.0", "features.3", "features.12"),
}


@pytest.fixture
def small_resnet():
    model = backbones.load_backbone("resnet18", pretrained=False)
    model.input_size = SIZE
    return model


def plain(model, images, layer):
    """What a copy of the network in which nothing works in place gives up to a layer, module by module."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    sequence = dict(getattr(model, "features", model).named_children())
    values = torch.as_tensor(images)
    with torch.no_grad():
        for name, module in sequence.items():
            values = module(values)
            if name == layer.removeprefix("features."):
                return values
    raise AssertionError(f"{layer} was not reached")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_a_plain_forward_pass(name):
    model, images = backbones.load_backbone(name, pretrained=False), normalised(5, SIZE)
    model.input_size = SIZE
    calls = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    found = extraction.extract_activations(model, images, NETWORKS[name], batch_size=2, bfloat16=False)
    assert len(calls) == 3
    assert list(found) == list(NETWORKS[name])
    for layer, values in found.items():
        expected = plain(model, images, layer)
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    # what a ReLU in place would have left
    assert any((values < 0).any() for values in found.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_normalisation_is_folded_into_convolutions_without_a_trace(name):
    model, images = backbones.load_backbone(name, pretrained=False), normalised(4, SIZE)
    model.input_size = SIZE
    for index, module in enumerate(model.modules()):
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in (
                (module.running_mean, -1, 1),
                (module.running_var, 0.5, 2),
                (module.weight, 0.5, 1.5),
                (module.bias, -1, 1),
            ):
                values.data.uniform_(low, high, generator=torch.Generator().manual_seed(index))
    before = stored.fingerprint(model)
    found = extraction.extract_activations(model, images, NETWORKS[name], bfloat16=False)
    for layer, values in found.items():
        expected = plain(model, images, layer)
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert stored.fingerprint(model) == before
    assert not any(module._forward_hooks for module in model.modules())
    norms = [
        sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
        for network in (model, extraction._folded(model)[0])
    ]
    # the first one stays everywhere; in a DenseNet every second one comes before its convolution
    assert norms[1] == {"resnet18": 1, "mobilenet_v3_small": 1, "densenet121": 63}.get(name, norms[0])


@pytest.mark.parametrize("bfloat16", [True, False])
def test_the_given_network_stays_as_it_is(bfloat16):
    model = backbones.load_backbone("resnet18", pretrained=False)
    before = {name: (value.clone(), value.stride()) for name, value in model.state_dict().items()}
    network = extraction.prepared(model, bfloat16)
    weights = network.folded.layer1[0].conv1.weight
    assert weights.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
    assert weights.is_contiguous(memory_format=torch.channels_last)
    for name, value in model.state_dict().items():
        assert value.dtype == before[name][0].dtype and value.stride() == before[name][1]
        assert torch.equal(value, before[name][0])
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_layer_is_the_same_whatever_else_is_asked_for(small_resnet):
    images = normalised(3, SIZE)
    asked = ("conv1", "layer1.0.conv1", "layer1.0.bn1", "layer2")
    together = extraction.extract_activations(small_resnet, images, asked)
    for layer in asked:
        assert torch.equal(extraction.extract_activations(small_resnet, images, [layer])[layer], together[layer])
    torch.testing.assert_close(
        extraction.extract_activations(small_resnet, images, asked, bfloat16=False)["layer1.0.conv1"],
        plain(torch.nn.Sequential(*list(small_resnet.children())[:4], small_resnet.layer1[0].conv1), images, "4"),
    )


class Shared(torch.nn.Module):
    """What must not be folded: a convolution used twice, one whose output is also used as it is, and a path that
    depends on what is seen."""

    def __init__(self, dynamic):
        super().__init__()
        self.twice, self.also, self.plain = (torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(3) for _ in range(3))
        self.no_statistics = torch.nn.BatchNorm2d(3, track_running_stats=False)
        self.end, self.dynamic = torch.nn.ReLU(inplace=True), dynamic
        for norm in self.norms:
            norm.running_mean.uniform_(1, 2)

    def forward(self, images):
        values = self.norms[0](self.twice(images)) + self.norms[1](self.twice(images + 1))
        between = self.also(values)
        values = self.no_statistics(self.plain(self.norms[2](between) + between))
        return self.end(values if not self.dynamic or values.sum() > 0 else -values)


@pytest.mark.parametrize("dynamic", [False, True])
def test_what_is_used_otherwise_is_not_folded(dynamic):
    model, images = Shared(dynamic), normalised(4, 16)
    found = extraction.extract_activations(model, images, ["twice", "also", "end"], bfloat16=False)
    with torch.no_grad():
        torch.testing.assert_close(found["end"], model.eval()(torch.as_tensor(images)))


def test_layers_are_joined_place_by_place(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    fine, coarse, equal = (torch.rand(300, c, n, n, generator=rng) for c, n in ((2, 28), (3, 4), (1, 7)))
    maps = extraction.concatenate_layers({"a": fine, "b": coarse, "c": equal}, ["c", "a", "b"])
    assert maps.shape == (300, 6, 7, 7)
    assert torch.equal(maps[:, :1], equal)
    torch.testing.assert_close(maps[:, 1:3], fine.reshape(300, 2, 7, 4, 7, 4).mean(dim=(3, 5)))
    # a place in the middle of four cells and one in a corner; on the way between there is nothing new
    torch.testing.assert_close(maps[:, 3:, 3, 3], coarse[:, :, 1:3, 1:3].mean(dim=(2, 3)))
    torch.testing.assert_close(maps[:, 3:, 0, 0], coarse[:, :, 0, 0])
    assert maps[:, 3:].amax() <= coarse.amax()
    # never finer than the finest
    monkeypatch.setattr(disk_tensors, "_IN_MEMORY", 0)
    in_file = extraction.concatenate_layers({"a": fine, "b": coarse, "c": equal}, ["c", "a", "b"])
    assert in_file.untyped_storage().filename is not None
    assert torch.equal(in_file, maps)
    assert extraction.concatenate_layers({"b": coarse}, ["b"]).equal(coarse)
    assert extraction.concatenate_layers({"a": fine[:0].bfloat16(), "b": coarse[:0]}, ["a", "b"]).shape == (0, 5, 7, 7)


def test_no_copy_of_the_network_stays(small_resnet, monkeypatch):
    copies, original = [], extraction._folded

    def watched(model):
        folded = original(model)
        copies.append(weakref.ref(folded[0]))
        return folded

    monkeypatch.setattr(extraction, "_folded", watched)
    gc.disable()
    try:
        extraction.extract_activations(small_resnet, normalised(2, SIZE), LAYERS)
        assert [copy() for copy in copies] == [None]
    finally:
        gc.enable()


def test_no_hook_stays(small_resnet):
    extraction.extract_activations(small_resnet, normalised(2, SIZE), LAYERS)
    assert not any(module._forward_hooks for module in small_resnet.modules())


@pytest.mark.parametrize("bfloat16", [False, True])
def test_large_activations_lie_in_a_file_without_a_name(small_resnet, bfloat16, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    images = normalised(5, SIZE)
    in_memory = extraction.extract_activations(small_resnet, images, LAYERS, 2, bfloat16)
    in_file = extraction.extract_activations(small_resnet, images, LAYERS, 2, bfloat16, memory=1000)
    assert list(tmp_path.iterdir()) == []
    for layer, values in in_memory.items():
        assert values.dtype == (torch.bfloat16 if bfloat16 and layer != "avgpool" else torch.float32)
        assert torch.equal(in_file[layer], values)


def test_activations_that_do_not_fit_the_disk_are_refused(small_resnet, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match=r"disk is full: the activations need [\d.]+ MB.*set TMPDIR"):
        extraction.extract_activations(small_resnet, normalised(2, SIZE), LAYERS, memory=0)


def test_bfloat16_is_near_single_precision(small_resnet):
    images = normalised(4, SIZE)
    single = extraction.extract_activations(small_resnet, images, LAYERS, bfloat16=False)
    half = extraction.extract_activations(small_resnet, images, LAYERS, bfloat16=True)
    for layer, values in single.items():
        error = (half[layer].float() - values).norm() / values.norm()
        assert 0 < error < 0.02


def test_averages_over_places_are_taken_in_single_precision(small_resnet):
    found = extraction.extract_activations(small_resnet, normalised(4, SIZE), ["layer4", "avgpool"], bfloat16=True)
    expected = found["layer4"].float().mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(found["avgpool"], expected)
    # rounding would have lost something
    assert not torch.equal(found["avgpool"].bfloat16().float(), found["avgpool"])


def test_images_of_another_size_are_resized(small_resnet):
    images = normalised(2, 2 * SIZE)
    resized = torch.nn.functional.interpolate(
        torch.as_tensor(images), size=(SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False
    )
    found, expected = (
        extraction.extract_activations(small_resnet, stimuli, LAYERS, bfloat16=False)["conv1"]
        for stimuli in (images, resized.numpy())
    )
    torch.testing.assert_close(found, expected)


def test_no_images_have_no_activations(small_resnet):
    found = extraction.extract_activations(small_resnet, normalised(0, SIZE), LAYERS)
    assert found["layer2"].shape == (0, 128, 8, 8)


class TwoOutputs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = torch.nn.LSTM(3, 4, batch_first=True)
        self.unused = torch.nn.ReLU()

    def forward(self, images):
        return self.pair(images.mean(dim=2).transpose(1, 2))[0]


@pytest.mark.parametrize(
    ("model", "shape", "layers", "message"),
    [
        (
            "resnet18",
            (2, 3, 64, 64),
            ("conv1", "layer9"),
            "no layer layer9; it has conv1, bn1, .*avgpool.*Nearest are l",
        ),
        ("resnet18", (3, 64, 64), ("conv1",), r"shape \(3, 64, 64\), expected \(n_images, 3, height, width\)"),
        ("resnet18", (2, 64, 64, 3), ("conv1",), r"shape \(2, 64, 64, 3\)"),
        ("two", (2, 3, 64, 64), ("unused",), "does not reach the layer unused"),
        ("two", (2, 3, 64, 64), ("pair",), "pair does not give one tensor"),
    ],
)
def test_what_cannot_be_extracted_is_refused(small_resnet, model, shape, layers, message):
    model = small_resnet if model == "resnet18" else TwoOutputs()
    with pytest.raises(ValueError, match=message):
        extraction.extract_activations(model, np.zeros(shape, dtype=np.float32), layers)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["resnet18", "simulated"])
def test_random_weights_come_from_their_seed_alone(name):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (backbones.load_backbone(name, pretrained=False, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not first.training


def test_the_simulated_backbone_ships_with_its_weights():
    trained, random = (backbones.load_backbone("simulated", pretrained=pretrained) for pretrained in (True, False))
    assert not torch.equal(trained.layer1[0].conv1.weight, random.layer1[0].conv1.weight)
    assert set(backbones.LAYERS) <= {name for name, _ in trained.named_children()}


@pytest.mark.parametrize("name", ["resnet19", "fasterrcnn_resnet50_fpn"])
def test_an_unknown_network_is_refused(name):
    with pytest.raises(ValueError, match=f"no model '{name}'"):
        backbones.load_backbone(name, pretrained=False)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder for weights, and no network."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_weights_that_cannot_be_had_are_named_with_size_and_folder(hub):
    file = r"resnet50-11ad3fa6.pth \(98 MB\) from https://"
    message = rf"weights of resnet50 .*Name or service.*{file}.*folder {hub}\. .*make run BACKBONE=efficientnet_lite0"
    with pytest.raises(OSError, match=message):
        backbones.load_backbone("resnet50")
    assert list(hub.iterdir()) == []


@pytest.mark.parametrize("damage", [*DAMAGES.values(), None], ids=[*DAMAGES, "of_another_network"])
def test_weights_that_are_damaged_are_to_be_removed(hub, damage):
    path = hub / "resnet18-f37072fd.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=rf"weights of resnet18 .*{path.name}.*Remove that file.*\(45 MB\)"):
        backbones.load_backbone("resnet18")


def test_weights_that_are_there_are_loaded(hub):
    weights = backbones.load_backbone("resnet18", pretrained=False, seed=5).state_dict()
    torch.save(weights, hub / "resnet18-f37072fd.pth")
    loaded = backbones.load_backbone("resnet18").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_a_fingerprint_tells_contents_apart(small_resnet):
    array = np.arange(6.0)
    other = backbones.load_backbone("resnet18", pretrained=False, seed=1)
    contents = [(array,), (array.astype("f4"),), (array.reshape(2, 3),), (array[::-1],), (array, array), (["car"],)]
    contents += [(["face"],), (small_resnet,), (other,)]
    digests = [stored.fingerprint(*content) for content in contents]
    assert len(set(digests)) == len(contents)
    assert stored.fingerprint(torch.as_tensor(array)) == digests[0]
    # the order of a picture's bytes in memory is not its content
    assert stored.fingerprint(np.asfortranarray(array.reshape(2, 3))) == digests[2]


class Components:
    """A folder of stored components, and what they are made of."""

    def __init__(self, folder, model):
        self.folder, self.model = folder, model
        self.stimuli = [normalised(12, SIZE), normalised(5, SIZE, seed=1), normalised(0, SIZE)]
        self.n_components = 4

    @property
    def key(self):
        return components.what_components_are_made_of(self.model, self.stimuli, self.n_components)

    def store(self):
        components.store_components(self.folder, "net", self.model, self.stimuli, self.key, LAYERS)

    def load(self, layer):
        return components.load_components(self.folder, "net", layer, self.key)


@pytest.fixture
def finished(tmp_path, small_resnet, capsys):
    components = Components(tmp_path, small_resnet)
    components.store()
    capsys.readouterr()
    return components


def test_what_lies_above_the_layers_is_computed_for_one_batch_alone(small_resnet):
    images, above = normalised(9, SIZE), []
    whole = extraction.extract_activations(small_resnet, images, ["conv1", "layer2", "fc"], 2, bfloat16=False)
    small_resnet.avgpool.register_forward_hook(lambda module, inputs, output: above.append(len(output)))
    found = extraction.extract_activations(small_resnet, images, ["layer2", "conv1"], 2, bfloat16=False)
    assert above == [2]
    assert list(found) == ["layer2", "conv1"]
    for layer, values in found.items():
        assert torch.equal(values, whole[layer])


def test_sets_of_images_share_the_memory(small_resnet, monkeypatch):
    asked, sets = [], [normalised(n, SIZE) for n in (6, 2)]
    extract = extraction.extract_activations

    def watched(*args, memory, **options):
        asked.append(memory)
        return extract(*args, memory=memory, **options)

    monkeypatch.setattr(extraction, "_MEMORY", 8000)
    monkeypatch.setattr(extraction, "extract_activations", watched)
    found = extraction.extract_each(small_resnet, sets, LAYERS)
    assert asked == [6000, 2000]
    for part, images in zip(found, sets, strict=True):
        for layer, values in extract(small_resnet, images, LAYERS).items():
            assert torch.equal(part[layer], values)


def test_components_are_stored_once(finished, capsys, monkeypatch):
    parts = [extraction.extract_activations(finished.model, part, LAYERS) for part in finished.stimuli]
    for layer in LAYERS:
        expected = principal_components(*(part[layer] for part in parts), n_components=4)
        for found, part in zip(finished.load(layer), expected, strict=True):
            np.testing.assert_array_equal(found, part)

    def fail(*args, **kwargs):
        raise AssertionError("extracted again")

    monkeypatch.setattr(kept, "extract_each", fail)
    finished.store()
    assert "holds all 3 layers of net for these stimuli: nothing to extract" in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["stimuli", "weights", "n_components"])
def test_components_of_something_else_are_remade_with_a_reason(finished, capsys, changed):
    before = finished.load("conv1")
    if changed == "stimuli":
        finished.stimuli[1] = normalised(5, SIZE, seed=2)
    elif changed == "weights":
        finished.model.load_state_dict(backbones.load_backbone("resnet18", pretrained=False, seed=9).state_dict())
    else:
        finished.n_components = 3
    path = components.components_path(finished.folder, "net", "conv1")
    with pytest.raises(ValueError, match=f"{path} cannot be used: it was made with other {changed}.*section A"):
        finished.load("conv1")
    finished.store()
    assert f"{path} is made anew: it was made with other {changed}\n" in capsys.readouterr().out
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(finished.load("conv1"), before))


def test_components_that_are_not_there_are_refused(finished):
    with pytest.raises(ValueError, match=r"net_layer4\.h5 cannot be used: there is no such file"):
        finished.load("layer4")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_components_are_remade_alone(finished, capsys, monkeypatch, damage):
    expected = finished.load("layer2")
    path = components.components_path(finished.folder, "net", "layer2")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"cannot be used: it is damaged \(.*Run the extraction"):
        finished.load("layer2")
    extract, asked = extraction.extract_each, []

    def watched(model, stimuli, layers, *args, **options):
        asked.append(layers)
        return extract(model, stimuli, layers, *args, **options)

    monkeypatch.setattr(kept, "extract_each", watched)
    finished.store()
    assert {tuple(layers) for layers in asked} == {("layer2",)}
    assert f"{path} is made anew: it is damaged" in capsys.readouterr().out
    for a, b in zip(finished.load("layer2"), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_flipped_byte_in_components_is_found_or_changes_nothing(finished):
    path = components.components_path(finished.folder, "net", "layer2")
    content, expected, refused, key = path.read_bytes(), finished.load("layer2"), 0, finished.key
    with h5py.File(path) as file:
        in_values = [file[f"part{index}"].id.get_chunk_info(0).byte_offset + 5 for index in range(2)]
    positions = [*in_values, *np.random.default_rng(0).integers(0, len(content), 60)]
    for position in positions:
        path.write_bytes(flipped(content, int(position)))
        try:
            found = components.load_components(finished.folder, "net", "layer2", key)
        except ValueError:
            refused += 1
        else:
            assert int(position) not in in_values
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > len(positions) / 2
