"""The pictures of a benchmark's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm

from stackroute.training.benchmark.results import as_table
from stackroute.training.benchmark.statistics import WORST, by_group, estimate, median_curves, share_within
from stackroute.training.figures.style import BLUE, GREEN, ORANGE, PALE_BLUE, VERMILION, new_figure, save, style

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.results import Result

_LEAST = 1e-4
_BAND_RESAMPLES = 200
_LINES = ("-", "--", ":", "-.")
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PALE_BLUE)
_MARKERS = "os^vDP"


def draw(suite: Suite, order: list[str], regrets: pd.DataFrame, results: list[Result], out: Path) -> list[Path]:
    """Draw performance profiles, regret curves, a heat map and, where P was varied, throttling over P / P*.

    Args:
        suite: The suite.
        order: The algorithms, the best first.
        regrets: As of `stackroute.training.benchmark.statistics.regrets_of`.
        results: The results of the units.
        out: An existing folder, where the files go.
    """
    table = as_table(results)
    varied = table[table["penalty_ratio"].notna()]
    with style():
        figures = {
            "profiles.png": _profiles(order, regrets, together=suite.held_out is not None),
            "regret-curves.png": _curves(suite, order, results),
            "heat-map.png": _heat_map(by_group(regrets).loc[order]),
        }
        if not varied.empty:
            figures["throttling.png"] = _throttling(order, varied)
        for name, figure in figures.items():
            save(figure, out / name)
    return [out / name for name in figures]


def _profiles(order: list[str], regrets: pd.DataFrame, *, together: bool) -> Figure:
    """The share of runs within each regret, with 95 % bands by stratified bootstrap."""
    figure = new_figure(4.4)
    axes = figure.subplots()
    thresholds = np.geomspace(_LEAST, WORST, 81)
    for name, look in _looks(order):
        scores = regrets.loc[name].to_numpy()
        found = estimate(
            lambda drawn: share_within(drawn, thresholds), scores, together=together, resamples=_BAND_RESAMPLES
        )
        axes.fill_between(100 * thresholds, found.low, found.high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(100 * thresholds, found.value, **look)
    axes.set(title="Share of runs within a regret", ylabel="share of runs", ylim=(-0.02, 1.02))
    axes.set(xscale="log", xlabel="provider's exact regret, %")
    _legend(axes)
    return figure


def _curves(suite: Suite, order: list[str], results: list[Result]) -> Figure:
    """The median regret against the tasks played."""
    figure = new_figure(4.4)
    axes = figure.subplots()
    played = as_table(results).groupby("algorithm")["tasks"].max()
    tasks = np.geomspace(1e4, max(suite.horizon, 2e4, played.max()), 200)
    curves = median_curves(results, tasks)
    for name, look in _looks(order):
        if name in curves:
            label = name if played.get(name, 0) else f"{name} (no tasks counted)"
            axes.plot(tasks, 100 * np.maximum(curves[name], _LEAST), **look | {"label": label})
    axes.set(title="Median regret over all runs", xscale="log", yscale="log")
    axes.set(xlabel="tasks played", ylabel="provider's exact regret, % (0 drawn as 0.01)")
    _legend(axes)
    return figure


def _heat_map(medians: pd.DataFrame) -> Figure:
    """The median regret of each algorithm in each group of games."""
    figure = new_figure(1.4 + 0.32 * len(medians), width=3.2 + 1.1 * medians.shape[1])
    axes = figure.subplots()
    norm = LogNorm(100 * _LEAST, 100 * WORST)
    image = axes.imshow(100 * medians.clip(_LEAST, WORST), norm=norm, cmap="cividis_r", aspect="auto")
    axes.set_xticks(range(medians.shape[1]), medians.columns, rotation=30, ha="right")
    axes.set_yticks(range(len(medians)), medians.index)
    for (row, column), value in np.ndenumerate(medians.to_numpy()):
        text = f"{100 * value:.3g}" if value > _LEAST else "0" if value < 1e-8 else f"< {100 * _LEAST:g}"
        colour = "white" if value > np.sqrt(_LEAST * WORST) else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize="small", color=colour)
    axes.set_title("Median regret, %")
    figure.colorbar(image, ax=axes, label="regret, %")
    return figure


def _throttling(order: list[str], table: pd.DataFrame) -> Figure:
    """Mahmood 2026, Proposition 2, by learning: the share of runs that throttle over P / P*, for each algorithm."""
    names = [name for name in order if (table["algorithm"] == name).any()]
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure = new_figure(0.8 + 3 * rows, width=3.2 + 3.2 * columns)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    ratios = np.sort(table["penalty_ratio"].unique())
    for axes, name in zip(panels, names, strict=False):
        axes.plot([ratios[0] * 0.9, 1, 1, ratios[-1] * 1.1], [1, 1, 0, 0], "--", color="black", label="theory")
        mine = table[table["algorithm"] == name]
        for k, (game, runs) in enumerate(mine.groupby("game", sort=False)):
            shares = runs.groupby("penalty_ratio")["learned_throttled"].mean()
            look = {"color": _COLOURS[k % len(_COLOURS)], "marker": _MARKERS[k % len(_MARKERS)]}
            # A small shift in height keeps games apart that learned the same.
            axes.plot(shares.index, shares - 0.03 * k, linestyle="none", label=game, **look)
        axes.set_xscale("log")
        axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios], rotation=60)
        axes.minorticks_off()
        axes.set(title=name, xlabel="churn penalty P / P*", ylabel="share of runs that throttle")
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    _legend(panels[columns - 1])
    return figure


def _looks(order: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Colours from dark to bright by rank, with a style of line for those who see no colours."""
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, len(order)))
    return [
        (name, {"label": name, "color": colours[k], "linestyle": _LINES[k % len(_LINES)]})
        for k, name in enumerate(order)
    ]


def _legend(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
