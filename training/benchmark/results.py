"""The results of a benchmark: its plan and its units' results in a folder, and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from stackroute.configs.benchmarks import Suite
from stackroute.configs.loading import Settings
from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.benchmark.tasks import HELD_OUT, tasks_of
from stackroute.training.benchmark.units import UNITS, Unit, read_result, versions
from stackroute.training.output import RunError, output_folder, replacing, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.benchmark.units import Result

PLAN, RESULTS, CURVES, MARL_EVAL = "benchmark.json", "results.parquet", "curves.parquet", "marl-eval.json"


class Plan(Settings):
    """What a folder is to hold.

    Attributes:
        suite: The suite.
        versions: Of Python and of the packages that results depend on.
        units: The fingerprint of each unit, by name.
    """

    suite: Suite
    versions: dict[str, str]
    units: dict[str, str]


def units_of(suite: Suite) -> list[Unit]:
    """All units of a suite: task by task, so that all algorithms get ahead together.

    Raises:
        ConfigError: A game or an algorithm does not exist.
    """
    entrants = [find_algorithm(name) for name in suite.algorithms]
    tasks = tasks_of(suite)
    return [Unit(entrant, task, seed, suite.horizon) for seed in suite.seeds for task in tasks for entrant in entrants]


def claim(suite: Suite, units: list[Unit], folder: Path, *, resume: bool) -> Plan:
    """Write the plan of a suite to the folder of its results.

    Raises:
        RunError: The folder holds results, and `resume` is not given.
        OutputError: It cannot be written to.
    """
    output_folder(folder / UNITS)
    if (folder / PLAN).exists() and not resume:
        raise RunError(f"{folder}: holds results already; go on with --resume, or choose another folder")
    plan = Plan(suite=suite, versions=versions(), units={unit.name: unit.fingerprint for unit in units})
    write_text(folder / PLAN, plan.model_dump_json(indent=2) + "\n")
    return plan


def read_plan(folder: Path) -> Plan:
    """The plan whose results a folder holds.

    Raises:
        RunError: There is none.
    """
    path = folder / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path}: no such file; expected the folder of a 'stackroute benchmark'") from None
    except ValidationError as error:
        raise RunError(f"{path}: is no plan of a benchmark ({error.errors()[0]['msg']})") from None


def read_results(plan: Plan, folder: Path) -> list[Result]:
    """The results that a folder holds of the units of its plan, in order; one that failed has an error."""
    found = (read_result(folder, name, fingerprint) for name, fingerprint in plan.units.items())
    return [result for result in found if result is not None]


def as_table(results: list[Result]) -> pd.DataFrame:
    """A row for each unit and group of games: what the unit is, metrics, totals; failed units are left out."""
    rows = [
        {**_named(result), "group": group, **metrics, **result.totals}
        for result in results
        for group, metrics in result.groups.items()
    ]
    return pd.DataFrame(rows)


def write_files(results: list[Result], folder: Path) -> list[Path]:
    """Write the columnar files and the JSON of marl-eval.

    Args:
        results: As of `read_results`.
        folder: An existing folder.

    Returns:
        The files.

    Raises:
        OutputError: A file cannot be written.
    """
    curves = [
        pd.DataFrame({"task": result.task, "algorithm": result.algorithm, "seed": result.seed, **vars(result.curve)})
        for result in results
        if result.error is None
    ]
    for name, table in ((RESULTS, as_table(results)), (CURVES, pd.concat(curves, ignore_index=True))):
        with replacing(folder / name) as unfinished:
            table.to_parquet(unfinished, index=False)
    write_json(folder / MARL_EVAL, marl_eval(results))
    return [folder / name for name in (RESULTS, CURVES, MARL_EVAL)]


def marl_eval(results: list[Result]) -> dict[str, Any]:
    """Results in the layout of marl-eval (Gorsane et al. 2022): environment, task, algorithm, run, step.

    Held-out games are a task for each group, without steps: the curve is that of all groups.

    Args:
        results: As of `read_results`.
    """
    tasks: dict[str, Any] = {}
    for result in results:
        for group, metrics in result.groups.items():
            curve, held_out = vars(result.curve), result.task == HELD_OUT
            run: dict[str, Any] = {
                f"step_{k}": {"step_count": step, "elapsed_time": seconds, "provider_regret": [regret]}
                for k, (step, seconds, regret) in enumerate(zip(*curve.values(), strict=True))
                if not held_out
            }
            run["absolute_metrics"] = {
                name: [value]
                for name, value in metrics.items()
                if value is not None and not name.startswith(("learned_", "exact_", "games"))
            }
            runs = tasks.setdefault(group if held_out else result.task, {}).setdefault(result.algorithm, {})
            runs[f"seed_{result.seed}"] = run
    return {"stackroute": tasks}


def _named(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("task", "game", "penalty_ratio", "algorithm", "seed")}
