from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import MixLLM, Outcomes, Prediction

Array = NDArray[np.float64]


def fit(log: Outcomes, **settings: Any) -> MixLLM:
    return MixLLM(**settings).fit(log, np.random.default_rng(0))


def ridge(inputs: Array, values: Array, around: float, penalty: float) -> Array:
    """Least squares with one more observation for each coefficient, of what it is without any."""
    rows = np.vstack([inputs, penalty**0.5 * np.eye(inputs.shape[1])])
    start = np.r_[penalty**0.5 * around, np.zeros(inputs.shape[1] - 1)]
    return np.linalg.lstsq(rows, np.r_[values, start], rcond=None)[0]


def test_it_learns_from_each_answer_as_from_a_log_with_it(make_log: Any) -> None:
    log, _ = make_log(tasks=60, observed=0.7)
    router = fit(log, penalty=2.0)
    rng = np.random.default_rng(1)
    more = rng.normal(size=(30, 5))
    for features in more:
        router.update(features, 2, float(features[0] > 0), np.nan, 9.0)
    inputs, added = (
        np.c_[np.ones(len(x)), (x - log.features.mean(0)) / log.features.std(0)] for x in (log.features, more)
    )
    seen = ~np.isnan(log.quality[:, 2])
    success = ridge(
        np.vstack([inputs[seen], added]),
        np.r_[log.quality[seen, 2], more[:, 0] > 0],
        float(log.quality[seen, 2].mean()),
        2.0,
    )
    cost = ridge(inputs, log.cost[:, 2], float(log.cost[:, 2].mean()), 2.0)
    latency = ridge(
        np.vstack([inputs, added]), np.r_[log.latency[:, 2], np.full(30, 9.0)], float(log.latency[:, 2].mean()), 2.0
    )
    found = router.predict(log.features)
    np.testing.assert_allclose(found.success[:, 2], np.clip(inputs @ success, 0, 1), atol=1e-9)
    np.testing.assert_allclose(found.cost[:, 2], inputs @ cost, atol=1e-9)
    np.testing.assert_allclose(found.latency[:, 2], inputs @ latency, atol=1e-9)


def test_regret_grows_sublinearly(regret: Any) -> None:
    lost = np.mean([regret(MixLLM(exploration=0.3, waiting=0.0), 0, seed=seed) for seed in range(3)], axis=0)
    third = lost.reshape(3, -1).sum(axis=1)
    assert third[1] < 0.5 * third[0]
    assert third[2] < 0.3 * third[0]


def test_a_model_of_which_little_is_known_is_tried_until_it_has_failed() -> None:
    quality = np.full((50, 2), [0.7, np.nan])
    quality[0, 1] = 0.6
    features = np.random.default_rng(0).normal(size=(50, 2))
    log = Outcomes(features, quality, *np.ones((2, 50, 2)))
    router, sure = fit(log, exploration=1.0), fit(log, exploration=0.0)
    assert router.route(features[:1], 1.0).tolist() == [[0, 1]]
    assert sure.route(features[:1], 1.0).tolist() == [[1, 0]]
    before = router.bonus(features[:1])
    for _ in range(20):
        router.update(features[0], 1, 0.0, 1.0, 1.0)
    assert router.route(features[:1], 1.0).tolist() == [[1, 0]]
    after = router.bonus(features[:1])
    assert after[0, 1] < before[0, 1] / 2
    assert after[0, 0] == before[0, 0]


def test_waiting_counts_against_slow_models(make_log: Any) -> None:
    log, truth = make_log()
    known = Prediction(truth.quality, truth.cost, truth.latency)
    waited = [
        float((fit(log, waiting=waiting).choose(known, 1.0) * truth.latency).sum(axis=1).mean())
        for waiting in (0.0, 0.1, 0.3, 1.0)
    ]
    assert waited == sorted(waited, reverse=True)
    assert waited[-1] < 0.7 * waited[0]
    best = fit(log, waiting=0.0).choose(known, 1.0)
    np.testing.assert_array_equal(best.argmax(axis=1), truth.quality.argmax(axis=1))


def test_features_that_decide_beat_every_mix(reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    cost, quality = reached(fit(log), truth, 0.8)
    assert quality > mixed(log, truth, cost) + 0.05
    shuffled = log._replace(features=np.random.default_rng(1).permutation(log.features))
    cost, quality = reached(fit(shuffled), truth, 0.8)
    assert quality <= mixed(log, truth, cost + 0.05) + 0.02


@pytest.mark.parametrize("what", [0, 1, 2])
def test_what_is_not_known_teaches_nothing(what: int, make_log: Any) -> None:
    log, _ = make_log(tasks=30)
    router, same = fit(log), fit(log)
    answer = [0.0, 5.0, 5.0]
    answer[what] = np.nan
    router.update(np.ones(5), 1, *answer)
    changed = [
        not np.allclose(*pair) for pair in zip(router.predict(log.features), same.predict(log.features), strict=True)
    ]
    assert changed == [kind != what for kind in range(3)]
