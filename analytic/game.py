"""The game: arrays that broadcast, validated once at the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from stackroute.analytic import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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


def as_array(value: npt.ArrayLike) -> npt.NDArray[Any]:
    """A value as an array; ValueError, with what is expected, where it is a ragged list or has masked entries."""
    parts = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise ValueError("an array without masked entries")
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError("a regular array") from None


def as_floats(name: str, value: npt.ArrayLike) -> FloatArray:
    """Convert a value to a float64 array of its own."""
    try:
        array = as_array(value)
    except ValueError as error:
        raise InvalidGameError(name, " ".join(repr(value).split()), f"numbers in {error}") from None
    if array.dtype.kind not in "fiu":
        raise InvalidGameError(name, " ".join(repr(value).split()), "a real number or an array of real numbers")
    return array.astype(np.float64)


def over_models(name: str, value: npt.ArrayLike, models: int | None = None, axes: int = 1) -> FloatArray:
    """Convert a value of shape (..., n), or (..., n, n) for two axes, to a float64 array; n is checked where known."""
    array = as_floats(name, value)
    own = array.shape[-axes:]
    if own == () or 0 in own or own != (models or own[0],) * axes:
        expected = ", ".join([str(models or "n")] * axes)
        raise InvalidGameError(name, f"shape {array.shape}", f"shape (..., {expected}): models on the last axis")
    return array


LARGEST, SMALLEST = 1e50, 1e-50
"""The largest number of a game, and the smallest success and value: products and ratios of a few stay finite."""


def check(name: str, array: FloatArray, valid: BoolArray, allowed: str) -> None:
    """Raise an error that names the first entry of `array` that is not `valid`."""
    if valid.all():
        return
    index = tuple(int(i) for i in np.argwhere(~valid)[0])
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    raise InvalidGameError(place, float(array[index]), allowed)


def probability(name: str, value: npt.ArrayLike) -> FloatArray:
    """Validate an array of probabilities."""
    array = as_floats(name, value)
    check(name, array, (array >= 0) & (array <= 1), "a probability in [0, 1]")
    return array


def non_negative(name: str, array: FloatArray) -> None:
    """Raise an error that names the first entry of `array` that is negative, not finite, or above `LARGEST`."""
    check(name, array, np.isfinite(array) & (array >= 0), "a finite number >= 0")
    check(name, array, array <= LARGEST, f"at most {LARGEST:g}")


class Batch:
    """What a game and a commitment share: arrays with one batch shape, each with axes of its own after it."""

    _axes: ClassVar[dict[str, int]]

    def _store(self, fields: dict[str, Any]) -> None:
        """Broadcast the batch axes of the fields and set them."""
        batches = {name: array.shape[: array.ndim - self._axes[name]] for name, array in fields.items()}
        try:
            batch = np.broadcast_shapes(*batches.values())
        except ValueError:
            listed = ", ".join(f"{name} {shape}" for name, shape in batches.items())
            raise InvalidGameError("shape", listed, "batch shapes that broadcast together") from None
        for name, array in fields.items():
            own = array.shape[array.ndim - self._axes[name] :]
            object.__setattr__(self, name, np.broadcast_to(array, (*batch, *own)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single one."""
        name, axes = next(iter(self._axes.items()))
        array: FloatArray = getattr(self, name)
        return array.shape[: array.ndim - axes]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"a single {type(self).__name__} has no length")
        return self.shape[0]

    def __getitem__(self, index: Any) -> Self:
        """Select entries of the batch by an index into the batch shape."""
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
            # Many times faster than indexing with the same array.
            return self._map(lambda array, _: array.take(index, axis=0))
        parts = index if isinstance(index, tuple) else (index,)
        # An ellipsis would reach over a field's own axes too.
        reaches = any(part is Ellipsis for part in parts)
        return self._map(lambda array, axes: array[(*parts, *(slice(None),) * axes) if reaches else parts])

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

    def with_valid(self, **fields: FloatArray) -> Self:
        """The batch with other fields, which are valid and broadcast against the rest."""
        batch = object.__new__(type(self))
        batch._store({name: fields.get(name, getattr(self, name)) for name in self._axes})
        return batch

    @classmethod
    def concatenate(cls, batches: Sequence[Self]) -> Self:
        """Batches one after the other along their first axis."""
        return cls.of_valid(**{name: np.concatenate([getattr(one, name) for one in batches]) for name in cls._axes})

    @classmethod
    def stack(cls, batches: Sequence[Self]) -> Self:
        """Batches of one shape along a new first axis: single ones become a batch of shape (m,)."""
        return cls.of_valid(**{name: np.stack([getattr(one, name) for one in batches]) for name in cls._axes})

    def reshape(self, *shape: int) -> Self:
        """The same entries in another batch shape."""
        return self._map(lambda array, axes: array.reshape(*shape, *array.shape[array.ndim - axes :]))

    def broadcast_to(self, shape: tuple[int, ...]) -> Self:
        """The same entries for every one of a batch shape."""
        return self._map(lambda array, axes: np.broadcast_to(array, (*shape, *array.shape[array.ndim - axes :])))

    def _map(self, function: Callable[[FloatArray, int], FloatArray]) -> Self:
        return self.of_valid(**{name: function(getattr(self, name), axes) for name, axes in self._axes.items()})


@dataclass(frozen=True, eq=False, init=False)
class Game(Batch):
    """One routing game, or a batch of them (Mahmood 2026, section 3; more or fewer than two models beyond the paper).

    Every field broadcasts against the others; the n >= 1 models are on the last axis and are numbered from 0. Money is
    in one unit of your choice; value and latency are in the user's own unit of utility.

    Args:
        success: Probability that a pass solves the task, in (0, 1), shape (..., n). The paper's p.
        cost: What a pass costs the provider, money, >= 0, shape (..., n). The paper's c.
        latency: What waiting for a pass costs the user, utility, >= 0, shape (..., n). The paper's t.
        value: What a solved task is worth to the user, utility, > 0, shape (...). The paper's V. No number is above
            1e50, and neither success nor value is below 1e-50: products and ratios then stay finite.
        churn_penalty: What an abandoned task costs the provider, money, >= 0, shape (...). The paper's P.
        strict: Check the paper's orders: two models, of which the second is the better, dearer and slower one.

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

    _axes: ClassVar[dict[str, int]] = {"success": 1, "cost": 1, "latency": 1, "value": 0, "churn_penalty": 0}

    def __init__(
        self,
        success: npt.ArrayLike,
        cost: npt.ArrayLike,
        latency: npt.ArrayLike,
        value: npt.ArrayLike,
        churn_penalty: npt.ArrayLike,
        *,
        strict: bool = False,
    ) -> None:
        p = over_models("success", success)
        fields = {
            "success": p,
            "cost": over_models("cost", cost, p.shape[-1]),
            "latency": over_models("latency", latency, p.shape[-1]),
            "value": as_floats("value", value),
            "churn_penalty": as_floats("churn_penalty", churn_penalty),
        }
        check("success", p, (p > 0) & (p < 1), "0 < probability < 1")
        for name in ("cost", "latency", "churn_penalty"):
            non_negative(name, fields[name])
        check("value", fields["value"], np.isfinite(fields["value"]) & (fields["value"] > 0), "a finite number > 0")
        check("value", fields["value"], fields["value"] <= LARGEST, f"at most {LARGEST:g}")
        for name in ("success", "value"):
            check(name, fields[name], fields[name] >= SMALLEST, f"at least {SMALLEST:g}")
        self._store(fields)
        if strict:
            self.check_orders()

    def check_orders(self) -> None:
        """Check that these are the paper's games, of two models in ascending order (Mahmood 2026, section 3).

        Raises:
            InvalidGameError: There are not two models, or a success, cost or latency is not in ascending order.
        """
        self.check_models(2)
        for name in ("success", "cost", "latency"):
            array = getattr(self, name)
            ordered: BoolArray = array[..., :1] < array[..., 1:]
            check(name, array[..., :1], ordered, "less than that of the second model: the paper's orders")

    def check_models(self, *allowed: int) -> None:
        """Check the number of models.

        Raises:
            InvalidGameError: It is none of those allowed.
        """
        if self.models not in allowed:
            raise InvalidGameError("models", self.models, " or ".join(map(str, allowed)))

    @property
    def models(self) -> int:
        """The number of models, n."""
        models: int = self.success.shape[-1]
        return models

    @property
    def net_value(self) -> FloatArray:
        """The user's net value of a pass without delay, V p - t, utility, shape (..., n): the paper's xi."""
        return self.with_delay(np.zeros(self.models))

    @property
    def net_cost(self) -> FloatArray:
        """The provider's net cost of a pass, c - P p, money, shape (..., n): the paper's eta."""
        return self.cost - self.churn_penalty[..., None] * self.success

    @property
    def cost_of_pass(self) -> FloatArray:
        """The expected cost of one solved task on each model, c / p, money, shape (..., n): kappa."""
        return self.cost / self.success

    def with_delay(self, delay: FloatArray) -> FloatArray:
        """The user's net value of a pass when the provider adds a delay, V p - t - d.

        A difference within rounding of V p and t + d counts as exactly zero, so that a delay chosen to make
        the user indifferent does so.

        Args:
            delay: Utility, >= 0, shape (..., n).

        Returns:
            Utility, shape (..., n).
        """
        net: FloatArray = kernels.net_value(self.value[..., None], self.success, self.latency + delay)
        return net
