"""The plane of value and churn penalty as an image in a chart that the browser draws, in a fraction of a second."""

from __future__ import annotations

import base64
import html
import io
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from stackroute.training.figures.plane import COLOURS
from stackroute.training.figures.scenario import money_unit
from stackroute.training.figures.style import GREY, widest_place
from stackroute.training.market.thresholds import served_over, serving_in_words, shown_of

if TYPE_CHECKING:
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs import GameConfig

SIDE = 200
"""Games along each side."""

_AROUND = 30.0
_ROOM, _COARSE, _HATCH, _APART = 0.02, 4, 6, 0.05


class Plane(NamedTuple):
    """A plane.

    Attributes:
        values: Its columns, shape (SIDE,).
        penalties: Its rows, shape (SIDE,).
        words: Who serves and who stays, of what is shown; any other is what follows.
        leaves: Where users leave, of what is shown.
        others: How much else there is.
        grid: What is where, by its place in the words, shape (SIDE, SIDE).
    """

    values: FloatArray
    penalties: FloatArray
    words: list[str]
    leaves: list[bool]
    others: int
    grid: IntArray


def plane_of(config: GameConfig, usual: GameConfig, routing: Routing, throttling: bool) -> Plane:
    """What is best over value and churn penalty, around those of the usual game and as far as those of this one."""
    game = config.game
    penalty = usual.churn_penalty or float(usual.game.cost_of_pass.min()) or 1.0
    values, penalties = (
        np.geomspace(min(middle / _AROUND, now or middle), max(middle * _AROUND, now), SIDE)
        for middle, now in ((usual.value, config.value), (penalty, config.churn_penalty))
    )
    kinds, grid = served_over(game, values, penalties, routing, throttling)
    # The colour of a kind stays the same while the numbers change, as long as the same ones are there.
    shown, rank = shown_of(kinds, len(COLOURS))
    words = [serving_in_words(kind, config.labels) for kind in shown]
    leaves = [not all(kind.stays) for kind in shown]
    return Plane(values, penalties, words, leaves, len(kinds) - len(shown), rank[grid])


def legend(plane: Plane) -> str:
    """What each colour and letter is, as HTML; where users leave it is hatched."""
    rows = [
        _row(colour, letter, words)
        for letter, colour, words in zip(ascii_uppercase, COLOURS, plane.words, strict=False)
    ]
    rows += [_row(GREY, "", f"{plane.others} other answers")] if plane.others else []
    return f'<ul style="list-style: none; padding: 0; margin: 0">{"".join(rows)}</ul>'


def _row(colour: str, letter: str, words: str) -> str:
    square = "flex: none; width: 1.6em; text-align: center; color: #000"
    shown = f'<span style="{square}; background: {colour}">{letter or "&nbsp;"}</span>'
    return f'<li style="display: flex; gap: .6em; align-items: start; margin: .2em 0">{shown}{html.escape(words)}</li>'


def chart(plane: Plane, config: GameConfig) -> dict[str, Any]:
    """The plane in Vega-Lite's words: an image under axes, the letters of the regions, and where the game is."""
    unit = money_unit(config)
    x, y = plane.values, plane.penalties
    corners = {"x": x[0], "x2": x[-1], "y": y[0], "y2": y[-1], "url": _image(plane)}
    # A penalty of 0 is nowhere on a logarithmic scale; the lowest one stands for it.
    now = {"x": config.value, "y": max(config.churn_penalty, y[0])}
    # Its name is above it, or below where there is more room.
    apart = (y[-1] / y[0]) ** (_APART if now["y"] ** 2 < y[0] * y[-1] else -_APART)
    named = {"x": now["x"], "y": now["y"] * apart, "text": "now"}
    return {
        "height": 380,
        "encoding": {
            "x": _axis(x, "x", f"value of a solved task to users, {unit}"),
            "y": _axis(y, "y", f"cost of an abandoned task, {unit}"),
        },
        "layer": [
            {
                "data": {"values": [corners]},
                "mark": {"type": "image", "aspect": False},
                "encoding": {"x2": {"field": "x2"}, "y2": {"field": "y2"}, "url": {"field": "url", "type": "nominal"}},
            },
            {
                "data": {"values": [now]},
                "mark": {"type": "point", "filled": True, "size": 110, "color": "black", "stroke": "white"},
            },
            *(
                {
                    "data": {"values": [*_letters(plane), named]},
                    "mark": {"type": "text", "fontSize": 14, "fontWeight": "bold"} | outline,
                    "encoding": {"text": {"field": "text"}},
                }
                for outline in ({"stroke": "white", "strokeWidth": 4}, {"color": "black"})
            ),
        ],
    }


def _axis(places: FloatArray, field: str, title: str) -> dict[str, Any]:
    low, high = np.log10(places[[0, -1]])
    ticks = [m * 10.0**k for k in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in (1, 2, 5)]
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"type": "log", "domain": [places[0], places[-1]], "nice": False},
        "axis": {
            "title": title,
            "values": [tick for tick in ticks if places[0] <= tick <= places[-1]],
            "format": "~r",
            "labelOverlap": True,
            "grid": False,
        },
    }


def _image(plane: Plane) -> str:
    """A pixel for each game, hatched where users leave and black where two answers meet, as the address of a PNG."""
    grid, shown = plane.grid, len(plane.words)
    colours = np.array([to_rgb(colour) for colour in (*COLOURS[:shown], GREY)])
    pixels = (255 * colours[grid]).astype(np.uint8)
    hatched = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % _HATCH == 0
    pixels[hatched & np.array([*plane.leaves, False])[grid]] = 255
    meets = np.zeros(grid.shape, dtype=np.bool_)
    meets[:, 1:] |= grid[:, 1:] != grid[:, :-1]
    meets[1:] |= grid[1:] != grid[:-1]
    pixels[meets] = 0
    file = io.BytesIO()
    Image.fromarray(pixels[::-1]).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _letters(plane: Plane) -> list[dict[str, Any]]:
    """The letter of each region, where there is most room for it."""
    coarse, found = plane.grid[::_COARSE, ::_COARSE], []
    for k in range(len(plane.words)):
        row, column, room = widest_place(coarse == k)
        if room > _ROOM:
            at = {"x": float(plane.values[_COARSE * column]), "y": float(plane.penalties[_COARSE * row])}
            found.append(at | {"text": ascii_uppercase[k]})
    return found
