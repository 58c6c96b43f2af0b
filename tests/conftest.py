"""What the tests share: one small made-up recording, figures that never open a window."""

import os
import subprocess

import matplotlib
import pytest
import torch
from threadpoolctl import threadpool_limits

from itneurons.recordings import schema
from tests.notebooks import run
from tests.small import made_up

matplotlib.use("Agg")
# for problems this small threads cost more than they bring, above all where the cores are shared
threadpool_limits(1)
torch.set_num_threads(1)
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Where several processes share the tests, those of a file stay together, and those that share a finished run."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            group = "notebooks" if "finished_run" in item.fixturenames else item.module.__name__
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def same_draws():
    """A test draws the same numbers alone, among others and in every process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def content():
    """What the recording holds, as it was handed to ``itneurons.recordings.schema.write``."""
    return made_up()


@pytest.fixture(scope="session")
def recording(tmp_path_factory, content):
    """A small recording on disk, to be read only."""
    return schema.write(tmp_path_factory.mktemp("recording") / "IT_data.h5", **content)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A folder with recordings, one in which all four notebooks have run, and what they printed."""
    folder = tmp_path_factory.mktemp("recordings, größer")
    output = tmp_path_factory.mktemp("output")
    return folder, output, run(folder, output)


@pytest.fixture(scope="module")
def single_precision():
    """As on a processor that has no bfloat16: for what is compared with single precision digit by digit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
        yield


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of a megabyte."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
