from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from stackroute.analytic import Commitment, Game, InvalidGameError, best_response, expected_passes, solve

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
        ("success", [0.5], "success", "shape (1,)", "models on the last axis"),
        ("cost", [0.2, 0.6, 0.8], "cost", "shape (3,)", "models on the last axis"),
        ("latency", np.zeros((2, 3)), "latency", "shape (2, 3)", "models on the last axis"),
        ("success", [0.8, 0.5], "success[0]", "0.8", "standard < reasoning"),
        ("cost", [0.6, 0.6], "cost[0]", "0.6", "standard < reasoning"),
        ("latency", [[0.1, 0.3], [0.4, 0.3]], "latency[1, 0]", "0.4", "strict=False"),
    ],
)
def test_bad_field_is_named(field: str, value: object, named: str, shown: str, allowed: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        Game(**GOOD | {field: value})
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
def test_orders_can_be_lifted(field: str, value: list[float]) -> None:
    game = Game(**GOOD | {field: value}, strict=False)
    np.testing.assert_array_equal(getattr(game, field), value)
    assert not game.reshape(1).strict
    assert not game.reshape(1)[0].strict


def test_other_checks_stay_without_the_orders() -> None:
    with pytest.raises(InvalidGameError, match=r"success\[0\]: 1\.2"):
        Game(**GOOD | {"success": [1.2, 0.5]}, strict=False)


@pytest.mark.parametrize(
    ("arguments", "named", "shown", "allowed"),
    [
        ({"model": 3}, "model", "3", "1 (standard) or 2 (reasoning)"),
        ({"model": 0}, "model", "0", "1 (standard) or 2 (reasoning)"),
        ({"model": [1, 1.5]}, "model[1]", "1.5", "1 (standard) or 2 (reasoning)"),
        ({"model": "o3"}, "model", "'o3'", "real number"),
        ({"cascade": 1.5}, "cascade", "1.5", "[0, 1]"),
        ({"cascade": [0, -0.1]}, "cascade[1]", "-0.1", "[0, 1]"),
        ({"cascade": NAN}, "cascade", "nan", "[0, 1]"),
        ({"delay": [0, -1]}, "delay[1]", "-1.0", "finite number >= 0"),
        ({"delay": [INF, 0]}, "delay[0]", "inf", "finite number >= 0"),
        ({"delay": 1}, "delay", "shape ()", "models on the last axis"),
        ({"model": [1, 2], "cascade": [0, 0, 0]}, "shape", "(2,)", "broadcast"),
    ],
)
def test_bad_commitment_is_named(arguments: dict[str, Any], named: str, shown: str, allowed: str) -> None:
    with pytest.raises(InvalidGameError) as caught:
        Commitment(**{"model": 1, "cascade": 0.5} | arguments)
    assert caught.value.field == named
    assert shown in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize("patience", [-0.1, 1.1, NAN, "often"])
def test_bad_patience_is_named(patience: object) -> None:
    with pytest.raises(InvalidGameError, match=r"^patience: "):
        expected_passes(Game(**GOOD), Commitment(1, 0), patience)


def test_bad_tie_breaking_is_named() -> None:
    allowed = r"tie_breaking: 'weak' is not allowed; expected 'strong' or 'pessimistic'"
    with pytest.raises(ValueError, match=allowed):
        best_response(Game(**GOOD), Commitment(1, 0), "weak")
    with pytest.raises(ValueError, match=allowed):
        solve(Game(**GOOD), tie_breaking="weak")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
@pytest.mark.parametrize(
    "original",
    [
        Game(**GOOD),
        Game(**GOOD | {"value": [1, 2], "success": [0.9, 0.5]}, strict=False),
        Commitment([1, 2], 0.3, [0, 1]),
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


@pytest.mark.parametrize("original", [Game(**GOOD), Game(**GOOD | {"value": [1, 2]}), Commitment([1, 2], 0.3, [0, 1])])
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
