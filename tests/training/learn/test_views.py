"""How a learner sees a batch."""

import numpy as np
import pytest
from stable_baselines3 import PPO
from stackroute.envs.encoding import observation_space, observe
from stackroute.envs.features import feature_space, with_features

from stackroute import Commitment, Game, load_game
from stackroute.agents import LearnedUser, RandomProvider, RationalUser
from stackroute.analytic import stratified_games
from stackroute.envs import PATIENCE_LEVELS, PatienceBatch, ProviderBatch, UserBatch
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv, UserVecEnv
from stackroute.training.learn.views import ListedCommitments, blindfolded, featured


@pytest.fixture
def game() -> Game:
    return load_game("g4b").game


def test_features_say_which_models_are_worth_the_wait_and_what_churn_costs() -> None:
    games = stratified_games(600, seed=11)
    generator = np.random.default_rng(4)
    delay = games.value[:, None] * np.where(generator.random((600, 1)) < 0.3, 0.0, generator.random((600, 2)))
    observation = observe(games, Commitment(np.ones(600), generator.random(600), delay))
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


def test_features_depend_on_the_delay(game: Game) -> None:
    # Of g4b only the reasoning model is worth the wait, by 0.8 * 1.1 - 0.7 = 0.18.
    seen = [with_features(observe(game, Commitment(1, 0.5, [0.0, late])))[11:13].tolist() for late in (0.0, 0.17, 0.19)]
    assert seen == [[-1, 1], [-1, 1], [-1, -1]]


def test_learners_see_features_also_at_the_end_of_an_episode(game: Game) -> None:
    venv = featured(UserVecEnv(UserBatch(game, RandomProvider(), 8)), "theory")
    assert venv.observation_space == feature_space()
    venv.seed(3)
    shown = venv.reset()
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
    plain = UserVecEnv(UserBatch(game, RandomProvider(), 8))
    assert featured(plain, "raw") is plain


def test_the_blindfold_hides_the_commitment_and_nothing_else(game: Game) -> None:
    open_eyes, blind = (PatienceVecEnv(PatienceBatch(game, RandomProvider(True), 16)) for _ in range(2))
    covered = blindfolded(blind)
    assert covered.observation_space == observation_space()
    for venv in (open_eyes, covered):
        venv.seed(9)
    plain, hidden = open_eyes.reset(), np.asarray(covered.reset())
    np.testing.assert_array_equal(hidden[:, :7], plain[:, :7])
    assert (hidden[:, 7:] == 0).all()
    assert (plain[:, 7:] > 0).any(axis=0).all()
    action = np.linspace(-1, 1, 16)[:, None]
    _, rewards, _, infos = open_eyes.step(action)
    shown, same, _, covered_infos = covered.step(action)
    np.testing.assert_array_equal(same, rewards)
    assert (np.asarray(shown)[:, 7:] == 0).all()
    for slot in range(16):
        assert (covered_infos[slot]["terminal_observation"][7:] == 0).all()
        assert (infos[slot]["terminal_observation"][:7] == covered_infos[slot]["terminal_observation"][:7]).all()


def test_a_blind_user_answers_all_commitments_alike(game: Game) -> None:
    batch = PatienceBatch(game, RandomProvider(), 4, action="grid")
    policy = PPO("MlpPolicy", PatienceVecEnv(batch), seed=1, device="cpu").policy
    made = Commitment([1, 1, 2], [0.0, 1.0, 0.0], [[0, 0], [1.0, 1.0], [0, 0.5]])
    blind = LearnedUser(policy, PATIENCE_LEVELS, blind=True)
    answers = blind.patience(game, made, np.zeros(3))
    assert answers.tolist() == [float(LearnedUser(policy, PATIENCE_LEVELS).patience(game, None, np.zeros(())))] * 3


class Recording(RationalUser):
    """The rational user, remembering what it is asked."""

    def patience(self, game: Game, commitment: Commitment | None, draws: np.ndarray) -> np.ndarray:
        self.asked = commitment
        return super().patience(game, commitment, draws)


@pytest.mark.parametrize("throttling", [False, True])
def test_listed_commitments_commit_what_is_listed(game: Game, throttling: bool) -> None:
    delay = np.array([[0, 0], [0.3, 0.7], [1.1, 0.0], [0, 0.2], [0, 0]]) if throttling else np.zeros((5, 2))
    listed = Commitment([1, 1, 1, 2, 1], [0.0, 0.123456789, 0.5, 0.0, 1.0], delay)
    user = Recording()
    venv = ListedCommitments(
        ProviderVecEnv(ProviderBatch(game, user, 5, throttling=throttling)), game, listed, throttling
    )
    assert venv.action_space.n == 5  # type: ignore[attr-defined]
    venv.seed(0)
    venv.reset()
    order = np.array([4, 2, 0, 1, 3])
    venv.step(order)
    assert user.asked is not None
    np.testing.assert_array_equal(user.asked.model, listed.model[order])
    starts_on_1 = listed.model[order] == 1
    np.testing.assert_allclose(user.asked.cascade[starts_on_1], listed.cascade[order][starts_on_1], rtol=1e-12)
    assert {0.0, 1.0} <= set(user.asked.cascade)
    np.testing.assert_allclose(user.asked.delay, listed.delay[order], rtol=1e-9, atol=1e-12)
