"""Play against the closed forms, within 4 standard errors of block means; other APIs play the same episodes.

A correct program fails one comparison with probability about 2e-4 (t distribution, 49 degrees of freedom), so one of
the about 950 comparisons here fails for about one choice of seeds in six; the seeds are fixed to one that passes.
Frequencies are compared by chi-square tests, each of which a correct program fails with probability 1e-3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from stackroute import Commitment, Game
from stackroute.agents import (
    CountingUser,
    EquilibriumProvider,
    FixedPatienceUser,
    LearningUser,
    LogitUser,
    MixtureUser,
    RandomProvider,
    ShoppingUser,
    StaticProvider,
)
from stackroute.analytic import expected_passes, provider_cost, success_probability, user_utility
from stackroute.envs import ABANDON, RE_PROMPT, ProviderActions, ProviderVectorEnv, UserVectorEnv

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCKS = 50
TASKS = 400
KINDS = [(models, routing) for models in (1, 2, 3) for routing in ("cascade", "lottery")]


def random_play(models: int, routing: Any, index: int) -> tuple[Game, Commitment, np.ndarray]:
    """A game, a commitment of the action space, with delays every second time, and a patience for each model."""
    generator = np.random.default_rng([models, index])
    success, cost, latency = generator.uniform(0.1, 0.95, models), *generator.uniform(0.01, 1, (2, models))
    game = Game(success, cost, latency, generator.uniform(0.2, 3), generator.uniform(0, 4))
    actions = ProviderActions(models, routing)
    row = generator.random(actions.width)
    row[-models:] *= 0.5 * (index % 2)
    return game, actions.commitment(game, row), generator.uniform(0.05, 0.98, models)


def agrees(sample: np.ndarray, exact: Any) -> bool:
    means = sample.reshape(BLOCKS, -1).mean(axis=1)
    return bool(abs(means.mean() - exact) <= 4 * means.std(ddof=1) / np.sqrt(BLOCKS) + 1e-12)


class ByModel:
    def __init__(self, patience: np.ndarray) -> None:
        self.given = patience

    def patience_by_model(self, game: Game, commitment: Commitment | None, random_numbers: np.ndarray) -> np.ndarray:
        return self.given


def served(
    game: Game, commitment: Commitment, user: Any, routing: Any, seed: int, tasks: int = TASKS
) -> dict[str, np.ndarray]:
    """Means of blocks of tasks, with the cost and the utility of a task."""
    env = ProviderVectorEnv(BLOCKS, game, user, tasks_per_commitment=tasks, routing=routing)
    env.reset(seed=seed)
    action = ProviderActions(game.models, routing).action(game, commitment)
    rewards, *_ = env.advance(np.tile(action, (BLOCKS, 1)))
    played = env.step_infos
    return {**played, "cost": -rewards, "utility": played["value"] - played["latency"]}


@pytest.mark.parametrize(("models", "routing"), KINDS)
def test_play_equals_the_closed_forms(models: int, routing: str) -> None:
    for index in range(18):
        game, commitment, patience = random_play(models, routing, index)
        played = served(game, commitment, ByModel(patience), routing, 1000 * index)
        passes = expected_passes(game, commitment, patience, by_model=True)
        assert agrees(played["passes"], passes.sum())
        assert agrees(played["solved"], success_probability(game, commitment, patience, by_model=True))
        assert agrees(played["service_cost"], passes @ game.cost)
        assert agrees(played["cost"], provider_cost(game, commitment, patience, by_model=True))
        assert agrees(played["utility"], user_utility(game, commitment, patience, by_model=True))


@pytest.mark.parametrize("models", [1, 2, 4])
def test_the_equilibrium_of_free_routing_holds_in_play(models: int) -> None:
    """Rational users stay with lotteries that leave them indifferent, and leave where they are threatened."""
    generator, routes = np.random.default_rng(models), set()
    for index in range(12):
        success, cost, latency = generator.uniform(0.2, 0.95, models), *generator.uniform(0.01, 1, (2, models))
        game = Game(success, cost, latency, generator.uniform(0.5, 1.5), generator.uniform(0, 3))
        env = ProviderVectorEnv(1, game, "rational", routing="lottery")
        env.reset(seed=0)
        best = env.equilibrium
        routes.add(int(best.route[0]))
        made = EquilibriumProvider(throttling=True, routing="free").commit(game, np.zeros(()))
        played = served(game, made, "rational", "lottery", 1000 * index)
        assert agrees(played["cost"], best.provider_cost[0])
        assert agrees(played["utility"], best.user_utility[0])
    assert len(routes) > 1


def after_first_failure(game: Game, commitment: Commitment, patience: float) -> float:
    """What is left of the utility once the first pass has failed."""
    at_once = commitment.start @ game.with_delay(commitment.delay)
    failed = commitment.start @ (1 - game.success)
    return float((user_utility(game, commitment, patience) - at_once) / failed)


@pytest.mark.parametrize(("models", "routing"), KINDS)
def test_users_gain_what_the_closed_forms_say_after_the_first_failure(models: int, routing: Any) -> None:
    for index in range(10):
        game, commitment, (patience, *_) = random_play(models, routing, index)
        exact = after_first_failure(game, commitment, patience)
        provider = StaticProvider(commitment)
        env = UserVectorEnv(BLOCKS, game, provider, decision="task", tasks_per_commitment=TASKS, routing=routing)
        env.reset(seed=1000 * index)
        assert agrees(env.advance(np.full((BLOCKS, 1), patience))[0], exact)
        assert agrees(env.step_infos["utility_of_staying"], after_first_failure(game, commitment, 1.0))
        if index < 4:
            assert agrees(earned(game, provider, patience, index, routing=routing), exact)


def earned(game: Game, provider: Any, patience: float, seed: int, slots: int = 1000, **options: Any) -> np.ndarray:
    """The mean utility in slots of users that answer failed passes one by one, over 20 tasks each."""
    env, generator = UserVectorEnv(slots, game, provider, **options), np.random.default_rng(seed)
    env.reset(seed=5 * seed)
    left, total = np.full(slots, 20), np.zeros(slots)
    while left.any():
        rewards, terminated, truncated = env.advance(np.where(generator.random(slots) < patience, RE_PROMPT, ABANDON))
        total += rewards * (left > 0)
        left -= (terminated | truncated) & (left > 0)
    return total / 20


@pytest.mark.parametrize("blocks", [["game"], ["game", "commitment"], ["history"]])
def test_a_random_start_is_conditioned_on_failing(blocks: list[str]) -> None:
    game = Game([0.9, 0.2, 0.6], [0.1, 0.4, 0.2], [0.3, 0.1, 0.5], value=2, churn_penalty=1)
    # What follows depends on the start: each model keeps its task.
    commitment = Commitment([0.5, 0.3, 0.2], np.eye(3), [0.1, 0.0, 0.2])
    utility = earned(game, StaticProvider(commitment), 0.8, 5, observe={"user": blocks})
    assert agrees(utility, after_first_failure(game, commitment, 0.8))


@pytest.mark.parametrize("blocks", [["game", "commitment"], ["commitment"], ["game"], ["history"]])
@pytest.mark.parametrize("lookahead", [1, 16])
def test_what_users_do_not_see_comes_up_as_often_as_it_fails(blocks: list[str], lookahead: int) -> None:
    success = np.array([[0.2, 0.9], [0.5, 0.6], [0.8, 0.95]])
    game = Game(success, [0.1, 0.2], [0.1, 0.2], [1.0, 2.0, 3.0], 1.0)
    size = 20_000
    env = UserVectorEnv(size, game, RandomProvider(), observe={"user": blocks}, lookahead=lookahead)
    env.reset(seed=9)
    rows = env.tasks.rows
    counts = np.zeros((3, 2))
    np.add.at(counts, (rows["game"], rows["start"]), 1)
    failure = 1 - success
    expected = {
        ("game", "commitment"): np.ones((3, 2)),
        ("commitment",): failure / failure.sum(axis=0),
        ("game",): failure / failure.sum(axis=1, keepdims=True),
        ("history",): failure,
    }[tuple(blocks)]
    if blocks == ["commitment"]:
        # The user sees which model starts: how often it does is not what is compared.
        expected = expected * counts.sum(axis=0)
    assert stats.chisquare(counts.ravel(), (expected * size / expected.sum()).ravel()).pvalue > 1e-3


def summed(
    game: Game, commitment: Commitment, patience: Callable[[int], np.ndarray | float], passes: int = 400
) -> tuple[float, float]:
    """Cost and utility of a user whose patience depends on the number of failures and the last model, pass by pass."""
    at, cost, utility = commitment.start, 0.0, 0.0
    for failures in range(1, passes + 1):
        failed = at * (1 - game.success)
        stays = failed * patience(failures)
        cost += at @ game.cost + (failed - stays).sum() * game.churn_penalty
        utility += at @ game.with_delay(commitment.delay)
        at = stays @ commitment.transition
    assert at.sum() < 1e-9
    return float(cost), float(utility)


def learns(game: Game, commitment: Commitment, failures: int) -> np.ndarray:
    """Beta(1, 2) after so many failures: is another pass worth what the last one took?"""
    return game.value * 1.0 / (3.0 + failures) > game.latency + commitment.delay


@pytest.mark.parametrize(("models", "routing"), KINDS)
def test_users_of_every_kind_cost_and_earn_what_the_theory_says(models: int, routing: str) -> None:
    for index in range(4):
        game, commitment, (r, *_) = random_play(models, routing, index)
        logit, few, many = LogitUser(3.0), FixedPatienceUser(r), FixedPatienceUser(0.5 * r)
        soft = logit.patience_by_model(game, commitment, np.zeros(()))
        mixed = [np.array(summed(game, commitment, lambda _, r=x: r, 2000)) for x in (r, 0.5 * r)]
        hopes = lambda failures, g=game, c=commitment: learns(g, c, failures)  # noqa: E731
        users = {
            CountingUser(3): summed(game, commitment, lambda failures: failures < 3),
            LearningUser(1.0, 2.0): summed(game, commitment, hopes),
            logit: tuple(
                float(payoff(game, commitment, soft, by_model=True)) for payoff in (provider_cost, user_utility)
            ),
            MixtureUser([few, many], [3, 1]): 0.75 * mixed[0] + 0.25 * mixed[1],
        }
        for user, (cost, utility) in users.items():
            played = served(game, commitment, user, routing, 77 * index, tasks=100)
            assert agrees(played["cost"], cost), (index, user)
            assert agrees(played["utility"], utility), (index, user)


def test_an_outside_option_is_taken_where_it_is_worth_more_than_staying(random_games: Game) -> None:
    # What the user earns with the option, of all patiences: most at its own.
    for index in range(0, 300, 30):
        game, option = random_games[index], 0.3 * float(random_games[index].value)
        commitment = Commitment.cascade(0, 0.4)
        own = float(ShoppingUser(option).patience(game, commitment, np.zeros(())))
        rates = np.append(np.linspace(0, 1, 201), own)
        solved = success_probability(game, commitment, rates)
        worth = user_utility(game, commitment, rates) + (1 - solved) * option
        assert worth[-1] >= worth.max() - 1e-12
