"""The command that turns measured models into games and a report on their market."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from rich.table import Table

from stackroute.configs import ConfigError
from stackroute.configs.tables import read_models
from stackroute.training.cli.console import SeedOption, app, console
from stackroute.training.market.market import Scenario, pairs_of
from stackroute.training.market.report import (
    PAIR_COLUMNS,
    as_json,
    as_markdown,
    game_configs,
    in_words,
    market_of,
    pair_rows,
    rejected_lines,
)
from stackroute.training.output import output_folder, write_json, write_text

_STEPS = 5
_SHOWN = ("the provider serves", "users would choose", "share misaligned", "throttling pays", "share throttling")
_RANGE = re.compile(r"^([^:,]+):([^:,]+)(?::(\d+))?$")


@app.command("calibrate")
def calibrate_command(
    models: Annotated[
        str, typer.Argument(metavar="MODELS", help="A CSV file, or the packaged table 'aider' of 51 models.")
    ],
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="What your file calls the columns, as in success=p,cost=usd,latency=s."),
    ] = None,
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
    money: Annotated[str, typer.Option(help="The unit: USD, EUR, GBP or abstract.")] = "USD",
    limit: Annotated[int, typer.Option(min=1, help="Pairs that are reported one by one.")] = 12,
    draws: Annotated[int, typer.Option(min=1, help="Draws of the numbers from their measurement errors.")] = 1_000,
    seed: SeedOption = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("market"),
    print_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Turn measured models into games, and report on their market.

    MODELS has a row for each model and the columns model, success (of a pass, 0 to 1), cost (money of a pass) and
    latency (seconds of a pass); if known also success_error, cost_error, latency_error (standard errors), count (tasks
    measured) and second_success (of a second pass after a failed first).

    Every two models of which one is better, dearer and slower are a game. For each: which model theory lets the
    provider serve, whether users would choose it, when slowing down pays, how sure that is given the measurement
    errors, and what changes if later passes succeed more or less often.

    Examples:
    stackroute calibrate aider --pair gpt-4.1:o3 --value 1:15 --churn-penalty 0.05,0.1,1

    stackroute calibrate mine.csv --columns success=accuracy,latency=seconds --waiting-cost 12
    """
    table = read_models(models, _mapping(columns))
    scenario = Scenario(
        _several("waiting-cost", waiting_cost, zero=False),
        _several("value", value, zero=False),
        _several("churn-penalty", churn_penalty, zero=True),
        _unit(money),
    )
    pairs = pairs_of(table, pair or ())
    market = market_of(table, pairs, scenario, limit=max(limit, len(pair or ())), draws=draws, seed=seed)
    folder = output_folder(out)
    games = output_folder(folder / "games")
    picture = None
    if importlib.util.find_spec("matplotlib"):
        from stackroute.training.market.picture import draw_market

        picture = draw_market(market, folder / "market.png").name
    write_text(folder / "report.md", as_markdown(market, picture))
    content = as_json(market)
    write_json(folder / "report.json", content)
    for config in game_configs(market):
        game = config.model_dump(mode="json", exclude_none=True)
        write_text(games / f"{config.name}.yaml", yaml.safe_dump(game, sort_keys=False, allow_unicode=True))
    if print_json:
        print(json.dumps(content, indent=2, allow_nan=False))
        return
    title = f"{table.name}: {len(table.models)} models, {len(pairs)} pairs"
    shown = Table(title=title, title_justify="left")
    for name in ("standard / reasoning", *_SHOWN):
        shown.add_column(name, overflow="fold")
    for row in pair_rows(market):
        shown.add_row(f"{row[0]} / {row[1]}", *(row[PAIR_COLUMNS.index(name)] for name in _SHOWN))
    shown.caption = f"The shares are of {draws:,} draws from what the measurements allow."
    shown.caption_justify = "left"
    console.print(shown)
    for line in in_words(market):
        console.print(line)
    if table.rejected:
        console.print(f"{len(table.rejected)} rows were not used:")
        for line in rejected_lines(table):
            console.print(line)
    console.print(
        f"Wrote {folder / 'report.md'}, {picture or 'no picture (needs matplotlib)'}, report.json and {games}"
    )


def _mapping(text: str | None) -> dict[str, str]:
    found = {}
    for part in (text or "").split(",") if text else ():
        column, equals, name = part.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"columns: {part!r} is not allowed; expected COLUMN=NAME, as in success=p")
        found[column.strip()] = name.strip()
    return found


def _several(option: str, text: str, *, zero: bool) -> tuple[float, ...]:
    """The values that an option lists: a number, several with commas, or LOW:HIGH and perhaps how many."""
    expected = f"{'a number >= 0' if zero else 'a number > 0'}, several as in 1,5,15, or a range as in 1:15 or 1:15:3"
    wrong = ConfigError(f"{option}: {text!r} is not allowed; expected {expected}")
    try:
        as_range = _RANGE.match(text)
        if as_range:
            low, high, steps = float(as_range[1]), float(as_range[2]), int(as_range[3] or _STEPS)
            found = np.linspace(low, high, steps).tolist()
        else:
            found = [float(part) for part in text.split(",")]
    except ValueError:
        raise wrong from None
    allowed = [np.isfinite(one) and (one >= 0 if zero else one > 0) for one in found]
    if not found or not all(allowed) or sorted(found) != found:
        raise wrong
    return tuple(found)


def _unit(money: str) -> str:
    units = ("USD", "EUR", "GBP", "abstract")
    if money not in units:
        raise ConfigError(f"money: {money!r} is not allowed; expected one of {', '.join(units)}")
    return money
