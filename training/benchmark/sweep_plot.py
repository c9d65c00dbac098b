"""Pictures of a sweep: learned throttling over the churn penalty, and regrets by game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.sweep import read_results
from stackroute.training.output import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "v", "D", "P")


def draw_sweep(folder: Path, out: Path) -> list[Path]:
    """Draw the results of a sweep so far.

    Args:
        folder: The sweep's folder.
        out: An existing folder.

    Returns:
        The files: regrets by game and, for a sweep over the churn penalty, learned throttling against P*.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        RunError: The folder holds no results.
        OutputError: A file cannot be written.
    """
    rows = [row for row in read_results(folder) if row["error"] is None]
    drawn = [_save(_regrets([row for row in rows if row["penalty_ratio"] is None]), out / "regrets.png")]
    swept = [row for row in rows if row["penalty_ratio"] is not None]
    if swept:
        drawn.append(_save(_throttling(swept), out / "throttling.png"))
    return [path for path in drawn if path is not None]


def _throttling(rows: list[dict[str, Any]]) -> Figure:
    """Mahmood 2026, Proposition 2, by learning: the share of runs that throttle, over P / P*."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    ratios = sorted({row["penalty_ratio"] for row in rows})
    axes.plot([min(ratios) * 0.9, 1, 1, max(ratios) * 1.1], [1, 1, 0, 0], color="black", linestyle="--", label="theory")
    games = list(dict.fromkeys(row["game"] for row in rows))
    for k, game in enumerate(games):
        learned = [
            np.mean([row["learned_throttled"] for row in rows if (row["game"], row["penalty_ratio"]) == (game, ratio)])
            for ratio in ratios
        ]
        # A small shift in height keeps games apart that learned the same.
        axes.plot(
            ratios,
            np.array(learned) - 0.03 * k,
            color=_COLOURS[k % len(_COLOURS)],
            marker=_MARKERS[k % len(_MARKERS)],
            linestyle="none",
            label=game,
        )
    axes.set_xscale("log")
    axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios], rotation=60)
    axes.minorticks_off()
    axes.set(
        xlabel="churn penalty P / P*",
        ylabel="share of runs that throttle",
        title="Throttling is learned where theory predicts it",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    return figure


def _regrets(rows: list[dict[str, Any]]) -> Figure | None:
    """The provider's final regret in every run, by game."""
    from matplotlib.figure import Figure

    if not rows:
        return None
    labels = list(dict.fromkeys((row["group"], row["game"]) for row in rows))
    figure = Figure(figsize=(7, 0.9 + 0.24 * len(labels)), layout="constrained")
    axes = figure.subplots()
    for place, label in enumerate(labels):
        percent = [100 * row["provider_regret"] for row in rows if (row["group"], row["game"]) == label]
        axes.plot(percent, [place] * len(percent), "o", color=_COLOURS[0], alpha=0.6)
    axes.set_xscale("symlog", linthresh=0.01)
    axes.axvline(0, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), [f"{game} ({group})" for group, game in labels], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="provider's exact regret (%), one dot for each run", title="Regret of what was learned")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _save(figure: Figure | None, path: Path) -> Path | None:
    if figure is None:
        return None
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=150)
    return path
