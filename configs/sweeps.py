"""Sweeps as YAML: many runs of training, for tables and pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from stackroute.analytic import Stratum, stratified_games, throttling_gain
from stackroute.configs.games import GameConfig, Model, Units, load_game
from stackroute.configs.loading import ConfigError, Settings, read_settings
from stackroute.configs.training import Count

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from stackroute.analytic import Game

StratumName = Literal[
    "both_worth",
    "neither_worth",
    "only_reasoning_worth_static",
    "only_reasoning_worth_cascade",
    "only_standard_worth_static",
    "only_standard_worth_cascade",
]


Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class RandomGames(Settings):
    """Random games of one case of the theory.

    Attributes:
        stratum: The case, as in `stackroute.analytic.Stratum`.
        count: How many.
        seed: Fixes which.
    """

    stratum: StratumName
    count: Count
    seed: Annotated[int, Field(ge=0)]


class Games(Settings):
    """Games that belong together.

    Attributes:
        name: Of the group; letters, digits, dots, dashes and underscores.
        games: Names or files of games.
        random_games: Random games instead.
        throttling: Whether the provider can delay.
        penalty_ratios: Each game is played with these multiples of the churn penalty P* below which throttling pays,
            in place of its own churn penalty.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    games: Annotated[list[str], Field(min_length=1)] | None = None
    random_games: RandomGames | None = None
    throttling: bool
    penalty_ratios: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.games is None) == (self.random_games is None):
            raise ValueError("games: expected either games or random_games")
        return self

    def planned(self) -> list[PlannedGame]:
        """The games, in order.

        Raises:
            ConfigError: A game or its throttling threshold does not exist.
        """
        found = []
        for config in _games(self):
            ratios: list[float] | list[None] = self.penalty_ratios or [None]
            for ratio in ratios:
                changed = config if ratio is None else _with_ratio(config, ratio)
                name = f"{self.name}-{config.name}" + ("" if ratio is None else f"-{ratio:g}")
                found.append(PlannedGame(name, changed, ratio))
        return found


class Group(Games):
    """Runs that differ in game, seed and churn penalty only.

    Attributes:
        seeds: The seeds of the runs on each game.
        settings: The training settings, a packaged name or a file.
        changes: Changes of the settings, each KEY=VALUE.
    """

    seeds: Seeds
    settings: str = "follower_first"
    changes: list[str] = Field(default_factory=list)


class Sweep(Settings):
    """A sweep.

    Attributes:
        groups: Its runs.
    """

    groups: Annotated[list[Group], Field(min_length=1)]

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"groups: names {names} are not allowed; expected different ones")
        return self


@dataclass(frozen=True)
class PlannedGame:
    """A game of a group.

    Attributes:
        name: Different for each game of the group.
        config: The game.
        penalty_ratio: Its churn penalty as a multiple of P*; None where it is the game's own.
    """

    name: str
    config: GameConfig
    penalty_ratio: float | None


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes:
        name: Different for each run of the sweep.
        group: Its group.
        config: Its game.
        seed: Its seed.
        penalty_ratio: The game's churn penalty as a multiple of P*; None where it is the game's own.
    """

    name: str
    group: Group
    config: GameConfig
    seed: int
    penalty_ratio: float | None


def load_sweep(name: str | Path) -> Sweep:
    """Load a sweep by its packaged name or from a YAML file.

    Raises:
        ConfigError: No such sweep, or a key or value that is not allowed.
    """
    return read_settings(name, "sweeps", Sweep)


def planned_runs(sweep: Sweep) -> list[Planned]:
    """All runs of a sweep, in order.

    Raises:
        ConfigError: A game or its throttling threshold does not exist, or two runs would have the same name.
    """
    runs = [
        Planned(f"{game.name}-seed{seed}", group, game.config, seed, game.penalty_ratio)
        for group in sweep.groups
        for game in group.planned()
        for seed in group.seeds
    ]
    counts = Counter(run.name for run in runs)
    name, count = counts.most_common(1)[0]
    if count > 1:
        raise ConfigError(f"groups: {count} runs are called {name!r}; expected different games, seeds and ratios")
    return runs


def _games(group: Games) -> list[GameConfig]:
    if group.games is not None:
        return [load_game(name) for name in group.games]
    assert group.random_games is not None, "a group has one or the other"
    drawn = group.random_games
    stratum = Stratum[drawn.stratum.upper()]
    games = stratified_games(drawn.count, drawn.seed, strata=[stratum])
    source = f"random game of the stratum {drawn.stratum}, seed {drawn.seed}"
    return [_described(games[k], f"random{k}", stratum.label, source) for k in range(drawn.count)]


def _described(game: Game, name: str, description: str, source: str) -> GameConfig:
    labels = ("standard model", "reasoning model")
    models = [
        Model(label=label, success=float(game.success[k]), cost=float(game.cost[k]), latency=float(game.latency[k]))
        for k, label in enumerate(labels)
    ]
    return GameConfig(
        name=name,
        description=description,
        units=Units(money="abstract", latency="value"),
        models=models,
        value=float(game.value),
        churn_penalty=float(game.churn_penalty),
        sources=[source],
    )


def _with_ratio(config: GameConfig, ratio: float) -> GameConfig:
    threshold = float(throttling_gain(config.game).churn_penalty_high)
    if not threshold > 0:
        raise ConfigError(f"penalty_ratios: throttling never pays in {config.name}; expected games in which it can")
    return config.model_copy(update={"churn_penalty": ratio * threshold})
