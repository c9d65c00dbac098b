"""The rules of the game, once: scalar functions compiled by numba that every face of the environment calls.

One episode is one task. Randomness is counter-based: every coin is a hash of (seed, task, pass, stream), so the same
seed gives the same episode in every face, at any batch size and in any order of play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

RE_PROMPT = 0
ABANDON = 1

SUCCESS_STREAM = 0
ROUTE_STREAM = 1
USER_STREAM = 2
"""The streams of a pass's coins: does it succeed, does the task move on, does the user stay. What policies draw before
the first pass is hashed as streams of pass 0."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S1, _S11, _S27, _S30, _S31 = np.uint64(1), np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_PER_PASS = np.uint64(16)
_UNIT = 2.0**-53


@njit(cache=True)
def _mix(word):  # type: ignore[no-untyped-def]
    """The SplitMix64 finaliser (Steele, Lea and Flood 2014): a bijection of 64-bit words."""
    word = (word ^ (word >> _S30)) * _MIX_1
    word = (word ^ (word >> _S27)) * _MIX_2
    return word ^ (word >> _S31)


@njit(cache=True)
def task_key(seed: int, task: int) -> int:
    """The key of a task, from which all of its coins are hashed: 63 bits, so that it fits every integer type."""
    word = _mix(_mix(np.uint64(seed) + _GOLDEN) ^ (np.uint64(task) * _GOLDEN))
    return np.int64(word >> _S1)  # type: ignore[return-value]


@njit(cache=True)
def coin(key: int, pass_index: int, stream: int) -> float:
    """A uniform number in [0, 1), a pure function of its arguments.

    Args:
        key: A task's key.
        pass_index: The number of the pass, from 1; 0 for what is drawn before the first pass.
        stream: Which coin of the pass, 0 to 15.
    """
    counter = np.uint64(pass_index) * _PER_PASS + np.uint64(stream) + np.uint64(1)
    return (_mix(np.uint64(key) + counter * _GOLDEN) >> _S11) * _UNIT  # type: ignore[no-any-return]


@njit(cache=True)
def pass_succeeds(key: int, pass_index: int, success: float) -> bool:
    """Whether a pass solves the task: nature's move."""
    return coin(key, pass_index, SUCCESS_STREAM) < success


@njit(cache=True)
def next_model(key: int, pass_index: int, model: int, cascade: float) -> int:
    """The model of the pass after a re-prompt: model 2 keeps the task, model 1 hands it on w.p. `cascade`.

    Args:
        key: The task's key.
        pass_index: The number of the pass that failed.
        model: The model that failed, 1 or 2.
        cascade: The committed probability of moving from model 1 to model 2.
    """
    return 2 if model == 2 or coin(key, pass_index, ROUTE_STREAM) < cascade else 1


@njit(cache=True)
def user_stays(key: int, pass_index: int, patience: float) -> bool:
    """Whether a user of the given patience re-prompts after the failed pass."""
    return coin(key, pass_index, USER_STREAM) < patience


@njit(cache=True)
def play_task(
    key: int,
    success: FloatArray,
    model: int,
    cascade: float,
    patience: float,
    max_passes: int,
    passes: FloatArray,
) -> int:
    """Play one task with a user of fixed patience.

    Args:
        key: The task's key.
        success: Success probabilities, shape (2,).
        model: The model of the first pass, 1 or 2.
        cascade: Probability of moving from model 1 to model 2 on a re-prompt.
        patience: The user's probability of re-prompting.
        max_passes: After this many passes the task is truncated.
        passes: Counts the passes on each model, shape (2,): incremented in place.

    Returns:
        1 when the task was solved, 0 when it was abandoned, -1 when it was truncated.
    """
    pass_index = 1
    while True:
        passes[model - 1] += 1.0
        if pass_succeeds(key, pass_index, success[model - 1]):
            return 1
        if not user_stays(key, pass_index, patience):
            return 0
        if pass_index >= max_passes:
            return -1
        model = next_model(key, pass_index, model, cascade)
        pass_index += 1


@njit(cache=True)
def play_many(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    success: FloatArray,
    model: IntArray,
    cascade: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """Play many tasks under each of n commitments.

    Args:
        seeds: The seed of each commitment's coins, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        success: Success probabilities, shape (2,).
        model: First model of each commitment, shape (n,).
        cascade: Cascade probability of each commitment, shape (n,).
        patience: The user's patience under each commitment, shape (n,).
        max_passes: After this many passes a task is truncated.

    Returns:
        Shape (n, 4): mean passes on model 1, mean passes on model 2, share solved, share abandoned.
    """
    count = model.shape[0]
    outcome = np.zeros((count, 4))
    for i in range(count):
        for j in range(tasks):
            key = task_key(seeds[i], first_task[i] + j)
            end = play_task(key, success, model[i], cascade[i], patience[i], max_passes, outcome[i, :2])
            if end == 1:
                outcome[i, 2] += 1.0
            elif end == 0:
                outcome[i, 3] += 1.0
    return outcome / tasks


@njit(cache=True)
def play_users(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    success: FloatArray,
    waiting: FloatArray,
    value: float,
    model: IntArray,
    cascade: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """What a patience earns the user after a failed first pass, over many tasks under each of n commitments.

    The user's own coin is averaged out: a task is played on until it is solved, and the k-th re-prompt counts with
    weight r^k, the probability that a user of patience r makes it.

    Args:
        seeds: The seed of each commitment's coins, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        success: Success probabilities, shape (2,).
        waiting: Latency and delay of a pass under each commitment, utility, shape (n, 2).
        value: What a solved task is worth to the user.
        model: First model of each commitment, shape (n,).
        cascade: Cascade probability of each commitment, shape (n,).
        patience: The user's patience under each commitment, shape (n,).
        max_passes: After this many passes a task is truncated.

    Returns:
        Mean utility after the first failure over the tasks whose first pass failed, 0 where none did, shape (n,).
    """
    gain = np.zeros(model.shape[0])
    for i in range(model.shape[0]):
        failures = 0
        for j in range(tasks):
            key = task_key(seeds[i], first_task[i] + j)
            current = model[i]
            if pass_succeeds(key, 1, success[current - 1]):
                continue
            failures += 1
            weight = patience[i]
            pass_index = 1
            while weight > 0.0 and pass_index < max_passes:
                current = next_model(key, pass_index, current, cascade[i])
                pass_index += 1
                gain[i] -= weight * waiting[i, current - 1]
                if pass_succeeds(key, pass_index, success[current - 1]):
                    gain[i] += weight * value
                    break
                weight *= patience[i]
        if failures > 0:
            gain[i] /= failures
    return gain


@njit(cache=True)
def draw_policies(seeds: IntArray, tasks: IntArray, count: int) -> FloatArray:
    """What the policies of each task may draw, shape (n, count): uniform numbers fixed before its first pass."""
    draws = np.empty((seeds.shape[0], count))
    for i in range(seeds.shape[0]):
        key = task_key(seeds[i], tasks[i])
        for k in range(count):
            draws[i, k] = coin(key, 0, k)
    return draws


@njit(cache=True)
def first_pass_succeeds(seeds: IntArray, tasks: IntArray, model: IntArray, success: FloatArray) -> BoolArray:
    """Whether the first pass of each task solves it, shape (n,)."""
    solved = np.empty(seeds.shape[0], dtype=np.bool_)
    for i in range(seeds.shape[0]):
        solved[i] = pass_succeeds(task_key(seeds[i], tasks[i]), 1, success[model[i] - 1])
    return solved


@njit(cache=True)
def answer_failures(
    actions: IntArray,
    seeds: IntArray,
    tasks: IntArray,
    success: FloatArray,
    waiting: FloatArray,
    value: float,
    cascade: FloatArray,
    max_passes: int,
    model: IntArray,
    pass_index: IntArray,
    utility: FloatArray,
    ended: BoolArray,
    truncated: BoolArray,
) -> None:
    """Let the users of n tasks answer a failed pass, and play the next pass where they re-prompt.

    Args:
        actions: `RE_PROMPT` or `ABANDON`, shape (n,).
        seeds: Seed of each task, shape (n,).
        tasks: Number of each task, shape (n,).
        success: Success probabilities, shape (2,).
        waiting: Latency and delay of a pass under each task's commitment, utility, shape (n, 2).
        value: What a solved task is worth to the user.
        cascade: Each task's committed cascade probability, shape (n,).
        max_passes: After this many passes a re-prompt truncates the task.
        model: The model in charge of each task, shape (n,): updated in place.
        pass_index: The number of each task's last pass, shape (n,): updated in place.
        utility: The user's reward of this step, shape (n,): written.
        ended: Whether the task was solved or abandoned, shape (n,): written.
        truncated: Whether the task was truncated, shape (n,): written.
    """
    for i in range(actions.shape[0]):
        utility[i] = 0.0
        ended[i] = actions[i] == ABANDON
        truncated[i] = not ended[i] and pass_index[i] >= max_passes
        if ended[i] or truncated[i]:
            continue
        key = task_key(seeds[i], tasks[i])
        model[i] = next_model(key, pass_index[i], model[i], cascade[i])
        pass_index[i] += 1
        utility[i] = -waiting[i, model[i] - 1]
        if pass_succeeds(key, pass_index[i], success[model[i] - 1]):
            utility[i] += value
            ended[i] = True
