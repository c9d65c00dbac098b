"""The timeline of a task: an image for talks, videos and windows.

Left is the commitment, right the passes that were played under it, below what they have brought both players. All of it
can be read in grey: a model is told by its lane, a delay by its hatch, an end by its sign.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from stackroute.envs.timeline_canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    SMALL,
    TEXT,
    TITLE,
    VERMILION,
    WHITE,
    Canvas,
    fitted,
    pale,
    width_of,
)
from stackroute.envs.timeline_passes import LANES, LEFT, RIGHT, Lane, draw_passes
from stackroute.envs.timeline_text import labels, number, totals

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stackroute.envs.task import Task

WIDTH, HEIGHT = 1280, 720
"""The size of every image, pixels; both even, as video formats want."""

_MARGIN = 34.0
_MODEL_LEFT, _MODEL_RIGHT, _MODEL_HEIGHT = 92.0, 326.0, 46.0
_TOTALS, _ROW = 574.0, 38.0


def draw(task: Task) -> npt.NDArray[np.uint8]:
    """Draw a task so far.

    Args:
        task: The task.

    Returns:
        The image, shape (720, 1280, 3).
    """
    canvas = Canvas(WIDTH, HEIGHT)
    _draw_title(canvas, task)
    _draw_commitment(canvas, task)
    draw_passes(canvas, task)
    _draw_legend(canvas)
    _draw_totals(canvas, task)
    return canvas.array()


def _draw_title(canvas: Canvas, task: Task) -> None:
    title = f"Task {task.number}: {' or '.join(labels(task))}"
    canvas.text((_MARGIN, 38), fitted(title, WIDTH - 2 * _MARGIN, TITLE, bold=True), TITLE, bold=True)
    value, penalty = (number(float(amount)) for amount in (task.game.value, task.game.churn_penalty))
    stakes = f"Solved, it is worth {value} to the user; abandoned, it costs the provider {penalty}."
    canvas.text((_MARGIN, 72), stakes, colour=GREY)


def _draw_commitment(canvas: Canvas, task: Task) -> None:
    """Draw the two models and, once it is known, where a task starts and whether a re-prompt moves it."""
    commitment = None if task.variant.per_pass else task.commitment
    start = 0 if commitment is None else int(commitment.model)
    heading = "Chosen before every pass" if task.variant.per_pass else "The provider's commitment"
    canvas.text((_MARGIN, 123), heading, bold=True)
    for model, lane in enumerate(LANES, start=1):
        delay = 0.0 if commitment is None else float(commitment.delay[model - 1])
        _draw_model(canvas, task, lane, model, delay, unused=model < start)
        if model == start:
            canvas.text((_MARGIN, lane.centre - 15), "start", SMALL)
            canvas.arrow((_MARGIN, lane.centre), (_MODEL_LEFT - 3, lane.centre), INK)
    if not task.variant.per_pass:
        _draw_cascade(canvas, start, 0.0 if commitment is None else float(commitment.cascade))


def _draw_cascade(canvas: Canvas, start: int, cascade: float) -> None:
    standard, reasoning = LANES
    x, middle = _MODEL_LEFT + 24, (standard.centre + reasoning.centre) / 2
    if start == 1 and cascade > 0:
        gap = _MODEL_HEIGHT / 2 + 2
        canvas.arrow((x, standard.centre + gap), (x, reasoning.centre - gap), INK)
        canvas.text((x + 14, middle - 10), number(cascade), bold=True)
        canvas.text((x + 14, middle + 11), "of re-prompts move", SMALL, GREY)
    else:
        canvas.text((x, middle), "re-prompts stay" if start else "not made yet", SMALL, GREY)


def _draw_model(canvas: Canvas, task: Task, lane: Lane, model: int, delay: float, unused: bool) -> None:
    half, middle = _MODEL_HEIGHT / 2, (_MODEL_LEFT + _MODEL_RIGHT) / 2
    box = (_MODEL_LEFT, lane.centre - half, _MODEL_RIGHT, lane.centre + half)
    canvas.box(box, pale(lane.colour) if unused else lane.colour, radius=10)
    lines, size = _wrapped(labels(task)[model - 1], _MODEL_RIGHT - _MODEL_LEFT - 20)
    for row, line in enumerate(lines):
        y = lane.centre + (row - (len(lines) - 1) / 2) * (size + 3)
        canvas.text((middle, y), line, size, INK if unused else lane.ink, bold=True, anchor="mm")
    success, cost, latency = (
        number(float(per_model[model - 1])) for per_model in (task.game.success, task.game.cost, task.game.latency)
    )
    slowed = f" + {number(delay)} delay" if delay > 0 else ""
    away = -1 if model == 1 else 1
    facts = [f"solves {success}, costs {cost}", f"takes {latency}{slowed}"]
    for row, fact in enumerate(facts):
        y = lane.centre + away * (half + 25) + (row - 0.5) * 20
        x = min(middle, LEFT - 12 - width_of(fact, SMALL) / 2)
        canvas.text((x, y), fact, SMALL, GREY, anchor="mm")


def _wrapped(label: str, room: float) -> tuple[list[str], int]:
    """A label on one line, or smaller on two, cut short where that is not enough; and the size of its letters."""
    if width_of(label, bold=True) <= room:
        return [label], TEXT
    first, *rest = label.split(" ")
    while rest and width_of(f"{first} {rest[0]}", SMALL, bold=True) <= room:
        first = f"{first} {rest.pop(0)}"
    lines = [first, " ".join(rest)] if rest else [first]
    return [fitted(line, room, SMALL, bold=True) for line in lines], SMALL


def _draw_legend(canvas: Canvas) -> None:
    x, y = LEFT, LANES[1].bottom + 70
    for hatched, text in ((False, "served"), (True, "delayed by the provider")):
        canvas.bar((x, y - 7, x + 30, y + 7), GREY, hatched)
        canvas.text((x + 38, y), text, SMALL, GREY)
        x += 38 + width_of(text, SMALL) + 28
    for solved, text in ((False, "failed"), (True, "solved")):
        canvas.verdict((x + 9, y), 9, solved)
        canvas.text((x + 26, y), text, SMALL, GREY)
        x += 26 + width_of(text, SMALL) + 28


class _Part(NamedTuple):
    """A part of what a player has got or paid.

    Attributes:
        name: What it is.
        amount: How much so far.
        at_stake: What one move may make it, outlined while it is 0.
        pieces: What adds up to the amount: how much, in which colour, and whether hatched.
    """

    name: str
    amount: float
    at_stake: float
    pieces: list[tuple[float, str, bool]]


def _draw_totals(canvas: Canvas, task: Task) -> None:
    sums, game = totals(task), task.game
    value, penalty = float(game.value), float(game.churn_penalty)
    served, waited = [], []
    for model, colour in enumerate((BLUE, ORANGE), start=1):
        own = [one for one in task.log if one.model == model]
        served.append((fsum(one.service_cost for one in own), colour, False))
        waited.append((fsum(one.latency for one in own), colour, False))
        waited.append((fsum(one.delay for one in own), colour, True))
    provider = [
        _Part("service", sums.service_cost, 0.0, served),
        _Part("churn penalty", sums.churn_penalty, penalty, [(sums.churn_penalty, VERMILION, False)]),
    ]
    user = [
        _Part("value", sums.value, value, [(sums.value, GREEN, False)]),
        _Part("waiting", sums.waited, 0.0, waited),
    ]
    middle = WIDTH / 2
    canvas.line([(_MARGIN, _TOTALS - 30), (RIGHT, _TOTALS - 30)], PALE, 1)
    _draw_player(canvas, (_MARGIN, middle - 30), "The provider has paid", sums.provider_cost, provider)
    _draw_player(canvas, (middle + 30, RIGHT), "The user has gained", sums.user_utility, user)


def _draw_player(canvas: Canvas, sides: tuple[float, float], heading: str, total: float, parts: list[_Part]) -> None:
    left, right = sides
    canvas.text((left, _TOTALS + 8), heading, bold=True)
    canvas.text((right, _TOTALS + 8), number(total), TITLE, bold=True, anchor="rm")
    bars = left + 220
    largest = max(max(part.amount, part.at_stake) for part in parts) or 1.0
    for row, part in enumerate(parts):
        y = _TOTALS + 56 + row * _ROW
        canvas.text((left, y), part.name)
        canvas.text((bars - 16, y), number(part.amount), anchor="rm")
        if part.amount == 0:
            canvas.box(
                (bars, y - 10, bars + max((right - bars) * (part.at_stake / largest), 1), y + 10), WHITE, GREY, 1
            )
        x = bars
        for amount, colour, hatched in part.pieces:
            if amount > 0:
                length = (right - bars) * (amount / largest)
                canvas.bar((x, y - 10, x + length, y + 10), colour, hatched)
                x += length
