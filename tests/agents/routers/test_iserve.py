from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import ExtendingRouter, IServe, LogisticRouter, Outcomes, RouterProvider
from stackroute.analytic import Game, Traffic, counting_response

Array = NDArray[np.float64]
INTENTS = (0.0, 0.3, 1.0)


def fit(log: Outcomes, **settings: Any) -> IServe:
    return IServe(**settings).fit(log, np.random.default_rng(0))


def test_its_games_hold_each_model_in_each_configuration() -> None:
    games = Game([[0.5, 0.8], [0.2, 0.4]], [1.0, 4.0], [2.0, 3.0], value=[5, 6], churn_penalty=[1, 2])
    router = IServe(menu=((0.5, 2.0), (3.0, 0.1)))
    assert isinstance(router, ExtendingRouter)
    extended = router.extended(games)
    np.testing.assert_allclose(extended.success[1], [0.2, 0.4] * 3)
    np.testing.assert_allclose(extended.cost[0], [1, 4, 0.5, 2, 3, 12])
    np.testing.assert_allclose(extended.latency[0], [2, 3, 4, 6, 0.2, 0.3])
    np.testing.assert_array_equal(extended.value, games.value)
    np.testing.assert_array_equal(extended.churn_penalty, games.churn_penalty)


def test_the_more_the_intent_is_the_users_the_less_they_wait_and_the_more_it_costs(served: Any, make_log: Any) -> None:
    log, truth = make_log()
    known = served(IServe(), truth)
    for knob in (0.3, 0.7):
        rows = [fit(log, intent=intent).route(truth.features, knob) for intent in INTENTS]
        waited, spent = (
            [float((row * amount).sum(axis=1).mean()) for row in rows] for amount in (known.latency, known.cost)
        )
        assert waited == sorted(waited, reverse=True)
        assert waited[-1] < 0.5 * waited[0]
        assert spent[-1] > 2 * spent[0]
    first, last = (row.argmax(axis=1) // 4 for row in (rows[0], rows[-1]))
    assert (first == 1).all()
    assert (last == 2).all()


def test_the_configuration_is_the_best_of_its_model(served: Any, make_log: Any) -> None:
    """By brute force: no other configuration of the chosen model is less of a burden."""
    log, _ = make_log(tasks=100)
    router = fit(log, intent=0.3)
    expected = router.predict(log.features)
    burden = 0.7 * expected.cost / log.cost.mean(axis=0).max() + 0.3 * expected.latency / log.latency.mean(axis=0).max()
    for knob in (0.0, 0.5, 1.0):
        chosen = router.choose(expected, knob).argmax(axis=1)
        for task, place in enumerate(chosen):
            assert burden[task, place] <= burden[task, place % 4 :: 4].min() + 1e-9


def test_without_a_menu_and_with_the_providers_intent_it_is_the_regression(make_log: Any) -> None:
    log, truth = make_log(tasks=200)
    plain = LogisticRouter().fit(log, np.random.default_rng(0))
    router = fit(log, menu=(), intent=0.0)
    for knob in (0.2, 0.5, 0.9):
        np.testing.assert_array_equal(router.route(truth.features, knob), plain.route(truth.features, knob))


def test_serving_the_users_intent_pays_the_provider_only_where_leaving_is_dear() -> None:
    """One model of which users stay with the fast configuration only; the provider pays 2.5 times for it."""
    log = Outcomes(np.ones((2, 1)), *(np.full((2, 1), number) for number in (0.5, 1.0, 1.0)))
    costs = {}
    for penalty in (1.0, 20.0):
        traffic = Traffic(Game([[0.5]], [1.0], [1.0], value=1.5, churn_penalty=penalty))
        for intent in (0.0, 1.0):
            router = fit(log, menu=((2.5, 0.4),), intent=intent)
            extended = Traffic(router.extended(traffic.games))
            policy = RouterProvider(router, 0.5, log.features[:1], "stick").policy
            (stop,), found = counting_response(extended, policy)
            assert stop == (12 if intent else 1)
            costs[penalty, intent] = found.provider_cost[0, stop - 1]
    # Users who leave cost c + P (1 - p), those who stay c / p.
    assert costs[1.0, 0.0] == pytest.approx(1.5)
    assert costs[20.0, 0.0] == pytest.approx(11.0)
    assert costs[20.0, 1.0] == pytest.approx(5.0, abs=0.01)
    assert costs[1.0, 1.0] == pytest.approx(5.0, abs=0.01)


def test_features_that_decide_beat_every_mix(reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    cost, quality = reached(fit(log, menu=(), intent=0.3), truth, 0.8)
    assert quality > mixed(log, truth, cost) + 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"intent": 1.5}, r"intent: 1.5 is not allowed; expected a number in \[0, 1\]"),
        ({"menu": ((1.0, 2.0), (0.0, 1.0))}, r"menu\[1\]: \(0.0, 1.0\) is not allowed"),
        ({"menu": ((1.0,),)}, r"menu\[0\]"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(Outcomes(np.ones((2, 1)), *np.ones((3, 2, 4))), **settings)
