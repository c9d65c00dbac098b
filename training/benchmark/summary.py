"""What the results of a benchmark say about each algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stackroute.training.benchmark.statistics import estimate, interquartile_mean, probability_of_improvement

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.statistics import Estimate
    from stackroute.training.benchmark.units import Result

    FloatArray = npt.NDArray[np.float64]

WORST = 1.0
"""A regret counts at most as much, and a run that failed or is missing counts as much."""

_PAIR_RESAMPLES = 500


@dataclass(frozen=True)
class Ranked:
    """An algorithm's place in the ranking.

    Attributes:
        algorithm: Its name.
        regret: The interquartile mean of its regret, with a stratified bootstrap interval.
        tier: 1 for the best. A tier ends where an algorithm's interval lies wholly above that of the tier's first.
        better_than_next: How likely its run has a lower regret than one of the next algorithm on the same task, with
            an interval; None for the last.
    """

    algorithm: str
    regret: Estimate
    tier: int
    better_than_next: Estimate | None


def regrets_of(suite: Suite, table: pd.DataFrame) -> pd.DataFrame:
    """The provider's exact regret, cut off at `WORST`.

    Args:
        suite: The suite.
        table: As of `stackroute.training.benchmark.results.as_table`.

    Returns:
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

    Args:
        regrets: As of `regrets_of`.
        together: Whether the columns are of the same run, and so not independent.
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
        ranked.append(Ranked(name, mine, tier, better))
    return ranked


def by_group(regrets: pd.DataFrame) -> pd.DataFrame:
    """The median regret of each algorithm (a row) in each group of games (a column)."""
    long = regrets.melt(ignore_index=False, value_name="regret").reset_index()
    medians = long.groupby(["algorithm", "group"], sort=False)["regret"].median()
    return medians.unstack("group", sort=False)


def median_curves(results: list[Result], tasks: FloatArray) -> dict[str, FloatArray]:
    """The median regret over all runs of each algorithm against the tasks played.

    Args:
        results: As of `stackroute.training.benchmark.results.read_results`.
        tasks: Where to read the curves, ascending, shape (k,).

    Returns:
        Shape (k,) for each algorithm: before a run's first point its regret counts as `WORST`, after its last it stays.
        One that failed counts as `WORST` throughout.
    """
    read: dict[str, list[FloatArray]] = {}
    for result in results:
        place = np.searchsorted(result.curve.tasks, tasks, side="right")
        regret = np.minimum([WORST, *result.curve.regret], WORST)
        read.setdefault(result.algorithm, []).append(regret[place])
    return {algorithm: np.median(runs, axis=0) for algorithm, runs in read.items()}
