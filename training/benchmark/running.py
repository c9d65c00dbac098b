"""Running the units of a benchmark over processes or a cluster; what is done already is not done again."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Literal

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from stackroute.training.benchmark.results import claim, read_results, units_of
from stackroute.training.benchmark.units import is_done, run_unit
from stackroute.training.output import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.units import Result, Unit

    Backend = Literal["loky", "ray"]
    OnProgress = Callable[[dict[str, tuple[int, int]]], None]

_ATTEMPTS = 4


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
    plan = claim(suite, units, folder, resume=resume)
    planned = Counter(unit.entrant.name for unit in units)
    run = _on_ray if backend == "ray" else _on_processes
    for attempt in range(1, _ATTEMPTS + 1):
        missing = [unit for unit in units if not is_done(unit, folder)]
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
    yield from parallel(joblib.delayed(run_unit)(unit, folder) for unit in units)


def _on_ray(units: list[Unit], folder: Path, jobs: int) -> Iterator[str]:
    """The same on a cluster, which itself runs again what a dead worker was at."""
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    waiting = iter(units)
    run = ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(run_unit)
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
