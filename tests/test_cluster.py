"""Networks handed to a Dask cluster of two workers on loopback, one of which is killed."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from itneurons.__main__ import main
from tests.notebooks import HERE

distributed = pytest.importorskip("distributed")
# what a cluster leaves open when a worker is killed is Dask's
pytestmark = pytest.mark.filterwarnings("ignore")

SLOW = """
import os, time
from pathlib import Path
import torch
from torch import nn


class Noted(nn.Conv2d):
    def forward(self, x):
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(f"{os.getpid()} {self.out_channels}\\n")
        time.sleep(0.2)
        return super().forward(x)


def build(width):
    model = nn.Sequential(Noted(3, width, 3, 2), nn.ReLU(), Noted(width, width + 1, 3, 2))
    model.input_size = 32
    return model


def first():
    return build(4)


def second():
    return build(8)
"""


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its two workers: processes of their own, as on other machines."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "NOTES": str(tmp_path / "notes"), "OMP_NUM_THREADS": "1"}
    (tmp_path / "notes").touch()
    file = tmp_path / "scheduler.json"
    options = {"env": environment, "cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen(command, **options)]
    try:
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-nanny"]
        worker += ["--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
        processes += [subprocess.Popen(worker, **options) for _ in range(2)]
        with distributed.Client(scheduler_file=str(file), timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
            yield client.scheduler.address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait(30)


def test_a_worker_that_dies_costs_its_unfinished_layers(cluster, recording, tmp_path):
    address, workers = cluster
    networks = tmp_path / "networks.py"
    networks.write_text(SLOW)
    command = [sys.executable, "-m", "itneurons", "score", f"{networks}:first", f"{networks}:second"]
    # a layer a group: 120 images of at most 4 x 15 x 15 values, so that one is stored while others wait
    command += ["--data", str(recording), "--layers", "0", "1", "2", "--disk", "0.0004", "--scheduler", address]
    command += ["--output", str(tmp_path / "out")]
    notes = tmp_path / "notes"
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 300
            stored = tmp_path / "out" / "Scores"
            while not list(stored.glob("*/*.h5")) and time.monotonic() < deadline:
                assert run.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
            # the one that has stored a layer is killed; the other has a network of its own
            name = next(stored.glob("*/*.h5")).parent.name
            width = "4" if name.endswith("first") else "8"
            pid = next(line.split()[0] for line in notes.read_text().splitlines() if line.endswith(f" {width}"))
            os.kill(int(pid), signal.SIGKILL)
            assert run.wait(300) == 0, (tmp_path / "log").read_text()
        finally:
            run.kill()
    assert int(pid) in [worker.pid for worker in workers]
    board = pd.read_csv(tmp_path / "out" / "figures" / "leaderboard.csv")
    assert set(board["network"]) == {f"{networks}:first", f"{networks}:second"} and set(board["layers"]) == {3}
    # the layer that was stored was not scored again: its network was seen twice, once for the other layers alone
    assert len(list(stored.glob("*/*.h5"))) == 6


def test_without_a_scheduler_it_says_so(recording, tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"score: no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        main(["score", "resnet18", "--data", str(recording), "--scheduler", "tcp://127.0.0.1:9"])
