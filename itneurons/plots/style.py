"""How all figures look, and how they are saved."""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import Image

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
