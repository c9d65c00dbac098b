from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    NashEquilibria,
    Regime,
    cascade_thresholds,
    nash_equilibria,
    provider_cost,
    random_games,
    solve,
)
from stackroute.configs import load_game

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Payoffs = Callable[..., tuple[Array, Array]]

STATIC_1, STATIC_2, MIX = range(3)
GRID = np.linspace(0, 1, 11)
PATIENCES = np.concatenate([np.linspace(0, 1, 301), 1 - np.geomspace(1e-6, 3e-3, 30)])
INDIFFERENT_TO_ALL = Game([0.25, 0.5], [0.5, 1], [0.25, 1], value=2, churn_penalty=2)


@pytest.fixture(
    scope="module", params=[*Regime, None], ids=lambda rule: "degenerate" if rule is None else rule.name.lower()
)
def games(request: pytest.FixtureRequest, random_games: Callable[..., Game], degenerate_games: Game) -> Game:
    return degenerate_games if request.param is None else random_games(request.param, 300, seed=600 + request.param)


@pytest.fixture(scope="module")
def payoffs(brute_force: Any) -> Payoffs:
    """U and J of the Markov chain; the probability to start on the first model, s and r have shape (games, tries)."""

    def payoffs(game: Game, start: Array | float, s: Array | float, r: Array) -> tuple[Array, Array]:
        search = brute_force(game, np.zeros_like(game.latency))
        first, second = (np.array(search.payoffs(model, np.atleast_2d(s), r)) for model in (0, 1))
        utility, cost = start * first + (1 - start) * second
        return utility, cost

    return payoffs


def existing(game: Game, which: int) -> tuple[Game, Array, Array, Array, Array, Array]:
    """The games that have this equilibrium, and its patience, cost, utility, start and cascade, of shape (games, 1)."""
    found = nash_equilibria(game)
    here = found.exists[which]
    start, cascade = found.routing.start[..., 0], found.routing.cascade_probability[..., 0]
    numbers = (found.patience, found.provider_cost, found.user_utility, start, cascade)
    return game[here], *(array[which][here][:, None] for array in numbers)


@pytest.mark.parametrize("which", range(3))
def test_payoffs_are_those_of_the_strategies(games: Game, payoffs: Payoffs, which: int) -> None:
    game, r, cost, utility, start, s = existing(games, which)
    expected_utility, expected_cost = payoffs(game, start, s, r)
    np.testing.assert_allclose(cost, expected_cost, rtol=1e-10)
    np.testing.assert_allclose(utility, expected_utility, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("which", range(3))
def test_provider_gains_by_no_routing(games: Game, payoffs: Payoffs, which: int) -> None:
    game, r, cost, *_ = existing(games, which)
    for start in (0.0, 0.3, 1.0):
        others = payoffs(game, start, GRID, r)[1]
        assert (others >= cost * (1 - 1e-10)).all()
        if which == MIX:
            np.testing.assert_allclose(others, np.broadcast_to(cost, others.shape), rtol=1e-9)


@pytest.mark.parametrize("which", range(3))
def test_provider_gains_by_no_rule_that_knows_the_history(games: Game, which: int) -> None:
    game, r, cost, *_ = existing(games, which)
    # Any model for any pass, back to the first model as well: what a task still costs, with one more pass at a time.
    still = np.zeros((game.shape[0], 1))
    for _ in range(800):
        on_failure = (1 - r) * game.churn_penalty[:, None] + r * still
        still = (game.cost + (1 - game.success) * on_failure).min(axis=-1, keepdims=True)
    np.testing.assert_allclose(cost, still, rtol=1e-9)


@pytest.mark.parametrize("which", range(3))
def test_user_gains_by_no_patience(games: Game, payoffs: Payoffs, which: int) -> None:
    game, _, _, utility, start, s = existing(games, which)
    others = payoffs(game, start, s, PATIENCES[None])[0]
    scale = np.abs(others).max(axis=-1, keepdims=True, initial=0) + game.value[:, None]
    assert (others <= utility + 1e-11 * scale).all()


@pytest.mark.parametrize("which", [STATIC_1, STATIC_2])
def test_a_static_outcome_that_does_not_exist_is_left(games: Game, payoffs: Payoffs, which: int) -> None:
    game = games[~nash_equilibria(games).exists[which]]
    (utility, ours), (_, theirs) = (payoffs(game, start, 0.0, PATIENCES[None]) for start in (1 - which, which))
    best = utility >= utility.max(axis=-1, keepdims=True, initial=-np.inf) - 1e-12
    assert (ours > theirs)[best].all()


def test_no_routing_makes_an_indifferent_providers_patience_the_users_where_no_mix_exists(
    games: Game, payoffs: Payoffs
) -> None:
    game = games[~nash_equilibria(games).exists[MIX]]
    inside = np.linspace(0.01, 0.99, 99)[None]
    first, second = (payoffs(game, start, 0.0, inside)[1] for start in (1, 0))
    crosses = ((first < second * (1 - 1e-9)).any(axis=-1)) & ((first > second * (1 + 1e-9)).any(axis=-1))
    game = game[crosses]
    for start, s in product((0.0, 0.1, 0.5, 0.9, 1.0), GRID):
        utility = payoffs(game, start, s, np.r_[0, inside[0], 1][None])[0]
        assert (np.maximum(utility[:, 0], utility[:, -1]) > utility[:, 1:-1].max(axis=-1, initial=-np.inf)).all()


def test_at_least_one_exists_and_the_mix_comes_alone_or_between_both_static_ones(games: Game) -> None:
    found = nash_equilibria(games)
    assert found.exists.any(axis=0).all()
    strict = (games.net_value != 0).all(axis=-1)
    np.testing.assert_array_equal((found.exists.sum(axis=0) == 2)[strict & found.exists[MIX]], False)
    assert (found.best >= solve(games).provider_cost * (1 - 1e-12)).all(), "commitment never hurts the provider"


def test_how_often_commitment_pays_and_the_static_outcomes_enclose_the_mix() -> None:
    # Beyond the paper: shares of games, to the digits that a sample of this size holds.
    game = random_games(200_000, seed=3)
    found, committed = nash_equilibria(game), solve(game).provider_cost
    assert found.exists.any(axis=0).all()
    assert np.mean(~found.exists[:2].any(axis=0)) == pytest.approx(0.026, abs=0.001)
    assert np.mean(found.best > 1.01 * committed) == pytest.approx(0.062, abs=0.002)
    worst = np.where(found.exists, found.provider_cost, -np.inf).max(axis=0)
    assert np.mean(worst > 1.01 * committed) == pytest.approx(0.092, abs=0.002)
    all_three = found.exists.all(axis=0)
    assert all_three.mean() > 0.01
    low, high = (function(found.provider_cost[:2], axis=0)[all_three] for function in (np.min, np.max))
    mix = found.provider_cost[MIX][all_three]
    assert ((low < mix) & (mix < high)).all()


def test_mix_is_between_the_thresholds() -> None:
    game = random_games(100_000, seed=4)
    found, thresholds = nash_equilibria(game), cascade_thresholds(game)
    xi = game.net_value
    cascades = found.exists[MIX] & (xi[:, 0] > 0)
    s = found.routing.cascade_probability[MIX, ..., 0][cascades]
    assert cascades.sum() > 500
    assert ((thresholds.low[cascades] < s) & (s < thresholds.high[cascades])).all()
    assert (found.routing.start[MIX, ..., 0][cascades] == 1).all()
    starts = found.exists[MIX] & (xi[:, 1] > 0)
    rho = found.routing.start[MIX, ..., 0][starts]
    assert starts.sum() > 500
    assert ((rho > 0) & (rho < 1) & (found.routing.cascade_probability[MIX, ..., 0][starts] == 0)).all()


@pytest.mark.parametrize(
    ("name", "exists", "patience", "cost", "start", "cascade"),
    [
        ("g1", [1, 0, 0], 1, 0.4, 1, 0),
        ("g2", [0, 1, 0], 1, 5 / 9, 0, 0),
        ("g3", [0, 1, 0], 0, 1.2, 0, 0),
        ("g4", [0, 0, 1], 0.5266 / 0.8203, 0.83667, 0.28417, 0),
        ("g4b", [0, 0, 1], 5 / 7, 19 / 15, 2.916 / 10.116, 0),
        ("g5", [0, 1, 0], 0, 0.11 + 4.83 * 0.3, 0, 0),
        ("g6", [1, 0, 0], 1, 2, 1, 0),
        ("g7", [1, 0, 0], 1, 0.6, 1, 0),
    ],
)
def test_canonical_game(
    name: str, exists: list[int], patience: float, cost: float, start: float, cascade: float
) -> None:
    found = nash_equilibria(load_game(name).game)
    assert found.exists.tolist() == [bool(flag) for flag in exists]
    assert found.best == pytest.approx(cost, abs=5e-6)
    assert found.best_patience == pytest.approx(patience, abs=5e-6)
    which = exists.index(1)
    assert found.routing.start[which, 0] == pytest.approx(start, abs=5e-6)
    assert found.routing.cascade_probability[which, 0] == pytest.approx(cascade, abs=5e-6)
    others = [k for k in range(3) if k != which]
    for array in (found.patience, found.provider_cost, found.user_utility):
        assert np.isnan(array[others]).all()


def test_three_equilibria_by_hand() -> None:
    # xi = (1/2, -1/2): users that leave are served by the second model, patient ones by the first.
    game = Game([0.25, 0.5], [0.125, 0.375], [0.25, 2], value=3, churn_penalty=2.5)
    found = nash_equilibria(game)
    # eta = (-1/2, -7/8): 1/2 (1 - r/2) = 7/8 (1 - 3r/4) at r = 12/13, and J = 5/2 - (1/2) / (1 - 9/13) = 7/8.
    assert found.exists.tolist() == [True, True, True]
    np.testing.assert_allclose(found.patience, [1, 0, 12 / 13])
    np.testing.assert_allclose(found.provider_cost, [0.5, 1.625, 0.875])
    assert (found.best, found.best_patience) == (0.5, 1)


def test_indifferent_user_has_the_patience_at_which_it_is_an_equilibrium() -> None:
    # xi1 = 0 and kappa = (1, 2). For P > 3 the first model is the provider's at r = 1 only; for P <= 3 at any r, and
    # the provider wants r = 1 for P > 1, r = 0 for P < 1, and does not care at P = 1.
    found = nash_equilibria(Game([0.25, 0.5], [0.25, 1], [0.5, 0.75], 2, [4, 3, 1.5, 1, 0.5]))
    assert found.exists[STATIC_1].all()
    assert found.patience[STATIC_1].tolist() == [1, 1, 1, 1, 0]
    dearer = Game([0.25, 0.5], [0.75, 1], [0.5, 0.75], 2, [0.5, 4])
    found = nash_equilibria(dearer)
    assert found.exists[STATIC_1].tolist() == [True, False]
    assert found.patience[STATIC_1, 0] == 0, "at r = 1 the second model would be cheaper"


def test_equally_cheap_models_are_both_equilibria() -> None:
    equal_at_zero = Game([0.25, 0.5], [0.5, 1], [1.25, 2], value=2, churn_penalty=2)
    equal_at_one = Game([0.25, 0.5], [0.25, 0.5], [0.25, 0.5], value=2, churn_penalty=3)
    for game, patience in ((equal_at_zero, 0), (equal_at_one, 1)):
        found = nash_equilibria(game)
        assert found.exists.tolist() == [True, True, False]
        assert found.patience[:2].tolist() == [patience, patience]
        assert found.provider_cost[0] == found.provider_cost[1]


def test_best_patience_is_that_of_the_outcome_the_user_prefers() -> None:
    # Every routing costs P whatever the patience; the first model is worth the wait, the second is not.
    found = nash_equilibria(INDIFFERENT_TO_ALL)
    assert found.exists.tolist() == [True, True, False]
    assert found.provider_cost[:2].tolist() == [2, 2]
    assert found.user_utility[:2].tolist() == [1, 0]
    assert found.best_patience == 1


def test_thin_margins_are_equilibria_still() -> None:
    # The costs of pass nearly agree, so that r is close to 1 and 1 - b r cancels.
    for gap in (1e-6, 1e-9, 1e-12):
        game = Game([0.001, 0.5], [0.001, 0.5 * (1 + gap)], [0.0001, 2], value=2, churn_penalty=1.1)
        found = nash_equilibria(game)
        assert found.exists.all()
        assert found.patience[MIX] < 1
        costs = [provider_cost(game, Commitment.static(model), found.patience[MIX]) for model in (0, 1)]
        np.testing.assert_allclose(costs, found.provider_cost[MIX], rtol=1e-11)


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_any_number_of_models_in_any_order(models: int) -> None:
    rng = np.random.default_rng(models)
    shape = (400, models)
    p, u = rng.uniform(0.05, 0.95, shape), rng.uniform(-1, 1, shape)
    # Costs of pass near the penalty, so that the cheapest model changes with the patience.
    cost = p * rng.uniform(0.5, 1.5, shape) + rng.uniform(0, 0.1, shape)
    game = Game(p, cost, p * (1.5 - u), 1.5, rng.uniform(0.5, 1.5, 400))
    found = nash_equilibria(game)
    assert found.exists.any(axis=0).all()

    # Independent of the solution: who is cheapest at each patience, where that changes, and what the user wants.
    r = np.r_[0, np.linspace(1e-4, 1 - 1e-4, 4001), 1][:, None, None]
    static = game.churn_penalty[:, None] + game.net_cost / (1 - r * (1 - p))
    cheapest = static.argmin(axis=-1)
    wants = cheapest[np.where(game.net_value > 0, -1, 0), np.arange(400)[:, None]] == np.arange(models)
    np.testing.assert_array_equal(found.exists[:models].T, wants)
    before, after = cheapest[:-1], cheapest[1:]
    worth = np.take_along_axis(game.net_value[None], cheapest[..., None], axis=-1)[..., 0]
    switches = (before != after) & (worth[:-1] * worth[1:] < 0)
    np.testing.assert_array_equal(found.exists[models:].sum(axis=0), switches.sum(axis=0))
    assert models < 3 or found.exists[models:].sum() > 40

    for which, at in zip(*np.nonzero(found.exists[:, :100]), strict=True):
        one, routing, patience = game[at], found.routing[which, at], found.patience[which, at]
        on_failure, still = 0.0, 0.0
        for _ in range(600):
            on_failure = (1 - patience) * one.churn_penalty + patience * still
            still = float((one.cost + (1 - one.success) * on_failure).min())
        assert found.provider_cost[which, at] == pytest.approx(still, rel=1e-9)
        tried = np.r_[np.linspace(0, 1, 101), patience]
        fails = np.diag(1 - one.success) @ routing.transition
        worth_of = np.array([routing.start @ np.linalg.solve(np.eye(models) - t * fails, one.net_value) for t in tried])
        assert found.user_utility[which, at] == pytest.approx(worth_of[-1], rel=1e-9, abs=1e-12)
        assert worth_of.max() <= worth_of[-1] + 1e-10


def test_three_models_that_meet_at_one_patience() -> None:
    # eta_k = -(1 - (1 - p_k) / 2): all cost P - 1 at r = 1/2, where pairs with net values of both signs may mix.
    p, penalty = np.array([0.25, 0.5, 0.75]), 4.0
    game = Game(p, penalty * p - (1 - (1 - p) / 2), [0.125, 0.25, 1], value=1, churn_penalty=penalty)
    found = nash_equilibria(game)
    assert found.exists[3:].tolist() == [False, True, True]
    np.testing.assert_allclose(found.patience[4:], 0.5)
    np.testing.assert_allclose(found.provider_cost[4:], penalty - 1)


def test_shapes() -> None:
    game = random_games(6, seed=5).reshape(2, 3)
    found = nash_equilibria(game)
    assert found.exists.shape == found.routing.shape == (3, 2, 3)
    assert found.best.shape == found.best_patience.shape == (2, 3)
    single = nash_equilibria(game[1, 2])
    assert isinstance(single, NashEquilibria)
    assert single.best == found.best[1, 2]
    assert nash_equilibria(game[:0]).best.shape == (0, 3)
