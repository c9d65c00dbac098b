"""Which of two models are worth a pass, and at which cascade probabilities the user's response changes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.game import as_floats, non_negative

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, Game, IntArray


class Regime(enum.IntEnum):
    """Which models are worth a pass to the user, xi > 0 (Mahmood 2026, Theorems 1 and 2).

    A model with xi > 0 is value-dominated in the paper's words, one with xi <= 0 latency-dominated. "Standard" is the
    first model, "reasoning" the second.
    """

    BOTH_WORTH = kernels.BOTH_WORTH
    NEITHER_WORTH = kernels.NEITHER_WORTH
    ONLY_REASONING_WORTH = kernels.ONLY_REASONING_WORTH
    ONLY_STANDARD_WORTH = kernels.ONLY_STANDARD_WORTH

    @property
    def label(self) -> str:
        """The regime in words."""
        return {
            Regime.BOTH_WORTH: "both models are worth the wait",
            Regime.NEITHER_WORTH: "neither model is worth the wait",
            Regime.ONLY_REASONING_WORTH: "only the reasoning model is worth the wait",
            Regime.ONLY_STANDARD_WORTH: "only the standard model is worth the wait",
        }[self]


@dataclass(frozen=True, eq=False)
class CascadeThresholds:
    """Where the response changes with the cascade probability s.

    With xi1 < 0 < xi2 both are s0: the user leaves below, stays above, and is indifferent at s0. With xi1 > 0 > xi2
    they are sL and sH: it stays up to sL, mixes in between, and leaves from sH on. In the other regimes s changes
    nothing, and both are NaN.

    Attributes:
        low: s0 or sL, shape (...).
        high: s0 or sH, shape (...).
    """

    low: FloatArray
    high: FloatArray


def regime(game: Game) -> IntArray:
    """The regime of each game, from the signs of the net values without delay (Mahmood 2026, Theorems 1 and 2).

    Args:
        game: One game of one or two models or a batch.

    Returns:
        `Regime` values as integers, shape (...): with one model `BOTH_WORTH` where it is worth the wait and
        `NEITHER_WORTH` where it is not.

    Raises:
        InvalidGameError: There are more than two models.

    Examples:
        >>> from stackroute.analytic import Game, Regime
        >>> Regime(regime(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))).label
        'only the reasoning model is worth the wait'
    """
    game.check_models(1, 2)
    if game.models == 1:
        return np.where(game.net_value[..., 0] > 0.0, Regime.BOTH_WORTH, Regime.NEITHER_WORTH)[()]
    codes: IntArray = kernels.thresholds(game.success, game.net_value)[2]
    return codes


def cascade_thresholds(game: Game, delay: npt.ArrayLike = (0.0, 0.0)) -> CascadeThresholds:
    """The thresholds s0, or sL and sH (Mahmood 2026, Theorem 2).

    s0 = -xi1 / (xi2 / p2 - xi1) and sH = xi1 / (xi1 - xi2). sL is the positive root of
    a b xi2 s^2 + (xi2 (1 - a b) - xi1 p2^2) s + xi1 p2^2 = 0 (our closed form, beyond the paper), computed in the form
    whose terms all have one sign.

    Args:
        game: One game of two models or a batch; the paper's orders are not needed.
        delay: Delays that lower the net values, utility, shape (..., 2).

    Returns:
        The thresholds, each of shape (...).

    Raises:
        InvalidGameError: A delay is negative or not a number, or there are not two models.

    Examples:
        >>> from stackroute.analytic import Game
        >>> thresholds = cascade_thresholds(Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], 0.64, 4.83))
        >>> thresholds.low.round(4).item(), thresholds.high.round(4).item()
        (0.4759, 0.6192)
    """
    game.check_models(2)
    added = as_floats("delay", delay)
    non_negative("delay", added)
    low, high, _ = kernels.thresholds(game.success, game.with_delay(added))
    return CascadeThresholds(low, high)
