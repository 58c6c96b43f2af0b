"""How a network is trained on firing rates: one loop, with early stopping on held-out images."""

import copy
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset
from tqdm.auto import tqdm

from itneurons.device import autocast, seeded
from itneurons.evaluation.ensemble import mean_score
from itneurons.networks.descent import Descent
from itneurons.storage import disk_tensors

# values of inputs that are evaluated at once: the system hands out memory for larger batches anew each time, slowly
_AT_ONCE = 12_000_000


@dataclass
class History:
    """What happened while a network was trained.

    Attributes
    ----------
    loss : list of float
        Mean squared error on the training images in each epoch, where 1 is the variance of a neuron.
    explained_variance : list of float
        Mean over neurons on the held-out images, after each epoch.
    best_epoch : int
        Counted from 0; the weights of this epoch were kept.
    seconds : float
    """

    loss: list = field(default_factory=list)
    explained_variance: list = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0

    def add_epoch(self, losses):
        """Note the losses of an epoch's batches.

        Raises
        ------
        FloatingPointError
            If their mean is not finite.
        """
        self.loss.append(float(np.mean(losses)))
        if not np.isfinite(self.loss[-1]):
            raise FloatingPointError(f"The loss is not finite in epoch {len(self.loss) - 1}; try a lower learning rate")


def fit(
    network,
    train,
    held_out,
    epochs=30,
    batch_size=64,
    learning_rate=2e-3,
    weight_decay=0.05,
    patience=6,
    seed=0,
    device="cpu",
    bfloat16=False,
    n_auxiliary=0,
    auxiliary_weight=1.0,
    views=1,
    on_epoch=None,
    description="training",
):
    """Train a network by mean squared error on rates scaled to unit variance, one weight for every neuron.

    AdamW with a one-cycle schedule; what is evaluated and kept is the running average of the weights (``Descent``).

    Parameters
    ----------
    network : models.Network
        Trained in place, ends with the weights of its best epoch, in evaluation mode.
    train, held_out : pair of tensors
        Inputs (n_images, n_channels, height, width), which may be ``disk_tensors.Rows``, and rates (n_images,
        n_neurons). The images of ``held_out`` are not trained on; they choose the epoch. Where it is None, nothing is
        chosen: training goes on for all epochs, the last is kept, and ``on_epoch`` is not called.
    epochs : int
    batch_size : int
    learning_rate : float
        At the top of the cycle.
    weight_decay : float
    patience : int
        Stop after so many epochs without a better explained variance on ``held_out``.
    seed : int
        Of the order of images and of dropout.
    device : str or torch.device
    bfloat16 : bool
        Compute in bfloat16 where that is safe (autocast).
    n_auxiliary : int
        So many of the last columns of the rates are no neurons but further things to learn, such as categories as zeros
        and ones; they count in the loss but not in the score.
    auxiliary_weight : float
        Of one such column in the loss, where a neuron has 1.
    views : int
        Where ``train`` holds so many views of each image, an epoch is as long as if it held one: it takes a share of
        them, drawn anew each time.
    on_epoch : callable, optional
        Called with the epoch and its explained variance; what it raises ends the training.
    description : str
        For the progress bar.

    Returns
    -------
    history : History

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    inputs, rates = _as_tensor(train[0]), torch.as_tensor(train[1])
    network.normalise_to(inputs, rates)
    # convolutions run several times as fast with the channels of a pixel side by side
    network.to(device=device, memory_format=torch.channels_last)
    n_neurons = rates.shape[1] - n_auxiliary
    weights = torch.ones(rates.shape[1], device=device)
    weights[n_neurons:] = auxiliary_weight
    history, best, start = History(), None, time.perf_counter()
    with seeded(seed):
        dataset = TensorDataset(_prepared(network, inputs, device, bfloat16), rates.to(device))
        if held_out is not None:
            unseen = _prepared(network, _as_tensor(held_out[0]), device, bfloat16)
            unseen_rates = np.asarray(held_out[1])[:, :n_neurons]
        # whole batches are indexed at once, much faster than image by image
        n_images = len(dataset) // views
        order = RandomSampler(dataset, num_samples=n_images)
        batches = BatchSampler(order, batch_size, drop_last=n_images > batch_size)
        loader = DataLoader(dataset, sampler=batches, batch_size=None)
        descent = Descent(network, learning_rate, epochs * len(loader), rise=0.2, weight_decay=weight_decay)
        average = descent.average.module
        progress = tqdm(range(epochs), desc=description, unit="epoch", leave=False)
        for epoch in progress:
            network.train()
            losses = []
            for batch, target in loader:
                with autocast(device, bfloat16):
                    predicted = network.rates(batch)
                errors = ((predicted - target) / network.rate_scale) ** 2
                loss = (errors.mean(dim=0) * weights).sum() / weights.sum()
                descent.step(loss)
                losses.append(loss.item())
            history.add_epoch(losses)
            if held_out is None:
                history.best_epoch = epoch
                progress.set_postfix(loss=f"{history.loss[-1]:.3f}")
                continue
            predicted = _in_batches(average.eval().rates, unseen, device, bfloat16)
            score = mean_score(unseen_rates, predicted[:, :n_neurons])
            history.explained_variance.append(score)
            if best is None or score > history.explained_variance[history.best_epoch]:
                history.best_epoch, best = epoch, copy.deepcopy(average.state_dict())
            progress.set_postfix(loss=f"{history.loss[-1]:.3f}", held_out=f"{score:.3f}")
            if on_epoch is not None:
                on_epoch(epoch, score)
            if epoch - history.best_epoch >= patience:
                break
        progress.close()
    network.load_state_dict(average.state_dict() if best is None else best)
    network.eval()
    history.seconds = time.perf_counter() - start
    return history


def _as_tensor(inputs):
    return inputs if isinstance(inputs, disk_tensors.Rows) else torch.as_tensor(inputs)


@torch.inference_mode()
def _prepared(network, inputs, device, bfloat16, batch_size=8):
    """Normalised inputs on the device, in the type that the first layer computes in, channels side by side.

    Few images at a time: what lies between stays in the processor's cache, where large batches are ten times as slow
    because the system hands out fresh memory for each of them.
    """
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    prepared = torch.empty(inputs.shape, dtype=dtype, device=device, memory_format=torch.channels_last)
    for place, batch in zip(prepared.split(batch_size), inputs.split(batch_size)):
        place.copy_(network.normalised(batch.to(device)))
    return prepared


def predict(network, inputs, batch_size=256, device="cpu", bfloat16=False):
    """Firing rates that a network predicts.

    Parameters
    ----------
    network : models.Network
    inputs : tensor or disk_tensors.Rows of shape (n_images, n_channels, height, width)
    batch_size : int
        Images at a time, at most; fewer where they are large.

    Returns
    -------
    rates : array of shape (n_images, n_neurons), float32
        Spikes per second.
    """
    network.eval().to(device)
    return _in_batches(network, _as_tensor(inputs), device, bfloat16, batch_size)


@torch.inference_mode()
def _in_batches(rates_of, inputs, device, bfloat16, batch_size=256):
    parts = []
    n_values = max(1, int(np.prod(inputs.shape[1:])))
    for batch in inputs.split(min(batch_size, max(1, _AT_ONCE // n_values))):
        with autocast(device, bfloat16):
            parts.append(rates_of(batch.to(device)).float().cpu())
    if torch.is_tensor(inputs):
        disk_tensors.release(inputs)
    return torch.cat(parts).numpy()
