"""What players observe: named blocks of numbers, and the one encoder of a game and a commitment."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from stackroute.envs import rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game, Traffic
    from stackroute.analytic.game import FloatArray

Block = Literal["game", "commitment", "history", "context", "group"]
"""A named part of an observation; see `observation_space`."""

BLOCKS: tuple[Block, ...] = get_args(Block)

Routing = Literal["cascade", "lottery", "pass"]
"""What the provider's action routes; see `stackroute.envs.Options`."""

ROUTINGS: tuple[Routing, ...] = get_args(Routing)

PAPER: tuple[Block, ...] = ("game", "commitment")
"""What the user of the paper observes."""


def encode_labels(traffic: Traffic) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The blocks `"context"` and `"group"` of each type, float32, shape (T, ...)."""
    known = np.eye(len(traffic.contexts)) if traffic.features is None else traffic.features
    context, group = known[traffic.context], np.eye(len(traffic.groups))[traffic.group]
    return context.astype(np.float32), group.astype(np.float32)


def block_columns(models: int, block: Block, traffic: Traffic | None = None) -> slice:
    """The columns of a block among those of all blocks."""
    labels = [0, 0]
    if traffic:
        known = len(traffic.contexts) if traffic.features is None else traffic.features.shape[1]
        labels = [known, len(traffic.groups)]
    ends = np.cumsum([0, 3 * models + 1, 3 * models - 2, models, *labels])
    at = BLOCKS.index(block)
    return slice(int(ends[at]), int(ends[at + 1]))


def columns(models: int, blocks: Iterable[Block], traffic: Traffic | None = None) -> slice | npt.NDArray[np.int64]:
    """The columns of several blocks, in the order of `BLOCKS`; a slice where they are neighbours."""
    parts = [block_columns(models, block, traffic) for block in BLOCKS if block in blocks]
    if all(one.stop == other.start for one, other in pairwise(parts)):
        return slice(parts[0].start, parts[-1].stop)
    return np.concatenate([np.arange(part.start, part.stop) for part in parts])


def observation_space(models: int = 2, blocks: Iterable[Block] = PAPER, traffic: Traffic | None = None) -> spaces.Box:
    """The space of a player that observes some blocks, Box and float32.

    With n models the blocks are, in this order,

    | block | length | content | range |
    |---|---|---|---|
    | `"game"` | n | success probabilities | (0, 1) |
    | | n | latency / value, and 2 - value / latency above 1 | [0, 2) |
    | | n | cost / (largest cost + churn penalty) | [0, 1] |
    | | 1 | churn penalty / (largest cost + churn penalty) | [0, 1] |
    | `"commitment"` | n - 1 | 1 for the model that starts, without the first one | {0, 1} |
    | | n - 1 | with `routing="cascade"` the probability of moving on from each model but the last; with `"lottery"` that of each model but the first | [0, 1] |
    | | n | delays: 9 x / (8 x + 1) of x = delay / value, at most 1 | [0, 1] |
    | `"history"` | n - 1 | 1 for the model of the last pass, without the first one | {0, 1} |
    | | 1 | k / (k + 5) after k passes | [0, 1) |
    | `"context"` | F | the features of the context of a `stackroute.analytic.Traffic`; without features 1 for the context among all | their range |
    | `"group"` | G | 1 for the group among all | {0, 1} |

    The commitment is 0 before the provider has committed, and always with `routing="pass"`.

    Args:
        models: Number of models n.
        blocks: Which blocks.
        traffic: The tasks, where they have contexts and groups.
    """  # noqa: E501
    low, high = np.zeros((2, block_columns(models, "group", traffic).stop), dtype=np.float32)
    high[:] = 1.0
    high[models : 2 * models] = 2.0
    if traffic:
        at, (context, _) = block_columns(models, "context", traffic), encode_labels(traffic)
        low[at], high[at] = np.minimum(context.min(axis=0), 0.0), np.maximum(context.max(axis=0), 0.0)
    chosen = columns(models, blocks, traffic)
    return spaces.Box(low[chosen], high[chosen], dtype=np.float32)


def unit_of_money(game: Game) -> FloatArray:
    """What money is measured by, the largest cost plus the churn penalty, shape (...); 1 where that is 0."""
    money: FloatArray = game.cost.max(axis=-1) + game.churn_penalty
    return np.where(money > 0, money, 1.0)


def encode_games(game: Game) -> npt.NDArray[np.float32]:
    """The block `"game"` of each game, float32, shape (..., 3 n + 1)."""
    with np.errstate(over="ignore"):
        relative = game.latency / game.value[..., None]
    latency = np.where(relative <= 1, relative, 2 - 1 / np.maximum(relative, 1))
    money = unit_of_money(game)[..., None]
    parts = [game.success, latency, game.cost / money, game.churn_penalty[..., None] / money]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def observe(
    game: Game,
    commitment: Commitment | None = None,
    *,
    routing: Routing = "cascade",
    blocks: Iterable[Block] = PAPER,
) -> npt.NDArray[np.float32]:
    """What a player observes of a game and a commitment after the first pass, or of a game before the commitment.

    Args:
        game: One game or a batch.
        commitment: One commitment or a batch that broadcasts against the games, or None before the provider moved.
        routing: How the commitment is encoded.
        blocks: Which blocks; see `observation_space` for the layout.

    Returns:
        Observations, float32, shape (..., width).
    """
    models = game.models
    shape = game.shape if commitment is None else np.broadcast_shapes(game.shape, commitment.shape)
    encoded = encode_games(game)
    observation = np.zeros((*shape, block_columns(models, "history").stop), dtype=np.float32)
    observation[..., block_columns(models, "game")] = encoded
    if commitment is not None:
        flat = observation.reshape(-1, observation.shape[-1])
        tasks = np.zeros(len(flat), rules.task_dtype(models))
        made = commitment.broadcast_to(shape)
        tasks["game"] = np.arange(len(flat))
        tasks["start"] = tasks["model"] = made.first_model.ravel()
        tasks["passes"] = 1
        tasks["transition"] = made.transition.reshape(-1, models, models)
        tasks["delay"] = made.delay.reshape(-1, models)
        games = np.ascontiguousarray(flat[:, block_columns(models, "game")])
        value = np.broadcast_to(game.value, shape).ravel().copy()
        rules.encode(tasks, games, value, ROUTINGS.index(routing), flat)
    return observation[..., columns(models, blocks)]


def decoded_delay(entry: FloatArray) -> FloatArray:
    """The delay, as a fraction of the value, that an entry of an observation stands for."""
    half = rules.HALF_DELAY
    fraction: FloatArray = half * entry / (1.0 + half - entry)
    return fraction


FEATURES = "theory"
"""Name of the observations with hand-built features; the plain ones are "raw"."""

_SMALLEST = 1e-6
_LOG_RANGE = 5.0


def feature_space(models: int = 2, blocks: Iterable[Block] = PAPER) -> spaces.Box:
    """The space of observations with features: those of game, or of game and commitment, then 2 n numbers in [-1, 1].

    | length | content |
    |---|---|
    | n | sign of each model's net value under its delay |
    | n | log(churn penalty / cost-of-pass) of each model, divided by 5 and cut off at -1 and 1 |
    """
    plain = observation_space(models, blocks)
    ends = np.ones(2 * models, dtype=np.float32)
    return spaces.Box(np.concatenate([plain.low, -ends]), np.concatenate([plain.high, ends]), dtype=np.float32)


def with_features(observation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Append features to observations of game, or of game and commitment.

    They are what the theory's regimes are made of (Mahmood 2026, Theorems 1 to 5, Proposition 2): a learner that is
    given them is given part of the answer.

    Args:
        observation: Shape (..., 3 n + 1) or (..., 6 n - 1).

    Returns:
        With 2 n numbers more.
    """
    entries: npt.NDArray[Any] = observation.astype(np.float64)
    width = entries.shape[-1]
    # The two widths differ in what is left when they are divided by 3.
    game_alone = width % 3 == 1
    models = (width - 1) // 3 if game_alone else (width + 1) // 6
    delay = 0.0 if game_alone else decoded_delay(entries[..., -models:])
    success, scaled, cost = (entries[..., k * models : (k + 1) * models] for k in range(3))
    latency = np.where(scaled <= 1, scaled, 1 / np.maximum(2 - scaled, _SMALLEST))
    worth = np.sign(success - latency - delay)
    penalty = np.maximum(entries[..., 3 * models, None], _SMALLEST)
    ratio = np.clip(np.log(penalty * success / np.maximum(cost, _SMALLEST)) / _LOG_RANGE, -1.0, 1.0)
    return np.concatenate([observation, worth, ratio], axis=-1).astype(np.float32)
