"""What measurement errors leave open: the market with numbers drawn many times from what the measurements allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stackroute.training.market.market import assess, games_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.tables import MeasuredModel
    from stackroute.training.market.market import Pair, Scenario

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
    spread = np.log1p((error / mean) ** 2)
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
        slower; and, of these draws, `in_regime`, `misaligned` and `throttles`; NaN where no draw is in order.
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
    return table
