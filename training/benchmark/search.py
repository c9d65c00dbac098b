"""Black-box search of the benchmark: the provider tries commitments, the user answers each as play shows to be best."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs.encoding import commitment_from_action
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.sampling import joined
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Problem

_EVALUATIONS = 800
_POPULATION = 16
_ANSWER_TASKS = 64_000
_COST_TASKS = 64_000
_STEP_SIZE = 0.3
_LEAST_COST = 1e-12


class SampledCosts:
    """What the provider's actions cost in play, with the user's best answer in play; the best action is kept.

    Args:
        problem: The game.
        name: For the random numbers.
    """

    def __init__(self, problem: Problem, name: str) -> None:
        self._problem, self._play = problem, problem.sampled(name)
        self._best: tuple[float, FloatArray] | None = None

    def __call__(self, actions: npt.ArrayLike) -> FloatArray:
        """The logarithm of the mean cost of each action.

        Args:
            actions: In [0, 1], shape (k, width).

        Returns:
            Shape (k,).
        """
        tried = np.atleast_2d(np.asarray(actions, dtype=np.float64))
        commitments = commitment_from_action(self._problem.single, tried)
        answers = self._play.answer(commitments, _ANSWER_TASKS)
        mean = self._play.cost(commitments, answers, _COST_TASKS).mean(axis=1)
        cost: FloatArray = np.log(np.maximum(mean, _LEAST_COST))
        least = int(cost.argmin())
        if self._best is None or cost[least] < self._best[0]:
            self._best = float(cost[least]), tried[least]
        self._problem.choose(commitment_from_action(self._problem.single, self.best))
        return cost

    @property
    def best(self) -> FloatArray:
        """The cheapest action so far, shape (width,)."""
        assert self._best is not None, "nothing has been tried"
        return self._best[1]

    def solution(self) -> Solution:
        """The cheapest action, and the user's best answer to it in play."""
        commitment = commitment_from_action(self._problem.single, self.best)
        return Solution(commitment, self._play.answer(joined([commitment]), _ANSWER_TASKS))


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
        strategy = cma.CMAEvolutionStrategy(np.full(problem.width, 0.5), _STEP_SIZE, options)
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
        costs(generator.random((_POPULATION, problem.width)))
    return costs.solution()
