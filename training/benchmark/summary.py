"""What the results of a benchmark say about each algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.results import as_rows
from stackroute.training.benchmark.statistics import (
    Estimate,
    estimate,
    interquartile_mean,
    probability_of_improvement,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.configs.benchmarks import Suite

    FloatArray = npt.NDArray[np.float64]
    Row = dict[str, Any]

WORST = 1.0
"""A regret counts at most as much, and a run that failed or is missing counts as much."""

_NEAR = 0.01


@dataclass(frozen=True, eq=False)
class Scores:
    """The results of one algorithm.

    Attributes:
        algorithm: Its name.
        summary: What it is, in a line.
        regret: The provider's exact regret, cut off at `WORST`, shape (seeds, cells); a cell is a task, or a group of
            held-out games.
        groups: The group of each cell.
        rows: What was measured, one row for each run that did not fail and each of its groups.
        together: Whether the cells are of the same run, and so not independent.
    """

    algorithm: str
    summary: str
    regret: FloatArray
    groups: tuple[str, ...]
    rows: list[Row]
    together: bool

    def mean(self, metric: str) -> float:
        """The mean of a metric over all rows; NaN without any."""
        return float(np.mean([row[metric] for row in self.rows])) if self.rows else float("nan")

    def median(self, metric: str) -> float:
        """The median of a metric over all rows in which it has a value; NaN without any."""
        values = [row[metric] for row in self.rows if row[metric] is not None]
        return float(np.median(values)) if values else float("nan")

    def share(self, metric: str) -> float:
        """The share of all runs in which a metric has a value."""
        return sum(row[metric] is not None for row in self.rows) / self.regret.size

    @property
    def near(self) -> float:
        """The share of runs within 1 % of the optimum."""
        return float(np.mean(self.regret <= _NEAR))


@dataclass(frozen=True, eq=False)
class Ranked:
    """An algorithm's place in the ranking.

    Attributes:
        scores: Its results.
        regret: The interquartile mean of its regret, with a stratified bootstrap interval.
        tier: 1 for the best. A tier ends where an algorithm's interval lies wholly above that of the tier's first.
        better_than_next: How likely its run has a lower regret than one of the next algorithm on the same task, with
            an interval; None for the last.
    """

    scores: Scores
    regret: Estimate
    tier: int
    better_than_next: Estimate | None


def scores_of(suite: Suite, results: list[Row]) -> list[Scores]:
    """The results by algorithm, in the order of the suite.

    Args:
        suite: The suite.
        results: As of `stackroute.training.benchmark.results.read_units`.
    """
    rows = as_rows(results)
    summaries = {result["algorithm"]: result["summary"] for result in results}
    cells = list(dict.fromkeys((row["task"], row["group"]) for row in rows))
    places = {cell: k for k, cell in enumerate(cells)}
    found = []
    for algorithm in suite.algorithms:
        mine = [row for row in rows if row["algorithm"] == algorithm]
        regret = np.full((len(suite.seeds), len(cells)), WORST)
        for row in mine:
            place = suite.seeds.index(row["seed"]), places[row["task"], row["group"]]
            # What rounding leaves of an exact zero must not decide a comparison.
            regret[place] = round(min(row["provider_regret"], WORST), 12)
        groups = tuple(group for _, group in cells)
        summary = summaries.get(algorithm, "")
        found.append(Scores(algorithm, summary, regret, groups, mine, suite.held_out is not None))
    return found


def ranking(scores: list[Scores]) -> list[Ranked]:
    """The algorithms from the lowest interquartile mean of the regret to the highest; equal ones by their mean."""
    estimates = {
        one.algorithm: estimate([one.regret], lambda drawn: interquartile_mean(drawn[0]), together=one.together)
        for one in scores
    }
    ordered = sorted(scores, key=lambda one: (estimates[one.algorithm].value, one.regret.mean()))
    ranked: list[Ranked] = []
    leader: Estimate | None = None
    tier = 0
    for one, following in zip(ordered, [*ordered[1:], None], strict=True):
        mine = estimates[one.algorithm]
        if leader is None or mine.low > leader.high:
            leader, tier = mine, tier + 1
        ranked.append(Ranked(one, mine, tier, None if following is None else improvement(one, following)))
    return ranked


def improvement(one: Scores, other: Scores) -> Estimate:
    """How likely a run of one algorithm has a lower regret than one of another on the same task."""
    return estimate(
        [one.regret, other.regret],
        lambda drawn: probability_of_improvement(-drawn[0], -drawn[1]),
        together=one.together,
        resamples=500,
    )


def by_group(scores: list[Scores]) -> tuple[list[str], FloatArray]:
    """The median regret of each algorithm in each group of games.

    Returns:
        The groups, and an array of shape (algorithms, groups).
    """
    groups = list(dict.fromkeys(scores[0].groups))
    of_group = [np.array(scores[0].groups) == group for group in groups]
    return groups, np.array([[np.median(one.regret[:, members]) for members in of_group] for one in scores])


def curves_of(results: list[Row], tasks: FloatArray) -> dict[str, FloatArray]:
    """The median regret over all runs of each algorithm against the tasks played.

    Args:
        results: As of `stackroute.training.benchmark.results.read_units`.
        tasks: Where to read the curves, ascending, shape (k,).

    Returns:
        Shape (k,) for each algorithm: before a run's first point its regret counts as `WORST`, after its last it stays.
        One that failed counts as `WORST` throughout.
    """
    read: dict[str, list[FloatArray]] = {}
    for result in results:
        curve = result["curve"] if result["error"] is None else {"tasks": [], "regret": []}
        place = np.searchsorted(curve["tasks"], tasks, side="right")
        regret = np.minimum(np.array([WORST, *curve["regret"]]), WORST)
        read.setdefault(result["algorithm"], []).append(regret[place])
    return {algorithm: np.median(runs, axis=0) for algorithm, runs in read.items()}
