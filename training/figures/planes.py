"""The planes of games over which the theory is drawn: net values of two models, and two real pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Game
from stackroute.configs import load_game
from stackroute.training.figures.scenario import money_unit, short_name
from stackroute.training.figures.style import GREY, LIGHT_TO_DARK, Look, fill, logarithmic, mark, title

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import SubFigure

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.configs import GameConfig

ROWS, COLUMNS = 300, 400

PENALTY = "churn penalty, $P$ (\\$ per abandoned task)"
"""The name of an axis."""

PAIRS = {
    "Standard": Game((0.3, 0.8), (0.1, 0.8), (0, 0), value=1, churn_penalty=0.8),
    "Reasoning": Game((0.3, 0.8), (0.6, 0.8), (0, 0), value=1, churn_penalty=4.5),
}
"""Two pairs that differ in which model has the lower cost of pass, c / p. A cascade at s0 can only be optimal in the
first and one at sL only in the second, so that no single pair shows both. The churn penalties are such that
abandonment is seen too."""

NANO, DEVELOPER = "gpt-4.1-nano-gpt-4.1-cascade", "gpt-4.1-o3-dev"
"""Two real pairs, each with a user; the value and the churn penalty are varied."""

SCENARIOS = {
    NANO: ("cascade", (9, 0)),
    DEVELOPER: ("dev", (9, 5)),
    "gpt-4.1-o3-dev-low-p": ("dev-low-p", (9, -5)),
    "gpt-4.1-o3-cascade": ("cascade (\\$12 an hour)", (9, 0)),
}
"""The packaged scenarios: what each is called in a picture, and where that is written, points from its place."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Games of shape (n, m) over quantities x, shape (m,), and y, shape (n,); those `shown` have the paper's orders."""

    x: FloatArray
    y: FloatArray
    games: Game
    shown: BoolArray


def net_value_plane(game: Game) -> Plane:
    """Games that differ from one of two models in the net values of a pass, xi1 and xi2 (Mahmood 2026, section 3).

    The latencies follow from t = V p - xi, and the axes end where they are 0; the game's own place is inside.
    """
    high = game.value * game.success
    low = min(-0.625 * float(high.max()), 1.1 * float(game.net_value.min()))
    x, y = (np.linspace(low, end, n) for end, n in zip(high, (COLUMNS, ROWS), strict=True))
    first, second = np.broadcast_arrays(high[0] - x, high[1] - y[:, None])
    games = Game(game.success, game.cost, np.stack([first, second], axis=-1), game.value, game.churn_penalty)
    return Plane(x, y, games, first < second)


def market_plane(config: GameConfig, values: tuple[float, float], penalties: tuple[float, float]) -> Plane:
    """Games of a real pair over ranges of the value and of the churn penalty, money, both on logarithmic scales."""
    x, y = np.geomspace(*values, COLUMNS), np.geomspace(*penalties, ROWS)
    game = config.game
    games = Game(game.success, game.cost, game.latency, x, y[:, None])
    return Plane(x, y, games, np.full(games.shape, fill_value=True))


def hourly(config: GameConfig) -> float:
    """What an hour of waiting costs the user, money; the packaged pairs give latency in seconds."""
    return 3600 * config.utility_per_latency


def minutes(money: Any, config: GameConfig) -> Any:
    """An amount of money as minutes of the user's time."""
    return money / hourly(config) * 60


def money(minutes: Any, config: GameConfig) -> Any:
    """Minutes of the user's time as money."""
    return minutes / 60 * hourly(config)


def shade(axes: Axes, plane: Plane, values: FloatArray, shown: BoolArray, scale: Normalize) -> None:
    """Shade the part of a plane where values are shown, and outline it."""
    # The columns and rows are evenly spaced on the axes' scales, so that an image will do.
    seen, corners = np.ma.masked_where(~shown, values), (0, 1, 0, 1)
    axes.imshow(seen, LIGHT_TO_DARK, scale, aspect="auto", origin="lower", extent=corners, transform=axes.transAxes)
    axes.set(xlim=plane.x[[0, -1]], ylim=plane.y[[0, -1]])
    if shown.any() and not shown.all():
        axes.contour(plane.x, plane.y, shown, levels=[0.5], colors="black", linewidths=0.6)


def frame_net_values(axes: Axes, plane: Plane) -> None:
    """Grey out what is not in the paper's orders, and draw the lines at which a model is just worth the wait."""
    fill(axes, plane.x, plane.y, ~plane.shown, Look("", "", GREY))
    axes.axhline(0, color="black", linestyle="--", linewidth=0.8)
    axes.axvline(0, color="black", linestyle="--", linewidth=0.8)


def frame_game(axes: Axes, plane: Plane, config: GameConfig) -> None:
    """As `frame_net_values`, for one game, with its place and with the names of its models."""
    frame_net_values(axes, plane)
    one, other = (short_name(config, k) for k in range(2))
    unit = money_unit(config)
    axes.set_xlabel(f"net value of a pass by {one},\n$\\xi_1 = V p_1 - t_1$, {unit}")
    axes.set_ylabel(f"net value of a pass by {other},\n$\\xi_2 = V p_2 - t_2$, {unit}")
    axes.locator_params(axis="x", nbins=6)
    above, beside = axes.get_xaxis_transform(), axes.get_yaxis_transform()
    axes.text(0, 1.01, f"{one} is too slow  ", ha="right", va="bottom", transform=above)
    axes.text(0, 1.01, "  worth the wait", ha="left", va="bottom", transform=above)
    axes.text(1.01, 0, f"  {other} is too slow", rotation=270, ha="left", va="top", transform=beside)
    axes.text(1.01, 0, "worth the wait  ", rotation=270, ha="left", va="bottom", transform=beside)
    first, second = map(float, config.game.net_value)
    mark(axes, first, second, "the game", (-10, -16))


def draw_net_value_planes(figure: SubFigure, paint: Callable[[Axes, Plane], None]) -> list[Axes]:
    """Draw the planes of the two made-up pairs side by side; `paint` draws what is to be seen of their games."""
    panels: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for axes, (cheaper, game) in zip(panels, PAIRS.items(), strict=True):
        plane = net_value_plane(game)
        paint(axes, plane)
        frame_net_values(axes, plane)
        p, c = (tuple(map(float, numbers)) for numbers in (game.success, game.cost))
        title(axes, f"{cheaper} model solves cheaper", f"$p$ = {p}, $c$ = {c}, $P$ = {float(game.churn_penalty)}")
        axes.set_xlabel("net value of a standard pass,\n$\\xi_1 = V p_1 - t_1$ (units of $V$)")
    panels[0].set_ylabel("net value of a reasoning pass,\n$\\xi_2 = V p_2 - t_2$ (units of $V$)")
    panels[0].text(-0.47, 0.77, "excluded: the\nreasoning model\nwould be the faster", va="top", fontsize=9)
    return panels


def draw_market_planes(figure: SubFigure, paint: Callable[[Axes, Plane, GameConfig], None]) -> list[Axes]:
    """Draw the planes of the two real pairs side by side, with the packaged scenarios; `paint` as above."""
    panels: list[Axes] = list(figure.subplots(1, 2))
    for axes, name, values, penalties in (
        (panels[0], NANO, (0.08, 1.5), (0.01, 0.5)),
        (panels[1], DEVELOPER, (0.5, 20), (0.01, 1)),
    ):
        config = load_game(name)
        plane = market_plane(config, values, penalties)
        paint(axes, plane, config)
        frame_market(axes, config)
        axes.set_title("standard: {}\nreasoning: {}".format(*config.labels))
    panels[0].set_ylabel(PENALTY)
    return panels


def frame_market(axes: Axes, config: GameConfig) -> None:
    """Give a real pair's plane its scales, in money and in the user's time, and the packaged scenarios of the pair.

    Every quantity of the provider's depends on the value only through the time it is worth, so that a scenario with
    another waiting cost has its place by that time.
    """
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel(f"value of a solved task, $V$ (\\$)\nfor a user whose hour costs \\${hourly(config):g}")
    both_ways = (lambda value: minutes(value, config), lambda time: money(time, config))
    time = axes.secondary_xaxis("top", functions=both_ways)
    time.set_xlabel("the same value in minutes of the user's time")
    logarithmic(axes.xaxis, axes.yaxis, time.xaxis)
    for name, (label, offset) in SCENARIOS.items():
        scenario = load_game(name)
        if scenario.models == config.models:
            place = money(minutes(scenario.value, scenario), config)
            mark(axes, place, scenario.churn_penalty, label, offset)
