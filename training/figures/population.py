"""The picture of users that differ: what a task costs the provider over which of them it keeps."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from stackroute.analytic import Population, solve_population
from stackroute.training.figures.frontier import hull_corners
from stackroute.training.figures.scenario import money_unit, retries_in_words, scenario, short_name, waiting_unit
from stackroute.training.figures.style import (
    BLUE,
    GREY,
    NARROW,
    VERMILION,
    foreign,
    label,
    logarithmic,
    new_figure,
    write_below,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Game, PopulationEquilibrium
    from stackroute.analytic.game import FloatArray
    from stackroute.configs import GameConfig

PATIENCE = (4.0, 2.0, 1.0, 0.5, 0.25)
"""The types of users: how much longer than the game's own they wait, the most patient first."""

_POINTS, _LETTERS = 200, 16


def users_of(config: GameConfig) -> Population:
    """Users that are alike but for what waiting costs them, as many of each type."""
    game, types = config.game, len(PATIENCE)
    waiting_cost = 1 / np.array(PATIENCE)
    return Population([game.value] * types, waiting_cost, [game.churn_penalty] * types, [1] * types)


def kept_cost(game: Game, users: Population, waiting: FloatArray) -> FloatArray:
    """The least cost of a task where users wait so long for a solution after a failure, of the shape of the waiting.

    Those who would wait as long stay, and the others leave (beyond the paper, see `solve_population`).
    """
    corners = hull_corners(game, slower=True)
    solution = np.interp(waiting, (game.latency / game.success)[corners], game.cost_of_pass[corners])[..., None]
    failed = np.where(limits_of(users) >= waiting[..., None], solution, users.churn_penalty) @ users.share
    least: FloatArray = (game.cost + (1 - game.success) * failed[..., None]).min(axis=-1)
    return least


def limits_of(users: Population) -> FloatArray:
    """How long users of each type wait for a solution, in the game's latency."""
    return users.value / users.waiting_cost


def population_picture(config: GameConfig, users: Population | None = None, names: Sequence[str] = ()) -> Figure:
    """What a task costs over how long users are made to wait, so over which of them are kept.

    Args:
        config: The game.
        users: Types of users; None for some that differ from the game's own in what waiting costs them.
        names: What the types are called; needed with them.
    """
    game, users = config.game, users or users_of(config)
    per_unit, unit = waiting_unit(config)
    limits = np.sort(limits_of(users))
    kinds = list(names) or types_in_words(config)
    reach = (game.latency / game.success)[hull_corners(game, slower=True)]
    low, high = reach[0] / 1.25, min(max(float(limits[-1]), float(reach[0])) * 1.6, float(reach[-1]) * 1.25)
    best = solve_population(game, users)
    figure = new_figure(5.6, _headline(int(best.stays.sum()), len(limits)), NARROW, _scenario(config, users, names))
    axes = figure.add_subplot()
    inside = limits[(limits > reach[0]) & (limits < min(high, reach[-1]))]
    edges = np.unique(np.r_[reach[0], inside, min(high, reach[-1])])
    for start, end in pairwise(edges):
        # At a limit the type that it belongs to still stays.
        waiting = np.geomspace(start if start == reach[0] else start * (1 + 1e-9), end, _POINTS)
        axes.plot(waiting / per_unit, kept_cost(game, users, waiting), color=BLUE, linewidth=2.5)
        kept = int((limits >= end).sum())
        words = f"{kept} stay" if end > 1.7 * start else f"{kept}"
        label(axes, (start * end) ** 0.5 / per_unit, 0.95, words, transform=axes.get_xaxis_transform())
    axes.set_xscale("log")
    axes.set_xlim(low / per_unit, high / per_unit)
    axes.margins(y=0.15)
    _mark_limits(axes, config, limits_of(users) / per_unit, names)
    axes.axvspan(low / per_unit, reach[0] / per_unit, color=GREY, zorder=0)
    if np.isfinite(best.waiting):
        axes.plot(best.waiting / per_unit, best.provider_cost, "D", color=VERMILION, markeredgecolor="white", ms=11)
    logarithmic(axes.xaxis)
    axes.set_xlabel(f"waiting for a solution after a failure, {unit}")
    axes.set_ylabel(f"provider's cost of a task, {money_unit(config)}")
    write_below(figure, _caption(config, best, kinds, ": " if names else " whose waiting costs "))
    return figure


def _mark_limits(axes: Axes, config: GameConfig, limits: FloatArray, names: Sequence[str]) -> None:
    """Draw how long each type waits, with its name or what its waiting costs on the upper axis."""
    first, last = axes.get_xlim()
    inside = (limits >= first) & (limits <= last)
    for limit in limits[inside]:
        axes.axvline(limit, color="black", linestyle=":", linewidth=1)
    hour = config.waiting_cost_per_hour
    shown = [foreign(name, _LETTERS) for name in names] or [f"{(hour or 1) / patience:g}" for patience in PATIENCE]
    at: dict[float, list[str]] = {}
    for limit, name, seen in zip(limits.tolist(), shown, inside.tolist(), strict=True):
        if seen:
            at.setdefault(limit, []).append(name)
    above = axes.secondary_xaxis("top")
    above.set_xticks([*at], ["\n".join(same) for same in at.values()])
    above.xaxis.set_minor_locator(NullLocator())
    unit = "in units of the game's" if hour is None else f"for an hour, {money_unit(config)}"
    above.set_xlabel(
        "how long those users stay:" if names else f"how long those users stay whose waiting costs, {unit}:"
    )


def types_in_words(config: GameConfig) -> list[str]:
    """The types by what waiting costs them."""
    hour = config.waiting_cost_per_hour
    if hour is None:
        return [f"{1 / patience:g} times the game's" for patience in PATIENCE]
    return [f"{hour / patience:g} {money_unit(config)} an hour" for patience in PATIENCE]


def _scenario(config: GameConfig, users: Population, names: Sequence[str]) -> str:
    if names:
        shares = zip(names, users.share.tolist(), strict=True)
        return (
            "Users are " + ", ".join(f"{foreign(name, _LETTERS)} ({100 * share:.0f} %)" for name, share in shares) + "."
        )
    kinds = ", ".join(f"{1 / patience:g}" for patience in PATIENCE)
    return f"{scenario(config)} Here waiting costs users {kinds} times as much, as many of each type."


def _headline(kept: int, types: int) -> str:
    if kept == types:
        return "Every type of user is worth keeping"
    if kept == 0:
        return "No type of user is worth keeping"
    return f"{kept} of {types} types of users are kept, the others leave"


def _caption(config: GameConfig, best: PopulationEquilibrium, kinds: Sequence[str], whose: str) -> str:
    first = (
        f"Grey: no model is as fast. Least cost: first answer by {short_name(config, int(best.commitment.first_model))}"
    )
    if not best.stays.any():
        return f"{first}; after a failure everybody leaves."
    shares = retries_in_words(config, best.commitment.transition[0])
    gone = [foreign(kind) for kind, stays in zip(kinds, best.stays, strict=True) if not stays]
    leave = f"\nAfter a failure users leave{whose}{' or '.join(gone)}." if gone else ""
    return f"{first}; retries (the diamond): {shares}.{leave}"
