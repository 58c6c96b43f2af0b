"""What a notebook imports first; all but ``visualize_img`` is defined in the package ``itneurons``."""

from itneurons.device import get_device, has_bfloat16, seed_everything, show_versions
from itneurons.evaluation import (
    Interval,
    ceiling_of,
    correlation,
    correlation_matrix,
    explained_variance,
    mean_noise_ceiling,
    noise_ceiling,
    noise_of,
    paired_difference,
    summarise,
)
from itneurons.features import (
    LAYERS,
    choose_backbone,
    concatenate_layers,
    extract_activations,
    load_backbone,
    load_components,
    load_or_extract,
    store_components,
    what_components_are_made_of,
)
from itneurons.recordings import (
    ITData,
    RecordingError,
    get_it_data,
    load_it_data,
    load_noise_ceiling,
    load_test_rates,
    load_trials,
    object_categories,
    source_of,
    unit_of,
)
from itneurons.recordings.schema import to_rgb
from itneurons.storage.stored import fingerprint

__all__ = [
    "LAYERS",
    "ITData",
    "Interval",
    "RecordingError",
    "ceiling_of",
    "choose_backbone",
    "concatenate_layers",
    "correlation",
    "correlation_matrix",
    "explained_variance",
    "extract_activations",
    "fingerprint",
    "get_device",
    "get_it_data",
    "has_bfloat16",
    "load_backbone",
    "load_components",
    "load_it_data",
    "load_noise_ceiling",
    "load_or_extract",
    "load_test_rates",
    "load_trials",
    "mean_noise_ceiling",
    "noise_ceiling",
    "noise_of",
    "object_categories",
    "paired_difference",
    "seed_everything",
    "show_versions",
    "source_of",
    "store_components",
    "summarise",
    "to_rgb",
    "unit_of",
    "visualize_img",
    "what_components_are_made_of",
]


def visualize_img(stimulus, objects, stim_idx):
    """Show one stimulus, with its object name as title.

    Parameters
    ----------
    stimulus : array of shape (n_images, 3, height, width)
        Normalised images.
    objects : sequence of str
    stim_idx : int
    """
    import matplotlib.pyplot as plt

    plt.imshow(to_rgb(stimulus[stim_idx]))
    plt.title(str(objects[stim_idx]))
    plt.axis("off")
    plt.show()
