"""The command line: `stackroute --help` lists the commands.

Commands import what they need when they are called, so that help is there at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stackroute._version import __version__

# Importing them adds their commands.
from stackroute.training.cli import benchmark as benchmark
from stackroute.training.cli import exploring as exploring
from stackroute.training.cli import market as market
from stackroute.training.cli import routing as routing
from stackroute.training.cli import solving as solving
from stackroute.training.cli import training as training
from stackroute.training.cli.console import (
    ChangesOption,
    ChurnPenaltyOption,
    CorrelationOption,
    CostOption,
    FolderOption,
    HorizonOption,
    LatencyOption,
    ModelsOption,
    PricesOption,
    SecondPriceOption,
    ValueOption,
    app,
    console,
    fail,
    outcome_options,
    print_written,
    refuse_for_games,
    require,
    to_errors,
    warnings_on_a_line,
    whole_output,
)

if TYPE_CHECKING:
    from stackroute.configs import GameConfig
    from stackroute.configs.measured import MeasuredGame


@app.command("games")
def games_command(
    regime: Annotated[
        Literal["both", "only-standard", "only-reasoning", "neither"] | None,
        typer.Option(help="Only games of two models, of which those are worth a pass to the user."),
    ] = None,
    models: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only games of so many models.")] = None,
) -> None:
    """List the packaged games: how many models, and which of them are worth a pass to the user.

    'stackroute solve GAME' says what a game shows, and solves it.

    Example: stackroute games --regime only-reasoning
    """
    from stackroute.analytic import Regime
    from stackroute.analytic import regime as regime_of
    from stackroute.configs import game_names, load_game
    from stackroute.training.cli.display import table_of
    from stackroute.training.market.market import REGIMES

    rows = []
    for config in map(load_game, game_names()):
        game = config.game
        two = game.models == 2
        worth = REGIMES[Regime(int(regime_of(game)))] if two else f"{(game.net_value > 0).sum()} of {game.models}"
        if models in (None, game.models) and (regime is None or (two and worth == regime.replace("-", " "))):
            rows.append((config.name, str(game.models), worth))
    if not rows:
        fail("no packaged game is so; 'stackroute games' lists all")
    table = table_of(("game", "models", "worth a pass"), rows)
    for column in table.columns:
        column.no_wrap = True
    console.print(table)


@app.command("figures")
def figures_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which pictures; not given: all.")] = None,
    game: Annotated[
        str | None,
        typer.Option(
            metavar="GAME",
            help="Your game: a packaged name, a .yaml file, or a table of models as CSV, aider's leaderboard "
            "as YAML, or 'aider'; or measured outcomes by task, or a log of requests.",
        ),
    ] = None,
    changes: ChangesOption = None,
    columns: market.ColumnsOption = None,
    unit: market.UnitOption = None,
    decimal: market.DecimalOption = None,
    models: ModelsOption = None,
    value: ValueOption = None,
    churn_penalty: ChurnPenaltyOption = None,
    cost: CostOption = None,
    latency: LatencyOption = None,
    second_price: SecondPriceOption = None,
    horizon: HorizonOption = None,
    correlation: CorrelationOption = None,
    prices: PricesOption = None,
    out: FolderOption = Path("figures"),
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the numbers of frontier and plane too, as CSV.")] = False,
) -> None:
    """Draw the theory as PNG and SVG.

    Of a game of your own: frontier (cost over waiting of all models, who serves, what users want), plane (what is best
    over value and churn penalty), discipline (prices, a rival and a regulator), population (which types of users are
    kept); of two models, the second better, dearer and slower, also response (when users stay), policy_plane (what the
    provider serves) and free_routing (what free routing saves). Only of their own games: idea (a frontier),
    misalignment and throttling. Of measured outcomes by task: attempts (how far from independent they are) and ladder
    (who serves which attempt, and when users stop).

    In a table's game a solved task is worth 1 to users, an hour of waiting costs them 64, and an abandoned task costs
    the provider 0.1; change it by --set value, waiting_cost_per_hour and churn_penalty.

    For example:

    stackroute figures --out figures

    stackroute figures frontier population --game models.csv --set value=2 --set waiting_cost_per_hour=12

    stackroute figures --game metr --models GPT-4o,o1 --value 30 --churn-penalty 40 --cost 1,5 --latency 1,3
    """
    require("plot")
    from stackroute.configs import ConfigError, with_changes
    from stackroute.configs.outcome_files import is_outcomes
    from stackroute.training.cli.measured import read_measured
    from stackroute.training.figures.pictures import draw_figures, undrawable
    from stackroute.training.figures.scenario import read_game

    of_outcomes = outcome_options(
        models=models,
        value=value,
        churn_penalty=churn_penalty,
        cost=cost,
        latency=latency,
        second_price=second_price,
        horizon=horizon,
        correlation=correlation,
        prices=prices,
    )
    if game is None and (changes or columns or unit or decimal or of_outcomes):
        given = ", ".join(["set, columns, unit, decimal", *of_outcomes])
        raise ConfigError(f"{given}: change a game; expected --game GAME with them")
    config: GameConfig | MeasuredGame | None = None
    if game is not None:
        names_of, units = market.mapping("columns", [columns or ""]), market.mapping("unit", unit or ())
        if is_outcomes(game, names_of):
            config = read_measured(game, of_outcomes, changes or [], columns=names_of, units=units, decimal=decimal)
        else:
            refuse_for_games(of_outcomes, game)
            config = with_changes(read_game(game, names_of, units, decimal), changes or [])
    skipped = {} if names else undrawable([], config)
    with console.status("drawing"):
        print_written(draw_figures(out, names or [], config, as_csv))
    for reason in skipped.values():
        to_errors(f"not drawn: {reason}")


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
        with whole_output(), warnings_on_a_line():
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
