"""The layout of a recording: what is written is read, and what cannot be right is refused."""

import h5py
import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

import utils
from itneurons.recordings import schema
from itneurons.recordings.schema import RecordingError
from tests.small import DAMAGES, SIZES, flipped, made_up

DATASETS = [
    *(f"{kind}_{split}" for kind in ("stimulus", "object", "spikes") for split in schema.SPLITS),
    "trials_val",
    "trials_test",
    "noise_ceiling",
]


def read_all(path):
    """Everything that utils reads from a recording."""
    return [
        *utils.load_it_data(path),
        utils.load_test_rates(path),
        utils.load_trials(path, "val"),
        utils.load_trials(path, "test"),
        utils.load_noise_ceiling(path),
        utils.source_of(path),
        utils.unit_of(path),
    ]


def changed(recording, path, change):
    """A copy of the recording in which ``change`` has changed datasets."""
    path.write_bytes(recording.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(name, new):
    """A change of one dataset, given as a function of its values."""

    def change(file):
        values = new(file[name][()])
        del file[name]
        file[name] = values

    return change


def test_what_is_written_is_read(recording, content):
    data = utils.load_it_data(recording)
    for split in schema.SPLITS:
        stimuli = getattr(data, f"stimulus_{split}")
        assert stimuli.shape == (SIZES[split], 3, 32, 32)
        assert stimuli.dtype == np.float32
        np.testing.assert_array_equal(stimuli, schema.normalise(content["images"][split]))
        assert getattr(data, f"objects_{split}") == content["objects"][split]
    rates = {"train": data.spikes_train, "val": data.spikes_val, "test": utils.load_test_rates(recording)}
    for split, found in rates.items():
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, content["rates"][split].astype(np.float32))
    for split, expected in content["trials"].items():
        np.testing.assert_array_equal(utils.load_trials(recording, split), expected.astype(np.float32))
    assert utils.load_trials(recording, "train") is None
    np.testing.assert_array_equal(utils.load_noise_ceiling(recording), content["noise_ceiling"].astype(np.float32))
    assert (utils.source_of(recording), utils.unit_of(recording)) == ("made-up recordings", "spikes/s")


def test_a_loader_of_the_course_reads_it(recording, content):
    with h5py.File(recording, "r") as file:
        for split in schema.SPLITS:
            stimuli = np.array(file[f"stimulus_{split}"])
            objects = [name.decode("latin-1") for name in np.array(file[f"object_{split}"])]
            assert stimuli.shape == (SIZES[split], 3, 32, 32)
            assert objects == content["objects"][split]
        assert np.array(file["spikes_train"]).shape == (SIZES["train"], 8)
        assert np.array(file["spikes_val"]).shape == (SIZES["val"], 8)


def test_a_file_of_the_course_is_read(recording, tmp_path):
    def strip(file):
        for name in ("spikes_test", "trials_val", "trials_test", "noise_ceiling"):
            del file[name]
        file.attrs.clear()
        # the course's file may hold double precision and big-endian numbers
        for name in ("stimulus_val", "spikes_train"):
            replaced(name, lambda values: values.astype(">f8"))(file)

    path = changed(recording, tmp_path / "IT_data.h5", strip)
    found, expected = read_all(path), read_all(recording)
    for a, b in zip(found[:8], expected[:8]):
        np.testing.assert_array_equal(a, b)
    assert all(getattr(a, "dtype", np.dtype("f4")) == np.dtype("f4") for a in found[:8])
    assert found[8:] == [None, None, None, None, "IT recordings (course)", "as recorded"]


def test_normalise_is_that_of_torchvision():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.stack([levels, levels[::-1], levels.T], axis=-1)
    expected = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(schema.IMAGENET_MEAN.tolist(), schema.IMAGENET_STD.tolist())]
    )(Image.fromarray(image))
    found = schema.normalise(image)
    assert found.dtype == np.float32
    # within a tenth of the distance of two levels, so that none is taken for another
    np.testing.assert_allclose(found, expected, atol=0.1 / 255 / 0.229)
    assert schema.normalise(np.zeros((5, 4, 6, 3), dtype=np.uint8)).shape == (5, 3, 4, 6)


@pytest.mark.parametrize(
    ("category", "names"),
    [
        ("fruit", ["apple", "apricot", "peach", "pear", "raspberry", "strawberry", "walnut", "watermelon"]),
        ("animal", ["bear", "cow", "dog", "elephant", "gorilla", "hedgehog", "lioness", "turtle", "ELEPHANT_M"]),
        ("face", ["face1", "face0008"]),
        ("car", ["car3", "car_alfa155"]),
        ("chair", ["chair8"]),
        ("airplane", ["airplane2", "Airplane2"]),
        ("table", ["table4"]),
        ("ship", ["ship5", "battleship"]),
        ("", [""]),
    ],
)
def test_category_of_every_name(category, names):
    assert [schema.category_of(name) for name in names] == [category] * len(names)


@pytest.mark.parametrize("name", ["unicorn", "x", "app"])
def test_unknown_names_are_refused(name):
    with pytest.raises(RecordingError, match=f"{name!r}.*face.*turtle"):
        schema.category_of(name)


def removed(name):
    def change(file):
        del file[name]

    return change


def at(index, value):
    """A change of single values of an array."""

    def change(values):
        values[index] = value
        return values

    return change


REFUSED = [
    (removed("stimulus_val"), "lacks stimulus_val.*fetch it again"),
    (removed("object_test"), "lacks object_test"),
    (removed("spikes_train"), "lacks spikes_train"),
    (replaced("stimulus_val", lambda x: x[:, 0]), r"stimulus_val has the shape \(24, 32, 32\)"),
    (replaced("stimulus_val", lambda x: x[:, :, :16]), "one image size in all splits"),
    (replaced("stimulus_test", lambda x: np.moveaxis(x, 1, 3)), r"stimulus_test has the shape \(16, 32, 32, 3\)"),
    (replaced("stimulus_train", lambda x: x.astype(np.uint8)), "stimulus_train holds uint8.*schema.normalise"),
    (replaced("object_val", lambda x: x[:-1]), r"object_val has the shape \(23,\), expected \(24,\)"),
    (replaced("spikes_val", lambda x: x[:, :-1]), r"spikes_val has the shape \(24, 7\).*8 neurons"),
    (replaced("spikes_test", lambda x: x[:5]), r"spikes_test has the shape \(5, 8\)"),
    (replaced("spikes_val", lambda x: x[0]), r"spikes_val has the shape \(8,\)"),
    (replaced("trials_val", lambda x: x[:, :3]), r"trials_val has the shape \(6, 3, 8\)"),
    (replaced("noise_ceiling", lambda x: x[:2]), r"noise_ceiling has the shape \(2,\)"),
    (
        lambda file: (
            [replaced(f"{kind}_val", lambda x: x[:0])(file) for kind in ("stimulus", "object", "spikes")]
            and removed("trials_val")(file)
        ),
        "the val split is empty",
    ),
    (replaced("stimulus_val", lambda x: (x - 0.45) / 0.226), r"stimulus_val lies in \[.*normalised twice"),
    (replaced("stimulus_train", lambda x: 255 * x), "normalised twice, or not at all"),
    (replaced("stimulus_test", at((3, 0, 5, 5), np.nan)), "stimulus_test lies in"),
    (
        replaced("spikes_train", at((slice(3, 5), [1, 6]), np.nan)),
        r"spikes_train has 4 rates that are NaN or infinite, in neurons 1, 6 at images 3, 4\. Leave",
    ),
    (replaced("spikes_val", at((slice(None), 2), -np.inf)), "neurons 2 at images 0, 1, 2, 3, 4 and 19 more"),
    (replaced("object_val", at(7, b"unicorn")), r"object_val\[7\]: .*'unicorn'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_right_is_refused(recording, tmp_path, change, message):
    path = changed(recording, tmp_path / "recording.h5", change)
    with pytest.raises(RecordingError, match=message) as raised:
        read_all(path)
    assert str(path) in str(raised.value)


def test_rates_of_the_test_images_are_checked_where_they_are_read(recording, tmp_path):
    path = changed(recording, tmp_path / "recording.h5", replaced("spikes_test", at((2, 3), np.nan)))
    with pytest.raises(RecordingError, match=r"spikes_test has 1 rates .* neurons 3 at images 2"):
        utils.load_test_rates(path)


def test_negative_rates_missing_trials_and_images_without_names_are_fine(tmp_path):
    content = made_up()
    content["rates"] = {split: values - 100 for split, values in content["rates"].items()}
    content["trials"]["val"][2:, ::2] = np.nan
    content["objects"] = {split: [""] * n for split, n in SIZES.items()}
    found = utils.load_it_data(path := schema.write(tmp_path / "recording.h5", **content))
    assert (found.spikes_train < 0).all()
    assert found.objects_val == [""] * SIZES["val"]
    assert np.isnan(utils.load_trials(path, "val")).sum() == content["trials"]["val"][2:, ::2].size


def test_categories_that_the_names_do_not_tell(tmp_path):
    content = made_up()
    content["objects"] = {split: [f"thing{index % 7}" for index in range(n)] for split, n in SIZES.items()}
    path = tmp_path / "recording.h5"
    with pytest.raises(RecordingError, match=r"object_train\[0\]: .*'thing0'"):
        utils.load_it_data(schema.write(path, **content))
    of = {f"thing{number}": "tool" if number < 4 else "" for number in range(7)}
    content["categories"] = {split: [of[name] for name in names] for split, names in content["objects"].items()}
    objects = utils.load_it_data(schema.write(path, **content)).objects_val
    assert objects == content["objects"]["val"]
    assert utils.object_categories(objects, path).tolist() == content["categories"]["val"]
    damaged = changed(path, tmp_path / "damaged.h5", replaced("category_val", lambda x: x[:-1]))
    with pytest.raises(RecordingError, match=r"category_val has the shape \(23,\), expected \(24,\)"):
        utils.load_it_data(damaged)


@pytest.mark.parametrize("with_rates", [True, False])
def test_the_test_split_may_be_empty(tmp_path, with_rates):
    content = made_up(sizes={"train": 20, "val": 5, "test": 0}, image_size=schema.IMAGE_SIZE)
    if not with_rates:
        del content["rates"]["test"], content["trials"]["test"]
    path = schema.write(tmp_path / "recording.h5", **content)
    assert utils.load_it_data(path).stimulus_test.shape == (0, 3, 224, 224)
    assert utils.load_it_data(path).objects_test == []
    assert utils.load_test_rates(path) is None
    assert utils.load_trials(path, "test") is None


@pytest.mark.parametrize(
    "sizes", [{"train": 3, "val": 1, "test": 1}, {"train": 20, "val": 5, "test": 4}], ids=["few_images", "more_images"]
)
@pytest.mark.parametrize("n_neurons", [1, 30])
def test_one_neuron_and_more_neurons_than_images(tmp_path, sizes, n_neurons):
    path = schema.write(tmp_path / "recording.h5", **made_up(sizes=sizes, n_neurons=n_neurons))
    assert utils.load_it_data(path).spikes_train.shape == (sizes["train"], n_neurons)


@pytest.mark.parametrize("n_images", [0, 23, 25])
def test_writing_refuses_other_numbers_of_images(tmp_path, n_images):
    content = made_up()
    content["images"]["val"] = np.zeros((n_images, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(RecordingError, match="val split has 24 object names"):
        schema.write(tmp_path / "recording.h5", **content)
    assert list(tmp_path.iterdir()) == []


def test_writing_checks_the_layout_and_leaves_nothing(tmp_path):
    content = made_up()
    content["rates"]["val"] = content["rates"]["val"][:, :3]
    with pytest.raises(RecordingError, match="spikes_val has the shape"):
        schema.write(tmp_path / "recording.h5", **content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_refused(recording, tmp_path, damage):
    path = tmp_path / "recording.h5"
    path.write_bytes(damage(recording.read_bytes()))
    with pytest.raises(RecordingError, match=r"recording.h5 \([\d,]+ bytes\).*get it again with utils.get_it_data"):
        utils.load_it_data(path)


@pytest.mark.parametrize("name", DATASETS)
def test_a_flipped_byte_in_a_dataset_is_found(recording, tmp_path, name):
    with h5py.File(recording, "r") as file:
        # of the chunk in the middle
        chunk = file[name].id.get_chunk_info(file[name].id.get_num_chunks() // 2)
    path = tmp_path / "recording.h5"
    path.write_bytes(flipped(recording.read_bytes(), chunk.byte_offset + chunk.size // 2))
    with pytest.raises(RecordingError, match=rf"{name} cannot be read, the file is damaged.*get it again"):
        read_all(path)


def test_a_flipped_byte_anywhere_is_found_or_changes_nothing(recording, tmp_path):
    content, path = recording.read_bytes(), tmp_path / "recording.h5"
    expected, refused = read_all(recording), 0
    # the structure at the beginning densely, then anywhere
    positions = [*range(0, 2400, 80), *np.random.default_rng(0).integers(0, len(content), 60)]
    for position in positions:
        path.write_bytes(flipped(content, position))
        try:
            found = read_all(path)
        except RecordingError:
            refused += 1
        else:
            for a, b in zip(found, expected):
                np.testing.assert_array_equal(a, b)
    assert refused > 0.9 * len(positions)


def test_a_recording_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.h5; utils.get_it_data\(\)"):
        schema.open_recording(tmp_path / "nowhere.h5")
