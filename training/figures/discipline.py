"""The picture of what disciplines a provider: prices, a rival, and a regulator's floor, on one game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Game, InvalidGameError, compete, frontier, priced, priced_equilibrium, solve
from stackroute.training.figures.scenario import money_unit, scenario
from stackroute.training.figures.style import BLUE, GREY, NARROW, VERMILION, label, new_figure, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.configs import GameConfig

_POINTS = 600
_RIVALS = 241
_LOW, _HIGH = 0.3, 1.5
_JUMP = 0.06
_NOTHING = 1e-9


def under_price(game: Game, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The provider's profit and users' utility where every pass costs users a price; all of the price's shape (m,)."""
    found = solve(priced(game, np.repeat(price[:, None], game.models, axis=1)), "free")
    return -found.provider_cost, found.user_utility


def under_rival(game: Game, quality: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """The same where a rival's models solve so many times as often, and where the rival serves; of shape (m,).

    NaN where both would rather lose the task.
    """
    results, served = np.full((2, len(quality)), np.nan), np.zeros(len(quality), dtype=bool)
    for k, factor in enumerate(quality):
        success = np.stack([game.success, factor * game.success])
        try:
            found = compete(Game(success, game.cost, game.latency, game.value, [game.churn_penalty] * 2))
        except InvalidGameError:
            continue
        served[k] = found.provider == 1
        results[:, k] = -float(game.churn_penalty) if served[k] else -found.provider_cost, found.user_utility
    return results[0], results[1], served


def under_floor(game: Game, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same where a regulator demands a utility, no more than the provider can give; shape (m,)."""
    curve = frontier(game)
    cost = curve.cost(floor)
    return -cost, np.array([curve.utility(float(one)) for one in cost])


def refuses(config: GameConfig) -> str:
    """What keeps the picture from being drawn for a game, empty if nothing."""
    if config.waiting_cost_per_hour is None and config.units.money != "abstract":
        return "it needs latency in seconds or minutes, so that the user's utility is money too"
    return ""


def discipline_picture(config: GameConfig) -> Figure:
    """The provider's profit and users' utility under prices, against a rival, and under a floor."""
    game, unit = config.game, money_unit(config)
    figure = new_figure(8.8, "What prices, a rival and a regulator do to a provider", NARROW, scenario(config))
    prices, rivals, floors = figure.subplots(3, 1)
    chosen = priced_equilibrium(game)
    price = np.linspace(0, 1.8 * (max(float(chosen.price), float(game.cost.max())) or float(game.value)), _POINTS)
    profit, utility = under_price(game, price)
    _draw(prices, price, profit, utility)
    _shade(prices, price, utility < 0, profit, utility)
    if chosen.price >= 0:
        kind = {"color": VERMILION, "markeredgecolor": "white", "markersize": 11, "zorder": 7, "linestyle": "none"}
        prices.plot(chosen.price, chosen.profit, "D", label="the price that the provider would choose", **kind)
    title(prices, "Users pay for every pass", "grey: users lose, and would not begin a task")
    prices.set_xlabel(f"price of a pass, whichever model serves, {unit}")

    quality = np.linspace(_LOW, min(_HIGH, 0.999 / float(game.success.max())), _RIVALS)
    profit, utility, served = under_rival(game, quality)
    if np.isnan(profit).all():
        words = "to lose a task costs less than to serve it:\nno provider competes for it"
        _instead(rivals, words)
    else:
        _draw(rivals, 100 * quality, profit, utility)
        _shade(rivals, 100 * quality, served, profit, utility)
    lost = f"{float(game.churn_penalty):g} {unit}"
    title(
        rivals, "Users choose between two providers", f"grey: the rival serves, which costs the provider {lost} a task"
    )
    rivals.set_xlabel("probabilities of success of the rival's models, % of the provider's")

    curve = frontier(game)
    own = float(solve(game, "free").user_utility)
    floor = np.linspace(own, curve.greatest_utility, _POINTS)
    if floor[-1] - floor[0] > _NOTHING * float(game.value):
        _draw(floors, floor, *under_floor(game, floor))
        floors.locator_params(axis="x", nbins=5)
    else:
        _instead(floors, "users get the most possible without it")
    title(floors, "A regulator demands a utility for users", "from what users get without it, to the most possible")
    floors.set_xlabel(f"floor on users' utility, {unit} a task")
    for axes in (prices, rivals, floors):
        axes.set_ylabel(f"{unit} a task")
    handles, names = prices.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left")
    return figure


def _draw(axes: Axes, x: FloatArray, profit: FloatArray, utility: FloatArray) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    span = float(np.nanmax([profit, utility]) - np.nanmin([profit, utility]))
    looks: list[tuple[FloatArray, dict[str, Any]]] = [
        (profit, {"color": "black", "label": "provider's profit (negative: cost)"}),
        (utility, {"color": BLUE, "linestyle": "--", "label": "users' utility"}),
    ]
    for y, look in looks:
        # A line would join what a jump is between.
        jumps = np.abs(np.diff(y, append=y[-1])) > _JUMP * span
        axes.plot(x, np.where(jumps, np.nan, y), linewidth=2, **look)
    axes.set_xlim(x[0], x[-1])


def _instead(axes: Axes, words: str) -> None:
    """Say why there are no curves."""
    axes.set(xticks=[], yticks=[])
    label(axes, 0.5, 0.5, words, transform=axes.transAxes)


def _shade(axes: Axes, x: FloatArray, shaded: BoolArray, *curves: FloatArray) -> None:
    """Shade a part, and show the others and the beginning of the curves at full height."""
    inside = axes.get_xaxis_transform()
    seen = np.concatenate([np.append(curve[~shaded], curve[0]) for curve in curves])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    margin = 0.15 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.fill_between(x, 0, 1, where=shaded.tolist(), color=GREY, transform=inside, zorder=0)
