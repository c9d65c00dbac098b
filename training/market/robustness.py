"""How sure an answer is, given the errors with which models were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import Game
from stackroute.training.market.thresholds import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Population
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.configs import GameConfig
    from stackroute.configs.tables import MeasuredModel

DRAWS = 1_000
_MOST_NUMBERS = 2_000_000
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


class Certainty(NamedTuple):
    """In which share of draws of the measured numbers an answer holds.

    Attributes:
        draws: How many draws.
        in_order: The share in which the models are in the order that the routing needs.
        same: The share of these in which the same models serve and users do the same.
        first: The share with the same first answer.
        stays: The share in which users stay or leave as they do.
        cost: The 5 % and the 95 % quantile of the provider's cost of a task, money.
    """

    draws: int
    in_order: float
    same: float
    first: float
    stays: float
    cost: tuple[float, float]


def certainty(
    models: Sequence[MeasuredModel],
    config: GameConfig,
    routing: Routing = "free",
    users: Population | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Certainty | None:
    """How sure the answer to a game is; None where nothing is known of the errors of its numbers.

    Args:
        models: The models as they were measured.
        config: Their game in a scenario.
        routing: What the provider may commit to.
        users: Types of users, in the place of the game's own.
        draws: How many draws at most.
        seed: Fixes them.
    """
    drawn = draw_models(models, min(draws, max(_MOST_NUMBERS // len(models), 1)), seed)
    if all((values == values[0]).all() for values in drawn.values()):
        return None
    several, game = len(drawn["success"]), config.game
    numbers = np.stack(list(drawn.values()))
    ordered: BoolArray = np.ones(several, dtype=np.bool_)
    if routing == "cascade":
        ordered = np.all(np.diff(numbers, axis=-1) > 0.0, axis=(0, 2))
    success, cost, seconds = numbers[:, ordered]
    if not len(success):
        return Certainty(several, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    games = Game(success, cost, seconds * config.utility_per_latency, game.value, game.churn_penalty)
    served, costs = answers(games, routing, users)
    (mine,), _ = answers(game[None], routing, users)
    low, high = np.quantile(costs, [0.05, 0.95]).tolist()
    return Certainty(
        several,
        float(ordered.mean()),
        sum(one == mine for one in served) / len(served),
        sum(one.first == mine.first for one in served) / len(served),
        sum(one.stays == mine.stays for one in served) / len(served),
        (low, high),
    )
