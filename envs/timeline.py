"""The picture of a task: a bar for every pass over the time waited, the commitment above, both players' totals below.

It can be read in grey: every bar has its model's label, a delay its hatch, an outcome its sign and its word.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from math import floor, log10
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stackroute.configs.text import drawable, font_families, shortened
from stackroute.envs.rendering import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stackroute.envs.rendering import Episode, Image

WIDTH, HEIGHT = 960, 640
"""The size of every image, pixels; both even, as video formats want."""

MOST_PASSES = 12
"""So many of the last passes are drawn; those before are counted."""

# Colours of Okabe and Ito, which colour-blind readers can tell apart; their green and vermilion tell how a pass ended.
COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
"""The colours of the models; a sixth has the first one's again."""

_SOLVED, _FAILED, _INK, _GREY, _PALE = "#00805D", "#D55E00", "#222222", "#5F5F5F", "#E4E4E4"
_DOTS_PER_INCH = 100
_TITLE, _TEXT, _SMALL = 27, 21, 20
_MARGIN = 22
_LEFT, _RIGHT, _TOP, _BOTTOM = 232, 776, 192, 496
_FEWEST_ROWS = 4
_LONGEST_LABEL, _LINE_LENGTH, _LINES = 24, 76, 4
_SHORTEST = 1e-300
_ENDS = {"solved": (" solved", _SOLVED), "abandoned": (" user left", _FAILED), "truncated": (" truncated", _FAILED)}


def draw(episode: Episode) -> Image:
    """Draw a task so far.

    Args:
        episode: The task.

    Returns:
        The image, shape (640, 960, 3).
    """
    episode = replace(episode, labels=tuple(shortened(drawable(name), _LONGEST_LABEL) for name in episode.names))
    figure = Figure((WIDTH / _DOTS_PER_INCH, HEIGHT / _DOTS_PER_INCH), _DOTS_PER_INCH, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    title = f"Task {episode.number}: {episode.standing_in_words()}"
    _, colour = _ENDS.get(episode.status, ("", _INK))
    _write(figure, _MARGIN, 34, title, size=_TITLE, weight="bold", color=colour)
    lines = wrap(_capitalised(episode.commitment_in_words()), _LINE_LENGTH, max_lines=_LINES, placeholder=" …")
    for row, line in enumerate(lines):
        _write(figure, _MARGIN, 72 + 24 * row, line, size=_SMALL)
    _draw_passes(figure, episode)
    service, penalty, value, waiting = (f"{name} {number(amount)}" for name, amount in episode.totals.items())
    unit = episode.units
    parts = (f"{service} + {penalty} {unit.money}".rstrip(), f"{value} - {waiting} {unit.utility}".rstrip())
    for x, total, part in zip((_MARGIN, WIDTH / 2), episode.totals_in_words(), parts, strict=True):
        _write(figure, x, HEIGHT - 60, _capitalised(total), WIDTH / 2 - _MARGIN, weight="bold")
        _write(figure, x, HEIGHT - 30, part, WIDTH / 2 - _MARGIN, size=_SMALL, color=_GREY)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _draw_passes(figure: Figure, episode: Episode) -> None:
    """Draw a bar for each of the last passes, its number and model to the left, its cost to the right."""
    waited = [0.0, *accumulate((one.latency + one.delay) / episode.units.utility_per_time for one in episode.passes)]
    before = max(len(episode.passes) - MOST_PASSES, 0)
    # matplotlib cannot draw the smallest and the largest numbers: the axis ends between 1 and 10 units.
    unit = 10.0 ** floor(log10(waited[-1])) if waited[-1] >= _SHORTEST else 1.0
    start, *ends = (time / unit for time in waited[before:])
    axes = _draw_axes(figure, episode, start, ends[-1] if ends else start, unit)
    height = (_BOTTOM - _TOP) / max(len(ends), _FEWEST_ROWS)
    if before:
        _write(figure, _LEFT, _TOP - 16, f"earlier passes, not shown: {before}", size=_SMALL, color=_GREY)
    if ends:
        _write(figure, WIDTH - _MARGIN, _TOP - 16, "cost", size=_SMALL, color=_GREY, ha="right")
    for row, (one, end) in enumerate(zip(episode.passes[before:], ends, strict=True)):
        y = _TOP + (row + 0.5) * height
        delayed = one.delay / episode.units.utility_per_time / unit
        look: dict[str, Any] = {"height": 0.72 * height, "edgecolor": _INK, "linewidth": 0.8}
        axes.barh(y, end - delayed - start, left=start, color=COLOURS[one.model % len(COLOURS)], **look)
        if one.delay > 0:
            axes.barh(y, delayed, left=end - delayed, color="white", hatch="////", **look)
        _write(figure, _MARGIN, y, f"{before + row + 1}  {episode.names[one.model]}", _LEFT - _MARGIN - 12)
        _write(figure, WIDTH - _MARGIN, y, episode.units.in_money(one.service_cost), size=_SMALL, ha="right")
        word, _ = _ENDS.get(episode.status, ("", _INK)) if row + 1 == len(ends) else ("", _INK)
        sign, colour = ("✓", _SOLVED) if one.solved else ("✗", _FAILED)
        _write(figure, axes.transData.transform((end, y))[0] + 7, y, sign + word, weight="bold", color=colour)
        start = end


def _draw_axes(figure: Figure, episode: Episode, start: float, end: float, unit: float) -> Axes:
    """The axis of time, with room on the right for how the last pass ended; heights on it are pixels of the image."""
    place = (_LEFT / WIDTH, 1 - _BOTTOM / HEIGHT, (_RIGHT - _LEFT) / WIDTH, (_BOTTOM - _TOP) / HEIGHT)
    axes = figure.add_axes(place, facecolor="white", axisbelow=True, ylim=(_BOTTOM, _TOP), yticks=[])
    axes.set_xlim(start, start + 1.37 * ((end - start) or end or 1.0))
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(_GREY)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.grid(axis="x", color=_PALE, linewidth=1, linestyle="-")
    for tick in axes.get_xticks():
        if start <= tick <= axes.get_xlim()[1]:
            x = axes.transData.transform((tick, 0))[0]
            _write(figure, x, _BOTTOM + 16, f"{tick * unit:.10g}", size=_SMALL, color=_GREY, ha="center")
    label = f"time waited, {episode.units.time or 'in utility'} (hatched: delay added by the provider)"
    _write(figure, (_LEFT + _RIGHT) / 2, _BOTTOM + 41, label, size=_SMALL, color=_GREY, ha="center")
    return axes


def _write(
    figure: Figure, x: float, y: float, text: str, room: float = WIDTH - 2 * _MARGIN, *, size: int = _TEXT, **look: Any
) -> None:
    """Write a line at a place in pixels from the upper left corner, cut short where it is wider than its room."""
    look = {"color": _INK, "va": "center", "family": font_families(), "usetex": False, "parse_math": False, **look}
    line = figure.text(x / WIDTH, 1 - y / HEIGHT, text, fontsize=size * 72 / _DOTS_PER_INCH, **look)
    while len(text) > 1 and line.get_window_extent().width > room:
        text = text[:-1]
        line.set_text(f"{text.rstrip()}…")


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
