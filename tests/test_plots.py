"""Every figure draws on small inputs without a warning, says what its axes are, and names its source."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from itneurons import plots
from itneurons.evaluation import Result, metrics
from itneurons.networks import History
from tests.small import OBJECTS, normalised
from utils import object_categories

N_NEURONS = 9
RNG = np.random.default_rng(0)
RATES = RNG.standard_normal((30, N_NEURONS))
PREDICTED = RATES + RNG.standard_normal((30, N_NEURONS))
SCORES = np.append(RNG.uniform(-0.3, 0.6, N_NEURONS - 1), np.nan)
CEILING = np.append(RNG.uniform(0.5, 0.9, N_NEURONS - 1), np.nan)
STIMULI = normalised(30)
NAMES = [OBJECTS[index % 16] for index in range(30)]
ALPHAS = np.logspace(-3, 1, 5)
CURVE = np.tile(SCORES, (5, 1)) + np.linspace(0, 0.3, 5)[:, None]
HISTORY = History([0.9, 0.8], [0.1, 0.3], best_epoch=1)
FIELDS = RNG.random((7, 5, 6))

RESULT = Result("combined", "network", "layer1", "val", RATES, PREDICTED, CEILING)
ONE_NEURON = Result("combined", "one", "", "val", RATES[:, :1], PREDICTED[:, :1])
UNKNOWN = Result("combined", "network without a ceiling", "", "val", RATES, PREDICTED)
# forty layers, more than have room for a name
LAYER_SCORES = pd.DataFrame(
    [
        ("network", f"features.{layer}", metric, split, layer / 80, layer / 80 - spread, layer / 80 + spread)
        for layer in range(40)
        for metric, split, spread in (
            ("explained_variance", "held_out", np.nan),
            ("explained_variance", "val", 0.02),
            ("explained_variance", "test", 0.02),
            ("cka", "test", 0.03),
        )
    ],
    columns=("network", "layer", "metric", "split", "value", "low", "high"),
)
BOARD = pd.DataFrame({"network": ["resnet50", "vgg16, random"], "layer": "layer4", "parameters": [2e7, 1e8]})
BOARD = BOARD.assign(
    seconds=[100.0, 300.0],
    **{f"explained_variance_{split}": [0.4, 0.2] for split in ("val", "test")},
    **{f"explained_variance_{split}_low": [0.3, 0.1] for split in ("val", "test")},
    **{f"explained_variance_{split}_high": [0.5, 0.3] for split in ("val", "test")},
)
FIGURES = {
    "stimuli": lambda: plots.stimuli_by_category(STIMULI, NAMES, object_categories(NAMES), n_each=4),
    "stimuli_without_names": lambda: plots.stimuli_by_category(STIMULI, [""] * 30, [""] * 30, n_each=4),
    "penalties": lambda: plots.penalty_curve({"pixels": (ALPHAS, CURVE)}),
    "penalties_chosen": lambda: plots.penalty_curve({"pixels": (ALPHAS, CURVE)}, {"pixels": RNG.choice(ALPHAS, 9)}),
    "distributions": lambda: plots.distributions({"one": RESULT, "two": UNKNOWN}, CEILING, lowest=-0.1),
    "distribution_of_one_neuron": lambda: plots.distributions({"one": ONE_NEURON}, label=plots.CORRELATION),
    "layers": lambda: plots.layer_profile(
        ["conv1", "features.denseblock1"], {"trained": [RESULT, UNKNOWN], "random": [RESULT, RESULT]}, CEILING
    ),
    "best_layers": lambda: plots.best_layers(["conv1", "layer1"], np.array([0, 1, 1]), "trained"),
    "noise_ceilings": lambda: plots.noise_ceilings(CEILING, 50),
    "noise_ceilings_of_a_simulation": lambda: plots.noise_ceilings(CEILING, 50, CEILING + 0.01),
    "correlations": lambda: plots.neuron_correlations(
        metrics.correlation_matrix(RATES, RATES), metrics.correlation_matrix(RATES, PREDICTED)
    ),
    "learning": lambda: plots.learning_curves({"shallow": HISTORY, "deep": HISTORY}),
    "search": lambda: plots.search([0.1, 0.05, np.nan, 0.2], ["COMPLETE", "PRUNED", "PRUNED", "COMPLETE"], {"x": 0.7}),
    "scatter": lambda: plots.measured_against_predicted(RATES, PREDICTED, [0, 4], ["good", "poor"]),
    "extremes": lambda: plots.extreme_images(STIMULI, RATES, [0, 4], ["good", "poor"], n_each=3),
    "extremes_of_few_images": lambda: plots.extreme_images(STIMULI[:4], RATES[:4], [0], ["good"]),
    "models": lambda: plots.model_comparison([RESULT, UNKNOWN], CEILING),
    "contact_sheet": lambda: plots.contact_sheet(
        np.zeros((7, 8, 8, 3), np.uint8), [f"neuron {i}" for i in range(7)], "rates"
    ),
    "attributions": lambda: plots.attributions(STIMULI[:3], RNG.standard_normal((3, 30, 30)), ["a", "b", "c"]),
    "portrait": lambda: plots.neuron_portrait(
        RATES[:, 0], PREDICTED[:, 0], STIMULI, ["one neuron", "made"], "Hz", np.zeros((8, 8, 3)), np.zeros((30, 30))
    ),
    "portrait_of_little": lambda: plots.neuron_portrait(RATES[:3, 0], RATES[:3, 0], STIMULI[:3], ["one", ""], "Hz"),
    "population": lambda: plots.population(RATES[0], PREDICTED, STIMULI[0], "Hz"),
    "similarities": lambda: plots.similarities(np.eye(16), np.eye(16), sorted(NAMES[:16])),
    "all_neurons": lambda: plots.all_neurons(SCORES, CEILING),
    "all_neurons_without_a_ceiling": lambda: plots.all_neurons(SCORES),
    "field_centres": lambda: plots.field_centres(RNG.uniform(-0.3, 0.3, (7, 2)), RNG.uniform(-0.3, 0.3, (7, 2))),
    "score_profile": lambda: plots.score_profile(LAYER_SCORES, 0.8),
    "score_profile_without_test_rates": lambda: plots.score_profile(LAYER_SCORES[LAYER_SCORES["split"] != "test"]),
    "leaderboard": lambda: plots.leaderboard(BOARD),
    "leaderboard_without_test_rates": lambda: plots.leaderboard(
        BOARD.drop(columns=[column for column in BOARD if "test" in column])
    ),
    "fields": lambda: plots.fields(FIELDS, [f"neuron {i}" for i in range(7)], RNG.uniform(-0.3, 0.3, (7, 2))),
    "contributions": lambda: plots.layer_contributions(
        [f"layer{i}" for i in range(8)], np.tile(SCORES / 8, (8, 1)), RESULT, UNKNOWN
    ),
}


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def test_every_figure_is_tested():
    drawing = {name for name in plots.__all__ if callable(getattr(plots, name))}
    tested = {name for case in FIGURES.values() for name in case.__code__.co_names}
    assert drawing - tested == {"as_jpeg", "save", "score", "use_style"}


def named(axis, direction):
    """Whether an axis has a label, or ticks that are names."""
    ticks = [text.get_text() for text in getattr(axis, f"get_{direction}ticklabels")()]
    return getattr(axis, f"get_{direction}label")() or any(text[0].isalpha() for text in ticks if text)


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_are_drawn_without_a_warning_and_say_what_they_show(draw):
    # a warning is an error in all tests
    figure = draw()
    figure.canvas.draw()
    shown = [axis for axis in figure.axes if axis.axison]
    bars = [axis for axis in shown if axis.get_label() == "<colorbar>"]
    assert all(bar.get_ylabel() for bar in bars)
    graphs = [axis for axis in shown if axis not in bars]
    assert all(named(axis, "x") or named(axis, "y") for axis in graphs)
    if graphs:
        assert any(named(axis, "x") for axis in graphs)
        assert any(named(axis, "y") for axis in graphs)
    else:
        assert any(axis.get_title() for axis in figure.axes)


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_labels_are_no_longer_than_their_axes(draw):
    figure = draw()
    figure.supxlabel("made-up recordings")
    figure.canvas.draw()
    for axis in figure.axes:
        if axis.axison and axis.get_ylabel() and axis.get_label() != "<colorbar>":
            label, place = axis.yaxis.label.get_window_extent(), axis.get_window_extent()
            assert place.y0 <= label.y0 and label.y1 <= place.y1


def test_figures_are_saved_with_their_source(tmp_path):
    figure = FIGURES["models"]()
    path = tmp_path / "new folder" / "models.png"
    assert plots.save(figure, "models", "made-up recordings", path.parent) is figure
    assert figure.get_supxlabel() == "made-up recordings"
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert image.size == tuple((figure.get_size_inches() * 150).astype(int))
    content = path.read_bytes()
    # nothing in it tells when it was drawn
    plots.save(FIGURES["models"](), "models", "made-up recordings", path.parent)
    assert path.read_bytes() == content


def test_neurons_below_the_axis_are_counted():
    worse = RATES + 10 * np.array([1] * 2 + [0] * (N_NEURONS - 2)) * RNG.standard_normal(RATES.shape)
    figure = plots.distributions({"one": Result("", "", "", "val", RATES, worse)}, lowest=-0.5)
    assert "2 neurons below" in [text.get_text() for text in figure.axes[0].texts]


def test_long_names_leave_the_axis_half_of_the_width():
    name = "core, this recording alone, efficientnet_lite2"
    result = Result("", name, "blocks.1 to blocks.5.0, trained", "val", RATES, RATES)
    figure = plots.model_comparison([result])
    figure.canvas.draw()
    assert figure.axes[0].get_position().width > 0.5
    (label,) = figure.axes[0].get_yticklabels()
    assert label.get_text().replace("\n", " ") == result.name


def test_each_category_shows_different_objects_first():
    names = ["car1"] * 5 + ["car2"] * 5
    figure = plots.stimuli_by_category(STIMULI[:10], names, ["car"] * 10, n_each=4)
    assert [axis.get_title() for axis in figure.axes] == ["car1", "car2", "car1", "car2"]


def test_extreme_images_are_in_order():
    figure = plots.extreme_images(STIMULI, RATES, [4], ["neuron"], unit="Hz", n_each=3)
    headings = [axis.texts[-1].get_text() if axis.texts else "" for axis in figure.axes]
    assert headings == ["highest rates (Hz)", "", "", "lowest rates (Hz)", "", ""]
    shown = [float(axis.get_title()) for axis in figure.axes]
    rates = np.sort(RATES[:, 4])
    np.testing.assert_allclose(shown, [*rates[::-1][:3], *rates[:3]], atol=0.051)


def test_photographs_take_less_room_as_jpeg():
    figure = plots.stimuli_by_category(STIMULI, ["car1"] * len(STIMULI), ["car"] * len(STIMULI))
    content = plots.as_jpeg(figure).data
    assert content.startswith(b"\xff\xd8")
    assert not plt.fignum_exists(figure.number)


def test_the_interval_and_the_fraction_stand_in_the_figure():
    summary = RESULT.summary()
    axis = plots.distributions({"one": RESULT}, CEILING).axes[0]
    assert f"{summary.fraction.value:.2f}" in [text.get_text() for text in axis.texts]
    ends = [list(line.get_ydata()) for line in axis.lines]
    assert [summary.explained_variance.low, summary.explained_variance.high] in ends
    correlations = plots.distributions({"one": RESULT}, CEILING, plots.CORRELATION).axes[0]
    ends = [list(line.get_ydata()) for line in correlations.lines]
    assert [summary.correlation.low, summary.correlation.high] in ends
    # a perfect model's correlation is the root of what it explains
    assert [np.nanmedian(np.sqrt(CEILING))] * 2 in ends
