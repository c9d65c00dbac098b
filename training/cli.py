"""The command line: `stackroute --help` lists the commands."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from stackroute.analytic import Regime, solve
from stackroute.configs import ConfigError, game_names, load_game, with_changes
from stackroute.configs.training import load_training_settings
from stackroute.training.display import outcome_rows
from stackroute.training.evaluation import outcome
from stackroute.training.explanation import as_json as explanation_json
from stackroute.training.explanation import explain
from stackroute.training.output import OutputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The routing game between an LLM provider and its user (Mahmood 2026, arXiv:2602.09902): solve it exactly, "
    "train both players, and compare what they learned with the Stackelberg equilibrium.",
)

GameArgument = Annotated[
    str, typer.Argument(metavar="GAME", help="A packaged name (see 'stackroute games') or the path of a .yaml file.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Fixes everything; the same seed gives the same result.")]

_TRAINING = ("stable_baselines3", "tensorboard", "matplotlib")
_console = Console(markup=False)


@app.command("solve")
def solve_command(
    game: GameArgument,
    throttling: Annotated[bool, typer.Option("--throttling/--no-throttling", help="Allow delays.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, as in --set value=5; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compute the exact Stackelberg equilibrium of a game and say what it means.

    Example: stackroute solve gpt-4.1-o3-dev --throttling --set churn_penalty=0.05 --set models.reasoning.latency=40
    """
    config = with_changes(load_game(game), changes or [])
    equilibrium = solve(config.game, throttling=throttling)
    found = outcome(config.game, equilibrium.commitment, equilibrium.patience)
    regime = Regime(int(equilibrium.regime))
    if as_json:
        content = {"game": config.name, "throttling": throttling, "regime": regime.name.lower(), **asdict(found)}
        print(json.dumps(content | explanation_json(config, throttling), indent=2, allow_nan=False))
        return
    table = Table(title=f"{config.name}: {config.description}", title_justify="left", show_header=False)
    table.add_row("regime", regime.label)
    table.add_row("delays", "allowed" if throttling else "not allowed")
    table.add_section()
    for quantity, text in outcome_rows(config, found):
        table.add_row(quantity, text)
    _console.print(table)
    for sentence in explain(config, throttling):
        _console.print(f"- {sentence}", highlight=False)


@app.command("games")
def games_command() -> None:
    """List the packaged games and what each one shows."""
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("shows")
    for name in game_names():
        config = load_game(name)
        table.add_row(name, config.description)
    _console.print(table)


@app.command("figures")
def figures_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("figures"),
) -> None:
    """Draw the theory as PNG and SVG: responses, optimal policies, misalignment and throttling.

    Example: stackroute figures --out figures
    """
    _require("plot", "matplotlib")
    from stackroute.training.figures import draw_figures

    with _console.status("drawing"):
        draw_figures(out, lambda path: _console.print(f"Wrote {path}"))


@app.command("train")
def train_command(
    game: GameArgument,
    throttling: Annotated[bool, typer.Option("--throttling/--no-throttling", help="Allow delays.")] = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder; runs/GAME-seedN if not given.")
    ] = None,
    settings: Annotated[
        str, typer.Option(metavar="SETTINGS", help="Packaged training settings or the path of a .yaml file.")
    ] = "follower_first",
) -> None:
    """Train a user and a provider on a game, and judge them exactly.

    Writes report.json, learning_curves.png, both policies and TensorBoard logs to the output folder.

    Example: stackroute train gpt-4.1-o3-dev-low-p --throttling --seed 1 --out runs/mine
    """
    config = load_game(game)
    how = load_training_settings(settings)
    folder = out if out is not None else Path("runs") / f"{config.name}-seed{seed}"
    _require("train,plot", *_TRAINING)
    from stackroute.training.curves import draw_learning_curves
    from stackroute.training.display import evaluation_table, training_progress
    from stackroute.training.output import output_folder
    from stackroute.training.runs import run_game

    output_folder(folder)
    with training_progress(_console, config.name) as on_progress:
        run = run_game(config, how, folder, throttling=throttling, seed=seed, on_progress=on_progress)
    title = f"{config.name}, seed {seed}"
    _console.print(evaluation_table(config, run.pair.evaluation, title))
    draw_learning_curves(run, folder / "learning_curves.png")
    _console.print(f"Wrote {folder / 'report.json'}")


@app.command("quickstart")
def quickstart_command(
    seed: SeedOption = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("runs/quickstart"),
) -> None:
    """Train on two games of gpt-4.1 and o3, in one of which throttling pays; takes a minute or two."""
    _require("train,plot", *_TRAINING)
    from stackroute.training.quickstart import quickstart

    quickstart(out, load_training_settings(), seed=seed, console=_console)


def _require(extras: str, *names: str) -> None:
    missing = [name for name in names if not importlib.util.find_spec(name)]
    if missing:
        _fail(f"this command needs {', '.join(missing)}: pip install 'stackroute[{extras}]'")


def _fail(message: Any, code: int = 2) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


def main() -> None:
    """Run the command line; a bad game, setting or folder ends it with one line and exit code 2."""
    try:
        app()
    except (ConfigError, OutputError) as error:
        _fail(error)
