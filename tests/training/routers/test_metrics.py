from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import MixedModelRouter, OracleRouter, Outcomes, Prediction, SingleModelRouter
from stackroute.training.routers.metrics import KNOBS, single_answers

RNG = np.random.default_rng
FEATURES = np.ones((2, 1))


def truth(quality: Any, cost: Any) -> Prediction:
    shape = (2, len(cost))
    return Prediction(np.broadcast_to(quality, shape), np.broadcast_to(cost, shape), np.ones(shape))


def fitted(router: Any, known: Prediction) -> Any:
    return router.fit(Outcomes(FEATURES, *known), RNG(0))


def test_a_mix_of_two_models_has_a_straight_line() -> None:
    known = truth([0.4, 0.8], [1.0, 5.0])
    found = single_answers(fitted(MixedModelRouter(), known), FEATURES, known)
    np.testing.assert_allclose(found.cost, 1 + 4 * KNOBS)
    np.testing.assert_allclose(found.quality, 0.4 + 0.4 * KNOBS)
    np.testing.assert_allclose(found.strong_share, KNOBS, atol=1e-12)
    assert found.improvement == pytest.approx(0.6, abs=1e-9)
    assert found.deferral_area == pytest.approx(0.6, abs=1e-9)
    assert found.relative_cost == pytest.approx(1)
    assert found.knob == 1


def test_steps_count_fully_with_their_hull_only() -> None:
    known = truth([0.4, 0.8], [1.0, 5.0])
    found = single_answers(fitted(SingleModelRouter(), known), FEATURES, known)
    # The hull joins both models; without it the straight line between knobs does.
    assert found.improvement == pytest.approx(0.6, abs=1e-9)
    assert set(np.unique(found.quality)) == {0.4, 0.8}


def test_an_oracle_reaches_the_best_model_at_a_lower_cost() -> None:
    quality: NDArray[np.float64] = np.array([[1.0, 1.0], [0.0, 1.0]])
    known = Prediction(quality, np.array([[1.0, 4.0], [1.0, 4.0]]), np.ones((2, 2)))
    found = single_answers(fitted(OracleRouter(known), known), FEATURES, known)
    assert found.relative_cost == pytest.approx(2.5 / 4)
    assert found.improvement == pytest.approx(1 - 0.5 * 0.5 * 1.5 / 3)


def test_one_model_is_defined() -> None:
    known = truth([0.6], [2.0])
    found = single_answers(fitted(MixedModelRouter(), known), FEATURES, known)
    assert (found.improvement, found.deferral_area, found.relative_cost) == pytest.approx((0.6, 0.6, 1.0))
