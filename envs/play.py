"""Compiled play of many tasks to their end, one commitment after the other."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stackroute.analytic.compiling import compiled
from stackroute.envs import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.kernels import Rows

_compiled = compiled(error_model="numpy")
_Play = TypeVar("_Play", bound="Callable[..., Any]")

PASSES, SOLVED, ABANDONED = 4, 5, 6
"""Columns of what `play_commitments` returns, after the parts of the rewards."""


class Odometer:
    """Counts the tasks played in this process by sampled play, `ProviderBatch`, `PatienceBatch` and `UserBatch`.

    Attributes:
        tasks: How many; one that is played with several patiences at once counts once.
    """

    def __init__(self) -> None:
        self.tasks = 0


ODOMETER = Odometer()
"""The one of this process."""


def _counted(play: _Play) -> _Play:
    @functools.wraps(play)
    def counting(*arguments: Any) -> Any:
        seeds, tasks = arguments[0], arguments[2]
        ODOMETER.tasks += len(seeds) * int(tasks)
        return play(*arguments)

    return counting  # type: ignore[return-value]


@_counted
@_compiled
def play_commitments(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    games: Rows,
    game: IntArray,
    model: IntArray,
    cascade: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """Play many tasks to their end under each of n commitments.

    Args:
        seeds: The seed of each commitment's coins, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        games: Shape (m,).
        game: The row of each commitment's game, shape (n,).
        model: First model of each commitment, shape (n,).
        cascade: Cascade probability of each commitment, shape (n,).
        delay: Delays of each commitment, utility, shape (n, 2).
        patience: The user's patience under each commitment after a failed pass on model 1 and 2, shape (n, 2).
        max_passes: After this many passes a task is truncated.

    Returns:
        Means over the tasks, shape (n, 7): the parts of the rewards, passes, share solved, share abandoned.
    """
    totals = np.zeros((model.shape[0], 7))
    task = np.zeros(1, rules.TASK)[0]
    for i in range(model.shape[0]):
        task.seed = seeds[i]
        row = games[game[i]]
        for j in range(tasks):
            rules.begin(task, first_task[i] + j, games.shape[0])
            rules.commit(task, model[i], cascade[i], delay[i, 0], delay[i, 1])
            rules.serve(task, row, totals, i)
            rules.play_out(task, row, patience[i, 0], patience[i, 1], max_passes, totals, i)
            totals[i, PASSES] += task.passes
            totals[i, SOLVED] += task.end == rules.SOLVED
            totals[i, ABANDONED] += task.end == rules.ABANDONED
    return totals / tasks


@_counted
@_compiled
def play_users(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    games: Rows,
    game: IntArray,
    model: IntArray,
    cascade: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """What patiences earn the user after a failed first pass, over many tasks under each of n commitments.

    The user's own coin is averaged out: a task is played on until it is solved, and the k-th re-prompt counts with
    weight r^k, the probability that a user of patience r makes it. So all patiences are compared on the same tasks.

    Args:
        seeds: The seed of each commitment's coins, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        games: Shape (m,).
        game: The row of each commitment's game, shape (n,).
        model: First model of each commitment, shape (n,).
        cascade: Cascade probability of each commitment, shape (n,).
        delay: Delays of each commitment, utility, shape (n, 2).
        patience: The patiences to compare under each commitment, shape (n, k).
        max_passes: After this many passes a task is truncated.

    Returns:
        Mean utility after the first failure over the tasks whose first pass failed, 0 where none did, shape (n, k).
    """
    compared = patience.shape[1]
    gain = np.zeros((model.shape[0], compared))
    weight = np.empty(compared)
    for i in range(model.shape[0]):
        row = games[game[i]]
        success = (row.success_1, row.success_2)
        waiting = (row.latency_1 + delay[i, 0], row.latency_2 + delay[i, 1])
        failures = 0
        for j in range(tasks):
            key = rules.task_key(seeds[i], first_task[i] + j)
            current = model[i]
            if rules.pass_succeeds(key, 1, success[current - 1]):
                continue
            failures += 1
            largest = 0.0
            for k in range(compared):
                weight[k] = patience[i, k]
                largest = max(largest, weight[k])
            pass_index = 1
            while largest > 0.0 and pass_index < max_passes:
                current = rules.next_model(key, pass_index, current, cascade[i])
                pass_index += 1
                solved = rules.pass_succeeds(key, pass_index, success[current - 1])
                utility = (row.value if solved else 0.0) - waiting[current - 1]
                largest = 0.0
                for k in range(compared):
                    gain[i, k] += weight[k] * utility
                    weight[k] *= patience[i, k]
                    largest = max(largest, weight[k])
                if solved:
                    break
        if failures > 0:
            for k in range(compared):
                gain[i, k] /= failures
    return gain
