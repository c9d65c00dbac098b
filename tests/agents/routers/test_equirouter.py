from typing import Any

import numpy as np
import pytest

from stackroute.agents.routers import (
    EquiRouter,
    LogisticRouter,
    OracleRouter,
    Outcomes,
    Prediction,
    RandomRouter,
    SingleModelRouter,
    collapse_index,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def near_ties(seed: int) -> tuple[Outcomes, Outcomes]:
    """A log of single answers and its truth: on three of four kinds of task the models are equally good."""
    random = np.random.default_rng(seed)
    kind = random.integers(4, size=800)
    features = np.eye(4)[kind] + random.normal(0, 0.2, (800, 4))
    success = np.array([[0.9, 0.9, 0.9], [0.6, 0.6, 0.6], [0.3, 0.3, 0.3], [0.1, 0.5, 0.9]])[kind]
    cost = np.full((800, 3), [1.0, 4.0, 12.0])
    truth = Outcomes(features, success, cost, np.ones((800, 3)))
    return truth._replace(quality=(random.random((800, 3)) < success).astype(float)), truth


def test_its_loss_falls_and_it_beats_every_mix(make_log: Any, reached: Any, mixed: Any) -> None:
    log, truth = make_log()
    router = EquiRouter().fit(log, rng())
    assert router.loss_[-1] < 0.9 * router.loss_[0]
    cost, quality = reached(router, truth, 1.0)
    assert quality > mixed(log, truth, cost) + 0.1


def test_shuffled_features_are_no_better_than_the_best_mix(make_log: Any, reached: Any, mixed: Any) -> None:
    log, truth = make_log(tasks=1000)
    router = EquiRouter().fit(log._replace(features=rng().permutation(log.features)), rng())
    for knob in (0.5, 0.8, 1.0):
        cost, quality = reached(router, truth, knob)
        assert quality <= mixed(log, truth, cost + 0.05) + 0.02


@pytest.mark.parametrize("ranking", [0.0, 20.0])
def test_squared_error_and_ranking_agree_where_answers_are_independent(ranking: float) -> None:
    success = np.array([0.2, 0.5, 0.8])
    answers = (rng().random((2000, 3)) < success).astype(float)
    log = Outcomes(np.ones((2000, 1)), answers, np.full((2000, 3), [1.0, 2, 3]), np.ones((2000, 3)))
    found = EquiRouter(ranking=ranking, tie_weight=0.0).fit(log, rng()).predict(np.ones((1, 1))).success[0]
    # The ranking alone gives the log odds up to a constant.
    odds = np.log(found / (1 - found))
    np.testing.assert_allclose(np.diff(odds), np.log(4), atol=0.25)


@pytest.mark.parametrize("seed", [0, 1])
def test_near_ties_go_to_the_cheaper_model_without_loss_of_quality(seed: int, reached: Any) -> None:
    log, truth = near_ties(seed)
    router, regression = EquiRouter().fit(log, rng()), LogisticRouter().fit(log, rng())
    assert collapse_index(router, truth) < 0.15
    assert collapse_index(regression, truth) > 0.4
    assert reached(router, truth, 1.0)[1] > reached(regression, truth, 1.0)[1] - 0.01


def test_the_best_model_within_the_budget_answers() -> None:
    random = np.random.default_rng(1)
    cost = random.uniform(1, 5, (50, 3))
    log = Outcomes(random.normal(size=(50, 2)), random.random((50, 3)), cost, cost)
    router = EquiRouter(epochs=1).fit(log, rng())
    expected = Prediction(random.random((50, 3)), random.uniform(1, 6, (50, 3)), cost)
    for knob in (0.0, 0.3, 0.9, 1.0):
        budget = np.quantile(cost, knob) if knob < 1.0 else np.inf
        chosen = router.choose(expected, knob).argmax(axis=1)
        for success, price, model in zip(expected.success, expected.cost, chosen, strict=True):
            within = [m for m in range(3) if price[m] <= budget] or [int(price.argmin())]
            assert model == max(within, key=success.__getitem__)


def test_the_collapse_index_counts_needless_calls_of_the_dearest_model() -> None:
    quality = np.array([[0.5, 0.5], [0.4, 0.9], [0.8, 0.1], [np.nan, 0.2], [0.1, np.nan]])
    log = Outcomes(np.ones((5, 1)), quality, np.full((5, 2), [1.0, 2.0]), np.ones((5, 2)))
    truth = Prediction(np.nan_to_num(quality), log.cost, log.latency)
    assert collapse_index(OracleRouter(truth).fit(log, rng()), log) == 0.0
    assert collapse_index(RandomRouter().fit(log, rng()), log) == 0.5
    better = log._replace(quality=np.full((5, 2), [0.1, 0.9]))
    dearest = SingleModelRouter().fit(better, rng())
    assert collapse_index(dearest, log) == 1.0
    assert collapse_index(dearest, log, knob=0.0) == 0.0
    assert collapse_index(dearest, better) == 0.0
