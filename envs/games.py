"""How an environment is told its games and its numbers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self, SupportsIndex

import numpy as np

from stackroute.analytic import Game
from stackroute.configs import GameConfig, load_game
from stackroute.envs.encoding import unit_of_money

GameLike = Game | GameConfig | str | Path
"""A game, one that was loaded, the name of a packaged one, or the path of a YAML file."""

GamesLike = GameLike | Sequence[GameLike]
"""What tasks are drawn from: one game, a batch of games, or a list of what stands for a game."""


Labels = tuple[str, ...]
"""What the two models of a game are called."""

NO_LABELS: Labels = ("standard model", "reasoning model")


class DisplayUnits(NamedTuple):
    """What the numbers of a game are counted in; empty where that is not known.

    Attributes:
        money: The unit of costs and churn penalties.
        utility: The unit of utility.
        time: The unit of time.
        utility_per_time: What a unit of time costs the user who waits, utility; 1 without a unit of time.
    """

    money: str = ""
    utility: str = ""
    time: str = ""
    utility_per_time: float = 1.0

    @classmethod
    def of(cls, config: GameConfig) -> Self:
        """The units of a game that was loaded: utility is in money where time has a price."""
        money = "" if config.units.money == "abstract" else config.units.money
        if config.units.latency == "value":
            return cls(money)
        return cls(money, money, config.units.latency, config.utility_per_latency)


def find_games(game: GamesLike) -> tuple[Game, list[Labels], list[DisplayUnits]]:
    """The games that an environment draws its tasks from.

    Args:
        game: A game or a batch of shape (m,), one that was loaded, the name of a packaged one, the path of a YAML
            file, or a list of these.

    Returns:
        A batch of shape (m,), what the models of each are called, and its units.

    Raises:
        TypeError: It is none of these.
        ValueError: There is no game, or a batch with more axes.
        ConfigError: No such game, or a bad file.
    """
    if isinstance(game, Sequence) and not isinstance(game, str):
        if not game:
            raise ValueError("game: an empty list is not allowed; expected at least one game")
        games_each, labels_each, units_each = zip(*map(find_games, game), strict=True)
        return joined_games(games_each), list(chain(*labels_each)), list(chain(*units_each))
    config = load_game(game) if isinstance(game, str | Path) else game
    found, labels, units = config, NO_LABELS, DisplayUnits()
    if isinstance(config, GameConfig):
        found, labels, units = config.game, config.labels, DisplayUnits.of(config)
    if not isinstance(found, Game):
        raise TypeError(f"game: {game!r} is not allowed; expected a Game, or the name or file of one, or a list")
    if len(found.shape) > 1 or 0 in found.shape:
        raise ValueError(f"game: a batch of shape {found.shape} is not allowed; expected one game, or one axis of them")
    games = found if found.shape else found.reshape(1)
    return games, [labels] * len(games), [units] * len(games)


def in_relative_units(games: Game) -> Game:
    """The same games with the value as the unit of utility, and the largest cost plus the churn penalty as money's.

    Neither player's choices depend on the units. Where that sum of money is 0, money keeps its unit.
    """
    money = unit_of_money(games)
    return Game(
        games.success,
        games.cost / money[..., None],
        games.latency / games.value[..., None],
        np.ones_like(games.value),
        games.churn_penalty / money,
        strict=games.strict,
    )


def count(name: str, value: SupportsIndex, most: int | None = None) -> int:
    """Validate a whole number of things.

    Args:
        name: The argument's name, for the error.
        value: At least 1.
        most: At most this.

    Returns:
        The number.

    Raises:
        ValueError: It is not such a whole number.
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or (most is not None and number > most):
        allowed = "a whole number of at least 1" + (f" and at most {most}" if most is not None else "")
        raise ValueError(f"{name}: {value!r} is not allowed; expected {allowed}")
    return number


def joined_games(games: Sequence[Game]) -> Game:
    """Batches of games of shape (m,) one after the other as one batch."""
    names = ("success", "cost", "latency", "value", "churn_penalty")
    fields = {name: np.concatenate([getattr(one, name) for one in games]) for name in names}
    return Game(**fields, strict=all(one.strict for one in games))
