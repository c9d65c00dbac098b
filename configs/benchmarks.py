"""Benchmark suites and the algorithms that training makes, as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

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
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

_MOST_ATTEMPTS = 12


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

    name: Name
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


class Economy(Settings):
    """What users and provider gain and lose.

    Attributes:
        name: Of the economy; letters, digits, dots, dashes and underscores.
        value: What a solved task is worth to the user.
        churn_penalty: What an abandoned task costs the provider, money.
    """

    name: Name
    value: Annotated[float, Field(gt=0)]
    churn_penalty: Annotated[float, Field(ge=0)]


class SyntheticTasks(Settings):
    """Tasks of known types, as of `stackroute.training.routers.workload.synthetic_workload`.

    Attributes:
        tasks: How many.
        kinds: The number of kinds of task, each with models that are good at it.
        models: The number of models.
        noise: Of the features, which tell the kind.
        seed: Fixes them.
    """

    tasks: Annotated[int, Field(ge=5)]
    kinds: Count
    models: Annotated[int, Field(ge=1, le=4)]
    noise: Annotated[float, Field(ge=0)]
    seed: Seed = 0


class RoutedTasks(Settings):
    """Tasks that routers learn to route, divided anew with each seed, in several economies.

    Attributes:
        name: Of the tasks; letters, digits, dots, dashes and underscores.
        outcomes: Measured outcomes, a packaged name or a file.
        models: Up to 4 of their models.
        cost: What an attempt costs, money, by model; as measured where it is not given.
        latency: How long an attempt takes, seconds, by model; as measured where it is not given.
        second_price: What a second of waiting costs the user, money; if not given, latency is in the unit of value.
        synthetic: Tasks of known types instead.
        money: What costs are counted in.
        economics: In each of them every router is judged.
    """

    name: Name
    outcomes: str | None = None
    models: Annotated[list[str], Field(min_length=1, max_length=4)] | None = None
    cost: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    latency: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    second_price: Annotated[float, Field(gt=0)] | None = None
    synthetic: SyntheticTasks | None = None
    money: str = "units of money"
    economics: Annotated[list[Economy], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.outcomes is None) == (self.synthetic is None):
            raise ValueError("outcomes: expected either outcomes or synthetic")
        if (self.outcomes is None) != (self.models is None):
            raise ValueError("models: expected with outcomes, and only with them")
        unmeasured = {"cost": self.cost, "latency": self.latency, "second_price": self.second_price}
        for key, given in unmeasured.items():
            if self.synthetic is not None and given:
                raise ValueError(f"{key}: is not allowed; synthetic tasks have their own")
        for key, by_model in (("cost", self.cost), ("latency", self.latency)):
            for label in by_model:
                if label not in (self.models or ()):
                    raise ValueError(f"{key}.{label}: is not allowed; expected one of the models")
        return self


class Suite(Settings):
    """A benchmark: algorithms, each of which meets every task with every seed.

    Attributes:
        summary: What it is for, in a line.
        groups: Its games.
        held_out: One task of many games instead.
        workloads: Tasks for routers instead.
        traffic: Measured tasks of hidden difficulty instead, packaged names or files of
            `stackroute.configs.traffic.TrafficSettings`.
        algorithms: The names of the algorithms, or files with settings of training; with workloads the names of
            routers, "oracle", and "optimum" for a lower bound; with traffic "exact", "step_0", "best_static", "random",
            and settings of `shadow_price`.
        seeds: The seeds.
        horizon: Tasks of the game (prompts) up to which the area under the regret curve is taken; with workloads and
            traffic the most attempts at a task, up to 12.
    """

    summary: str
    groups: Annotated[list[Games], Field(min_length=1)] | None = None
    held_out: HeldOutGames | None = None
    workloads: Annotated[list[RoutedTasks], Field(min_length=1)] | None = None
    traffic: Annotated[list[str], Field(min_length=1)] | None = None
    algorithms: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    horizon: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if [self.groups, self.held_out, self.workloads, self.traffic].count(None) != 3:
            raise ValueError("groups: expected either groups or held_out or workloads or traffic")
        if (self.workloads or self.traffic) and self.horizon > _MOST_ATTEMPTS:
            raise ValueError(f"horizon: {self.horizon} is not allowed; expected at most {_MOST_ATTEMPTS} attempts")
        named: dict[str, list[Any]] = {
            "algorithms": self.algorithms,
            "seeds": self.seeds,
            "traffic": self.traffic or [],
            "groups": [group.name for group in self.groups or ()],
            "workloads": [workload.name for workload in self.workloads or ()],
            **{f"economics of {one.name}": [each.name for each in one.economics] for one in self.workloads or ()},
        }
        for key, values in named.items():
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
