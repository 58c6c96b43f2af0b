"""The steps of training, as every network here takes them: AdamW on one cycle of learning rates, and an average."""

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Descent:
    """AdamW with a one-cycle schedule, and a running average of the weights beside it.

    Parameters
    ----------
    network : models.Network
        On the device that it is trained on.
    learning_rate : float
        At the top of the cycle.
    n_steps : int
        Of the whole cycle.
    rise : float
        Share of the cycle in which the learning rate grows.
    weight_decay : float
        Of parameters for which the network names none.
    longest_gradient : float, optional
        Gradients with a greater norm are brought down to it.
    **cycle
        For ``torch.optim.lr_scheduler.OneCycleLR``.

    Attributes
    ----------
    average : torch.optim.swa_utils.AveragedModel
        Exponential, over about fifty steps: it generalises better than the last step.
    """

    def __init__(self, network, learning_rate, n_steps, rise, weight_decay=0.01, longest_gradient=None, **cycle):
        groups = network.parameter_groups(learning_rate)
        if rise * n_steps == 1:
            # torch divides by what a rise has beyond its first step
            n_steps += 1
        self.network, self.longest_gradient = network, longest_gradient
        self.optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, [group["lr"] for group in groups], total_steps=n_steps, pct_start=rise, **cycle
        )
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)

    def step(self, loss):
        """One step down from a loss."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.longest_gradient is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.longest_gradient)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)

    @property
    def parts(self):
        """What must be kept to go on later, by name; each has a ``state_dict``."""
        return {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
