"""The picture of the idea: models by what a solution costs and how long it takes, who serves, what users want."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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
    name_points,
    new_figure,
    write_below,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Equilibrium, Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs import GameConfig

_NAMED = 6
"""Models with a name: of so few all, of more those on the hull."""

_STEPS, _FAR = 200, 2.5


def hull_corners(game: Game, slower: bool = False) -> IntArray:
    """The models on the lower hull of cost over waiting for a solution, the fastest first.

    The last is the cheapest, unless `slower` ones are wanted too.
    """
    waiting, cost = game.latency / game.success, game.cost_of_pass
    corners = np.flatnonzero(lower_hull(-waiting, cost) | (slower & lower_hull(waiting, cost)))
    ordered: IntArray = corners[np.argsort(waiting[corners])]
    return ordered


def frontier_picture(config: GameConfig) -> Figure:
    """The models of a market, the lower hull, the users' limit, what the provider serves, and what users want."""
    game = config.game
    per_unit, unit = waiting_unit(config)
    waiting, cost = game.latency / game.success / per_unit, game.cost_of_pass
    limit = float(game.value) / per_unit
    corners = hull_corners(game)
    longest = min(4 * max(limit, float(waiting[corners[-1]])), 1.15 * float(waiting.max())) or limit
    if limit < _FAR * longest:
        longest = max(longest, 1.4 * limit)
    seen = waiting < longest
    logarithmic = bool(cost.min() > 0) and float(cost[seen].max()) > 10 * float(cost.min())
    best = solve(game, "free")

    figure = new_figure(5.2, _headline(best, int(corners[0])), NARROW, scenario(config))
    axes = figure.add_subplot()
    along = np.linspace(waiting[corners[0]], waiting[corners[-1]], _STEPS)
    hull = np.interp(along, waiting[corners], cost[corners])
    axes.plot(along, hull, color=ORANGE, linewidth=3)
    axes.plot(waiting, cost, "o", color=BLUE, markersize=7, markeredgecolor="white")
    if logarithmic:
        axes.set(yscale="log", ylim=(cost.min() / 4, cost[seen].max() * 4))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.35 * float(cost[seen].max()) or 1)
    axes.set_xlim(0, longest)
    axes.set_xlabel(f"waiting for a solved task, {unit}")
    axes.set_ylabel(f"provider's cost of a solved task, {money_unit(config)}")
    shown = ""
    if limit < longest:
        axes.axvspan(limit, longest, color=GREY, zorder=0)
        axes.axvline(limit, color="black", linestyle=":", linewidth=1.5)
        side, words = ("left", " users leave:") if 2 * limit < longest else ("right", "beyond, users leave: ")
        words = f"{words}\n waiting costs more \n than the task is worth "
        label(axes, limit, 0.98, words, ha=side, va="top", transform=axes.get_xaxis_transform())
    else:
        shown = f" Users would wait {limit:.3g} {unit}."
    if (~seen).any():
        shown += f" {(~seen).sum()} of {game.models} models are not shown, as they take longer."
    straight = " (straight but for the logarithm)" if logarithmic else ""
    write_below(
        figure,
        f"{_serving(config, best)}\nA solved task takes the cost and waiting of a pass / its probability of success. "
        f"Line: the least cost by mixing models{straight}; retries "
        f"of users who stay are never served by others.{shown}",
    )
    names = _choices(axes, config, best, waiting, cost) if best.patience > 0 else {}
    choices = len(names)
    few = np.flatnonzero(seen) if seen.sum() <= _NAMED else corners[:_NAMED]
    for k in few.tolist():
        names.setdefault((float(waiting[k]), float(cost[k])), short_name(config, k))
    figure.draw_without_rendering()
    name_points(axes, names, np.r_[np.c_[waiting, cost][seen], np.c_[along, hull]], bold=choices)
    return figure


def frontier_numbers(config: GameConfig) -> pd.DataFrame:
    """The points of the picture as a table, and which of them are on the line."""
    game, unit = config.game, money_unit(config)
    per_unit, time = waiting_unit(config)
    return pd.DataFrame(
        {
            "model": config.labels,
            f"waiting for a solved task ({time})": game.latency / game.success / per_unit,
            f"cost of a solved task ({unit})": game.cost_of_pass,
            "on the hull": np.isin(np.arange(game.models), hull_corners(game)),
        }
    )


def _headline(best: Equilibrium, fastest: int) -> str:
    served = best.commitment.transition[0] > 0
    if best.patience == 0:
        return "After a failure users leave: that is cheapest"
    if served.sum() > 1:
        return "The provider is as slow as users will bear"
    return "The fastest is the cheapest" if served[fastest] else "The provider serves the cheapest, not the fastest"


def _serving(config: GameConfig, best: Equilibrium) -> str:
    """What the provider does in words."""
    first = f"First answer by {short_name(config, int(best.commitment.first_model))}; "
    if best.patience == 0:
        return f"{first}if it fails, users leave."
    return f"{first}retries: {retries_in_words(config, best.commitment.transition[0])}."


def _choices(
    axes: Axes, config: GameConfig, best: Equilibrium, waiting: FloatArray, cost: FloatArray
) -> dict[tuple[float, float], str]:
    """Mark what serves retries and what users would choose, with the words for each place."""
    game, lottery = config.game, best.commitment.transition[0]
    solved = lottery * game.success / (lottery @ game.success)
    wanted = int(hull_corners(game)[0])
    served, fastest = (float(solved @ waiting), float(solved @ cost)), (float(waiting[wanted]), float(cost[wanted]))
    axes.plot(*fastest, "o", color="white", markeredgecolor="black", markeredgewidth=2.5, markersize=12, zorder=6)
    axes.plot(*served, "D", color=VERMILION, markeredgecolor="black", markersize=10, zorder=7)
    serving = [short_name(config, k) for k in np.argsort(-lottery, kind="stable")[: (lottery > 0).sum()].tolist()]
    if serving == [short_name(config, wanted)]:
        return {fastest: f"the provider serves and\nusers want {serving[0]}"}
    mixed = "the provider serves a mix\nof " if len(serving) > 1 else "the provider serves\n"
    return {
        fastest: f"users would rather have\n{short_name(config, wanted)}",
        served: mixed + "\nand ".join(serving),
    }
