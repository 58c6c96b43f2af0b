"""A page in a notebook on which one looks into neurons: choose one, see it, show the population a picture.

Made of ipywidgets alone, and of figures as PNG, so that it works wherever a notebook's kernel runs.
"""

from io import BytesIO

import ipywidgets
import numpy as np
from PIL import Image

from itneurons import plots
from itneurons.clickable import as_png, clickable
from itneurons.evaluation import explained_variance
from itneurons.pictures import PictureError, to_stimulus

STEPS = 60  # of gradient ascent, when an image is made while one waits


class Explorer:
    """What ``widget`` shows.

    Parameters
    ----------
    neurons : NeuronModel
    stimuli : array of shape (n_images, 3, height, width)
    measured, predicted : array of shape (n_images, n_neurons)
        Rates for the same images.
    preferred : preferred.PreferredImages, optional
        Images that were made before; others are made on demand, which takes some seconds.
    ceiling : array of shape (n_neurons,), optional
        Explained variance of a perfect model, where it is known.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        Neurons from the best predicted one (1) to the worst.
    dots : ipywidgets.RadioButtons
        The same on a scatter of all neurons.
    upload : ipywidgets.FileUpload
    widget : ipywidgets.VBox
        Displayed by a notebook.
    """

    def __init__(self, neurons, stimuli, measured, predicted, preferred=None, ceiling=None):
        self.neurons, self.stimuli, self.measured, self.predicted = neurons, stimuli, measured, predicted
        self.score = explained_variance(measured, predicted)
        self.order = np.argsort(-np.nan_to_num(self.score, nan=-np.inf), kind="stable")
        self._pictures = {} if preferred is None else dict(zip(preferred.neurons, preferred.pictures))
        self.slider = ipywidgets.IntSlider(
            1, 1, len(self.order), description="rank", continuous_update=False, layout={"width": "90%"}
        )
        ranked = [(f"neuron {n}, explained variance {self.score[n]:.2f}", i + 1) for i, n in enumerate(self.order)]
        ceiling = None if ceiling is None else np.asarray(ceiling)[self.order]
        scatter, self.dots = clickable(plots.all_neurons(self.score[self.order], ceiling), ranked)
        ipywidgets.link((self.slider, "value"), (self.dots, "value"))
        self.make = ipywidgets.Button(description="make its image")
        self.portrait = ipywidgets.Image(format="png")
        self.upload = ipywidgets.FileUpload(accept="image/*", description="show a picture")
        self.said = ipywidgets.Label()
        self.population = ipywidgets.Image(format="png")
        self.population.layout.display = "none"
        # the many dots come last for who goes from one to the next by the keyboard
        controls = ipywidgets.VBox([self.slider, self.make, self.upload, self.said], layout={"flex": "1"})
        self.widget = ipywidgets.VBox([ipywidgets.HBox([controls, scatter]), self.portrait, self.population])
        self.slider.observe(lambda change: self.show(), "value")
        self.make.on_click(lambda button: self.show(make=True))
        self.upload.observe(lambda change: self.show_picture(change["new"]), "value")
        self.show()

    @property
    def neuron(self):
        """Number of the neuron that is shown."""
        return int(self.order[self.slider.value - 1])

    def show(self, make=False):
        """Draw the neuron that the slider points at."""
        if make and self.neuron not in self._pictures:
            made = self.neurons.most_exciting_image(self.neuron, steps=STEPS, like=self.stimuli[:64])
            self._pictures[self.neuron] = made.pictures[0]
        self.make.disabled = self.neuron in self._pictures
        self.portrait.value = as_png(self.figure())

    def figure(self):
        """The portrait of the neuron that the slider points at, as a matplotlib figure."""
        measured, predicted = self.measured[:, self.neuron], self.predicted[:, self.neuron]
        titles = f"neuron {self.neuron}, explained variance {self.score[self.neuron]:.2f}", "made for it"
        attribution = self.neurons.attribution(self.stimuli[measured.argmax()], self.neuron)
        return plots.neuron_portrait(
            measured,
            predicted,
            self.stimuli,
            titles,
            self.neurons.unit,
            self._pictures.get(self.neuron),
            attribution,
        )

    def show_picture(self, files):
        """Draw what the population is predicted to answer to a picture that was uploaded."""
        if not files:
            return
        file = files[0]
        try:
            stimulus = to_stimulus(Image.open(BytesIO(file["content"])))
        except (PictureError, OSError, ValueError, Image.DecompressionBombError) as error:
            self.said.value = f"{file['name']} cannot be shown: {error}"
            return
        rates = self.neurons.predict(np.asarray(stimulus)).to_numpy()[0]
        highest = int(rates.argmax())
        self.said.value = f"{file['name']}: neuron {highest} answers most, {rates[highest]:.1f} {self.neurons.unit}"
        self.population.value = as_png(plots.population(rates, self.predicted, np.asarray(stimulus), self.neurons.unit))
        self.population.layout.display = None
