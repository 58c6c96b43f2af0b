"""What the notebooks found: one row for each model and neuron, and the predictions behind it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from filelock import FileLock

from itneurons.evaluation.ensemble import ensemble_weights, mean_score, weighted
from itneurons.evaluation.metrics import correlation, explained_variance, noise_ceiling, paired_difference, summarise
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


@dataclass(frozen=True)
class Result:
    """One model on one split: its names, what was measured and what it predicted, both (n_images, n_neurons).

    ``method`` and ``features`` say what the model is in words that ``Results.find`` asks for, for example "ridge" on
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
            approach, model, layer, split, measured, predicted, ceiling, predicted_test, method, features, about
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
            for index, result in enumerate(self):
                group = file.create_group(f"{index:03d}")
                write_text(group, "names", json.dumps({name: getattr(result, name) for name in words}))
                for name in ("measured", "predicted", "ceiling", "predicted_test"):
                    if (values := getattr(result, name)) is not None:
                        write_checked(group, name, values)


class Comparison:
    """Models that are compared, and combined, by what they predict for training images that they were not fitted to.

    Parameters
    ----------
    results : Results
        Where each model's predictions for the validation images go.
    rates_train, rates_val : array of shape (n_images, n_neurons)
    held_out : list of int arrays
        The training images by which models are compared.
    ceiling : array of shape (n_neurons,), optional

    Attributes
    ----------
    scores : dict of str to float
        Mean explained variance of each model on the held-out training images.
    """

    def __init__(self, results, rates_train, rates_val, held_out, ceiling=None):
        self.results, self.rates_train, self.rates_val, self.ceiling = results, rates_train, rates_val, ceiling
        self.images = np.sort(np.concatenate(held_out))
        self.scores, self._found, self._held_out, self._members = {}, {}, {}, {}

    def add(self, name, held_out, val, test, approach, layer="", **about):
        """Keep what a model predicts, and print how good it is.

        Parameters
        ----------
        name : str
        held_out : array of shape (n_training_images, n_neurons)
            For each training image the prediction of a model that was not fitted to it; NaN where there is none.
        val, test : array of shape (n_images, n_neurons) or (n_members, n_images, n_neurons)
            Of the members of a committee, of which the mean is the prediction.
        approach, layer : str
        **about
            As for ``Results.add``.

        Returns
        -------
        result : Result
        """
        # what a network learns besides the neurons stands in further columns
        val, test, held_out = (values[..., : self.rates_val.shape[1]] for values in (val, test, held_out))
        members = val if val.ndim == 3 else val[None]
        test = test.mean(axis=0) if test.ndim == 3 else test
        self._held_out[name], self._members[name] = held_out[self.images], members
        self.scores[name] = mean_score(self.rates_train[self.images], self._held_out[name])
        result = self.results.add(
            approach,
            name,
            self.rates_val,
            members.mean(axis=0) if len(members) > 1 else members[0],
            layer,
            ceiling=self.ceiling,
            predicted_test=test,
            **about,
        )
        self._found[name] = result
        print(
            f"{name}: explained variance {self.scores[name]:.3f} on held-out folds, "
            f"{result.mean_explained_variance:.3f} on validation"
        )
        if len(members) > 1:
            each = ", ".join(f"{mean_score(self.rates_val, member):.3f}" for member in members)
            print(f"  single members on validation, one seed each: {each}")
        return result

    def add_model(self, name, model, val, test, approach, layer="", **about):
        """Keep what a model predicts for the features of the validation and of the test images.

        Parameters
        ----------
        name : str
        model : Ridge, BandedRidge or Committee
            With ``predict(features)``, or ``predict_each(features)`` for its members, and ``held_out_predictions``.
        val, test : features of the images, as the model takes them
        approach, layer, **about
            As for ``add``.

        Returns
        -------
        result : Result
        """
        predict = getattr(model, "predict_each", model.predict)
        if hasattr(model, "n_parameters"):
            about |= {"parameters": model.n_parameters, "seconds": round(model.seconds)}
        return self.add(name, model.held_out_predictions, predict(val), predict(test), approach, layer, **about)

    def __getitem__(self, name):
        return self._found[name]

    def __iter__(self):
        return iter(self._found)

    def gain(self, name, over, seed=0):
        """By how much one model explains more variance of the validation rates than another, as an ``Interval``."""
        return paired_difference(self.rates_val, self[name].predicted, self[over].predicted, seed=seed)

    @property
    def best(self):
        """Name of the model that predicts the held-out training images best."""
        return max(self.scores, key=self.scores.get)

    def add_ensemble(self, names=None, name="ensemble"):
        """Combine models that were added, and add the ensemble to them.

        Parameters
        ----------
        names : sequence of str, optional
            All models when left out.
        name : str
            Of the ensemble.

        Returns
        -------
        weights : pandas.Series
            One for each model.
        """
        names = list(names or self)
        held_out, members = ([part[n] for n in names] for part in (self._held_out, self._members))
        weights = ensemble_weights(held_out, self.rates_train[self.images], members)
        mean = self.rates_train.mean(axis=0)
        val, test = ([getattr(self[n], part) for n in names] for part in ("predicted", "predicted_test"))
        together = np.full(self.rates_train.shape, np.nan)
        together[self.images] = weighted(held_out, weights, mean)
        self.add(name, together, weighted(val, weights, mean), weighted(test, weights, mean), "combined")
        return pd.Series(weights, index=names, name=f"weight in the {name}")


def ceiling_of(path, split="val", seed=0):
    """Noise ceiling of a split (n_neurons,), or None, with a line that says so, where no single trials are known."""
    trials = load_trials(path, split)
    if trials is None:
        print(
            f"These recordings hold no single trials of the {split} images: their noise ceiling is unknown, left out."
        )
        return None
    return noise_ceiling(trials, seed=seed)


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
