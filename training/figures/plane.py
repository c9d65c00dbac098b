"""The plane of value and churn penalty: which models serve and whether users stay, in a market of models."""

from __future__ import annotations

from collections import Counter
from string import ascii_uppercase
from textwrap import fill as wrapped
from typing import TYPE_CHECKING

import numpy as np

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
from stackroute.training.market.thresholds import answers, serving_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig

_AROUND = 30.0
_COLUMNS, _ROWS, _LETTERS = 160, 120, 64
_HEIGHT = 5.0
_COLOURS = (PALE_BLUE, ORANGE, YELLOW, GREEN, BLUE, VERMILION)


def plane_picture(config: GameConfig, routing: Routing = "free", throttling: bool = False) -> Figure:
    """What is best over the value of a solved task and the churn penalty, around those of a game."""
    game = config.game
    penalty = float(game.churn_penalty) or float(game.cost_of_pass.min()) or 1.0
    x, y = (now * np.geomspace(1 / _AROUND, _AROUND, n) for now, n in ((config.value, _COLUMNS), (penalty, _ROWS)))
    # The last is the game itself.
    values, penalties = (
        np.append(each, now) for each, now in zip(np.meshgrid(x, y), (config.value, penalty), strict=True)
    )
    games = game.broadcast_to(values.shape).with_valid(value=values, churn_penalty=penalties)
    found, _ = answers(games, routing, throttling=throttling)
    count = Counter(found)
    kinds = sorted(count, key=lambda serving: (serving != found[-1], -count[serving]))
    grid = np.array([kinds.index(serving) for serving in found[:-1]]).reshape(_ROWS, _COLUMNS)

    labels = [short_name(config, k) for k in range(game.models)]
    looks = [
        Look(
            wrapped(f"{letter}: {serving_in_words(serving, labels)}", _LETTERS),
            letter,
            colour,
            "" if all(serving.stays) else "//",
        )
        for letter, serving, colour in zip(ascii_uppercase, kinds, _COLOURS, strict=False)
    ]
    if len(kinds) > len(_COLOURS):
        looks.append(Look(f"{len(kinds) - len(_COLOURS)} other answers", "", GREY))
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
