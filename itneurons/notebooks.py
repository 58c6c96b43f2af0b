"""Execute the notebooks top to bottom: ``itneurons run [NAME ...] [--data SOURCE] [--set NAME=VALUE]``.

With the default settings the notebooks are executed in place. With others the executed copies, their figures and
everything they store go to ``runs/<source>/``, and the notebooks themselves stay as they are.
"""

import ast
import logging
import os
import sys
import time
from pathlib import Path

import nbformat
import papermill

from itneurons.recordings.sources import SOURCES
from itneurons.storage.files import written_whole

NOTEBOOKS = ("week6", "week7", "week9", "test")


def execute(name, output, parameters):
    """Execute one notebook; the result appears at ``output`` only when every cell has run.

    Parameters
    ----------
    name : str
    output : Path
    parameters : dict
        Handed to the cell tagged ``parameters``; none leaves the notebook's own.

    Raises
    ------
    papermill.PapermillExecutionError
        If a cell fails; the notebook up to there is beside the output, as ``<name>.failed.ipynb``.
    """
    failed = output.with_suffix(".failed.ipynb")
    with written_whole(output) as temporary:
        try:
            papermill.execute_notebook(
                f"{name}.ipynb",
                temporary,
                parameters,
                kernel_name="python3",
                log_output=True,
                request_save_on_cell_execute=False,
            )
        except papermill.PapermillExecutionError:
            os.replace(temporary, failed)
            raise
        notebook = nbformat.read(temporary, as_version=4)
        nbformat.write(without_progress(notebook), temporary)
    # of an earlier run
    failed.unlink(missing_ok=True)


def without_progress(notebook):
    """Take out what only matters while a notebook runs: progress bars and papermill's record of times."""
    widget = "application/vnd.jupyter.widget-view+json"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if widget not in output.get("data", {})]
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    return notebook


def _is_progress(output):
    return output.output_type == "stream" and output.name == "stderr" and "it/s" in output.text.replace("/it", "it/s")


def add_arguments(parser):
    """Options of ``itneurons run``."""
    parser.add_argument("notebooks", nargs="*", default=NOTEBOOKS, metavar="NAME", help=", ".join(NOTEBOOKS))
    parser.add_argument("--data", default="auto", choices=("auto", *SOURCES))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value for a name in the cell tagged parameters, as Python writes it",
    )


def run(given):
    """Execute the notebooks that lie in the current folder.

    Parameters
    ----------
    given : argparse.Namespace
        Of ``add_arguments``.

    Raises
    ------
    SystemExit
        Where there are no notebooks, nobody may write, a cell fails, or on Ctrl-C; the message says what to do.
    """
    absent = [name for name in given.notebooks if not Path(f"{name}.ipynb").exists()]
    if absent:
        sys.exit(f"There is no {absent[0]}.ipynb in {Path.cwd()}: run this in a clone of the repository")
    parameters = {}
    for setting in given.set:
        name, _, value = setting.partition("=")
        try:
            parameters[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[name] = value
    if given.data != "auto":
        parameters["DATA"] = given.data
    folder = Path()
    if parameters:
        folder = Path(parameters.setdefault("OUTPUT", f"runs/{given.data}"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sys.exit(
                f"No permission to write in {folder.resolve()} ({error}); choose another folder with --set OUTPUT=..."
            )

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    log = logging.getLogger("papermill")
    log.setLevel(logging.INFO)
    log.addFilter(lambda record: not record.getMessage().startswith(("Executing Cell", "Ending Cell", "<Figure")))
    start = time.perf_counter()
    for name in given.notebooks:
        print(f"--- {name}.ipynb", flush=True)
        begin = time.perf_counter()
        try:
            execute(name, folder / f"{name}.ipynb", parameters)
        except papermill.PapermillExecutionError as error:
            sys.exit(f"{name}.ipynb failed: {error}")
        except KeyboardInterrupt:
            sys.exit(f"Interrupted in {name}.ipynb; what was finished is kept, and the same command resumes from there")
        print(f"--- {name}.ipynb took {time.perf_counter() - begin:.0f} s", flush=True)
    figures = sorted((folder / "figures").glob("*.png"))
    print(f"\nAll done in {(time.perf_counter() - start) / 60:.1f} minutes. Figures:")
    print("\n".join(f"  {path}" for path in figures))
    print(f"Scores, one row for each model and neuron: {folder / 'figures' / 'scores.csv'}")
