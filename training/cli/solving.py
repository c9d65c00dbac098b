"""The command that solves games, as they are and with prices, rivals, floors and other users."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from stackroute.training.cli.console import (
    ChangesOption,
    ChurnPenaltyOption,
    CorrelationOption,
    CostOption,
    HorizonOption,
    JsonOption,
    LatencyOption,
    ModelsOption,
    PricesOption,
    SecondPriceOption,
    ThrottlingOption,
    ValueOption,
    app,
    console,
    fail,
    number,
    numbers,
    outcome_options,
    print_json,
    refuse_for_games,
)
from stackroute.training.cli.market import ColumnsOption, DecimalOption, UnitOption, mapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.answers import Question
    from stackroute.training.cli.quantities import Record

Routing = Literal["cascade", "free"]


class _Report(NamedTuple):
    """An answer as it is shown: its title, its sentences, its numbers with their units, and what they are over."""

    title: str
    sentences: Callable[[], list[str]]
    contents: Record
    unit: DisplayUnits
    caption: str


@app.command("solve")
def solve_command(
    games: Annotated[
        list[str],
        typer.Argument(
            metavar="GAME",
            help="Packaged names (see 'stackroute games') or paths of .yaml files; or measured outcomes by task: bfcl, "
            "metr, evalperf, a folder or a CSV file; or a log of requests as CSV.",
            show_default=False,
        ),
    ],
    routing: Annotated[
        Routing | None,
        typer.Option(
            help="What you may commit to: the paper's cascades, or any lottery of models for retries. "
            "Not given: cascade for one or two models, free for more, and free with the options from --false-accept on."
        ),
    ] = None,
    throttling: ThrottlingOption = False,
    changes: ChangesOption = None,
    false_accept: Annotated[
        str | None,
        typer.Option(
            metavar="F", help="Users take a wrong answer for right with this probability; or one for each model."
        ),
    ] = None,
    false_reject: Annotated[
        str | None,
        typer.Option(metavar="G", help="Users take a right answer for wrong, likewise."),
    ] = None,
    harm: Annotated[
        str | None,
        typer.Option(metavar="H", help="What a wrong answer that they accept costs users."),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            metavar="PRICE",
            help="What users pay for a pass, in the unit of value: a number, one per model as in 0.1,0.3, or 'optimal' "
            "where you set it.",
        ),
    ] = None,
    outside_option: Annotated[
        str | None, typer.Option(metavar="X", help="What users get where they leave, in the unit of value.")
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(metavar="X", help="A regulator's floor: the least utility of a task to users."),
    ] = None,
    rival: Annotated[
        str | None,
        typer.Option(
            metavar="GAME", help="A game whose models and churn penalty are a rival's; users choose between you and it."
        ),
    ] = None,
    models: ModelsOption = None,
    value: ValueOption = None,
    churn_penalty: ChurnPenaltyOption = None,
    cost: CostOption = None,
    latency: LatencyOption = None,
    second_price: SecondPriceOption = None,
    horizon: HorizonOption = None,
    correlation: CorrelationOption = None,
    columns: ColumnsOption = None,
    unit: UnitOption = None,
    decimal: DecimalOption = None,
    prices: PricesOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each game.")] = False,
) -> None:
    """Compute the exact Stackelberg equilibrium of games and say what it means.

    What is asked beside the game changes it in this order: --set; what users cannot verify; the price; the outside
    option. The result is solved over what you may commit to, or read at the optimal price, at the floor or against the
    rival. The answer without these changes (but with --set) is shown beside it.

    Of measured outcomes by task it is the optimum where some tasks are hard, so that attempts are not independent:
    which model serves which attempt, when users stop, and what simpler policies and the theory of independent attempts
    lose.

    For example:

    stackroute solve gpt-4.1-o3-dev --throttling --set churn_penalty=0.05 --set models.o3.latency=40

    stackroute solve g5 --routing free

    stackroute solve gpt-4.1-o3-dev --price 0.05,0.2 --outside-option 0.5

    stackroute solve g1 g2 g3 --csv > games.csv

    stackroute solve metr --models GPT-4o,o1 --value 30 --churn-penalty 40 --cost 1,5 --latency 1,3
    """
    from stackroute.configs import load_game
    from stackroute.configs.outcome_files import is_outcomes
    from stackroute.training.cli.answers import Question
    from stackroute.training.cli.quantities import as_csv as table_as_csv
    from stackroute.training.cli.quantities import with_units

    if as_json and as_csv:
        fail("json, csv: expected one of them")
    question = Question(
        routing,
        throttling,
        numbers("false-accept", false_accept),
        numbers("false-reject", false_reject),
        number("harm", harm),
        "optimal" if price == "optimal" else numbers("price", price),
        number("outside-option", outside_option),
        number("floor", floor),
        None if rival is None else load_game(rival),
    )
    question.check()
    of_outcomes = outcome_options(
        models=models,
        value=value,
        churn_penalty=churn_penalty,
        cost=cost,
        latency=latency,
        second_price=second_price,
        horizon=horizon,
        correlation=correlation,
        columns=columns,
        unit=unit,
        decimal=decimal,
        prices=prices,
    )
    names_of = mapping("columns", [columns or ""])
    reports = [
        _of_outcomes(game, of_outcomes, question, changes or [])
        if is_outcomes(game, names_of)
        else _of_game(game, of_outcomes, question, changes or [])
        for game in games
    ]
    if as_csv:
        print(table_as_csv([(report.unit, report.contents) for report in reports]), end="")
        return
    if as_json:
        each = [with_units(report.unit, report.contents) for report in reports]
        print_json(each[0] if len(each) == 1 else each)
        return
    for report in reports:
        _show(report)


def _of_game(name: str, of_outcomes: dict[str, Any], question: Question, changes: list[str]) -> _Report:
    """The answer for a game."""
    from stackroute.configs import load_game, with_changes
    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.answers import answer
    from stackroute.training.cli.explanation import explain
    from stackroute.training.cli.quantities import record

    config = load_game(name)
    refuse_for_games(of_outcomes, name)
    config = with_changes(config, changes)
    found = answer(config, question)
    without = answer(config, question.without_changes(config)) if question.changes else None
    routing = "any lottery of models for retries" if found.equilibrium.routing == "free" else "the paper's cascades"
    return _Report(
        f"{config.name}: {config.description}",
        partial(explain, found, without),
        record(found, without),
        DisplayUnits.of(config),
        f"Over {routing}, {'with' if found.equilibrium.throttling else 'without'} delays.",
    )


def _of_outcomes(name: str, given: dict[str, Any], question: Question, changes: list[str]) -> _Report:
    """The answer for measured outcomes."""
    from stackroute.configs import ConfigError
    from stackroute.training.cli.measured import answer_measured, explain_measured, read_measured, record_measured

    for option in [*(["routing"] if question.routing else []), *question.changes]:
        raise ConfigError(f"{option.replace('_', '-')}: is for games; {name!r} holds measured outcomes")
    names_of, units = mapping("columns", [given.get("columns", "")]), mapping("unit", given.get("unit", ()))
    game = read_measured(name, given, changes, columns=names_of, units=units, decimal=given.get("decimal"))
    found = answer_measured(game, question.throttling)
    delays = "with" if question.throttling else "without"
    return _Report(
        f"{game.name}: {' and '.join(game.labels)} on {len(game.outcomes.tasks)} measured tasks",
        partial(explain_measured, found),
        record_measured(found),
        game.unit,
        f"Over all mixtures of sequences of models for {game.horizon} attempts, {delays} delays.",
    )


def _show(report: _Report) -> None:
    """Print an answer in words, then its numbers, with those without the changes beside them."""
    from stackroute.training.cli.display import table_of
    from stackroute.training.cli.quantities import rows

    console.print(report.title, highlight=False)
    for sentence in report.sentences():
        console.print(f"- {sentence}", highlight=False)
    each = [rows(report.unit, one) for one in (report.contents, report.contents.get("without")) if one]
    names = dict.fromkeys(name for one in each for name in one)
    table = table_of(("", report.contents["game"], "without the changes")[: len(each) + 1], (), numbers=True)
    table.show_header = len(each) > 1
    table.caption = report.caption
    for name in names:
        table.add_row(name, *(one.get(name, "") for one in each))
    console.print(table)
