"""Files appear whole or not at all, whatever goes wrong while they are written."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from itneurons.storage.files import is_gone, megabytes, process_name, written_whole


@pytest.fixture(params=["plain", "with spaces", "Übung été"])
def folder(request, tmp_path):
    path = tmp_path / request.param
    path.mkdir()
    return path


def test_a_file_appears_when_it_is_whole(folder):
    path = folder / "deeper" / "data.h5"
    with written_whole(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".h5"
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "usual").touch()
    with written_whole(tmp_path / "whole"):
        pass
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), OSError(errno.EIO, "broken")])
def test_what_was_there_stays_when_writing_fails(folder, error):
    path = folder / "data.txt"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(type(error)) as raised, written_whole(path) as temporary:
        fail(temporary)
    assert raised.value is error
    assert path.read_text() == "old"
    assert list(folder.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(folder):
    folder.chmod(0o500)
    with pytest.raises(PermissionError, match=f"No permission to write in {folder}; choose another"):
        written_whole(folder / "data.txt").__enter__()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_refused_folder_is_named(folder, monkeypatch, number):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError, match=f"No permission to write in {folder}; choose another") as raised:
        written_whole(folder / "data.txt").__enter__()
    assert raised.value.errno == number


def write_bytes(path):
    path.write_bytes(bytes(4_000_000))


def write_array(path):
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("values", data=np.ones(1_000_000, dtype=np.float32), chunks=True, fletcher32=True)


def write_tensor(path):
    torch.save({"weights": torch.ones(1_000_000)}, path)


# HDF5 may crash on a full disk, so that it needs to be told beforehand
@pytest.mark.parametrize(
    ("write", "needed"),
    [(write_bytes, 4_000_000), (write_bytes, None), (write_array, 4_000_000), (write_tensor, 4_000_000)],
)
def test_a_full_disk_is_named_with_what_is_needed_and_free(small_disk, write, needed):
    path = small_disk / "data"
    path.write_text("old")
    with pytest.raises(OSError, match="The disk is full") as raised, written_whole(path, needed) as temporary:
        write(temporary)
    assert raised.value.errno == errno.ENOSPC
    assert ("needs about 4.0 MB" if needed else "does not fit") in str(raised.value)
    assert re.search(rf"1\.0 MB are free in {small_disk}", str(raised.value))
    assert path.read_text() == "old"
    assert list(small_disk.iterdir()) == [path]


def test_other_errors_are_not_taken_for_a_full_disk(small_disk):
    with pytest.raises(RuntimeError, match=r"^no gradient$"), written_whole(small_disk / "data", 1000):
        raise RuntimeError("no gradient")


def test_a_disk_that_is_too_small_is_known_before_anything_is_written(small_disk):
    with pytest.raises(OSError, match=r"needs about 4\.0 MB, 1\.0 MB are free"):
        written_whole(small_disk / "data", 4_000_000).__enter__()


def test_megabytes_are_read_by_people():
    assert megabytes(384_123_456) == "384.1 MB"
    assert megabytes(12_345_678_901) == "12,345.7 MB"


def test_a_process_that_ended_is_gone():
    assert not is_gone(process_name())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    host = process_name().rpartition("-")[0]
    # nobody has waited for it yet
    while ended.poll() is None:
        time.sleep(0.01)
    assert is_gone(f"{host}-{ended.pid}")
    assert not is_gone(f"another_machine-{ended.pid}")
    assert not is_gone("")


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from itneurons.storage.files import written_whole
with written_whole(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(folder):
    path, root = folder / "data.txt", str(Path(__file__).resolve().parents[1])
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, root], stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    assert [writer.stdout.readline() for writer in writers] == ["writing\n"] * 2
    writers[0].kill()
    writers[0].communicate()
    assert len(list(folder.iterdir())) == 2
    with written_whole(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    (other,) = set(folder.iterdir()) - {path}
    assert f"-{writers[1].pid}~" in other.name
    writers[1].kill()
    writers[1].communicate()
