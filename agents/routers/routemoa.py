"""RouteMoA: some models answer together and judge each other, before the user sees anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import LogisticRouter
from stackroute.agents.routers.protocol import NEAR, Outcomes, Prediction, checked, dearest_mean_cost, trade_off

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray, IntArray


@dataclass
class RouteMoA(LogisticRouter):
    """Serves by single models and by pairs that judge each other's answers, after RouteMoA (arXiv:2601.18130).

    Taken from the paper: a scorer predicts the success of each model before any of them runs; few models of the
    best scores answer together, and self- and cross-assessment of their answers choose one without further runs; the
    choice of models balances success and cost; no more of them run where the score is sure. Replaced: the scorer, a
    small language model, by logistic regressions on the given features; layers of agents by one layer of at most two
    models; the two assessments by one judge that finds the right one of two answers with probability
    `judge_accuracy`. Latency, which the paper weighs as well, does not count in the choice, as with all routers here.

    A pair is a model of its own: its success is 1 - (1 - p) (1 - p') for a perfect judge and p p' + a (p + p' - 2 p p')
    for one of accuracy a, p and p' being those of its members on this very task; its cost is the sum, its latency the
    larger of both. So it is a cascade that the user does not see. Pairs have regressions of their own, on what
    the answers of the log would have given them: from the members' predictions alone they would be overrated, since
    models fail on the same hard tasks. Rows of `route` and `predict` are over all single models, then all pairs, in the
    order 0 with 1, 0 with 2, ..., 1 with 2, ...; a task may get any single model, and the pairs among its best models.

    Args:
        penalty: Of the squared coefficients of success.
        judge_accuracy: How often the judge finds the right one of two answers, in [0.5, 1].
        candidates: How many models of the best scores may pair up, for each task.
        sure: A success of the best single model from which on no pair is asked.
    """

    judge_accuracy: float = 0.9
    candidates: int = 3
    sure: float = 0.9

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Fit the regressions of models and pairs.

        Raises:
            ValueError: The log is none, or the judge's accuracy is not in [0.5, 1].
        """
        known = checked(log)
        if not 0.5 <= self.judge_accuracy <= 1.0:
            raise ValueError(f"judge_accuracy: {self.judge_accuracy} is not allowed; expected a number in [0.5, 1]")
        self.members_ = np.array(known.models)
        super().fit(Outcomes(known.features, *self._with_pairs(*known[1:])), rng)
        self.dearest_ = np.array(dearest_mean_cost(known))
        return self

    def _pairs(self) -> tuple[IntArray, IntArray]:
        """The first and the second member of each pair."""
        first, second = np.triu_indices(int(self.members_), 1)
        return first, second

    def _with_pairs(self, success: FloatArray, cost: FloatArray, latency: FloatArray) -> Prediction:
        """Success, cost and latency of the models, and behind them those of the pairs, on the last axis."""
        first, second = self._pairs()
        one, other = success[..., first], success[..., second]
        both = one * other + self.judge_accuracy * (one + other - 2.0 * one * other)
        return Prediction(
            np.concatenate([success, both], axis=-1),
            np.concatenate([cost, cost[..., first] + cost[..., second]], axis=-1),
            np.concatenate([latency, np.maximum(latency[..., first], latency[..., second])], axis=-1),
        )

    def extended(self, games: Game) -> Game:
        """Games with the pairs behind the models.

        Raises:
            ValueError: They have more or fewer models than the log.
        """
        if games.success.shape[-1] != self.members_:
            found = games.success.shape[-1]
            raise ValueError(f"games: {found} models are not allowed; expected {self.members_}, as in the log")
        success, cost, latency = self._with_pairs(games.success, games.cost, games.latency)
        # Two models that hardly fail must not be rounded to one that never does.
        below = np.minimum(success, np.nextafter(1.0, 0.0))
        return type(games)(below, cost, latency, games.value, games.churn_penalty)

    def named(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The models, then the pairs by their members."""
        return *labels, *(f"{labels[one]} with {labels[other]}" for one, other in zip(*self._pairs(), strict=True))

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The best trade-off of expected success and cost among the single models and the pairs that are allowed."""
        members = int(self.members_)
        single = expected.success[:, :members]
        least = np.sort(single, axis=1)[:, -min(self.candidates, members), None]
        good = single >= least - NEAR
        first, second = self._pairs()
        paired = good[:, first] & good[:, second] & (single.max(axis=1, keepdims=True) < self.sure)
        allowed = np.concatenate([np.ones_like(good), paired], axis=1)
        # Others count as what no rule prefers to the dearest model: as dear, and certain to fail.
        success = np.where(allowed, expected.success, 0.0)
        cost = np.where(allowed, expected.cost, expected.cost[:, :members].max(axis=1, keepdims=True))
        return trade_off(Prediction(success, cost, expected.latency), knob, float(self.dearest_))


__all__ = ["RouteMoA"]
