"""Recordings: images that were shown, and the firing rates that they evoked, in one HDF5 layout (``schema``)."""

from itneurons.recordings.load import (
    ITData,
    get_it_data,
    load_image_ids,
    load_it_data,
    load_noise_ceiling,
    load_test_rates,
    load_trials,
    object_categories,
    source_of,
    unit_of,
)
from itneurons.recordings.schema import RecordingError

__all__ = [
    "ITData",
    "RecordingError",
    "get_it_data",
    "load_image_ids",
    "load_it_data",
    "load_noise_ceiling",
    "load_test_rates",
    "load_trials",
    "object_categories",
    "source_of",
    "unit_of",
]
