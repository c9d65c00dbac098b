"""What the provider does at an equilibrium."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stackroute.analytic import Equilibrium
    from stackroute.analytic.game import IntArray


class Route(enum.IntEnum):
    """What the provider does at an equilibrium (Mahmood 2026, Theorems 3 to 5 and Proposition 2).

    Attributes:
        STATIC: One model serves as long as the task lasts.
        CASCADE: Some or all re-prompts move on to the next model, and users stay or mix.
        LOTTERY: Re-prompts are served by a model drawn at random.
        LEAVE_BY_DELAY: Users are made to leave: the model that serves them is slowed.
        LEAVE_BY_THREAT: Users are made to leave: re-prompts would go to a model that is not worth it, slowed or not.
    """

    STATIC = 0
    CASCADE = 1
    LOTTERY = 2
    LEAVE_BY_DELAY = 3
    LEAVE_BY_THREAT = 4


def route(equilibrium: Equilibrium) -> IntArray:
    """What the provider does at each equilibrium.

    Args:
        equilibrium: Of one game or of a batch.

    Returns:
        `Route` values as integers, shape (...).

    Examples:
        >>> from stackroute.analytic import solve
        >>> from stackroute.configs import load_game
        >>> Route(route(solve(load_game("gpt-4.1-o3-dev-low-p").game, throttling=True))).name
        'LEAVE_BY_THREAT'
    """
    commitment, leaves = equilibrium.commitment, equilibrium.patience == 0
    moves = (commitment.model == 1) & (commitment.cascade > 0)
    slowed = np.where(commitment.model == 1, commitment.delay[..., 0], commitment.delay[..., 1]) > 0
    found: IntArray = np.select(
        [slowed & leaves, moves & leaves, moves],
        [Route.LEAVE_BY_DELAY, Route.LEAVE_BY_THREAT, Route.CASCADE],
        Route.STATIC,
    )
    return found[()]
