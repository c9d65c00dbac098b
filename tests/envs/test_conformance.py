import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, seed_test

import stackroute
from stackroute import ConfigError, Game
from stackroute.agents import EquilibriumProvider, RandomUser
from stackroute.envs import RE_PROMPT, ProviderEnv, UserEnv, env, observation_space, raw_env


@pytest.mark.parametrize("make", [env, raw_env])
@pytest.mark.parametrize("throttling", [False, True])
def test_pettingzoo_api(make: Any, throttling: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api_test(make(throttling=throttling), num_cycles=200)


@pytest.mark.parametrize("throttling", [False, True])
def test_pettingzoo_seeds(throttling: bool) -> None:
    seed_test(lambda: env(throttling=throttling), num_cycles=50)


def test_pettingzoo_registry() -> None:
    made = pettingzoo.make("aec", "stackroute-v0", game="g1")
    assert float(made.unwrapped.game.value) == 2
    assert str(made) == "stackroute_v0"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Provider", {}),
        ("Provider", {"throttling": True, "tasks_per_commitment": 10, "user": "random"}),
        ("User", {}),
        ("User", {"provider": "equilibrium", "game": "gpt-4.1-o3-dev"}),
    ],
)
def test_gymnasium_check(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(f"stackroute/{name}-v0", **options).unwrapped)


def test_gymnasium_make_accepts_games_and_policies_as_objects(cascade_game: Game) -> None:
    provider = gymnasium.make("stackroute/Provider-v0", game=cascade_game, user=RandomUser())
    user = gymnasium.make("stackroute/User-v0", game=cascade_game, provider=EquilibriumProvider())
    for made in (provider, user):
        observation, _ = made.reset(seed=0)
        assert observation_space().contains(observation)


def test_the_two_players_see_the_same_and_the_provider_sees_no_commitment(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    before = game.observe("provider_0")
    np.testing.assert_array_equal(before[7:], 0)
    game.step(np.array([0.0, 0.25, 0.0, 1.0]))
    after = game.observe("user_0")
    np.testing.assert_array_equal(after, game.observe("provider_0"))
    np.testing.assert_allclose(after[:7], before[:7])
    np.testing.assert_allclose(after[7:], [0, 0.25, 0, 1])


def test_infos_name_the_reward_parts(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.1, 0.0]))
    assert game.infos["provider_0"] == {"pass": 1, "model": 1, "service_cost": 0.1, "churn_penalty": 0.0}
    assert game.infos["user_0"] == {"pass": 1, "model": 1, "latency": pytest.approx(0.76), "value": 0.0}
    game.step(1)
    assert game.infos["provider_0"]["churn_penalty"] == 5
    assert game.rewards == {"provider_0": -5, "user_0": 0}
    assert game.terminations == {"provider_0": True, "user_0": True}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([0.0, 1.5, 0.0, 0.0]), "expected numbers in"),
        (np.array([0.0, np.nan, 0.0, 0.0]), "expected numbers in"),
        (np.array([0.0, 0.5]), "expected \\(4,\\)"),
    ],
)
def test_a_bad_commitment_is_an_error_and_changes_nothing(cascade_game: Game, action: Any, message: str) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    with pytest.raises(ValueError, match=message):
        game.step(action)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    assert game.task.passes == 1

    single = ProviderEnv(cascade_game, throttling=True)
    single.reset(seed=5)
    with pytest.raises(ValueError, match=message):
        single.step(action)


@pytest.mark.parametrize("action", [2, -1, 0.5])
def test_a_bad_answer_is_an_error_and_changes_nothing(cascade_game: Game, action: Any) -> None:
    game = raw_env(game=cascade_game, throttling=True)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    single = UserEnv(cascade_game)
    single.reset(seed=5)
    for played in (game, single):
        with pytest.raises(ValueError, match="expected 0 \\(re-prompt\\) or 1 \\(abandon\\)"):
            played.step(action)
        assert played.task.passes == 1


def test_bad_arguments_name_what_is_allowed(random_games: Game) -> None:
    with pytest.raises(ValueError, match=r"game: a batch of shape \(20, 15\) is not allowed"):
        raw_env(game=random_games.reshape(20, 15))
    with pytest.raises(ValueError, match="an empty list is not allowed"):
        raw_env(game=[])
    with pytest.raises(TypeError, match="expected a Game"):
        raw_env(game=3)
    with pytest.raises(ConfigError, match="did you mean 'g4b'"):
        raw_env(game="g4bb")
    with pytest.raises(ValueError, match="'nobody' is not allowed; expected one of random, rational"):
        ProviderEnv(user="nobody")
    with pytest.raises(ValueError, match="'nobody' is not allowed; expected one of equilibrium, random"):
        UserEnv(provider="nobody")
    with pytest.raises(TypeError, match="with a patience method"):
        ProviderEnv(user=RandomUser)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="with a patience method"):
        ProviderEnv(user=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="render_mode"):
        raw_env(render_mode="hologram")


@pytest.mark.parametrize("number", [0, -1, 1.5, float("nan"), "3"])
def test_numbers_of_things_are_whole_and_positive(cascade_game: Game, number: Any) -> None:
    for make in (raw_env, UserEnv, ProviderEnv):
        with pytest.raises(ValueError, match=r"max_passes: .* expected a whole number of at least 1"):
            make(cascade_game, max_passes=number)
    with pytest.raises(ValueError, match="tasks_per_commitment"):
        ProviderEnv(cascade_game, tasks_per_commitment=number)


@pytest.mark.parametrize("seed", [-5, 1.7])
def test_bad_seeds_are_errors(cascade_game: Game, seed: Any) -> None:
    for made in (raw_env(cascade_game), UserEnv(cascade_game), ProviderEnv(cascade_game)):
        with pytest.raises(gymnasium.error.Error):
            made.reset(seed=seed)


def test_large_seeds_are_seeds(cascade_game: Game) -> None:
    for made in (raw_env(cascade_game), UserEnv(cascade_game), ProviderEnv(cascade_game)):
        made.reset(seed=2**70 + 3)


def test_games_are_given_as_objects_configs_names_or_files(tmp_path: Path) -> None:
    config = stackroute.load_game("g1")
    (tmp_path / "mine.yaml").write_text(json.dumps(config.model_dump(exclude_none=True)))
    for game in (config, config.game, "g1", tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        assert float(raw_env(game).game.value) == 2


def test_a_task_that_ended_cannot_be_answered(cascade_game: Game) -> None:
    single = UserEnv(cascade_game)
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.step(0)
    single.reset(seed=0)
    single.step(1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.step(0)


def test_truncation_is_no_termination(cascade_game: Game) -> None:
    game = raw_env(game=cascade_game, throttling=True, max_passes=1)
    game.reset(seed=5)
    game.step(np.array([0.0, 0.25, 0.0, 0.0]))
    game.step(RE_PROMPT)
    assert game.truncations == {"provider_0": True, "user_0": True}
    assert game.terminations == {"provider_0": False, "user_0": False}
    assert game.rewards == {"provider_0": 0, "user_0": 0}


def test_a_user_that_is_never_asked_is_asked_in_the_end() -> None:
    certain = Game([1 - 1e-12, 1 - 1e-13], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)
    single = UserEnv(certain)
    _, info = single.reset(seed=0)
    assert (info["passed_over"], info["declared"]) == (999, True)
    assert not single.task.ended


def test_resets_without_a_seed_go_on_to_new_tasks() -> None:
    single = UserEnv("g1")
    first, _ = single.reset(seed=1)
    second, _ = single.reset()
    assert not np.array_equal(first, second)
    again, _ = single.reset(seed=1)
    np.testing.assert_array_equal(first, again)


def test_importing_the_package_twice_registers_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stackroute.envs.register_environments()
