"""How sure the market is: measurement errors, and later passes that succeed more or less often than the first.

The paper's attempts are independent. Real second attempts are not (beyond the paper): they succeed more often where the
model sees why it failed, and less often where only hard tasks are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from stackroute.analytic import Commitment, Game, best_response, provider_cost
from stackroute.training.market.market import ANNOUNCED, CASCADE, REASONING, STANDARD, assess, games_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.tables import MeasuredModel
    from stackroute.training.market.market import Pair, Scenario

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.8)
"""Success of a later pass relative to that of the first; between these lie the benchmarks that we know of."""

_CASCADES = np.linspace(0.0, 1.0, 51)
_MOST = 0.999
_SAME = 1e-9
_EDGE = 1e-9


def draw_models(models: Sequence[MeasuredModel], draws: int, seed: int) -> dict[str, FloatArray]:
    """Draw the "success", "cost" and "latency" of models, each of shape (draws, models), from what was measured.

    A success with a count has the posterior of Jeffreys' prior, Beta(k + 1/2, n - k + 1/2); one with a standard error a
    Beta distribution with that mean and standard deviation. Costs and latencies with a standard error are lognormal.
    Numbers without an error stay as they are.
    """
    generator = np.random.default_rng(seed)
    drawn = {
        "success": [_success(model, draws, generator) for model in models],
        "cost": [_positive(model.cost, model.cost_error, draws, generator) for model in models],
        "latency": [_positive(model.latency, model.latency_error, draws, generator) for model in models],
    }
    return {name: np.stack(columns, axis=1) for name, columns in drawn.items()}


def _success(model: MeasuredModel, draws: int, generator: np.random.Generator) -> FloatArray:
    if model.count is not None:
        solved = model.success * model.count
        drawn = generator.beta(solved + 0.5, model.count - solved + 0.5, size=draws)
    elif model.success_error:
        mean = model.success
        # A standard error as large as a coin's leaves no distribution with that mean but on 0 and 1.
        variance = min(model.success_error**2, 0.99 * mean * (1 - mean))
        weight = mean * (1 - mean) / variance - 1
        drawn = generator.beta(mean * weight, (1 - mean) * weight, size=draws)
    else:
        drawn = np.full(draws, model.success)
    return np.clip(drawn, _EDGE, 1 - _EDGE)


def _positive(mean: float, error: float | None, draws: int, generator: np.random.Generator) -> FloatArray:
    if not error or mean == 0:
        return np.full(draws, mean)
    spread = np.logaddexp(0.0, 2 * (np.log(error) - np.log(mean)))
    return generator.lognormal(np.log(mean) - spread / 2, np.sqrt(spread), size=draws)


def shares(pairs: Sequence[Pair], scenario: Scenario, regime: IntArray, *, draws: int, seed: int) -> pd.DataFrame:
    """Assess pairs in many draws of their models' numbers; a model has the same numbers in all its pairs.

    Args:
        pairs: The pairs.
        scenario: One value of each kind.
        regime: The regime of each pair by its measured numbers, shape (pairs,).
        draws: How many draws.
        seed: Fixes them.

    Returns:
        A row for each pair: `in_order`, the share of the draws in which the reasoning model is better, dearer and
        slower; and, of these draws, `in_regime`, `misaligned` and `throttles`; NaN where no draw is in order, and all
        NaN where the draws are all the same, as nothing is known of the measurement errors.
    """
    models = list(dict.fromkeys(model for pair in pairs for model in pair))
    places = [[models.index(model) for model in pair] for pair in pairs]
    drawn = np.stack([values[:, places] for values in draw_models(models, draws, seed).values()])
    ordered = (drawn[..., 0] < drawn[..., 1]).all(axis=0)
    success, cost, latency = drawn[:, ordered]
    found = assess(games_from(success, cost, latency, scenario))
    pair = np.nonzero(ordered)[1]
    holds = pd.DataFrame(
        {
            "in_regime": found.regime.ravel() == regime[pair],
            "misaligned": found.misaligned.ravel(),
            "throttles": found.throttles.ravel(),
        },
        dtype=float,
    )
    table = holds.groupby(pair).mean().reindex(range(len(pairs)))
    table.insert(0, "in_order", ordered.mean(axis=0))
    table.loc[(drawn == drawn[:, :1]).all(axis=(0, 1, 3))] = np.nan
    return table


class Best(NamedTuple):
    """The best route, an index of `ROUTES`, the cascade probability, if the user re-prompts, and the cost of a task."""

    route: int
    cascade: float
    stays: bool
    cost: float


def routes(game: Game, ratios: npt.ArrayLike = RATIOS) -> list[Best]:
    """The provider's best route without delays in a game where later passes succeed more or less often.

    A game of four models, of which two serve first passes and two the later ones; the best of 51 cascade
    probabilities and of a start on the reasoning model, each against the user's exact best response.

    The ratios, shape (k,), or (k, 2) with one for each model, are of the success of later passes to that of first
    passes, which is the game's; a success is cut off at 0.999.
    """
    first, s = game.success, _CASCADES
    asked = np.asarray(ratios, dtype=np.float64)
    later = np.minimum(first * (asked if asked.ndim == 2 else asked[:, None]), _MOST)
    both = np.concatenate([np.broadcast_to(first, later.shape), later], axis=1)
    cost, latency = np.tile(game.cost, 2), np.tile(game.latency, 2)
    four = Game(both[:, None], cost, latency, game.value, game.churn_penalty)
    two = Commitment.cascade([0] * len(s) + [1], np.append(s, 0.0))
    # From the two models of first passes and from those of later ones alike, to those of later ones.
    moves = np.concatenate([np.zeros_like(two.transition), two.transition], axis=-1)
    commitment = Commitment(np.pad(two.start, ((0, 0), (0, 2))), np.concatenate([moves, moves], axis=-2))
    patience = best_response(four, commitment)
    paid = provider_cost(four, commitment, patience)
    return [_best(one, answer) for one, answer in zip(paid, patience, strict=True)]


def _best(cost: FloatArray, patience: FloatArray) -> Best:
    # Where no re-prompt is made several commitments cost the same: a model alone counts before a threat.
    last = len(_CASCADES)
    same = np.flatnonzero(cost <= cost.min() * (1 + _SAME)).tolist()
    best = next((k for k in (0, last, last - 1) if k in same), same[0])
    route = {0: STANDARD, last: REASONING, last - 1: ANNOUNCED}.get(best, CASCADE)
    cascade = 0.0 if best == last else float(_CASCADES[best])
    return Best(route, cascade, bool(patience[best] > 0), float(cost[best]))
