"""How often 95 % intervals hold the truth, on neurons whose every score is known. Numbers of a simulation.

Draws many samples of images from a population, takes the intervals that the notebooks take, and counts; beside it
stands what percentiles of the same draws, the plain bootstrap, would have reached.

    python -m benchmarks.coverage [--samples 1000] [--only NAME ...] [--draws 1000]
"""

import argparse
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.report import machine
from itneurons.evaluation import bootstrap, metrics

N_TRIALS = (4, 10, 25)
# the number of trials of the columns that do not name one
MIDDLE = 10


def softplus(drive):
    return 0.7 * np.logaddexp(0, 2 * drive)


def rectified(drive, threshold):
    """A rate of zero for most images; the drive is standard normal."""
    return 2 * np.maximum(0, drive - threshold)


@dataclass(frozen=True)
class Population:
    """Neurons, fixed models of them, and any number of images.

    A neuron's drive is a mixture of 20 features of the image, normal and independent, and, for a fifth of its variance,
    a part of its own. A model's prediction is what the neuron would fire to a drive that correlates with the neuron's
    by 0.4 to 0.85, shrunk by the same factor; the baseline's correlates by 0.85 times as much. Trials are Poisson
    counts, or for Gaussian neurons normal with a standard deviation of 1 to 2.5.
    """

    rate: callable
    n_images: int
    n_neurons: int = 30
    poisson: bool = True
    n_features: int = 20

    def __post_init__(self):
        rng = np.random.default_rng(0)
        shape = self.n_features, self.n_neurons
        tuning = [mixture / np.linalg.norm(mixture, axis=0) for mixture in rng.standard_normal((2, *shape))]
        object.__setattr__(self, "_tuning", tuning)
        object.__setattr__(self, "_quality", rng.uniform(0.4, 0.85, self.n_neurons))
        object.__setattr__(self, "_noise", rng.uniform(1, 2.5, self.n_neurons))

    def draw(self, n_images, rng):
        """Expected rates, predictions of the model and of the baseline, all (n_images, n_neurons)."""
        own = rng.standard_normal((3, n_images, self.n_neurons))
        drive, other = (
            np.sqrt(0.8) * rng.standard_normal((n_images, self.n_features)) @ tuning + np.sqrt(0.2) * part
            for tuning, part in zip(self._tuning, own)
        )
        predictions = []
        for quality, misled in ((self._quality, other), (0.85 * self._quality, 0.8 * other + 0.6 * own[2])):
            predictions.append(quality * self.rate(quality * drive + np.sqrt(1 - quality**2) * misled))
        return self.rate(drive), *predictions

    def trials(self, rates, n_trials, rng):
        """Responses (n_trials, n_images, n_neurons)."""
        if self.poisson:
            return rng.poisson(rates, (n_trials, *rates.shape)).astype(float)
        return rates + self._noise * rng.standard_normal((n_trials, *rates.shape))

    def truth(self, n_images=1_000_000, chunk=20_000):
        """Every score, averaged over neurons, by number of trials; from a million images without trial noise."""
        rng = np.random.default_rng(1)
        sums = 0
        for _ in range(n_images // chunk):
            rates, *predictions = self.draw(chunk, rng)
            values = [rates, *predictions, *(rates - prediction for prediction in predictions)]
            sums = sums + np.stack([[part.mean(axis=0), (part**2).mean(axis=0)] for part in values])
        mean, square = np.moveaxis(sums / (n_images // chunk), 1, 0)
        noise = mean[0] if self.poisson else self._noise**2
        true, predicted, _, residual, baseline = square - mean**2
        found = {}
        for n_trials in N_TRIALS:
            part = noise / n_trials
            # what varies from trial to trial is in the measured rates and in what predictions miss
            variances = {"true": true + part, "predicted": predicted, "residual": residual + part}
            variances |= {"baseline": baseline + part, "noise": part}
            found[n_trials] = {name: score(variances)[0].mean() for name, score in SCORES.items()}
            found[n_trials]["known"] = true / (true + part)
        return found


SCORES = {
    "explained variance": bootstrap.explained_variance,
    "correlation": bootstrap.correlation,
    "paired difference": bootstrap.difference,
    "fraction": bootstrap.fraction(metrics.LOWEST_CEILING),
    "ceiling": bootstrap.ceiling,
}
KNOWN = "fraction, ceiling known"

POPULATIONS = {
    "Gaussian": Population(lambda drive: drive, 288, poisson=False),
    "heavy-tailed": Population(lambda drive: np.exp(0.7 * drive), 288),
    "few images": Population(softplus, 80),
    "sparse": Population(partial(rectified, threshold=0.84), 288),
    "one neuron": Population(softplus, 80, n_neurons=1),
    "heavier tails": Population(np.exp, 288),
    "sparse, few images": Population(partial(rectified, threshold=0.84), 80),
}


def intervals(measured, predicted, baseline, noise, ceiling, wanted, n_bootstrap, seed):
    """Intervals of some scores, as ``metrics`` takes them, and the percentiles of the same draws."""
    draws = bootstrap.Draws(
        n_bootstrap,
        seed,
        noise,
        true=measured,
        predicted=predicted,
        residual=measured - predicted,
        baseline=measured - baseline,
    )
    scores = SCORES | {KNOWN: bootstrap.fraction_of(ceiling)}
    found = {}
    for name in wanted:
        score = scores[name]
        means, errors = draws.mean(score)
        percentiles = np.nanpercentile(means[1:], [2.5, 97.5])
        found[name] = bootstrap.interval(means, errors, score.link, score.biased), percentiles
    return found


def coverage(population, n_samples, n_bootstrap=1000, of=N_TRIALS):
    """Share of samples whose interval holds the truth.

    Parameters
    ----------
    population : Population
    n_samples, n_bootstrap : int
    of : sequence of int
        Numbers of trials.

    Returns
    -------
    held : dict
        By name of a column: shares, studentised first and percentiles second.
    """
    truth = population.truth()
    hits = {}
    for sample in range(n_samples):
        rng = np.random.default_rng([2, sample])
        rates, *predictions = population.draw(population.n_images, rng)
        trials = population.trials(rates, max(of), rng)
        for n_trials in of:
            shown = trials[:n_trials]
            wanted = ["fraction", "ceiling"] if n_trials != MIDDLE else [*SCORES, KNOWN]
            found = intervals(
                shown.mean(axis=0),
                *predictions,
                metrics.noise_variance(shown),
                truth[n_trials]["known"],
                wanted,
                n_bootstrap,
                # the same draws for fifty samples, which saves drawing them
                sample // 50,
            )
            for name, pair in found.items():
                true = truth[n_trials]["fraction" if name == KNOWN else name]
                column = f"{name}, {n_trials} trials" if name in ("fraction", "ceiling") else name
                hits.setdefault(column, []).append([low <= true <= high for low, high in pair])
    return {column: np.mean(held, axis=0) for column, held in hits.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=1000, help="of each population")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap, for each interval")
    parser.add_argument("--only", nargs="+", choices=POPULATIONS, default=list(POPULATIONS), help="populations")
    settings = parser.parse_args()
    start, rows = time.process_time(), {}
    for name in settings.only:
        rows[name] = coverage(POPULATIONS[name], settings.samples, settings.draws)
        print(f"{name}: {time.process_time() - start:.0f} s", flush=True)
    columns = list(next(iter(rows.values())))
    columns = [KNOWN if KNOWN in columns else "", *(c for c in columns if c != KNOWN)]
    order = [*list(SCORES)[:3], *(c for c in columns if c not in SCORES)]
    print("\n| of " + f"{settings.samples} samples | " + " | ".join(rows) + " |")
    print("| --- |" + " --- |" * len(rows))
    for column in order:
        cells = (f"{100 * new:.1f} ({100 * old:.1f})" for new, old in (row[column] for row in rows.values()))
        print(f"| {column} | " + " | ".join(cells) + " |")
    where = machine()
    print(f"\n{where['processor']}, {where['system']}, Python {where['python']}: {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
