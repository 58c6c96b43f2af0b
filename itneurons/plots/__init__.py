"""The figures of the course: every function draws one figure and returns it; ``save`` writes it."""

from itneurons.plots.learning import learning_curves, penalty_curve, search
from itneurons.plots.networks import leaderboard, score_profile
from itneurons.plots.pictures import (
    attributions,
    contact_sheet,
    extreme_images,
    fields,
    neuron_portrait,
    population,
    stimuli_by_category,
)
from itneurons.plots.scores import (
    all_neurons,
    best_layers,
    distributions,
    field_centres,
    layer_contributions,
    layer_profile,
    measured_against_predicted,
    model_comparison,
    neuron_correlations,
    noise_ceilings,
    score,
    similarities,
)
from itneurons.plots.style import BLUE, CORRELATION, EXPLAINED_VARIANCE, GREEN, ORANGE, WIDTH, as_jpeg, save, use_style

__all__ = [
    "BLUE",
    "CORRELATION",
    "EXPLAINED_VARIANCE",
    "GREEN",
    "ORANGE",
    "WIDTH",
    "all_neurons",
    "as_jpeg",
    "attributions",
    "best_layers",
    "contact_sheet",
    "distributions",
    "extreme_images",
    "field_centres",
    "fields",
    "layer_contributions",
    "layer_profile",
    "leaderboard",
    "learning_curves",
    "measured_against_predicted",
    "model_comparison",
    "neuron_correlations",
    "neuron_portrait",
    "noise_ceilings",
    "penalty_curve",
    "population",
    "save",
    "score",
    "score_profile",
    "search",
    "similarities",
    "stimuli_by_category",
    "use_style",
]
