"""The command line: `stackroute --help` lists the commands.

Commands import what they need when they are called, so that help is there at once.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from stackroute._version import __version__

# Importing them adds their commands.
from stackroute.training.cli import benchmark as benchmark
from stackroute.training.cli import market as market
from stackroute.training.cli import training as training
from stackroute.training.cli.console import (
    GAME,
    FolderOption,
    JsonOption,
    ThrottlingOption,
    app,
    console,
    fail,
    print_json,
    print_written,
    require,
    whole_output,
)

Routing = Literal["cascade", "free"]


@app.command("solve")
def solve_command(
    game: Annotated[str, GAME],
    routing: Annotated[
        Routing | None,
        typer.Option(
            help="What you may commit to: the paper's cascades, or any lottery of models for retries. "
            "Not given: cascade for one or two models, free for more."
        ),
    ] = None,
    throttling: ThrottlingOption = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, as in --set value=5; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the exact Stackelberg equilibrium of a game and say what it means.

    Examples:
    stackroute solve gpt-4.1-o3-dev --throttling --set churn_penalty=0.05 --set models.o3.latency=40

    stackroute solve g5 --routing free
    """
    from stackroute.analytic import Regime, solve
    from stackroute.configs import load_game, with_changes
    from stackroute.training.cli import explanation
    from stackroute.training.cli.display import outcome_rows, table_of
    from stackroute.training.learn.evaluation import outcome

    config = with_changes(load_game(game), changes or [])
    chosen = routing or ("cascade" if config.game.models <= 2 else "free")
    equilibrium = solve(config.game, chosen, throttling)
    content = {"game": config.name, "routing": chosen, "throttling": throttling}
    facts = [("delays", "allowed" if throttling else "not allowed")]
    if chosen == "free":
        if as_json:
            print_json(content | explanation.free_as_json(config, equilibrium))
            return
        facts = [("routing", "any lottery of models"), *facts]
        rows, sentences = explanation.free_rows(config, equilibrium), explanation.explain_free(config, equilibrium)
    else:
        found = outcome(config.game, equilibrium.commitment, equilibrium.patience)
        regime = Regime(int(equilibrium.regime))
        if as_json:
            print_json(
                content | {"regime": regime.name.lower()} | asdict(found) | explanation.as_json(config, throttling)
            )
            return
        alone = "worth the wait" if regime == Regime.BOTH_WORTH else "not worth the wait"
        facts = [("regime", alone if config.game.models == 1 else regime.label), *facts]
        rows, sentences = outcome_rows(config, found), explanation.explain(config, throttling)
    table = table_of(("", ""), facts, f"{config.name}: {config.description}")
    table.show_header = False
    table.add_section()
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for sentence in sentences:
        console.print(f"- {sentence}", highlight=False)


@app.command("games")
def games_command() -> None:
    """List the packaged games: which models are worth a pass to the user, and what each game shows."""
    from rich.text import Text

    from stackroute.analytic import Regime, regime
    from stackroute.configs import game_names, load_game
    from stackroute.training.cli.display import table_of
    from stackroute.training.market.market import REGIMES

    configs = [load_game(name) for name in game_names()]
    rows = [
        (Text.assemble((config.name, "bold"), "\n", config.description), REGIMES[Regime(int(regime(config.game)))])
        for config in configs
    ]
    table = table_of(("game, and what it shows", "worth a pass"), rows)
    table.show_lines = True
    table.columns[1].no_wrap = True
    console.print(table)


@app.command("figures")
def figures_command(out: FolderOption = Path("figures")) -> None:
    """Draw the theory as PNG and SVG: responses, optimal policies, misalignment, throttling and free routing.

    Example: stackroute figures --out figures
    """
    require("plot")
    from stackroute.training.figures.theory import draw_figures

    with console.status("drawing"):
        print_written(draw_figures(out))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"stackroute {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a bad game, setting or folder ends it with one line and exit code 2."""
    try:
        with whole_output():
            app()
    except OSError as error:
        # What was opened by a name says it; a terminal or a pipe has none.
        place = f"{error.filename}: cannot be used" if error.filename else "the output cannot be written"
        fail(f"{place} ({error.strerror or error})")
    except Exception as error:
        from stackroute.agents.errors import PolicyFileError, UntrustedFileError
        from stackroute.analytic import InvalidGameError
        from stackroute.configs import ConfigError
        from stackroute.training.output import OutputError, RunError

        of_the_input = ConfigError | InvalidGameError | OutputError | RunError | PolicyFileError | UntrustedFileError
        if isinstance(error, of_the_input):
            fail(error)
        raise
