"""References of the benchmark: they know the game, which no algorithm that learns from play does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.providers import RandomProvider
from stackroute.analytic import Commitment, best_response, provider_cost, solve
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.training.benchmark.problem import Problem


def exact(problem: Problem) -> Solution:
    """The exact Stackelberg equilibrium."""
    found = solve(problem.game, throttling=problem.throttling)
    return Solution(found.commitment, found.patience)


def best_static(problem: Problem) -> Solution:
    """The cheaper of the two models alone, never delayed, against the exact best response."""
    return _cheapest(problem, Commitment.static(np.arange(problem.game.models), models=problem.game.models))


def grid_search(problem: Problem) -> Solution:
    """The cheapest commitment of the environment's grid, against the exact best response."""
    return _cheapest(problem, problem.actions.decoded(problem.game[..., None], problem.actions.grid))


def random_choice(problem: Problem) -> Solution:
    """A commitment and a patience drawn at random, once for each seed."""
    generator = np.random.default_rng(derived_seed(problem.seed, "random"))
    numbers = generator.random((*problem.game.shape, 2 * problem.game.models + 1))
    commitment = RandomProvider(problem.throttling).commit(problem.game, numbers[..., :-1])
    return Solution(commitment, numbers[..., -1])


def _cheapest(problem: Problem, options: Commitment) -> Solution:
    """The cheapest of several commitments, the last axis, in each game."""
    games = problem.game[..., None]
    options = options.broadcast_to((*problem.game.shape, options.shape[-1]))
    answers = best_response(games, options)
    best = np.arange(len(answers)), provider_cost(games, options, answers).argmin(axis=-1)
    return Solution(options[best], answers[best])
