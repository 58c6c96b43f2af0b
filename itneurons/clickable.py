"""A scatter whose dots can be chosen, made of ipywidgets alone: radio buttons that lie on the dots of a figure.

Radio buttons are the browser's own, so that the mouse, the keyboard (Tab and space) and a screen reader find each dot
under its name, and no code of ours runs on the page. Where a front end leaves the style out, they are a plain list.
"""

from io import BytesIO

import ipywidgets
import matplotlib.pyplot as plt

from itneurons.plots.style import VERMILION

DPI = 100  # a dot of the screen for a dot of the figure
# what is chosen is larger, too, not only of another colour; what has the mouse or the keyboard shows its name on top
STYLE = f"""
.ROOT {{position: relative; overflow: visible}}
.ROOT > * {{position: absolute; inset: 0; width: 100%; height: 100%; margin: 0}}
.ROOT .widget-radio-box {{display: grid; position: static; align-items: start; height: 100%}}
.ROOT .widget-radio-box label {{grid-area: 1 / 1; font-size: 0; text-align: center; pointer-events: none}}
.ROOT .widget-radio-box label:hover, .ROOT .widget-radio-box label:focus-within {{z-index: 1; font-size: 13px;
    color: black; background: white}}
.ROOT .widget-radio-box label:hover {{z-index: 2}}
.ROOT .widget-radio-box input {{position: absolute; width: 8px; height: 8px; margin: -4px; appearance: none;
    border-radius: 50%; cursor: pointer; pointer-events: auto}}
.ROOT .widget-radio-box input:checked {{background: {VERMILION}; box-shadow: 0 0 0 2px white, 0 0 0 4px black}}
.ROOT .widget-radio-box input:hover, .ROOT .widget-radio-box input:focus-visible {{box-shadow: 0 0 0 2px black}}
"""


def clickable(figure, options):
    """Radio buttons on the dots of a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Its first axes has the dots as its first line. It is closed.
    options : sequence of (str, object)
        Name and value of each dot, in the order of the line.

    Returns
    -------
    widget : ipywidgets.Box
        Displayed by a notebook.
    dots : ipywidgets.RadioButtons
        Its ``value`` is that of the chosen dot.
    """
    # the place of the axes is known once they have been drawn
    background = as_png(figure)
    axis = figure.axes[0]
    to_fractions = axis.transData + figure.transFigure.inverted()
    places = to_fractions.transform(axis.lines[0].get_xydata())
    dots = ipywidgets.RadioButtons(options=options)
    root = f"dots-{dots.model_id}"
    style = STYLE.replace("ROOT", root) + "".join(
        f".{root} label:nth-child({number}) input {{left: {x:.2%}; top: {1 - y:.2%}}}\n"
        for number, (x, y) in enumerate(places, start=1)
    )
    width, height = (f"{DPI * inches:.0f}px" for inches in figure.get_size_inches())
    widget = ipywidgets.Box(
        [ipywidgets.HTML(f"<style>{style}</style>"), ipywidgets.Image(value=background, format="png"), dots],
        layout={"width": width, "height": height, "flex": "none"},
    )
    widget.add_class(root)
    return widget, dots


def as_png(figure):
    """The bytes of a figure as PNG; it is closed."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    plt.close(figure)
    return content.getvalue()
