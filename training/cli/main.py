"""The command line: `stackroute --help` lists the commands."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from stackroute.agents.errors import PolicyFileError, UntrustedFileError
from stackroute.analytic import Regime, regime, solve
from stackroute.configs import ConfigError, game_names, load_game, with_changes
from stackroute.training.cli import benchmark as benchmark
from stackroute.training.cli import market as market
from stackroute.training.cli import training as training
from stackroute.training.cli.console import GameArgument, app, console, fail, require
from stackroute.training.cli.display import outcome_rows
from stackroute.training.cli.explanation import as_json as explanation_json
from stackroute.training.cli.explanation import explain
from stackroute.training.learn.evaluation import outcome
from stackroute.training.market.market import REGIMES
from stackroute.training.output import OutputError, RunError


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
    console.print(table)
    for sentence in explain(config, throttling):
        console.print(f"- {sentence}", highlight=False)


@app.command("games")
def games_command() -> None:
    """List the packaged games: which models are worth a pass to the user, and what each game shows."""
    table = Table(show_lines=True)
    table.add_column("game, and what it shows")
    table.add_column("worth a pass", no_wrap=True)
    for name in game_names():
        config = load_game(name)
        shown = Text.assemble((name, "bold"), "\n", config.description)
        table.add_row(shown, REGIMES[Regime(int(regime(config.game)))])
    console.print(table)


@app.command("figures")
def figures_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("figures"),
) -> None:
    """Draw the theory as PNG and SVG: responses, optimal policies, misalignment and throttling.

    Example: stackroute figures --out figures
    """
    require("plot", "matplotlib")
    from stackroute.training.figures.catalogue import draw_figures

    with console.status("drawing"):
        draw_figures(out, lambda path: console.print(f"Wrote {path}"))


def main() -> None:
    """Run the command line; a bad game, setting or folder ends it with one line and exit code 2."""
    try:
        app()
    except (ConfigError, OutputError, RunError, PolicyFileError, UntrustedFileError) as error:
        fail(error)
