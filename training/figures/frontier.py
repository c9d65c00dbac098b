"""The picture of free routing: what a solution costs over how long users wait for it, in a market of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import solve
from stackroute.analytic.kernels import lower_hull
from stackroute.training.figures.scenario import money_unit, retries_in_words, scenario, short_name, waiting_unit
from stackroute.training.figures.style import (
    BLUE,
    GREY,
    NARROW,
    ORANGE,
    VERMILION,
    label,
    mark,
    new_figure,
    write_below,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs import GameConfig

_NAMED = 4
"""Corners of the hull with a name."""


def hull_corners(game: Game, slower: bool = False) -> IntArray:
    """The models on the lower hull of cost over waiting for a solution, the fastest first.

    The last is the cheapest, unless `slower` ones are wanted too.
    """
    waiting, cost = game.latency / game.success, game.cost_of_pass
    corners = np.flatnonzero(lower_hull(-waiting, cost) | (slower & lower_hull(waiting, cost)))
    ordered: IntArray = corners[np.argsort(waiting[corners])]
    return ordered


def frontier_picture(config: GameConfig) -> Figure:
    """The models of a market, the lower hull, the limit of users, and the lottery where they cross."""
    game = config.game
    per_unit, unit = waiting_unit(config)
    waiting, cost = game.latency / game.success / per_unit, game.cost_of_pass
    limit = float(game.value) / per_unit
    corners = hull_corners(game)
    longest = min(4 * max(limit, float(waiting[corners[-1]])), 1.15 * float(waiting.max())) or limit
    seen = waiting < longest
    logarithmic = bool(cost.min() > 0) and float(cost[seen].max()) > 10 * float(cost.min())

    figure = new_figure(5.8, _headline(game), NARROW, scenario(config))
    axes = figure.add_subplot()
    axes.plot(waiting, cost, "o", color=BLUE, markersize=5, alpha=0.6)
    along = np.linspace(waiting[corners[0]], waiting[corners[-1]], 400)
    axes.plot(along, np.interp(along, waiting[corners], cost[corners]), color=ORANGE, linewidth=2.5)
    if logarithmic:
        axes.set(yscale="log", ylim=(cost.min() / 2.2, cost[seen].max() * 1.6))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.25 * float(cost[seen].max()) or 1)
    axes.set_xlim(0, longest)
    axes.set_xlabel(f"waiting for a solved task, {unit}:\nwaiting for a pass / its probability of success")
    axes.set_ylabel(f"cost of a solved task, {money_unit(config)}:\ncost of a pass / its probability of success")
    _name_corners(axes, config, waiting, cost, corners)
    served = _draw_lottery(axes, config, waiting, cost)
    if limit < longest:
        axes.axvspan(limit, longest, color=GREY, zorder=0)
        axes.axvline(limit, color="black", linestyle=":", linewidth=1)
        for place, side, words in ((limit, "right", "users stay "), (limit, "left", " users leave")):
            label(axes, place, 0.96, words, ha=side, transform=axes.get_xaxis_transform())
    far = int((~seen).sum())
    shown = f" {far} of {game.models} models are not shown, as they take longer." if far else ""
    straight = ", straight without the logarithm" if logarithmic else ""
    write_below(
        figure, f"{served}\nUsers wait {limit:.2g} {unit} at most. The curve is the lower hull{straight}.{shown}"
    )
    return figure


def _headline(game: Game) -> str:
    best = solve(game, "free")
    if best.patience == 0:
        return "Users leave after a failure"
    if (best.commitment.transition[0] > 0).sum() > 1:
        return "Retries are served by the two models at the users' limit"
    return "Retries are served by the cheapest model"


def _name_corners(axes: Axes, config: GameConfig, waiting: FloatArray, cost: FloatArray, corners: IntArray) -> None:
    """Name corners of the hull, as many as have room: the ends, then those between."""
    taken: list[FloatArray] = []
    for place, k in enumerate([*dict.fromkeys([corners[0], corners[-1], *corners])][:_NAMED]):
        here = axes.transAxes.inverted().transform(axes.transData.transform((waiting[k], cost[k])))
        if all(abs(here[0] - other[0]) > 0.3 or abs(here[1] - other[1]) > 0.08 for other in taken):
            taken.append(here)
            offset = (14, 16) if place % 2 == 0 else (14, -14)
            mark(axes, float(waiting[k]), float(cost[k]), short_name(config, int(k)), offset)


def _draw_lottery(axes: Axes, config: GameConfig, waiting: FloatArray, cost: FloatArray) -> str:
    """Mark where retries are served, and say in words what the provider does."""
    game = config.game
    best = solve(game, "free")
    first = f"First answer by {short_name(config, int(best.commitment.first_model))}; "
    if best.patience == 0:
        return f"{first}if it fails, users leave."
    lottery = best.commitment.transition[0]
    solved = lottery * game.success / (lottery @ game.success)
    axes.plot(solved @ waiting, solved @ cost, "D", color=VERMILION, markeredgecolor="white", markersize=11, zorder=7)
    return f"{first}retries (the diamond): {retries_in_words(config, lottery)}."
