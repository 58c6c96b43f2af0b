"""Figures of images: what was shown, what drives a neuron, where it looks."""

import matplotlib.pyplot as plt
import numpy as np

from itneurons.plots.style import VERMILION, WIDTH
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
