"""The layer scores of the package brainscore_vision and ours, side by side, on the same images, layers and weights.

    python -m benchmarks.brainscore_scoring --python PATH [--network vgg16] [--images 256] [--layers NAME ...]

PATH is a Python that has brainscore_vision 2.4 installed; its requirements and ours do not go together. Both ways run
one after the other, each in a process of its own, on simulated recordings and random weights; nothing is downloaded.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.__main__ import RESULTS, alone
from itneurons.recordings import simulated
from itneurons.storage.files import written_whole

THEIRS = Path(__file__).with_name("brainscore_theirs.py")
# one name for each category: its splits want every name in every tenth of the images, so 64 objects want 640 images
NAMES = ("airplane0", "apple", "bear", "car0", "chair0", "face0", "ship0", "table0")


def prepare(folder, n_images, n_neurons, n_trials, network, layers, n_pictures):
    """Make the recording, the same as a stimulus set, the weights, and pictures to stand for ImageNet's.

    Parameters
    ----------
    folder : Path
    n_images, n_neurons, n_trials : int
        An eighth of the images each are for validation and test, and have single trials.
    network : str
        A network of torchvision.
    layers : sequence of str or None
        The ends of its stages when left out.
    n_pictures : int

    Returns
    -------
    layers : list of str
    """
    import torch
    from PIL import Image

    from itneurons.features import load_backbone
    from itneurons.recordings import load_it_data, load_test_rates, load_trials, object_categories, schema

    model = load_backbone(network, pretrained=False)
    layers = list(layers or model.layers)
    torch.save(model.state_dict(), folder / "weights.pth")
    settings = {"network": network, "layers": layers, "pca": n_pictures, "input_size": model.input_size}
    settings |= {"mean": list(model.mean), "std": list(model.std)}
    (folder / "settings.json").write_text(json.dumps(settings))

    def pixels(stimuli):
        return np.rint(255 * schema.to_rgb(stimuli)).astype(np.uint8)

    def save(pictures, where, names):
        where.mkdir()
        for picture, name in zip(pictures, names):
            Image.fromarray(picture).save(where / f"{name}.png")

    eighth = n_images // 8
    sizes = (n_images - 2 * eighth, eighth, eighth)
    drawn = simulated.make(folder / "drawn", sizes, n_neurons=n_neurons, n_trials=n_trials)
    data = load_it_data(drawn)
    names = dict(zip(map(schema.category_of, NAMES), NAMES))
    splits = schema.SPLITS
    images = {split: pixels(stimuli) for split, stimuli in zip(splits, data[:3])}
    objects = {split: [names[kind] for kind in object_categories(given)] for split, given in zip(splits, data[3:6])}
    rates = dict(zip(splits, (data.spikes_train, data.spikes_val, load_test_rates(drawn))))
    trials = {split: load_trials(drawn, split) for split in ("val", "test")}
    about = {"source": simulated.SOURCE, "seed": 0, "citation": simulated.CITATION, "unit": "spikes/s"}
    schema.write(folder / "IT_data.h5", images, rates, objects, trials=trials, **about)

    # in the order of the splits, which is that of the ids, in which the package takes the images
    ids = np.array([f"image{index:05d}" for index in range(n_images)])
    save(np.concatenate(list(images.values())), folder / "stimuli", ids)
    np.savez(
        folder / "recording.npz",
        ids=ids,
        objects=np.concatenate(list(objects.values())),
        rates=np.concatenate(list(rates.values())),
        trials=np.concatenate(list(trials.values()), axis=1),
        repeated=np.arange(sizes[0], n_images),
    )
    # it takes the first picture of each of so many of ImageNet's classes of fifty, from a folder where it has them
    if n_pictures:
        others = load_it_data(simulated.make(folder / "pictures", (n_pictures, 1, 1), n_neurons=1, n_trials=2, seed=1))
        save(pixels(others.stimulus_train), folder / "imagenet.hdf5-files", range(0, 50 * n_pictures, 50))
        import h5py

        h5py.File(folder / "imagenet.hdf5", "w").close()
    return layers


def run_theirs(folder, python):
    """Score the layers with brainscore_vision, in its own Python; it fetches nothing, and its cache is in the folder.

    Returns
    -------
    found : dict
        ``scores``, ``ceiling``, ``seconds`` by step, ``peak_memory``, ``memory_before``, ``threads``, ``torch``.
    """
    homes = {
        "RESULTCACHING_HOME": "cache",
        "BRAINSCORE_HOME": "home",
        "MT_HOME": "tools",
        "MT_IMAGENET_PATH": "imagenet.hdf5",
    }
    environment = os.environ | {name: str(folder / place) for name, place in homes.items()}
    # this repository is no part of it
    environment.pop("PYTHONPATH", None)
    with open(folder / "theirs.log", "w") as log:
        done = subprocess.run(
            [python, THEIRS, folder], env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    if done.returncode:
        last = "\n".join((folder / "theirs.log").read_text().splitlines()[-15:])
        raise RuntimeError(f"brainscore_vision ended with {done.returncode} in {python}:\n{last}")
    return json.loads((folder / "theirs.json").read_text())


def run_ours(folder, layers, metrics):
    """The same with ``itneurons.score``.

    Returns
    -------
    found : dict
        As of ``run_theirs``.
    """
    import torch

    import itneurons
    from benchmarks.brainscore_theirs import peak_memory
    from itneurons.features import load_backbone
    from itneurons.scoring.layer_scores import read_recording

    settings = json.loads((folder / "settings.json").read_text())
    model = load_backbone(settings["network"], pretrained=False)
    model.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    before, start = peak_memory(), time.perf_counter()
    recording = read_recording(folder / "IT_data.h5")
    read = time.perf_counter() - start
    scores = itneurons.score(model, recording, layers, metrics=metrics, output=folder)
    seconds = {"recording and ceiling": read, "activations and scores": time.perf_counter() - start - read}
    by_layer = scores[scores["metric"] == "brainscore_pls"].set_index("layer")["value"]
    return {
        "scores": [float(by_layer[layer]) for layer in layers],
        "ceiling": recording.consistency,
        "seconds": seconds,
        "peak_memory": peak_memory(),
        "memory_before": before,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def ours_on_their_features(folder, layers, ceiling):
    """``brainscore_pls`` of the features that brainscore_vision scored, with its ceiling."""
    from itneurons.evaluation import brainscore_pls

    with np.load(folder / "recording.npz") as recording, np.load(folder / "features.npz") as features:
        rates, objects = recording["rates"], recording["objects"]
        return [brainscore_pls(features[layer], rates, objects, ceiling)[0] for layer in layers]


def tables(summary):
    """The comparison as tables in Markdown."""
    theirs, ours = summary["theirs"], summary["ours"]
    lines = [
        "| layer | brainscore_vision | ours | ours, on its features | difference on the same features |",
        "| --- | --- | --- | --- | --- |",
    ]
    columns = zip(summary["layers"], theirs["scores"], ours["scores"], summary["ours_on_their_features"])
    lines += [f"| {layer} | {a:.4f} | {b:.4f} | {c:.4f} | {c - a:+.5f} |" for layer, a, b, c in columns]
    total = {name: sum(found["seconds"].values()) for name, found in (("theirs", theirs), ("ours", ours))}
    memory = theirs["peak_memory"], ours["peak_memory"]
    lines += ["", "| | brainscore_vision | ours | ratio |", "| --- | --- | --- | --- |"]
    lines += [f"| time | {total['theirs']:.1f} s | {total['ours']:.1f} s | {total['theirs'] / total['ours']:.1f} |"]
    lines += [f"| peak memory | {memory[0] / 1e9:.2f} GB | {memory[1] / 1e9:.2f} GB | {memory[0] / memory[1]:.1f} |"]
    before = theirs["memory_before"], ours["memory_before"]
    lines += [f"| of it before the first layer | {before[0] / 1e9:.2f} GB | {before[1] / 1e9:.2f} GB | |"]
    lines += [f"| ceiling | {theirs['ceiling']:.4f} | {ours['ceiling']:.4f} | |"]
    for name, found in (("brainscore_vision", theirs), ("ours", ours)):
        steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in found["seconds"].items())
        lines += ["", f"{name}: {steps}; {found['threads']} threads, torch {found['torch']}"]
    return "\n".join(lines)


def main(arguments=None):
    """Measure both, print the tables, write the JSON file, and return what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.brainscore_scoring", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--python", required=True, help="a Python with brainscore_vision")
    parser.add_argument("--network", default="vgg16", help="of torchvision, random weights (default %(default)s)")
    parser.add_argument("--images", type=int, default=256, help="at least 80 (default %(default)s)")
    parser.add_argument("--layers", nargs="+", help="default: the ends of the stages")
    parser.add_argument("--neurons", type=int, default=168, help="simulated neurons (default %(default)s)")
    parser.add_argument("--trials", type=int, default=50, help="presentations of an image (default %(default)s)")
    parser.add_argument(
        "--pca", type=int, default=200, help="components that brainscore_vision takes, 0 for none (default %(default)s)"
    )
    parser.add_argument("--metrics", nargs="+", default=["pls"], help="that ours computes (default pls, as theirs)")
    parser.add_argument("--folder", type=Path, help="a new one, to keep everything (default: nowhere)")
    parser.add_argument("--json", type=Path, help="where the numbers go (default benchmarks/results/)")
    given = parser.parse_args(arguments)
    if given.images < 10 * len(NAMES):
        parser.error(f"--images {given.images}: a tenth of them holds each of {len(NAMES)} objects only from 80 on")
    if given.folder and given.folder.exists():
        parser.error(f"{given.folder} is there already: what it holds would be taken, not measured")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        layers = alone(
            prepare, folder, given.images, given.neurons, given.trials, given.network, given.layers, given.pca
        )
        print(f"{given.network}, {', '.join(layers)}: brainscore_vision, then ours", flush=True)
        theirs = run_theirs(folder, given.python)
        ours = alone(run_ours, folder, layers, given.metrics)
        same = alone(ours_on_their_features, folder, layers, theirs["ceiling"])
    settings = {name: getattr(given, name) for name in ("network", "images", "neurons", "trials", "pca", "metrics")}
    summary = {"recordings": simulated.SOURCE, **settings, "layers": layers}
    summary |= {"theirs": theirs, "ours": ours, "ours_on_their_features": same}
    destination = given.json or RESULTS / "brainscore_scoring.json"
    with written_whole(destination) as unfinished:
        Path(unfinished).write_text(json.dumps(summary, indent=1) + "\n")
    print(f"\n{given.images} images, {given.neurons} neurons, {simulated.SOURCE}\n\n{tables(summary)}")
    print(f"\nThe same: {destination}")
    return summary


if __name__ == "__main__":
    main()
