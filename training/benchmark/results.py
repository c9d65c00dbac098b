"""The results of a benchmark: its plan and its units' results in a folder, and as tables."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from stackroute.configs.benchmarks import Suite
from stackroute.configs.loading import Settings
from stackroute.training.benchmark.problem import Record
from stackroute.training.benchmark.tasks import HELD_OUT
from stackroute.training.output import RunError, file_name, read_sealed, replacing, write_json, write_sealed

if TYPE_CHECKING:
    from pathlib import Path

UNITS, PLAN = "units", "benchmark.json"
RESULTS, CURVES, MARL_EVAL = "results.parquet", "curves.parquet", "marl-eval.json"


class DamagedResultWarning(UserWarning):
    """The file of a unit's result is not as it was written."""


class Plan(Settings):
    """What a folder is to hold: a suite, the versions of all that results depend on, and its units' fingerprints."""

    suite: Suite
    versions: dict[str, str]
    units: dict[str, str]


class Result(BaseModel):
    """What came of a unit, as in its file.

    Attributes:
        penalty_ratio: The game's churn penalty as a multiple of P*, where it is not the game's own.
        summary: What the algorithm is, in a line.
        error: What the algorithm raised, or None.
        groups: The mean metrics in each group of games.
        totals: What was measured of the whole.
        curve: The regret curve.
        lines: Other curves by name, each of columns of equal length.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    fingerprint: str
    task: str
    game: str
    penalty_ratio: float | None
    algorithm: str
    summary: str
    seed: int
    error: str | None = None
    traceback: str | None = None
    groups: dict[str, dict[str, float | None]] = {}
    totals: dict[str, float | None] = {}
    curve: Record = Record()
    lines: dict[str, dict[str, list[float]]] = {}


def read_plan(folder: Path) -> Plan:
    """The plan whose results a folder holds.

    Raises:
        RunError: There is none.
    """
    path = folder / PLAN
    try:
        return Plan.model_validate(read_sealed(path, "the folder of a 'stackroute benchmark'"))
    except ValidationError as error:
        raise RunError(f"{path}: is no plan of a benchmark ({error.errors()[0]['msg']})") from None


def write_result(folder: Path, name: str, result: Result) -> None:
    """Write a unit's result; OutputError where that fails."""
    write_sealed(_path(folder, name), result.model_dump(mode="json"))


def read_result(folder: Path, name: str, fingerprint: str) -> Result | None:
    """A unit's result; None if there is none, it cannot be read, or it is that of another fingerprint."""
    path = _path(folder, name)
    if not path.exists():
        return None
    try:
        result = Result.model_validate(read_sealed(path, "a unit"))
    except (RunError, ValidationError) as error:
        reason = error if isinstance(error, RunError) else f"{path}: is no result"
        warnings.warn(f"{reason}; the unit counts as not done", DamagedResultWarning, stacklevel=2)
        return None
    return result if result.fingerprint == fingerprint else None


def _path(folder: Path, name: str) -> Path:
    return folder / UNITS / f"{file_name(name)}.json"


def read_results(plan: Plan, folder: Path) -> list[Result]:
    """The results that a folder holds of the units of its plan, in order; one that failed has an error."""
    found = (read_result(folder, name, fingerprint) for name, fingerprint in plan.units.items())
    return [result for result in found if result is not None]


def as_table(results: list[Result]) -> pd.DataFrame:
    """A row for each unit and group of games: what the unit is, metrics, totals; failed units are left out."""
    named = ("task", "game", "penalty_ratio", "algorithm", "seed")
    rows = [
        {**{name: getattr(result, name) for name in named}, "group": group, **metrics, **result.totals}
        for result in results
        for group, metrics in result.groups.items()
    ]
    return pd.DataFrame(rows)


def write_files(results: list[Result], folder: Path) -> list[Path]:
    """Write the columnar files and the JSON of marl-eval to an existing folder; OutputError where that fails."""
    curves = [
        pd.DataFrame({"task": result.task, "algorithm": result.algorithm, "seed": result.seed, **vars(result.curve)})
        for result in results
        if result.error is None
    ]
    written = write_tables({RESULTS: as_table(results), CURVES: pd.concat(curves, ignore_index=True)}, folder)
    write_json(folder / MARL_EVAL, marl_eval(results))
    return [*written, folder / MARL_EVAL]


def write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write columnar files, by name, to an existing folder; OutputError where that fails."""
    for name, table in tables.items():
        with replacing(folder / name) as unfinished:
            table.to_parquet(unfinished, index=False)
    return [folder / name for name in tables]


def marl_eval(results: list[Result]) -> dict[str, Any]:
    """Results in the layout of marl-eval (Gorsane et al. 2022): environment, task, algorithm, run, step.

    Held-out games are a task for each group, without steps: the curve is that of all groups.
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
