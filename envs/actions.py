"""What players' actions mean: the one codec between actions, commitments and patiences."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from gymnasium import spaces

from stackroute.analytic import Commitment
from stackroute.analytic.game import as_array
from stackroute.envs import rules
from stackroute.envs.observations import ROUTINGS, Routing

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing as CommittedRouting
    from stackroute.analytic.game import FloatArray, IntArray

ActionKind = Literal["box", "grid"]
"""Whether a player's action is numbers in [0, 1] or the number of one of a list of such actions."""

GRID_PROBABILITIES = tuple(np.linspace(0, 1, 21).tolist())
GRID_DELAYS = (0.0, 0.125, 0.25, 0.5, 1.0)
"""The levels of `action="grid"`: probabilities, and delays as fractions of the value."""

PATIENCE_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.9, 0.95, 0.975, 1.0)
"""The patiences among which a user with a discrete choice decides; 0 and 1 are exact."""

PATIENCE_SPACE = spaces.Box(0.0, 1.0, (1,), dtype=np.float64)
"""The actions of a user that chooses any patience."""

DEAD_ZONE = 0.1
"""Share of a learner's symmetric range of actions at each end that maps to exactly 0 or 1."""


@dataclass(frozen=True)
class ProviderActions:
    """The provider's actions.

    An action of the box consists of numbers in [0, 1], of dtype float64, so that exact commitments lose nothing:

    | `routing` | numbers |
    |---|---|
    | `"cascade"` | start (model k of n from k / n upwards); for each model but the last the probability that a re-prompted task moves on to the next one |
    | `"lottery"` | start; n weights of the models that serve a re-prompt, which are divided by their sum (equal where all are 0) |
    | `"pass"` | the model of the next pass, as start |

    With `throttling` there follow the delays of the n models, with `"pass"` that of the pass, as fractions of the value.

    Attributes:
        models: Number of models n.
        routing: What the action routes.
        throttling: Whether it delays.
        kind: `"grid"`: the action is the number of one of the rows of `grid`.
    """  # noqa: E501

    models: int = 2
    routing: Routing = "cascade"
    throttling: bool = True
    kind: ActionKind = "box"

    @property
    def solved_as(self) -> CommittedRouting:
        """The routing over which `stackroute.analytic.solve` finds what is best: of all, lotteries are."""
        return "free" if self.routing == "lottery" else "cascade"

    @cached_property
    def width(self) -> int:
        """How many numbers an action of the box has."""
        return {"cascade": self.models, "lottery": self.models + 1, "pass": 1}[self.routing] + self.delays

    @property
    def delays(self) -> int:
        """How many of these are delays, the last ones."""
        return (1 if self.routing == "pass" else self.models) * self.throttling

    @cached_property
    def box(self) -> spaces.Box:
        """The space of the box."""
        return spaces.Box(0.0, 1.0, (self.width,), dtype=np.float64)

    @property
    def space(self) -> spaces.Box | spaces.Discrete[Any]:
        """The action space."""
        return spaces.Discrete(len(self.grid)) if self.kind == "grid" else self.box

    @cached_property
    def grid(self) -> FloatArray:
        """The actions of the box that a discrete action stands for, shape (k, width).

        Cascades move on from all models with the same probability, lotteries mix two models. With more than two models
        all that can serve are delayed alike. What has no effect is 0.
        """
        n = self.models
        starts = np.arange(n) / max(n - 1, 1)
        delays = GRID_DELAYS if self.throttling else (0.0,)
        if self.routing == "pass":
            return np.array(list(itertools.product(starts, delays)))[:, : self.width]
        rows = []
        for k in range(n):
            for routed, serves in self._routes(k):
                count = int(serves.sum())
                shared = [(delay,) * count for delay in delays]
                for delay in itertools.product(delays, repeat=count) if n <= 2 else shared:
                    added = np.zeros(n)
                    added[serves] = delay
                    rows.append([starts[k], *routed, *added])
        return np.array(rows)[:, : self.width]

    def _routes(self, start: int) -> list[tuple[FloatArray, npt.NDArray[np.bool_]]]:
        """The routes of the grid from a start model, and which models can serve under each."""
        n = self.models
        after = np.arange(n) > start
        levels = np.array(GRID_PROBABILITIES)
        if self.routing == "cascade":
            moving = (np.arange(n - 1) >= start) * levels[:, None] if start < n - 1 else np.zeros((1, n - 1))
            return [(row, after | (np.arange(n) == start)) for row in moving]
        mixed = [np.eye(n)[k] for k in range(n)]
        for one, other in itertools.combinations(range(n), 2):
            mixed += [(1 - level) * np.eye(n)[one] + level * np.eye(n)[other] for level in levels[1:-1]]
        return [(row, (row > 0) | (np.arange(n) == start)) for row in mixed]

    def rows(self, actions: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
        """The actions of the box that actions of `space` stand for.

        Args:
            actions: One action for each entry of a batch, shape (*shape, *space shape).
            shape: The batch shape.

        Returns:
            Shape (*shape, width); whether they lie in [0, 1] is not checked.

        Raises:
            ValueError: The actions have another shape or kind, or one is not on the grid.
        """
        given = regular(actions)
        expected = (*shape, *(self.space.shape or ())) if self.kind == "box" else shape
        if given.shape != expected:
            raise ValueError(f"action: shape {given.shape} is not allowed; expected {expected}")
        if self.kind == "grid":
            return listed(given, self.grid)
        if given.dtype.kind not in "fiu":
            raise ValueError(f"action: {actions!r} is not allowed; expected numbers in [0, 1]")
        return for_kernel(given)

    def commitment(self, game: Game, actions: npt.ArrayLike) -> Commitment:
        """What actions commit to.

        Args:
            game: One game or a batch.
            actions: Actions of `space`, shape (..., *space shape).

        Returns:
            The commitments, of the common batch shape.

        Raises:
            ValueError: An action is not allowed.
        """
        given = regular(actions)
        own = given.ndim - (self.kind == "box")
        return self.decoded(game, self.rows(given, given.shape[:own]))

    def decoded(self, game: Game, rows: FloatArray) -> Commitment:
        """`commitment` of actions of the box, shape (..., width)."""
        if not ((rows >= 0) & (rows <= 1)).all():
            raise ValueError(f"action: {rows} is not allowed; expected numbers in [0, 1]")
        shape = np.broadcast_shapes(rows.shape[:-1], game.shape)
        flat = for_kernel(np.broadcast_to(rows, (*shape, self.width)).reshape(-1, self.width))
        value = for_kernel(np.broadcast_to(game.value, shape).ravel())
        n = self.models
        start, delay = np.empty((2, len(flat), n))
        transition = np.empty((len(flat), n, n))
        rules.decode_actions(flat, value, ROUTINGS.index(self.routing), start, transition, delay)
        return Commitment.of_valid(
            start=start.reshape(*shape, n), transition=transition.reshape(*shape, n, n), delay=delay.reshape(*shape, n)
        )

    def routed(self, game: Game, model: IntArray, delay: FloatArray) -> FloatArray:
        """The actions of the box that route passes to models with delays, for `routing="pass"`.

        Args:
            game: The game of each task, shape (n,).
            model: Shape (n,).
            delay: In the unit of the games' latency, at most the value, shape (n,).

        Returns:
            Shape (n, width).

        Raises:
            ValueError: A model or delay is not allowed.
        """
        fraction = delay / game.value
        if not ((model >= 0) & (model < self.models)).all():
            raise ValueError(f"model: {model} is not allowed; expected whole numbers from 0 to {self.models - 1}")
        if not ((fraction >= 0) & (fraction <= (1.0 if self.throttling else 0.0))).all():
            raise ValueError(f"delay: {delay} is not allowed; expected at most the value, and none without throttling")
        return np.stack([model / max(self.models - 1, 1), fraction], axis=-1)[..., : self.width]

    def action(self, game: Game, commitment: Commitment) -> FloatArray:
        """The actions of the box that make commitments: the inverse of `commitment`.

        Args:
            game: One game or a batch.
            commitment: One commitment or a batch; delays above the value are clipped to it.

        Returns:
            In [0, 1], shape (..., width).

        Raises:
            ValueError: A commitment delays although there is no throttling.
        """
        start = (commitment.first_model / max(self.models - 1, 1))[..., None]
        routed = commitment.cascade_probability if self.routing == "cascade" else commitment.transition[..., 0, :]
        fraction = np.minimum(commitment.delay / game.value[..., None], 1.0)
        if not self.throttling and (commitment.delay > 0).any():
            raise ValueError("delay: a commitment with a delay is not allowed; expected none without throttling")
        shape = np.broadcast_shapes(game.shape, commitment.shape)
        parts = [np.broadcast_to(part, (*shape, part.shape[-1])) for part in (start, routed, fraction)]
        return np.concatenate(parts, axis=-1)[..., : self.width]


def regular(action: npt.ArrayLike) -> npt.NDArray[Any]:
    """An action as an array; ValueError where it is a ragged list or has masked entries."""
    try:
        return as_array(action)
    except ValueError as error:
        raise ValueError(f"action: {action!r} is not allowed; expected {error}") from None


def for_kernel(array: npt.NDArray[Any], dtype: type[np.generic] = np.float64) -> npt.NDArray[Any]:
    """The array in the one memory layout for which the compiled loops exist: others would be compiled anew."""
    laid_out = np.ascontiguousarray(array, dtype)
    return laid_out if laid_out.flags.writeable else laid_out.copy()


def listed(action: npt.ArrayLike, entries: npt.ArrayLike) -> FloatArray:
    """The entries of a list that the numbers of discrete actions stand for.

    Args:
        action: Whole numbers, shape (...).
        entries: The list, shape (k, ...).

    Returns:
        Shape (..., ...).

    Raises:
        ValueError: There is no entry of such a number.
    """
    given, table = regular(action), np.asarray(entries, dtype=np.float64)
    if given.dtype.kind not in "iu" or not ((given >= 0) & (given < len(table))).all():
        allowed = f"a whole number from 0 to {len(table) - 1}"
        raise ValueError(f"action: {action!r} is not allowed; expected {allowed}")
    found: FloatArray = table[given]
    return found


def answers_from(actions: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The answers of users to failed passes; that each is 0 or 1 is checked where it is played.

    Raises:
        ValueError: They have another shape, or are not whole numbers.
    """
    given = regular(actions)
    if given.shape != shape or given.dtype.kind not in "iu":
        raise ValueError(f"action: {actions!r} is not allowed; expected 0 (re-prompt) or 1 (abandon), shape {shape}")
    return for_kernel(given, np.int64)


def patience_space(kind: ActionKind) -> spaces.Box | spaces.Discrete[Any]:
    """The actions of a user that chooses its patience once for a task."""
    # Every environment has its own: a space has random numbers.
    return spaces.Discrete(len(PATIENCE_LEVELS)) if kind == "grid" else copy.deepcopy(PATIENCE_SPACE)


def patience_from(actions: npt.ArrayLike, kind: ActionKind, shape: tuple[int, ...]) -> FloatArray:
    """The patiences that actions of `patience_space` stand for.

    Args:
        actions: Numbers of `PATIENCE_LEVELS`, shape (*shape), or patiences, shape (*shape, 1).
        kind: Which.
        shape: The batch shape.

    Returns:
        In [0, 1], of the batch shape.

    Raises:
        ValueError: An action is not allowed.
    """
    given = regular(actions)
    expected = shape if kind == "grid" else (*shape, 1)
    if given.shape != expected:
        raise ValueError(f"action: shape {given.shape} is not allowed; expected {expected}")
    if kind == "grid":
        return listed(given, PATIENCE_LEVELS)
    if given.dtype.kind not in "fiu" or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"action: {actions!r} is not allowed; expected a patience in [0, 1]")
    patience: FloatArray = given[..., 0].astype(np.float64)
    return patience


def symmetric_space(box: spaces.Box) -> spaces.Box:
    """A box of numbers in [0, 1] as learners see it: Box(-1, 1), float32, read by `from_symmetric`."""
    return spaces.Box(-1.0, 1.0, box.shape, dtype=np.float32)


def from_symmetric(action: npt.ArrayLike, delays: int = 0) -> FloatArray:
    """Map a learner's action in [-1, 1] to [0, 1], with dead zones so that exactly 0 and 1 can be reached.

    A delay is 0 up to a little above the centre and grows with the cube from there, so that a learner whose actions are
    still centred does not delay. Numbers beyond are clipped.

    Args:
        action: Shape (..., width).
        delays: How many of the numbers are delays, the last ones.

    Raises:
        ValueError: The action does not consist of numbers.

    Examples:
        >>> from_symmetric([-1, -0.9, 0, 0.9, 1])
        array([0. , 0. , 0.5, 1. , 1. ])
        >>> from_symmetric([-1, 0, 0.1, 0.5, 0.9], delays=5)
        array([0.   , 0.   , 0.   , 0.125, 1.   ])
    """
    given = regular(action)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"action: {action!r} is not allowed; expected numbers in [-1, 1]")
    symmetric: FloatArray = given.astype(np.float64)
    numbers = np.clip(0.5 + 0.5 * symmetric / (1 - DEAD_ZONE), 0.0, 1.0)
    if delays:
        above = (symmetric[..., -delays:] - DEAD_ZONE) / (1 - 2 * DEAD_ZONE)
        numbers[..., -delays:] = np.clip(above, 0.0, 1.0) ** 3
    return numbers
