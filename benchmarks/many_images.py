"""The steps of week6 at several numbers of images: seconds and memory, on simulated recordings.

    python -m benchmarks.many_images [--images 3200 6400 12800 25248] [--folder runs/many_images] [--memory 8]
    python -m benchmarks.many_images --compare

Each number of images runs in a process of its own; recordings are rendered before, and that is not counted. What is
measured is kept in the folder and not measured again. ``--compare`` runs 3,200 images twice, the way of few images
(stimuli in memory, full decompositions, cross-validation by images) and that of many (stimuli on the disk, leading
components, cross-validation by features), and compares the explained variance of every neuron. Of all pixels the
second way takes 2,048 components and not 2,591, which changes least squares much, for it fits noise with every one.
"""

import argparse
import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.__main__ import alone
from benchmarks.report import machine
from itneurons.recordings import simulated
from itneurons.storage import memory
from itneurons.storage.files import written_whole

NUMBERS = (3200, 6400, 12800, 25248)
N_COMPONENTS = 1000
# images or features beyond which the comparison finds leading components, half of what the package takes
MOST_EXACT = 2048


def sizes_of(n_images):
    """Training, validation and test images: 3,200 as in the course, 25,248 as in THINGS."""
    n_val, n_test = min(500, round(0.09 * n_images)), min(2500, round(0.1 * n_images))
    return n_images - n_val - n_test, n_val, n_test


class Steps:
    """Seconds of each step, and the most memory that was resident in it."""

    def __init__(self):
        self.seconds, self.peaks, self._step, self._done = {}, {}, None, threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @contextmanager
    def timed(self, step):
        self._step, start = step, time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0) + time.perf_counter() - start
        self._step = None

    def finish(self):
        self._done.set()
        self._watcher.join()

    def _watch(self):
        process = psutil.Process()
        while not self._done.wait(0.05):
            if (step := self._step) is not None:
                self.peaks[step] = max(self.peaks.get(step, 0), process.memory_info().rss)


def measure(path, memory_size, way=None):
    """Run the steps on a recording.

    Parameters
    ----------
    path : Path
    memory_size : float
        Bytes that the package may count on.
    way : {"few", "many"}, optional
        The way of few images or of many, whatever their number.

    Returns
    -------
    measured : dict
        ``seconds`` and ``peaks`` by step, ``peak``, and ``explained_variance`` by model and neuron.
    """
    os.environ[memory.VARIABLE] = {"few": "1e15", "many": "1e8"}.get(way, str(memory_size))
    import utils
    from itneurons.features import components, leading, principal_components
    from itneurons.regression import fit_ridge, ridge

    if way == "few":
        components.MOST_EXACT = 10**9
        # no fold is found to have more images than there are features
        ridge.by_features = lambda *_: False
    elif way == "many":
        components.MOST_EXACT = leading.MOST_EXACT = MOST_EXACT
        ridge.by_features = lambda *_: True
    steps, scores = Steps(), {}
    with steps.timed("load, check and digest"):
        data = utils.load_it_data(path)
        stimuli = data[:3]
        utils.fingerprint(*stimuli)
    categories = utils.object_categories(data.objects_train, path)

    def evaluate(label, parts, **options):
        model = fit_ridge(parts[0], data.spikes_train, categories, **options)
        scores[label] = utils.explained_variance(data.spikes_val, model.predict(parts[1])).tolist()

    with steps.timed("pixels: components"):
        pixels = principal_components(*stimuli, n_components=None)
    features = {"pixels": pixels, "summary of pixels": [part[:, :N_COMPONENTS] for part in pixels]}
    for label, parts in features.items():
        with steps.timed("pixels: least squares"):
            evaluate(f"least squares, {label}", parts, alphas=0)
        with steps.timed("pixels: ridge"):
            evaluate(f"ridge, {label}", parts)
    del pixels, features, parts
    for name in ("trained", "random"):
        network = utils.load_backbone("simulated", pretrained=name == "trained")
        with steps.timed("layers: extraction"):
            activations = [utils.extract_activations(network, part) for part in stimuli]
        for layer in network.layers:
            with steps.timed("layers: components"):
                parts = principal_components(*(part.pop(layer) for part in activations), n_components=N_COMPONENTS)
            with steps.timed("layers: ridge"):
                evaluate(f"ridge, {name} {layer}", parts)
    steps.finish()
    peak = max(steps.peaks.values())
    return {"seconds": steps.seconds, "peaks": steps.peaks, "peak": peak, "explained_variance": scores}


def measured_once(file, made_of, *arguments):
    """What a process of its own measures, or measured before."""
    if file.exists():
        found = json.loads(file.read_text())
        if found["made_of"] == made_of:
            return found
    found = {"made_of": made_of, "machine": machine(), **alone(measure, *arguments)}
    with written_whole(file) as temporary:
        temporary.write_text(json.dumps(found, indent=1))
    return found


def table_of(found):
    """Seconds by step and number of images, and the growth from the smallest to the largest, as Markdown."""
    numbers = sorted(found)
    steps = list(found[numbers[0]]["seconds"])
    rows = [("seconds", *(f"{n:,} images" for n in numbers), "grows as n to the"), ("---",) * (len(numbers) + 2)]
    exponent = np.log(numbers[-1] / numbers[0]) if len(numbers) > 1 else np.nan

    def row(label, values, form):
        grown = np.log(values[-1] / values[0]) / exponent if values[0] > 0 else np.nan
        return (label, *(form.format(value) for value in values), f"{grown:.2f}" if np.isfinite(grown) else "")

    rows += [row(step, [found[n]["seconds"][step] for n in numbers], "{:.1f}") for step in steps]
    rows += [row("all", [sum(found[n]["seconds"].values()) for n in numbers], "{:.0f}")]
    rows += [row("memory at most, GB", [found[n]["peak"] / 1e9 for n in numbers], "{:.2f}")]
    matrices = [4 * sizes_of(n)[0] ** 2 / 1e9 for n in numbers]
    rows += [row("of it one n x n matrix, GB", matrices, "{:.2f}")]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def draw(found, path):
    """Seconds and memory against the number of images, both axes logarithmic."""
    import matplotlib.pyplot as plt

    from itneurons import plots

    plots.use_style()
    numbers = np.array(sorted(found))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for step in found[numbers[0]]["seconds"]:
        left.loglog(numbers, [found[n]["seconds"][step] for n in numbers], "o-", label=step)
    total = np.array([sum(found[n]["seconds"].values()) for n in numbers])
    left.loglog(numbers, total[0] * (numbers / numbers[0]) ** 2, "k:", label="n squared")
    left.set(xlabel="images", ylabel="seconds", title="Steps of week6, simulated recordings")
    left.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    right.loglog(numbers, [found[n]["peak"] / 1e9 for n in numbers], "o-", label="resident at most")
    right.loglog(numbers, [4 * sizes_of(n)[0] ** 2 / 1e9 for n in numbers], "k:", label="one n x n matrix")
    right.set(xlabel="images", ylabel="GB", title="Memory of the process")
    right.legend(fontsize="small")
    for axis in (left, right):
        axis.set_xticks(numbers, [f"{n:,}" for n in numbers])
        axis.minorticks_off()
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=120)


def compared(few, many):
    """Explained variance of both ways: a line for each model, as Markdown."""
    lines = ["| model | few | many | difference of means | of a neuron, at most |", "| --- | --- | --- | --- | --- |"]
    for label, values in few["explained_variance"].items():
        one, other = np.array(values), np.array(many["explained_variance"][label])
        means = f"{np.nanmean(one):.4f} | {np.nanmean(other):.4f} | {np.nanmean(other) - np.nanmean(one):+.5f}"
        lines.append(f"| {label} | {means} | {np.nanmax(np.abs(other - one)):.5f} |")
    return "\n".join(lines)


def main(arguments=None):
    """Render, measure, print the table, draw the figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_images", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=NUMBERS)
    parser.add_argument("--folder", type=Path, default=Path("runs/many_images"), help="default %(default)s")
    parser.add_argument("--memory", type=float, default=8, help="GB that the package may count on (default 8)")
    parser.add_argument("--compare", action="store_true", help="the ways of few and of many images, with 3,200")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images (default %(default)s)")
    parser.add_argument("--neurons", type=int, default=168)
    given = parser.parse_args(arguments)
    found = {}
    for n_images in given.images:
        sizes = sizes_of(n_images)
        made_of = {"sizes": list(sizes), "image_size": given.size, "n_neurons": given.neurons, "memory": given.memory}
        folder = given.folder / str(n_images)
        path = simulated.make(folder, sizes, given.size, given.neurons)
        if given.compare:
            few, many = (
                measured_once(folder / f"{way}.json", made_of, path, 1e9 * given.memory, way) for way in ("few", "many")
            )
            print(compared(few, many))
            return few, many
        found[n_images] = measured_once(folder / "measured.json", made_of, path, 1e9 * given.memory)
        print(f"{n_images:,} images: {sum(found[n_images]['seconds'].values()):.0f} s", flush=True)
    print(table_of(found))
    draw(found, given.folder / "many_images.png")
    print(f"\n{given.folder / 'many_images.png'}")
    return found


if __name__ == "__main__":
    main()
