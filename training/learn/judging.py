"""Saved players and one's own, judged exactly on the same games."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents import EquilibriumProvider, RationalUser
from stackroute.agents.errors import PolicyFileError
from stackroute.agents.saving import load_policy, load_provider, load_user
from stackroute.envs.policies import ProviderPolicy, UserPolicy
from stackroute.training.learn.evaluation import evaluate
from stackroute.training.learn.learning import no_random_numbers
from stackroute.training.output import RunError
from stackroute.training.own_code import OwnCode, is_own_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig
    from stackroute.training.learn.evaluation import Evaluation

_EXPECTED = "expected a provider that commits, or a user with one patience for a task"


@dataclass(frozen=True)
class Contestant:
    """Who is judged.

    Attributes:
        name: What it is called.
        provider: The provider; None for the equilibrium's commitment.
        user: The user; None for the exact best response.
    """

    name: str
    provider: ProviderPolicy | None = None
    user: UserPolicy | None = None


def contestant(name: str, *, trust: bool = False) -> Contestant:
    """The player of a file, or one's own.

    Args:
        name: A file of `stackroute.agents.save_policy`, a .zip file of stable-baselines3, or FILE.py:NAME: a provider
            or a user, or what makes one when it is called without arguments. That runs the file.
        trust: Whether a .zip file, which can run code, may be loaded.

    Raises:
        RunError: There is no such file.
        PolicyFileError: It holds no player that can be judged.
        UntrustedFileError: It is a .zip file, and `trust` is not given.
        ConfigError: Python of one's own cannot be run.
    """
    try:
        player = _own(name) if is_own_code(name) else _saved(name, trust)
    except FileNotFoundError:
        raise RunError(f"{name}: no such file") from None
    if isinstance(player, ProviderPolicy):
        return Contestant(name, provider=player)
    if isinstance(player, UserPolicy):
        return Contestant(name, user=player)
    raise PolicyFileError(f"{name}: {type(player).__name__} is not allowed; {_EXPECTED}")


def _own(name: str) -> Any:
    found = OwnCode.read(name).load()
    if isinstance(found, type) or not isinstance(found, ProviderPolicy | UserPolicy):
        if not callable(found):
            raise PolicyFileError(f"{name}: {found!r} is not allowed; {_EXPECTED}")
        try:
            return found()
        except Exception as error:
            raise PolicyFileError(f"{name}: cannot be made ({type(error).__name__}: {error})") from error
    return found


def _saved(name: str, trust: bool) -> Any:
    if Path(name).suffix != ".zip":
        return load_policy(name)
    try:
        return load_provider(name, trust=trust)
    except PolicyFileError:
        return load_user(name, trust=trust)


def judge(
    game: Game, provider: ProviderPolicy | None, user: UserPolicy | None, *, throttling: bool, routing: Routing
) -> Evaluation:
    """Evaluate two players exactly in a game.

    Args:
        game: A single game.
        provider: The provider; None for the equilibrium's commitment. One that draws is judged by one draw.
        user: The user; None for the exact best response.
        throttling: As of `stackroute.training.learn.evaluation.evaluate`.
        routing: As there.

    Raises:
        ValueError: The commitment delays without throttling, or is no cascade where the routing is.
    """
    leader = provider or EquilibriumProvider(throttling, routing)
    commitment = leader.commit(game, no_random_numbers(game))
    if routing == "cascade" and not commitment.is_cascade:
        raise ValueError("commitment: is no cascade; expected one with routing: cascade")
    patience = (user or RationalUser()).patience(game, commitment, np.zeros(()))
    return evaluate(game, commitment, patience, throttling=throttling, routing=routing)


def compare(
    config: GameConfig, contestants: Sequence[Contestant], *, throttling: bool, routing: Routing
) -> dict[str, Evaluation]:
    """Evaluate several players exactly in the same game.

    Returns:
        Their evaluations by name.

    Raises:
        RunError: One of them cannot play the game; the message says which, and why.
    """
    found = {}
    for one in contestants:
        try:
            found[one.name] = judge(config.game, one.provider, one.user, throttling=throttling, routing=routing)
        # A player of one's own may raise anything.
        except Exception as error:
            raise RunError(f"{one.name} cannot play {config.name}: {type(error).__name__}: {error}") from error
    return found
