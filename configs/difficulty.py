"""How much tasks differ: a Beta distribution of a model's success over tasks, from counts of successes by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray

_LEAST_SIZE, _MOST_SIZE = 1e-3, 1e6
"""Bounds of a + b: an intra-class correlation of .999, and one of 1e-6."""

_AT_BOUND = 1.01


@dataclass(frozen=True, eq=False)
class BetaFit:
    """The success of a model over tasks as a Beta distribution (beyond the paper).

    Attributes:
        model: The model's name.
        a: Of the distribution, > 0.
        b: Of the distribution, > 0.
        covariance: Of the estimates of a and b, shape (2, 2); NaN where it is not known.
        assumed: Whether the correlation of attempts at a task is that which the user gave, as the data do not show it.
        note: What is unusual about the data, in words; empty where nothing is.
        attempts: How often each task was attempted, > 0, shape (T,).
        successes: How often it was solved, shape (T,).
        in_order: By j the tasks whose j-th attempt followed only failures, and those that it solved, shape (2, J), of a
            log; None: only counts are known.

    Examples:
        >>> import numpy as np
        >>> fit = fit_beta("o1", np.array([4, 4, 4, 4]), np.array([0, 4, 3, 1]))
        >>> fit.assumed, round(fit.success, 3), round(fit.retry_ratio, 3)
        (False, 0.5, 0.525)
        >>> fit.measured_curve(3).round(3)
        array([0.5  , 0.25 , 0.167])
    """

    model: str
    a: float
    b: float
    covariance: FloatArray
    assumed: bool
    note: str
    attempts: IntArray
    successes: IntArray
    in_order: IntArray | None = None

    @property
    def success(self) -> float:
        """The probability that a first attempt succeeds, a / (a + b)."""
        return self.a / (self.a + self.b)

    @property
    def correlation(self) -> float:
        """The intra-class correlation of attempts at the same task, 1 / (a + b + 1)."""
        return 1.0 / (self.a + self.b + 1.0)

    @property
    def retry_ratio(self) -> float:
        """How often an attempt after one failure succeeds, as a share of first attempts: 1 - correlation."""
        return 1.0 - self.correlation

    @property
    def a_error(self) -> float:
        """The standard error of a."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def b_error(self) -> float:
        """The standard error of b."""
        return float(np.sqrt(self.covariance[1, 1]))

    @property
    def retry_ratio_error(self) -> float:
        """The standard error of the retry ratio, by the delta method; NaN where the correlation is assumed."""
        return float("nan") if self.assumed else float(np.sqrt(self.covariance.sum())) * self.correlation**2

    def curve(self, attempts: int) -> FloatArray:
        """P(attempt j succeeds | those before it failed) = a / (a + b + j - 1) for j = 1 to `attempts`."""
        return np.float64(self.a) / (self.a + self.b + np.arange(attempts))

    def measured_curve(self, attempts: int) -> FloatArray:
        """The same as measured, without a distribution: NaN where no task has come to an attempt.

        In order, as a log has them: of the j-th attempts that followed only failures the share that succeeds, which is
        right also where a task is tried until success. Of counts the numbers of attempts are taken as fixed beforehand.
        Of s successes in m attempts in any order, the first j - 1 fail with probability C(m - s, j - 1) / C(m, j - 1),
        and the next one then succeeds with probability s / (m - j + 1). Both are unbiased; at attempt j they are
        summed over the tasks that have as many attempts.
        """
        curve: FloatArray = np.full(attempts, np.nan)
        if self.in_order is not None:
            tried, solved = self.in_order[:, :attempts]
            curve[: len(tried)] = np.where(tried > 0, solved / np.maximum(tried, 1), np.nan)
            return curve
        failed: FloatArray = np.ones(len(self.attempts))
        for before in range(attempts):
            left = self.attempts - before
            there = left > 0
            reached = failed[there].sum()
            if reached > 0.0:
                curve[before] = (failed[there] * self.successes[there] / left[there]).sum() / reached
            failed = failed * np.maximum(left - self.successes, 0) / np.maximum(left, 1)
        return curve


def fit_beta(model: str, attempts: IntArray, successes: IntArray, correlation: float = 0.5) -> BetaFit:
    """The Beta distribution of a model's success over tasks (beyond the paper).

    Where tasks have several attempts, a and b maximise the likelihood of the beta-binomial distribution of successes,
    with errors from its second derivatives; it has the same maximum where tasks are tried until success. Where no task
    has, all fail or all succeed, or there is only one task, the mean is that over tasks and the intra-class correlation
    the given one: a + b = 1 / correlation - 1.

    Args:
        model: The model's name.
        attempts: How often each task was attempted, > 0, shape (T,).
        successes: How often it was solved, shape (T,).
        correlation: In (0, 1).

    Returns:
        The distribution.
    """
    tasks = len(attempts)
    mean = float(np.mean(successes / attempts))
    note = ""
    if mean in (0.0, 1.0):
        note = f"{'no' if mean == 0.0 else 'every'} attempt succeeds: the mean is half a success in {tasks} + 1 tasks"
        note = note if mean == 0.0 else note.replace("half a success", "all but half a task")
        mean = (tasks * mean + 0.5) / (tasks + 1.0)
    elif tasks == 1:
        note = "one task: it does not show how tasks differ"
    elif attempts.max() == 1:
        note = "one attempt a task: it does not show how tasks differ"
    if note:
        size = 1.0 / correlation - 1.0
        # The mean of tasks is known as well as that of so many coins.
        spread = size**2 * mean * (1.0 - mean) / tasks
        opposed = spread * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return BetaFit(model, mean * size, (1.0 - mean) * size, opposed, True, note, attempts, successes)
    a, b = _maximum_likelihood(attempts, successes, mean)
    covariance: FloatArray = np.full((2, 2), np.nan)
    if a + b > _MOST_SIZE / _AT_BOUND:
        note = "tasks differ no more than by chance: attempts are independent"
    elif a + b < _LEAST_SIZE * _AT_BOUND:
        note = "each task is solved always or never: attempts tell nothing new"
    else:
        covariance = np.asarray(np.linalg.inv(_information(a, b, attempts, successes)), dtype=np.float64)
    return BetaFit(model, a, b, covariance, False, note, attempts, successes)


def _maximum_likelihood(attempts: IntArray, successes: IntArray, mean: float) -> tuple[float, float]:
    """The a and b of the greatest likelihood, by the log-odds of a / (a + b) and the logarithm of a + b."""
    counts, frequency = np.unique(np.stack([attempts, successes]), axis=1, return_counts=True)
    m, s = counts
    share = frequency / len(attempts)

    def loss(at: FloatArray) -> tuple[float, FloatArray]:
        size, first = np.exp(at[1]), scipy.special.expit(at[0])
        a, b = size * first, size * scipy.special.expit(-at[0])
        by_size = scipy.special.digamma(a + b) - scipy.special.digamma(m + a + b)
        by_a = share @ (scipy.special.digamma(s + a) - scipy.special.digamma(a) + by_size)
        by_b = share @ (scipy.special.digamma(m - s + b) - scipy.special.digamma(b) + by_size)
        value = share @ (scipy.special.betaln(s + a, m - s + b) - scipy.special.betaln(a, b))
        return -float(value), -np.array([(by_a - by_b) * a * scipy.special.expit(-at[0]), by_a * a + by_b * b])

    bounds: list[tuple[float, float]] = [(-30.0, 30.0), (np.log(_LEAST_SIZE), np.log(_MOST_SIZE))]
    start = np.array([scipy.special.logit(mean), 0.0])
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9}
    )
    size = float(np.exp(found.x[1]))
    return size * float(scipy.special.expit(found.x[0])), size * float(scipy.special.expit(-found.x[0]))


def _information(a: float, b: float, attempts: IntArray, successes: IntArray) -> FloatArray:
    """Minus the second derivatives of the beta-binomial log-likelihood."""

    def lost(parameter: float, counts: IntArray) -> float:
        return float((scipy.special.polygamma(1, parameter) - scipy.special.polygamma(1, counts + parameter)).sum())

    both = lost(a + b, attempts)
    return np.array([[lost(a, successes) - both, -both], [-both, lost(b, attempts - successes) - both]])
