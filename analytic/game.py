"""The game and the provider's commitment: arrays that broadcast, validated once at the boundary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stackroute.analytic import formulas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Fields = dict[str, Any]

MODELS = 2
"""The number of models of the paper's game: 1 is the standard model, 2 the reasoning model."""


class InvalidGameError(ValueError):
    """A game or a commitment holds a value that is not allowed.

    Attributes:
        field: The name of the field, with the index of the first offending entry.
        value: The offending value.
        allowed: What is allowed instead, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(field, value, allowed)

    def __str__(self) -> str:
        return f"{self.field}: {self.value} is not allowed; expected {self.allowed}"


def as_floats(name: str, value: npt.ArrayLike) -> FloatArray:
    """Convert a value to a float64 array of its own.

    Args:
        name: The field's name, for the error.
        value: A number or an array of numbers, any shape.

    Returns:
        A new array of the same shape.

    Raises:
        InvalidGameError: The value is not numeric (text, complex, ragged).
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise InvalidGameError(name, repr(value), "numbers in a regular array") from None
    if array.dtype.kind not in "fiu":
        raise InvalidGameError(name, repr(value), "a real number or an array of real numbers")
    return array.astype(np.float64)


def check(name: str, array: FloatArray, valid: BoolArray, allowed: str) -> None:
    """Raise an error that names the first entry of `array` that is not `valid`.

    Args:
        name: The field's name.
        array: The values, any shape.
        valid: Which of them are allowed, the same shape.
        allowed: What is allowed, in words.

    Raises:
        InvalidGameError: At least one entry is not valid.
    """
    if valid.all():
        return
    index = tuple(int(i) for i in np.argwhere(~valid)[0])
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    raise InvalidGameError(place, float(array[index]), allowed)


def probability(name: str, value: npt.ArrayLike) -> FloatArray:
    """Validate an array of probabilities.

    Args:
        name: The field's name, for the error.
        value: Numbers in [0, 1], any shape.

    Returns:
        The values as a float64 array.

    Raises:
        InvalidGameError: A value lies outside [0, 1] or is not a number.
    """
    array = as_floats(name, value)
    check(name, array, (array >= 0) & (array <= 1), "a probability in [0, 1]")
    return array


def _per_model(name: str, value: npt.ArrayLike) -> FloatArray:
    array = as_floats(name, value)
    if array.ndim == 0 or array.shape[-1] != MODELS:
        raise InvalidGameError(name, f"shape {array.shape}", f"shape (..., {MODELS}): models on the last axis")
    return array


def non_negative(name: str, array: FloatArray) -> None:
    """Raise an error that names the first entry of `array` that is negative or not finite.

    Args:
        name: The field's name.
        array: The values, any shape.

    Raises:
        InvalidGameError: At least one entry is not allowed.
    """
    check(name, array, np.isfinite(array) & (array >= 0), "a finite number >= 0")


def _broadcast(fields: Fields, per_model: frozenset[str]) -> Fields:
    shapes = {name: a.shape[:-1] if name in per_model else a.shape for name, a in fields.items()}
    try:
        batch = np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InvalidGameError("shape", listed, "batch shapes that broadcast together") from None
    return {name: np.broadcast_to(a, (*batch, MODELS) if name in per_model else batch) for name, a in fields.items()}


class _Batch:
    """What a game and a commitment share: fields with one batch shape, some with models on the last axis."""

    _per_model: frozenset[str]
    _fields: tuple[str, ...]

    def _store(self, fields: Fields) -> None:
        for name, array in _broadcast(fields, self._per_model).items():
            object.__setattr__(self, name, array)

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single one."""
        first: FloatArray = getattr(self, self._fields[0])
        return first.shape[:-1] if self._fields[0] in self._per_model else first.shape

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"a single {type(self).__name__} has no length")
        return self.shape[0]

    def __getitem__(self, index: Any) -> Self:
        """Select entries of the batch by an index into the batch shape."""
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
            # Many times faster than indexing with the same array.
            return self._with(self._map(lambda array, _: array.take(index, axis=0)))
        parts = index if isinstance(index, tuple) else (index,)
        # An ellipsis would reach over the models too.
        whole = (*parts, slice(None)) if any(part is Ellipsis for part in parts) else parts
        return self._with(self._map(lambda array, per_model: array[whole if per_model else parts]))

    def __iter__(self) -> Iterator[Self]:
        """The entries along the first batch axis."""
        return (self[index] for index in range(len(self)))

    @classmethod
    def of_valid(cls, **fields: npt.NDArray[Any]) -> Self:
        """A batch of these arrays as they are, all of the same batch shape and valid; they become read-only."""
        batch = object.__new__(cls)
        for name, values in fields.items():
            array = np.asarray(values)
            array.flags.writeable = False
            object.__setattr__(batch, name, array)
        return batch

    def reshape(self, *shape: int) -> Self:
        """The same entries in another batch shape."""
        return self._with(self._map(lambda a, per_model: a.reshape(*shape, MODELS) if per_model else a.reshape(shape)))

    def _with(self, fields: dict[str, Any]) -> Self:
        return self.of_valid(**fields)

    def _map(self, function: Callable[[FloatArray, bool], FloatArray]) -> dict[str, Any]:
        return {name: function(getattr(self, name), name in self._per_model) for name in self._fields}


@dataclass(frozen=True, eq=False)
class Game(_Batch):
    """One routing game, or a batch of them (Mahmood 2026, section 3).

    Every field broadcasts against the others; the models are on the last axis, the standard model first.
    Money is in one unit of your choice; value and latency are in the user's own unit of utility.

    Args:
        success: Probability that a pass solves the task, in (0, 1), shape (..., 2). The paper's p.
        cost: What a pass costs the provider, money, >= 0, shape (..., 2). The paper's c.
        latency: What waiting for a pass costs the user, utility, >= 0, shape (..., 2). The paper's t.
        value: What a solved task is worth to the user, utility, > 0, shape (...). The paper's V.
        churn_penalty: What an abandoned task costs the provider, money, >= 0, shape (...). The paper's P.
        strict: Enforce the paper's orders: the reasoning model is the better, dearer and slower one.
            Formulas that do not need the orders accept games made with `strict=False`.

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not broadcast.

    Examples:
        >>> game = Game(success=[0.5, 0.8], cost=[0.2, 0.6], latency=[0.1, 0.3], value=2, churn_penalty=3)
        >>> game.net_value
        array([0.9, 1.3])
        >>> Game([0.5, 1.2], [0.2, 0.6], [0.1, 0.3], 2, 3)
        Traceback (most recent call last):
        ...
        stackroute.analytic.game.InvalidGameError: success[1]: 1.2 is not allowed; expected 0 < probability < 1
    """

    success: FloatArray
    cost: FloatArray
    latency: FloatArray
    value: FloatArray
    churn_penalty: FloatArray
    strict: bool = field(default=True, kw_only=True)

    _fields = ("success", "cost", "latency", "value", "churn_penalty")
    _per_model = frozenset({"success", "cost", "latency"})

    if TYPE_CHECKING:

        def __init__(
            self,
            success: npt.ArrayLike,
            cost: npt.ArrayLike,
            latency: npt.ArrayLike,
            value: npt.ArrayLike,
            churn_penalty: npt.ArrayLike,
            *,
            strict: bool = True,
        ) -> None: ...

    def __post_init__(self) -> None:
        fields = {
            "success": _per_model("success", self.success),
            "cost": _per_model("cost", self.cost),
            "latency": _per_model("latency", self.latency),
            "value": as_floats("value", self.value),
            "churn_penalty": as_floats("churn_penalty", self.churn_penalty),
        }
        success, value = fields["success"], fields["value"]
        check("success", success, (success > 0) & (success < 1), "0 < probability < 1")
        for name in ("cost", "latency", "churn_penalty"):
            non_negative(name, fields[name])
        check("value", value, np.isfinite(value) & (value > 0), "a finite number > 0")
        if self.strict:
            for name in ("success", "cost", "latency"):
                array = fields[name]
                ordered = array[..., :1] < array[..., 1:]
                allowed = "standard < reasoning (strict=False lifts the paper's orders)"
                check(name, array, np.broadcast_to(ordered, array.shape), allowed)
        self._store(fields)

    @property
    def net_value(self) -> FloatArray:
        """The user's net value of a pass without delay, V p - t, utility, shape (..., 2): the paper's xi."""
        return self.with_delay(np.zeros(MODELS))

    @property
    def net_cost(self) -> FloatArray:
        """The provider's net cost of a pass, c - P p, money, shape (..., 2): the paper's eta."""
        return self.cost - self.churn_penalty[..., None] * self.success

    @property
    def cost_of_pass(self) -> FloatArray:
        """The expected cost of one solved task on each model, c / p, money, shape (..., 2): kappa."""
        return self.cost / self.success

    def with_delay(self, delay: FloatArray) -> FloatArray:
        """The user's net value of a pass when the provider adds a delay, V p - t - d.

        A difference within rounding of V p and t + d counts as exactly zero, so that a delay chosen to make
        the user indifferent does so.

        Args:
            delay: Utility, >= 0, shape (..., 2).

        Returns:
            Utility, shape (..., 2).
        """
        net: FloatArray = formulas.net_value(self.value[..., None], self.success, self.latency + delay)
        return net

    def _with(self, fields: dict[str, Any]) -> Game:
        game = self.of_valid(**fields)
        object.__setattr__(game, "strict", self.strict)
        return game


@dataclass(frozen=True, eq=False)
class Commitment(_Batch):
    """What the provider commits to before the user moves (Mahmood 2026, section 3; delays: section 5).

    Args:
        model: The model of the first pass, 1 (standard) or 2 (reasoning), shape (...). The paper's i.
        cascade: Probability that a re-prompted task moves from model 1 to model 2, shape (...). The paper's s.
        delay: Latency added to each model's passes, utility, >= 0, shape (..., 2).

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not broadcast.

    Examples:
        >>> Commitment(model=1, cascade=0.25).delay
        array([0., 0.])
    """

    model: IntArray
    cascade: FloatArray
    delay: FloatArray = field(default_factory=lambda: np.zeros(MODELS))

    _fields = ("model", "cascade", "delay")
    _per_model = frozenset({"delay"})

    if TYPE_CHECKING:

        def __init__(self, model: npt.ArrayLike, cascade: npt.ArrayLike, delay: npt.ArrayLike = (0.0, 0.0)) -> None: ...

    def __post_init__(self) -> None:
        model = as_floats("model", self.model)
        check("model", model, (model == 1) | (model == 2), "1 (standard) or 2 (reasoning)")
        delay = _per_model("delay", self.delay)
        non_negative("delay", delay)
        cascade = probability("cascade", self.cascade)
        self._store({"model": model.astype(np.int64), "cascade": cascade, "delay": delay})

    def broadcast_to(self, shape: tuple[int, ...]) -> Commitment:
        """The same commitment for every game of a batch shape."""
        return self._with(self._map(lambda a, per_model: np.broadcast_to(a, (*shape, MODELS) if per_model else shape)))
