"""One unit of a benchmark: an algorithm meets a task with a seed, and what came of it is written once."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from stackroute._version import __version__
from stackroute.training.benchmark.metrics import measure
from stackroute.training.benchmark.problem import Problem, Record
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.benchmark.algorithms import Entrant
    from stackroute.training.benchmark.tasks import Task

UNITS = "units"
"""The folder of the units' results."""

MOST_POINTS = 200
"""Points of a curve that are kept, evenly spread over the longer ones."""

TARGETS = (0.05, 0.01)
"""Regrets of which the benchmark reports when they are reached."""

_GAME = ("success", "cost", "latency", "value", "churn_penalty")
_PACKAGES = ("numpy", "torch", "stable-baselines3", "sb3-contrib", "cma")


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version(), "stackroute": __version__}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@dataclass(frozen=True)
class Unit:
    """An algorithm, a task and a seed.

    Attributes:
        entrant: The algorithm.
        task: The task.
        seed: The seed.
        horizon: Tasks up to which the area under the regret curve is taken.
    """

    entrant: Entrant
    task: Task
    seed: int
    horizon: int

    @property
    def name(self) -> str:
        """Different for each unit of a suite, and the name of a file."""
        return f"{self.task.name}--{quote(self.entrant.name, safe='')}--seed{self.seed}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all that the result depends on: game, settings, seed, horizon and versions."""
        task, entrant = self.task, self.entrant
        game = {field: getattr(task.game, field).tolist() for field in _GAME}
        parts = (game, task.name, task.groups, task.throttling, entrant.name, entrant.settings)
        content = json.dumps([parts, self.seed, self.horizon, versions()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


class Result(BaseModel):
    """What came of a unit, as in its file.

    Attributes:
        fingerprint: Of the unit.
        task: The name of its task.
        game: The name of the task's game.
        penalty_ratio: The game's churn penalty as a multiple of P*, where it is not the game's own.
        algorithm: The name of its algorithm.
        summary: What the algorithm is, in a line.
        seed: Its seed.
        error: What the algorithm raised, or None.
        traceback: Where it did.
        groups: The mean metrics in each group of games.
        totals: What was measured of the whole.
        curve: The regret curve.
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


def read_result(folder: Path, name: str, fingerprint: str) -> Result | None:
    """A unit's result; None if there is none, it cannot be read, or it is that of another fingerprint."""
    try:
        result = Result.model_validate_json(_path(folder, name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return result if result.fingerprint == fingerprint else None


def is_done(unit: Unit, folder: Path) -> bool:
    """Whether the folder holds the unit's result; an error is none."""
    result = read_result(folder, unit.name, unit.fingerprint)
    return result is not None and result.error is None


def run_unit(unit: Unit, folder: Path) -> str:
    """Let the algorithm learn, measure it, and write the result, unless it is there already.

    What the algorithm raises is written as its result; another run tries it again.

    Args:
        unit: The unit.
        folder: Of the benchmark.

    Returns:
        The name of the algorithm.

    Raises:
        OutputError: The result cannot be written.
    """
    if not is_done(unit, folder):
        result = _result(unit)
        if not is_done(unit, folder):
            write_text(_path(folder, unit.name), result.model_dump_json(indent=2) + "\n")
    return unit.entrant.name


def _path(folder: Path, name: str) -> Path:
    return folder / UNITS / f"{name}.json"


def _result(unit: Unit) -> Result:
    task, entrant = unit.task, unit.entrant
    result = Result(
        fingerprint=unit.fingerprint,
        task=task.name,
        game=task.label,
        penalty_ratio=task.penalty_ratio,
        algorithm=entrant.name,
        summary=entrant.summary,
        seed=unit.seed,
    )
    try:
        return Result.model_validate(vars(result) | _measured(unit))
    except Exception as error:
        return result.model_copy(
            update={"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        )


def _measured(unit: Unit) -> dict[str, Any]:
    """The algorithm learns here."""
    task = unit.task
    problem = Problem(task.game, throttling=task.throttling, seed=derived_seed(unit.seed, task.name))
    solution = unit.entrant.algorithm(problem)
    problem.choose(solution.commitment)
    record = problem.record
    reached = {f"{target:.0%}": record.reached(target) for target in TARGETS}
    totals = {
        "tasks": record.tasks[-1],
        "seconds": record.seconds[-1],
        "area": record.area(unit.horizon),
        **{f"tasks_to_{target}": tasks for target, (tasks, _) in reached.items()},
        **{f"seconds_to_{target}": seconds for target, (_, seconds) in reached.items()},
    }
    values = pd.DataFrame(measure(task, solution)).groupby(np.array(task.groups), sort=False)
    means = values.mean().assign(games=values.size()).astype(object)
    groups = means.where(means.notna(), None).to_dict("index")
    return {"groups": groups, "totals": {**solution.info, **totals}, "curve": record.thinned(MOST_POINTS)}
