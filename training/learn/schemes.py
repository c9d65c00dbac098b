"""The schemes of training behind one function."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from stackroute.analytic import default_routing, solve
from stackroute.envs.observations import FEATURES
from stackroute.training.learn import amortised, follower_first, simultaneous
from stackroute.training.learn.learning import Training, one_thread
from stackroute.training.learn.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs.training import TrainingSettings
    from stackroute.training.learn.result import TrainedPair

_SCHEMES: dict[str, Callable[..., TrainedPair]] = {
    "follower_first": follower_first.train,
    "simultaneous": simultaneous.train,
    "simultaneous_blind": simultaneous.train,
    "joint_amortised": amortised.train,
}


# Learners use the random numbers of the process, so that trainings in its threads would change each other.
_ONE_AT_A_TIME = threading.RLock()


def train(
    game: Game,
    settings: TrainingSettings,
    *,
    throttling: bool,
    routing: Routing | None = None,
    seed: int = 0,
    session: Session | None = None,
) -> TrainedPair:
    """Train a user and a provider on one game by the scheme that the settings name; in threads, one after the other.

    Args:
        game: A single game; `joint_amortised` learns nothing from it and evaluates the pair on it.
        settings: The scheme, and how both learn.
        throttling: Whether the provider can delay.
        routing: What the provider may commit to: `"cascade"`, the paper's cascades, for up to two models; or `"free"`,
            any lottery of models that serve re-prompts. None: cascades for up to two models, else free.
        seed: Fixes everything; the same seed gives the same result on the same versions.
        session: Keeps what finished stages gave; None for a session without files.

    Returns:
        The trained pair.

    Raises:
        InvalidGameError: The game has too many models for cascades, or, for `joint_amortised`, another number than two.
        ConfigError: `joint_amortised` is to learn free routing.
        OutputError: A stage's file cannot be written.
    """
    chosen = routing or default_routing(game)
    # The games that have no equilibrium to be compared with are refused before anything is learned.
    solve(game, chosen, throttling)
    training = Training(game, throttling, chosen, seed, settings.features == FEATURES, session or Session())
    with _ONE_AT_A_TIME, one_thread():
        return _SCHEMES[settings.scheme](training, settings)
