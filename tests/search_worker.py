"""A worker of a shared search: ``python -m tests.search_worker STORAGE NUMBER FOLDER [TRIALS BEFORE IT HANGS]``."""

import json
import sys
import time
from pathlib import Path

from itneurons.networks.search import open_study, run_study


def main(storage, worker, folder, hangs_after="1000"):
    begun = []

    def objective(trial):
        x, y = trial.suggest_float("x", -3, 3), trial.suggest_float("y", -3, 3)
        begun.append(trial.number)
        record = {"worker": worker, "params": trial.params, "value": -((x - 1) ** 2) - y**2}
        # "x": a trial that began twice would fail here
        with (Path(folder) / f"{trial.number}.json").open("x") as file:
            json.dump(record, file)
        if len(begun) > int(hangs_after):
            (Path(folder) / "hangs").write_text(str(trial.number))
            time.sleep(600)
        time.sleep(0.1)
        return record["value"]

    study = open_study("shared", storage, heartbeat=1)
    best = run_study(study, objective, 40, worker=int(worker), report=lambda line: None)
    print(json.dumps({"best": best.value}))


if __name__ == "__main__":
    main(*sys.argv[1:])
