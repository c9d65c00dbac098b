"""The training machinery with budgets too small to learn anything; see test_convergence for learning."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from stackroute import load_game
from stackroute.agents import load_provider, load_user
from stackroute.configs.training import FollowerFirstSettings
from stackroute.training.cli.quickstart import GAMES, quickstart
from stackroute.training.learn.runs import RunSpec, run_game
from stackroute.training.learn.schemes import train
from stackroute.training.learn.session import Curve

OUTCOME = {"first_model", "cascade", "lottery", "delay", "patience", "provider_cost", "user_utility", "throttled"}
REGRETS = {"provider_regret", "provider_regret_pessimistic", "user_regret", "on_path_regret"}
BY_CHANCE = {"untrained_regret", "random_regret", "random_right"}
RIGHT = {"start_model_right", "routing_error", "throttling_right"}
REPORT = {
    "game",
    "routing",
    "throttling",
    "seed",
    "scheme",
    "learned",
    "equilibrium",
    *REGRETS,
    *RIGHT,
    *BY_CHANCE,
    "certified",
    "stages",
}


@pytest.fixture
def tiny(tiny_settings: Callable[..., FollowerFirstSettings]) -> FollowerFirstSettings:
    return tiny_settings()


def test_the_same_seed_gives_the_same_pair(tiny: FollowerFirstSettings) -> None:
    game = load_game("g4b").game
    first, second, other = (train(game, tiny, throttling=False, seed=seed) for seed in (3, 3, 4))
    assert (first.evaluation, first.curves) == (second.evaluation, second.curves)
    assert set(first.curves) == {"user", "provider"}
    assert first.evaluation != other.evaluation
    assert first.evaluation.learned.delay == [0, 0]


def test_trainings_in_threads_do_not_change_each_other(tiny: FollowerFirstSettings) -> None:
    def learned(seed: int) -> object:
        return train(load_game("g4b").game, tiny, throttling=False, seed=seed).curves

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(learned, (3, 4))) == [learned(3), learned(4)]


def test_a_run_writes_report_policies_and_logs(tiny: FollowerFirstSettings, tmp_path: Path) -> None:
    config = load_game("gpt-4.1-o3-dev")
    reported = []
    spec = RunSpec(config, tiny, throttling=True, seed=5)
    pair = run_game(spec, tmp_path, on_progress=lambda *args: reported.append(args))
    assert [entry[:3] for entry in reported] == [
        (stage, done, 2) for stage in ("user", "provider") for done in range(3)
    ]
    assert all(np.isfinite(regret) for *_, regret in reported)
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == REPORT
    assert json.loads((tmp_path / "times.json").read_text()).keys() == {"seconds", "cpu_seconds"}
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert {name: Curve(**curve) for name, curve in curves.items()} == pair.curves
    assert set(report["learned"]) == set(report["equilibrium"]) == OUTCOME
    assert report["untrained_regret"] == curves["provider"]["regret"][0]
    assert (report["game"], report["throttling"], report["seed"]) == ("gpt-4.1-o3-dev", True, 5)
    commitment = load_provider(tmp_path / "provider.npz").commit(config.game, np.zeros(5))
    learned = report["learned"]
    assert (commitment.first_model, commitment.cascade_probability[0]) == (learned["first_model"], learned["cascade"])
    patience = load_user(tmp_path / "user.npz").patience(config.game, commitment, np.zeros(()))
    assert float(patience) == report["learned"]["patience"] == pair.evaluation.learned.patience
    assert len(list((tmp_path / "tensorboard").rglob("events.out.tfevents*"))) == 2


def test_the_quickstart_writes_what_it_promises(tiny: FollowerFirstSettings, tmp_path: Path) -> None:
    with (tmp_path / "shown.txt").open("w") as file:
        quickstart(tmp_path / "out", tiny, seed=0, console=Console(file=file, width=120))
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [game["game"] for game in content["games"]] == list(GAMES)
    assert all(set(game) == REPORT for game in content["games"])
    low, high = (game["equilibrium"]["throttled"] for game in content["games"])
    assert (low, high) == (True, False)
    for name in GAMES:
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    shown = " ".join((tmp_path / "shown.txt").read_text().split())
    low, high = (text.split(". ")[0] for text in shown.split("In theory the provider ")[1:])
    wish = "although users would rather have gpt-4.1 until the task is solved"
    assert low == f"serves gpt-4.1 once and threatens to be so slow after it that users leave, {wish}"
    assert high == f"serves o3 and does not throttle, {wish}"
