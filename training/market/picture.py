"""The picture of a market: what the provider serves, over what a solved task is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    foreign,
    logarithmic,
    new_figure,
    save,
    style,
)
from stackroute.training.market.market import OUTCOMES, assess, games_of

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.market.report import Market

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION)
_VALUES = 120
_LONGEST_NAME = 40
_AROUND = 8.0


def draw_market(market: Market, path: Path) -> None:
    """Draw a strip over the value for each listed pair, at the middle waiting cost and churn penalty."""
    middle, given, count = market.scenario.middle, market.scenario.values, len(market.listed)
    low, high = (given[0], given[-1]) if len(given) > 1 else (given[0] / _AROUND, given[0] * _AROUND)
    values = np.geomspace(low, high, _VALUES)
    found = assess(games_of(market.listed, replace(middle, values=tuple(values.tolist())))[:, 0, :, 0])
    with style():
        figure = new_figure(1.9 + 0.34 * count)
        axes = figure.subplots()
        edges, rows = np.geomspace(low, high, _VALUES + 1), np.arange(count + 1) - 0.5
        axes.pcolormesh(edges, rows, found.outcome, cmap=ListedColormap(_COLOURS), vmin=-0.5, vmax=len(OUTCOMES) - 0.5)
        for row in range(count):
            for strip, hatch in ((found.misaligned[row], "///"), (found.throttles[row], "...")):
                hatched: dict[str, Any] = {"facecolor": "none", "edgecolor": "white", "linewidth": 0, "hatch": hatch}
                axes.fill_between(values, row - 0.5, row + 0.5, where=strip.tolist(), **hatched)
        axes.hlines(rows[1:-1], low, high, color="white", linewidth=2)
        axes.axvline(middle.values[0], color="black", linestyle=":", linewidth=1)
        names = [" / ".join(foreign(model.label, _LONGEST_NAME) for model in pair) for pair in market.listed]
        axes.set_yticks(range(count), names, fontsize="small")
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel=f"what a solved task is worth to the user, {market.scenario.money}")
        logarithmic(axes.xaxis)
        axes.set_title(f"What the provider serves, {foreign(market.table.name)}")
        handles = [Patch(facecolor=colour, label=name) for colour, name in zip(_COLOURS, OUTCOMES, strict=True)]
        for hatch, name in (("////", "users would choose otherwise"), ("....", "throttling pays")):
            handles.append(Patch(facecolor="grey", edgecolor="white", hatch=hatch, label=name))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        save(figure, path)
