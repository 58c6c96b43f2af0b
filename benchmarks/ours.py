"""Our way: what week6.ipynb does, but for the files that keep its components, with a stopwatch."""

import time

import torch

import utils
from benchmarks.task import N_FOLDS, Measurement, n_components
from itneurons.features.components import linear_kernel, principal_components
from itneurons.regression.ridge import fit_ridge


def run(task):
    """Measure our way: one forward pass for all layers, Gram matrices, ridge for all neurons at once.

    Parameters
    ----------
    task : Task

    Returns
    -------
    measurement : Measurement
    """
    measured = Measurement()
    data, model = task.data(), task.model()
    categories = utils.object_categories(data.objects_train)

    with measured.timed("extraction"):
        train, val = (utils.extract_activations(model, stimuli) for stimuli in (data.stimulus_train, data.stimulus_val))
    largest = max(train.values(), key=torch.numel)
    measured.gram_rate = gram_rate(largest)
    del largest

    for layer in utils.LAYERS:
        with measured.timed("principal components"):
            kept = n_components(task, len(train[layer]), train[layer][0].numel())
            # taken out, so that the room of a layer is free once it is done
            components = principal_components(train.pop(layer), val.pop(layer), n_components=kept)
        with measured.timed("ridge"):
            model = fit_ridge(components[0], data.spikes_train, categories, n_folds=N_FOLDS)
            predicted = model.predict(components[1])
        measured.scores[layer] = utils.explained_variance(data.spikes_val, predicted).tolist()
    return measured.finish()


def gram_rate(activations):
    """Operations a second of the Gram matrix, with every product counted, as if it were not symmetric."""
    # any offset takes the same time as the mean
    offset = activations[0].float()
    start = time.perf_counter()
    linear_kernel(activations, mean=offset)
    return 2 * len(activations) * activations.numel() / (time.perf_counter() - start)
