from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from stackroute.agents.routers import (
    ExtendingRouter,
    LogisticRouter,
    Outcomes,
    Prediction,
    Predictor,
    RouteMoA,
    RouterProvider,
)
from stackroute.analytic import Game, Traffic, traffic_payoffs


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def any_log(models: int, tasks: int = 40) -> Outcomes:
    random = rng(1)
    answers = (random.random((tasks, models)) < 0.5).astype(float)
    return Outcomes(random.normal(size=(tasks, 2)), answers, *random.uniform(1, 5, (2, tasks, models)))


@pytest.mark.parametrize("accuracy", [0.5, 0.8, 1.0])
def test_pairs_are_what_their_members_and_the_judge_make(accuracy: float) -> None:
    random = rng(2)
    games = Game(random.uniform(0.05, 0.95, (7, 3)), *random.uniform(1, 5, (2, 7, 3)), value=4, churn_penalty=2)
    router = RouteMoA(judge_accuracy=accuracy).fit(any_log(3), rng())
    made = router.extended(games)
    assert made.success.shape == (7, 6)
    for name in ("success", "cost", "latency"):
        np.testing.assert_array_equal(getattr(made, name)[:, :3], getattr(games, name))
    for column, (one, other) in enumerate(combinations(range(3), 2), start=3):
        for task in range(7):
            chance = 0.0
            for right in product([0, 1], repeat=2):
                p = np.where(right, games.success[task, [one, other]], 1 - games.success[task, [one, other]])
                chance += p.prod() * {0: 0.0, 1: accuracy, 2: 1.0}[sum(right)]
            assert made.success[task, column] == pytest.approx(chance, rel=1e-12)
            members = [one, other]
            assert made.cost[task, column] == games.cost[task, members].sum()
            assert made.latency[task, column] == games.latency[task, members].max()


def test_a_perfect_judge_fails_only_where_all_members_do() -> None:
    games = Game([[0.3, 0.6], [1 - 1e-14, 1 - 1e-14]], [1, 1], [1, 1], value=4, churn_penalty=2)
    success = RouteMoA(judge_accuracy=1.0).fit(any_log(2), rng()).extended(games).success[:, 2]
    assert success[0] == pytest.approx(1 - 0.7 * 0.4)
    assert success[1] < 1.0


def test_users_meet_a_pair_as_one_model() -> None:
    games = Game([[0.3, 0.6]], [1, 3], [1, 2], value=4, churn_penalty=2)
    router = RouteMoA(judge_accuracy=1.0, sure=1.0).fit(any_log(2)._replace(cost=np.full((40, 2), 1e-3)), rng())
    assert isinstance(router, ExtendingRouter)
    assert isinstance(router, Predictor)
    policy = RouterProvider(router, 1.0, np.zeros((1, 2)), "stick").policy
    (utility,), (cost,) = traffic_payoffs(Traffic(router.extended(games)), policy, horizon=2)
    fails = 0.7 * 0.4
    np.testing.assert_allclose(cost, [4 + 2 * fails, 4 + fails * (4 + 2 * fails)])
    np.testing.assert_allclose(utility, [4 * (1 - fails) - 2, (1 + fails) * (4 * (1 - fails) - 2)])


def test_pairs_of_models_that_fail_together_are_not_overrated() -> None:
    # Features say nothing; half of the tasks are too hard for both models.
    random = rng(3)
    hard = random.random((3000, 1)) < 0.5
    answers = (random.random((3000, 2)) < np.where(hard, 0.05, 0.95)).astype(float)
    log = Outcomes(random.normal(size=(3000, 1)), answers, np.ones((3000, 2)), np.ones((3000, 2)))
    expected = RouteMoA(judge_accuracy=1.0).fit(log, rng()).predict(log.features).success.mean(axis=0)
    np.testing.assert_allclose(expected[:2], 0.5, atol=0.03)
    assert expected[2] == pytest.approx(0.5 * (1 - 0.05**2) + 0.5 * (1 - 0.95**2), abs=0.03)


def test_pairs_beat_every_model_where_features_decide(make_log: Any, reached: Any, mixed: Any) -> None:
    log, truth = make_log()
    router = RouteMoA(judge_accuracy=1.0).fit(log, rng())
    cost, quality = reached(router, truth, 1.0)
    assert quality > mixed(log, truth, cost) + 0.1
    # Better than a perfect choice among single models can be.
    assert quality > truth.quality.max(axis=1).mean() + 0.03
    costs = [reached(router, truth, knob)[0] for knob in np.linspace(0, 1, 11)]
    assert (np.diff(costs) >= -1e-9).all()


def test_a_judge_that_guesses_makes_no_pair_worth_it(make_log: Any) -> None:
    log, truth = make_log()
    router = RouteMoA(judge_accuracy=0.5).fit(log, rng())
    for knob in (0.3, 0.7, 0.95):
        assert router.route(truth.features, knob)[:, 4:].sum() <= 0.01 * len(truth.features)


def test_it_stops_when_sure(make_log: Any) -> None:
    log, truth = make_log()
    never, single = RouteMoA(sure=0.0).fit(log, rng()), LogisticRouter().fit(log, rng())
    for knob in (0.2, 0.6, 1.0):
        rows = never.route(truth.features, knob)
        np.testing.assert_array_equal(rows[:, :4], single.route(truth.features, knob))
        assert rows[:, 4:].sum() == 0
    router = RouteMoA(sure=0.8).fit(log, rng())
    sure = router.predict(truth.features).success[:, :4].max(axis=1) >= 0.8
    paired = router.route(truth.features, 1.0)[:, 4:].any(axis=1)
    assert 0.2 < sure.mean() < 0.8
    assert not paired[sure].any()
    assert paired[~sure].mean() > 0.5


def test_it_chooses_the_best_of_what_is_allowed() -> None:
    router = RouteMoA(candidates=3, sure=0.9).fit(any_log(5), rng())
    random, pairs = rng(4), list(combinations(range(5), 2))
    shape = (60, 5 + len(pairs))
    expected = Prediction(random.random(shape), random.uniform(1, 9, shape), np.ones(shape))
    for knob in (0.3, 0.8, 1.0):
        chosen = router.choose(expected, knob).argmax(axis=1)
        for success, cost, model in zip(expected.success, expected.cost, chosen, strict=True):
            best = np.argsort(success[:5])[-3:]
            allowed = list(range(5))
            if success[:5].max() < 0.9:
                allowed += [5 + at for at, pair in enumerate(pairs) if set(pair) <= set(best)]
            assert model == max(allowed, key=lambda m: knob * success[m] - (1 - knob) * cost[m] / router.dearest_)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"judge_accuracy: 0.4 is not allowed; expected a number in \[0.5, 1\]"):
        RouteMoA(judge_accuracy=0.4).fit(any_log(2), rng())
    with pytest.raises(ValueError, match="games: 2 models are not allowed; expected 3"):
        RouteMoA().fit(any_log(3), rng()).extended(Game([0.3, 0.6], [1, 1], [1, 1], value=4, churn_penalty=2))
