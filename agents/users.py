"""Users: how a commitment is answered, exactly or by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Game, best_response, informed_response, nash_equilibria
from stackroute.analytic.game import SMALLEST, as_floats, check, non_negative, probability
from stackroute.envs.policies import UserPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stackroute.analytic import Commitment, TieBreaking
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.policies import Outcome, Seen

_ROUNDS = 100_000
_SETTLED = 1e-14


class RationalUser:
    """The user of the theory: the exact best response (Mahmood 2026, Theorems 1 and 2).

    Where it sees no commitment it plays its part of the Nash equilibrium that costs the provider least (beyond the
    paper, `stackroute.analytic.nash_equilibria`).

    Args:
        tie_breaking: How it chooses where it is indifferent: for (`"strong"`) or against (`"pessimistic"`) the
            provider.
    """

    def __init__(self, tie_breaking: TieBreaking = "strong") -> None:
        self.tie_breaking = tie_breaking

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The best response, shape (...)."""
        if commitment is None:
            return nash_equilibria(game).best_patience
        return best_response(game, commitment, self.tie_breaking)


class InformedUser:
    """The user that sees which model served it: optimal stopping (beyond the paper).

    Args:
        tie_breaking: As for `RationalUser`.
    """

    def __init__(self, tie_breaking: TieBreaking = "strong") -> None:
        self.tie_breaking = tie_breaking

    def patience_by_model(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The best response after a failed pass on each model, 0 or 1, shape (..., n).

        Raises:
            ValueError: It sees no commitment.
        """
        return informed_response(game, _seen(commitment), self.tie_breaking)


class FixedPatienceUser:
    """A user that re-prompts with the same probability whatever the provider commits to.

    Args:
        patience: Probability of re-prompting after a failed pass, in [0, 1].

    Raises:
        InvalidGameError: The patience lies outside [0, 1].
    """

    def __init__(self, patience: float) -> None:
        self._patience = probability("patience", patience)

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The fixed patience, shape (...)."""
        return np.broadcast_to(self._patience, np.shape(random_numbers))


class RandomUser:
    """A user whose patience for each commitment is uniform on [0, 1]."""

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The random numbers themselves, shape (...)."""
        return random_numbers


class ShoppingUser:
    """A rational user with an outside option, such as another provider, that it takes when it leaves.

    What is left to gain from staying is the value less the option's worth: V - omega in place of V in the best response
    (beyond the paper).

    Args:
        outside_option: What leaving is worth, utility, >= 0.
        tie_breaking: As for `RationalUser`.

    Raises:
        InvalidGameError: The option's worth is negative or not finite.
    """

    def __init__(self, outside_option: float, tie_breaking: TieBreaking = "strong") -> None:
        self._outside_option = as_floats("outside_option", outside_option)
        non_negative("outside_option", self._outside_option)
        self.tie_breaking = tie_breaking

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The best response, shape (...); 0 where the option is worth more than a solved task."""
        left = game.value - self._outside_option
        worth = np.maximum(left, SMALLEST)
        reduced = Game(game.success, game.cost, game.latency, worth, game.churn_penalty)
        return np.where(left > 0, best_response(reduced, _seen(commitment), self.tie_breaking), 0.0)


class LogitUser:
    """A user of bounded rationality that sees which model served it: it stays more often, the more staying is worth.

    After a failure on model k it stays with probability 1 / (1 + exp(-beta W_k)), where
    W_k = sum over j of R_kj (xi_j + (1 - p_j) log(1 + exp(beta W_j)) / beta) is what staying is worth to a user that
    will choose so again: the soft form, a contraction with one solution (beyond the paper). For large precisions it
    approaches the rational user that sees which model served.

    Args:
        precision: beta, > 0, per unit of utility.

    Raises:
        InvalidGameError: The precision is not a finite number > 0.
    """

    def __init__(self, precision: float) -> None:
        self._precision = _positive("precision", precision)

    def patience_by_model(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The probability of staying after a failed pass on each model, shape (..., n).

        Raises:
            ValueError: It sees no commitment.
        """
        seen, beta = _seen(commitment), self._precision
        xi, scale = game.with_delay(seen.delay), np.max(game.value + game.latency.max(axis=-1))
        worth = np.zeros(np.broadcast_shapes(xi.shape, seen.delay.shape))
        for _ in range(_ROUNDS):
            chosen = xi + (1.0 - game.success) * np.logaddexp(0.0, beta * worth) / beta
            before, worth = worth, (seen.transition @ chosen[..., None])[..., 0]
            if np.abs(worth - before).max() <= _SETTLED * scale:
                break
        stays: FloatArray = np.exp(-np.logaddexp(0.0, -beta * worth))
        return stays


class CountingUser:
    """A user that stops after a number of passes.

    Where tasks are of hidden types, `stackroute.analytic.counting_response` and `solve_traffic` say which number is
    best for it, by group and for several types of users.

    Args:
        passes: It leaves when so many passes have failed, whole numbers >= 1: one, one for each group of a Traffic, of
            shape (G,), or with `shares` those of m types of users, shape (m,) or (m, G).
        shares: How frequent each type of users is, shape (m,), >= 0; divided by their sum.

    Raises:
        ValueError: They are no such numbers, or not one for each type.
    """

    def __init__(self, passes: npt.ArrayLike, shares: npt.ArrayLike | None = None) -> None:
        given = as_floats("passes", passes)
        if not np.all((given >= 1) & (given == np.floor(given))) or 0 in given.shape:
            raise ValueError(f"passes: {passes!r} is not allowed; expected whole numbers of at least 1")
        by_type = given[None] if shares is None else given
        weight = np.ones(1) if shares is None else as_floats("shares", shares)
        non_negative("shares", weight)
        if weight.ndim != 1 or not weight.sum() > 0 or by_type.ndim not in (1, 2) or len(by_type) != len(weight):
            raise ValueError(f"shares: {shares!r} are not allowed; expected one for each type of users in passes")
        self.passes, self.shares = given, None if shares is None else weight

    def begin(self, seen: Seen, random_numbers: FloatArray) -> npt.NDArray[Any]:
        """After how many passes each leaves, shape (n,)."""
        ends = np.cumsum(np.ones(1) if self.shares is None else self.shares / self.shares.sum())
        by_type = self.passes[None] if self.shares is None else self.passes
        passes: FloatArray = by_type[np.searchsorted(ends[:-1], random_numbers, side="right")]
        if passes.ndim == 1:
            return passes
        if seen.group is None or seen.group.max() >= passes.shape[1]:
            raise ValueError(f"user: passes of {passes.shape[1]} groups are not allowed; the user does not see so many")
        return np.take_along_axis(passes, seen.group[:, None], axis=1)[:, 0]

    def update(self, state: npt.NDArray[Any], outcome: Outcome) -> npt.NDArray[Any]:
        """The same state."""
        return state

    def stay(self, state: npt.NDArray[Any], seen: Seen) -> FloatArray:
        """1 before the last pass, then 0, shape (n,)."""
        stays: FloatArray = (seen.passes < state).astype(np.float64)
        return stays


class LearningUser:
    """A user that does not know how good the models are, and learns it from its failures and successes.

    It believes that a pass succeeds with a probability drawn from Beta(alpha, beta). After s successes and n failures
    it expects (alpha + s) / (alpha + beta + s + n), and stays while a success is worth waiting once more, V times that
    exceeding t, with t what it waited last (beyond the paper).

    Args:
        alpha: Of the belief, > 0.
        beta: Of the belief, > 0.
        over_tasks: Whether it remembers earlier tasks of its slot: then it learns how good the service is, and in the
            long run answers like a user that knows. Otherwise every task is like the first.

    Raises:
        InvalidGameError: A number is not finite and > 0.
    """

    def __init__(self, alpha: float, beta: float, over_tasks: bool = False) -> None:
        self.alpha, self.beta, self.over_tasks = _positive("alpha", alpha), _positive("beta", beta), over_tasks

    def begin(self, seen: Seen, random_numbers: FloatArray) -> npt.NDArray[Any]:
        """The value, successes, failures and what was waited last, shape (n, 4).

        Raises:
            ValueError: It does not see its game, whose value it needs.
        """
        if seen.game is None:
            raise ValueError("user: a learning user needs to see the value; give it the block 'game' in observe")
        state = np.zeros((len(random_numbers), 4))
        state[:, 0] = seen.game.value
        return state

    def remember(self, state: npt.NDArray[Any], begun: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The state at the beginning of the next task: a task that it did not leave was solved."""
        if self.over_tasks:
            begun[:, 1] = state[:, 1] + self._stays(state)
            begun[:, 2] = state[:, 2]
        return begun

    def update(self, state: npt.NDArray[Any], outcome: Outcome) -> npt.NDArray[Any]:
        """One failure more."""
        return np.column_stack([state[:, :2], state[:, 2] + 1.0, outcome.waiting])

    def stay(self, state: npt.NDArray[Any], seen: Seen) -> FloatArray:
        """1 while another pass is worth its waiting, then 0, shape (n,)."""
        return self._stays(state)

    def _stays(self, state: npt.NDArray[Any]) -> FloatArray:
        value, successes, failures, waited = state.T
        expected = (self.alpha + successes) / (self.alpha + self.beta + successes + failures)
        stays: FloatArray = (value * expected > waited).astype(np.float64)
        return stays


class MixtureUser:
    """A population of users: for each commitment one of several stationary users is drawn.

    Args:
        users: The users.
        shares: Their shares, >= 0, which are divided by their sum.

    Raises:
        TypeError: A user is not a stationary one, with a `patience` method.
        ValueError: The shares are not allowed, or not one for each user.
    """

    def __init__(self, users: Sequence[UserPolicy], shares: npt.ArrayLike) -> None:
        for user in users:
            if isinstance(user, type) or not isinstance(user, UserPolicy):
                raise TypeError(f"users: {user!r} is not allowed; expected objects with a patience method")
        given = as_floats("shares", shares)
        non_negative("shares", given)
        if given.shape != (len(users),) or given.sum() <= 0:
            raise ValueError(f"shares: {shares!r} are not allowed; expected one for each of {len(users)} users")
        self.users, self.shares = list(users), given / given.sum()

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The patience of the user that is drawn, shape (...)."""
        number = np.asarray(random_numbers, dtype=np.float64)
        ends = np.cumsum(self.shares)
        drawn = (number[..., None] >= ends[:-1]).sum(axis=-1)
        # What is left of the number is uniform again, for users that are random themselves.
        left = np.clip((number - (ends - self.shares)[drawn]) / self.shares[drawn], 0.0, np.nextafter(1.0, 0.0))
        answers = [np.broadcast_to(user.patience(game, commitment, left), number.shape) for user in self.users]
        answer: FloatArray = np.choose(drawn, answers)
        return answer


def _positive(name: str, value: float) -> float:
    number = as_floats(name, value)
    check(name, number, np.isfinite(number) & (number > 0), "a finite number > 0")
    return float(number)


def _seen(commitment: Commitment | None) -> Commitment:
    if commitment is None:
        raise ValueError("user: this user answers a commitment that it sees; the environment's options hide it")
    return commitment
