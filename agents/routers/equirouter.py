"""EquiRouter: models are ranked, not only rated, so that near ties do not all go to the dearest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import LinearCosts
from stackroute.agents.routers.gradient import drawn, keep, parameters_of, trained
from stackroute.agents.routers.protocol import best_of, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import torch

    from stackroute.agents.routers.gradient import Parameters
    from stackroute.agents.routers.protocol import Outcomes, Prediction, Router
    from stackroute.analytic.game import FloatArray, IntArray

_PARAMETERS = ("trunk", "trunk_bias", "embedding", "film", "film_bias", "hidden", "hidden_bias", "head", "head_bias")
_BUDGETS = 101


@dataclass
class EquiRouter(LinearCosts):
    """Scores each model on each task by a network that ranks them, after EquiRouter (arXiv:2602.03478).

    Taken from the paper: an embedding of each model scales and shifts what a network makes of the task (feature-wise
    modulation), and a head that all models share gives the score; its loss is the squared error of the predicted
    quality and a pairwise logistic loss on the ranking, where near ties go to the cheaper model; the model with the
    greatest score among those within a budget answers. Replaced: text embeddings by the given features; the costs
    that the budget is compared with by ridge regressions; sizes by small ones, for logs of a thousand tasks. Beyond the
    paper: the logistic function of the score is the predicted quality. The ranking loss is then least at the same
    scores as the squared error where answers are independent given the task, so that both agree and the router is a
    `Predictor`. Near ties count less than clear orders (`tie_weight`), as two single answers that are equal say little
    about the two models: at 1 a cheap model would be preferred wherever its answers are usually as good.

    The budget is the quantile of all costs of the log at the knob; within every budget is each task's cheapest model.

    Args:
        width: Of the network.
        embedding_size: Numbers that describe a model.
        epochs: How often each task is met.
        ranking: Weight of the ranking loss against the squared error.
        tie: Qualities that differ by no more than this are near ties.
        tie_weight: What an order by cost counts against one by quality.

    Attributes:
        loss_: The mean loss of each epoch.
    """

    width: int = 16
    embedding_size: int = 8
    epochs: int = 40
    ranking: float = 1.0
    tie: float = 0.05
    tie_weight: float = 0.2

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Descend the loss."""
        known = checked(log)
        features = self._fit_costs(known)
        self.budgets_ = np.quantile(known.cost, np.linspace(0.0, 1.0, _BUDGETS))
        width, size = self.width, self.embedding_size
        start = {
            "trunk": drawn(rng, features.shape[1], width),
            "trunk_bias": np.zeros(width),
            "embedding": rng.normal(size=(known.models, size)),
            "film": drawn(rng, size, 2 * width),
            "film_bias": np.zeros(2 * width),
            "hidden": drawn(rng, width, width),
            "hidden_bias": np.zeros(width),
            "head": drawn(rng, width, 1),
            "head_bias": np.zeros(1),
        }
        found, self.loss_ = trained(start, self._loss(features, known), len(features), self.epochs, rng)
        keep(self, found)
        return self

    def _loss(self, features: FloatArray, log: Outcomes) -> Callable[[Parameters, IntArray], torch.Tensor]:
        """The loss of a batch, a function of the parameters and its rows."""
        import torch

        seen, quality = ~np.isnan(log.quality), np.nan_to_num(log.quality)
        better = quality[:, :, None] - quality[:, None, :]
        tied = (np.abs(better) <= self.tie) & (log.cost[:, :, None] < log.cost[:, None, :])
        order = np.where(tied, self.tie_weight, better > self.tie) * (seen[:, :, None] & seen[:, None, :])
        inputs, answers, weight, asked = (torch.from_numpy(each) for each in (features, quality, order, seen))

        def loss(parameters: Parameters, rows: IntArray) -> torch.Tensor:
            score = _scores(parameters, inputs[rows])
            error = (asked[rows] * (torch.sigmoid(score) - answers[rows]) ** 2).sum() / asked[rows].sum().clamp(min=1)
            wrong = torch.nn.functional.softplus(score[:, None, :] - score[:, :, None])
            ranked = (weight[rows] * wrong).sum() / weight[rows].sum().clamp(min=1)
            return error + self.ranking * ranked

        return loss

    def predict(self, features: FloatArray) -> Prediction:
        """The logistic function of the scores; costs and latencies of ridge regressions."""
        import torch

        parameters = parameters_of(self, _PARAMETERS)
        scores = _scores(parameters, torch.from_numpy(self._standard(features)))
        return self._prediction(features, torch.sigmoid(scores).numpy())

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The best model within the budget, shape (N, M)."""
        budget = np.interp(knob, np.linspace(0.0, 1.0, _BUDGETS), self.budgets_)
        cost = expected.cost
        # No cost of the log is above the last budget.
        within = (np.minimum(cost, self.budgets_[-1]) <= budget) | (cost == cost.min(axis=1, keepdims=True))
        return best_of(np.where(within, expected.success, -np.inf), cost)


def _scores(parameters: Parameters, features: torch.Tensor) -> torch.Tensor:
    """The score of each model on each task, shape (N, M)."""
    import torch

    gelu, p = torch.nn.functional.gelu, parameters
    task = gelu(features @ p["trunk"] + p["trunk_bias"])
    scale, shift = (p["embedding"] @ p["film"] + p["film_bias"]).chunk(2, dim=-1)
    hidden = gelu((task[:, None] * (1.0 + scale) + shift) @ p["hidden"] + p["hidden_bias"])
    return (hidden @ p["head"] + p["head_bias"])[..., 0]


def collapse_index(router: Router, log: Outcomes, knob: float = 1.0) -> float:
    """How much a router falls back on the dearest model where a cheaper one is as good.

    After the observation of arXiv:2602.03478 that routers call the dearest model for nearly all tasks as the budget
    grows, while an oracle hardly needs it. The definition is ours; how the paper computes its index is not known here.

    Args:
        router: Any router, fitted.
        log: Tasks on which it is judged. The dearest model is the one with the greatest mean cost.
        knob: Of the router; the budget is largest at 1.

    Returns:
        Of the tasks on which a cheaper model's quality is at least that of the dearest, the share that goes to the
        dearest model: 0 for an oracle, 1 for the dearest model alone, and 0 where there are no such tasks.
    """
    known = checked(log)
    dearest = int(known.cost.mean(axis=0).argmax())
    cheaper = np.nan_to_num(np.delete(known.quality, dearest, axis=1), nan=-np.inf).max(axis=1, initial=-np.inf)
    needless = cheaper >= np.nan_to_num(known.quality[:, dearest], nan=np.inf)
    share = router.route(known.features, knob)[needless, dearest]
    return float(share.mean()) if len(share) else 0.0


__all__ = ["EquiRouter", "collapse_index"]
