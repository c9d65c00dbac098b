from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import LogisticRouter, NeighbourRouter, Outcomes, UserAware, cross_predicted
from stackroute.analytic import (
    Commitment,
    Game,
    Ladders,
    Traffic,
    counting_response,
    solve,
    solve_traffic,
    traffic_payoffs,
)

RNG = np.random.default_rng


def draw(tasks: int, models: int = 3, seed: int = 0) -> Traffic:
    """Two kinds of tasks in equal numbers, each with an easy and a hard type of equal weight."""
    rng = RNG(seed)
    usual = np.sort(rng.uniform(0.2, 0.95, (2, 2, models)), axis=-1) * np.array([1.0, 0.3])[:, None]
    success = usual[np.arange(tasks) % 2].reshape(-1, models)
    games = Game(success, np.geomspace(1, 8, models), np.geomspace(1, 3, models), value=9, churn_penalty=12)
    return Traffic(games, context=np.repeat(np.arange(tasks), 2))


def expected(traffic: Traffic) -> NDArray[np.float64]:
    return traffic.games.success.reshape(len(traffic.contexts), 2, -1).mean(axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_with_kinds_that_are_known_it_is_the_optimum_where_users_are_not_indifferent(seed: int) -> None:
    traffic = draw(40, seed=seed)
    fitted = (
        UserAware(contexts=2, neighbours=20).fit(expected(traffic), traffic, RNG(0)).tune(expected(traffic), traffic)
    )
    kinds = traffic.context % 2
    best = solve_traffic(Traffic(traffic.games, context=kinds))
    (stop,), found = counting_response(traffic, fitted.policy(expected(traffic)))
    cost = found.provider_cost[0, stop - 1]
    assert cost >= best.provider_cost[0] - 1e-9
    # It mixes no ladders, and a price may have to hold users: that costs something.
    assert cost <= 1.1 * best.provider_cost[0]
    if not best.multipliers.any():
        assert cost == pytest.approx(best.provider_cost[0], rel=1e-6)


def test_a_higher_price_of_patience_serves_users_better_after_failures() -> None:
    traffic = draw(40, seed=2)
    fitted = UserAware(contexts=2).fit(expected(traffic), traffic, RNG(0))
    gains = []
    for price in (0.0, 0.3, 1.0, 10.0):
        fitted.aim_, fitted.price_ = np.array(4), np.array(price)
        (utility,), _ = traffic_payoffs(traffic, fitted.policy(expected(traffic)))
        gains.append(3 * utility[3] - utility[:3].sum())
    assert np.diff(gains).min() >= -1e-9
    assert gains[-1] > gains[0]


def test_of_many_models_the_four_are_used_that_serve_tasks_best_together() -> None:
    rng = RNG(5)
    loss = rng.normal(size=(30, 2, 6))
    success = rng.uniform(0.05, 0.95, (60, 6))
    games = Game(success, rng.uniform(1, 9, 6), np.ones(6), value=4, churn_penalty=20)
    traffic = Traffic(games, context=np.repeat(np.arange(30), 2))
    fitted = UserAware(contexts=3, horizon=4).fit(expected(traffic), traffic, rng)
    loss = games.cost - games.churn_penalty[:, None] * success
    alone = [loss[:, [k]].min(axis=1).mean() for k in range(6)]
    assert int(np.argmin(alone)) in fitted.models_
    assert len(fitted.models_) == 4
    policy = fitted.policy(expected(traffic))
    assert isinstance(policy, Ladders)
    assert set(np.unique(policy.models)) <= set(fitted.models_)


def test_the_lottery_is_the_optimum_of_each_task_for_itself() -> None:
    traffic = draw(10, seed=1)
    alone = UserAware(contexts=2, neighbours=5, rule="lottery").fit(expected(traffic), traffic, RNG(0))
    policy = alone.policy(expected(traffic))
    assert isinstance(policy, Commitment)
    games = Game(expected(traffic), np.geomspace(1, 8, 3), np.geomspace(1, 3, 3), 9, 12)
    exact = solve(games, "free").commitment
    np.testing.assert_allclose(policy.start, exact.start, atol=1e-9)
    np.testing.assert_allclose(policy.transition, exact.transition, atol=1e-9)


def test_no_task_of_the_log_is_predicted_from_itself() -> None:
    # Answers are coin tosses that features do not tell: whoever saw the own answer would be right.
    rng = RNG(3)
    log = Outcomes(
        rng.normal(size=(200, 4)), rng.integers(0, 2, (200, 2)).astype(float), np.ones((200, 2)), np.ones((200, 2))
    )
    inside = NeighbourRouter(neighbours=1).fit(log, rng).predict(log.features).success
    assert (inside == log.quality).all()
    outside = cross_predicted(lambda: NeighbourRouter(neighbours=1), log, rng).success
    # Wrong once in 10,000 runs.
    assert 0.4 < (outside == log.quality).mean() < 0.6


@pytest.mark.parametrize(("tasks", "models"), product((1, 2), (1, 2)))
def test_degenerate_logs_are_defined(tasks: int, models: int) -> None:
    games = Game(np.full((tasks, models), 0.5), np.ones(models), np.ones(models), 4, 3)
    traffic = Traffic(games, context=np.arange(tasks))
    log = Outcomes(np.ones((tasks, 1)), np.ones((tasks, models)), np.ones((tasks, models)), np.ones((tasks, models)))
    found = cross_predicted(LogisticRouter, log, RNG(0)).success
    policy = UserAware(horizon=3).fit(found, traffic, RNG(0)).tune(found, traffic).policy(found)
    assert traffic_payoffs(traffic, policy, 3).provider_cost.shape == (1, 3)


def test_a_traffic_of_other_tasks_is_named() -> None:
    with pytest.raises(ValueError, match="traffic: 4 contexts are not allowed; expected 3"):
        UserAware().fit(np.ones((3, 3)), draw(4), RNG(0))


def test_where_types_are_known_it_is_the_optimum_of_every_task() -> None:
    traffic = draw(30, seed=4)
    known = expected(traffic)
    fitted = UserAware(neighbours=15).fit(known, traffic, RNG(0)).tune(known, traffic, types_known=True)
    best = solve_traffic(traffic)
    (stop,), found = counting_response(traffic, fitted.policy(known, traffic))
    cost = found.provider_cost[0, stop - 1]
    assert best.provider_cost[0] - 1e-9 <= cost <= 1.02 * best.provider_cost[0]
