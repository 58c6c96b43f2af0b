"""Hyper-parameter search that survives interruptions and can be shared: an Optuna study in a database."""

import warnings

import optuna
from optuna.trial import TrialState

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def open_study(name, storage, heartbeat=60):
    """Create a study that maximises a score, or open the one that is there.

    Parameters
    ----------
    name : str
        Say in it what the scores depend on: a study is continued under the same name only.
    storage : str
        Address of a database as SQLAlchemy takes it, for example ``"sqlite:///study.db"``.
    heartbeat : int
        Seconds between signs of life of a worker; a trial whose worker is silent for five times as long is taken for
        dead and tried again.

    Returns
    -------
    study : optuna.Study
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    local = storage.startswith("sqlite")
    with warnings.catch_warnings():
        # the sign of life is marked as experimental, and may change its name in a later version
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        database = optuna.storages.RDBStorage(
            storage,
            engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
            heartbeat_interval=heartbeat,
            grace_period=5 * heartbeat,
        )
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=4)
    return optuna.create_study(
        study_name=name,
        storage=database,
        pruner=pruner,
        direction="maximize",
        load_if_exists=True,
    )


def finished_trials(study):
    """Trials that were completed or pruned, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def run_study(study, objective, n_trials, seed=0, worker=0, report=print):
    """Run trials until the study has ``n_trials`` that were completed or pruned.

    What a trial suggests depends on the seed, on how many trials were finished before it and on their scores, not on
    the process: a search that was interrupted goes on to the same end. Where several workers share a study, each
    needs a number of its own; they then end with at most one trial a worker too many.

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
    done = len(finished_trials(study))
    if done:
        report(f"The study holds {done} finished trials already, of {n_trials}")
    while (done := len(finished_trials(study))) < n_trials:
        # a fresh sampler for each trial: a long-lived one would remember how often it was asked
        # no constant liar: what a killed worker left unfinished must not change what comes next
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + done + 100_003 * worker, n_startup_trials=5, constant_liar=False
        )
        # not the study's last trial, which may be another worker's
        ran = []
        study.optimize(objective, n_trials=1, callbacks=[lambda _, trial, ran=ran: ran.append(trial)])
        last = ran[0]
        if last.state not in FINISHED:
            # the next trial would be the same one
            raise RuntimeError(f"trial {last.number} gave no score (it is NaN) with {last.params}")
        value = "" if last.value is None else f": {last.value:.4f}"
        report(f"trial {done + 1:2d} of {n_trials}, {last.state.name.lower()}{value} {last.params}")
    return study.best_trial
