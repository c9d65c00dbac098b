"""How an environment is told its game and its numbers."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import SupportsIndex

from stackroute.analytic import Game
from stackroute.configs import GameConfig, load_game

GameLike = Game | GameConfig | str | Path
"""A single game, one that was loaded, the name of a packaged one, or the path of a YAML file."""


def find_game(game: GameLike) -> Game:
    """The single game that a face of the environment plays.

    Args:
        game: A game, one that was loaded, the name of a packaged one, or the path of a YAML file.

    Returns:
        A game of shape ().

    Raises:
        TypeError: It is none of these.
        ValueError: The game is a batch.
        ConfigError: No such game, or a bad file.
    """
    config = load_game(game) if isinstance(game, str | Path) else game
    found = config.game if isinstance(config, GameConfig) else config
    if not isinstance(found, Game):
        raise TypeError(f"game: {game!r} is not allowed; expected a Game, or the name or file of one")
    if found.shape != ():
        raise ValueError(f"game: a batch of shape {found.shape} is not allowed; expected a single game")
    return found


def count(name: str, value: SupportsIndex) -> int:
    """Validate a whole number of things.

    Args:
        name: The argument's name, for the error.
        value: At least 1.

    Returns:
        The number.

    Raises:
        ValueError: It is not a whole number of at least 1.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}: {value!r} is not allowed; expected a whole number of at least 1")
    return number
