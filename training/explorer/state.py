"""All that can be changed on the page, which a link restores: a stranger may have made it, so it is only numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from stackroute.analytic import Commitment, default_routing
from stackroute.configs import ConfigError, GameConfig, with_changes
from stackroute.configs.games import Amount, Model, PositiveAmount
from stackroute.configs.loading import Settings, validated
from stackroute.configs.tables import is_table, read_models
from stackroute.configs.text import some_of
from stackroute.training.figures.scenario import read_game
from stackroute.training.market.alternatives import never_needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from stackroute.configs.tables import ModelTable

MOST_MODELS = 8
_LONGEST = 10_000
_CHANGED = "Some numbers were changed by hand."

Share = Annotated[float, Field(ge=0, le=1)]


class Source(NamedTuple):
    """What is explored: a game, and the table that it is from, if any."""

    config: GameConfig
    table: ModelTable | None = None

    @classmethod
    def read(
        cls,
        name: str,
        columns: Mapping[str, str],
        units: Mapping[str, str],
        decimal: str | None,
        changes: Sequence[str] = (),
    ) -> Self:
        """A packaged game, a file or a table; arguments and errors as of `read_game` and `with_changes`."""
        config = with_changes(read_game(name, columns, units, decimal), changes)
        return cls(config, read_models(name, columns, units, decimal) if is_table(name) else None)


class State(Settings):
    """The numbers on the page.

    Attributes:
        game: The name of the game that is explored.
        models: Those of its models that take part, with their numbers.
        value: As of `GameConfig`.
        churn_penalty: As there.
        waiting_cost_per_hour: As there.
        routing: What the provider may commit to; the paper's cascades of at most two models.
        throttling: Whether it may delay.
        first: The model that answers first under the commitment of one's own.
        retries: How often each model serves retries there, in parts of their sum; with cascades the second is the
            cascade probability.
        delays: By how much each model is slowed there, in the unit of latency.
    """

    game: str
    models: Annotated[list[Model], Field(min_length=1, max_length=MOST_MODELS)]
    value: PositiveAmount
    churn_penalty: Amount
    waiting_cost_per_hour: PositiveAmount | None
    routing: Literal["cascade", "free"]
    throttling: bool
    first: str
    retries: list[Share]
    delays: list[Amount]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("retries", "delays"):
            if len(getattr(self, name)) != len(self.models):
                raise ValueError(f"{name}: expected one number for each of the {len(self.models)} models")
        if self.first not in self.labels:
            raise ValueError(f"first: {self.first!r} is not allowed; expected one of {some_of(self.labels)}")
        if self.routing == "cascade" and len(self.models) > 2:
            raise ValueError("routing: 'cascade' is not allowed; expected 'free' with more than two models")
        return self

    @classmethod
    def of(cls, config: GameConfig) -> Self:
        """A game as it is; of many models those that an optimum may need, at most 8, the cheapest to solve with."""
        game, kept = config.game, [*range(len(config.models))]
        if game.models > MOST_MODELS:
            needed = np.flatnonzero(~never_needed(game))
            kept = sorted(needed[np.argsort(game.cost_of_pass[needed], kind="stable")][:MOST_MODELS].tolist())
        models = [config.models[k] for k in kept]
        return cls(
            game=config.name,
            models=models,
            value=config.value,
            churn_penalty=config.churn_penalty,
            waiting_cost_per_hour=config.waiting_cost_per_hour,
            routing="free" if len(models) > 2 else default_routing(game),
            throttling=False,
            first=models[0].label,
            retries=[0.5] * len(models),
            delays=[0.0] * len(models),
        )

    @property
    def labels(self) -> list[str]:
        """What the models are called."""
        return [model.label for model in self.models]

    def config(self, source: Source) -> GameConfig:
        """The game with the numbers of the page.

        Raises:
            ConfigError: It is of another game, or has a model that is not one of the game.
        """
        usual = source.config
        if self.game != usual.name:
            raise ConfigError(f"game: {self.game!r} is not allowed; this page shows {usual.name!r}")
        for label in self.labels:
            if label not in usual.labels:
                raise ConfigError(f"models: {label!r} is not allowed; expected some of {some_of(usual.labels)}")
        numbers = self.model_dump(include={"models", "value", "churn_penalty", "waiting_cost_per_hour"})
        changed = {} if self == State.of(usual) else {"sources": [*usual.sources, _CHANGED]}
        return validated(usual.model_dump() | numbers | changed, usual.name, GameConfig)

    def commitment(self, config: GameConfig) -> Commitment | None:
        """The commitment of one's own; None where no model serves retries."""
        first, shares = self.labels.index(self.first), np.array(self.retries)
        delay = np.array(self.delays) * config.utility_per_latency * self.throttling
        if self.routing == "cascade" and len(self.models) == 2:
            return Commitment.cascade(first, shares[1], delay)
        if not shares.sum() > 0.0:
            return None
        return Commitment.lottery(np.eye(len(shares))[first], shares / shares.sum(), delay)


def as_link(state: State) -> str:
    """The text that a link holds."""
    return json.dumps(state.model_dump(), separators=(",", ":"))


def from_link(text: str, source: Source) -> State:
    """The state that a link restores.

    Raises:
        ConfigError: It is none of this game.
    """
    try:
        if len(text) > _LONGEST:
            raise ConfigError(f"{len(text):,} characters are not allowed; expected at most {_LONGEST:,}")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ConfigError("it holds no numbers; expected one that this page has made")
        state = validated(content, "numbers", State)
        state.config(source)
    except ConfigError as error:
        raise ConfigError(f"The link cannot be used: {error}") from None
    return state
