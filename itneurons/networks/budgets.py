"""How long networks are trained, and how much is tried: for so many images, and for networks of any size."""

import math
from types import SimpleNamespace

import torch
from torch.utils.flop_counter import FlopCounterMode

from itneurons.features.stages import stages_between

# how much time week9 spends; epochs are those for so many training images
BUDGETS = {
    "quick": {
        "images": 2592,
        "members": 3,
        "refit": 0,
        "epochs": 20,
        "filters": 64,
        "readout_epochs": 10,
        "fine_tuning_epochs": 3,
        "fine_tuning_flops": 13e12,
        "core_epochs": 30,
        "shared_core_epochs": 8,
        "core_refit": 5,
        "banded": (10, 3),
    },
    "full": {
        "images": 2592,
        "members": 5,
        "refit": 5,
        "epochs": 50,
        "filters": 160,
        "readout_epochs": 40,
        "fine_tuning_epochs": 20,
        "fine_tuning_flops": math.inf,
        "core_epochs": 30,
        "shared_core_epochs": 16,
        "core_refit": 8,
        "banded": (100, 5),
    },
    "tiny": {
        "images": 0,
        "members": 2,
        "refit": 0,
        "epochs": 2,
        "filters": 8,
        "readout_epochs": 1,
        "fine_tuning_epochs": 1,
        "fine_tuning_flops": math.inf,
        "core_epochs": 1,
        "shared_core_epochs": 1,
        "core_refit": 1,
        "banded": (2, 2),
    },
}


def budget(name, n_images):
    """How long to train and how much to try, for so many training images.

    With fewer images than the budget is meant for an epoch has fewer steps, so there are as many more epochs; and the
    images that members hold out are missed, so networks are trained again on all of them, as ``"full"`` does anyway.

    Parameters
    ----------
    name : {"quick", "full", "tiny"}
    n_images : int

    Returns
    -------
    budget : types.SimpleNamespace
        ``members``, ``refit`` (networks that are trained again on all images), ``epochs``, ``patience`` (epochs),
        ``filters``, ``readout_epochs``, ``fine_tuning_epochs``, ``fine_tuning_flops`` (of all forward passes of one
        member, see ``fine_tuning``), ``banded`` (weightings and folds of banded ridge regression), and, whatever the
        number of images, ``core_epochs``, ``core_refit`` and ``shared_core_epochs``.
    """
    chosen = dict(BUDGETS[name])
    longer = max(1, round(chosen.pop("images") / n_images))
    for epochs in ("epochs", "readout_epochs", "fine_tuning_epochs"):
        chosen[epochs] *= longer
    if longer > 1:
        chosen["refit"] = chosen["members"]
    return SimpleNamespace(**chosen, patience=6 * longer)


def fine_tuning(budget, model, layers, shape, n_images):
    """Which stages of a backbone to fine-tune, and for how many epochs, so that it stays within the budget.

    As many of the last stages as there is room to train for all epochs of the budget; where that is not even one, the
    last one with convolutions, for as many epochs as there is room for, at least one. A line says where that is less
    than all epochs of all stages. Arithmetic decides and not a clock, so that it comes out the same on every machine.

    Parameters
    ----------
    budget : types.SimpleNamespace
        Of ``budget``.
    model : torch.nn.Module
        The backbone.
    layers : sequence of str
        The layer below the first stage, and the stages.
    shape : tuple of int
        What the first of the layers gives for an image (n_channels, height, width).
    n_images : int
        Training images.

    Returns
    -------
    below : str
        The layer that the first stage to train starts from.
    stages : tuple of str
    epochs : int
    """
    flops, maps = [], torch.zeros(1, *shape)
    with torch.no_grad():
        for pair in zip(layers[:-1], layers[1:]):
            with FlopCounterMode(display=False) as counter:
                maps = stages_between(model, *pair)(maps)
            flops.append(n_images * counter.get_total_flops())
    most, epochs = budget.fine_tuning_flops, budget.fine_tuning_epochs
    fits = [k for k in range(len(flops)) if 0 < epochs * sum(flops[k:]) <= most]
    first = fits[0] if fits else max((k for k in range(len(flops)) if flops[k] > 0), default=0)
    if not fits:
        epochs = int(min(epochs, max(1, most / max(1, sum(flops[first:])))))
    stages = tuple(layers[first + 1 :])
    if first > 0 or epochs < budget.fine_tuning_epochs:
        print(f"The budget has room for fine-tuning {' and '.join(stages)}, number of epochs: {epochs}")
    return layers[first], stages, epochs
