"""Schemes of training as algorithms of the benchmark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stackroute.configs.amortised import AmortisedSettings
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.schemes import train
from stackroute.training.learn.session import Session

if TYPE_CHECKING:
    from stackroute.configs.training import TrainingSettings
    from stackroute.training.benchmark.problem import Algorithm, Problem

_CHOOSING = ("provider", "both players")
"""The stages whose regret is that of what the provider would choose if it were stopped."""


def trained(settings: TrainingSettings) -> Algorithm:
    """The algorithm that trains with given settings."""

    def algorithm(problem: Problem) -> Solution:
        def tell(stage: str, done: int, total: int, regret: float) -> None:
            if not many and stage in _CHOOSING and not math.isnan(regret):
                problem.add(regret)

        many = isinstance(settings, AmortisedSettings)
        game = problem.game if many else problem.single
        pair = train(
            # The pair that has learned many games has learned none of the problem's; it needs one to be judged by.
            problem.game[0],
            settings,
            throttling=problem.throttling,
            seed=problem.seed,
            session=Session(on_progress=tell),
        )
        commitment = pair.provider.commit(game, np.zeros((*game.shape, 4)))
        return Solution(commitment, pair.user.patience(game, commitment, np.zeros(game.shape)))

    return algorithm
