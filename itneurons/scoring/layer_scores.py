"""From a layer's kernel to its scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from itneurons.evaluation.brainscore import pls_correlations
from itneurons.evaluation.ensemble import mean_score
from itneurons.evaluation.metrics import Interval, noise_ceiling, noise_variance, summarise
from itneurons.evaluation.representation import correlation_distances, dissimilarity_correlation, linear_cka
from itneurons.features.components import components_of_kernel
from itneurons.recordings.load import (
    load_image_ids,
    load_it_data,
    load_test_rates,
    load_trials,
    object_categories,
    source_of,
)
from itneurons.regression import fit_ridge, fold_groups
from itneurons.storage.stored import fingerprint

METRICS = ("ridge", "pls", "rsa")


@dataclass
class Recording:
    """All that scores need of a recording; of the splits ``train``, ``val`` and ``test`` those whose rates are known.

    Attributes
    ----------
    path : Path
    source : str
    stimuli : dict of str to array of shape (n_images, 3, height, width)
        Of all three splits, in the order in which their images are numbered.
    objects : dict of str to list of str
    categories : array of shape (n_training_images,), str
    groups : sequence of str or None
        Training images that are held out together, as ``fold_groups`` gives them.
    image_ids : dict of str to list of str
        Empty where the file does not say them.
    rates : dict of str to array of shape (n_images, n_neurons)
    ceilings : dict of str to array of shape (n_neurons,)
        Of validation and test, where single trials are known.
    noise : dict of str to array of shape (n_images, n_neurons)
        Squared standard errors of the rates there.
    consistency : float or None
        The median over neurons of the reliability, by which Brain-Score's number is divided.
    """

    path: Path
    source: str
    stimuli: dict
    objects: dict
    categories: np.ndarray
    groups: list | None
    image_ids: dict
    rates: dict
    ceilings: dict
    noise: dict
    consistency: float | None

    @property
    def places(self):
        """Where the images of each split stand among all images (dict of str to slice)."""
        ends = np.cumsum([0, *map(len, self.stimuli.values())]).tolist()
        return {split: slice(*pair) for split, pair in zip(self.stimuli, zip(ends[:-1], ends[1:]))}

    @property
    def made_of(self):
        """What its scores depend on, beside the stimuli."""
        folds = {} if self.groups is None else {"folds": "by object"}
        return {"rates": fingerprint(*self.rates.values(), *self.image_ids.values()), **folds}


def read_recording(path, seed=0):
    """A recording with its noise ceilings.

    Parameters
    ----------
    path : str or Path
        The HDF5 file, or the folder that holds it.
    seed : int
        Of the split halves.

    Returns
    -------
    recording : Recording
    """
    data = load_it_data(path)
    rates = {"train": data.spikes_train, "val": data.spikes_val, "test": load_test_rates(path)}
    rates = {split: values for split, values in rates.items() if values is not None and len(values)}
    trials = {split: load_trials(path, split) for split in ("val", "test") if split in rates}
    trials = {split: values for split, values in trials.items() if values is not None}
    ceilings = {split: noise_ceiling(values, seed=seed) for split, values in trials.items()}
    consistency = None
    if trials:
        # of all images whose trials are known
        n_trials = max(map(len, trials.values()))
        padded = [np.pad(t, ((0, n_trials - len(t)), (0, 0), (0, 0)), constant_values=np.nan) for t in trials.values()]
        consistency = float(np.nanmedian(noise_ceiling(np.concatenate(padded, axis=1), seed=seed)))
    return Recording(
        path=Path(path),
        source=source_of(path),
        stimuli={"train": data.stimulus_train, "val": data.stimulus_val, "test": data.stimulus_test},
        objects={"train": data.objects_train, "val": data.objects_val, "test": data.objects_test},
        categories=object_categories(data.objects_train, path),
        groups=fold_groups(data.objects_train, data.objects_val),
        image_ids={split: ids for split in rates if (ids := load_image_ids(path, split)) is not None},
        rates=rates,
        ceilings=ceilings,
        noise={split: noise_variance(values) for split, values in trials.items()},
        consistency=consistency,
    )


class LayerScores(NamedTuple):
    """What is known of a layer when it has been scored.

    ``intervals`` are by metric and split: ``explained_variance`` on ``held_out`` folds of the training images is what
    layers are chosen by. ``predictions`` of ridge regression, arrays of shape (n_images, n_neurons), are for
    ``held_out``, ``val`` and ``test``.
    """

    intervals: dict[tuple[str, str], Interval]
    predictions: dict[str, np.ndarray]


def score_layer(kernel, recording, metrics=METRICS, n_components=1000, seed=0):
    """The scores of a layer.

    Parameters
    ----------
    kernel : LayerKernel
        Over the images of all splits.
    recording : Recording
    metrics : sequence of {"ridge", "pls", "rsa"}
    n_components : int
        Principal components of the layer for ridge regression; the others see all of it.
    seed : int
        Of the folds.

    Returns
    -------
    scores : LayerScores

    Raises
    ------
    ValueError
        If the layer does not vary over the training images.
    """
    sizes = [len(stimuli) for stimuli in recording.stimuli.values()]
    components = dict(zip(recording.stimuli, components_of_kernel(kernel.centred, sizes, n_components)))
    scores = _ridge(components, recording, seed) if "ridge" in metrics else LayerScores({}, {})
    if "pls" in metrics:
        scores.intervals.update(_pls(kernel, recording))
    if "rsa" in metrics:
        scores.intervals.update(_similarity(kernel, recording))
    return scores


def _ridge(components, recording, seed):
    """One penalty a neuron, chosen on held-out folds."""
    rates = recording.rates
    ridge = fit_ridge(components["train"], rates["train"], recording.categories, seed=seed, groups=recording.groups)
    held_out = mean_score(rates["train"], ridge.held_out_predictions)
    intervals = {("explained_variance", "held_out"): Interval(held_out, np.nan, np.nan)}
    predictions = {"held_out": ridge.held_out_predictions}
    for split in ("val", "test"):
        predictions[split] = ridge.predict(components[split])
        if split in rates:
            ceiling, noise = recording.ceilings.get(split), recording.noise.get(split)
            summary = summarise(rates[split], predictions[split], ceiling, seed=seed, noise=noise)
            intervals["explained_variance", split] = summary.explained_variance
            intervals["correlation", split] = summary.correlation
            if summary.fraction is not None:
                intervals["fraction_of_ceiling", split] = summary.fraction
    return LayerScores(intervals, predictions)


def _pls(kernel, recording):
    """Brain-Score's number, over all images whose rates are known; the interval is over its ten splits."""
    splits = list(recording.rates)
    # only the last split, test, may lack them
    known = slice(recording.places[splits[-1]].stop)
    objects = [name for split in splits for name in recording.objects[split]]
    counts = np.unique(objects, return_counts=True)[1]
    if min(counts) < 2 or len(counts) > len(objects) // 10:
        # too few images of an object to keep its share in every split
        objects = ["image"] * len(objects)
    ids = [name for split in splits for name in recording.image_ids.get(split, ())]
    order = np.argsort(ids, kind="stable") if len(ids) == len(objects) else None
    rates = np.concatenate(list(recording.rates.values()))
    r = pls_correlations(kernel.centred[known, known], rates, objects, order=order)
    mean, error = float(r.mean()), float(r.std(ddof=1) / np.sqrt(len(r)))
    ends = Interval(mean, mean - 1.96 * error, mean + 1.96 * error)
    scores = {("pls_correlation", "all"): ends}
    if recording.consistency:
        scores["brainscore_pls", "all"] = Interval(*(np.sign(end) * end**2 / recording.consistency for end in ends))
    return scores


def _similarity(kernel, recording):
    """Linear CKA and the correlation of dissimilarity matrices, on images that nothing was fitted to."""
    scores, distances = {}, kernel.correlation_distances()
    for split in ("val", "test"):
        if split in recording.rates:
            rates = np.asarray(recording.rates[split], dtype=np.float64)
            part = recording.places[split]
            centred = rates - rates.mean(axis=0)
            try:
                scores["cka", split] = linear_cka(kernel.centred[part, part], centred @ centred.T)
                scores["rsa", split] = dissimilarity_correlation(distances[part, part], correlation_distances(rates))
            except ValueError as reason:
                print(f"no similarity on the {split} images: {reason}")
    return scores
