"""Twelve families of networks through ``itneurons score --layers all``: does every layer end in a score or a reason?

    python -m benchmarks.any_network [--images 64] [--networks NAME ...] [--output FOLDER]

Weights are random and recordings simulated: nothing is downloaded, and no score says anything about a brain. Each
network runs in a process of its own, so that its peak memory is its own and a failure stays with it.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.__main__ import alone
from itneurons.recordings import simulated

# the small member of each family
TWELVE = (
    "alexnet",
    "vgg11",
    "resnet18",
    "densenet121",
    "inception_v3",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "regnet_y_400mf",
    "timm/convnext_atto",
    "swin_t",
    "timm/vit_tiny_patch16_224",
    "timm/mixer_s32_224",
)


def run_command(network, path, output):
    """Score one network by the command itself, and say what came of it.

    Parameters
    ----------
    network : str
    path : Path
        Of the recording.
    output : Path

    Returns
    -------
    result : dict
        ``network``, ``modules`` (all that the network has), ``scored``, ``reasons`` (by layer), ``seconds``,
        ``peak_memory`` in bytes, and ``failure``, empty where there is none.
    """
    from benchmarks.brainscore_theirs import peak_memory
    from itneurons.__main__ import main
    from itneurons.features import load_backbone
    from itneurons.scoring import network as engine

    kept, original = [], engine.score

    def listening(*arguments, **options):
        kept.append(original(*arguments, **options))
        return kept[-1]

    # the command prints its table and keeps nothing
    engine.score = listening
    model = load_backbone(network, pretrained=False)
    result = {"network": network, "modules": [name for name, _ in model.named_modules() if name], "failure": ""}
    start = time.perf_counter()
    try:
        main(["score", network, "--random", "--layers", "all", "--data", str(path), "--output", str(output)])
    except SystemExit as error:
        result["failure"] = str(error)
    result |= {"seconds": time.perf_counter() - start, "peak_memory": peak_memory()}
    result["scored"] = list(dict.fromkeys(kept[0]["layer"])) if kept else []
    result["reasons"] = kept[0].attrs["reasons"] if kept else {}
    return result


def unaccounted(result):
    """Layers that were neither scored nor named with a reason."""
    return [name for name in result["modules"] if name not in result["scored"] and name not in result["reasons"]]


def counted(reasons):
    """Reasons, each with the number of layers and one of them.

    Parameters
    ----------
    reasons : dict of str to str
        By layer.

    Returns
    -------
    lines : list of str
    """
    # numbers and names of other layers aside, the same reason
    kinds = {layer: " ".join(reason.split()[:2]) for layer, reason in reasons.items()}
    lines = []
    for kind, number in Counter(kinds.values()).most_common():
        layer = next(layer for layer in kinds if kinds[layer] == kind)
        lines.append(f"{number} {reasons[layer]} ({layer})")
    return lines


def row(result):
    """A result as a row of a table in Markdown."""
    cells = [
        result["network"],
        len(result["modules"]),
        len(result["scored"]),
        "; ".join(counted(result["reasons"])) or result["failure"] or "none",
        f"{result['seconds']:.0f} s",
        f"{result['peak_memory'] / 1e9:.2f} GB",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main(arguments=None):
    """Score the networks, print a table, and return the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.any_network", description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["twelve"], metavar="NAME", help="twelve (default), or names")
    parser.add_argument("--images", type=int, default=64, help="an eighth each for validation and test (default 64)")
    parser.add_argument("--neurons", type=int, default=168, help="simulated neurons (default %(default)s)")
    parser.add_argument("--output", type=Path, help="keep the scores there (default: nowhere)")
    given = parser.parse_args(arguments)
    networks = TWELVE if given.networks == ["twelve"] else given.networks
    eighth = given.images // 8
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        path = alone(simulated.make, folder, (given.images - 2 * eighth, eighth, eighth), n_neurons=given.neurons)
        output = given.output or Path(folder)
        results = [alone(run_command, network, path, output) for network in networks]
    print(f"\n{given.images} images, random weights, {simulated.SOURCE}\n")
    print("| network | layers | scored | left out | time | peak memory |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(map(row, results)))
    lost = {result["network"]: unaccounted(result) for result in results if unaccounted(result)}
    print("every layer was scored or named with a reason" if not lost else f"neither scored nor named: {lost}")
    return results


if __name__ == "__main__":
    main()
