"""How a learner sees an environment."""

import numpy as np
import pytest

from stackroute import Commitment, Game, load_game
from stackroute.agents import FixedPatienceUser, RandomProvider
from stackroute.analytic import stratified_games
from stackroute.configs.learners import PROVIDER, USER
from stackroute.configs.loading import read_settings
from stackroute.envs import PATIENCE_LEVELS, observation_space, observe
from stackroute.envs.observations import feature_space, with_features
from stackroute.training.learn.follower_first import provider_environment, user_environment
from stackroute.training.learn.learning import Training


@pytest.fixture
def game() -> Game:
    return load_game("g4b").game


def test_features_say_which_models_are_worth_the_wait_and_what_churn_costs() -> None:
    games = stratified_games(600, seed=11)
    generator = np.random.default_rng(4)
    delay = games.value[:, None] * np.where(generator.random((600, 1)) < 0.3, 0.0, generator.random((600, 2)))
    observation = observe(games, Commitment.cascade(0, generator.random(600), delay))
    seen = with_features(observation)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen[:, :11], observation)
    net = games.net_value - delay
    clear = np.abs(net) > 1e-5 * games.value[:, None]
    assert clear.mean() > 0.95
    assert (net < 0).any()
    assert (net > 0).any()
    np.testing.assert_array_equal(seen[:, 11:13][clear], np.sign(net)[clear])
    ratio = np.log(games.churn_penalty[:, None] * games.success / games.cost) / 5
    largest = games.cost.max(axis=1) + games.churn_penalty
    resolved = (games.cost / largest[:, None] > 1e-4) & (games.churn_penalty / largest > 1e-4)[:, None]
    assert resolved.mean() > 0.8
    np.testing.assert_allclose(seen[:, 13:][resolved], np.clip(ratio, -1, 1)[resolved], atol=1e-4)
    assert all(feature_space().contains(row) for row in seen)
    # Those of a game alone are those before any delay.
    alone = with_features(observe(games, blocks=["game"]))
    np.testing.assert_array_equal(alone[:, 7:], with_features(observe(games))[:, 11:])
    assert all(feature_space(2, ["game"]).contains(row) for row in alone)


def test_features_depend_on_the_delay(game: Game) -> None:
    # Of g4b only the reasoning model is worth the wait, by 0.8 * 1.1 - 0.7 = 0.18.
    made = Commitment.cascade(0, 0.5, [[0.0, late] for late in (0.0, 0.17, 0.19)])
    assert with_features(observe(game, made))[:, 11:13].tolist() == [[-1, 1], [-1, 1], [-1, -1]]


def test_learners_see_features_also_at_the_end_of_an_episode(game: Game) -> None:
    settings = USER.validate_python(read_settings("user_ppo_pass", "learners", USER).model_dump() | {"batch_size": 8})
    venv = user_environment(Training(game, throttling=True, features=True), RandomProvider(), settings)
    assert venv.observation_space == feature_space()
    venv.seed(3)
    shown = np.asarray(venv.reset())
    np.testing.assert_array_equal(shown, with_features(shown[:, :11]))
    ended = 0
    for _ in range(20):
        shown, _, dones, infos = venv.step(np.zeros(8, dtype=np.int64))
        np.testing.assert_array_equal(shown, with_features(np.asarray(shown)[:, :11]))
        for slot in np.flatnonzero(dones):
            last = infos[slot]["terminal_observation"]
            np.testing.assert_array_equal(last, with_features(last[:11]))
            ended += 1
    assert ended > 5


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("blind", [False, True])
def test_a_blind_user_sees_the_game_alone(game: Game, blind: bool, features: bool) -> None:
    settings = read_settings("user_ppo", "learners", USER)
    venv = user_environment(Training(game, True, features=features), RandomProvider(), settings, blind=blind)
    blocks = ("game",) if blind else ("game", "commitment")
    space = feature_space if features else observation_space
    assert venv.observation_space == space(2, blocks)


def test_rewards_are_the_logarithm_of_the_cost_and_the_scaled_gain(game: Game) -> None:
    training, batch = Training(game, throttling=True), {"batch_size": 256}
    provider = read_settings("provider_ppo", "learners", PROVIDER).model_copy(update=batch)
    user = read_settings("user_ppo", "learners", USER).model_copy(update=batch)
    levels = np.arange(256) % len(PATIENCE_LEVELS)
    for venv, actions, expected in (
        (
            provider_environment(training, FixedPatienceUser(0.5), provider),
            np.zeros((256, 4)),
            lambda infos: -np.log(infos["service_cost"] + infos["churn_penalty"]),
        ),
        # The environment's unit of utility is the value already.
        (user_environment(training, RandomProvider(), user), levels, lambda infos: np.arcsinh(20 * infos["utility"])),
    ):
        venv.seed(1)
        venv.reset()
        _, rewards, _, _ = venv.step(actions)
        infos = venv.unwrapped.env.step_infos  # type: ignore[attr-defined]
        np.testing.assert_allclose(rewards, expected(infos), rtol=1e-5, atol=1e-6)
        assert rewards.std() > 0.01
