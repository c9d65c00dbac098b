"""The pictures of a benchmark of routers: cost against users' utility, and first answers against eventual cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from stackroute.training.figures.style import (
    BLUE,
    GREY,
    NARROW,
    ORANGE,
    VERMILION,
    foreign,
    logarithmic,
    name_points,
    new_figure,
    save,
    style,
    title,
)
from stackroute.training.routers.comparison import ORACLE
from stackroute.training.routers.report import WAYS, losses_of
from stackroute.training.routers.units import OPTIMUM

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.benchmarks import RoutedTasks, Suite
    from stackroute.configs.measured import MeasuredGame
    from stackroute.training.benchmark.results import Result
    from stackroute.training.routers.advice import Advice

_BASELINES = {"best single model": "^", "random": "X"}
_LITERATURE, _BY_COST, _AWARE = [*WAYS.values()][:3]
_LOOKS: dict[str, dict[str, Any]] = {
    _LITERATURE: {"marker": "s", "color": ORANGE},
    _BY_COST: {"marker": "o", "color": BLUE},
    _AWARE: {"marker": "D", "color": VERMILION},
}
_PANEL, _HEAD = 2.9, 1.5
_FAR = 8.0


def draw(suite: Suite, results: list[Result], out: Path) -> list[Path]:
    """Draw two pictures of each workload, with a panel for each economy.

    Args:
        suite: The suite.
        results: The results of the units.
        out: An existing folder, where the files go.
    """
    means = _means(losses_of(results))
    written = []
    with style():
        for workload in suite.workloads or ():
            mine = means[means["task"] == workload.name]
            if not (mine["algorithm"] == OPTIMUM).any():
                continue
            frontiers = {
                economy.name: _frontier([one.lines[economy.name] for one in _optima(results, workload.name)])
                for economy in workload.economics
            }
            for name, figure in (
                ("cost-and-utility", _cost_and_utility(suite, workload, mine, frontiers)),
                ("first-answers", _first_answers(suite, workload, mine)),
            ):
                written.append(out / f"{name}-{workload.name}.png")
                save(figure, written[-1])
    return written


def draw_advice(game: MeasuredGame, advice: Advice) -> Figure:
    """Draw what each way to serve costs over what users get, on the tasks that no choice has seen."""
    best, rivals = advice.best, [one for one in (advice.single, advice.fixed, advice.current) if one]
    unit = foreign(game.unit.money or "units of value", 40)
    scenario = (
        f"{foreign(game.name)}, {len(advice.parts.test)} tasks that no choice has seen. A solved task is worth "
        f"{game.value:g} to users, an abandoned one costs {game.churn_penalty:g}."
    )
    figure = new_figure(_HEAD + 1.3 * _PANEL, "What ways to serve cost, and what users get", NARROW, scenario)
    axes = figure.subplots()
    for rule, look in (("own", _LOOKS[_BY_COST]), ("user-aware", _LOOKS[_AWARE])):
        points = [(one.answer.user_utility, one.answer.provider_cost) for one in advice.judged if one.rule == rule]
        if points:
            label = f"routers by {'their own' if rule == 'own' else 'the user-aware'} rule"
            axes.plot(*zip(*points, strict=True), linestyle="none", markeredgecolor="white", label=label, **look)
    names: dict[tuple[float, float], str] = {}
    named = [(best.answer, best.name), *((one.answer, one.name) for one in rivals)]
    for answer, name in named:
        names.setdefault((answer.user_utility, answer.provider_cost), foreign(name, 30))
    rest = [(one.answer.user_utility, one.answer.provider_cost) for one in rivals]
    axes.plot(*zip(*rest, strict=True), "s", color="black", fillstyle="none", markersize=10, label="without a router")
    axes.set(ylabel=f"provider's cost of a task, {unit}", xlabel=f"users' utility of a task, {unit}")
    _number(axes)
    _legend(figure, [axes])
    figure.draw_without_rendering()
    name_points(axes, names, np.concatenate([line.get_xydata() for line in axes.lines]), bold=1)
    return figure


def _optima(results: list[Result], task: str) -> list[Result]:
    return [one for one in results if one.task == task and one.algorithm == OPTIMUM and one.error is None]


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds of each router, economy and way."""
    numbers = ["provider_cost", "user_utility", "first_success", "optimum"]
    keys = ["task", "economy", "algorithm", "way"]
    return table.groupby(keys, sort=False)[numbers].mean().reset_index()


def _frontier(lines: list[dict[str, list[float]]]) -> tuple[FloatArray, FloatArray]:
    """The least cost at which users get at least so much, over all stops: utilities, and costs, shape (K,)."""
    # The same stops and prices of every seed.
    stop, utility, cost = (
        np.mean([line[name] for line in lines], axis=0) for name in ("stop", "user_utility", "provider_cost")
    )
    grid = np.linspace(utility[cost.argmin()], utility.max(), 200)
    least = np.full(grid.shape, np.inf)
    for each in np.unique(stop):
        # As the price of utility rises, so do utility and cost; mixtures lie between.
        mine = np.flatnonzero(stop == each)
        mine = mine[np.argsort(utility[mine], kind="stable")]
        least = np.minimum(least, np.interp(grid, utility[mine], cost[mine], right=np.inf))
    return grid, least


def _cost_and_utility(
    suite: Suite, workload: RoutedTasks, means: pd.DataFrame, frontiers: dict[str, tuple[FloatArray, FloatArray]]
) -> Figure:
    headline = "What routers cost, and what users get"
    figure, panels = _panels(suite, workload, headline)
    unit = workload.money if workload.second_price is not None else "units of value"
    for axes, economy in zip(panels, workload.economics, strict=True):
        mine = means[means["economy"] == economy.name]
        grid, least = frontiers[economy.name]
        _connect(axes, mine, "user_utility", "provider_cost")
        _mark(axes, mine, "user_utility", "provider_cost")
        low, high = axes.get_xlim()
        # Users may always get more.
        frontier = [min(low, grid[0]), *grid], [least[0], *least]
        axes.plot(
            *frontier,
            color="black",
            linewidth=1.5,
            label="least cost by models alone, at\nwhich users get this or more",
        )
        axes.set(xlim=(low, max(high, 1.02 * grid[-1] - 0.02 * low)))
        axes.set(ylabel=f"provider's cost of a task,\n{foreign(workload.money, 40)}")
        _number(axes)
    panels[-1].set_xlabel(f"users' utility of a task, {foreign(unit, 40)}")
    _legend(figure, panels)
    return figure


def _first_answers(suite: Suite, workload: RoutedTasks, means: pd.DataFrame) -> Figure:
    headline = "First answers, and what tasks cost in the end"
    figure, panels = _panels(suite, workload, headline)
    for axes, economy in zip(panels, workload.economics, strict=True):
        mine = means[means["economy"] == economy.name]
        ratio = mine.assign(ratio=mine["provider_cost"] / mine["optimum"], success=100.0 * mine["first_success"])
        axes.axhline(1.0, color="black", linewidth=1.5, label="optimum by models alone")
        _mark(axes, ratio, "success", "ratio")
        axes.set(ylabel="provider's cost of a task\nas a multiple of the least")
        _number(axes)
    panels[-1].set_xlabel("first answers that are right, %")
    _legend(figure, panels)
    return figure


def _panels(suite: Suite, workload: RoutedTasks, headline: str) -> tuple[Figure, list[Axes]]:
    """A panel for each economy, one above the other."""
    count = len(workload.economics)
    scenario = (
        f"{foreign(workload.name)}: tasks that routers have not seen, users who count failures, up to {suite.horizon} "
        f"attempts; {len(suite.seeds)} random division{'s' * (len(suite.seeds) > 1)} of the tasks."
    )
    figure = new_figure(_HEAD + _PANEL * count, headline, NARROW, scenario)
    panels = figure.subplots(count, 1, squeeze=False).ravel().tolist()
    for axes, economy in zip(panels, workload.economics, strict=True):
        unit = f" {foreign(workload.money, 40)}"
        worth = unit if workload.second_price is not None else ""
        leaving = f"leaving costs {economy.churn_penalty:g}{unit}"
        title(axes, foreign(economy.name), f"a solved task is worth {economy.value:g}{worth} to users, {leaving}")
    return figure, panels


def _mark(axes: Axes, means: pd.DataFrame, x: str, y: str) -> None:
    """Mark the routers, the baselines and the oracle."""
    way, name = means["way"], means["algorithm"]
    baseline = {"color": "black", "markersize": 8}
    marked = [
        *((each, (way == each) & ~name.isin(_BASELINES), look) for each, look in _LOOKS.items()),
        *(
            (f"{each}, knob by cost", (way == _BY_COST) & (name == each), baseline | {"marker": marker})
            for each, marker in _BASELINES.items()
        ),
        (
            f"{ORACLE}, user-aware rule",
            (name == ORACLE) & way.str.startswith("user-aware"),
            baseline | {"marker": "*", "markersize": 12},
        ),
    ]
    for label, which, look in marked:
        if which.any():
            mine = means[which]
            axes.plot(mine[x], mine[y], linestyle="none", alpha=0.85, markeredgecolor="white", label=label, **look)


def _connect(axes: Axes, means: pd.DataFrame, x: str, y: str) -> None:
    """Lead from each router's own rule, with the literature's knob, by that with the knob by cost to the user-aware."""
    for name, mine in means.groupby("algorithm"):
        ways = mine.set_index("way").reindex([*_LOOKS]).dropna(subset=[x, y])
        if name not in _BASELINES:
            axes.plot(ways[x], ways[y], color=GREY, linewidth=1, zorder=0)


def _number(axes: Axes) -> None:
    """Few numbers on the scales; a logarithmic one where costs differ much."""
    axes.xaxis.set_major_locator(MaxNLocator(6))
    costs = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines])
    if costs.min() > 0.0 and costs.max() > _FAR * costs.min():
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        logarithmic(axes.yaxis)
        axes.set_ylim(low, high)


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """Below all panels, of what occurs in any."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="outside lower left", ncols=2)
