"""The middle of the timeline: two lanes of passes over the time that the user waits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, fsum, inf, log10
from typing import TYPE_CHECKING, NamedTuple

from stackroute.envs.timeline_canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LANE,
    ORANGE,
    PALE,
    SMALL,
    TEXT,
    VERMILION,
    WHITE,
    Canvas,
    width_of,
)
from stackroute.envs.timeline_text import number, standing

if TYPE_CHECKING:
    from stackroute.envs.task import Pass, Task

LEFT, RIGHT = 350.0, 1246.0
"""Where time begins and ends."""

BAR = 60.0
"""The height of a pass's bar."""

_FLAG_TOP, _FLAG_HEIGHT = 106.0, 34.0
_AXIS, _LABEL_RIGHT = 454.0, 1270.0
_TICKS_AT_MOST = 8
_SHORTEST = 1e-300
_DISC, _SMALLEST_DISC = 11.0, 4.0
_HEAD, _SMALLEST_HEAD = 11.0, 4.0
_NARROWEST_WITH_GAP = 8.0


class Lane(NamedTuple):
    """Where the passes of a model are drawn.

    Attributes:
        top: The upper edge of its ground.
        bottom: The lower edge of its ground.
        centre: The height of its bars' middle.
        notes: The height of the notes on its bars, on the side away from the other lane, where no arrows are.
        colour: The model's colour.
        ink: The colour of text on it.
    """

    top: float
    bottom: float
    centre: float
    notes: float
    colour: str
    ink: str


LANES = (Lane(152, 262, 221, 171, BLUE, WHITE), Lane(334, 444, 375, 425, ORANGE, INK))


@dataclass(frozen=True)
class _Bar:
    """A pass on the axis: served until `middle`, delayed until `end`."""

    index: int
    played: Pass
    start: float
    middle: float
    end: float

    @property
    def widest(self) -> tuple[float, float]:
        """The longer of its two parts."""
        if self.middle - self.start >= self.end - self.middle:
            return self.start, self.middle
        return self.middle, self.end


class _Axis:
    """Time on the axis.

    Args:
        task: The task; the axis shows at least a pass on each model, so that the first pass can be seen to be short.
    """

    def __init__(self, task: Task) -> None:
        waited = fsum(one.latency + one.delay for one in task.log)
        span = max(waited, float(task.game.latency.max()))
        if span < _SHORTEST:
            span = 1.0
        magnitude = 10.0 ** floor(log10(span / _TICKS_AT_MOST))
        self._step = next(factor * magnitude for factor in (1, 2, 5, 10) if span <= _TICKS_AT_MOST * factor * magnitude)
        self._steps = ceil(span / self._step)

    def x(self, time: float) -> float:
        """The place of a time."""
        return LEFT + (RIGHT - LEFT) * time / (self._step * self._steps)

    def ticks(self) -> list[tuple[float, str]]:
        """The places of round times, and what to call them."""
        return [(self.x(self._step * tick), number(self._step * tick)) for tick in range(self._steps + 1)]


def draw_passes(canvas: Canvas, task: Task) -> None:
    """Draw the lanes, the passes in them, the time below and how the task stands above."""
    axis = _Axis(task)
    bars = _bars(task, axis)
    in_lanes = [(lane, [bar for bar in bars if bar.played.model == model]) for model, lane in enumerate(LANES, start=1)]
    _draw_ground(canvas, axis)
    for lane, own in in_lanes:
        _draw_bars(canvas, lane, own)
    _draw_cursor(canvas, task, bars[-1].end if bars else LEFT)
    _draw_moves(canvas, bars)
    for lane, own in in_lanes:
        if own:
            _draw_verdicts(canvas, lane, own, is_last=own[-1] is bars[-1])
            _number(canvas, lane, own)
            _write_costs(canvas, lane, own)


def _bars(task: Task, axis: _Axis) -> list[_Bar]:
    bars, now = [], 0.0
    for index, one in enumerate(task.log, start=1):
        served, end = now + one.latency, now + one.latency + one.delay
        bars.append(_Bar(index, one, axis.x(now), axis.x(served), axis.x(end)))
        now = end
    return bars


def _draw_ground(canvas: Canvas, axis: _Axis) -> None:
    for lane in LANES:
        canvas.bar((LEFT, lane.top, RIGHT, lane.bottom), LANE)
    for x, label in axis.ticks():
        canvas.line([(x, LANES[0].top), (x, _AXIS)], PALE, 1)
        canvas.line([(x, _AXIS), (x, _AXIS + 6)], GREY, 1)
        canvas.text((min(x, _LABEL_RIGHT - width_of(label, SMALL) / 2), _AXIS + 18), label, SMALL, GREY, anchor="mm")
    canvas.line([(LEFT, _AXIS), (RIGHT, _AXIS)], GREY, 1)
    canvas.text((LEFT - 20, _AXIS + 18), "time waited, in utility", SMALL, GREY, anchor="rm")


def _draw_bars(canvas: Canvas, lane: Lane, bars: list[_Bar]) -> None:
    top, bottom = lane.centre - BAR / 2, lane.centre + BAR / 2
    for bar in bars:
        gap = 1 if bar.end - bar.start >= _NARROWEST_WITH_GAP else 0
        canvas.bar((bar.start, top, (bar.middle if bar.played.delay > 0 else bar.end - gap), bottom), lane.colour)
        if bar.played.delay > 0:
            canvas.bar((bar.middle, top, bar.end - gap, bottom), lane.colour, hatched=True)


def _draw_moves(canvas: Canvas, bars: list[_Bar]) -> None:
    moves = [(one, other) for one, other in pairwise(bars) if one.played.model != other.played.model]
    head = min(_HEAD, _narrowest([after.start for _, after in moves]))
    for before, after in moves:
        sign = 1 if after.played.model == 2 else -1
        start = LANES[before.played.model - 1].centre + sign * BAR / 2
        end = LANES[after.played.model - 1].centre - sign * BAR / 2
        if head >= _SMALLEST_HEAD:
            canvas.arrow((after.start, start), (after.start, end), INK, 2, head)
        else:
            canvas.line([(after.start, start), (after.start, end)], INK, 0.5)


def _draw_verdicts(canvas: Canvas, lane: Lane, bars: list[_Bar], is_last: bool) -> None:
    radius = _disc_radius(bars)
    if radius:
        for bar in bars[:-1]:
            canvas.verdict((bar.end, lane.centre), radius, solved=False)
    if radius or is_last:
        canvas.verdict((bars[-1].end, lane.centre), _DISC if is_last else radius, bars[-1].played.solved)


def _disc_radius(bars: list[_Bar]) -> float:
    """Of the discs at the ends of a lane's bars; 0 where there is no room for them."""
    radius = min(_DISC, _narrowest([bar.end for bar in bars]) / 2 - 1)
    return radius if radius >= _SMALLEST_DISC else 0.0


def _narrowest(places: list[float]) -> float:
    return min((after - before for before, after in pairwise(places)), default=inf)


def _number(canvas: Canvas, lane: Lane, bars: list[_Bar]) -> None:
    """Number the passes, where there is room in every bar."""
    numbers = [str(bar.index) for bar in bars]
    if not _fit(numbers, [bar.widest for bar in bars], TEXT, 2 * _disc_radius(bars) + 4):
        return
    for text, bar in zip(numbers, bars, strict=True):
        start, end = bar.widest
        ink, halo = (INK, WHITE) if end > bar.middle else (lane.ink, None)
        canvas.text(((start + end) / 2, lane.centre), text, colour=ink, bold=True, anchor="mm", halo=halo)


def _write_costs(canvas: Canvas, lane: Lane, bars: list[_Bar]) -> None:
    """Write the cost of each pass, where there is room beside every bar, otherwise their number and sum."""
    costs = [f"cost {number(bar.played.service_cost)}" for bar in bars]
    if _fit(costs, [(bar.start, bar.end) for bar in bars], SMALL, 10):
        for text, bar in zip(costs, bars, strict=True):
            canvas.text(((bar.start + bar.end) / 2, lane.notes), text, SMALL, anchor="mm", halo=LANE)
        return
    summed = f"{len(bars)} passes, cost {number(fsum(bar.played.service_cost for bar in bars))}"
    text = summed if len(bars) > 1 else costs[0]
    room = width_of(text, SMALL) / 2 + 6
    middle = min(max((bars[0].start + bars[-1].end) / 2, LEFT + room), RIGHT - room)
    canvas.text((middle, lane.notes), text, SMALL, anchor="mm", halo=LANE)


def _fit(texts: list[str], places: list[tuple[float, float]], size: int, margin: float) -> bool:
    fits = (width_of(text, size) + margin <= end - start for text, (start, end) in zip(texts, places, strict=True))
    return all(fits)


def _draw_cursor(canvas: Canvas, task: Task, now: float) -> None:
    """Say how the task stands, at the time that it is."""
    colour = GREEN if task.solved else VERMILION if task.abandoned else GREY
    bottom = _FLAG_TOP + _FLAG_HEIGHT
    if task.over:
        canvas.line([(now, bottom), (now, _AXIS)], colour, 2)
    else:
        canvas.dashes((now, bottom), (now, _AXIS), colour)
    text = standing(task)
    icon = 34 if task.ended else 0
    width = width_of(text) + icon + 28
    left = min(max(now - width / 2, LEFT), RIGHT - width)
    canvas.box((left, _FLAG_TOP, left + width, bottom), WHITE, colour, 2, radius=8)
    middle = (_FLAG_TOP + bottom) / 2
    if task.solved:
        canvas.verdict((left + 26, middle), _DISC, solved=True)
    elif task.abandoned:
        canvas.door((left + 26, middle - 1))
    canvas.text((left + 14 + icon, middle), text)
