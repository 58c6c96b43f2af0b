"""What the machine can do at most: matrix products, convolutions, and the arithmetic that a network asks for."""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from itneurons.device import has_bfloat16


def measure(task, seconds):
    """Peaks of this machine, in every precision that pays on it.

    Parameters
    ----------
    task : Task
    seconds : float
        For each measurement, at least.

    Returns
    -------
    limits : dict
        ``arithmetic``: operations of a forward pass of one image, a multiplication and an addition counted as two.
        ``matrix_product`` and ``convolutions``: by precision, operations a second of the best large square matrix
        product, and images a second of the network's convolutions alone, in channels_last.
    """
    precisions = {"float32": torch.float32}
    if has_bfloat16():
        precisions["bfloat16"] = torch.bfloat16
    return {
        "arithmetic": arithmetic(task.model(), task.image_size),
        "matrix_product": {name: matrix_product(dtype, seconds) for name, dtype in precisions.items()},
        "convolutions": {
            # which batch is fastest depends on the processor's caches
            name: max(convolutions(task.model(), task.image_size, size, dtype, seconds / 2) for size in (16, 64))
            for name, dtype in precisions.items()
        },
    }


@torch.inference_mode()
def arithmetic(model, image_size):
    """Operations of one image's forward pass."""
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, image_size, image_size))
    return counter.get_total_flops()


@torch.inference_mode()
def matrix_product(dtype, seconds, sizes=(2048, 3072)):
    """Operations a second of the best square matrix product."""
    rates = []
    for size in sizes:
        a = torch.randn(size, size).to(dtype)
        rates.append(2 * size**3 / _fastest(lambda a=a: a @ a.T, seconds / len(sizes)))
    return max(rates)


@torch.inference_mode()
def convolutions(model, image_size, batch_size, dtype, seconds):
    """Images a second of a network's convolutions, one after the other, on inputs that are laid out already."""
    shapes = []
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    hooks = [
        layer.register_forward_pre_hook(lambda module, inputs: shapes.append((module, inputs[0].shape[1:])))
        for layer in layers
    ]
    model(torch.zeros(1, 3, image_size, image_size))
    for hook in hooks:
        hook.remove()
    total = 0.0
    for layer, shape in shapes:
        layer = layer.to(dtype=dtype, memory_format=torch.channels_last)
        batch = torch.randn(batch_size, *shape).to(dtype=dtype, memory_format=torch.channels_last)
        total += _fastest(lambda layer=layer, batch=batch: layer(batch), seconds / len(shapes))
    return batch_size / total


def _fastest(compute, seconds):
    """Seconds of the fastest of several calls, the first left out."""
    compute()
    durations = []
    while sum(durations) < seconds or len(durations) < 2:
        start = time.perf_counter()
        compute()
        durations.append(time.perf_counter() - start)
    return min(durations)
