"""The notebooks, small, executed as ``make run`` does: to the end, or for a while."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parents[1]
NOTEBOOKS = ("week6", "week7", "week9", "test")
SETTINGS = {
    "RECORDING": {"sizes": [160, 48, 48], "image_size": 64, "n_neurons": 12, "n_trials": 10},
    "N_COMPONENTS": 40,
    "N_TRIALS": 5,
    "SEARCH_EPOCHS": 2,
    "EPOCHS": 2,
    "EPOCHS_FOR": 0,
    "IMAGE_SIZE": 32,
    "BUDGET": "tiny",
    "OTHER_BACKBONES": [],
    "STEPS": 5,
}


class Run:
    """Notebooks that are being executed, on one thread, in processes of their own."""

    def __init__(self, folder, output, *notebooks, data="simulated", clone=HERE, **settings):
        settings = {**SETTINGS, "FOLDER": str(folder), "OUTPUT": str(output), **settings}
        command = [sys.executable, "-m", "itneurons", "run", *notebooks, "--data", data]
        for name, value in settings.items():
            command += ["--set", f"{name}={value!r}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.start = time.perf_counter()
        # not a pipe, which would have to be read all the time
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, cwd=clone, env=environment, stdout=self.log, stderr=subprocess.STDOUT, text=True
        )

    def finish(self, timeout=900):
        """Wait for the end; gives the exit status and all that was printed."""
        with self.log:
            try:
                status = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._kill()
                raise
            self.log.seek(0)
            return status, self.log.read()

    def kill_after(self, seconds):
        """Kill -9, the kernel with it, unless they end by themselves before; gives whether they were killed."""
        try:
            self.process.wait(max(seconds - (time.perf_counter() - self.start), 0))
            return False
        except subprocess.TimeoutExpired:
            with self.log:
                self._kill()
            return True

    def _kill(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in children:
            # some end when they lose their parent
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # our own child is waited for here: psutil would do it behind the back of Popen, which takes it for running then
        self.process.wait(30)
        psutil.wait_procs(children, timeout=30)


def run(*arguments, **settings):
    """Execute notebooks to the end; gives what was printed."""
    status, log = Run(*arguments, **settings).finish()
    assert status == 0, log[-5000:]
    return log
