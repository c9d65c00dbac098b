"""How an environment is told its games and its numbers."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from stackroute.analytic import Game, Traffic
from stackroute.analytic.game import Batch
from stackroute.configs import GameConfig, load_game
from stackroute.configs.games import DisplayUnits
from stackroute.configs.loading import validated
from stackroute.envs.observations import unit_of_money

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

GameLike = Game | GameConfig | Mapping[str, Any] | str | Path
"""A game, one that was loaded, their numbers by name, the name of a packaged one, or the path of a YAML file."""

GamesLike = GameLike | Sequence[GameLike] | Traffic
"""What tasks are drawn from: one game, a batch of games, a list of what stands for a game, or types with weights."""


Labels = tuple[str, ...]
"""What the models of a game are called."""


def default_labels(models: int) -> Labels:
    """What the models of a game without labels are called."""
    return ("standard model", "reasoning model") if models == 2 else tuple(f"model {k}" for k in range(models))


def find_games(game: GamesLike) -> tuple[Game, list[Labels], list[DisplayUnits], Traffic | None]:
    """The games that an environment draws its tasks from.

    Args:
        game: A game or a batch of shape (m,), one that was loaded, either of them as `plain` gives it, the name of a
            packaged one, the path of a YAML file, or a list of these; or a `stackroute.analytic.Traffic`.

    Returns:
        A batch of shape (m,), what the models of each are called, its units, and the traffic where one was given.

    Raises:
        TypeError: It is none of these.
        ValueError: There is no game, or a batch with more axes.
        ConfigError: No such game, or a bad file.
    """
    if isinstance(game, Sequence) and not isinstance(game, str):
        if not game:
            raise ValueError("game: an empty list is not allowed; expected at least one game")
        games_each, labels_each, units_each, traffic_each = zip(*map(find_games, game), strict=True)
        if any(traffic_each):
            raise ValueError("game: a Traffic in a list is not allowed; expected one Traffic, or games")
        sizes = sorted({games.models for games in games_each})
        if len(sizes) > 1:
            raise ValueError(f"game: games of {sizes} models are not allowed together; expected one number of models")
        return Game.concatenate(games_each), list(chain(*labels_each)), list(chain(*units_each)), None
    if isinstance(game, Mapping) and "games" in game:
        game = Traffic(**{**game, "games": Game(**game["games"])})
    if isinstance(game, Traffic):
        types = len(game)
        return game.games, [default_labels(game.models)] * types, [DisplayUnits()] * types, game
    if isinstance(game, Mapping):
        game = validated(dict(game), "game", GameConfig) if "models" in game else Game(**game)
    config = load_game(game) if isinstance(game, str | Path) else game
    found = config.game if isinstance(config, GameConfig) else config
    if not isinstance(found, Game):
        raise TypeError(f"game: {game!r} is not allowed; expected a Game, or the name or file of one, or a list")
    labels, units = default_labels(found.models), DisplayUnits()
    if isinstance(config, GameConfig):
        labels, units = config.labels, DisplayUnits.of(config)
    if len(found.shape) > 1 or 0 in found.shape:
        raise ValueError(f"game: a batch of shape {found.shape} is not allowed; expected one game, or one axis of them")
    games = found if found.shape else found.reshape(1)
    return games, [labels] * len(games), [units] * len(games), None


def plain(value: Any) -> Any:
    """Arguments of an environment as data that JSON can hold, from which the same environment can be made."""
    if isinstance(value, Batch):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, Traffic):
        return {name: plain(getattr(value, name)) for name in ("games", "weight", "context", "group", "features")}
    if isinstance(value, GameConfig):
        return value.model_dump(exclude_none=True)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


class Specified:
    """An environment whose specification in Gymnasium's registry can be written as JSON, with its games in it."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How `gymnasium.make` or `make_vec` made it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec and replace(spec, kwargs=plain(spec.kwargs))


def in_relative_units(games: Game) -> Game:
    """The same games with the value as the unit of utility, and the largest cost plus the churn penalty as money's.

    Neither player's choices depend on the units. Where that sum of money is 0, money keeps its unit.
    """
    money = unit_of_money(games)
    return Game.of_valid(
        success=games.success,
        cost=games.cost / money[..., None],
        latency=games.latency / games.value[..., None],
        value=np.ones_like(games.value),
        churn_penalty=games.churn_penalty / money,
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
