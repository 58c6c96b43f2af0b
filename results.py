"""What the notebooks found: one row for each model and neuron, and the predictions behind it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from filelock import FileLock

from metrics import correlation, explained_variance, summarise
from recordings.files import written_whole
from recordings.schema import text_of

COLUMNS = (
    "source",
    "notebook",
    "approach",
    "model",
    "layer",
    "split",
    "neuron",
    "explained_variance",
    "correlation",
    "noise_ceiling",
)


@dataclass(frozen=True)
class Result:
    """One model on one split: its names, what was measured and what it predicted, both (n_images, n_neurons)."""

    approach: str
    model: str
    layer: str
    split: str
    measured: np.ndarray
    predicted: np.ndarray
    ceiling: np.ndarray | None = None
    predicted_test: np.ndarray | None = None
    about: dict = field(default_factory=dict)

    def summary(self, **options):
        """``metrics.Summary`` of this model."""
        return summarise(self.measured, self.predicted, self.ceiling, **options)


class Results:
    """The results of one notebook.

    Parameters
    ----------
    notebook : str
    source : str
        Where the recordings come from, as ``utils.source_of`` says it.
    folder : str or Path
        Where ``scores.csv`` goes; predictions go to ``predictions/`` in it.
    """

    def __init__(self, notebook, source, folder="figures"):
        self.notebook, self.source, self.folder = notebook, source, Path(folder)
        self._results = {}

    def add(
        self, approach, model, measured, predicted, layer="", split="val", ceiling=None, predicted_test=None, **about
    ):
        """Keep the predictions of a model; a model of the same name, layer and split is replaced.

        Parameters
        ----------
        approach, model, layer, split : str
        measured, predicted : array of shape (n_images, n_neurons)
        ceiling : array of shape (n_neurons,), optional
        predicted_test : array of shape (n_test_images, n_neurons), optional
            Kept for ``test.ipynb``, which alone looks at the rates of the test images.
        **about : str, int or float
            Further facts for the table, for example ``parameters`` and ``seconds``.

        Returns
        -------
        result : Result
        """
        measured, predicted = (np.asarray(values, dtype=np.float32) for values in (measured, predicted))
        ceiling, predicted_test = (
            None if values is None else np.asarray(values, dtype=np.float32) for values in (ceiling, predicted_test)
        )
        result = Result(approach, model, layer, split, measured, predicted, ceiling, predicted_test, about)
        self._results[model, layer, split] = result
        return result

    def __iter__(self):
        return iter(self._results.values())

    def __getitem__(self, key):
        return self._results[key]

    def scores(self):
        """One row for each model and neuron, with the columns of ``scores.csv``."""
        frames = [
            pd.DataFrame(
                {
                    "source": self.source,
                    "notebook": self.notebook,
                    "approach": result.approach,
                    "model": result.model,
                    "layer": result.layer,
                    "split": result.split,
                    "neuron": np.arange(result.measured.shape[1]),
                    "explained_variance": explained_variance(result.measured, result.predicted),
                    "correlation": correlation(result.measured, result.predicted),
                    "noise_ceiling": np.nan if result.ceiling is None else result.ceiling,
                }
            )
            for result in self
        ]
        return pd.concat(frames, ignore_index=True)[list(COLUMNS)]

    def save(self):
        """Write this notebook's rows into ``scores.csv``, in place of those of an earlier run, and its predictions.

        Notebooks that run at the same time take turns.

        Returns
        -------
        path : Path
            Of ``scores.csv``.
        """
        path = self.folder / "scores.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._save_predictions()
        rows = self.scores()
        with FileLock(self.folder / ".scores.lock"):
            if path.exists():
                others = pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in COLUMNS[-3:]})
                others = others[(others["notebook"] != self.notebook) | (others["source"] != self.source)]
                rows = pd.concat([others, rows], ignore_index=True) if len(others) else rows
            rows = rows.sort_values("notebook", kind="stable")
            with written_whole(path, 100 * len(rows)) as temporary:
                rows.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
        return path

    def _save_predictions(self):
        path = predictions_path(self.folder, self.notebook)
        size = sum(result.predicted.nbytes + result.measured.nbytes for result in self)
        with written_whole(path, size) as temporary, h5py.File(temporary, "w", libver="latest") as file:
            # text of fixed length: HDF5 keeps no checksum of other text
            file.attrs["source"] = np.bytes_(self.source.encode())
            for index, result in enumerate(self):
                group = file.create_group(f"{index:03d}")
                names = {name: getattr(result, name) for name in ("approach", "model", "layer", "split", "about")}
                group.attrs["names"] = np.bytes_(json.dumps(names).encode())
                for name in ("measured", "predicted", "ceiling", "predicted_test"):
                    if (values := getattr(result, name)) is not None:
                        group.create_dataset(
                            name, data=values, chunks=values.size > 0 or None, fletcher32=values.size > 0
                        )


def predictions_path(folder, notebook):
    """Where the predictions of a notebook are kept."""
    return Path(folder) / "predictions" / f"{notebook}.h5"


def load_results(folder, notebook, source):
    """The results that a notebook saved.

    Parameters
    ----------
    folder : str or Path
        The one that holds ``scores.csv``.
    notebook, source : str

    Returns
    -------
    results : Results or None
        None where the notebook has not run on this source, or its predictions are damaged; a line says so.
    """
    path = predictions_path(folder, notebook)
    try:
        with h5py.File(path, "r") as file:
            found = text_of(file, "source")
            if found != source:
                print(f"{path} holds predictions for {found}: left out. Run {notebook}.ipynb again")
                return None
            results = Results(notebook, source, folder)
            # by name: file.values() gives None for what is damaged
            for group in (file[name] for name in file):
                names = json.loads(group.attrs["names"])
                about = names.pop("about")
                arrays = {name: group[name][()] for name in group}
                results.add(**names, **arrays, **about)
            return results
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        print(f"No results of {notebook} ({path}: {error}). Run {notebook}.ipynb to have it in the comparison")
        return None


def summary_table(results, **options):
    """One line a model: explained variance, its fraction of the ceiling, correlation, with 95 % intervals.

    Parameters
    ----------
    results : iterable of Result
    **options
        For ``metrics.summarise``.

    Returns
    -------
    table : pandas.DataFrame
    """
    lines = []
    for result in results:
        summary = result.summary(**options)
        line = {"model": result.model, "layer": result.layer, "approach": result.approach, "split": result.split}
        line |= {
            "explained variance": str(summary.explained_variance),
            "fraction of ceiling": "unknown" if summary.fraction is None else str(summary.fraction),
            "correlation": str(summary.correlation),
        }
        if result.ceiling is not None:
            line["neurons left out of the fraction"] = summary.n_left_out
        lines.append(line | result.about)
    columns = dict.fromkeys(name for line in lines for name in line)
    return pd.DataFrame([{name: line.get(name, "") for name in columns} for line in lines])
