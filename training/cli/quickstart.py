"""The quick start: two games of one real pair, in one of which theory says that throttling pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackroute.analytic import misalignment
from stackroute.configs import load_game
from stackroute.configs.games import DisplayUnits
from stackroute.training.cli.display import evaluation_table, stages_in_words, training_progress
from stackroute.training.figures.curves import draw_learning_curves
from stackroute.training.learn.runs import REPORT, RunSpec, report, run_game
from stackroute.training.market.market import has_gap
from stackroute.training.output import output_folder, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from stackroute.configs import GameConfig
    from stackroute.configs.training import TrainingSettings
    from stackroute.training.learn.evaluation import Evaluation

GAMES = ("gpt-4.1-o3-dev-low-p", "gpt-4.1-o3-dev")

_NOTHING = 1e-6


def quickstart(folder: Path, settings: TrainingSettings, *, seed: int, console: Console) -> None:
    """Train on both games with delays allowed, show what was learned beside the equilibrium, and write the report."""
    output_folder(folder)
    reports, shown = [], list[Any]()
    for name in GAMES:
        config = load_game(name)
        with training_progress(console, name) as on_progress:
            spec = RunSpec(config, settings, throttling=True, seed=seed)
            pair = run_game(spec, folder / name, on_progress=on_progress)
        draw_learning_curves(folder / name, folder / f"{name}.png")
        shown += [evaluation_table(config, pair.evaluation, f"{name}: {config.description}")]
        shown += [_in_words(config, pair.evaluation), stages_in_words(pair), ""]
        reports.append(report(spec, pair))
    write_json(folder / REPORT, {"games": reports})
    console.print(*shown, sep="\n")
    console.print(f"Wrote {folder / REPORT} and the learning curves beside it.")


def _in_words(config: GameConfig, evaluation: Evaluation) -> str:
    learned, predicted = evaluation.learned, evaluation.equilibrium
    same = (learned.first_model, learned.throttled) == (predicted.first_model, predicted.throttled)
    misaligned = misalignment(config.game, throttling=True)
    served, liked = (config.labels[model] for model in (predicted.first_model, int(misaligned.preferred_model)))
    does = f"serves {served} and does not throttle"
    if predicted.throttled:
        does = f"serves {served} once and threatens to be so slow after it that users leave"
    wish = "as users would choose"
    if has_gap(config.game, misaligned):
        wish = f"although users would rather have {liked} until the task is solved"
    verdict = "learned the same" if same else "learned otherwise"
    lost = predicted.user_utility - learned.user_utility
    if same and lost > _NOTHING * config.value:
        verdict += f", but for delays that cost it nothing and users {DisplayUnits.of(config).in_utility(lost)} a task"
    return f"In theory the provider {does}, {wish}. The provider {verdict}."
