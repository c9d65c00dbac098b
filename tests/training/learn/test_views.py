"""How a learner sees a batch, and windows of commitments."""

from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

from stackroute import Commitment, Game, load_game
from stackroute.agents import LearnedUser, RandomProvider, RationalUser, RefinedUser, load_policy, save_policy
from stackroute.agents.windows import Window, window_space
from stackroute.analytic import stratified_games
from stackroute.envs import PATIENCE_LEVELS, PatienceBatch, ProviderBatch, UserBatch
from stackroute.envs.encoding import observation_space, observe
from stackroute.envs.features import feature_space, with_features
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv, UserVecEnv
from stackroute.training.learn.views import ListedCommitments, blindfolded, featured, seen_through
from stackroute.training.learn.zoom import WindowProvider

WINDOW = Window(1, 0.2, 0.6, (0.1, 0.3))


@pytest.fixture
def game() -> Game:
    return load_game("g4b").game


def test_a_window_is_cut_off_at_0_and_1() -> None:
    inner = Window.around(Commitment(1, 0.5, [0.1, 0.2]), 0.125)
    assert inner == Window(1, 0.375, 0.625, (0.1, 0.2))
    low, high = (Window.around(Commitment(1, place), 0.1) for place in (0.05, 0.98))
    assert (low.low, low.high) == (0.0, pytest.approx(0.15))
    assert (high.low, high.high) == (pytest.approx(0.88), 1.0)


def test_places_span_the_window() -> None:
    made = WINDOW.commitments(np.array([-1.0, 0.0, 0.5, 1.0]))
    np.testing.assert_allclose(made.cascade, [0.2, 0.4, 0.5, 0.6], rtol=1e-12)
    assert made.cascade[0] == WINDOW.low
    assert made.cascade[-1] == WINDOW.high
    assert (made.model == 1).all()
    np.testing.assert_array_equal(made.delay, [[0.1, 0.3]] * 4)
    assert WINDOW.contains(made).all()
    assert WINDOW.commitments(np.float64(0.0)).shape == ()


@pytest.mark.parametrize(
    ("commitment", "inside"),
    [
        (Commitment(1, 0.2, [0.1, 0.3]), True),
        (Commitment(1, 0.6, [0.1, 0.3]), True),
        (Commitment(1, 0.6000001, [0.1, 0.3]), False),
        (Commitment(1, 0.1999999, [0.1, 0.3]), False),
        (Commitment(2, 0.4, [0.1, 0.3]), False),
        (Commitment(1, 0.4, [0.1, 0.31]), False),
        (Commitment(1, 0.4, [0.1 + 1e-12, 0.3]), True),
        (Commitment(1, 0.4), False),
    ],
)
def test_a_window_contains_its_own_commitments_only(commitment: Commitment, inside: bool) -> None:
    assert bool(WINDOW.contains(commitment)) is inside


def test_only_the_cascade_probability_is_magnified(game: Game) -> None:
    made = Commitment([1, 1, 1, 1], [0.2, 0.4, 0.6, 0.9], [[0.1, 0.3]] * 4)
    plain, seen = observe(game, made), WINDOW.observe(game, made)
    np.testing.assert_allclose(seen[:, 8], [-1, 0, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(np.delete(seen, 8, axis=1), np.delete(plain, 8, axis=1))
    assert all(window_space().contains(row) for row in seen)
    np.testing.assert_allclose(plain[:, 8], [0.2, 0.4, 0.6, 0.9], rtol=1e-6)


def test_a_window_survives_json() -> None:
    assert Window.from_json(WINDOW.as_json()) == WINDOW


def refined(game: Game) -> RefinedUser:
    batch = PatienceBatch(game, RandomProvider(), 4, action="grid")
    base = LearnedUser(PPO("MlpPolicy", PatienceVecEnv(batch), seed=1, device="cpu").policy, PATIENCE_LEVELS)
    venv = seen_through(WINDOW, PatienceVecEnv(batch))
    return RefinedUser(base, WINDOW, DQN("MlpPolicy", venv, seed=8, device="cpu").policy, PATIENCE_LEVELS)


def test_a_refined_user_answers_inside_by_its_own_policy_and_outside_by_its_base(game: Game, tmp_path: Path) -> None:
    user = refined(game)
    cascade = np.linspace(0, 1, 101)
    made = Commitment(np.ones(101), cascade, np.broadcast_to([0.1, 0.3], (101, 2)))
    inside = WINDOW.contains(made)
    assert 30 < inside.sum() < 50
    answer = user.patience(game, made, np.zeros(101))
    base = user.base.patience(game, made, np.zeros(101))
    actions, _ = user.policy.predict(WINDOW.observe(game, made), deterministic=True)
    finer = np.array(PATIENCE_LEVELS)[actions]
    np.testing.assert_array_equal(answer[~inside], base[~inside])
    np.testing.assert_array_equal(answer[inside], finer[inside])
    assert (finer[inside] != base[inside]).any()
    assert (finer[~inside] != base[~inside]).any()

    save_policy(user, tmp_path / "user.npz")
    loaded = load_policy(tmp_path / "user.npz")
    assert isinstance(loaded, RefinedUser)
    np.testing.assert_array_equal(loaded.patience(game, made, np.zeros(101)), answer)
    assert loaded.window == WINDOW
    single = loaded.patience(game, made[40], np.zeros(()))
    assert single.shape == ()
    assert single == answer[40]


def test_a_refined_user_answers_what_it_does_not_see_by_its_base(game: Game) -> None:
    user = refined(game)
    unseen = user.patience(game, None, np.zeros(()))
    assert unseen == user.base.patience(game, None, np.zeros(()))


def test_a_refined_user_needs_a_policy_that_sees_through_a_window(game: Game) -> None:
    user = refined(game)
    with pytest.raises(ValueError, match=r"policy: .* is not allowed; expected"):
        RefinedUser(user.base, WINDOW, user.base.policy, PATIENCE_LEVELS)
    with pytest.raises(ValueError, match=r"policy: Discrete\(10\) is not allowed; expected Box"):
        RefinedUser(user.base, WINDOW, user.policy, None)


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
    policy = refined(game).base.policy
    made = Commitment([1, 1, 2], [0.0, 1.0, 0.0], [[0, 0], [1.0, 1.0], [0, 0.5]])
    blind = LearnedUser(policy, PATIENCE_LEVELS, blind=True)
    answers = blind.patience(game, made, np.zeros(3))
    assert answers.tolist() == [float(LearnedUser(policy, PATIENCE_LEVELS).patience(game, None, np.zeros(())))] * 3


def test_a_window_is_seen_by_its_learner_as_by_its_user(game: Game) -> None:
    batch = PatienceBatch(game, WindowProvider(WINDOW), 256)
    venv = seen_through(WINDOW, PatienceVecEnv(batch))
    assert venv.observation_space == window_space()
    venv.seed(1)
    shown = np.asarray(venv.reset())
    assert shown[:, 8].min() < -0.9
    assert shown[:, 8].max() > 0.9
    plain = batch.observation
    assert ((plain[:, 8] >= np.float32(0.2)) & (plain[:, 8] <= np.float32(0.6))).all()
    made = Commitment(np.ones(256), plain[:, 8].astype(np.float64), np.broadcast_to([0.1, 0.3], (256, 2)))
    np.testing.assert_allclose(shown, WINDOW.observe(game, made), atol=1e-6)


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
