"""Pairs of measured models as games, and what theory says about them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product, starmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import Game, Regime, Route, misalignment, solve, throttling_gain
from stackroute.configs import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Misalignment
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.configs.tables import MeasuredModel, ModelTable

STANDARD, REASONING, CASCADE, ANNOUNCED = range(4)
"""What is served: model 0 alone, model 1 alone, a cascade, or model 0 and for every re-prompt model 1."""

ROUTES = ("standard", "reasoning", "cascade", "all re-prompts to reasoning")
"""What these are called."""

REGIMES = {
    Regime.BOTH_WORTH: "both",
    Regime.NEITHER_WORTH: "neither",
    Regime.ONLY_REASONING_WORTH: "only reasoning",
    Regime.ONLY_STANDARD_WORTH: "only standard",
}
"""Which models are worth a pass to the user, in a word or two."""

_NO_GAP = 1e-9
_SECONDS_PER_HOUR = 3600.0


class Pair(NamedTuple):
    """Two models in the orders of the paper: the reasoning model is the better, dearer and slower one."""

    standard: MeasuredModel
    reasoning: MeasuredModel

    @property
    def label(self) -> str:
        """Both names."""
        return f"{self.standard.label} / {self.reasoning.label}"


@dataclass(frozen=True)
class Scenario:
    """What the users and the provider of a market are like; each a value or several.

    Attributes:
        waiting_costs: What an hour of waiting costs the user, money.
        values: What a solved task is worth to the user, money.
        churn_penalties: What an abandoned task costs the provider, money.
        money: The unit.
    """

    waiting_costs: tuple[float, ...]
    values: tuple[float, ...]
    churn_penalties: tuple[float, ...]
    money: str

    @property
    def middle(self) -> Scenario:
        """The middle one of each."""
        w, v, p = (one[len(one) // 2] for one in (self.waiting_costs, self.values, self.churn_penalties))
        return Scenario((w,), (v,), (p,), self.money)


class Assessment(NamedTuple):
    """What theory says about games of any batch shape.

    Attributes:
        regime: `Regime` values.
        route: What the provider serves without delays, an index of `ROUTES`.
        cascade: The probability of moving on in a cascade, NaN elsewhere.
        stays: Whether the user re-prompts.
        preferred: The model that the user would choose, 0 or 1.
        gap: The misalignment gap, utility.
        misaligned: Whether it is more than rounding.
        threshold: P*, the churn penalty below which throttling pays; NaN where it never does.
        throttles: Whether throttling pays at the game's churn penalty.
    """

    regime: IntArray
    route: IntArray
    cascade: FloatArray
    stays: BoolArray
    preferred: IntArray
    gap: FloatArray
    misaligned: BoolArray
    threshold: FloatArray
    throttles: BoolArray


def pairs_of(table: ModelTable, named: Sequence[str] = ()) -> list[Pair]:
    """The pairs of a table that satisfy the paper's three orders.

    Args:
        table: The models.
        named: Only these pairs, each "STANDARD:REASONING"; empty for all.

    Returns:
        The pairs.

    Raises:
        ConfigError: A named model is not in the table, or a named pair is not in the three orders; or there is none.
    """
    if named:
        return [_named(table, text) for text in named]
    models = table.models
    pairs = [pair for pair in starmap(Pair, product(models, models)) if not out_of_order(pair)]
    if not pairs:
        raise ConfigError(
            f"{table.name}: no two of its {len(models)} models are better, dearer and slower than another"
        )
    return pairs


def out_of_order(pair: Pair) -> str:
    """What is wrong with a pair, empty if nothing: the reasoning model must be better, dearer and slower."""
    for column in ("success", "cost", "latency"):
        low, high = (getattr(model, column) for model in pair)
        if not low < high:
            one, other = pair.reasoning.label, pair.standard.label
            return f"{column}: {one} has {high:g}; expected more than the {low:g} of {other}"
    return ""


def _named(table: ModelTable, text: str) -> Pair:
    models = {model.label: model for model in table.models}
    # Names may hold colons themselves.
    cuts = [(text[:k], text[k + 1 :]) for k, letter in enumerate(text) if letter == ":"]
    pair = next((Pair(models[one], models[other]) for one, other in cuts if one in models and other in models), None)
    wrong = f"expected STANDARD:REASONING, two of {', '.join(models)}" if pair is None else out_of_order(pair)
    if pair is None or wrong:
        raise ConfigError(f"pair: {text!r} is not allowed; {wrong}")
    return pair


def games_of(pairs: Sequence[Pair], scenario: Scenario) -> Game:
    """The games of all pairs and all combinations of a scenario.

    Args:
        pairs: The pairs.
        scenario: The scenario.

    Returns:
        Shape (pairs, waiting costs, values, churn penalties).
    """
    names = ("success", "cost", "latency")
    success, cost, latency = np.array([[[getattr(one, name) for one in pair] for pair in pairs] for name in names])
    return games_from(success, cost, latency, scenario)


def games_from(success: FloatArray, cost: FloatArray, seconds: FloatArray, scenario: Scenario) -> Game:
    """As `games_of`, from arrays of shape (..., 2): the games have shape (..., waiting costs, values, penalties)."""
    waiting, value, penalty = np.ix_(scenario.waiting_costs, scenario.values, scenario.churn_penalties)
    spread = np.s_[..., None, None, None, :]
    latency = seconds[spread] * waiting[..., None] / _SECONDS_PER_HOUR
    return Game(success[spread], cost[spread], latency, value, penalty)


def assess(game: Game) -> Assessment:
    """What theory says about a batch of games (Mahmood 2026, Theorems 1 to 5, Propositions 1 and 2)."""
    best, aligned, gain = solve(game), misalignment(game), throttling_gain(game)
    commitment, cascades, threat = best.commitment, best.route == Route.CASCADE, best.route == Route.LEAVE_BY_THREAT
    return Assessment(
        regime=best.regime,
        route=np.select([cascades, threat], [CASCADE, ANNOUNCED], commitment.first_model),
        cascade=np.where(cascades, commitment.cascade_probability[..., 0], np.nan),
        stays=best.patience > 0,
        preferred=aligned.preferred_model,
        gap=aligned.gap,
        misaligned=has_gap(game, aligned),
        threshold=gain.churn_penalty_high,
        throttles=gain.pays,
    )


def has_gap(game: Game, aligned: Misalignment) -> BoolArray:
    """Whether users would choose otherwise than the provider: a misalignment gap beyond rounding, shape (...)."""
    found: BoolArray = aligned.gap > _NO_GAP * game.value
    return found


def route_in_words(route: int, cascade: float, stays: bool) -> str:
    """What is served, by an index of `ROUTES`, the cascade probability, and whether the user re-prompts."""
    if route == ANNOUNCED and not stays:
        return "standard, once: all re-prompts would go to reasoning"
    text = f"cascade, s = {cascade:.3g}" if route == CASCADE else ROUTES[route]
    return text if stays else f"{text}, once"
