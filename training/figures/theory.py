"""The theory's pictures: the user's response, the provider's policy, misalignment, throttling, and the frontier."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch

from stackroute.analytic import (
    Commitment,
    Regime,
    Route,
    best_response,
    cascade_thresholds,
    misalignment,
    regime,
    solve,
)
from stackroute.configs import load_game
from stackroute.training.figures.frontier import frontier_picture
from stackroute.training.figures.planes import draw_market_planes, draw_net_value_planes, minutes
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    YELLOW,
    Look,
    draw_legend,
    fill,
    label_region,
    new_figure,
    save,
    style,
    title,
)
from stackroute.training.figures.throttling import throttling_picture
from stackroute.training.output import output_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.analytic.response import TieBreaking
    from stackroute.configs import GameConfig
    from stackroute.training.figures.planes import Plane

NAMES = ("g1", "g3", "g4b", "g6")
"""Canonical games, one of each regime."""

_NOTHING = 1e-9


def abandonment(game: Game, cascade: npt.ArrayLike, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The user's response to cascade probabilities s, q* = 1 - r, of the same shape (Mahmood 2026, Theorems 1, 2)."""
    return np.asarray(1 - best_response(game, Commitment.cascade(0, cascade), tie_breaking))


def response_picture() -> Figure:
    """The user's response in the four regimes, with its thresholds."""
    figure = new_figure(5.6, "Cascading moves the user only where just one of the models is worth the wait")
    panels = figure.subplots(2, 2, sharex=True, sharey=True, height_ratios=[1, 1.6])
    for axes, name in zip(panels.flat, NAMES, strict=True):
        _draw_response(axes, load_game(name).game)
    panels[0, 0].set(xlim=(-0.02, 1.02), ylim=(-0.1, 1.1), yticks=[0, 0.5, 1])
    panels[0, 0].set_yticklabels(["0: stays", "0.5", "1: leaves"])
    figure.supylabel("user's probability to abandon after a failed pass, $q^* = 1 - r$", fontsize=9.5)
    figure.supxlabel("cascade probability, $s$: how likely a re-prompt moves on to the reasoning model", fontsize=9.5)
    return figure


def _draw_response(axes: Axes, game: Game) -> None:
    rule = Regime(int(regime(game)))
    first, second = game.net_value
    title(axes, rule.label.capitalize(), f"net values of a pass: $\\xi_1 = {first:.3g}$, $\\xi_2 = {second:.3g}$")
    thresholds = cascade_thresholds(game)
    low, high = float(thresholds.low), float(thresholds.high)
    if rule == Regime.ONLY_REASONING_WORTH:
        _draw_jump(axes, game, low)
        return
    s = np.linspace(0, 1, 401)
    q = abandonment(game, s)
    axes.plot(s, q, color=BLUE, linewidth=2.5)
    if rule == Regime.ONLY_STANDARD_WORTH:
        axes.axvspan(low, high, color=GREY, zorder=0)
        for place, name, height in ((low, "L", 0.75), (high, "H", 0.25)):
            axes.axvline(place, color="black", linestyle=":", linewidth=1)
            axes.text(place - 0.02, height, f"$s_{name}$ = {place:.3f}", ha="right", va="center")
        axes.text(high - 0.02, 0.07, "mixes: $0 < q^* < 1$", ha="right", va="center")
    else:
        words, height = ("stays", 0.2) if q[0] == 0 else ("leaves", 0.8)
        axes.text(0.5, height, f"{words}, whatever $s$", ha="center", va="center")


def _draw_jump(axes: Axes, game: Game, threshold: float) -> None:
    taken, refused = (float(abandonment(game, threshold, rule)) for rule in ("strong", "pessimistic"))
    before, after = (float(abandonment(game, side)) for side in (threshold / 2, (1 + threshold) / 2))
    axes.hlines([before, after], [0, threshold], [threshold, 1], color=BLUE, linewidth=2.5)
    axes.axvline(threshold, color="black", linestyle=":", linewidth=1)
    axes.text(threshold + 0.02, 0.5, f"$s_0$ = {threshold:.3f}", va="center")
    for q, colour, words in (
        (taken, BLUE, "taken, for the provider's sake"),
        (refused, "white", "just as good for the user"),
    ):
        axes.plot(threshold, q, "o", color=colour, markeredgecolor=BLUE, markeredgewidth=2, markersize=8)
        axes.text(threshold + 0.03, 0.88 if q > 0.5 else 0.12, f"tie: {words}", va="center")


class Policy(enum.IntEnum):
    """What the provider does at the equilibrium and what comes of it (Mahmood 2026, Theorems 3 to 5)."""

    STANDARD = 0
    REASONING = 1
    CASCADE_TO_KEEP = 2
    CASCADE_TO_THE_LIMIT = 3
    STANDARD_ABANDONED = 4
    REASONING_ABANDONED = 5


LOOKS = {
    Policy.STANDARD: Look("serve the standard model; the user stays", "standard", PALE_BLUE),
    Policy.REASONING: Look("serve the reasoning model; the user stays", "reasoning", ORANGE),
    Policy.CASCADE_TO_KEEP: Look("cascade at $s_0$, just enough for the user to stay", "cascade,\njust enough", YELLOW),
    Policy.CASCADE_TO_THE_LIMIT: Look(
        "cascade at $s_L$, as much as the user stays for", "cascade,\nto the limit", GREEN, ".."
    ),
    Policy.STANDARD_ABANDONED: Look(
        "one standard pass; if it fails, the user leaves", "one standard\npass", BLUE, "//"
    ),
    Policy.REASONING_ABANDONED: Look(
        "one reasoning pass; if it fails, the user leaves", "one reasoning\npass", VERMILION, "\\\\"
    ),
}


def policies(game: Game) -> IntArray:
    """The `Policy` of each game, as integers of shape (...) (Mahmood 2026, Theorems 3 to 5)."""
    best = solve(game)
    cascades, standard = best.route == Route.CASCADE, best.commitment.first_model == 0
    found: IntArray = np.select(
        [
            cascades & (best.regime == Regime.ONLY_REASONING_WORTH),
            cascades,
            (best.patience > 0) & standard,
            best.patience > 0,
            standard,
        ],
        [
            Policy.CASCADE_TO_KEEP,
            Policy.CASCADE_TO_THE_LIMIT,
            Policy.STANDARD,
            Policy.REASONING,
            Policy.STANDARD_ABANDONED,
        ],
        Policy.REASONING_ABANDONED,
    )
    return found[()]


def policy_picture() -> Figure:
    """The provider's optimal policy over net values, and over the value and churn penalty of real pairs."""
    figure = new_figure(9.4, "The provider cascades only where just one model is worth the wait")
    above, below, words = figure.subfigures(3, 1, squeeze=False, height_ratios=[4, 4, 0.8])[:, 0]

    def paint(axes: Axes, plane: Plane, _: object = None) -> None:
        found = policies(plane.games)
        for policy, look in LOOKS.items():
            fill(axes, plane.x, plane.y, (found == policy) & plane.shown, look)

    draw_net_value_planes(above, paint)
    draw_market_planes(below, paint)
    draw_legend(words, list(LOOKS.values()))
    return figure


def misalignment_picture() -> Figure:
    """The misalignment gap over net values, and over the value and churn penalty of real pairs."""
    figure = new_figure(8.8, "The user loses where the model cheap to serve is not the one worth waiting for")
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    share, time = Normalize(0, 1), Normalize(0, 1)
    # Perceptually uniform from near-white on; its black end would hide the marks.
    colours = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0, 0.85, 256)))

    def paint(axes: Axes, plane: Plane, gap: FloatArray, scale: Normalize) -> None:
        exists = (gap > _NOTHING) & plane.shown
        seen = np.ma.masked_where(~exists, gap)
        scale.vmax = max(float(seen.max()), scale.vmax or 0)
        # The columns and rows are evenly spaced on the axes' scales, so that an image will do.
        corners = (0, 1, 0, 1)
        axes.imshow(seen, colours, scale, aspect="auto", origin="lower", extent=corners, transform=axes.transAxes)
        axes.set(xlim=plane.x[[0, -1]], ylim=plane.y[[0, -1]])
        axes.contour(plane.x, plane.y, exists, levels=[0.5], colors="black", linewidths=0.6)
        label_region(axes, plane.x, plane.y, ~exists & plane.shown, "no gap")

    def paint_share(axes: Axes, plane: Plane) -> None:
        paint(axes, plane, misalignment(plane.games).gap, share)

    def paint_time(axes: Axes, plane: Plane, config: GameConfig) -> None:
        paint(axes, plane, minutes(misalignment(plane.games).gap, config), time)

    handles = [Patch(facecolor="white", edgecolor="black", label="white: no gap, users would choose the same")]
    figure.legend(handles=handles, loc="outside lower center")
    for part, panels, scale, unit in (
        (above, draw_net_value_planes(above, paint_share), share, " (units of $V$)"),
        (below, draw_market_planes(below, paint_time), time, "\n(minutes of the user's time)"),
    ):
        part.colorbar(ScalarMappable(scale, colours), ax=panels, label=f"misalignment gap of a task{unit}")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "response": response_picture,
    "policy_plane": policy_picture,
    "misalignment": misalignment_picture,
    "throttling": throttling_picture,
    "frontier": frontier_picture,
}
"""The pictures by the names of their files."""


def draw_figures(folder: Path) -> Iterator[Path]:
    """Draw the theory's pictures, each as PNG and SVG (Mahmood 2026, Theorems 1 to 5, Propositions 1 and 2).

    Yields each file when it is complete; OutputError where the folder cannot be made, or a file not be written.
    """
    output_folder(folder)
    for name, draw in PICTURES.items():
        files = [folder / f"{name}{ending}" for ending in (".png", ".svg")]
        with style():
            save(draw(), *files)
        yield from files
