"""Benchmark suites and the algorithms that training makes, as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from stackroute.configs.learners import Count
from stackroute.configs.loading import Settings, packaged, read_settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

StratumName = Literal[
    "both_worth",
    "neither_worth",
    "only_reasoning_worth_static",
    "only_reasoning_worth_cascade",
    "only_standard_worth_static",
    "only_standard_worth_cascade",
]

Seed = Annotated[int, Field(ge=0)]


class RandomGames(Settings):
    """Random games of one case of the theory.

    Attributes:
        stratum: The case, as in `stackroute.analytic.Stratum`.
        count: How many.
        seed: Fixes which.
    """

    stratum: StratumName
    count: Count
    seed: Seed


class Games(Settings):
    """A group of games, each of which is a task; the report compares algorithms by group.

    Attributes:
        name: Of the group; letters, digits, dots, dashes and underscores.
        games: Names or files of games.
        random_games: Random games instead.
        routing: What the provider may commit to; if not given, up to two models cascades, else any lottery.
        throttling: Whether the provider can delay.
        penalty_ratios: Each game is played with these multiples of the churn penalty P* below which throttling pays,
            in place of its own churn penalty.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    games: Annotated[list[str], Field(min_length=1)] | None = None
    random_games: RandomGames | None = None
    routing: Literal["cascade", "free"] | None = None
    throttling: bool
    penalty_ratios: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.games is None) == (self.random_games is None):
            raise ValueError("games: expected either games or random_games")
        return self


class HeldOutGames(Settings):
    """Games in equal numbers from all strata, which together are one task.

    Attributes:
        count: How many.
        seed: Fixes which.
        throttling: Whether the provider can delay.
    """

    count: Annotated[int, Field(ge=6)]
    seed: Seed
    throttling: bool


class Suite(Settings):
    """A benchmark: algorithms, each of which meets every task with every seed.

    Attributes:
        summary: What it is for, in a line.
        groups: Its games.
        held_out: One task of many games instead.
        algorithms: The names of the algorithms, or files with settings of training.
        seeds: The seeds.
        horizon: Tasks of the game (prompts) up to which the area under the regret curve is taken.
    """

    summary: str
    groups: Annotated[list[Games], Field(min_length=1)] | None = None
    held_out: HeldOutGames | None = None
    algorithms: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    horizon: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.groups is None) == (self.held_out is None):
            raise ValueError("groups: expected either groups or held_out")
        names = [group.name for group in self.groups or ()]
        for key, values in (("algorithms", self.algorithms), ("seeds", self.seeds), ("groups", names)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: {values} are not allowed; expected different ones")
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


def suite_names() -> list[str]:
    """The names of the packaged suites."""
    return list(packaged("benchmarks"))


def load_suite(name: str | Path) -> Suite:
    """Load a suite by its packaged name or from a YAML file.

    Raises:
        ConfigError: No such suite, or a key or value that is not allowed.
    """
    return read_settings(name, "benchmarks", Suite)
