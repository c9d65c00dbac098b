"""The protocols that players follow, and the registries that find them by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from stackroute.analytic import Commitment
from stackroute.analytic.game import probability

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.actions import ProviderActions

_Create = TypeVar("_Create")


@runtime_checkable
class ProviderPolicy(Protocol):
    """A leader: chooses a commitment for a game."""

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """Commit in each game.

        Args:
            game: One game or a batch of shape (...), with n models.
            random_numbers: Independent uniform numbers in [0, 1) for a randomised policy, shape (..., 2 n + 1).

        Returns:
            Commitments that broadcast to shape (...).
        """
        ...


class Waiting(NamedTuple):
    """What a provider sees of n tasks that wait for their next pass.

    Attributes:
        context: The number of the context of each task, shape (n,).
        group: The number of the group of each task, shape (n,).
        passes: The passes that have failed, shape (n,).
        random_numbers: Uniform in [0, 1), one for each task that stays the same for all of its passes, shape (n,).
        pass_numbers: Uniform in [0, 1), a new one for each pass, shape (n,).
    """

    context: IntArray
    group: IntArray
    passes: IntArray
    random_numbers: FloatArray
    pass_numbers: FloatArray


@runtime_checkable
class RoutingPolicy(Protocol):
    """A leader that routes pass by pass, for `routing="pass"`; the user knows how it does."""

    def route(self, waiting: Waiting) -> tuple[IntArray, FloatArray]:
        """Route the next pass of n tasks.

        Returns:
            The model of each pass and its delay, in the unit of the games' latency, each of shape (n,).
        """
        ...


AnyProviderPolicy = ProviderPolicy | RoutingPolicy


@runtime_checkable
class UserPolicy(Protocol):
    """A stationary follower: answers a commitment with a patience. Its tasks are played by compiled code."""

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The probability of re-prompting after a failed pass.

        Args:
            game: One game or a batch of shape (...).
            commitment: The provider's commitments, which the user sees, shape (...); None where it sees none.
            random_numbers: Independent uniform numbers in [0, 1) for a randomised policy, shape (...).

        Returns:
            Patience in [0, 1] that broadcasts to shape (...).
        """
        ...


@runtime_checkable
class InformedUserPolicy(Protocol):
    """A stationary follower that sees which model served it, and answers each with a patience of its own."""

    def patience_by_model(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The probability of re-prompting after a failed pass on each model.

        Args:
            game: One game or a batch of shape (...).
            commitment: The provider's commitments, which the user sees, shape (...); None where it sees none.
            random_numbers: Independent uniform numbers in [0, 1) for a randomised policy, shape (...).

        Returns:
            Patience in [0, 1] that broadcasts to shape (..., n).
        """
        ...


class Seen(NamedTuple):
    """What the users of n tasks see, by the option `observe`.

    Attributes:
        game: The games, shape (n,); None where they are hidden.
        commitment: The commitments, shape (n,); None where they are hidden, or there are none.
        passes: The passes so far, shape (n,).
        model: The model of the last pass, shape (n,); None where the history is hidden.
        group: The number of the group of each task, shape (n,); None where it is hidden, or there are no groups.
    """

    game: Game | None
    commitment: Commitment | None
    passes: IntArray
    model: IntArray | None
    group: IntArray | None = None


class Outcome(NamedTuple):
    """A failed pass in each of n tasks.

    Attributes:
        model: The model that served it, shape (n,).
        waiting: Its latency and delay, utility, shape (n,).
    """

    model: IntArray
    waiting: FloatArray


@runtime_checkable
class StatefulUserPolicy(Protocol):
    """A follower that may change its mind within a task. Tasks are played in batches of n."""

    def begin(self, seen: Seen, random_numbers: FloatArray) -> npt.NDArray[Any]:
        """The state at the beginning of n tasks.

        Args:
            seen: What the users see.
            random_numbers: Uniform in [0, 1), shape (n,).

        Returns:
            An array of shape (n, ...).
        """
        ...

    def update(self, state: npt.NDArray[Any], outcome: Outcome) -> npt.NDArray[Any]:
        """The state after a failed pass in each task; those of tasks that are over do not matter."""
        ...

    def stay(self, state: npt.NDArray[Any], seen: Seen) -> FloatArray:
        """The probability of re-prompting after the failed pass, shape (n,)."""
        ...


@runtime_checkable
class RememberingUserPolicy(StatefulUserPolicy, Protocol):
    """A follower with a state that remembers earlier tasks of its slot."""

    def remember(self, state: npt.NDArray[Any], begun: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The state at the beginning of the next task of n users.

        Args:
            state: That at the end of the last task, shape (n, ...).
            begun: That of users without a past, as `begin` returns it; may be changed.
        """
        ...


AnyUserPolicy = UserPolicy | InformedUserPolicy | StatefulUserPolicy


def patience_by_model(
    user: UserPolicy | InformedUserPolicy, game: Game, commitment: Commitment | None, random_numbers: FloatArray
) -> FloatArray:
    """A user's patience after a failed pass on each model, whether or not it tells them apart.

    Args:
        user: The user.
        game: One game or a batch that broadcasts to shape (...).
        commitment: What the user sees, or None.
        random_numbers: Uniform numbers, shape (...).

    Returns:
        Patience, shape (..., n).

    Raises:
        InvalidGameError: The policy's answer is no probability.
        ValueError: It has another shape.
    """
    if isinstance(user, InformedUserPolicy):
        patience = probability("patience", user.patience_by_model(game, commitment, random_numbers))
    else:
        patience = probability("patience", user.patience(game, commitment, random_numbers))[..., None]
    shape = (*random_numbers.shape, game.models)
    try:
        return np.broadcast_to(patience, shape)
    except ValueError:
        allowed = f"one that broadcasts to {shape}"
        raise ValueError(f"patience: shape {patience.shape} is not allowed; expected {allowed}") from None


def commitment_by(provider: ProviderPolicy, game: Game, random_numbers: FloatArray) -> Commitment:
    """The commitments of a provider's policy.

    Args:
        provider: The provider.
        game: One game or a batch that broadcasts to shape (...), with n models.
        random_numbers: Uniform numbers, shape (..., 2 n + 1).

    Returns:
        Shape (...).

    Raises:
        TypeError: The policy's answer is no commitment.
        ValueError: It is one of another shape or number of models.
    """
    commitment = provider.commit(game, random_numbers)
    if not isinstance(commitment, Commitment):
        raise TypeError(f"provider: its commit method returned {commitment!r}; expected a Commitment")
    if commitment.models != game.models:
        allowed = f"commitments over {game.models}, as in the game"
        raise ValueError(f"provider: commitments over {commitment.models} models are not allowed; expected {allowed}")
    shape = random_numbers.shape[:-1]
    try:
        return commitment.broadcast_to(shape)
    except ValueError:
        raise ValueError(
            f"provider: commitments of shape {commitment.shape} are not allowed; expected {shape}"
        ) from None


_PROVIDERS: dict[str, Callable[[ProviderActions], ProviderPolicy]] = {}
_USERS: dict[str, Callable[[], AnyUserPolicy]] = {}


def register_provider(name: str, create: Callable[[ProviderActions], ProviderPolicy]) -> None:
    """Make a provider policy available by name, as in `gymnasium.make("stackroute/User-v0", provider=name)`.

    Args:
        name: A name that is not taken.
        create: Called with the provider's actions in the environment: their routing, and whether it may delay.

    Raises:
        ValueError: The name is taken.
        TypeError: It cannot be called.
    """
    _register("provider", name, create, _PROVIDERS)


def register_user(name: str, create: Callable[[], AnyUserPolicy]) -> None:
    """Make a user policy available by name, as in `gymnasium.make("stackroute/Provider-v0", user=name)`.

    Args:
        name: A name that is not taken.
        create: Called without arguments.

    Raises:
        ValueError: The name is taken.
        TypeError: It cannot be called.
    """
    _register("user", name, create, _USERS)


def find_provider(policy: str | AnyProviderPolicy, actions: ProviderActions) -> AnyProviderPolicy:
    """A provider policy, by object or by registered name.

    Args:
        policy: The object, or the name.
        actions: Those of one that is found by name.

    Raises:
        ValueError: No provider policy has this name, or one that is found by name would route pass by pass.
        TypeError: The object is not a provider policy for this routing: it lacks `commit`, or `route`.
    """
    by_pass = actions.routing == "pass"
    if isinstance(policy, str):
        if by_pass:
            allowed = "'cascade' or 'lottery', to which a policy commits, or a provider with a route method"
            raise ValueError(f"routing: 'pass' is not allowed; expected {allowed}")
        return _named("provider", policy, _PROVIDERS)(actions)
    method = "a route" if by_pass else "a commit"
    if isinstance(policy, type) or not isinstance(policy, RoutingPolicy if by_pass else ProviderPolicy):
        raise TypeError(f"provider: {policy!r} is not allowed; expected a name or an object with {method} method")
    return policy


def find_user(policy: str | AnyUserPolicy) -> AnyUserPolicy:
    """A user policy, by object or by registered name.

    Raises:
        ValueError: No user policy has this name.
        TypeError: The object is not a user policy.
    """
    if isinstance(policy, str):
        return _named("user", policy, _USERS)()
    if isinstance(policy, type) or not isinstance(policy, AnyUserPolicy):
        raise TypeError(
            f"user: {policy!r} is not allowed; expected a name or an object with a patience method, or with begin, "
            "update and stay"
        )
    return policy


def _named(player: str, name: str, registry: dict[str, _Create]) -> _Create:
    _load_packaged()
    if name not in registry:
        raise ValueError(f"{player}: {name!r} is not allowed; expected one of {', '.join(sorted(registry))}")
    return registry[name]


def _register(player: str, name: str, create: _Create, registry: dict[str, _Create]) -> None:
    _load_packaged()
    if name in registry:
        raise ValueError(f"{player}: {name!r} is registered already")
    if not callable(create):
        raise TypeError(f"{player}: {create!r} is not allowed; expected what creates a policy")
    registry[name] = create


def _load_packaged() -> None:
    """The packaged policies register themselves; they build on the environments, which may not import them."""
    importlib.import_module("stackroute.agents")
