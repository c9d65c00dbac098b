"""Sweeps: many runs over processes, with one table of results; what is done already is not done again."""

from __future__ import annotations

import csv
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from stackroute.configs.sweeps import planned_runs
from stackroute.configs.training import load_training_settings
from stackroute.training.learn.runs import REPORT, RUN, TIMES, RunSpec, go_on, read_json, start
from stackroute.training.output import RunError, output_folder, replacing, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stackroute.configs.sweeps import Planned, Sweep

    Row = dict[str, Any]
    OnRun = Callable[[int, int, str], None]

RESULTS = "results.csv"
SUMMARY = "summary.md"
RUNS = "runs"
PLAN = "sweep.json"
STAGES = ("provider", "zoom", "certificate")

_NAMED = ("run", "group", "game", "scheme", "settings", "throttling", "seed", "penalty_ratio")
_MEASURED = (
    "provider_regret",
    "provider_regret_pessimistic",
    "user_regret",
    "on_path_regret",
    "start_model_right",
    "cascade_error",
    "throttling_right",
    "certified",
)
_CHOSEN = ("model", "cascade", "patience", "throttled", "provider_cost", "user_utility")
_TEXTS = ("run", "group", "game", "scheme", "settings", "error")
COLUMNS = (
    *_NAMED,
    "seconds",
    "cpu_seconds",
    *_MEASURED,
    *(f"{side}_{name}" for side in ("learned", "exact") for name in _CHOSEN),
    *(f"regret_after_{stage}" for stage in STAGES),
    "error",
)
"""The columns of `results.csv`; a cell without a value is empty."""


def run_sweep(sweep: Sweep, folder: Path, *, jobs: int = 1, on_progress: OnRun | None = None) -> list[Row]:
    """Make all runs of a sweep that its folder does not hold yet, and write the table.

    Args:
        sweep: The sweep.
        folder: Where its runs and `results.csv` go; made if it does not exist.
        jobs: Processes.
        on_progress: Told after each run how many are done, how many there are, and its name.

    Returns:
        The rows of the table, in the order of the sweep; a run that failed has an "error".

    Raises:
        ConfigError: A game or settings do not exist.
        RunError: The folder holds another sweep.
        OutputError: A file cannot be written.
    """
    runs = planned_runs(sweep)
    specs = {run.name: _spec(run) for run in runs}
    _claim(folder, sweep)
    errors: dict[str, str] = {}
    missing = [run for run in runs if not (folder / RUNS / run.name / REPORT).exists()]
    done = len(runs) - len(missing)
    # Forked processes would inherit locks of numerical libraries.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {pool.submit(_one, specs[run.name], folder / RUNS / run.name): run for run in missing}
        try:
            for future in as_completed(pending):
                run, error = pending[future], future.exception()
                if error is not None:
                    errors[run.name] = f"{type(error).__name__}: {error}"
                done += 1
                _write(folder, _rows(runs, specs, folder, errors))
                if on_progress is not None:
                    on_progress(done, len(runs), run.name)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    rows = _rows(runs, specs, folder, errors)
    _write(folder, rows)
    return rows


def read_results(folder: Path) -> list[Row]:
    """The rows of a sweep's table, with numbers as numbers and empty cells as None.

    Raises:
        RunError: There is no such table.
    """
    try:
        with (folder / RESULTS).open(encoding="utf-8", newline="") as file:
            return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise RunError(f"{folder / RESULTS}: no such file; expected the folder of a sweep") from None


def _value(name: str, text: str) -> Any:
    if text in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[text]
    return text if name in _TEXTS else float(text)


def _spec(run: Planned) -> RunSpec:
    settings = load_training_settings(run.group.settings, run.group.changes)
    return RunSpec(run.config, settings, run.group.throttling, run.seed)


def _claim(folder: Path, sweep: Sweep) -> None:
    """Make the folder ready, or see that it holds the same sweep."""
    output_folder(folder / RUNS)
    if (folder / PLAN).exists() and read_json(folder / PLAN) != sweep.model_dump():
        raise RunError(f"{folder}: holds another sweep; choose another folder")
    write_json(folder / PLAN, sweep.model_dump())


def _one(spec: RunSpec, folder: Path) -> None:
    """Make a run, in a process of its own; one that was cut off goes on."""
    if not (folder / RUN).exists() or read_json(folder / RUN) != spec.as_json():
        start(spec, folder)
    go_on(folder, logs=False)


def _rows(runs: list[Planned], specs: dict[str, RunSpec], folder: Path, errors: dict[str, str]) -> list[Row]:
    rows = []
    for run in runs:
        path = folder / RUNS / run.name
        if (path / REPORT).exists() or run.name in errors:
            report = read_json(path / REPORT) if (path / REPORT).exists() else None
            times = read_json(path / TIMES) if report else {}
            rows.append(_row(run, specs[run.name], report, times, errors.get(run.name)))
    return rows


def _row(run: Planned, spec: RunSpec, report: Row | None, times: Row, error: str | None) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "run": run.name,
        "group": run.group.name,
        "game": run.config.name,
        "scheme": spec.settings.scheme,
        "settings": " ".join([run.group.settings, *run.group.changes]),
        "throttling": run.group.throttling,
        "seed": run.seed,
        "penalty_ratio": run.penalty_ratio,
        "error": error,
    }
    if report is not None:
        row |= times | {name: report[name] for name in _MEASURED}
        for side, key in (("learned", "learned"), ("exact", "equilibrium")):
            row |= {f"{side}_{name}": report[key][name] for name in _CHOSEN}
        after = {stage["stage"]: stage["provider_regret"] for stage in report["stages"]}
        row |= {f"regret_after_{stage}": after.get(stage) for stage in STAGES}
    return row


def _write(folder: Path, rows: list[Row]) -> None:
    with replacing(folder / RESULTS) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
