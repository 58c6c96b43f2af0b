"""Figures of how good predictions are, neuron by neuron and model by model."""

import itertools
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from itneurons.evaluation import correlation, explained_variance
from itneurons.plots.style import (
    BLUE,
    CORRELATION,
    EXPLAINED_VARIANCE,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    WIDTH,
    YELLOW,
)


def distributions(results, ceiling=None, label=EXPLAINED_VARIANCE, colours=None, lowest=None):
    """One score a neuron, as a violin for each model, with the noise ceiling in view.

    Parameters
    ----------
    results : dict of str to evaluation.Result
        By the name that stands below the violin.
    ceiling : array of shape (n_neurons,), optional
        Explained variance of a perfect model.
    label : {EXPLAINED_VARIANCE, CORRELATION}
        The score, as it stands on the axis.
    colours : sequence of str, optional
    lowest : float, optional
        Where the axis begins; neurons below it are counted in the figure.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4))
    colours = colours or [BLUE] * len(results)
    for place, (result, colour) in enumerate(zip(results.values(), colours)):
        values = _finite_scores(result, label)
        _violin(axis, place, values, colour, lowest)
        _mean_and_fraction(axis, place, values, result.summary(), label)
    _finish(axis, ceiling, label)
    axis.plot([], [], ".", color=GREY, label="one neuron")
    axis.set(ylabel=label, xticks=range(len(results)), xlim=(-0.6, len(results) - 0.4))
    _name_ticks(axis, results)
    if lowest is not None:
        axis.set_ylim(bottom=lowest)
    axis.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def layer_profile(layers, networks, ceiling=None, label=EXPLAINED_VARIANCE):
    """Scores by layer for several networks, as distributions over neurons side by side.

    Parameters
    ----------
    layers : sequence of str
    networks : dict of str to list of evaluation.Result
        One for each layer, by the network's name.
    ceiling : array of shape (n_neurons,), optional
        Explained variance of a perfect model.
    label : {EXPLAINED_VARIANCE, CORRELATION}
        The score, as it stands on the axis.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    spacing = 0.8 / len(networks)
    for number, ((name, results), colour) in enumerate(zip(networks.items(), PALETTE)):
        places = np.arange(len(layers)) + (number - (len(networks) - 1) / 2) * spacing
        means = []
        for place, result in zip(places, results):
            values = _finite_scores(result, label)
            _violin(axis, place, values, colour, width=0.9 * spacing)
            _mean_and_fraction(axis, place, values, result.summary(), label)
            means.append(values.mean() if len(values) else np.nan)
        axis.plot(places, means, color=colour, linewidth=1.5, label=f"{name}, one dot a neuron")
    _finish(axis, ceiling, label)
    axis.set(ylabel=label, xlabel="layer", xticks=range(len(layers)), xlim=(-0.6, len(layers) - 0.4))
    _name_ticks(axis, layers)
    axis.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def best_layers(layers, best, label):
    """How many neurons each layer predicts best.

    Parameters
    ----------
    layers : sequence of str
    best : array of shape (n_neurons,), int
        Index of each neuron's best layer.
    label : str
        Of the network.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 2.8))
    axis.bar(range(len(layers)), np.bincount(best, minlength=len(layers)), color=BLUE, label=label)
    axis.set(xlabel="layer", ylabel="neurons best\npredicted by it", xticks=range(len(layers)))
    _name_ticks(axis, layers)
    axis.legend(fontsize=9)
    return figure


def noise_ceilings(ceiling, n_trials, exact=None):
    """Distribution of the noise ceiling over neurons.

    Parameters
    ----------
    ceiling : array of shape (n_neurons,)
        As estimated from split halves.
    n_trials : int
        Presentations of an image.
    exact : array of shape (n_neurons,), optional
        Where it is known, as in a simulation.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3))
    bins = np.linspace(min(0, np.nanmin(ceiling)), 1, 41)
    axis.hist(ceiling, bins, color=BLUE, alpha=0.6, label=f"split halves of {n_trials} presentations")
    if exact is not None:
        axis.hist(exact, bins, histtype="step", color="black", linewidth=1.5, label="exact, known in a simulation")
    axis.set(xlabel="noise ceiling (explained variance of a perfect model)", ylabel="neurons")
    axis.legend(fontsize=9)
    return figure


def _finite_scores(result, label):
    values = (correlation if label == CORRELATION else explained_variance)(result.measured, result.predicted)
    return values[np.isfinite(values)]


def _finish(axis, ceiling, label):
    if ceiling is not None:
        # a perfect model correlates with the mean response by the root of what it explains
        _ceiling_line(axis, np.sqrt(np.clip(ceiling, 0, 1)) if label == CORRELATION else ceiling)
    axis.axhline(0, color="black", linewidth=0.8)
    written = "; number: fraction of the ceiling" if ceiling is not None and axis.texts else ""
    axis.plot([], [], "o-", color="black", markersize=5, label=f"mean, 95 % interval over images{written}")


def _name_ticks(axis, names):
    # names that are too long to stand side by side
    slanted = {"rotation": 20, "ha": "right"} if sum(map(len, names)) > 90 and "\n" not in "".join(names) else {}
    axis.set_xticklabels(names, fontsize=10, **slanted)


def _violin(axis, place, values, colour, lowest=None, width=0.8):
    if len(values) > 1 and np.ptp(values) > 0:
        body = axis.violinplot(values, [place], widths=width, showextrema=False)["bodies"][0]
        body.set(facecolor=colour, alpha=0.35, edgecolor="none")
    # a fixed jitter: the same figure every time
    jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(values)) * width
    axis.plot(place + jitter, values, ".", markersize=3, color=colour, alpha=0.6)
    axis.plot(place, values.mean() if len(values) else np.nan, "o", color="black", markersize=5, zorder=5)
    if lowest is not None and (below := int((values < lowest).sum())):
        axis.text(place, lowest, f"{below} neuron{'s' * (below > 1)} below", ha="center", va="bottom", fontsize=8)


def _mean_and_fraction(axis, place, values, summary, label):
    interval = summary.correlation if label == CORRELATION else summary.explained_variance
    axis.plot([place, place], [interval.low, interval.high], color="black", linewidth=3, zorder=6)
    if summary.fraction is not None and label != CORRELATION:
        text = f"{summary.fraction.value:.2f}"
        axis.text(place, max(values.max(), 0) + 0.01, text, ha="center", va="bottom", fontsize=8)


def _ceiling_line(axis, ceiling):
    low, middle, high = np.nanpercentile(ceiling, [25, 50, 75])
    axis.axhspan(low, high, color=YELLOW, alpha=0.25, linewidth=0, zorder=0)
    axis.axhline(
        middle, color="black", linestyle="--", linewidth=1, zorder=1, label="noise ceiling: median, middle half"
    )


def neuron_correlations(measured, predicted):
    """Two matrices: how neurons correlate with each other, and how predictions correlate with every neuron.

    Parameters
    ----------
    measured : array of shape (n_neurons, n_neurons)
        Correlation of measured with measured rates; its order of neurons is used for both.
    predicted : array of shape (n_neurons, n_neurons)
        Rows: measured neurons, columns: predicted ones.
    """
    # neighbours in the figure are neurons that respond alike: the order along the first eigenvector
    _, vectors = np.linalg.eigh(np.nan_to_num(measured))
    order = vectors[:, -1].argsort()
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.1), sharey=True)
    for axis, matrix, title in zip(axes, (measured, predicted), ("measured with measured", "measured with predicted")):
        image = axis.imshow(matrix[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axis.set(title=title, xlabel="neuron (sorted)")
    axes[0].set_ylabel("measured neuron (sorted)")
    figure.colorbar(image, ax=axes, label="correlation over images (Pearson's r)", shrink=0.85)
    return figure


def similarities(measured, predicted, names):
    """How alike a population answers to things, measured and predicted, side by side.

    Parameters
    ----------
    measured, predicted : array of shape (n_things, n_things)
        Correlations over neurons.
    names : sequence of str
        Of groups of things that stand together, one for each thing; written once in the middle of a group.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.3), sharey=True)
    groups, first, counts = np.unique(names, return_index=True, return_counts=True)
    for axis, matrix, title in zip(axes, (measured, predicted), ("measured rates", "predicted rates")):
        image = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axis.set(title=title, xticks=first + (counts - 1) / 2, yticks=first + (counts - 1) / 2)
        axis.set_xticklabels(groups, rotation=60, ha="right", fontsize=8)
        axis.set_yticklabels(groups, fontsize=8)
    figure.colorbar(image, ax=axes, label="correlation over neurons (Pearson's r)", shrink=0.8)
    return figure


def all_neurons(scores, ceiling=None):
    """Explained variance of every neuron against its noise ceiling, or against its rank where that is unknown.

    Parameters
    ----------
    scores : array of shape (n_neurons,)
        Explained variance. What is below -0.2, or is not known, lies at the lower edge.
    ceiling : array of shape (n_neurons,), optional
        Explained variance of a perfect model.
    """
    figure, axis = plt.subplots(figsize=(WIDTH / 2, 3))
    height = np.clip(np.nan_to_num(scores, nan=-np.inf), -0.2, None)
    if ceiling is None:
        place = np.argsort(np.argsort(-height, kind="stable")) + 1
        axis.set(xlabel="neuron (sorted by explained variance)")
    else:
        place = np.clip(np.nan_to_num(ceiling), 0, 1)
        axis.set(xlabel="noise ceiling (explained variance of a perfect model)", xlim=(-0.02, 1.02))
    axis.plot(place, height, ".", color=BLUE, alpha=0.6, label="one neuron", zorder=3)
    if ceiling is not None:
        axis.plot([0, 1], [0, 1], color="black", linewidth=1, label="perfect prediction")
    axis.set_ylabel("explained variance", fontsize=9)
    axis.set_title("which neuron?", fontsize=9)
    axis.xaxis.label.set_size(9)
    axis.legend(fontsize=8, loc="upper right" if ceiling is None else "upper left")
    return figure


def field_centres(found, true):
    """Centres of receptive fields as found against as they are, horizontally and vertically.

    Parameters
    ----------
    found, true : array of shape (n_neurons, 2)
        As (x, y) in fractions of the image from its middle.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6), sharey=True)
    for axis, direction, a, b in zip(axes, ("horizontal", "vertical"), true.T, found.T):
        axis.plot(a, b, ".", color=BLUE, label="one neuron")
        axis.plot([-0.5, 0.5], [-0.5, 0.5], color="black", linewidth=1, label="found where it is")
        axis.set(xlabel=f"true {direction} position\n(fraction of the image)", xlim=(-0.5, 0.5), ylim=(-0.5, 0.5))
    axes[0].set_ylabel("position found\n(fraction of the image)")
    axes[0].legend(fontsize=9)
    return figure


def measured_against_predicted(measured, predicted, neurons, titles, unit="spikes/s"):
    """Scatter of measured against predicted firing rates, a panel for each neuron.

    Parameters
    ----------
    measured, predicted : array of shape (n_images, n_neurons)
    neurons : sequence of int
    titles : sequence of str
    unit : str
    """
    figure, axes = plt.subplots(1, len(neurons), figsize=(WIDTH, 3.3), squeeze=False)
    for axis, neuron, title in zip(axes[0], neurons, titles):
        x, y = predicted[:, neuron], measured[:, neuron]
        axis.plot(x, y, ".", color=BLUE, alpha=0.6, label="one image")
        ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
        axis.plot(ends, ends, color="black", linewidth=1, label="perfect prediction")
        axis.set(xlabel=f"predicted rate ({unit})", title=title)
    axes[0, 0].set_ylabel(f"measured rate ({unit})")
    axes[0, 0].legend(fontsize=9)
    return figure


def model_comparison(results, ceiling=None):
    """All models side by side: mean explained variance with its 95 % bootstrap interval over images.

    Beside it stand the number and, where a ceiling is known, the fraction of it.

    Parameters
    ----------
    results : sequence of evaluation.Result
    ceiling : array of shape (n_neurons,), optional
    """
    # long names over several lines, or little room is left for the axis
    names = [textwrap.fill(result.name, 46, break_long_words=False, break_on_hyphens=False) for result in results]
    summaries = [result.summary() for result in results]
    height = sum(0.36 + 0.14 * name.count("\n") for name in names)
    figure, axis = plt.subplots(figsize=(WIDTH, height + 1.2))
    places = np.arange(len(names))[::-1]
    for place, summary in zip(places, summaries):
        value, low, high = summary.explained_variance
        axis.plot([low, high], [place, place], color=BLUE, linewidth=2)
        axis.plot(value, place, "o", color=BLUE)
        fraction = "" if summary.fraction is None else f" ({summary.fraction.value:.2f})"
        axis.text(high, place, f"  {value:.3f}{fraction}", va="center", fontsize=9)
    written = " (fraction of the ceiling)" if any(summary.fraction is not None for summary in summaries) else ""
    axis.plot([], [], "o-", color=BLUE, label=f"mean over neurons, 95 % interval over images{written}")
    if ceiling is not None:
        axis.axvline(np.nanmean(ceiling), color="black", linestyle="--", linewidth=1, label="noise ceiling, mean")
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set(yticks=places, xlabel=EXPLAINED_VARIANCE)
    axis.set_yticklabels(names, fontsize=9)
    # above the whole figure: long names leave less room above the axis
    figure.legend(fontsize=9, loc="outside upper center", ncols=2)
    return figure


def layer_contributions(layers, contributions, whole, single):
    """What each layer contributes to the explained variance of every neuron, stacked.

    Parameters
    ----------
    layers : sequence of str
    contributions : array of shape (n_layers, n_neurons)
        They add up to the explained variance of the whole model.
    whole, single : evaluation.Result
        The model on all layers, and one on the best of them, drawn as a line.
    """
    baseline = explained_variance(single.measured, single.predicted)
    order = np.argsort(-np.nan_to_num(contributions.sum(axis=0)), kind="stable")
    figure, (axis, side) = plt.subplots(1, 2, figsize=(WIDTH, 4.6), width_ratios=(4, 1.3))
    place = np.arange(len(order))
    colours = list(itertools.islice(itertools.cycle((GREY, SKY, GREEN, ORANGE, BLUE, PURPLE)), len(layers)))
    above, below = np.zeros(len(order)), np.zeros(len(order))
    for values, colour in zip(contributions[:, order], colours):
        # negative parts are stacked downwards
        start = np.where(values >= 0, above, below)
        axis.bar(place, values, 1.0, bottom=start, color=colour)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    axis.plot(place, baseline[order], color="black", linewidth=1, label="best single layer")
    axis.set(xlabel="neuron (sorted by explained variance)", ylabel=EXPLAINED_VARIANCE, xlim=(-0.5, len(order) - 0.5))
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    # the names here serve the colours of both
    side.barh(layers, np.nanmean(contributions, axis=1), color=colours)
    side.invert_yaxis()
    side.set(xlabel="contribution, mean\nover neurons")
    named = {"all layers": whole, f"{single.layer} alone": single}
    lines = [f"{name}: explained variance {score(result.summary())}" for name, result in named.items()]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9)
    return figure


def score(summary):
    """A summary in words: explained variance with its 95 % interval, and the fraction of the ceiling if it is known."""
    fraction = "" if summary.fraction is None else f", {summary.fraction.value:.2f} of the ceiling"
    return f"{summary.explained_variance}{fraction}"
