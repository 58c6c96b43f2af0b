"""A core for several recordings: it learns from all of them, resumes as if nothing had happened, sees no test image."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from itneurons import networks
from itneurons.evaluation.ensemble import mean_score
from itneurons.features import concatenate_layers, extract_activations, load_backbone
from itneurons.networks import (
    SharedCore,
    drop_shared_images,
    fit_shared,
    joint,
    layers_of,
    load_or_fit_shared,
    read_others,
    train_core,
)
from itneurons.recordings import get_it_data, load_it_data, schema
from tests.notebooks import SETTINGS, run
from tests.small import DAMAGES, made_up, normalised

SHAPE = (8, 5, 5)
NEURONS = {"a": 20, "b": 16}


def true_core(maps):
    """Features that neurons of all recordings are made of: products of pairs of channels."""
    rng = np.random.default_rng(5)
    mixed = torch.einsum("nchw,cf->nfhw", maps, torch.as_tensor(rng.standard_normal((2, 8, 6)) / 2).float()[0])
    other = torch.einsum("nchw,cf->nfhw", maps, torch.as_tensor(rng.standard_normal((8, 6)) / 2).float())
    return torch.nn.functional.elu(mixed) * torch.sigmoid(2 * other)


def recorded(n_images, n_neurons, seed):
    """Images, and neurons made of the true core: each with a place, a mixture of features and noise."""
    rng = np.random.default_rng(seed)
    maps = torch.as_tensor(rng.standard_normal((n_images, *SHAPE)), dtype=torch.float32)
    maps = torch.nn.functional.avg_pool2d(maps, 3, 1, 1) * 3
    tuning = np.random.default_rng([seed, n_neurons])
    places = tuning.integers(1, 4, (2, n_neurons))
    weights = torch.as_tensor(tuning.standard_normal((n_neurons, 6)), dtype=torch.float32)
    features = true_core(maps)[:, :, places[0], places[1]]
    drive = torch.einsum("nfk,kf->nk", features, weights)
    rates = 3 * torch.nn.functional.softplus(drive / drive.std(dim=0) * 2)
    noise = torch.as_tensor(rng.standard_normal(rates.shape), dtype=torch.float32)
    return maps, rates + 0.3 * noise


def shared(neurons=None, **options):
    options = {"n_filters": 16, "dropout": (0.0, 0.0, 0.0), **options}
    with networks.seeded(0):
        return SharedCore(*SHAPE, NEURONS if neurons is None else neurons, **options)


def two(n_images=60):
    return {name: recorded(n_images, count, seed) for seed, (name, count) in enumerate(NEURONS.items(), start=1)}


@pytest.mark.parametrize("readout", ["gaussian mask", "factorised"])
def test_neurons_of_one_core_are_predicted_better_together(readout):
    parts = {name: recorded(400, count, seed) for seed, (name, count) in enumerate(NEURONS.items(), start=1)}
    train = {name: (maps[:150], rates[:150]) for name, (maps, rates) in parts.items()}
    together = shared(readout=readout)
    fit_shared(together, train, epochs=20)
    scores = {}
    for name, (maps, rates) in parts.items():
        alone = shared({name: NEURONS[name]}, readout=readout)
        fit_shared(alone, {name: train[name]}, epochs=20)
        neurons = together.recordings[name][1]
        predicted = networks.predict(together, maps[150:])[:, neurons], networks.predict(alone, maps[150:])
        scores[name] = [mean_score(rates[150:].numpy(), values) for values in predicted]
    assert all(with_other > by_itself + 0.05 for with_other, by_itself in scores.values()), scores


def test_a_new_recording_profits_from_a_core_that_others_trained():
    core = shared()
    fit_shared(core, two(200), epochs=20)
    maps, rates = recorded(360, 12, seed=9)
    train, held_out = (maps[:50], rates[:50]), (maps[50:60], rates[50:60])
    options = {"epochs": 30, "patience": 30, "batch_size": 16, "learning_rate": 3e-3}
    scores = {}
    adapted = {rate: core.adapted(12, core_rate=rate, dropout=(0.0, 0.0, 0.0)) for rate in (0, 0.3)}
    for kind, network in {**adapted, "alone": shared(12)}.items():
        networks.fit(network, train, held_out, **options)
        scores[kind] = mean_score(rates[60:].numpy(), networks.predict(network, maps[60:]))
    assert min(scores[0], scores[0.3]) > scores["alone"] + 0.1, scores
    # a rate of zero leaves the core, and either way the one that is copied stays
    weights = [network.core[1].weight for network in (adapted[0], adapted[0.3], core)]
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[1], weights[2])
    assert torch.equal(adapted[0.3].input_mean, core.input_mean)


class Killed(Exception):  # noqa: N818
    pass


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    options = {"epochs": 4, "dropout": (0.3, 0.3, 0.2)}
    dropout = options.pop("dropout")
    whole = shared(dropout=dropout)
    history = fit_shared(whole, two(), **options)

    path, calls = tmp_path / "core_unfinished.pth", []

    def killed_while_writing(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        write(*arguments)

    write = joint._write
    monkeypatch.setattr(joint, "_write", killed_while_writing)
    with pytest.raises(Killed):
        fit_shared(shared(dropout=dropout), two(), progress=path, **options)
    monkeypatch.setattr(joint, "_write", write)
    epochs = []
    monkeypatch.setattr(joint, "tqdm", lambda numbers, **_: epochs.extend(numbers) or numbers)
    resumed = shared(dropout=dropout)
    again = fit_shared(resumed, two(), progress=path, **options)
    assert epochs == [2, 3]
    assert again.loss == history.loss
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not path.exists()


@pytest.mark.parametrize("damage", [*DAMAGES, "other settings", "other rates"])
def test_progress_that_does_not_fit_is_left_and_said(tmp_path, capsys, monkeypatch, damage):
    path, recordings = tmp_path / "core_unfinished.pth", two()
    monkeypatch.setattr(joint.Path, "unlink", lambda *a, **k: None)
    fit_shared(shared(), recordings, epochs=2, progress=path)
    monkeypatch.undo()
    options = {"epochs": 2}
    if damage == "other settings":
        options["epochs"] = 3
    elif damage == "other rates":
        recordings["b"][1][5, 5] += 1
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    expected, found = shared(), shared()
    fit_shared(expected, recordings, **options)
    fit_shared(found, recordings, progress=path, **options)
    assert "is made anew" in capsys.readouterr().out
    assert torch.equal(expected.core[1].weight, found.core[1].weight)


def test_a_core_is_stored_whole_and_loaded_again(tmp_path, monkeypatch):
    def trained(made_of="recordings"):
        return load_or_fit_shared(tmp_path / "core.pth", {"made_of": made_of}, shared, two, epochs=2)

    first, history = trained()
    assert [path.name for path in tmp_path.iterdir()] == ["core.pth"]
    calls = []
    monkeypatch.setattr(joint, "fit_shared", lambda *a, **k: calls.append(1) or fit_shared(*a, **k))
    again, history_again = trained()
    assert calls == [] and history_again == history
    maps = two()["a"][0]
    np.testing.assert_array_equal(networks.predict(first, maps), networks.predict(again, maps))
    assert networks.predict(first, maps).shape == (60, 36)
    trained("others")
    assert calls == [1]


def test_every_recording_has_its_own_scale_and_rates_may_lie_below_zero():
    recordings = two(150)
    recordings["b"] = recordings["b"][0], recordings["b"][1] * 100 - 500
    network = shared()
    fit_shared(network, recordings, epochs=15, batch_size=16)
    for name, (maps, rates) in recordings.items():
        predicted = networks.predict(network, maps)[:, network.recordings[name][1]]
        assert mean_score(rates.numpy(), predicted) > 0.3
        assert predicted.min() >= min(0, rates.min().item())


def test_a_gaussian_mask_lies_where_its_neuron_reads():
    rng = np.random.default_rng(0)
    maps = torch.as_tensor(rng.standard_normal((400, 3, 9, 7)), dtype=torch.float32)
    maps = torch.nn.functional.avg_pool2d(maps, 3, 1, 1) * 3
    places = torch.tensor([[1, 5], [7, 1], [4, 3]])
    rates = torch.stack([maps[:, 0, y, x] for y, x in places], dim=1)
    with networks.seeded(0):
        readout = networks.GaussianMaskReadout(3, 9, 7, 3)
        torch.nn.init.normal_(readout.features, std=0.01)
    optimiser = torch.optim.Adam(readout.parameters(), 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        (readout(maps) - rates).square().mean().backward()
        optimiser.step()
    fields = readout.fields()
    np.testing.assert_allclose(fields.sum(dim=(1, 2)), 1, rtol=1e-5)
    expected = np.stack([(places[:, 1] + 0.5) / 7 - 0.5, (places[:, 0] + 0.5) / 9 - 0.5], axis=1)
    np.testing.assert_allclose(networks.centres_of(fields.numpy()), expected, atol=0.06)
    np.testing.assert_allclose(readout.centres(), expected, atol=0.06)


def test_stages_of_a_backbone_learn_too():
    stimuli, layers = normalised(24), ("layer1", "layer2", "layer3")
    model = load_backbone("simulated")
    model.input_size = 32
    activations = extract_activations(model, stimuli, layers, bfloat16=False)
    below, joined = activations["layer1"], concatenate_layers(activations, layers, 4)
    neurons = {"a": 5}
    network = SharedCore(*below.shape[1:], neurons, n_filters=8, layers=layers, size=4)
    # the same layers, whether the network computes them or finds them computed
    torch.testing.assert_close(network.eval().maps(below.clone()), joined, rtol=1e-4, atol=1e-4)
    before = {name: value.clone() for name, value in network.stages.state_dict().items()}
    rates = torch.rand(24, 5, generator=torch.Generator().manual_seed(0))
    fit_shared(network, {"a": (below.half(), rates)}, epochs=2, batch_size=8)
    after = network.stages.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    # a new recording takes its layers from the trained stages
    adapted = network.adapted(3)
    assert networks.predict(adapted, network.maps(below.clone()).detach()).shape == (24, 3)


def test_a_core_with_stages_is_stored_too(tmp_path):
    network = SharedCore(64, 8, 8, {"a": 5, "b": 2}, n_filters=8, layers=("layer1", "layer2"), size=4).eval()
    networks.save_checkpoint(tmp_path / "core.pth", network, recording="a")
    again, about = networks.load_checkpoint(tmp_path / "core.pth")
    maps = torch.rand(3, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(maps), again(maps)) and again.config == network.config and about == {"recording": "a"}


def test_images_that_are_tested_with_are_dropped_and_counted():
    stimuli = schema.normalise(np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8))
    # the same pictures, stored with other rounding
    tested = [stimuli[[3, 7]] + 1e-3, stimuli[[7, 11]].astype(np.float64)]
    kept, rates, n_dropped = drop_shared_images(stimuli, np.arange(24).reshape(12, 2), tested)
    assert n_dropped == 3
    others = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    np.testing.assert_array_equal(kept, stimuli[others])
    np.testing.assert_array_equal(rates[:, 0] // 2, others)
    # one grey level in one pixel makes another picture
    changed = stimuli.copy()
    changed[:, 0, 0, 0] += np.where(changed[:, 0, 0, 0] > 0, -1, 1) / 255 / 0.229
    assert drop_shared_images(changed, rates=np.zeros((12, 1)), kept_apart=tested)[2] == 0


def test_other_recordings_come_without_the_images_that_are_tested_with(tmp_path, capsys):
    mine, other = made_up(seed=0), made_up(seed=1, n_neurons=5)
    other["images"]["train"][:4] = mine["images"]["test"][2:6]
    other["images"]["test"][1] = mine["images"]["val"][0]
    # a training image may occur elsewhere
    other["images"]["train"][10] = mine["images"]["train"][10]
    paths = [schema.write(tmp_path / f"{name}.h5", **part) for name, part in (("mine", mine), ("other", other))]
    apart = [schema.normalise(mine["images"][split]) for split in ("val", "test")]
    model = load_backbone("simulated")
    model.input_size = 32
    layers = ("layer2", "layer3")
    read = read_others(paths[1:], apart, lambda stimuli: layers_of(model, stimuli, layers, 4))
    assert "other: 115 images, 5 neurons; 5 images" in capsys.readouterr().out
    inputs, rates = read["other"]
    assert inputs.dtype == torch.float16 and inputs.shape[2:] == (4, 4)
    np.testing.assert_array_equal(rates[:76], other["rates"]["train"][4:].astype(np.float32))
    activations = extract_activations(model, schema.normalise(other["images"]["train"][4:]), layers)
    # in bfloat16 on processors that multiply it
    expected = concatenate_layers(activations, layers, 4).float()
    torch.testing.assert_close(inputs[:76].float(), expected, rtol=0.01, atol=0.01)


def test_other_recordings_are_found_by_name_or_pattern_and_never_ones_own(tmp_path):
    for name in ("V4_data_1.h5", "V4_data_2.h5", "V4_data_3.h5", "IT_data.h5"):
        (tmp_path / name).touch()
    mine = tmp_path / "V4_data_2.h5"

    def found(*names):
        return [path.name for path in networks.find_others(tmp_path, names, mine)]

    assert found("V4_data_*.h5") == ["V4_data_1.h5", "V4_data_3.h5"]
    assert found("V4_data_3.h5", "IT_data.h5", str(tmp_path / "V4_data_3.h5")) == ["IT_data.h5", "V4_data_3.h5"]
    (tmp_path / "other [1]").mkdir()
    (tmp_path / "other [1]" / "IT_data.h5").touch()
    assert networks.find_others(tmp_path, ["*/IT_data.h5"], mine) == [tmp_path / "other [1]" / "IT_data.h5"]
    assert networks.find_others(tmp_path / "other [1]", ["IT_*.h5"], mine) == [tmp_path / "other [1]" / "IT_data.h5"]
    for nothing in ("V4_data_2.h5", "V5_*.h5"):
        with pytest.raises(FileNotFoundError, match=re.escape(nothing)):
            found("IT_data.h5", nothing)


def test_recordings_of_one_name_go_by_their_folders_too(tmp_path):
    paths = [tmp_path / name / "same.h5" for name in ("first", "second")]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        schema.write(path, **made_up(seed=seed))
    assert list(read_others(paths, [], torch.as_tensor)) == ["first/same", "second/same"]
    assert list(read_others(paths[:1], [], torch.as_tensor)) == ["same"]


@pytest.mark.parametrize("trained_stages", [None, {"backbone": "simulated"}])
def test_a_core_comes_from_files(tmp_path, trained_stages):
    paths = [schema.write(tmp_path / f"{n}.h5", **made_up(seed=n, n_neurons=3 + n)) for n in (1, 2)]
    apart, layers = [normalised(4)], ("layer1", "layer2", "layer3")
    model = load_backbone("simulated")
    model.input_size = 32
    options = {"trained_stages": trained_stages, "size": 4, "epochs": 1}
    core = train_core(tmp_path / "core.pth", paths, apart, model, layers, **options)
    assert {name: n.stop - n.start for name, (_, n) in core.recordings.items()} == {"1": 4, "2": 5}
    assert len(core.stages) == (2 if trained_stages else 0)
    maps = layers_of(model, apart[0], layers, 4, core=core)
    as_given = layers_of(model, apart[0], layers, 4)
    assert maps.shape == as_given.shape
    # trained stages give other maps, of which the new network is made
    assert torch.equal(maps, as_given) == (trained_stages is None)
    again = train_core(tmp_path / "core.pth", paths, apart, model, layers, **options)
    assert again.adapted(2).config == core.adapted(2).config
    other = train_core(tmp_path / "other.pth", paths, apart, model, layers, **{**options, "seed": 1})
    assert other.adapted(2).config != core.adapted(2).config
    with pytest.raises(ValueError, match=r"called .*/2: each"):
        train_core(tmp_path / "core.pth", [paths[1], paths[1]], apart, model, layers, **options)


def test_every_batch_is_moved_as_in_one_of_the_views(monkeypatch):
    seen = []
    monkeypatch.setattr(joint, "moved", lambda inputs, view: seen.append(int(view)) or inputs)
    for views in (1, 3):
        fit_shared(shared(), two(), epochs=5, views=views)
        assert set(seen) == set(range(views))
        seen.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts.pop("b"), "readouts for a, b, the recordings are a"),
        (lambda parts: parts.update(b=(parts["b"][0], parts["b"][1][:, :3])), r"b: the rates have the shape \(60, 3\)"),
        (lambda parts: parts.update(b=(parts["b"][0][:40], parts["b"][1])), r"b: .* expected \(40, 16\)"),
        (lambda parts: parts.update(a=(parts["a"][0][:, :4], parts["a"][1])), r"a: the inputs have the shape"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    parts = two()
    change(parts)
    with pytest.raises(ValueError, match=message):
        fit_shared(shared(), parts, epochs=1)


def test_images_that_cannot_be_compared_are_named():
    with pytest.raises(ValueError, match=r"\(32, 32\) and \(16, 16\) pixels"):
        drop_shared_images(normalised(3), np.zeros((3, 1)), [normalised(3, size=16)])
    with pytest.raises(ValueError, match="3 stimuli but 4 rows"):
        drop_shared_images(normalised(3), np.zeros((4, 1)), [])


def test_week9_learns_from_other_recordings_and_tests_with_none_of_their_images(tmp_path):
    folder, output = tmp_path / "recordings", tmp_path / "output"
    other = made_up(seed=3, n_neurons=5, image_size=64)
    mine = load_it_data(get_it_data("simulated", folder, **SETTINGS["RECORDING"]))
    other["images"]["train"][:3] = np.round(255 * schema.to_rgb(mine.stimulus_test[:3])).astype(np.uint8)
    schema.write(folder / "other.h5", **other)
    log = run(folder, output, "week9", TRAIN_WITH=["o*.h5"])
    assert "other: 117 images, 5 neurons; 3 images" in log
    assert "With 1 other recordings the core on simulated explains" in log
    assert (output / "Models" / "core.pth").exists()
    scores = pd.read_csv(output / "figures" / "scores.csv", keep_default_na=False)
    layers = scores[scores["model"].str.startswith("core")].groupby("model")["layer"].unique()
    assert {name: list(found) for name, found in layers.items()} == {
        "core, this recording alone": ["layer1 to layer4"],
        "core, shared": ["layer1 to layer4, trained"],
    }
    notebook = nbformat.read(output / "week9.ipynb", as_version=4)
    (weights,) = (cell.outputs for cell in notebook.cells if cell.get("id") == "week9-35")
    assert "core, shared" in str(weights)

    # the same with a core on each of two backbones; all else is loaded
    both = ["simulated", "efficientnet_lite0"]
    log = run(folder, output, "week9", TRAIN_WITH=["o*.h5"], CORE_BACKBONES=both)
    for name in both:
        assert f"With 1 other recordings the core on {name} explains" in log
        assert (output / "Models" / f"core_{name}.pth").exists()
    scores = pd.read_csv(output / "figures" / "scores.csv", keep_default_na=False)
    whats = "core, this recording alone", "core, shared", "ridge, shared core"
    assert {f"{what}, {name}" for what in whats for name in both} < set(scores["model"])
