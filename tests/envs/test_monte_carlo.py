"""Play against the closed forms, within 4 standard errors of block means.

A correct program fails one comparison with probability about 2e-4 (t distribution, 49 degrees of freedom), so one of
the about 900 comparisons here fails for about one choice of seeds in six; the seeds are fixed to one that passes.
"""

import numpy as np
import pytest

from stackroute import Commitment, Game, expected_passes, provider_cost, success_probability, user_utility
from stackroute.agents import FixedPatienceUser, StaticProvider
from stackroute.envs import ABANDON, RE_PROMPT, PatienceBatch, ProviderBatch, action_from_commitment, raw_env

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
