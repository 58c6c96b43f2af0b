"""Tensors in a temporary file: nothing is left behind, and their memory can be given back."""

import sys
from pathlib import Path

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
