"""All networks that were scored on a recording, one line each, in one file that several processes may share."""

from pathlib import Path

import pandas as pd
from filelock import FileLock

from itneurons.scoring.network import best_layers
from itneurons.storage.files import written_whole

# what of the best layer stands in the leaderboard, by metric and split
_SCORES = (
    ("explained_variance", "held_out"),
    ("explained_variance", "val"),
    ("fraction_of_ceiling", "val"),
    ("correlation", "val"),
    ("explained_variance", "test"),
    ("fraction_of_ceiling", "test"),
    ("correlation", "test"),
    ("brainscore_pls", "all"),
    ("cka", "val"),
    ("rsa", "val"),
)


def add(scores, folder="figures"):
    """Put a network into ``leaderboard.csv``, in place of its earlier line for the same recordings.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``score``, with ridge regression among its metrics.
    folder : str or Path

    Returns
    -------
    board : pandas.DataFrame
        The networks scored on the same recordings, the best on validation images first.
    """
    path = Path(folder) / "leaderboard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = _line(scores)
    with FileLock(path.with_name(".leaderboard.lock")):
        lines = pd.DataFrame([line])
        if path.exists():
            others = pd.read_csv(path)
            same = (others["network"] == line["network"]) & (others["source"] == line["source"])
            lines = pd.concat([others[~same], lines], ignore_index=True) if len(others[~same]) else lines
        lines = lines.sort_values(["source", "explained_variance_val"], ascending=[True, False], kind="stable")
        with written_whole(path, 400 * len(lines)) as temporary:
            lines.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    return lines[lines["source"] == line["source"]].reset_index(drop=True)


def _line(scores):
    best = best_layers(scores)
    if best.by_folds is None:
        raise ValueError("The leaderboard needs the scores of ridge regression: give ridge among the metrics")
    about = scores.attrs
    line = {"source": about["source"], "network": about["network"], "layer": best.by_folds}
    line |= {"layer_by_validation": best.by_validation, "layers": scores["layer"].nunique()}
    line |= {"parameters": about["parameters"], "seconds": about["seconds"], "approximate": about["approximate"]}
    rows = scores[scores["layer"] == best.by_folds].set_index(["metric", "split"])
    for metric, split in _SCORES:
        if (metric, split) in rows.index:
            row = rows.loc[(metric, split)]
            line |= {f"{metric}_{split}": row["value"]}
            line |= {f"{metric}_{split}_{end}": row[end] for end in ("low", "high") if row[end] == row[end]}
    return line
