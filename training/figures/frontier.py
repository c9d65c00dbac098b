"""The picture of free routing: what a solution costs over how long users wait for it, in a market of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Game, solve
from stackroute.analytic.kernels import lower_hull
from stackroute.configs.tables import read_models
from stackroute.training.figures.style import BLUE, GREY, ORANGE, VERMILION, foreign, label, mark, new_figure
from stackroute.training.market.market import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.configs.tables import ModelTable

WAITING_COST, VALUE, CHURN_PENALTY = 64.0, 1.0, 0.1
"""The scenario: an hour of waiting, a solved task and an abandoned task, USD."""

_LONGEST = 6.0
_OFFSETS = ((14, 16), (14, -14), (14, 18))


def market_game(table: ModelTable) -> Game:
    """All models of a table in one game, in the scenario."""
    success, cost, seconds = np.array([(model.success, model.cost, model.latency) for model in table.models]).T
    return Game(success, cost, seconds * WAITING_COST / SECONDS_PER_HOUR, VALUE, CHURN_PENALTY)


def frontier_picture() -> Figure:
    """The models of the aider leaderboard, the lower hull, the limit of users, and the lottery where they cross."""
    table = read_models("aider")
    game = market_game(table)
    # In minutes: what waiting for a solution costs, and what users would wait for one.
    per_minute = WAITING_COST / 60.0
    waiting, cost = game.latency / game.success / per_minute, game.cost_of_pass
    limit = float(game.value) / per_minute
    best = solve(game, "free")
    lottery = best.commitment.transition[0]
    served = np.flatnonzero(lottery)
    solved = lottery[served] * game.success[served] / (lottery @ game.success)

    figure = new_figure(5.6, "Only two models serve retries: those where the lower hull crosses the users' limit")
    axes = figure.add_subplot()
    axes.axvspan(limit, _LONGEST, color=GREY, zorder=0)
    axes.plot(waiting, cost, "o", color=BLUE, markersize=5, alpha=0.6)
    corners = np.flatnonzero(lower_hull(-waiting, cost))
    corners = corners[np.argsort(waiting[corners])]
    along = np.linspace(waiting[corners[0]], waiting[corners[-1]], 400)
    axes.plot(along, np.interp(along, waiting[corners], cost[corners]), color=ORANGE, linewidth=2.5)
    axes.axvline(limit, color="black", linestyle=":", linewidth=1)
    axes.set(xlim=(0, _LONGEST), yscale="log", ylim=(cost.min() / 2.2, cost[waiting < _LONGEST].max() * 1.6))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("waiting for a solved task, minutes: seconds of a pass / probability of success")
    axes.set_ylabel("cost of a solved task, USD: cost of a pass / probability")
    for k, offset in zip(corners, _OFFSETS, strict=False):
        mark(axes, float(waiting[k]), float(cost[k]), foreign(table.models[k].label, 34), offset)
    place = float(solved @ waiting[served]), float(solved @ cost[served])
    axes.plot(*place, "D", color=VERMILION, markeredgecolor="white", markersize=11, zorder=7)
    shares = "\n".join(
        f"{100 * lottery[k]:.0f} % {foreign(table.models[k].label, 34)}" for k in served[np.argsort(-lottery[served])]
    )
    first = foreign(table.models[int(best.commitment.first_model)].label, 34)
    text = f"first answer by {first};\nretries:\n{shares}"
    axes.annotate(
        text,
        place,
        (0.5, 0.12),
        textcoords="axes fraction",
        va="center",
        arrowprops={"arrowstyle": "-", "color": VERMILION},
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": VERMILION},
        zorder=8,
    )
    label(axes, limit / 2, axes.get_ylim()[1] / 1.4, "users stay")
    label(axes, (limit + _LONGEST) / 2, axes.get_ylim()[1] / 1.4, "users leave")
    far = int((waiting > _LONGEST).sum())
    figure.supxlabel(
        f"A solved task is worth {VALUE:g} USD to users and an hour of waiting costs them {WAITING_COST:g} USD: they "
        f"wait {limit:.2f} minutes at most.\n{len(table.models) - far} of {len(table.models)} models of the aider "
        "leaderboard; the others take longer. The curve is the lower hull, straight without the logarithm.",
        x=0.01,
        ha="left",
        fontsize=9,
    )
    return figure
