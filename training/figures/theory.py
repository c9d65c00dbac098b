"""The paper's pictures: the user's response, the provider's policy, and misalignment."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Patch

from stackroute.analytic import Commitment, Regime, best_response, cascade_thresholds, misalignment, regime, solve
from stackroute.configs import load_game
from stackroute.training.figures.planes import (
    draw_market_planes,
    draw_net_value_planes,
    frame_game,
    minutes,
    net_value_plane,
    shade,
)
from stackroute.training.figures.scenario import scenario, short_name
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT_TO_DARK,
    NARROW,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    YELLOW,
    Look,
    draw_legend,
    fill,
    label_region,
    new_figure,
    title,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Equilibrium, Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.analytic.response import TieBreaking
    from stackroute.configs import GameConfig
    from stackroute.training.figures.planes import Plane

NAMES = ("g4b", "g6")
"""Canonical games, one of each regime in which the cascade probability moves the user."""

_NOTHING = 1e-9


def abandonment(game: Game, cascade: npt.ArrayLike, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The user's response to cascade probabilities s, q* = 1 - r, of the same shape (Mahmood 2026, Theorems 1, 2)."""
    return np.asarray(1 - best_response(game, Commitment.cascade(0, cascade), tie_breaking))


def response_picture(config: GameConfig | None = None) -> Figure:
    """The user's response in the four regimes, or in a game of two models, with its thresholds."""
    headline = "Cascading moves the user only where just one of the models is worth the wait"
    if config is None:
        others = "If both models are worth the wait, users stay, whatever the cascade; if neither is, they leave."
        figure, games = new_figure(7.4, headline, NARROW, others), [load_game(name).game for name in NAMES]
        panels = figure.subplots(2, 1, sharex=True, sharey=True, squeeze=False)
    else:
        figure, games = new_figure(5.2, "When users stay", NARROW, scenario(config)), [config.game]
        panels = figure.subplots(1, 1, squeeze=False)
    for axes, game in zip(panels.flat, games, strict=True):
        _draw_response(axes, game)
    panels[0, 0].set(xlim=(-0.02, 1.02), ylim=(-0.1, 1.1), yticks=[0, 0.5, 1])
    panels[0, 0].set_yticklabels(["0: stays", "0.5", "1: leaves"])
    probability = "user's probability to abandon after a failed pass"
    figure.supylabel(f"{probability}, $q^* = 1 - r$" if config is None else probability, fontsize=9.5)
    second = "the reasoning model" if config is None else short_name(config, 1)
    figure.supxlabel(f"cascade probability, $s$: how likely a re-prompt moves on to {second}", fontsize=9.5)
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
        for place in (low, high):
            axes.axvline(place, color="black", linestyle=":", linewidth=1)
        before, after = ("right", -0.02), ("left", 0.02)
        for place, words, height, (side, shift) in (
            (low, f"$s_L$ = {low:.3f}", 0.75, before if low > 0.2 else after),
            (high, f"$s_H$ = {high:.3f}", 0.25, after if high < 0.7 else before),
            (high, "mixes: $0 < q^* < 1$", 0.07, after if high < 0.7 else before),
        ):
            axes.text(place + shift, height, words, ha=side, va="center")
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


class Policy(enum.IntEnum):
    """What the provider of two models does at an equilibrium, and what comes of it.

    The first six are the paper's (Mahmood 2026, Theorems 3 to 5); with free routing the provider may also start with
    the second model and serve some re-prompts by the first.
    """

    STANDARD = 0
    REASONING = 1
    CASCADE_TO_KEEP = 2
    CASCADE_TO_THE_LIMIT = 3
    STANDARD_ABANDONED = 4
    REASONING_ABANDONED = 5
    REVERSE = 6


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
"""How the paper's policies are drawn."""


def policies(best: Equilibrium) -> IntArray:
    """The `Policy` of each equilibrium of two models, as integers of shape (...)."""
    standard, stays = best.commitment.first_model == 0, best.patience > 0
    moves = best.commitment.transition
    alone = np.where(standard, moves[..., 0, 0], moves[..., 1, 1]) == 1.0
    found: IntArray = np.select(
        [
            ~stays & standard,
            ~stays,
            alone & standard,
            alone,
            ~standard,
            best.regime == Regime.ONLY_REASONING_WORTH,
        ],
        [
            Policy.STANDARD_ABANDONED,
            Policy.REASONING_ABANDONED,
            Policy.STANDARD,
            Policy.REASONING,
            Policy.REVERSE,
            Policy.CASCADE_TO_KEEP,
        ],
        Policy.CASCADE_TO_THE_LIMIT,
    )
    return found[()]


def policy_picture(config: GameConfig | None = None) -> Figure:
    """The provider's optimal policy over the net values of a game of two models; or over two planes of pairs.

    Those are of the net values of made-up pairs, and of the value and churn penalty of real ones.
    """
    headline = "The provider cascades only where just one model is worth the wait"
    occurring: set[int] = set()

    def paint(axes: Axes, plane: Plane, _: object = None) -> None:
        found = policies(solve(plane.games))
        occurring.update(found[plane.shown].tolist())
        for policy, look in LOOKS.items():
            fill(axes, plane.x, plane.y, (found == policy) & plane.shown, look)

    if config is None:
        figure = new_figure(9.4, headline)
        above, below, words = figure.subfigures(3, 1, squeeze=False, height_ratios=[4, 4, 0.8])[:, 0]
        draw_net_value_planes(above, paint)
        draw_market_planes(below, paint)
    else:
        figure = new_figure(6.6, "The paper's routing, for faster and slower models", NARROW, scenario(config))
        above, words = figure.subfigures(2, 1, squeeze=False, height_ratios=[5, 1])[:, 0]
        plane, axes = net_value_plane(config.game), above.subplots()
        paint(axes, plane)
        frame_game(axes, plane, config)
    draw_legend(words, [look for policy, look in LOOKS.items() if policy in occurring], 2 if config is None else 1)
    return figure


def misalignment_picture() -> Figure:
    """The misalignment gap over net values, and over the value and churn penalty of real pairs."""
    figure = new_figure(8.8, "Users lose where the cheap model is not the one they want")
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    share, time = Normalize(0, 1), Normalize(0, 1)

    def paint(axes: Axes, plane: Plane, gap: FloatArray, scale: Normalize) -> None:
        exists = (gap > _NOTHING) & plane.shown
        scale.vmax = max(float(gap[exists].max()), scale.vmax or 0)
        shade(axes, plane, gap, exists, scale)
        label_region(axes, plane.x, plane.y, ~exists & plane.shown, "no gap")

    def paint_share(axes: Axes, plane: Plane) -> None:
        paint(axes, plane, misalignment(plane.games).gap, share)

    def paint_time(axes: Axes, plane: Plane, config: GameConfig) -> None:
        paint(axes, plane, minutes(misalignment(plane.games).gap, config), time)

    handles = [Patch(facecolor="white", edgecolor="black", label="white: no gap, users would choose the same")]
    figure.legend(handles=handles, loc="outside lower center")
    for part, panels, scale, unit in (
        (above, draw_net_value_planes(above, paint_share), share, " (units of $V$)"),
        (below, draw_market_planes(below, paint_time), time, "\n(minutes of the user's time)"),
    ):
        part.colorbar(ScalarMappable(scale, LIGHT_TO_DARK), ax=panels, label=f"misalignment gap of a task{unit}")
    return figure
