"""A search goes on where it was interrupted, to the same end."""

import math

import optuna
import pytest

from search import finished_trials, open_study, run_study


def objective(trial):
    x = trial.suggest_float("x", -3, 3)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    value = -((x - 1) ** 2) - (kind == "b")
    trial.report(value, 5)
    if trial.should_prune():
        raise optuna.TrialPruned
    return value


# what heartbeats are built on may change in a later Optuna
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'study with spaces.db'}"


def lines():
    said = []
    return said, said.append


def search(storage, n_trials, name="study", seed=0, objective=objective):
    """Opens the study anew, as a new process does."""
    study = open_study(name, storage)
    best = run_study(study, objective, n_trials, seed, report=lambda line: None)
    return best, [(trial.params, trial.value, trial.state.name) for trial in finished_trials(study)]


def test_a_search_ends_after_the_trials_asked_for(storage):
    study = open_study("study", storage)
    said, report = lines()
    best = run_study(study, objective, 10, report=report)
    states = [trial.state.name for trial in finished_trials(study)]
    assert len(said) == len(states) == 10
    assert set(states) == {"COMPLETE", "PRUNED"}
    values = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    assert best.value == max(values) > -0.5
    assert said[0].startswith("trial  1 of 10, complete: ")
    assert "'x'" in said[0]
    # nothing is left to do
    run_study(open_study("study", storage), objective, 10, report=report)
    assert said[10:] == ["The study holds 10 finished trials already, of 10"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return search(f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db", 10)


def test_a_study_is_continued_by_the_next_run(storage, uninterrupted):
    search(storage, 3)
    search(storage, 7)
    assert search(storage, 10)[1] == uninterrupted[1]


# Optuna marks a trial as failed after the first and the last; after SystemExit it stays, as when it is killed
@pytest.mark.parametrize(
    ("error", "interrupted_in"), [(KeyboardInterrupt, 8), (MemoryError, 1), (SystemExit, 4), (SystemExit, 8)]
)
def test_an_interrupted_search_ends_with_the_same_trials(storage, uninterrupted, interrupted_in, error):
    calls = []

    def interrupted(trial):
        calls.append(trial.number)
        if len(calls) == interrupted_in:
            trial.suggest_float("x", -3, 3)
            trial.report(-100, 0)
            raise error
        return objective(trial)

    with pytest.raises(error):
        search(storage, 10, objective=interrupted)
    best, trials = search(storage, 10)
    assert trials == uninterrupted[1]
    assert best.params == uninterrupted[0].params


def test_other_seeds_and_names_are_other_searches(storage, uninterrupted):
    first = search(storage, 4, name="another", seed=5)
    assert [params for params, *_ in first[1]] != [params for params, *_ in uninterrupted[1][:4]]
    assert search(storage, 4, name="third")[1] == uninterrupted[1][:4]


def test_a_trial_without_a_score_ends_the_search(storage):
    with pytest.raises(RuntimeError, match=r"trial 0 gave no score.*'x'"):
        search(storage, 3, objective=lambda trial: math.nan * trial.suggest_float("x", 0, 1))
