"""Predicting the firing rates of neurons in macaque visual cortex: recordings, features, predictions, honest scores."""

__version__ = "0.2.0"
