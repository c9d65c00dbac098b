from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    best_response,
    expected_passes,
    informed_response,
    provider_cost,
    solve,
    solve_informed,
    throttling_gain,
    user_utility,
)

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD: dict[str, Any] = {
    "success": [0.5, 0.8],
    "cost": [0.2, 0.6],
    "latency": [0.1, 0.3],
    "value": 2,
    "churn_penalty": 3,
}
NAN, INF = float("nan"), float("inf")


PROBABILITY, AT_LEAST_0, MORE_THAN_0 = "0 < probability < 1", "finite number >= 0", "finite number > 0"
LAST_AXIS, ORDERED = "models on the last axis", "less than that of the second model"
STAY = np.eye(2)


def game(**field: Any) -> Game:
    return Game(**GOOD | field, strict=True)


def cascade(**arguments: Any) -> Commitment:
    return Commitment.cascade(**{"first_model": 0, "probability": 0.5} | arguments)


@pytest.mark.parametrize(
    ("make", "arguments", "named", "shown", "allowed"),
    [
        (game, {"success": [0.5, 1.2]}, "success[1]", "1.2", PROBABILITY),
        (game, {"success": np.ma.array([0.5, 0.8], mask=[False, True])}, "success", "masked", "without masked entries"),
        (game, {"cost": [np.ma.array([0.5, 0.8], mask=[0, 1])]}, "cost", "masked", "without masked entries"),
        (cascade, {"probability": np.ma.array(0.5, mask=True)}, "probability", "masked", "without masked entries"),
        (game, {"success": [0, 0.8]}, "success[0]", "0.0", PROBABILITY),
        (game, {"success": [1e-181, 2e-181]}, "success[0]", "1e-181", "at least 1e-50"),
        (game, {"value": 1e-200}, "value", "1e-200", "at least 1e-50"),
        (game, {"value": 1e308}, "value", "1e+308", "at most 1e+50"),
        (game, {"cost": [0.1, 1e300]}, "cost[1]", "1e+300", "at most 1e+50"),
        (game, {"latency": [0.1, 1.7e308]}, "latency[1]", "1.7e+308", "at most 1e+50"),
        (game, {"churn_penalty": 1e51}, "churn_penalty", "1e+51", "at most 1e+50"),
        (cascade, {"delay": [0, 1e200]}, "delay[1]", "1e+200", "at most 1e+50"),
        (game, {"success": [0.5, 1]}, "success[1]", "1.0", PROBABILITY),
        (game, {"success": [-0.1, 0.8]}, "success[0]", "-0.1", PROBABILITY),
        (game, {"success": [NAN, 0.8]}, "success[0]", "nan", PROBABILITY),
        (game, {"success": [[0.5, 0.8], [0.5, 1.5]]}, "success[1, 1]", "1.5", PROBABILITY),
        (game, {"cost": [-0.2, 0.6]}, "cost[0]", "-0.2", AT_LEAST_0),
        (game, {"cost": [0.2, INF]}, "cost[1]", "inf", AT_LEAST_0),
        (game, {"latency": [0.1, NAN]}, "latency[1]", "nan", AT_LEAST_0),
        (game, {"latency": [-1, 0.3]}, "latency[0]", "-1.0", AT_LEAST_0),
        (game, {"value": 0}, "value", "0.0", MORE_THAN_0),
        (game, {"value": -1}, "value", "-1.0", MORE_THAN_0),
        (game, {"value": INF}, "value", "inf", MORE_THAN_0),
        (game, {"value": [1, NAN]}, "value[1]", "nan", MORE_THAN_0),
        (game, {"churn_penalty": -3}, "churn_penalty", "-3.0", AT_LEAST_0),
        (game, {"churn_penalty": [[1, 2, -3]]}, "churn_penalty[0, 2]", "-3.0", AT_LEAST_0),
        (game, {"value": "two"}, "value", "'two'", "real number"),
        (game, {"value": None}, "value", "None", "real number"),
        (game, {"value": True}, "value", "True", "real number"),
        (game, {"value": 1j}, "value", "1j", "real number"),
        (game, {"success": ["0.5", "0.8"]}, "success", "'0.8'", "real number"),
        (game, {"cost": [[0.2, 0.6], [0.1]]}, "cost", "[0.1]", "regular array"),
        (game, {"success": 0.5}, "success", "shape ()", LAST_AXIS),
        (game, {"success": np.zeros((3, 0))}, "success", "shape (3, 0)", f"shape (..., n): {LAST_AXIS}"),
        (game, {"cost": [0.2, 0.6, 0.8]}, "cost", "shape (3,)", LAST_AXIS),
        (game, {"latency": np.zeros((2, 3))}, "latency", "shape (2, 3)", f"shape (..., 2): {LAST_AXIS}"),
        (game, {"success": [0.8, 0.5]}, "success[0]", "0.8", ORDERED),
        (game, {"cost": [0.6, 0.6]}, "cost[0]", "0.6", ORDERED),
        (game, {"latency": [[0.1, 0.3], [0.4, 0.3]]}, "latency[1, 0]", "0.4", ORDERED),
        (game, {"value": [1, 2, 3], "churn_penalty": [1, 2]}, "shape", "value (3,), churn_penalty (2,)", "broadcast"),
        (cascade, {"first_model": 2}, "first_model", "2", "a model, a whole number from 0 to 1"),
        (cascade, {"first_model": -1}, "first_model", "-1", "from 0 to 1"),
        (cascade, {"first_model": [0, 0.5]}, "first_model[1]", "0.5", "a whole number"),
        (cascade, {"first_model": "o3"}, "first_model", "'o3'", "real number"),
        (cascade, {"probability": 1.5}, "probability", "1.5", "[0, 1]"),
        (cascade, {"probability": [0, -0.1]}, "probability[1]", "-0.1", "[0, 1]"),
        (cascade, {"probability": NAN}, "probability", "nan", "[0, 1]"),
        (cascade, {"delay": [0, -1]}, "delay[1]", "-1.0", AT_LEAST_0),
        (cascade, {"delay": [INF, 0]}, "delay[0]", "inf", AT_LEAST_0),
        (cascade, {"delay": [1, 2, 3]}, "delay", "shape (3,)", LAST_AXIS),
        (cascade, {"first_model": [0, 1], "probability": [0, 0, 0]}, "shape", "(2,)", "broadcast"),
        (cascade, {"models": 3}, "probability", "shape ()", "shape (..., 2): one for each model but the last"),
        (cascade, {"models": 3, "probability": [0.5]}, "probability", "shape (1,)", "shape (..., 2)"),
        (Commitment, ([0.5, 0.4], STAY), "sum of start", "0.9", "1 within 1e-09"),
        (Commitment, ([1.5, -0.5], STAY), "start[0]", "1.5", "a probability in [0, 1]"),
        (Commitment, ([NAN, 1], STAY), "start[0]", "nan", "[0, 1]"),
        (Commitment, ([1, 0], [[1, 0], [0.5, 0.25]]), "sum of transition[1]", "0.75", "1 within"),
        (Commitment, ([1, 0], [[1, 0], [2, -1]]), "transition[1, 0]", "2.0", "a probability in [0, 1]"),
        (Commitment, ([1, 0], np.eye(3)), "transition", "shape (3, 3)", "shape (..., 2, 2)"),
        (Commitment, ([1, 0], [0, 1]), "transition", "shape (2,)", "shape (..., 2, 2)"),
        (Commitment, ([1, 0], [[1, 0]]), "transition", "shape (1, 2)", "shape (..., 2, 2)"),
        (Commitment, ([1, 0], STAY, INF), "delay[0]", "inf", AT_LEAST_0),
        (Commitment, ([[1, 0]] * 2, [STAY] * 3), "shape", "start (2,), transition (3,), delay ()", "broadcast"),
        (Commitment.static, {"model": 3, "models": 3}, "model", "3.0", "a model, a whole number from 0 to 2"),
        (Commitment.lottery, ([1, 0], [0.5, 0.25]), "sum of lottery[0]", "0.75", "1 within"),
    ],
)
def test_bad_input_is_named(make: Any, arguments: Any, named: str, shown: str, allowed: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        make(**arguments) if isinstance(arguments, dict) else make(*arguments)
    message = str(caught.value)
    assert caught.value.field == named
    assert message.startswith(f"{named}: ")
    assert shown in message
    assert allowed in message
    assert allowed in caught.value.allowed
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


@pytest.mark.parametrize(("field", "value"), [("success", [0.8, 0.5]), ("cost", [0.6, 0.2]), ("latency", [0.3, 0.3])])
def test_orders_are_checked_where_they_are_needed(field: str, value: list[float]) -> None:
    game = Game(**GOOD | {field: value})
    np.testing.assert_array_equal(getattr(game, field), value)
    for needs_them in (game.check_orders, lambda: throttling_gain(game)):
        with pytest.raises(InvalidGameError, match=rf"{field}\[0\]: .*the paper's orders"):
            needs_them()


def test_distributions_are_divided_by_their_sum() -> None:
    third = [0.3333333333, 0.3333333333, 0.3333333333]
    commitment = Commitment.lottery(third, third)
    np.testing.assert_allclose(commitment.start, [1 / 3] * 3, rtol=1e-15)
    np.testing.assert_allclose(commitment.transition, np.full((3, 3), 1 / 3), rtol=1e-15)


PAIR, ONE, THREE = Game(**GOOD), *(Game([0.5] * n, [0.1] * n, [0.1] * n, 1, 1) for n in (1, 3))
STATIC = Commitment.static(0)
OTHER_MODELS = "commitment: {} models is not allowed; expected 2 models, as in the game"
TIE = "tie_breaking: 'weak' is not allowed; expected 'strong' or 'pessimistic'"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ONE.check_orders(), "models: 1 is not allowed; expected 2"),
        (lambda: THREE.check_orders(), "models: 3 is not allowed; expected 2"),
        (lambda: expected_passes(PAIR, Commitment.static(0, models=1), 1), OTHER_MODELS.format(1)),
        (lambda: best_response(PAIR, Commitment.static(0, models=1)), OTHER_MODELS.format(1)),
        (lambda: expected_passes(PAIR, Commitment.static(0, models=3), 1), OTHER_MODELS.format(3)),
        (lambda: best_response(PAIR, Commitment.static(0, models=3)), OTHER_MODELS.format(3)),
        (lambda: solve(THREE), "models: 3 is not allowed; expected one or two"),
        (lambda: solve(PAIR, "lottery"), "routing: 'lottery' is not allowed; expected 'cascade' or 'free'"),
        *((lambda r=r: expected_passes(PAIR, STATIC, r), f"patience: {r!r}") for r in (-0.1, 1.1, NAN, "often")),
        (lambda: best_response(PAIR, STATIC, "weak"), TIE),
        (lambda: solve(PAIR, tie_breaking="weak"), TIE),
        (lambda: informed_response(PAIR, STATIC, "weak"), TIE),
        (lambda: user_utility(PAIR, STATIC, 0.5, by_model=True), "patience: shape"),
        (lambda: user_utility(PAIR, STATIC, [0.5, 0.5, 0.5], by_model=True), "patience: shape"),
        (lambda: provider_cost(PAIR, STATIC, [0.5, 1.5], by_model=True), "patience[1]: 1.5"),
        (lambda: informed_response(PAIR, Commitment.lottery([1, 0], [0.5, 0.5])), "expected a cascade of two models"),
        (lambda: informed_response(PAIR, Commitment.static(0, models=3)), "expected a cascade of two models"),
        (lambda: informed_response(THREE, Commitment.static(0, models=3)), "models: 3 is not allowed; expected 2"),
        (lambda: solve_informed(THREE), "models: 3 is not allowed; expected 2"),
    ],
)
def test_what_does_not_fit_together_is_an_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
@pytest.mark.parametrize(
    "original",
    [
        Game(**GOOD),
        Game(**GOOD | {"value": [1, 2], "success": [0.9, 0.5]}),
        Commitment.cascade([0, 1], 0.3, [0, 1]),
    ],
)
def test_copies_are_equal(duplicate: Any, original: Any) -> None:
    other = duplicate(original)
    assert type(other) is type(original)
    assert other.shape == original.shape
    for field in dataclasses.fields(original):
        np.testing.assert_array_equal(getattr(other, field.name), getattr(original, field.name))


@pytest.mark.parametrize(
    "original", [Game(**GOOD), Game(**GOOD | {"value": [1, 2]}), Commitment.cascade([0, 1], 0.3, [0, 1])]
)
def test_fields_cannot_be_changed(original: Any) -> None:
    for field in dataclasses.fields(original):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(original, field.name, 1)
        array = getattr(original, field.name)
        if isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 1


def test_the_caller_s_arrays_stay_its_own() -> None:
    success = np.array([0.5, 0.8])
    game = Game(**GOOD | {"success": success})
    success[:] = 0.1
    np.testing.assert_array_equal(game.success, [0.5, 0.8])
