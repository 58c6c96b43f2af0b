"""Networks trained on neurons: models and their readouts, training, committees, checkpoints, the search."""

from itneurons.device import seeded
from itneurons.networks.budgets import budget, fine_tuning
from itneurons.networks.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from itneurons.networks.committee import Committee, load_or_fit, train_committee
from itneurons.networks.joint import fit_shared, load_or_fit_shared
from itneurons.networks.models import BackboneReadout, ResCNN, ShallowCNN
from itneurons.networks.others import drop_shared_images, find_others, layers_of, read_others, train_core
from itneurons.networks.readouts import FactorisedReadout, GaussianMaskReadout, GaussianReadout, centres_of
from itneurons.networks.shared_core import SharedCore
from itneurons.networks.training import History, fit, predict

__all__ = [
    "BackboneReadout",
    "CheckpointError",
    "Committee",
    "FactorisedReadout",
    "GaussianMaskReadout",
    "GaussianReadout",
    "History",
    "ResCNN",
    "ShallowCNN",
    "SharedCore",
    "budget",
    "centres_of",
    "drop_shared_images",
    "find_others",
    "fine_tuning",
    "fit",
    "fit_shared",
    "layers_of",
    "load_checkpoint",
    "load_or_fit",
    "load_or_fit_shared",
    "predict",
    "read_others",
    "save_checkpoint",
    "seeded",
    "train_committee",
    "train_core",
]
