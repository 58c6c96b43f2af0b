"""``itneurons score NETWORK ...``: the table of each network, its figure, and the leaderboard."""

import sys
from pathlib import Path

from itneurons.recordings.sources import SOURCES

GB = 1e9


def add_arguments(parser):
    """Options of ``itneurons score``."""
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NETWORK",
        help="simulated, efficientnet_lite0, efficientnet_lite2, a model of torchvision, timm/NAME, FILE.py:FUNCTION "
        "or module:function",
    )
    parser.add_argument("--data", default="auto", help=f"auto, {', '.join(SOURCES)}, or an HDF5 file (default: auto)")
    parser.add_argument("--folder", default=".", help="where the recordings are (default: here)")
    parser.add_argument(
        "--layers",
        nargs="+",
        default=["stages"],
        metavar="LAYER",
        help="stages (default), all, or names with * and ? as in file names",
    )
    parser.add_argument("--metrics", nargs="+", default=["ridge", "pls", "rsa"], help="ridge, pls, rsa (default: all)")
    parser.add_argument(
        "--tokens", default="all", choices=("all", "class", "mean"), help="what of a transformer's tokens"
    )
    parser.add_argument("--random", action="store_true", help="untrained weights")
    parser.add_argument("--checkpoint", metavar="FILE", help="a state dict of one's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--components", type=int, default=1000, help="principal components of a layer (default: 1000)")
    parser.add_argument(
        "--disk", type=float, default=20, metavar="GB", help="for activations, for a while (default: 20)"
    )
    parser.add_argument(
        "--approximate",
        type=int,
        nargs="?",
        const=4096,
        metavar="N",
        help="N random projections (default: 4096) in place of layers with more features: one forward pass for all",
    )
    parser.add_argument("--output", default=".", help="where scores and figures go (default: here)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, which gets one network after another"
    )


def run(given):
    """Score the networks, one after the other; one that fails does not stop the others.

    Parameters
    ----------
    given : argparse.Namespace
        Of ``add_arguments``.

    Raises
    ------
    SystemExit
        Where a network could not be scored, at the end; the message names them.
    """
    from itneurons.recordings.load import get_it_data

    path = Path(given.data) if Path(given.data).suffix == ".h5" else get_it_data(given.data, given.folder)
    layers = given.layers[0] if given.layers in (["stages"], ["all"]) else given.layers
    options = {
        "layers": layers,
        "metrics": given.metrics,
        "pretrained": not given.random,
        "checkpoint": given.checkpoint,
        "seed": given.seed,
        "tokens": given.tokens,
        "n_components": given.components,
        "disk": given.disk * GB,
        "n_projections": given.approximate,
        "output": str(Path(given.output).resolve()),
    }
    if given.scheduler:
        from itneurons.scoring.cluster import score_on_cluster

        failed = score_on_cluster(given.networks, path.resolve(), options, given.scheduler)
    else:
        failed = {}
        for network in given.networks:
            try:
                score_one(network, path, options)
            except Exception as reason:
                # a network of one's own may fail in any way
                failed[network] = str(reason)
                print(f"{network} is left out: {reason}", flush=True)
    if failed:
        sys.exit(f"score: {len(failed)} of {len(given.networks)} networks could not be scored: {', '.join(failed)}")


def score_one(network, path, options):
    """Score a network, print its table, and put it into ``scores.csv``, the leaderboard and their figures.

    Parameters
    ----------
    network : str
    path : Path
        Of the recording.
    options : dict
        For ``score``, with ``output``.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from itneurons import plots
    from itneurons.scoring import leaderboard
    from itneurons.scoring.layer_scores import read_recording
    from itneurons.scoring.network import best_layers, file_name, layer_table, save_rows, score
    from itneurons.storage.files import written_whole

    recording = read_recording(path, options["seed"])
    scores = score(network, recording, **options)
    about, figures = scores.attrs, Path(options["output"]) / "figures"
    table = layer_table(scores)
    approximate = f", {about['approximate']} random projections a layer: approximate" if about["approximate"] else ""
    print(f"\n{about['network']} on {about['source']}: {len(table)} layers, {about['seconds']:.0f} s{approximate}")
    print(table.drop(columns=[name for name in table if "correlation" in name or "dissimil" in name]).to_string())
    name = f"score_{file_name(about['network'])}"
    with written_whole(figures / f"{name}.csv") as temporary:
        scores.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    plots.use_style()
    split = "test" if "test" in recording.rates else "val"
    ceiling = float(np.nanmean(recording.ceilings[split])) if split in recording.ceilings else None
    plt.close(plots.save(plots.score_profile(scores, ceiling), name, about["source"], figures))
    best = best_layers(scores)
    if best.by_folds is not None:
        save_rows(scores, recording, figures)
        board = leaderboard.add(scores, figures)
        plt.close(plots.save(plots.leaderboard(board), "leaderboard", about["source"], figures))
        said = "the same" if best.by_folds == best.by_validation else best.by_validation
        print(f"best layer on held-out folds: {best.by_folds} (validation would have chosen {said})", flush=True)
