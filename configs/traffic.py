"""Measured tasks in an economy as YAML: what is learned and compared on tasks of hidden difficulty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stackroute.configs.loading import Settings, packaged, read_settings
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.outcome_files import read_outcomes

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.analytic.traffic import Traffic

Amount = Annotated[float, Field(ge=0)]


class TrafficSettings(Settings):
    """Models on measured tasks, and what users and provider gain and lose by them.

    Attributes:
        outcomes: What was measured: a packaged name, a folder or a file.
        models: Up to 4 of its models.
        value: What a solved task is worth to the user.
        churn_penalty: What an abandoned task costs the provider, money.
        cost: What an attempt costs, money, by model; as measured where it is not given.
        latency: How long an attempt takes, seconds, by model; without `second_price` what waiting costs the user.
        second_price: What a second of waiting costs the user, in the unit of value.
        correlation: As of `stackroute.Outcomes.fit`.
        context: What the provider sees of a task: a column of the features.
    """

    outcomes: str
    models: Annotated[list[str], Field(min_length=1, max_length=4)]
    value: Annotated[float, Field(gt=0)]
    churn_penalty: Amount
    cost: dict[str, Amount] = Field(default_factory=dict)
    latency: dict[str, Amount] = Field(default_factory=dict)
    second_price: Annotated[float, Field(gt=0)] | None = None
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    context: str | None = None

    def traffic(self) -> Traffic:
        """The types of the tasks; ConfigError or InvalidGameError as of `MeasuredGame.traffic_by`."""
        game = MeasuredGame(
            read_outcomes(self.outcomes),
            tuple(self.models),
            self.value,
            self.churn_penalty,
            self.cost,
            self.latency,
            self.second_price,
            self.correlation,
        )
        return game.traffic_by(self.context)


def traffic_names() -> list[str]:
    """The names of the packaged ones."""
    return list(packaged("traffic"))


def load_traffic_settings(name: str | Path) -> TrafficSettings:
    """Load measured tasks in an economy by their packaged name or from a YAML file.

    Raises:
        ConfigError: No such name or file, or a key or value that is not allowed.
    """
    return read_settings(name, "traffic", TrafficSettings)
