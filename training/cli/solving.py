"""The command that solves games, as they are and with prices, rivals, floors and other users."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stackroute.training.cli.console import (
    ChangesOption,
    JsonOption,
    ThrottlingOption,
    app,
    console,
    fail,
    print_json,
)

if TYPE_CHECKING:
    from stackroute.training.cli.answers import Answer
    from stackroute.training.cli.quantities import Record

Routing = Literal["cascade", "free"]

_LARGEST = 1e12


@app.command("solve")
def solve_command(
    games: Annotated[
        list[str],
        typer.Argument(
            metavar="GAME",
            help="Packaged names (see 'stackroute games') or paths of .yaml files.",
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
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each game.")] = False,
) -> None:
    """Compute the exact Stackelberg equilibrium of games and say what it means.

    What is asked beside the game changes it in this order: --set; what users cannot verify; the price; the outside
    option. The result is solved over what you may commit to, or read at the optimal price, at the floor or against the
    rival. The answer without these changes (but with --set) is shown beside it.

    Examples:
    stackroute solve gpt-4.1-o3-dev --throttling --set churn_penalty=0.05 --set models.o3.latency=40

    stackroute solve g5 --routing free

    stackroute solve gpt-4.1-o3-dev --price 0.05,0.2 --outside-option 0.5

    stackroute solve g1 g2 g3 --csv > games.csv
    """
    from stackroute.configs import load_game, with_changes
    from stackroute.training.cli.answers import Question, answer
    from stackroute.training.cli.quantities import as_csv as table_as_csv
    from stackroute.training.cli.quantities import record, with_units

    if as_json and as_csv:
        fail("json, csv: expected one of them")
    question = Question(
        routing,
        throttling,
        _numbers("false-accept", false_accept),
        _numbers("false-reject", false_reject),
        _number("harm", harm),
        "optimal" if price == "optimal" else _numbers("price", price),
        _number("outside-option", outside_option),
        _number("floor", floor),
        None if rival is None else load_game(rival),
    )
    question.check()
    configs = [with_changes(load_game(game), changes or []) for game in games]
    answers = [answer(config, question) for config in configs]
    plain = [answer(config, question.without_changes(config)) if question.changes else None for config in configs]
    records = [record(found, without) for found, without in zip(answers, plain, strict=True)]
    if as_csv:
        print(table_as_csv(list(zip(configs, records, strict=True))), end="")
        return
    if as_json:
        each = [with_units(config, contents) for config, contents in zip(configs, records, strict=True)]
        print_json(each[0] if len(each) == 1 else each)
        return
    for contents, found, without in zip(records, answers, plain, strict=True):
        _show(contents, found, without)


def _show(contents: Record, found: Answer, without: Answer | None) -> None:
    """Print an answer in words, then its numbers, with those without the changes beside them."""
    from stackroute.training.cli.display import table_of
    from stackroute.training.cli.explanation import explain
    from stackroute.training.cli.quantities import rows

    config = found.config
    console.print(f"{config.name}: {config.description}", highlight=False)
    for sentence in explain(found, without):
        console.print(f"- {sentence}", highlight=False)
    each = [rows(config, one) for one in (contents, contents.get("without")) if one]
    names = dict.fromkeys(name for one in each for name in one)
    table = table_of(("", config.name, "without the changes")[: len(each) + 1], (), numbers=True)
    table.show_header = len(each) > 1
    routing = "any lottery of models for retries" if found.equilibrium.routing == "free" else "the paper's cascades"
    table.caption = f"Over {routing}, {'with' if found.equilibrium.throttling else 'without'} delays."
    for name in names:
        table.add_row(name, *(one.get(name, "") for one in each))
    console.print(table)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """The numbers that an option gives, separated by commas."""
    from stackroute.configs import ConfigError

    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(abs(number) <= _LARGEST for number in numbers):
        raise ConfigError(f"{option}: {text!r} is not allowed; expected a number, or several as in 0.1,0.3")
    return numbers


def _number(option: str, text: str | None) -> float | None:
    """The one number that an option gives."""
    from stackroute.configs import ConfigError

    numbers = _numbers(option, text)
    if numbers is not None and len(numbers) > 1:
        raise ConfigError(f"{option}: {text!r} is not allowed; expected one number")
    return None if numbers is None else numbers[0]
