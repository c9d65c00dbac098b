"""iServe: each model in several serving configurations, chosen by an intent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import LogisticRouter
from stackroute.agents.routers.protocol import Prediction, best_of
from stackroute.analytic import Game

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray


@dataclass
class IServe(LogisticRouter):
    """Serves each model in one of several configurations, chosen by an intent, after iServe (arXiv:2501.13111).

    Taken from the paper: a configuration (parallelism, compression, batching) trades the cost of an answer against its
    latency, and the one is taken that fits the stated intent best, which may be low cost, low latency or something
    between. Replaced: profiles of configurations on hardware by a menu of factors, the same for all models; targets of
    latency by the intent's weight. Beyond the paper, which serves a model that is given: the model is chosen
    too, by a logistic regression of success, as the best of knob x success - (1 - knob) x ((1 - intent) x cost + intent
    x latency), in units of the dearest model's mean cost and of the slowest one's mean latency. Configurations do not
    change what an answer is worth.

    Whose intent is served is a setting: at 0 the provider's, who pays the cost, at 1 the user's, who waits. Rows and
    predictions are over all models in the log's configuration, then over all models in each one of the menu.

    Args:
        menu: The configurations besides that of the log: by which factors each changes cost and latency, > 0.
        intent: What latency counts for, in [0, 1]; cost counts for the rest.

    Raises:
        ValueError: A factor or the intent is not allowed.

    Examples:
        >>> import numpy as np
        >>> games = Game([[0.5, 0.8]], [[1.0, 4.0]], [[2.0, 3.0]], value=5, churn_penalty=1)
        >>> IServe(menu=((2.0, 0.5),)).extended(games).cost
        array([[1., 4., 2., 8.]])
    """

    menu: tuple[tuple[float, float], ...] = ((0.6, 1.8), (1.8, 0.6))
    intent: float = 0.5

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Fit the regressions."""
        if not 0.0 <= self.intent <= 1.0:
            raise ValueError(f"intent: {self.intent} is not allowed; expected a number in [0, 1]")
        for place, pair in enumerate(self.menu):
            if len(pair) != 2 or not all(0.0 < factor < np.inf for factor in pair):
                raise ValueError(f"menu[{place}]: {pair} is not allowed; expected two finite factors > 0")
        super().fit(log, rng)
        self.slowest_ = np.array(np.asarray(log.latency).mean(axis=0).max())
        return self

    def _served(self, success: FloatArray, cost: FloatArray, latency: FloatArray) -> Prediction:
        """The same over all models in all configurations."""
        cheaper, faster = np.array([(1.0, 1.0), *self.menu]).T
        return Prediction(
            np.concatenate([success for _ in cheaper], axis=-1),
            np.concatenate([cost * factor for factor in cheaper], axis=-1),
            np.concatenate([latency * factor for factor in faster], axis=-1),
        )

    def extended(self, games: Game) -> Game:
        """Games with each model in each configuration as models: those of the log first, then by the menu."""
        served = self._served(games.success, games.cost, games.latency)
        return Game(*served, games.value, games.churn_penalty)

    def named(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The models, then each of them in each configuration, by its factors."""
        changed = (f"{label} (cost x {cost:g}, wait x {wait:g})" for cost, wait in self.menu for label in labels)
        return *labels, *changed

    def predict(self, features: FloatArray) -> Prediction:
        """What the regressions say, over all models in all configurations."""
        return self._served(*super().predict(features))

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The best of success, cost and latency by knob and intent, over all models in all configurations."""
        cost, latency = (
            amount / scale if scale > 0.0 else amount
            for amount, scale in ((expected.cost, self.dearest_), (expected.latency, self.slowest_))
        )
        burden = (1.0 - self.intent) * cost + self.intent * latency
        return best_of(knob * expected.success - (1.0 - knob) * burden, burden)


__all__ = ["IServe"]
