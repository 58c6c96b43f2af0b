"""Figures of how models came about: penalties, epochs, trials of a search."""

import matplotlib.pyplot as plt
import numpy as np

from itneurons.plots.style import BLUE, GREEN, ORANGE, PALETTE, WIDTH


def penalty_curve(curves, chosen=None):
    """Cross-validated score against the penalty of ridge regression.

    Parameters
    ----------
    curves : dict of str to (alphas, scores)
        For each kind of features the penalties relative to the features' summed variance, and the scores
        (n_alphas, n_neurons).
    chosen : dict of str to array of shape (n_neurons,), optional
        The penalty that each neuron got, in the same unit.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 5), sharex=True, height_ratios=(3, 1), squeeze=True)
    for (label, (alphas, scores)), colour in zip(curves.items(), PALETTE):
        middle = np.nanmean(scores, axis=1)
        low, high = np.nanpercentile(scores, [25, 75], axis=1)
        top.plot(alphas, middle, color=colour, marker="o", markersize=4, label=f"{label}, mean over neurons")
        top.fill_between(alphas, low, high, color=colour, alpha=0.18, linewidth=0, label="middle half of the neurons")
        if chosen is not None:
            edges = np.sqrt(alphas[1:] * alphas[:-1])
            edges = np.concatenate([[alphas[0] ** 2 / edges[0]], edges, [alphas[-1] ** 2 / edges[-1]]])
            bottom.hist(chosen[label], bins=edges, histtype="step", linewidth=1.8, color=colour, label=label)
    top.axhline(0, color="black", linewidth=0.8)
    # far to the left the curves fall without bound; the question lies near their top
    top.set_ylim(-0.3, None)
    top.set(xscale="log", ylabel="explained variance\nof held-out folds")
    top.legend(fontsize=9, ncols=2)
    bottom.set(ylabel="neurons that\nchose it", xlabel="penalty (in units of the features' summed variance)")
    if chosen is not None:
        bottom.legend(fontsize=9)
    return figure


def learning_curves(histories):
    """Loss on the training images and explained variance on held-out ones, by epoch.

    Parameters
    ----------
    histories : dict of str to training.History
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    for (name, history), colour in zip(histories.items(), PALETTE):
        epochs = np.arange(1, len(history.loss) + 1)
        left.plot(epochs, history.loss, color=colour, label=name)
        right.plot(epochs, history.explained_variance, color=colour, label=name)
        best = history.best_epoch
        right.plot(best + 1, history.explained_variance[best], "o", color=colour, markersize=7)
    right.plot([], [], "o", color="black", label="epoch that is kept")
    left.set(xlabel="epoch", ylabel="loss on training images\n(fraction of a neuron's variance)", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="explained variance\non held-out images")
    right.legend(fontsize=9)
    left.legend(fontsize=9)
    return figure


def search(values, states, importances):
    """An Optuna study: the score of each trial with the best so far, and what the hyper-parameters matter.

    Parameters
    ----------
    values : array of shape (n_trials,)
        Explained variance that a trial reported last.
    states : sequence of str
        ``"COMPLETE"`` or ``"PRUNED"``.
    importances : dict of str to float
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    values, complete = np.asarray(values, dtype=float), np.array([state == "COMPLETE" for state in states])
    number = np.arange(1, len(values) + 1)
    left.plot(number[complete], values[complete], "o", color=BLUE, label="finished trial")
    left.plot(number[~complete], values[~complete], "x", color=ORANGE, label="pruned trial, last score")
    left.step(
        number, np.fmax.accumulate(np.where(complete, values, np.nan)), where="post", color="black", label="best so far"
    )
    left.set(xlabel="trial", ylabel="explained variance\non held-out images")
    left.legend(fontsize=9)
    names = list(importances)[::-1]
    right.barh(names, [importances[name] for name in names], color=GREEN, label="share of the variation of scores")
    right.set(xlabel="importance (fractions that add up to 1)", xlim=(0, 1))
    right.legend(fontsize=9, loc="lower right")
    return figure
