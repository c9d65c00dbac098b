"""The statistics against published examples, scipy, and distributions whose answer is known.

The tests that draw use fixed seeds; their tolerances are at least 4 standard errors of what they compare.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from stackroute.training.benchmark.statistics import (
    Estimate,
    estimate,
    interquartile_mean,
    probability_of_improvement,
    share_within,
)

SCORES = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.floats(0, 1))


def mean(scores: np.ndarray) -> np.ndarray:
    """Of the last two axes."""
    return np.asarray(scores.mean(axis=(-2, -1)))


def test_a_published_interquartile_mean() -> None:
    # The example of Wikipedia's article on the interquartile mean: of twelve numbers the middle six count.
    assert interquartile_mean([[5, 8, 4, 38], [8, 6, 9, 7], [7, 3, 1, 6]]) == 6.5


def test_a_published_probability() -> None:
    # Aesop's race in Wikipedia's article on the Mann-Whitney test, THHHHHTTTTTH: the tortoises' U is 11 of 36.
    places = np.arange(12.0)
    tortoise = np.array([one == "T" for one in "THHHHHTTTTTH"])
    better = probability_of_improvement(-places[tortoise][:, None], -places[~tortoise][:, None])
    assert better == pytest.approx(11 / 36)


@given(SCORES, st.integers(0, 100))
def test_the_probability_is_that_of_mann_and_whitney(scores: np.ndarray, seed: int) -> None:
    others = np.random.default_rng(seed).random((3, scores.shape[1])).round(1)
    scores = scores.round(1)
    expected = [
        stats.mannwhitneyu(scores[:, k], others[:, k], method="exact").statistic / (3 * len(scores))
        for k in range(scores.shape[1])
    ]
    found = probability_of_improvement(scores, others)
    assert found == pytest.approx(np.mean(expected))
    assert found + probability_of_improvement(others, scores) == pytest.approx(1)


def test_an_interval_is_that_of_all_samples() -> None:
    # Of the means of samples of 0, 1 and 5 with replacement there are 27, equally likely; 1 of 27 is above 2.5 %.
    found = estimate(mean, np.array([[0.0], [1.0], [5.0]]), resamples=6_000)
    assert (found.low, found.high) == (0, 5)
    # With ten runs of a fair coin the quantiles of Binomial(10, 1/2) are 2 and 8.
    coin = np.repeat([0.0, 1.0], 5)[:, None]
    found = estimate(mean, coin, resamples=6_000)
    assert (found.low, found.high) == pytest.approx((0.2, 0.8))


def test_runs_are_resampled_within_each_task_and_together_if_asked() -> None:
    constant = np.tile([0.0, 1.0, 5.0], (4, 1))
    assert estimate(mean, constant) == Estimate(2.0, 2.0, 2.0)
    # The sum of two runs that mirror each other is fixed only where both are resampled at once.
    mirrored = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    assert estimate(mean, mirrored, together=True) == Estimate(0.5, 0.5, 0.5)
    found = estimate(mean, mirrored)
    assert found.low < found.value < found.high


def test_algorithms_are_resampled_independently() -> None:
    scores = np.array([[0.0], [1.0], [1.0]])

    def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return mean(one) - mean(other)

    for together in (False, True):
        found = estimate(difference, scores, scores, together=together)
        assert found.low < found.value == 0 < found.high


def test_a_statistic_may_have_several_values_and_few_runs_have_no_interval() -> None:
    scores = np.random.default_rng(5).random((6, 2))
    found = estimate(lambda drawn: share_within(drawn, [-0.1, 0.5, 1.0]), scores)
    assert found.low.shape == found.high.shape == (3,)
    assert (found.low[0], found.high[0], found.low[2], found.high[2]) == (0, 0, 1, 1)
    assert found.low[1] < found.value[1] < found.high[1]
    for runs in (1, 2):
        found = estimate(mean, scores[:runs])
        assert found.value == scores[:runs].mean()
        assert np.isnan([found.low, found.high]).all()


def test_an_interval_covers_the_truth() -> None:
    # Of 200 intervals for a normal mean with 20 runs about 93 % cover it; fewer than 170 has a chance below 1e-4.
    generator = np.random.default_rng(11)
    found = [estimate(mean, generator.standard_normal((20, 1)), resamples=300) for _ in range(200)]
    assert 170 <= sum(one.low <= 0 <= one.high for one in found) < 200


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = np.random.default_rng(0).random((5, 2))
    first, same, other = (estimate(mean, scores, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == same != other


@given(SCORES)
def test_a_profile_rises_from_none_to_all(scores: np.ndarray) -> None:
    profile = share_within(scores, [-1.0, *np.linspace(0, 1, 11), 2.0])
    assert (profile[0], profile[-1]) == (0.0, 1.0)
    assert (np.diff(profile) >= 0).all()
    # The area above a distribution function is the mean.
    fine = np.linspace(0, 1, 2_001)
    assert np.trapezoid(1 - share_within(scores, fine), fine) == pytest.approx(scores.mean(), abs=1e-3)
