"""Units are run once, whatever happens to the processes that run them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stackroute import Commitment, load_game, solve
from stackroute.configs.benchmarks import Suite, load_suite
from stackroute.configs.loading import validated
from stackroute.training import Problem, Solution, register_algorithm
from stackroute.training.benchmark import algorithms
from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.benchmark.report import write_report
from stackroute.training.benchmark.results import (
    UNITS,
    DamagedResultWarning,
    Result,
    as_table,
    read_plan,
    read_results,
    write_files,
)
from stackroute.training.benchmark.running import run_suite, units_of
from stackroute.training.benchmark.tasks import tasks_of
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import OutputError, RunError, file_name, locked

SmallSuite = Callable[..., Suite]

STATIC = {"name": "static", "games": ["g1"], "throttling": False}

pytestmark = pytest.mark.usefixtures("registry")


def without_times(results: list[Result]) -> list[dict[str, Any]]:
    """What a rerun gives again: all but seconds."""
    kept = [result.model_dump() for result in results]
    for result in kept:
        for name in [name for name in result["totals"] if name.startswith("seconds")]:
            del result["totals"][name]
        result["curve"].pop("seconds")
    return kept


def names(results: list[Result]) -> set[tuple[str, str, int]]:
    return {(one.task, one.algorithm, one.seed) for one in results}


def test_a_rerun_gives_the_same(small_suite: SmallSuite, tmp_path: Path) -> None:
    seen: list[dict[str, tuple[int, int]]] = []
    first = run_suite(small_suite(), tmp_path / "first", on_progress=seen.append)
    second = run_suite(small_suite(), tmp_path / "second", jobs=2)
    assert without_times(first) == without_times(second)
    assert seen[0] == {"exact": (0, 4), "random": (0, 4), "guess": (0, 4)}
    assert [sum(done for done, _ in one.values()) for one in seen] == list(range(13))
    assert len(names(first)) == len(first) == 12
    write_files(first, tmp_path / "first")
    table = pd.read_parquet(tmp_path / "first" / "results.parquet")
    pd.testing.assert_frame_equal(table, as_table(first))
    curves = pd.read_parquet(tmp_path / "first" / "curves.parquet")
    mine = curves[(curves.task == "cascade-g4b") & (curves.algorithm == "guess") & (curves.seed == 1)]
    assert len(mine) == 6
    assert mine["tasks"].is_monotonic_increasing


def test_what_is_done_is_not_done_again(small_suite: SmallSuite, tmp_path: Path) -> None:
    suite = small_suite()
    before = run_suite(suite, tmp_path)
    units = sorted((tmp_path / UNITS).iterdir())
    stamps = {path: path.stat().st_mtime_ns for path in units[2:]}
    units[0].unlink()
    units[1].write_text(units[1].read_text()[:100])
    with pytest.raises(RunError, match="holds results already; go on with --resume"):
        run_suite(suite, tmp_path)
    with pytest.warns(DamagedResultWarning, match="the unit counts as not done"):
        assert len(read_results(read_plan(tmp_path), tmp_path)) == 10
    with pytest.warns(DamagedResultWarning, match="the unit counts as not done"):
        assert without_times(run_suite(suite, tmp_path, resume=True)) == without_times(before)
    assert {path: path.stat().st_mtime_ns for path in units[2:]} == stamps
    # More seeds are added to what is there.
    assert len(run_suite(small_suite(seeds=[0, 1, 2]), tmp_path, resume=True)) == 18
    assert {path: path.stat().st_mtime_ns for path in units[2:]} == stamps


def test_a_changed_game_is_run_again(small_suite: SmallSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = load_game("g4b").model_dump(exclude_none=True)
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(content))
    groups = [{"name": "mine", "games": [str(path), "g1"], "throttling": False}]
    suite = small_suite(groups=groups, algorithms=["exact", "random"], seeds=[0])
    before = run_suite(suite, tmp_path / "out")
    write_report(tmp_path / "out")
    path.write_text(json.dumps(content | {"churn_penalty": 9.0}))
    fresh = run_suite(suite, tmp_path / "fresh")
    seen: list[dict[str, tuple[int, int]]] = []
    again = run_suite(suite, tmp_path / "out", resume=True, on_progress=seen.append)
    assert seen[0] == {"exact": (1, 2), "random": (1, 2)}
    assert without_times(again) == without_times(fresh) != without_times(before)
    # So are the results of another version; the report of what there is leaves them out until then.
    monkeypatch.setattr("stackroute.training.benchmark.running.versions", lambda: {"stackroute": "99"})
    assert not {unit.fingerprint for unit in units_of(suite)} & {one.fingerprint for one in again}


def test_an_algorithms_error_is_written_down_and_tried_again(small_suite: SmallSuite, tmp_path: Path) -> None:
    broken, unlucky = True, {derived_seed(1, name) for name in ("static-g1", "cascade-g4b")}

    def fragile(problem: Problem) -> Solution:
        if broken and problem.seed in unlucky:
            raise FloatingPointError("it diverged")
        return Solution(solve(problem.game).commitment, 1.0)

    register_algorithm("fragile", fragile)
    suite = small_suite(algorithms=["fragile", "exact"])
    results = run_suite(suite, tmp_path)
    errors = [one.error for one in results if one.error]
    assert errors == ["FloatingPointError: it diverged"] * 2
    assert len(as_table(results)) == 6
    broken = False
    assert not [one for one in run_suite(suite, tmp_path, resume=True) if one.error]


def test_what_cannot_be_written_is_the_algorithms_error(small_suite: SmallSuite, tmp_path: Path) -> None:
    def lost(problem: Problem) -> Solution:
        problem.add(float("nan"))
        raise AssertionError

    register_algorithm("lost", lost)
    results = run_suite(small_suite(algorithms=["lost"], groups=[STATIC]), tmp_path)
    assert {one.error for one in results} == {"ValueError: regret: nan is not allowed; expected a finite number"}


def test_files_with_settings_have_names_of_their_own(
    small_suite: SmallSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    for name in ("a/b.yaml", "a_b.yaml"):
        Path(name).write_text(json.dumps({"summary": "Mine.", "settings": "simultaneous"}))
    units = units_of(small_suite(algorithms=["a/b.yaml", "a_b.yaml", "exact"]))
    files = {file_name(unit.name) for unit in units}
    assert len(files) == len(units)
    assert not any("/" in name for name in files)
    assert {"static-g1--exact--seed0", "cascade-g4b--a_b.yaml--seed1"} <= files


def test_what_a_scheme_of_training_plays_is_counted(
    small_suite: SmallSuite, tiny_content: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    content = tiny_content("simultaneous")
    settings, algorithm = tmp_path / "settings.yaml", tmp_path / "tiny.yaml"
    settings.write_text(json.dumps(content))
    algorithm.write_text(json.dumps({"summary": "Tiny.", "settings": str(settings)}))
    suite = small_suite(algorithms=[str(algorithm)], groups=[STATIC], seeds=[0])
    (result,) = run_suite(suite, tmp_path / "out")
    assert result.error is None
    players = [content[player] for player in ("user", "provider")]
    played = sum(player["steps"] * player["tasks_per_commitment"] for player in players)
    # At the end of a round the next task has begun in every slot.
    begun = sum(player["rounds"] * player["batch_size"] for player in players)
    # Before the first round and after each, cost and gain are compared on as many tasks.
    evaluated = 2 * 64 * (100_000 // 64)
    assert result.totals["tasks"] == played + begun + (1 + players[0]["rounds"]) * evaluated
    assert result.curve.tasks[0] == evaluated


ENDS: dict[str, tuple[Callable[[], object], str]] = {
    "sys.exit": (lambda: sys.exit(0), "SystemExit: 0"),
    "interrupt": (lambda: (_ for _ in ()).throw(KeyboardInterrupt), "KeyboardInterrupt: "),
    "os._exit": (lambda: os._exit(0), "its process ended with code 0, without a result"),
    "segmentation fault": (
        lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "its process ended by SIGSEGV, without a result",
    ),
    "kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), "its process ended by SIGKILL, without a result"),
    "hang": (lambda: time.sleep(600), "TimeoutError: not finished after 5 seconds"),
    "closed files": (lambda: os.closerange(3, 100), "without a result"),
    "no solution": (lambda: None, "AttributeError: 'NoneType' object has no attribute 'commitment'"),
    "nan": (lambda: Solution(Commitment.static(0), float("nan")), "nan"),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_algorithm_ends_no_unit_but_its_own(small_suite: SmallSuite, tmp_path: Path, end: str) -> None:
    call, message = ENDS[end]
    register_algorithm("ends", lambda problem: call(), "Ends.")
    suite = small_suite(algorithms=["ends", "exact"], groups=[STATIC], seeds=[0, 1])
    # A hundred times what the exact solution takes.
    results = run_suite(suite, tmp_path, jobs=2, unit_seconds=5 if message.startswith("Timeout") else None)
    assert [(one.algorithm, one.error is None) for one in results] == [("ends", False), ("exact", True)] * 2
    assert all(message in str(one.error) for one in results[::2])


def test_what_cannot_be_sent_to_a_process_is_the_units_error(small_suite: SmallSuite, tmp_path: Path) -> None:
    lock = threading.Lock()
    register_algorithm("locked", lambda problem: lock, "Locked.")
    results = run_suite(small_suite(algorithms=["locked", "exact"], groups=[STATIC], seeds=[0]), tmp_path)
    assert "cannot pickle" in str(results[0].error)
    assert results[1].error is None


SLEEPY = """
import os, pathlib, signal, sys, time
from stackroute.training import register_algorithm
from stackroute.training.cli.main import main

def sleepy(problem):
    pathlib.Path("pids", str(os.getpid())).touch()
    time.sleep(600)

register_algorithm("sleepy", sleepy, "Sleeps.")
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_workers_end_with_their_command_which_goes_on(
    small_suite: SmallSuite, tmp_path: Path, sent: int, code: int
) -> None:
    suite = small_suite(algorithms=["exact"], groups=[STATIC])
    (tmp_path / "mine.yaml").write_text(json.dumps(suite.model_dump(exclude_none=True)))
    out, exact = tmp_path / "benchmarks" / "mine", "units/static-g1--exact-*.json"
    (tmp_path / "pids").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPY, "benchmark", "mine.yaml", "--algorithms", "exact,sleepy", "--jobs", "10"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # Other names are those of files that are not finished.
    while len(pids := [int(path.name) for path in (tmp_path / "pids").iterdir()]) < 2 or not [*out.glob(exact)]:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    # Ctrl-C reaches all processes of a terminal.
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    _, errors = process.communicate()
    assert process.returncode == code
    assert errors == ("stopped; the same command with --resume goes on\n" if sent == signal.SIGINT else "")
    deadline = time.monotonic() + 30
    while any(Path("/proc", str(pid)).exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path("/proc", str(pid)).exists() for pid in pids)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob(exact)}
    assert 1 <= len(stamps) <= 2
    register_algorithm("sleepy", find_algorithm("random").algorithm, "Awake.")
    suite = small_suite(algorithms=["exact", "sleepy"], groups=[STATIC])
    results = run_suite(suite, out, resume=True)
    assert without_times(results) == without_times(run_suite(suite, tmp_path / "whole"))
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_two_commands_do_not_share_a_folder(small_suite: SmallSuite, tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(OutputError, match=rf"in use by process {os.getpid()} on .*, since 20.*; wait for it to end"),
    ):
        run_suite(small_suite(), tmp_path)
    assert not (tmp_path / "benchmark.json").exists()
    assert len(run_suite(small_suite(algorithms=["exact"], seeds=[0]), tmp_path)) == 2


@pytest.mark.parametrize("name", ["x" * 120, "x" * 120 + "y", "é" * 200])
def test_long_names_of_settings_are_names_of_files(
    small_suite: SmallSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(*[name[:60]] * 6)
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(json.dumps({"summary": "Mine.", "settings": "absent"}))
    register_algorithm("exact2", lambda problem: Solution(solve(problem.game).commitment, 1.0), "Mine.")
    monkeypatch.setitem(algorithms._REGISTERED, f"{folder}/mine.yaml", algorithms._REGISTERED["exact2"])
    results = run_suite(small_suite(algorithms=[f"{folder}/mine.yaml"], groups=[STATIC]), Path("out"))
    assert [one.error for one in results] == [None, None]


@pytest.mark.convergence
def test_a_cluster_of_ray_gives_the_same_and_goes_on_after_a_death(small_suite: SmallSuite, tmp_path: Path) -> None:
    register_algorithm("deadly", lambda problem: os.kill(os.getpid(), signal.SIGKILL), "Dies.")
    suite = small_suite(algorithms=["guess", "deadly"], groups=[STATIC])
    import ray

    ray.init(num_cpus=2, log_to_driver=False)
    try:
        results = run_suite(suite, tmp_path / "ray", jobs=2, backend="ray")
    finally:
        ray.shutdown()
    assert {one.algorithm for one in results if one.error} == {"deadly"}
    alone = run_suite(small_suite(algorithms=["guess"], groups=[STATIC]), tmp_path / "alone")
    assert without_times([one for one in results if one.algorithm == "guess"]) == without_times(alone)


def test_held_out_games_are_measured_by_group(tmp_path: Path) -> None:
    content = load_suite("amortised").model_dump(exclude_none=True)
    suite = validated(content | {"algorithms": ["exact", "best_static"], "seeds": [0], "horizon": 10}, "suite", Suite)
    table = as_table(run_suite(suite, tmp_path))
    mine = table[table["algorithm"] == "best_static"].set_index("group")
    assert (mine["games"] == 100).all()
    assert len(mine) == 6
    regret = mine["provider_regret"]
    assert regret["only-reasoning-worth-cascade"] > regret["only-reasoning-worth-static"]
    assert tasks_of(suite)[0].game.shape == (600,)
    assert "| best_static" in write_report(tmp_path)[0].read_text()
