"""The commands that look at runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from stackroute import Commitment, load_game
from stackroute.agents import FixedPatienceUser, StaticProvider, load_user, save_policy
from stackroute.configs.training import TrainingSettings
from stackroute.envs import ProviderVectorEnv
from stackroute.envs.sb3 import VecEnv
from stackroute.training.figures.curves import draw_run
from stackroute.training.learn.runs import RunSpec, evaluate_run, run_game, start
from stackroute.training.output import RunError

TinySettings = Callable[..., TrainingSettings]
Stackroute = Callable[..., tuple[int, str, str]]

PNG = b"\x89PNG"


@pytest.fixture
def finished(tiny_settings: TinySettings, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    run_game(RunSpec(load_game("g7"), tiny_settings(), throttling=True, seed=1), folder)
    return folder


def test_a_run_is_drawn(finished: Path, tmp_path: Path, stackroute: Stackroute) -> None:
    drawn = draw_run(finished, tmp_path)
    assert [path.name for path in drawn] == ["learning_curves.png", "learned_response.png"]
    assert all(path.read_bytes().startswith(PNG) for path in drawn)
    code, _, errors = stackroute("plot", str(finished))
    assert (code, errors) == (0, "")
    assert (finished / "learned_response.png").read_bytes() == drawn[1].read_bytes()


def test_a_run_is_evaluated_as_it_was_reported(finished: Path, stackroute: Stackroute) -> None:
    report = json.loads((finished / "report.json").read_text())
    code, shown, errors = stackroute("evaluate", str(finished), "--json")
    assert (code, errors) == (0, "")
    found = json.loads(shown)
    assert found.pop("units")["provider_regret"] == "share of the equilibrium's cost"
    assert found == {key: report[key] for key in found}
    assert {"provider_regret", "provider_regret_pessimistic", "learned", "equilibrium"} <= set(found)
    code, shown, _ = stackroute("evaluate", str(finished))
    assert code == 0
    right = {True: "right", False: "wrong"}[found["throttling_right"]]
    assert f"throttling {right}" in shown


@pytest.mark.filterwarnings("ignore:.*runs code of whoever made this file")
def test_a_model_of_stable_baselines3_is_loaded_only_if_trusted(
    finished: Path, tmp_path: Path, stackroute: Stackroute
) -> None:
    envs = VecEnv(ProviderVectorEnv(4, "g7", FixedPatienceUser(0.5)), seed=0)
    model = PPO("MlpPolicy", envs, seed=11, device="cpu")
    model.save(tmp_path / "model.zip")
    code, shown, errors = stackroute("evaluate", str(finished), "--provider", "model.zip", "--json")
    assert (code, shown, len(errors.splitlines())) == (2, "", 1)
    assert "model.zip: a zip file of stable-baselines3 can run code" in errors
    code, shown, _ = stackroute("evaluate", str(finished), "--provider", "model.zip", "--trust", "--json")
    assert code == 0
    learned = json.loads(shown)["learned"]
    evaluation = evaluate_run(finished, provider=tmp_path / "model.zip", trust=True)
    assert learned["cascade"] == evaluation.learned.cascade
    action, _ = model.predict(envs.reset()[:1], deterministic=True)
    assert learned["first_model"] == int(action[0, 0] >= 0)
    assert learned != json.loads((finished / "report.json").read_text())["learned"]


def test_a_provider_that_delays_is_refused_in_a_run_without_delays(tmp_path: Path, tiny_settings: TinySettings) -> None:
    run_game(RunSpec(load_game("g7"), tiny_settings(), throttling=False, seed=1), tmp_path / "run")
    save_policy(StaticProvider(Commitment.static(1, [0.0, 0.5])), tmp_path / "slow.npz")
    with pytest.raises(RunError, match=r"run: commitment: delays \[0\. +0\.5\] are not allowed; .* without"):
        evaluate_run(tmp_path / "run", provider=tmp_path / "slow.npz")


def test_another_user_is_evaluated(finished: Path, tmp_path: Path, tiny_settings: TinySettings) -> None:
    run_game(RunSpec(load_game("g3"), tiny_settings(), throttling=True, seed=5), tmp_path / "other")
    evaluation = evaluate_run(finished, user=tmp_path / "other" / "user.npz")
    own = evaluate_run(finished)
    assert evaluation.learned.cascade == own.learned.cascade
    other = load_user(tmp_path / "other" / "user.npz")
    game = load_game("g7").game
    made = evaluation.learned
    commitment = Commitment.cascade(made.first_model, made.cascade, made.delay)
    answer = other.patience(game, commitment, np.zeros(()))
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
    ],
)
@pytest.mark.usefixtures("finished")
def test_commands_without_a_run_are_one_line(stackroute: Stackroute, arguments: list[str], message: str) -> None:
    code, shown, errors = stackroute(*arguments)
    assert (code, shown, len(errors.splitlines())) == (2, "", 1)
    assert message in errors


def test_an_unfinished_run_is_refused(tiny_settings: TinySettings, tmp_path: Path) -> None:
    start(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=0), tmp_path)
    for look in (evaluate_run, lambda folder: draw_run(folder, tmp_path)):
        with pytest.raises(RunError, match="no such file"):
            look(tmp_path)
