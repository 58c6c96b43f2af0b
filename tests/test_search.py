"""A search goes on where it was interrupted, to the same end."""

import functools
import math
import multiprocessing
import os
import signal
import time

import optuna
import pytest
from optuna.trial import TrialState

from itneurons.networks.search import distributions, finished_trials, open_study, overview, reports_to, run_study


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


def interrupt(storage, interrupted_in, strike):
    """A search that ends in the middle of its trial number ``interrupted_in``, counted from 1."""
    calls = []

    def interrupted(trial):
        calls.append(trial.number)
        if len(calls) == interrupted_in:
            trial.suggest_float("x", -3, 3)
            trial.report(-100, 0)
            strike()
        return objective(trial)

    search(storage, 10, objective=interrupted)


def strike_with(error):
    raise error


@pytest.mark.parametrize(("error", "interrupted_in"), [(KeyboardInterrupt, 8), (MemoryError, 1)])
def test_an_interrupted_search_ends_with_the_same_trials(storage, uninterrupted, interrupted_in, error):
    with pytest.raises(error):
        interrupt(storage, interrupted_in, lambda: strike_with(error))
    best, trials = search(storage, 10)
    assert trials == uninterrupted[1]
    assert best.params == uninterrupted[0].params


@pytest.mark.parametrize("interrupted_in", [4, 8])
def test_a_killed_search_ends_with_the_same_trials_at_once(storage, uninterrupted, interrupted_in):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=killed_search, args=(storage, interrupted_in))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    start = time.monotonic()
    assert search(storage, 10)[1] == uninterrupted[1]
    # without waiting for signs of life
    assert time.monotonic() - start < 30


def killed_search(storage, interrupted_in):
    interrupt(storage, interrupted_in, lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
def test_no_more_trials_than_asked_for_when_two_begin_the_last_at_once(storage, monkeypatch):
    study = open_study("study", storage)
    run_study(study, objective, 3, report=lambda line: None)
    begun = []

    def while_another_begins(trial):
        # the other asks after this one has begun, as if it had not looked whether anything is left
        begun.append(trial.number)
        return objective(trial)

    other = open_study("study", storage)
    running = other.ask()
    get_trials = type(study).get_trials
    hidden = []

    def without_the_other(self, deepcopy=True, states=None):
        found = get_trials(self, deepcopy, states)
        # the first look misses it
        if states == (TrialState.WAITING, TrialState.RUNNING) and not hidden:
            hidden.append(running.number)
            other.tell(running, objective(running), state=TrialState.COMPLETE)
            return [trial for trial in found if trial.number != running.number]
        return found

    monkeypatch.setattr(type(study), "get_trials", without_the_other)
    run_study(study, while_another_begins, 4, report=lambda line: None)
    assert hidden == [running.number]
    assert begun == []
    assert len(finished_trials(study)) == 4


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
def test_no_more_trials_than_asked_for_when_one_is_handed_over_as_the_last_begins(storage, monkeypatch):
    study = open_study("study", storage)
    run_study(study, objective, 3, report=lambda line: None)
    create, again = study._storage.create_new_trial, study.trials[0].params
    handed_over, begun = [], []

    def after_the_other(study_id, template_trial=None):
        # between the look for one that waits and the beginning of a new one
        if not handed_over:
            handed_over.append(3)
            open_study("study", storage).enqueue_trial(again)
        return create(study_id, template_trial)

    def remembered(trial):
        begun.append(trial.number)
        return objective(trial)

    monkeypatch.setattr(study._storage, "create_new_trial", after_the_other)
    run_study(study, remembered, 4, report=lambda line: None)
    assert begun == handed_over
    assert len(finished_trials(study)) == 4
    assert finished_trials(study)[-1].params == again


def test_other_seeds_and_names_are_other_searches(storage, uninterrupted):
    first = search(storage, 4, name="another", seed=5)
    assert [params for params, *_ in first[1]] != [params for params, *_ in uninterrupted[1][:4]]
    assert search(storage, 4, name="third")[1] == uninterrupted[1][:4]


def test_a_study_of_other_folds_is_another_study(storage, capsys):
    def numbers(**folds):
        study = open_study("study", storage, **folds)
        run_study(study, objective, 2, report=lambda line: None)
        return study.study_name, [trial.datetime_start for trial in study.trials]

    # of an earlier version, which did not say it
    first = numbers()
    assert numbers(made_of={"folds": "a"}) == first
    assert capsys.readouterr().out == ""
    other = numbers(made_of={"folds": "b"})
    assert "'study' begins anew beside the one that is stored: it was made with other folds" in capsys.readouterr().out
    assert other[0].startswith("study, ") and not set(other[1]) & set(first[1])
    assert numbers(made_of={"folds": "b"}) == other
    assert numbers(made_of={"folds": "a"}) == first


def test_a_study_with_other_choices_is_another_study(storage, capsys):
    def propose(trial, choices):
        return trial.suggest_categorical("n_filters", choices) + trial.suggest_float("dropout", 0, 0.5)

    def numbers(choices):
        of_these = functools.partial(propose, choices=choices)
        study = open_study("study", storage, made_of={"folds": "a", "hyper-parameters": distributions(of_these)})
        run_study(study, of_these, 2, report=lambda line: None)
        return study.study_name, study.best_trial.distributions["n_filters"].choices

    open_study("study", storage, made_of={"folds": "a"})
    # what an earlier version did not say counts as the same
    assert numbers([16, 32]) == ("study", (16, 32))
    assert capsys.readouterr().out == ""
    name, choices = numbers([16, 32, 64])
    assert name.startswith("study, ") and choices == (16, 32, 64)
    assert (
        "begins anew beside the one that is stored: it was made with other hyper-parameters" in capsys.readouterr().out
    )
    assert numbers([16, 32]) == ("study", (16, 32))


def test_a_trial_without_a_score_ends_the_search(storage):
    with pytest.raises(RuntimeError, match=r"trial 0 gave no score.*'x'"):
        search(storage, 3, objective=lambda trial: math.nan * trial.suggest_float("x", 0, 1))


def test_the_overview_draws_what_was_found():
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=0))

    def with_reports(trial):
        x = trial.suggest_float("x", -1, 1)
        trial.suggest_float("idle", 0, 1)
        on_epoch = reports_to(trial, every=2)
        for epoch in range(4):
            on_epoch(epoch, x)
        return x

    for x in (0.5, -0.5, 0.25, 0.75):
        study.enqueue_trial({"x": x, "idle": 0.5})
    study.optimize(with_reports, n_trials=4)
    values, states, importances = overview(study)
    assert values == [0.5, -0.5, 0.25, 0.75]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    assert importances["x"] > importances["idle"]
    assert len(study.trials[0].intermediate_values) == 2
