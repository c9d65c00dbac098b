"""Statistics of few runs on several tasks.

After Agarwal et al. 2021, *Deep Reinforcement Learning at the Edge of the Statistical Precipice*. Scores are arrays of
shape (runs, tasks). Their package, rliable, is no longer maintained; these few functions stand on numpy and scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic with its confidence interval.

    Attributes:
        value: The statistic of the scores themselves.
        low: The lower end of the interval.
        high: The upper end.
    """

    value: float
    low: float
    high: float


def interquartile_mean(scores: npt.ArrayLike) -> float:
    """The mean of the middle half of all scores: a quarter is left out at each end.

    Args:
        scores: Any shape.

    Examples:
        >>> interquartile_mean([0, 1, 2, 3, 4, 5, 6, 100])
        3.5
    """
    return float(stats.trim_mean(np.asarray(scores, dtype=np.float64), 0.25, axis=None))


def bootstrap(
    scores: list[FloatArray],
    statistic: Callable[[list[FloatArray]], npt.ArrayLike],
    *,
    together: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FloatArray:
    """Statistics of samples that are drawn anew from the runs of each task: a bootstrap stratified by task.

    Args:
        scores: Arrays of shape (runs, tasks) that are drawn from independently of each other.
        statistic: Called with arrays like them.
        together: Whether a run is drawn with its scores on all tasks, because they are not independent.
        resamples: How many samples.
        seed: Fixes them.

    Returns:
        Shape (resamples, *shape of the statistic).
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        sample = []
        for one in scores:
            rows = generator.integers(len(one), size=(len(one), 1 if together else one.shape[1]))
            sample.append(np.take_along_axis(one, np.broadcast_to(rows, one.shape), axis=0))
        drawn.append(statistic(sample))
    return np.asarray(drawn, dtype=np.float64)


def estimate(
    scores: list[FloatArray],
    statistic: Callable[[list[FloatArray]], float],
    *,
    together: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A statistic with its 95 % percentile interval by `bootstrap`."""
    drawn = bootstrap(scores, statistic, together=together, resamples=resamples, seed=seed)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(statistic(scores)), float(low), float(high))


def probability_of_improvement(scores: FloatArray, others: FloatArray) -> float:
    """How likely a run of one algorithm scores higher than one of another on the same task, averaged over tasks.

    On each task this is the Mann-Whitney statistic divided by the number of pairs: a tie counts as one half.

    Args:
        scores: Shape (runs, tasks).
        others: Of the other algorithm, shape (other runs, tasks).

    Examples:
        >>> probability_of_improvement(np.array([[1.0], [2.0]]), np.array([[1.0], [0.0]]))
        0.875
    """
    above, same = scores[:, None] > others[None], scores[:, None] == others[None]
    return float((above + 0.5 * same).mean())


def performance_profile(scores: FloatArray, thresholds: npt.ArrayLike) -> FloatArray:
    """The share of runs that score above each threshold: a tail distribution over all runs of all tasks.

    Args:
        scores: Shape (runs, tasks).
        thresholds: Shape (k,).

    Returns:
        Shape (k,).
    """
    share: FloatArray = np.mean(scores.ravel()[:, None] > np.asarray(thresholds, dtype=np.float64), axis=0)
    return share
