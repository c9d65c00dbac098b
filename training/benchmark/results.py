"""The results of a benchmark as files: columns for analysis, and JSON for the tools of marl-eval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackroute.configs.benchmarks import HELD_OUT, Suite, tasks_of
from stackroute.configs.loading import ConfigError, validated
from stackroute.training.benchmark.metrics import METRICS, TARGETS
from stackroute.training.benchmark.units import UNITS, Unit
from stackroute.training.output import RunError, output_folder, replacing, write_json
from stackroute.training.runs import read_json

if TYPE_CHECKING:
    from pathlib import Path

    Row = dict[str, Any]

PLAN, RESULTS, CURVES, MARL_EVAL = "benchmark.json", "results.parquet", "curves.parquet", "marl-eval.json"
NAMED = ("task", "group", "algorithm", "seed")
SPENT = (
    "tasks",
    "seconds",
    "area",
    *(f"{unit}_to_{target:.0%}" for unit in ("tasks", "seconds") for target in TARGETS),
)
COLUMNS = (*NAMED, "games", *METRICS, *SPENT)
"""The columns of `results.parquet`."""

_ENVIRONMENT = "stackroute"


def claim(suite: Suite, folder: Path, *, resume: bool) -> None:
    """Make the folder of the results ready, or see that it holds the same suite.

    Raises:
        RunError: It holds results, and `resume` is not given; or those of another suite.
        OutputError: It cannot be written to.
    """
    output_folder(folder / UNITS)
    plan = folder / PLAN
    if plan.exists():
        if read_json(plan) != suite.model_dump():
            raise RunError(f"{folder}: holds the results of another suite or selection; choose another folder")
        if not resume:
            raise RunError(f"{folder}: holds results already; go on with --resume, or choose another folder")
    write_json(plan, suite.model_dump())


def read_plan(folder: Path) -> Suite:
    """The suite whose results a folder holds.

    Raises:
        RunError: There is none.
    """
    if not (folder / PLAN).exists():
        raise RunError(f"{folder / PLAN}: no such file; expected the folder of a 'stackroute benchmark'")
    try:
        return validated(read_json(folder / PLAN), str(folder / PLAN), Suite)
    except (ConfigError, TypeError) as error:
        raise RunError(f"{folder / PLAN}: is no plan of a benchmark ({error})") from None


def units_of(suite: Suite) -> list[Unit]:
    """All units of a suite: task by task, so that all algorithms get ahead together.

    Raises:
        ConfigError: A game does not exist.
    """
    return [
        Unit(algorithm, task, seed, suite.horizon)
        for seed in suite.seeds
        for task in tasks_of(suite)
        for algorithm in suite.algorithms
    ]


def read_units(suite: Suite, folder: Path) -> list[Row]:
    """The results of all units that have one, in the order of the suite; one that failed has an "error".

    Raises:
        RunError: A file cannot be read.
    """
    return [read_json(unit.path(folder)) for unit in units_of(suite) if unit.path(folder).exists()]


def as_rows(results: list[Row]) -> list[Row]:
    """One row for each unit and group of games, with the columns of `COLUMNS`; failed units are left out."""
    return [
        {name: {**result, **group}[name] for name in COLUMNS}
        for result in results
        if result["error"] is None
        for group in result["groups"]
    ]


def write_files(results: list[Row], folder: Path) -> list[Path]:
    """Write the columnar files and the JSON of marl-eval.

    Args:
        results: As of `read_units`.
        folder: Of the benchmark.

    Returns:
        The files.

    Raises:
        OutputError: A file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    good = [result for result in results if result["error"] is None]
    curves = [
        {
            **{name: result[name] for name in ("task", "algorithm", "seed")},
            **dict(zip(result["curve"], point, strict=True)),
        }
        for result in good
        for point in zip(*result["curve"].values(), strict=True)
    ]
    for name, rows in ((RESULTS, as_rows(results)), (CURVES, curves)):
        with replacing(folder / name) as unfinished:
            parquet.write_table(pa.Table.from_pylist(rows), unfinished)
    write_json(folder / MARL_EVAL, marl_eval(results))
    return [folder / name for name in (RESULTS, CURVES, MARL_EVAL)]


def marl_eval(results: list[Row]) -> Row:
    """Results in the layout of marl-eval (Gorsane et al. 2022): environment, task, algorithm, run, step.

    Held-out games are a task for each group.

    Args:
        results: As of `read_units`.
    """
    tasks: Row = {}
    for result in results:
        if result["error"] is not None:
            continue
        for group in result["groups"]:
            name = group["group"] if result["task"] == HELD_OUT else result["task"]
            curve = result["curve"]
            run: Row = {
                f"step_{k}": {"step_count": step, "elapsed_time": seconds, "provider_regret": [regret]}
                for k, (step, seconds, regret) in enumerate(zip(*curve.values(), strict=True))
            }
            run["absolute_metrics"] = {metric: [group[metric]] for metric in METRICS}
            runs = tasks.setdefault(name, {}).setdefault(result["algorithm"], {})
            runs[f"seed_{result['seed']}"] = run
    return {_ENVIRONMENT: tasks}
