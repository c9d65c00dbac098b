"""Suites of one or two games, and an algorithm that takes no time."""

from collections.abc import Callable

import numpy as np
import pytest

from stackroute import Commitment
from stackroute.configs.benchmarks import Suite
from stackroute.configs.loading import validated
from stackroute.training.benchmark import algorithms
from stackroute.training.benchmark.problem import Problem, Solution

SmallSuite = Callable[..., Suite]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered in a test is gone after it."""
    monkeypatch.setattr(algorithms, "_REGISTERED", dict(algorithms._REGISTERED))

    # Inside a function, for other processes cannot import this file.
    def guess(problem: Problem) -> Solution:
        """The best in play of five commitments drawn at random."""
        play = problem.sampled("guess")
        cascades = np.random.default_rng(problem.seed).random(5)
        tried = Commitment.cascade(0, cascades)
        answers = play.answer(tried, 640)
        costs = play.cost(tried, answers, 640).mean(axis=1)
        for count in range(1, 6):
            problem.choose(tried[int(costs[:count].argmin())])
        best = int(costs.argmin())
        return Solution(tried[best], answers[best])

    algorithms.register_algorithm("guess", guess)


@pytest.fixture
def small_suite() -> SmallSuite:
    def made(**changes: object) -> Suite:
        content = {
            "summary": "Small.",
            "groups": [
                {"name": "static", "games": ["g1"], "throttling": False},
                {"name": "cascade", "games": ["g4b"], "throttling": False},
            ],
            "algorithms": ["exact", "random", "guess"],
            "seeds": [0, 1],
            "horizon": 50_000,
        }
        return validated(content | changes, "suite", Suite)

    return made
