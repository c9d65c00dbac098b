"""The picture of the provider's optimal policy."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Regime, Route, solve
from stackroute.training.figures import style
from stackroute.training.figures.planes import draw_market_planes, draw_net_value_planes
from stackroute.training.figures.style import Look, draw_legend, fill, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    Policy.STANDARD: Look("serve the standard model; the user stays", "standard", style.PALE_BLUE),
    Policy.REASONING: Look("serve the reasoning model; the user stays", "reasoning", style.ORANGE),
    Policy.CASCADE_TO_KEEP: Look(
        "cascade at $s_0$, just enough for the user to stay", "cascade,\njust enough", style.YELLOW
    ),
    Policy.CASCADE_TO_THE_LIMIT: Look(
        "cascade at $s_L$, as much as the user stays for", "cascade,\nto the limit", style.GREEN, ".."
    ),
    Policy.STANDARD_ABANDONED: Look(
        "one standard pass; if it fails, the user leaves", "one standard\npass", style.BLUE, "//"
    ),
    Policy.REASONING_ABANDONED: Look(
        "one reasoning pass; if it fails, the user leaves", "one reasoning\npass", style.VERMILION, "\\\\"
    ),
}


def policies(game: Game) -> IntArray:
    """The `Policy` of each game, as integers of shape (...) (Mahmood 2026, Theorems 3 to 5)."""
    best = solve(game)
    cascades, standard = best.route == Route.CASCADE, best.commitment.first_model == 0
    found: IntArray = np.select(
        [
            cascades & (best.regime == Regime.ONLY_REASONING_WORTH),
            cascades,
            (best.patience > 0) & standard,
            best.patience > 0,
            standard,
        ],
        [
            Policy.CASCADE_TO_KEEP,
            Policy.CASCADE_TO_THE_LIMIT,
            Policy.STANDARD,
            Policy.REASONING,
            Policy.STANDARD_ABANDONED,
        ],
        Policy.REASONING_ABANDONED,
    )
    return found[()]


def policy_picture() -> Figure:
    """The provider's optimal policy over net values, and over the value and churn penalty of real pairs."""
    figure = new_figure(9.4, "The provider cascades only where just one model is worth the wait")
    above, below, words = figure.subfigures(3, 1, squeeze=False, height_ratios=[4, 4, 0.8])[:, 0]

    def paint(axes: Axes, plane: Plane, _: object = None) -> None:
        found = policies(plane.games)
        for policy, look in LOOKS.items():
            fill(axes, plane.x, plane.y, (found == policy) & plane.shown, look)

    draw_net_value_planes(above, paint)
    draw_market_planes(below, paint)
    draw_legend(words, list(LOOKS.values()))
    return figure
