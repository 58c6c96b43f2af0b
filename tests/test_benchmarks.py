"""The benchmark, at a size that says nothing about speed: it runs, and both ways find the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import any_network, brainscore_scoring, report, usual
from benchmarks.__main__ import main
from benchmarks.task import STEPS, Task
from itneurons.features.backbones import LAYERS
from itneurons.recordings import schema, simulated

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Summary, printed text and JSON of one small run."""
    path = tmp_path_factory.mktemp("benchmark") / "numbers.json"
    arguments = ["--images", "60", "--size", "64", "--neurons", "6", "--timed", "2", "--network", "resnet18"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        summary = main([*arguments, "--solver", "full", "--repeats", "1", "--json", str(path)], limit_seconds=0)
    return summary, json.loads(path.read_text())


def test_json_is_what_was_measured(benchmark):
    summary, stored = benchmark
    assert stored == summary
    assert stored["recordings"] == "simulated recordings"
    assert len(stored["runs"]) == stored["repeats"] == 1
    for run in stored["runs"]:
        for way in ("usual", "ours"):
            assert list(run[way]["seconds"]) == list(STEPS)
            assert all(seconds > 0 for seconds in run[way]["seconds"].values())
            assert list(run[way]["scores"]) == list(LAYERS)
            assert run[way]["peak_memory"] > 1e8


def test_ratios_are_taken_repeat_by_repeat():
    compared = report.compared([(8.0, 2.0), (9.0, 3.0), (30.0, 3.0)])
    assert compared["ratio"] == {"median": 4.0, "minimum": 3.0, "maximum": 10.0}


def test_total_is_the_sum_of_the_steps(benchmark):
    summary, _ = benchmark
    for way in ("usual", "ours"):
        assert summary["steps"]["total"][way] == [sum(summary["steps"][step][way][0] for step in STEPS)]


def test_both_ways_find_the_same(benchmark):
    summary, _ = benchmark
    scores = summary["explained_variance"]
    assert scores["layers"] == list(LAYERS)
    # six validation images: a score moves far on rounding in bfloat16
    assert abs(scores["difference_of_means"]) < 0.02
    assert scores["largest_difference_of_a_neuron"] < 0.3


def test_table_shows_every_step_and_limit(benchmark):
    summary, _ = benchmark
    text = report.tables(summary)
    for name in (*STEPS, "total", "peak memory", "mean explained variance"):
        assert f"| {name}" in text
    for row in summary["limits"]:
        assert f"| {row['what']}" in text
        assert row["reached"] > 0 and row["at_the_limit"] > 0
        assert row["share"] == pytest.approx(row["reached"] / row["at_the_limit"])
    assert "timed on 2 of 6 neurons" in text


def test_usual_way_takes_as_many_images_as_fit_in_memory(tmp_path):
    path = simulated.make(tmp_path, (60, 6, 1), image_size=64, n_neurons=3, workers=1)
    measured = usual.run(Task(str(path), "resnet18", image_size=64, timed_neurons=1, memory=60e6))
    # conv1 has 65,536 features, of which 4 bytes each for 60 images, their copy and three bases do not fit
    assert list(measured.scores) == list(LAYERS[1:])
    assert "conv1: 65,536 features were measured on" in measured.notes[-1]


def test_usual_ridge_chooses_for_each_neuron_by_itself():
    rng = np.random.default_rng(0)
    train, val = rng.standard_normal((40, 12)), rng.standard_normal((10, 12))
    # one neuron that needs hardly a penalty, one that is noise
    rates = np.column_stack([train @ rng.standard_normal(12), rng.standard_normal(40)])
    held_out = np.array_split(np.arange(40), 5)
    together = usual.ridge(train, rates, val, held_out, [1e-3, 1e3])
    apart = [usual.ridge(train, rates[:, [neuron]], val, held_out, [1e-3, 1e3]) for neuron in range(2)]
    np.testing.assert_allclose(together, np.hstack(apart))
    assert together[:, 0].std() > 10 * together[:, 1].std()


def test_no_layer_is_lost_and_reasons_are_counted():
    reasons = {
        "a": "is used 2 times for an image",
        "b": "is used 3 times for an image",
        "c": "passes on what it is given",
    }
    result = {"network": "net", "modules": ["a", "b", "c", "d", "e"], "scored": ["d"], "reasons": reasons}
    assert any_network.unaccounted(result) == ["e"]
    assert any_network.counted(reasons) == ["2 is used 2 times for an image (a)", "1 passes on what it is given (c)"]
    row = any_network.row(result | {"failure": "", "seconds": 61.4, "peak_memory": 2.5e9})
    assert row.startswith("| net | 5 | 1 | 2 is used") and row.endswith("| 61 s | 2.50 GB |")
    assert len(any_network.TWELVE) == 12


def test_peak_memory_counts_what_is_gone_again():
    # in a process of its own, which has had little yet
    code = "import numpy as np; from benchmarks.brainscore_theirs import peak_memory as peak; before = peak()"
    code += "; np.ones(10**7).sum(); print(peak() - before)"
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=REPOSITORY)
    assert 7e7 < int(grown.stdout) < 1.2e8


def test_side_by_side_with_brainscore_shows_both_and_their_ratio():
    found = {"scores": [0.25, 0.5], "ceiling": 0.8, "seconds": {"a": 30.0, "b": 70.0}, "peak_memory": 6e9}
    found |= {"memory_before": 1e9, "threads": 1, "torch": "2"}
    ours = found | {"scores": [0.3, 0.5], "seconds": {"a": 10.0}, "peak_memory": 2e9}
    summary = {"layers": ["x", "y"], "theirs": found, "ours": ours, "ours_on_their_features": [0.2501, 0.5]}
    text = brainscore_scoring.tables(summary)
    assert "| x | 0.2500 | 0.3000 | 0.2501 | +0.00010 |" in text
    assert "| time | 100.0 s | 10.0 s | 10.0 |" in text and "| peak memory | 6.00 GB | 2.00 GB | 3.0 |" in text


def test_brainscore_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended with 1 in(.|\n)*settings\.json"):
        brainscore_scoring.run_theirs(tmp_path, sys.executable)


def test_objects_of_the_side_by_side_are_one_for_each_category():
    assert sorted(map(schema.category_of, brainscore_scoring.NAMES)) == sorted(schema.CATEGORIES)
