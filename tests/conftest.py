"""What the tests share: one small made-up recording, figures that never open a window."""

import matplotlib
import pytest
import torch
from threadpoolctl import threadpool_limits

from recordings import schema
from tests.small import made_up

matplotlib.use("Agg")
# for problems this small threads cost more than they bring, above all where the cores are shared
threadpool_limits(1)
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def content():
    """What the recording holds, as it was handed to ``recordings.schema.write``."""
    return made_up()


@pytest.fixture(scope="session")
def recording(tmp_path_factory, content):
    """A small recording on disk, to be read only."""
    return schema.write(tmp_path_factory.mktemp("recording") / "IT_data.h5", **content)
