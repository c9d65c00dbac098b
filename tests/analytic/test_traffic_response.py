from itertools import product

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    Ladders,
    Pricing,
    Traffic,
    solve_traffic,
    stationary_response,
    traffic_payoffs,
)


def draw_traffic(rng: np.random.Generator, types: int, models: int, contexts: int) -> Traffic:
    p = np.clip(rng.beta(0.4, 0.4, (types, 1)) * rng.uniform(0.5, 1, (types, models)), 1e-3, 1 - 1e-3)
    cost, latency = np.cumsum(rng.uniform(0.3, 2, (2, types, models)), axis=-1)
    games = Game(p, cost, latency, rng.uniform(2, 9), rng.uniform(1, 9))
    return Traffic(games, rng.uniform(0.2, 1, types), rng.permutation(np.arange(types) % contexts))


@pytest.mark.parametrize("seed", range(4))
def test_a_commitment_by_context_is_that_commitment_in_each_context(seed: int) -> None:
    rng = np.random.default_rng(seed)
    traffic = draw_traffic(rng, types=9, models=3, contexts=2)
    by_context = Commitment(rng.dirichlet(np.ones(3), 2), rng.dirichlet(np.ones(3), (2, 3)), rng.uniform(0, 1, (2, 3)))
    found = traffic_payoffs(traffic, by_context, horizon=5)
    expected = np.zeros((2, 5))
    for context in range(2):
        mine = traffic.context == context
        alone = traffic_payoffs(Traffic(traffic.games[mine], traffic.weight[mine]), by_context[context], horizon=5)
        expected += traffic.weight[mine].sum() * np.concatenate(alone)
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_patience_is_that_of_a_grid(seed: int) -> None:
    traffic = draw_traffic(np.random.default_rng(seed), types=7, models=2, contexts=1)
    policy = Ladders([[0, 0, 1], [1, 0, 0]], [0.8, 0.2])
    (utility,), (cost,) = traffic_payoffs(traffic, policy, horizon=6)
    grid = np.linspace(0, 1, 20_001)
    weights = grid[:, None] ** np.arange(6)
    over_grid = weights @ np.diff(utility, prepend=0.0)
    found = stationary_response(traffic, policy, horizon=6)
    assert found.user_utility[0] >= over_grid.max() - 1e-12
    assert found.user_utility[0] == pytest.approx(over_grid.max(), abs=1e-6)
    assert found.patience[0] == pytest.approx(grid[over_grid.argmax()], abs=1e-2)
    at = found.patience[0] ** np.arange(6)
    assert found.provider_cost[0] == pytest.approx(at @ np.diff(cost, prepend=0.0), rel=1e-12)


def test_of_patiences_that_are_worth_the_same_users_take_the_cheapest_for_the_provider() -> None:
    # V p = t: no pass is worth anything to users, and every failure costs the provider c - P p = -1.
    traffic = Traffic(Game([[0.5]], [1], [2], value=4, churn_penalty=4))
    found = stationary_response(traffic, Ladders.static(0), horizon=8)
    assert found.patience[0] == 1.0
    assert found.user_utility[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("seed", "models"), product(range(6), (1, 2, 3)))
def test_ladders_at_a_price_are_the_best_of_all(seed: int, models: int) -> None:
    rng = np.random.default_rng(seed)
    horizon = 4
    traffic = draw_traffic(rng, types=6, models=models, contexts=2)
    stop, price = int(rng.integers(1, horizon + 1)), rng.uniform(0, 3, horizon) * rng.integers(0, 2, horizon)
    worth_of_utility = float(rng.uniform(0, 2))
    found = Pricing(traffic, horizon).ladders(stop, price, worth_of_utility)
    for context in range(2):
        mine = traffic.context == context
        alone = Traffic(traffic.games[mine], traffic.weight[mine])

        def worth(ladder: tuple[int, ...], alone: Traffic = alone) -> float:
            (utility,), (cost,) = traffic_payoffs(alone, Ladders([ladder]), horizon)
            return float(cost[stop - 1] + price @ (utility - utility[stop - 1]) - worth_of_utility * utility[stop - 1])

        best = min(worth(ladder) for ladder in product(range(models), repeat=horizon))
        assert worth(tuple(found[context])) == pytest.approx(best, abs=1e-9)


def test_the_multipliers_of_the_optimum_price_its_own_ladders() -> None:
    traffic = draw_traffic(np.random.default_rng(3), types=40, models=3, contexts=5)
    best = solve_traffic(traffic, horizon=6)
    stop, price = int(best.stop[0]), best.multipliers[0]
    priced = Pricing(traffic, horizon=6).ladders(stop, price)

    def lagrangian(policy: Ladders) -> float:
        (utility,), (cost,) = traffic_payoffs(traffic, policy, horizon=6)
        return float(cost[stop - 1] + price @ (utility - utility[stop - 1]))

    assert lagrangian(Ladders(priced, np.eye(5))) == pytest.approx(best.provider_cost[0], rel=1e-7)


def test_a_commitment_for_other_contexts_or_models_is_named() -> None:
    traffic = Traffic(Game([[0.5, 0.6]] * 3, [1, 2], [1, 2], 4, 4), context=[0, 1, 1])
    thirds = np.ones((2, 3)) / 3
    for rows in (np.full((3, 2), 0.5), thirds):
        with pytest.raises(InvalidGameError, match="start: shape"):
            traffic_payoffs(traffic, Commitment.lottery(rows, rows))


def test_beliefs_take_the_place_of_contexts() -> None:
    rng = np.random.default_rng(2)
    traffic = draw_traffic(rng, types=12, models=3, contexts=3)
    price = rng.uniform(0, 1, 4)
    beliefs = (traffic.context == np.arange(3)[:, None]) * traffic.weight
    found = Pricing(Traffic(traffic.games), 4, beliefs).ladders(3, price)
    np.testing.assert_array_equal(found, Pricing(traffic, 4).ladders(3, price))
