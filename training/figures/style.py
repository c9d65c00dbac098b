"""What all pictures share: the style, how they are saved, filled regions and labelled points.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart, with their sky blue made paler; each
region also has a hatch or a lightness of its own and a label in it, so that the pictures can be read in grey.
"""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox, offset_copy
from PIL import Image
from scipy.ndimage import distance_transform_edt

from stackroute.configs.text import drawable, font_families, shortened
from stackroute.training.output import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import FigureBase

    from stackroute.analytic.game import BoolArray, FloatArray

WIDTH = 7.5
"""The width of a picture, inches."""

NARROW = 5.5
"""The width of one whose letters can be read on a phone."""

LIGHT_TO_DARK = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0, 0.85, 256)))
"""Perceptually uniform from near-white on; its black end would hide the marks."""

DOTS_PER_INCH = 150

BLUE, ORANGE, VERMILION = "#0072B2", "#E69F00", "#D55E00"
GREEN, YELLOW = "#009E73", "#F0E442"
PALE_BLUE, GREY = "#8CCDF1", "#ECECEC"

_RC = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "hatch.color": "white",
    "hatch.linewidth": 0.9,
    "savefig.facecolor": "white",
    # Makes the names inside an SVG the same every time.
    "svg.hashsalt": "stackroute",
}

_BOX = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6}
_AROUND = [
    (away * across, away * up)
    for away in (12.0, 24.0, 40.0, 60.0, 85.0, 115.0)
    for across, up in ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 0), (0, 1), (0, -1), (-1, 0))
]
_FRAME, _WORSE = 3, 1000
_BESIDE_AXES = 0.7
_TICKS, _LINE = 16.0, 13.0
_HEADLINE, _HEADLINE_LINE = 0.32, 0.21
_LETTERS_PER_INCH, _HEADLINE_LETTERS = 14, 9
_LABEL_SHAPE = 2.5
_ROOM_PER_CHARACTER = 0.0125


class Look(NamedTuple):
    """How a region is drawn: its name in the legend, a label of a word or two inside it, its colour and its hatch."""

    name: str
    label: str
    colour: str
    hatch: str = ""


def style() -> AbstractContextManager[None]:
    """The style of all pictures, within which they are drawn and saved."""
    return matplotlib.style.context(["default", _RC, {"figure.dpi": DOTS_PER_INCH, "font.family": font_families()}])


def foreign(text: str, most: int = 60) -> str:
    """A text that is not ours, such as the name of a model, as it can be drawn: short, and no mathematics."""
    return shortened(drawable(text), most).replace("$", r"\$")


def new_figure(height: float, headline: str = "", width: float = WIDTH, scenario: str = "") -> Figure:
    """An empty picture, in inches, with its finding above it, and under that in smaller letters what it is for."""
    figure = Figure(figsize=(width, height), layout="constrained")
    if headline:
        head, lines = wrap(headline, int(_HEADLINE_LETTERS * width)), _wrapped(scenario, width)
        # Lines without letters keep the place.
        figure.suptitle("\n".join(head) + "\n" * len(lines), x=0.01, ha="left")
        figure.text(0.01, 1 - (_HEADLINE + _HEADLINE_LINE * (len(head) - 1)) / height, "\n".join(lines), va="top")
    return figure


def write_below(figure: Figure, text: str) -> None:
    """Write what a picture does not show below it."""
    figure.supxlabel("\n".join(_wrapped(text, figure.get_figwidth())), x=0.01, ha="left", fontsize=9)


def _wrapped(text: str, width: float) -> list[str]:
    """The lines of a text over inches."""
    return [part for line in text.splitlines() for part in wrap(line, int(_LETTERS_PER_INCH * width))]


def save(figure: Figure, *paths: Path) -> None:
    """Save a picture as .png or .svg, atomically; the same version of matplotlib writes the same bytes every time."""
    # The layout is found once for all files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for path in paths:
        with replacing(path) as unfinished:
            figure.savefig(unfinished, metadata={"Date": None} if path.suffix == ".svg" else None)
            if path.suffix == ".svg":
                unfinished.write_text(_numbered(unfinished.read_text(encoding="utf-8")), encoding="utf-8")
            if path.suffix == ".png":
                # 256 colours look as good and take a third of the space.
                Image.open(unfinished).convert("RGB").quantize(256).save(unfinished, optimize=True)


def _numbered(svg: str) -> str:
    """An SVG whose parts are named in the order in which they occur: matplotlib's names differ from draw to draw."""
    numbers: dict[str, int] = {}

    def number(name: re.Match[str]) -> str:
        return f"part{numbers.setdefault(name[0], len(numbers))}"

    return re.sub(r"""(?<=[#"])[a-zA-Z][0-9a-f]{10}(?=[")])""", number, svg)


def title(axes: Axes, text: str, detail: str) -> None:
    """Give a panel its title, with what it is for in a lighter line below."""
    axes.set_title(f"{text}\n")
    axes.text(0, 1.03, detail, transform=axes.transAxes)


def explain(axes: Axes, text: str, meaning: str) -> None:
    """Give a panel its title, with what it means in lighter lines below."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes are made in one"
    lines = _wrapped(meaning, figure.get_figwidth() - _BESIDE_AXES)
    axes.set_title(text + "\n" * len(lines))
    axes.text(0, 1.03, "\n".join(lines), transform=axes.transAxes)


def write_legend(axes: Axes, columns: int = 2) -> None:
    """Say below a panel what is drawn in it, each name once."""
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    below = -_TICKS - _LINE * len(axes.get_xlabel().splitlines())
    place = offset_copy(axes.transAxes, axes.get_figure(root=True), y=below, units="points")
    axes.legend(
        unique.values(), unique, loc="upper left", bbox_to_anchor=(-0.02, 0.0), bbox_transform=place, ncols=columns
    )


def logarithmic(*scales: Axis) -> None:
    """Number logarithmic scales 1, 2, 5, 10 and so on."""
    for scale in scales:
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_locator(NullLocator())


def draw_legend(figure: FigureBase, looks: list[Look], columns: int = 2) -> None:
    """Say in words what each region is."""
    patches = [
        Patch(facecolor=look.colour, hatch=2 * look.hatch, edgecolor="white", linewidth=0, label=look.name)
        for look in looks
    ]
    figure.legend(handles=patches, loc="center", ncols=columns, handlelength=2.6, handleheight=1.3)


def fill(axes: Axes, x: FloatArray, y: FloatArray, region: BoolArray, look: Look) -> None:
    """Fill the part of a plane, with columns x and rows y, where something holds; label it if there is room."""
    if not region.any():
        return
    inside = region.astype(np.float64)
    axes.contourf(x, y, inside, levels=[0.5, 1.5], colors=[look.colour], hatches=[look.hatch or None])
    if not region.all():
        axes.contour(x, y, inside, levels=[0.5], colors="black", linewidths=0.6)
    if look.label:
        label_region(axes, x, y, region, look.label)


def label_region(axes: Axes, x: FloatArray, y: FloatArray, region: BoolArray, text: str) -> None:
    """Write a label into the part of a plane where something holds, if there is room; arguments as of `fill`."""
    # The dashed lines where a net value is zero would run through the label.
    row, column, room = widest_place(region & ~_crosses_zero(x) & ~_crosses_zero(y)[:, None])
    if room >= _ROOM_PER_CHARACTER * max(map(len, text.split("\n"))):
        label(axes, x[column], y[row], text)


def label(axes: Axes, x: float, y: float, text: str, **options: Any) -> Text:
    """Write a text with a white outline, so that it can be read on any colour; options of `matplotlib.text.Text`."""
    centred: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "fontweight": "bold"}
    written = axes.text(x, y, text, **(centred | options))
    written.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    return written


def widest_place(region: BoolArray) -> tuple[int, int, float]:
    """The row and column in a region with the most room for a label, which is wider than it is high.

    The room to either side, the third number, is a share of the plane's width.
    """
    distance = distance_transform_edt(np.pad(region, 1), sampling=(_LABEL_SHAPE, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(np.argmax(distance), region.shape)
    return int(row), int(column), float(distance[row, column]) / region.shape[1]


def mark(axes: Axes, x: float, y: float, text: str, offset: tuple[float, float]) -> None:
    """Mark a point and name it beside it, so many points away to the side that the offset points to."""
    axes.plot(x, y, "o", color="black", markeredgecolor="white", markersize=8, clip_on=False, zorder=5)
    side = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
    axes.annotate(
        text, (x, y), offset, textcoords="offset points", ha=side, va="center", fontsize=9, bbox=_BOX, zorder=6
    )


def name_points(axes: Axes, names: Mapping[tuple[float, float], str], taken: FloatArray, bold: int = 0) -> None:
    """Name points (x, y), each where it hides the fewest of the places taken, (m, 2), and no other text.

    To be called when all else has been drawn, so that its place is known; the first ones may be `bold`.
    """
    dots = axes.figure.dpi / 72
    places, named = axes.transData.transform(taken), axes.transData.transform(np.array([*names]).reshape(-1, 2))
    written = [text.get_window_extent() for text in axes.texts]
    for count, ((point, text), start) in enumerate(zip(names.items(), named, strict=True)):
        name = axes.annotate(
            text, point, (0, 0), textcoords="offset points", bbox=_BOX, arrowprops={"arrowstyle": "-"}, zorder=8
        )
        name.set(in_layout=False, multialignment="left", fontweight="bold" if count < bold else "normal")
        size = np.array(Text.get_window_extent(name).size)
        boxes = [_box(start, size, np.array(place), dots) for place in _AROUND]
        hidden = []
        for box in boxes:
            pointer = _between(start, box)
            over = sum(3 * box.overlaps(other) + (other.count_contains(pointer) > 0) for other in written)
            cut = sum(not axes.bbox.contains(*corner) for corner in box.corners())
            hidden.append(box.count_contains(places) + _WORSE * (over + cut + box.count_contains(named)))
        best = int(np.argmin(hidden))
        across, up = _AROUND[best]
        name.set(
            position=_AROUND[best],
            ha="left" if across > 0 else "right" if across < 0 else "center",
            va="bottom" if up > 0 else "top" if up < 0 else "center",
        )
        written.append(boxes[best])
        places = np.r_[places, _between(start, written[-1])]


def _box(start: FloatArray, size: FloatArray, place: FloatArray, dots: float) -> Bbox:
    """What a name of a size covers with its frame that stands so many points beside or above its own."""
    low = start + dots * place - size * (1 - np.sign(place)) / 2
    return Bbox([low, low + size]).padded(_FRAME * dots)


def _between(start: FloatArray, box: Bbox) -> FloatArray:
    """Places on the way to the middle of a box."""
    return np.linspace(start, (box.p0 + box.p1) / 2, 20)


def _crosses_zero(values: FloatArray) -> BoolArray:
    return np.asarray(np.diff(values > 0, prepend=values[0] > 0))
