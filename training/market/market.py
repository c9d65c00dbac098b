"""Measured models as a game: with users and a provider whose economy no benchmark measures."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from stackroute.analytic import Regime
from stackroute.configs import ConfigError, GameConfig
from stackroute.configs.games import Model, Units
from stackroute.configs.loading import validated
from stackroute.configs.text import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Game, Misalignment
    from stackroute.analytic.game import BoolArray
    from stackroute.configs.tables import MeasuredModel, ModelTable

REGIMES = {
    Regime.BOTH_WORTH: "both",
    Regime.NEITHER_WORTH: "neither",
    Regime.ONLY_REASONING_WORTH: "only reasoning",
    Regime.ONLY_STANDARD_WORTH: "only standard",
}
"""Which models are worth a pass to the user, in a word or two."""

SECONDS_PER_HOUR = 3600.0
_NO_GAP = 1e-9
_LONGEST_NAME = 40


class Scenario(NamedTuple):
    """What the users and the provider of a table of models are like, which no benchmark measures.

    Attributes:
        waiting_cost: What an hour of waiting costs the user, money.
        value: What a solved task is worth to the user, money.
        churn_penalty: What an abandoned task costs the provider, money.
        money: The unit.
    """

    waiting_cost: float
    value: float
    churn_penalty: float
    money: str


def pair_of(table: ModelTable, text: str) -> ModelTable:
    """Two models of a table in the orders of the paper: the second is the better, dearer and slower one.

    Args:
        table: The models.
        text: Both labels, "STANDARD:REASONING".

    Returns:
        The table of these two.

    Raises:
        ConfigError: A model is not in the table, it can be read in two ways, or the two are not in the three orders.
    """
    models = {model.label: model for model in table.models}
    # Names may hold colons themselves.
    cuts = [(text[:k], text[k + 1 :]) for k, letter in enumerate(text) if letter == ":"]
    pairs = [(models[one], models[other]) for one, other in cuts if one in models and other in models]
    if len(pairs) == 1:
        wrong = _out_of_order(*pairs[0])
    elif pairs:
        meant = " or ".join(f"{one.label!r} with {other.label!r}" for one, other in pairs)
        wrong = f"it may mean {meant}; expected models whose names leave no choice"
    else:
        wrong = f"expected STANDARD:REASONING, two of {some_of(models)}"
    if wrong:
        raise ConfigError(f"pair: {text!r} is not allowed; {wrong}")
    return replace(table, name="-".join(model.label for model in pairs[0]), models=pairs[0])


def _out_of_order(standard: MeasuredModel, reasoning: MeasuredModel) -> str:
    """What is wrong with a pair, empty if nothing."""
    for column in ("success", "cost", "latency"):
        low, high = (getattr(model, column) for model in (standard, reasoning))
        if not low < high:
            return f"{column}: {reasoning.label} has {high:g}; expected more than the {low:g} of {standard.label}"
    return ""


def currency(name: str, asked: str | None, said: str | None) -> str:
    """The money of a table or of outcomes: what was asked for or what the file says, or USD.

    Raises:
        ConfigError: They disagree, or there is no such money.
    """
    if asked and said and asked != said:
        raise ConfigError(f"money: {asked!r} is not allowed; the costs of {name} are in {said}")
    return validated({"money": asked or said or "USD", "latency": "seconds"}, "advise", Units).money


def file_name(text: str) -> str:
    """A name as the names of games and their files may be; empty where no letter of it may be in one."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:_LONGEST_NAME].strip("-._")


def config_of(name: str, models: Sequence[MeasuredModel], table: ModelTable, scenario: Scenario) -> GameConfig:
    """Models of a table as one game in a scenario."""
    content = {
        "name": file_name(name) or "models",
        "description": f"{some_of([model.label for model in models])}, from a table of measured models",
        "units": {"money": scenario.money, "latency": "seconds"},
        "models": [{key: getattr(model, key) for key in Model.model_fields} for model in models],
        "value": scenario.value,
        "churn_penalty": scenario.churn_penalty,
        "waiting_cost_per_hour": scenario.waiting_cost,
        "sources": [table.source, "Waiting cost, value and churn penalty: a scenario, not a measurement."],
    }
    return validated(content, table.name, GameConfig)


def has_gap(game: Game, aligned: Misalignment) -> BoolArray:
    """Whether users would choose otherwise than the provider: a misalignment gap beyond rounding, shape (...)."""
    found: BoolArray = aligned.gap > _NO_GAP * game.value
    return found
