"""Play against the closed forms, within 4 standard errors of block means.

A correct program fails one comparison with probability about 2e-4 (t distribution, 49 degrees of freedom), so one of
the about 980 comparisons here fails for about one choice of seeds in five; the seeds are fixed to one that passes.
"""

import numpy as np
import pytest

from stackroute import Commitment, Game, expected_passes, provider_cost, success_probability, user_utility
from stackroute.agents import FixedPatienceUser, StaticProvider
from stackroute.envs import (
    ABANDON,
    RE_PROMPT,
    PassBatch,
    PatienceBatch,
    ProviderBatch,
    RoutingBatch,
    UserBatch,
    action_from_commitment,
    raw_env,
)

BLOCKS = 50
TASKS = 400


def random_play(games: Game, index: int) -> tuple[Game, Commitment, float]:
    generator = np.random.default_rng(index)
    game = games[index]
    delay = generator.uniform(0, 0.5, 2) * float(game.value) * generator.integers(2)
    return (
        game,
        Commitment(int(generator.integers(1, 3)), generator.uniform(), delay),
        float(generator.uniform(0, 0.98)),
    )


def agrees(sample: np.ndarray, exact: float) -> bool:
    error = sample.std(ddof=1) / np.sqrt(sample.size)
    return bool(abs(sample.mean() - exact) <= 4 * error + 1e-12)


@pytest.mark.parametrize("index", range(150))
def test_play_equals_the_closed_forms(random_games: Game, index: int) -> None:
    game, commitment, patience = random_play(random_games, index)
    batch = ProviderBatch(
        game, FixedPatienceUser(patience), BLOCKS, tasks_per_commitment=TASKS, seed=1000 * index, throttling=True
    )
    action = action_from_commitment(game, commitment, throttling=True)
    played = batch.step(np.tile(action, (BLOCKS, 1)))
    exact_passes = expected_passes(game, commitment, patience)
    assert agrees(played["passes"], exact_passes.sum())
    assert agrees(played["solved"], float(success_probability(game, commitment, patience)))
    assert agrees(played["service_cost"], float(exact_passes @ game.cost))
    assert agrees(played["service_cost"] + played["churn_penalty"], float(provider_cost(game, commitment, patience)))
    assert agrees(played["value"] - played["latency"], float(user_utility(game, commitment, patience)))


@pytest.mark.parametrize("index", range(0, 300, 3))
def test_a_patience_gains_what_the_closed_form_says(random_games: Game, index: int) -> None:
    game, commitment, patience = random_play(random_games, index)
    provider = StaticProvider(int(commitment.model), float(commitment.cascade), commitment.delay)
    batch = PatienceBatch(game, provider, BLOCKS, tasks_per_commitment=TASKS, seed=1000 * index)
    gain = batch.step(np.full(BLOCKS, patience))
    started = int(commitment.model) - 1
    first = float(game.with_delay(commitment.delay)[started])
    after_first = float(user_utility(game, commitment, patience)) - first
    assert agrees(gain, after_first / (1 - float(game.success[started])))


def test_the_pettingzoo_loop_equals_the_closed_forms(cascade_game: Game) -> None:
    commitment = Commitment(1, 0.4, [0.02, 0.05])
    action = action_from_commitment(cascade_game, commitment, throttling=True)
    generator = np.random.default_rng(5)
    env = raw_env(game=cascade_game, throttling=True)
    returns = np.zeros((4000, 2))
    for task in range(len(returns)):
        env.reset(seed=1 if task == 0 else None)
        for agent in env.agent_iter():
            _, reward, terminated, truncated, _ = env.last()
            returns[task, env.possible_agents.index(agent)] += reward
            if terminated or truncated:
                env.step(None)
            elif agent == "provider_0":
                env.step(action)
            else:
                env.step(RE_PROMPT if generator.random() < 0.7 else ABANDON)
    assert agrees(-returns[:, 0], float(provider_cost(cascade_game, commitment, 0.7)))
    assert agrees(returns[:, 1], float(user_utility(cascade_game, commitment, 0.7)))


@pytest.mark.parametrize("index", range(1, 300, 12))
def test_a_batch_of_users_gains_what_the_closed_form_says(random_games: Game, index: int) -> None:
    game, commitment, patience = random_play(random_games, index)
    provider = StaticProvider(int(commitment.model), float(commitment.cascade), commitment.delay)
    batch = UserBatch(game, provider, BLOCKS * TASKS, seed=7 * index, lookahead=1)
    gain, *_ = batch.play_out(np.full(BLOCKS * TASKS, patience))
    started = int(commitment.model) - 1
    after_first = float(user_utility(game, commitment, patience)) - float(game.with_delay(commitment.delay)[started])
    assert agrees(gain.reshape(BLOCKS, TASKS).mean(axis=1), after_first / (1 - float(game.success[started])))


@pytest.mark.parametrize("index", range(2, 300, 12))
def test_the_joint_batch_earns_what_the_closed_forms_say(random_games: Game, index: int) -> None:
    game, commitment, patience = random_play(random_games, index)
    slots, each = 1000, 20
    batch = RoutingBatch(game, slots, seed=5 * index, throttling=True)
    actions = np.tile(action_from_commitment(game, commitment, throttling=True), (slots, 1))
    generator = np.random.default_rng(index)
    left, totals = np.full(slots, each), np.zeros((2, slots))
    while left.any():
        step = batch.step(actions, np.where(generator.random(slots) < patience, RE_PROMPT, ABANDON))
        totals += np.stack([step.provider_reward, step.user_reward]) * (left > 0)
        left -= (step.terminated | step.truncated) & (left > 0)
    cost, utility = totals.reshape(2, BLOCKS, -1).mean(axis=-1) / each
    assert agrees(-cost, float(provider_cost(game, commitment, patience)))
    assert agrees(utility, float(user_utility(game, commitment, patience)))


@pytest.mark.parametrize("index", range(3, 300, 12))
def test_one_model_pass_by_pass_costs_what_its_commitment_does(random_games: Game, index: int) -> None:
    game, commitment, patience = random_play(random_games, index)
    model, slots, each = int(commitment.model), 1000, 20
    batch = PassBatch(game, FixedPatienceUser(patience), slots, seed=5 * index)
    left, total = np.full(slots, each), np.zeros((2, slots))
    while left.any():
        reward, ended, truncated = batch.step(np.full((slots, 1), float(model == 2)))
        total += np.stack([-reward, batch.parts[:, 3] - batch.parts[:, 2]]) * (left > 0)
        left -= (ended | truncated) & (left > 0)
    cost, utility = total.reshape(2, BLOCKS, -1).mean(axis=-1) / each
    static = Commitment(model, 0.0)
    assert agrees(cost, float(provider_cost(game, static, patience)))
    assert agrees(utility, float(user_utility(game, static, patience)))
