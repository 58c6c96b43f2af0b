"""The explorer, without a browser: its slider and its upload change what it shows."""

import re
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from itneurons import plots
from itneurons.clickable import clickable
from itneurons.explorer import Explorer
from itneurons.preferred import PreferredImages
from tests.small import normalised

N_NEURONS = 5


class Neurons:
    """Neurons whose rates follow the brightness of what is shown."""

    unit = "spikes/s"

    def predict(self, pictures):
        import pandas as pd

        return pd.DataFrame(np.asarray(pictures).mean() + np.arange(N_NEURONS)[None])

    def attribution(self, image, neuron):
        return np.full((16, 16), float(neuron))

    def most_exciting_image(self, neuron, **options):
        return PreferredImages([neuron], normalised(1, 16), np.ones(1), None, None)


@pytest.fixture
def explorer():
    rng = np.random.default_rng(0)
    measured = rng.standard_normal((30, N_NEURONS))
    # neuron 3 is predicted best, neuron 0 worst
    noise = np.array([3.0, 1.0, 0.5, 0.1, 2.0])
    predicted = measured + noise * rng.standard_normal(measured.shape)
    made = PreferredImages([3], normalised(1, 16), np.ones(1), None, None)
    return Explorer(Neurons(), normalised(30), measured, predicted, made)


def as_uploaded(content, name="picture.png"):
    return ({"name": name, "content": memoryview(content)},)


def test_the_slider_goes_from_the_best_neuron_to_the_worst(explorer):
    assert explorer.neuron == 3
    first = explorer.portrait.value
    explorer.slider.value = N_NEURONS
    assert explorer.neuron == 0
    assert explorer.portrait.value != first
    with Image.open(BytesIO(explorer.portrait.value)) as image:
        assert image.size[0] == 900


def test_a_dot_chooses_its_neuron(explorer):
    assert explorer.dots.value == explorer.slider.value == 1
    assert explorer.dots.label.startswith("neuron 3, explained variance 0.9")
    first = explorer.portrait.value
    explorer.dots.value = 5
    assert explorer.slider.value == 5 and explorer.neuron == 0
    assert explorer.portrait.value != first
    explorer.slider.value = 1
    assert explorer.dots.value == 1
    assert explorer.portrait.value == first


@pytest.mark.parametrize("ceiling", [None, [0.2, 0.4, 0.6, np.nan, 0.9]])
def test_buttons_lie_on_the_dots_of_the_figure(explorer, ceiling):
    with plt.rc_context():
        plots.use_style()
        figure = plots.all_neurons(explorer.score, ceiling)
        widget, dots = clickable(figure, [(f"neuron {n}", n) for n in range(N_NEURONS)])
    style, image, _ = widget.children
    places = re.findall(r"label:nth-child\((\d+)\) input {left: ([\d.]+)%; top: ([\d.]+)%}", style.value)
    assert [int(number) - 1 for number, _, _ in places] == [n for _, n in dots.options] == list(range(N_NEURONS))
    with Image.open(BytesIO(image.value)) as drawn:
        assert (f"{drawn.width}px", f"{drawn.height}px") == (widget.layout.width, widget.layout.height)
        red = np.asarray(drawn.convert("RGB"))[..., 0]
    for _, left, top in places:
        row, column = (int(float(share) / 100 * size) for share, size in zip((top, left), red.shape))
        # blue on white
        assert red[row - 1 : row + 2, column - 1 : column + 2].min() < 150


def test_an_image_is_made_on_demand(explorer):
    assert explorer.make.disabled
    explorer.slider.value = 2
    assert not explorer.make.disabled
    before = explorer.portrait.value
    explorer.make.click()
    assert explorer.make.disabled
    assert explorer.portrait.value != before


def test_a_picture_is_shown_to_the_population(explorer):
    content = BytesIO()
    Image.new("L", (50, 40), 200).save(content, "PNG")
    explorer.show_picture(as_uploaded(content.getvalue()))
    assert explorer.said.value.startswith("picture.png: neuron 4 answers most")
    assert bytes(explorer.population.value).startswith(b"\x89PNG")
    assert explorer.population.layout.display is None


def test_what_is_no_picture_is_refused_by_name(explorer):
    explorer.show_picture(as_uploaded(b"no picture", "notes.txt"))
    assert explorer.said.value.startswith("notes.txt cannot be shown")
    explorer.show_picture(())
