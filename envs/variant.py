"""The variant of the game that an environment plays: its options, validated once for every face."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np
from gymnasium import spaces

from stackroute.analytic import Commitment, Game
from stackroute.envs import kernels, rules
from stackroute.envs.encoding import (
    check_unit_interval,
    commitment_from_action,
    commitment_space,
    listed,
    observation_space,
    observe,
    regular,
)
from stackroute.envs.games import DisplayUnits, GamesLike, Labels, count, find_games, in_relative_units

if TYPE_CHECKING:
    from typing import Self, Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, IntArray

Observe = Literal["commitment", "history"]
CommitmentLasts = Literal["task", "pass"]
ActionKind = Literal["box", "grid"]
RewardUnit = Literal["game", "relative"]

DEFAULT_MAX_PASSES = 1_000
"""A re-prompt after this many passes truncates the task; rarer than 1e-6 on the packaged games."""

MOST_PASSES = 2**31 - 1
"""The largest `max_passes`: passes are counted in 32 bits."""

GRID_CASCADES = tuple(np.linspace(0, 1, 21).tolist())
GRID_DELAYS = (0.0, 0.125, 0.25, 0.5, 1.0)
"""The levels of `action="grid"`: cascade probabilities, and delays as fractions of the value."""


_ARGUMENTS = ("game", "user", "provider", "decision", "tasks_per_commitment", "lookahead", "max_cycles", "render_mode")
"""What single faces accept besides, for the hint at a misspelt name."""


class Options(TypedDict, total=False):
    """The options that all environments share.

    Attributes:
        throttling: Whether the provider's action has delays; default False.
        observe: `"commitment"` (default): the players see the game and the commitment. `"history"`: also the model of
            the last pass and the number of passes so far.
        commitment: `"task"` (default): the provider commits once, before the first pass. `"pass"`: it chooses a model
            and its delay anew before every pass, and the user does not see the choice beforehand: without the power to
            commit. With the history the user sees which model has served.
        action: `"box"` (default) or `"grid"`: the provider's action is one of a list of commitments.
        max_passes: Passes after which a re-prompt truncates the task; default 1000.
        reward_unit: `"game"` (default): the units of the game. `"relative"`: the user's reward in units of the value,
            the provider's in units of the largest cost plus the churn penalty.
    """

    throttling: bool
    observe: Observe
    commitment: CommitmentLasts
    action: ActionKind
    max_passes: int
    reward_unit: RewardUnit


@dataclass(frozen=True, eq=False)
class Variant:
    """A variant of the game; see `Options` for the meaning of its fields.

    Attributes:
        games: The games that tasks are drawn from, in the unit of the rewards, shape (m,).
        labels: What the two models of each game are called.
        units: What the numbers of each game are counted in.
    """

    games: Game
    labels: list[Labels]
    units: list[DisplayUnits]
    throttling: bool
    observe: Observe
    commitment: CommitmentLasts
    action: ActionKind
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
            raise TypeError(f"{unknown[0]}: no such option; {hint}")
        throttling = options.get("throttling", False)
        if not isinstance(throttling, bool | np.bool_):
            raise ValueError(f"throttling: {throttling!r} is not allowed; expected True or False")
        unit = choice("reward_unit", options.get("reward_unit", "game"), RewardUnit)
        games, labels, units = find_games(game)
        relative = unit == "relative"
        return cls(
            games=in_relative_units(games) if relative else games,
            labels=labels,
            units=[DisplayUnits()] * len(units) if relative else units,
            throttling=bool(throttling),
            observe=choice("observe", options.get("observe", "commitment"), Observe),
            commitment=choice("commitment", options.get("commitment", "task"), CommitmentLasts),
            action=choice("action", options.get("action", "box"), ActionKind),
            max_passes=count("max_passes", options.get("max_passes", DEFAULT_MAX_PASSES), most=MOST_PASSES),
            reward_unit=unit,
        )

    @property
    def per_pass(self) -> bool:
        """Whether the provider chooses anew before every pass, which hides its choices from the user."""
        return self.commitment == "pass"

    def select(self, index: IntArray | int) -> Game:
        """The games of tasks, from the rows of their games, shape (...)."""
        return self._only if len(self.games) == 1 else self.games[index]

    @cached_property
    def table(self) -> npt.NDArray[np.void]:
        """The games as rows of a `GAME` array, shape (m,)."""
        rows = np.zeros(len(self.games), rules.GAME)
        for k in (0, 1):
            for name in ("success", "cost", "latency"):
                rows[f"{name}_{k + 1}"] = getattr(self.games, name)[:, k]
        rows["value"], rows["churn_penalty"] = self.games.value, self.games.churn_penalty
        return rows

    @cached_property
    def encoded_games(self) -> npt.NDArray[np.float32]:
        """What both players see of each game, shape (m, 11)."""
        return observe(self.games)

    def encode(self, tasks: npt.NDArray[np.void], *, everything: bool = False) -> npt.NDArray[np.float32]:
        """The observations of tasks.

        Args:
            tasks: Rows of a `TASK` array, shape (n,).
            everything: Whether to include the history and what is hidden.

        Returns:
            Shape (n, 11) or, with the history, (n, 13).
        """
        space = observation_space(history=True) if everything else self.observation_space
        observation = np.zeros((len(tasks), *space.shape), dtype=np.float32)
        hidden = self.per_pass and not everything
        kernels.encode(tasks, self.table, self.encoded_games, hidden, self.log_passes, observation)
        return observation

    @cached_property
    def log_passes(self) -> float:
        """The logarithm that scales the number of passes in observations."""
        return float(np.log1p(self.max_passes))

    @cached_property
    def observation_space(self) -> spaces.Box:
        """The observation space of both players."""
        return observation_space(history=self.observe == "history")

    @cached_property
    def provider_space(self) -> spaces.Box | spaces.Discrete[Any]:
        """The provider's action space."""
        if self.action == "grid":
            return spaces.Discrete(len(self.grid))
        return self._box

    @cached_property
    def grid(self) -> FloatArray:
        """The actions of the box that the numbers of `action="grid"` stand for, shape (k, width of the box)."""
        return provider_grid(self.throttling, per_pass=self.per_pass)

    def box_action(self, action: npt.ArrayLike) -> FloatArray:
        """The action of the box that an action of `provider_space`, or a batch of them, stands for.

        Args:
            action: One action or a batch, shape (..., *space shape).

        Returns:
            Shape (..., width of the box); not yet checked to lie in [0, 1].

        Raises:
            ValueError: The action has another shape or kind, or is not on the grid.
        """
        if self.action == "grid":
            return listed(action, self.grid)
        given = regular(action)
        if given.dtype.kind not in "fiu":
            raise ValueError(f"action: {action!r} is not allowed; expected numbers in [0, 1]")
        if given.shape[-1:] != self._box.shape:
            raise ValueError(f"action: shape {given.shape} is not allowed; expected (..., {self._box.shape[0]})")
        return given.astype(np.float64, copy=False)

    def box_rows(self, actions: npt.ArrayLike, size: int) -> FloatArray:
        """`box_action` for one action in each of `size` slots, shape (size, width of the box).

        Raises:
            ValueError: There is another number of them, or as for `box_action`.
        """
        rows = self.box_action(actions)
        if rows.shape != (size, *self._box.shape):
            expected = (size, *self.provider_space.shape)  # type: ignore[misc]
            raise ValueError(f"actions: shape {np.shape(actions)} is not allowed; expected {expected}")
        return rows

    def commitment_from(self, games: Game, action: npt.ArrayLike) -> Commitment:
        """What the provider's action commits to; where it chooses anew before every pass, for the next pass.

        Args:
            games: The games of the tasks, shape (...).
            action: Actions of `provider_space`, shape (..., *space shape).

        Raises:
            ValueError: The action is not allowed.
        """
        box = self.box_action(action)
        check_unit_interval(box, action)
        if not self.per_pass:
            return commitment_from_action(games, box)
        delay = box[..., 1:] if self.throttling else np.zeros((*box.shape[:-1], 1))
        full = np.concatenate([box[..., :1], np.zeros_like(delay), delay, delay], axis=-1)
        return commitment_from_action(games, full)

    @cached_property
    def _only(self) -> Game:
        return self.games[0]

    @cached_property
    def _box(self) -> spaces.Box:
        if self.per_pass:
            return spaces.Box(0.0, 1.0, (2 if self.throttling else 1,), dtype=np.float64)
        return commitment_space(self.throttling)


def provider_grid(throttling: bool, *, per_pass: bool = False) -> FloatArray:
    """The provider's actions in [0, 1] that the numbers of `action="grid"` stand for.

    A start on model 2 uses neither the cascade probability nor the delay of model 1, and is listed without them.

    Args:
        throttling: Whether the actions have delays.
        per_pass: Whether the provider chooses anew before every pass.

    Returns:
        Shape (k, width of the action).
    """
    delays = GRID_DELAYS if throttling else (0.0,)
    if per_pass:
        return np.array([(model, delay)[: 1 + throttling] for model in (0.0, 1.0) for delay in delays])
    standard = [(0.0, s, first, second) for s in GRID_CASCADES for first in delays for second in delays]
    rows = np.array([*standard, *((1.0, 0.0, 0.0, second) for second in delays)])
    distinct: FloatArray = rows[:, : 4 if throttling else 2]
    return distinct


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
