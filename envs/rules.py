"""The rules of the game, once: scalar functions compiled by numba that every face of the environment calls.

One episode is one task. Randomness is counter-based: every coin is a hash of (seed, task, pass, stream), so the same
seed gives the same episode in every face, at any batch size and in any order of play.

A task is a row of a `TASK` array, a game a row of a `GAME` array; single environments hold arrays of one row, batches
arrays of many (`stackroute.envs.kernels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic.compiling import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Row = Any

RE_PROMPT = 0
ABANDON = 1

IN_PLAY, SOLVED, ABANDONED, TRUNCATED = 0, 1, 2, 3
"""How a task stands."""

TASK = np.dtype(
    [
        ("seed", np.int64),
        ("number", np.int64),
        ("key", np.int64),
        ("cascade", np.float64),
        ("delay_1", np.float64),
        ("delay_2", np.float64),
        ("game", np.int32),
        ("passes", np.int32),
        ("start", np.int8),
        ("model", np.int8),
        ("end", np.int8),
    ],
    align=True,
)
"""A task in play: the seed and the number that fix its coins, and their key; the commitment that holds, with its start
model; the row of the game; the passes so far, the model of the last (before the first: 0), and how the task stands.

It fills one cache line of 64 bytes, as does a game."""

GAME = np.dtype(
    [
        (name, np.float64)
        for name in (
            *("success_1", "success_2", "cost_1", "cost_2", "latency_1", "latency_2"),
            *("value", "churn_penalty"),
        )
    ]
)
"""The numbers of a game."""

SERVICE_COST, CHURN_PENALTY, LATENCY, VALUE = 0, 1, 2, 3
"""The parts of the rewards: the provider's is minus the first two, the user's the fourth minus the third."""

PARTS = ("service_cost", "churn_penalty", "latency", "value")

SUCCESS_STREAM = 0
ROUTE_STREAM = 1
USER_STREAM = 2
"""The streams of a pass's coins: does it succeed, does the task move on, does the user stay."""

DRAWS = 5
GAME_STREAM = 5
"""What is drawn before the first pass, as streams of pass 0: five numbers for policies (four for the provider's, one
for the user's), then the game."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S1, _S11, _S27, _S30, _S31 = np.uint64(1), np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_PER_PASS = np.uint64(16)
_UNIT = 2.0**-53

# Left to LLVM, some of these stay calls in the loops over tasks and cost them a third of their speed.
_inlined = compiled(inline="always")


@_inlined
def _mix(word: Any) -> Any:
    """The SplitMix64 finaliser (Steele, Lea and Flood 2014): a bijection of 64-bit words."""
    word = (word ^ (word >> _S30)) * _MIX_1
    word = (word ^ (word >> _S27)) * _MIX_2
    return word ^ (word >> _S31)


@_inlined
def task_key(seed: int, task: int) -> int:
    """The key of a task, from which all of its coins are hashed: 63 bits, so that it fits a signed integer of 64."""
    word = _mix(_mix(np.uint64(seed) + _GOLDEN) ^ (np.uint64(task) * _GOLDEN))
    return np.int64(word >> _S1)  # type: ignore[return-value]


@_inlined
def coin(key: int, pass_index: int, stream: int) -> float:
    """A uniform number in [0, 1), a pure function of its arguments.

    Args:
        key: A task's key.
        pass_index: The number of the pass, from 1; 0 for what is drawn before the first pass.
        stream: Which coin of the pass, 0 to 15.
    """
    counter = np.uint64(pass_index) * _PER_PASS + np.uint64(stream) + np.uint64(1)
    return (_mix(np.uint64(key) + counter * _GOLDEN) >> _S11) * _UNIT  # type: ignore[no-any-return]


@_inlined
def pass_succeeds(key: int, pass_index: int, success: float) -> bool:
    """Whether a pass solves the task: nature's move."""
    return coin(key, pass_index, SUCCESS_STREAM) < success


@_inlined
def next_model(key: int, pass_index: int, model: int, cascade: float) -> int:
    """The model of the pass after a re-prompt: model 2 keeps the task, model 1 hands it on w.p. `cascade`.

    Args:
        key: The task's key.
        pass_index: The number of the pass that failed.
        model: The model that failed, 1 or 2.
        cascade: The committed probability of moving from model 1 to model 2.
    """
    moves = coin(key, pass_index, ROUTE_STREAM) < cascade
    return 2 if (model == 2) | moves else 1


@_inlined
def user_stays(key: int, pass_index: int, patience: float) -> bool:
    """Whether a user of the given patience re-prompts after the failed pass."""
    return coin(key, pass_index, USER_STREAM) < patience


@_inlined
def draw_game(key: int, games: int) -> int:
    """The row of a task's game among equally likely ones."""
    return np.int64(coin(key, 0, GAME_STREAM) * games)  # type: ignore[return-value]


@_inlined
def begin(task: Row, number: int, games: int) -> None:
    """Take up a task; the provider is to commit.

    Args:
        task: The row, with its seed.
        number: The number of the task.
        games: How many games there are: the task's is drawn among them.
    """
    task.number = number
    task.key = task_key(task.seed, number)
    task.game = draw_game(task.key, games)
    task.start = 0
    task.model = 0
    task.passes = 0
    task.end = IN_PLAY
    task.cascade = 0.0
    task.delay_1 = 0.0
    task.delay_2 = 0.0


@_inlined
def commit(task: Row, model: int, cascade: float, delay_1: float, delay_2: float) -> None:
    """The provider commits: the next pass is on `model`."""
    task.start = model
    task.model = model
    task.cascade = cascade
    task.delay_1 = delay_1
    task.delay_2 = delay_2


@_inlined
def commit_action(task: Row, game: Row, actions: npt.NDArray[np.float64], row: int, per_pass: bool) -> None:
    """Commit as an action of the provider says, a row of numbers in [0, 1].

    Args:
        task: The task.
        game: Its game: delays are fractions of its value.
        actions: Start model (2 from 1/2 upwards), cascade probability and the two delays, or the first two; where the
            provider chooses before every pass, the model and its delay, or the first.
        row: Which row.
        per_pass: Whether it does.
    """
    width = actions.shape[1]
    model = 2 if actions[row, 0] >= 0.5 else 1
    if per_pass:
        delay = actions[row, 1] * game.value if width == 2 else 0.0
        commit(task, model, 0.0, delay, delay)
    elif width == 4:
        commit(task, model, actions[row, 1], actions[row, 2] * game.value, actions[row, 3] * game.value)
    else:
        commit(task, model, actions[row, 1], 0.0, 0.0)


@_inlined
def serve(task: Row, game: Row, parts: npt.NDArray[np.float64], row: int) -> None:
    """Play a pass on the model in charge.

    Args:
        task: The task.
        game: Its game.
        parts: Parts of the rewards, shape (n, 4): the pass's are added to one row.
        row: Which.
    """
    task.passes += 1
    standard = task.model == 1
    # Both are read before one is chosen, which spares the processor a branch that it cannot predict.
    success_1, success_2 = game.success_1, game.success_2
    cost_1, cost_2 = game.cost_1, game.cost_2
    waiting_1, waiting_2 = game.latency_1 + task.delay_1, game.latency_2 + task.delay_2
    solved = pass_succeeds(task.key, task.passes, success_1 if standard else success_2)
    parts[row, SERVICE_COST] += cost_1 if standard else cost_2
    parts[row, LATENCY] += waiting_1 if standard else waiting_2
    parts[row, VALUE] += game.value * solved
    task.end = SOLVED * solved


@_inlined
def answer(task: Row, game: Row, action: int, max_passes: int, parts: npt.NDArray[np.float64], row: int) -> bool:
    """The user answers a failed pass.

    Args:
        task: The task.
        game: Its game.
        action: `RE_PROMPT` or `ABANDON`: the provider then pays the churn penalty.
        max_passes: After this many passes a re-prompt truncates the task.
        parts: Parts of the rewards, shape (n, 4): added to in one row.
        row: Which.

    Returns:
        Whether another pass is to be served.
    """
    if action == ABANDON:
        task.end = ABANDONED
        parts[row, CHURN_PENALTY] += game.churn_penalty
    elif task.passes >= max_passes:
        task.end = TRUNCATED
    return task.end == IN_PLAY  # type: ignore[no-any-return]


@_inlined
def move_on(task: Row) -> None:
    """Route the next pass as the provider has committed to."""
    task.model = next_model(task.key, task.passes, task.model, task.cascade)


@_inlined
def play_out(
    task: Row,
    game: Row,
    patience_1: float,
    patience_2: float,
    max_passes: int,
    parts: npt.NDArray[np.float64],
    row: int,
) -> None:
    """Play the rest of a task with a user of fixed patience after a failed pass on model 1 and on model 2."""
    while task.end == IN_PLAY:
        stays = user_stays(task.key, task.passes, patience_1 if task.model == 1 else patience_2)
        if answer(task, game, RE_PROMPT if stays else ABANDON, max_passes, parts, row):
            move_on(task)
            serve(task, game, parts, row)
