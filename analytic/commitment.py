"""What the provider commits to: where a task starts, and where each re-prompt moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from stackroute.analytic.game import Batch, InvalidGameError, as_floats, check, non_negative, over_models, probability

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

SUM_TOLERANCE = 1e-9
"""How far from 1 the sum of a distribution may be; it is then divided by its sum."""


def distribution(name: str, array: FloatArray) -> FloatArray:
    """Validate distributions over the last axis, and divide each by its sum."""
    probability(name, array)
    total = array.sum(axis=-1)
    check(f"sum of {name}", total, np.abs(total - 1) <= SUM_TOLERANCE, f"1 within {SUM_TOLERANCE:g}")
    normalised: FloatArray = array / total[..., None]
    return normalised


def _start_on(name: str, model: npt.ArrayLike, models: int) -> FloatArray:
    """The start distribution that is certain of one model."""
    number = as_floats(name, model)
    allowed = f"a model, a whole number from 0 to {models - 1}"
    check(name, number, (number >= 0) & (number < models) & (number == np.floor(number)), allowed)
    certain: FloatArray = np.eye(models)[number.astype(np.int64)]
    return certain


@dataclass(frozen=True, eq=False, init=False)
class Commitment(Batch):
    """A commitment to a Markov chain over n models, or a batch of them (beyond the paper, whose cascades are some).

    The first pass is on a model drawn from `start`; a re-prompted task moves by `transition`. A distribution must sum
    to 1 within 1e-9 and is divided by its sum. `cascade`, `lottery` and `static` make the usual ones.

    Args:
        start: Probability that the first pass is on each model, shape (..., n).
        transition: Probability that a re-prompted task moves from the model of the row to that of the column,
            shape (..., n, n).
        delay: Latency added to each model's passes, utility, >= 0, shape (..., n), or one number for all models.

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not broadcast.

    Examples:
        >>> Commitment(start=[1, 0], transition=[[0.75, 0.25], [0, 1]]).delay
        array([0., 0.])
        >>> Commitment(start=[1, 0], transition=[[0.75, 0.5], [0, 1]])
        Traceback (most recent call last):
        ...
        stackroute.analytic.game.InvalidGameError: sum of transition[0]: 1.25 is not allowed; expected 1 within 1e-09
    """

    start: FloatArray
    transition: FloatArray
    delay: FloatArray

    _axes: ClassVar[dict[str, int]] = {"start": 1, "transition": 2, "delay": 1}

    def __init__(self, start: npt.ArrayLike, transition: npt.ArrayLike, delay: npt.ArrayLike = 0.0) -> None:
        begin = over_models("start", start)
        models = begin.shape[-1]
        moves = over_models("transition", transition, models, axes=2)
        added = as_floats("delay", delay)
        added = np.full(models, added) if added.ndim == 0 else over_models("delay", added, models)
        non_negative("delay", added)
        self._store(
            {"start": distribution("start", begin), "transition": distribution("transition", moves), "delay": added}
        )

    @classmethod
    def cascade(
        cls, first_model: npt.ArrayLike, probability: npt.ArrayLike, delay: npt.ArrayLike = 0.0, *, models: int = 2
    ) -> Self:
        """Start on one model; a re-prompt moves on to the next (Mahmood 2026, section 3; n models beyond the paper).

        The last model keeps the task.

        Args:
            first_model: The model of the first pass, 0 to n - 1, shape (...). The paper's i.
            probability: Probability that a re-prompted task moves from model k to model k + 1, the paper's s: of shape
                (...) for two models, of shape (..., n - 1) otherwise.
            delay: Latency added to each model's passes, utility, >= 0, shape (..., n), or one number for all models.
            models: The number of models, n.

        Returns:
            The commitment.

        Raises:
            InvalidGameError: An argument holds a value that is not allowed, or the shapes do not broadcast.

        Examples:
            >>> Commitment.cascade(0, 0.25).transition
            array([[0.75, 0.25],
                   [0.  , 1.  ]])
            >>> Commitment.cascade(0, [0.25, 0.5], models=3).cascade_probability
            array([0.25, 0.5 ])
        """
        s = as_floats("probability", probability)
        check("probability", s, (s >= 0) & (s <= 1), "a probability in [0, 1]")
        s = s[..., None] if models == 2 else s
        if s.ndim == 0 or s.shape[-1] != models - 1:
            expected = f"shape (..., {models - 1}): one for each model but the last"
            raise InvalidGameError("probability", f"shape {s.shape}", expected)
        moves = np.zeros((*s.shape[:-1], models, models))
        here = np.arange(models - 1)
        moves[..., here, here], moves[..., here, here + 1], moves[..., -1, -1] = 1.0 - s, s, 1.0
        return cls(_start_on("first_model", first_model, models), moves, delay)

    @classmethod
    def lottery(cls, start: npt.ArrayLike, lottery: npt.ArrayLike, delay: npt.ArrayLike = 0.0) -> Self:
        """Every re-prompt is served by model k with a fixed probability, whatever came before (beyond the paper).

        Args:
            start: Probability that the first pass is on each model, shape (..., n).
            lottery: Probability that a re-prompt is served by each model, shape (..., n).
            delay: Latency added to each model's passes, utility, >= 0, shape (..., n), or one number for all models.

        Returns:
            The commitment.

        Raises:
            InvalidGameError: An argument holds a value that is not allowed, or the shapes do not broadcast.

        Examples:
            >>> Commitment.lottery([0, 1], [0.25, 0.75]).transition
            array([[0.25, 0.75],
                   [0.25, 0.75]])
        """
        z = over_models("lottery", lottery)
        moves = np.broadcast_to(z[..., None, :], (*z.shape, z.shape[-1]))
        return cls(start, distribution("lottery", moves), delay)

    @classmethod
    def static(cls, model: npt.ArrayLike, delay: npt.ArrayLike = 0.0, *, models: int = 2) -> Self:
        """One model serves as long as the task lasts.

        Args:
            model: The model, 0 to n - 1, shape (...).
            delay: Latency added to each model's passes, utility, >= 0, shape (..., n), or one number for all models.
            models: The number of models, n.

        Returns:
            The commitment.

        Raises:
            InvalidGameError: An argument holds a value that is not allowed, or the shapes do not broadcast.

        Examples:
            >>> Commitment.static([0, 1]).start
            array([[1., 0.],
                   [0., 1.]])
        """
        return cls(_start_on("model", model, models), np.eye(models), delay)

    @property
    def models(self) -> int:
        """The number of models, n."""
        models: int = self.start.shape[-1]
        return models

    @property
    def first_model(self) -> IntArray:
        """The likeliest model of the first pass, shape (...): the paper's i, counted from 0."""
        model: IntArray = self.start.argmax(axis=-1)
        return model

    @property
    def cascade_probability(self) -> FloatArray:
        """Probability that a re-prompted task moves from model k to model k + 1, shape (..., n - 1): the paper's s."""
        return np.diagonal(self.transition, 1, -2, -1)

    @property
    def is_cascade(self) -> BoolArray:
        """Whether the start is certain and a re-prompt moves only to the next model, shape (...)."""
        here = np.arange(self.models)
        moves = self.transition * ((here != here[:, None]) & (here != here[:, None] + 1))
        cascade: BoolArray = (self.start == 1.0).any(axis=-1) & ~moves.any(axis=(-2, -1))
        return cascade

    def without_delay(self) -> Self:
        """The same commitment at full speed."""
        return self.of_valid(start=self.start, transition=self.transition, delay=np.zeros(self.delay.shape))
