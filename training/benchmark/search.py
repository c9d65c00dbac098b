"""Searches of the benchmark: references that know the game, and black-box searches by play.

The references do what no algorithm that learns from play can. In a black-box search the provider tries commitments, and
the user answers each as play shows to be best.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.providers import RandomProvider
from stackroute.analytic import Commitment, best_response, provider_cost, solve
from stackroute.training.benchmark.problem import Solution, log_cost
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Problem

_EVALUATIONS = 800
_POPULATION = 16
_TASKS = 64_000
_STEP_SIZE = 0.3


def exact(problem: Problem) -> Solution:
    """The exact Stackelberg equilibrium."""
    found = solve(problem.game, problem.routing, problem.throttling)
    return Solution(found.commitment, found.patience)


def best_static(problem: Problem) -> Solution:
    """The cheapest of the models alone, never delayed, against the exact best response."""
    return _cheapest(problem, Commitment.static(np.arange(problem.game.models), models=problem.game.models))


def grid_search(problem: Problem) -> Solution:
    """The cheapest commitment of the environment's grid, against the exact best response."""
    return _cheapest(problem, problem.actions.decoded(problem.game[..., None], problem.actions.grid))


def random_choice(problem: Problem) -> Solution:
    """A commitment and a patience drawn at random, once for each seed."""
    generator = np.random.default_rng(derived_seed(problem.seed, "random"))
    numbers = generator.random((*problem.game.shape, max(2 * problem.game.models, problem.actions.width) + 1))
    provider = RandomProvider(problem.throttling, problem.actions.routing)
    return Solution(provider.commit(problem.game, numbers[..., :-1]), numbers[..., -1])


def _cheapest(problem: Problem, options: Commitment) -> Solution:
    """The cheapest of several commitments, the last axis, in each game."""
    games = problem.game[..., None]
    options = options.broadcast_to((*problem.game.shape, options.shape[-1]))
    answers = best_response(games, options)
    best = np.arange(len(answers)), provider_cost(games, options, answers).argmin(axis=-1)
    return Solution(options[best], answers[best])


class SampledCosts:
    """What actions cost in play, with the best answer in play; the cheapest commitment is kept."""

    def __init__(self, problem: Problem, name: str) -> None:
        self._problem, self._play = problem, problem.sampled(name)
        self._least, self._best = np.inf, problem.commitment(np.zeros((1, problem.actions.width)))

    def __call__(self, actions: npt.ArrayLike) -> FloatArray:
        """The logarithm of the mean cost, shape (k,), of actions in [0, 1], shape (k, width)."""
        commitments = self._problem.commitment(actions)
        answers = self._play.answer(commitments, _TASKS)
        cost = log_cost(self._play.cost(commitments, answers, _TASKS))
        least = int(cost.argmin())
        if cost[least] < self._least:
            self._least, self._best = float(cost[least]), commitments[least : least + 1]
        self._problem.choose(self._best)
        return cost

    def solution(self) -> Solution:
        """The cheapest commitment, and the user's best answer to it in play."""
        return Solution(self._best, self._play.answer(self._best, _TASKS))


def cma_es(problem: Problem) -> Solution:
    """CMA-ES (Hansen 2016; the `cma` package) on sampled costs; 800 commitments of 128,000 tasks each."""
    with warnings.catch_warnings():
        # At import it warns about plotting libraries that it misses.
        warnings.simplefilter("ignore")
        import cma

    costs, left = SampledCosts(problem, "cma"), _EVALUATIONS
    while left >= _POPULATION:
        # What a start that has converged leaves of the budget goes to another one.
        options = {
            "bounds": [0.0, 1.0],
            "popsize": _POPULATION,
            "seed": derived_seed(problem.seed, "cma", left) % 2**31 + 1,
            "maxfevals": left - left % _POPULATION,
            "verbose": -9,
        }
        strategy = cma.CMAEvolutionStrategy(np.full(problem.actions.width, 0.5), _STEP_SIZE, options)
        while not strategy.stop():
            tried = strategy.ask()
            strategy.tell(tried, costs(tried).tolist())
        left -= int(strategy.countevals)
    return costs.solution()


def random_search(problem: Problem) -> Solution:
    """The cheapest in play of 800 commitments drawn at random; 128,000 tasks each."""
    costs = SampledCosts(problem, "random search")
    generator = np.random.default_rng(derived_seed(problem.seed, "random search"))
    for _ in range(_EVALUATIONS // _POPULATION):
        costs(generator.random((_POPULATION, problem.actions.width)))
    return costs.solution()
