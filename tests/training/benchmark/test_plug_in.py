"""A provider that estimates the game from play commits nearly as well as one that knows it."""

import numpy as np
import pytest

from stackroute import Game, load_game, solve
from stackroute.analytic import Commitment, default_routing
from stackroute.training import Problem
from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.benchmark.plug_in import plug_in
from stackroute.training.learn.evaluation import provider_regret

TASKS = 65_536


def committed(game: Game, *, throttling: bool = False, seed: int = 0, tasks: int = TASKS) -> tuple[float, Commitment]:
    """The exact regret, and the commitment."""
    problem = Problem(game.reshape(1), throttling=throttling, seed=seed)
    made = plug_in(problem, tasks).commitment
    best = solve(game, default_routing(game), throttling).provider_cost
    return float(provider_regret(game, made, best)), made


@pytest.mark.parametrize("name", ["g3", "g4", "g4b", "g5", "g5b", "g6", "gpt-4.1-o3-cascade", "g9"])
def test_thresholds_are_met_from_the_safe_side(name: str) -> None:
    for seed in range(3):
        assert committed(load_game(name).game, seed=seed)[0] < 2e-3


def test_few_tasks_do_for_a_threshold_of_every_pass() -> None:
    # Twelve questions of 256 tasks; a static choice loses 158 %.
    for seed in range(5):
        assert committed(load_game("g4b").game, tasks=256, seed=seed)[0] < 5e-3


@pytest.mark.parametrize("ratio", [0.5, 0.95, 1.05, 2.0])
@pytest.mark.parametrize("name", ["g7", "g10"])
def test_throttles_where_it_pays(name: str, ratio: float) -> None:
    game = load_game(name).game
    penalty = float((game.cost / game.success).min())
    priced = Game(game.success, game.cost, game.latency, game.value, churn_penalty=ratio * penalty)
    regret, made = committed(priced, throttling=True)
    assert regret < 2e-3
    assert bool(made.delay.any()) == (ratio < 1)


@pytest.mark.parametrize("throttling", [False, True])
def test_random_games(throttling: bool) -> None:
    generator = np.random.default_rng(5)
    regrets = []
    for number in range(24):
        models = (1, 2, 3, 5)[number % 4]
        success = np.sort(generator.uniform(0.02, 0.98, models))
        cost, latency = generator.uniform(0.01, 2, models), generator.uniform(0.01, 1, models)
        game = Game(success, cost, latency, generator.uniform(0.1, 3), generator.uniform(0, 4))
        regrets.append(committed(game, throttling=throttling, seed=number)[0])
    # The error of an estimate is some thousandths; a choice on the wrong side of a threshold costs far more.
    assert max(regrets) < 0.01


def test_what_it_does_does_not_depend_on_units() -> None:
    game = load_game("g4b").game
    other = Game(game.success, 7 * game.cost, 3 * game.latency, 3 * game.value, 7 * game.churn_penalty)
    one, two = (committed(each, seed=1)[1] for each in (game, other))
    np.testing.assert_allclose(one.cascade_probability, two.cascade_probability, rtol=1e-6)


def test_degenerate_games() -> None:
    equal = Game([0.5, 0.5], [0.2, 0.2], [0.1, 0.1], value=1, churn_penalty=1)
    assert committed(equal, throttling=True)[0] < 2e-3
    hopeless = Game([1e-6, 2e-6], [0.1, 0.2], [0.5, 0.6], value=1, churn_penalty=1)
    assert committed(hopeless)[0] < 2e-3
    certain = Game([1 - 1e-9, 1 - 1e-9], [0.1, 0.2], [0.5, 0.6], value=1, churn_penalty=1)
    assert committed(certain)[0] < 2e-3


def test_it_is_entered() -> None:
    problem = Problem(load_game("g1").game.reshape(1), throttling=False, seed=0)
    found = find_algorithm("plug_in").algorithm(problem)
    assert found.commitment.first_model == 0
    assert problem.record.tasks[-1] <= 3 * TASKS
