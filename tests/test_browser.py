"""The notebooks as a student opens them: JupyterLab and Notebook on loopback, every cell run in a real browser."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from PIL import Image

from tests.notebooks import HERE, NOTEBOOKS, SETTINGS

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

# a browser that asks for nothing beyond this machine
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ERROR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'
STDERR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
CODE = ".jp-Notebook .jp-CodeCell"


@pytest.fixture(scope="module")
def lab(finished_run, tmp_path_factory):
    """Address of a JupyterLab whose folder holds the notebooks, set to a small size, and all they have stored."""
    folder = tmp_path_factory.mktemp("lab")
    output = folder / "output"
    shutil.copytree(finished_run[1], output)
    settings = {**SETTINGS, "DATA": "simulated", "FOLDER": str(finished_run[0]), "OUTPUT": str(output)}
    for name in NOTEBOOKS:
        notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source += "".join(f"\n{key} = {value!r}" for key, value in settings.items())
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / f"{name}.ipynb")
    # cells out of sight stay on the page
    tracker = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"]
    command += ["--IdentityProvider.token=", "--ServerApp.open_browser=False"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield wait_for(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()
            server.wait(30)


def wait_for(address, server, seconds=90):
    """The address, once a server answers there."""
    for _ in range(seconds):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=1):
            return address
        assert server.poll() is None, "JupyterLab ended before it answered"
        time.sleep(1)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def run_all(browser, address):
    """The page of a notebook after every cell has run."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector(CODE)
    # a kernel that is there
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached")
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    deadline = time.monotonic() + 600
    prompts = [""]
    while time.monotonic() < deadline and not all(prompts):
        time.sleep(1)
        # [*] while a cell runs or waits
        prompts = [text.strip("[]:* ") for text in page.locator(f"{CODE} .jp-InputPrompt").all_inner_texts()]
        if page.locator(ERROR).count():
            break
    assert page.locator(ERROR).all_inner_texts() == []
    assert prompts == [str(number) for number in range(1, len(prompts) + 1)]
    return page


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_cell_runs_and_shows_its_figures(browser, lab, name):
    page = run_all(browser, f"{lab}/lab/tree/{name}.ipynb?reset")
    source = json.loads((HERE / f"{name}.ipynb").read_text())
    drawn = sum("plots.save(" in "".join(cell["source"]) for cell in source["cells"])
    # a figure may be left out where recordings lack what it shows
    assert page.locator(".jp-OutputArea-output img").count() >= drawn - 1
    assert all("Warning" not in text for text in page.locator(STDERR).all_inner_texts())
    page.close()


@pytest.mark.parametrize("front_end", ["lab/tree", "notebooks"])
def test_the_explorer_answers(browser, lab, tmp_path, front_end):
    if front_end == "notebooks":
        pytest.importorskip("notebook")
    picture = tmp_path / "my picture.png"
    Image.radial_gradient("L").save(picture)
    page = run_all(browser, f"{lab}/{front_end}/test.ipynb")
    portrait = page.locator(".widget-vbox img").first
    portrait.wait_for()
    before = portrait.get_attribute("src")
    page.locator(".widget-slider .noUi-handle").first.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.widget-vbox img').src != before", arg=before)
    page.locator(".widget-vbox input[type=file]").set_input_files(picture)
    page.get_by_text("answers most").wait_for()
    assert "my picture.png" in page.get_by_text("answers most").inner_text()
    assert page.locator(".widget-vbox img").nth(1).is_visible()
    page.close()
