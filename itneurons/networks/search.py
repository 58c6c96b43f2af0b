"""Hyper-parameter search that survives interruptions and can be shared: an Optuna study in a database."""

import json
import time
import warnings

import optuna
import sqlalchemy.exc
from optuna.trial import TrialState

from itneurons.storage.files import is_gone, process_name
from itneurons.storage.stored import UnusableError, check_made_of, fingerprint

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def open_study(name, storage, heartbeat=10, made_of=None):
    """Create a study that maximises a score, or open the one that is there.

    Parameters
    ----------
    name : str
        Say in it what the search is of: a study is continued under the same name only.
    storage : str
        Address of a database as SQLAlchemy takes it, for example ``"sqlite:///study.db"``.
    heartbeat : int
        Seconds between signs of life of a worker; the trial of one that is silent for six times as long has failed. In
        a database that machines share, another worker then tries it again with the same parameters; in a file, the
        search resumes as if it had not been interrupted.
    made_of : dict of str to str or int, optional
        What else the scores depend on. A study of that name that was made with something else stays as it is, and
        another one stands beside it, with a line that says why. One of an earlier version is continued: what it does
        not say counts as the same.

    Returns
    -------
    study : optuna.Study
    """
    study = _opened(name, storage, heartbeat)
    if made_of is not None:
        try:
            check_made_of({**made_of, **study.user_attrs.get("made_of", {})}, made_of)
        except UnusableError as reason:
            print(f"The search {name!r} begins anew beside the one that is stored: {reason}")
            study = _opened(f"{name}, {fingerprint(json.dumps(made_of, sort_keys=True))}", storage, heartbeat)
        study.set_user_attr("made_of", made_of)
    return study


def distributions(propose):
    """What a proposal draws from, as text: for ``made_of``, since a study cannot go on with other choices.

    Parameters
    ----------
    propose : callable
        Takes a trial and asks it for its hyper-parameters.

    Returns
    -------
    text : str
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    propose(trial)
    return json.dumps({name: str(kind) for name, kind in trial.distributions.items()}, sort_keys=True)


def _opened(name, storage, heartbeat):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    local = storage.startswith("sqlite")
    for attempt in range(10):
        try:
            study = _create_or_load(name, storage, local, heartbeat)
            break
        except sqlalchemy.exc.DBAPIError as error:
            # workers that begin at once make the same tables, and all but one of them fail
            if attempt == 9 or (not local and isinstance(error, sqlalchemy.exc.OperationalError)):
                raise
            time.sleep(0.5)
    if local:
        # on the same machine a killed worker is known at once
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if is_gone(trial.user_attrs.get("process", "")):
                study.tell(trial.number, state=TrialState.FAIL)
    return study


def _create_or_load(name, storage, local, heartbeat):
    with warnings.catch_warnings():
        # the sign of life is marked as experimental, and may change its name in a later version
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        database = optuna.storages.RDBStorage(
            storage,
            engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
            heartbeat_interval=heartbeat,
            grace_period=6 * heartbeat,
            # run_study suggests the same again to who continues alone; to others it must be handed over
            heartbeat_stale_trial_callback=None if local else optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
    return optuna.create_study(
        study_name=name,
        storage=database,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=4),
        direction="maximize",
        load_if_exists=True,
    )


def finished_trials(study):
    """Trials that were completed or pruned, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=FINISHED)


class _SurplusError(Exception):
    """Another worker began the last trial at the same moment."""


def run_study(study, objective, n_trials, seed=0, worker=0, report=print):
    """Run trials until the study has ``n_trials`` that were completed or pruned, no more and no fewer.

    What a trial suggests depends on the seed, on how many trials were finished before it and on their scores, not on
    the process: a search that was interrupted resumes and comes to the same end. Where several workers share a study,
    each needs a number of its own; who finds nothing left to begin waits until the others have finished, in case one
    of them does not.

    Parameters
    ----------
    study : optuna.Study
    objective : callable
        Takes a trial, gives its score; raises ``optuna.TrialPruned`` to give up early.
    n_trials : int
    seed : int
    worker : int
        Tells workers apart that would otherwise suggest the same at the same time.
    report : callable
        Gets a line after each trial.

    Returns
    -------
    best : optuna.trial.FrozenTrial

    Raises
    ------
    RuntimeError
        If a score is NaN.
    """

    def claimed(trial):
        trial.set_user_attr("process", process_name())
        # one that is handed over counts too: who hands it over takes it, if nobody else does
        others = study.get_trials(deepcopy=False, states=(*FINISHED, TrialState.RUNNING, TrialState.WAITING))
        if sum(other.number < trial.number for other in others) >= n_trials:
            trial.set_user_attr("surplus", True)
            raise _SurplusError
        return objective(trial)

    done = len(finished_trials(study))
    if done:
        report(f"The study holds {done} finished trials already, of {n_trials}")
    while (done := len(finished_trials(study))) < n_trials:
        unfinished = study.get_trials(deepcopy=False, states=(TrialState.WAITING, TrialState.RUNNING))
        running = sum(trial.state == TrialState.RUNNING for trial in unfinished)
        if done + running >= n_trials and running == len(unfinished):
            time.sleep(0.5)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(study)
            continue
        # a fresh sampler for each trial: a long-lived one would remember how often it was asked
        # no constant liar: what a killed worker left unfinished must not change what comes next
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + done + 100_003 * worker, n_startup_trials=5, constant_liar=False
        )
        # not the study's last trial, which may be another worker's
        ran = []
        remember = [lambda _, trial, ran=ran: ran.append(trial)]
        study.optimize(claimed, n_trials=1, catch=(_SurplusError,), callbacks=remember)
        last = ran[0]
        if last.user_attrs.get("surplus"):
            continue
        if last.state not in FINISHED:
            # the next trial would be the same one
            raise RuntimeError(f"trial {last.number} gave no score (it is NaN) with {last.params}")
        value = "" if last.value is None else f": {last.value:.4f}"
        report(f"trial {done + 1:2d} of {n_trials}, {last.state.name.lower()}{value} {last.params}")
    return study.best_trial


def reports_to(trial, every=1):
    """What ``training.fit`` calls after an epoch: reports the score to a trial, and ends it if it falls behind.

    Parameters
    ----------
    trial : optuna.Trial
    every : int
        Epochs between reports.

    Returns
    -------
    on_epoch : callable
        Raises ``optuna.TrialPruned``.
    """

    def on_epoch(epoch, score):
        if (epoch + 1) % every == 0:
            trial.report(score, epoch // every)
            if trial.should_prune():
                raise optuna.TrialPruned

    return on_epoch


def overview(study, seed=0):
    """What a study found, as ``plots.search`` draws it.

    Returns
    -------
    values : list of float
        Score of each finished trial; of a pruned one, what it reported last.
    states : list of str
        ``"COMPLETE"`` or ``"PRUNED"``.
    importances : dict of str to float
        Share of the variation of scores that each hyper-parameter accounts for (functional analysis of variance;
        Hutter, Hoos and Leyton-Brown 2014); empty with fewer than two complete trials.
    """
    finished = finished_trials(study)
    complete = [trial.state == TrialState.COMPLETE for trial in finished]
    values = [t.value if c else t.intermediate_values[max(t.intermediate_values)] for t, c in zip(finished, complete)]
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    importances = optuna.importance.get_param_importances(study, evaluator=evaluator) if sum(complete) > 1 else {}
    return values, [trial.state.name for trial in finished], importances
