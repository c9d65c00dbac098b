"""The pictures of a benchmark's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from stackroute.training.benchmark.results import as_table
from stackroute.training.benchmark.statistics import WORST, by_group, estimate, median_curves, share_within
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    NARROW,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    foreign,
    new_figure,
    save,
    style,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.results import Result

_LEAST, _ROUNDING = 1e-4, 1e-8
_BAND_RESAMPLES = 200
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PALE_BLUE)
_MARKERS = "os^vDP"
_OTHERS = "#C8C8C8"
_IN_A_ROW = 3
_HEAD, _ROW, _CELL, _APART = 1.6, 1.25, 0.68, 0.18


def draw(suite: Suite, order: list[str], regrets: pd.DataFrame, results: list[Result], out: Path) -> list[Path]:
    """Draw performance profiles, regret curves, a heat map and, where P was varied, throttling over P / P*.

    Curves are of algorithms that were judged while they learned.

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
            "profiles.png": _profiles(suite, order, regrets),
            **(
                {"regret-curves.png": _curves(suite, order, results)} if any(one.curve.tasks for one in results) else {}
            ),
            "heat-map.png": _heat_map(suite, by_group(regrets).loc[order]),
        }
        if not varied.empty:
            figures["throttling.png"] = _throttling(suite, order, varied)
        for name, figure in figures.items():
            save(figure, out / name)
    return [out / name for name in figures]


def _profiles(suite: Suite, order: list[str], regrets: pd.DataFrame) -> Figure:
    """The share of runs within each regret, with 95 % bands by stratified bootstrap."""
    together = suite.held_out is not None
    thresholds = np.geomspace(_LEAST, WORST, 81)
    found = {
        name: estimate(
            lambda drawn: share_within(drawn, thresholds),
            regrets.loc[name].to_numpy(),
            together=together,
            resamples=_BAND_RESAMPLES,
        )
        for name in order
    }
    figure = _new(suite, "Share of runs within a regret", len(order), "Blue band: 95 % interval.")
    for name, axes in _small(figure, {name: (100 * thresholds, one.value) for name, one in found.items()}):
        axes.fill_between(100 * thresholds, found[name].low, found[name].high, color=PALE_BLUE, linewidth=0)
        axes.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), xticks=(0.01, 1, 100))
        axes.xaxis.set_major_formatter("{x:g}")
    figure.supxlabel("provider's exact regret, %", fontsize=9.5)
    figure.supylabel("share of runs", fontsize=9.5)
    return figure


def _curves(suite: Suite, order: list[str], results: list[Result]) -> Figure:
    """The median regret against the tasks played."""
    played = as_table(results).groupby("algorithm")["tasks"].max()
    tasks = np.geomspace(1e4, max(suite.horizon, 2e4, played.max()), 200)
    curves = median_curves(results, tasks)
    none = ", ".join(foreign(name) for name in order if name in curves and not played.get(name, 0))
    note = f"0 is drawn as 0.01.{f' No tasks counted: {none}.' if none else ''}"
    shown = {name: (tasks, 100 * np.maximum(curves[name], _LEAST)) for name in order if name in curves}
    figure = _new(suite, "Median regret over all runs", len(shown), note)
    for _, axes in _small(figure, shown):
        axes.set(yscale="log", ylim=(100 * _LEAST / 2, 200 * WORST), yticks=(0.01, 1, 100))
        axes.yaxis.set_major_formatter("{x:g}")
    figure.supxlabel("tasks played", fontsize=9.5)
    figure.supylabel("provider's exact regret, %", fontsize=9.5)
    return figure


def _new(suite: Suite, headline: str, panels: int, note: str) -> Figure:
    """A figure for so many small panels."""
    rows = -(-panels // _IN_A_ROW)
    return new_figure(_HEAD + _ROW * rows, headline, NARROW, f"{_scenario(suite)} {note}")


def _scenario(suite: Suite) -> str:
    return f"{suite.summary} {len(suite.seeds)} seed{'s' * (len(suite.seeds) > 1)}."


def _small(figure: Figure, curves: dict[str, tuple[FloatArray, FloatArray]]) -> Iterator[tuple[str, Axes]]:
    """A panel for each curve, over the grey ones of the others: none hides another."""
    rows = -(-len(curves) // _IN_A_ROW)
    panels = figure.subplots(rows, _IN_A_ROW, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        for other in curves.values():
            axes.plot(*other, color=_OTHERS, linewidth=0.8)
        axes.plot(*curve, color=BLUE, linewidth=2)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_title(foreign(name, 22), fontsize=9)
        yield name, axes
    for k, axes in enumerate(panels[len(curves) :], len(curves)):
        axes.set_axis_off()
        panels[k - _IN_A_ROW].tick_params(labelbottom=True)


def _heat_map(suite: Suite, medians: pd.DataFrame) -> Figure:
    """The median regret of each algorithm in each group of games."""
    rows, columns = medians.shape
    width = max(NARROW, 2.0 + _CELL * columns)
    figure = new_figure(_HEAD + 0.8 + 0.28 * rows, "Median regret, %", width, _scenario(suite))
    axes = figure.subplots()
    norm = LogNorm(100 * _LEAST, 100 * WORST)
    axes.imshow(100 * medians.clip(_LEAST, WORST), norm=norm, cmap="cividis_r", aspect="auto")
    axes.set_xticks(range(columns), [foreign(name) for name in medians.columns], rotation=30, ha="right")
    axes.set_yticks(range(rows), [foreign(name) for name in medians.index])
    for (row, column), value in np.ndenumerate(medians.to_numpy()):
        text = f"{100 * value:.3g}" if value > _LEAST else "0" if value < _ROUNDING else f"< {100 * _LEAST:g}"
        if value >= WORST:
            text = f"\u2265 {100 * WORST:g}"
        colour = "white" if value > np.sqrt(_LEAST * WORST) else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    return figure


def _throttling(suite: Suite, order: list[str], table: pd.DataFrame) -> Figure:
    """Mahmood 2026, Proposition 2, by learning: the share of runs that throttle over P / P*, for each algorithm."""
    names = [name for name in order if (table["algorithm"] == name).any()]
    headline = "Share of runs that throttle, by churn penalty"
    figure = new_figure(_HEAD + 0.9 + 1.7 * len(names), headline, NARROW, _scenario(suite))
    panels = figure.subplots(len(names), 1, squeeze=False, sharex=True, sharey=True).ravel()
    ratios = np.sort(table["penalty_ratio"].unique())
    # Evenly, as those near 1 would hide each other.
    place = {ratio: k for k, ratio in enumerate(ratios)}
    edge = np.interp(0, np.log(ratios), np.arange(len(ratios)), left=-0.5, right=len(ratios) - 0.5)
    for axes, name in zip(panels, names, strict=True):
        axes.plot([-0.5, edge, edge, len(ratios) - 0.5], [1, 1, 0, 0], "--", color="black", label="theory")
        games = table[table["algorithm"] == name].groupby("game", sort=False)
        for k, (game, runs) in enumerate(games):
            shares = runs.groupby("penalty_ratio")["learned_throttled"].mean()
            x = shares.index.map(place) + _APART * (k - (len(games) - 1) / 2)
            look = {"color": _COLOURS[k % len(_COLOURS)], "marker": _MARKERS[k % len(_MARKERS)]}
            axes.plot(x, shares, linestyle="none", markersize=5, label=foreign(str(game)), **look)
        axes.set_xticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios])
        axes.set(ylim=(-0.1, 1.1), yticks=(0, 0.5, 1))
        axes.set_title(foreign(name))
    panels[-1].set_xlabel("churn penalty in multiples of P*, below which throttling pays")
    figure.supylabel("share of runs", fontsize=9.5)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
