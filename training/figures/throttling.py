"""The picture of throttling: what the provider gains by it, what the user loses, and where it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from stackroute.analytic import Game, throttling_gain
from stackroute.configs import load_game
from stackroute.training.figures.planes import DEVELOPER, SCENARIOS, frame_market, market_plane
from stackroute.training.figures.style import (
    GREY,
    ORANGE,
    PALE_BLUE,
    WIDTH,
    Look,
    draw_legend,
    fill,
    headline,
    mark,
    outlined,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from stackroute.analytic import ThrottlingGain
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.configs import GameConfig

LOOKS = {
    1: Look(
        "gpt-4.1 serves at full speed; a slow o3 is the threat that makes the user leave",
        "slow o3 as\na threat",
        PALE_BLUE,
    ),
    2: Look("o3 serves, slowed until a second pass is not worth the wait", "", ORANGE, "//"),
    0: Look("throttling does not pay", "", GREY),
}
"""How the models that are served under throttling are drawn; 0 where throttling does not pay."""

ON_THE_CURVE = ("gpt-4.1-o3-dev", "gpt-4.1-o3-dev-low-p")
"""The packaged scenarios that lie on the curves: they differ in the churn penalty only."""


def throttling_over_penalties(config: GameConfig, penalties: npt.ArrayLike) -> ThrottlingGain:
    """Throttling at the churn penalties of a scale (Mahmood 2026, Proposition 2; complete solution beyond the paper).

    Args:
        config: A game; its own churn penalty is not used.
        penalties: The churn penalties, money, shape (m,).

    Returns:
        The gain and the loss at each of them.
    """
    game = config.game
    return throttling_gain(Game(game.success, game.cost, game.latency, game.value, penalties))


def served_when_throttling(game: Game) -> IntArray:
    """The model that is served where throttling pays (beyond the paper).

    Args:
        game: One game or a batch, in the paper's orders.

    Returns:
        1 or 2, and 0 where throttling does not pay, shape (...).
    """
    gain = throttling_gain(game)
    return np.where(gain.pays, gain.least.model, 0)[()]


def throttling_picture() -> Figure:
    """What throttling gains the provider and costs the user over the churn penalty, and where it pays."""
    config = load_game(DEVELOPER)
    penalties = np.linspace(0, 0.13, 1301)
    gain = throttling_over_penalties(config, penalties)
    highest = float(gain.churn_penalty_high[0])
    figure = Figure(figsize=(WIDTH, 6.2), layout="constrained")
    headline(figure, "Where losing a user is cheap, it pays the provider to be slow")
    pictures, words = figure.subfigures(2, 1, squeeze=False, height_ratios=[7, 1])[:, 0]
    curves, plane = pictures.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.05])[0]
    above, below = curves.subplots(2, 1, sharex=True)
    _draw_gain(above, penalties, gain)
    _draw_loss(below, penalties, gain)
    for name in ON_THE_CURVE:
        scenario = load_game(name)
        height = float(throttling_gain(scenario.game).provider_gain)
        mark(above, scenario.churn_penalty, height, SCENARIOS[name][0], (8, 9))
    for axes in (above, below):
        axes.axvline(highest, color="black", linestyle="--", linewidth=1)
    above.text(highest + 0.002, 0.072, f"$P^*$ = \\${highest:.3f}", fontweight="bold", va="top")
    below.set_xlabel(f"churn penalty, $P$ (\\$ per abandoned task), at $V$ = \\${config.value:g}")
    _draw_plane(plane.subplots(), config, highest)
    draw_legend(words, list(LOOKS.values()), columns=1)
    return figure


def _draw_gain(axes: Axes, penalties: FloatArray, gain: ThrottlingGain) -> None:
    axes.set_title("The provider gains cents")
    axes.set(ylabel="provider's gain (\\$ per task)", xlim=(0, penalties[-1]), ylim=(0, 0.08))
    for look, here in _stretches(gain):
        axes.fill_between(
            penalties[here],
            0,
            gain.provider_gain[here],
            facecolor=look.colour,
            linewidth=0,
            hatch=look.hatch,
            edgecolor="white",
        )
        axes.plot(penalties[here], gain.provider_gain[here], color="black", linewidth=2)


def _draw_loss(axes: Axes, penalties: FloatArray, gain: ThrottlingGain) -> None:
    axes.set_title("The user loses dollars")
    axes.set(ylabel="user's loss (\\$ per task)", ylim=(0, 8))
    for look, here in _stretches(gain):
        if look is not LOOKS[0]:
            axes.fill_between(
                penalties[here],
                gain.user_loss[here],
                gain.user_loss_worst[here],
                facecolor=look.colour,
                linewidth=0,
                hatch=look.hatch,
                edgecolor="white",
            )
            axes.plot(penalties[here], gain.user_loss_worst[here], color="black", linewidth=1.5, linestyle=":")
        axes.plot(penalties[here], gain.user_loss[here], color="black", linewidth=2)
    axes.text(0.002, 0.9 * gain.user_loss[0], "the equilibrium\nbest for the user", va="top")
    axes.text(0.002, 1.04 * gain.user_loss_worst[0], "worst: delays up to the task's value", va="bottom")


def _stretches(gain: ThrottlingGain) -> list[tuple[Look, BoolArray]]:
    served = np.where(gain.pays, gain.least.model, 0)
    return [(look, served == model) for model, look in LOOKS.items()]


def _draw_plane(axes: Axes, config: GameConfig, highest: float) -> None:
    plane = market_plane(config, (0.5, 20), (0.01, 1))
    served = served_when_throttling(plane.games)
    for model, look in LOOKS.items():
        fill(axes, plane.x, plane.y, served == model, look)
    frame_market(axes, config)
    band = plane.y[(served == 2).any(axis=1)]
    outlined(
        axes.text(
            10, (band[0] * band[-1]) ** 0.5, "slow o3 itself", ha="center", va="center", fontsize=9, fontweight="bold"
        )
    )
    # P* exists only where throttling can pay at all.
    possible = plane.x[(served > 0).any(axis=0)]
    axes.plot([possible[0], plane.x[-1]], [highest, highest], color="black", linestyle="--", linewidth=1)
    outlined(axes.text(plane.x[-1] / 1.1, highest * 1.05, f"$P^*$ = \\${highest:.3f}", ha="right"))
    axes.text(plane.x[0] * 1.1, 0.03, "the user would not\nwait for o3 anyway", va="center")
    axes.text(
        plane.x[-1] / 1.1, 0.2, "an abandoned task costs the\nprovider more than a solved one", ha="right", va="center"
    )
    axes.set_title(f"{' and '.join(config.labels)}: throttling pays for\nvaluable tasks and low churn penalties")
    axes.set_ylabel("churn penalty, $P$ (\\$ per abandoned task)")
