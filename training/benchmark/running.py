"""Running a benchmark's units, each an algorithm, a task and a seed; what is done already is not done again."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import platform
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import joblib
import numpy as np
import pandas as pd
from joblib.externals.loky.process_executor import TerminatedWorkerError

from stackroute._version import __version__
from stackroute.training.benchmark.algorithms import Entrant, find_algorithm
from stackroute.training.benchmark.metrics import measure
from stackroute.training.benchmark.problem import Problem
from stackroute.training.benchmark.results import PLAN, UNITS, Plan, Result, read_result, read_results, result_path
from stackroute.training.benchmark.tasks import Task, tasks_of
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import RunError, output_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stackroute.configs.benchmarks import Suite

    Backend = Literal["loky", "ray"]
    OnProgress = Callable[[dict[str, tuple[int, int]]], None]

MOST_POINTS = 200
"""Points of a curve that are kept, evenly spread over the longer ones."""

TARGETS = (0.05, 0.01)
"""Regrets of which the benchmark reports when they are reached."""

_GAME = ("success", "cost", "latency", "value", "churn_penalty")
_PACKAGES = ("numpy", "torch", "stable-baselines3", "sb3-contrib", "cma")
_ATTEMPTS = 4


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
    """An algorithm, a task, a seed, and the tasks up to which the area under the regret curve is taken."""

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

    def is_done(self, folder: Path) -> bool:
        """Whether the folder holds the result; an error is none."""
        result = read_result(folder, self.name, self.fingerprint)
        return result is not None and result.error is None


def units_of(suite: Suite) -> list[Unit]:
    """All units of a suite: task by task, so that all algorithms get ahead together.

    Raises:
        ConfigError: A game or an algorithm does not exist.
    """
    entrants = [find_algorithm(name) for name in suite.algorithms]
    tasks = tasks_of(suite)
    return [Unit(entrant, task, seed, suite.horizon) for seed in suite.seeds for task in tasks for entrant in entrants]


def run_suite(
    suite: Suite,
    folder: Path,
    *,
    jobs: int = 1,
    backend: Backend = "loky",
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """Run all units of a suite that the folder does not hold yet.

    Every unit writes a file of its own when it is finished, so that all workers need to see the folder. If a worker
    dies, the units without a file are run again.

    Args:
        suite: The suite.
        folder: Where the results go; made if it does not exist.
        jobs: Workers.
        backend: "loky" for processes on this machine, "ray" for a cluster of Ray: that of the environment variable
            RAY_ADDRESS, or else one on this machine.
        resume: Whether to go on with a folder that holds results. A result counts only if game, settings, seed,
            horizon and versions are still the same.
        on_progress: Called with how many units of each algorithm are done, and how many there are: at the beginning
            and whenever one is finished.

    Returns:
        The results, as of `stackroute.training.benchmark.results.read_results`; a unit that failed has an error.

    Raises:
        ConfigError: A game or an algorithm does not exist.
        RunError: The folder holds results and `resume` is not given, or workers keep dying.
        OutputError: A file cannot be written.
    """
    # Workers of a cluster have working directories of their own.
    folder = folder.resolve()
    units = units_of(suite)
    output_folder(folder / UNITS)
    if (folder / PLAN).exists() and not resume:
        raise RunError(f"{folder}: holds results already; go on with --resume, or choose another folder")
    plan = Plan(suite=suite, versions=versions(), units={unit.name: unit.fingerprint for unit in units})
    write_text(folder / PLAN, plan.model_dump_json(indent=2) + "\n")
    planned = Counter(unit.entrant.name for unit in units)
    run = _on_ray if backend == "ray" else _on_processes
    for attempt in range(1, _ATTEMPTS + 1):
        missing = [unit for unit in units if not unit.is_done(folder)]
        left = Counter(unit.entrant.name for unit in missing)
        try:
            for finished in itertools.chain([""], run(missing, folder, jobs)):
                left[finished] -= 1
                if on_progress is not None:
                    on_progress({name: (count - left[name], count) for name, count in planned.items()})
            break
        except TerminatedWorkerError as error:
            if attempt == _ATTEMPTS:
                raise RunError(f"{folder}: workers died {attempt} times; the last: {error}") from None
            warnings.warn("a worker died and its work is done again", stacklevel=2)
    return read_results(plan, folder)


def _on_processes(units: list[Unit], folder: Path, jobs: int) -> Iterator[str]:
    """Run units, and give the algorithm of each that is finished."""
    parallel = joblib.Parallel(jobs, batch_size=1, pre_dispatch="all", return_as="generator_unordered")
    yield from parallel(joblib.delayed(_run)(unit, folder) for unit in units)


def _on_ray(units: list[Unit], folder: Path, jobs: int) -> Iterator[str]:
    """The same on a cluster, which itself runs again what a dead worker was at."""
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    waiting = iter(units)
    run = ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(_run)
    try:
        pending = [run.remote(unit, folder) for unit in itertools.islice(waiting, jobs)]
        while pending:
            done, pending = ray.wait(pending)
            yield ray.get(done[0])
            pending += [run.remote(unit, folder) for unit in itertools.islice(waiting, 1)]
    except ray.exceptions.RayError as error:
        raise RunError(f"{folder}: a worker died {_ATTEMPTS} times; the last: {error}") from None
    finally:
        if started:
            ray.shutdown()


def _run(unit: Unit, folder: Path) -> str:
    """Run a unit that is not done yet, and write its result, which may be what the algorithm raised."""
    task, entrant = unit.task, unit.entrant
    if not unit.is_done(folder):
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
            result = Result.model_validate(vars(result) | _measured(unit))
        except Exception as error:
            result.error, result.traceback = f"{type(error).__name__}: {error}", traceback.format_exc()
        # Another process may have done it meanwhile.
        if not unit.is_done(folder):
            write_text(result_path(folder, unit.name), result.model_dump_json(indent=2) + "\n")
    return entrant.name


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
