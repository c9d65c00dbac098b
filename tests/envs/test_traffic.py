"""Tasks of hidden types in every API, against `traffic_payoffs` and against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.stats import chisquare

from stackroute.agents import CountingUser, LadderProvider, RationalUser, StaticProvider
from stackroute.analytic import (
    Commitment,
    Game,
    Ladders,
    Population,
    Traffic,
    best_response,
    counting_response,
    solve_population,
    solve_traffic,
    traffic_payoffs,
)
from stackroute.envs import (
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserEnv,
    UserVectorEnv,
    env,
    parallel_env,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

GAMES = Game(
    [[0.9, 0.95], [0.1, 0.6], [0.4, 0.5], [0.02, 0.3]],
    [[0.1, 0.8], [0.2, 0.7], [0.1, 0.9], [0.3, 0.5]],
    [0.5, 1],
    value=4,
    churn_penalty=5,
)
TRAFFIC = Traffic(GAMES, [0.5, 0.2, 0.2, 0.1], ["a", "b", "a", "b"], ["x", "x", "y", "y"])
LADDERS = Ladders(
    [[0, 1, 1], [1, 0, 0]], [[[0.5, 0.5], [0.9, 0.1]], [[0.2, 0.8], [1, 0]]], [[0, 0.1, 0.4], [0.2, 0.0, 0.3]]
)
SLOWED = LadderProvider(Ladders([[0]], delay=0.1))
STOP = [2, 3]
TASKS = 200_000


def action(batch: Any) -> Array:
    """What the ladders do next in every task of an environment that routes pass by pass, as actions."""
    tasks = batch.tasks
    return batch.variant.actions.routed(tasks.game, *LadderProvider(LADDERS).route(tasks.waiting()))


def test_types_come_up_by_their_weights_and_each_player_sees_its_labels() -> None:
    batch = RoutingBatch(TRAFFIC, TASKS, seed=1, routing="pass")
    rows = batch.tasks.rows["game"]
    # Wrong once in 10,000 runs.
    assert chisquare(np.bincount(rows), TRAFFIC.weight * TASKS).pvalue > 1e-4
    provider, user = batch.reset()
    rows = batch.tasks.rows["game"]
    np.testing.assert_array_equal(provider, np.c_[np.zeros((TASKS, 2)), np.eye(2)[TRAFFIC.context[rows]], user[:, -2:]])
    np.testing.assert_array_equal(user[:, -2:], np.eye(2)[TRAFFIC.group[rows]])
    features = Traffic(GAMES, TRAFFIC.weight, TRAFFIC.context, features=[[0.5, -3.0, 7], [1, 0, 9]])
    small = RoutingBatch(features, 50, routing="pass", observe={"provider": ["context"]})
    seen, _ = small.reset()
    np.testing.assert_array_equal(seen, features.features[features.context[small.tasks.rows["game"]]])
    space = small.variant.observation_space("provider")
    assert all(space.contains(row) for row in seen)
    assert small.equilibrium is small.equilibrium


def test_monte_carlo_is_what_theory_says() -> None:
    exact = traffic_payoffs(TRAFFIC, LADDERS, 6)
    expected = np.array([TRAFFIC.group_weight[g] * exact.provider_cost[g, STOP[g] - 1] for g in (0, 1)]).sum()
    provider = ProviderVectorEnv(TASKS, TRAFFIC, CountingUser(STOP), routing="pass")
    provider.reset(seed=2)
    group = TRAFFIC.group[provider.tasks.rows["game"]]
    cost, playing = np.zeros(TASKS), np.ones(TASKS, dtype=bool)
    for _ in range(3):
        rewards, ended, _ = provider.advance(action(provider))
        cost -= playing * rewards
        playing &= ~ended
    assert not playing.any()
    # Five comparisons at 4 standard errors: wrong once in 3,000 runs.
    assert abs(cost.mean() - expected) < 4 * cost.std() / TASKS**0.5
    for g in (0, 1):
        here = cost[group == g]
        assert abs(here.mean() - exact.provider_cost[g, STOP[g] - 1]) < 4 * here.std() / len(here) ** 0.5

    user = UserVectorEnv(TASKS, TRAFFIC, LadderProvider(LADDERS), routing="pass")
    user.reset(seed=3)
    group = TRAFFIC.group[user.tasks.rows["game"]]
    utility, playing = np.zeros(TASKS), np.ones(TASKS, dtype=bool)
    for passes in (1, 2, 3):
        rewards, ended, _ = user.advance((np.array(STOP)[group] <= passes).astype(np.int64))
        utility += playing * rewards
        playing &= ~ended
    first = np.take_along_axis(GAMES.success, LADDERS.models[:, 0][None], axis=1)
    fails = 1 - (LADDERS.chances(TRAFFIC.group, TRAFFIC.context) * first).sum(axis=1)
    for g in (0, 1):
        here = utility[group == g]
        # What follows the first failure is worth U(n) - U(1), given that there is one.
        later = (exact.user_utility[g, STOP[g] - 1] - exact.user_utility[g, 0]) / (TRAFFIC.by_group[g] @ fails)
        assert abs(here.mean() - later) < 4 * here.std() / len(here) ** 0.5


def test_the_same_seed_plays_the_same_tasks_in_every_api() -> None:
    options: Any = {"routing": "pass"}
    vector = ProviderVectorEnv(30, TRAFFIC, CountingUser(STOP), **options)
    vector.reset(seed=5)
    kinds = vector.tasks.rows["game"].copy()
    expected = np.zeros((30, 2))
    playing = np.ones(30, dtype=bool)
    while playing.any():
        rewards, ended, _ = vector.advance(action(vector))
        infos = vector.step_infos
        expected[:, 0] += playing * rewards
        expected[:, 1] += playing * (infos["value"] - infos["latency"])
        playing &= ~ended
    aec, parallel, single = (
        env(TRAFFIC, **options),
        parallel_env(TRAFFIC, **options),
        ProviderEnv(TRAFFIC, CountingUser(STOP), **options),
    )
    for slot in range(30):
        for api in (aec, parallel, single):
            api.reset(seed=5 + slot)
            assert api.unwrapped.tasks.rows["game"][0] == kinds[slot]
        stop = STOP[TRAFFIC.group[kinds[slot]]]
        total = np.zeros(2)
        for agent in aec.agent_iter():
            if aec.terminations[agent]:
                total += (
                    [aec._cumulative_rewards["provider_0"], 0]
                    if agent == "provider_0"
                    else [0, aec._cumulative_rewards["user_0"]]
                )
                aec.step(None)
                continue
            total[int(agent == "user_0")] += aec._cumulative_rewards[agent]
            aec.step(action(aec)[0] if agent == "provider_0" else int(aec.tasks.rows["passes"][0] >= stop))
        np.testing.assert_allclose(total, expected[slot])
        total[:] = 0
        while parallel.agents:
            answer = int(parallel.tasks.rows["passes"][0] >= stop)
            _, rewards, *_ = parallel.step({"provider_0": action(parallel)[0], "user_0": answer})
            total += [rewards["provider_0"], rewards["user_0"]]
        np.testing.assert_allclose(total, expected[slot])
        total[:] = 0
        over = False
        while not over:
            _, reward, over, _, info = single.step(action(single)[0])
            total += [reward, info["value"] - info["latency"]]
        np.testing.assert_allclose(total, expected[slot])


@pytest.mark.parametrize("routing", ["pass", "lottery"])
def test_after_a_failure_hard_types_are_more_frequent(routing: Any) -> None:
    provider: Any = LadderProvider(Ladders.static(0))
    if routing == "lottery":
        provider = StaticProvider(Commitment.lottery([1, 0], [0.5, 0.5]))
    user = UserVectorEnv(50_000, TRAFFIC, provider, routing=routing)
    user.reset(seed=7)
    posterior = TRAFFIC.weight * (1 - GAMES.success[:, 0])
    # Wrong once in 10,000 runs.
    found = np.bincount(user.tasks.rows["game"])
    assert chisquare(found, posterior / posterior.sum() * found.sum()).pvalue > 1e-4


def test_users_that_the_provider_cannot_tell_apart_play_one_environment() -> None:
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1, churn_penalty=0)
    users = Population(value=[1.0, 1.4], waiting_cost=[1, 1], churn_penalty=[0.7, 5], share=[0.5, 0.5])
    exact = solve_population(game, users)
    mixed = Traffic(users.games(game), users.share)
    options: Any = {"routing": "lottery", "observe": {"user": ["game", "commitment"]}}
    provider = ProviderVectorEnv(2_000, mixed, RationalUser(), tasks_per_commitment=50, **options)
    provider.reset(seed=1)
    rewards, *_ = provider.advance(
        provider.variant.actions.action(mixed.games[np.zeros(2_000, dtype=int)], exact.commitment)
    )
    # Wrong once in 15,000 runs.
    assert abs(rewards.mean() + exact.provider_cost) < 4 * rewards.std() / 2_000**0.5
    assert provider.observation.shape == (2_000, 4), "the provider sees nothing of the type"
    np.testing.assert_array_equal(best_response(mixed.games, exact.commitment), exact.stays)


def test_the_exact_policy_holds_users_where_theory_says() -> None:
    found = solve_traffic(TRAFFIC, 8)
    stop, payoffs = counting_response(TRAFFIC, found.policy, 8)
    provider = ProviderVectorEnv(50_000, TRAFFIC, CountingUser(stop), routing="pass", throttling=False)
    provider.reset(seed=4)
    rows = provider.tasks.rows["game"].copy()
    cost, playing = np.zeros(50_000), np.ones(50_000, dtype=bool)
    route = LadderProvider(found.policy).route
    while playing.any():
        tasks = provider.tasks
        rewards, ended, _ = provider.advance(provider.variant.actions.routed(tasks.game, *route(tasks.waiting())))
        cost -= playing * rewards
        playing &= ~ended
    for g in (0, 1):
        here = cost[TRAFFIC.group[rows] == g]
        # Wrong once in 8,000 runs, each.
        assert abs(here.mean() - found.provider_cost[g]) < 4 * here.std() / len(here) ** 0.5
    assert payoffs.provider_cost.shape == (2, 8)


def test_types_of_counting_users() -> None:
    user = CountingUser([[1, 2], [3, 3]], shares=[0.25, 0.75])
    seen: Any = RoutingBatch(TRAFFIC, 4, routing="pass").tasks.seen()._replace(group=np.array([0, 1, 0, 1]))
    assert user.begin(seen, np.array([0.2, 0.2, 0.3, 0.9])).tolist() == [1, 2, 3, 3]
    assert CountingUser([1, 5], shares=[1, 1]).begin(seen, np.array([0.2, 0.7, 0.5, 0.1])).tolist() == [1, 5, 5, 1]


def test_specifications_hold_the_traffic() -> None:
    made = gymnasium.make("stackroute/Provider-v0", game=TRAFFIC, user="random", routing="pass")
    assert made.spec is not None
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(made.spec.to_json()))
    json.loads(made.spec.to_json())
    for seed in range(5):
        np.testing.assert_array_equal(made.reset(seed=seed)[0], again.reset(seed=seed)[0])
    check_env(ProviderEnv(TRAFFIC, CountingUser(2), routing="pass"), skip_render_check=True)
    check_env(UserEnv(TRAFFIC, LadderProvider(LADDERS), routing="pass"), skip_render_check=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProviderEnv(GAMES, observe={"provider": ["context"]}), "only a Traffic"),
        (lambda: ProviderEnv([TRAFFIC, "g1"]), "in a list"),
        (lambda: ProviderEnv(TRAFFIC, reward_unit="relative"), "relative"),
        (lambda: ProviderEnv(TRAFFIC, tasks_per_commitment=2), "tasks_per_commitment: 2"),
        (lambda: UserEnv(TRAFFIC, routing="pass"), "route method"),
        (lambda: UserEnv(TRAFFIC, StaticProvider(Commitment.cascade(0, 0.5)), routing="pass"), "route method"),
        (lambda: UserEnv(TRAFFIC, LadderProvider(LADDERS)), "commit method"),
        (lambda: UserEnv(TRAFFIC, LadderProvider(LADDERS), routing="pass", decision="task"), "decision: 'task'"),
        (lambda: UserEnv(TRAFFIC, SLOWED, routing="pass", throttling=False).reset(seed=0), "delay: "),
        (lambda: UserEnv(TRAFFIC, LadderProvider(Ladders.static(2)), routing="pass").reset(seed=0), "model: "),
        (lambda: LadderProvider([[0]]), "expected Ladders"),
        (lambda: CountingUser(0), "passes: 0"),
        (lambda: CountingUser([1, 2], shares=[1]), "shares"),
        (lambda: ProviderVectorEnv(99, TRAFFIC, CountingUser([3]), routing="pass").reset(seed=0), "1 groups"),
    ],
)
def test_bad_input_is_named(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
