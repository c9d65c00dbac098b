"""Pictures of a run: learning curves with the equilibrium as the zero line, and the learned response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.saving import load_user
from stackroute.analytic import Commitment, best_response, cascade_thresholds
from stackroute.training.learn.runs import CURVES, REPORT, USER, read_json, read_spec
from stackroute.training.output import RunError, replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEARNED, _EXACT = "#0072B2", "black"
_PANELS_IN_A_ROW = 3
_POINTS = 401


def draw_run(folder: Path, out: Path) -> list[Path]:
    """Draw all pictures of a finished run.

    Args:
        folder: The run's folder.
        out: An existing folder.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        RunError: The folder holds no finished run.
        OutputError: A file cannot be written.
    """
    curves, response = out / "learning_curves.png", out / "learned_response.png"
    draw_learning_curves(folder, curves)
    draw_response(folder, response)
    return [curves, response]


def draw_learning_curves(folder: Path, path: Path) -> None:
    """Draw the exact regret in every stage of learning, with the equilibrium as the zero line.

    Args:
        folder: A finished run's folder.
        path: The PNG file.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        RunError: The folder holds no finished run.
        OutputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    curves: dict[str, Any] = read_json(folder / CURVES)
    columns = min(len(curves), _PANELS_IN_A_ROW)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.suptitle(_title(folder))
    for axes, (stage, curve) in zip(panels, curves.items(), strict=False):
        percent = [100 * regret for regret in curve["regret"]]
        axes.plot([steps / 1e3 for steps in curve["steps"]], percent, color=_LEARNED, label="learned")
        axes.axhline(0, color=_EXACT, linestyle="--", linewidth=1, label="Stackelberg equilibrium")
        player = "user's mean exact regret" if stage.endswith("user") else "provider's exact regret"
        axes.set(title=stage, xlabel="steps (thousands)", ylabel=f"{player} (%)")
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_ylim(bottom=-0.004, top=2 * max(*percent, 1))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    _save(figure, path)


def draw_response(folder: Path, path: Path) -> None:
    """Draw the user's learned probability of abandoning over the cascade probability, against the exact q*(s).

    Args:
        folder: A finished run's folder.
        path: The PNG file.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        RunError: The folder holds no finished run.
        OutputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    game = read_spec(folder).config.game
    learned = read_json(folder / REPORT)["learned"]
    try:
        user = load_user(folder / USER)
    except FileNotFoundError as error:
        raise RunError(f"{folder / USER}: no such file; expected a finished run") from error
    cascade = np.linspace(0, 1, _POINTS)
    delays = [np.zeros(2)] + ([np.array(learned["delay"])] if any(learned["delay"]) else [])
    figure = Figure(figsize=(5.2 * len(delays), 3.6), layout="constrained")
    figure.suptitle(_title(folder))
    for axes, delay in zip(figure.subplots(1, len(delays), squeeze=False)[0], delays, strict=True):
        commitments = Commitment(np.ones(_POINTS), cascade, np.broadcast_to(delay, (_POINTS, 2)))
        axes.plot(cascade, 1 - best_response(game, commitments), color=_EXACT, linestyle="--", label="exact q*(s)")
        patience = user.patience(game, commitments, np.zeros(_POINTS))
        axes.plot(cascade, 1 - patience, color=_LEARNED, alpha=0.9, label="learned")
        if learned["model"] == 1:
            axes.axvline(learned["cascade"], color="#D55E00", linestyle=":", label="provider's final choice")
        if not delay.any():
            _mark_thresholds(axes, folder)
        axes.set(
            title="without delays" if not delay.any() else "under the learned delays",
            xlabel="cascade probability s, from model 1",
            ylabel="probability of abandoning q",
            ylim=(-0.03, 1.03),
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="small")
    _save(figure, path)


def _mark_thresholds(axes: Axes, folder: Path) -> None:
    thresholds = cascade_thresholds(read_spec(folder).config.game)
    low, high = float(thresholds.low), float(thresholds.high)
    named = [("s0", low)] if low == high else [("sL", low), ("sH", high)]
    for name, place in named:
        if 0 < place < 1:
            axes.axvline(place, color="grey", linewidth=0.8)
            axes.text(place, 1.04, name, ha="center", fontsize="small", color="grey")


def _title(folder: Path) -> str:
    spec = read_spec(folder)
    return f"{spec.config.name} ({'delays allowed' if spec.throttling else 'no delays'}, seed {spec.seed})"


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=150)
