"""From measurements to one table, and to how far from the limit each step is."""

import os
import platform
from pathlib import Path
from statistics import median

import numpy as np
import sklearn
import torch

from benchmarks.task import STEPS
from itneurons.device import has_bfloat16


def summarise(task, runs, limits, n_images):
    """Everything that the tables show, ready for JSON.

    Parameters
    ----------
    task : Task
    runs : list of pairs of Measurement
        The usual way and ours, of each repeat.
    limits : dict
        Of ``limits.measure``.
    n_images : int

    Returns
    -------
    summary : dict
        ``machine``, ``steps``, ``peak_memory``, ``explained_variance``, ``limits`` and ``notes``.
    """
    usual, ours = runs[0]
    layers = list(usual.scores)
    differences = np.array([np.subtract(ours.scores[layer], usual.scores[layer]) for layer in layers])
    return {
        "machine": machine(),
        "steps": {step: compared([(u.seconds[step], o.seconds[step]) for u, o in runs]) for step in STEPS}
        | {"total": compared([(u.total, o.total) for u, o in runs])},
        "peak_memory": compared([(u.peak_memory, o.peak_memory) for u, o in runs]),
        "explained_variance": {
            "layers": layers,
            "usual": _mean([usual.scores[layer] for layer in layers]),
            "ours": _mean([ours.scores[layer] for layer in layers]),
            "difference_of_means": _mean(differences),
            "largest_difference_of_a_neuron": float(np.nanmax(np.abs(differences))) if layers else None,
        },
        "limits": _reached(runs, limits, n_images, len(ours.scores)),
        "notes": usual.notes,
    }


def machine():
    """What the measurements were made on."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": has_bfloat16(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit_learn": sklearn.__version__,
    }


def compared(pairs):
    """Values of both ways, and their ratio: median, minimum and maximum over the repeats."""
    ratios = [usual / ours for usual, ours in pairs]
    return {
        "usual": [usual for usual, _ in pairs],
        "ours": [ours for _, ours in pairs],
        "ratio": {"median": median(ratios), "minimum": min(ratios), "maximum": max(ratios)},
    }


def _mean(scores):
    return float(np.nanmean(scores)) if len(scores) else None


def _reached(runs, limits, n_images, n_layers):
    """What was reached in the median repeat, and the measured limit that it is compared with."""
    precision = "bfloat16" if "bfloat16" in limits["matrix_product"] else "float32"
    usual = n_images * n_layers / median(usual.seconds["extraction"] for usual, _ in runs)
    ours = n_images / median(ours.seconds["extraction"] for _, ours in runs)
    rows = []
    for name, reached, kind in (("usual, one pass", usual, "float32"), ("ours, all layers", ours, precision)):
        bounds = {
            "arithmetic at the peak": limits["matrix_product"][kind] / limits["arithmetic"],
            "convolutions alone": limits["convolutions"][kind],
        }
        for limit, value in bounds.items():
            rows.append((f"extraction: {name}", "images/s", reached, f"{limit}, {kind}", value))
    gram = median(ours.gram_rate for _, ours in runs) / 1e9
    peak = limits["matrix_product"][precision] / 1e9
    rows.append(("Gram matrix: ours, largest layer", "GFLOP/s", gram, f"large square product, {precision}", peak))
    names = ("what", "unit", "reached", "limit", "at_the_limit")
    return [dict(zip(names, row)) | {"share": row[2] / row[4]} for row in rows]


def tables(summary):
    """The two tables in Markdown, with the notes below."""
    rows = [("step", "usual", "ours", "usual / ours: median (min, max)")]
    for step, values in summary["steps"].items():
        rows.append((step, *(f"{median(values[way]):.2f} s" for way in ("usual", "ours")), _ratio(values)))
    memory = summary["peak_memory"]
    rows.append(("peak memory", *(f"{max(memory[way]) / 1e9:.2f} GB" for way in ("usual", "ours")), _ratio(memory)))
    scores = summary["explained_variance"]
    if scores["layers"]:
        rows.append(
            (
                f"mean explained variance ({', '.join(scores['layers'])})",
                f"{scores['usual']:.4f}",
                f"{scores['ours']:.4f}",
                f"difference {scores['difference_of_means']:+.5f}, "
                f"of a neuron in a layer at most {scores['largest_difference_of_a_neuron']:.4f}",
            )
        )
    reached = [("step", "reached", "limit, measured in this run", "share of the limit")]
    for row in summary["limits"]:
        unit = row["unit"]
        limit = f"{row['at_the_limit']:.1f} {unit}: {row['limit']}"
        reached.append((row["what"], f"{row['reached']:.1f} {unit}", limit, f"{row['share']:.0%}"))
    notes = "".join(f"\n- {note}" for note in summary["notes"])
    return f"{_markdown(rows)}\n\n{_markdown(reached)}\n{notes}"


def _ratio(values):
    ratio = values["ratio"]
    return f"{ratio['median']:.2f} ({ratio['minimum']:.2f}, {ratio['maximum']:.2f})"


def _markdown(rows):
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([header, "| " + " | ".join("---" for _ in rows[0]) + " |", *body])
