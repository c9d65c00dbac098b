"""How a user learns a continuous patience, with exploration that narrows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackroute import Commitment, load_game
from stackroute.analytic import best_response
from stackroute.configs.learners import USER, UserSettings
from stackroute.configs.loading import read_settings
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.follower_first import learn_user, user_environment
from stackroute.training.learn.learning import Learner, one_thread

TINY = {"steps": 128, "rounds": 4, "batch_size": 32, "tasks_per_commitment": 4, "minibatches": 2, "epochs": 1}
GAME = load_game("g5").game


def content(**changes: Any) -> dict[str, Any]:
    """The packaged learner with a budget too small to learn anything, and further changes."""
    packaged = read_settings("user_ppo_box", "learners", USER)
    return packaged.model_dump() | TINY | changes


def settings(**changes: Any) -> UserSettings:
    return USER.validate_python(content(**changes))


def learner(**changes: Any) -> Learner:
    mine = settings(**changes)
    return Learner(user_environment(GAME, ExploringProvider(throttling=False), mine), mine, seed=5)


def width(learner: Learner) -> float:
    return float(learner.policy.state_dict()["log_std"].exp())


def test_a_users_exploration_narrows() -> None:
    mine = learner(exploration=0.8, final_exploration=0.05)
    widths = []
    for _ in range(4):
        mine.round()
        widths.append(width(mine))
    # A round explores with the width at its beginning.
    np.testing.assert_allclose(widths, 0.8 * (0.05 / 0.8) ** np.array([0, 0.25, 0.5, 0.75]), rtol=1e-6)


def test_without_exploration_the_width_is_learned() -> None:
    mine = learner(exploration=None, final_exploration=None)
    before = width(mine)
    mine.round()
    assert width(mine) != before


def test_the_benchmark_prints_a_row_for_each_run(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(json.dumps(content()))
    script = Path(__file__).parents[3] / "benchmarks" / "response.py"
    command = [sys.executable, str(script), "--games", "g5", "--seeds", "1", "--user", str(tmp_path / "tiny.yaml")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0].startswith("| game | seed | max error |")
    assert [line.split("|")[1:3] for line in printed[2:]] == [[" g5 ", " 1 "]]


@pytest.mark.convergence
@pytest.mark.parametrize("name", ["g5", "g6"])
def test_the_smooth_response_is_learned(name: str) -> None:
    game = load_game(name).game
    commitment = Commitment(np.ones(201, dtype=int), np.linspace(0, 1, 201))
    with one_thread():
        user, _ = learn_user(game, read_settings("user_ppo_box", "learners", USER), throttling=False)
        learned = user.patience(game, commitment, np.zeros(201))
    exact = best_response(game, commitment)
    assert ((exact > 0) & (exact < 1)).sum() > 10
    assert abs(learned - exact).mean() < 0.03
