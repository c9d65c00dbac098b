"""The variant of the game that an environment plays: its options, validated once for every API."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from stackroute.analytic import Commitment, Game, nash_equilibria, solve, solve_traffic
from stackroute.configs.games import DisplayUnits
from stackroute.envs import rules
from stackroute.envs.actions import ActionKind, ProviderActions
from stackroute.envs.games import GamesLike, Labels, count, find_games, in_relative_units
from stackroute.envs.observations import (
    BLOCKS,
    PAPER,
    Block,
    Routing,
    block_columns,
    columns,
    encode_games,
    encode_labels,
    observation_space,
)

if TYPE_CHECKING:
    from typing import Self, Unpack

    import numpy.typing as npt
    from gymnasium import spaces

    from stackroute.analytic import Equilibrium, NashEquilibria, Traffic, TrafficEquilibrium
    from stackroute.analytic.game import FloatArray, IntArray

Player = Literal["provider", "user"]
RewardUnit = Literal["game", "relative"]
Observe = Mapping[Player, Sequence[Block]]

DEFAULT_MAX_PASSES = 1_000
"""A re-prompt after this many passes truncates the task; rarer than 1e-6 on the packaged games."""

MOST_PASSES = 2**31 - 1
"""The largest `max_passes`: passes are counted in 32 bits."""

DEFAULT_OBSERVE: dict[Player, tuple[Block, ...]] = {"provider": ("game",), "user": PAPER}
"""What the players of the paper observe."""

TRAFFIC_OBSERVE: dict[Player, tuple[Block, ...]] = {
    "provider": ("history", "context", "group"),
    "user": ("commitment", "history", "group"),
}
"""What the players observe where tasks are of hidden types."""

_ARGUMENTS = ("game", "user", "provider", "decision", "tasks_per_commitment", "lookahead", "max_cycles", "render_mode")
"""What environments accept besides, for the hint at a misspelt name."""


class Options(TypedDict, total=False):
    """The options that all environments share.

    Attributes:
        routing: What the provider's action routes. `"cascade"` (default): it commits once, before the first pass, to a
            start model and to the probabilities that a re-prompted task moves on to the next model. `"lottery"`: it
            commits to a start model and to the probabilities with which each model serves a re-prompt. `"pass"`: it
            chooses a model anew before every pass: without the power to commit.
        throttling: Whether the provider's action has delays; default True.
        observe: For each player the list of blocks that it observes, of `"game"`, `"commitment"` and `"history"` (the
            model of the last pass and the number of passes), and of a `stackroute.analytic.Traffic` `"context"` and
            `"group"`. Default: those of the paper, `{"provider": ["game"], "user": ["game", "commitment"]}`; with a
            Traffic all but the game, whose type is hidden, and of the user the context. A player that is left out has
            its default. The blocks are described in `stackroute.envs.observation_space`.
        action: `"box"` (default): actions are numbers in [0, 1]. `"grid"`: the number of one of a list of such actions.
        max_passes: Passes after which a re-prompt truncates the task; default 1000.
        reward_unit: `"game"` (default): the units of the game. `"relative"`: the user's reward in units of the value,
            the provider's in units of the largest cost plus the churn penalty.
    """

    routing: Routing
    throttling: bool
    observe: Observe
    action: ActionKind
    max_passes: int
    reward_unit: RewardUnit


@dataclass(frozen=True, eq=False)
class Variant:
    """A variant of the game; see `Options` for the meaning of its fields.

    Attributes:
        games: The games that tasks are drawn from, in the unit of the rewards, shape (m,).
        traffic: How often each is, and what is seen of it, where that was given; otherwise all are equally likely.
        labels: What the models of each game are called.
        units: What the numbers of each game are counted in.
        actions: The provider's actions.
    """

    games: Game
    traffic: Traffic | None
    labels: list[Labels]
    units: list[DisplayUnits]
    actions: ProviderActions
    observe: dict[Player, tuple[Block, ...]]
    max_passes: int
    reward_unit: RewardUnit

    @classmethod
    def of(cls, game: GamesLike, **options: Unpack[Options]) -> Self:
        """Validate games and options.

        Raises:
            TypeError: An option has another name.
            ValueError: An option or the game is not allowed.
            ConfigError: No such game, or a bad file.
        """
        unknown = sorted(set(options) - set(Options.__annotations__))
        if unknown:
            known = [*Options.__annotations__, *_ARGUMENTS]
            close = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(Options.__annotations__)}"
            # In Python's own words: TorchRL and others look for them.
            raise TypeError(f"got an unexpected keyword argument {unknown[0]!r}; {hint}")
        throttling = options.get("throttling", True)
        if not isinstance(throttling, bool | np.bool_):
            raise ValueError(f"throttling: {throttling!r} is not allowed; expected True or False")
        unit = choice("reward_unit", options.get("reward_unit", "game"), RewardUnit)
        games, labels, units, traffic = find_games(game)
        relative = unit == "relative"
        if relative and traffic:
            raise ValueError("reward_unit: 'relative' is not allowed with a Traffic, whose types share a unit")
        return cls(
            games=in_relative_units(games) if relative else games,
            traffic=traffic,
            labels=labels,
            units=[DisplayUnits()] * len(units) if relative else units,
            actions=ProviderActions(
                games.models,
                choice("routing", options.get("routing", "cascade"), Routing),
                bool(throttling),
                choice("action", options.get("action", "box"), ActionKind),
            ),
            observe=_observed(options.get("observe", {}), traffic is not None),
            max_passes=count("max_passes", options.get("max_passes", DEFAULT_MAX_PASSES), most=MOST_PASSES),
            reward_unit=unit,
        )

    @property
    def models(self) -> int:
        """The number of models of every game."""
        return self.actions.models

    @property
    def routing(self) -> Routing:
        """What the provider's action routes."""
        return self.actions.routing

    @property
    def throttling(self) -> bool:
        """Whether the provider's action has delays."""
        return self.actions.throttling

    def select(self, index: IntArray | int) -> Game:
        """The games of tasks, from the rows of their games, shape (...)."""
        return self.games[index]

    @cached_property
    def _traffic_equilibrium(self) -> TrafficEquilibrium:
        assert self.traffic is not None
        return solve_traffic(self.traffic, throttling=self.throttling)

    def equilibrium(self, game: Game) -> Equilibrium | NashEquilibria | TrafficEquilibrium:
        """The exact solution of games under these options: what play is compared with.

        Args:
            game: Games of the variant, shape (...).

        Returns:
            `stackroute.analytic.solve` with the variant's throttling: over cascades, or where the provider commits to
            a lottery over all commitments, of which the best is one. Where it routes pass by pass and so cannot commit,
            `stackroute.analytic.nash_equilibria`, which are without delays. Where tasks are of hidden types,
            `stackroute.analytic.solve_traffic`: the best that can be committed to, over all mixtures of ladders.

        Raises:
            InvalidGameError: The games have more models than there is a solver for.
        """
        if self.traffic:
            return self._traffic_equilibrium
        if self.routing == "pass":
            return nash_equilibria(game)
        return solve(game, self.actions.solved_as, self.throttling)

    @cached_property
    def task_dtype(self) -> np.dtype[np.void]:
        """The record of a task."""
        return rules.task_dtype(self.models)

    @cached_property
    def table(self) -> npt.NDArray[np.void]:
        """The games as records, shape (m,)."""
        dtype = rules.game_dtype(self.models)
        rows = np.zeros(len(self.games), dtype)
        for field in fields(self.games):
            rows[field.name] = getattr(self.games, field.name)
        rows["kept"] = 1.0
        if self.traffic:
            rows["kept"], rows["alias"] = _aliases(self.traffic.weight)
        return rows

    @cached_property
    def encoded_games(self) -> npt.NDArray[np.float32]:
        """The blocks `"game"`, `"context"` and `"group"` of each game, shape (m, 3 models + 1 + ...)."""
        encoded = encode_games(self.games)
        if self.traffic is None:
            return encoded
        return np.concatenate([encoded, *encode_labels(self.traffic)], axis=1)

    @cached_property
    def width(self) -> int:
        """The length of an observation of all blocks up to the last one that a player observes, and the commitment."""
        observed = {"commitment", *(block for blocks in self.observe.values() for block in blocks)}
        return max(int(block_columns(self.models, block, self.traffic).stop) for block in BLOCKS if block in observed)

    @cached_property
    def columns(self) -> dict[Player, slice | npt.NDArray[np.int64]]:
        """Which columns of all blocks each player observes."""
        return {player: columns(self.models, blocks, self.traffic) for player, blocks in self.observe.items()}

    def observation_space(self, player: Player) -> spaces.Box:
        """The observation space of a player."""
        return observation_space(self.models, self.observe[player], self.traffic)

    def commitment_in(self, rows: npt.NDArray[np.void]) -> Commitment:
        """The commitments that hold in tasks, records of `task_dtype`, shape (n,)."""
        return Commitment.of_valid(
            start=np.eye(self.models)[rows["start"]], transition=rows["transition"].copy(), delay=rows["delay"].copy()
        )


def _aliases(weight: FloatArray) -> tuple[FloatArray, IntArray]:
    """With which probability each row is kept, and its alias otherwise, so that rows come up by their weights."""
    kept, alias = weight * len(weight), np.arange(len(weight))
    scarce, ample = [list(np.flatnonzero(part)) for part in (kept < 1.0, kept >= 1.0)]
    while scarce and ample:
        row, donor = scarce.pop(), ample[-1]
        alias[row] = donor
        kept[donor] -= 1.0 - kept[row]
        if kept[donor] < 1.0:
            scarce.append(ample.pop())
    # What is left is 1 but for rounding.
    kept[[*scarce, *ample]] = 1.0
    return kept, alias


def _observed(given: Any, hidden_types: bool) -> dict[Player, tuple[Block, ...]]:
    """What each player observes, defaults filled in and blocks in their order."""
    allowed = f"lists of {', '.join(BLOCKS)} by player, as in {{'user': ['game']}}"
    if not isinstance(given, Mapping) or not set(given) <= set(DEFAULT_OBSERVE):
        raise ValueError(f"observe: {given!r} is not allowed; expected {allowed}")
    for blocks in given.values():
        known = isinstance(blocks, Sequence) and all(block in BLOCKS for block in blocks)
        if isinstance(blocks, str) or not blocks or not known:
            raise ValueError(f"observe: {given!r} is not allowed; expected {allowed}")
    chosen = {**(TRAFFIC_OBSERVE if hidden_types else DEFAULT_OBSERVE), **given}
    for player, blocks in chosen.items():
        if not hidden_types and not {"context", "group"}.isdisjoint(blocks):
            raise ValueError(
                f"observe: {list(blocks)} of {player} is not allowed; only a Traffic has contexts and groups"
            )
    return {player: tuple(block for block in BLOCKS if block in blocks) for player, blocks in chosen.items()}


def choice(name: str, value: Any, allowed: Any) -> Any:
    """Validate an option that is one of several words.

    Args:
        name: The option's name, for the error.
        value: What was given.
        allowed: The `Literal` of all words.

    Returns:
        The word.

    Raises:
        ValueError: It is none of them.
    """
    if not isinstance(value, str) or value not in get_args(allowed):
        raise ValueError(f"{name}: {value!r} is not allowed; expected one of {', '.join(get_args(allowed))}")
    return value
