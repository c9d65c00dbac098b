"""The picture of what the paper's routing costs: free routing against it over the net values of a game's two models."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from stackroute.analytic import compare_routing
from stackroute.training.figures.planes import frame_game, net_value_plane, shade
from stackroute.training.figures.scenario import scenario, short_name
from stackroute.training.figures.style import (
    LIGHT_TO_DARK,
    NARROW,
    label,
    new_figure,
    widest_place,
    write_below,
)
from stackroute.training.figures.theory import Policy, policies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.analytic import RoutingComparison
    from stackroute.analytic.game import BoolArray
    from stackroute.configs import GameConfig

_NOTHING = 1e-9
"""Savings of rounding."""

_LEVELS = (1, 2, 3, 4, 5, 7, 9, 12, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90)

_SLIVER = 0.003
"""A part of the plane that is only the edge of another, where two quantities are the same."""


def changes(compared: RoutingComparison, shown: BoolArray) -> dict[tuple[Policy, Policy], BoolArray]:
    """Where free routing saves, by what the provider does among the paper's cascades, and with free routing instead."""
    saves = (compared.provider_saving > _NOTHING) & shown
    before, after = policies(compared.cascade), policies(compared.free)
    pairs = sorted(set(zip(before[saves].tolist(), after[saves].tolist(), strict=True)))
    found = {(Policy(one), Policy(two)): saves & (before == one) & (after == two) for one, two in pairs}
    return {pair: region for pair, region in found.items() if region.mean() > _SLIVER}


def free_routing_picture(config: GameConfig) -> Figure:
    """What free routing saves the provider, in percent of its cost, and where it changes what is served."""
    plane = net_value_plane(config.game)
    compared = compare_routing(plane.games)
    percent = 100 * compared.provider_saving
    found = changes(compared, plane.shown)
    most = float(percent[plane.shown].max())
    headline = f"Free routing saves up to {most:.0f} % where one model is too slow"
    if not found:
        headline = "Free routing saves nothing with these prices"
    scale = Normalize(0, most if found else 1)

    figure = new_figure(7.0, headline, NARROW, scenario(config))
    axes = figure.add_subplot()
    shade(axes, plane, percent, (percent > 100 * _NOTHING) & plane.shown, scale)
    if found:
        inside = np.ma.masked_where(~np.logical_or.reduce(list(found.values())), percent)
        lines = axes.contour(plane.x, plane.y, inside, levels=_LEVELS, colors="white", linewidths=0.8)
        lines.clabel(fmt="%g %%", fontsize=9)
    frame_game(axes, plane, config)
    figure.colorbar(
        ScalarMappable(scale, LIGHT_TO_DARK), ax=axes, label="free routing saves, % of the provider's cost of a task"
    )
    below = ["White: nothing is saved. Grey: not in the paper's orders, the second model would be the faster."]
    words = _words(*(short_name(config, k) for k in range(2)))
    for letter, ((before, after), region) in zip(ascii_uppercase, found.items(), strict=False):
        if len(found) > 1:
            row, column, _ = widest_place(region)
            axes.contour(plane.x, plane.y, region, levels=[0.5], colors="black", linewidths=0.6)
            label(axes, plane.x[column], plane.y[row], letter, fontsize=12)
        name = f"{letter}: " if len(found) > 1 else "Shaded: "
        below.append(f"{name}{words[after]}; the paper's: {words[before]}.")
    write_below(figure, "\n".join(below))
    return figure


def _words(one: str, other: str) -> dict[Policy, str]:
    """What the provider does, with the models' names."""
    return {
        Policy.STANDARD: f"{one} throughout",
        Policy.REASONING: f"{other} throughout",
        Policy.CASCADE_TO_KEEP: f"{one} first, and {other} for just as many retries as users stay for",
        Policy.CASCADE_TO_THE_LIMIT: f"{one} first, and {other} for as many retries as users stay for",
        Policy.STANDARD_ABANDONED: f"one pass by {one}, after which users leave",
        Policy.REASONING_ABANDONED: f"one pass by {other}, after which users leave",
        Policy.REVERSE: f"{other} first, and {one} for just as many retries as users stay for",
    }
