"""The explorer, without a browser: its slider and its upload change what it shows."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

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
