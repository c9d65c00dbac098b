"""What routers learn from and how they answer: the protocols that all of them follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray, IntArray

NEAR = 1e-12
"""Scores that differ by less are equal; the cheaper model is then taken."""


class Outcomes(NamedTuple):
    """What is known of N answered tasks and M models.

    Attributes:
        features: What is known of each task beforehand, shape (N, F), F >= 1.
        quality: How good each model's answer was, or how often it was right, in [0, 1]; NaN where it was not asked,
            shape (N, M).
        cost: What each answer costs the provider, money, >= 0, shape (N, M).
        latency: What waiting for each answer costs the user, utility, >= 0, shape (N, M).
    """

    features: FloatArray
    quality: FloatArray
    cost: FloatArray
    latency: FloatArray

    @property
    def models(self) -> int:
        """The number of models, M."""
        return int(self.quality.shape[1])

    def take(self, tasks: IntArray) -> Outcomes:
        """The outcomes of some of the tasks, by their rows."""
        return Outcomes(*(array[tasks] for array in self))


class Prediction(NamedTuple):
    """What a router expects of each model on each of N tasks.

    Attributes:
        success: How good its answer is, in [0, 1], shape (N, M).
        cost: What it costs, money, shape (N, M).
        latency: What waiting for it costs the user, utility, shape (N, M).
    """

    success: FloatArray
    cost: FloatArray
    latency: FloatArray


@runtime_checkable
class Router(Protocol):
    """Chooses the model that answers a task first."""

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Learn from a log; the same log and the same random numbers make the same router.

        Raises:
            ValueError: The log has no task or model, shapes do not fit, or a number is not allowed.
        """
        ...

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """With which probability each model answers each task.

        Args:
            features: Those of all tasks that wait, shape (N, F): a router may weigh them against each other.
            knob: In [0, 1]; the larger, the more quality counts against cost.

        Returns:
            Shape (N, M); rows sum to 1.
        """
        ...


@runtime_checkable
class Predictor(Protocol):
    """A router that predicts each model's answer, so that another rule may choose in place of its own."""

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """As of `Router`."""
        ...

    def predict(self, features: FloatArray) -> Prediction:
        """What is to be expected on tasks of these features, shape (N, F)."""
        ...

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The router's own rule, shape (N, M): `route(x, knob)` is `choose(predict(x), knob)`, but for exploration."""
        ...


@runtime_checkable
class ExtendingRouter(Router, Protocol):
    """A router that serves by more than single models: its rows are over the models of `extended`."""

    def extended(self, games: Game) -> Game:
        """Games with all that it serves by as models, in the order of its rows; those of the log come first."""
        ...

    def named(self, labels: Sequence[str]) -> tuple[str, ...]:
        """What all that it serves by is called, in the same order, from the names of the log's models."""
        ...


@runtime_checkable
class OnlineRouter(Router, Protocol):
    """A router that goes on learning while it routes."""

    def update(self, features: FloatArray, model: int, quality: float, cost: float, latency: float) -> None:
        """Learn from one answer to a task of these features, shape (F,); cost and latency NaN where not known."""
        ...


def checked(log: Outcomes) -> Outcomes:
    """A log whose arrays are of float64.

    Raises:
        ValueError: It has no task, feature or model, the shapes do not fit, or a number is not allowed.
    """
    found = Outcomes(*(np.asarray(array, dtype=np.float64) for array in log))
    shape = found.quality.shape
    if found.quality.ndim != 2 or 0 in shape:
        raise ValueError(f"quality: shape {shape} is not allowed; expected (N, M): tasks by models, at least one each")
    for name, expected in (("cost", shape), ("latency", shape), ("features", (shape[0], *found.features.shape[1:]))):
        array = getattr(found, name)
        if array.shape != expected or array.ndim != 2 or not array.size:
            wanted = f"({shape[0]}, F), F >= 1" if name == "features" else str(shape)
            raise ValueError(f"{name}: shape {array.shape} is not allowed; expected {wanted}")
    valid = {
        "features": np.isfinite(found.features),
        "quality": np.isnan(found.quality) | ((found.quality >= 0.0) & (found.quality <= 1.0)),
        "cost": np.isfinite(found.cost) & (found.cost >= 0.0),
        "latency": np.isfinite(found.latency) & (found.latency >= 0.0),
    }
    allowed = {"features": "a finite number", "quality": "a number in [0, 1], or NaN"}
    for name, ok in valid.items():
        if not ok.all():
            row, column = np.argwhere(~ok)[0]
            value = getattr(found, name)[row, column]
            wanted = allowed.get(name, "a finite number >= 0")
            raise ValueError(f"{name}[{row}, {column}]: {value} is not allowed; expected {wanted}")
    return found


def mean_quality(log: Outcomes) -> FloatArray:
    """Each model's mean quality over the tasks that it answered, 0 where there are none, shape (M,)."""
    known = ~np.isnan(log.quality)
    mean: FloatArray = np.where(known, log.quality, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean


def filled(log: Outcomes) -> FloatArray:
    """The quality with each model's mean where it is not known, shape (N, M)."""
    quality: FloatArray = np.where(np.isnan(log.quality), mean_quality(log), log.quality)
    return quality


def best_of(score: FloatArray, cost: FloatArray) -> FloatArray:
    """Certainty of the model with the greatest score, of equal ones of the cheapest, rows of shape (N, M)."""
    near = score >= score.max(axis=1, keepdims=True) - NEAR
    best: FloatArray = np.eye(score.shape[1])[np.where(near, cost, np.inf).argmin(axis=1)]
    return best


def trade_off(expected: Prediction, knob: float, dearest: float) -> FloatArray:
    """The model with the greatest knob x success - (1 - knob) x cost / dearest: the rule of most published routers.

    Args:
        expected: What each model is expected to do.
        knob: In [0, 1].
        dearest: The cost that counts as much as a certain success at a knob of 1 / 2, money.

    Returns:
        Shape (N, M), rows with a single 1.
    """
    cost = expected.cost / dearest if dearest > 0.0 else expected.cost
    return best_of(knob * expected.success - (1.0 - knob) * cost, cost)


def dearest_mean_cost(log: Outcomes) -> float:
    """The mean cost of the dearest model: the scale of `trade_off`."""
    return float(log.cost.mean(axis=0).max())
