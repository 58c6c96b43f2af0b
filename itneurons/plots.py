"""The figures of the course: every function draws one figure and returns it; ``save`` writes it."""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image

from itneurons.recordings.schema import to_rgb
from itneurons.storage.files import written_whole

# Okabe and Ito's palette, told apart with every kind of colour blindness
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#8C8C8C",
)
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)
WIDTH = 9.0  # inches; with 150 dpi a figure fills the width in which GitHub shows a notebook

EXPLAINED_VARIANCE = "explained variance\n(fraction of the variance over images)"
CORRELATION = "correlation\n(Pearson's r over images)"


def use_style():
    """Set matplotlib to the style of the course; once, at the top of a notebook."""
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 150,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.titlesize": 11,
            "legend.frameon": False,
        }
    )


def save(figure, name, source, folder="figures"):
    """Say on the figure which recordings it is drawn from, and write it as PNG with 150 dots per inch.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Of the file, without its ending.
    source : str
        As ``utils.source_of`` says it.
    folder : str or Path

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    # inside the layout, so that it never covers an axis
    figure.supxlabel(source, x=0.995, ha="right", fontsize=9, style="italic", color="#555555")
    with written_whole(Path(folder) / f"{name}.png") as path:
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return figure


def as_jpeg(figure):
    """A figure full of photographs for display in a notebook: as JPEG it takes a tenth of the room of a PNG."""
    content = BytesIO()
    figure.savefig(content, format="jpeg", dpi=100, pil_kwargs={"quality": 80})
    plt.close(figure)
    return Image(content.getvalue(), format="jpeg")


def stimuli_by_category(stimuli, objects, categories, n_each=8):
    """A row of stimuli for each category.

    Parameters
    ----------
    stimuli : array of shape (n_images, 3, height, width)
    objects, categories : sequences of str
    n_each : int
        Images of as many different objects as there are, the first of each.
    """
    names = [name for name in dict.fromkeys(sorted(categories))]
    figure, axes = plt.subplots(len(names), n_each, figsize=(WIDTH, 1.28 * len(names) + 0.3), squeeze=False)
    for row, name in zip(axes, names):
        # one image of each object first, then more of them
        members = np.flatnonzero(np.asarray(categories) == name)
        seen = {}
        turns = [seen.setdefault(objects[i], []).append(i) or len(seen[objects[i]]) for i in members]
        chosen = members[np.lexsort([[objects[i] for i in members], turns])][:n_each]
        for axis in row:
            axis.axis("off")
        for axis, index in zip(row, chosen):
            axis.imshow(to_rgb(stimuli[index]))
            axis.set_title(objects[index] or f"image {index}", fontsize=8, pad=2)
        if name:
            row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, rotation=90, va="center", ha="right", fontsize=9)
    return figure


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


def distributions(groups, ceiling=None, label=EXPLAINED_VARIANCE, colours=None, lowest=None, summaries=None):
    """One score a neuron, as a violin for each model, with the noise ceiling in view.

    Parameters
    ----------
    groups : dict of str to array of shape (n_neurons,)
    ceiling : array of shape (n_neurons,), optional
        In the unit of the scores (for correlations: the root of the explained variance of a perfect model).
    label : str
        Of the axis.
    colours : sequence of str, optional
    lowest : float, optional
        Where the axis begins; neurons below it are counted in the figure.
    summaries : dict of str to metrics.Summary, optional
        Of the same models: draws the interval of the mean, and writes the fraction of the ceiling above.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4))
    colours = colours or [BLUE] * len(groups)
    for place, ((name, values), colour) in enumerate(zip(groups.items(), colours)):
        values = np.asarray(values)[np.isfinite(values)]
        _violin(axis, place, values, colour, lowest)
        if summaries is not None:
            _mean_and_fraction(axis, place, values, summaries[name], label)
    if ceiling is not None:
        _ceiling_line(axis, ceiling)
    axis.axhline(0, color="black", linewidth=0.8)
    _explain(axis, summaries is not None and ceiling is not None)
    axis.plot([], [], ".", color=GREY, label="one neuron")
    axis.set(ylabel=label, xticks=range(len(groups)), xlim=(-0.6, len(groups) - 0.4))
    axis.set_xticklabels(groups, fontsize=10)
    if lowest is not None:
        axis.set_ylim(bottom=lowest)
    axis.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def layer_profile(layers, networks, ceiling=None, label=EXPLAINED_VARIANCE, summaries=None):
    """Scores by layer for several networks, as distributions over neurons side by side.

    Parameters
    ----------
    layers : sequence of str
    networks : dict of str to array of shape (n_layers, n_neurons)
    ceiling : array of shape (n_neurons,), optional
    label : str
    summaries : dict of str to list of metrics.Summary, optional
        One for each layer: draws the interval of the mean, and writes the fraction of the ceiling above.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    spacing = 0.8 / len(networks)
    for number, ((name, scores), colour) in enumerate(zip(networks.items(), PALETTE)):
        places = np.arange(len(layers)) + (number - (len(networks) - 1) / 2) * spacing
        for index, (place, values) in enumerate(zip(places, scores)):
            values = values[np.isfinite(values)]
            _violin(axis, place, values, colour, width=0.9 * spacing)
            if summaries is not None:
                _mean_and_fraction(axis, place, values, summaries[name][index], label)
        axis.plot(places, np.nanmean(scores, axis=1), color=colour, linewidth=1.5, label=f"{name}, one dot a neuron")
    if ceiling is not None:
        _ceiling_line(axis, ceiling)
    axis.axhline(0, color="black", linewidth=0.8)
    _explain(axis, summaries is not None and ceiling is not None)
    axis.set(ylabel=label, xlabel="layer", xticks=range(len(layers)), xlim=(-0.6, len(layers) - 0.4))
    axis.set_xticklabels(layers)
    axis.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


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


def _explain(axis, with_fraction):
    written = "; number: fraction of the ceiling" if with_fraction and axis.texts else ""
    axis.plot([], [], "o-", color="black", markersize=5, label=f"mean, 95 % interval over images{written}")


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


def learning_curves(histories):
    """Loss on the training images and explained variance on those set aside, by epoch.

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
    right.set(xlabel="epoch", ylabel="explained variance\non images set aside")
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
    left.set(xlabel="trial", ylabel="explained variance\non images set aside")
    left.legend(fontsize=9)
    names = list(importances)[::-1]
    right.barh(names, [importances[name] for name in names], color=GREEN, label="share of the variation of scores")
    right.set(xlabel="importance (fractions that add up to 1)", xlim=(0, 1))
    right.legend(fontsize=9, loc="lower right")
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


def extreme_images(stimuli, rates, neurons, titles, unit="spikes/s", n_each=5):
    """The images that drive each neuron most and least.

    Parameters
    ----------
    stimuli : array of shape (n_images, 3, height, width)
    rates : array of shape (n_images, n_neurons)
    neurons : sequence of int
    titles : sequence of str
    unit : str
    n_each : int
    """
    n_each = min(n_each, len(rates) // 2)
    figure, axes = plt.subplots(len(neurons), 2 * n_each, figsize=(WIDTH, 1.15 * len(neurons) + 0.4), squeeze=False)
    for row, neuron, title in zip(axes, neurons, titles):
        order = np.argsort(rates[:, neuron], kind="stable")
        for axis, index in zip(row, [*order[::-1][:n_each], *order[:n_each]]):
            axis.imshow(to_rgb(stimuli[index]))
            axis.set_title(f"{rates[index, neuron]:.1f} {unit}", fontsize=8, pad=2)
            axis.axis("off")
        label = row[0].text(
            -0.1, 0.5, title, transform=row[0].transAxes, rotation=90, va="center", ha="right", fontsize=8
        )
        # a label inside the layout would widen the whole first column
        label.set_in_layout(False)
    for start, text in ((0, "highest rates"), (n_each, "lowest rates")):
        axes[0, start].set_title(f"{text}\n{axes[0, start].get_title()}", fontsize=8, pad=2)
    figure.get_layout_engine().set(rect=(0.05, 0, 0.95, 1))
    return figure


def model_comparison(names, summaries, ceiling=None):
    """All models side by side: mean explained variance with its 95 % bootstrap interval over images.

    Beside it stand the number and, where a ceiling is known, the fraction of it.

    Parameters
    ----------
    names : sequence of str
    summaries : sequence of metrics.Summary
    ceiling : array of shape (n_neurons,), optional
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 0.36 * len(names) + 1.2))
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
    axis.set(yticks=places, xlabel="explained variance (fraction of the variance over images)")
    axis.set_yticklabels(names, fontsize=9)
    # above the whole figure: long names leave less room above the axis
    figure.legend(fontsize=9, loc="outside upper center", ncols=2)
    return figure


def fields(maps, titles, centres=None):
    """Receptive fields side by side, bright where a neuron reads out.

    Parameters
    ----------
    maps : array of shape (n_neurons, height, width)
    titles : sequence of str
    centres : array of shape (n_neurons, 2), optional
        True centres (x, y) in fractions of the image from its middle, y downwards, drawn as a cross.
    """
    columns = min(len(maps), 6)
    rows = -(-len(maps) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.75 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for index, (axis, field, title) in enumerate(zip(axes.flat, maps, titles)):
        image = axis.imshow(field / field.max(), cmap="cividis", vmin=0, vmax=1, extent=(-0.5, 0.5, 0.5, -0.5))
        axis.set_title(title, fontsize=8, pad=2)
        if centres is not None:
            axis.plot(*centres[index], "+", color=VERMILION, markersize=10, markeredgewidth=2)
            axis.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5))
    figure.colorbar(image, ax=axes, label="weight (fraction of its peak)", shrink=0.8)
    return figure


def layer_contributions(layers, contributions, baseline, summaries):
    """What each layer contributes to the explained variance of every neuron, stacked.

    Parameters
    ----------
    layers : sequence of str
    contributions : array of shape (n_layers, n_neurons)
        They add up to the explained variance of the whole model.
    baseline : array of shape (n_neurons,)
        Explained variance of a simpler model, drawn as a line.
    summaries : dict of str to metrics.Summary
        Of the whole and of the simpler model, for the title.
    """
    order = np.argsort(-np.nan_to_num(contributions.sum(axis=0)), kind="stable")
    figure, (axis, side) = plt.subplots(1, 2, figsize=(WIDTH, 3.8), width_ratios=(4, 1.3), sharey=False)
    place = np.arange(len(order))
    colours = (GREY, SKY, GREEN, ORANGE, BLUE, PURPLE)
    above, below = np.zeros(len(order)), np.zeros(len(order))
    for layer, values, colour in zip(layers, contributions[:, order], colours):
        # negative parts are stacked downwards
        start = np.where(values >= 0, above, below)
        axis.bar(place, values, 1.0, bottom=start, color=colour, label=layer)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    axis.plot(place, baseline[order], color="black", linewidth=1, label="best single layer")
    axis.set(xlabel="neuron (sorted by explained variance)", ylabel=EXPLAINED_VARIANCE, xlim=(-0.5, len(order) - 0.5))
    axis.legend(fontsize=8, ncols=7, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=0.8, handlelength=1.2)
    side.barh(layers, np.nanmean(contributions, axis=1), color=colours[: len(layers)])
    side.invert_yaxis()
    side.set(xlabel="contribution, mean\nover neurons")
    lines = [f"{name}: explained variance {score(summary)}" for name, summary in summaries.items()]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9)
    return figure


def score(summary):
    """A summary in words: explained variance with its 95 % interval, and the fraction of the ceiling if it is known."""
    fraction = "" if summary.fraction is None else f", {summary.fraction.value:.2f} of the ceiling"
    return f"{summary.explained_variance}{fraction}"
