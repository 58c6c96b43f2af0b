"""The usual way: one forward pass for each layer, scikit-learn's PCA of its activations, ridge in loops.

As a good student writes it: float32, memory as it comes, each penalty of each neuron cross-validated inside the
training images. Nothing is slowed down on purpose.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import explained_variance_score
from tqdm.auto import tqdm

import utils
from benchmarks.task import N_FOLDS, Measurement, n_components
from itneurons.regression import alpha_grid, held_out_folds


def run(task):
    """Measure the usual way, layer by layer, so that the activations of one layer are in memory at a time.

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
    n_images = len(data.stimulus_train)
    if task.timed_neurons < data.spikes_train.shape[1]:
        measured.notes.append(
            f"usual ridge: the loop was timed on {task.timed_neurons} of {data.spikes_train.shape[1]} neurons, and the "
            "time scaled; the others were fitted together, untimed"
        )
    for layer in utils.LAYERS:
        n_features = extract(model, data.stimulus_train[:1], layer, 1).shape[1]
        n_used = min(n_images, affordable(task, data, n_features))
        # no step costs less than in proportion to the images, so that the scaled time is a lower bound
        scale = n_images / n_used
        kept = n_components(task, n_images, n_features)
        # unless told, the solver that scikit-learn would choose for all images
        solver = task.solver or ("randomized" if kept < 0.8 * min(n_images, n_features) else "auto")
        rates = data.spikes_train[:n_used]

        with measured.timed("extraction", scale):
            train = extract(model, data.stimulus_train[:n_used], layer, task.batch_size)
        with measured.timed("extraction"):
            val = extract(model, data.stimulus_val, layer, task.batch_size)
        with measured.timed("principal components", scale):
            pca = PCA(n_components=min(kept, n_used - 1), svd_solver=solver, random_state=0)
            train = pca.fit_transform(train)
        with measured.timed("principal components"):
            val = pca.transform(val)
        del pca

        n_neurons = rates.shape[1]
        timed = range(min(task.timed_neurons, n_neurons))
        with measured.timed("ridge", scale * n_neurons / len(timed)):
            held_out = held_out_folds(n_used, categories[:n_used], N_FOLDS)
            alphas = alpha_grid(train)
            predicted = [
                ridge(train, rates[:, [neuron]], val, held_out, alphas)
                for neuron in tqdm(timed, desc=f"{layer}: ridge", unit="neuron", leave=False)
            ]
        if len(timed) < n_neurons:
            predicted.append(ridge(train, rates[:, len(timed) :], val, held_out, alphas))
        if n_used == n_images:
            scores = explained_variance_score(data.spikes_val, np.hstack(predicted), multioutput="raw_values")
            measured.scores[layer] = scores.tolist()
        else:
            measured.notes.append(
                f"usual {layer}: {n_features:,} features were measured on {n_used} of {n_images} training images, as "
                f"many as fit in {task.memory / 1e9:.0f} GB; the time is scaled, and the scores are not compared"
            )
    return measured.finish()


def affordable(task, data, n_features):
    """Training images of which PCA fits in memory: activations, a centred copy, and three bases of the components."""
    stimuli = sum(part.nbytes for part in (data.stimulus_train, data.stimulus_val, data.stimulus_test))
    n_images = len(data.stimulus_train)
    fixed = stimuli + 4 * n_features * (3 * n_components(task, n_images, n_features) + len(data.stimulus_val))
    return max(int((task.memory - fixed) / (2 * 4 * n_features)), n_images // 10)


@torch.no_grad()
def extract(model, stimuli, layer, batch_size):
    """Activations of one layer (n_images, n_features), float32, from a forward pass of its own."""
    batches = []
    # cloned, since a ReLU that works in place may overwrite what the layer gave
    hook = model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: batches.append(output.clone().flatten(1).numpy())
    )
    for start in tqdm(range(0, len(stimuli), batch_size), desc=layer, unit="batch", leave=False):
        model(torch.from_numpy(stimuli[start : start + batch_size]))
    hook.remove()
    return np.concatenate(batches)


def ridge(train, rates, val, held_out, alphas):
    """Predictions (n_val, n_neurons) with the penalty of the smallest cross-validated error for each neuron."""
    errors = np.zeros((len(alphas), rates.shape[1]))
    for fold in held_out:
        fitted = np.setdiff1d(np.arange(len(train)), fold)
        for index, alpha in enumerate(alphas):
            model = Ridge(alpha=alpha).fit(train[fitted], rates[fitted])
            errors[index] += ((rates[fold] - model.predict(train[fold]).reshape(len(fold), -1)) ** 2).sum(axis=0)
    best = errors.argmin(axis=0)
    predicted = np.empty((len(val), rates.shape[1]))
    for index in np.unique(best):
        chosen = best == index
        predicted[:, chosen] = (
            Ridge(alpha=alphas[index]).fit(train, rates[:, chosen]).predict(val).reshape(len(val), -1)
        )
    return predicted
