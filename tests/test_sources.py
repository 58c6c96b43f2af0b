"""The sources of real recordings, end to end against a server on loopback."""

import hashlib
import io
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import gdown
import h5py
import numpy as np
import pytest
import requests
from PIL import Image

from itneurons.__main__ import main
from itneurons.recordings import fetch, schema
from itneurons.recordings.archive import ImageArchive
from itneurons.recordings.schema import RecordingError
from itneurons.recordings.sources import brainscore, course, things, v4
from tests.servers import HTML, Served, running
from tests.small_sources import (
    NAMES,
    OBJECTS,
    course_file,
    evil_zip,
    publish,
    publish_v4,
    random_images,
    release,
    saved,
    v4_files,
)
from tests.small_things import Things, publish_things

SIZE = 32
SHARED = Path(__file__).resolve().parents[2] / "shared" / "recordings" / "v4"


@pytest.fixture
def server(monkeypatch):
    # one short attempt, so that a failure shows at once
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setattr(fetch, "BLOCK", 256)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running() as server:
        yield server


class Case(NamedTuple):
    """A source, served on loopback."""

    make: Callable
    file: str
    """What it makes."""
    served: list
    """The paths that it fetches."""
    whole: list
    """The contents of what it fetches."""


@pytest.fixture(params=["course", "brainscore", "v4", "things"])
def case(request, server, monkeypatch, tmp_path):
    if request.param == "course":
        server.files["/IT_data.h5"] = course_file(tmp_path)
        make, file = lambda folder: course.make(folder, url=server.url), "IT_data.h5"
    elif request.param == "brainscore":
        publish(server, monkeypatch, release(tmp_path)[0])
        make, file = lambda folder: brainscore.make(folder, url=server.url, image_size=SIZE), "IT_data.h5"
    elif request.param == "things":
        look_alike = Things()
        publish_things(server, look_alike.files())
        options = {"images": look_alike.folder(tmp_path / "pictures"), "url": server.url, "image_size": SIZE}
        make, file = lambda folder: things.make(folder, **options), "IT_data_things_F.h5"
    else:
        publish_v4(server, v4_files()[0])
        make, file = lambda folder: v4.make(folder, url=server.url, image_size=SIZE), "V4_data_201025.h5"
    return Case(make, file, list(server.files), list(server.files.values()))


def assert_nothing_half_made(folder, case):
    """No recording is there, and what lies at the place of a download is whole."""
    assert not list(folder.glob("*.h5"))
    places = [path for path in folder.rglob("*") if path.suffix in (".nc", ".csv", ".npy", ".zip", ".mat")]
    assert all(path.read_bytes() in case.whole for path in places)


# failures on the way, for each source


def test_whole(case, server, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    path = case.make(folder)
    assert path == folder / case.file
    schema.open_recording(path).close()
    assert not list(folder.rglob("*.part"))
    assert not list(folder.rglob("*.version"))
    before, n_requests = path.read_bytes(), len(server.requests)
    capsys.readouterr()
    assert case.make(folder) == path
    assert path.read_bytes() == before
    assert len(server.requests) == n_requests
    assert "is kept" in capsys.readouterr().out


def test_broken_off_is_resumed(case, server, tmp_path):
    for number, broken in enumerate(case.served):
        folder = tmp_path / str(number)
        server.requests.clear()
        server.failures[broken] = ["break"]
        with pytest.raises(fetch.SourceError, match="continues from there"):
            case.make(folder)
        assert_nothing_half_made(folder, case)
        (part,) = folder.rglob("*.part")
        kept = part.stat().st_size
        schema.open_recording(case.make(folder)).close()
        first, second = server.seen(broken)
        assert kept > 0
        assert second.start == kept
        # at most the last block was sent twice
        assert first.sent + second.sent < len(server.files[broken]) + fetch.BLOCK
        # what came whole before is not fetched again
        assert all(len(server.seen(path)) == 1 for path in case.served if path != broken)


def test_resumes_by_itself(case, server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "ATTEMPTS", 3)
    server.failures[case.served[0]] = ["break", "500"]
    schema.open_recording(case.make(tmp_path)).close()
    assert [request.start > 0 for request in server.seen(case.served[0])] == [False, False, True]


@pytest.mark.parametrize("failure", ["hang", "stall"])
def test_hang(case, server, tmp_path, failure):
    server.failures[case.served[0]] = [failure]
    start = time.monotonic()
    with pytest.raises(fetch.SourceError, match=r"no answer within 0.3 s"):
        case.make(tmp_path)
    assert time.monotonic() - start < 3
    assert_nothing_half_made(tmp_path, case)
    schema.open_recording(case.make(tmp_path)).close()


def test_nobody_there(tmp_path, server):
    with pytest.raises(fetch.SourceError, match="Check the network connection"):
        v4.make(tmp_path, url="http://127.0.0.1:1")
    with pytest.raises(fetch.SourceError, match="Check the address"):
        v4.make(tmp_path, url="folder/on/disk")


def test_html_instead_of_a_file(case, server, tmp_path):
    for path in case.served:
        server.failures[path] = ["html"]
        with pytest.raises(fetch.SourceError, match="web page instead of the file"):
            case.make(tmp_path)
        assert_nothing_half_made(tmp_path, case)
    schema.open_recording(case.make(tmp_path)).close()


def test_html_that_claims_to_be_a_file(case, server, tmp_path):
    for path in case.served:
        good = server.files[path]
        server.files[path] = HTML.content
        with pytest.raises((fetch.SourceError, RecordingError), match=r"removed|Fetch it again"):
            case.make(tmp_path)
        assert_nothing_half_made(tmp_path, case)
        server.files[path] = good
    schema.open_recording(case.make(tmp_path)).close()


def test_not_found(case, server, tmp_path):
    path = case.served[0]
    good = server.files.pop(path)
    with pytest.raises(fetch.MissingFileError, match="does not exist"):
        case.make(tmp_path)
    assert_nothing_half_made(tmp_path, case)
    server.files[path] = good
    schema.open_recording(case.make(tmp_path)).close()


def test_changed_on_the_server_is_not_spliced(server, tmp_path):
    server.files["/file"] = bytes(10_000)
    server.failures["/file"] = ["break"]
    with pytest.raises(fetch.SourceError):
        fetch.download(f"{server.url}/file", tmp_path / "file")
    server.files["/file"] = b"1" * 12_000
    assert fetch.download(f"{server.url}/file", tmp_path / "file").read_bytes() == b"1" * 12_000


def test_complete_part_is_used(server, tmp_path):
    server.files["/file"] = bytes(10_000)
    (tmp_path / "file.part").write_bytes(bytes(10_000))
    (tmp_path / "file.part.version").write_text(f'"{hashlib.sha1(bytes(10_000)).hexdigest()}"')
    assert fetch.download(f"{server.url}/file", tmp_path / "file").read_bytes() == bytes(10_000)
    assert not server.requests


def test_disk_full(server, tmp_path, monkeypatch):
    server.files["/file"] = bytes(10_000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5}))
    with pytest.raises(OSError, match="The disk is full: file needs"):
        fetch.download(f"{server.url}/file", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_two_at_once(case, server, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(case.make, [tmp_path, tmp_path]))
    assert paths[0] == paths[1]
    schema.open_recording(paths[0]).close()
    assert all(len(server.seen(path)) == 1 for path in case.served)


def test_what_lies_there_is_not_replaced(case, tmp_path):
    (tmp_path / case.file).write_bytes(HTML.content)
    with pytest.raises(RecordingError, match=r"no readable HDF5 file.*Remove it"):
        case.make(tmp_path)
    assert (tmp_path / case.file).read_bytes() == HTML.content


# the course's file


def test_course_file_is_kept_to_the_byte(server, tmp_path):
    content = course_file(tmp_path)
    server.files["/mirror/data.h5"] = content
    path = course.make(tmp_path, url=f"{server.url}/mirror/data.h5")
    assert path.read_bytes() == content


def remove_rates(file):
    del file["spikes_train"]


def nan_rates(file):
    file["spikes_train"][3, 2] = np.nan


def strange_object(file):
    file["object_test"][1] = b"cup"


def nameless_object(file):
    file["object_val"][4] = b""


def normalised_twice(file):
    file["stimulus_val"][2] = file["stimulus_val"][2] * 4.4


def fewer_neurons(file):
    values = file["spikes_val"][:, :3]
    del file["spikes_val"]
    file["spikes_val"] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_rates, "lacks spikes_train"),
        (nan_rates, "in neurons 2 at images 3"),
        (strange_object, "object_test.1.: No category knows the object 'cup'"),
        (nameless_object, "object_val.4. is empty"),
        (normalised_twice, "stimulus_val lies in"),
        (fewer_neurons, "spikes_val has the shape"),
    ],
)
def test_course_content_is_refused(server, tmp_path, change, message):
    server.files["/IT_data.h5"] = course_file(tmp_path, change)
    with pytest.raises(RecordingError, match=message) as caught:
        course.make(tmp_path, url=server.url)
    assert "itneurons get brainscore" in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".lock")]
    server.files["/IT_data.h5"] = course_file(tmp_path)
    schema.open_recording(course.make(tmp_path, url=server.url)).close()


@pytest.fixture
def drive(server, monkeypatch, tmp_path):
    """Google's hosts, answered by the server on loopback."""
    real = requests.Session.get

    def redirected(session, url, **options):
        for host in ("https://drive.google.com", "https://drive.usercontent.google.com"):
            url = url.replace(host, server.url)
        assert url.startswith(server.url)
        return real(session, url, **options)

    monkeypatch.setattr(requests.Session, "get", redirected)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # gdown reads half a megabyte at a time, and loses a block that breaks off
    monkeypatch.setattr(sys.modules[gdown.download.__module__], "CHUNK_SIZE", 1024)
    return server


CONFIRM = Served(
    b'<html><form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    b'<input type="hidden" name="id" value="1"><input type="hidden" name="confirm" value="t"></form></html>',
    "text/html",
)
QUOTA = Served(
    b'<html><p class="uc-error-caption">Sorry</p>\n<p class="uc-error-subcaption">Too many users have viewed or '
    b"downloaded this file recently.</p></html>",
    "text/html",
)


def test_drive_after_confirmation(drive, tmp_path):
    content = course_file(tmp_path)
    drive.files["/uc"] = CONFIRM
    drive.files["/download"] = Served(content, disposition='attachment; filename="IT_data.h5"')
    assert course.make(tmp_path).read_bytes() == content


@pytest.mark.parametrize(
    ("page", "said"),
    [(QUOTA, "Too many users have viewed"), (HTML, "Cannot retrieve the public link")],
)
def test_drive_quota(drive, tmp_path, page, said):
    drive.files["/uc"] = page
    with pytest.raises(fetch.SourceError, match="quota or asks to confirm") as caught:
        course.make(tmp_path)
    for part in (said, "itneurons get brainscore --folder", "in a browser"):
        assert part in str(caught.value)
    assert not list(tmp_path.glob("IT_data.h5*"))
    drive.files["/uc"] = Served(course_file(tmp_path), disposition='attachment; filename="IT_data.h5"')
    schema.open_recording(course.make(tmp_path)).close()


def test_drive_broken_off_is_resumed(drive, tmp_path):
    content = course_file(tmp_path)
    drive.files["/uc"] = Served(content, disposition='attachment; filename="IT_data.h5"')
    drive.failures["/uc"] = ["break"]
    with pytest.raises(fetch.SourceError, match=r"broke off.*the next call continues"):
        course.make(tmp_path)
    assert not (tmp_path / "IT_data.h5").exists()
    assert course.make(tmp_path).read_bytes() == content
    assert drive.seen("/uc")[-1].start > 0


@pytest.mark.parametrize("failure", ["hang", "500"])
def test_drive_does_not_answer(drive, tmp_path, failure):
    drive.files["/uc"] = Served(course_file(tmp_path), disposition='attachment; filename="IT_data.h5"')
    drive.failures["/uc"] = [failure]
    with pytest.raises(fetch.SourceError, match="Two other ways"):
        course.make(tmp_path)
    assert not list(tmp_path.glob("*.h5"))
    schema.open_recording(course.make(tmp_path)).close()


# the Brain-Score release


@pytest.mark.parametrize(
    ("identifier", "dims"),
    [
        ("stimulus_id", ("neuroid", "presentation", "time_bin")),
        ("image_id", ("presentation", "neuroid", "time_bin")),
        ("image_id", ("time_bin", "neuroid", "presentation")),
        ("stimulus_id", ("presentation", "neuroid")),
    ],
)
def test_brainscore_content(server, monkeypatch, tmp_path, identifier, dims, capsys):
    # several blocks of presentations
    monkeypatch.setattr(brainscore, "_BYTES_AT_ONCE", 2000)
    contents, means = release(tmp_path, identifier=identifier, dims=dims)
    publish(server, monkeypatch, contents)
    path = brainscore.make(tmp_path, url=server.url, image_size=SIZE)
    assert "It differs from the course's IT_data.h5" in capsys.readouterr().out
    images = random_images(40)
    found = []
    with schema.open_recording(path) as file:
        assert schema.text_of(file, "source").startswith("brainscore")
        assert "Majaj" in schema.text_of(file, "citation")
        assert {split: len(file[f"object_{split}"]) for split in schema.SPLITS} == {"train": 32, "val": 4, "test": 4}
        for split in schema.SPLITS:
            rates = schema.read_array(file, f"spikes_{split}")
            # an image is known by its rates
            index = [int(np.abs(means - row).sum(axis=1).argmin()) for row in rates]
            found += index
            np.testing.assert_allclose(rates, means[index], rtol=1e-6)
            assert schema.read_array(file, f"object_{split}") == [NAMES[OBJECTS[i % 4][1]] for i in index]
            resized = [np.asarray(Image.fromarray(images[i]).resize((SIZE, SIZE), Image.BILINEAR)) for i in index]
            np.testing.assert_allclose(file[f"stimulus_{split}"][:], schema.normalise(np.array(resized)), rtol=1e-6)
            # the same distribution over objects
            assert np.ptp(np.bincount(np.array(index) % 4, minlength=4)) == 0
            if split != "train":
                trials = schema.read_array(file, f"trials_{split}")
                assert trials.shape == (4, 4, 6)
                np.testing.assert_allclose(np.nanmean(trials, axis=0), rates, rtol=1e-5)
    assert sorted(found) == list(range(40))


def test_brainscore_seed(server, monkeypatch, tmp_path):
    publish(server, monkeypatch, release(tmp_path)[0])

    def rates(seed, name):
        folder = tmp_path / name
        with h5py.File(brainscore.make(folder, url=server.url, seed=seed, image_size=SIZE)) as file:
            return file["spikes_test"][:]

    first = rates(0, "first")
    np.testing.assert_array_equal(first, rates(0, "again"))
    assert not np.array_equal(first, rates(1, "other"))


def test_splits_of_the_release():
    objects = np.repeat(np.arange(64), 50)
    splits = brainscore.stratified_splits(objects, seed=0)
    assert {split: len(index) for split, index in splits.items()} == {"train": 2592, "val": 288, "test": 320}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(3200))
    assert set(np.bincount(objects[splits["test"]])) == {5}
    assert set(np.bincount(objects[splits["val"]])) == {4, 5}


def test_wrong_checksum(server, monkeypatch, tmp_path):
    publish(server, monkeypatch, release(tmp_path)[0])
    for name, _ in brainscore.FILES.values():
        good = server.files[f"/{name}"]
        server.files[f"/{name}"] = good[:-1] + bytes([good[-1] ^ 1])
        with pytest.raises(fetch.SourceError, match=f"{name} is not the file that was published: its SHA-1"):
            brainscore.make(tmp_path, url=server.url, image_size=SIZE)
        assert not (tmp_path / "IT_data.h5").exists()
        assert not list((tmp_path / brainscore.DOWNLOADS).glob(f"{name}*"))
        server.files[f"/{name}"] = good
    schema.open_recording(brainscore.make(tmp_path, url=server.url, image_size=SIZE)).close()


def only_v4(values, region, shown):
    region[:] = "V4"


def never_recorded(values, region, shown):
    values[4, shown == 11] = np.nan


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"members": evil_zip()}, "'../evil.png', which points out of the archive"),
        ({"members": evil_zip("harmless.png")}, "lacks 40 of 40 images"),
        ({"change": only_v4}, "has no sites in IT; its regions are V4"),
        ({"change": never_recorded}, "1 of 6 IT sites .* site site4 has none for image 11"),
        ({"identifier": "name"}, "lacks the coordinate stimulus_id or image_id along presentation"),
    ],
)
def test_brainscore_content_is_refused(server, monkeypatch, tmp_path, broken, message):
    publish(server, monkeypatch, release(tmp_path, **broken)[0])
    folder = tmp_path / "folder"
    with pytest.raises(RecordingError, match=message):
        brainscore.make(folder, url=server.url, image_size=SIZE)
    assert not list(folder.glob("*.h5"))
    assert not list(tmp_path.rglob("evil.png"))
    publish(server, monkeypatch, release(tmp_path)[0])
    schema.open_recording(brainscore.make(folder, url=server.url, image_size=SIZE)).close()


def test_missing_trials_are_averaged_over(server, monkeypatch, tmp_path):
    def change(values, region, shown):
        values[2, np.flatnonzero(shown == 5)[:2]] = np.nan

    contents, means = release(tmp_path, change)
    publish(server, monkeypatch, contents)
    with h5py.File(brainscore.make(tmp_path, url=server.url, image_size=SIZE)) as file:
        rates = np.concatenate([file[f"spikes_{split}"][:] for split in schema.SPLITS])
    assert np.abs(rates - means[5]).sum(axis=1).min() < 1e-5


@pytest.mark.parametrize(
    ("name", "category", "expected"),
    [
        ("car_astra", "Cars", "car_astra"),
        ("z3", "Cars", "car_z3"),
        ("f16", "Planes", "airplane_f16"),
        ("blCow", "Animals", "cow_blCow"),
        ("face0001", "", "face0001"),
        ("carrier", "Boats", "ship_c_a_r_r_i_e_r"),
    ],
)
def test_object_name(name, category, expected):
    assert brainscore.object_name(name, category) == expected


@pytest.mark.parametrize(
    ("name", "category", "message"),
    [
        ("breed_pug", "Animals", "'breed_pug' is said to be of the category 'Animals'"),
        ("z3", "", "No category knows"),
        ("z3", "Spoons", "category 'Spoons'; known are"),
    ],
)
def test_object_without_category(name, category, message):
    with pytest.raises(RecordingError, match=message):
        brainscore.object_name(name, category)


def test_course_and_brainscore_do_not_replace_each_other(server, monkeypatch, tmp_path):
    publish(server, monkeypatch, release(tmp_path)[0])
    server.files["/IT_data.h5"] = course_file(tmp_path)
    ours, theirs = tmp_path / "brainscore", tmp_path / "course"
    paths = brainscore.make(ours, url=server.url, image_size=SIZE), course.make(theirs, url=server.url)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(RecordingError, match=r"came from 'course', not from 'brainscore'.*Move it away"):
        brainscore.make(theirs, url=server.url)
    with pytest.raises(RecordingError, match=r"came from 'brainscore MajajHong2015.public', not from 'course'"):
        course.make(ours, url=server.url)
    assert [path.read_bytes() for path in paths] == before


# sessions in V4


@pytest.mark.parametrize("entry", ["image{:04d}.jpg", "images_201025/image{:04d}.jpg"])
def test_v4_content(server, tmp_path, entry):
    contents, averaged, raw = v4_files(entry=entry)
    publish_v4(server, contents)
    path = v4.make(tmp_path, url=server.url, seed=4, image_size=56)
    assert sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".lock")) == [path.name]
    with schema.open_recording(path) as file:
        assert schema.text_of(file, "source").startswith("v4 session 201025")
        assert schema.text_of(file, "unit") == "spikes in 100 ms"
        for split, chosen in v4.random_splits(40, seed=4).items():
            assert len(chosen) == {"train": 32, "val": 4, "test": 4}[split]
            np.testing.assert_allclose(file[f"spikes_{split}"][:], averaged.T[chosen], rtol=1e-6)
            assert file[f"stimulus_{split}"].shape == (len(chosen), 3, 56, 56)
            assert schema.read_array(file, f"object_{split}") == [""] * len(chosen)
            if split == "train":
                continue
            trials = schema.read_array(file, f"trials_{split}")
            np.testing.assert_array_equal(trials, raw.transpose(2, 1, 0)[:, chosen].astype(np.float32))
        # the images are in the order of the responses
        with zipfile.ZipFile(io.BytesIO(contents["images"])) as archive:
            first = Image.open(archive.open(entry.format(v4.random_splits(40, seed=4)["val"][0] + 1)))
        expected = schema.normalise(np.asarray(first.resize((56, 56), Image.BICUBIC)))
        np.testing.assert_allclose(file["stimulus_val"][0], expected, rtol=1e-6)


def test_v4_halves_are_those_of_the_authors(server, tmp_path):
    contents, averaged, _ = v4_files()
    publish_v4(server, contents)
    path = v4.make(tmp_path, split="halves", url=server.url, image_size=SIZE)
    with schema.open_recording(path) as file:
        assert [len(file[f"spikes_{split}"]) for split in schema.SPLITS] == [18, 2, 20]
        # the second half in its order, and all of the first half
        np.testing.assert_allclose(file["spikes_test"][:], averaged.T[20:], rtol=1e-6)
        first = np.concatenate([file["spikes_train"][:], file["spikes_val"][:]])
        np.testing.assert_allclose(np.sort(first, axis=0), np.sort(averaged.T[:20], axis=0), rtol=1e-6)
    # which split a file has is said in it, and another one is not taken for it
    assert v4.make(tmp_path, split="halves", url=server.url) == path
    with pytest.raises(RecordingError, match=r"it came from .*halves"):
        v4.make(tmp_path, url=server.url)


def test_v4_without_raw_responses(server, tmp_path, capsys):
    contents, *_ = v4_files()
    del contents["raw"]
    publish_v4(server, contents)
    with h5py.File(v4.make(tmp_path, url=server.url, image_size=SIZE)) as file:
        assert "trials_val" not in file
        assert "spikes_test" in file
    assert "without a noise ceiling" in capsys.readouterr().out


def test_v4_several_sessions(server, tmp_path):
    contents, *_ = v4_files()
    for session in ("201025", "210325"):
        publish_v4(server, contents, session)
    names = ["V4_data_201025.h5", "V4_data_210325.h5"]
    assert v4.make(tmp_path, 210325, url=server.url, image_size=SIZE).name == names[1]
    assert [path.name for path in v4.make(tmp_path, ["201025", "210325"], url=server.url, image_size=SIZE)] == names


def test_v4_source_folder(tmp_path):
    contents, *_ = v4_files()
    flat, clone = tmp_path / "flat", tmp_path / "clone"
    for kind, (remote, local) in v4.FILES.items():
        for path in (flat / local.format("201025"), clone / remote.format("201025")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[kind])
    made = [v4.make(tmp_path / folder.name[0], source_folder=folder, image_size=SIZE) for folder in (flat, clone)]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert all((flat / local.format("201025")).exists() for _, local in v4.FILES.values())
    with pytest.raises(fetch.SourceError, match=r"neither images_210325.zip nor"):
        v4.make(tmp_path, "210325", source_folder=flat)


def test_v4_content_is_refused(server, tmp_path):
    contents, averaged, raw = v4_files()
    refused = {
        "1 of 5 neurons have responses that are NaN or infinite, neurons 3": {"averaged": nan_at(averaged, 3, 8)},
        "lacks 40 of 40 images": {"images": evil_zip("image9.png")},
        "holds 40 images, but .* responses to 39": {"averaged": saved(averaged[:, :39]), "raw": saved(raw[:, :39])},
        "'../evil.png', which points out of the archive": {"images": evil_zip()},
        "do not average to the averaged ones": {"raw": saved(raw[:4])},
        "expected numbers in 2 dimensions": {"averaged": saved(raw)},
        "no readable ZIP archive": {"images": contents["images"][:-100]},
        "no readable NumPy array": {"averaged": contents["averaged"][:-100]},
    }
    for message, broken in refused.items():
        publish_v4(server, contents | broken)
        with pytest.raises(RecordingError, match=message):
            v4.make(tmp_path, url=server.url, image_size=SIZE)
        assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])
    assert not list(tmp_path.rglob("evil.png"))
    publish_v4(server, contents)
    schema.open_recording(v4.make(tmp_path, url=server.url, image_size=SIZE)).close()


def nan_at(averaged, neuron, image):
    changed = averaged.copy()
    changed[neuron, image] = np.nan
    return saved(changed)


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "responses.npy"
    np.save(path, np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(RecordingError, match="no readable NumPy array"):
        v4.read_responses(path, 2)


@pytest.mark.parametrize("session", ["201016", "../201025", "1"])
def test_v4_unknown_session(tmp_path, session):
    with pytest.raises(fetch.SourceError, match=r"There is no V4 session .* known are 190923"):
        v4.make(tmp_path, session)


@pytest.mark.parametrize("name", ["/evil.png", "a/../../evil.png", "..\\evil.png", "C:evil.png"])
def test_archive_refuses_paths(tmp_path, name):
    path = tmp_path / "images.zip"
    path.write_bytes(evil_zip(name))
    with pytest.raises(RecordingError, match="points out of the archive"):
        ImageArchive(path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real V4 recordings in the folder shared")
def test_real_sessions(tmp_path):
    for session in ("201025", "210325"):
        known = v4.SESSIONS[session]
        path = v4.make(tmp_path, session, source_folder=SHARED, image_size=16)
        averaged = np.load(SHARED / f"responses_repeat_averaged_{session}.npy").T
        with schema.open_recording(path) as file:
            shapes = [file[f"spikes_{split}"].shape for split in schema.SPLITS]
            assert sum(n_images for n_images, _ in shapes) == known.n_images
            assert {n_neurons for _, n_neurons in shapes} == {known.n_neurons}
            for split, chosen in v4.random_splits(known.n_images, seed=0).items():
                np.testing.assert_allclose(file[f"spikes_{split}"][:], averaged[chosen], rtol=1e-6)
            assert ("trials_val" in file) == (session == "210325")
            if "trials_val" in file:
                trials = schema.read_array(file, "trials_val")
                assert trials.shape == (10, 64, 50)
                np.testing.assert_allclose(np.nanmean(trials, axis=0), file["spikes_val"][:], rtol=1e-5, atol=1e-5)


def test_the_help_lists_what_each_session_holds(capsys):
    with pytest.raises(SystemExit):
        main(["get", "v4", "--help"])
    printed = capsys.readouterr().out
    session = v4.SESSIONS["210325"]
    row = next(line for line in printed.splitlines() if line.startswith("210325"))
    assert row.split()[:4] == ["210325", str(session.n_neurons), str(session.n_images), str(session.n_repeats)]
