from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    best_response,
    expected_passes,
    nash_equilibria,
    solve,
    throttling_gain,
)

GOOD: dict[str, Any] = {
    "success": [0.5, 0.8],
    "cost": [0.2, 0.6],
    "latency": [0.1, 0.3],
    "value": 2,
    "churn_penalty": 3,
}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("field", "value", "named", "shown", "allowed"),
    [
        ("success", [0.5, 1.2], "success[1]", "1.2", "0 < probability < 1"),
        ("success", [0, 0.8], "success[0]", "0.0", "0 < probability < 1"),
        ("success", [0.5, 1], "success[1]", "1.0", "0 < probability < 1"),
        ("success", [-0.1, 0.8], "success[0]", "-0.1", "0 < probability < 1"),
        ("success", [NAN, 0.8], "success[0]", "nan", "0 < probability < 1"),
        ("success", [[0.5, 0.8], [0.5, 1.5]], "success[1, 1]", "1.5", "0 < probability < 1"),
        ("cost", [-0.2, 0.6], "cost[0]", "-0.2", "finite number >= 0"),
        ("cost", [0.2, INF], "cost[1]", "inf", "finite number >= 0"),
        ("latency", [0.1, NAN], "latency[1]", "nan", "finite number >= 0"),
        ("latency", [-1, 0.3], "latency[0]", "-1.0", "finite number >= 0"),
        ("value", 0, "value", "0.0", "finite number > 0"),
        ("value", -1, "value", "-1.0", "finite number > 0"),
        ("value", INF, "value", "inf", "finite number > 0"),
        ("value", [1, NAN], "value[1]", "nan", "finite number > 0"),
        ("churn_penalty", -3, "churn_penalty", "-3.0", "finite number >= 0"),
        ("churn_penalty", [[1, 2, -3]], "churn_penalty[0, 2]", "-3.0", "finite number >= 0"),
        ("value", "two", "value", "'two'", "real number"),
        ("value", None, "value", "None", "real number"),
        ("value", True, "value", "True", "real number"),
        ("value", 1j, "value", "1j", "real number"),
        ("success", ["0.5", "0.8"], "success", "'0.8'", "real number"),
        ("cost", [[0.2, 0.6], [0.1]], "cost", "[0.1]", "regular array"),
        ("success", 0.5, "success", "shape ()", "models on the last axis"),
        ("success", np.zeros((3, 0)), "success", "shape (3, 0)", "shape (..., n): models on the last axis"),
        ("cost", [0.2, 0.6, 0.8], "cost", "shape (3,)", "models on the last axis"),
        ("latency", np.zeros((2, 3)), "latency", "shape (2, 3)", "shape (..., 2): models on the last axis"),
        ("success", [0.8, 0.5], "success[0]", "0.8", "less than that of the second model"),
        ("cost", [0.6, 0.6], "cost[0]", "0.6", "less than that of the second model"),
        ("latency", [[0.1, 0.3], [0.4, 0.3]], "latency[1, 0]", "0.4", "the paper's orders"),
    ],
)
def test_bad_field_is_named(field: str, value: object, named: str, shown: str, allowed: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        Game(**GOOD | {field: value}, strict=True)
    message = str(caught.value)
    assert caught.value.field == named
    assert message.startswith(f"{named}: ")
    assert shown in message
    assert allowed in message
    assert allowed in caught.value.allowed
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(InvalidGameError, match=r"value \(3,\), churn_penalty \(2,\).*broadcast") as caught:
        Game(**GOOD | {"value": [1, 2, 3], "churn_penalty": [1, 2]})
    assert caught.value.field == "shape"


@pytest.mark.parametrize(("field", "value"), [("success", [0.8, 0.5]), ("cost", [0.6, 0.2]), ("latency", [0.3, 0.3])])
def test_orders_are_checked_where_they_are_needed(field: str, value: list[float]) -> None:
    game = Game(**GOOD | {field: value})
    np.testing.assert_array_equal(getattr(game, field), value)
    for needs_them in (game.check_orders, lambda: throttling_gain(game), lambda: nash_equilibria(game)):
        with pytest.raises(InvalidGameError, match=rf"{field}\[0\]: .*the paper's orders"):
            needs_them()


@pytest.mark.parametrize("models", [1, 3])
def test_orders_are_those_of_two_models(models: int) -> None:
    game = Game([0.5] * models, [0.1] * models, [0.1] * models, 1, 1)
    assert game.models == models
    with pytest.raises(InvalidGameError, match=f"models: {models} is not allowed; expected 2"):
        game.check_orders()


@pytest.mark.parametrize(
    ("arguments", "named", "shown", "allowed"),
    [
        ({"first_model": 2}, "first_model", "2", "a model, a whole number from 0 to 1"),
        ({"first_model": -1}, "first_model", "-1", "from 0 to 1"),
        ({"first_model": [0, 0.5]}, "first_model[1]", "0.5", "a whole number"),
        ({"first_model": "o3"}, "first_model", "'o3'", "real number"),
        ({"probability": 1.5}, "probability", "1.5", "[0, 1]"),
        ({"probability": [0, -0.1]}, "probability[1]", "-0.1", "[0, 1]"),
        ({"probability": NAN}, "probability", "nan", "[0, 1]"),
        ({"delay": [0, -1]}, "delay[1]", "-1.0", "finite number >= 0"),
        ({"delay": [INF, 0]}, "delay[0]", "inf", "finite number >= 0"),
        ({"delay": [1, 2, 3]}, "delay", "shape (3,)", "models on the last axis"),
        ({"first_model": [0, 1], "probability": [0, 0, 0]}, "shape", "(2,)", "broadcast"),
        ({"models": 3}, "probability", "shape ()", "shape (..., 2): one for each model but the last"),
        ({"models": 3, "probability": [0.5]}, "probability", "shape (1,)", "shape (..., 2)"),
    ],
)
def test_bad_cascade_is_named(arguments: dict[str, Any], named: str, shown: str, allowed: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        Commitment.cascade(**{"first_model": 0, "probability": 0.5} | arguments)
    assert caught.value.field == named
    assert shown in str(caught.value)
    assert allowed in str(caught.value)


STAY = np.eye(2)


@pytest.mark.parametrize(
    ("start", "transition", "delay", "message"),
    [
        ([0.5, 0.4], STAY, 0, "sum of start: 0.9 is not allowed; expected 1 within 1e-09"),
        ([1.5, -0.5], STAY, 0, "start[0]: 1.5 is not allowed; expected a probability in [0, 1]"),
        ([NAN, 1], STAY, 0, "start[0]: nan is not allowed"),
        ([1, 0], [[1, 0], [0.5, 0.25]], 0, "sum of transition[1]: 0.75 is not allowed"),
        ([1, 0], [[1, 0], [2, -1]], 0, "transition[1, 0]: 2.0 is not allowed; expected a probability in [0, 1]"),
        ([1, 0], np.eye(3), 0, "transition: shape (3, 3) is not allowed; expected shape (..., 2, 2)"),
        ([1, 0], [0, 1], 0, "transition: shape (2,) is not allowed"),
        ([1, 0], [[1, 0]], 0, "transition: shape (1, 2) is not allowed"),
        ([1, 0], STAY, INF, "expected a finite number >= 0"),
        ([[1, 0]] * 2, [STAY] * 3, 0, "shape: start (2,), transition (3,), delay () is not allowed"),
    ],
)
def test_bad_commitment_is_named(start: object, transition: object, delay: object, message: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        Commitment(start, transition, delay)
    assert message in str(caught.value)


def test_bad_static_and_lottery_are_named() -> None:
    with pytest.raises(InvalidGameError, match=r"model: 3\.0 is not allowed; expected a model, .* 0 to 2"):
        Commitment.static(3, models=3)
    with pytest.raises(InvalidGameError, match=r"sum of lottery\[0\]: 0\.75"):
        Commitment.lottery([1, 0], [0.5, 0.25])


def test_distributions_are_divided_by_their_sum() -> None:
    third = [0.3333333333, 0.3333333333, 0.3333333333]
    commitment = Commitment.lottery(third, third)
    np.testing.assert_allclose(commitment.start, [1 / 3] * 3, rtol=1e-15)
    np.testing.assert_allclose(commitment.transition, np.full((3, 3), 1 / 3), rtol=1e-15)


@pytest.mark.parametrize("models", [1, 3])
def test_game_and_commitment_have_the_same_models(models: int) -> None:
    other = Commitment.static(0, models=models)
    message = rf"commitment: {models} models is not allowed; expected 2 models, as in the game"
    for call in (lambda: expected_passes(Game(**GOOD), other, 1), lambda: best_response(Game(**GOOD), other)):
        with pytest.raises(InvalidGameError, match=message):
            call()


def test_solve_says_what_it_solves() -> None:
    with pytest.raises(InvalidGameError, match="models: 3 is not allowed; expected one or two"):
        solve(Game([0.5] * 3, [0.1] * 3, [0.1] * 3, 1, 1))
    with pytest.raises(ValueError, match="routing: 'free' is not allowed; expected 'cascade'"):
        solve(Game(**GOOD), "free")


@pytest.mark.parametrize("patience", [-0.1, 1.1, NAN, "often"])
def test_bad_patience_is_named(patience: object) -> None:
    with pytest.raises(InvalidGameError, match=r"^patience: "):
        expected_passes(Game(**GOOD), Commitment.static(0), patience)


def test_bad_tie_breaking_is_named() -> None:
    allowed = r"tie_breaking: 'weak' is not allowed; expected 'strong' or 'pessimistic'"
    with pytest.raises(ValueError, match=allowed):
        best_response(Game(**GOOD), Commitment.static(0), "weak")
    with pytest.raises(ValueError, match=allowed):
        solve(Game(**GOOD), tie_breaking="weak")


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


def test_errors_survive_pickling() -> None:
    error = InvalidGameError("success[1]", 1.2, "0 < probability < 1")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


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
