"""Statistics of few runs on several tasks.

After Agarwal et al. 2021, *Deep Reinforcement Learning at the Edge of the Statistical Precipice*. Scores are arrays of
shape (..., runs, tasks). Their package, rliable, is no longer maintained; these few functions stand on scipy.
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
    Statistic = Callable[..., FloatArray]

RESAMPLES = 2_000


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % confidence interval.

    Attributes:
        value: The statistic of the scores themselves, shape () or (k,).
        low: The lower end of the interval, of the same shape.
        high: The upper end.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


def interquartile_mean(scores: npt.ArrayLike) -> FloatArray:
    """The mean of the middle half of all scores: a quarter is left out at each end.

    Args:
        scores: Shape (..., runs, tasks).

    Returns:
        Shape (...).

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
        The estimate; where there is but one run both ends are the statistic itself.
    """
    value = statistic(*scores)
    if len(scores[0]) == 1:
        return Estimate(value, value, value)
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

    On each task this is the Mann-Whitney statistic divided by the number of pairs: a tie counts as one half.

    Args:
        scores: Shape (..., runs, tasks).
        others: Of the other algorithm, shape (..., other runs, tasks).

    Returns:
        Shape (...).

    Examples:
        >>> float(probability_of_improvement([[1.0], [2.0]], [[1.0], [0.0]]))
        0.875
    """
    mine, theirs = np.asarray(scores)[..., :, None, :], np.asarray(others)[..., None, :, :]
    return np.asarray(((mine > theirs) + 0.5 * (mine == theirs)).mean(axis=(-3, -2, -1)))


def share_within(scores: npt.ArrayLike, thresholds: npt.ArrayLike) -> FloatArray:
    """The share of runs that score at or below each threshold: a performance profile over all runs of all tasks.

    Args:
        scores: Shape (..., runs, tasks).
        thresholds: Shape (k,).

    Returns:
        Shape (..., k).
    """
    return np.asarray((np.asarray(scores)[..., None] <= np.asarray(thresholds)).mean(axis=(-3, -2)))
