"""The panel of what was compared and checked by play along a line of commitments, against the exact costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stackroute.analytic import best_response, default_routing, provider_cost, solve
from stackroute.training.figures.scenario import money_unit, short_name
from stackroute.training.figures.style import BLUE, VERMILION, explain, logarithmic
from stackroute.training.learn.lines import all_lines, line_through

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs import GameConfig
    from stackroute.training.learn.lines import Line
    from stackroute.training.learn.runs import RunSpec

_NEAREST, _POINTS, _HALVINGS = 1e-4, 400, 40
_ALIKE, _CERTAIN, _WIDE = 1e-9, 1e-3, 4.0
_GREY = "#8A8A8A"


class Walked(NamedTuple):
    """A line, where on it the choice lies, None if it does not, and what was compared and checked, as in `places.json`.

    Attributes:
        line: The line.
        choice: The share.
        compared: By the overview.
        checked: By the certificate.
    """

    line: Line
    choice: float | None
    compared: list[dict[str, Any]]
    checked: list[dict[str, Any]]


def walked_line(spec: RunSpec, walks: list[dict[str, Any]], chosen: Commitment) -> Walked | None:
    """The line of the choice, one without delays where that is a single commitment; None where nothing was played."""
    game, routing = spec.config.game, spec.routing or default_routing(spec.config.game)
    line, share = line_through(chosen, routing)
    lines = all_lines(game.models, routing, np.zeros(game.models)) if line.is_point else [line]
    for one in lines:
        of_line = [walk for walk in walks if not one.is_point and _is_on(one, walk)]
        compared, checked = ([place for walk in of_line for place in walk[kind]] for kind in ("compared", "checked"))
        if compared or checked:
            return Walked(one, share if one is line else None, compared, checked)
    return None


def checked_alone(config: GameConfig, walks: list[dict[str, Any]]) -> str:
    """What was checked of models that serve alone, in words."""
    found = [
        f"{short_name(config, walk['models'][0])} alone{', slowed down' * any(walk['delay'])}: "
        f"{'sure' if place['sure'] else 'not sure'} how users answer after {place['tasks']:,} tasks"
        for walk in walks
        if walk["models"][0] == walk["models"][1]
        for place in walk["checked"]
    ]
    return f"Checked by play: {'; '.join(found)}." if found else ""


def draw_places(axes: Axes, spec: RunSpec, walked: Walked, chosen: Commitment) -> None:
    """Draw what a task costs at places on a line, in play and exactly, and where users answer otherwise."""
    game, line, routing = spec.config.game, walked.line, spec.routing or default_routing(spec.config.game)
    best, cost = solve(game, routing, spec.throttling), float(provider_cost(game, chosen, best_response(game, chosen)))
    centre = walked.choice or 0.0
    near = np.geomspace(_NEAREST / 10, 1.0, _POINTS)
    shares = np.unique(np.clip(np.r_[np.linspace(0, 1, _POINTS), centre - near, centre, centre + near], 0, 1))
    answer = best_response(game, line.at(shares))
    costs = provider_cost(game, line.at(shares), answer)
    axes.plot(shares - centre, costs, color=_GREY, linewidth=1, label="exact, if users answer best")
    for limit in _limits(game, line, shares, answer):
        axes.axvline(limit - centre, color=_GREY, linestyle="--", linewidth=1, label="users' exact limit")
    axes.axhline(float(best.provider_cost), color="black", linestyle="--", linewidth=1, label="equilibrium")
    place, share = line_through(best.commitment, routing)
    if not place.is_point and np.allclose(place.at(share).transition, line.at(share).transition, atol=_ALIKE):
        axes.axvline(share - centre, color="black", linestyle=":", linewidth=1.2, label="equilibrium's place")
    _dots(axes, walked.compared, centre, "compared in the overview", marker=".", color=_GREY, markersize=5)
    for sure, words, fill in ((True, "checked, sure", BLUE), (False, "checked, not sure", "white")):
        some = [one for one in walked.checked if one["sure"] is sure]
        _dots(axes, some, centre, words, marker="o", color=BLUE, markerfacecolor=fill, markersize=5.5)
    if walked.choice is None:
        axes.axhline(cost, color=VERMILION, linewidth=1.2, label="chosen, on no such line")
    else:
        axes.plot(0.0, cost, "D", color=VERMILION, markersize=7, zorder=5, label="chosen")
    _scale(axes, spec, walked, np.r_[costs, [one["cost"] for one in (*walked.compared, *walked.checked)]])
    explain(
        axes,
        "Places compared and checked by play",
        "What a task costs, by the dearest answer of users that play has not ruled out. Hollow: not sure how they "
        "answer. At their limit users begin to answer otherwise, and the cost jumps.",
    )


def _dots(axes: Axes, places: list[dict[str, Any]], centre: float, words: str, **look: Any) -> None:
    if places:
        shares, costs = (np.array([place[name] for place in places]) for name in ("share", "cost"))
        axes.plot(shares - centre, costs, linestyle="none", label=words, **look)


def _scale(axes: Axes, spec: RunSpec, walked: Walked, costs: FloatArray) -> None:
    """Scale and name the axes."""
    other = short_name(spec.config, walked.line.models[1])
    share = "cascade probability $s$" if spec.routing == "cascade" else f"share $s$ of re-prompts served by {other}"
    if walked.choice is not None:
        axes.set_xscale("symlog", linthresh=_NEAREST)
        axes.set_xticks([-0.1, -1e-3, 0, 1e-3, 0.1])
        axes.xaxis.set_major_formatter("{x:g}")
        share = f"{share},\naway from the chosen $s$ = {walked.choice:.4g}"
    axes.set(xlabel=share, ylabel=f"cost of a task,\n{money_unit(spec.config)}")
    axes.minorticks_off()
    if costs.min() > 0 and costs.max() > _WIDE * costs.min():
        axes.set_yscale("log")
        logarithmic(axes.yaxis)


def _limits(game: Game, line: Line, shares: FloatArray, answer: FloatArray) -> list[float]:
    """Where along a line users begin or cease to stay, or to leave, for certain."""
    found = list[float]()
    for low, high in ((-1.0, _CERTAIN), (1 - _CERTAIN, 2.0)):
        held = (answer > low) & (answer < high)
        for k in np.flatnonzero(held[1:] != held[:-1]):
            ends = [float(shares[k]), float(shares[k + 1])]
            for _ in range(_HALVINGS):
                middle = sum(ends) / 2
                there = low < float(best_response(game, line.at(middle))) < high
                ends[int(there != held[k])] = middle
            found.append(ends[0])
    return sorted({round(limit, 9) for limit in found})


def _is_on(line: Line, walk: dict[str, Any]) -> bool:
    """Whether a walk was along a line."""
    alike = [np.allclose(getattr(line, name), walk[name], atol=_ALIKE) for name in ("start", "delay")]
    return all(alike) and list(line.models) == walk["models"]
