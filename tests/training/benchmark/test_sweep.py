"""Sweeps, and the commands that look at runs and sweeps."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from stable_baselines3 import PPO

from stackroute import Commitment, Regime, load_game, solve
from stackroute.agents import FixedPatienceUser, StaticProvider, load_user, save_policy
from stackroute.analytic import throttling_gain
from stackroute.configs import ConfigError
from stackroute.configs.sweeps import load_sweep, planned_runs
from stackroute.configs.training import TrainingSettings
from stackroute.envs import ProviderBatch
from stackroute.envs.sb3 import ProviderVecEnv
from stackroute.training.benchmark.sweep import COLUMNS, read_results, run_sweep
from stackroute.training.benchmark.sweep_plot import draw_sweep
from stackroute.training.cli.main import main
from stackroute.training.figures.curves import draw_run
from stackroute.training.learn.runs import RunSpec, evaluate_run, run_game, start
from stackroute.training.output import RunError

TinyContent = Callable[..., dict[str, Any]]
TinySettings = Callable[..., TrainingSettings]

PNG = b"\x89PNG"


@pytest.fixture
def sweep_file(tiny_content: TinyContent, tmp_path: Path) -> Callable[..., Path]:
    """Writes a sweep with tiny settings."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_content()))

    def written(*groups: dict[str, Any], name: str = "mine.yaml") -> Path:
        common = {"settings": str(tmp_path / "tiny.yaml"), "seeds": [0], "throttling": False}
        path = tmp_path / name
        path.write_text(yaml.safe_dump({"groups": [common | group for group in groups]}))
        return path

    return written


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def stackroute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs the command line in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["stackroute", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return call


def run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the runs of a sweep in this process: a process of its own takes seconds to import everything."""
    from concurrent.futures import Future

    class Here:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> "Here":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
            future: Future[Any] = Future()
            try:
                future.set_result(call(*arguments))
            except Exception as error:
                future.set_exception(error)
            return future

    monkeypatch.setattr("stackroute.training.benchmark.sweep.ProcessPoolExecutor", Here)


def test_runs_over_processes_give_the_same_table_as_one_after_the_other(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = load_sweep(sweep_file({"name": "a", "games": ["g1", "g4b"]}))
    told: list[tuple[int, int, str]] = []
    two = run_sweep(sweep, tmp_path / "two", jobs=2, on_progress=lambda *args: told.append(args))
    assert sorted(name for *_, name in told) == ["a-g1-seed0", "a-g4b-seed0"]
    assert [(done, total) for done, total, _ in told] == [(1, 2), (2, 2)]
    run_here(monkeypatch)
    one = run_sweep(sweep, tmp_path / "one", jobs=1)
    assert [row["run"] for row in one] == ["a-g1-seed0", "a-g4b-seed0"]
    assert [without_times(row) for row in one] == [without_times(row) for row in two]
    assert all(row["error"] is None for row in one)


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("seconds", "cpu_seconds")}


def test_the_table_has_every_run_beside_the_equilibrium(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(monkeypatch)
    path = sweep_file(
        {"name": "a", "games": ["g4b"], "seeds": [3, 4], "changes": ["features=theory"]},
        {"name": "b", "games": ["g7"], "throttling": True},
    )
    rows = run_sweep(load_sweep(path), tmp_path / "out")
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == list(COLUMNS)
    assert [line[0] for line in table[1:]] == ["a-g4b-seed3", "a-g4b-seed4", "b-g7-seed0"]
    read = read_results(tmp_path / "out")
    assert [row["throttling"] for row in read] == [False, False, True]
    assert [row["seed"] for row in read] == [3, 4, 0]
    assert read[0]["settings"] == f"{tmp_path / 'tiny.yaml'} features=theory"
    for row, kept in zip(rows, read, strict=True):
        report = json.loads((tmp_path / "out" / "runs" / row["run"] / "report.json").read_text())
        assert kept["provider_regret"] == row["provider_regret"] == report["provider_regret"]
        assert kept["regret_after_provider"] == report["stages"][0]["provider_regret"]
        assert kept["regret_after_zoom"] is kept["regret_after_certificate"] is kept["certified"] is None
        assert kept["learned_model"] == report["learned"]["model"]
        exact = solve(load_game(row["game"]).game, throttling=row["throttling"])
        assert kept["exact_provider_cost"] == pytest.approx(float(exact.provider_cost))
        assert kept["seconds"] > 0
        assert kept["error"] is None


def test_what_is_finished_is_not_run_again(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(monkeypatch)
    sweep = load_sweep(sweep_file({"name": "a", "games": ["g1"], "seeds": [0, 1, 2]}))
    first = run_sweep(sweep, tmp_path / "out")
    runs = tmp_path / "out" / "runs"
    (runs / "a-g1-seed1" / "report.json").unlink()
    sentinel = runs / "a-g1-seed0" / "report.json"
    changed = json.loads(sentinel.read_text()) | {"provider_regret": 12.5}
    sentinel.write_text(json.dumps(changed))
    told: list[str] = []
    again = run_sweep(sweep, tmp_path / "out", on_progress=lambda *args: told.append(args[2]))
    assert told == ["a-g1-seed1"]
    assert [row["provider_regret"] for row in again] == [12.5, *(row["provider_regret"] for row in first[1:])]
    (tmp_path / "out" / "results.csv").unlink()
    assert run_sweep(sweep, tmp_path / "out") == again
    assert (tmp_path / "out" / "results.csv").exists()


def test_a_run_that_was_cut_off_goes_on_and_one_of_another_specification_starts_again(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(monkeypatch)
    sweep = load_sweep(sweep_file({"name": "a", "games": ["g1"], "seeds": [0, 1]}))
    first = run_sweep(sweep, tmp_path / "out")
    runs = tmp_path / "out" / "runs"
    for seed in (0, 1):
        (runs / f"a-g1-seed{seed}" / "report.json").unlink()
    other = json.loads((runs / "a-g1-seed1" / "run.json").read_text()) | {"seed": 99}
    (runs / "a-g1-seed1" / "run.json").write_text(json.dumps(other))
    started: list[str] = []

    def noted(spec: RunSpec, folder: Path) -> None:
        started.append(folder.name)
        start(spec, folder)

    monkeypatch.setattr("stackroute.training.benchmark.sweep.start", noted)
    again = run_sweep(sweep, tmp_path / "out")
    assert started == ["a-g1-seed1"]
    assert [without_times(row) for row in again] == [without_times(row) for row in first]


def test_a_run_that_fails_is_recorded_and_the_others_go_on(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(monkeypatch)
    sweep = load_sweep(sweep_file({"name": "a", "games": ["g1"], "seeds": [0, 1, 2]}))
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / "a-g1-seed1").write_text("in the way")
    rows = run_sweep(sweep, tmp_path / "out")
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert "OutputError" in rows[1]["error"]
    assert rows[1]["provider_regret"] is None
    assert read_results(tmp_path / "out")[1]["error"] == rows[1]["error"]
    (tmp_path / "out" / "runs" / "a-g1-seed1").unlink()
    again = run_sweep(sweep, tmp_path / "out")
    assert [row["error"] for row in again] == [None] * 3
    assert [again[k] for k in (0, 2)] == [rows[k] for k in (0, 2)]


def test_a_folder_of_another_sweep_is_refused(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(monkeypatch)
    run_sweep(load_sweep(sweep_file({"name": "a", "games": ["g1"]})), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="out: holds another sweep; choose another folder"):
        run_sweep(load_sweep(sweep_file({"name": "a", "games": ["g1"], "seeds": [1]})), tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_penalty_ratios_are_multiples_of_the_throttling_threshold(sweep_file: Callable[..., Path]) -> None:
    path = sweep_file({"name": "a", "games": ["g7", "g8"], "throttling": True, "penalty_ratios": [0.5, 0.99, 1.01, 4]})
    runs = planned_runs(load_sweep(path))
    assert [run.name for run in runs[:3]] == ["a-g7-0.5-seed0", "a-g7-0.99-seed0", "a-g7-1.01-seed0"]
    assert len({run.name for run in runs}) == len(runs) == 8
    for run in runs:
        threshold = float(throttling_gain(load_game(run.config.name).game).churn_penalty_high)
        assert run.penalty_ratio is not None
        assert run.config.churn_penalty == pytest.approx(run.penalty_ratio * threshold, rel=1e-12)
        costs = [float(solve(run.config.game, throttling=throttling).provider_cost) for throttling in (False, True)]
        assert (costs[1] < costs[0] * (1 - 1e-9)) is (run.penalty_ratio < 1)


def test_a_game_in_which_throttling_never_pays_has_no_penalty_ratios(sweep_file: Callable[..., Path]) -> None:
    path = sweep_file({"name": "a", "games": ["g3"], "throttling": True, "penalty_ratios": [1.0]})
    with pytest.raises(ConfigError, match="penalty_ratios: throttling never pays in g3"):
        planned_runs(load_sweep(path))


STRATA = {
    "both_worth": (Regime.BOTH_WORTH, None),
    "neither_worth": (Regime.NEITHER_WORTH, None),
    "only_reasoning_worth_static": (Regime.ONLY_REASONING_WORTH, False),
    "only_reasoning_worth_cascade": (Regime.ONLY_REASONING_WORTH, True),
    "only_standard_worth_static": (Regime.ONLY_STANDARD_WORTH, False),
    "only_standard_worth_cascade": (Regime.ONLY_STANDARD_WORTH, True),
}


@pytest.mark.parametrize("stratum", STRATA)
def test_random_games_lie_in_their_stratum(sweep_file: Callable[..., Path], stratum: str) -> None:
    drawn = {"stratum": stratum, "count": 4, "seed": 6}
    runs, same, other = (
        planned_runs(load_sweep(sweep_file({"name": "r", "random_games": drawn | {"seed": seed}})))
        for seed in (6, 6, 7)
    )
    assert [run.name for run in runs] == [f"r-random{k}-seed0" for k in range(4)]
    assert [run.config for run in runs] == [run.config for run in same]
    assert [run.config for run in runs] != [run.config for run in other]
    regime, cascade = STRATA[stratum]
    for run in runs:
        found = solve(run.config.game)
        assert found.regime == regime
        inner = int(found.commitment.model) == 1 and 0 < float(found.commitment.cascade) < 1
        if cascade is not None:
            assert inner is cascade


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"name": "a"}, "games: expected either games or random_games"),
        ({"name": "a b", "games": ["g1"]}, "name: 'a b' is not allowed"),
        ({"name": "a", "games": []}, "games: "),
        ({"name": "a", "games": ["g1"], "seeds": []}, "seeds: "),
        ({"name": "a", "games": ["g1"], "seeds": [-1]}, "seeds.0: -1 is not allowed"),
        ({"name": "a", "games": ["g1"], "penalty_ratios": [0.0]}, "penalty_ratios.0: 0.0 is not allowed"),
        ({"name": "a", "games": ["g1"], "seed": 1}, "seed: unknown key"),
        ({"name": "a", "random_games": {"stratum": "all", "count": 1, "seed": 0}}, "random_games.stratum: 'all'"),
    ],
)
def test_sweeps_that_are_not_allowed_are_one_line(
    sweep_file: Callable[..., Path], group: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_sweep(sweep_file(group))
    assert f"groups.0.{message}" in str(caught.value) or f"groups.0: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_groups_have_different_names(sweep_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="expected different ones"):
        load_sweep(sweep_file({"name": "a", "games": ["g1"]}, {"name": "a", "games": ["g2"]}))


def test_pictures_of_a_sweep(
    sweep_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stackroute: Callable[..., Result],
) -> None:
    run_here(monkeypatch)
    groups = [
        {"name": "plain", "games": ["g1"]},
        {"name": "swept", "games": ["g7"], "throttling": True, "penalty_ratios": [0.5, 2.0]},
    ]
    result = stackroute("sweep", sweep_file(*groups), "--out", tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert "3 runs, 0 failed" in " ".join(result.stdout.split())
    result = stackroute("plot", tmp_path / "out", "--out", tmp_path / "pictures")
    assert (result.returncode, result.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"regrets.png", "throttling.png"}
    assert all(path.read_bytes().startswith(PNG) for path in (tmp_path / "pictures").iterdir())
    run_sweep(load_sweep(sweep_file(groups[0], name="plain.yaml")), tmp_path / "plain")
    assert [path.name for path in draw_sweep(tmp_path / "plain", tmp_path)] == ["regrets.png"]


def test_a_sweep_with_failures_ends_with_code_1_and_names_them(
    sweep_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stackroute: Callable[..., Result],
) -> None:
    run_here(monkeypatch)
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / "a-g1-seed0").write_text("in the way")
    result = stackroute("sweep", sweep_file({"name": "a", "games": ["g1"], "seeds": [0, 1]}), "--out", "out")
    assert result.returncode == 1
    assert result.stderr.startswith("a-g1-seed0: OutputError: ")
    assert len(result.stderr.splitlines()) == 1
    assert "1 runs, 1 failed" in " ".join(result.stdout.split())


@pytest.fixture
def finished(tiny_settings: TinySettings, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    run_game(RunSpec(load_game("g7"), tiny_settings(), throttling=True, seed=1), folder)
    return folder


def test_a_run_is_drawn(finished: Path, tmp_path: Path, stackroute: Callable[..., Result]) -> None:
    drawn = draw_run(finished, tmp_path)
    assert [path.name for path in drawn] == ["learning_curves.png", "learned_response.png"]
    assert all(path.read_bytes().startswith(PNG) for path in drawn)
    result = stackroute("plot", finished)
    assert (result.returncode, result.stderr) == (0, "")
    assert (finished / "learned_response.png").read_bytes() == drawn[1].read_bytes()


def test_a_run_is_judged_as_it_was_reported(finished: Path, stackroute: Callable[..., Result]) -> None:
    report = json.loads((finished / "report.json").read_text())
    result = stackroute("evaluate", finished, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found == {key: report[key] for key in found}
    assert {"provider_regret", "provider_regret_pessimistic", "learned", "equilibrium"} <= set(found)
    table = stackroute("evaluate", finished)
    assert table.returncode == 0
    right = {True: "right", False: "wrong"}[found["throttling_right"]]
    assert f"throttling {right}" in " ".join(table.stdout.split())


@pytest.mark.filterwarnings("ignore:.*runs code of whoever made this file")
def test_a_model_of_stable_baselines3_is_judged_only_if_trusted(
    finished: Path, tmp_path: Path, stackroute: Callable[..., Result]
) -> None:
    game = load_game("g7").game
    batch = ProviderBatch(game, FixedPatienceUser(0.5), 4, throttling=True)
    model = PPO("MlpPolicy", ProviderVecEnv(batch), seed=11, device="cpu")
    model.save(tmp_path / "model.zip")
    refused = stackroute("evaluate", finished, "--provider", "model.zip", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "model.zip: a zip file of stable-baselines3 can run code" in refused.stderr
    judged = stackroute("evaluate", finished, "--provider", "model.zip", "--trust", "--json")
    assert judged.returncode == 0
    learned = json.loads(judged.stdout)["learned"]
    evaluation = evaluate_run(finished, provider=tmp_path / "model.zip", trust=True)
    assert learned["cascade"] == evaluation.learned.cascade
    action, _ = model.predict(batch.observation[:1], deterministic=True)
    assert learned["model"] == (2 if action[0, 0] > 0 else 1)
    assert learned != json.loads((finished / "report.json").read_text())["learned"]


def test_a_provider_that_delays_is_not_judged_in_a_run_without_delays(
    tmp_path: Path, tiny_settings: TinySettings
) -> None:
    run_game(RunSpec(load_game("g7"), tiny_settings(), throttling=False, seed=1), tmp_path / "run")
    save_policy(StaticProvider(2, delay=[0.0, 0.5]), tmp_path / "slow.npz")
    with pytest.raises(RunError, match=r"provider: it delays by \[0\. +0\.5\], but .* is a run without throttling"):
        evaluate_run(tmp_path / "run", provider=tmp_path / "slow.npz")


def test_another_user_is_judged(finished: Path, tmp_path: Path, tiny_settings: TinySettings) -> None:
    run_game(RunSpec(load_game("g3"), tiny_settings(), throttling=True, seed=5), tmp_path / "other")
    evaluation = evaluate_run(finished, user=tmp_path / "other" / "user.npz")
    own = evaluate_run(finished)
    assert evaluation.learned.cascade == own.learned.cascade
    other = load_user(tmp_path / "other" / "user.npz")
    game = load_game("g7").game
    made = evaluation.learned
    answer = other.patience(game, Commitment(made.model, made.cascade, made.delay), np.zeros(()))
    assert made.patience == float(answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "absent"], "run.json: no such file"),
        (["plot", "absent"], "no such file"),
        (["evaluate", "run", "--user", "absent.npz"], "absent.npz: no such file"),
        (["evaluate", "run", "--user", "run/provider.npz"], "provider.npz: holds a provider; expected a user"),
        (["evaluate", "run", "--provider", "run/run.json"], "run.json: not a saved policy"),
        (["evaluate", "run", "--provider", "absent.zip", "--trust"], "absent.zip: no such file"),
        (["sweep", "absent.yaml"], "absent.yaml: no such file"),
        (["sweep", "throtling"], "did you mean 'throttling'?"),
    ],
)
@pytest.mark.usefixtures("finished")
def test_commands_without_a_run_are_one_line(
    stackroute: Callable[..., Result], arguments: list[str], message: str
) -> None:
    result = stackroute(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_an_unfinished_run_is_not_judged(tiny_settings: TinySettings, tmp_path: Path) -> None:
    start(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=0), tmp_path)
    for look in (evaluate_run, lambda folder: draw_run(folder, tmp_path)):
        with pytest.raises(RunError, match="no such file"):
            look(tmp_path)
