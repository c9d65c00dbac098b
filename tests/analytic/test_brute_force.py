from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    Regime,
    Route,
    best_response,
    cascade_thresholds,
    misalignment,
    provider_cost,
    regime,
    solve,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Cost = Callable[[Game], Array]

PER_REGIME = 520

# The brute force knows patience to about 5e-8 only, so a user on the edge of mixing may look fully patient to it.
BELOW = 1e-7
# The search stops about 2e-8 away from a jump of the user's answer.
ABOVE = 1e-5


@pytest.fixture(scope="module", params=list(Regime), ids=lambda rule: rule.name.lower())
def games(request: pytest.FixtureRequest, random_games: Callable[..., Game]) -> Game:
    return random_games(request.param, PER_REGIME, seed=100 + request.param)


def random_commitments(game: Game, seed: int) -> Commitment:
    rng = np.random.default_rng(seed)
    n = game.shape[0]
    delay = game.value[:, None] * rng.uniform(0, 0.5, (n, 2)) * rng.integers(0, 2, (n, 1))
    return Commitment.cascade(rng.integers(0, 2, n), rng.random(n), delay)


def test_brute_force_payoffs_equal_the_markov_chain(games: Game, brute_force: Any) -> None:
    commitment, r = random_commitments(games, seed=3), np.random.default_rng(4).random((games.shape[0], 1))
    search = brute_force(games, commitment.delay)
    for start in (0, 1):
        utility, cost = search.payoffs(start, commitment.cascade_probability, r)
        same = Commitment.cascade(start, commitment.cascade_probability[..., 0], commitment.delay)
        np.testing.assert_allclose(cost[:, 0], provider_cost(games, same, r[:, 0]), rtol=1e-10)
        np.testing.assert_allclose(utility[:, 0], user_utility(games, same, r[:, 0]), rtol=1e-9, atol=1e-9)


def test_patience_is_as_good_as_the_best_of_a_fine_grid(games: Game, brute_force: Any) -> None:
    for seed in range(4):
        commitment = random_commitments(games, seed)
        search, s = brute_force(games, commitment.delay), commitment.cascade_probability
        r = best_response(games, commitment)[:, None]
        from_first = (commitment.first_model == 0)[:, None]
        best = np.where(from_first, search.answer(0, s)[1], search.answer(1, s)[1])
        ours = np.where(from_first, search.payoffs(0, s, r)[0], search.payoffs(1, s, r)[0])
        loss = (best - ours)[:, 0] / np.maximum(np.abs(best[:, 0]), games.value)
        assert loss.max() < 1e-9
        assert loss.min() > -1e-6, "the brute force itself must find the maximum"


def assert_near(cost: Array, game: Game, **options: bool) -> None:
    ratio = cost / solve(game, **options).provider_cost
    assert ratio.min() > 1 - BELOW
    assert ratio.max() < 1 + ABOVE


def test_least_cost(games: Game, least_cost: Cost, least_throttled_cost: Cost) -> None:
    assert_near(least_cost(games), games)
    assert_near(least_throttled_cost(games), games, throttling=True)


def test_sample_represents_what_matters(random_games: Callable[..., Game]) -> None:
    cascades, throttled = {}, {}
    for rule in Regime:
        game = random_games(rule, PER_REGIME, seed=100 + rule)
        assert (regime(game) == rule).all()
        free, slow = solve(game), solve(game, throttling=True)
        cascades[rule] = np.sum(free.route == Route.CASCADE)
        throttled[rule] = np.sum(slow.provider_cost < free.provider_cost * (1 - 1e-6))
    assert cascades[Regime.ONLY_REASONING_WORTH] > 100
    assert cascades[Regime.ONLY_STANDARD_WORTH] > 30
    assert throttled[Regime.BOTH_WORTH] > 100
    assert throttled[Regime.ONLY_REASONING_WORTH] > 10


def test_user_would_gain_what_misalignment_says(games: Game, brute_force: Any) -> None:
    search = brute_force(games, np.zeros((*games.shape, 2)))
    from_reasoning = search.answer(1, np.zeros((games.shape[0], 1)))[1][:, 0]
    best = np.maximum(from_reasoning, search.commitments(rounds=1)[2].max(axis=-1))
    gap = best - solve(games).user_utility
    np.testing.assert_array_less(np.abs(misalignment(games).gap - gap) / games.value, 1e-6)


def test_no_interior_mix_of_the_user_is_cheaper(random_games: Callable[..., Game]) -> None:
    # Confirmed by search, not proved: where the user mixes (sL < s < sH) the provider never gains.
    game = random_games(Regime.ONLY_STANDARD_WORTH, 5000, seed=7)
    xi1, xi2 = game.net_value[:, 0], game.net_value[:, 1]
    low, high = cascade_thresholds(game).low, xi1 / (xi1 - xi2)
    assert (low < high).all()
    near = np.geomspace(1e-9, 0.5, 60)[:, None]
    inside = np.concatenate([near, np.linspace(0, 1, 101)[1:-1, None], 1 - near])
    commitment = Commitment.cascade(0, low + (high - low) * inside)
    r = best_response(game, commitment)
    assert np.mean((r > 0) & (r < 1)) > 0.99
    assert (provider_cost(game, commitment, r) >= solve(game).provider_cost * (1 - 1e-12)).all()


@pytest.mark.parametrize("rule", list(Regime))
def test_games_that_violate_the_orders(
    random_games: Callable[..., Game], least_cost: Cost, least_throttled_cost: Cost, rule: Regime
) -> None:
    game = random_games(rule, 500, seed=200 + rule, strict=False)
    # Where the second model is both worse and cheaper an interior mix can be optimal: the counterexample below.
    game = game[(game.success[:, 0] < game.success[:, 1]) | (game.cost[:, 0] < game.cost[:, 1])]
    assert game.shape[0] > 200
    assert_near(least_cost(game), game)
    assert_near(least_throttled_cost(game[:100]), game[:100], throttling=True)


def test_a_worse_and_cheaper_reasoning_model_is_not_solved(least_cost: Cost) -> None:
    game = Game([[0.22415, 0.04187]], [[0.9773, 0.0715]], [[0.1017, 0.06227]], [0.862], [4.373])
    with pytest.raises(InvalidGameError, match="not both worse and cheaper"):
        solve(game)
    # The reason: an interior mix is cheaper than every candidate, among them the first model alone at kappa1.
    candidates = [
        Commitment.static(0),
        Commitment.static(1),
        Commitment.cascade(0, 1.0),
        Commitment.cascade(0, cascade_thresholds(game).low),
    ]
    best = min(float(provider_cost(game, c, best_response(game, c))[0]) for c in candidates)
    assert least_cost(game)[0] < best * (1 - 1e-3)
