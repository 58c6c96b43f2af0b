"""The layer scores of the package brainscore_vision, by its own code, in the Python that has it installed.

    python brainscore_theirs.py FOLDER

Started by ``brainscore_scoring.py``, which says what lies in the folder. Nothing here is of this repository, for the
requirements of the two do not go together.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np


def peak_memory():
    """Bytes resident at most in this process."""
    try:
        # of this program alone: what getrusage says begins with the peak of the process that started it
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def package(folder):
    """The recording as the package has its own: a stimulus set, single trials, and rates averaged over them."""
    import pandas as pd
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    with np.load(folder / "recording.npz") as file:
        ids, objects, rates, trials, repeated = (
            file[name] for name in ("ids", "objects", "rates", "trials", "repeated")
        )
    stimuli = StimulusSet(pd.DataFrame({"stimulus_id": ids, "object_name": objects}))
    stimuli.stimulus_paths = {name: folder / "stimuli" / f"{name}.png" for name in ids}
    stimuli.identifier = "simulated"

    def assembly(values, which, repetitions):
        neurons = np.arange(values.shape[1])
        made = NeuroidAssembly(
            values[:, :, None],
            coords={
                "stimulus_id": ("presentation", ids[which]),
                "object_name": ("presentation", objects[which]),
                "repetition": ("presentation", repetitions),
                "neuroid_id": ("neuroid", neurons),
                "region": ("neuroid", ["IT"] * len(neurons)),
                "time_bin_start": ("time_bin", [70]),
                "time_bin_end": ("time_bin", [170]),
            },
            dims=["presentation", "neuroid", "time_bin"],
        ).squeeze("time_bin")
        made.attrs |= {"stimulus_set": stimuli, "stimulus_set_identifier": stimuli.identifier}
        return made

    n_trials = len(trials)
    single = assembly(
        trials.reshape(-1, trials.shape[2]), np.tile(repeated, n_trials), np.repeat(np.arange(n_trials), len(repeated))
    )
    return assembly(rates, np.arange(len(ids)), np.zeros(len(ids), dtype=int)), single


def main(folder):
    """Score the layers that ``settings.json`` names; leave ``theirs.json`` and the features that were scored."""
    settings = json.loads((folder / "settings.json").read_text())
    import torch
    import torchvision
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark
    from brainscore_vision.metrics.internal_consistency.ceiling import InternalConsistency
    from brainscore_vision.metrics.regression_correlation.metric import (
        CrossRegressedCorrelation,
        pearsonr_correlation,
        pls_regression,
    )
    from brainscore_vision.model_helpers.activations.pca import LayerPCA
    from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
    from brainscore_vision.model_helpers.brain_transformation.neural import LayerScores

    layers, n_components, size = settings["layers"], settings["pca"], settings["input_size"]
    network = torchvision.models.get_model(settings["network"], weights=None)
    if hasattr(network, "transform_input"):
        # as with its published weights
        network.transform_input = True
    network.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    preprocessing = dict(image_size=size, normalize_mean=settings["mean"], normalize_std=settings["std"])
    model = PytorchWrapper(
        network,
        lambda paths: load_preprocess_images(paths, **preprocessing),
        # its name in the cache of results
        identifier=f"network-pca_{n_components}",
    )
    averaged, single = package(folder)
    # as the package makes its MajajHong2015public.IT-pls
    metric = CrossRegressedCorrelation(
        regression=pls_regression(),
        correlation=pearsonr_correlation(),
        crossvalidation_kwargs=dict(stratification_coord="object_name"),
    )
    benchmark = NeuralBenchmark(
        identifier="simulated.IT-pls",
        version=4,
        parent="IT",
        assembly=averaged,
        similarity_metric=metric,
        visual_degrees=8,
        number_of_trials=50,
        ceiling_func=lambda: InternalConsistency()(single),
    )
    seconds, before, start = {}, peak_memory(), time.perf_counter()

    def lap(name):
        nonlocal start
        seconds[name], start = time.perf_counter() - start, time.perf_counter()

    ceiling = float(benchmark.ceiling)
    lap("ceiling")
    if n_components:
        # components of the pictures that stand where it expects those of ImageNet
        LayerPCA.hook(model, n_components=n_components)
        next(iter(model._extractor._batch_activations_hooks.values()))._ensure_initialized(layers)
        lap("components")
    scores = LayerScores("network", model, visual_degrees=8)(benchmark, layers, prerun=True)
    lap("activations and scores")
    peak = peak_memory()
    found = {
        "scores": [float(score) for score in scores.sel(layer=layers).values],
        "ceiling": ceiling,
        "seconds": seconds,
        "peak_memory": peak,
        "memory_before": before,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    # from its cache: what it has scored
    features = {layer: model(averaged.stimulus_set, layers=[layer]) for layer in layers}
    features = {
        layer: values.sortby("stimulus_id").transpose("presentation", "neuroid").values
        for layer, values in features.items()
    }
    np.savez(folder / "features.npz", **features)
    (folder / "theirs.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
