"""Figures of networks that were scored: the profile over layers, and the leaderboard."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from itneurons.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, WIDTH

_MOST_NAMES = 30


def score_profile(scores, ceiling=None):
    """Explained variance and representational similarity, layer by layer.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``itneurons.score``.
    ceiling : float, optional
        Mean explained variance of a perfect model on the split shown.
    """
    layers = list(dict.fromkeys(scores["layer"]))
    place = {layer: index for index, layer in enumerate(layers)}
    split = "test" if ((scores["metric"] == "explained_variance") & (scores["split"] == "test")).any() else "val"
    words = {"test": "test images", "val": "validation images"}
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))

    def line(metric, of_split, colour, style, label):
        rows = scores[(scores["metric"] == metric) & (scores["split"] == of_split)]
        if len(rows):
            x = [place[layer] for layer in rows["layer"]]
            axis.plot(x, rows["value"], style, color=colour, markersize=4, linewidth=1.5, label=label)
            if rows["low"].notna().all():
                axis.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        return rows

    line("explained_variance", split, BLUE, "o-", f"ridge regression: explained variance, {words[split]}")
    folds = line("explained_variance", "held_out", GREY, ".--", "the same, held-out folds of the training images")
    line("cka", split, ORANGE, "s-", f"linear CKA, {words[split]}")
    line("rsa", split, GREEN, "^-", f"correlation of dissimilarities, {words[split]}")
    line("brainscore_pls", "all", PURPLE, "d-", "Brain-Score's PLS")
    if len(folds):
        chosen = folds.loc[folds["value"].idxmax(), "layer"]
        axis.axvline(
            place[chosen], color="black", linewidth=0.8, linestyle=":", label=f"chosen on held-out folds: {chosen}"
        )
    if ceiling is not None and np.isfinite(ceiling):
        axis.axhline(ceiling, color="black", linestyle="--", linewidth=1, label="noise ceiling, mean")
    axis.axhline(0, color="black", linewidth=0.8)
    every = -(-len(layers) // _MOST_NAMES)
    axis.set(
        xticks=range(0, len(layers), every), xlim=(-0.5, len(layers) - 0.5), xlabel="layer", ylabel="score (see legend)"
    )
    long = sum(map(len, layers[::every])) > 70
    axis.set_xticklabels(layers[::every], fontsize=8, rotation=60 if long else 0, ha="right" if long else "center")
    figure.suptitle(scores.attrs.get("network", ""), fontsize=11)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    return figure


def leaderboard(board):
    """Every network's best layer: explained variance against the number of parameters, and against the time it took.

    Parameters
    ----------
    board : pandas.DataFrame
        Of ``itneurons.scoring.leaderboard.add``.
    """
    split = (
        "test"
        if board.get("explained_variance_test", board["explained_variance_val"] * np.nan).notna().all()
        else "val"
    )
    score = f"explained_variance_{split}"
    board = board.sort_values(score, ascending=False).reset_index(drop=True)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.8 + 0.1 * len(board)), sharey=True)
    trained = ~board["network"].str.endswith(", random")
    for axis, column, label in zip(axes, ("parameters", "seconds"), ("parameters", "time for all layers scored (s)")):
        for chosen, colour, marker, name in (
            (trained, BLUE, "o", "trained weights"),
            (~trained, ORANGE, "s", "random weights"),
        ):
            rows = board[chosen]
            if len(rows):
                error = np.clip([rows[score] - rows[f"{score}_low"], rows[f"{score}_high"] - rows[score]], 0, None)
                axis.errorbar(
                    rows[column], rows[score], error, fmt=marker, color=colour, markersize=5, linewidth=1, label=name
                )
        for number, row in board.iterrows():
            axis.annotate(str(number + 1), (row[column], row[score]), (4, 4), textcoords="offset points", fontsize=8)
        axis.set(xscale="log", xlabel=label)
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel(f"explained variance of the best layer,\n{'test' if split == 'test' else 'validation'} images")
    axes[0].legend(fontsize=8)
    handles = [
        Line2D([], [], color="black", linestyle="", marker=f"${number + 1}$", markersize=7) for number in board.index
    ]
    names = [f"{network} ({layer})" for network, layer in zip(board["network"], board["layer"])]
    figure.legend(handles, names, fontsize=8, loc="outside lower center", ncols=2)
    return figure
