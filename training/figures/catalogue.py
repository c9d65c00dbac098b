"""The theory's pictures. Needs matplotlib, the [plot] extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackroute.training.figures.misalignment import misalignment_picture
from stackroute.training.figures.policy import policy_picture
from stackroute.training.figures.response import response_picture
from stackroute.training.figures.style import save, style
from stackroute.training.figures.throttling import throttling_picture
from stackroute.training.output import output_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

PICTURES: dict[str, Callable[[], Figure]] = {
    "response": response_picture,
    "policy_plane": policy_picture,
    "misalignment": misalignment_picture,
    "throttling": throttling_picture,
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
