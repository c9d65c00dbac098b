"""Observations and actions: how a game and a commitment look to a learner, and what its numbers commit to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from stackroute.analytic import Commitment
from stackroute.analytic.compiling import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.rules import Row

_OBSERVATION_HIGH = np.array([1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1], dtype=np.float32)
_COMMITMENT = 7
_HISTORY = 11
_DELAY_RESOLUTION = 50.0
_FULL_DELAY = np.log1p(_DELAY_RESOLUTION)
_LOG1P = np.log1p(np.arange(64.0))

DEAD_ZONE = 0.1
"""Share of the symmetric action range at each end that maps to exactly 0 or 1."""


def _encoded_delay(fraction: Any) -> Any:
    return np.log1p(_DELAY_RESOLUTION * np.minimum(fraction, 1.0)) / _FULL_DELAY


_encoded_delay_of_task = compiled(inline="always")(_encoded_delay)


def decoded_delay(entry: FloatArray) -> FloatArray:
    """The delay, as a fraction of the value, that an entry of an observation stands for."""
    fraction: FloatArray = np.expm1(entry * _FULL_DELAY) / _DELAY_RESOLUTION
    return fraction


def observation_space(history: bool = False) -> spaces.Box:
    """The observation space of both players, Box and float32, of shape (11,) or, with the history, (13,).

    | index | content | range |
    |---|---|---|
    | 0, 1 | success probabilities | (0, 1) |
    | 2, 3 | latency / value, and 2 - value / latency above 1 | [0, 2) |
    | 4, 5 | cost / (largest cost + churn penalty) | [0, 1] |
    | 6 | churn penalty / (largest cost + churn penalty) | [0, 1] |
    | 7 | 1 when the commitment starts on model 2 | {0, 1} |
    | 8 | cascade probability | [0, 1] |
    | 9, 10 | delays, log(1 + 50 delay / value) / log 51, at most 1 | [0, 1] |
    | 11 | 1 when the last pass was on model 2 (with the history only) | {0, 1} |
    | 12 | log(1 + passes so far) / log(1 + `max_passes`) (with the history only) | [0, 1] |

    Entries 7 to 10 are 0 before the provider has committed, and always where it commits before every pass.

    Args:
        history: Whether the players see what has been played.
    """
    high = _OBSERVATION_HIGH if history else _OBSERVATION_HIGH[:_HISTORY]
    return spaces.Box(np.zeros_like(high), high, dtype=np.float32)


@compiled(inline="always")
def encode_commitment(
    task: Row, game: Row, hidden: bool, log_passes: float, observation: npt.NDArray[np.float32], row: int
) -> None:
    """Write what of the observation changes within a task; as `encode_task`."""
    shown = task.model != 0 and not hidden
    observation[row, _COMMITMENT] = 1.0 if shown and task.start == 2 else 0.0
    observation[row, _COMMITMENT + 1] = task.cascade if shown else 0.0
    delayed = shown and task.delay_1 + task.delay_2 > 0.0
    observation[row, _COMMITMENT + 2] = _encoded_delay_of_task(task.delay_1 / game.value) if delayed else 0.0
    observation[row, _COMMITMENT + 3] = _encoded_delay_of_task(task.delay_2 / game.value) if delayed else 0.0
    if observation.shape[1] > _HISTORY:
        observation[row, _HISTORY] = 1.0 if task.model == 2 else 0.0
        # Most tasks are short: a table spares them the logarithm.
        passes = _LOG1P[task.passes] if task.passes < _LOG1P.size else np.log1p(task.passes)
        observation[row, _HISTORY + 1] = passes / log_passes


@compiled(inline="always")
def encode_new_task(
    task: Row, encoded_games: npt.NDArray[np.float32], observation: npt.NDArray[np.float32], row: int
) -> None:
    """Write the observation of a task in which the provider is to commit; as `encode_task`."""
    # Read once: for all that the compiler knows, writing an observation might change it.
    game = task.game
    for k in range(_HISTORY):
        observation[row, k] = encoded_games[game, k]
    for k in range(_HISTORY, observation.shape[1]):
        observation[row, k] = 0.0


@compiled(inline="always")
def encode_task(
    task: Row,
    game: Row,
    encoded_games: npt.NDArray[np.float32],
    hidden: bool,
    log_passes: float,
    observation: npt.NDArray[np.float32],
    row: int,
) -> None:
    """Write the observation of a task in play; see `observation_space` for the layout.

    Args:
        task: A row of a `TASK` array.
        game: Its game, a row of a `GAME` array.
        encoded_games: `observe` of all games, shape (m, 11).
        hidden: Whether the commitment is hidden.
        log_passes: Logarithm of 1 + the passes before truncation.
        observation: Shape (n, 11) or, with the history, (n, 13): one row is written.
        row: Which.
    """
    encode_new_task(task, encoded_games, observation, row)
    encode_commitment(task, game, hidden, log_passes, observation, row)


def unit_of_money(game: Game) -> FloatArray:
    """What money is measured by, the largest cost plus the churn penalty, shape (...); 1 where that is 0."""
    money: FloatArray = game.cost.max(axis=-1) + game.churn_penalty
    return np.where(money > 0, money, 1.0)


def observe(game: Game, commitment: Commitment | None = None) -> npt.NDArray[np.float32]:
    """Encode a game and a commitment as an observation; see `observation_space` for the layout.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games, or None before the provider moved.

    Returns:
        Observations, float32, shape (..., 11).
    """
    batch = game.shape if commitment is None else np.broadcast_shapes(game.shape, commitment.shape)
    observation = np.zeros((*batch, _HISTORY))
    observation[..., 0:2] = game.success
    with np.errstate(over="ignore"):
        relative = game.latency / game.value[..., None]
    observation[..., 2:4] = np.where(relative <= 1, relative, 2 - 1 / np.maximum(relative, 1))
    money = unit_of_money(game)
    observation[..., 4:6] = game.cost / money[..., None]
    observation[..., 6] = game.churn_penalty / money
    if commitment is not None:
        observation[..., _COMMITMENT] = commitment.model == 2
        observation[..., _COMMITMENT + 1] = commitment.cascade
        observation[..., _COMMITMENT + 2 :] = _encoded_delay(commitment.delay / game.value[..., None])
    return observation.astype(np.float32)


def commitment_space(throttling: bool) -> spaces.Box:
    """The provider's action space, Box(0, 1) and dtype float64, so that exact commitments lose nothing.

    | index | content |
    |---|---|
    | 0 | start model: model 2 from 1/2 upwards |
    | 1 | cascade probability |
    | 2, 3 | delay of model 1 and 2 as a fraction of the value (with throttling only) |
    """
    return spaces.Box(0.0, 1.0, (4 if throttling else 2,), dtype=np.float64)


def commitment_from_action(game: Game, action: npt.ArrayLike) -> Commitment:
    """What a provider's action commits to.

    Args:
        game: One game or a batch.
        action: In [0, 1], shape (..., 2) or, with delays, (..., 4).

    Returns:
        The commitment, shape (...).

    Raises:
        ValueError: The action has another shape, or an entry is not a number in [0, 1].
    """
    entries: FloatArray = np.asarray(action, dtype=np.float64)
    if entries.ndim == 0 or entries.shape[-1] not in (2, 4):
        raise ValueError(f"action: shape {entries.shape} is not allowed; expected (..., 2) or (..., 4)")
    check_unit_interval(entries, action)
    shape = np.broadcast_shapes(entries.shape[:-1], game.shape)
    entries = np.broadcast_to(entries, (*shape, entries.shape[-1]))
    delay = entries[..., 2:] * game.value[..., None] if entries.shape[-1] == 4 else np.zeros((*shape, 2))
    return Commitment.of_valid(model=1 + (entries[..., 0] >= 0.5), cascade=entries[..., 1].copy(), delay=delay)


def regular(action: npt.ArrayLike) -> npt.NDArray[Any]:
    """An action as an array.

    Raises:
        ValueError: It is a ragged list.
    """
    try:
        return np.asarray(action)
    except ValueError:
        raise ValueError(f"action: {action!r} is not allowed; expected a regular array") from None


def check_unit_interval(numbers: FloatArray, action: npt.ArrayLike) -> None:
    """Raise an error that shows the action if its numbers do not all lie in [0, 1].

    Raises:
        ValueError: They do not.
    """
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"action: {action!r} is not allowed; expected numbers in [0, 1]")


def listed(action: npt.ArrayLike, entries: npt.ArrayLike) -> FloatArray:
    """The entries of a list that the numbers of a discrete action stand for.

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


def check_shape(action: npt.ArrayLike, space: spaces.Space[Any]) -> None:
    """Raise an error if an action has not the shape of its space.

    Raises:
        ValueError: It has another shape.
    """
    if regular(action).shape != space.shape:
        raise ValueError(f"action: shape {np.shape(action)} is not allowed; expected {space.shape}")


def action_from_commitment(game: Game, commitment: Commitment, throttling: bool) -> FloatArray:
    """The action that makes a commitment: the inverse of `commitment_from_action`.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch; delays above the value are clipped to it.
        throttling: Whether the action has room for delays.

    Returns:
        In [0, 1], shape (..., 4) with throttling and (..., 2) without.

    Raises:
        ValueError: The commitment delays although throttling is off.
    """
    start = np.where(commitment.model == 2, 1.0, 0.0)
    fraction = np.minimum(commitment.delay / game.value[..., None], 1.0)
    parts = np.broadcast_arrays(start, commitment.cascade, fraction[..., 0], fraction[..., 1])
    if throttling:
        return np.stack(parts, axis=-1)
    if (commitment.delay > 0).any():
        raise ValueError("delay: a commitment with a delay is not allowed; expected none without throttling")
    return np.stack(parts[:2], axis=-1)


def symmetric_space(box: spaces.Box) -> spaces.Box:
    """A box of numbers in [0, 1] as learners see it: Box(-1, 1), float32, read by `from_symmetric`."""
    return spaces.Box(-1.0, 1.0, box.shape, dtype=np.float32)


def from_symmetric(action: npt.ArrayLike) -> FloatArray:
    """Map a learner's action in [-1, 1] to [0, 1], with dead zones so that exactly 0 and 1 can be reached.

    Numbers beyond are clipped.

    Raises:
        ValueError: The action does not consist of numbers.

    Examples:
        >>> from_symmetric([-1, -0.9, 0, 0.9, 1])
        array([0. , 0. , 0.5, 1. , 1. ])
    """
    given = regular(action)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"action: {action!r} is not allowed; expected numbers in [-1, 1]")
    symmetric: FloatArray = given.astype(np.float64)
    return np.clip(0.5 + 0.5 * symmetric / (1 - DEAD_ZONE), 0.0, 1.0)


def to_symmetric(numbers: npt.ArrayLike) -> FloatArray:
    """The learner's action that `from_symmetric` maps to numbers in [0, 1]: the one nearest to the middle."""
    given: FloatArray = np.asarray(numbers, dtype=np.float64)
    return (2 * given - 1) * (1 - DEAD_ZONE)
