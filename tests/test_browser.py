"""The notebooks as a student opens them: JupyterLab and Notebook 7 on loopback, every cell run in a real browser."""

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
pytest.importorskip("notebook")


def starts(browser):
    """Whether there is such a browser; Ubuntu has programs of this name that only say where to get it."""
    return bool(shutil.which(browser)) and not subprocess.run([browser, "--version"], capture_output=True).returncode


CHROMIUM = shutil.which(next(filter(starts, ("chromium", "chromium-browser", "google-chrome")), ""))
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

# a browser that asks for nothing beyond this machine
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# one who may see this machine's loopback may use it
OPEN = ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
# cells out of sight stay on the page, and nobody asks for news
LAB_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
CODE = ".jp-Notebook .jp-CodeCell"
OUTPUT = ".jp-OutputArea-output"
ERROR = f'{OUTPUT}[data-mime-type="application/vnd.jupyter.error"]'
# machines that many share take their time
SECONDS = 120
READY = """() => {
    const kernel = document.querySelector('.jp-Toolbar-kernelName, .jp-KernelName');
    const indicator = document.querySelector('.jp-Notebook-ExecutionIndicator');
    return kernel?.innerText.startsWith('Python') && indicator?.dataset.status === 'idle';
}"""
# [ ] before a cell runs, [*] while it runs or waits, [1] afterwards
FINISHED = f"""() => {{
    const prompts = [...document.querySelectorAll('{CODE} .jp-InputPrompt')].map(prompt => prompt.innerText.trim());
    return document.querySelector('{ERROR}') || prompts.every(prompt => /^\\[[0-9]+\\]:$/.test(prompt));
}}"""
DRAWN = "images => images.filter(image => image.complete && image.naturalWidth > 100).length"


@pytest.fixture(scope="module")
def server(finished_run, tmp_path_factory):
    """Address of a JupyterLab whose folder holds the notebooks, set to a small size, and all they have stored."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks, output = folder / "notebooks", folder / "output"
    notebooks.mkdir()
    shutil.copytree(finished_run[1], output)
    settings = {**SETTINGS, "DATA": "simulated", "FOLDER": str(finished_run[0]), "OUTPUT": str(output)}
    for name in NOTEBOOKS:
        notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source += "".join(f"\n{key} = {value!r}" for key, value in settings.items())
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, notebooks / f"{name}.ipynb")
    for name, content in LAB_SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, *OPEN], cwd=notebooks, env=environment, stdout=log, stderr=log)
        try:
            yield answering(f"http://127.0.0.1:{port}", process, folder / "log")
        finally:
            process.terminate()
            process.wait(60)


def answering(address, process, log):
    """The address, once the process answers there."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
            return address
        time.sleep(0.5)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(1000 * SECONDS)
    yield page
    page.close()
    # the next notebook starts from nothing, and has the memory
    with urllib.request.urlopen(f"{server}/api/kernels", timeout=SECONDS) as answer:
        kernels = json.load(answer)
    for kernel in kernels:
        order = urllib.request.Request(f"{server}/api/kernels/{kernel['id']}", method="DELETE")
        urllib.request.urlopen(order, timeout=SECONDS).close()


def run_all(page, address):
    """Open a notebook, run every cell, and look at what came out."""
    page.goto(address)
    # before its kernel is there, a notebook takes no orders
    page.wait_for_function(READY, polling=200)
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    page.wait_for_function(FINISHED, polling=500, timeout=5000 * SECONDS)
    assert page.locator(ERROR).all_inner_texts() == []
    assert [text for text in page.locator(OUTPUT).all_inner_texts() if "Warning" in text] == []


@pytest.mark.parametrize(("front_end", "name"), [*(("lab/tree", name) for name in NOTEBOOKS), ("notebooks", "test")])
def test_every_cell_runs_and_shows_its_figures(page, server, front_end, name, tmp_path):
    run_all(page, f"{server}/{front_end}/{name}.ipynb?reset")
    source = json.loads((HERE / f"{name}.ipynb").read_text())
    expected = sum("plots.save(" in "".join(cell["source"]) for cell in source["cells"])
    # a figure may be left out where so few recordings lack what it shows
    assert page.locator(f"{OUTPUT} img").evaluate_all(DRAWN) >= expected - 2
    if name == "test":
        the_explorer_answers(page, tmp_path)


def the_explorer_answers(page, folder):
    """Move its slider, click a dot, upload a picture: each changes what is on the page."""
    explorer = page.locator(".widget-vbox").first
    pictures = explorer.locator(":scope > .widget-image")
    dots, portrait = explorer.locator("input[type=radio]"), pictures.nth(0)
    seen = [portrait.get_attribute("src")]

    def width(image):
        return image.evaluate("image => image.decode().then(() => image.naturalWidth)")

    def chosen():
        """The dot that is chosen, once the portrait is one that has not been seen yet."""
        page.wait_for_function("([image, seen]) => !seen.includes(image.src)", arg=[portrait.element_handle(), seen])
        assert width(portrait) > 500
        seen.append(portrait.get_attribute("src"))
        return dots.evaluate_all("dots => dots.findIndex(dot => dot.checked)")

    assert dots.nth(0).is_checked()
    track = explorer.locator(".noUi-base")
    track.click(position={"x": track.bounding_box()["width"] * 3 / 11, "y": 2})
    assert chosen() == 3
    # where dots lie on each other, it is the one on top that is clicked
    dots.nth(6).click(force=True)
    clicked = chosen()
    place, on_top = dots.nth(6).bounding_box(), dots.nth(clicked).bounding_box()
    assert abs(on_top["x"] - place["x"]) < place["width"] and abs(on_top["y"] - place["y"]) < place["height"]
    assert explorer.locator(".widget-readout").inner_text() == str(clicked + 1)
    # and by the keyboard
    dots.nth(9).press("Tab")
    page.keyboard.press("Space")
    assert chosen() == 10
    picture = folder / "my picture.png"
    Image.radial_gradient("L").save(picture)
    with page.expect_file_chooser() as chooser:
        explorer.locator(".widget-upload").click()
    chooser.value.set_files(picture)
    explorer.get_by_text(re.compile(r"my picture\.png: neuron \d+ answers most")).wait_for()
    pictures.nth(1).wait_for()
    assert width(pictures.nth(1)) > 500
