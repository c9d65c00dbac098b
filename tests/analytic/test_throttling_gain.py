from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    Regime,
    best_response,
    provider_cost,
    regime,
    solve,
    throttling_gain,
    user_utility,
)
from stackroute.configs import load_game

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module", params=list(Regime), ids=lambda rule: rule.name.lower())
def games(request: pytest.FixtureRequest, random_games: Callable[..., Game]) -> Game:
    return random_games(request.param, 3000, seed=300 + request.param)


def test_it_pays_exactly_where_the_solver_gains(games: Game) -> None:
    gain = throttling_gain(games)
    free, slow = solve(games), solve(games, throttling=True)
    clear = np.abs(games.churn_penalty / np.nan_to_num(gain.churn_penalty_high, nan=np.inf) - 1) > 1e-9
    solved = free.provider_cost - slow.provider_cost
    np.testing.assert_array_equal(gain.pays[clear], (solved > 1e-11 * free.provider_cost)[clear])
    np.testing.assert_allclose(gain.provider_gain, solved, atol=1e-11 * free.provider_cost.max())
    np.testing.assert_allclose(gain.user_loss, free.user_utility - slow.user_utility)
    assert (gain.provider_gain >= 0).all()


def test_between_the_bounds_and_only_there(games: Game) -> None:
    gain = throttling_gain(games)
    possible = np.isfinite(gain.churn_penalty_high)
    assert possible.any() == (games.shape[0] > 0 and bool(np.isin(regime(games[:1]), (0, 2))))
    here = games[possible]
    low, high = np.maximum(gain.churn_penalty_low[possible], 0), gain.churn_penalty_high[possible]
    for share, expected in ((0.001, True), (0.5, True), (0.999, True), (1.001, False)):
        penalty = low + share * (high - low)
        moved = Game(here.success, here.cost, here.latency, here.value, penalty)
        assert (throttling_gain(moved).pays == expected).all()
        saved = solve(moved).provider_cost - solve(moved, throttling=True).provider_cost
        assert ((saved > 1e-12 * moved.cost[..., 1]) == expected).all()


def test_the_reported_delay_works_and_less_does_not(games: Game) -> None:
    gain = throttling_gain(games)
    here, least = games[gain.pays], gain.least[gain.pays]
    cost = provider_cost(here, least, best_response(here, least))
    np.testing.assert_allclose(cost, solve(here, throttling=True).provider_cost, rtol=1e-12)
    generator = np.random.default_rng(1)
    total = least.delay.sum(axis=-1, keepdims=True)
    for _ in range(300):
        share = generator.choice([0.0, 1.0, generator.random()], here.shape)
        delay = total * (1 - 1e-6) * np.stack([share, 1 - share], axis=-1)
        cascade = generator.choice([0.0, 1.0, generator.random()], here.shape)
        less = Commitment.cascade(generator.integers(0, 2, here.shape), cascade, delay)
        assert (provider_cost(here, less, best_response(here, less)) > cost * (1 + 1e-12)).all()
    assert (gain.least.delay[~gain.pays] == 0).all()


def test_the_threat_keeps_the_first_pass_fast(games: Game) -> None:
    gain, slow = throttling_gain(games), solve(games, throttling=True)
    threatened = gain.threat
    np.testing.assert_array_equal(threatened, gain.pays & (slow.commitment.first_model == 0))
    assert (slow.commitment.delay[threatened, 0] == 0).all()
    np.testing.assert_allclose(slow.user_utility[threatened], games.net_value[threatened, 0])


def test_the_worst_equilibrium_costs_the_provider_the_same(games: Game) -> None:
    slow = solve(games, throttling=True)
    assert (slow.user_utility_worst <= slow.user_utility + 1e-12 * games.value).all()
    # Any delays up to the value that leave the cost at its optimum leave the user no less than the worst.
    generator = np.random.default_rng(0)
    attained = np.full(games.shape, np.inf)
    xi = np.maximum(games.net_value, 0)
    for _ in range(300):
        share = generator.choice([0.0, 1.0, generator.random()], (*games.shape, 2))
        delay = np.where(generator.random((*games.shape, 1)) < 0.5, share * xi, share * games.value[:, None])
        model = generator.integers(0, 2, games.shape)
        optimal = slow.commitment.cascade_probability[..., 0]
        cascade = np.where(generator.random(games.shape) < 0.5, optimal, generator.choice([0.0, 1.0], games.shape))
        commitment = Commitment.cascade(model, cascade, delay)
        r = best_response(games, commitment)
        optima = provider_cost(games, commitment, r) <= slow.provider_cost * (1 + 1e-12)
        attained = np.where(optima, np.minimum(attained, user_utility(games, commitment, r)), attained)
    scale = games.value + games.latency.sum(axis=-1)
    assert (attained >= slow.user_utility_worst - 1e-9 * scale).all()
    np.testing.assert_allclose(
        np.minimum(attained, slow.user_utility) / scale, slow.user_utility_worst / scale, atol=1e-6
    )


def test_without_throttling_the_worst_is_the_worst_tie() -> None:
    # Equal cost-of-pass: the provider does not care which model it serves, the user does.
    game = Game([0.4, 0.8], [0.2, 0.4], [0.1, 0.4], value=2, churn_penalty=3)
    tied = solve(game)
    assert tied.user_utility == pytest.approx((2 * 0.4 - 0.1) / 0.4)
    assert tied.user_utility_worst == pytest.approx((2 * 0.8 - 0.4) / 0.8)


@pytest.mark.parametrize(("latency", "worst"), [([0.25, 1.0], 4 * 0.25 - 0.25 - 4), ([1.25, 1.5], 4 * 0.25 - 1.25 - 4)])
def test_at_equal_cost_of_pass_a_user_that_moves_on_can_be_kept_waiting(latency: list[float], worst: float) -> None:
    game = Game([0.25, 0.5], [0.25, 0.5], latency, value=4, churn_penalty=3)
    slow = solve(game, throttling=True)
    cruel = Commitment.cascade(0, 1.0, [4.0, game.net_value[1]])
    r = best_response(game, cruel)
    assert provider_cost(game, cruel, r) == pytest.approx(slow.provider_cost)
    assert user_utility(game, cruel, r) == pytest.approx(worst)
    assert slow.user_utility_worst == pytest.approx(worst)


def test_against_a_pessimistic_user_the_strong_cost_is_approached(games: Game) -> None:
    for throttling in (False, True):
        strong = solve(games, throttling=throttling)
        robust = solve(games, throttling=throttling, tie_breaking="pessimistic")
        sure = robust.commitment
        r = best_response(games, sure, "pessimistic")
        np.testing.assert_array_equal(r, robust.patience)
        np.testing.assert_allclose(provider_cost(games, sure, r), robust.provider_cost, rtol=1e-12)
        np.testing.assert_allclose(robust.provider_cost, strong.provider_cost, rtol=1e-6)


def test_a_free_standard_model_leaves_nothing_to_throttle_for() -> None:
    gain = throttling_gain(Game([0.5, 0.8], [0, 0.6], [0.1, 0.2], value=2, churn_penalty=0))
    assert not gain.pays
    assert np.isnan(gain.churn_penalty_high)


def test_within_rounding_of_its_bound_it_does_not_pay() -> None:
    gain = throttling_gain(Game([0.5, 0.8], [0.3, 0.6], [0.1, 0.2], value=2, churn_penalty=0.6 * (1 - 1e-13)))
    assert (bool(gain.pays), float(gain.provider_gain), gain.least.delay.tolist()) == (False, 0, [0, 0])


def test_a_user_can_gain_from_throttling() -> None:
    game = Game([0.5, 0.9], [0.3, 0.35], [0.01, 1.5], value=2, churn_penalty=0.1)
    gain = throttling_gain(game)
    assert gain.pays
    assert gain.user_loss < 0


def test_real_games() -> None:
    for name, pays in (("gpt-4.1-o3-dev-low-p", True), ("gpt-4.1-o3-dev", False)):
        gain = throttling_gain(load_game(name).game)
        assert bool(gain.pays) is pays
        assert float(gain.churn_penalty_high) == pytest.approx(0.038413 / 0.4089)
