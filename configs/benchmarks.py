"""Benchmark suites and the algorithms that training makes, as YAML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from stackroute.analytic import Stratum, strata, stratified_games
from stackroute.configs.loading import ConfigError, Settings, packaged, read_settings
from stackroute.configs.sweeps import Games, Seeds
from stackroute.configs.training import Count

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from stackroute.analytic import Game

HELD_OUT = "held-out"
"""The name of the one task that consists of held-out games."""


class HeldOutGames(Settings):
    """Games in equal numbers from all strata, all judged in one run.

    Attributes:
        count: How many.
        seed: Fixes which.
        throttling: Whether the provider can delay.
    """

    count: Annotated[int, Field(ge=6)]
    seed: Annotated[int, Field(ge=0)]
    throttling: bool


class Suite(Settings):
    """A benchmark: algorithms, each of which meets every task with every seed.

    Attributes:
        summary: What it is for, in a line.
        tasks: Groups of games, each game a task; the report compares algorithms by group.
        held_out: One task that consists of many games instead.
        algorithms: The names of the algorithms.
        seeds: The seeds.
        horizon: Tasks of the game (prompts) up to which the area under the regret curve is taken.
    """

    summary: str
    tasks: Annotated[list[Games], Field(min_length=1)] | None = None
    held_out: HeldOutGames | None = None
    algorithms: Annotated[list[str], Field(min_length=1)]
    seeds: Seeds
    horizon: Count

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.tasks is None) == (self.held_out is None):
            raise ValueError("tasks: expected either tasks or held_out")
        return self

    @model_validator(mode="after")
    def _different(self) -> Self:
        for key, names in (
            ("algorithms", self.algorithms),
            ("seeds", self.seeds),
            ("tasks", [group.name for group in self.tasks or ()]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{key}: {names} are not allowed; expected different ones")
        return self


class TrainedAlgorithm(Settings):
    """An algorithm of the benchmark that is a scheme of training with its settings.

    Attributes:
        summary: What it is, in a line.
        settings: The training settings, a packaged name or a file.
        changes: Changes of the settings, each KEY=VALUE.
    """

    summary: str
    settings: str
    changes: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """One task of a suite.

    Attributes:
        name: Different for each task of the suite.
        groups: What the report calls each of its games' group.
        game: Shape (n,); n = 1 but for held-out games.
        throttling: Whether the provider can delay.
    """

    name: str
    groups: tuple[str, ...]
    game: Game
    throttling: bool


def suite_names() -> list[str]:
    """The names of the packaged suites."""
    return list(packaged("benchmarks"))


def load_suite(name: str | Path) -> Suite:
    """Load a suite by its packaged name or from a YAML file.

    Raises:
        ConfigError: No such suite, or a key or value that is not allowed.
    """
    return read_settings(name, "benchmarks", Suite)


def trained_algorithm_names() -> list[str]:
    """The names of the packaged algorithms that are schemes of training."""
    return list(packaged("algorithms"))


def load_trained_algorithm(name: str | Path) -> TrainedAlgorithm:
    """Load an algorithm that is a scheme of training by its packaged name or from a YAML file.

    Raises:
        ConfigError: No such algorithm, or a key or value that is not allowed.
    """
    return read_settings(name, "algorithms", TrainedAlgorithm)


def tasks_of(suite: Suite) -> list[Task]:
    """All tasks of a suite, in order.

    Raises:
        ConfigError: A game or its throttling threshold does not exist, or two tasks would have the same name.
    """
    if suite.held_out is not None:
        game = stratified_games(suite.held_out.count, seed=suite.held_out.seed)
        groups = tuple(Stratum(code).name.lower().replace("_", "-") for code in strata(game))
        return [Task(HELD_OUT, groups, game, suite.held_out.throttling)]
    tasks = [
        Task(one.name, (group.name,), one.config.game.reshape(1), group.throttling)
        for group in suite.tasks or ()
        for one in group.planned()
    ]
    name, count = Counter(task.name for task in tasks).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"tasks: {count} tasks are called {name!r}; expected different games and ratios")
    return tasks
