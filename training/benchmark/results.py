"""The results of a benchmark as files: columns for analysis, and JSON for the tools of marl-eval."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from stackroute.configs.benchmarks import HELD_OUT, Suite, tasks_of
from stackroute.configs.loading import ConfigError, validated
from stackroute.training.benchmark.metrics import METRICS, TARGETS
from stackroute.training.benchmark.units import UNITS, Unit
from stackroute.training.learn.runs import read_json
from stackroute.training.output import RunError, output_folder, replacing, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.benchmark.algorithms import Entrant

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
_FIELDS = ("success", "cost", "latency", "value", "churn_penalty")
_PACKAGES = ("stackroute", "numpy", "torch", "stable-baselines3", "sb3-contrib", "cma")


@dataclass(frozen=True)
class Plan:
    """What the results in a folder are of.

    Attributes:
        suite: The suite.
        settings: The settings of each algorithm that is a scheme of training.
        games: The numbers of the games by task; empty for held-out games, which the suite fixes.
        versions: Of Python and of the packages that results depend on.
    """

    suite: Suite
    settings: Row
    games: Row
    versions: dict[str, str]

    @classmethod
    def of(cls, suite: Suite, entrants: dict[str, Entrant]) -> Plan:
        """The plan of a suite as it would be run now.

        Args:
            suite: The suite.
            entrants: Its algorithms by name.

        Raises:
            ConfigError: A game does not exist.
        """
        settings = {name: one.settings for name, one in entrants.items()}
        games = {
            task.name: {field: getattr(task.game, field)[0].tolist() for field in _FIELDS}
            for task in tasks_of(suite)
            if task.game.shape == (1,)
        }
        return cls(suite, settings, games, versions())

    def as_json(self) -> Row:
        """The plan for its file."""
        return {**vars(self), "suite": self.suite.model_dump()}


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def claim(plan: Plan, folder: Path, *, resume: bool) -> None:
    """Make the folder of the results ready, or see that it holds results of the same plan.

    Raises:
        RunError: It holds results, and `resume` is not given; or those of another plan.
        OutputError: It cannot be written to.
    """
    output_folder(folder / UNITS)
    path = folder / PLAN
    if path.exists():
        before, now = read_json(path), json.loads(json.dumps(plan.as_json()))
        for part in now:
            if before.get(part) != now[part]:
                different = [key for key in now[part] if (before.get(part) or {}).get(key) != now[part][key]]
                raise RunError(
                    f"{folder}: holds results with another {part} ({', '.join(different) or 'less now'}); choose "
                    "another folder"
                )
        if not resume:
            raise RunError(f"{folder}: holds results already; go on with --resume, or choose another folder")
    write_json(path, plan.as_json())


def read_plan(folder: Path) -> Plan:
    """The plan whose results a folder holds.

    Raises:
        RunError: There is none.
    """
    path = folder / PLAN
    if not path.exists():
        raise RunError(f"{path}: no such file; expected the folder of a 'stackroute benchmark'")
    try:
        content = read_json(path)
        return Plan(**{**content, "suite": validated(content["suite"], str(path), Suite)})
    except (ConfigError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is no plan of a benchmark ({error})") from None


def units_of(suite: Suite) -> list[Unit]:
    """All units of a suite: task by task, so that all algorithms get ahead together.

    Raises:
        ConfigError: A game does not exist.
    """
    tasks = tasks_of(suite)
    return [
        Unit(algorithm, task, seed, suite.horizon)
        for seed in suite.seeds
        for task in tasks
        for algorithm in suite.algorithms
    ]


def read_units(suite: Suite, folder: Path) -> list[Row]:
    """The results of all units that have one, in the order of the suite; one that failed has an "error"."""
    found = []
    for unit in units_of(suite):
        # What was cut off by a power cut is no result.
        with suppress(RunError):
            found.append(read_json(unit.path(folder)))
    return found


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
        folder: An existing folder.

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

    Held-out games are a task for each group, without steps: the curve is that of all groups.

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
                if result["task"] != HELD_OUT
            }
            run["absolute_metrics"] = {metric: [group[metric]] for metric in METRICS}
            runs = tasks.setdefault(name, {}).setdefault(result["algorithm"], {})
            runs[f"seed_{result['seed']}"] = run
    return {_ENVIRONMENT: tasks}
