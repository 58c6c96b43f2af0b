"""Training on several recordings at once: every batch is of one of them, and the core learns from all."""

import time
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from itneurons.device import autocast, seeded
from itneurons.networks.checkpoints import load_or_train, read_safely, write
from itneurons.networks.descent import Descent
from itneurons.networks.training import History
from itneurons.networks.views import moved
from itneurons.storage.stored import check_made_of, fingerprint, load_if_it_fits


def fit_shared(
    network,
    recordings,
    epochs=10,
    batch_size=32,
    learning_rate=3e-3,
    views=1,
    seed=0,
    device="cpu",
    bfloat16=False,
    progress=None,
    description="several recordings",
):
    """Train one core and the readouts of several recordings by mean squared error, where 1 is a neuron's variance.

    AdamW with a one-cycle schedule; the batches of all recordings come in random order. What is kept is the running
    average of the weights (``Descent``). There is no early stopping: nothing is chosen here.

    Parameters
    ----------
    network : SharedCore
        Trained in place, ends in evaluation mode.
    recordings : dict of str to pair of tensors
        For each recording of the network its inputs (n_images, n_channels, height, width), float16 is enough, and rates
        (n_images, n_neurons); training images alone.
    epochs, batch_size : int
    learning_rate : float
        At the top of the cycle, of the readouts' features.
    views : int
        Every batch is moved as in one of so many views (``views.moved``), where its maps are fine enough for that.
    seed : int
        Of the order of images, of views and of dropout.
    device : str or torch.device
    bfloat16 : bool
        Compute in bfloat16 where that is safe (autocast).
    progress : str or Path, optional
        A file that is written after each epoch and removed after the last. If it is there and fits, training resumes
        with the epoch after it, and ends with the same weights as if it had not been interrupted.
    description : str
        For the progress bar.

    Returns
    -------
    history : training.History
        Without explained variances, for no image is held out.

    Raises
    ------
    ValueError
        If recordings or shapes do not fit the network; the message names which.
    FloatingPointError
        If the loss is no longer finite.
    """
    recordings = {name: tuple(map(torch.as_tensor, pair)) for name, pair in recordings.items()}
    _check(network, recordings)
    network.normalise_to_all(recordings)
    network.to(device=device, memory_format=torch.channels_last)
    # as even as they come: a last batch of few images would be noise
    n_batches = {name: max(1, len(rates) // batch_size) for name, (_, rates) in recordings.items()}
    n_steps = epochs * sum(n_batches.values()) + 1
    cycle = {"rise": 0.15, "div_factor": 10, "final_div_factor": 50}
    descent = Descent(network, learning_rate, n_steps, longest_gradient=5.0, **cycle)
    made_of = {"config": network.config, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    made_of |= {
        "views": views,
        "seed": seed,
        "recordings": {name: _fingerprint(*pair) for name, pair in recordings.items()},
    }
    history = _resumed(progress, made_of, descent.parts)
    before, start = history.seconds, time.perf_counter()
    done = len(history.loss)
    for epoch in tqdm(range(done, epochs), desc=description, unit="epoch", leave=False, initial=done, total=epochs):
        # drawn from seed and epoch, so that a run that resumes draws what one without interruption would
        draw = np.random.default_rng([seed, epoch])
        batches = [
            (name, batch)
            for name, (_, rates) in recordings.items()
            for batch in np.array_split(draw.permutation(len(rates)), n_batches[name])
        ]
        losses = []
        network.train()
        with seeded(seed * 10_007 + epoch):
            for index in draw.permutation(len(batches)):
                name, images = batches[index]
                inputs, rates = (part[np.sort(images)].to(device) for part in recordings[name])
                inputs = moved(inputs, draw.integers(views))
                with autocast(device, bfloat16):
                    predicted = network.rates(network.normalised(inputs), name)
                errors = (predicted - rates.float()) / network.rate_scale[network.recordings[name][1]]
                loss = errors.square().mean()
                descent.step(loss)
                losses.append(loss.item())
        history.add_epoch(losses)
        history.seconds = before + time.perf_counter() - start
        if progress is not None:
            _write(progress, made_of, descent.parts, history)
    network.load_state_dict(descent.average.module.state_dict())
    history.best_epoch = epochs - 1
    if progress is not None:
        Path(progress).unlink(missing_ok=True)
    network.eval()
    return history


def load_or_fit_shared(path, made_of, build, recordings, seed=0, device="cpu", bfloat16=False, **options):
    """Train a core on several recordings and store it, or load it if it was trained before.

    A run that was interrupted resumes with the epoch after the last that was finished.

    Parameters
    ----------
    path : str or Path
    made_of : dict
        All that the result depends on besides the network's configuration, the seed and the options.
    build : callable
        Without arguments, gives an untrained network; what it draws comes from the seed.
    recordings : callable
        Without arguments, gives the recordings as for ``fit_shared``; called only where the network must be trained.
    seed, device, bfloat16, **options
        As for ``fit_shared``.

    Returns
    -------
    network : SharedCore
        As the file holds it.
    history : training.History
    """
    path = Path(path)
    progress = path.with_name(f"{path.stem}_unfinished.pth")
    computing = {"device": device, "bfloat16": bfloat16, "progress": progress}

    def train(network):
        return fit_shared(network, recordings(), seed=seed, **computing, **options)

    return load_or_train(path, {**made_of, **options}, build, train, seed)


def _check(network, recordings):
    if recordings.keys() != network.recordings.keys():
        raise ValueError(
            f"The network has readouts for {', '.join(network.recordings)}, the recordings are {', '.join(recordings)}"
        )
    shape = tuple(network.config[name] for name in ("n_channels", "height", "width"))
    for name, (inputs, rates) in recordings.items():
        neurons = network.recordings[name][1]
        expected = (len(inputs), neurons.stop - neurons.start)
        if tuple(inputs.shape[1:]) != shape:
            raise ValueError(f"{name}: the inputs have the shape {tuple(inputs.shape)}, expected (n_images, *{shape})")
        if tuple(rates.shape) != expected:
            raise ValueError(f"{name}: the rates have the shape {tuple(rates.shape)}, expected {expected}")


def _fingerprint(inputs, rates):
    # a few images tell which layers of which images they are, without reading all
    return fingerprint(rates, np.array(inputs.shape), inputs[:: max(1, len(inputs) // 20)].float())


def _resumed(progress, made_of, parts):
    """Put everything back to how it was after the last epoch that was finished; gives its history."""

    def load(path, made_of):
        if not Path(path).exists():
            raise FileNotFoundError(path)
        content = read_safely(path)
        check_made_of(content["made_of"], made_of)
        return content

    content = None if progress is None else load_if_it_fits(progress, made_of, load)
    if content is None:
        return History()
    for name, part in parts.items():
        part.load_state_dict(content[name])
    return History(**content["history"])


def _write(progress, made_of, parts, history):
    content = {name: part.state_dict() for name, part in parts.items()}
    write(progress, {**content, "made_of": made_of, "history": vars(history)})
