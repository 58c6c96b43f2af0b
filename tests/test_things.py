"""The THINGS recordings, end to end: activity from a server on loopback, pictures from a folder or an archive."""

import io
import subprocess
import sys
import time
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist

import utils
from itneurons.__main__ import main
from itneurons.evaluation.metrics import ceiling_of_one_trial, noise_ceiling
from itneurons.recordings import fetch, schema
from itneurons.recordings.archive import ImageArchive
from itneurons.recordings.schema import RecordingError
from itneurons.recordings.sources import things
from itneurons.recordings.sources.things_files import N_ELECTRODES, read_categories
from itneurons.regression import fold_groups, held_out_folds
from tests.servers import running
from tests.small import flipped
from tests.small_things import CATEGORIES, OBJECTS, RELIABLE, REMOTE, UNRELIABLE, Things, publish_things, zipped

SIZE = 32
N_VAL = 2


@pytest.fixture(scope="module")
def look_alike():
    return Things()


@pytest.fixture(scope="module")
def files(look_alike):
    return look_alike.files()


@pytest.fixture(scope="module")
def pictures(look_alike, tmp_path_factory):
    return look_alike.folder(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def server(monkeypatch, files):
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    monkeypatch.setattr(fetch, "BLOCK", 4096)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running() as server:
        publish_things(server, files)
        yield server


@pytest.fixture
def make(server, pictures, tmp_path):
    """The source, with what it needs here."""

    def make(folder=tmp_path / "made", **options):
        return things.make(
            folder, **{"images": pictures, "url": server.url, "image_size": SIZE, "val_fraction": 0.2, **options}
        )

    return make


def shown(look_alike, path):
    """For each split, the row of each image in the activity and its name; an image is known by its pixels."""
    found = {}
    with schema.open_recording(path) as file:
        for split in schema.SPLITS:
            names = look_alike.names["test" if split == "test" else "train"]
            known = {stimulus(look_alike, name).tobytes(): (row, name) for row, name in enumerate(names)}
            found[split] = [known[image.tobytes()] for image in file[f"stimulus_{split}"][:]]
    return found


def stimulus(look_alike, name):
    image = Image.open(io.BytesIO(look_alike.pictures[name])).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return schema.normalise(np.asarray(image))


# what is made


def test_each_image_has_the_activity_that_it_evoked(make, look_alike, capsys):
    path = make()
    assert path.name == "IT_data_things_F.h5"
    found = shown(look_alike, path)
    electrodes = list(RELIABLE["IT"])
    with schema.open_recording(path) as file:
        for split, images in found.items():
            rows, names = zip(*images)
            measured = look_alike.activity["test_MUA" if split == "test" else "train_MUA"]
            np.testing.assert_allclose(file[f"spikes_{split}"][:], measured[np.ix_(rows, electrodes)], rtol=1e-6)
            objects = schema.read_array(file, f"object_{split}")
            assert objects == [name.partition("/")[0] for name in names]
        rows, _ = zip(*found["test"])
        trials = look_alike.activity["test_MUA_reps"][:, rows][:, :, electrodes]
        np.testing.assert_allclose(file["trials_test"][:], trials, rtol=1e-6)
        assert "trials_val" not in file
        assert schema.text_of(file, "source") == "things monkey F, IT"
        assert "Papale" in schema.text_of(file, "citation")
        assert schema.text_of(file, "unit") == "SD of MUA"
    together = [name for images in found.values() for _, name in images]
    assert sorted(together) == sorted(look_alike.pictures)
    said = capsys.readouterr().out
    assert "8 of 320 electrodes in IT of monkey F" in said
    assert "were shown once each" in said


def test_an_object_is_in_one_split_and_training_shows_no_object_of_the_test_images(make, look_alike):
    data = utils.load_it_data(make(val_fraction=0.6))
    train, val, test = (set(objects) for objects in (data.objects_train, data.objects_val, data.objects_test))
    assert train | val == set(OBJECTS)
    assert not train & (val | test)
    assert len(data.objects_val) == 5 * len(val) == 35


def test_the_seed_draws_the_objects(make, tmp_path):
    drawn = [
        set(utils.load_it_data(make(tmp_path / str(n), seed=seed)).objects_val) for n, seed in enumerate((0, 0, 3))
    ]
    assert len(drawn[0]) == N_VAL
    assert drawn[0] == drawn[1] != drawn[2]


def test_splits_of_the_real_size():
    names = [f"object_{number:04d}" for number in range(1854)]
    train, test = np.repeat(names, 12), names[::20][:100]
    splits = things.split_by_object(train, test, seed=1)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 12 * 1669, "val": 12 * 185}
    assert not set(train[splits["train"]]) & {*train[splits["val"]], *test}
    assert set(test[:90]) < set(train[splits["val"]])
    part = things.split_by_object(train, test, n_train=2000, seed=1)
    assert {split: len(rows) for split, rows in part.items()} == {"train": 2000, "val": 12 * 19}
    assert len(set(train[part["train"]])) == 167
    assert not set(train[part["train"]]) & {*train[part["val"]], *test}
    assert set(part["train"]) < set(splits["train"])
    for n_train, val_fraction in ((0, 0.1), (100, 1.0), (None, 0.0), (None, 0.9999)):
        with pytest.raises(RecordingError, match="for training and"):
            things.split_by_object(train, test, val_fraction, n_train)


def test_a_part_of_the_training_images(make):
    data = utils.load_it_data(make(n_train=23))
    assert len(data.spikes_train) == 23
    assert len(set(data.objects_train)) == 5
    assert len(data.spikes_val) == 5
    assert len(data.objects_test) == 6


def test_reliability_is_that_of_the_authors(look_alike, make, tmp_path):
    trials = look_alike.activity["test_MUA_reps"]
    for electrode in (513, 521, 833):
        found = look_alike.activity["reliab"][:, electrode]
        np.testing.assert_allclose(found, 1 - pdist(trials[:, :, electrode], "correlation"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(look_alike.activity["reliab"], axis=0)
    assert mean[list(RELIABLE["IT"])].min() > 0.5
    assert mean[list(UNRELIABLE)].max() < 0.25
    threshold = np.sort(mean[list(RELIABLE["IT"])])[-4:-2].mean()
    with h5py.File(make(tmp_path / "fewer", reliability=threshold)) as file:
        expected = np.flatnonzero(mean[512:832] > threshold) + 512
        rows = [row for row, _ in shown(look_alike, tmp_path / "fewer" / "IT_data_things_F.h5")["val"]]
        measured = look_alike.activity["train_MUA"][np.ix_(rows, expected)]
        np.testing.assert_allclose(file["spikes_val"][:], measured, rtol=1e-6)


@pytest.mark.parametrize("area", ["V1", "V4"])
def test_other_areas(make, area):
    path = make(area=area)
    assert path.name == f"{area}_data_things_F.h5"
    assert utils.load_test_rates(path).shape == (6, len(RELIABLE[area]))


def test_areas_of_both_monkeys_cover_all_electrodes():
    for areas in things.ELECTRODES.values():
        covered = np.concatenate([np.arange(N_ELECTRODES)[electrodes] for electrodes in areas.values()])
        assert sorted(covered) == list(range(N_ELECTRODES))
    sizes = {monkey: len(range(N_ELECTRODES)[areas["IT"]]) for monkey, areas in things.ELECTRODES.items()}
    assert sizes == {"F": 320, "N": 256}


def test_folder_and_archives_give_the_same(make, look_alike, pictures, tmp_path, capsys):
    expected = make().read_bytes()
    ways = {
        "inside": {"images": pictures / "object_images"},
        "plain": {"images": look_alike.archive(tmp_path / "plain.zip")},
        "deep": {"images": look_alike.archive(tmp_path / "deep.zip", front="THINGS/Main/object_images/")},
        "encrypted": {"images": look_alike.archive(tmp_path / "secret.zip", "open sesame"), "password": "open sesame"},
        "fetched already": {"source_folder": tmp_path / "made" / things.DOWNLOADS, "url": "http://127.0.0.1:1"},
    }
    for name, options in ways.items():
        assert make(tmp_path / name, **options).read_bytes() == expected, name
        assert ("unpack secret.zip, and give the folder" in capsys.readouterr().out) == (name == "encrypted")
    flat = tmp_path / "flat"
    flat.mkdir()
    for remote in REMOTE.values():
        (flat / remote.rpartition("/")[2]).write_bytes((tmp_path / "made" / things.DOWNLOADS / remote).read_bytes())
    assert make(tmp_path / "from flat", source_folder=flat).read_bytes() == expected


def test_another_area_fetches_nothing_again(make, server):
    make()
    n_requests = len(server.requests)
    assert n_requests == 2
    make(area="V4")
    assert len(server.requests) == n_requests


def test_on_the_command_line(server, pictures, tmp_path, capsys):
    given = ["get", "things", "--monkey", "F", "--area", "IT", "--images", pictures, "--url", server.url]
    main([str(one) for one in [*given, "--folder", tmp_path, "--val-fraction", 0.2, "--n-train", 30]])
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "IT_data_things_F.h5")
    # what is there needs no pictures
    assert utils.get_it_data("things", tmp_path) == tmp_path / "IT_data_things_F.h5"
    assert len(utils.load_it_data(tmp_path).spikes_train) == 30


def test_what_was_made_with_other_settings_is_not_taken_for_it(make):
    before = make().read_bytes()
    with pytest.raises(RecordingError, match=r"other settings: reliability 0.3, .*seed 0.*not .*seed 1"):
        make(seed=1)
    assert make().read_bytes() == before


# categories


def test_without_a_table_no_category_is_known(make):
    path = make()
    data = utils.load_it_data(path)
    assert set(utils.object_categories(data.objects_train, path)) == {""}
    # which leaves other recordings as strict as they were
    with pytest.raises(RecordingError, match="No category knows the object"):
        utils.object_categories(data.objects_train)


FLAGS = sorted(set(CATEGORIES.values()) | {"plant"})
TABLES = {
    # without names, in the order of THINGS
    "category27_manual.tsv": "\n".join(
        ["\t".join(FLAGS)]
        + [
            "\t".join(str(int(CATEGORIES.get(name) == flag or (flag == "food" and name == "apple"))) for flag in FLAGS)
            for name in OBJECTS
        ]
    ),
    "category53_wide-format.tsv": "\n".join(
        ["\t".join(["Word", "uniqueID", *FLAGS])]
        + [
            "\t".join([name.strip("12"), name, *(str(int(CATEGORIES.get(name) == flag)) for flag in FLAGS)])
            for name in reversed(OBJECTS)
        ]
    ),
    "category53_long-format.tsv": "\n".join(
        ["category\tuniqueID\tWord", *(f"{c}\t{n}\t{n}" for n, c in CATEGORIES.items())]
    ),
    "Concept_to_category_linking.csv": "\n".join(
        ["concept,category_label", *(f"{n},{c}" for n, c in CATEGORIES.items())]
    ),
    "concepts-metadata_things.tsv": "\n".join(
        ["Word\tuniqueID\tBigram\tTop-down Category (manual selection)"]
        + [f"{name}\t{name}\t0\t{'food, fruit' if name == 'apple' else CATEGORIES.get(name, '')}" for name in OBJECTS]
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_categories_that_is_published(make, tmp_path, name):
    table = tmp_path / name
    table.write_text(TABLES[name])
    path = make(categories=table)
    data = utils.load_it_data(path)
    for objects in (data.objects_train, data.objects_val, data.objects_test):
        expected = [CATEGORIES.get(one, "other") for one in objects]
        assert utils.object_categories(objects, path).tolist() == expected
        assert utils.object_categories(np.array(objects), path.parent).tolist() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("animal\tfood\n1\t0\n", "names none of the objects, such as .* its 1 rows are not all 12"),
        ("uniqueID\tweight\n" + "\n".join(f"{name}\t2.5" for name in OBJECTS), "holds no categories"),
        ("", "no readable table"),
        ("uniqueID\tcategory\n", "names none of the objects"),
        ("concept,category\nlynx,animal\n", "names none of the objects"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, content, message):
    (tmp_path / "table.tsv").write_text(content)
    with pytest.raises(RecordingError, match=message):
        read_categories(tmp_path / "table.tsv", OBJECTS)
    with pytest.raises(RecordingError, match="no readable table"):
        read_categories(tmp_path / "absent.tsv", OBJECTS)


# what notebooks make of it


def test_folds_hold_out_whole_objects_where_validation_does(make, tmp_path, capsys):
    (tmp_path / "table.csv").write_text(TABLES["Concept_to_category_linking.csv"])
    path = make(categories=tmp_path / "table.csv")
    data = utils.load_it_data(path)
    groups = fold_groups(data.objects_train, data.objects_val)
    assert "folds hold out whole objects too" in capsys.readouterr().out
    categories = utils.object_categories(data.objects_train, path)
    for folds in (
        held_out_folds(len(groups), categories, n_folds=5, groups=groups),
        held_out_folds(len(groups), None, n_folds=5, groups=groups),
    ):
        assert sorted(np.concatenate(folds)) == list(range(len(groups)))
        objects = [{groups[image] for image in fold} for fold in folds]
        assert sum(len(one) for one in objects) == len(set(groups))
        assert all(len(one) == 2 for one in objects)
    with pytest.raises(ValueError, match="10 groups of images cannot be divided into 11 folds"):
        held_out_folds(len(groups), n_folds=11, groups=groups)
    # everywhere else validation shows objects that training shows
    assert fold_groups(["car1", "bear"], ["bear"]) is None
    assert fold_groups(["", ""], [""]) is None


def test_what_one_presentation_means_is_said(make, capsys):
    path = make()
    capsys.readouterr()
    assert utils.ceiling_of(path, "val") is None
    said = capsys.readouterr().out
    expected = np.median(ceiling_of_one_trial(noise_ceiling(utils.load_trials(path, "test")), 8))
    assert f"explain about {expected:.2f} of its variance (median neuron, by 8 trials of test images)" in said
    assert utils.ceiling_of(path, "test").shape == (8,)
    assert capsys.readouterr().out == ""


def test_the_ceiling_of_one_trial_is_what_two_presentations_correlate():
    rng = np.random.default_rng(0)
    share = np.array([0.1, 0.3, 0.6, 0.9])
    signal = rng.standard_normal((4000, 4)) * np.sqrt(share)
    trials = signal + rng.standard_normal((30, 4000, 4)) * np.sqrt(1 - share)
    found = ceiling_of_one_trial(noise_ceiling(trials, n_splits=20), 30)
    pairs = [1 - pdist(trials[:, :, neuron], "correlation").mean() for neuron in range(4)]
    np.testing.assert_allclose(found, pairs, atol=0.01)
    np.testing.assert_allclose(found, share, atol=0.03)


# what may go wrong


def nothing_half_made(folder):
    return [path.name for path in folder.rglob("*.h5")] == [] and not list(folder.rglob(".*~*"))


def changed(dataset, change):
    def damage(look_alike):
        return look_alike.files(**{dataset: change(look_alike.activity[dataset].copy())})

    return damage


def elsewhere(name):
    def damage(look_alike):
        return look_alike.files(order={**look_alike.names, "train": [name, *look_alike.names["train"][1:]]})

    return damage


def replaced(kind, change):
    return lambda look_alike: {**(files := look_alike.files()), kind: change(files[kind])}


def other_paths(values):
    def change(content):
        content = io.BytesIO(content)
        with h5py.File(content, "r+") as file:
            del file["test_imgs/things_path"]
            if values is not None:
                file["test_imgs/things_path"] = values
        return content.getvalue()

    return replaced("order", change)


DAMAGED = {
    "activity cut off": (replaced("activity", lambda content: content[:-2000]), "normMUA.mat is no readable MATLAB"),
    "order cut off": (replaced("order", lambda content: content[:-2000]), "imgs.mat is no readable MATLAB"),
    "not HDF5": (replaced("activity", lambda _: b"MATLAB 5.0 MAT-file" * 100), "no readable MATLAB 7.3 file"),
    "no training activity": (lambda one: one.files(train_MUA=None), "normMUA.mat lacks train_MUA; it holds SNR"),
    "no trials": (lambda one: one.files(test_MUA_reps=None), "lacks test_MUA_reps"),
    "no reliability": (lambda one: one.files(reliab=None), "lacks reliab"),
    "no paths": (other_paths(None), "things_imgs.mat lacks test_imgs/things_path"),
    "paths that are numbers": (other_paths(np.ones((6, 1))), "test_imgs refers to no texts"),
    "paths that lead nowhere": (other_paths(np.full((6, 1), h5py.Reference(), h5py.ref_dtype)), "refers to no texts"),
    "one image less": (changed("train_MUA", lambda x: x[1:]), r"train_MUA has the shape \(59, 1024\)"),
    "fewer electrodes": (changed("reliab", lambda x: x[:, :96]), r"reliab has the shape \(28, 96\), expected"),
    "other trials": (changed("test_MUA_reps", lambda x: x + 0.1), "test_MUA_reps does not average to test_MUA"),
    "path upwards": (elsewhere("../aardvark.jpg"), r"names the picture '\.\./aardvark\.jpg'"),
    "path upwards in the middle": (elsewhere("aardvark/../../passwd"), "names the picture"),
    "path from the root": (elsewhere("/etc/passwd"), "names the picture '/etc/passwd'"),
    "path to a drive": (elsewhere("C:/passwd"), "names the picture 'C:/passwd'"),
    "path to a folder": (elsewhere("aardvark/.."), "names the picture"),
    "path with an end in it": (elsewhere("aardvark/a\0b.jpg"), "names the picture"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_refused_and_fetched_again(make, server, look_alike, files, tmp_path, damage):
    change, message = DAMAGED[damage]
    publish_things(server, change(look_alike))
    with pytest.raises(RecordingError, match=message) as raised:
        make()
    assert "again" in str(raised.value)
    assert nothing_half_made(tmp_path)
    publish_things(server, files)
    schema.open_recording(make()).close()


def test_a_users_own_damaged_file_is_left_where_it_is(make, look_alike, tmp_path):
    for kind, content in look_alike.files(reliab=None).items():
        (tmp_path / REMOTE[kind].rpartition("/")[2]).write_bytes(content)
    with pytest.raises(RecordingError, match="lacks reliab"):
        make(source_folder=tmp_path)
    assert len(list(tmp_path.glob("*.mat"))) == 2
    with pytest.raises(fetch.SourceError, match=r"holds neither monkeyF/_logs/things_imgs.mat nor things_imgs.mat"):
        make(source_folder=tmp_path / "elsewhere")


def test_a_flipped_byte_in_the_activity_is_found_or_changes_nothing(make, files, tmp_path):
    expected, refused = make().read_bytes(), 0
    folder = tmp_path / "flipped"
    folder.mkdir()
    (folder / "things_imgs.mat").write_bytes(files["order"])
    for number, position in enumerate(np.random.default_rng(0).integers(512, len(files["activity"]), 25)):
        (folder / "THINGS_normMUA.mat").write_bytes(flipped(files["activity"], int(position)))
        try:
            found = make(tmp_path / str(number), source_folder=folder)
        except RecordingError:
            refused += 1
        else:
            assert found.read_bytes() == expected
    assert refused > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monkey": "B"}, "There is no monkey 'B' with an area 'IT': monkeys are F and N, areas"),
        ({"area": "V2"}, "There is no monkey 'F' with an area 'V2'"),
        ({"images": None}, "does not allow anyone to hand on.*osf.io.*images_THINGS.zip.*--password"),
        ({"images": "nowhere"}, "There is nothing at nowhere"),
    ],
)
def test_what_is_not_known_is_named_before_anything_is_fetched(make, server, options, message):
    with pytest.raises(fetch.SourceError, match=message):
        make(**options)
    assert server.requests == []


def test_a_folder_without_pictures_is_named_before_anything_is_fetched(make, server, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "notes.txt").write_text("")
    with pytest.raises(fetch.SourceError, match="holds no folder object_images"):
        make(images=tmp_path / "pictures")
    assert server.requests == []


@pytest.mark.parametrize(
    ("archive", "password", "message"),
    [
        (lambda one, path: one.archive(path, "right"), None, "is encrypted: give its password.*--password"),
        (lambda one, path: one.archive(path, "right"), "wrong", "cannot be read with this password"),
        (
            lambda one, path: one.archive(path, "right", method=99),
            "right",
            "encrypted with AES.*7-Zip.*give the folder",
        ),
        (lambda one, path: one.archive(path, front="pictures/"), None, "holds no folder object_images"),
        (lambda one, path: path.write_bytes(b"PK" * 500), None, "no readable ZIP archive"),
        (
            lambda one, path: path.write_bytes(zipped({"object_images/../../evil.jpg": b""})),
            None,
            "points out of the archive",
        ),
    ],
    ids=["no password", "a wrong password", "AES", "no folder", "no ZIP", "evil"],
)
def test_archives_that_do_not_open_are_named_before_anything_is_fetched(
    make, server, look_alike, tmp_path, archive, password, message
):
    path = tmp_path / "images_THINGS.zip"
    archive(look_alike, path)
    with pytest.raises(RecordingError, match=message):
        make(images=path, password=password)
    assert server.requests == []
    assert not list(tmp_path.rglob("evil.jpg"))


def test_a_wrong_password_that_passes_the_check_of_one_byte_is_found(look_alike, tmp_path):
    path = look_alike.archive(tmp_path / "pictures.zip", "right")
    with zipfile.ZipFile(path) as archive:
        first, passed = archive.namelist()[0], None
        for number in range(5000):
            try:
                archive.open(first, pwd=f"wrong{number}".encode()).close()
                passed = f"wrong{number}"
                break
            except RuntimeError:
                continue
    with pytest.raises(RecordingError, match=r"cannot be read with this password.*CRC"):
        ImageArchive(path, "object_images", passed)


def test_missing_pictures_are_named_with_their_number(make, look_alike, pictures, tmp_path):
    some = look_alike.names["test"][:2] + look_alike.names["train"][:3]
    for name in some:
        (pictures / "object_images" / name).rename(tmp_path / name.partition("/")[2])
    try:
        with pytest.raises(RecordingError, match=r"lacks 5 of 66 images, for example \w.*osf.io/jum2f") as raised:
            make()
        assert sum(name in str(raised.value) for name in some) == 3
    finally:
        for name in some:
            (tmp_path / name.partition("/")[2]).rename(pictures / "object_images" / name)
    assert nothing_half_made(tmp_path)
    path = tmp_path / "few.zip"
    entries = {f"object_images/{name}": look_alike.pictures[name] for name in look_alike.names["train"]}
    path.write_bytes(zipped(entries))
    with pytest.raises(RecordingError, match=r"few\.zip lacks 6 of 66 images"):
        make(images=path)


def test_a_picture_that_cannot_be_decoded_is_named(make, look_alike, tmp_path):
    name = look_alike.names["test"][3]
    broken = Things()
    broken.pictures[name] = broken.pictures[name][:200]
    for images in (broken.folder(tmp_path / "pictures"), broken.archive(tmp_path / "pictures.zip")):
        with pytest.raises(RecordingError, match=f"{name} is no readable image"):
            make(images=images)
        assert nothing_half_made(tmp_path)
    schema.open_recording(make()).close()


def test_no_electrode_is_reliable_enough(make, tmp_path):
    with pytest.raises(
        RecordingError,
        match=r"None of the 320 electrodes has a reliability above 0.99.*highest is 0\.\d\d.*--reliability",
    ):
        make(reliability=0.99)
    assert nothing_half_made(tmp_path)


def test_electrodes_with_a_gap_are_left_out(make, server, look_alike, capsys):
    train = look_alike.activity["train_MUA"].copy()
    train[7, 514] = np.nan
    publish_things(server, look_alike.files(train_MUA=train))
    path = make()
    assert utils.load_it_data(path).spikes_train.shape[1] == 7
    assert "1 electrodes have NaN or infinite activity" in capsys.readouterr().out


def test_a_full_disk_is_named(make, small_disk):
    # what is fetched finds room, and what it is turned into does not
    (small_disk / "other").write_bytes(bytes(600_000))
    with pytest.raises(OSError, match=r"The disk is full: IT_data_things_F.h5 needs about .* MB are free in"):
        make(small_disk)
    assert nothing_half_made(small_disk)


SLOWLY = """
import sys, time
from itneurons.recordings.sources import things

read = things.ImageFolder.read
things.ImageFolder.read = lambda *given: time.sleep(0.5) or read(*given)
folder, images, url, size = sys.argv[1:]
things.make(folder, images=images, url=url, image_size=int(size), val_fraction=0.2)
"""


def test_killed_in_the_middle_and_run_again(make, server, pictures, tmp_path):
    folder = tmp_path / "made"
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, folder, pictures, server.url, str(SIZE)])
    end = time.monotonic() + 60
    while not (begun := list(folder.glob(".IT_data_things_F~*"))) and time.monotonic() < end:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert begun
    assert not (folder / "IT_data_things_F.h5").exists()
    n_requests = len(server.requests)
    found = make().read_bytes()
    # what was whole is not fetched again, and nothing half-made stays
    assert len(server.requests) == n_requests == 2
    assert not list(folder.glob(".*~*"))
    assert found == make(tmp_path / "at once").read_bytes()
