"""A network from its name to the table of its layers."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from itneurons.device import get_device
from itneurons.evaluation.metrics import Interval
from itneurons.evaluation.results import Results
from itneurons.features import load_backbone, what_components_are_made_of
from itneurons.scoring.kernels import layer_kernels
from itneurons.scoring.layer_scores import METRICS, Recording, read_recording, score_layer
from itneurons.scoring.layers import choose_layers
from itneurons.storage import stored

# goes up when the code changes what a stored score means
_VERSION = 1
_TITLES = {
    ("explained_variance", "held_out"): "explained variance, held-out folds",
    ("explained_variance", "val"): "explained variance, validation",
    ("fraction_of_ceiling", "val"): "fraction of ceiling, validation",
    ("correlation", "val"): "correlation, validation",
    ("explained_variance", "test"): "explained variance, test",
    ("fraction_of_ceiling", "test"): "fraction of ceiling, test",
    ("correlation", "test"): "correlation, test",
    ("brainscore_pls", "all"): "Brain-Score's PLS",
    ("pls_correlation", "all"): "PLS correlation",
    ("cka", "val"): "linear CKA, validation",
    ("rsa", "val"): "dissimilarities, validation",
    ("cka", "test"): "linear CKA, test",
    ("rsa", "test"): "dissimilarities, test",
}


def score(
    network,
    recording=".",
    layers="stages",
    metrics=METRICS,
    *,
    pretrained=True,
    checkpoint=None,
    seed=0,
    tokens="all",
    n_components=1000,
    disk=20e9,
    n_projections=None,
    output=".",
    device=None,
):
    """How well each layer of a network predicts the neurons of a recording.

    What was finished before, in ``output``, is loaded; layers are kept as they are finished.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name that ``load_backbone`` takes, or what it returned.
    recording : str or Path or Recording
        The HDF5 file, or the folder that holds it.
    layers : str or sequence of str
        ``"stages"``, ``"all"``, or names with ``*`` and ``?`` as in file names; see ``choose_layers``.
    metrics : sequence of {"ridge", "pls", "rsa"}
        Ridge regression with one penalty a neuron; partial least squares as the public Brain-Score benchmark scores it;
        representational similarity (linear CKA, and the correlation of dissimilarity matrices).
    pretrained, checkpoint, seed
        As for ``load_backbone``.
    tokens : {"all", "class", "mean"}
        What of a transformer's tokens.
    n_components : int
        Principal components of a layer for ridge regression; the other metrics see all of it.
    disk : float
        Bytes that activations may take on the disk for a while.
    n_projections : int, optional
        Approximate: random projections in place of layers that have more features.
    output : str or Path
        Where scores are kept, in ``Scores/``.
    device : str or torch.device, optional
        The fastest here when left out.

    Returns
    -------
    scores : pandas.DataFrame
        One row for each layer, metric and split, with the columns network, layer, shape, metric, split, value, low and
        high (95 % interval), seconds. ``scores.attrs`` holds ``network``, ``source``, ``parameters``, ``seconds``,
        ``reasons`` (why layers were left out), ``approximate``, and ``predictions`` by layer.

    Raises
    ------
    ValueError
        If the network, a layer or a metric is unknown, or no layer can be scored.
    OSError
        If weights cannot be had, or the disk is full.
    """
    unknown = set(metrics) - set(METRICS)
    if unknown or not metrics:
        raise ValueError(
            f"There is no metric {', '.join(sorted(unknown)) or '(none given)'}; there are {', '.join(METRICS)}"
        )
    recording = recording if isinstance(recording, Recording) else read_recording(recording, seed)
    device = get_device() if device is None else device
    if isinstance(network, torch.nn.Module):
        model, label = network, type(network).__name__
    else:
        model, label = load_backbone(network, pretrained, seed, checkpoint), name_of(network, pretrained, checkpoint)
    shapes, reasons = choose_layers(model, layers, tokens)
    _say_what_is_left_out(label, reasons)
    stimuli = list(recording.stimuli.values())
    made_of = what_components_are_made_of(model, stimuli, n_components) | recording.made_of
    made_of |= {"tokens": tokens, "seed": seed, "metrics": sorted(metrics), "scoring": _VERSION}
    made_of |= {"projections": n_projections or 0}
    folder = Path(output) / "Scores" / file_name(label)
    paths = {layer: folder / f"{file_name(layer)}.h5" for layer in shapes}
    found = {layer: stored.load_if_it_fits(path, made_of) for layer, path in paths.items()}
    missing = {layer: shape for layer, shape in shapes.items() if found[layer] is None}
    if missing and len(missing) < len(shapes):
        print(f"{label}: {len(shapes) - len(missing)} of {len(shapes)} layers were scored before")
    options = {"tokens": tokens, "disk": disk, "n_projections": n_projections, "seed": seed, "device": device}
    kernels = layer_kernels(model, stimuli, missing, **options) if missing else ()
    for layer, kernel in tqdm(kernels, total=len(missing), desc=label, unit="layer", leave=False):
        start = time.perf_counter()
        try:
            if isinstance(kernel, ValueError):
                raise kernel
            content = _content(score_layer(kernel, recording, metrics, n_components, seed))
        except ValueError as reason:
            print(f"{label}: {layer} is left out: {reason}")
            reasons[layer] = str(reason)
            continue
        content["seconds"] = np.array([kernel.seconds + time.perf_counter() - start])
        stored.store(paths[layer], made_of, content)
        # from the file even when it was just made: what is resumed gives the same numbers to the last digit
        found[layer] = stored.load(paths[layer], made_of)
    found = {layer: content for layer, content in found.items() if content is not None}
    if not found:
        raise ValueError(f"No layer of {label} can be scored: {next(iter(reasons.values()), 'there is none')}")
    return _frame(label, recording, shapes, found, reasons, model, n_projections)


def _say_what_is_left_out(label, reasons, n_named=6):
    """A line for each reason."""
    layers = {}
    for layer, reason in reasons.items():
        again = reason.startswith("gives what ")
        layers.setdefault("gives what a layer inside it gives" if again else reason, []).append(layer)
    for reason, names in layers.items():
        more = f" and {len(names) - n_named} more" if len(names) > n_named else ""
        print(f"{label}: left out is what {reason}: {', '.join(names[:n_named])}{more}")


def name_of(network, pretrained=True, checkpoint=None):
    """What a network is called in tables: untrained ones, and those with weights of one's own, say so."""
    if checkpoint is not None:
        return f"{network}, {Path(checkpoint).stem}"
    return network if pretrained else f"{network}, random"


class BestLayers(NamedTuple):
    """The layer to report, and the one that would look best if it were chosen on the images that it is reported on.

    Both are None where ridge regression was not asked for.
    """

    by_folds: str | None
    by_validation: str | None


def best_layers(scores):
    """The layer that predicts held-out folds of the training images best, and the one that validation would choose.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``score``.

    Returns
    -------
    best : BestLayers
    """
    values = scores[scores["metric"] == "explained_variance"].pivot(index="layer", columns="split", values="value")
    return BestLayers(*(values[split].idxmax() if split in values else None for split in ("held_out", "val")))


def layer_table(scores):
    """One line a layer, with intervals, as a person reads it.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``score``.

    Returns
    -------
    table : pandas.DataFrame
        Below ``chosen by`` stands "folds" for the layer to report, and "validation" for the one that would look best
        if it were chosen on the images that it is reported on.
    """
    best = best_layers(scores)
    lines = []
    for layer, rows in scores.groupby("layer", sort=False):
        cells = {(row.metric, row.split): Interval(row.value, row.low, row.high) for row in rows.itertuples()}
        line = {"layer": layer, "shape": rows["shape"].iloc[0]}
        line |= {title: _cell(cells[key]) for key, title in _TITLES.items() if key in cells}
        line["seconds"] = f"{rows['seconds'].iloc[0]:.1f}"
        chosen_by = {"folds": best.by_folds, "validation": best.by_validation}
        line["chosen by"] = " and ".join(by for by, chosen in chosen_by.items() if chosen == layer)
        lines.append(line)
    return pd.DataFrame(lines).set_index("layer")


def save_rows(scores, recording, folder):
    """Write rows for every layer and neuron into ``scores.csv``, in place of those of an earlier run.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``score``.
    recording : Recording
    folder : str or Path

    Returns
    -------
    path : Path or None
        None where ridge regression was not asked for.
    """
    label = scores.attrs["network"]
    results = Results(f"score {label}", recording.source, folder)
    for layer, predicted in scores.attrs["predictions"].items():
        for split in ("val", "test"):
            if split in predicted and split in recording.rates:
                ceiling = recording.ceilings.get(split)
                results.add("any network", label, recording.rates[split], predicted[split], layer, split, ceiling)
    return results.save() if len(results) else None


def _content(scores):
    content = {f"{metric}.{split}": np.array(interval) for (metric, split), interval in scores.intervals.items()}
    return content | {f"predicted.{split}": rates.astype(np.float32) for split, rates in scores.predictions.items()}


def _frame(label, recording, shapes, found, reasons, model, n_projections):
    rows, predictions = [], {}
    for layer, content in found.items():
        of_layer = {"network": label, "layer": layer, "shape": " x ".join(map(str, shapes[layer]))}
        (seconds,) = content["seconds"]
        for metric, split in _TITLES:
            if (values := content.get(f"{metric}.{split}")) is not None:
                interval = Interval(*values)._asdict()
                rows.append({**of_layer, "metric": metric, "split": split, **interval, "seconds": seconds})
        predicted = {name: rates for name, rates in content.items() if name.startswith("predicted.")}
        predictions[layer] = {name.removeprefix("predicted."): rates for name, rates in predicted.items()}
    # named where no metric gave a row, too
    columns = ("network", "layer", "shape", "metric", "split", "value", "low", "high", "seconds")
    frame = pd.DataFrame(rows, columns=columns)
    frame.attrs = {
        "network": label,
        "source": recording.source,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": float(sum(content["seconds"][0] for content in found.values())),
        "reasons": reasons,
        "approximate": n_projections or 0,
        "predictions": predictions,
    }
    return frame


def _cell(interval):
    return f"{interval.value:.3f}" if np.isnan(interval.low) else str(interval)


def file_name(name):
    """A name as part of a file's, what no file system minds alone."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
