"""The pictures of measured outcomes: success over attempts, and the optimal ladder with when users stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from stackroute.analytic import solve_traffic, traffic_payoffs
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    NARROW,
    ORANGE,
    PALE_BLUE,
    VERMILION,
    foreign,
    new_figure,
    title,
    write_below,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stackroute.analytic.game import IntArray
    from stackroute.configs.measured import MeasuredGame

_ATTEMPTS = 8
_COLUMNS = 2
_LETTERS = 24
_LOOKS = ((PALE_BLUE, ""), (ORANGE, "//"), (GREEN, ".."), (VERMILION, "xx"))


def attempts_picture(game: MeasuredGame) -> Figure:
    """How often an attempt succeeds if those before it failed: measured, by a Beta distribution, and independent."""
    fits = game.outcomes.fit(game.labels, game.correlation)
    known = sorted({f"{fit.retry_ratio:.2f}" for fit in fits.values() if not fit.assumed})
    headline = "One attempt a task does not show how retries fare"
    if known:
        headline = (
            f"Retries succeed {' to '.join(dict.fromkeys((known[0], known[-1])))} times as often as first attempts"
        )
    columns = min(len(fits), _COLUMNS)
    rows = -(-len(fits) // columns)
    figure = new_figure(
        1.8 + 3.0 * rows,
        headline,
        NARROW,
        f"{_tasks(game)}. Beta(a, b): how a model's success differs from task to task, by the fit.",
    )
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    attempts = np.arange(1, _ATTEMPTS + 1)
    for axes, fit in zip(panels, fits.values(), strict=False):
        title(axes, _short(fit.model), f"Beta({fit.a:.2f}, {fit.b:.2f}){', assumed' * fit.assumed}")
        axes.axhline(fit.success, color="black", linestyle="--", linewidth=1, label="if independent")
        axes.plot(attempts, fit.curve(_ATTEMPTS), color=BLUE, label="by the fit")
        axes.plot(attempts, fit.measured_curve(_ATTEMPTS), "o", color=VERMILION, label="measured")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("attempt at a task")
        axes.set_ylim(0, 1.12 * max(fit.success for fit in fits.values()))
    for axes in panels[::columns]:
        axes.set_ylabel("probability of success\nif all before failed")
    for axes in panels[len(fits) :]:
        axes.set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def ladder_picture(game: MeasuredGame) -> Figure:
    """What stopping after n failures is worth under the optimum, and which model serves each attempt."""
    best = solve_traffic(game.traffic, game.horizon)
    payoffs = traffic_payoffs(game.traffic, best.policy, game.horizon)
    stop, unit = int(best.stop[0]), game.unit
    attempts = np.arange(1, game.horizon + 1)
    ladders, below = best.policy.until(game.horizon), np.zeros(game.horizon)
    figure = new_figure(7.6, _headline(game, ladders[:, :stop], stop), NARROW, _scenario(game))
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(2, 2, 1.2))
    curves = {upper: payoffs.user_utility[0], middle: payoffs.provider_cost[0]}
    for axes, curve in curves.items():
        axes.plot(attempts, curve, "o-", color=BLUE, markersize=4)
        axes.plot(stop, curve[stop - 1], "D", color=VERMILION, markeredgecolor="white", markersize=10)
        axes.margins(y=0.15)
    upper.set_ylabel(f"user's utility, {unit.utility or 'units of value'}")
    middle.set_ylabel(f"provider's cost, {unit.money or 'units of money'}")
    for k, (name, (colour, hatch)) in enumerate(zip(game.labels, _LOOKS, strict=False)):
        share = best.policy.probability.reshape(-1) @ (ladders == k)
        if not share.any():
            continue
        for part, strength in ((attempts <= stop, 1.0), (attempts > stop, 0.3)):
            style = {"color": colour, "hatch": hatch, "alpha": strength, "edgecolor": "white", "linewidth": 0}
            lower.bar(
                attempts[part], share[part], 1.0, below[part], label=_short(name) if strength == 1 else None, **style
            )
        below += share
    for axes, at in ((upper, stop), (middle, stop), (lower, stop + 0.5)):
        axes.axvline(at, color="black", linestyle=":", linewidth=1, zorder=0 if axes is not lower else 3)
    lower.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    lower.set(ylabel="served by", yticks=(), xlim=(0.5, game.horizon + 0.5), xlabel="attempts until users stop")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    later = " Pale: attempts that users do not make." if stop < game.horizon else ""
    drawn = " Heights: who serves is drawn for each task." if len(ladders) > 1 else ""
    write_below(figure, f"Diamond: what users choose, their greatest utility.{later}{drawn}")
    return figure


def _headline(game: MeasuredGame, ladders: IntArray, stop: int) -> str:
    used = np.unique(ladders)
    ends = "users go on to the end" if stop == game.horizon else f"users stop after {stop} failure{'s' * (stop > 1)}"
    return f"Best: {'a cascade' if len(used) > 1 else 'one model'}; {ends}"


def _tasks(game: MeasuredGame) -> str:
    return f"{foreign(game.name)}: {len(game.outcomes.tasks)} measured tasks"


def _scenario(game: MeasuredGame) -> str:
    unit, mean = game.unit, game.traffic.mean[0]
    each = "; ".join(
        f"{_short(name)} costs {unit.in_money(cost)} an attempt and {unit.in_time(wait)} of waiting"
        for name, cost, wait in zip(game.labels, mean.cost.tolist(), mean.latency.tolist(), strict=True)
    )
    return (
        f"{_tasks(game)}. A solved task is worth {unit.in_utility(game.value)} to users, an abandoned one costs the "
        f"provider {unit.in_money(game.churn_penalty)}; {each}."
    )


def _short(name: str) -> str:
    return foreign(name, _LETTERS)
