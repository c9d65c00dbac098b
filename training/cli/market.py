"""The command that turns measured models into games and a report on their market."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stackroute.training.cli.console import FolderOption, JsonOption, SeedOption, app, console, print_json, to_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackroute.training.market.report import Market

_STEPS, _MOST_STEPS = 5, 1_000
_MOST_LISTED = 200
_MOST_MONEY = 1e12
_EXAMPLES = {"columns": "success=p", "unit": "success=percent"}
ColumnsOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="What your table calls the columns, as in success=p,cost=usd,latency=s."),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=UNIT", help="As in success=percent, cost=usd/1k, latency=ms; repeatable."),
]
DecimalOption = Annotated[
    Literal["point", "comma"] | None, typer.Option(help="What decimals follow, where the numbers do not show it.")
]

_SHOWN = ("the provider serves", "users would choose", "share misaligned", "throttling pays", "share throttling")


@app.command("calibrate")
def calibrate_command(
    models: Annotated[
        str, typer.Argument(metavar="MODELS", help="A CSV file, or the packaged table 'aider' of 51 models.")
    ],
    columns: ColumnsOption = None,
    unit: UnitOption = None,
    decimal: DecimalOption = None,
    pair: Annotated[
        list[str] | None, typer.Option(metavar="STANDARD:REASONING", help="Only this pair; repeatable.")
    ] = None,
    waiting_cost: Annotated[
        str, typer.Option(metavar="MONEY", help="What an hour of waiting costs the user: 64, 12,24,64 or 12:64:3.")
    ] = "64",
    value: Annotated[
        str, typer.Option(metavar="MONEY", help="What a solved task is worth to the user, one or several.")
    ] = "5",
    churn_penalty: Annotated[
        str, typer.Option(metavar="MONEY", help="What an abandoned task costs the provider, one or several.")
    ] = "0.1",
    money: Annotated[
        str | None, typer.Option(help="USD, EUR, GBP or abstract; by default what the table says, or USD.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST_LISTED, help="Pairs that are reported one by one.")] = 12,
    draws: Annotated[int, typer.Option(min=1, help="Draws of the numbers from their measurement errors.")] = 1_000,
    seed: SeedOption = 0,
    out: FolderOption = Path("market"),
    as_json: JsonOption = False,
) -> None:
    """Turn measured models into games, and report on their market.

    MODELS has a row for each model and the columns model, success (of a pass, 0 to 1), cost (money of a pass) and
    latency (seconds of a pass); if known also success_error, cost_error, latency_error (standard errors), count (tasks
    measured) and second_success (of a second pass after a failed first). Units may be others: those that --unit, the
    header ("Success %", "$/1k", "p50 latency (ms)") or all cells of a column say.

    Every two models of which one is better, dearer and slower are a game. For each: which model theory lets the
    provider serve, whether users would choose it, when slowing down pays, how sure that is given the measurement
    errors, and what changes if later passes succeed more or less often.

    Examples:
    stackroute calibrate aider --pair gpt-4.1:o3 --value 1:15 --churn-penalty 0.05,0.1,1

    stackroute calibrate mine.csv --columns success=accuracy --unit success=percent,cost=usd/1k --waiting-cost 12
    """
    from stackroute.configs import ConfigError
    from stackroute.configs.games import Units
    from stackroute.configs.loading import validated
    from stackroute.configs.tables import read_models
    from stackroute.training.market import report
    from stackroute.training.market.market import Scenario, pairs_of

    table = read_models(models, mapping("columns", [columns or ""]), mapping("unit", unit or ()), decimal)
    if money and table.money and money != table.money:
        raise ConfigError(f"money: {money!r} is not allowed; the costs of {table.name} are in {table.money}")
    scenario = Scenario(
        _several("waiting-cost", waiting_cost, zero=False),
        _several("value", value, zero=False),
        _several("churn-penalty", churn_penalty, zero=True),
        validated({"money": money or table.money or "USD", "latency": "seconds"}, "calibrate", Units).money,
    )
    pairs = pairs_of(table, pair or ())
    market = report.market_of(table, pairs, scenario, limit=max(limit, len(pair or ())), draws=draws, seed=seed)
    written = _write(market, out)
    for line in market.warnings:
        to_errors(f"warning: {line}")
    if as_json:
        print_json(report.as_json(market))
        return
    _show(market)
    console.print(f"Wrote {written}")


def _write(market: Market, folder: Path) -> str:
    """Write the report, the picture and the games; gives what was written, in words."""
    from stackroute.configs.loading import as_yaml
    from stackroute.training.market import report
    from stackroute.training.output import output_folder, write_json, write_text

    games, picture = output_folder(output_folder(folder) / "games"), None
    if importlib.util.find_spec("matplotlib"):
        from stackroute.training.market.picture import draw_market

        picture = "market.png"
        draw_market(market, folder / picture)
    write_text(folder / "report.md", report.as_markdown(market, picture))
    write_json(folder / "report.json", report.as_json(market))
    for config in report.game_configs(market):
        write_text(games / f"{config.name}.yaml", as_yaml(config))
    return f"{folder / 'report.md'}, {picture or 'no picture (needs matplotlib)'}, report.json and {games}"


def _show(market: Market) -> None:
    """Print how the table was read, the listed pairs, the whole market in words, and the rows that were not used."""
    from stackroute.training.cli.display import table_of
    from stackroute.training.market import report

    cells = market.pair_table[list(_SHOWN)].itertuples(index=False)
    rows = [(pair.label, *row) for pair, row in zip(market.listed, cells, strict=True)]
    title = f"{market.table.name}: {len(market.table.models)} models, {len(market.pairs)} pairs"
    shown = table_of(("standard / reasoning", *_SHOWN), rows, title)
    shown.caption = market.origin_of_shares
    console.print(f"Understood: {market.table.understood}.")
    console.print(shown)
    for line in report.in_words(market):
        console.print(f"- {line}")
    if market.table.rejected:
        console.print(f"{len(market.table.rejected)} rows were not used:")
    for row in market.table.rejected:
        console.print(f"- {row}")


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


def _several(option: str, text: str, *, zero: bool) -> tuple[float, ...]:
    """The values that an option lists: a number, several with commas, or LOW:HIGH and perhaps how many."""
    import numpy as np

    from stackroute.configs import ConfigError

    try:
        if re.fullmatch(r"\d+,\d+", text):
            raise ValueError
        low, *more = text.split(":")
        steps = int(more[1]) if more[1:] else _STEPS
        if steps > _MOST_STEPS:
            raise ValueError
        if len(more) in (1, 2) and "," not in text:
            found = np.linspace(float(low), float(more[0]), steps)
        else:
            found = np.array([float(part) for part in text.split(",")])
        allowed = (found <= _MOST_MONEY) & ((found >= 0) if zero else (found > 0))
        if not len(found) or not allowed.all() or (np.diff(found) < 0).any():
            raise ValueError
    except ValueError:
        if re.fullmatch(r"\d+,\d+", text):
            decimals, several = text.replace(",", "."), text.replace(",", ", ")
            raise ConfigError(
                f"{option}: {text!r} may be {decimals} or two numbers; say {decimals} or '{several}'"
            ) from None
        numbers = f"a number {'>=' if zero else '>'} 0, several as in 1,5,15, or a range as in 1:15 or 1:15:3"
        raise ConfigError(f"{option}: {text!r} is not allowed; expected {numbers}") from None
    return tuple(found.tolist())
