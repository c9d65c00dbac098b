"""The plane of value and churn penalty: which models serve and whether users stay, in a market of models."""

from __future__ import annotations

from string import ascii_uppercase
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stackroute.training.figures.scenario import money_unit, scenario, short_name
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    GREY,
    NARROW,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    YELLOW,
    Look,
    draw_legend,
    fill,
    logarithmic,
    mark,
    new_figure,
)
from stackroute.training.market.thresholds import served_over, serving_in_words, shown_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray
    from stackroute.configs import GameConfig

_AROUND = 30.0
_COLUMNS, _ROWS, _LETTERS = 160, 120, 64
_HEIGHT = 5.0
COLOURS = (PALE_BLUE, ORANGE, YELLOW, GREEN, BLUE, VERMILION)
"""Of the answers that are shown, in their order."""

_LISTED = 3


def _around(config: GameConfig) -> tuple[float, FloatArray, FloatArray]:
    """The churn penalty of a game or what stands for 0, and the values and churn penalties around it."""
    penalty = config.churn_penalty or float(config.game.cost_of_pass.min()) or 1.0
    x, y = (now * np.geomspace(1 / _AROUND, _AROUND, n) for now, n in ((config.value, _COLUMNS), (penalty, _ROWS)))
    return penalty, x, y


def plane_numbers(config: GameConfig) -> pd.DataFrame:
    """The numbers of the picture as a table: a row for each value and churn penalty, with what is best there."""
    _, x, y = _around(config)
    kinds, which = served_over(config.game, x, y)
    words = np.array([serving_in_words(serving, config.labels) for serving in kinds], dtype=object)
    values, penalties = (each.ravel() for each in np.meshgrid(x, y))
    unit = money_unit(config)
    return pd.DataFrame(
        {
            f"value of a solved task ({unit})": values,
            f"cost of an abandoned task ({unit})": penalties,
            "answer": words[which.ravel()],
        }
    )


def plane_picture(config: GameConfig, routing: Routing = "free", throttling: bool = False) -> Figure:
    """What is best over the value of a solved task and the churn penalty, around those of a game."""
    game = config.game
    penalty, x, y = _around(config)
    kinds, which = served_over(game, x, y, routing, throttling)
    shown, place = shown_of(kinds, len(COLOURS))
    grid = place[which]

    labels = [short_name(config, k) for k in range(game.models)]
    looks = [
        Look(
            wrapped(f"{letter}: {serving_in_words(serving, labels)}", _LETTERS),
            letter,
            colour,
            "" if all(serving.stays) else "//",
        )
        for letter, serving, colour in zip(ascii_uppercase, shown, COLOURS, strict=False)
    ]
    others = [serving_in_words(serving, labels) for serving in kinds[len(shown) :]]
    if others:
        listed = f": {'; '.join(others)}" if len(others) <= _LISTED else ""
        looks.append(Look(wrapped(f"{len(others)} other answer{'s' * (len(others) > 1)}{listed}", _LETTERS), "", GREY))
    left = any(look.hatch for look in looks)
    written = 0.4 + 0.23 * sum(look.name.count("\n") + 1 for look in looks)
    headline = (
        f"What is best{' with delays' if throttling else ''}{', and where users leave (hatched)' if left else ''}"
    )
    figure = new_figure(_HEIGHT + written, headline, NARROW, scenario(config))
    panels = figure.subfigures(2, 1, height_ratios=[_HEIGHT, written], squeeze=False)
    axes = panels[0, 0].subplots()
    for kind, look in enumerate(looks):
        fill(axes, x, y, grid >= kind if look.colour == GREY else grid == kind, look)
    axes.set(xscale="log", yscale="log", xlim=x[[0, -1]], ylim=y[[0, -1]])
    logarithmic(axes.xaxis, axes.yaxis)
    axes.set_xlabel(f"value of a solved task to users, {money_unit(config)}")
    axes.set_ylabel(f"cost of an abandoned task to the provider, {money_unit(config)}")
    mark(axes, config.value, penalty, "now", (10, 12))
    draw_legend(panels[1, 0], looks, 1)
    return figure
