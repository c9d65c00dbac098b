"""The command that finds the router to use on one's own outcomes, saves it, and serves new tasks by it."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackroute.training.cli import market
from stackroute.training.cli.console import (
    CorrelationOption,
    HorizonOption,
    JsonOption,
    PricesOption,
    SeedOption,
    app,
    console,
    fail,
    number,
    outcome_options,
    print_json,
    print_written,
    require,
    to_errors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackroute.configs.measured import MeasuredGame
    from stackroute.configs.outcomes import Outcomes
    from stackroute.training.routers.advice import Advice

_HOUR = 3600.0
_VALUE, _WAITING_COST, _CHURN_PENALTY = (
    str(signature(market.advise_command).parameters[name].default)
    for name in ("value", "waiting_cost", "churn_penalty")
)
"""The scenario of `advise`."""


@app.command("route")
def route_command(
    outcomes: Annotated[
        str,
        typer.Argument(
            metavar="OUTCOMES",
            help="Measured outcomes by task: bfcl, metr, evalperf, a folder or a CSV file; or a log of requests as "
            "CSV. With --apply a CSV file of new tasks: a column 'task' and those of the features.",
            show_default=False,
        ),
    ],
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="What is known of each task beforehand: a column 'task', and others of numbers, categories or "
            "prompts. Not given: features.csv of the folder.",
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="MONEY", help=f"What a solved task is worth to users; not given: {_VALUE}."),
    ] = None,
    waiting_cost: Annotated[
        str | None,
        typer.Option(metavar="MONEY", help=f"What an hour of waiting costs users; not given: {_WAITING_COST}."),
    ] = None,
    churn_penalty: Annotated[
        str | None,
        typer.Option(metavar="MONEY", help=f"What an abandoned task costs you; not given: {_CHURN_PENALTY}."),
    ] = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Which models; not given: all.")] = None,
    cost: Annotated[
        str | None, typer.Option(metavar="X,Y", help="What an attempt costs, by model; not given: as measured.")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Seconds of an attempt, by model; not given: as measured.")
    ] = None,
    current: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The feature that names the model that serves each task today; not learned from."
        ),
    ] = None,
    routers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Which routers, as in 'UniRoute,nearest neighbours'; not given: all.",
        ),
    ] = None,
    columns: market.ColumnsOption = None,
    unit: market.UnitOption = None,
    decimal: market.DecimalOption = None,
    horizon: HorizonOption = None,
    correlation: CorrelationOption = None,
    prices: PricesOption = None,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Save the best router, fitted, as .npz, and beside it a report and a picture."
        ),
    ] = None,
    apply: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve new tasks by a router that was saved: print CSV.")
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each router and rule.")] = False,
) -> None:
    """Find the router to use on your own log, and what it saves where users re-prompt or leave.

    Routers from the literature learn from 60 % of the tasks, by their own rules and, where they predict, by the
    user-aware rule, which minds what keeps users. On 20 % knobs and the best router are chosen, and all are compared
    exactly on the last 20 %, with users who re-prompt while it pays: with the best single model, with the best fixed
    ladder, which serves all tasks alike, and with what serves today.

    Money is in one unit throughout. The best router is saved by --out, in a file that cannot run code, with a report;
    --apply reads it and says which model serves each new task, and its re-prompts.

    For example:

    stackroute route bfcl --models gpt-4o-mini,gpt-4o,claude-3.5-sonnet --out router.npz

    stackroute route log.csv --features tasks.csv --current served_by --value 0.5 --waiting-cost 24

    stackroute route metr --models GPT-4o,o1 --cost 0.4,2.5 --value 30 --churn-penalty 5

    stackroute route --apply router.npz new-tasks.csv
    """
    require("routers")
    if as_json and as_csv:
        fail("json, csv: expected one of them")
    given = outcome_options(
        features=features,
        value=value,
        waiting_cost=waiting_cost,
        churn_penalty=churn_penalty,
        models=models,
        cost=cost,
        latency=latency,
        current=current,
        routers=routers,
        columns=columns,
        unit=unit,
        decimal=decimal,
        horizon=horizon,
        correlation=correlation,
        prices=prices,
        out=out,
    )
    if apply is not None:
        if given:
            fail(f"{', '.join(given)}: is for fitting routers; with --apply only --seed and --json are")
        _apply(apply, Path(outcomes), seed, as_json)
        return

    from stackroute.configs.outcome_files import read_features, read_outcomes
    from stackroute.training.cli.advice import as_rows, explain_advice, record_advice, table_of_routers
    from stackroute.training.cli.display import router_progress
    from stackroute.training.output import output_folder
    from stackroute.training.routers.advice import advise

    chosen = _routers(routers)
    names_of, units = market.mapping("columns", [columns or ""]), market.mapping("unit", unit or ())
    found = read_outcomes(outcomes, names_of, units, decimal, prices)
    if features is not None:
        from dataclasses import replace

        found = replace(found, features=read_features(features, found.tasks))
    game = _game(found, outcomes, given)
    if out is not None:
        if out.suffix != ".npz":
            fail(f"out: {out} is not allowed; expected a name that ends in .npz")
        output_folder(out.parent)
    quiet = as_json or as_csv
    with nullcontext(lambda done, total, name: None) if quiet else router_progress(console) as progress:
        advice = advise(game, chosen, current, seed, routers is not None, progress)
    written = [] if out is None else _write(game, advice, out)
    if as_json:
        print_json(record_advice(game, advice))
        return
    if as_csv:
        print(as_rows(game, advice), end="")
        return
    for sentence in explain_advice(game, advice):
        console.print(f"- {sentence}", highlight=False)
    console.print(table_of_routers(game, advice))
    if out is None:
        console.print("Save the router with --out router.npz; it serves new tasks by:", highlight=False)
        console.print("stackroute route --apply router.npz TASKS.csv", highlight=False)
    else:
        print_written(written)


def _routers(names: str | None) -> list[str]:
    """The routers that are asked for."""
    from difflib import get_close_matches

    from stackroute.agents.routers import ROUTERS
    from stackroute.configs import ConfigError

    if names is None:
        return list(ROUTERS)
    chosen = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in chosen:
        if name not in ROUTERS:
            near = get_close_matches(name, ROUTERS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"routers: {name!r} is not one; {hint}expected some of {', '.join(ROUTERS)}")
    return chosen


def _game(found: Outcomes, name: str, given: Mapping[str, str]) -> MeasuredGame:
    """The outcomes in the economy of the options that are given."""
    import numpy as np

    from stackroute.configs import ConfigError
    from stackroute.configs.measured import MeasuredGame
    from stackroute.configs.text import some_of
    from stackroute.training.cli.measured import by_model

    labels = tuple(label.strip() for label in given["models"].split(",")) if "models" in given else found.models
    amounts = {}
    for option, measured, what in (("cost", found.cost, "money"), ("latency", found.seconds, "seconds")):
        amounts[option] = by_model(option, given.get(option), labels)
        places = [place for place, label in enumerate(found.models) if label in labels]
        missing = [found.models[place] for place in places if not np.isfinite(measured[:, place]).any()]
        if missing and not amounts[option]:
            wanted = f"--{option} X,Y, {what} of an attempt by model, for {some_of(labels, 4)}"
            raise ConfigError(f"{option}: {name} has none of {some_of(missing, 4)}; expected {wanted}")
    money = {
        option: float(number(option, given.get(option, usual)) or 0.0)
        for option, usual in {"value": _VALUE, "waiting-cost": _WAITING_COST, "churn-penalty": _CHURN_PENALTY}.items()
    }
    for option in ("value", "waiting-cost"):
        if not money[option] > 0.0:
            raise ConfigError(f"{option}: {money[option]:g} is not allowed; expected a number > 0")
    assumed = number("correlation", given.get("correlation"))
    return MeasuredGame(
        found,
        labels,
        money["value"],
        money["churn-penalty"],
        amounts["cost"],
        amounts["latency"],
        money["waiting-cost"] / _HOUR,
        0.5 if assumed is None else assumed,
        int(given.get("horizon", 12)),
    )


def _write(game: MeasuredGame, advice: Advice, out: Path) -> list[Path]:
    """Write the router, and beside it a report and, where there is matplotlib, a picture."""
    from importlib.util import find_spec

    from stackroute.agents.routers.saving import save_router
    from stackroute.training.cli.advice import report_on
    from stackroute.training.market.report import as_markdown
    from stackroute.training.output import replacing, write_text

    with replacing(out) as unfinished:
        save_router(advice.saved, unfinished)
    report, written = report_on(game, advice), [out]
    if find_spec("matplotlib"):
        from stackroute.training.figures.style import save, style

        written.append(out.with_suffix(".png"))
        with style():
            (figure,) = report.draw().values()
            save(figure, written[-1])
    written.append(out.with_suffix(".md"))
    write_text(written[-1], as_markdown(report, [path.name for path in written if path.suffix == ".png"]))
    return written


def _apply(file: Path, tasks: Path, seed: int, as_json: bool) -> None:
    """Print which models serve new tasks, by a router that was saved."""
    import numpy as np

    from stackroute.agents.routers.saving import load_router
    from stackroute.configs import ConfigError
    from stackroute.configs.outcome_files import read_tasks
    from stackroute.training.cli.advice import served, unknown_categories

    saved = load_router(file)
    known = read_tasks(tasks)
    if known.empty and not len(known):
        raise ConfigError(f"{tasks}: no tasks; expected a row for each")
    missing = [column for column in saved.encoder.columns if column not in known]
    if missing:
        raise ConfigError(f"{tasks}: no column {', '.join(missing)}; the router was fitted with it")
    unknown = unknown_categories(saved, known)
    if unknown:
        to_errors(f"warning: {tasks}: {unknown}")
    table = served(saved, known, np.random.default_rng(seed))
    if as_json:
        print_json({"router": saved.name, "tasks": table.to_dict("records")})
    else:
        print(table.to_csv(index=False), end="")
