"""The command that turns a table of models, or measured outcomes, into advice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stackroute.training.cli.console import (
    CostOption,
    HorizonOption,
    JsonOption,
    LatencyOption,
    ModelsOption,
    PricesOption,
    app,
    console,
    number,
    outcome_options,
    print_json,
    print_written,
    to_errors,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackroute.configs.tables import ModelTable
    from stackroute.training.cli.table_advice import UserType
    from stackroute.training.market.market import Scenario
    from stackroute.training.market.report import Report

_MOST_MODELS = 1_000
_MOST_MONEY = 1e12
_HOUR = 3600.0
_EXAMPLES = {"columns": "success=p", "unit": "success=percent"}
_OF_USERS = {"value": "value", "waiting-cost": "waiting_cost", "churn-penalty": "churn_penalty"}
ColumnsOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="What your table calls the columns, as in success=p,cost=usd."),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option(metavar="UNIT", help="As in success=percent, cost=usd/1k, latency=ms; repeatable."),
]
DecimalOption = Annotated[
    Literal["point", "comma"] | None, typer.Option(help="What decimals follow, where the numbers do not show it.")
]


@app.command("advise")
def advise_command(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A CSV file with a row for each model, aider's leaderboard as YAML, or the packaged table 'aider' of "
            "51 models; or outcomes by task: bfcl, metr, evalperf, a folder or a CSV file; or a log of requests.",
            show_default=False,
        ),
    ],
    value: Annotated[str, typer.Option(metavar="MONEY", help="What a solved task is worth to the user.")] = "1",
    waiting_cost: Annotated[str, typer.Option(metavar="MONEY", help="What an hour of waiting costs the user.")] = "64",
    churn_penalty: Annotated[str, typer.Option(metavar="MONEY", help="What an abandoned task costs you.")] = "0.1",
    users: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            help="A type of users that you cannot tell from others, as in hurried=.3:waiting-cost=120; repeatable.",
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Only these two models, standard and reasoning, and cascades of them."),
    ] = None,
    columns: ColumnsOption = None,
    unit: UnitOption = None,
    decimal: DecimalOption = None,
    money: Annotated[
        str | None, typer.Option(help="USD, EUR, GBP or abstract; by default what the table says, or USD.")
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of the features that you and users see of a task: the answer for each of its values.",
            rich_help_panel="Of measured outcomes by task",
        ),
    ] = None,
    models: ModelsOption = None,
    cost: CostOption = None,
    latency: LatencyOption = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What is known of each task beforehand, for --segment: a column task and others; not given: "
            "features.csv of the folder.",
            rich_help_panel="Of measured outcomes by task",
        ),
    ] = None,
    horizon: HorizonOption = None,
    prices: PricesOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the report (HTML and Markdown), the numbers, the games and pictures."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which model to serve: one answer in words and money, what would change it, and how sure it is.

    TABLE has a row for each model and the columns model, success (of a pass, 0 to 1), cost (money of a pass) and
    latency (seconds of a pass); if known also success_error, cost_error, latency_error (standard errors), count (tasks
    measured) and second_success (of a second pass after a failed first). Units may be others: those that --unit, the
    header ("Success %", "$/1k", "p50 latency (ms)") or all cells of a column say.

    The answer: which model answers first, which serve retries, what a task costs you and is worth to users, who leaves,
    what the second best would cost, and which models are dominated. What would change it: at which value, waiting cost,
    churn penalty and success of second tries another answer is best. Then what users would choose, whether slowing
    down pays, and how sure all of that is.

    Of outcomes by task attempts are not taken for independent: --models names up to 4 models, --latency is in seconds.

    For example:

    stackroute advise aider

    stackroute advise mine.csv --value 0.5 --waiting-cost 24 --out advice

    stackroute advise mine.csv --columns success=accuracy --unit success=percent --unit cost=usd/1k --json

    stackroute advise aider --pair gpt-4.1:o3

    stackroute advise mine.csv --users patient=.7:waiting-cost=12 --users hurried=.3:waiting-cost=120,churn-penalty=1

    stackroute advise bfcl --value 0.05 --churn-penalty 0.02 --segment category
    """
    from stackroute.configs import ConfigError, game_names
    from stackroute.configs.outcome_files import is_outcomes
    from stackroute.configs.tables import is_table

    names, units = mapping("columns", [columns or ""]), mapping("unit", unit or ())
    asked = _scenario(value, waiting_cost, churn_penalty, money or "USD")
    of_outcomes = outcome_options(
        segment=segment,
        models=models,
        cost=cost,
        latency=latency,
        features=features,
        horizon=horizon,
        prices=prices,
    )
    is_yaml = Path(table).suffix.lower() in (".yaml", ".yml") and Path(table).is_file()
    if table in game_names() or (is_yaml and not is_table(table)):
        raise ConfigError(f"{table!r} is a game, not a table of models; 'stackroute solve {table}' answers it")
    if is_outcomes(table, names):
        from stackroute.training.cli.outcomes_advice import advise_on_outcomes

        for option, given in {"users": users, "pair": pair}.items():
            if given:
                raise ConfigError(f"{option}: is for tables of models; {table!r} holds measured outcomes")
        reading = {"columns": names, "units": units, "decimal": decimal}
        report = advise_on_outcomes(table, asked, of_outcomes, reading, money)
    else:
        for option in of_outcomes:
            raise ConfigError(f"{option}: is for measured outcomes; {table!r} is a table of models")
        report = _on_table(table, asked, users or [], pair, money, (names, units, decimal))
    written = _write(report, out)
    if as_json:
        print_json(report.contents)
        return
    _show(report)
    print_written(written)


def _on_table(
    name: str,
    asked: Scenario,
    users: list[str],
    pair: str | None,
    money: str | None,
    reading: tuple[dict[str, str], dict[str, str], str | None],
) -> Report:
    """Advice on a table of models."""
    from stackroute.configs import ConfigError
    from stackroute.configs.tables import read_models
    from stackroute.training.cli.table_advice import TableAdvice
    from stackroute.training.cli.table_advice_in_words import report_on
    from stackroute.training.market.market import currency, file_name, pair_of

    table = read_models(name, *reading)
    scenario = asked._replace(money=currency(table.name, money, table.money))
    if len(table.models) > _MOST_MODELS:
        raise ConfigError(
            f"{table.name}: {len(table.models):,} models are not allowed; expected at most {_MOST_MODELS:,}"
        )
    types = tuple(_user_type(text, scenario) for text in users)
    whole = sum(one.share for one in types)
    types = tuple(one._replace(share=one.share / whole) for one in types)
    names = {file_name(one.name).lower() for one in types}
    if len(names) < len(types) or "" in names:
        raise ConfigError("users: expected a name of its own for each type, in letters and digits")
    if pair and types:
        raise ConfigError("users: not allowed with pair, as the paper's cascades are for one type of users")
    for line in _odd_units(table, scenario):
        to_errors(f"warning: {line}")
    if pair:
        return report_on(TableAdvice(pair_of(table, pair), scenario, "cascade"))
    return report_on(TableAdvice(table, scenario, users=types))


def _write(report: Report, out: Path | None) -> list[Path]:
    if out is None:
        return []
    from stackroute.training.market.report import write_report

    return write_report(report, out)


def _show(report: Report) -> None:
    """Print the answer first, then all else."""
    console.print(report.title, style="bold")
    for text in report.introduction[1:]:
        console.print(text, highlight=False)
    for heading, sentences in report.sections:
        console.print(f"\n{heading}", style="bold")
        for sentence in sentences:
            console.print(f"- {sentence}", highlight=False)


def _odd_units(table: ModelTable, scenario: Scenario) -> list[str]:
    """What looks like numbers in other units."""
    import numpy as np

    found = []
    median = float(np.median([model.latency for model in table.models]))
    if median > _HOUR:
        found.append(f"latency: the median is {median:g} seconds; if it is in another unit, say --unit latency=ms")
    dear = [model for model in table.models if model.cost > scenario.value]
    if dear:
        one = max(dear, key=lambda model: model.cost)
        found.append(
            f"cost: a pass of {one.label} costs {one.cost:g}, and a solved task is worth only {scenario.value:g} "
            f"({len(dear)} such models); if it is in another unit, say --unit cost=usd/1k"
        )
    return found


def _scenario(value: str, waiting_cost: str, churn_penalty: str, money: str) -> Scenario:
    from stackroute.training.market.market import Scenario

    return Scenario(
        _amount("waiting-cost", waiting_cost), _amount("value", value), _amount("churn-penalty", churn_penalty), money
    )


def _amount(option: str, text: str) -> float:
    """The amount of money that an option gives; only a churn penalty may be 0."""
    from stackroute.configs import ConfigError

    zero = option == "churn-penalty"
    found = number(option, text) or 0.0
    if not (0.0 <= found <= _MOST_MONEY and (zero or found)):
        raise ConfigError(f"{option}: {text!r} is not allowed; expected a number {'>=' if zero else '>'} 0")
    return found


def _user_type(text: str, scenario: Scenario) -> UserType:
    """A type of users from NAME=SHARE:value=..,waiting-cost=..,churn-penalty=..; the scenario has what is missing."""
    from stackroute.configs import ConfigError
    from stackroute.training.cli.table_advice import UserType

    head, _, rest = text.partition(":")
    name, equals, share = (part.strip() for part in head.partition("="))
    expected = "expected NAME=SHARE, perhaps with :value=,waiting-cost=,churn-penalty="
    if not equals or not name or not (number("users", share) or 0.0) > 0.0:
        raise ConfigError(f"users: {text!r} is not allowed; {expected} and a share > 0")
    changed: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, amount = (word.strip() for word in part.partition("="))
        if key not in _OF_USERS:
            raise ConfigError(f"users: {part!r} is not allowed; {expected}")
        changed[_OF_USERS[key]] = _amount(key, amount)
    return UserType(name, number("users", share) or 0.0, scenario._replace(**changed))


def mapping(option: str, texts: Iterable[str]) -> dict[str, str]:
    """The options `columns` and `unit`."""
    from stackroute.configs import ConfigError

    found: dict[str, str] = {}
    # Names and units may hold commas themselves.
    for part in filter(None, (part.strip() for text in texts for part in re.split(r",(?=\s*\w+\s*=)", text))):
        column, equals, name = (word.strip() for word in part.partition("="))
        if not equals or not name:
            raise ConfigError(f"{option}: {part!r} is not allowed; expected COLUMN=NAME, as in {_EXAMPLES[option]}")
        if found.setdefault(column, name) != name:
            raise ConfigError(f"{option}: {column} is both {found[column]!r} and {name!r}; expected one of them")
    return found
