from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import Outcomes, RouterProvider, UniRoute
from stackroute.analytic import Game, Traffic, solve_traffic, traffic_payoffs

Array = NDArray[np.float64]
KNOBS = np.linspace(0, 1, 11)


def fit(log: Outcomes, **settings: Any) -> UniRoute:
    return UniRoute(**settings).fit(log, np.random.default_rng(0))


def diagonal(tasks: int, seed: int) -> tuple[Outcomes, Array]:
    """Features decide by their sum, which clusters of round shape cut across."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(tasks, 2))
    likely = 0.05 + 0.9 / (1 + np.exp(-6 * features.sum(axis=1)))
    success = np.column_stack([np.full(tasks, 0.5), likely])
    return Outcomes(features, (rng.random(success.shape) < success) * 1.0, *np.ones((2, tasks, 2))), success


def log_loss(router: UniRoute, features: Array, success: Array) -> float:
    found = router.predict(features).success
    return -float((success * np.log(found) + (1 - success) * np.log1p(-found)).mean())


@pytest.mark.parametrize("learned", [False, True])
def test_clusters_are_the_kinds_of_tasks(learned: bool, make_log: Any) -> None:
    log, truth = make_log(tasks=2000)
    router = fit(log, clusters_at_most=4, learned=learned)
    kind = np.unique(truth.quality, axis=0, return_inverse=True)[1].reshape(-1)
    pairs = np.unique(np.c_[kind, router.clusters(log.features)], axis=0)
    assert len(pairs) == 4
    assert len(set(pairs[:, 1])) == 4
    np.testing.assert_allclose(router.predict(truth.features).success, truth.quality, atol=0.08)
    np.testing.assert_allclose(router.predict(truth.features).cost, truth.cost, atol=0.05)


def test_clusters_without_an_answer_have_the_mean_over_all_tasks() -> None:
    quality = np.array([[1.0, np.nan], [1.0, np.nan], [0.0, 0.5], [0.0, 1.0]])
    router = fit(Outcomes(np.array([[0.0], [0.0], [9.0], [9.0]]), quality, *np.ones((2, 4, 2))), prior=0.0)
    np.testing.assert_allclose(router.predict(np.array([[0.0], [9.0]])).success, [[1, 0.75], [0, 0.75]])


def test_the_learned_map_predicts_better_than_the_nearest_centre() -> None:
    log, _ = diagonal(600, seed=0)
    test, success = diagonal(3000, seed=1)
    least = -float((success * np.log(success) + (1 - success) * np.log1p(-success)).mean())
    nearest, learned = (fit(log, clusters_at_most=4, learned=learned) for learned in (False, True))
    losses = [log_loss(router, test.features, success) - least for router in (nearest, learned)]
    assert losses[1] < losses[0] / 3
    assert log_loss(learned, log.features, log.quality) < log_loss(nearest, log.features, log.quality)


@pytest.mark.parametrize("learned", [False, True])
def test_features_that_decide_beat_every_mix(learned: bool, reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    points = [reached(fit(log, learned=learned), truth, knob) for knob in KNOBS]
    assert points[8][1] > mixed(log, truth, points[8][0]) + 0.05
    for (less_cost, less), (cost, quality) in pairwise(points):
        assert cost >= less_cost - 1e-9
        assert quality >= less - 0.02


def test_shuffled_features_are_no_better_than_the_best_mix(reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log(tasks=1000)
    gains = []
    for seed in range(6):
        shuffled = log._replace(features=np.random.default_rng(seed).permutation(log.features))
        cost, quality = reached(fit(shuffled, learned=seed % 2 == 1), truth, 0.9)
        gains.append(quality - mixed(truth, truth, cost))
    # By luck, each permutation gains 0.03 either way.
    assert np.mean(gains) <= 0.03


@pytest.mark.parametrize("knob", [0.3, 0.6, 0.9])
def test_it_is_the_exact_optimum_by_cluster_against_users_who_leave_after_one_pass(knob: float, make_log: Any) -> None:
    """Error + lambda x cost is c + P (1 - p) with P = 1 / lambda."""
    log, _ = make_log()
    router = fit(log, clusters_at_most=4)
    penalty = float(router.dearest_) * knob / (1 - knob)
    games = Game(router.quality_, router.cost_, router.latency_, value=5, churn_penalty=penalty)
    share = np.bincount(router.clusters(log.features))
    traffic = Traffic(games, share, context=[str(cluster) for cluster in range(4)])
    centres = np.array([log.features[router.clusters(log.features) == cluster].mean(axis=0) for cluster in range(4)])
    policy = RouterProvider(router, knob, centres).policy
    cost = traffic_payoffs(traffic, policy, horizon=1).provider_cost[0, 0]
    assert cost == pytest.approx(solve_traffic(traffic, horizon=1).provider_cost, rel=1e-9)
