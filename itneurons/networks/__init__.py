"""Networks trained on neurons: models and their readouts, training, committees, checkpoints, the search."""

from itneurons.device import seeded
from itneurons.networks.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from itneurons.networks.committee import Committee, load_or_fit, train_committee
from itneurons.networks.models import BackboneReadout, ResCNN, ShallowCNN
from itneurons.networks.readouts import FactorisedReadout, GaussianReadout, centres_of
from itneurons.networks.training import History, budget, fit, predict

__all__ = [
    "BackboneReadout",
    "CheckpointError",
    "Committee",
    "FactorisedReadout",
    "GaussianReadout",
    "History",
    "ResCNN",
    "ShallowCNN",
    "budget",
    "centres_of",
    "fit",
    "load_checkpoint",
    "load_or_fit",
    "predict",
    "save_checkpoint",
    "seeded",
    "train_committee",
]
