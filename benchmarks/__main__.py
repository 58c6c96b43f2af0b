"""The task-driven part of week6, the usual way and ours, side by side, on simulated recordings.

    python -m benchmarks [--full] [--images N] [--repeats K] [--network resnet50] [--json PATH]

The default ends within six minutes on two cores; --full takes the size of the course's recordings and an hour or two.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks import limits, ours, report, usual
from benchmarks.task import Task
from itneurons.recordings import simulated
from itneurons.storage.files import written_whole

RESULTS = Path(__file__).parent / "results"
# no further repeat starts that would end later than this, in seconds
BUDGET = 300


def alone(function, *arguments, **keywords):
    """Call a function in a fresh process, so that its peak memory is its own, and nothing is warm."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(function, *arguments, **keywords).result()


def repeated(task, repeats, budget):
    """Measurements of the usual way and of ours, in turns."""
    start = time.perf_counter()
    runs = []
    while len(runs) < repeats and (not runs or (time.perf_counter() - start) * (1 + 1 / len(runs)) < budget):
        runs.append((alone(usual.run, task), alone(ours.run, task)))
        seconds = [f"{measured.total:.1f} s" for measured in runs[-1]]
        print(f"repeat {len(runs)}: usual {seconds[0]}, ours {seconds[1]}", flush=True)
    return runs


def main(arguments=None, limit_seconds=2.0):
    """Measure, print the tables, write the JSON file, and return what is in it.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line when left out.
    limit_seconds : float
        For each limit of the machine.

    Returns
    -------
    summary : dict
        Of ``report.summarise``, with the settings and every run.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="2880 images, and as many repeats as asked for")
    parser.add_argument("--images", type=int, help="training and validation images, nine to one (default 224)")
    parser.add_argument("--repeats", type=int, help="at most so many (default 3, with --full 1)")
    parser.add_argument("--network", default="resnet50", help='a torchvision ResNet (random weights), or "simulated"')
    parser.add_argument("--size", type=int, default=224, help="height and width of the images (default %(default)s)")
    parser.add_argument("--neurons", type=int, default=168, help="simulated neurons (default %(default)s)")
    parser.add_argument("--timed", type=int, default=8, help="neurons that the usual loop takes (default %(default)s)")
    parser.add_argument("--solver", default="", help='of the usual PCA, e.g. "full" (default as scikit-learn chooses)')
    parser.add_argument("--memory", type=float, default=20, help="GB that the usual way may take (default %(default)s)")
    parser.add_argument("--json", type=Path, help="where the numbers go (default benchmarks/results/)")
    options = parser.parse_args(arguments)
    n_images = options.images or (2880 if options.full else 224)
    repeats = options.repeats or (1 if options.full else 3)
    destination = options.json or RESULTS / ("full.json" if options.full else "default.json")
    destination.parent.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        n_val = n_images // 10
        # one test image, which nobody looks at
        sizes = (n_images - n_val, n_val, 1)
        path = alone(simulated.make, folder, sizes, image_size=options.size, n_neurons=options.neurons)
        task = Task(
            str(path),
            options.network,
            options.size,
            timed_neurons=options.timed,
            solver=options.solver,
            memory=1e9 * options.memory,
        )
        measured_limits = alone(limits.measure, task, limit_seconds)
        runs = repeated(task, repeats, budget=float("inf") if options.full else BUDGET)

    settings = {"network": options.network, "images": n_images, "image_size": options.size, "neurons": options.neurons}
    settings["usual_solver"] = options.solver or "as scikit-learn chooses"
    summary = {"recordings": simulated.SOURCE, **settings, "repeats": len(runs)}
    summary |= report.summarise(task, runs, measured_limits, n_images)
    summary["runs"] = [{"usual": asdict(u), "ours": asdict(o)} for u, o in runs]
    with written_whole(destination) as temporary:
        Path(temporary).write_text(json.dumps(summary, indent=1) + "\n")

    about = summary["machine"]
    print(
        f"\n{n_images} images of {options.size} px, {options.neurons} neurons, {options.network}, {simulated.SOURCE};"
    )
    print(f"{about['processor']}, {about['threads']} threads, {about['system']}, torch {about['torch']}\n")
    print(report.tables(summary))
    print(f"\nThe same and every repeat: {destination}")
    return summary


if __name__ == "__main__":
    main()
