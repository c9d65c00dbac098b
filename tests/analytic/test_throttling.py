"""Where throttling pays, and by how much (Mahmood 2026, Proposition 2, and its complete solution beyond the paper)."""

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


def test_it_pays_in_exactly_two_cases(games: Game) -> None:
    p, c, penalty = games.success, games.cost, games.churn_penalty
    (xi1, xi2), kappa = (games.value[:, None] * p - games.latency).T, c / p
    abandoned = c + penalty[:, None] * (1 - p)
    p_star = (c[:, 1] - c[:, 0]) / (p[:, 1] - p[:, 0])
    both = (xi1 > 0) & (xi2 > 0) & (penalty < kappa.min(axis=1))
    one = (xi1 < 0) & (xi2 > 0) & (kappa[:, 1] < kappa[:, 0]) & (p_star < penalty) & (penalty < kappa[:, 1])
    pays = both | one
    rule = regime(games[0])
    assert pays.sum() > {Regime.BOTH_WORTH: 300, Regime.ONLY_REASONING_WORTH: 50}.get(rule, -1)

    free, slow, gain = solve(games), solve(games, throttling=True), throttling_gain(games)
    np.testing.assert_array_equal(slow.provider_cost < free.provider_cost, pays)
    np.testing.assert_array_equal(gain.pays, pays)
    np.testing.assert_allclose(slow.provider_cost[both], abandoned.min(axis=1)[both], rtol=1e-12)
    np.testing.assert_allclose(slow.provider_cost[one], abandoned[one, 1], rtol=1e-12)
    np.testing.assert_array_equal(slow.provider_cost[~pays], free.provider_cost[~pays])
    saved = free.provider_cost - slow.provider_cost
    np.testing.assert_allclose(gain.provider_gain, saved, atol=1e-11 * free.provider_cost.max())
    np.testing.assert_allclose(gain.user_loss, free.user_utility - slow.user_utility)
    assert (gain.provider_gain >= 0).all()
    cruel = np.where(pays, free.user_utility - slow.user_utility_worst, gain.user_loss)
    np.testing.assert_array_equal(gain.user_loss_worst, cruel)

    # The user leaves after one pass; without a gain nothing is delayed, unless the user is better off.
    assert not slow.patience[pays].any()
    assert slow.commitment.delay[pays].any(axis=1).all()
    better_for_user = slow.user_utility > free.user_utility * (1 + 1e-12) + 1e-12
    assert not slow.commitment.delay[~pays & ~better_for_user].any()

    # The threat of a slow second model leaves the first pass fast; served by the second, the user is left nothing.
    threat = both & (penalty < p_star)
    np.testing.assert_array_equal(gain.threat, threat)
    np.testing.assert_array_equal(slow.commitment.first_model[pays] == 0, threat[pays])
    assert threat.sum() > (200 if rule == Regime.BOTH_WORTH else -1)
    assert (slow.commitment.cascade_probability[threat] > 0).all()
    assert not slow.commitment.delay[threat, 0].any()
    np.testing.assert_allclose(slow.user_utility[threat], xi1[threat], rtol=1e-12)
    assert (slow.user_utility[both & ~threat] <= 1e-12 * games.value[both & ~threat]).all()


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


def test_slowing_everything_is_the_paper_s_proposition(random_games: Callable[..., Game]) -> None:
    game = random_games(Regime.BOTH_WORTH, 3000, seed=31)
    delay = game.net_value * 1.01
    for model in (0, 1):
        commitment = Commitment.static(model, delay)
        r = best_response(game, commitment)
        assert not r.any()
        p, c = game.success[:, model], game.cost[:, model]
        np.testing.assert_allclose(provider_cost(game, commitment, r), c + game.churn_penalty * (1 - p), rtol=1e-12)
        expected = game.value * p - game.latency[:, model] - delay[:, model]
        np.testing.assert_allclose(user_utility(game, commitment, r), expected, rtol=1e-9)
        assert (expected < 0).all()
