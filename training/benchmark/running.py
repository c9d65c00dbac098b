"""Running a benchmark's units, each an algorithm, a task and a seed; what is done already is not done again.

A unit runs in a process of its own: whatever an algorithm does to its process, it ends no other unit.
"""

from __future__ import annotations

import functools
import itertools
import platform
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd

from stackroute._version import __version__
from stackroute.training.benchmark.algorithms import Entrant, find_algorithm
from stackroute.training.benchmark.metrics import measure
from stackroute.training.benchmark.problem import Problem
from stackroute.training.benchmark.processes import Ended, in_processes
from stackroute.training.benchmark.results import PLAN, UNITS, Plan, Result, read_result, read_results, write_result
from stackroute.training.benchmark.tasks import Task, tasks_of
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import RunError, checksum, locked, output_folder, write_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from stackroute.configs.benchmarks import Suite

    Backend = Literal["processes", "ray"]
    OnProgress = Callable[[dict[str, tuple[int, int]]], None]

MOST_POINTS = 200
"""Points of a curve that are kept, evenly spread over the longer ones."""

TARGETS = (0.05, 0.01)
"""Regrets of which the benchmark reports when they are reached."""

_GAME = ("success", "cost", "latency", "value", "churn_penalty")
_PACKAGES = ("numpy", "torch", "stable-baselines3", "sb3-contrib", "cma", "scikit-learn")
_LOADED = ("stackroute.training.benchmark.warm",)
_LOADED_TO_TRAIN = (*_LOADED, "stackroute.training.learn.schemes", "torch._dynamo")
"""What units find loaded; the last is what the first optimiser of PyTorch imports, for seconds."""

_RETRIES = 3
_MAY_BE_UNKNOWN = ("routing_error",)


@functools.cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version(), "stackroute": __version__}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


class Entering(Protocol):
    """What enters a benchmark."""

    @property
    def name(self) -> str:
        """Of its own."""
        ...

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        ...


class Met(Protocol):
    """What it meets."""

    @property
    def name(self) -> str:
        """Of its own."""
        ...

    @property
    def label(self) -> str:
        """What it is made from."""
        ...

    @property
    def penalty_ratio(self) -> float | None:
        """The multiple of P* that is its churn penalty; None where it is not."""
        ...


@dataclass(frozen=True)
class Unit(ABC):
    """Something that enters, what it meets, a seed, and the horizon of the suite."""

    entrant: Entering
    task: Met
    seed: int
    horizon: int

    @property
    def name(self) -> str:
        """Different for each unit of a suite."""
        return f"{self.task.name}--{self.entrant.name}--seed{self.seed}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all that the result depends on: content, seed, horizon and versions."""
        return checksum([self.content, self.seed, self.horizon, versions()])

    @property
    @abstractmethod
    def content(self) -> Any:
        """What else the result depends on, as JSON can hold it."""

    @property
    @abstractmethod
    def preload(self) -> tuple[str, ...]:
        """Modules that its process is to find loaded."""

    @abstractmethod
    def measured(self) -> dict[str, Any]:
        """What comes of it: fields of a `Result`."""

    def is_done(self, folder: Path) -> bool:
        """Whether the folder holds the result; an error is none."""
        result = read_result(folder, self.name, self.fingerprint)
        return result is not None and result.error is None


@dataclass(frozen=True)
class GameUnit(Unit):
    """An algorithm, a task, a seed, and the tasks up to which the area under the regret curve is taken."""

    entrant: Entrant
    task: Task

    @property
    def content(self) -> Any:
        """Game and settings."""
        task, entrant = self.task, self.entrant
        game = {field: getattr(task.game, field).tolist() for field in _GAME}
        own = [] if entrant.source is None else [entrant.source]
        return game, task.name, task.groups, task.routing, task.throttling, entrant.name, entrant.settings, *own

    @property
    def preload(self) -> tuple[str, ...]:
        """Those of training, where it trains."""
        return _LOADED_TO_TRAIN if self.entrant.settings else _LOADED

    def measured(self) -> dict[str, Any]:
        """The algorithm learns here."""
        task = self.task
        seed = derived_seed(self.seed, task.name)
        problem = Problem(task.game, throttling=task.throttling, seed=seed, routing=task.routing)
        solution = self.entrant.algorithm(problem)
        problem.choose(solution.commitment)
        record = problem.record
        reached = {f"{target:.0%}": record.reached(target) for target in TARGETS}
        totals = {
            "tasks": record.tasks[-1],
            "seconds": record.seconds[-1],
            "area": record.area(self.horizon),
            **{f"tasks_to_{target}": tasks for target, (tasks, _) in reached.items()},
            **{f"seconds_to_{target}": seconds for target, (_, seconds) in reached.items()},
        }
        values = pd.DataFrame(measure(task, solution)).groupby(np.array(task.groups), sort=False)
        means = values.mean().assign(games=values.size()).astype(object)
        unknown = means.columns[means.isna().any()].difference(_MAY_BE_UNKNOWN)
        if len(unknown):
            raise ValueError(f"{unknown[0]}: nan is not allowed; expected a finite number")
        groups = means.where(means.notna(), None).to_dict("index")
        return {"groups": groups, "totals": {**solution.info, **totals}, "curve": record.thinned(MOST_POINTS)}


def units_of(suite: Suite) -> list[Unit]:
    """All units of a suite: task by task, so that all algorithms get ahead together.

    Raises:
        ConfigError: A game, a workload, tasks or an algorithm do not exist.
    """
    if suite.workloads is not None:
        # Needs an extra.
        from stackroute.training.routers.units import router_units

        return [*router_units(suite)]
    if suite.traffic is not None:
        # It imports this module.
        from stackroute.training.benchmark.traffic import traffic_units

        return [*traffic_units(suite)]
    entrants = [find_algorithm(name) for name in suite.algorithms]
    tasks = tasks_of(suite)
    return [
        GameUnit(entrant, task, seed, suite.horizon) for seed in suite.seeds for task in tasks for entrant in entrants
    ]


def run_suite(
    suite: Suite,
    folder: Path,
    *,
    jobs: int = 1,
    backend: Backend = "processes",
    resume: bool = False,
    unit_seconds: float | None = None,
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """Run all units of a suite that the folder does not hold yet.

    Every unit runs in a process of its own, and has a file of its own when it is finished.

    Args:
        suite: The suite.
        folder: Where the results go; made if it does not exist.
        jobs: Units at a time.
        backend: "processes" of this machine, or "ray" for a cluster of Ray: that of the environment variable
            RAY_ADDRESS, or else one on this machine.
        resume: Whether to go on with a folder that holds results. A result counts only if game, settings, seed,
            horizon and versions are still the same.
        unit_seconds: How long a unit may take, after which it is ended and has failed; None for any time.
        on_progress: Called with how many units of each algorithm are done, and how many there are: at the beginning
            and whenever one is finished.

    Returns:
        The results, as of `stackroute.training.benchmark.results.read_results`; a unit that failed has an error.

    Raises:
        ConfigError: A game or an algorithm does not exist.
        RunError: The folder holds results and `resume` is not given, or a machine of the cluster keeps dying.
        OutputError: A file cannot be written, or another process works in the folder.
    """
    units = units_of(suite)
    with locked(folder):
        output_folder(folder / UNITS)
        if (folder / PLAN).exists() and not resume:
            raise RunError(f"{folder}: holds results already; go on with --resume, or choose another folder")
        plan = Plan(suite=suite, versions=versions(), units={unit.name: unit.fingerprint for unit in units})
        write_sealed(folder / PLAN, plan.model_dump(mode="json"))
        missing = [unit for unit in units if not unit.is_done(folder)]
        planned, left = (Counter(unit.entrant.name for unit in some) for some in (units, missing))
        preload = [*dict.fromkeys(module for unit in missing for module in unit.preload)]
        outcomes = (_on_ray if backend == "ray" else in_processes)(
            [functools.partial(result_of, unit) for unit in missing], jobs, unit_seconds, preload
        )
        report = on_progress or (lambda _: None)
        report({name: (count - left[name], count) for name, count in planned.items()})
        with closing(outcomes):
            for number, outcome in outcomes:
                unit = missing[number]
                if isinstance(outcome, Ended):
                    outcome = _begun(unit, **asdict(outcome))
                write_result(folder, unit.name, outcome)
                left[unit.entrant.name] -= 1
                report({name: (count - left[name], count) for name, count in planned.items()})
        return read_results(plan, folder)


def _on_ray(
    calls: Sequence[Callable[[], Result]], jobs: int, seconds: float | None, preload: Sequence[str]
) -> Generator[tuple[int, Result | Ended]]:
    """As `in_processes`, on a cluster, which calls again what a machine was at that died."""
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    waiting, pending = iter(enumerate(calls)), dict[Any, int]()
    run: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(
        lambda call: next(in_processes([call], 1, seconds, preload))[1]
    )
    try:
        while True:
            for number, call in itertools.islice(waiting, jobs - len(pending)):
                pending[run.remote(call)] = number
            if not pending:
                return
            (done, *_), _ = ray.wait([*pending])
            yield pending.pop(done), ray.get(done)
    except ray.exceptions.RayError as error:
        raise RunError(f"ray: a machine died {_RETRIES + 1} times; the last: {error}") from None
    finally:
        if started:
            ray.shutdown()


def result_of(unit: Unit) -> Result:
    """What comes of a unit, run here."""
    return _begun(unit, **unit.measured())


def _begun(unit: Unit, **outcome: Any) -> Result:
    """The result of a unit with what came of it."""
    task, entrant = unit.task, unit.entrant
    return Result(
        fingerprint=unit.fingerprint,
        task=task.name,
        game=task.label,
        penalty_ratio=task.penalty_ratio,
        algorithm=entrant.name,
        summary=entrant.summary,
        seed=unit.seed,
        **outcome,
    )
