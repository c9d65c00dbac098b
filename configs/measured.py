"""Models on tasks that were measured, in an economy: a game of hidden difficulty with its units."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stackroute.configs.games import DisplayUnits, GameConfig, Model, Units
from stackroute.configs.loading import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackroute.analytic.traffic import Traffic
    from stackroute.configs.outcomes import Outcomes

_HOUR, _MOST = 3600.0, 1e12


@dataclass(frozen=True, eq=False)
class MeasuredGame:
    """A game of hidden difficulty: models on measured tasks, and what users and provider gain and lose by them.

    Attributes:
        outcomes: What was measured.
        labels: The models.
        value: What a solved task is worth to the user.
        churn_penalty: What an abandoned task costs the provider, money.
        cost: What an attempt costs, money, by model; as measured where it is not given.
        latency: How long an attempt takes, seconds; without `second_price` what waiting for it costs the user.
        second_price: What a second of waiting costs the user, in the unit of value; None where latency is its cost.
        correlation: As of `Outcomes.fit`.
        horizon: The most attempts.
    """

    outcomes: Outcomes
    labels: tuple[str, ...]
    value: float
    churn_penalty: float
    cost: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)
    second_price: float | None = None
    correlation: float = 0.5
    horizon: int = 12

    @property
    def name(self) -> str:
        """What the tasks are called."""
        return self.outcomes.name

    @property
    def unit(self) -> DisplayUnits:
        """The units of its numbers: utility is in money where time has a price."""
        money = self.outcomes.money or ""
        return DisplayUnits(money) if self.second_price is None else DisplayUnits(money, money, "s", self.second_price)

    @cached_property
    def traffic(self) -> Traffic:
        """The types of its tasks, three for each task.

        Raises:
            ConfigError: As of `Outcomes.traffic`.
            InvalidGameError: A number is not one that a game may have.
        """
        return self.traffic_by(None)

    def traffic_by(self, context: str | None, *, draws: int = 3, seed: int = 0) -> Traffic:
        """The types of its tasks, of which the provider sees a context.

        Args:
            context: As of `Outcomes.traffic`.
            draws: As there.
            seed: As there.

        Raises:
            ConfigError: As there.
            InvalidGameError: A number is not one that a game may have.
        """
        price = self.second_price
        if price is not None and not 0.0 < price <= _MOST:
            raise ConfigError(f"second-price: {price:g} is not allowed; expected a number > 0")
        return self.outcomes.traffic(
            self.labels,
            self.value,
            self.churn_penalty,
            draws,
            seed,
            context,
            cost=self.cost,
            latency={label: amount * (price or 1.0) for label, amount in self.latency.items()},
            seconds_price=price,
            correlation=self.correlation,
        )

    @property
    def mean(self) -> GameConfig:
        """The game with the mean of everything: what is left where attempts are taken for independent."""
        game, price = self.traffic.mean[0], self.second_price
        numbers = zip(self.labels, game.success, game.cost, game.latency / (price or 1.0), strict=True)
        return GameConfig(
            name="mean",
            description="attempts taken for independent",
            units=Units.model_validate(
                {"money": self.outcomes.money or "abstract", "latency": "seconds" if price else "value"}
            ),
            models=[
                Model(label=label, success=float(p), cost=float(c), latency=float(t)) for label, p, c, t in numbers
            ],
            value=self.value,
            churn_penalty=self.churn_penalty,
            waiting_cost_per_hour=price * _HOUR if price else None,
        )
