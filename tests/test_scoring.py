"""Any network, every layer: against scikit-learn, against cases whose answer is known, and when it is broken off."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from torch import nn

import itneurons
from itneurons.__main__ import main
from itneurons.evaluation.brainscore import brainscore_pls
from itneurons.evaluation.representation import correlation_distances
from itneurons.features import extract_activations, load_backbone, stages
from itneurons.recordings import load_it_data, load_test_rates, object_categories, schema
from itneurons.regression import fit_ridge
from itneurons.scoring import best_layers, kernels, layer_table, network
from itneurons.scoring.layer_scores import read_recording
from itneurons.scoring.layers import choose_layers
from itneurons.storage import disk_tensors
from tests.small import made_up

pytestmark = pytest.mark.usefixtures("single_precision")
NETWORKS = """
import torch
from torch import nn


class Small(nn.Module):
    input_size = 32

    def __init__(self, broken=False):
        super().__init__()
        self.conv1, self.relu = nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True)
        self.conv2, self.pool = nn.Conv2d(8, 16, 3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.drop, self.fc, self.broken = nn.Dropout(), nn.Linear(16, 5), broken

    def forward(self, x):
        x = self.conv2(self.relu(self.conv1(x)))
        if self.broken:
            x = x / 0 * 0
        return self.fc(self.drop(self.pool(torch.relu(x)).flatten(1)))


class Tokens(nn.Module):
    input_size = 32

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 12))
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(12, 2, 24, batch_first=True) for _ in range(2)))
        self.head = nn.Linear(12, 5)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.blocks(torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1))[:, 0])


def small():
    return Small()


def broken():
    return Small(broken=True)


def tokens():
    return Tokens()


def failing():
    raise RuntimeError("no such luck")


class Colour(nn.Module):
    input_size = 32

    def __init__(self):
        super().__init__()
        self.colour, self.noise = nn.AdaptiveAvgPool2d(1), nn.Flatten()

    def forward(self, x):
        # digits that no neuron knows
        return self.noise(torch.sin(1e5 * self.colour(x)))


def colour():
    return Colour()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "networks.py"
    path.write_text(NETWORKS)
    return str(path)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    return functools.partial(itneurons.score, output=tmp_path_factory.mktemp("scores"), device="cpu")


def value(scores, layer, metric, split="test"):
    rows = scores[(scores["layer"] == layer) & (scores["metric"] == metric) & (scores["split"] == split)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("name", ["small", "tokens", "resnet18"])
def test_three_layers_of_three_networks_agree_with_scikit_learn(score, recording, file, name):
    if name == "resnet18":
        model = load_backbone(name, pretrained=False)
        model.input_size = 32
        layers = ["conv1", "layer2", "avgpool"]
    else:
        model = load_backbone(f"{file}:{name}")
        layers = list(choose_layers(model, "all")[0])[:3]
    scores = score(model, recording, layers, metrics=["ridge", "rsa"])
    data, test_rates = load_it_data(recording), load_test_rates(recording)
    parts = [extract_activations(model, stimuli, layers) for stimuli in data[:3]]
    for layer in layers:
        train, val, test = (part[layer].flatten(1).double().numpy() for part in parts)
        pca = PCA(svd_solver="full").fit(train)
        # what has less than a millionth of the largest variance is left out: of single precision it is rounding
        kept = pca.explained_variance_ > 1e-6 * pca.explained_variance_[0]
        components = [pca.transform(part)[:, kept] for part in (train, val, test)]
        chosen = fit_ridge(components[0], data.spikes_train, object_categories(data.objects_train))
        predicted = np.stack(
            [
                Ridge(alpha).fit(components[0], rates).predict(components[2])
                for alpha, rates in zip(chosen.alphas[chosen.best], data.spikes_train.T)
            ],
            axis=1,
        )
        np.testing.assert_allclose(scores.attrs["predictions"][layer]["test"], predicted, rtol=3e-3, atol=3e-3)
        expected = itneurons.evaluation.explained_variance(test_rates, predicted).mean()
        assert value(scores, layer, "explained_variance")["value"] == pytest.approx(expected, abs=1e-4)
        a, b = (correlation_distances(patterns)[np.triu_indices(len(test), 1)] for patterns in (test, test_rates))
        ranks = pd.Series(a).rank().corr(pd.Series(b).rank())
        assert value(scores, layer, "rsa")["value"] == pytest.approx(ranks, abs=1e-4)


def test_a_layer_that_is_the_drive_reaches_the_ceiling_and_noise_reaches_nothing(score, recording, file):
    scores = score(f"{file}:colour", recording, ["colour", "noise"])
    fraction = value(scores, "colour", "fraction_of_ceiling")
    assert fraction["low"] - 0.02 < 1 < fraction["high"] + 0.02
    assert value(scores, "noise", "explained_variance")["low"] < 0.02
    assert value(scores, "noise", "pls_correlation", "all")["value"] < 0.25
    assert abs(value(scores, "noise", "rsa")["value"]) < 0.3
    assert best_layers(scores).by_folds == "colour"


def test_shuffled_labels_score_nothing(score, tmp_path, file):
    content = made_up()
    rng = np.random.default_rng(1)
    for split in content["rates"]:
        order = rng.permutation(len(content["rates"][split]))
        content["rates"][split] = content["rates"][split][order]
        if split in content["trials"]:
            content["trials"][split] = content["trials"][split][:, order]
    path = schema.write(tmp_path / "IT_data.h5", **content)
    scores = score(f"{file}:small", path, ["conv1"])
    assert value(scores, "conv1", "explained_variance")["low"] < 0.02
    assert value(scores, "conv1", "pls_correlation", "all")["value"] < 0.3


def test_slices_of_layers_give_what_whole_layers_give(score, recording, file, tmp_path):
    whole = score(f"{file}:small", recording, "all")
    # 120 images of 4416 values: five groups, every larger layer cut
    sliced = score(f"{file}:small", recording, "all", disk=5e5, output=tmp_path)
    np.testing.assert_allclose(sliced["value"], whole["value"], atol=1e-4)
    assert set(whole["layer"]) == {"conv1", "relu", "conv2", "pool", "fc"}
    assert whole.attrs["reasons"] == {"drop": "passes on what it is given"}


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "mobilenet_v3_small", "convnext_tiny"])
def test_features_made_from_another_layers_are_those_of_the_layer(recording, monkeypatch, name):
    model = load_backbone(name, pretrained=False)
    model.input_size = 32
    stimuli = [part[:12] for part in load_it_data(recording)[:3]]
    # one kind of activation function after convolutions, normalisations and linear layers, in place and not
    shapes, _ = choose_layers(model, "all")
    shapes = dict(list(shapes.items())[:12])
    made, asked = stages.elementwise_layers(model, list(shapes)), []
    assert made
    show = kernels.show_prepared
    monkeypatch.setattr(kernels, "show_prepared", lambda *a, **o: (asked.extend(a[2]), show(*a, **o)))
    derived = dict(kernels.layer_kernels(model, stimuli, shapes))
    assert not set(made) & set(asked)
    monkeypatch.setattr(kernels, "elementwise_layers", lambda *_: {})
    own = dict(kernels.layer_kernels(model, stimuli, shapes))
    assert list(own) == list(shapes) and set(derived) == set(own)
    for layer in shapes:
        scale = np.abs(own[layer].centred).max()
        for field in ("centred", "along", "sums", "mean_square"):
            np.testing.assert_allclose(
                getattr(derived[layer], field), getattr(own[layer], field), rtol=1e-4, atol=1e-5 * scale
            )
        assert derived[layer].n_features == own[layer].n_features


def test_groups_fill_the_room():
    assert kernels.plan({"a": 5, "b": 7, "c": 1}, 4) == [
        [("a", 0, 4)],
        [("a", 4, 5), ("b", 0, 3)],
        [("b", 3, 7)],
        [("c", 0, 1)],
    ]
    assert kernels.plan({"a": 5, "b": 7}, 100) == [[("a", 0, 5), ("b", 0, 7)]]


def test_a_forward_pass_stops_after_the_last_layer_of_its_group(recording, file):
    model = load_backbone(f"{file}:small")
    calls = []
    model.fc.forward = lambda x: calls.append(1)
    stimuli = load_it_data(recording)[:3]
    assert [layer for layer, _ in kernels.layer_kernels(model, stimuli, {"conv1": (8, 16, 16)})] == ["conv1"]
    assert not calls


def test_projections_are_close_and_say_so(score, recording, file, tmp_path):
    exact = score(f"{file}:small", recording, ["conv1"])
    close = score(f"{file}:small", recording, ["conv1"], n_projections=1000, output=tmp_path)
    assert close.attrs["approximate"] == 1000 and exact.attrs["approximate"] == 0
    difference = (exact["value"] - close["value"])[exact["metric"] == "explained_variance"].abs().max()
    assert 1e-6 < difference < 0.05


def test_what_was_scored_is_not_scored_again(score, recording, file, tmp_path, monkeypatch):
    asked, stored = [], []
    original, store = network.layer_kernels, network.stored.store

    def watched(model, stimuli, shapes, **options):
        asked.append(list(shapes))
        return original(model, stimuli, shapes, **options)

    def interrupted(path, *rest):
        if len(stored) == 2:
            raise KeyboardInterrupt
        stored.append(path)
        store(path, *rest)

    monkeypatch.setattr(network, "layer_kernels", watched)
    monkeypatch.setattr(network.stored, "store", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(f"{file}:small", recording, "all", output=tmp_path)
    monkeypatch.setattr(network.stored, "store", store)
    resumed = score(f"{file}:small", recording, "all", output=tmp_path)
    assert asked == [["conv1", "relu", "conv2", "pool", "fc"], ["conv2", "pool", "fc"]]
    assert score(f"{file}:small", recording, "all", output=tmp_path).equals(resumed)
    assert len(asked) == 2
    # of other rates nothing fits
    content = made_up()
    content["rates"]["train"] = content["rates"]["train"] + 1
    other = schema.write(tmp_path / "other.h5", **content)
    score(f"{file}:small", other, ["conv1"], output=tmp_path)
    assert asked[-1] == ["conv1"]


def test_tokens(recording, file):
    model = load_backbone(f"{file}:tokens")
    assert choose_layers(model, ["blocks.0"])[0] == {"blocks.0": (17, 12)}
    for tokens in ("class", "mean"):
        assert choose_layers(model, ["blocks.0"], tokens)[0] == {"blocks.0": (12,)}
    stimuli = load_it_data(recording)[:3]
    whole = extract_activations(model, stimuli[0], ["blocks.0"])["blocks.0"]
    for tokens, expected in (("class", whole[:, 0]), ("mean", whole.mean(dim=1))):
        ((_, kernel),) = kernels.layer_kernels(model, stimuli, {"blocks.0": (12,)}, tokens=tokens)
        expected = (expected - expected.mean(dim=0)).double().numpy()
        np.testing.assert_allclose(kernel.centred[:80, :80], expected @ expected.T, atol=1e-3)
    with pytest.raises(ValueError, match="no class token: take tokens all or mean"):
        choose_layers(load_backbone(f"{file}:small"), "all", "class")


def test_layers_that_cannot_serve_are_named(score, recording, file, capsys):
    scores = score(f"{file}:tokens", recording, "all")
    # attention gives a tuple when it is asked for weights; the head is zero at birth
    assert "do not vary" in scores.attrs["reasons"]["head"]
    said = capsys.readouterr().out
    assert "head is left out: The features do not vary" in said
    with pytest.raises(ValueError, match=r"None of the layers asked for can be scored \(inside gives several tensors"):
        choose_layers(nn_without_layers(), ["inside"])


def nn_without_layers():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Holds(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.input_size = Pair(), 8

        def forward(self, x):
            return self.inside(x)[0]

    return Holds()


def test_not_finite_activations_are_named(score, recording, file):
    scores = score(f"{file}:broken", recording, "all")
    assert set(scores["layer"]) == {"conv1", "relu", "conv2"}
    assert "NaN" in scores.attrs["reasons"]["pool"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("resnet19",), {}, "no model 'resnet19'.*Nearest are"),
        (("FILE:small", ["conv7"]), {}, "No layer matches 'conv7'. Nearest are conv"),
        (("FILE:small", "stages", ["cka"]), {}, "no metric cka; there are ridge, pls, rsa"),
        (("FILE:small",), {"tokens": "first"}, "tokens are all or class or mean"),
        (("FILE:small",), {"checkpoint": "CHECKPOINT"}, "does not fit.*missing"),
    ],
)
def test_bad_input_says_what_to_do(score, recording, file, tmp_path, arguments, options, message):
    network, *rest = arguments
    torch.save({"other": torch.zeros(1)}, tmp_path / "weights.pth")
    options = {name: tmp_path / "weights.pth" if value == "CHECKPOINT" else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        score(network.replace("FILE", file), recording, *rest, **options)


def test_a_full_disk_counts_all_layers(recording, file, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(kernels, "_MEMORY", 1000)
    monkeypatch.setattr(disk_tensors.shutil, "disk_usage", lambda _: Usage)
    model = load_backbone(f"{file}:small")
    shapes = choose_layers(model, ["conv1", "conv2"])[0]
    # 120 images, 2048 + 1024 values of four bytes
    with pytest.raises(OSError, match=r"need 1\.5 MB"):
        list(kernels.layer_kernels(model, load_it_data(recording)[:3], shapes, bfloat16=False))


def test_the_command_writes_tables_figures_and_a_leaderboard(recording, file, tmp_path, capsys):
    networks = [f"{file}:small", f"{file}:failing", f"{file}:colour"]
    arguments = ["--data", str(recording), "--layers", "all", "--output", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"1 of 3 networks could not be scored: .*failing"):
        main(["score", *networks, *arguments])
    said = capsys.readouterr().out
    assert "failing is left out: no such luck" in said and "best layer on held-out folds: colour" in said
    board = pd.read_csv(tmp_path / "figures" / "leaderboard.csv")
    assert list(board["network"]) == [f"{file}:colour", f"{file}:small"]
    assert set(board["source"]) == {"made-up recordings"}
    rows = pd.read_csv(tmp_path / "figures" / "scores.csv")
    assert set(rows["model"]) == {f"{file}:colour", f"{file}:small"} and set(rows["split"]) == {"val", "test"}
    assert (tmp_path / "figures" / "leaderboard.png").exists()
    assert len(list((tmp_path / "figures").glob("score_*.png"))) == 2
    # again: a line is replaced
    main(["score", f"{file}:small", *arguments])
    assert len(pd.read_csv(tmp_path / "figures" / "leaderboard.csv")) == 2


def test_the_table_says_what_chose_the_layer(score, recording, file):
    scores = score(f"{file}:small", recording, "all")
    table = layer_table(scores)
    chosen, by_validation = best_layers(scores)
    held_out = scores[scores["split"] == "held_out"].set_index("layer")["value"]
    assert chosen == held_out.idxmax() and "folds" in table.loc[chosen, "chosen by"]
    assert "validation" in table.loc[by_validation, "chosen by"]
    assert table["chosen by"].str.contains("folds").sum() == 1


def test_recordings_without_test_rates_or_trials(score, tmp_path, file):
    content = made_up()
    content["rates"].pop("test"), content.pop("trials")
    path = schema.write(tmp_path / "IT_data.h5", **content)
    known = read_recording(path)
    assert set(known.rates) == {"train", "val"} and known.consistency is None
    scores = score(f"{file}:small", path, ["conv1"])
    assert set(scores["split"]) == {"held_out", "val", "all"}
    assert "brainscore_pls" not in set(scores["metric"]) and "fraction_of_ceiling" not in set(scores["metric"])


def test_images_are_brought_into_the_order_of_their_ids(score, recording, tmp_path, file):
    content, number = made_up(), iter(range(120))
    # neither counting up nor down: the splits of the benchmark depend on the order
    ids = {split: [f"{7 * next(number) % 120:03d}" for _ in names] for split, names in content["objects"].items()}
    named = schema.write(tmp_path / "IT_data.h5", **content, image_ids=ids)
    found = value(score(f"{file}:small", named, ["conv1"], ["pls"]), "conv1", "pls_correlation", "all")["value"]
    as_it_is = value(score(f"{file}:small", recording, ["conv1"], ["pls"]), "conv1", "pls_correlation", "all")["value"]
    assert found != pytest.approx(as_it_is, abs=1e-6)
    # the same images in the order of their ids, under names that keep it
    model = load_backbone(f"{file}:small")
    data, rates = load_it_data(named), [content["rates"][split] for split in schema.SPLITS]
    order = np.argsort([name for split in schema.SPLITS for name in ids[split]])
    features = extract_activations(model, np.concatenate(data[:3]), ["conv1"])["conv1"].flatten(1).numpy()
    _, expected = brainscore_pls(features[order], np.concatenate(rates)[order], ["image"] * 120, 1.0)
    assert found == pytest.approx(expected, abs=1e-4)
