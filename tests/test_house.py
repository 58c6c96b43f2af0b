"""The house: what stands where, what imports what, and what an installation holds."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import itneurons

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

HERE = Path(__file__).resolve().parents[1]
# fmt: off
TOP_LEVEL = [
    "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md",
    "Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt", ".gitignore", ".ci", ".github",
    "week6.ipynb", "week7.ipynb", "week9.ipynb", "test.ipynb", "utils.py", "res_cnn_layer3.pth",
    "Activations", "Activations_RND", "figures",
    "itneurons", "tests", "benchmarks",
]
# fmt: on


def tracked():
    """Files that git knows, relative to the top."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HERE, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is not a clone")
    return [Path(name) for name in listed.stdout.split("\0") if name]


def python(*arguments, cwd=HERE):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def project():
    return tomllib.loads((HERE / "pyproject.toml").read_text())["project"]


def test_the_top_level_is_the_course_and_one_package():
    assert sorted({path.parts[0] for path in tracked()}) == sorted(TOP_LEVEL)
    assert [path.name for path in tracked() if len(path.parts) == 1 and path.suffix == ".py"] == ["utils.py"]


@pytest.mark.parametrize("folder", ["Activations", "Activations_RND"])
def test_stored_layers_stay_out_of_git(folder):
    assert [path.name for path in tracked() if path.parts[0] == folder] == ["README.md"]
    layers = [f"{folder}/simulated_layer3.h5", f"{folder}/.simulated_layer3.h5.lock", f"{folder}/README.md"]
    ignored = subprocess.run(["git", "check-ignore", "--no-index", *layers], cwd=HERE, capture_output=True, text=True)
    assert ignored.stdout.split() == layers[:2]


def test_both_lists_of_requirements_agree():
    lines = (HERE / "requirements.txt").read_text().splitlines()
    assert sorted(lines) == sorted(project()["dependencies"])
    # each says how old it may be, which ``make lower`` tests
    assert [line for line in lines if not re.fullmatch(r"[\w-]+[=>]=[\d.]+", line)] == []


def test_the_version_is_the_same_everywhere():
    cited = re.search(r"^version: (.+)$", (HERE / "CITATION.cff").read_text(), re.MULTILINE)[1]
    latest = re.search(r"^## (.+)$", (HERE / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert itneurons.__version__ == project()["version"] == cited == latest


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("itneurons.evaluation", ["torch", "matplotlib"]),
        ("utils", ["gdown", "xarray", "matplotlib", "papermill", "optuna"]),
    ],
)
def test_an_import_brings_no_more_than_it_needs(module, spared):
    loaded = python("-c", f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert set(loaded) & set(spared) == set()


FLOORS = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


@pytest.fixture
def copy(tmp_path):
    """What git tracks, without what takes room, in a folder of its own."""
    for path in tracked():
        if path.suffix not in (".ipynb", ".png") and (HERE / path).exists():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / path, tmp_path / path)
    return tmp_path


def test_nothing_imports_what_stands_above_it():
    assert "0 broken" in python("-c", FLOORS)


@pytest.mark.parametrize(
    ("path", "line"),
    [("storage/files.py", "import itneurons.plots"), ("cellar.py", "")],
    ids=["an import upwards", "a module that stands on no floor"],
)
def test_the_floors_are_watched(copy, path, line):
    with (copy / "itneurons" / path).open("a") as file:
        file.write(f"\n{line}\n")
    done = subprocess.run([sys.executable, "-c", FLOORS], cwd=copy, capture_output=True, text=True)
    assert done.returncode != 0
    assert path.partition(".")[0].replace("/", ".") in done.stdout


def test_a_wheel_holds_the_package_and_nothing_else(copy):
    python(
        "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", "wheels", ".", cwd=copy
    )
    (wheel,) = (copy / "wheels").glob("itneurons-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
        commands = archive.read(f"itneurons-{itneurons.__version__}.dist-info/entry_points.txt").decode()
    metadata = {path for path in names if path.parts[0].endswith(".dist-info")}
    assert {*names} - metadata == {path for path in tracked() if path.parts[0] == "itneurons"}
    assert Path("itneurons/recordings/simulated/backbone.pth") in names
    assert "itneurons = itneurons.__main__:main" in commands
