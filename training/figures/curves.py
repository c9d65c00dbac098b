"""Pictures of a run: learning curves with the equilibrium as the zero line, and the learned response."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.saving import load_user
from stackroute.analytic import best_response, cascade_thresholds, default_routing
from stackroute.training.figures.scenario import scenario
from stackroute.training.figures.style import BLUE, NARROW, VERMILION, new_figure, save, style, write_below
from stackroute.training.learn.evaluation import Outcome
from stackroute.training.learn.lines import all_lines, line_through
from stackroute.training.learn.runs import CURVES, REPORT, USER, read_json, read_spec
from stackroute.training.output import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from stackroute.analytic import Game

_POINTS = 401
_FLAT = 1e-5


def draw_run(folder: Path, out: Path) -> list[Path]:
    """Draw the learning curves and the learned response of a finished run, to an existing folder.

    Raises:
        RunError: The folder holds no finished run.
        OutputError: A file cannot be written.
    """
    files = [out / "learning_curves.png", out / "learned_response.png"]
    draw_learning_curves(folder, files[0])
    _draw_response(folder, files[1])
    return files


def draw_learning_curves(folder: Path, path: Path) -> None:
    """Draw the exact regret in every stage of a finished run, with the equilibrium as the zero line; as `draw_run`."""
    curves: dict[str, Any] = read_json(folder / CURVES)
    moving = {stage: curve for stage, curve in curves.items() if np.ptp(curve["regret"]) > _FLAT}
    level = [f"{stage} at {100 * curve['regret'][-1]:.2g} %" for stage, curve in curves.items() if stage not in moving]
    # Where nothing moves there is still a picture.
    moving = moving or curves
    with style():
        figure = new_figure(2.0 * len(moving) + 1.4, "Exact regret while learning", NARROW, _scenario(folder))
        panels = figure.subplots(len(moving), 1, squeeze=False).ravel()
        for axes, (stage, curve) in zip(panels, moving.items(), strict=True):
            percent = [100 * regret for regret in curve["regret"]]
            axes.plot([steps / 1e3 for steps in curve["steps"]], percent, color=BLUE, label="learned")
            axes.axhline(0, color="black", linestyle="--", linewidth=1, label="Stackelberg equilibrium")
            player = "user's mean regret" if stage.endswith("user") else "provider's regret"
            axes.set(title=stage, ylabel=f"{player}, %")
            axes.set_yscale("symlog", linthresh=0.01)
            axes.set_ylim(bottom=-0.004, top=2 * max(*percent, 1))
        panels[0].legend()
        panels[-1].set_xlabel("steps, thousands")
        if level:
            write_below(figure, f"Without a change: {', '.join(level)}.")
        save(figure, path)


def _draw_response(folder: Path, path: Path) -> None:
    """Draw the user's learned probability of abandoning along the line that was learned, against the exact one."""
    spec = read_spec(folder)
    game, labels = spec.config.game, spec.config.labels
    chosen = Outcome(**read_json(folder / REPORT)["learned"]).commitment
    try:
        user: Any = load_user(folder / USER)
    except FileNotFoundError as error:
        raise RunError(f"{folder / USER}: no such file; expected a finished run") from error
    routing = spec.routing or default_routing(game)
    line, final = line_through(chosen, routing)
    # Where the second model of a cascade has been learned there is nothing to see; the others are from the first one.
    seen = all_lines(game.models, routing, chosen.delay)[0] if line.is_point else line
    delays = {"without delays": np.zeros(game.models)}
    if chosen.delay.any():
        delays["under the learned delays"] = chosen.delay
    share = np.linspace(0, 1, _POINTS)
    with style():
        figure = new_figure(1.2 + 3 * len(delays), "When the learned user leaves", NARROW, _scenario(folder))
        panels = figure.subplots(len(delays), 1, squeeze=False).ravel()
        for axes, (name, delay) in zip(panels, delays.items(), strict=True):
            commitments = replace(seen, delay=delay).at(share)
            exact = best_response(game, commitments)
            axes.plot(share, 1 - exact, color="black", linestyle="--", label="exact $q^*(s)$")
            patience = user.patience(game, commitments, np.zeros(_POINTS))
            axes.plot(share, 1 - patience, color=BLUE, alpha=0.9, label="learned")
            if seen is line:
                axes.axvline(final, color=VERMILION, linestyle=":", label="provider's final choice")
            axes.set_title(f"{name}\n")
            one, other = (labels[model] for model in seen.models)
            axes.set(
                xlabel="cascade probability $s$, from the first model"
                if routing == "cascade"
                else f"share $s$ of re-prompts served by {other},\nthe others by {one}",
                ylabel="probability of abandoning $q$",
                ylim=(-0.03, 1.03),
            )
            if routing == "cascade" and game.models == 2 and not delay.any():
                _mark_thresholds(axes, game)
            axes.legend()
        save(figure, path)


def _mark_thresholds(axes: Axes, game: Game) -> None:
    thresholds = cascade_thresholds(game)
    low, high = float(thresholds.low), float(thresholds.high)
    named = {"$s_0$": low} if low == high else {"$s_L$": low, "$s_H$": high}
    for name, place in named.items():
        if 0 < place < 1:
            axes.axvline(place, color="grey", linewidth=0.8)
            axes.text(place, 1.04, name, ha="center", color="grey")


def _scenario(folder: Path) -> str:
    spec = read_spec(folder)
    return f"{scenario(spec.config)} {'Delays allowed' if spec.throttling else 'No delays'}; seed {spec.seed}."
