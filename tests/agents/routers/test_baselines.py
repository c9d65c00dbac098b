from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import ROUTERS, OracleRouter, Outcomes, Prediction

Array = NDArray[np.float64]
KNOBS = np.linspace(0, 1, 11)


def fit(name: str, log: Outcomes, seed: int = 0) -> Any:
    return ROUTERS[name]().fit(log, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize(
    "log",
    [
        Outcomes(np.ones((3, 1)), np.array([[1.0], [0.0], [1.0]]), np.ones((3, 1)), np.ones((3, 1))),
        Outcomes(np.ones((1, 2)), np.array([[1.0, 0.0, 1.0, 1.0]]), np.ones((1, 4)), np.ones((1, 4))),
        Outcomes(np.ones((20, 1)), np.eye(4)[np.arange(20) % 4], np.ones((20, 4)), np.ones((20, 4))),
        Outcomes(np.arange(20.0)[:, None], np.zeros((20, 4)), np.full((20, 4), [1.0, 2, 3, 4]), np.ones((20, 4))),
        Outcomes(np.arange(20.0)[:, None], np.full((20, 4), np.nan), np.ones((20, 4)), np.ones((20, 4))),
        Outcomes(np.arange(20.0)[:, None], np.ones((20, 4)), np.zeros((20, 4)), np.zeros((20, 4))),
    ],
    ids=["one model", "one task", "constant features", "all failures", "nothing observed", "free"],
)
def test_degenerate_logs_are_defined(name: str, log: Outcomes) -> None:
    router = fit(name, log)
    for knob in (0.0, 0.5, 1.0):
        rows = router.route(log.features, knob)
        assert rows.shape[0] == len(log.features)
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
        assert (rows >= 0).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_the_same_random_numbers_make_the_same_router(name: str, make_log: Any) -> None:
    log, _ = make_log(tasks=120, observed=0.8)
    first, second = (fit(name, log, seed=5).route(log.features, 0.6) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "random"])
def test_more_knob_is_more_quality_and_no_less_cost(name: str, reached: Any, make_log: Any) -> None:
    log, truth = make_log()
    router = fit(name, log)
    (low_cost, low), (high_cost, high) = (reached(router, truth, knob) for knob in (0.0, 1.0))
    assert high >= low - 0.02
    assert high_cost >= low_cost - 1e-9


@pytest.mark.parametrize("name", ["nearest neighbours", "logistic regression"])
def test_features_that_decide_beat_every_mix(name: str, reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    cost, quality = reached(fit(name, log), truth, 0.8)
    assert quality > mixed(log, truth, cost) + 0.05


@pytest.mark.parametrize("name", ["nearest neighbours", "logistic regression"])
def test_shuffled_features_are_no_better_than_the_best_mix(name: str, reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log(tasks=2000)
    shuffled = log._replace(features=np.random.default_rng(1).permutation(log.features))
    router = fit(name, shuffled)
    for knob in KNOBS:
        cost, quality = reached(router, truth, knob)
        assert quality <= mixed(log, truth, cost + 0.05) + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_the_oracle_is_never_beaten(seed: int, served: Any, reached: Any, make_log: Any) -> None:
    log, truth = make_log(seed=seed)
    dearest = log.cost.mean(axis=0).max()
    for name in ROUTERS:
        router = fit(name, log)
        known = served(router, truth)
        oracle = OracleRouter(Prediction(known.quality, known.cost, known.latency)).fit(log, np.random.default_rng(0))
        for knob in KNOBS:
            (cost, quality), (least, best) = reached(router, truth, knob), reached(oracle, known, knob)
            assert knob * best - (1 - knob) * least / dearest >= knob * quality - (1 - knob) * cost / dearest - 1e-9


def test_the_mix_follows_the_upper_hull() -> None:
    quality = np.array([[0.3, 0.2, 0.7, 0.75, 0.8]])
    cost = np.array([[1.0, 2, 3, 8, 9]])
    router = fit("best mix of single models", Outcomes(np.ones((1, 1)), quality, cost, cost))
    assert router.hull_.tolist() == [0, 2, 4]
    np.testing.assert_allclose(router.route(np.ones((1, 1)), 0.125), [[0.5, 0, 0.5, 0, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quality": np.full((20, 4), 1.5)}, r"quality\[0, 0\]: 1.5"),
        ({"cost": np.full((20, 4), -1.0)}, r"cost\[0, 0\]: -1.0"),
        ({"features": np.full((20, 1), np.inf)}, r"features\[0, 0\]: inf"),
        ({"features": np.ones((19, 1))}, "features: shape"),
        ({"features": np.ones((20, 0))}, "features: shape"),
        ({"latency": np.ones((20, 3))}, "latency: shape"),
        ({"quality": np.ones((0, 4))}, "quality: shape"),
    ],
)
@pytest.mark.parametrize("name", ROUTERS)
def test_bad_logs_are_named(name: str, change: dict[str, Array], message: str) -> None:
    log = Outcomes(np.ones((20, 1)), np.ones((20, 4)), np.ones((20, 4)), np.ones((20, 4)))
    with pytest.raises(ValueError, match=message):
        fit(name, log._replace(**change))
