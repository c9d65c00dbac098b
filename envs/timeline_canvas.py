"""What the timeline is drawn with: a canvas on Pillow, smooth by drawing larger than is shown."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from importlib.util import find_spec
from math import atan2, cos, hypot, sin
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from gymnasium.error import DependencyNotInstalled

try:
    from PIL import Image, ImageColor, ImageDraw, ImageFont
except ImportError as error:
    raise DependencyNotInstalled("Pillow is not installed; run \"pip install 'stackroute[render]'\"") from error

if TYPE_CHECKING:
    import numpy.typing as npt

    Point = tuple[float, float]
    Box = tuple[float, float, float, float]
    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
    Anchor = Literal["lm", "mm", "rm"]

# The colours of Okabe and Ito, which colour-blind readers can tell apart, as in the pictures of the theory.
BLUE, ORANGE, VERMILION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
INK, GREY, PALE, LANE, WHITE = "#222222", "#5F5F5F", "#DCDCDC", "#F3F3F3", "#FFFFFF"

TITLE, TEXT, SMALL = 28, 18, 15
"""The sizes of letters, pixels."""

_SCALE = 2
_HATCH_STEP, _HATCH_WIDTH = 7, 2
_PALENESS = 0.72
_THINNEST = 3


class Canvas:
    """An image that is being drawn; places and lengths are pixels of the result.

    Args:
        width: Its width.
        height: Its height.
    """

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (_SCALE * width, _SCALE * height), WHITE)
        self._draw = ImageDraw.Draw(self._image)

    def array(self) -> npt.NDArray[np.uint8]:
        """The image, shape (height, width, 3)."""
        return np.array(self._image.reduce(_SCALE), dtype=np.uint8)

    def box(self, box: Box, fill: str | None, outline: str | None = None, width: float = 0, radius: float = 0) -> None:
        """A rectangle, with round corners if a radius is given."""
        self._draw.rounded_rectangle(_scaled(box), _SCALE * radius, fill, outline, round(_SCALE * width))

    def bar(self, box: Box, colour: str, hatched: bool = False) -> None:
        """A rectangle wide enough to be seen; a hatched one is pale with lines of its colour."""
        left, top, right, bottom = map(round, _scaled(box))
        inside = (left, top, max(right, left + _SCALE * _THINNEST), bottom)
        size = (inside[2] - left, bottom - top)
        if hatched:
            self._image.paste(pale(colour), inside)
            self._image.paste(colour, inside, _hatch(*self._image.size).crop((left, 0, left + size[0], size[1])))
        else:
            self._image.paste(colour, inside)

    def line(self, points: list[Point], colour: str, width: float = 1.5) -> None:
        """A line through points."""
        self._draw.line([_scaled(point) for point in points], colour, round(_SCALE * width), "curve")

    def dashes(self, start: Point, end: Point, colour: str, width: float = 1.5, dash: float = 5) -> None:
        """A dashed straight line."""
        length = hypot(end[0] - start[0], end[1] - start[1])
        towards = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        for first in np.arange(0, length, 2 * dash).tolist():
            last = min(first + dash, length)
            pieces = [(start[0] + towards[0] * at, start[1] + towards[1] * at) for at in (first, last)]
            self.line(pieces, colour, width)

    def arrow(self, start: Point, end: Point, colour: str, width: float = 2, head: float = 10) -> None:
        """A straight arrow."""
        angle = atan2(end[1] - start[1], end[0] - start[0])
        neck = (end[0] - head * cos(angle), end[1] - head * sin(angle))
        side = (0.5 * head * sin(angle), 0.5 * head * cos(angle))
        self.line([start, neck], colour, width)
        corners = [end, (neck[0] - side[0], neck[1] + side[1]), (neck[0] + side[0], neck[1] - side[1])]
        self._draw.polygon([_scaled(corner) for corner in corners], colour)

    def verdict(self, centre: Point, radius: float, solved: bool) -> None:
        """A disc with a tick where a pass solved the task, otherwise with a cross."""
        x, y = centre
        colour = GREEN if solved else VERMILION
        self._draw.ellipse(_scaled((x - radius, y - radius, x + radius, y + radius)), WHITE, colour, _SCALE * 2)
        arm, width = 0.42 * radius, max(1.0, 0.24 * radius)
        if solved:
            self.line(
                [(x - arm, y + 0.1 * arm), (x - 0.2 * arm, y + 0.9 * arm), (x + arm, y - 0.8 * arm)], colour, width
            )
        else:
            self.line([(x - arm, y - arm), (x + arm, y + arm)], colour, width)
            self.line([(x - arm, y + arm), (x + arm, y - arm)], colour, width)

    def door(self, centre: Point) -> None:
        """A door left open: the user is gone."""
        x, y = centre
        self.box((x - 7, y - 11, x + 7, y + 11), WHITE, VERMILION, 2)
        leaf = [(x - 6, y - 10), (x + 2, y - 6), (x + 2, y + 15), (x - 6, y + 10)]
        self._draw.polygon([_scaled(corner) for corner in leaf], VERMILION)

    def text(
        self,
        at: Point,
        text: str,
        size: int = TEXT,
        colour: str = INK,
        *,
        bold: bool = False,
        anchor: Anchor = "lm",
        halo: str | None = None,
    ) -> None:
        """A line of text, anchored at its middle height.

        Args:
            at: The place of the anchor.
            text: The text.
            size: The size of its letters.
            colour: Its colour.
            bold: Whether it is bold.
            anchor: Its left end, middle or right end.
            halo: The colour of an outline that keeps it readable on lines and hatches.
        """
        outline = _SCALE * 3 if halo else 0
        place = (_SCALE * at[0], _SCALE * at[1])
        self._draw.text(place, text, colour, _font(size, bold), anchor, stroke_width=outline, stroke_fill=halo)


def width_of(text: str, size: int = TEXT, bold: bool = False) -> float:
    """The width of a line of text."""
    return _font(size, bold).getlength(text) / _SCALE


def fitted(text: str, room: float, size: int = TEXT, bold: bool = False) -> str:
    """A text, cut short where it is wider than the room for it."""
    if width_of(text, size, bold) <= room:
        return text
    kept = bisect_right(range(len(text)), room, key=lambda length: width_of(f"{text[:length]}…", size, bold)) - 1
    return f"{text[:kept].rstrip()}…"


def pale(colour: str) -> str:
    """A colour mixed with much white."""
    mixed = (round(part + (255 - part) * _PALENESS) for part in ImageColor.getrgb(colour)[:3])
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def _scaled(places: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(_SCALE * place for place in places)


@cache
def _font(size: int, bold: bool) -> Font:
    matplotlib = find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        file = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if file.exists():
            return ImageFont.truetype(str(file), _SCALE * size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(_SCALE * size)


@cache
def _hatch(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    lines = ImageDraw.Draw(mask)
    for start in range(-height, width, _SCALE * _HATCH_STEP):
        lines.line([(start, height), (start + height, 0)], 255, _SCALE * _HATCH_WIDTH)
    return mask
