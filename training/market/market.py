"""Pairs of measured models as games, and what theory says about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import Game, Regime, Route, misalignment, solve, throttling_gain
from stackroute.configs import ConfigError, GameConfig
from stackroute.configs.games import Model
from stackroute.configs.text import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Misalignment
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.configs.tables import MeasuredModel, ModelTable

STANDARD, REASONING, CASCADE, ANNOUNCED = range(4)
"""What is served: model 0 alone, model 1 alone, a cascade, or model 0 and for every re-prompt model 1."""

ROUTES = ("standard", "reasoning", "cascade", "standard, then reasoning")
"""What these are called."""

LEAVES = ANNOUNCED
OUTCOMES = (*ROUTES[:LEAVES], "users leave after one pass")
"""What comes of a route: users leave, and only then is every re-prompt announced to go to model 1."""

_ANOTHER = "another is not worth the wait"
REASONS = (_ANOTHER, _ANOTHER, _ANOTHER, "every re-prompt would go to reasoning, which is not worth the wait")
"""Why users leave, by route."""

REGIMES = {
    Regime.BOTH_WORTH: "both",
    Regime.NEITHER_WORTH: "neither",
    Regime.ONLY_REASONING_WORTH: "only reasoning",
    Regime.ONLY_STANDARD_WORTH: "only standard",
}
"""Which models are worth a pass to the user, in a word or two."""

_NO_GAP = 1e-9
_LONGEST_NAME = 40
SECONDS_PER_HOUR = 3600.0
_MOST_MODELS = 5_000
_NUMBERS = ("success", "cost", "latency")


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

    @property
    def outcome(self) -> IntArray:
        """What comes of it, an index of `OUTCOMES`."""
        return np.where(self.stays, self.route, LEAVES)


def pairs_of(table: ModelTable, named: Sequence[str] = ()) -> list[Pair]:
    """The pairs of a table that satisfy the paper's three orders.

    Args:
        table: The models.
        named: Only these pairs, each "STANDARD:REASONING"; empty for all.

    Returns:
        The pairs.

    Raises:
        ConfigError: A named model is not in the table, or a named pair is not in the three orders; or there is none, or
            too many to go through.
    """
    models = table.models
    if named:
        return list(dict.fromkeys(_named(table, text) for text in named))
    if len(models) > _MOST_MODELS:
        raise ConfigError(
            f"{table.name}: {len(models):,} models are not allowed, as all pairs are compared; expected at most "
            f"{_MOST_MODELS:,}, or pairs by --pair"
        )
    ordered = np.ones((len(models), len(models)), dtype=bool)
    for name in _NUMBERS:
        numbers = np.array([getattr(model, name) for model in models])
        ordered &= numbers[:, None] < numbers
    pairs = [Pair(models[one], models[other]) for one, other in np.argwhere(ordered).tolist()]
    if not pairs:
        raise ConfigError(
            f"{table.name}: no two of its {len(models)} models are better, dearer and slower than another"
        )
    return pairs


def out_of_order(pair: Pair) -> str:
    """What is wrong with a pair, empty if nothing: the reasoning model must be better, dearer and slower."""
    for column in _NUMBERS:
        low, high = (getattr(model, column) for model in pair)
        if not low < high:
            one, other = pair.reasoning.label, pair.standard.label
            return f"{column}: {one} has {high:g}; expected more than the {low:g} of {other}"
    return ""


def _named(table: ModelTable, text: str) -> Pair:
    models = {model.label: model for model in table.models}
    # Names may hold colons themselves.
    cuts = [(text[:k], text[k + 1 :]) for k, letter in enumerate(text) if letter == ":"]
    pairs = [Pair(models[one], models[other]) for one, other in cuts if one in models and other in models]
    if len(pairs) == 1:
        wrong = out_of_order(pairs[0])
    elif pairs:
        meant = " or ".join(f"{pair.standard.label!r} with {pair.reasoning.label!r}" for pair in pairs)
        wrong = f"it may mean {meant}; expected models whose names leave no choice"
    else:
        wrong = f"expected STANDARD:REASONING, two of {some_of(models)}"
    if wrong:
        raise ConfigError(f"pair: {text!r} is not allowed; {wrong}")
    return pairs[0]


def games_of(pairs: Sequence[Pair], scenario: Scenario) -> Game:
    """The games of all pairs and all combinations of a scenario.

    Args:
        pairs: The pairs.
        scenario: The scenario.

    Returns:
        Shape (pairs, waiting costs, values, churn penalties).
    """
    numbers = np.array(list(map(attrgetter(*_NUMBERS), chain.from_iterable(pairs)))).reshape(len(pairs), 2, 3)
    success, cost, seconds = np.moveaxis(numbers, -1, 0)
    return games_from(success, cost, seconds, scenario)


def games_from(success: FloatArray, cost: FloatArray, seconds: FloatArray, scenario: Scenario) -> Game:
    """As `games_of`, from arrays of shape (..., 2): the games have shape (..., waiting costs, values, penalties)."""
    waiting, value, penalty = np.ix_(scenario.waiting_costs, scenario.values, scenario.churn_penalties)
    spread = np.s_[..., None, None, None, :]
    latency = seconds[spread] * waiting[..., None] / SECONDS_PER_HOUR
    return Game(success[spread], cost[spread], latency, value, penalty)


def file_name(text: str) -> str:
    """A name as the names of games and their files may be; empty where no letter of it may be in one."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:_LONGEST_NAME].strip("-._")


def config_of(name: str, models: Sequence[MeasuredModel], table: ModelTable, scenario: Scenario) -> GameConfig:
    """Models of a table as one game, in the middle of a scenario."""
    middle = scenario.middle
    content = {
        "name": name,
        "description": f"{some_of([model.label for model in models])}, from a table of measured models",
        "units": {"money": scenario.money, "latency": "seconds"},
        "models": [{key: getattr(model, key) for key in Model.model_fields} for model in models],
        "value": middle.values[0],
        "churn_penalty": middle.churn_penalties[0],
        "waiting_cost_per_hour": middle.waiting_costs[0],
        "sources": [table.source, "Waiting cost, value and churn penalty: a scenario, not a measurement."],
    }
    return GameConfig.model_validate(content)


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
    if not stays:
        served = ROUTES[STANDARD if route == ANNOUNCED else route]
        return f"{served}; users leave after one pass, because {REASONS[route]}"
    return f"cascade, s = {cascade:.3g}" if route == CASCADE else ROUTES[route]
