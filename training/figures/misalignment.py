"""The picture of the misalignment gap between the provider and the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch

from stackroute.analytic import misalignment
from stackroute.training.figures.planes import draw_market_planes, draw_net_value_planes, minutes
from stackroute.training.figures.style import label_region, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic.game import FloatArray
    from stackroute.configs import GameConfig
    from stackroute.training.figures.planes import Plane

_NOTHING = 1e-9


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
