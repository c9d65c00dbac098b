"""The picture of throttling: what the provider gains by it, what the user loses, and where it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Game, Route, throttling_gain
from stackroute.configs import load_game
from stackroute.training.figures.planes import DEVELOPER, PENALTY, SCENARIOS, frame_market, hourly, market_plane
from stackroute.training.figures.style import (
    GREY,
    NARROW,
    ORANGE,
    PALE_BLUE,
    Look,
    draw_legend,
    fill,
    label,
    mark,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import ThrottlingGain
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs import GameConfig

LOOKS = {
    Route.LEAVE_BY_THREAT: Look(
        "gpt-4.1 serves at full speed; a slow o3\nis the threat that makes the user leave",
        "slow o3 as\na threat",
        PALE_BLUE,
    ),
    Route.LEAVE_BY_DELAY: Look("o3 serves, slowed until a second pass is not worth the wait", "", ORANGE, "//"),
    Route.STATIC: Look("throttling does not pay", "", GREY),
}
"""How the routes under throttling are drawn."""

ON_THE_CURVE = ("gpt-4.1-o3-dev", "gpt-4.1-o3-dev-low-p")
"""The packaged scenarios that lie on the curves: they differ in the churn penalty only."""


def how_it_pays(gain: ThrottlingGain) -> IntArray:
    """How throttling makes users leave where it pays, by threat or by delay; `Route.STATIC` where it does not."""
    how: IntArray = np.select(
        [gain.pays & gain.threat, gain.pays], [Route.LEAVE_BY_THREAT, Route.LEAVE_BY_DELAY], Route.STATIC
    )
    return how[()]


def throttling_picture() -> Figure:
    """What throttling gains the provider and costs the user over the churn penalty, and where it pays."""
    config = load_game(DEVELOPER)
    game, penalties = config.game, np.linspace(0, 0.13, 1301)
    gain = throttling_gain(Game(game.success, game.cost, game.latency, game.value, penalties))
    highest = float(gain.churn_penalty_high[0])
    scenario = f"{' and '.join(config.labels)}: an hour of waiting costs users \\${hourly(config):g}."
    figure = new_figure(9.6, "Where losing a user is cheap, it pays the provider to be slow", NARROW, scenario)
    curves, plane, words = figure.subfigures(3, 1, squeeze=False, height_ratios=[4.4, 4.2, 1.1])[:, 0]
    above, below = curves.subplots(2, 1, sharex=True)
    _draw_curves(above, below, penalties, gain)
    for name in ON_THE_CURVE:
        one = load_game(name)
        mark(above, one.churn_penalty, float(throttling_gain(one.game).provider_gain), SCENARIOS[name][0], (8, 9))
    for axes in (above, below):
        axes.axvline(highest, color="black", linestyle="--", linewidth=1)
    above.text(highest + 0.002, 0.072, f"$P^*$ = \\${highest:.3f}", fontweight="bold", va="top")
    below.set_xlabel(f"{PENALTY}, at $V$ = \\${config.value:g}")
    _draw_plane(plane.subplots(), config, highest)
    draw_legend(words, list(LOOKS.values()), columns=1)
    return figure


def _draw_curves(above: Axes, below: Axes, penalties: FloatArray, gain: ThrottlingGain) -> None:
    above.set_title("The provider gains cents")
    above.set(ylabel="provider's gain (\\$ per task)", xlim=(0, penalties[-1]), ylim=(0, 0.08))
    below.set_title("The user loses dollars")
    below.set(ylabel="user's loss (\\$ per task)", ylim=(0, 8))
    how = how_it_pays(gain)
    for route, look in LOOKS.items():
        here = how == route
        x, gained, lost, worst = (
            one[here] for one in (penalties, gain.provider_gain, gain.user_loss, gain.user_loss_worst)
        )
        for axes, low, high, line in ((above, np.zeros_like(gained), gained, gained), (below, lost, worst, lost)):
            axes.fill_between(x, low, high, facecolor=look.colour, linewidth=0, hatch=look.hatch, edgecolor="white")
            axes.plot(x, line, color="black", linewidth=2)
        below.plot(x, worst, color="black", linewidth=1.5, linestyle=":")
    below.text(0.002, 0.9 * gain.user_loss[0], "the equilibrium best for the user", va="top")
    below.text(0.002, 1.04 * gain.user_loss_worst[0], "worst: delays up to the task's value", va="bottom")


def _draw_plane(axes: Axes, config: GameConfig, highest: float) -> None:
    plane = market_plane(config, (0.5, 20), (0.01, 1))
    how = how_it_pays(throttling_gain(plane.games))
    for route, look in LOOKS.items():
        fill(axes, plane.x, plane.y, how == route, look)
    frame_market(axes, config)
    band = plane.y[(how == Route.LEAVE_BY_DELAY).any(axis=1)]
    label(axes, 10, (band[0] * band[-1]) ** 0.5, "slow o3 itself")
    # P* exists only where throttling can pay at all.
    possible, right = plane.x[(how != Route.STATIC).any(axis=0)], plane.x[-1] / 1.1
    axes.plot([possible[0], plane.x[-1]], [highest, highest], color="black", linestyle="--", linewidth=1)
    plain = {"ha": "right", "va": "baseline", "fontsize": None, "fontweight": None}
    label(axes, right, highest * 1.05, f"$P^*$ = \\${highest:.3f}", **plain)
    axes.text(plane.x[0] * 1.1, 0.03, "the user would not\nwait for o3 anyway", va="center")
    axes.text(right, 0.2, "an abandoned task costs the\nprovider more than a solved one", ha="right", va="center")
    axes.set_title("Throttling pays for valuable tasks and low penalties")
    axes.set_ylabel(PENALTY)
