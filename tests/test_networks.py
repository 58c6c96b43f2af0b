"""Networks learn what can be learned, read out where they say, and their checkpoints are whole or refused."""

import copy
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from itneurons import networks
from itneurons.evaluation.metrics import explained_variance
from itneurons.features import backbones
from itneurons.networks import (
    BackboneReadout,
    CheckpointError,
    FactorisedReadout,
    GaussianMaskReadout,
    GaussianReadout,
    ResCNN,
    ShallowCNN,
    checkpoints,
    models,
    readouts,
    training,
)
from itneurons.storage import disk_tensors
from tests.small import DAMAGES, flipped, normalised

N_NEURONS = 6


def shallow():
    return ShallowCNN(N_NEURONS, n_layers=2, n_filters=8, kernel_size=3, dropout=0.0, image_size=16)


def res_cnn():
    return ResCNN(3, 16, 16, N_NEURONS, n_filters=8, n_hidden=16, dropout=0.0)


def fine_tuned():
    return BackboneReadout(64, 8, 8, N_NEURONS, stages=("layer2",))


MAKERS = {
    "shallow": (shallow, 3, 16),
    "res_cnn": (res_cnn, 3, 16),
    "factorised": (lambda: BackboneReadout(3, 16, 16, N_NEURONS), 3, 16),
    "gaussian": (lambda: BackboneReadout(3, 16, 16, N_NEURONS, readout="gaussian"), 3, 16),
    "fine_tuned": (fine_tuned, 64, 8),
}
each_network = pytest.mark.parametrize(("make", "n_channels", "size"), MAKERS.values(), ids=MAKERS)


def problem(n_images, n_channels=3, size=16, seed=0):
    """Images that blend four corners; each neuron answers to the channels of one corner."""
    rng = np.random.default_rng(seed)
    coarse = torch.as_tensor(rng.standard_normal((n_images, n_channels, 2, 2)), dtype=torch.float32)
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    weights = np.random.default_rng(99).standard_normal((n_channels, N_NEURONS))
    corners = coarse.flatten(2).numpy()[:, :, np.arange(N_NEURONS) % 4]
    rates = 20 + 5 * (corners * weights).sum(axis=1) + 0.1 * rng.standard_normal((n_images, N_NEURONS))
    return images, torch.as_tensor(rates, dtype=torch.float32)


def made(make, seed=0):
    with networks.seeded(seed):
        return make()


@each_network
def test_networks_give_a_rate_for_each_image_and_neuron(make, n_channels, size):
    network = made(make).eval()
    images = torch.randn(3, n_channels, size, size)
    with torch.no_grad():
        rates = network(images)
        assert rates.shape == (3, N_NEURONS)
        # one image does not change what is said of another
        torch.testing.assert_close(network(images[1:2]), rates[1:2], rtol=1e-4, atol=1e-4)
    assert networks.predict(network, images[:0]).shape == (0, N_NEURONS)


@pytest.mark.parametrize("n_layers", [2, 3])
@pytest.mark.parametrize("image_size", [32, 64, 65])
def test_shallow_cnn_has_the_layers_asked_for(n_layers, image_size):
    network = ShallowCNN(4, n_layers=n_layers, image_size=image_size).eval()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == n_layers
    assert network(torch.zeros(2, 3, image_size, image_size)).shape == (2, 4)


def test_res_cnn_takes_layer3_of_a_resnet50():
    network = ResCNN(1024, 14, 14, 168).eval()
    kinds = [type(module).__name__ for module in network.modules()]
    assert (kinds.count("Conv2d"), kinds.count("Linear")) == (3, 2)
    assert network(torch.zeros(2, 1024, 14, 14)).shape == (2, 168)


def test_normalisation_is_taken_from_the_training_images():
    images, rates = problem(50)
    images[:, 1] = 0.3
    rates[:, 2] = 7.3
    network = made(res_cnn)
    network.normalise_to(images, rates)
    expected = images.numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(network.input_mean.ravel(), expected.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(network.input_scale.ravel(), [expected[0].std(), 1, expected[2].std()], rtol=1e-3)
    np.testing.assert_allclose(network.rate_mean, rates.numpy().mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        network.rate_scale, np.where(np.arange(6) == 2, 1, rates.numpy().std(axis=0, ddof=1)), rtol=1e-5
    )
    network.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, N_NEURONS))
    torch.nn.init.zeros_(network.body[1].weight)
    torch.nn.init.ones_(network.body[1].bias)
    np.testing.assert_allclose(network(images).detach()[0], network.rate_mean + network.rate_scale)


def test_stages_of_a_backbone_keep_their_input_and_statistics():
    network = made(fine_tuned)
    network.normalise_to(torch.rand(10, 64, 8, 8) + 5, torch.randn(10, N_NEURONS))
    assert (network.input_mean == 0).all()
    assert (network.input_scale == 1).all()
    before = {name: value.clone() for name, value in network.core.named_buffers()}
    network.train()(torch.rand(10, 64, 8, 8) + 5)
    assert before
    assert all(torch.equal(value, before[name]) for name, value in network.core.named_buffers())
    slow, fast = (group["lr"] for group in sorted(network.parameter_groups(1.0), key=lambda group: group["lr"]))
    assert slow < fast == 1.0


@each_network
def test_training_learns_what_can_be_learned(make, n_channels, size):
    train, held_out = problem(300, n_channels, size), problem(80, n_channels, size, seed=1)
    network = made(make)
    # a readout that has to find its place takes longer
    epochs, learning_rate = (40, 5e-2) if network.config.get("readout") == "gaussian" else (12, 1e-2)
    history = networks.fit(network, train, held_out, epochs, batch_size=32, learning_rate=learning_rate, patience=40)
    predicted = networks.predict(network, held_out[0])
    assert predicted.dtype == np.float32
    score = explained_variance(held_out[1], predicted).mean()
    # layer2 is made for other input than random numbers
    assert score > (0.1 if network.config.get("stages") else 0.3)
    assert history.loss[-1] < 0.8 * history.loss[0]
    # the weights of the best epoch were kept
    assert score == pytest.approx(max(history.explained_variance), abs=1e-5)
    assert history.explained_variance[history.best_epoch] == max(history.explained_variance)
    assert len(history.loss) == len(history.explained_variance)
    assert history.seconds > 0
    assert not network.training
    if network.config.get("readout") == "gaussian":
        corners = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])[np.arange(N_NEURONS) % 4]
        np.testing.assert_allclose(network.readout[-1].centres(), corners, atol=0.15)


def fitted(seed=0, epochs=2, make=res_cnn, **options):
    network = made(make, seed)
    history = networks.fit(network, problem(60), problem(30, seed=1), epochs=epochs, seed=seed, **options)
    return network, history


def test_the_same_seed_gives_the_same_network():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    (first, history), (again, history_again), (other, _) = fitted(), fitted(), fitted(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert history.loss == history_again.loss
    images = problem(10, seed=3)[0]
    np.testing.assert_array_equal(networks.predict(first, images), networks.predict(again, images))
    assert (networks.predict(first, images) != networks.predict(other, images)).any()


def test_training_stops_when_it_no_longer_gets_better(monkeypatch):
    scores = iter([0.1, 0.3, 0.2, 0.25, 0.29, 0.9])
    monkeypatch.setattr("itneurons.networks.training.mean_score", lambda *args: next(scores))
    seen = []
    _, history = fitted(epochs=6, patience=3, on_epoch=lambda epoch, score: seen.append((epoch, score)))
    assert history.explained_variance == [0.1, 0.3, 0.2, 0.25, 0.29]
    assert history.best_epoch == 1
    assert seen == list(enumerate(history.explained_variance))


@pytest.mark.parametrize("n_steps", [1, 2, 4, 5, 6])
def test_training_may_be_as_short_as_one_likes(n_steps):
    # a fifth of five steps is one, in which no learning rate can rise
    network, history = fitted(epochs=n_steps, batch_size=60)
    assert len(history.loss) == n_steps
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_training_ends_when_the_callback_says_so():
    def stop(epoch, score):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(on_epoch=stop)


def test_a_loss_that_is_not_finite_is_an_error():
    images, rates = problem(60)
    images[3, 0, 0, 0] = np.inf
    with pytest.raises(FloatingPointError, match="not finite in epoch 0; try a lower learning rate"):
        networks.fit(made(res_cnn), (images, rates), problem(30), epochs=2)


@pytest.mark.parametrize("constant", [0.1, 7.3])
def test_constant_neurons_do_not_disturb_the_others(constant):
    train, held_out = problem(100), problem(30, seed=1)
    for _, rates in (train, held_out):
        rates[:, 1] = constant
    network = made(shallow)
    history = networks.fit(network, train, held_out, epochs=3)
    assert np.isfinite(history.explained_variance).all()
    np.testing.assert_allclose(networks.predict(network, held_out[0])[:, 1], constant, atol=1.5)


def test_factorised_readout_is_a_sum_over_places_and_channels():
    readout = FactorisedReadout(4, 3, 5, N_NEURONS)
    torch.nn.init.normal_(readout.bias)
    maps = torch.randn(7, 4, 3, 5)
    mask, features = readout.mask.detach().reshape(N_NEURONS, 3, 5).numpy(), readout.features.detach().numpy()
    expected = np.empty((7, N_NEURONS))
    for image in range(7):
        for neuron in range(N_NEURONS):
            expected[image, neuron] = readout.bias[neuron].item() + sum(
                features[neuron, channel] * (mask[neuron] * maps[image, channel].numpy()).sum() for channel in range(4)
            )
    np.testing.assert_allclose(readout(maps).detach(), expected, rtol=1e-4, atol=1e-5)
    fields = readout.fields()
    assert fields.shape == (N_NEURONS, 3, 5)
    assert (fields >= 0).all()
    np.testing.assert_allclose(fields.sum(dim=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(fields[2] / fields[2].max(), np.abs(mask[2]) / np.abs(mask[2]).max(), rtol=1e-4)


def test_gaussian_readout_reads_at_its_position():
    height, width = 5, 9
    readout = GaussianReadout(2, height, width, n_neurons=4).eval()
    # the map tells where it is read: its first channel is x, its second is y
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    maps = torch.stack([x, y])[None].expand(3, -1, -1, -1)
    cells = torch.tensor([[0, 0], [8, 0], [2, 4], [4, 2]])
    with torch.no_grad():
        # the middle of a cell, where the map reaches from -1 to 1
        readout.position.copy_((cells + 0.5) / torch.tensor([width, height]) * 2 - 1)
        for channel in range(2):
            readout.features.copy_(torch.nn.functional.one_hot(torch.full((4,), channel), 2))
            expected = maps[0, channel][cells[:, 1], cells[:, 0]]
            torch.testing.assert_close(readout(maps), expected.expand(3, -1))
            assert (readout.train()(maps) != expected).any()
            readout.eval()
    np.testing.assert_allclose(readout.centres()[1], (8.5 / 9 - 0.5, 0.5 / 5 - 0.5), rtol=1e-6)


def test_gaussian_readout_interpolates_as_torch_does():
    readout = networks.GaussianReadout(6, 4, 7, 50).eval()
    readout.position.data.uniform_(-1.2, 1.2)
    maps = torch.randn(3, 6, 4, 7)
    grid = readout.position.detach().clamp(-1, 1).expand(3, -1, -1)[:, :, None]
    sampled = torch.nn.functional.grid_sample(maps, grid, align_corners=False, padding_mode="border")[..., 0]
    expected = torch.einsum("icn,nc->in", sampled, readout.features) + readout.bias
    torch.testing.assert_close(readout(maps), expected)


def test_centres_of_fields_are_their_centres_of_mass():
    fields = np.zeros((3, 4, 8))
    fields[0, 0, 7] = 1
    fields[1, 1:3, 2:6] = 1 / 8
    fields[2, 3, 0] = fields[2, 1, 0] = 0.5
    expected = [[7.5 / 8 - 0.5, 0.5 / 4 - 0.5], [0, 0], [0.5 / 8 - 0.5, 2.5 / 4 - 0.5]]
    np.testing.assert_allclose(networks.centres_of(fields), expected, atol=1e-12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of a trained network, to be read only."""
    path = tmp_path_factory.mktemp("checkpoint") / "network.pth"
    network, _ = fitted(make=shallow)
    networks.save_checkpoint(path, network, recording="IT_data.h5", n_neurons=N_NEURONS, layers=["conv1"])
    return path, network


@each_network
def test_a_checkpoint_gives_the_same_predictions(make, n_channels, size, tmp_path):
    network = made(make)
    images, rates = problem(20, n_channels, size)
    network.normalise_to(images, rates)
    networks.save_checkpoint(tmp_path / "a b" / "network.pth", network, note="é", sizes=[1, 2], nested={"x": 1.5})
    loaded, about = networks.load_checkpoint(tmp_path / "a b" / "network.pth")
    assert about == {"note": "é", "sizes": [1, 2], "nested": {"x": 1.5}}
    assert type(loaded) is type(network)
    assert not loaded.training
    np.testing.assert_array_equal(networks.predict(loaded, images), networks.predict(network, images))


def test_a_failure_while_saving_keeps_what_was_there(saved, tmp_path, monkeypatch):
    path = tmp_path / "network.pth"
    path.write_bytes(saved[0].read_bytes())

    def fail(content, file):
        file.write(b"half")
        raise OSError("unplugged")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="unplugged"):
        networks.save_checkpoint(path, saved[1])
    assert path.read_bytes() == saved[0].read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"recording": "V4_data.h5"}, r"recording = 'IT_data.h5', not 'V4_data.h5'"),
        ({"n_neurons": 168}, "n_neurons = 6, not 168"),
        ({"backbone": "resnet50"}, "backbone = None, not 'resnet50'"),
    ],
)
def test_a_checkpoint_for_something_else_is_refused(saved, expected, message):
    assert networks.load_checkpoint(saved[0], recording="IT_data.h5", n_neurons=N_NEURONS)
    with pytest.raises(CheckpointError, match=message):
        networks.load_checkpoint(saved[0], **expected)


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("how", ["torch", "torch_legacy", "pickle"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, how):
    path, mark = tmp_path / "network.pth", tmp_path / "executed"
    content = {"format": 1, "network": "ResCNN", "config": {}, "weights": Malicious(mark), "about": {}}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(CheckpointError, match=r"no checkpoint that can be read safely \(.*Remove it"):
        networks.load_checkpoint(path)
    assert not mark.exists()
    # it does work, where it is trusted
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert mark.exists()


def rewritten(saved, path, **changes):
    content = torch.load(saved[0], weights_only=True)
    torch.save({**content, **changes}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": checkpoints.FORMAT + 1}, "has the format 3, this version reads up to 2: update the project"),
        ({"network": "Transformer"}, "holds a Transformer, this version knows ShallowCNN, ResCNN"),
        ({"network": "ResCNN"}, "weights do not fit a ResCNN"),
        ({"weights": {}}, "weights do not fit a ShallowCNN"),
        ({"config": {"n_neurons": 9, "image_size": 16}}, "weights do not fit a ShallowCNN"),
    ],
)
def test_a_checkpoint_of_another_network_or_version_is_refused(saved, tmp_path, changes, message):
    with pytest.raises(CheckpointError, match=message):
        networks.load_checkpoint(rewritten(saved, tmp_path / "network.pth", **changes))


@pytest.mark.parametrize("content", [{"weights": {}}, [1, 2], torch.zeros(3)], ids=["other_keys", "list", "tensor"])
def test_what_another_program_saved_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "network.pth")
    with pytest.raises(CheckpointError, match=r"not written by save_checkpoint"):
        networks.load_checkpoint(tmp_path / "network.pth")


def test_a_zip_file_that_is_no_checkpoint_is_refused(tmp_path):
    for name in ("a.txt", "archive/data.pkl"):
        with zipfile.ZipFile(tmp_path / "network.pth", "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(CheckpointError, match="no checkpoint that can be read safely"):
            networks.load_checkpoint(tmp_path / "network.pth")


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*network\.pth; the notebook"):
        networks.load_checkpoint(tmp_path / "network.pth")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused(saved, tmp_path, damage):
    path = tmp_path / "network.pth"
    path.write_bytes(damage(saved[0].read_bytes()))
    with pytest.raises(CheckpointError, match=r"network\.pth"):
        networks.load_checkpoint(path)


def test_a_flipped_byte_in_a_checkpoint_is_found_or_changes_nothing(saved, tmp_path):
    content, path = saved[0].read_bytes(), tmp_path / "network.pth"
    weights, refused = saved[1].state_dict(), 0
    # everywhere a little, and every third byte of the directory at the end
    positions = [
        *np.linspace(0, len(content) - 1, 80).astype(int),
        *range(content.find(b"PK\x01\x02"), len(content), 3),
    ]
    for position in positions:
        path.write_bytes(flipped(content, int(position)))
        try:
            loaded, about = networks.load_checkpoint(path)
        except CheckpointError:
            refused += 1
        else:
            assert about == {"recording": "IT_data.h5", "n_neurons": N_NEURONS, "layers": ["conv1"]}
            assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())
    assert refused > len(positions) / 2


def test_images_as_arrays_are_predicted_too():
    network = made(shallow)
    images = normalised(4, 16)
    np.testing.assert_array_equal(networks.predict(network, images), networks.predict(network, torch.as_tensor(images)))


def test_a_checkpoint_does_not_choose_the_code_that_is_run(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(
        "from pathlib import Path\n\nimport torch\nimport torchvision\n\n\ndef build():\n"
        "    Path('ran').touch()\n    return torchvision.models.resnet18(weights=None)\n"
    )
    monkeypatch.chdir(tmp_path)
    backbone = "own_network.py:build"
    network = BackboneReadout(256, 4, 4, 3, backbone=backbone, stages=("layer4",))
    path = tmp_path / "network.pth"
    networks.save_checkpoint(path, network, backbone=backbone)
    (tmp_path / "ran").unlink()
    with pytest.raises(CheckpointError, match=r"asks to run own_network\.py:build"):
        networks.load_checkpoint(path)
    assert not (tmp_path / "ran").exists()
    again, _ = networks.load_checkpoint(path, backbone=backbone)
    inputs = torch.randn(2, 256, 4, 4)
    torch.testing.assert_close(again(inputs), network.eval()(inputs))


def _read_out(monkeypatch, readout, maps, dtype, most, bfloat16=False):
    """Rates and gradients, with the order that ``most`` weights lead to."""
    monkeypatch.setattr(readouts, "_MOST_WEIGHTS", most)
    readout.to(dtype).zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        rates = readout(maps if bfloat16 else maps.to(dtype))
    rates.to(dtype).square().sum().backward()
    return [rates.detach().double(), *(part.grad.double() for part in readout.parameters())]


# a single matrix product, and features before places
AT_ONCE, REORDERED = 2**22, 0


@pytest.mark.parametrize("kind", [FactorisedReadout, GaussianMaskReadout])
def test_large_maps_are_read_out_alike(monkeypatch, kind):
    maps = torch.rand(20, 7, 7, 96).movedim(-1, 1).bfloat16()
    readout = made(lambda: kind(96, 7, 7, N_NEURONS))
    exact = _read_out(monkeypatch, readout, maps, torch.float64, AT_ONCE)
    reordered = _read_out(monkeypatch, readout, maps, torch.float64, REORDERED)
    torch.testing.assert_close(reordered, exact, rtol=1e-9, atol=1e-12)
    single = _read_out(monkeypatch, readout, maps, torch.float32, REORDERED)
    torch.testing.assert_close(single, exact, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [FactorisedReadout, GaussianMaskReadout])
def test_large_maps_in_another_order_are_rounded_no_more(monkeypatch, kind):
    # a mask's gradient has a dozen numbers here: one draw says little about how they are rounded
    squares = []
    for seed in range(20):
        readout = made(lambda: kind(96, 7, 7, N_NEURONS), seed)
        maps = torch.rand(20, 7, 7, 96).movedim(-1, 1).bfloat16()
        true = _read_out(monkeypatch, readout, maps, torch.float64, AT_ONCE)
        rounded = [_read_out(monkeypatch, readout, maps, torch.float32, most, True) for most in (AT_ONCE, REORDERED)]
        errors = [[ours - exact for ours, exact in zip(parts, true)] for parts in rounded]
        squares.append([[part.square().sum() for part in parts] for parts in (*errors, true)])
    before, now, size = torch.tensor(squares).mean(dim=0).sqrt()
    assert (now < torch.maximum(1.5 * before, 0.01 * size)).all(), now / before


@each_network
def test_preparing_does_not_depend_on_how_many_images_are_taken_at_once(make, n_channels, size):
    network = made(make)
    images = torch.randn(20, n_channels, size, size) + 3
    network.normalise_to(images, torch.randn(20, N_NEURONS))
    few, all_at_once = (training._prepared(network, images, "cpu", True, n) for n in (3, 256))
    assert torch.equal(few, all_at_once)
    rates = networks.predict(network, images)
    np.testing.assert_allclose(networks.predict(network, images, batch_size=3), rates, rtol=1e-5, atol=1e-5)


def test_moments_of_rows_are_those_of_their_copy():
    images = torch.randn(50, 5, 4, 4) * torch.arange(1, 6)[:, None, None] + 1000
    images[:, 2] = 7
    chosen = np.random.default_rng(0).permutation(50)[:30]
    rates = torch.randn(30, N_NEURONS)
    copied, read = (made(lambda: BackboneReadout(5, 4, 4, N_NEURONS)) for _ in range(2))
    copied.normalise_to(images[chosen], rates)
    read.normalise_to(disk_tensors.Rows(images, chosen), rates)
    torch.testing.assert_close(read.input_mean, copied.input_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(read.input_scale, copied.input_scale, rtol=1e-5, atol=0)
    assert read.input_scale[2] == 1


def test_where_images_are_few_there_are_more_epochs_and_networks_trained_on_all():
    many, few = networks.budget("quick", 2592), networks.budget("quick", 540)
    assert (many.refit, few.refit) == (0, few.members)
    assert networks.budget("full", 2592).refit == networks.budget("full", 2592).members
    assert few.epochs == 5 * many.epochs and few.patience == 5 * many.patience


def test_what_is_fine_tuned_fits_the_budget(capsys):
    model = backbones.load_backbone("simulated")
    layers, shape, budget = model.layers[-4:-1], (128, 14, 14), networks.budget("quick", 2592)
    below, stages, epochs = networks.fine_tuning(budget, model, layers, shape, 2592)
    assert (below, stages, epochs) == ("layer2", ("layer3", "layer4"), 3)
    assert capsys.readouterr().out == ""
    # forward passes of one image, by hand: a block has two convolutions of 3 x 3, and one of 1 x 1 beside them
    layer3 = 2 * 49 * (9 * 128 * 256 + 9 * 256 * 256 + 128 * 256)
    layer4 = 2 * 16 * (9 * 256 * 512 + 9 * 512 * 512 + 256 * 512)
    for flops, expected in (
        (3 * (layer3 + layer4) - 1, ("layer3", ("layer4",), 3)),
        (3 * layer4, ("layer3", ("layer4",), 3)),
        (3 * layer4 - 1, ("layer3", ("layer4",), 2)),
        (1, ("layer3", ("layer4",), 1)),
    ):
        budget.fine_tuning_flops = 100 * flops
        assert networks.fine_tuning(budget, model, layers, shape, 100) == expected
        assert f"number of epochs: {expected[-1]}" in capsys.readouterr().out
    # a stage that only pools is not trained alone
    model.layer4 = torch.nn.MaxPool2d(2)
    assert networks.fine_tuning(budget, model, layers, shape, 100)[1] == ("layer3", "layer4")


def test_depthwise_convolutions_compute_in_float32_where_the_rest_is_in_bfloat16():
    part = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 1), torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.Conv2d(8, 2, 1))
    plain, images = copy.deepcopy(part), torch.randn(2, 4, 6, 6)
    # the running average of the weights is a copy
    spared = copy.deepcopy(models.depthwise_in_float32(part))
    assert spared.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(spared(images), plain(images), rtol=0, atol=0)
    given = {}
    for name, module in spared.named_modules():
        module.register_forward_hook(lambda module, inputs, output, name=name: given.update({name: output.dtype}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spared(images).float().square().mean().backward()
    assert [given[name] for name in "012"] == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert all(parameter.grad.abs().sum() > 0 for parameter in spared.parameters())
    # a network that is all bfloat16 stays so
    assert spared.bfloat16()(images.bfloat16()).dtype == torch.bfloat16


def test_what_is_trained_of_a_backbone_spares_its_depthwise_convolutions():
    lite0 = {"backbone": "efficientnet_lite0", "pretrained": False}
    fine_tuned = BackboneReadout(24, 8, 8, 3, stages=("blocks.2",), **lite0)
    shared = networks.SharedCore(24, 8, 8, 3, layers=("blocks.1", "blocks.2"), **lite0)
    for network in (fine_tuned, shared):
        depthwise = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1]
        assert len(depthwise) == 2
        assert all(type(module).__name__ == "InFloat32" for module in depthwise)
