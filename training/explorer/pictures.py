"""How users respond to the retries of two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, InvalidGameError, best_response, solve
from stackroute.training.figures.scenario import scenario, short_name
from stackroute.training.figures.style import BLUE, NARROW, new_figure
from stackroute.training.figures.theory import response_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig

_SHARES = 1001


def response(config: GameConfig, routing: Routing) -> Figure:
    """When users stay, over the cascade probability of the paper's two models, else over the shares of retries."""
    if routing == "cascade":
        try:
            config.game.check_orders()
        except InvalidGameError:
            pass
        else:
            return response_picture(config)
    return share_picture(config, routing)


def share_picture(config: GameConfig, routing: Routing) -> Figure:
    """When users stay, over who serves their retries: the two models between which it changes at the optimum."""
    game = config.game
    one, other = mixed(game, routing)
    share = np.linspace(0.0, 1.0, _SHARES)
    ends = np.eye(game.models)
    lottery = (1.0 - share[:, None]) * ends[one] + share[:, None] * ends[other]
    leaves = 1.0 - best_response(game, Commitment.lottery(lottery, lottery))
    figure = new_figure(5.2, "When users stay", NARROW, scenario(config))
    axes = figure.add_subplot()
    axes.plot(100.0 * share, leaves, color=BLUE, linewidth=2.5)
    axes.set(xlim=(-2, 102), ylim=(-0.1, 1.1), yticks=[0, 0.5, 1])
    axes.set_yticklabels(["0: stays", "0.5", "1: leaves"])
    axes.set_ylabel("user's probability to abandon after a failed pass")
    axes.set_xlabel(f"retries by {short_name(config, other)}, %;\nall others by {short_name(config, one)}")
    return figure


def mixed(game: Game, routing: Routing) -> tuple[int, int]:
    """The models that serve retries at the optimum, or the one that users like most and the cheapest to solve with."""
    best = solve(game, routing)
    serves = np.flatnonzero(best.commitment.transition[best.commitment.first_model] > 0.0).tolist()
    if len(serves) == 2:
        return serves[0], serves[1]
    liked = int((game.net_value / game.success).argmax())
    ordered = [k for k in np.argsort(game.cost_of_pass, kind="stable").tolist() if k != liked]
    return liked, (ordered or [liked])[0]
