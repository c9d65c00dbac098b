"""Tasks of hidden difficulty: their types, and ladders of models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from stackroute.analytic.commitment import distribution
from stackroute.analytic.game import Game, InvalidGameError, as_floats, check, non_negative

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, IntArray


def _labels(name: str, labels: npt.ArrayLike | None, types: int) -> tuple[IntArray, tuple[str, ...]]:
    """The number of each type's label, and the labels in their order."""
    given = np.zeros(types, dtype=np.int64) if labels is None else np.asarray(labels)
    if given.shape != (types,):
        raise InvalidGameError(name, f"shape {given.shape}", f"a label for each of {types} types")
    found, number = np.unique(given, return_inverse=True)
    return number, tuple(map(str, found))


@dataclass(frozen=True, eq=False, init=False)
class Traffic:
    """Tasks that differ: hidden types, of which the provider sees a context and the user a group (beyond the paper).

    A type is a game: the success, cost and latency of every model on its tasks. Given its type, attempts are
    independent; over all tasks they are not, since a failure speaks for a hard type. The provider sees the group too.

    Args:
        games: The types, shape (T,).
        weight: How frequent each is, > 0, shape (T,) or one number; divided by their sum.
        context: What the provider sees of each type, labels of shape (T,); None: nothing.
        group: What user and provider see of each type, labels of shape (T,); None: nothing.
        features: What is known of each context as numbers, shape (C, F), in the order of the sorted labels.

    Attributes:
        contexts: The labels of the contexts, sorted; `context` holds their numbers.
        groups: The labels of the groups, sorted; `group` holds their numbers.

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not fit.

    Examples:
        >>> easy_and_hard = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> traffic = Traffic(easy_and_hard, weight=[0.7, 0.3])
        >>> traffic.mean.success
        array([[0.66 , 0.845]])
    """

    games: Game
    weight: FloatArray
    context: IntArray
    group: IntArray
    features: FloatArray | None
    contexts: tuple[str, ...]
    groups: tuple[str, ...]

    def __init__(
        self,
        games: Game,
        weight: npt.ArrayLike = 1.0,
        context: npt.ArrayLike | None = None,
        group: npt.ArrayLike | None = None,
        features: npt.ArrayLike | None = None,
    ) -> None:
        if len(games.shape) != 1 or not len(games):
            raise InvalidGameError("games", f"shape {games.shape}", "a batch of shape (T,), the types")
        weights = as_floats("weight", weight)
        check("weight", weights, np.isfinite(weights) & (weights > 0.0), "a finite number > 0")
        if weights.shape not in ((), games.shape):
            raise InvalidGameError("weight", f"shape {weights.shape}", f"a number for each of {len(games)} types")
        weights = np.broadcast_to(weights, games.shape)
        numbers, contexts = _labels("context", context, len(games))
        group_numbers, groups = _labels("group", group, len(games))
        known = None if features is None else as_floats("features", features)
        if known is not None:
            check("features", known, np.isfinite(known), "a finite number")
            if known.ndim != 2 or len(known) != len(contexts):
                raise InvalidGameError("features", f"shape {known.shape}", f"shape ({len(contexts)}, F): by context")
        fields = (games, weights / weights.sum(), numbers, group_numbers, known, contexts, groups)
        for name, value in zip(self.__dataclass_fields__, fields, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def beta(
        cls,
        a: float,
        b: float,
        cost: npt.ArrayLike,
        latency: npt.ArrayLike,
        value: npt.ArrayLike,
        churn_penalty: npt.ArrayLike,
        types: int = 32,
    ) -> Self:
        """One model whose success differs from task to task by a Beta distribution (beyond the paper).

        After j failures the next attempt succeeds with probability a / (a + b + j), so that users re-prompt exactly
        while V a / (a + b + j) > t. The types are the nodes of a Gauss-Jacobi quadrature, with which all of this is
        exact up to 2 `types` - 1 attempts.

        Args:
            a: Of the distribution, > 0.
            b: Of the distribution, > 0.
            cost: As of `Game`, one number.
            latency: As of `Game`, one number.
            value: As of `Game`, one number.
            churn_penalty: As of `Game`, one number.
            types: Number of types.

        Returns:
            The traffic.

        Raises:
            InvalidGameError: A number is not allowed.

        Examples:
            >>> from stackroute.analytic import counting_response
            >>> traffic = Traffic.beta(0.2, 0.3, cost=1, latency=1, value=5, churn_penalty=4)
            >>> found, _ = counting_response(traffic, Ladders.static(0), horizon=30)
            >>> found  # 5 * 0.2 / (0.5 + j) > 1 for j = 0
            array([1])
        """
        for name, parameter in (("a", a), ("b", b)):
            number = as_floats(name, parameter)
            check(name, number, np.isfinite(number) & (number > 0.0), "a finite number > 0")
        success, weight = scipy.special.roots_sh_jacobi(types, a + b - 1.0, a)
        spent, waited = np.reshape(as_floats("cost", cost), (1, 1)), np.reshape(as_floats("latency", latency), (1, 1))
        games = Game(success[:, None], spent, waited, value, churn_penalty)
        return cls(games, weight)

    def __len__(self) -> int:
        return len(self.games)

    @property
    def models(self) -> int:
        """The number of models, n."""
        return self.games.models

    def in_group(self, group: int) -> Self:
        """The tasks of one group, with the contexts that it has."""
        mine = np.flatnonzero(self.group == group)
        context = np.array(self.contexts)[self.context[mine]]
        known = None if self.features is None else self.features[np.unique(self.context[mine])]
        return type(self)(self.games[mine], self.weight[mine], context, features=known)

    @property
    def group_weight(self) -> FloatArray:
        """How frequent each group is, shape (G,)."""
        return np.bincount(self.group, self.weight).astype(np.float64)

    @cached_property
    def mean(self) -> Game:
        """The game with the mean of everything in each group: what is left where attempts are taken for independent."""
        share, games = self.by_group, self.games
        means = (
            share @ array for array in (games.success, games.cost, games.latency, games.value, games.churn_penalty)
        )
        return Game(*means)

    @cached_property
    def by_group(self) -> FloatArray:
        """The weights of the types within each group, each of which sums to 1, shape (G, T)."""
        weight = self.weight * (np.arange(len(self.groups))[:, None] == self.group)
        share: FloatArray = weight / weight.sum(axis=1, keepdims=True)
        return share


@dataclass(frozen=True, eq=False, init=False)
class Ladders:
    """A policy of routing by attempt: a mixture of sequences of models, drawn once for a task (beyond the paper).

    Args:
        models: The model of each attempt on each ladder, shape (L, N); the last one serves all attempts after it.
        probability: With which each ladder is drawn, by group and context, shape (G, C, L), (C, L) or (L,).
        delay: Latency added to each attempt, in the unit of the game's latency, >= 0, shape (G, N) or (N,), or one
            number; the last one holds for all attempts after it.

    Raises:
        InvalidGameError: A field holds a value that is not allowed, or the shapes do not fit.

    Examples:
        >>> Ladders.switch(first=0, then=1, after=2).models
        array([[0, 0, 1]])
    """

    models: IntArray
    probability: FloatArray
    delay: FloatArray

    def __init__(self, models: npt.ArrayLike, probability: npt.ArrayLike = 1.0, delay: npt.ArrayLike = 0.0) -> None:
        ladders = as_floats("models", models)
        allowed = "a model, a whole number from 0"
        check("models", ladders, (ladders >= 0) & (ladders == np.floor(ladders)), allowed)
        if ladders.ndim != 2 or 0 in ladders.shape:
            raise InvalidGameError("models", f"shape {ladders.shape}", "shape (L, N): ladders by attempts")
        chances = np.atleast_1d(as_floats("probability", probability))
        if chances.shape[-1] != len(ladders) or chances.ndim > 3:
            expected = f"shape (G, C, {len(ladders)}), (C, {len(ladders)}) or ({len(ladders)},)"
            raise InvalidGameError("probability", f"shape {chances.shape}", expected)
        delays = as_floats("delay", delay)
        non_negative("delay", delays)
        if delays.ndim > 2:
            raise InvalidGameError("delay", f"shape {delays.shape}", "shape (G, N) or (N,): attempts on the last axis")
        object.__setattr__(self, "models", ladders.astype(np.int64))
        object.__setattr__(self, "probability", distribution("probability", chances))
        object.__setattr__(self, "delay", np.atleast_2d(delays))

    @classmethod
    def static(cls, model: int) -> Self:
        """One model serves every attempt."""
        return cls([[model]])

    @classmethod
    def switch(cls, first: int, then: int, after: int) -> Self:
        """One model serves a number of attempts, another one all that follow."""
        return cls([[first] * after + [then]])

    def chances(self, group: IntArray, context: IntArray) -> FloatArray:
        """With which probability each ladder is drawn for tasks of these groups and contexts, shape (k, L).

        Raises:
            InvalidGameError: There are no such groups or contexts.
        """
        by_label = self.probability.reshape((1,) * (3 - self.probability.ndim) + self.probability.shape)
        at = []
        for labels, known in zip((group, context), by_label.shape, strict=False):
            if known > 1 and labels.max() >= known:
                raise InvalidGameError(
                    "probability", f"shape {self.probability.shape}", "one for each group and context"
                )
            at.append(labels if known > 1 else np.zeros_like(labels))
        chances: FloatArray = by_label[at[0], at[1]]
        return chances

    def delays(self, group: IntArray, attempt: IntArray) -> FloatArray:
        """The delays of attempts, from 0, of tasks of these groups, of the common shape."""
        delays: FloatArray = self.delay[
            group if len(self.delay) > 1 else np.zeros_like(group), np.minimum(attempt, self.delay.shape[1] - 1)
        ]
        return delays

    def until(self, horizon: int) -> IntArray:
        """The model of each attempt up to a horizon, shape (L, horizon)."""
        return self.models[:, np.minimum(np.arange(horizon), self.models.shape[1] - 1)]
