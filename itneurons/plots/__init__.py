"""The figures of the course: every function draws one figure and returns it; ``save`` writes it."""

from itneurons.plots.learning import learning_curves, penalty_curve, search
from itneurons.plots.pictures import extreme_images, fields, stimuli_by_category
from itneurons.plots.scores import (
    best_layers,
    distributions,
    layer_contributions,
    layer_profile,
    measured_against_predicted,
    model_comparison,
    neuron_correlations,
    noise_ceilings,
    score,
)
from itneurons.plots.style import BLUE, CORRELATION, EXPLAINED_VARIANCE, GREEN, ORANGE, WIDTH, as_jpeg, save, use_style

__all__ = [
    "BLUE",
    "CORRELATION",
    "EXPLAINED_VARIANCE",
    "GREEN",
    "ORANGE",
    "WIDTH",
    "as_jpeg",
    "best_layers",
    "distributions",
    "extreme_images",
    "fields",
    "layer_contributions",
    "layer_profile",
    "learning_curves",
    "measured_against_predicted",
    "model_comparison",
    "neuron_correlations",
    "noise_ceilings",
    "penalty_curve",
    "save",
    "score",
    "search",
    "stimuli_by_category",
    "use_style",
]
