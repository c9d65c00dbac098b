"""The theory's pictures. Needs matplotlib, the [plot] extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from PIL import Image

from stackroute.training.figures.misalignment import misalignment_picture
from stackroute.training.figures.policy import policy_picture
from stackroute.training.figures.response import response_picture
from stackroute.training.figures.style import RC
from stackroute.training.figures.throttling import throttling_picture
from stackroute.training.output import output_folder, replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

DOTS_PER_INCH = 150

PICTURES: dict[str, Callable[[], Figure]] = {
    "response": response_picture,
    "policy_plane": policy_picture,
    "misalignment": misalignment_picture,
    "throttling": throttling_picture,
}
"""The pictures by the names of their files."""


def draw_figures(folder: Path, on_figure: Callable[[Path], None] | None = None) -> list[Path]:
    """Draw the theory's pictures, each as PNG and SVG (Mahmood 2026, Theorems 1 to 5, Propositions 1 and 2).

    The same version of matplotlib writes the same bytes every time.

    Args:
        folder: Where to write them; it is made if need be.
        on_figure: Called with each file when it is complete.

    Returns:
        The files.

    Raises:
        OutputError: The folder or a file cannot be written.
    """
    output_folder(folder)
    files = []
    with matplotlib.style.context(["default", RC, {"figure.dpi": DOTS_PER_INCH}]):
        for name, draw in PICTURES.items():
            figure = draw()
            for ending, save in ((".png", _save_png), (".svg", _save_svg)):
                path = folder / f"{name}{ending}"
                with replacing(path) as unfinished:
                    save(figure, unfinished)
                files.append(path)
                if on_figure is not None:
                    on_figure(path)
    return files


def _save_png(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # 256 colours are as good to the eye and take a third of the space.
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(256).save(path, optimize=True)
    # The layout stands: the SVG need not find it again.
    figure.set_layout_engine("none")


def _save_svg(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(path, metadata={"Date": None})
