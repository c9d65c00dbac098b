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
    bootstrap,
    estimate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

SCORES = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.floats(0, 1))


def test_a_published_interquartile_mean() -> None:
    # The example of Wikipedia's article on the interquartile mean: of twelve numbers the middle six count.
    assert interquartile_mean([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6]) == 6.5


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


def test_the_bootstrap_is_scipys_where_there_is_one_task() -> None:
    scores = np.random.default_rng(3).gamma(2.0, size=(12, 1))
    mine = estimate([scores], lambda drawn: interquartile_mean(drawn[0]), resamples=6_000, seed=1)
    theirs = stats.bootstrap(
        (scores[:, 0],),
        lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis),
        n_resamples=6_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    # The standard error of a 2.5 % quantile of 6,000 draws is about .05 of the distribution's standard deviation.
    spread = (theirs.high - theirs.low) / 4
    assert mine.low == pytest.approx(theirs.low, abs=0.25 * spread)
    assert mine.high == pytest.approx(theirs.high, abs=0.25 * spread)


def test_the_bootstrap_draws_within_each_task() -> None:
    constant = np.tile([0.0, 1.0, 5.0], (4, 1))
    assert (bootstrap([constant], lambda drawn: drawn[0], resamples=20) == constant).all()
    mixed = np.array([[0.0, 10.0], [1.0, 11.0]])
    drawn = bootstrap([mixed], lambda sample: sample[0], resamples=200)
    assert set(drawn[:, :, 0].ravel()) == {0.0, 1.0}
    assert set(drawn[:, :, 1].ravel()) == {10.0, 11.0}
    # Runs of different tasks are drawn independently of each other.
    assert {(one, other) for one, other in drawn[:, 0]} == {(0.0, 10.0), (0.0, 11.0), (1.0, 10.0), (1.0, 11.0)}


def test_runs_can_be_drawn_with_all_their_tasks() -> None:
    mixed = np.array([[0.0, 10.0], [1.0, 11.0]])
    drawn = bootstrap([mixed], lambda sample: sample[0], resamples=200, together=True)
    assert {(one, other) for one, other in drawn[:, 0]} == {(0.0, 10.0), (1.0, 11.0)}


def test_an_interval_covers_the_truth() -> None:
    # Of 200 intervals for a normal mean with 20 runs about 93 % cover it; fewer than 170 has a chance below 1e-4.
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        sample = generator.standard_normal((20, 1))
        found = estimate([sample], lambda drawn: float(drawn[0].mean()), resamples=300)
        covered += found.low <= 0 <= found.high
    assert 170 <= covered < 200


def test_the_same_seed_draws_the_same() -> None:
    scores = np.random.default_rng(0).random((5, 2))
    draws = [bootstrap([scores], lambda drawn: drawn[0].mean(), resamples=50, seed=seed) for seed in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


@given(SCORES)
def test_a_profile_falls_from_all_to_none(scores: np.ndarray) -> None:
    profile = performance_profile(scores, [-1.0, *np.linspace(0, 1, 11), 2.0])
    assert (profile[0], profile[-1]) == (1.0, 0.0)
    assert (np.diff(profile) <= 0).all()
    # The area under a tail distribution is the mean.
    fine = np.linspace(0, 1, 2_001)
    assert np.trapezoid(performance_profile(scores, fine), fine) == pytest.approx(scores.mean(), abs=1e-3)
