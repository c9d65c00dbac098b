"""Every algorithm as either player, with budgets too small to learn anything."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackroute import Commitment, Game, load_game
from stackroute.agents import FixedPatienceUser, load_policy, save_policy
from stackroute.configs import ConfigError
from stackroute.configs.learners import PROVIDER, USER
from stackroute.configs.training import load_training_settings
from stackroute.envs import PATIENCE_LEVELS
from stackroute.training.learn.follower_first import learn_provider, learn_user, provider_environment
from stackroute.training.learn.learning import Learner, Training, one_thread

TinyContent = Callable[..., dict[str, Any]]

PROVIDERS = ("ppo", "a2c", "sac", "td3", "tqc", "dqn")
USERS = (
    ("ppo", None),
    ("a2c", None),
    ("dqn", None),
    ("ppo", "grid"),
    ("dqn", "grid"),
    ("ppo", "box"),
    ("sac", "box"),
    ("td3", "box"),
)


@pytest.fixture
def game() -> Game:
    return load_game("g4b").game


def learned_twice(learn: Callable[[], tuple[Any, Any]], folder: Path) -> list[Any]:
    """A player, the same learned again, and the first as it is loaded from a file."""
    with one_thread():
        (player, curve), (again, _) = learn(), learn()
    assert curve.steps == [0, 32, 64]
    assert np.isfinite([curve.regret, curve.reward]).all()
    save_policy(player, folder / "player.npz")
    return [player, again, load_policy(folder / "player.npz")]


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("algorithm", PROVIDERS)
def test_every_algorithm_can_be_the_provider(
    tiny_content: TinyContent, game: Game, tmp_path: Path, algorithm: str, features: bool
) -> None:
    settings = PROVIDER.validate_python(tiny_content(provider_algorithm=algorithm)["provider"])
    training = Training(game, throttling=not features, seed=3, features=features)
    players = learned_twice(lambda: learn_provider(training, FixedPatienceUser(0.5), settings), tmp_path)
    games = Game.stack([game, load_game("g1").game])
    made, *others = (player.commit(games, np.zeros((2, 5))) for player in players)
    for other in others:
        for name in ("start", "transition", "delay"):
            np.testing.assert_array_equal(getattr(other, name), getattr(made, name))
    assert training.throttling or not made.delay.any()


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize(("algorithm", "action"), USERS)
def test_every_algorithm_that_fits_can_be_the_user(
    tiny_content: TinyContent, game: Game, tmp_path: Path, algorithm: str, action: str | None, features: bool
) -> None:
    settings = USER.validate_python(tiny_content(user_algorithm=algorithm, user_action=action)["user"])
    training = Training(game, throttling=True, seed=3, features=features)
    players = learned_twice(lambda: learn_user(training, settings), tmp_path)
    generator = np.random.default_rng(5)
    made = Commitment.cascade(generator.integers(2, size=40), generator.random(40), generator.random((40, 2)))
    patience, *others = (player.patience(game, made, np.zeros(40)) for player in players)
    assert patience.shape == (40,)
    for other in others:
        np.testing.assert_array_equal(other, patience)
    if action == "grid":
        assert set(patience) <= set(PATIENCE_LEVELS)
    elif algorithm == "dqn":
        assert set(patience) <= {0.0, 1.0}
    else:
        assert ((patience >= 0) & (patience <= 1)).all()


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "td3", "dqn"])
def test_exploration_narrows_from_the_first_to_the_last_width(
    tiny_content: TinyContent, game: Game, algorithm: str
) -> None:
    longer = {"steps": 640, "rounds": 20, "exploration": 0.8, "final_exploration": 0.2}
    settings = PROVIDER.validate_python(tiny_content(provider_algorithm=algorithm)["provider"] | longer)
    environment = provider_environment(Training(game, throttling=False), FixedPatienceUser(0.5), settings)
    learner = Learner(environment, settings, seed=2)
    widths = []
    with one_thread():
        while learner.rounds < settings.rounds:
            learner.round()
            widths.append(width(learner.model))
    assert all(later < earlier for earlier, later in itertools.pairwise(widths))
    assert widths[0] == pytest.approx(0.8, rel=0.08)
    assert widths[-1] == pytest.approx(0.2, rel=0.08)


def width(model: Any) -> float:
    if hasattr(model, "exploration_rate"):
        return float(model.exploration_rate)
    if getattr(model, "action_noise", None) is not None:
        return float(np.ravel(getattr(model.action_noise, "base_noise", model.action_noise)._sigma)[0])
    return float(model.policy.log_std.exp().detach().numpy()[0])


@pytest.mark.parametrize(
    ("player", "algorithm", "change", "message"),
    [
        ("provider", "sac", {"epochs": 4}, "provider.epochs: unknown key"),
        ("provider", "a2c", {"minibatches": 4}, "provider.minibatches: unknown key"),
        ("provider", "ppo", {"buffer_size": 64}, "provider.buffer_size: unknown key"),
        ("provider", "sac", {"exploration": 1.0}, "provider.exploration: unknown key"),
        ("provider", "ppo", {"exploration": None}, "provider: exploration: needs final_exploration"),
        ("provider", "dqn", {"exploration": 1.5}, "provider.exploration: 1.5 is not allowed"),
        ("provider", "tqc", {"final_exploration": 1.0}, "provider.final_exploration: unknown key"),
        ("provider", "td3", {"rollout_length": 1}, "provider.rollout_length: unknown key"),
        ("provider", "sac", {"buffer_size": None}, "provider.buffer_size: missing key"),
        ("provider", "td3", {"exploration": None}, "provider.exploration: missing key"),
        ("user", "dqn", {"entropy_bonus": 0.1}, "user.entropy_bonus: unknown key"),
        ("user", "ppo", {"epochs": None}, "user.epochs: missing key"),
        ("user", "dqn", {"gradient_steps": None}, "user.gradient_steps: missing key"),
        ("user", "dqn", {"action": "box"}, "user.action: 'box' is not allowed; expected grid"),
        ("user", "sac", {"action": "grid"}, "user.action: 'grid' is not allowed; expected box"),
        ("user", "ppo", {"action": None}, "user: action: missing key; expected 'grid' or 'box'"),
        ("user", "ppo", {"decision": "pass"}, "user: decision: 'pass' answers one task at a time"),
        ("user", "ppo", {"exploration": 1.0, "final_exploration": 0.1}, "user: exploration: is only possible"),
        ("user", "sac", {"decision": "pass", "action": None}, "user.decision: 'pass' is not allowed; expected task"),
        (
            "provider",
            "ppo",
            {"algorithm": "reinforce"},
            "provider.algorithm: 'reinforce' is not allowed; expected one of ppo, a2c",
        ),
        ("provider", "ppo", {"algorithm": None}, "provider.algorithm: missing key"),
        ("provider", "ppo", {"rounds": 3}, "provider: rounds: 3 is not allowed; expected a divisor of steps = 64"),
        ("provider", "ppo", {"minibatches": 32}, "provider: minibatches: 32 is not allowed; expected a divisor"),
        ("provider", "ppo", {"minibatches": 3}, "provider: minibatches: 3 is not allowed; expected a divisor"),
        ("provider", "ppo", {"hidden_layers": []}, "provider.hidden_layers: "),
        ("user", "ppo", {"hidden_layers": [0]}, "user.hidden_layers.0: 0 is not allowed"),
        ("provider", "ppo", {"epoch": 3}, "provider.epoch: unknown key"),
        ("user", "ppo", {"steps": 0}, "user.steps: 0 is not allowed"),
        ("user", "ppo", {"learning_rate": "0.1"}, "user.learning_rate: '0.1' is not allowed"),
    ],
)
def test_wrong_keys_are_one_line_that_names_them(
    tiny_content: TinyContent, tmp_path: Path, player: str, algorithm: str, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "mine.yaml"
    action = "box" if algorithm == "sac" else "grid"
    good = tiny_content(**{f"{player}_algorithm": algorithm}, user_action=action if player == "user" else "grid")
    path.write_text(json.dumps(good))
    assert getattr(load_training_settings(path), player).algorithm == algorithm
    changed = {name: value for name, value in (good[player] | change).items() if value is not None}
    path.write_text(json.dumps(good | {player: changed}))
    with pytest.raises(ConfigError) as caught:
        load_training_settings(path)
    assert f"mine.yaml: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["provider=provider_sacc"], "'provider_sacc' is not a packaged name"),
        (["scheme=simultaneous"], "scheme"),
        (["overview.places=2"], "overview.places: 2"),
        (["overview.provider=provider_sac"], "overview.provider"),
        (["user.rounds"], "expected KEY=VALUE"),
    ],
)
def test_changes_that_do_not_fit_are_one_line(changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_training_settings("follower_first", changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_can_be_changed() -> None:
    settings = load_training_settings("follower_first", ["overview.places=21", "features=theory", "certificate=null"])
    assert settings.scheme == "follower_first"
    assert settings.overview is not None
    assert (settings.overview.places, settings.features, settings.certificate) == (21, "theory", None)
