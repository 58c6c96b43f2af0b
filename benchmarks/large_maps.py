"""What it costs to train a readout on large maps: ``python -m benchmarks.large_maps``.

Maps of layer3 of a ResNet-50 at 224 pixels (1024 x 14 x 14), random, and 168 neurons. Each step is timed in turn as it
was and as it is, in processor time, so that other work on the machine counts little.
"""

import argparse
import math
import statistics
import time

import numpy as np
import torch

from itneurons import networks
from itneurons.device import has_bfloat16
from itneurons.networks import models, readouts, training
from itneurons.storage.disk_tensors import Rows

SHAPE, N_NEURONS = (1024, 14, 14), 168


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.manual_seed(0)
    dtype = torch.bfloat16 if has_bfloat16() else torch.float32
    channels, height, width = SHAPE
    maps = torch.rand(given.images, height, width, channels).to(dtype).movedim(-1, 1)
    network = networks.BackboneReadout(*SHAPE, N_NEURONS)
    network.normalise_rates_to(torch.randn(given.images, N_NEURONS))
    print(f"{given.images} images, {dtype}, {torch.get_num_threads()} threads, {given.repeats} repeats")
    print("| step | as it was | as it is | ratio: median (min, max) |\n| --- | --- | --- | --- |")
    for name, before, after in (
        ("moments of each channel", lambda: moments(maps), lambda: moments(Rows(maps, np.arange(len(maps))))),
        ("normalisation", lambda: prepared(network, maps, 256), lambda: prepared(network, maps, 8)),
        ("step of 64 images", lambda: step(network, maps, math.inf), lambda: step(network, maps, 2**22)),
    ):
        old, new = zip(*((seconds(before), seconds(after)) for _ in range(given.repeats)))
        ratios = [a / b for a, b in zip(old, new)]
        middle = statistics.median(old), statistics.median(new)
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}, {max(ratios):.1f})"
        print(f"| {name} | {middle[0]:.3f} s | {middle[1]:.3f} s | {spread} |")


def moments(maps):
    return models._std_mean(maps)


def prepared(network, maps, batch_size):
    return training._prepared(network, maps, "cpu", maps.dtype == torch.bfloat16, batch_size)


def step(network, maps, most_weights):
    """Forward and backward pass of a factorised readout, with one weight for each place and feature, or without."""
    readouts._MOST_WEIGHTS = most_weights
    network.train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=maps.dtype == torch.bfloat16):
        loss = network.rates(maps[:64]).square().mean()
    loss.backward()


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
