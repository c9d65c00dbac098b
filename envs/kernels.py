"""Compiled loops over many tasks: the rules of `stackroute.envs.rules` applied to arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.compiling import compiled
from stackroute.envs import rules
from stackroute.envs.encoding import encode_commitment, encode_new_task, encode_task

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

    Rows = npt.NDArray[np.void]
    Observations = npt.NDArray[np.float32]

# A division that may raise an error keeps a loop from being optimised.
_compiled = compiled(error_model="numpy")

FIRST_FAILURE_TRIES = 1_000
"""Tasks tried in search of one whose first pass fails, before such a failure is declared."""


@_compiled
def begin_tasks(tasks: Rows, numbers: IntArray, games: Rows) -> None:
    """Take up the tasks of the given numbers, shape (n,)."""
    for i in range(tasks.shape[0]):
        rules.begin(tasks[i], numbers[i], games.shape[0])


@_compiled
def draw_tasks(seeds: IntArray, numbers: IntArray, games: int) -> tuple[FloatArray, IntArray]:
    """What is drawn before the first pass of tasks.

    Args:
        seeds: Shape (n,).
        numbers: Shape (n,).
        games: Number of games.

    Returns:
        Uniform numbers for policies, shape (n, 5), and the row of each task's game, shape (n,).
    """
    draws = np.empty((seeds.shape[0], rules.DRAWS))
    game = np.empty(seeds.shape[0], dtype=np.int64)
    for i in range(seeds.shape[0]):
        key = rules.task_key(seeds[i], numbers[i])
        for k in range(rules.DRAWS):
            draws[i, k] = rules.coin(key, 0, k)
        game[i] = rules.draw_game(key, games)
    return draws, game


@_compiled
def commit_and_serve(
    tasks: Rows,
    games: Rows,
    model: IntArray,
    cascade: FloatArray,
    delay: FloatArray,
    parts: FloatArray,
) -> None:
    """The providers commit and the next pass of each task is played.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        model: Shape (n,).
        cascade: Shape (n,).
        delay: Shape (n, 2).
        parts: Parts of the rewards, shape (n, 4): added to.
    """
    for i in range(tasks.shape[0]):
        task = tasks[i]
        rules.commit(task, model[i], cascade[i], delay[i, 0], delay[i, 1])
        rules.serve(task, games[task.game], parts, i)


@_compiled
def answer_failures(
    tasks: Rows, games: Rows, actions: IntArray, route: bool, max_passes: int, parts: FloatArray
) -> None:
    """The users answer failed passes.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        actions: `RE_PROMPT` or `ABANDON`, shape (n,).
        route: Whether a re-prompt plays the next pass as committed; False where the provider is to choose it first.
        max_passes: After this many passes a re-prompt truncates a task.
        parts: Parts of the rewards, shape (n, 4): added to.
    """
    for i in range(tasks.shape[0]):
        task = tasks[i]
        game = games[task.game]
        if rules.answer(task, game, actions[i], max_passes, parts, i) and route:
            rules.move_on(task)
            rules.serve(task, game, parts, i)


@_compiled
def play_rest(tasks: Rows, games: Rows, patience: FloatArray, max_passes: int, parts: FloatArray) -> None:
    """Play tasks from a failed pass to their end with users of fixed patience, shape (n, 2): one for each model."""
    for i in range(tasks.shape[0]):
        task = tasks[i]
        rules.play_out(task, games[task.game], patience[i, 0], patience[i, 1], max_passes, parts, i)


@_compiled
def encode(
    tasks: Rows, games: Rows, encoded_games: Observations, hidden: bool, log_passes: float, observation: Observations
) -> None:
    """Write the observations of tasks in play, shape (n, 11) or, with the history, (n, 13)."""
    for i in range(tasks.shape[0]):
        encode_task(tasks[i], games[tasks[i].game], encoded_games, hidden, log_passes, observation, i)


@_compiled
def step_both(
    tasks: Rows,
    games: Rows,
    encoded_games: Observations,
    actions: FloatArray,
    answers: IntArray,
    per_pass: bool,
    max_passes: int,
    observation: Observations,
    final_observation: Observations,
    parts: FloatArray,
    rewards: FloatArray,
    ends: BoolArray,
    slots: IntArray,
) -> int:
    """One move in each of n tasks; slots whose task ends take up their next one.

    Where no pass has been played the provider commits, elsewhere the user answers; where the provider chooses anew
    before every pass it does so for the pass that a re-prompt asks for.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        encoded_games: Shape (m, 11).
        actions: The providers', as numbers in [0, 1], shape (n, k).
        answers: The users', shape (n,).
        per_pass: Whether the provider chooses before every pass, unseen.
        max_passes: After this many passes a re-prompt truncates a task.
        observation: Shape (n, 11) or (n, 13): updated where it changes.
        final_observation: The same shape: rows whose task ended are written.
        parts: Parts of the rewards, shape (n, 4): written.
        rewards: Of the providers and of the users, shape (2, n): written.
        ends: Whether each task terminated, and whether it was truncated, shape (2, n): written.
        slots: Scratch, shape (2, n + 1).

    Returns:
        -1, or with nothing changed the first slot that was given an action that is not allowed.
    """
    history = observation.shape[1] > encoded_games.shape[1]
    log_passes = np.log1p(max_passes)
    to_commit = to_answer = 0
    # Lists instead of a branch: which slots are to commit is a coin flip that no processor predicts.
    for i in range(tasks.shape[0]):
        commits = tasks[i].passes == 0
        slots[0, to_commit] = i
        slots[1, to_answer] = i
        to_commit += commits
        to_answer += not commits
        allowed = answers[i] == rules.RE_PROMPT or answers[i] == rules.ABANDON
        for k in range(actions.shape[1]):
            allowed &= 0.0 <= actions[i, k] <= 1.0
        if not allowed:
            return i
    parts[:] = 0.0
    for j in range(to_commit):
        i = slots[0, j]
        task = tasks[i]
        game = games[task.game]
        rules.commit_action(task, game, actions, i, per_pass)
        rules.serve(task, game, parts, i)
        encode_commitment(task, game, per_pass, log_passes, observation, i)
    for j in range(to_answer):
        i = slots[1, j]
        task = tasks[i]
        game = games[task.game]
        if rules.answer(task, game, answers[i], max_passes, parts, i):
            if per_pass:
                rules.commit_action(task, game, actions, i, per_pass)
            else:
                rules.move_on(task)
            rules.serve(task, game, parts, i)
        if history:
            encode_commitment(task, game, per_pass, log_passes, observation, i)
    ended = 0
    for i in range(tasks.shape[0]):
        rewards[0, i] = -(parts[i, rules.SERVICE_COST] + parts[i, rules.CHURN_PENALTY])
        rewards[1, i] = parts[i, rules.VALUE] - parts[i, rules.LATENCY]
        ends[0, i] = (tasks[i].end == rules.SOLVED) | (tasks[i].end == rules.ABANDONED)
        ends[1, i] = tasks[i].end == rules.TRUNCATED
        slots[0, ended] = i
        ended += tasks[i].end != rules.IN_PLAY
    for j in range(ended):
        i = slots[0, j]
        task = tasks[i]
        for k in range(observation.shape[1]):
            final_observation[i, k] = observation[i, k]
        rules.begin(task, task.number + 1, games.shape[0])
        encode_new_task(task, encoded_games, observation, i)
    return -1


@_compiled
def take_up(
    tasks: Rows,
    games: Rows,
    first_ahead: IntArray,
    model: IntArray,
    cascade: FloatArray,
    delay: FloatArray,
    passed_over: IntArray,
    first_parts: FloatArray,
    slots: IntArray,
    count: int,
) -> int:
    """Let slots take up their next task whose first pass fails, as far as commitments are known ahead.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        first_ahead: The number of the first task of each slot whose commitment is known, shape (n,).
        model: The models of the commitments ahead, shape (n, k).
        cascade: Their cascade probabilities, shape (n, k).
        delay: Their delays, shape (n, k, 2).
        passed_over: How many tasks each slot has passed over in its search, shape (n,): updated.
        first_parts: The parts of the rewards of the first pass, shape (n, 4): written.
        slots: The slots that need a task, shape (n,): begins afterwards with those for which more must be known ahead.
        count: How many there are.

    Returns:
        How many slots need more.
    """
    needy = 0
    for j in range(count):
        i = slots[j]
        task = tasks[i]
        while True:
            ahead = task.number + 1 - first_ahead[i]
            if ahead >= model.shape[1]:
                slots[needy] = i
                needy += 1
                break
            rules.begin(task, task.number + 1, games.shape[0])
            rules.commit(task, model[i, ahead], cascade[i, ahead], delay[i, ahead, 0], delay[i, ahead, 1])
            for k in range(first_parts.shape[1]):
                first_parts[i, k] = 0.0
            rules.serve(task, games[task.game], first_parts, i)
            if task.end == rules.SOLVED and passed_over[i] < FIRST_FAILURE_TRIES - 1:
                passed_over[i] += 1
                continue
            # A user that is never asked is asked in the end: the last of so many tasks is declared a failure.
            task.end = rules.IN_PLAY
            break
    return needy


@_compiled
def over(tasks: Rows, slots: IntArray) -> int:
    """List the slots whose task is over, in an array of shape (n + 1,); returns how many there are."""
    count = 0
    for i in range(tasks.shape[0]):
        slots[count] = i
        count += tasks[i].end != rules.IN_PLAY
    return count


@_compiled
def serve_and_answer(
    tasks: Rows, games: Rows, actions: FloatArray, patience: FloatArray, max_passes: int, parts: FloatArray
) -> None:
    """Providers that choose anew before every pass serve one, and users of fixed patience answer if it fails.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        actions: The providers', as numbers in [0, 1], shape (n, k).
        patience: After a failed pass on each model, shape (n, 2).
        max_passes: After this many passes a re-prompt truncates a task.
        parts: Parts of the rewards, shape (n, 4): added to.
    """
    for i in range(tasks.shape[0]):
        task = tasks[i]
        game = games[task.game]
        rules.commit_action(task, game, actions, i, True)
        rules.serve(task, game, parts, i)
        if task.end == rules.IN_PLAY:
            stays = rules.user_stays(task.key, task.passes, patience[i, task.model - 1])
            rules.answer(task, game, rules.RE_PROMPT if stays else rules.ABANDON, max_passes, parts, i)
