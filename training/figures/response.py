"""The picture of the user's response to the cascade probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, Regime, best_response, cascade_thresholds, regime
from stackroute.configs import load_game
from stackroute.training.figures.style import BLUE, GREY, new_figure, title

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray
    from stackroute.analytic.response import TieBreaking

NAMES = ("g1", "g3", "g4b", "g6")
"""Canonical games, one of each regime."""


def abandonment(game: Game, cascade: npt.ArrayLike, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The user's response to cascade probabilities s, q* = 1 - r, of the same shape (Mahmood 2026, Theorems 1, 2)."""
    return np.asarray(1 - best_response(game, Commitment.cascade(0, cascade), tie_breaking))


def response_picture() -> Figure:
    """The user's response in the four regimes, with its thresholds."""
    figure = new_figure(5.6, "Cascading moves the user only where just one of the models is worth the wait")
    panels = figure.subplots(2, 2, sharex=True, sharey=True, height_ratios=[1, 1.6])
    for axes, name in zip(panels.flat, NAMES, strict=True):
        _draw_response(axes, load_game(name).game)
    panels[0, 0].set(xlim=(-0.02, 1.02), ylim=(-0.1, 1.1), yticks=[0, 0.5, 1])
    panels[0, 0].set_yticklabels(["0: stays", "0.5", "1: leaves"])
    figure.supylabel("user's probability to abandon after a failed pass, $q^* = 1 - r$", fontsize=9.5)
    figure.supxlabel("cascade probability, $s$: how likely a re-prompt moves on to the reasoning model", fontsize=9.5)
    return figure


def _draw_response(axes: Axes, game: Game) -> None:
    rule = Regime(int(regime(game)))
    first, second = game.net_value
    title(axes, rule.label.capitalize(), f"net values of a pass: $\\xi_1 = {first:.3g}$, $\\xi_2 = {second:.3g}$")
    thresholds = cascade_thresholds(game)
    low, high = float(thresholds.low), float(thresholds.high)
    if rule == Regime.ONLY_REASONING_WORTH:
        _draw_jump(axes, game, low)
        return
    s = np.linspace(0, 1, 401)
    q = abandonment(game, s)
    axes.plot(s, q, color=BLUE, linewidth=2.5)
    if rule == Regime.ONLY_STANDARD_WORTH:
        axes.axvspan(low, high, color=GREY, zorder=0)
        for place, name, height in ((low, "L", 0.75), (high, "H", 0.25)):
            axes.axvline(place, color="black", linestyle=":", linewidth=1)
            axes.text(place - 0.02, height, f"$s_{name}$ = {place:.3f}", ha="right", va="center")
        axes.text(high - 0.02, 0.07, "mixes: $0 < q^* < 1$", ha="right", va="center")
    else:
        words, height = ("stays", 0.2) if q[0] == 0 else ("leaves", 0.8)
        axes.text(0.5, height, f"{words}, whatever $s$", ha="center", va="center")


def _draw_jump(axes: Axes, game: Game, threshold: float) -> None:
    taken, refused = (float(abandonment(game, threshold, rule)) for rule in ("strong", "pessimistic"))
    before, after = (float(abandonment(game, side)) for side in (threshold / 2, (1 + threshold) / 2))
    axes.hlines([before, after], [0, threshold], [threshold, 1], color=BLUE, linewidth=2.5)
    axes.axvline(threshold, color="black", linestyle=":", linewidth=1)
    axes.text(threshold + 0.02, 0.5, f"$s_0$ = {threshold:.3f}", va="center")
    for q, colour, words in (
        (taken, BLUE, "taken, for the provider's sake"),
        (refused, "white", "just as good for the user"),
    ):
        axes.plot(threshold, q, "o", color=colour, markeredgecolor=BLUE, markeredgewidth=2, markersize=8)
        axes.text(threshold + 0.03, 0.88 if q > 0.5 else 0.12, f"tie: {words}", va="center")
