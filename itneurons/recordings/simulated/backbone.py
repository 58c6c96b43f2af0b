"""The network of the simulated experiment: a small ResNet that tells the 64 objects apart.

Its weights, ``backbone.pth``, lie beside this module. They come from images with other seeds and other backgrounds than
the stimuli's. To train it anew (about 15 minutes on two cores):

    python -m itneurons.recordings.simulated.backbone --images 20480 --epochs 6
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, ResNet
from tqdm.auto import tqdm

from itneurons.recordings.schema import CATEGORIES, category_of, normalise
from itneurons.recordings.simulated.stimuli import OBJECTS, render_images, sample_scenes
from itneurons.storage.files import written_whole

INPUT_SIZE = 112
WEIGHTS = Path(__file__).with_name("backbone.pth")
# far from the seeds of any experiment, and from each other
TRAIN_SEED, TEST_SEED = 1_000_003, 2_000_003
CATEGORY = torch.tensor([CATEGORIES.index(category_of(name)) for name in OBJECTS])


def build(pretrained=True, seed=0):
    """The network, in evaluation mode.

    Its input is an array of shape (n_images, 3, INPUT_SIZE, INPUT_SIZE): ImageNet-normalised RGB, as the data file
    holds it, resized. Its layers have the names of every torchvision ResNet: conv1, layer1 .. layer4, avgpool, fc.

    Parameters
    ----------
    pretrained : bool
        Load ``backbone.pth``; otherwise the weights are random.
    seed : int
        Draws the random weights. The state of torch's own generator stays as it was.

    Returns
    -------
    network : torchvision.models.resnet.ResNet
        4.9 million parameters; its output has the shape (n_images, 64), in the order of OBJECTS.

    Raises
    ------
    FileNotFoundError
        If there are no weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=len(OBJECTS))
    if pretrained:
        weights = checkpoint()["weights"]
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.eval()


def checkpoint():
    """What ``backbone.pth`` holds: weights, object names, input size, accuracy, and the command that made it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    if not WEIGHTS.exists():
        raise FileNotFoundError(
            f"There are no weights at {WEIGHTS}: get them with the repository, or train them with "
            "python -m itneurons.recordings.simulated.backbone"
        )
    return torch.load(WEIGHTS, map_location="cpu", weights_only=True)


def _rendered(n_images, seed, photographs, workers):
    """Images (n_images, INPUT_SIZE, INPUT_SIZE, 3), uint8, and the index of the object in each."""
    # every object equally often, in random order
    objects = np.random.default_rng(seed).permutation(np.arange(n_images) % len(OBJECTS))
    scenes = sample_scenes(objects, seed)
    images = np.empty((n_images, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
    drawn = render_images(scenes, INPUT_SIZE, photographs, workers)
    for index, image in enumerate(tqdm(drawn, total=n_images, desc=f"rendering ({photographs})", unit="image")):
        images[index] = image
    return images, torch.from_numpy(objects)


def _augmented(images, rng):
    """Shift, scale, turn and mirror images (n, 3, height, width); change their colours; blur some, add noise."""
    n = len(images)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(n, *shape, generator=rng)

    angle, scale = uniform(-0.15, 0.15), uniform(0.85, 1.15)
    mirror = torch.randint(0, 2, (n,), generator=rng) * 2.0 - 1
    maps = torch.stack(
        [
            torch.stack([mirror * scale * angle.cos(), -scale * angle.sin(), uniform(-0.12, 0.12)], dim=1),
            torch.stack([mirror * scale * angle.sin(), scale * angle.cos(), uniform(-0.12, 0.12)], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast = uniform(0.7, 1.3, 1, 1, 1) * uniform(0.9, 1.1, 3, 1, 1)
    images = images * contrast + uniform(-0.3, 0.3, 1, 1, 1) + uniform(-0.15, 0.15, 3, 1, 1)
    blurred = slice(0, n // 6)
    images[blurred] = functional.avg_pool2d(images[blurred], 3, stride=1, padding=1, count_include_pad=False)
    return images + 0.08 * torch.randn(images.shape, generator=rng)


def accuracy(network, images, labels, batch_size=128):
    """Share of images (n_images, height, width, 3), uint8, whose object and whose category are named rightly."""
    network.eval()
    with torch.inference_mode():
        named = torch.cat(
            [
                network(torch.from_numpy(normalise(part))).argmax(dim=1)
                for part in np.split(images, range(batch_size, len(images), batch_size))
            ]
        )
    return {
        "object": (named == labels).float().mean().item(),
        "category": (CATEGORY[named] == CATEGORY[labels]).float().mean().item(),
    }


def train(n_images=20480, epochs=6, batch_size=64, learning_rate=2e-3, n_test=1280, seed=0, workers=2, path=WEIGHTS):
    """Train the network from random weights and write its checkpoint.

    AdamW with one cycle of the learning rate and smoothed labels, in bfloat16 and channels_last order.

    Parameters
    ----------
    n_images, epochs, batch_size, learning_rate
        Of the training.
    n_test : int
        Fresh images for each of the two tests, on backgrounds of the training and of the experiment.
    seed : int
        Draws images, weights, batches and augmentation.
    workers : int
        Processes that render.
    path : str or Path
        Where the checkpoint goes; it appears there only when it is whole.

    Returns
    -------
    accuracies : dict of str to dict
        Share right, of objects and of categories, on the backgrounds "training" and "experiment".
    """
    images, labels = _rendered(n_images, TRAIN_SEED + seed, "training", workers)
    network = build(pretrained=False, seed=seed).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.05)
    n_batches = math.ceil(n_images / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=epochs * n_batches, pct_start=0.2
    )
    rng = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        progress = tqdm(torch.randperm(n_images, generator=rng).split(batch_size), desc=f"epoch {epoch + 1}/{epochs}")
        right = 0
        for batch in progress:
            inputs = _augmented(torch.from_numpy(normalise(images[batch.numpy()])), rng)
            # 335 images/s on two cores; 188 in float32, 278 without channels_last
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(inputs.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += (logits.argmax(dim=1) == labels[batch]).sum().item()
            progress.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
        print(f"epoch {epoch + 1}: {right / n_images:.3f} of the augmented training images right", flush=True)

    # half precision keeps the file small; the few numbers that are no matrices stay exact
    weights = {name: value.half() if value.ndim > 1 else value for name, value in network.state_dict().items()}
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    accuracies = {}
    for offset, photographs in enumerate(("training", "experiment")):
        fresh = _rendered(n_test, TEST_SEED + 2 * seed + offset, photographs, workers)
        accuracies[photographs] = accuracy(network, *fresh)
        print(f"fresh images on backgrounds of the {photographs}: {accuracies[photographs]}", flush=True)
    command = f"python -m itneurons.recordings.simulated.backbone --images {n_images} --epochs {epochs} --seed {seed}"
    with written_whole(path, bytes_needed=12_000_000) as temporary:
        torch.save(
            {
                "weights": {name: value.contiguous() for name, value in weights.items()},
                "objects": list(OBJECTS),
                "input_size": INPUT_SIZE,
                "accuracy": accuracies,
                "command": command,
            },
            temporary,
        )
    return accuracies


def main():
    parser = argparse.ArgumentParser(
        prog="python -m itneurons.recordings.simulated.backbone", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--images", type=int, default=20480, help="training images")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--path", type=Path, default=WEIGHTS, help="where the weights go")
    options = parser.parse_args()
    train(options.images, options.epochs, seed=options.seed, workers=options.workers, path=options.path)


if __name__ == "__main__":
    main()
