"""The general chain: any number of models and any routing between them (beyond the paper)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import formulas
from stackroute.analytic.game import InvalidGameError, as_floats, check, non_negative, probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import Commitment, FloatArray, Game

SUM_TOLERANCE = 1e-9
"""How far from 1 the sum of a distribution may be; it is then divided by its sum."""


def _over_models(name: str, value: npt.ArrayLike, axes: int, models: int | None = None) -> FloatArray:
    """An array whose last one or two axes are the models; `models` is their number where it is known."""
    array = as_floats(name, value)
    own = array.shape[-axes:]
    if own == () or 0 in own or own != (models or own[0],) * axes:
        expected = ", ".join(["n" if models is None else str(models)] * axes)
        raise InvalidGameError(name, f"shape {array.shape}", f"shape (..., {expected}): models on the last axis")
    return array


def _distribution(name: str, array: FloatArray) -> FloatArray:
    probability(name, array)
    total = array.sum(axis=-1)
    check(f"sum of {name}", total, np.abs(total - 1) <= SUM_TOLERANCE, f"1 within {SUM_TOLERANCE:g}")
    normalised: FloatArray = array / total[..., None]
    return normalised


def _store(target: object, axes: dict[str, int], arrays: dict[str, FloatArray]) -> None:
    """Broadcast the batch axes, those before a field's own `axes`, and set the fields."""
    batches = {name: array.shape[: array.ndim - axes[name]] for name, array in arrays.items()}
    try:
        batch = np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in batches.items())
        raise InvalidGameError("shape", listed, "batch shapes that broadcast together") from None
    for name, array in arrays.items():
        own = array.shape[array.ndim - axes[name] :]
        object.__setattr__(target, name, np.broadcast_to(array, (*batch, *own)))


@dataclass(frozen=True, eq=False)
class ChainGame:
    """A routing game with n models, or a batch of them (beyond the paper).

    It generalises `Game` from two models, see `from_game`, and asks for no order of them. Every field broadcasts
    against the others; the models are on the last axis. Units are those of `Game`.

    Args:
        success: Probability that a pass solves the task, in (0, 1), shape (..., n).
        cost: What a pass costs the provider, money, >= 0, shape (..., n).
        latency: What waiting for a pass costs the user, utility, >= 0, shape (..., n).
        value: What a solved task is worth to the user, utility, > 0, shape (...).
        churn_penalty: What an abandoned task costs the provider, money, >= 0, shape (...).

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not broadcast.

    Examples:
        >>> ChainGame([0.5, 0.6, 0.8], [0.1, 0.2, 0.6], [0.1, 0.2, 0.4], value=2, churn_penalty=3).models
        3
    """

    success: FloatArray
    cost: FloatArray
    latency: FloatArray
    value: FloatArray
    churn_penalty: FloatArray

    if TYPE_CHECKING:

        def __init__(
            self,
            success: npt.ArrayLike,
            cost: npt.ArrayLike,
            latency: npt.ArrayLike,
            value: npt.ArrayLike,
            churn_penalty: npt.ArrayLike,
        ) -> None: ...

    def __post_init__(self) -> None:
        success = _over_models("success", self.success, 1)
        arrays = {
            "success": success,
            "cost": _over_models("cost", self.cost, 1, success.shape[-1]),
            "latency": _over_models("latency", self.latency, 1, success.shape[-1]),
            "value": as_floats("value", self.value),
            "churn_penalty": as_floats("churn_penalty", self.churn_penalty),
        }
        check("success", success, (success > 0) & (success < 1), "0 < probability < 1")
        for name in ("cost", "latency", "churn_penalty"):
            non_negative(name, arrays[name])
        value = arrays["value"]
        check("value", value, np.isfinite(value) & (value > 0), "a finite number > 0")
        _store(self, {"success": 1, "cost": 1, "latency": 1, "value": 0, "churn_penalty": 0}, arrays)

    @classmethod
    def from_game(cls, game: Game) -> ChainGame:
        """The paper's game as a chain game of two models."""
        return cls(game.success, game.cost, game.latency, game.value, game.churn_penalty)

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single game."""
        return self.value.shape

    @property
    def models(self) -> int:
        """The number of models, n."""
        models: int = self.success.shape[-1]
        return models

    @property
    def net_cost(self) -> FloatArray:
        """The provider's net cost of a pass, eta = c - P p, money, shape (..., n)."""
        return self.cost - self.churn_penalty[..., None] * self.success

    def with_delay(self, delay: FloatArray) -> FloatArray:
        """The user's net value of a pass, xi = V p - t - d, utility, shape (..., n); exactly 0 within rounding."""
        net: FloatArray = formulas.net_value(self.value[..., None], self.success, self.latency + delay)
        return net


@dataclass(frozen=True, eq=False)
class MarkovCommitment:
    """A commitment to a Markov chain over n models (beyond the paper).

    The first pass is on a model drawn from `start`; a re-prompted task moves by `transition`. A distribution must sum
    to 1 within 1e-9 and is divided by its sum.

    Args:
        start: Probability that the first pass is on each model, shape (..., n).
        transition: Probability that a re-prompted task moves from the model of the row to that of the column,
            shape (..., n, n).
        delay: Latency added to each model's passes, utility, >= 0, shape (..., n), or one number for all models.

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not broadcast.

    Examples:
        >>> MarkovCommitment(start=[1, 0], transition=[[0.75, 0.25], [0, 1]]).delay
        array([0., 0.])
        >>> MarkovCommitment(start=[1, 0], transition=[[0.75, 0.5], [0, 1]])
        Traceback (most recent call last):
        ...
        stackroute.analytic.game.InvalidGameError: sum of transition[0]: 1.25 is not allowed; expected 1 within 1e-09
    """

    start: FloatArray
    transition: FloatArray
    delay: FloatArray = field(default_factory=lambda: np.zeros(()))

    if TYPE_CHECKING:

        def __init__(self, start: npt.ArrayLike, transition: npt.ArrayLike, delay: npt.ArrayLike = 0.0) -> None: ...

    def __post_init__(self) -> None:
        start = _over_models("start", self.start, 1)
        models = start.shape[-1]
        transition = _over_models("transition", self.transition, 2, models)
        delay = as_floats("delay", self.delay)
        delay = np.full(models, delay) if delay.ndim == 0 else _over_models("delay", delay, 1, models)
        non_negative("delay", delay)
        arrays = {
            "start": _distribution("start", start),
            "transition": _distribution("transition", transition),
            "delay": delay,
        }
        _store(self, {"start": 1, "transition": 2, "delay": 1}, arrays)

    @classmethod
    def from_commitment(cls, commitment: Commitment) -> MarkovCommitment:
        """The paper's commitment as a chain of two models: start e_i and transition [[1 - s, s], [0, 1]].

        Examples:
            >>> from stackroute.analytic import Commitment
            >>> MarkovCommitment.from_commitment(Commitment(model=1, cascade=0.25)).transition
            array([[0.75, 0.25],
                   [0.  , 1.  ]])
        """
        s = commitment.cascade
        transition = np.stack([1 - s, s, np.zeros_like(s), np.ones_like(s)], axis=-1).reshape(*s.shape, 2, 2)
        return cls(np.eye(2)[commitment.model - 1], transition, commitment.delay)

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single commitment."""
        return self.start.shape[:-1]

    @property
    def models(self) -> int:
        """The number of models, n."""
        models: int = self.start.shape[-1]
        return models
