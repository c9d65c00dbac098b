"""The commands that run a benchmark and report on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from stackroute.training.cli.console import app, console, fail, print_written, require, resumable, to_errors


@app.command("benchmark")
def benchmark_command(
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="A packaged suite or the path of a .yaml file.")
    ] = None,
    algorithms: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Only these algorithms, separated by commas: names, or FILE.py:FUNCTION for your own. It runs that "
            "file, which can do whatever you can.",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Only so many of the suite's seeds.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    unit_seconds: Annotated[
        int | None, typer.Option(min=1, help="End a run that takes longer; it has failed, and the others go on.")
    ] = None,
    backend: Annotated[
        Literal["processes", "ray"],
        typer.Option(help="Processes of this machine, or a cluster of Ray (needs the cluster extra)."),
    ] = "processes",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results in the output folder.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder; benchmarks/SUITE if not given.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List suites and algorithms, and run nothing.")] = False,
) -> None:
    """Compare learning algorithms by their exact regret, or routers by what they cost where users react.

    Every run of an algorithm on a task with a seed is written to the output folder once, when it is finished: after
    Ctrl-C, a crash or a power cut the same command with --resume goes on. 'stackroute report DIR' writes the tables
    and pictures again. What was made with other games, settings or versions is made again.

    For example:

    stackroute benchmark quick --jobs 2

    stackroute benchmark throttling --jobs 2

    stackroute benchmark traffic --jobs 2

    stackroute benchmark routers --jobs 2

    stackroute benchmark threshold --algorithms follower_first,ppo --seeds 2 --out mine

    stackroute benchmark quick --algorithms mine.py:hill_climber,exact,random --jobs 2

    stackroute benchmark full --backend ray --jobs 64 --resume
    """
    from stackroute.configs.benchmarks import Suite, load_suite, suite_names
    from stackroute.configs.loading import ConfigError, validated
    from stackroute.training.benchmark.algorithms import algorithm_names, enter_file, find_algorithm
    from stackroute.training.benchmark.traffic import entrants

    if names:
        entered: list[tuple[str, str]] = []
        for name in algorithm_names():
            try:
                entered.append((name, find_algorithm(name).summary))
            except ConfigError as error:
                entered.append((name, f"cannot be used: {error}"))
        _list("suite", [(name, load_suite(name).summary) for name in suite_names()])
        _list("algorithm", entered)
        _list("on measured tasks", [*entrants().items()])
        _list("router", _routers())
        return
    if suite is None:
        fail(f"SUITE: missing; expected a .yaml file or one of {', '.join(suite_names())}")
    plan = load_suite(suite)
    needed = {"cluster": backend == "ray", "routers": plan.workloads is not None}
    require("train", "plot", "benchmark", *(extra for extra, asked in needed.items() if asked))
    from stackroute.training.benchmark.report import write_report
    from stackroute.training.benchmark.running import run_suite
    from stackroute.training.cli.display import benchmark_progress
    from stackroute.training.own_code import is_own_code

    chosen = plan.model_dump()
    if algorithms is not None:
        chosen["algorithms"] = [name.strip() for name in algorithms.split(",")]
        for name in chosen["algorithms"]:
            if is_own_code(name):
                enter_file(name)
    if seeds is not None:
        if seeds > len(plan.seeds):
            fail(f"seeds: {seeds} is not allowed; {suite} has {len(plan.seeds)}")
        chosen["seeds"] = plan.seeds[:seeds]
    plan = validated(chosen, suite, Suite)
    folder = out if out is not None else Path("benchmarks") / Path(suite).stem
    with resumable("the same command with --resume goes on"), benchmark_progress(console) as on_progress:
        results = run_suite(
            plan,
            folder,
            jobs=jobs,
            backend=backend,
            resume=resume,
            unit_seconds=unit_seconds,
            on_progress=on_progress,
        )
    failed = [result for result in results if result.error is not None]
    for result in failed:
        to_errors(f"{result.algorithm} on {result.task}, seed {result.seed}: {result.error}")
    _show(write_report(folder))
    if failed:
        raise typer.Exit(1)


def _list(kind: str, entries: list[tuple[str, str]]) -> None:
    """A table of what there is of a kind."""
    from stackroute.training.cli.display import table_of

    table = table_of((kind, "what it is"), [(name, escape(summary)) for name, summary in entries])
    table.columns[0].no_wrap = True
    console.print(table)


def _routers() -> list[tuple[str, str]]:
    """The routers and what they are; without their libraries what they need."""
    try:
        from stackroute.training.routers.units import entries
    except ImportError as error:
        return [("all", str(error))]
    return [(entry.name, entry.summary) for entry in entries().values()]


def _show(written: list[Path]) -> None:
    """The result of a benchmark of algorithms, and what was written."""
    import pandas as pd

    from stackroute.training.benchmark.report import RANKING
    from stackroute.training.cli.display import table_of

    for path in written:
        if path.name == RANKING:
            ranking = pd.read_csv(path, dtype=str, keep_default_na=False)
            shown = ranking[["tier", "algorithm", "regret, IQM [95 %]", "within 1 %"]]
            cells = [[escape(cell) for cell in row] for row in shown.itertuples(index=False)]
            console.print(table_of(map(escape, shown.columns), cells, "Regret in percent, best first"))
    print_written(written)


@app.command("report")
def report_command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder of a 'stackroute benchmark'.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Output folder; the same if not given.")] = None,
) -> None:
    """Write the tables and pictures of a benchmark, also of one that is not finished.

    Example: stackroute report benchmarks/quick
    """
    require("train", "plot", "benchmark")
    from stackroute.training.benchmark.report import write_report
    from stackroute.training.benchmark.results import read_plan

    if read_plan(results).suite.workloads is not None:
        require("routers")
    _show(write_report(results, out))
