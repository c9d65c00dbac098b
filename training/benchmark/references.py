"""References of the benchmark: they know the game, which no algorithm that learns from play does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.providers import RandomProvider
from stackroute.analytic import best_response, provider_cost, solve
from stackroute.envs.encoding import commitment_from_action
from stackroute.envs.variant import provider_grid
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Problem


def exact(problem: Problem) -> Solution:
    """The exact Stackelberg equilibrium."""
    found = solve(problem.game, throttling=problem.throttling)
    return Solution(found.commitment, found.patience)


def best_static(problem: Problem) -> Solution:
    """The cheaper of the two models alone, never delayed, against the exact best response."""
    return _cheapest(problem, np.array([[0.0, 0.0], [1.0, 0.0]]))


def grid_search(problem: Problem) -> Solution:
    """The cheapest commitment of the environment's grid, against the exact best response."""
    return _cheapest(problem, provider_grid(problem.throttling))


def random_choice(problem: Problem) -> Solution:
    """A commitment and a patience drawn at random, once for each seed."""
    draws = np.random.default_rng(derived_seed(problem.seed, "random")).random((*problem.game.shape, 5))
    commitment = RandomProvider(problem.throttling).commit(problem.game, draws[..., :4])
    return Solution(commitment, draws[..., 4])


def _cheapest(problem: Problem, actions: FloatArray) -> Solution:
    games = problem.game[..., None]
    options = commitment_from_action(games, actions).broadcast_to((*problem.game.shape, len(actions)))
    answers = best_response(games, options)
    best = np.arange(len(answers)), provider_cost(games, options, answers).argmin(axis=-1)
    return Solution(options[best], answers[best])
