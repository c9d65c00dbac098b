"""What every scheme of training gives: a pair of players, and how it got there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Stratum, solve, stratified_games, throttling_gain
from stackroute.analytic.sampling import strata
from stackroute.training.learn.evaluation import provider_regret, throttled

if TYPE_CHECKING:
    from stackroute.agents.learned import LearnedProvider, LearnedUser
    from stackroute.agents.providers import StaticProvider
    from stackroute.envs.policies import ProviderPolicy
    from stackroute.training.learn.evaluation import Evaluation
    from stackroute.training.learn.session import Curve

HELD_OUT_GAMES = 500
"""On how many games a provider that learned a distribution of games is evaluated, as many from each stratum."""

HELD_OUT_SEED = 2026
"""Their seed. Nothing was ever tuned on them."""

PROVIDER = "provider"
"""The name of the provider's learning curve, in all schemes."""

_NEAR = 0.03


HeldOut = dict[str, list[dict[str, Any]]]


def evaluate_held_out(provider: ProviderPolicy, *, throttling: bool) -> HeldOut:
    """Evaluate a deterministic provider exactly in games stratified by regime, without any play.

    Returns:
        Each with "games" in words and their "count":

        - "regrets": "median", the shares "within_one_percent" and "within_five_percent" and the 95 % quantile "p95" of
          the regret, in each stratum, in all strata whose optimum is no true cascade, and in all;
        - "throttling": the share "right" in which it throttles exactly if the equilibrium does, over games that have a
          threshold P* of the churn penalty and lie at least 3 % of P* from it, and over these and the games that have
          none, since throttling pays at no churn penalty; empty without throttling.
    """
    game = stratified_games(HELD_OUT_GAMES, seed=HELD_OUT_SEED)
    stratum, equilibrium = strata(game), solve(game, throttling=throttling)
    commitment = provider.commit(game, np.zeros((HELD_OUT_GAMES, 5)))
    regret = provider_regret(game, commitment, equilibrium.provider_cost)
    cascades = [Stratum.ONLY_REASONING_WORTH_CASCADE, Stratum.ONLY_STANDARD_WORTH_CASCADE]
    groups = {kind.label: regret[stratum == kind] for kind in Stratum}
    groups |= {"all but the cascades": regret[~np.isin(stratum, cascades)], "all": regret}
    threshold = throttling_gain(game).churn_penalty_high
    away = np.abs(game.churn_penalty - threshold) > _NEAR * threshold
    right = throttled(game, commitment) == throttled(game, equilibrium.commitment)
    agreements = {"with a threshold": right[away], "with and without one": right[away | np.isnan(threshold)]}
    return {
        "regrets": [
            {
                "games": name,
                "count": len(those),
                "median": float(np.median(those)),
                "within_one_percent": float(np.mean(those <= 0.01)),
                "within_five_percent": float(np.mean(those <= 0.05)),
                "p95": float(np.quantile(those, 0.95)),
            }
            for name, those in groups.items()
        ],
        "throttling": [
            {"games": name, "count": len(those), "right": float(those.mean())}
            for name, those in agreements.items()
            if throttling
        ],
    }


@dataclass(frozen=True)
class TrainedPair:
    """A trained user and provider with everything measured about them.

    Attributes:
        user: The learned user.
        provider: The learned provider; a fixed commitment where it was refined for one game.
        network: The provider as its network alone has learned it.
        stages: The pair after each part of the training, beside the exact equilibrium, by name; the final one last.
        curves: The curve of each stage of learning, by name.
        certified: Whether sampled play confirmed the final commitment; None where that was not asked for.
        walks: What was compared and checked on each line of commitments, as `places.json` keeps it.
        held_out: The provider in held-out games, as of `evaluate_held_out`, where it learned a distribution of games;
            None where one game.
    """

    user: LearnedUser
    provider: LearnedProvider | StaticProvider
    network: LearnedProvider
    stages: dict[str, Evaluation]
    curves: dict[str, Curve]
    certified: bool | None
    walks: list[dict[str, Any]] = field(default_factory=list)
    held_out: HeldOut | None = None

    @property
    def evaluation(self) -> Evaluation:
        """The final pair beside the exact equilibrium."""
        return list(self.stages.values())[-1]

    @property
    def untrained_regret(self) -> float:
        """The provider's exact regret before it has learned; of a distribution of games the mean over some of them."""
        return self.curves[PROVIDER].regret[0]
