"""The pictures of a benchmark's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.statistics import bootstrap, performance_profile
from stackroute.training.benchmark.summary import WORST, by_group, curves_of
from stackroute.training.output import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.summary import Scores

_LEAST = 1e-4
_BAND_RESAMPLES = 200
_STYLES = ("-", "--", ":", "-.")


def draw(suite: Suite, scores: list[Scores], results: list[dict[str, Any]], out: Path) -> list[Path]:
    """Draw performance profiles, regret curves and a heat map of algorithms and groups of games.

    Args:
        suite: The suite.
        scores: The results by algorithm, the best first.
        results: The results of the units.
        out: An existing folder.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        OutputError: A file cannot be written.
    """
    figures = {
        "profiles.png": _profiles(scores),
        "regret-curves.png": _curves(suite, scores, results),
        "heat-map.png": _heat_map(scores),
    }
    for name, figure in figures.items():
        with replacing(out / name) as unfinished:
            figure.savefig(unfinished, dpi=150)
    return [out / name for name in figures]


def _profiles(scores: list[Scores]) -> Figure:
    """The share of runs within each regret, with 95 % bands by stratified bootstrap."""
    figure, axes = _empty("Share of runs within a regret")
    regrets = np.geomspace(_LEAST, WORST, 81)
    for k, one in enumerate(scores):
        drawn = bootstrap(
            [one.regret],
            lambda sample: 1 - performance_profile(sample[0], regrets),
            together=one.together,
            resamples=_BAND_RESAMPLES,
        )
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        look = _look(k, len(scores))
        axes.fill_between(100 * regrets, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(100 * regrets, 1 - performance_profile(one.regret, regrets), label=one.algorithm, **look)
    axes.set(xscale="log", xlabel="provider's exact regret, %", ylabel="share of runs", ylim=(-0.02, 1.02))
    _legend(axes)
    return figure


def _curves(suite: Suite, scores: list[Scores], results: list[dict[str, Any]]) -> Figure:
    """The median regret against the tasks played."""
    figure, axes = _empty("Median regret over all runs")
    tasks = np.geomspace(1e4, max(suite.horizon, 2e4), 200)
    curves = curves_of(results, tasks)
    for k, one in enumerate(scores):
        if one.algorithm in curves:
            axes.plot(
                tasks, 100 * np.maximum(curves[one.algorithm], _LEAST), label=one.algorithm, **_look(k, len(scores))
            )
    axes.set(xscale="log", yscale="log", xlabel="tasks played", ylabel="provider's exact regret, % (0 drawn as 0.01)")
    _legend(axes)
    return figure


def _heat_map(scores: list[Scores]) -> Figure:
    """The median regret of each algorithm in each group of games."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    groups, table = by_group(scores)
    figure = Figure(figsize=(3.2 + 1.1 * len(groups), 1.4 + 0.32 * len(scores)), layout="constrained")
    axes = figure.subplots()
    shown, norm = 100 * np.clip(table, _LEAST, WORST), LogNorm(100 * _LEAST, 100 * WORST)
    image = axes.imshow(shown, norm=norm, cmap="cividis_r", aspect="auto")
    axes.set_xticks(range(len(groups)), groups, rotation=30, ha="right")
    axes.set_yticks(range(len(scores)), [one.algorithm for one in scores])
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            dark = value > np.sqrt(_LEAST * WORST)
            axes.text(
                column,
                row,
                f"{100 * value:.3g}" if value > _LEAST else "0" if value < 1e-8 else f"< {100 * _LEAST:g}",
                ha="center",
                va="center",
                fontsize="small",
                color="white" if dark else "black",
            )
    axes.set_title("Median regret, %")
    figure.colorbar(image, ax=axes, label="regret, %")
    return figure


def _empty(title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _look(number: int, count: int) -> dict[str, Any]:
    """A colour from dark to bright by rank, with a style of line for those who see no colours."""
    from matplotlib import colormaps

    return {
        "color": colormaps["turbo"](0.05 + 0.9 * number / max(count - 1, 1)),
        "linestyle": _STYLES[number % len(_STYLES)],
    }


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
