"""Pictures of a run: learning curves with the equilibrium as the zero line, and the learned response."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.saving import load_user
from stackroute.analytic import best_response, cascade_thresholds, default_routing
from stackroute.training.figures.places import checked_alone, draw_places, walked_line
from stackroute.training.figures.scenario import scenario
from stackroute.training.figures.style import (
    BLUE,
    GREEN,
    NARROW,
    ORANGE,
    VERMILION,
    explain,
    foreign,
    new_figure,
    save,
    style,
    write_below,
    write_legend,
)
from stackroute.training.learn.evaluation import Outcome
from stackroute.training.learn.lines import all_lines, line_through
from stackroute.training.learn.runs import CURVES, PLACES, REPORT, USER, intact, read_json, read_spec
from stackroute.training.learn.traffic_runs import read_traffic_spec
from stackroute.training.output import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from stackroute.analytic import Game

_POINTS = 401
_FLAT = 1e-5
_LETTERS = 28
_LEVELS = ((VERMILION, ":"), (GREEN, "-."), (ORANGE, (0, (6, 2))), (BLUE, (0, (1, 1))))


def draw_run(folder: Path, out: Path) -> list[Path]:
    """Draw the learning curves and the learned response of a finished run, to an existing folder.

    Raises:
        RunError: The folder holds no finished run.
        OutputError: A file cannot be written.
    """
    files = [out / "learning_curves.png", out / "learned_response.png"]
    with intact(folder):
        draw_learning_curves(folder, files[0])
        _draw_response(folder, files[1])
    return files


def draw_learning_curves(folder: Path, path: Path) -> None:
    """Draw the exact regret in every stage of a finished run, with the equilibrium as the zero line; as `draw_run`."""
    curves, report = read_json(folder / CURVES), read_json(folder / REPORT)
    moving = {stage: curve for stage, curve in curves.items() if np.ptp(curve["regret"]) > _FLAT}
    level = [f"{stage} at {100 * curve['regret'][-1]:.2g} %" for stage, curve in curves.items() if stage not in moving]
    # Where nothing moves there is still a picture.
    moving = moving or curves
    beside = {"random commitments": report["random_regret"], "step 0": report["untrained_regret"]}
    if report["scheme"] == "joint_amortised":
        # Those of one game do not belong to curves over many.
        del beside["random commitments"]
    spec, chosen = read_spec(folder), Outcome(**report["learned"]).commitment
    walks = read_json(folder / PLACES) if (folder / PLACES).exists() else []
    walked = walked_line(spec, walks, chosen)
    count = len(moving) + (walked is not None)
    with style():
        headline = "Exact regret, and the check by play" if walked else "Exact regret while learning"
        figure = new_figure(3.1 * count + 1.2, headline, NARROW, _scenario(folder))
        panels = figure.subplots(count, 1, squeeze=False).ravel()
        for axes, (stage, curve) in zip(panels, moving.items(), strict=False):
            user = stage.endswith("user")
            words, zero = _words(stage, report["scheme"]), "best response" if user else "equilibrium"
            _draw_curve(axes, curve, words, {} if user else beside, zero)
        if walked is not None:
            draw_places(panels[-1], spec, walked, chosen)
        for axes in panels:
            write_legend(axes)
        still = f"Without a change: {', '.join(level)}." if level else ""
        write_below(figure, "\n".join(filter(None, [still, checked_alone(spec.config, walks)])))
        save(figure, path)


def draw_tasks_learned(folder: Path, out: Path) -> list[Path]:
    """Draw the exact regret while a provider learned to route measured tasks; as `draw_run`."""
    with intact(folder):
        _draw_tasks(folder, out / "learning_curves.png")
    return [out / "learning_curves.png"]


def _draw_tasks(folder: Path, path: Path) -> None:
    spec, report, curves = read_traffic_spec(folder), read_json(folder / REPORT), read_json(folder / CURVES)
    ((_, curve),) = curves.items()
    beside = {
        "random ladders": report["random_regret"],
        f"best single model: {foreign(report['single_model'], _LETTERS)}": report["single_model_regret"],
        "step 0, the same choice by play": report["untrained_regret"],
        "learned, after the choice by play": report["provider_regret"],
    }
    scenario = f"{foreign(spec.tasks)}: {' and '.join(map(foreign, spec.models))}; seed {spec.seed}."
    detail = (
        "The exact regret of the ladders that its network knows, mixed by play of few tasks; users answer best. "
        "0 is the optimum."
    )
    with style():
        figure = new_figure(4.8, "Exact regret while learning", NARROW, scenario)
        axes = figure.subplots()
        _draw_curve(axes, curve, ("The provider learns ladders for all prices of patience", detail), beside, "optimum")
        write_legend(axes, columns=1)
        save(figure, path)


def _words(stage: str, scheme: str) -> tuple[str, str]:
    """What a panel shows, and what it means."""
    together, many = scheme.startswith("simultaneous"), scheme == "joint_amortised"
    if stage.endswith("user"):
        over = "at the provider's commitment of that moment" if together else "over random commitments, on average"
        where = f"{over}{' and over games' if many else ''}"
        blind = ", which it does not see" if scheme.endswith("blind") else ""
        return "The user learns to answer", f"Its exact regret {where}{blind}; 0 is the best response."
    against = "a user that learns at the same time" if together else "that user"
    mean = "mean exact regret over games" if many else "exact regret"
    return (
        f"The provider learns against {against}",
        f"Its {mean}, were users to answer best; 0 is the Stackelberg equilibrium.",
    )


def _draw_curve(
    axes: Axes, curve: dict[str, list[float]], words: tuple[str, str], beside: dict[str, float], zero: str
) -> None:
    """Draw regret against steps, beside that of what has not learned and with what the zero line is called."""
    axes.plot(
        [steps / 1e3 for steps in curve["steps"]],
        [100 * one for one in curve["regret"]],
        color=BLUE,
        label="while learning",
    )
    axes.axhline(0, color="black", linestyle="--", linewidth=1, label=zero)
    for (name, regret), (colour, dashes) in zip(beside.items(), _LEVELS, strict=False):
        axes.axhline(100 * regret, color=colour, linestyle=dashes, label=f"{name}: {100 * regret:.3g} %")
    axes.set_yscale("symlog", linthresh=0.01)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(ylabel="regret, %", xlabel="steps, thousands")
    axes.set_ylim(bottom=-0.004, top=2 * max(1, *(100 * one for one in (*curve["regret"], *beside.values()))))
    explain(axes, *words)


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
