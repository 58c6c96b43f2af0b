"""From features to firing rates: ridge regression on one set of features, and on several at once."""

from itneurons.regression.banded import BandedRidge
from itneurons.regression.cross_validation import fold_groups, held_out_folds
from itneurons.regression.ridge import Ridge, alpha_grid, fit_ridge, total_variance

__all__ = ["BandedRidge", "Ridge", "alpha_grid", "fit_ridge", "fold_groups", "held_out_folds", "total_variance"]
