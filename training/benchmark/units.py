"""One unit of a benchmark: an algorithm meets a task with a seed, and what came of it is written once."""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute._version import __version__
from stackroute.training.benchmark.metrics import METRICS, TARGETS, area, judge, reached
from stackroute.training.benchmark.problem import Problem
from stackroute.training.learn.runs import read_json
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import RunError, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.configs.benchmarks import Task
    from stackroute.training.benchmark.algorithms import Entrant
    from stackroute.training.benchmark.problem import Algorithm

UNITS = "units"
_PLAIN, _ODD = re.compile(r"[A-Za-z0-9._-]+"), re.compile(r"[^A-Za-z0-9._-]+")
MOST_POINTS = 200
"""Points of a curve that are kept, evenly spread over the longer ones."""


@dataclass(frozen=True)
class Unit:
    """An algorithm, a task and a seed.

    Attributes:
        algorithm: The algorithm's name.
        task: The task.
        seed: The seed.
        horizon: Tasks up to which the area under the regret curve is taken.
    """

    algorithm: str
    task: Task
    seed: int
    horizon: int

    @property
    def name(self) -> str:
        """Different for each unit of a suite, and the name of a file."""
        stem = self.algorithm
        if not _PLAIN.fullmatch(stem):
            # The path of a file with settings.
            stem = f"{_ODD.sub('_', stem)}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"
        return f"{self.task.name}--{stem}--seed{self.seed}"

    def path(self, folder: Path) -> Path:
        """Its file in the folder of the results."""
        return folder / UNITS / f"{self.name}.json"


def is_done(unit: Unit, folder: Path) -> bool:
    """Whether the folder holds the unit's result; an error is none, nor is a file that cannot be read."""
    try:
        return read_json(unit.path(folder))["error"] is None
    except (RunError, KeyError, TypeError):
        return False


def run_unit(unit: Unit, entrant: Entrant, folder: Path) -> None:
    """Let the algorithm learn, judge it, and write the result, unless it is there already.

    What the algorithm raises is written down as its result; another run tries it again.

    Args:
        unit: The unit.
        entrant: The algorithm that it names.
        folder: Of the results.

    Raises:
        OutputError: The result cannot be written.
    """
    if is_done(unit, folder):
        return
    result: dict[str, Any] = {
        "version": __version__,
        "task": unit.task.name,
        "algorithm": unit.algorithm,
        "summary": entrant.summary,
        "seed": unit.seed,
        "error": None,
    }
    try:
        result |= measured(unit, entrant.algorithm)
    except Exception as error:
        result |= {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    path = unit.path(folder)
    if is_done(unit, folder):
        return
    write_json(path, result)


def measured(unit: Unit, algorithm: Algorithm) -> dict[str, Any]:
    """Let the algorithm learn and judge it.

    Args:
        unit: The unit.
        algorithm: The one that it names.

    Returns:
        What is measured for each group of games and in all, and the curve.
    """
    problem = Problem(unit.task.game, throttling=unit.task.throttling, seed=derived_seed(unit.seed, unit.task.name))
    solution = algorithm(problem)
    problem.choose(solution.commitment)
    values, record = judge(unit.task, solution), problem.record
    return {
        "groups": [_of_group(unit.task, group, values) for group in dict.fromkeys(unit.task.groups)],
        "tasks": record.tasks[-1],
        "seconds": record.seconds[-1],
        "area": area(record, unit.horizon),
        **{f"tasks_to_{target:.0%}": reached(record, target, record.tasks) for target in TARGETS},
        **{f"seconds_to_{target:.0%}": reached(record, target, record.seconds) for target in TARGETS},
        "curve": _thinned(asdict(record)),
    }


def _of_group(task: Task, group: str, values: dict[str, np.ndarray]) -> dict[str, Any]:
    members = np.array(task.groups) == group
    means = {name: float(values[name][members].mean()) for name in METRICS}
    return {"group": group, "games": int(members.sum()), **means}


def _thinned(curve: dict[str, list[float]]) -> dict[str, list[float]]:
    count = len(curve["tasks"])
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
    return {name: [values[k] for k in kept] for name, values in curve.items()}
