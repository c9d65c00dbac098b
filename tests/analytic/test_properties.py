from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute.analytic import (
    Commitment,
    Game,
    best_response,
    cascade_thresholds,
    misalignment,
    provider_cost,
    solve,
    throttling_gain,
    user_utility,
)

steady = settings(derandomize=True, deadline=None, max_examples=150)

unit = st.floats(0, 1)
probabilities = st.floats(1e-3, 1 - 1e-3)
# Without subnormal numbers, whose rounding is coarse.
amounts = st.one_of(st.just(0.0), st.floats(1e-6, 100))


@st.composite
def games(draw: Any, strict: bool = True) -> Game:
    """Games whose users are often nearly indifferent: latency is drawn relative to the value of a pass."""
    p = np.array(draw(st.lists(probabilities, min_size=2, max_size=2)))
    c = np.array(draw(st.lists(amounts, min_size=2, max_size=2)))
    value, penalty = draw(st.floats(1e-2, 100)), draw(amounts)
    worth = st.one_of(st.floats(1e-6, 2), st.floats(0.9, 1.1), st.sampled_from([0.0, 1.0]))
    latency = value * p * np.array(draw(st.lists(worth, min_size=2, max_size=2)))
    if strict:
        p[1], c[1] = max(p[0] * (1 + 1e-3), p[1]), max(c[0] + 1e-3, c[1])
        p[1] = min(p[1], 1 - 1e-6)
        latency[1] = max(latency[0] * (1 + 1e-3) + 1e-6, latency[1])
    return Game(p, c, latency, value, penalty, strict=strict)


@st.composite
def commitments(draw: Any, delays: bool = False) -> Commitment:
    s = draw(st.one_of(unit, st.sampled_from([0.0, 1.0])))
    delay = draw(st.lists(amounts, min_size=2, max_size=2)) if delays else [0.0, 0.0]
    return Commitment.cascade(draw(st.sampled_from([0, 1])), s, delay)


def utility_scale(game: Game, commitment: Commitment) -> float:
    """The size of the terms that add up to U: rounding is relative to it."""
    return float((game.value + (game.latency + commitment.delay).max()) / game.success.min())


@steady
@given(game=games(strict=False), commitment=commitments(delays=True), patience=unit)
def test_no_patience_is_better_than_the_best_response(game: Game, commitment: Commitment, patience: float) -> None:
    for tie_breaking in ("strong", "pessimistic"):
        best = user_utility(game, commitment, best_response(game, commitment, tie_breaking))
        other = user_utility(game, commitment, patience)
        assert other <= best + 1e-12 * utility_scale(game, commitment)


@steady
@given(game=games(), plain=commitments(), delayed=commitments(delays=True))
def test_no_commitment_is_cheaper_than_the_optimum(game: Game, plain: Commitment, delayed: Commitment) -> None:
    optima = [solve(game, throttling=throttling).provider_cost for throttling in (False, True)]
    assert optima[1] <= optima[0] * (1 + 1e-12)
    for commitment, optimum in zip((plain, delayed), optima, strict=True):
        assert optimum <= provider_cost(game, commitment, best_response(game, commitment)) * (1 + 1e-9)


@steady
@given(game=games(), throttling=st.booleans())
def test_equilibrium_is_consistent(game: Game, throttling: bool) -> None:
    found = solve(game, throttling=throttling)
    r = best_response(game, found.commitment)
    assert found.patience == r
    assert found.provider_cost == pytest.approx(float(provider_cost(game, found.commitment, r)), rel=1e-14)
    error = found.user_utility - user_utility(game, found.commitment, r)
    assert abs(error) <= 1e-14 * utility_scale(game, found.commitment)
    if not throttling:
        assert not found.commitment.delay.any()


@steady
@given(game=games(), throttling=st.booleans())
def test_user_does_best_among_optima(game: Game, throttling: bool) -> None:
    found = solve(game, throttling=throttling)
    s = np.nan_to_num(cascade_thresholds(game).low)
    delay = (
        np.maximum(game.net_value, 0) * throttling * np.array([[0, 0], [0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [1, 0]])
    )
    tried = Commitment.cascade([0, 1, 0, 0, 1, 0, 0], [0, 0, 1, s, 0, 1, 0], delay)
    r = best_response(game, tried)
    optima = user_utility(game, tried, r)[provider_cost(game, tried, r) <= found.provider_cost * (1 + 1e-13)]
    assert optima.size
    assert found.user_utility >= optima.max() - 1e-11 * (game.value + game.latency.sum())


@steady
@given(game=games(), commitment=commitments(), throttling=st.booleans())
def test_user_would_not_gain_more_than_the_misalignment_gap(
    game: Game, commitment: Commitment, throttling: bool
) -> None:
    utility = user_utility(game, commitment, best_response(game, commitment))
    gap = misalignment(game, throttling=throttling).gap
    assert gap >= 0
    assert utility <= solve(game, throttling=throttling).user_utility + gap + 1e-12 * utility_scale(game, commitment)


def scaled(game: Game, money: float = 1, utility: float = 1) -> Game:
    return Game(
        game.success, game.cost * money, game.latency * utility, game.value * utility, game.churn_penalty * money
    )


@steady
@given(game=games(), powers=st.tuples(*[st.integers(-20, 20)] * 2), throttling=st.booleans())
def test_units_do_not_matter(game: Game, powers: tuple[int, int], throttling: bool) -> None:
    # Powers of two are exact, so even the choice among ties must be the same.
    money, utility = 2.0 ** powers[0], 2.0 ** powers[1]
    other_game = scaled(game, money, utility)
    one, other = (solve(units, throttling=throttling) for units in (game, other_game))
    assert other.provider_cost == money * one.provider_cost
    assert other.user_utility == utility * one.user_utility
    np.testing.assert_array_equal(other.commitment.start, one.commitment.start)
    np.testing.assert_array_equal(other.commitment.transition, one.commitment.transition)
    np.testing.assert_array_equal(other.commitment.delay, utility * one.commitment.delay)
    assert misalignment(other_game).gap == utility * misalignment(game).gap
    assert misalignment(other_game).preferred_model == misalignment(game).preferred_model
    if throttling:
        before, after = throttling_gain(game), throttling_gain(other_game)
        assert after.pays == before.pays
        for name in ("provider_gain", "churn_penalty_low", "churn_penalty_high"):
            np.testing.assert_array_equal(getattr(after, name), money * getattr(before, name))
        for name in ("user_loss", "user_loss_worst"):
            np.testing.assert_array_equal(getattr(after, name), utility * getattr(before, name))
        np.testing.assert_array_equal(after.least.delay, utility * before.least.delay)


@steady
@given(game=games(), money=st.floats(1e-6, 1e6))
def test_least_cost_is_proportional_to_money(game: Game, money: float) -> None:
    cost = solve(scaled(game, money=money)).provider_cost
    np.testing.assert_allclose(cost, money * solve(game).provider_cost, rtol=1e-11)
