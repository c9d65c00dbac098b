"""The schemes of training behind one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from stackroute.training.learn import amortised, follower_first, simultaneous

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.configs.training import TrainingSettings
    from stackroute.training.learn.result import TrainedPair
    from stackroute.training.learn.session import Session


class Scheme(Protocol):
    """Trains a user and a provider on one game."""

    def __call__(
        self, game: Game, settings: Any, *, throttling: bool, seed: int = 0, session: Session | None = None
    ) -> TrainedPair:
        """Train a pair.

        Args:
            game: A single game.
            settings: How both learn.
            throttling: Whether the provider can delay.
            seed: Fixes everything; the same seed gives the same result on the same versions.
            session: Keeps what is done, and is asked what has been done already; None for a session without files.

        Returns:
            The trained pair.
        """
        ...


_SCHEMES: dict[str, Scheme] = {
    "follower_first": follower_first.train,
    "simultaneous": simultaneous.train,
    "simultaneous_blind": simultaneous.train,
    "joint_amortised": amortised.train,
}


def train(
    game: Game, settings: TrainingSettings, *, throttling: bool, seed: int = 0, session: Session | None = None
) -> TrainedPair:
    """Train a user and a provider on one game by the scheme that the settings name; see `Scheme`."""
    return _SCHEMES[settings.scheme](game, settings, throttling=throttling, seed=seed, session=session)
