"""Tensors in a temporary file: nothing is left behind, and their memory can be given back."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from itneurons.storage import disk_tensors


def resident(name):
    """Bytes that a mapped file takes in this process."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = name in line
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of a process")
def test_what_is_released_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = torch.randn(1000, 10_000)
    tensor = disk_tensors.allocate(values.shape, values.dtype)
    assert list(tmp_path.iterdir()) == []
    tensor.copy_(values)
    assert resident("activations-") >= values.nbytes
    disk_tensors.release(tensor[10:].flatten(1))
    assert resident("activations-") < values.nbytes / 10
    assert torch.equal(tensor, values)


def test_other_tensors_are_left_alone():
    values = torch.arange(5.0)
    disk_tensors.release(values)
    assert values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of a process")
def test_rows_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = torch.randn(1000, 10_000)
    tensor = disk_tensors.allocate(values.shape, values.dtype)
    tensor.copy_(values)
    chosen = np.random.default_rng(0).permutation(1000)[:900]
    # what is small is copied
    assert torch.equal(disk_tensors.rows(tensor, chosen), values[chosen])
    assert resident("activations-") < values.nbytes / 10
    monkeypatch.setattr(disk_tensors, "_COPIED", 900 * 40_000 - 1)
    rows = disk_tensors.rows(tensor, chosen)
    assert isinstance(rows, disk_tensors.Rows)
    assert (rows.shape, len(rows)) == ((900, 10_000), 900)
    assert torch.equal(rows[100:300:7], values[chosen[100:300:7]])
    for part, expected in zip(rows.split(64), torch.as_tensor(values[chosen]).split(64), strict=True):
        assert torch.equal(part, expected)
        assert resident("activations-") < values.nbytes / 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("in_memory", [True, False])
def test_columns_come_back_as_rows_were_written(tmp_path, monkeypatch, dtype, in_memory):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = torch.randn(50, 1000).to(dtype)
    columns = disk_tensors.Columns(values.shape, dtype, in_memory, width=300)
    for first in range(0, 50, 16):
        columns.write(first, values[first : first + 16])
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        read = [part.clone() for part in columns]
        assert [part.shape[1] for part in read] == [300, 300, 300, 100]
        assert torch.equal(torch.cat(read, dim=1), values)


def test_columns_need_room_on_the_disk(monkeypatch):
    monkeypatch.setattr(disk_tensors.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1e6}))
    with pytest.raises(OSError, match=r"disk is full.*need 4.0 MB.*1.0 MB are free"):
        disk_tensors.Columns((1000, 1000), torch.float32)
    disk_tensors.Columns((1000, 1000), torch.float32, in_memory=True)
