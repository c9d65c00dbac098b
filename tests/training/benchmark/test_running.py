"""Units are run once, whatever happens to the processes that run them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from stackroute import solve
from stackroute.configs import ConfigError
from stackroute.configs.benchmarks import Suite, load_suite, tasks_of
from stackroute.configs.loading import validated
from stackroute.configs.training import SimultaneousSettings, load_training_settings
from stackroute.training import Problem, Solution, register_algorithm
from stackroute.training.benchmark.results import COLUMNS, as_rows, read_plan, units_of, write_files
from stackroute.training.benchmark.running import run_suite
from stackroute.training.benchmark.units import UNITS
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import RunError

SmallSuite = Callable[..., Suite]

STATIC = {"name": "static", "games": ["g1"], "throttling": False}

pytestmark = pytest.mark.usefixtures("registry")


def without_times(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a rerun gives again: all but seconds."""
    kept = json.loads(json.dumps(results))
    for result in kept:
        for name in [name for name in result if name.startswith("seconds")]:
            del result[name]
        result["curve"].pop("seconds")
    return kept


def test_a_rerun_gives_the_same(small_suite: SmallSuite, tmp_path: Path) -> None:
    told: list[dict[str, tuple[int, int]]] = []
    first = run_suite(small_suite(), tmp_path / "first", on_progress=told.append)
    second = run_suite(small_suite(), tmp_path / "second", jobs=2)
    assert without_times(first) == without_times(second)
    assert told[-1] == {"exact": (4, 4), "random": (4, 4), "guess": (4, 4)}
    assert len(first) == 12
    assert len({(one["task"], one["algorithm"], one["seed"]) for one in first}) == 12
    write_files(first, tmp_path / "first")
    table = parquet.read_table(tmp_path / "first" / "results.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table.to_pylist() == as_rows(first)
    curves = parquet.read_table(tmp_path / "first" / "curves.parquet").to_pylist()
    mine = [row for row in curves if (row["task"], row["algorithm"], row["seed"]) == ("cascade-g4b", "guess", 1)]
    assert len(mine) == 6
    assert [row["tasks"] for row in mine] == sorted(row["tasks"] for row in mine)


def test_what_is_done_is_not_done_again(small_suite: SmallSuite, tmp_path: Path) -> None:
    suite = small_suite()
    run_suite(suite, tmp_path)
    units = sorted((tmp_path / UNITS).iterdir())
    stamps = {path: path.stat().st_mtime_ns for path in units[1:]}
    whole = units[0].read_text()
    units[0].unlink()
    with pytest.raises(RunError, match="holds results already; go on with --resume"):
        run_suite(suite, tmp_path)
    run_suite(suite, tmp_path, resume=True)
    assert {path: path.stat().st_mtime_ns for path in units[1:]} == stamps
    again = [json.loads(text) for text in (whole, units[0].read_text())]
    assert without_times(again[:1]) == without_times(again[1:])
    units[1].write_text("")
    run_suite(suite, tmp_path, resume=True)
    assert json.loads(units[1].read_text())["error"] is None
    with pytest.raises(RunError, match=r"holds results with another suite \(seeds\); choose another folder"):
        run_suite(small_suite(seeds=[0, 1, 2]), tmp_path, resume=True)
    assert read_plan(tmp_path).suite == suite


@pytest.mark.parametrize(
    ("part", "key", "now"),
    [("versions", "numpy", "1.0"), ("settings", "exact", {"rounds": 3}), ("games", "static-g1", {"value": 9.0})],
)
def test_results_of_other_versions_settings_or_games_are_not_mixed(
    small_suite: SmallSuite, tmp_path: Path, part: str, key: str, now: object
) -> None:
    run_suite(small_suite(algorithms=["exact"]), tmp_path)
    plan = json.loads((tmp_path / "benchmark.json").read_text())
    plan[part][key] = now
    (tmp_path / "benchmark.json").write_text(json.dumps(plan))
    with pytest.raises(RunError, match=rf"holds results with another {part} \({key}\); choose another folder"):
        run_suite(small_suite(algorithms=["exact"]), tmp_path, resume=True)


def test_an_algorithms_error_is_written_down_and_tried_again(small_suite: SmallSuite, tmp_path: Path) -> None:
    broken, unlucky = True, {derived_seed(1, name) for name in ("static-g1", "cascade-g4b")}

    def fragile(problem: Problem) -> Solution:
        if broken and problem.seed in unlucky:
            raise FloatingPointError("it diverged")
        return Solution(solve(problem.game).commitment, 1.0)

    register_algorithm("fragile", fragile)
    suite = small_suite(algorithms=["fragile", "exact"])
    results = run_suite(suite, tmp_path)
    errors = [one["error"] for one in results if one["error"]]
    assert errors == ["FloatingPointError: it diverged"] * 2
    assert len(as_rows(results)) == 6
    broken = False
    assert not [one for one in run_suite(suite, tmp_path, resume=True) if one["error"]]


def test_what_cannot_be_written_is_the_algorithms_error(small_suite: SmallSuite, tmp_path: Path) -> None:
    def lost(problem: Problem) -> Solution:
        problem.add(float("nan"))
        raise AssertionError

    register_algorithm("lost", lost)
    results = run_suite(small_suite(algorithms=["lost"], tasks=[STATIC]), tmp_path)
    assert {one["error"] for one in results} == {"ValueError: regret: nan is not allowed; expected a finite number"}


def test_files_with_settings_have_names_of_their_own(small_suite: SmallSuite) -> None:
    suite = small_suite(algorithms=["a/b.yaml", "a_b.yaml", "exact"])
    names = [unit.name for unit in units_of(suite)]
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)


def test_a_cluster_of_one_is_refused(small_suite: SmallSuite, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="jobs: 1 is not allowed with the backend ray; expected 2 or more"):
        run_suite(small_suite(), tmp_path, backend="ray")


def test_what_a_scheme_of_training_plays_is_counted(tmp_path: Path) -> None:
    tiny = {
        "summary": "Tiny.",
        "settings": "simultaneous",
        "changes": [f"{player}.{key}" for player in ("user", "provider") for key in ("rounds=1", "batch_size=16")],
    }
    loaded = load_training_settings("simultaneous")
    assert isinstance(loaded, SimultaneousSettings)
    for player in ("user", "provider"):
        steps = 16 * (getattr(loaded, player).rollout_length or 1)
        tiny["changes"] += [f"{player}.steps={steps}", f"{player}.minibatches=4"]  # type: ignore[operator]
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny))
    suite = validated(
        {"summary": "One.", "tasks": [STATIC], "algorithms": [str(path)], "seeds": [0], "horizon": 10}, "suite", Suite
    )
    (result,) = run_suite(suite, tmp_path / "out")
    assert result["error"] is None
    played = sum(
        settings.steps_per_round * settings.tasks_per_commitment
        for settings in (
            load_training_settings("simultaneous", tiny["changes"]).user,  # type: ignore[union-attr, arg-type]
            load_training_settings("simultaneous", tiny["changes"]).provider,
        )  # type: ignore[union-attr, arg-type]
    )
    judged = 2 * 2 * 64 * (100_000 // 64)
    assert result["tasks"] == played + judged
    assert result["curve"]["tasks"][0] == judged // 2


def deadly(folder: str) -> Callable[[Problem], Solution]:
    """An algorithm that counts its calls, and kills its process in the second of them."""

    def algorithm(problem: Problem) -> Solution:
        calls = Path(folder)
        (calls / f"{problem.seed}-{time.time_ns()}").touch()
        if len(list(calls.iterdir())) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return Solution(solve(problem.game).commitment, 1.0)

    return algorithm


def check_after_a_death(folder: Path, calls: Path, results: list[dict[str, Any]], count: int) -> None:
    assert not [one for one in results if one["error"]]
    assert len({(one["task"], one["algorithm"], one["seed"]) for one in results}) == len(results) == count
    assert len(list((folder / UNITS).iterdir())) == count
    # Nothing but what was in the works when the process died was begun twice.
    assert count < len(list(calls.iterdir())) <= count + 2


def test_the_death_of_a_process_loses_nothing(small_suite: SmallSuite, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    register_algorithm("deadly", deadly(str(calls)))
    suite = small_suite(algorithms=["deadly"], seeds=[0, 1, 2])
    with pytest.warns(UserWarning, match="a worker died and its work is done again"):
        results = run_suite(suite, tmp_path / "out", jobs=2)
    check_after_a_death(tmp_path / "out", calls, results, 6)


def test_workers_that_keep_dying_are_an_error(
    small_suite: SmallSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackroute.training.benchmark.running._ATTEMPTS", 2)

    def suicidal(problem: Problem) -> Solution:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    register_algorithm("suicidal", suicidal)
    with pytest.warns(UserWarning, match="a worker died"), pytest.raises(RunError, match="workers died 2 times"):
        run_suite(small_suite(algorithms=["suicidal"]), tmp_path, jobs=2)


def test_a_killed_benchmark_goes_on(small_suite: SmallSuite, tmp_path: Path) -> None:
    suite = small_suite(algorithms=["exact", "tabular_q"], tasks=[STATIC], seeds=[0, 1, 2])
    path, out = tmp_path / "mine.yaml", tmp_path / "killed"
    path.write_text(yaml.safe_dump(suite.model_dump(exclude_none=True)))
    command = [sys.executable, "-c", "from stackroute.training.cli.main import main; main()", "benchmark", str(path)]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--jobs", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(list((out / UNITS).glob("*tabular*.json"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    done = len(list((out / UNITS).glob("*.json")))
    assert 1 <= done < 6
    # Orphaned workers finish what they are at; wait until nothing changes any more.
    while (count := len(list((out / UNITS).iterdir()))) != done:
        done = count
        time.sleep(3)
    results = run_suite(suite, out, resume=True)
    assert without_times(results) == without_times(run_suite(suite, tmp_path / "whole"))


@pytest.mark.convergence
def test_a_cluster_of_ray_gives_the_same_and_survives_the_death_of_a_worker(
    small_suite: SmallSuite, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    register_algorithm("deadly", deadly(str(calls)))
    suite = small_suite(algorithms=["guess", "deadly"], seeds=[0, 1, 2])
    import ray

    ray.init(num_cpus=2, log_to_driver=False)
    try:
        with pytest.warns(UserWarning, match="a worker died and its work is done again"):
            results = run_suite(suite, tmp_path / "ray", jobs=2, backend="ray")
    finally:
        ray.shutdown()
    mine = [one for one in results if one["algorithm"] == "deadly"]
    assert len(list((tmp_path / "ray" / UNITS).iterdir())) == len(results) == 12
    assert not [one for one in results if one["error"]]
    assert len(mine) == 6
    assert 6 < len(list(calls.iterdir())) <= 8
    alone = run_suite(small_suite(algorithms=["guess"], seeds=[0, 1, 2]), tmp_path / "alone")
    assert without_times([one for one in results if one["algorithm"] == "guess"]) == without_times(alone)


def test_held_out_games_are_judged_by_group(small_suite: SmallSuite, tmp_path: Path) -> None:
    content = load_suite("amortised").model_dump(exclude_none=True)
    suite = validated(content | {"algorithms": ["exact", "best_static"], "seeds": [0], "horizon": 10}, "suite", Suite)
    results = run_suite(suite, tmp_path)
    rows = [row for row in as_rows(results) if row["algorithm"] == "best_static"]
    assert [row["games"] for row in rows] == [100] * 6
    by_group = {row["group"]: row["provider_regret"] for row in rows}
    assert by_group["only-reasoning-worth-cascade"] > by_group["only-reasoning-worth-static"]
    assert tasks_of(suite)[0].game.shape == (600,)
    with pytest.raises(ConfigError, match="seeds: 3 is not allowed; expected a valid list"):
        validated(content | {"seeds": 3}, "suite", Suite)


def test_bad_suites_are_named(small_suite: SmallSuite) -> None:
    with pytest.raises(ConfigError, match="tasks: expected either tasks or held_out"):
        small_suite(tasks=None)
    with pytest.raises(ConfigError, match="are not allowed; expected different ones"):
        small_suite(algorithms=["exact", "exact"])
    with pytest.raises(ConfigError, match="2 tasks are called 'static-g1'"):
        tasks_of(small_suite(tasks=[STATIC | {"games": ["g1", "g1"]}]))
    suite = small_suite(algorithms=["exact"])
    assert [unit.name for unit in units_of(suite)][:2] == ["static-g1--exact--seed0", "cascade-g4b--exact--seed0"]
