"""Providers: how a commitment is chosen, exactly, by rule or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, solve
from stackroute.envs.encoding import commitment_from_action

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray


class EquilibriumProvider:
    """The provider of the theory: the exact optimal commitment (Mahmood 2026, Theorems 3 to 5).

    Where the optimum leaves the user indifferent it relies on the strong tie-breaking of `RationalUser`. It plays the
    paper's game under every option of an environment: against a user that sees the history, or not the commitment, it
    is not the optimum.

    Args:
        throttling: Whether it may delay.
    """

    def __init__(self, throttling: bool = False) -> None:
        self.throttling = throttling

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """The equilibrium commitment, shape (...)."""
        return solve(game, throttling=self.throttling).commitment


class StaticProvider:
    """A provider that makes the same commitment in every game; by default it never moves a task.

    Args:
        model: The model of the first pass, 1 or 2.
        cascade: Probability of moving a re-prompted task from model 1 to model 2.
        delay: Delays of the two models, in the games' unit of utility.

    Attributes:
        commitment: The commitment, shape ().

    Raises:
        InvalidGameError: A value is not allowed.
    """

    def __init__(self, model: int, cascade: float = 0.0, delay: npt.ArrayLike = (0.0, 0.0)) -> None:
        self.commitment = Commitment(model, cascade, delay)

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """The fixed commitment, shape ()."""
        return self.commitment


class RandomProvider:
    """A provider that commits at random, uniformly over the action space.

    Args:
        throttling: Whether it delays.
    """

    def __init__(self, throttling: bool = False) -> None:
        self.throttling = throttling

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """A commitment uniform over the action space, shape (...)."""
        return commitment_from_action(game, np.asarray(draws)[..., : 4 if self.throttling else 2])
