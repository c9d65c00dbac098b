"""Learning reaches the exact equilibrium: real training with the packaged settings, on fixed seeds.

Budget: 163,840 patiences and 61,440 commitments, about 25 s on one core for each run.
"""

import numpy as np
import pytest

from stackroute import Commitment, load_game
from stackroute.agents import FixedPatienceUser
from stackroute.configs.training import load_training_settings
from stackroute.training.follower_first import learn_provider, learn_user, train
from stackroute.training.learning import one_thread

pytestmark = pytest.mark.convergence

PROVIDER_REGRET = 0.005
USER_REGRET = 0.005


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("name", "throttles", "model"), [("gpt-4.1-o3-dev-low-p", True, 1), ("gpt-4.1-o3-dev", False, 2)]
)
def test_the_quickstart_games_converge(name: str, throttles: bool, model: int, seed: int) -> None:
    pair = train(load_game(name).game, load_training_settings(), throttling=True, seed=seed)
    evaluation = pair.evaluation
    assert evaluation.equilibrium.throttled is throttles
    assert evaluation.learned.throttled is throttles
    assert evaluation.learned.model == evaluation.equilibrium.model == model
    assert evaluation.provider_regret < PROVIDER_REGRET
    assert evaluation.provider_regret_pessimistic < PROVIDER_REGRET
    assert evaluation.user_regret < USER_REGRET


def test_throttling_is_learned_from_the_users_response() -> None:
    game = load_game("gpt-4.1-o3-dev-low-p").game
    with one_thread():
        never_leaves = FixedPatienceUser(1.0)
        provider, _ = learn_provider(game, never_leaves, load_training_settings().provider, throttling=True)
        commitment = provider.commit(game, np.zeros(4))
    # Against a user that always re-prompts a delay changes nothing, and the cheapest route is model 2.
    assert int(commitment.model) == 2


@pytest.mark.parametrize(("name", "switch"), [("g4b", 4 / 13), ("g4", 0.224475)])
def test_a_learned_user_switches_at_s0(name: str, switch: float) -> None:
    game = load_game(name).game
    with one_thread():
        user, _ = learn_user(game, load_training_settings().user, throttling=False, seed=0)
        cascade = np.linspace(0, 1, 401)
        patience = user.patience(game, Commitment(np.ones(401), cascade), np.zeros(401))
    assert (patience[cascade < switch - 0.02] == 0).all()
    assert (patience[cascade > switch + 0.02] == 1).all()
