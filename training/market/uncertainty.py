"""What measurement errors leave open: the market, drawn again and again from what the measurements allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.training.market.market import REGIMES, ROUTES, assess, games_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.tables import MeasuredModel
    from stackroute.training.market.market import Pair, Scenario

_EDGE = 1e-9


@dataclass(frozen=True)
class Shares:
    """In which shares of the draws something holds for a pair.

    Attributes:
        in_order: The reasoning model is better, dearer and slower; all other shares are of these draws, and NaN if
            there are none.
        regimes: Each regime, in the order of `REGIMES`.
        routes: Each route of the provider, in the order of `ROUTES`.
        misaligned: The user would choose otherwise.
        throttles: Throttling pays.
    """

    in_order: float
    regimes: tuple[float, ...]
    routes: tuple[float, ...]
    misaligned: float
    throttles: float


def draw_models(models: Sequence[MeasuredModel], draws: int, seed: int) -> dict[str, FloatArray]:
    """Draw the numbers of models from what their measurements allow; those without an error stay as they are.

    A success with a count has the posterior of Jeffreys' prior, Beta(k + 1/2, n - k + 1/2); one with a standard error a
    Beta distribution with that mean and standard deviation. Costs and latencies with a standard error are lognormal.

    Args:
        models: The models.
        draws: How many.
        seed: Fixes them.

    Returns:
        "success", "cost" and "latency", each of shape (draws, models).
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


def shares(pairs: Sequence[Pair], scenario: Scenario, *, draws: int, seed: int) -> list[Shares]:
    """Assess pairs in many draws of their models' numbers; a model has the same numbers in all its pairs.

    Args:
        pairs: The pairs.
        scenario: One value of each kind.
        draws: How many draws.
        seed: Fixes them.

    Returns:
        For each pair.
    """
    models = list(dict.fromkeys(model for pair in pairs for model in (pair.standard, pair.reasoning)))
    drawn = draw_models(models, draws, seed)
    place = {model: k for k, model in enumerate(models)}
    return [
        _shares_of(
            {name: values[:, [place[pair.standard], place[pair.reasoning]]] for name, values in drawn.items()}, scenario
        )
        for pair in pairs
    ]


def _shares_of(drawn: dict[str, FloatArray], scenario: Scenario) -> Shares:
    ordered = np.all([values[:, 0] < values[:, 1] for values in drawn.values()], axis=0)
    if not ordered.any():
        nothing = float("nan")
        return Shares(0.0, (nothing,) * len(REGIMES), (nothing,) * len(ROUTES), nothing, nothing)
    success, cost, latency = (drawn[name][ordered] for name in ("success", "cost", "latency"))
    found = assess(games_from(success, cost, latency, scenario))
    return Shares(
        in_order=float(ordered.mean()),
        regimes=tuple(float(np.mean(found.regime == regime)) for regime in REGIMES),
        routes=tuple(float(np.mean(found.route == route)) for route in range(len(ROUTES))),
        misaligned=float(found.misaligned.mean()),
        throttles=float(found.throttles.mean()),
    )
