"""The picture of the provider's optimal policy."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from stackroute.analytic import Regime, solve
from stackroute.training.figures.planes import draw_market_planes, draw_net_value_planes
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    WIDTH,
    YELLOW,
    Look,
    draw_legend,
    fill,
    headline,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stackroute.analytic import Game
    from stackroute.analytic.game import IntArray
    from stackroute.training.figures.planes import Plane


class Policy(enum.IntEnum):
    """What the provider does at the equilibrium and what comes of it (Mahmood 2026, Theorems 3 to 5)."""

    STANDARD = 0
    REASONING = 1
    CASCADE_TO_KEEP = 2
    CASCADE_TO_THE_LIMIT = 3
    STANDARD_ABANDONED = 4
    REASONING_ABANDONED = 5


LOOKS = {
    Policy.STANDARD: Look("serve the standard model; the user stays", "standard", PALE_BLUE),
    Policy.REASONING: Look("serve the reasoning model; the user stays", "reasoning", ORANGE),
    Policy.CASCADE_TO_KEEP: Look("cascade at $s_0$, just enough for the user to stay", "cascade,\njust enough", YELLOW),
    Policy.CASCADE_TO_THE_LIMIT: Look(
        "cascade at $s_L$, as much as the user stays for", "cascade,\nto the limit", GREEN, ".."
    ),
    Policy.STANDARD_ABANDONED: Look(
        "one standard pass; if it fails, the user leaves", "one standard\npass", BLUE, "//"
    ),
    Policy.REASONING_ABANDONED: Look(
        "one reasoning pass; if it fails, the user leaves", "one reasoning\npass", VERMILION, "\\\\"
    ),
}


def policies(game: Game) -> IntArray:
    """The provider's optimal policy in words (Mahmood 2026, Theorems 3 to 5).

    Args:
        game: One game or a batch.

    Returns:
        `Policy` values as integers, shape (...).
    """
    equilibrium = solve(game)
    standard = equilibrium.commitment.model == 1
    cascades = standard & (equilibrium.commitment.cascade > 0)
    found = np.select(
        [
            equilibrium.patience == 0,
            cascades & (equilibrium.regime == Regime.ONLY_REASONING_WORTH),
            cascades,
        ],
        [
            np.where(standard, Policy.STANDARD_ABANDONED, Policy.REASONING_ABANDONED),
            np.asarray(Policy.CASCADE_TO_KEEP),
            np.asarray(Policy.CASCADE_TO_THE_LIMIT),
        ],
        np.where(standard, Policy.STANDARD, Policy.REASONING),
    )
    return found.astype(np.int64)[()]


def policy_picture() -> Figure:
    """The provider's optimal policy over net values, and over the value and churn penalty of real pairs."""
    figure = Figure(figsize=(WIDTH, 9.4), layout="constrained")
    headline(figure, "The provider cascades only where just one model is worth the wait")
    above, below, words = figure.subfigures(3, 1, squeeze=False, height_ratios=[4, 4, 0.8])[:, 0]

    def paint(axes: Axes, plane: Plane, _: object = None) -> None:
        found = policies(plane.games)
        for policy, look in LOOKS.items():
            fill(axes, plane.x, plane.y, (found == policy) & plane.shown, look)

    draw_net_value_planes(above, paint)
    draw_market_planes(below, paint)
    draw_legend(words, list(LOOKS.values()))
    return figure
