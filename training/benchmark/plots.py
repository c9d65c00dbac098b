"""The pictures of a benchmark's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.results import as_table
from stackroute.training.benchmark.statistics import interval, performance_profile
from stackroute.training.benchmark.summary import WORST, by_group, median_curves
from stackroute.training.output import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.units import Result

_LEAST = 1e-4
_BAND_RESAMPLES = 200
_STYLES = ("-", "--", ":", "-.")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "v", "D", "P")


def draw(suite: Suite, order: list[str], regrets: pd.DataFrame, results: list[Result], out: Path) -> list[Path]:
    """Draw performance profiles, regret curves, a heat map and, where P was varied, throttling over P / P*.

    Args:
        suite: The suite.
        order: The algorithms, the best first.
        regrets: Their regrets, as of `stackroute.training.benchmark.summary.regrets_of`.
        results: The results of the units.
        out: An existing folder.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        OutputError: A file cannot be written.
    """
    figures = {
        "profiles.png": _profiles(order, regrets, together=suite.held_out is not None),
        "regret-curves.png": _curves(suite, order, results),
        "heat-map.png": _heat_map(by_group(regrets).loc[order]),
    }
    table = as_table(results)
    varied = table[table["penalty_ratio"].notna()]
    if not varied.empty:
        figures["throttling.png"] = _throttling(order, varied)
    for name, figure in figures.items():
        with replacing(out / name) as unfinished:
            figure.savefig(unfinished, dpi=150)
    return [out / name for name in figures]


def _profiles(order: list[str], regrets: pd.DataFrame, *, together: bool) -> Figure:
    """The share of runs within each regret, with 95 % bands by stratified bootstrap."""
    figure, axes = _empty("Share of runs within a regret")
    thresholds = np.geomspace(_LEAST, WORST, 81)

    def within(scores: Any) -> Any:
        return 1 - performance_profile(scores, thresholds)

    for k, name in enumerate(order):
        scores, look = regrets.loc[name].to_numpy(), _look(k, len(order))
        low, high = interval(within, scores, together=together, resamples=_BAND_RESAMPLES)
        axes.fill_between(100 * thresholds, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(100 * thresholds, within(scores), label=name, **look)
    axes.set(xscale="log", xlabel="provider's exact regret, %", ylabel="share of runs", ylim=(-0.02, 1.02))
    _legend(axes)
    return figure


def _curves(suite: Suite, order: list[str], results: list[Result]) -> Figure:
    """The median regret against the tasks played."""
    figure, axes = _empty("Median regret over all runs")
    tasks = np.geomspace(1e4, max(suite.horizon, 2e4), 200)
    curves = median_curves(results, tasks)
    for k, name in enumerate(order):
        if name in curves:
            axes.plot(tasks, 100 * np.maximum(curves[name], _LEAST), label=name, **_look(k, len(order)))
    axes.set(xscale="log", yscale="log", xlabel="tasks played", ylabel="provider's exact regret, % (0 drawn as 0.01)")
    _legend(axes)
    return figure


def _heat_map(medians: pd.DataFrame) -> Figure:
    """The median regret of each algorithm in each group of games."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 + 1.1 * medians.shape[1], 1.4 + 0.32 * len(medians)), layout="constrained")
    axes = figure.subplots()
    shown, norm = 100 * medians.clip(_LEAST, WORST), LogNorm(100 * _LEAST, 100 * WORST)
    image = axes.imshow(shown, norm=norm, cmap="cividis_r", aspect="auto")
    axes.set_xticks(range(medians.shape[1]), medians.columns, rotation=30, ha="right")
    axes.set_yticks(range(len(medians)), medians.index)
    for (row, column), value in np.ndenumerate(medians.to_numpy()):
        axes.text(
            column,
            row,
            f"{100 * value:.3g}" if value > _LEAST else "0" if value < 1e-8 else f"< {100 * _LEAST:g}",
            ha="center",
            va="center",
            fontsize="small",
            color="white" if value > np.sqrt(_LEAST * WORST) else "black",
        )
    axes.set_title("Median regret, %")
    figure.colorbar(image, ax=axes, label="regret, %")
    return figure


def _throttling(order: list[str], table: pd.DataFrame) -> Figure:
    """Mahmood 2026, Proposition 2, by learning: the share of runs that throttle over P / P*, for each algorithm."""
    from matplotlib.figure import Figure

    names = [name for name in order if (table["algorithm"] == name).any()]
    columns = min(len(names), 4)
    figure = Figure(figsize=(3.2 + 3.2 * columns, 0.8 + 3 * -(-len(names) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(names) // columns), columns, squeeze=False, sharex=True, sharey=True).ravel()
    games, ratios = table["game"].unique(), np.sort(table["penalty_ratio"].unique())
    ends = [ratios[0] * 0.9, 1, 1, ratios[-1] * 1.1]
    for axes, name in zip(panels, names, strict=False):
        axes.plot(ends, [1, 1, 0, 0], color="black", linestyle="--", label="theory")
        shares = table[table["algorithm"] == name].groupby(["game", "penalty_ratio"])["learned_throttled"].mean()
        for k, game in enumerate(games):
            if game in shares.index:
                look = {"color": _COLOURS[k % len(_COLOURS)], "marker": _MARKERS[k % len(_MARKERS)]}
                # A small shift in height keeps games apart that learned the same.
                axes.plot(shares[game].index, shares[game] - 0.03 * k, linestyle="none", label=game, **look)
        axes.set_xscale("log")
        axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios], rotation=60)
        axes.minorticks_off()
        axes.set(title=name, xlabel="churn penalty P / P*", ylabel="share of runs that throttle")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    _legend(panels[columns - 1])
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
