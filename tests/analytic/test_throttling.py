"""Where throttling pays, and by how much (Mahmood 2026, Proposition 2, and its complete solution beyond the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute.analytic import Commitment, Game, Regime, best_response, provider_cost, solve, user_utility

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def facts(game: Game) -> dict[str, Any]:
    p, c, penalty = game.success, game.cost, game.churn_penalty
    xi = game.value[:, None] * p - game.latency
    return {
        "xi1": xi[:, 0],
        "xi2": xi[:, 1],
        "kappa": c / p,
        "abandoned": c + penalty[:, None] * (1 - p),
        "penalty": penalty,
        "p_star": (c[:, 1] - c[:, 0]) / (p[:, 1] - p[:, 0]),
    }


@pytest.fixture(scope="module")
def games(random_games: Callable[..., Game]) -> Game:
    parts = [random_games(rule, 3000, seed=31 + rule) for rule in Regime]
    return Game.concatenate(parts)


def test_throttling_pays_in_exactly_two_cases(games: Game) -> None:
    f = facts(games)
    free, slow = solve(games), solve(games, throttling=True)
    kappa, abandoned, penalty = f["kappa"], f["abandoned"], f["penalty"]
    first = (f["xi1"] > 0) & (f["xi2"] > 0) & (penalty < kappa.min(axis=1))
    second = (f["xi1"] < 0) & (f["xi2"] > 0) & (kappa[:, 1] < kappa[:, 0])
    second &= (f["p_star"] < penalty) & (penalty < kappa[:, 1])
    assert first.sum() > 300
    assert second.sum() > 50
    np.testing.assert_array_equal(slow.provider_cost < free.provider_cost, first | second)
    np.testing.assert_allclose(slow.provider_cost[first], abandoned.min(axis=1)[first], rtol=1e-12)
    np.testing.assert_allclose(slow.provider_cost[second], abandoned[second, 1], rtol=1e-12)
    neither = ~(first | second)
    np.testing.assert_array_equal(slow.provider_cost[neither], free.provider_cost[neither])


def test_where_throttling_pays_the_user_leaves_after_one_pass(games: Game) -> None:
    free, slow = solve(games), solve(games, throttling=True)
    pays = slow.provider_cost < free.provider_cost
    assert not slow.patience[pays].any()
    assert slow.commitment.delay[pays].any(axis=1).all()


def test_threat_of_a_slow_reasoning_model_leaves_the_first_pass_fast(games: Game) -> None:
    f = facts(games)
    slow = solve(games, throttling=True)
    both = (f["xi1"] > 0) & (f["xi2"] > 0) & (f["penalty"] < f["kappa"].min(axis=1))
    standard = both & (f["penalty"] < f["p_star"])
    assert standard.sum() > 200
    assert (slow.commitment.first_model[standard] == 0).all()
    assert (slow.commitment.cascade_probability[standard] > 0).all()
    assert not slow.commitment.delay[standard, 0].any()
    np.testing.assert_allclose(slow.user_utility[standard], f["xi1"][standard], rtol=1e-12)
    reasoning = both & (f["penalty"] > f["p_star"])
    assert (slow.commitment.first_model[reasoning] == 1).all()
    assert (slow.user_utility[reasoning] <= 1e-12 * games.value[reasoning]).all()


def test_without_a_gain_nothing_is_delayed(games: Game) -> None:
    free, slow = solve(games), solve(games, throttling=True)
    same = slow.provider_cost == free.provider_cost
    strictly_better_for_user = slow.user_utility > free.user_utility * (1 + 1e-12) + 1e-12
    assert not slow.commitment.delay[same & ~strictly_better_for_user].any()


def test_the_worst_throttled_equilibrium_for_the_user_is_not_worth_it(games: Game) -> None:
    f = facts(games)
    slow = solve(games, throttling=True)
    standard = (f["xi1"] > 0) & (f["xi2"] > 0) & (f["penalty"] < f["kappa"].min(axis=1)) & (f["penalty"] < f["p_star"])
    assert (slow.user_utility_worst <= 1e-12 * games.value)[standard].all()


def test_slowing_everything_is_the_paper_s_proposition(games: Game) -> None:
    xi = games.net_value
    both = (xi > 0).all(axis=1)
    game = games[both]
    delay = game.net_value * 1.01
    for model in (0, 1):
        commitment = Commitment.cascade(np.full(game.shape, model), np.zeros(game.shape), delay)
        r = best_response(game, commitment)
        assert not r.any()
        p, c = game.success[:, model], game.cost[:, model]
        np.testing.assert_allclose(provider_cost(game, commitment, r), c + game.churn_penalty * (1 - p), rtol=1e-12)
        expected = game.value * p - game.latency[:, model] - delay[:, model]
        np.testing.assert_allclose(user_utility(game, commitment, r), expected, rtol=1e-9)
        assert (expected < 0).all()
