"""Figures of images: what was shown, what drives a neuron, where it looks."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from itneurons.plots.style import BLUE, VERMILION, WIDTH
from itneurons.recordings.schema import to_rgb


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
            axis.set_title(f"{rates[index, neuron]:.1f}", fontsize=8, pad=2)
            axis.axis("off")
        label = row[0].text(
            -0.1, 0.5, title, transform=row[0].transAxes, rotation=90, va="center", ha="right", fontsize=8
        )
        # a label inside the layout would widen the whole first column
        label.set_in_layout(False)
    for start, text in ((0, "highest rates"), (n_each, "lowest rates")):
        # a line above the rate is kept free for it, but it is wider than the column
        axes[0, start].set_title(f"\n{axes[0, start].get_title()}", fontsize=8, pad=2)
        where = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 13), "textcoords": "offset points"}
        axes[0, start].annotate(f"{text} ({unit})", **where, fontsize=8).set_in_layout(False)
    figure.get_layout_engine().set(rect=(0.05, 0, 0.95, 1))
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


def contact_sheet(pictures, titles, heading="", n_columns=5):
    """Pictures in rows, each with a line or two above it, and a line above them all.

    Parameters
    ----------
    pictures : array of shape (n_images, height, width, 3)
    titles : sequence of str
    heading : str
    n_columns : int
    """
    n_rows = -(-len(pictures) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(WIDTH, 2.1 * n_rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8, pad=2)
    figure.suptitle(heading, fontsize=9)
    return figure


def attributions(stimuli, maps, titles):
    """Images above, and below what each place of them adds to the rate of a neuron.

    Parameters
    ----------
    stimuli : array of shape (n_images, 3, height, width)
    maps : sequence of arrays of shape (height, width)
        Attributions; positive where a place drives the neuron.
    titles : sequence of str
    """
    figure, axes = plt.subplots(2, len(maps), figsize=(WIDTH, 2 * WIDTH / len(maps)), squeeze=False)
    for column, stimulus, values, title in zip(axes.T, stimuli, maps, titles):
        column[0].imshow(to_rgb(stimulus))
        column[0].set_title(title, fontsize=8, pad=2)
        shown = _draw_attribution(column[1], values)
        for axis in column:
            axis.axis("off")
    bar = figure.colorbar(shown, ax=axes[1], label="adds to the rate\n(fraction of the largest)", shrink=0.9)
    bar.ax.tick_params(labelsize=8)
    return figure


def neuron_portrait(measured, predicted, stimuli, titles, unit, preferred=None, attribution=None):
    """One neuron: its rates, the images that drive it most and least, what it likes, where it looks.

    Parameters
    ----------
    measured, predicted : array of shape (n_images,)
        Rates of the neuron.
    stimuli : array of shape (n_images, 3, height, width)
    titles : sequence of str
        Of the scatter and of the preferred image.
    unit : str
    preferred : array of shape (height, width, 3), optional
        The image that was made for it.
    attribution : array of shape (height, width), optional
        Of the image that drives it most.
    """
    n_each = min(4, len(measured) // 2)
    figure = plt.figure(figsize=(WIDTH, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.7))
    axis = left.subplots()
    axis.plot(predicted, measured, ".", color=BLUE, alpha=0.6, label="one image")
    ends = [min(predicted.min(), measured.min()), max(predicted.max(), measured.max())]
    axis.plot(ends, ends, color="black", linewidth=1, label="perfect prediction")
    axis.set(xlabel=f"predicted rate ({unit})", ylabel=f"measured rate ({unit})")
    axis.set_title(titles[0], fontsize=9)
    axis.legend(fontsize=8)
    axes = right.subplots(2, n_each + 1, squeeze=False)
    order = np.argsort(measured, kind="stable")
    for row, images, words in zip(axes, (order[::-1][:n_each], order[:n_each]), ("most", "least")):
        for place, index in zip(row, images):
            place.imshow(to_rgb(stimuli[index]))
            place.set_title(f"{measured[index]:.1f}", fontsize=8, pad=2)
        row[0].set_title(f"drives it {words}\n{row[0].get_title()} {unit}", fontsize=8, pad=2)
    for place in axes.flat:
        place.axis("off")
    if preferred is not None:
        axes[0, -1].imshow(preferred)
        axes[0, -1].set_title(titles[1], fontsize=8, pad=2)
    if attribution is not None:
        _draw_attribution(axes[1, -1], attribution)
        axes[1, -1].set_title("where it looks\nin the first image", fontsize=8, pad=2)
    return figure


def _draw_attribution(axis, values):
    # over some pixels: single ones are rough
    smooth = gaussian_filter(values, len(values) / 50)
    largest = np.abs(smooth).max()
    return axis.imshow(smooth / (largest if largest > 0 else 1), cmap="PuOr_r", vmin=-1, vmax=1)


def population(rates, usual, stimulus, unit):
    """What a population answers to one picture, beside what it answers to many.

    Parameters
    ----------
    rates : array of shape (n_neurons,)
        To the picture.
    usual : array of shape (n_images, n_neurons)
        To other images, whose middle nine tenths are drawn as a band.
    stimulus : array of shape (3, height, width)
    unit : str
    """
    figure, (axis, place) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), width_ratios=(3.2, 1))
    order = np.argsort(usual.mean(axis=0), kind="stable")
    low, middle, high = np.percentile(usual[:, order], [5, 50, 95], axis=0)
    neurons = np.arange(len(order))
    axis.fill_between(neurons, low, high, color=BLUE, alpha=0.2, linewidth=0, label="nine tenths of the images")
    axis.plot(neurons, middle, color=BLUE, linewidth=1, label="median image")
    axis.plot(neurons, rates[order], ".", color=VERMILION, label="this picture")
    axis.set(xlabel="neuron (sorted by its mean rate)", ylabel=f"predicted rate\n({unit})")
    axis.legend(fontsize=8)
    place.imshow(to_rgb(stimulus))
    place.set_title("as the neurons see it", fontsize=9)
    place.axis("off")
    return figure
