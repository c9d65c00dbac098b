"""Games as YAML: models with units and sources, a user, and a churn penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from stackroute.analytic import Game, InvalidGameError
from stackroute.configs.loading import Settings, packaged, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

_SECONDS = {"seconds": 1.0, "minutes": 60.0}
_SECONDS_PER_HOUR = 3600.0
_SHORT = {"seconds": "s", "minutes": "min"}

# With more, products and ratios may not be finite.
Amount = Annotated[float, Field(ge=0, le=1e12)]
PositiveAmount = Annotated[float, Field(gt=0, le=1e12)]


class Units(Settings):
    """The units of a game's numbers.

    Attributes:
        money: The unit of cost and churn penalty, and of the value if latency is in time.
        latency: "seconds" or "minutes", priced by `waiting_cost_per_hour`; or "value", the user's own utility.
    """

    money: Literal["USD", "EUR", "GBP", "abstract"]
    latency: Literal["seconds", "minutes", "value"]


class Model(Settings):
    """One model.

    Attributes:
        label: What to call it in tables; different for each model of a game.
        success: Probability that a pass solves the task, in (0, 1).
        cost: Cost of a pass, money.
        latency: Latency of a pass, in the game's unit of latency.
    """

    label: str
    success: Annotated[float, Field(gt=0, lt=1)]
    cost: Amount
    latency: Amount


class GameConfig(Settings):
    """A game with its units and sources.

    Attributes:
        name: The game's name: letters, digits, dots, dashes and underscores.
        description: What the game shows, one line.
        units: The units of the numbers.
        models: The provider's models.
        value: What a solved task is worth to the user.
        churn_penalty: What an abandoned task costs the provider, money.
        waiting_cost_per_hour: What an hour of waiting costs the user, money; exactly when latency is in time.
        sources: Where the numbers come from.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str
    units: Units
    models: Annotated[list[Model], Field(min_length=1)]
    value: PositiveAmount
    churn_penalty: Amount
    waiting_cost_per_hour: PositiveAmount | None = None
    sources: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        in_time = self.units.latency in _SECONDS
        if in_time and self.waiting_cost_per_hour is None:
            unit = self.units.latency
            raise ValueError(f"waiting_cost_per_hour: missing key; needed because units.latency is {unit!r}")
        if not in_time and self.waiting_cost_per_hour is not None:
            allowed = " or ".join(map(repr, _SECONDS))
            raise ValueError(f"waiting_cost_per_hour: unknown key; allowed only when units.latency is {allowed}")
        for position, label in enumerate(self.labels):
            if label in self.labels[:position]:
                raise ValueError(f"models.{position}.label: {label!r} is not allowed; expected a label of its own")
        try:
            _ = self.game
        except InvalidGameError as error:
            raise ValueError(f"models: {error}") from None
        return self

    @property
    def utility_per_latency(self) -> float:
        """The user's utility of one unit of latency: 1 where latency is given as utility."""
        if self.waiting_cost_per_hour is None:
            return 1.0
        return self.waiting_cost_per_hour * _SECONDS[self.units.latency] / _SECONDS_PER_HOUR

    @property
    def labels(self) -> tuple[str, ...]:
        """What the models are called."""
        return tuple(model.label for model in self.models)

    @property
    def game(self) -> Game:
        """The game in one unit of utility: latency is converted by the waiting cost."""
        return Game(
            success=[model.success for model in self.models],
            cost=[model.cost for model in self.models],
            latency=[model.latency * self.utility_per_latency for model in self.models],
            value=self.value,
            churn_penalty=self.churn_penalty,
        )


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
        return cls(money, money, _SHORT[config.units.latency], config.utility_per_latency)

    def in_money(self, amount: float) -> str:
        """An amount of money with its unit, to four digits."""
        return f"{amount:.4g} {self.money}".rstrip()

    def in_utility(self, amount: float) -> str:
        """An amount of utility with its unit, to four digits."""
        return f"{amount:.4g} {self.utility}".rstrip()

    def in_time(self, amount: float, number: Callable[[float], str] = "{:.4g}".format) -> str:
        """The time that costs the user so much utility, with its unit; `number` writes the number."""
        return f"{number(amount / self.utility_per_time)} {self.time}".rstrip()


def load_game(name: str | Path) -> GameConfig:
    """Load a game by its packaged name or from a YAML file.

    Args:
        name: A packaged name (see `game_names`), or the path of a file that ends in .yaml or .yml.

    Returns:
        The game with its units and sources; its `game` attribute is the `Game`.

    Raises:
        ConfigError: No such game, or a file with a key or value that is not allowed.

    Examples:
        >>> load_game("gpt-4.1-o3-dev").game.cost_of_pass.round(4)
        array([0.1217, 0.0939])
    """
    return read_settings(name, "games", GameConfig)


def game_names() -> list[str]:
    """The names of the packaged games."""
    return list(packaged("games"))
