"""Statistics of few runs on several tasks, and what they say about each algorithm.

After Agarwal et al. 2021, *Deep Reinforcement Learning at the Edge of the Statistical Precipice*. Scores are arrays of
shape (..., runs, tasks). Their package, rliable, is no longer maintained; these few functions stand on scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.results import Result

    Statistic = Callable[..., FloatArray]

RESAMPLES = 2_000

WORST = 1.0
"""A regret counts at most as much, and a run that failed or is missing counts as much."""

LEAST_RUNS = 3
"""With fewer runs there are no intervals: a bootstrap of one has no width, and of two nearly none."""

_PAIR_RESAMPLES = 500


@dataclass(frozen=True)
class Estimate:
    """A statistic of the scores themselves, with the ends of its 95 % confidence interval, each of shape () or (k,).

    The ends are NaN where there are fewer than `LEAST_RUNS` runs.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray

    def written(self, text: Callable[[float], str]) -> str:
        """The numbers, each as a text, as "value [low, high]"; without ends that are not known. Shape () only."""
        value, *ends = (text(float(number)) for number in (self.value, self.low, self.high))
        return value if np.isnan(self.low) else f"{value} [{', '.join(ends)}]"


@dataclass(frozen=True)
class Ranked:
    """An algorithm's place in the ranking.

    Attributes:
        regret: The interquartile mean of its regret, with a stratified bootstrap interval.
        tier: 1 for the best. A tier ends where an algorithm's interval lies wholly above that of the tier's first; None
            without intervals.
        better_than_next: How likely its run has a lower regret than one of the next algorithm on the same task.
    """

    algorithm: str
    regret: Estimate
    tier: int | None
    better_than_next: Estimate | None


def interquartile_mean(scores: npt.ArrayLike) -> FloatArray:
    """The mean of the middle half of all scores, shape (...): a quarter is left out at each end.

    Examples:
        >>> float(interquartile_mean([[0, 1, 2, 3], [4, 5, 6, 100]]))
        3.5
    """
    array = np.asarray(scores, dtype=np.float64)
    return np.asarray(stats.trim_mean(array.reshape(*array.shape[:-2], -1), 0.25, axis=-1))


def estimate(
    statistic: Statistic, *scores: FloatArray, together: bool = False, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """A statistic with its 95 % percentile interval by a bootstrap of the runs, stratified by task.

    Args:
        statistic: Called with arrays of shape (..., runs, tasks); gives one of shape (...) or (..., k).
        *scores: Arrays of shape (runs, tasks), resampled independently of each other.
        together: Whether a run is resampled with its scores on all tasks, because they are not independent.
        resamples: How many samples.
        seed: Fixes them.

    Returns:
        The estimate.
    """
    value = statistic(*scores)
    if min(map(len, scores)) < LEAST_RUNS:
        none = np.full_like(value, np.nan)
        return Estimate(value, none, none)
    samples = [sample for one in scores for sample in ([one.T] if together else list(one.T))]

    def of_samples(*drawn: FloatArray, axis: int) -> FloatArray:
        # A sample has shape (resamples, runs), with the tasks before it if they are together.
        count = len(drawn) // len(scores)
        parts = [np.stack(drawn[k : k + count], axis=-1) for k in range(0, len(drawn), count)]
        arrays = [np.moveaxis(part[..., 0], 0, -1) if together else part for part in parts]
        return np.moveaxis(statistic(*arrays), 0, axis)

    found = stats.bootstrap(
        samples, of_samples, n_resamples=resamples, method="percentile", vectorized=True, axis=-1, rng=seed
    ).confidence_interval
    return Estimate(value, np.asarray(found.low), np.asarray(found.high))


def probability_of_improvement(scores: npt.ArrayLike, others: npt.ArrayLike) -> FloatArray:
    """How likely a run of one algorithm scores higher than one of another on the same task, averaged over tasks.

    On each task this is the Mann-Whitney statistic divided by the number of pairs: a tie counts as one half. The number
    of runs of the two may differ.

    Examples:
        >>> float(probability_of_improvement([[1.0], [2.0]], [[1.0], [0.0]]))
        0.875
    """
    mine, theirs = np.asarray(scores)[..., :, None, :], np.asarray(others)[..., None, :, :]
    return np.asarray(((mine > theirs) + 0.5 * (mine == theirs)).mean(axis=(-3, -2, -1)))


def share_within(scores: npt.ArrayLike, thresholds: npt.ArrayLike) -> FloatArray:
    """The share of runs at or below each of k thresholds, shape (..., k): a performance profile over all tasks."""
    return np.asarray((np.asarray(scores)[..., None] <= np.asarray(thresholds)).mean(axis=(-3, -2)))


def regrets_of(suite: Suite, table: pd.DataFrame) -> pd.DataFrame:
    """The provider's exact regret, cut off at `WORST`, from `stackroute.training.benchmark.results.as_table`.

    A row for each algorithm and seed, in the order of the suite, and a column for each task and group.
    """
    # What rounding leaves of an exact zero must not decide a comparison.
    capped = table.assign(regret=table["provider_regret"].clip(upper=WORST).round(12))
    wide = capped.pivot(index=["algorithm", "seed"], columns=["task", "group"], values="regret")
    runs = pd.MultiIndex.from_product([suite.algorithms, suite.seeds], names=["algorithm", "seed"])
    cells = pd.MultiIndex.from_frame(table[["task", "group"]].drop_duplicates())
    return wide.reindex(index=runs, columns=cells).fillna(WORST)


def ranking(regrets: pd.DataFrame, *, together: bool) -> list[Ranked]:
    """The algorithms from the lowest interquartile mean of the regret to the highest; equal ones by their mean.

    The columns of `regrets_of` are resampled together if they are of the same run, and so not independent.
    """
    scores = {name: regrets.loc[name].to_numpy() for name in regrets.index.unique("algorithm")}
    estimates = {name: estimate(interquartile_mean, one, together=together) for name, one in scores.items()}
    ordered = sorted(scores, key=lambda name: (estimates[name].value, scores[name].mean()))
    ranked: list[Ranked] = []
    tier, leader = 0, None
    for name, following in zip(ordered, [*ordered[1:], None], strict=True):
        mine = estimates[name]
        if leader is None or mine.low > leader.high:
            tier, leader = tier + 1, mine
        better = None
        if following is not None:
            lower = -scores[name], -scores[following]
            better = estimate(probability_of_improvement, *lower, together=together, resamples=_PAIR_RESAMPLES)
        ranked.append(Ranked(name, mine, None if np.isnan(mine.low) else tier, better))
    return ranked


def by_group(regrets: pd.DataFrame) -> pd.DataFrame:
    """The median regret of each algorithm (a row) in each group of games (a column)."""
    long = regrets.melt(ignore_index=False, value_name="regret").reset_index()
    medians = long.groupby(["algorithm", "group"], sort=False)["regret"].median()
    return medians.unstack("group", sort=False)


def median_curves(results: list[Result], tasks: FloatArray) -> dict[str, FloatArray]:
    """The median regret over all runs of each algorithm, after ascending numbers of tasks played.

    Before a run's first point its regret counts as `WORST`, after its last it stays. One that failed counts as `WORST`
    throughout.
    """
    read: dict[str, list[FloatArray]] = {}
    for result in results:
        place = np.searchsorted(result.curve.tasks, tasks, side="right")
        regret = np.minimum([WORST, *result.curve.regret], WORST)
        read.setdefault(result.algorithm, []).append(regret[place])
    return {algorithm: np.median(runs, axis=0) for algorithm, runs in read.items()}
