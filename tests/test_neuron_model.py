"""A saved model as neurons: any picture, the notebook's own rates, the image a neuron likes, where it looks."""

import io
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import itneurons
from itneurons import networks
from itneurons.__main__ import main
from itneurons.features import concatenate_layers, extract_activations, load_backbone
from itneurons.networks import BackboneReadout, CheckpointError
from itneurons.networks.models import Network
from itneurons.neuron_model import NeuronModel, load_neurons
from itneurons.pictures import PictureError, to_stimulus
from itneurons.preferred import place_and_size
from itneurons.recordings.schema import normalise
from itneurons.recordings.simulated.stimuli import render, sample_scenes
from itneurons.storage.stored import fingerprint
from tests.small import DAMAGES, normalised

SHIPPED = Path(__file__).resolve().parents[1] / "res_cnn_layer3.pth"
SIZE = 24
pytestmark = pytest.mark.usefixtures("single_precision")


@pytest.fixture(scope="module")
def shipped(single_precision):
    return load_neurons(SHIPPED, device="cpu")


@pytest.fixture(scope="module")
def photographs():
    return load_sample_images().images


class Known(Network):
    """Neurons that answer to given patterns (n_neurons, 3, SIZE, SIZE), and saturate as neurons do."""

    def __init__(self, patterns):
        super().__init__(3, len(patterns))
        self.register_buffer("patterns", torch.as_tensor(patterns, dtype=torch.float32))
        self.rate_mean.fill_(20)
        self.rate_scale.fill_(5)

    def body(self, maps):
        return torch.tanh(torch.einsum("nchw,ichw->in", self.patterns, maps) / SIZE)


def blobs(*centres):
    """Patterns of unit length: a bright blob at each centre (x, y), in fractions of the image from its middle."""
    x, y = np.meshgrid(*[(np.arange(SIZE) + 0.5) / SIZE - 0.5] * 2)
    maps = np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.02) for a, b in centres])
    maps = np.repeat(maps[:, None], 3, axis=1)
    return maps / np.linalg.norm(maps.reshape(len(maps), -1), axis=1)[:, None, None, None]


CENTRES = [(-0.25, -0.25), (0.25, -0.25), (0.2, 0.3)]


def made_up(n_members=1, noise=1 / 60, **about):
    """Neurons whose preferred images are known: each member sees the same blobs, and noise of its own."""
    backbone = torch.nn.Sequential(OrderedDict(pixels=torch.nn.Identity(), above=torch.nn.Flatten()))
    backbone.input_size = SIZE
    draws = np.random.default_rng(0).standard_normal((n_members, len(CENTRES), 3, SIZE, SIZE))
    members = [Known(blobs(*CENTRES) + noise * own) for own in draws]
    return NeuronModel(members, [{"layer": "pixels", "backbone": "made up", **about}] * n_members, backbone, "cpu")


# --- rates ---------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_the_notebook(shipped):
    scenes = sample_scenes(np.arange(4), seed=5)
    images = np.stack([render(scene)[0] for scene in scenes])
    stimuli = normalise(images)
    activations = extract_activations(load_backbone("simulated"), stimuli, ["layer3"])
    expected = networks.predict(networks.load_checkpoint(SHIPPED)[0], activations["layer3"])
    rates = shipped.predict(stimuli, batch_size=3)
    assert rates.shape == (4, 168)
    np.testing.assert_allclose(rates, expected, atol=1e-4)
    # the same pictures as bytes
    np.testing.assert_allclose(shipped.predict(list(images)), expected, atol=1e-4)
    # what gradients pass through gives the same
    np.testing.assert_allclose(shipped.rates(shipped.stimuli(stimuli))[0], expected, atol=1e-3)


def test_several_layers_with_gradients_are_those_without():
    backbone = load_backbone("simulated")
    layers = ["layer2", "layer3", "layer4"]
    stimuli = normalised(2, size=112)
    neurons = NeuronModel([BackboneReadout(896, 7, 7, 4)], [{"layer": "+".join(layers)}], backbone, "cpu")
    expected = concatenate_layers(extract_activations(backbone, stimuli, layers, bfloat16=False), layers)
    np.testing.assert_allclose(neurons._maps(neurons.stimuli(stimuli)), expected, atol=1e-3)


def test_a_network_sees_what_it_was_trained_to_see():
    neurons = made_up()
    neurons.backbone.mean, neurons.backbone.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    black = torch.as_tensor(normalise(np.zeros((SIZE, SIZE, 3), dtype=np.uint8)))[None]
    np.testing.assert_allclose(neurons._maps(black), -2, atol=2e-3)


def test_a_jpeg_changes_little(shipped, photographs, tmp_path):
    Image.fromarray(photographs[0]).save(tmp_path / "china.jpg", quality=95)
    Image.fromarray(photographs[1]).save(tmp_path / "flower.jpg", quality=95)
    rates = shipped.predict(tmp_path)
    assert rates.index.tolist() == [str(tmp_path / "china.jpg"), str(tmp_path / "flower.jpg")]
    exact = shipped.predict(photographs)
    change = np.abs(rates.to_numpy() - exact.to_numpy()).mean() / exact.to_numpy().mean()
    assert 0 < change < 0.02
    assert np.abs(exact.iloc[0] - exact.iloc[1]).mean() > 1


def test_a_committee_gives_mean_and_spread():
    neurons = made_up(3, unit="spikes/s")
    stimuli = normalised(4, size=SIZE)
    mean, spread = neurons.predict(stimuli, spread=True)
    each = neurons.predict_each(stimuli)
    assert each.shape == (3, 4, 3)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(spread, each.std(axis=0, ddof=1), rtol=1e-5)
    assert mean.attrs["unit"] == "spikes/s"
    with pytest.raises(ValueError, match="no spread"):
        made_up().predict(stimuli, spread=True)


def test_what_was_learned_beside_the_neurons_is_left_out():
    neurons = made_up(n_auxiliary=1)
    assert neurons.predict(normalised(2, size=SIZE)).shape == (2, 2)
    assert neurons.rates(torch.zeros(1, 3, SIZE, SIZE)).shape == (1, 1, 2)


def test_neurons_are_chosen_by_words():
    neurons = made_up()
    assert neurons.chosen("all") == [0, 1, 2]
    assert neurons.chosen("2,0") == [2, 0]
    with pytest.raises(ValueError, match="does not say"):
        neurons.chosen("best:2")
    neurons.explained_variance = np.array([0.1, np.nan, 0.7])
    assert neurons.chosen("best:2") == [2, 0]
    for nonsense in ("some", "best:few", "1,,2", "worst:3"):
        with pytest.raises(ValueError, match="Say all, best:10"):
            neurons.chosen(nonsense)
    with pytest.raises(ValueError, match="no neuron 3"):
        neurons.chosen("3")


# --- pictures ------------------------------------------------------------------------------------------------------


@pytest.fixture
def picture():
    """A picture (60, 40, 3) with a different colour in each corner."""
    corners = torch.tensor([[[250.0, 20], [20, 240]], [[10, 200], [30, 220]], [[30, 40], [220, 200]]])[None]
    smooth = torch.nn.functional.interpolate(corners, size=(60, 40), mode="bilinear")
    return smooth[0].permute(1, 2, 0).round().byte().numpy()


def test_a_square_picture_of_the_right_size_keeps_its_pixels(picture, tmp_path):
    square = picture[:32, :32]
    Image.fromarray(square).save(tmp_path / "square.png")
    for given in (square, Image.fromarray(square), tmp_path / "square.png"):
        np.testing.assert_array_equal(to_stimulus(given, 32), normalise(square))
    np.testing.assert_array_equal(to_stimulus(normalise(square), 32), normalise(square))
    floats = square / 255
    np.testing.assert_array_equal(to_stimulus(floats, 32), normalise(square))


def test_the_square_in_the_middle_is_shown(picture):
    np.testing.assert_array_equal(to_stimulus(picture, 40), normalise(picture[10:50]))
    np.testing.assert_array_equal(to_stimulus(picture.transpose(1, 0, 2), 40), to_stimulus(picture, 40).swapaxes(1, 2))


def odd_pictures(picture, folder):
    """Ways to write the same picture, each with how far its stimulus may be off, in bytes."""
    upright = Image.fromarray(picture)
    turned, orientation = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    orientation[0x0112] = 6
    turned.save(folder / "turned.png", exif=orientation)
    upright.save(folder / "animated.webp", save_all=True, append_images=[turned.resize(upright.size)], lossless=True)
    upright.convert("CMYK").save(folder / "print.tif")
    upright.convert("RGBA").save(folder / "opaque.png")
    upright.quantize(255).save(folder / "palette.gif")
    return {"turned.png": 0, "animated.webp": 0, "print.tif": 3, "opaque.png": 0, "palette.gif": 25}


def test_odd_pictures_are_shown_as_a_person_expects(picture, tmp_path):
    for name, off in odd_pictures(picture, tmp_path).items():
        difference = np.abs(to_stimulus(tmp_path / name, 40) - to_stimulus(picture, 40)).max()
        assert difference <= off / 255 / 0.22, name


def test_grey_pictures_are_grey(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = normalise(np.repeat(ramp[..., None], 3, axis=-1))
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    for given in (ramp, ramp[..., None], tmp_path / "grey.png", tmp_path / "sixteen.png"):
        np.testing.assert_array_equal(to_stimulus(given, 16), expected)


def test_what_is_transparent_is_mid_grey(picture, tmp_path):
    alpha = np.full((*picture.shape[:2], 1), 255, dtype=np.uint8)
    alpha[:30] = 0
    Image.fromarray(np.concatenate([picture, alpha], axis=-1)).save(tmp_path / "alpha.png")
    shown = to_stimulus(tmp_path / "alpha.png", 40)
    np.testing.assert_array_equal(shown[:, :20], normalise(np.full((20, 40, 3), 128, dtype=np.uint8)))
    np.testing.assert_array_equal(shown[:, 20:], normalise(picture[30:50]))


def test_a_million_pixels_in_a_row(tmp_path):
    Image.new("RGB", (1_000_000, 1), (10, 20, 30)).save(tmp_path / "long.png")
    np.testing.assert_array_equal(
        to_stimulus(tmp_path / "long.png", 8)[:, 0, 0], normalise(np.uint8([[[10, 20, 30]]])).ravel()
    )


def not_pictures(picture, folder):
    """Things that are no pictures, by the reason given."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    (folder / "truncated.jpg").write_bytes(buffer.getvalue()[:1500])
    (folder / "text.jpg").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(np.zeros((200, 200), dtype=np.uint8)).save(folder / "bomb.png")
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(folder / "floats.tif")
    files = {
        "truncated.jpg": "truncated",
        "text.jpg": "cannot be read as a picture",
        "empty.png": "cannot be read as a picture",
        "drawing.eps": "cannot be read as a picture",
        "bomb.png": "more than 10,000 pixels",
        "floats.tif": "range is unknown",
        "missing.png": "there is no such file",
    }
    arrays = {
        "picture 7": (np.full((3, SIZE, SIZE), 200.0), "normalised with the ImageNet"),
        "picture 8": (np.full((3, SIZE, SIZE), np.nan), "NaN"),
        "picture 9": (np.zeros((SIZE, SIZE, 3), dtype=bool), "array of bool"),
        "picture 10": (np.zeros((5, 5, 5, 5, 5)), "expected bytes"),
        "picture 11": (None, "array of object"),
    }
    given = [*(folder / name for name in files), *(array for array, _ in arrays.values())]
    return given, {str(folder / n): r for n, r in files.items()} | {n: r for n, (_, r) in arrays.items()}


def test_what_is_no_picture_is_left_out_by_name(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    given, reasons = not_pictures(picture, tmp_path)
    with pytest.warns(UserWarning, match="is left out") as warned:
        rates = made_up().predict([*given, picture])
    assert rates.index.tolist() == [f"picture {len(given)}"]
    assert rates.attrs["left_out"].keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in rates.attrs["left_out"][name], name
        assert any(str(warning.message).startswith(f"{name} is left out: ") for warning in warned)


def test_a_bomb_is_refused_before_it_is_unpacked(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.fromarray(picture).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(PictureError, match="more than 100 pixels"):
        to_stimulus(tmp_path / "bomb.png")


def test_a_folder_is_its_pictures_in_order(picture, tmp_path):
    for name in ("b.png", "a.JPG", "c.bmp"):
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "inside.png").mkdir()
    assert made_up().predict(str(tmp_path)).index.tolist() == [str(tmp_path / n) for n in ("a.JPG", "b.png", "c.bmp")]
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning, match="holds no pictures"):
        assert made_up().predict(tmp_path / "empty").shape == (0, 3)


def test_an_image_on_disk_keeps_its_name(picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        rates = made_up().predict([image, picture])
    assert rates.index.tolist() == [str(tmp_path / "a.png"), "picture 1"]
    assert (rates.iloc[0] == rates.iloc[1]).all()


# --- checkpoints ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def about():
    weights = fingerprint(load_backbone("simulated"))
    return {"recording": "r", "weights": weights, "backbone": "simulated", "layer": "layer3", "image_size": 112}


def saved(path, about, seed=0, n_neurons=4, **more):
    with networks.seeded(seed):
        network = BackboneReadout(256, 7, 7, n_neurons)
    networks.save_checkpoint(path, network, **{**about, "seed": seed, **more})
    return path


def test_a_committee_is_named_in_three_ways(about, tmp_path):
    paths = [saved(tmp_path / f"member_{seed}.pth", about, seed, source="cats") for seed in range(2)]
    stimuli = normalised(2, size=112)
    each = load_neurons(paths, device="cpu").predict_each(stimuli)
    np.testing.assert_allclose(each[1], load_neurons(paths[1], device="cpu").predict(stimuli), atol=1e-4)
    for given in (tmp_path, str(tmp_path / "member_*.pth")):
        neurons = load_neurons(given, device="cpu")
        assert repr(neurons) == "<4 neurons of cats, 2 network(s) on simulated layer3>"
        np.testing.assert_allclose(neurons.predict(stimuli), each.mean(axis=0), atol=1e-4)


def test_explained_variance_is_the_mean_over_members(about, tmp_path):
    for seed, scores in enumerate(([0.1, 0.2, 0.3, 0.5], [0.3, 0.2, 0.1, 0.1])):
        saved(tmp_path / f"member_{seed}.pth", about, seed, explained_variance=scores)
    assert load_neurons(tmp_path).best(1) == [3]


def test_members_of_two_committees_are_refused(about, tmp_path):
    first = saved(tmp_path / "a_0.pth", about)
    for different in ({"recording": "s"}, {"n_neurons": 5}):
        other = (
            saved(tmp_path / "b_0.pth", about, **different)
            if "n_neurons" in different
            else saved(tmp_path / "b_0.pth", {**about, **different})
        )
        with pytest.raises(CheckpointError, match="are no committee"):
            load_neurons([first, other])


def test_another_recording_says_whose_neurons_are_held(about, tmp_path, recording):
    path = saved(tmp_path / "member.pth", about, source="recordings of a cat")
    with pytest.raises(CheckpointError, match="another recording: recordings of a cat"):
        load_neurons(path, recording="s")
    assert load_neurons(path, recording="r").source == "recordings of a cat"
    data = itneurons.recordings.load_it_data(recording)
    with pytest.raises(CheckpointError, match="another recording"):
        load_neurons(path, recording=data)
    made_of = fingerprint(data.stimulus_train, data.stimulus_val, data.stimulus_test, data.spikes_train)
    assert load_neurons(saved(path, {**about, "recording": made_of}), recording=data).n_neurons == 4


def test_other_weights_below_are_refused(about, tmp_path):
    path = saved(tmp_path / "member.pth", {**about, "weights": "others"})
    with pytest.raises(CheckpointError, match="other weights of simulated"):
        load_neurons(path)
    path = saved(tmp_path / "member.pth", about)
    with pytest.raises(CheckpointError, match="other weights"):
        load_neurons(path, backbone=load_backbone("simulated", pretrained=False))


def test_a_checkpoint_chooses_no_code_to_run(about, tmp_path):
    path = saved(tmp_path / "member.pth", {**about, "backbone": "os:abort"})
    with pytest.raises(CheckpointError, match="If you trust it"):
        load_neurons(path)


def test_what_cannot_be_used_is_refused(about, tmp_path):
    with pytest.raises(FileNotFoundError):
        load_neurons(tmp_path / "missing.pth")
    with pytest.raises(FileNotFoundError):
        load_neurons(str(tmp_path / "missing_*.pth"))
    path = saved(tmp_path / "member.pth", about)
    content = path.read_bytes()
    for damage in DAMAGES.values():
        path.write_bytes(damage(content))
        with pytest.raises(CheckpointError):
            load_neurons(path)
    path.write_bytes(pickle.dumps(subprocess.run))
    with pytest.raises(CheckpointError, match="safely"):
        load_neurons(path)
    path = saved(path, {"recording": "r", "layer": "layer3"})
    with pytest.raises(CheckpointError, match="does not say its weights, backbone"):
        load_neurons(path)


# --- what a neuron likes, and where it looks -----------------------------------------------------------------------


def test_the_most_exciting_image_is_the_preferred_one():
    neurons = made_up()
    made = neurons.most_exciting_image([2, 0], steps=60, jitter=1)
    assert made.stimuli.shape == (2, 3, SIZE, SIZE) and made.pictures.dtype == np.uint8
    assert made.judge is None and made.judged is None
    patterns = blobs(*CENTRES)[[2, 0]].mean(axis=1)
    likeness = [np.corrcoef(a.mean(axis=0).ravel(), b.ravel())[0, 1] for a, b in zip(made.stimuli, patterns)]
    assert min(likeness) > 0.6
    # of the contrast that was asked for, and better than any of many
    np.testing.assert_allclose(made.stimuli.std(axis=(1, 2, 3)), 1, atol=0.15)
    others = neurons.predict(normalised(200, size=SIZE)).to_numpy().max(axis=0)
    assert (made.rates > others[[2, 0]]).all()
    shown = neurons.predict(made.stimuli).to_numpy()
    np.testing.assert_allclose(made.rates, [shown[0, 2], shown[1, 0]], atol=1e-3)


def test_the_image_depends_on_the_seed_alone():
    neurons = made_up()
    first, again, other = (neurons.most_exciting_image(1, steps=3, seed=seed).stimuli for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_member_that_had_no_part_judges():
    neurons = made_up(3)
    made = neurons.most_exciting_image([0, 1], steps=30, jitter=1)
    each = neurons.predict_each(made.stimuli)
    assert made.judge == 2
    np.testing.assert_allclose(made.judged, each[2, [0, 1], [0, 1]], atol=1e-3)
    np.testing.assert_allclose(made.rates, each[:2, [0, 1], [0, 1]].mean(axis=0), atol=1e-3)
    assert (made.judged > neurons.members[2].rate_mean[:2].numpy() + 1).all()
    # the judge has no part in it, whatever it is
    neurons.members[2].patterns.zero_()
    np.testing.assert_array_equal(neurons.most_exciting_image([0, 1], steps=30, jitter=1).stimuli, made.stimuli)


@pytest.mark.parametrize("wrong", [{"members": [0, 1], "judge": 1}, {"members": [5]}, {"members": []}, {"judge": 7}])
def test_members_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="committee of 2"):
        made_up(2).most_exciting_image(0, **wrong)


def test_images_get_the_mean_and_contrast_of_stimuli():
    like = 0.3 + 0.4 * np.random.default_rng(0).standard_normal((20, 3, SIZE, SIZE)).astype(np.float32)
    made = made_up().most_exciting_image([0, 1, 2], steps=5, like=like).stimuli
    np.testing.assert_allclose(made.mean(axis=(1, 2, 3)), 0.3, atol=0.01)
    np.testing.assert_allclose(made.std(axis=(1, 2, 3)), 0.4, atol=0.01)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_attribution_lies_where_the_neuron_looks(method):
    neurons = made_up(noise=0)
    image = normalised(1, size=SIZE)
    options = {"patch": 6, "stride": 3} if method == "occlusion" else {}
    for neuron, centre in enumerate(CENTRES):
        found = np.abs(neurons.attribution(image, neuron, method, **options))
        assert found.shape == (SIZE, SIZE)
        assert np.abs(networks.centres_of(found[None] / found.sum())[0] - centre).max() < 0.12
    with pytest.raises(ValueError, match="expected integrated_gradients"):
        neurons.attribution(image, 0, "guess")
    with pytest.raises(ValueError, match="2 pictures"):
        neurons.attribution(normalised(2, size=SIZE), 0)


def test_integrated_gradients_add_up_to_the_rate():
    neurons = made_up(2)
    image = normalised(1, size=SIZE)
    difference = neurons.predict(image) - neurons.predict(np.zeros_like(image))
    assert neurons.attribution(image, 1).sum() == pytest.approx(difference.iloc[0, 1], abs=0.02)


def test_the_mean_of_attributions_lies_where_the_neuron_looks():
    neurons = made_up(noise=0)
    for neuron, centre in enumerate(CENTRES):
        field = neurons.receptive_field(normalised(4, size=SIZE), neuron, n_steps=8)
        assert field.min() >= 0 and field.sum() == pytest.approx(1)
        assert np.abs(networks.centres_of(field[None])[0] - centre).max() < 0.12


class Gaussians(Network):
    """Neurons that answer to how bright it is in the middle of their fields; every other one to how dark."""

    def __init__(self, centres):
        super().__init__(3, len(centres))
        ticks = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        fields = torch.stack([torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 0.2**2)) for a, b in centres])
        self.register_buffer("fields", fields * torch.tensor([1.0, -1.0] * len(centres))[: len(centres), None, None])

    def body(self, maps):
        return torch.einsum("ihw,nhw->in", maps.mean(dim=1), self.fields)


def test_fields_are_found_by_moving_pictures():
    centres = np.array([(-0.15, 0.1), (0.2, 0.2), (0.0, -0.25), (0.1, 0.0)])
    neurons = made_up()
    neurons.members, neurons.n_neurons = [Gaussians(centres)], len(centres)
    # something small in the middle of each picture, brighter or darker than what is around
    stimuli = np.zeros((6, 3, SIZE, SIZE), dtype=np.float32)
    stimuli[:, :, 10:14, 10:14] = np.linspace(-1.5, 1.5, 6)[:, None, None, None]
    fields = neurons.receptive_fields(stimuli, widths=(0.1, 0.2, 0.4))
    np.testing.assert_allclose(fields.centres, centres, atol=0.051)
    np.testing.assert_allclose(fields.widths, 0.2)
    assert (fields.explained > 0.95).all()
    maps = fields.maps(20)
    assert maps.shape == (4, 20, 20)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(networks.centres_of(maps)[3], centres[3], atol=0.05)


# --- the command ---------------------------------------------------------------------------------------------------


def test_the_command_writes_a_table(photographs, tmp_path, capsys):
    for name, photograph in zip(("china.png", "flower.png"), photographs):
        Image.fromarray(photograph).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no")
    out = tmp_path / "rates.csv"
    main(["predict", str(tmp_path), "--checkpoint", str(SHIPPED), "--neurons", "0,5,7", "--out", str(out)])
    table = pd.read_csv(out, index_col="picture")
    assert table.shape == (2, 3) and table.columns.tolist() == ["0", "5", "7"]
    exact = load_neurons(SHIPPED).predict(photographs)[[0, 5, 7]]
    np.testing.assert_allclose(table, exact, rtol=1e-4)
    said = capsys.readouterr().err
    assert "broken.png is left out" in said and "2 pictures, 3 neurons of simulated recordings" in said
    main(["predict", str(tmp_path / "china.png"), "--checkpoint", str(SHIPPED), "--neurons", "5"])
    assert capsys.readouterr().out.startswith(f"picture,5\n{tmp_path / 'china.png'},")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no")
    picture = ["predict", str(tmp_path / "broken.png"), "--checkpoint", str(SHIPPED)]
    for arguments, reason in {
        (*picture,): "none of these can be shown",
        (*picture, "--neurons", "some"): "Say all, best:10",
        (*picture[:2], "--checkpoint", str(tmp_path / "missing.pth")): "no checkpoint",
        (*picture[:2], "--checkpoint", str(tmp_path / "broken.png")): "no checkpoint that can be read safely",
    }.items():
        with pytest.raises(SystemExit, match=reason):
            main(list(arguments))


def test_the_package_is_light_until_neurons_are_asked_for():
    code = "import sys, itneurons; assert not {'torch', 'pandas', 'numpy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(itneurons.__file__).parents[1])
    assert itneurons.load_neurons is load_neurons
    with pytest.raises(AttributeError, match="nothing"):
        itneurons.nothing  # noqa: B018


def test_place_and_size_are_those_of_a_blob():
    ticks = (np.arange(60) + 0.5) / 60 - 0.5
    x, y = np.meshgrid(ticks, ticks)
    blobs = [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (4 * s**2)) for cx, cy, s in ((0.1, -0.2, 0.05), (-0.1, 0, 0.1))]
    noise = np.random.default_rng(0).choice([-1.0, 1.0], (2, 3, 60, 60))
    centres, sizes = place_and_size(np.stack(blobs)[:, None] * noise)
    np.testing.assert_allclose(centres, [[0.1, -0.2], [-0.1, 0]], atol=0.02)
    # a Gaussian in two dimensions
    np.testing.assert_allclose(sizes, [np.sqrt(2) * 0.05, np.sqrt(2) * 0.1], rtol=0.1)
