"""Tasks of hidden difficulty: their types, ladders of models, and what these are worth to users who count failures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

from stackroute.analytic.commitment import Commitment, distribution
from stackroute.analytic.game import Game, InvalidGameError, as_floats, check, non_negative

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.analytic.populations import Population

INDIFFERENT = 1e-8
"""Utilities that differ by less than this share of the largest net value of a pass are taken for equal by users."""


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


class TrafficPayoffs(NamedTuple):
    """What stopping after n failures, n = 1 to N, is worth under a policy.

    Attributes:
        user_utility: The user's expected utility of a task, shape (G, N); with types of users (m, G, N).
        provider_cost: The provider's expected cost of a task, money, of the same shape.
    """

    user_utility: FloatArray
    provider_cost: FloatArray


def _served(traffic: Traffic, policy: Ladders | Commitment, horizon: int) -> tuple[FloatArray, FloatArray]:
    """How likely each type's task comes to each attempt on each model, shape (T, N, n), and the delays that apply."""
    p = traffic.games.success
    served = np.zeros((len(traffic), horizon, traffic.models))
    if isinstance(policy, Commitment):
        reached = np.broadcast_to(policy.start, p.shape)
        for attempt in range(horizon):
            served[:, attempt] = reached
            reached = (reached * (1.0 - p)) @ policy.transition
        return served, policy.delay
    if policy.models.max() >= traffic.models:
        raise InvalidGameError("models", policy.models.max(), f"a model, a whole number from 0 to {traffic.models - 1}")
    attempts = np.arange(horizon)
    shape = (len(traffic.groups), len(traffic.contexts), len(policy.models))
    try:
        np.broadcast_to(policy.probability, shape)
    except ValueError:
        raise InvalidGameError("probability", f"shape {policy.probability.shape}", f"shape {shape}") from None
    chances = policy.chances(traffic.group, traffic.context)
    for ladder, chance in zip(policy.until(horizon), chances.T, strict=True):
        left = np.cumprod(1.0 - p[:, ladder[:-1]], axis=1)
        served[:, attempts, ladder] += chance[:, None] * np.concatenate([np.ones((len(p), 1)), left], axis=1)
    return served, policy.delays(traffic.group, attempts[:, None]).T[..., None]


def traffic_payoffs(
    traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12, users: Population | None = None
) -> TrafficPayoffs:
    """What a policy is worth to both players for every number of failures after which users stop (beyond the paper).

    U(n) = sum over m <= n of sum over types a of w_a S_a(m) (V p_ak - t_ak - d_m) and
    J(n) = P + sum over m <= n of sum over a of w_a S_a(m) (c_ak - P p_ak), where k is the model of attempt m and S_a(m)
    the probability that the attempts before it fail.

    Args:
        traffic: The tasks.
        policy: Ladders, or a commitment of a single shape, which does not see group and context.
        horizon: N, the most attempts.
        users: Types of users; their values, waiting costs and churn penalties take the place of the games'.

    Returns:
        Both for every n.

    Raises:
        InvalidGameError: The policy does not fit the traffic.

    Examples:
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> found = traffic_payoffs(Traffic(games, [0.7, 0.3]), Ladders.switch(0, 1, after=1), horizon=3)
        >>> found.user_utility.round(3)
        array([[2.14 , 2.714, 2.875]])
    """
    served, delay = _served(traffic, policy, horizon)
    games, share = traffic.games, traffic.by_group
    value, waiting_cost, penalty = economics(traffic, users)
    solved = (served * games.success[:, None, :]).sum(axis=-1)
    waited = (served * (games.latency[:, None, :] + delay)).sum(axis=-1)
    spent = (served * games.cost[:, None, :]).sum(axis=-1)
    utility = share @ (value[..., None] * solved - waiting_cost[:, None, None] * waited)
    cost = share @ (spent - penalty[..., None] * solved)
    over_stops = np.cumsum(utility, axis=-1), np.cumsum(cost, axis=-1) + (penalty @ share.T)[..., None]
    return TrafficPayoffs(*(array[0] if users is None else array for array in over_stops))


def solved_share(traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12) -> FloatArray:
    """The share of tasks that are solved where users stop after n failures, n = 1 to `horizon`, shape (G, N).

    Args:
        traffic: The tasks.
        policy: As of `traffic_payoffs`.
        horizon: N, the most attempts.

    Examples:
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> solved_share(Traffic(games, [0.7, 0.3]), Ladders.static(0), horizon=3).round(3)
        array([[0.66 , 0.75 , 0.781]])
    """
    served, _ = _served(traffic, policy, horizon)
    solved = (served * traffic.games.success[:, None, :]).sum(axis=-1)
    found: FloatArray = np.cumsum(traffic.by_group @ solved, axis=-1)
    return found


def economics(traffic: Traffic, users: Population | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value (m, T), cost of waiting (m,) and churn penalty (m, T) of m types of users; without any, of the games."""
    if users is None:
        return traffic.games.value[None], np.ones(1), traffic.games.churn_penalty[None]
    shape = (len(users.share), len(traffic))
    value, penalty = (np.broadcast_to(array[:, None], shape) for array in (users.value, users.churn_penalty))
    return value, users.waiting_cost, penalty


def counting_response(
    traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12, users: Population | None = None
) -> tuple[IntArray, TrafficPayoffs]:
    """After how many failures users stop, who know the policy and what failures say of a task (beyond the paper).

    What a user knows within a task is only how often it has failed, so that its strategies are to stop after n
    failures. Of several n that are best for it, it takes the one that costs the provider least.

    Args:
        traffic: The tasks.
        policy: Ladders or a commitment.
        horizon: N, the most attempts; users that would go on stop there.
        users: Types of users.

    Returns:
        n of each group, shape (G,), or of each type of users (m, G), and what every n is worth.

    Examples:
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> counting_response(Traffic(games, [0.7, 0.3]), Ladders.static(0))[0]
        array([2])
    """
    found = traffic_payoffs(traffic, policy, horizon, users)
    return best_stops(traffic, found, users), found


def best_stops(traffic: Traffic, found: TrafficPayoffs, users: Population | None = None) -> IntArray:
    """The n of `counting_response` for what every n is worth, of any batch of policies on the first axes."""
    value, waiting_cost, _ = economics(traffic, users)
    net = value[..., None] * traffic.games.success - waiting_cost[:, None, None] * traffic.games.latency
    width = INDIFFERENT * np.abs(net).max(axis=(1, 2))[slice(None) if users is not None else 0]
    utility = found.user_utility
    near = utility >= utility.max(axis=-1, keepdims=True) - width[..., None, None]
    stop: IntArray = np.where(near, found.provider_cost, np.inf).argmin(axis=-1) + 1
    return stop
