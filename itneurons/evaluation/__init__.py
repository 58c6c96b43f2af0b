"""How good predictions are, neuron by neuron, and the tables that say so."""

from itneurons.evaluation.brainscore import brainscore_pls
from itneurons.evaluation.comparison import Comparison
from itneurons.evaluation.ensemble import ensemble_weights, mean_score, weighted
from itneurons.evaluation.metrics import (
    Interval,
    Summary,
    correlation,
    correlation_matrix,
    explained_variance,
    mean_noise_ceiling,
    noise_ceiling,
    noise_variance,
    paired_difference,
    summarise,
)
from itneurons.evaluation.readout import Readout, agreement, read_out, similarity
from itneurons.evaluation.results import (
    Result,
    Results,
    ceiling_of,
    load_results,
    noise_of,
    summary_table,
    write_overview,
)

__all__ = [
    "Comparison",
    "Interval",
    "Readout",
    "Result",
    "Results",
    "Summary",
    "agreement",
    "brainscore_pls",
    "ceiling_of",
    "correlation",
    "correlation_matrix",
    "ensemble_weights",
    "explained_variance",
    "load_results",
    "mean_noise_ceiling",
    "mean_score",
    "noise_ceiling",
    "noise_of",
    "noise_variance",
    "paired_difference",
    "read_out",
    "similarity",
    "summarise",
    "summary_table",
    "weighted",
    "write_overview",
]
