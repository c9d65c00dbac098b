"""The command that starts a page in the browser on which the numbers of a game can be changed."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from stackroute.training.cli.console import app, console, fail, require, to_errors
from stackroute.training.cli.market import ColumnsOption, DecimalOption, UnitOption, mapping

_HOST = "localhost"
_SETTINGS = {
    "server.address": _HOST,
    "server.showEmailPrompt": "false",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "logger.hideWelcomeMessage": "true",
    "runner.magicEnabled": "false",
}
"""Only this machine is served, nothing is sent elsewhere, and nobody is asked for an address."""


@app.command("explore")
def explore_command(
    game: Annotated[
        str | None,
        typer.Argument(
            metavar="GAME",
            help="A packaged name (see 'stackroute games'), a .yaml file, or a table of models as of 'advise'. "
            "Not given: choose among the packaged games on the page.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A run of 'stackroute train' whose players are shown too.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(metavar="MONEY", help="What a solved task is worth to the user, to begin with.")
    ] = None,
    waiting_cost: Annotated[
        str | None, typer.Option(metavar="MONEY", help="What an hour of waiting costs the user, likewise.")
    ] = None,
    churn_penalty: Annotated[
        str | None, typer.Option(metavar="MONEY", help="What an abandoned task costs you, likewise.")
    ] = None,
    columns: ColumnsOption = None,
    unit: UnitOption = None,
    decimal: DecimalOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of this machine, on which the page is served.")] = 8501,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Explore a game in the browser: change every number, and see the answer, the pictures and what policies cost.

    The page is served to this machine only, until Ctrl-C. Its address holds the numbers that were changed; the game,
    pictures and numbers can be downloaded.

    For example:

    stackroute explore gpt-4.1-o3-dev

    stackroute explore mine.csv --value 0.5 --columns success=accuracy --port 8600 --no-browser
    """
    require("explore", *(["train"] if run else []))
    from stackroute.configs import ConfigError
    from stackroute.configs.outcome_files import is_outcomes
    from stackroute.training.explorer.asked import Asked
    from stackroute.training.explorer.state import Source

    begins = {"value": value, "waiting_cost_per_hour": waiting_cost, "churn_penalty": churn_penalty}
    changes = [f"{name}={amount}" for name, amount in begins.items() if amount is not None]
    if changes and game is None:
        raise ConfigError("value, waiting-cost, churn-penalty: change a game; expected GAME with them")
    names, units = mapping("columns", [columns or ""]), mapping("unit", unit or ())
    asked = Asked(game, names, units, decimal, changes, str(run or ""))
    if game is not None and is_outcomes(game, asked.columns):
        raise ConfigError(
            f"{game!r} holds measured outcomes; expected a game or a table of models, or 'stackroute solve'"
        )
    if game is not None:
        Source.read(game, asked.columns, asked.units, asked.decimal, asked.changes)
    if run is not None:
        from stackroute.training.learn.runs import players_of_run

        players_of_run(run)
    _check_free(port)
    settings = _SETTINGS | {"server.port": str(port)} | ({"server.headless": "true"} if no_browser else {})
    options = [f"--{name}={value}" for name, value in settings.items()]
    page = Path(__file__).parents[1] / "explorer" / "page.py"
    command = [sys.executable, "-m", "streamlit", "run", *options, str(page), "--", asked.as_argument()]
    console.print(f"The page is at http://{_HOST}:{port} until you press Ctrl-C.", highlight=False)
    try:
        subprocess.run(command, check=True)
    except KeyboardInterrupt:
        to_errors("stopped")
    except subprocess.CalledProcessError as error:
        fail(f"the page has ended (exit code {error.returncode})")


def _check_free(port: int) -> None:
    """End with an error where something listens on a port already."""
    with socket.socket() as tried:
        if tried.connect_ex((_HOST, port)) == 0:
            fail(f"port: {port} is in use; expected one that is free, as in --port {port % 65535 + 1}")
