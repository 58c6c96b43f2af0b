"""Predicting the firing rates of neurons in macaque visual cortex: recordings, features, predictions, honest scores."""

__version__ = "0.3.0"


def __getattr__(name):
    # what stands on torch is imported when it is asked for
    if name == "load_neurons":
        from itneurons.neuron_model import load_neurons

        return load_neurons
    if name == "score":
        from itneurons.scoring.network import score

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
