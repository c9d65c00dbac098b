"""Running the units of a benchmark over processes or a cluster; what is done already is not done again."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.benchmark.results import Plan, claim, read_units, units_of
from stackroute.training.benchmark.units import UNITS, is_done, run_unit
from stackroute.training.output import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stackroute.configs.benchmarks import Suite
    from stackroute.training.benchmark.algorithms import Entrant
    from stackroute.training.benchmark.units import Unit

    Backend = Literal["loky", "ray"]
    OnProgress = Callable[[dict[str, tuple[int, int]]], None]

_ATTEMPTS = 4
_POLL_SECONDS = 1.0


def run_suite(
    suite: Suite,
    folder: Path,
    *,
    jobs: int = 1,
    backend: Backend = "loky",
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Run all units of a suite that the folder does not hold yet.

    Every unit writes a file of its own when it is finished, so that all workers need to see the folder. If a worker
    dies, the units without a file are run again.

    Args:
        suite: The suite.
        folder: Where the results go; made if it does not exist.
        jobs: Workers.
        backend: "loky" for processes on this machine, "ray" for a cluster of Ray: that of the environment variable
            RAY_ADDRESS, or else one on this machine.
        resume: Whether to go on with a folder that holds results.
        on_progress: Told every second how many units of each algorithm are done, and how many there are.

    Returns:
        The results, as of `read_units`; a unit that failed has an "error".

    Raises:
        ConfigError: A game or an algorithm does not exist.
        RunError: The folder holds other results, workers keep dying, or there is but one job for a cluster.
        OutputError: A file cannot be written.
    """
    if backend == "ray" and jobs < 2:
        raise RunError("jobs: 1 is not allowed with the backend ray; expected 2 or more")
    # Workers of a cluster have working directories of their own.
    folder = folder.resolve()
    entrants = {name: find_algorithm(name) for name in suite.algorithms}
    units = units_of(suite)
    claim(Plan.of(suite, entrants), folder, resume=resume)
    with _watched(units, folder, on_progress), _workers(backend):
        for attempt in range(1, _ATTEMPTS + 1):
            missing = [unit for unit in units if not is_done(unit, folder)]
            try:
                _run(missing, entrants, folder, jobs, backend)
                break
            except _deaths(backend) as error:
                if attempt == _ATTEMPTS:
                    raise RunError(f"{folder}: workers died {attempt} times; the last: {error}") from None
                warnings.warn(f"a worker died and its work is done again ({type(error).__name__})", stacklevel=2)
    return read_units(suite, folder)


def _deaths(backend: Backend) -> tuple[type[Exception], ...]:
    """What is raised when a worker dies; the errors of algorithms are written down as their results."""
    if backend == "ray":
        from ray.exceptions import RayActorError, WorkerCrashedError

        return RayActorError, WorkerCrashedError
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return (TerminatedWorkerError,)


def _run(units: list[Unit], entrants: dict[str, Entrant], folder: Path, jobs: int, backend: Backend) -> None:
    import joblib

    parallel = joblib.Parallel(n_jobs=jobs, backend=backend, batch_size=1, pre_dispatch="all")
    # The algorithms travel with their units: another process need not know what was registered in this one.
    parallel(joblib.delayed(run_unit)(unit, entrants[unit.algorithm], folder) for unit in units)


@contextmanager
def _workers(backend: Backend) -> Iterator[None]:
    """Make the backend known, and shut down afterwards what was started for it."""
    if backend != "ray":
        yield
        return
    import ray
    from ray.util.joblib import register_ray

    register_ray()  # type: ignore[no-untyped-call]
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    try:
        yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _watched(units: list[Unit], folder: Path, on_progress: OnProgress | None) -> Iterator[None]:
    """Tell every second what is done, and once more in the end."""
    if on_progress is None:
        yield
        return
    stop = threading.Event()

    def tell() -> None:
        written = {path.name for path in (folder / UNITS).iterdir()}
        done: dict[str, tuple[int, int]] = {}
        for unit in units:
            finished, all_of_them = done.get(unit.algorithm, (0, 0))
            done[unit.algorithm] = finished + (unit.path(folder).name in written), all_of_them + 1
        on_progress(done)

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        tell()
