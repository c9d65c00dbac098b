"""BaRP: a policy for every preference, learned from the rewards of its own choices alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import Standardising
from stackroute.agents.routers.gradient import drawn, keep, parameters_of, trained
from stackroute.agents.routers.protocol import best_of, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import torch

    from stackroute.agents.routers.gradient import Parameters
    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray, IntArray

_PARAMETERS = ("preference", "preference_bias", "hidden", "hidden_bias", "head", "head_bias")
_PREFERENCES = 8
"""Preferences that are drawn for a task each time it is met."""
_USUAL_COST = 0.95


@dataclass
class BaRP(Standardising):
    """A softmax policy on features and a preference weight, by policy gradient, after BaRP (arXiv:2510.07429).

    Taken from the paper: the log is played as bandit feedback, where only the outcome of the model that the policy
    draws is seen; the reward is w q - (1 - w) min(c / tau, 1) with a preference w that is drawn anew each time, so that
    one policy serves every knob w; the preference has a small encoder of its own; the gradient is REINFORCE with
    an entropy bonus. Replaced: text embeddings by the given features. Not published or ours: tau is the 0.95 quantile
    of the costs; a value of features and preference, learned beside the policy, is the baseline; where a model has not
    answered all tasks of the log, its rewards count inversely to the share that it did; routing takes the most likely
    model.

    With `users_react` the reward is minus the provider's cost of a user who re-prompts the same model or leaves (beyond
    the paper; Mahmood 2026, Theorem 1, for one model): where value x q > latency the user stays until the task is
    solved, which costs c / q; otherwise it leaves after one pass, which costs c + churn penalty x (1 - q). So at
    q = 0 the cost is c + churn penalty, at q = 1 it is c, and a user that is indifferent leaves. At a knob of 1/2 the
    reward is exactly minus that cost, up to its unit; elsewhere the costs of serving weigh 2 (1 - w) and those of
    leaving 2 w. This asks for qualities that are rates of success over repeated attempts: of single answers, right or
    wrong, c + churn penalty x (1 - q) is all that is left.

    Args:
        width: Of the network.
        epochs: How often each task is met.
        entropy: Weight of the policy's entropy.
        users_react: Whether the reward is minus the provider's cost, instead of quality against cost.
        value: What a solved task is worth to the user, utility, > 0.
        churn_penalty: What a user that leaves costs the provider, money, >= 0.
    """

    width: int = 32
    epochs: int = 20
    entropy: float = 0.02
    users_react: bool = False
    value: float = 1.0
    churn_penalty: float = 1.0

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Play the log.

        Raises:
            ValueError: The log is none, value is not above 0, or the churn penalty is below 0.
        """
        known = checked(log)
        if not (np.isfinite(self.value) and self.value > 0.0):
            raise ValueError(f"value: {self.value} is not allowed; expected a finite number > 0")
        if not (np.isfinite(self.churn_penalty) and self.churn_penalty >= 0.0):
            raise ValueError(f"churn_penalty: {self.churn_penalty} is not allowed; expected a finite number >= 0")
        self._keep_scales(known.features)
        self.cost_ = known.cost.mean(axis=0)
        features = self._standard(known.features)
        start = {
            "preference": drawn(rng, 2, self.width // 2),
            "preference_bias": np.zeros(self.width // 2),
            "hidden": drawn(rng, features.shape[1] + self.width // 2, self.width),
            "hidden_bias": np.zeros(self.width),
            "head": 0.1 * drawn(rng, self.width, known.models + 1),
            "head_bias": np.zeros(known.models + 1),
        }
        loss = self._loss(known, rng)
        found, _ = trained(start, loss, len(features), self.epochs, rng, rate=1e-2, decay=0.5, stop_early=False)
        keep(self, found)
        return self

    def _rewards(self, log: Outcomes) -> tuple[FloatArray, FloatArray]:
        """What counts with weight w, and what with weight 1 - w, NaN where not known, each of shape (N, M)."""
        usual = float(np.quantile(log.cost, _USUAL_COST))
        if not self.users_react:
            return log.quality, -np.minimum(log.cost / (usual if usual > 0.0 else 1.0), 1.0)
        serving, leaving = costs_of_reaction(log.quality, log.cost, log.latency, self.value, self.churn_penalty)
        unit = max(usual + self.churn_penalty, np.finfo(float).tiny) / 2.0
        return -leaving / unit, -serving / unit

    def _loss(self, log: Outcomes, rng: np.random.Generator) -> Callable[[Parameters, IntArray], torch.Tensor]:
        """The loss of a batch, a function of the parameters and its rows."""
        import torch

        first, second = self._rewards(log)
        seen = ~np.isnan(log.quality)
        counts = seen / np.maximum(seen.mean(axis=0), 1.0 / len(seen))
        features = torch.from_numpy(self._standard(log.features))

        def loss(parameters: Parameters, rows: IntArray) -> torch.Tensor:
            rows = np.repeat(rows, _PREFERENCES)
            knob = rng.random(len(rows))
            logits, value = _policy(parameters, features[rows], torch.from_numpy(knob))
            chances = torch.log_softmax(logits, dim=1)
            ends = chances.detach().exp().cumsum(dim=1).numpy()[:, :-1]
            drawn_model = (rng.random((len(rows), 1)) >= ends).sum(axis=1)
            got = knob * first[rows, drawn_model] + (1.0 - knob) * second[rows, drawn_model]
            weight = torch.from_numpy(counts[rows, drawn_model])
            gain = torch.from_numpy(np.nan_to_num(got)) - value
            chosen = chances[torch.arange(len(rows)), torch.from_numpy(drawn_model)]
            entropy = -(chances.exp() * chances).sum(dim=1)
            return (weight * (gain**2 / 2.0 - gain.detach() * chosen) - self.entropy * entropy).mean()

        return loss

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """The model that the policy most likely draws, rows with a single 1."""
        import torch

        parameters = parameters_of(self, _PARAMETERS)
        inputs = torch.from_numpy(self._standard(features))
        logits, _ = _policy(parameters, inputs, torch.full((len(features),), knob, dtype=torch.float64))
        return best_of(logits.numpy(), np.broadcast_to(self.cost_, logits.shape))


def _policy(parameters: Parameters, features: torch.Tensor, knob: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of each model and the expected reward, shapes (N, M) and (N,)."""
    import torch

    p = parameters
    wish = torch.tanh(torch.stack([knob, 1.0 - knob], dim=1) @ p["preference"] + p["preference_bias"])
    hidden = torch.tanh(torch.cat([features, wish], dim=1) @ p["hidden"] + p["hidden_bias"])
    out = hidden @ p["head"] + p["head_bias"]
    return out[:, :-1], out[:, -1]


def costs_of_reaction(
    quality: FloatArray, cost: FloatArray, latency: FloatArray, value: float, churn_penalty: float
) -> tuple[FloatArray, FloatArray]:
    """What a provider pays for serving a user who re-prompts one model or leaves, and for the user's leaving.

    Args:
        quality: The probability that a pass solves the task, in [0, 1], or NaN.
        cost: Of a pass, money, as quality.
        latency: What waiting for a pass costs the user, utility, as quality.
        value: What a solved task is worth to the user, utility.
        churn_penalty: What leaving costs, money.

    Returns:
        c / q and 0 where the user stays, value x q > latency; c and churn penalty x (1 - q) where it leaves after a
        failed pass; NaN where the quality is.
    """
    stays = value * quality > latency
    serving = np.where(stays, cost / np.where(stays, quality, 1.0), cost + 0.0 * quality)
    leaving: FloatArray = np.where(stays, 0.0, churn_penalty * (1.0 - quality))
    return serving, leaving


__all__ = ["BaRP", "costs_of_reaction"]
