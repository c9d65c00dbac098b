"""Learning on tasks of hidden difficulty: sampled play, the choice among ladders, and the exact optimum."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from stackroute.analytic import Game, Ladders, Traffic, solve_traffic, traffic_payoffs
from stackroute.configs import ConfigError
from stackroute.configs.shadow_price import ShadowPriceSettings, load_shadow_price_settings
from stackroute.configs.traffic import load_traffic_settings
from stackroute.training.learn.goals import Goals, GoalView, Played, choose, contenders, ladders_of, mixture, play
from stackroute.training.learn.shadow_price import known_ladders, learn, make_learner

TINY = Path(__file__).parents[1] / "tiny_shadow_price.yaml"


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    random = np.random.default_rng(1)
    games = Game(random.uniform(0.05, 0.9, (6, 2)), [1, 3], [1, 2], 10, random.uniform(3, 5, 6))
    return Traffic(games, context=list("ababab"), group=list("xxyyyy"))


@pytest.fixture(scope="module")
def pair() -> Traffic:
    games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
    return Traffic(games, [0.7, 0.3])


@pytest.fixture
def tiny() -> ShadowPriceSettings:
    return load_shadow_price_settings(TINY)


def exact(traffic: Traffic, ladders: np.ndarray) -> Played:
    found = [traffic_payoffs(traffic, Ladders(ladder), ladder.shape[-1]) for ladder in ladders[:, 0]]
    utility, cost = (np.stack([one[k] for one in found]) for k in range(2))
    return Played(utility, cost, np.zeros((*utility.shape, utility.shape[-1])))


def test_sampled_play_equals_the_payoffs(traffic: Traffic) -> None:
    ladders = np.random.default_rng(2).integers(0, 2, (2, 2, 2, 5))
    found = play(traffic, ladders, 100_000, seed=3)
    for k in range(2):
        payoffs = traffic_payoffs(traffic, mixture(ladders, np.eye(2)[[k, k]]), 5)
        off = found.utility[k] - payoffs.user_utility
        # 5 standard errors over 20 differences a ladder: a false alarm in about 1e-5.
        assert (np.abs(off[..., :, None] - off[..., None, :]) <= 5 * found.error[k] + 1e-12).all()
        assert np.abs(found.cost[k] - payoffs.provider_cost).max() < 0.06


def test_play_knows_its_error(pair: Traffic) -> None:
    ladders = np.array([[[[0, 1, 1]]]])
    runs = [play(pair, ladders, 1_000, seed) for seed in range(200)]
    spread = np.std([run.utility[0, 0, 2] - run.utility[0, 0, 0] for run in runs])
    # The standard deviation of 200 runs is within 25 % but for 1e-6.
    assert runs[0].error[0, 0, 0, 2] == pytest.approx(spread, rel=0.25)


def test_all_ladders_mixed_give_the_exact_optimum(pair: Traffic) -> None:
    ladders = np.array(list(product(range(2), repeat=4)))[:, None, None]
    found = choose(exact(pair, ladders), 0.0)
    best = solve_traffic(pair, 4)
    assert found.cost == pytest.approx(best.provider_cost, rel=1e-7)
    assert found.stop == best.stop


def test_users_are_sure_where_play_has_errors() -> None:
    # The second ladder is cheaper, and users go on for sure only where at least a third is the first one.
    utility, cost = np.array([[[0.0, 2.0]], [[0.0, 0.0]]]), np.array([[[9.0, 3.0]], [[9.0, 1.0]]])
    error = np.array([[[[0, 1], [1, 0]]]] * 2) * 0.5
    assert choose(Played(utility, cost, error), 0.0).shares == pytest.approx(np.array([[0.0, 1.0]]))
    found = choose(Played(utility, cost, error), 1.0)
    assert found.shares == pytest.approx(np.array([[0.25, 0.75]]))
    assert found.cost == pytest.approx([1.5])
    assert contenders(Played(utility, cost, error), 1.0).tolist() == [0, 1]


def test_contenders_leave_out_what_costs_more(pair: Traffic) -> None:
    played = exact(pair, np.array(list(product(range(2), repeat=4)))[:, None, None])
    kept = contenders(played, 1.0)
    assert len(kept) < 5
    assert choose(played.of(kept), 0.0).cost == pytest.approx(choose(played, 0.0).cost)


@pytest.mark.parametrize("solves", [True, False])
def test_rewards_are_those_of_the_goal(solves: bool) -> None:
    game = Game([[1 - 1e-12 if solves else 1e-12]], [2], [3], value=10, churn_penalty=6)
    view = GoalView(Traffic(game), 32, horizon=4)
    view.seed(0)
    observation = view.reset()
    seen = set()
    for _ in range(8):
        share, counts = (observation[:, -3] + 1) / 2, observation[:, -1] > 0
        observation, rewards, dones, _ = view.step(np.zeros(32, dtype=np.int64))
        # In units of the value, 10, and of the largest cost plus the churn penalty, 8.
        utility, saved = ((10 - 3) / 10, (6 - 2) / 8) if solves else (-3 / 10, -2 / 8)
        expected = np.where(counts, share * utility + (1 - share) * saved, -np.maximum(share, 0.05) * utility)
        np.testing.assert_allclose(rewards, expected, atol=1e-5)
        assert dones.all() or not solves
        seen |= set(counts.tolist())
    assert seen == ({True} if solves else {True, False})


def test_a_network_is_shown_in_ladders_what_it_saw_in_play(traffic: Traffic, tiny: ShadowPriceSettings) -> None:
    policy = make_learner(traffic, tiny, seed=3).policy
    view = GoalView(traffic, 256, tiny.horizon)
    view.seed(0)
    observation = view.reset()
    for _ in range(6):
        rows = view._tasks.rows
        passes, games = rows["passes"].astype(int), rows["game"]
        ladders = ladders_of(policy, traffic, Goals(view._goals.share, view._goals.stop), tiny.horizon)
        mine = ladders[np.arange(256), traffic.group[games], traffic.context[games]]
        chosen, _ = policy.predict(observation, deterministic=True)
        assert (chosen == mine[np.arange(256), passes]).all()
        observation, *_ = view.step(chosen)


def test_the_same_seed_learns_the_same(traffic: Traffic, tiny: ShadowPriceSettings) -> None:
    one, other = (learn(traffic, tiny, seed=5) for _ in range(2))
    assert (one.stop == other.stop).all()
    assert (one.policy.probability == other.policy.probability).all()
    assert one.provider_regret == other.provider_regret
    assert one.curve == other.curve
    assert one.provider_regret >= -1e-9
    assert one.stop.shape == one.exact_stop.shape == (2,)
    assert known_ladders(make_learner(traffic, tiny, seed=5), traffic, tiny).shape == (12, 2, 2, 4)


@pytest.mark.parametrize("change", ["tasks=[]", "prices=1", "horizon=0", "provider=provider_sac"])
def test_bad_settings_are_named(change: str) -> None:
    with pytest.raises(ConfigError, match=change.split("=")[0]):
        load_shadow_price_settings(changes=[change])


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{scheme: shadow_price, provider: provider_ppo_pass, horizon: 3, prices: 2, tasks: [10], standard_errors: 1}"
    )
    assert load_shadow_price_settings(path).horizon == 3


@pytest.mark.convergence
def test_routing_by_category_is_learned() -> None:
    found = learn(
        load_traffic_settings("bfcl").traffic(), load_shadow_price_settings(changes=["tasks=[16384, 131072]"]), seed=0
    )
    assert found.provider_regret < 0.03
    assert abs(found.stop - found.exact_stop) <= 1
    assert abs(found.exact_stop - found.equilibrium.stop) <= 1
