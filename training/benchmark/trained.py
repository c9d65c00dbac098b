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
    from stackroute.training.learn.result import TrainedPair

STAGE = "regret_after_"
"""Begins the names of what a scheme records after each of its stages."""

_CHOOSING = ("provider", "both players")
"""The stages whose regret is that of what the provider would choose if it were stopped."""


def trained(settings: TrainingSettings) -> Algorithm:
    """The algorithm that trains with given settings."""

    def algorithm(problem: Problem) -> Solution:
        def on_progress(stage: str, done: int, total: int, regret: float) -> None:
            if not many and stage in _CHOOSING and not math.isnan(regret):
                problem.add(regret)

        many = isinstance(settings, AmortisedSettings)
        game = problem.game if many else problem.single
        pair = train(
            # A pair that learns many games learns none of the problem's, but has to be evaluated on one.
            problem.game[0],
            settings,
            throttling=problem.throttling,
            seed=problem.seed,
            session=Session(on_progress=on_progress),
        )
        commitment = pair.provider.commit(game, np.zeros((*game.shape, 4)))
        patience = pair.user.patience(game, commitment, np.zeros(game.shape))
        return Solution(commitment, patience, {} if many else _info(pair))

    return algorithm


def _info(pair: TrainedPair) -> dict[str, float | None]:
    """The exact regret after each stage, and whether the end is certified."""
    regrets = {STAGE + stage.name.replace(" ", "_"): stage.evaluation.provider_regret for stage in pair.stages}
    return {**regrets, "certified": pair.certified}
