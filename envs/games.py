"""How an environment is told its game."""

from __future__ import annotations

from stackroute.analytic import Game
from stackroute.configs import load_game

GameLike = Game | str
"""A single game, the name of a packaged one, or the path of a YAML file."""


def find_game(game: GameLike) -> Game:
    """The single game that a face of the environment plays.

    Args:
        game: A game, the name of a packaged one, or the path of a YAML file.

    Returns:
        A game of shape ().

    Raises:
        ValueError: The game is a batch.
        GameFileError: No such game, or a bad file.
    """
    found = load_game(game).game if isinstance(game, str) else game
    if not isinstance(found, Game):
        raise TypeError(f"game: {game!r} is not allowed; expected a Game, or the name or file of one")
    if found.shape != ():
        raise ValueError(f"game: a batch of shape {found.shape} is not allowed; expected a single game")
    return found
