"""The protocol that players follow, and the registry that finds them by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from stackroute.analytic import Commitment
from stackroute.analytic.game import MODELS, probability

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray

_Create = TypeVar("_Create")


@runtime_checkable
class ProviderPolicy(Protocol):
    """A leader: chooses a commitment for a game."""

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """Commit in each game.

        Args:
            game: One game or a batch of shape (...).
            draws: Independent uniform numbers in [0, 1) for a randomised policy, shape (..., 4).

        Returns:
            Commitments that broadcast to shape (...).
        """
        ...


@runtime_checkable
class UserPolicy(Protocol):
    """A follower: answers a commitment with a patience."""

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The probability of re-prompting after a failed pass.

        Args:
            game: One game or a batch of shape (...).
            commitment: The provider's commitments, which the user sees, shape (...); None where it sees none.
            draws: Independent uniform numbers in [0, 1) for a randomised policy, shape (...).

        Returns:
            Patience in [0, 1] that broadcasts to shape (...).
        """
        ...


@runtime_checkable
class InformedUserPolicy(Protocol):
    """A follower that sees which model served it, and answers each with a patience of its own."""

    def patience_by_model(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The probability of re-prompting after a failed pass on each model.

        Args:
            game: One game or a batch of shape (...).
            commitment: The provider's commitments, which the user sees, shape (...); None where it sees none.
            draws: Independent uniform numbers in [0, 1) for a randomised policy, shape (...).

        Returns:
            Patience in [0, 1] that broadcasts to shape (..., 2).
        """
        ...


AnyUserPolicy = UserPolicy | InformedUserPolicy


def patience_by_model(user: AnyUserPolicy, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
    """A user's patience after a failed pass on each model, whether or not it tells them apart.

    Args:
        user: The user.
        game: One game or a batch that broadcasts to shape (...).
        commitment: What the user sees, or None.
        draws: Uniform numbers, shape (...).

    Returns:
        Patience, shape (..., 2).

    Raises:
        InvalidGameError: The policy's answer is no probability.
        ValueError: It has another shape.
    """
    if isinstance(user, InformedUserPolicy):
        patience = probability("patience", user.patience_by_model(game, commitment, draws))
    else:
        patience = probability("patience", user.patience(game, commitment, draws))[..., None]
    shape = (*draws.shape, MODELS)
    try:
        return np.broadcast_to(patience, shape)
    except ValueError:
        allowed = f"one that broadcasts to {shape}"
        raise ValueError(f"patience: shape {patience.shape} is not allowed; expected {allowed}") from None


def commitment_by(provider: ProviderPolicy, game: Game, draws: FloatArray) -> Commitment:
    """The commitments of a provider's policy.

    Args:
        provider: The provider.
        game: One game or a batch that broadcasts to shape (...).
        draws: Uniform numbers, shape (..., 4).

    Returns:
        Shape (...).

    Raises:
        TypeError: The policy's answer is no commitment.
        ValueError: It is one of another shape.
    """
    commitment = provider.commit(game, draws)
    if not isinstance(commitment, Commitment):
        raise TypeError(f"provider: its commit method returned {commitment!r}; expected a Commitment")
    shape = draws.shape[:-1]
    try:
        return commitment.broadcast_to(shape)
    except ValueError:
        raise ValueError(
            f"provider: commitments of shape {commitment.shape} are not allowed; expected {shape}"
        ) from None


_PROVIDERS: dict[str, Callable[[bool], ProviderPolicy]] = {}
_USERS: dict[str, Callable[[], AnyUserPolicy]] = {}


def register_provider(name: str, create: Callable[[bool], ProviderPolicy]) -> None:
    """Make a provider policy available by name, as in `gymnasium.make("stackroute/User-v0", provider=name)`.

    Args:
        name: A name that is not taken.
        create: Called with whether the provider may delay, the environment's `throttling`.

    Raises:
        ValueError: The name is taken.
        TypeError: It cannot be called.
    """
    _check_new("provider", name, create, _PROVIDERS)
    _PROVIDERS[name] = create


def register_user(name: str, create: Callable[[], AnyUserPolicy]) -> None:
    """Make a user policy available by name, as in `gymnasium.make("stackroute/Provider-v0", user=name)`.

    Args:
        name: A name that is not taken.
        create: Called without arguments.

    Raises:
        ValueError: The name is taken.
        TypeError: It cannot be called.
    """
    _check_new("user", name, create, _USERS)
    _USERS[name] = create


def find_provider(policy: str | ProviderPolicy, throttling: bool) -> ProviderPolicy:
    """A provider policy, by object or by registered name.

    Args:
        policy: The object, or the name.
        throttling: Whether one that is found by name may delay.

    Raises:
        ValueError: No provider policy has this name.
        TypeError: The object is not a provider policy.
    """
    if isinstance(policy, str):
        return _named("provider", policy, _PROVIDERS)(throttling)
    if isinstance(policy, type) or not isinstance(policy, ProviderPolicy):
        raise TypeError(f"provider: {policy!r} is not allowed; expected a name or an object with a commit method")
    return policy


def find_user(policy: str | AnyUserPolicy) -> AnyUserPolicy:
    """A user policy, by object or by registered name.

    Raises:
        ValueError: No user policy has this name.
        TypeError: The object is not a user policy.
    """
    if isinstance(policy, str):
        return _named("user", policy, _USERS)()
    if isinstance(policy, type) or not isinstance(policy, UserPolicy | InformedUserPolicy):
        raise TypeError(f"user: {policy!r} is not allowed; expected a name or an object with a patience method")
    return policy


def _named(player: str, name: str, registry: dict[str, _Create]) -> _Create:
    _load_packaged()
    if name not in registry:
        raise ValueError(f"{player}: {name!r} is not allowed; expected one of {', '.join(sorted(registry))}")
    return registry[name]


def _check_new(player: str, name: str, create: object, registry: dict[str, _Create]) -> None:
    _load_packaged()
    if name in registry:
        raise ValueError(f"{player}: {name!r} is registered already")
    if not callable(create):
        raise TypeError(f"{player}: {create!r} is not allowed; expected what creates a policy")


def _load_packaged() -> None:
    """The packaged policies register themselves; they build on the environments, which may not import them."""
    importlib.import_module("stackroute.agents")
