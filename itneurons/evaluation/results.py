"""What the notebooks found: one row for each model and neuron, and the predictions behind it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from filelock import FileLock

from itneurons.evaluation.ensemble import mean_score
from itneurons.evaluation.metrics import (
    ceiling_of_one_trial,
    correlation,
    explained_variance,
    noise_ceiling,
    noise_variance,
    summarise,
)
from itneurons.recordings.load import load_trials
from itneurons.recordings.schema import text_of
from itneurons.storage.files import written_whole
from itneurons.storage.stored import create, write_checked, write_text

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


_NOISE = "noise_"


@dataclass(frozen=True)
class Result:
    """One model on one split: its names, what was measured and what it predicted, both (n_images, n_neurons).

    ``noise`` is the squared standard error of each measured rate, where trials are known (``noise_of``). ``method`` and
    ``features`` say what the model is in words that ``Results.find`` asks for, for example "ridge" on
    "pixels"; both may be empty.
    """

    approach: str
    model: str
    layer: str
    split: str
    measured: np.ndarray
    predicted: np.ndarray
    ceiling: np.ndarray | None = None
    predicted_test: np.ndarray | None = None
    method: str = ""
    features: str = ""
    about: dict = field(default_factory=dict)
    noise: np.ndarray | None = None

    @property
    def name(self):
        """Model and layer, where the model's name does not say it already."""
        said = self.layer in ("", "all", "pixels") or self.layer in self.model
        return self.model if said else f"{self.model}, {self.layer}"

    @property
    def mean_explained_variance(self):
        """Over the neurons that vary."""
        return mean_score(self.measured, self.predicted)

    def summary(self, **options):
        """``metrics.Summary`` of this model."""
        return summarise(self.measured, self.predicted, self.ceiling, noise=self.noise, **options)


class Results:
    """The results of one notebook.

    Parameters
    ----------
    notebook : str
    source : str
        Where the recordings come from, as ``utils.source_of`` says it.
    folder : str or Path
        Where ``scores.csv`` goes; predictions go to ``predictions/`` in it.
    noise : dict of str to array of shape (n_images, n_neurons), optional
        By split, as ``noise_of`` gives it; intervals of fractions of the ceiling then hold the ceiling's uncertainty.
    """

    def __init__(self, notebook, source, folder="figures", noise=None):
        self.notebook, self.source, self.folder, self.noise = notebook, source, Path(folder), noise or {}
        self._results = {}

    def add(
        self,
        approach,
        model,
        measured,
        predicted,
        layer="",
        split="val",
        ceiling=None,
        predicted_test=None,
        method="",
        features="",
        **about,
    ):
        """Keep the predictions of a model; a model of the same name, layer and split is replaced.

        Parameters
        ----------
        approach, model, layer, split : str
        measured, predicted : array of shape (n_images, n_neurons)
        ceiling : array of shape (n_neurons,), optional
        predicted_test : array of shape (n_test_images, n_neurons), optional
            Kept for ``test.ipynb``, which alone looks at the rates of the test images.
        method, features : str
            What ``find`` asks for.
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
        result = Result(
            approach,
            model,
            layer,
            split,
            measured,
            predicted,
            ceiling,
            predicted_test,
            method,
            features,
            about,
            self.noise.get(split),
        )
        self._results[model, layer, split] = result
        return result

    def __iter__(self):
        return iter(self._results.values())

    def __getitem__(self, key):
        return self._results[key]

    def __len__(self):
        return len(self._results)

    def find(self, **facts):
        """Results of which all of these facts hold, for example ``method="ridge", features="pixels"``.

        A fact is an attribute of ``Result``; a tuple of values asks for any of them.

        Returns
        -------
        found : list of Result
        """

        def holds(result, name, wanted):
            return getattr(result, name) in (wanted if isinstance(wanted, tuple) else (wanted,))

        return [result for result in self if all(holds(result, *fact) for fact in facts.items())]

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
                    # in double precision throughout, so that a model without ceilings has no other type
                    "noise_ceiling": np.full(
                        result.measured.shape[1], np.nan if result.ceiling is None else result.ceiling, dtype=float
                    ),
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
            # a row takes about 100 bytes
            with written_whole(path, 100 * len(rows)) as temporary:
                rows.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
        return path

    def _save_predictions(self):
        path = predictions_path(self.folder, self.notebook)
        size = sum(result.predicted.nbytes + result.measured.nbytes for result in self)
        words = ("approach", "model", "layer", "split", "method", "features", "about")
        with written_whole(path, size) as temporary, create(temporary) as file:
            write_text(file, "source", self.source)
            for split, values in self.noise.items():
                write_checked(file, f"{_NOISE}{split}", values.astype(np.float32))
            for index, result in enumerate(self):
                group = file.create_group(f"{index:03d}")
                write_text(group, "names", json.dumps({name: getattr(result, name) for name in words}))
                for name in ("measured", "predicted", "ceiling", "predicted_test"):
                    if (values := getattr(result, name)) is not None:
                        write_checked(group, name, values)


def ceiling_of(path, split="val", seed=0):
    """Noise ceiling of a split (n_neurons,), or None, with a line that says so, where no single trials are known.

    Where another split has single trials, a second line says what they tell of images that were shown once.
    """
    trials = load_trials(path, split)
    if trials is not None:
        return noise_ceiling(trials, seed=seed)
    print(f"These recordings hold no single trials of the {split} images: their noise ceiling is unknown, left out.")
    for other in {"val", "test"} - {split}:
        trials = load_trials(path, other)
        if trials is not None:
            once = np.nanmedian(ceiling_of_one_trial(noise_ceiling(trials, seed=seed), len(trials)))
            print(
                "Where images were shown once, the noise of that presentation stays unexplained. A perfect model would "
                f"explain about {once:.2f} of its variance (median neuron, by {len(trials)} trials of {other} images)"
            )
    return None


def noise_of(path):
    """Squared standard errors of the measured rates, by split, as far as single trials are known.

    Returns
    -------
    noise : dict of str to array of shape (n_images, n_neurons)
    """
    trials = {split: load_trials(path, split) for split in ("val", "test")}
    return {split: noise_variance(values) for split, values in trials.items() if values is not None}


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
            noise = {name.removeprefix(_NOISE): file[name][()] for name in file if name.startswith(_NOISE)}
            results = Results(notebook, source, folder, noise)
            # by name: file.values() gives None for what is damaged
            for group in (file[name] for name in file if not name.startswith(_NOISE)):
                names = json.loads(group.attrs["names"])
                about = names.pop("about")
                arrays = {name: group[name][()] for name in group}
                results.add(**names, **arrays, **about)
            return results
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
        print(f"No results of {notebook} ({path}: {reason}). Run {notebook}.ipynb to have it in the comparison")
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


def write_overview(folder, source, validation, tested):
    """Write ``README.md`` beside the figures: every model on validation and on test images, as one table.

    Parameters
    ----------
    folder : str or Path
    source : str
        As ``source_of`` says it.
    validation, tested : sequence of Result
        Of the same models, the second in any order; it may be empty.

    Returns
    -------
    path : Path
    """
    on_test = {(result.model, result.layer): result.summary().explained_variance for result in tested}
    columns = ["model", "layer", "explained variance", "fraction of ceiling", "correlation"]
    table = summary_table(validation)
    table["on test images"] = [str(on_test.get((result.model, result.layer), "")) for result in validation]
    table = table[columns + ["on test images", *(name for name in ("parameters", "seconds") if name in table)]]
    rows = [table.columns, ["---"] * table.shape[1], *table.astype(str).to_numpy()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    text = f"""# All models, {source}

Written by `test.ipynb`. Means over neurons with 95 % bootstrap intervals over images: validation first, then the
explained variance on the test images. Parameters and training time are those of all members of a model. Neuron by
neuron: [scores.csv](scores.csv), which says for every row which recordings it is drawn from.

"""
    path = Path(folder) / "README.md"
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n".join(lines) + "\n")
    return path
