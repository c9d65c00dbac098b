"""The cascade probabilities at which the user's response to a start on model 1 changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.game import as_floats, non_negative
from stackroute.analytic.kernel import in_chunks, thresholds_many

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, Game


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


def cascade_thresholds(game: Game, delay: npt.ArrayLike = (0.0, 0.0)) -> CascadeThresholds:
    """The thresholds s0, or sL and sH (Mahmood 2026, Theorem 2).

    s0 = -xi1 / (xi2 / p2 - xi1) and sH = xi1 / (xi1 - xi2). sL is the positive root of
    a b xi2 s^2 + (xi2 (1 - a b) - xi1 p2^2) s + xi1 p2^2 = 0 (our closed form, beyond the paper), computed in the form
    whose terms all have one sign.

    Args:
        game: One game or a batch; the paper's orders are not needed.
        delay: Delays that lower the net values, utility, shape (..., 2).

    Returns:
        The thresholds, each of shape (...).

    Raises:
        InvalidGameError: A delay is negative or not a number.

    Examples:
        >>> from stackroute.analytic import Game
        >>> thresholds = cascade_thresholds(Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], 0.64, 4.83))
        >>> thresholds.low.round(4).item(), thresholds.high.round(4).item()
        (0.4759, 0.6192)
    """
    added = as_floats("delay", delay)
    non_negative("delay", added)
    xi = game.with_delay(added)
    p1, p2 = game.success[..., 0], game.success[..., 1]
    inputs = [p1, p2, xi[..., 0], xi[..., 1]]
    return CascadeThresholds(*in_chunks(thresholds_many, inputs, (), [np.float64, np.float64]))
