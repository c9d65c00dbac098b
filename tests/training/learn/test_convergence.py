"""Learning reaches the exact equilibrium: real training with the packaged settings, on fixed seeds.

Budgets are those of the packaged settings: about 5 s on one core for an easy game, 10 s for most cascades. Everything
is seeded, so a test gives the same result each time on the same versions; the thresholds are on exact regret.
"""

import numpy as np
import pytest

from stackroute import Commitment, load_game
from stackroute.agents import FixedPatienceUser
from stackroute.analytic import best_response, cascade_thresholds, throttling_gain
from stackroute.configs.training import FollowerFirstSettings, SimultaneousSettings, load_training_settings
from stackroute.envs.tasks import Rollouts
from stackroute.training.learn import follower_first
from stackroute.training.learn.follower_first import learn_provider, learn_user
from stackroute.training.learn.learning import Training, one_thread
from stackroute.training.learn.schemes import train
from stackroute.training.learn.views import log_cost

pytestmark = pytest.mark.convergence

STATIC_REGRET = 0.001
USER_REGRET = 0.005


@pytest.fixture(scope="module")
def settings() -> FollowerFirstSettings:
    loaded = load_training_settings("follower_first")
    assert isinstance(loaded, FollowerFirstSettings)
    return loaded


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("name", "throttles", "model"), [("gpt-4.1-o3-dev-low-p", True, 0), ("gpt-4.1-o3-dev", False, 1)]
)
def test_the_quickstart_games_converge(
    settings: FollowerFirstSettings, name: str, throttles: bool, model: int, seed: int
) -> None:
    pair = train(load_game(name).game, settings, throttling=True, seed=seed)
    evaluation = pair.evaluation
    assert evaluation.equilibrium.throttled is throttles
    assert evaluation.learned.throttled is throttles
    assert evaluation.learned.first_model == evaluation.equilibrium.first_model == model
    assert evaluation.provider_regret < STATIC_REGRET
    assert evaluation.provider_regret_pessimistic < STATIC_REGRET
    assert evaluation.user_regret < USER_REGRET
    assert pair.certified


@pytest.mark.parametrize("name", ["g1", "g2", "g3", "g6"])
def test_static_games_converge(settings: FollowerFirstSettings, name: str) -> None:
    pair = train(load_game(name).game, settings, throttling=False, seed=0)
    assert pair.evaluation.provider_regret < STATIC_REGRET
    assert pair.evaluation.user_regret < USER_REGRET
    assert pair.certified


@pytest.mark.parametrize(
    ("name", "side", "regret", "seed"),
    [
        ("g4b", 1, 0.01, 1),
        ("gpt-4.1-nano-gpt-4.1-cascade", 1, 0.02, 0),
        ("g5", -1, 0.005, 0),
        ("g5b", -1, 0.005, 0),
    ],
)
def test_cascades_converge_and_stay_on_the_safe_side(
    settings: FollowerFirstSettings, name: str, side: int, regret: float, seed: int
) -> None:
    pair = train(load_game(name).game, settings, throttling=False, seed=seed)
    learned, equilibrium = pair.evaluation.learned, pair.evaluation.equilibrium
    assert pair.evaluation.start_model_right
    assert side * (learned.cascade - equilibrium.cascade) >= 0
    assert 0 <= pair.evaluation.provider_regret < regret
    assert pair.evaluation.user_regret < USER_REGRET
    # The learned user answers the learned commitment as the best response does.
    assert pair.evaluation.on_path_regret < regret
    assert pair.certified
    # The last check adds what learning alone did not reach.
    assert pair.evaluation.provider_regret <= pair.stages["provider"].provider_regret


@pytest.mark.parametrize("ratio", [0.95, 1.05])
def test_throttling_appears_below_the_exact_threshold_and_not_above(
    settings: FollowerFirstSettings, ratio: float
) -> None:
    game = load_game("g7").game
    threshold = float(throttling_gain(game).churn_penalty_high)
    changed = type(game)(game.success, game.cost, game.latency, game.value, ratio * threshold)
    evaluation = train(changed, settings, throttling=True, seed=0).evaluation
    assert evaluation.learned.throttled is (ratio < 1)
    assert evaluation.provider_regret < STATIC_REGRET


@pytest.mark.parametrize(
    ("name", "throttling"),
    [("g5", False), ("g9", False), ("g10", True)],
    ids=["reverse cascade", "lottery of three", "throttling"],
)
def test_free_routing_converges_and_stays_on_the_safe_side(
    settings: FollowerFirstSettings, name: str, throttling: bool
) -> None:
    # Budgets of the packaged settings, about 30 s on one core; one seed.
    pair = train(load_game(name).game, settings, throttling=throttling, routing="free", seed=0)
    evaluation = pair.evaluation
    assert evaluation.start_model_right
    assert evaluation.learned.throttled is evaluation.equilibrium.throttled is throttling
    assert 0 <= evaluation.provider_regret <= evaluation.provider_regret_pessimistic < 0.01
    assert evaluation.user_regret < USER_REGRET
    assert pair.certified
    assert evaluation.provider_regret <= pair.stages["provider"].provider_regret


def test_throttling_is_learned_from_the_users_response(settings: FollowerFirstSettings) -> None:
    game = load_game("gpt-4.1-o3-dev-low-p").game
    with one_thread():
        provider, _ = learn_provider(Training(game, throttling=True), FixedPatienceUser(1.0), settings.provider)
        commitment = provider.commit(game, np.zeros(5))
    # Against a user that always re-prompts a delay changes nothing, and the cheapest route is the second model.
    assert commitment.first_model == 1


@pytest.mark.parametrize(("name", "switch"), [("g4b", 4 / 13), ("g4", 0.224475)])
def test_a_learned_user_switches_at_s0(settings: FollowerFirstSettings, name: str, switch: float) -> None:
    game = load_game(name).game
    with one_thread():
        user, _ = learn_user(Training(game, throttling=False), settings.user)
        cascade = np.linspace(0, 1, 401)
        patience = user.patience(game, Commitment.cascade(0, cascade), np.zeros(401))
    assert (patience[cascade < switch - 0.02] == 0).all()
    assert (patience[cascade > switch + 0.02] == 1).all()


@pytest.mark.parametrize("name", ["g5", "g5b"])
def test_a_learned_user_mixes_between_its_thresholds(settings: FollowerFirstSettings, name: str) -> None:
    game = load_game(name).game
    thresholds = cascade_thresholds(game)
    commitments = Commitment.cascade(0, np.linspace(thresholds.low, thresholds.high, 201)[1:-1])
    with one_thread():
        user, _ = learn_user(Training(game, throttling=False), settings.user)
        error = np.abs(user.patience(game, commitments, np.zeros(199)) - best_response(game, commitments))
    # The ten patiences alone are up to 0.1 from the best.
    assert np.median(error) < 0.05
    assert error.max() < 0.2


def test_learners_of_shuffled_rewards_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random, compare = np.random.default_rng(0), Rollouts.compare
    settings = load_training_settings("follower_first", ["overview=null", "certificate=null"])
    game = load_game("gpt-4.1-o3-dev-low-p").game
    honest = train(game, settings, throttling=True, seed=0).curves
    monkeypatch.setattr(Rollouts, "compare", lambda rollouts, patience: random.permutation(compare(rollouts, patience)))
    monkeypatch.setattr(follower_first, "log_cost", lambda rewards: random.permutation(log_cost(rewards)))
    shuffled = train(game, settings, throttling=True, seed=0).curves
    assert honest["user"].regret[-1] < 0.1 * honest["user"].regret[0]
    assert shuffled["user"].regret[-1] > 0.5 * shuffled["user"].regret[0]
    assert honest["provider"].regret[-1] < STATIC_REGRET
    assert shuffled["provider"].regret[-1] > 0.1


def test_players_that_learn_blindly_and_at_once_miss_the_cascade() -> None:
    blind = load_training_settings("simultaneous_blind")
    assert isinstance(blind, SimultaneousSettings)
    evaluation = train(load_game("g4b").game, blind, throttling=False, seed=0).evaluation
    # At a fixed patience the best route is static: to a user who does not see it, a cascade is worth nothing.
    assert evaluation.provider_regret > 0.05
