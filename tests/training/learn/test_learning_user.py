"""How a user learns a continuous patience: groups, narrowing exploration and averaged weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from stackroute import Commitment, load_game
from stackroute.analytic import best_response
from stackroute.configs import ConfigError
from stackroute.configs.loading import read_settings
from stackroute.configs.training import UserSettings, load_training_settings
from stackroute.envs.sb3 import PatienceVecEnv
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.follower_first import learn_user, user_environment
from stackroute.training.learn.learning import Learner, one_thread

TINY = {"steps": 128, "rounds": 4, "batch_size": 32, "tasks_per_commitment": 4, "minibatches": 2, "epochs": 1}
GAME = load_game("g5").game


def content(**changes: Any) -> dict[str, Any]:
    """The packaged learner with a budget too small to learn anything, and further changes."""
    packaged = read_settings("user_ppo_box", "learners", UserSettings)
    return packaged.model_dump() | TINY | changes


def settings(**changes: Any) -> UserSettings:
    return UserSettings.model_validate(content(**changes))


def learner(**changes: Any) -> Learner:
    mine = settings(**changes)
    return Learner(user_environment(GAME, ExploringProvider(throttling=False), mine), mine, seed=5)


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.policy.state_dict().items()}


def width(learner: Learner) -> float:
    return float(learner.policy.state_dict()["log_std"].exp())


def test_groups_reach_the_environment() -> None:
    venv = user_environment(GAME, ExploringProvider(throttling=False), settings(group=4))
    assert isinstance(venv, PatienceVecEnv)
    venv.seed(1)
    groups = np.asarray(venv.reset()).reshape(8, 4, -1)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups[:, 0], axis=0)) == 8


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


def test_the_policy_is_the_average_over_the_last_rounds() -> None:
    averaging, plain = learner(average_last=0.5), learner(average_last=None)
    seen = []
    for _ in range(4):
        averaging.round()
        plain.round()
        seen.append(weights(plain))
        if len(seen) < 4:
            assert all(torch.equal(tensor, seen[-1][name]) for name, tensor in weights(averaging).items())
    for name, tensor in weights(averaging).items():
        torch.testing.assert_close(tensor, (seen[2][name] + seen[3][name]) / 2)
    assert any(not torch.equal(tensor, seen[-1][name]) for name, tensor in weights(averaging).items())


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
def test_a_restored_learner_averages_the_same_weights(rounds: int, tmp_path: Path) -> None:
    whole, cut = learner(average_last=0.75), learner(average_last=0.75)
    for _ in range(rounds):
        cut.round()
    torch.save(cut.state(), tmp_path / "state.pt")
    resumed = learner(average_last=0.75)
    resumed.restore(torch.load(tmp_path / "state.pt"))
    for _ in range(4):
        whole.round()
    for _ in range(4 - rounds):
        resumed.round()
    assert all(torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(whole).items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": 1}, "greater than or equal to 2"),
        ({"group": 5}, "group: 5 is not allowed; expected a divisor of batch_size = 32"),
        (
            {"decision": "pass", "action": None, "tasks_per_commitment": 1},
            "group: is not possible with decision 'pass'",
        ),
        ({"exploration": None}, "exploration: needs final_exploration"),
        ({"final_exploration": None}, "exploration: needs final_exploration"),
        ({"action": "grid"}, "exploration: is only possible with action 'box' and ppo, a2c or td3"),
        ({"average_last": 0.0}, "greater than 0"),
        ({"plateau": {"least_rounds": 1, "rounds": 1, "tolerance": 0.0}}, "average_last: is not possible with plateau"),
    ],
)
def test_settings_that_do_not_fit_are_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_off_policy_users_choose_their_own_exploration() -> None:
    sac = {"algorithm": "sac", "buffer_size": 64, "minibatch_size": 8, "gradient_steps": 1}
    nothing = dict.fromkeys(("rollout_length", "entropy_bonus", "minibatches", "epochs"))
    with pytest.raises(ValueError, match="exploration: is only possible"):
        settings(**sac, **nothing)


def test_windows_have_no_groups() -> None:
    with pytest.raises(ConfigError, match="group: is not possible in windows"):
        load_training_settings("follower_first", ["zoom.user=user_ppo_box"])


def test_the_benchmark_prints_a_row_for_each_run(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content()))
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
        user, _ = learn_user(game, read_settings("user_ppo_box", "learners", UserSettings), throttling=False)
        learned = user.patience(game, commitment, np.zeros(201))
    exact = best_response(game, commitment)
    assert ((exact > 0) & (exact < 1)).sum() > 10
    assert abs(learned - exact).max() < 0.05
