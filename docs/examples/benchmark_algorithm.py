"""An algorithm of one's own in the benchmark: a hill climber on sampled costs.

It tries small steps from the cheapest commitment so far. The user answers each as sampled play shows to be best for it.
Run with: python docs/examples/benchmark_algorithm.py
"""

from pathlib import Path

import numpy as np

from stackroute.configs.benchmarks import Suite, load_suite
from stackroute.training import Problem, Solution, register_algorithm
from stackroute.training.benchmark.report import write_report
from stackroute.training.benchmark.running import run_suite
from stackroute.training.learn.session import derived_seed

STEPS, TASKS = 200, 20_000


def hill_climber(problem: Problem) -> Solution:
    """Hill climbing from a random commitment, with steps that get smaller."""
    play = problem.sampled("hill climber")
    generator = np.random.default_rng(derived_seed(problem.seed, "hill climber"))
    best, least = generator.random(problem.actions.width), np.inf
    for step in range(STEPS):
        tried = np.clip(best + 0.5 * 0.98**step * generator.standard_normal(problem.actions.width), 0, 1)
        commitment = problem.commitment(tried[None])
        answer = play.answer(commitment, TASKS)
        cost = float(play.cost(commitment, answer, TASKS).mean())
        if cost < least:
            best, least = tried, cost
            problem.choose(commitment)
    commitment = problem.commitment(best[None])
    return Solution(commitment, play.answer(commitment, TASKS))


register_algorithm("hill_climber", hill_climber)


def compare(suite: Suite, folder: Path) -> str:
    """Run it beside others, and give the report."""
    algorithms = ["hill_climber", "best_static", "exact", "random"]
    run_suite(suite.model_copy(update={"algorithms": algorithms}), folder, jobs=2)
    return write_report(folder)[0].read_text()


if __name__ == "__main__":
    print(compare(load_suite("quick"), Path("benchmarks/hill_climber")))
