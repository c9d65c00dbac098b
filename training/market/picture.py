"""The picture of a market: what the provider serves, over what a solved task is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackroute.training.figures.style import BLUE, GREEN, ORANGE, RC, VERMILION
from stackroute.training.market.market import ROUTES, assess, games_of
from stackroute.training.output import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.market.report import Market

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION)
_VALUES = 120
_AROUND = 8.0


def draw_market(market: Market, path: Path) -> Path:
    """Draw a strip over the value for each listed pair, at the middle waiting cost and churn penalty.

    Args:
        market: The market.
        path: The PNG.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        OutputError: The file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    middle = market.scenario.middle
    given = market.scenario.values
    low, high = (min(given), max(given)) if len(given) > 1 else (given[0] / _AROUND, given[0] * _AROUND)
    values = np.geomspace(low, high, _VALUES)
    found = assess(games_of(market.listed, replace(middle, values=tuple(values.tolist()))))
    shape = (len(market.listed), _VALUES)
    with mpl.rc_context(RC):  # type: ignore[arg-type]
        figure = Figure(figsize=(9, 1.9 + 0.34 * len(market.listed)), layout="constrained")
        axes = figure.subplots()
        edges = np.geomspace(low, high, _VALUES + 1)
        rows = np.arange(len(market.listed) + 1) - 0.5
        axes.pcolormesh(
            edges, rows, found.route.reshape(shape), cmap=ListedColormap(_COLOURS), vmin=-0.5, vmax=len(ROUTES) - 0.5
        )
        for marked, hatch in ((found.misaligned, "///"), (found.throttles, "...")):
            for row, strip in enumerate(marked.reshape(shape)):
                axes.fill_between(
                    values,
                    row - 0.5,
                    row + 0.5,
                    where=strip.tolist(),
                    facecolor="none",
                    edgecolor="white",
                    hatch=hatch,
                    linewidth=0,
                )
        for row in range(1, len(market.listed)):
            axes.axhline(row - 0.5, color="white", linewidth=2)
        axes.axvline(middle.values[0], color="black", linestyle=":", linewidth=1)
        axes.set_yticks(range(len(market.listed)), [pair.label for pair in market.listed], fontsize="small")
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel=f"what a solved task is worth to the user, {market.scenario.money}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(f"What the provider serves, {market.table.name}")
        looks = [Patch(facecolor=colour, label=name) for colour, name in zip(_COLOURS, ROUTES, strict=True)]
        looks += [
            Patch(facecolor="grey", edgecolor="white", hatch="////", label="users would choose otherwise"),
            Patch(facecolor="grey", edgecolor="white", hatch="....", label="throttling pays"),
        ]
        figure.legend(handles=looks, loc="outside lower center", ncols=3)
        with replacing(path) as unfinished:
            figure.savefig(unfinished, dpi=150)
    return path
