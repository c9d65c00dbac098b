"""The games of the pictures: from a name, a file or a table, with their units and scenario in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.configs import ConfigError, load_game
from stackroute.configs.games import DisplayUnits
from stackroute.configs.tables import is_table, read_models
from stackroute.training.figures.style import foreign
from stackroute.training.market.market import Scenario, config_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackroute.analytic.game import FloatArray
    from stackroute.configs import GameConfig

_LETTERS = 28


def read_game(
    name: str,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    decimal: str | None = None,
) -> GameConfig:
    """A game by its packaged name or from a YAML file, or all models of a table in one game.

    The models of a table serve users to whom a solved task is worth 1 and an hour of waiting costs 64, and an abandoned
    task costs the provider 0.1, in the table's money.

    Args:
        name: A packaged game or table, or the path of a .yaml file or of a table.
        columns: As of `stackroute.configs.tables.read_models`, for tables.
        units: As there.
        decimal: As there.

    Returns:
        The game.

    Raises:
        ConfigError: There is no such game or table, or it cannot be used.
    """
    if not is_table(name):
        if columns or units or decimal:
            raise ConfigError(f"columns, units, decimal: are for tables; {name!r} is a game")
        return load_game(name)
    table = read_models(name, columns, units, decimal)
    return config_of(table.name, table.models, table, Scenario(64.0, 1.0, 0.1, table.money or "USD"))


def money_unit(config: GameConfig) -> str:
    """The unit of the game's money, as on an axis."""
    return DisplayUnits.of(config).money or "units of money"


def waiting_unit(config: GameConfig) -> tuple[float, str]:
    """What a unit of waiting costs the user, utility, and its name: a minute, or what costs it one unit of value."""
    if config.waiting_cost_per_hour is None:
        return 1.0, "units of value"
    return config.waiting_cost_per_hour / 60.0, "minutes"


def scenario(config: GameConfig) -> str:
    """The game and its users in words."""
    unit, hour = DisplayUnits.of(config), config.waiting_cost_per_hour
    waiting = "" if hour is None else f" and an hour of waiting costs them {unit.in_money(hour)}"
    return (
        f"{foreign(config.name)}: a solved task is worth {unit.in_utility(config.value)} to users{waiting}; "
        f"an abandoned task costs the provider {unit.in_money(config.churn_penalty)}."
    )


def retries_in_words(config: GameConfig, lottery: FloatArray) -> str:
    """Who serves retries, the most frequent first, of a lottery of shape (n,)."""
    order = np.argsort(-lottery, kind="stable")[: int((lottery > 0).sum())]
    return ", ".join(f"{100 * lottery[k]:.0f} % {short_name(config, k)}" for k in order.tolist())


def short_name(config: GameConfig, model: int) -> str:
    """What a model is called where there is little room."""
    return foreign(config.labels[model], _LETTERS)
