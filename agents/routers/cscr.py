"""CSCR: tasks and models in one space, where cheap and dear models that are right are each near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import Standardising
from stackroute.agents.routers.gradient import drawn, keep, parameters_of, trained
from stackroute.agents.routers.protocol import best_of, checked, filled

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import torch

    from stackroute.agents.routers.gradient import Parameters
    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray, IntArray

_PARAMETERS = ("hidden", "hidden_bias", "head", "head_bias")
_PROBES = 192


@dataclass
class CSCR(Standardising):
    """Takes the near models, less what they cost, in a space of tasks and models, after CSCR (arXiv:2508.12491).

    Taken from the paper: a network of two layers maps a task to the space of the models' descriptors, trained by the
    cost-spectrum contrastive loss: models are split into bands by quantiles of cost; in each band that has a model
    that is right, the right ones are drawn near against all models, at a temperature that grows with the band's cost;
    among all models the dear ones count less by a penalty on cost. Routing takes, among the nearest models, the
    greatest cosine less lambda x cost (the paper's equation 9 has the cosine with the other sign, surely by mistake).
    Replaced: text embeddings by the given features; a model's descriptor, in the paper made of perplexities or logits
    on probe prompts, by its quality on 192 tasks of the log, less its mean and scaled to length 1. An answer of quality
    q counts as right with probability q each time that it is met.

    The paper has pools of many models; 4 or more make its default of 4 bands and 4 nearest models meaningful. With
    fewer there are as many bands as models, and with one model there is nothing to learn. Models of equal cost share a
    band. The similarity is no probability of success, so that this router is no `Predictor`.

    Args:
        width: Of the network.
        epochs: How often each task is met, at most.
        bands: Of cost, at most.
        nearest: How many of the most similar models are compared by cost.
        temperature: Of the cheapest band.
        temperature_rise: What the temperature of a band rises with its mean cost, in units of the dearest model's.
        cost_penalty: What is taken from a model's similarity among the wrong ones, in the same units.

    Attributes:
        loss_: The mean loss of each epoch.
    """

    width: int = 32
    epochs: int = 30
    bands: int = 4
    nearest: int = 4
    temperature: float = 0.2
    temperature_rise: float = 0.1
    cost_penalty: float = 0.1

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Describe the models and descend the loss."""
        known = checked(log)
        self._keep_scales(known.features)
        probes = rng.permutation(len(known.features))[:_PROBES]
        answers = filled(known)[probes]
        descriptors = (answers - answers.mean(axis=0)).T
        self.descriptors_ = descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-9)
        cost = known.cost.mean(axis=0)
        self.cost_ = cost / cost.max() if cost.max() > 0.0 else cost
        features = self._standard(known.features)
        start = {
            "hidden": drawn(rng, features.shape[1], self.width),
            "hidden_bias": np.zeros(self.width),
            "head": drawn(rng, self.width, len(probes)),
            "head_bias": np.zeros(len(probes)),
        }
        loss = self._loss(features, known.quality, rng)
        found, self.loss_ = trained(start, loss, len(features), self.epochs, rng)
        keep(self, found)
        return self

    def _loss(
        self, features: FloatArray, quality: FloatArray, rng: np.random.Generator
    ) -> Callable[[Parameters, IntArray], torch.Tensor]:
        """The loss of a batch, a function of the parameters and its rows."""
        import torch

        band = _cost_bands(self.cost_, self.bands)
        inputs, models = torch.from_numpy(features), torch.from_numpy(self.descriptors_)
        unseen = torch.from_numpy(np.where(np.isnan(quality), -np.inf, 0.0))
        penalty = self.cost_penalty * torch.from_numpy(self.cost_)

        def loss(parameters: Parameters, rows: IntArray) -> torch.Tensor:
            near = _embedded(parameters, inputs[rows]) @ models.T
            right = rng.random((len(rows), len(band))) < np.nan_to_num(quality[rows])
            total = near.new_zeros(())
            within = [right & (band == each) for each in np.unique(band)]
            counts = np.sum([each.any(axis=1) for each in within], axis=0)
            for each, positive in zip(np.unique(band), within, strict=True):
                some = positive.any(axis=1)
                heat = self.temperature + self.temperature_rise * float(self.cost_[band == each].mean())
                chosen = torch.from_numpy(np.where(positive[some], 0.0, -np.inf))
                drawn_near = torch.logsumexp(near[some] / heat + chosen, dim=1)
                against = torch.logsumexp((near[some] - penalty) / heat + unseen[rows][some], dim=1)
                total = total + ((against - drawn_near) / torch.from_numpy(counts[some])).sum()
            return total / max(int(np.count_nonzero(counts)), 1)

        return loss

    def similarity(self, features: FloatArray) -> FloatArray:
        """The cosine of each task, shape (N, F), and each model's descriptor, shape (N, M)."""
        import torch

        parameters = parameters_of(self, _PARAMETERS)
        place = _embedded(parameters, torch.from_numpy(self._standard(features))).numpy()
        near: FloatArray = place @ self.descriptors_.T
        return near

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """The best of the nearest models, rows with a single 1."""
        near = self.similarity(features)
        cost = np.broadcast_to(self.cost_, near.shape)
        least = np.sort(near, axis=1)[:, -min(self.nearest, near.shape[1])]
        score = np.where(near >= least[:, None], knob * near - (1.0 - knob) * cost, -np.inf)
        return best_of(score, cost)


def _embedded(parameters: Parameters, features: torch.Tensor) -> torch.Tensor:
    """Where tasks lie in the space of the descriptors, of length 1."""
    import torch

    p = parameters
    hidden = torch.relu(features @ p["hidden"] + p["hidden_bias"])
    return torch.nn.functional.normalize(hidden @ p["head"] + p["head_bias"], dim=1)


def _cost_bands(cost: FloatArray, bands: int) -> IntArray:
    """The band of each model by the quantiles of their costs, from 0; at most one for each model, shape (M,)."""
    edges = np.quantile(cost, np.linspace(0.0, 1.0, min(bands, len(cost)) + 1)[1:-1])
    band: IntArray = np.searchsorted(edges, cost)
    return band


__all__ = ["CSCR"]
