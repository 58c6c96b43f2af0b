"""A search in a real PostgreSQL that several processes share; skipped where there is no PostgreSQL."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from itneurons.networks.search import finished_trials, open_study

HERE = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def database():
    """Address of a database on a server that lives as long as the test."""
    pytest.importorskip("psycopg")
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    # a link may lead to initdb alone
    programs = next((path for path in folders if (path / "pg_ctl").exists() and (path / "initdb").exists()), None)
    if programs is None:
        pytest.skip("there is no PostgreSQL here")
    # the server refuses to run as root
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = tempfile.mkdtemp(prefix="postgres-")
    if user:
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def call(program, *arguments):
        subprocess.run([programs / program, "-D", f"{folder}/data", *arguments], check=True, cwd=folder, **user)

    try:
        call("initdb", "-A", "trust", "-U", "optuna")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder}"
        call("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://optuna@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def worker(database, number, folder, *options):
    """A process that takes part in the search; it does not outlive the block."""
    command = [sys.executable, "-m", "tests.search_worker", database, str(number), str(folder), *options]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def workers(database, tmp_path):
    """The first hangs in its third trial."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(worker(database, number, tmp_path, *options))
            for number, options in enumerate([("2",), (), (), ()])
        ]


def test_four_workers_share_forty_trials_and_one_is_killed(database, workers, tmp_path):
    victim, *others = workers
    deadline = time.monotonic() + 120
    while not (tmp_path / "hangs").exists():
        assert time.monotonic() < deadline
        assert victim.poll() is None
        time.sleep(0.05)
    victim.kill()
    victim.communicate()
    found = [json.loads(process.communicate(timeout=240)[0])["best"] for process in others]
    assert [process.returncode for process in others] == [0, 0, 0]

    records = {int(path.stem): json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    killed = int((tmp_path / "hangs").read_text())
    assert records[killed]["worker"] == "0"
    study = open_study("shared", database)
    assert study.trials[killed].state.name == "FAIL"
    finished = finished_trials(study)
    # none lost: as many as asked for, and each with the score that its worker computed
    assert len(finished) == 40
    assert [trial.value for trial in finished] == [records[trial.number]["value"] for trial in finished]
    # none twice: what ran and is not finished is the one that was killed
    assert set(records) - {trial.number for trial in finished} == {killed}
    # tried again, with the same parameters
    again = [trial for trial in finished if trial.params == records[killed]["params"]]
    assert len(again) == 1
    assert len({json.dumps(trial.params) for trial in finished}) == 40
    assert {records[trial.number]["worker"] for trial in finished} == {"0", "1", "2", "3"}
    assert found == [study.best_value] * 3
    assert study.best_value == max(records[trial.number]["value"] for trial in finished)
