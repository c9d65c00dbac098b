"""The rules of the game, once: compiled functions on tasks in play, and the loops over them that every API calls.

One episode is one task. Randomness is counter-based: every random number is a hash of (seed, task, pass, stream), so
that the same seed and actions give the same episode in every API, at any batch size and in any order of play. All
compiled code of this package is in this file.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic.compiling import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

    Row = Any
    Rows = npt.NDArray[np.void]
    Observations = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.uint32]

RE_PROMPT = 0
"""The user's answer to a failed pass with which it stays."""

ABANDON = 1
"""The user's answer to a failed pass with which it leaves."""

IN_PLAY, SOLVED, ABANDONED, TRUNCATED = 0, 1, 2, 3
"""How a task stands."""

CASCADE, LOTTERY, PASS = 0, 1, 2
"""What the provider's action routes: see `stackroute.envs.Options`."""

SERVICE_COST, CHURN_PENALTY, LATENCY, VALUE = 0, 1, 2, 3
"""The parts of the rewards: the provider's is minus the first two, the user's the fourth minus the third."""

PARTS = ("service_cost", "churn_penalty", "latency", "value")

PASSES, SOLVED_SHARE, ABANDONED_SHARE = 4, 5, 6
"""Columns of what `roll_out` returns, after the parts."""

SUCCESS_STREAM, ROUTE_STREAM, USER_STREAM, START_STREAM = 0, 1, 2, 3
"""The random numbers of a pass: does it succeed, where does a re-prompt go, does the user stay, which model starts."""

USER_NUMBER, GAME_NUMBER = 4, 5
"""Streams of pass 0: the random number of the user's policy, and that of the game.

Those of the provider's policy are the streams before them; more come from passes with negative numbers."""

HALF_DELAY, HALF_PASSES = 0.125, 5.0
"""The delay, as a share of the value, and the number of passes that observations show as about a half."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S1, _S11, _S27, _S30, _S31 = np.uint64(1), np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_PER_PASS = np.uint64(16)
_UNIT = 2.0**-53
# Looked up: chosen, they would be a jump that no processor predicts.
_ZERO_OR_ONE = np.array([0.0, 1.0])

# Left to LLVM, some of these stay calls in the loops over tasks and cost them a third of their speed.
_inlined = compiled(inline="always")
# A division that may raise an error keeps a loop from being optimised.
_compiled = compiled(error_model="numpy")


@cache
def task_dtype(models: int) -> np.dtype[np.void]:
    """A task in play with n models, as a record. What indexes is unsigned: negative indices would cost a comparison.

    The seed and the number fix its random numbers, and their key; then the commitment that holds, with the model that
    started; the row of the game; the passes so far, the model of the last (before the first: 0), how the task stands,
    and whether the provider is to move.
    """
    return np.dtype(
        [
            ("seed", np.int64),
            ("number", np.int64),
            ("key", np.int64),
            ("transition", np.float64, (models, models)),
            ("delay", np.float64, (models,)),
            ("game", np.uint32),
            ("passes", np.int32),
            ("start", np.uint8),
            ("model", np.uint8),
            ("end", np.uint8),
            ("provider_moves", np.uint8),
        ],
        align=True,
    )


@cache
def game_dtype(models: int) -> np.dtype[np.void]:
    """The numbers of a game with n models, as a record, and by which games are drawn: see `draw_game`."""
    per_model = [(name, np.float64, (models,)) for name in ("success", "cost", "latency")]
    drawn_by = [("kept", np.float64), ("alias", np.int64)]
    return np.dtype([*per_model, ("value", np.float64), ("churn_penalty", np.float64), *drawn_by])


@_inlined
def _mix(word: Any) -> Any:
    """The SplitMix64 finaliser (Steele, Lea and Flood 2014): a bijection of 64-bit words."""
    word = (word ^ (word >> _S30)) * _MIX_1
    word = (word ^ (word >> _S27)) * _MIX_2
    return word ^ (word >> _S31)


@_inlined
def task_key(seed: int, task: int) -> int:
    """The key of a task, from which its random numbers are hashed: 63 bits, so that it fits a signed integer of 64."""
    word = _mix(_mix(np.uint64(seed) + _GOLDEN) ^ (np.uint64(task) * _GOLDEN))
    return np.int64(word >> _S1)  # type: ignore[return-value]


@_inlined
def random_number(key: int, pass_index: int, stream: int) -> float:
    """A uniform number in [0, 1), a pure function of its arguments.

    Args:
        key: A task's key.
        pass_index: The number of the pass, from 1; 0 and less for what is drawn before the first pass.
        stream: Which number of the pass, 0 to 15.
    """
    counter = np.uint64(pass_index) * _PER_PASS + np.uint64(stream) + np.uint64(1)
    return (_mix(np.uint64(key) + counter * _GOLDEN) >> _S11) * _UNIT  # type: ignore[no-any-return]


@_inlined
def user_stays(key: int, pass_index: int, patience: float) -> bool:
    """Whether a user of the given patience re-prompts after the failed pass."""
    return random_number(key, pass_index, USER_STREAM) < patience


@_inlined
def draw_game(number: float, games: Rows) -> int:
    """The row of a task's game, by Walker's method of aliases: a row is kept with a probability, or is its alias."""
    scaled = number * games.shape[0]
    row = np.int64(scaled)
    return row if scaled - row < games[row].kept else games[row].alias  # type: ignore[return-value]


@_inlined
def begin(task: Row, number: int, games: Rows) -> None:
    """Begin the task of a number: its game is drawn, and the provider is to commit."""
    task.number = number
    task.key = task_key(task.seed, number)
    task.game = draw_game(random_number(task.key, 0, GAME_NUMBER), games)
    task.start = 0
    task.model = 0
    task.passes = 0
    task.end = IN_PLAY
    task.provider_moves = 1


@_inlined
def decode(action: FloatArray, row: int, value: float, routing: int, transition: FloatArray, delay: FloatArray) -> int:
    """What an action of the provider commits to; see `stackroute.envs.actions` for its layout.

    Args:
        action: Numbers in [0, 1], shape (k, width).
        row: Which of them.
        value: Delays are fractions of it.
        routing: `CASCADE`, `LOTTERY` or `PASS`.
        transition: Shape (n, n): written.
        delay: Shape (n,): written.

    Returns:
        The model of the next pass.
    """
    models = delay.shape[0]
    first_delay = 1
    if routing == CASCADE:
        first_delay = models
        for k in range(models):
            moves = action[row, 1 + k] if k < models - 1 else 0.0
            for j in range(models):
                transition[k, j] = 1.0 - moves if j == k else (moves if j == k + 1 else 0.0)
    elif routing == LOTTERY:
        first_delay = models + 1
        total = 0.0
        for j in range(models):
            total += action[row, 1 + j]
        for k in range(models):
            for j in range(models):
                transition[k, j] = action[row, 1 + j] / total if total > 0.0 else 1.0 / models
    width = action.shape[1]
    for k in range(models):
        at = first_delay if routing == PASS else first_delay + k
        delay[k] = action[row, at] * value if at < width else 0.0
    return min(int(action[row, 0] * models), models - 1)  # type: ignore[no-any-return]


@_inlined
def commit(task: Row, model: int) -> None:
    """The provider has committed: the next pass is on `model`."""
    task.start = model
    task.model = model
    task.provider_moves = 0


@_inlined
def commit_to(task: Row, start: FloatArray, transition: FloatArray, delay: FloatArray) -> None:
    """The provider makes a commitment, given as arrays; a random start is drawn."""
    models = delay.shape[0]
    for k in range(models):
        task.delay[k] = delay[k]
        for j in range(models):
            task.transition[k, j] = transition[k, j]
    number = random_number(task.key, 1, START_STREAM)
    index = models - 1
    reached = 0.0
    for k in range(models - 1):
        reached += start[models - 1 - k]
        index -= number >= reached
    commit(task, index)


@_inlined
def serve(task: Row, game: Row, parts: FloatArray, row: int) -> None:
    """Play a pass on the model in charge; the parts of the rewards, shape (n, 4), are added to in one row."""
    task.passes += 1
    model = task.model
    solved = random_number(task.key, task.passes, SUCCESS_STREAM) < game.success[model]
    parts[row, SERVICE_COST] += game.cost[model]
    parts[row, LATENCY] += game.latency[model] + task.delay[model]
    parts[row, VALUE] += game.value * _ZERO_OR_ONE[np.uint8(solved)]
    task.end = SOLVED * solved


@_inlined
def answer(task: Row, game: Row, action: int, max_passes: int, parts: FloatArray, row: int) -> bool:
    """The user answers a failed pass.

    Returns:
        Whether another pass is to be served: not after `ABANDON`, for which the provider pays the churn penalty, and
        not after `max_passes` passes.
    """
    if action == ABANDON:
        task.end = ABANDONED
        parts[row, CHURN_PENALTY] += game.churn_penalty
    elif task.passes >= max_passes:
        task.end = TRUNCATED
    return task.end == IN_PLAY  # type: ignore[no-any-return]


@_inlined
def move_on(task: Row) -> None:
    """Route the next pass as the provider has committed to; the last model takes the smallest random numbers."""
    number, last, model = random_number(task.key, task.passes, ROUTE_STREAM), task.delay.shape[0] - 1, task.model
    index = last
    reached = 0.0
    for k in range(last):
        reached += task.transition[model, last - k]
        index -= number >= reached
    task.model = index


@_inlined
def finish(task: Row, game: Row, patience: FloatArray, max_passes: int, parts: FloatArray, row: int) -> None:
    """Play a task from a failed pass to its end, with a user of fixed patience after a failure on each model."""
    while task.end == IN_PLAY:
        stays = user_stays(task.key, task.passes, patience[row, task.model])
        if answer(task, game, RE_PROMPT if stays else ABANDON, max_passes, parts, row):
            move_on(task)
            serve(task, game, parts, row)


@_inlined
def encode_new_task(task: Row, encoded_games: Observations, observation: Observations, row: int) -> None:
    """Write the observation of a task that begins; see `stackroute.envs.observations` for the layout."""
    # Known when compiling, unlike the arrays' shapes.
    models = task.delay.shape[0]
    commitment, history = 3 * models + 1, 6 * models - 1
    # Read once: for all that the compiler knows, writing an observation might change it.
    game = task.game
    for k in range(commitment):
        observation[row, k] = encoded_games[game, k]
    for k in range(commitment, history):
        observation[row, k] = 0.0
    if observation.shape[1] > history:
        for k in range(history, history + models):
            observation[row, k] = 0.0
        for k in range(history + models, observation.shape[1]):
            observation[row, k] = encoded_games[game, k - 4 * models + 2]


@_inlined
def encode_commitment(task: Row, value: float, routing: int, delays: bool, observation: Observations, row: int) -> None:
    """Write the commitment, with or without delays; where the provider chooses pass by pass there is none."""
    if routing == PASS:
        return
    models = task.delay.shape[0]
    first = 3 * models + 1
    for k in range(models - 1):
        observation[row, first + k] = _ZERO_OR_ONE[np.uint8(task.start == k + 1)]
        moves = task.transition[k, k + 1] if routing == CASCADE else task.transition[0, k + 1]
        observation[row, first + models - 1 + k] = moves
    for k in range(models if delays else 0):
        share = min(task.delay[k] / value, 1.0)
        observation[row, first + 2 * models - 2 + k] = share * (1.0 + HALF_DELAY) / (share + HALF_DELAY)


@_inlined
def encode_history(task: Row, observation: Observations, row: int) -> None:
    """Write the model of the last pass and the number of passes, if the observation has columns for them."""
    models = task.delay.shape[0]
    first = 6 * models - 1
    if observation.shape[1] == first:
        return
    for k in range(models - 1):
        observation[row, first + k] = _ZERO_OR_ONE[np.uint8(task.model == k + 1)]
    observation[row, first + models - 1] = task.passes / (task.passes + HALF_PASSES)


@_compiled
def draw_games(numbers: FloatArray, games: Rows) -> IntArray:
    """The rows of games of tasks, from their random numbers, shape (n,)."""
    rows = np.empty(numbers.shape[0], np.int64)
    for i in range(numbers.shape[0]):
        rows[i] = draw_game(numbers[i], games)
    return rows


@_compiled
def begin_tasks(
    tasks: Rows, numbers: IntArray, slots: IntArray, games: Rows, encoded_games: Observations, observation: Observations
) -> None:
    """Begin tasks of the given numbers, shape (k,), in slots, shape (k,), and write what is seen of them."""
    for j in range(slots.shape[0]):
        i = slots[j]
        begin(tasks[i], numbers[j], games)
        encode_new_task(tasks[i], encoded_games, observation, i)


@_compiled
def encode(
    tasks: Rows, encoded_games: Observations, value: FloatArray, routing: int, observation: Observations
) -> None:
    """Write the observations of tasks, all blocks, shape (n, width)."""
    for i in range(tasks.shape[0]):
        encode_new_task(tasks[i], encoded_games, observation, i)
        if tasks[i].passes == 0:
            continue
        encode_commitment(tasks[i], value[tasks[i].game], routing, True, observation, i)
        encode_history(tasks[i], observation, i)


@_compiled
def decode_actions(
    actions: FloatArray,
    value: FloatArray,
    routing: int,
    start: FloatArray,
    transition: FloatArray,
    delay: FloatArray,
) -> None:
    """`decode` for each of k actions; writes the last three arrays, of shape (k, n), (k, n, n) and (k, n)."""
    for i in range(actions.shape[0]):
        model = decode(actions, i, value[i], routing, transition[i], delay[i])
        for k in range(start.shape[1]):
            start[i, k] = 1.0 if k == model else 0.0


@_compiled
def pass_numbers(tasks: Rows) -> FloatArray:
    """The random number of the next pass of each task, for a provider's policy that routes pass by pass, shape (n,)."""
    numbers = np.empty(tasks.shape[0])
    for i in range(tasks.shape[0]):
        numbers[i] = random_number(tasks[i].key, tasks[i].passes + 1, START_STREAM)
    return numbers


@_compiled
def draw_before_play(seeds: IntArray, numbers: IntArray, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The random numbers that are used before the first pass of tasks.

    Args:
        seeds: Shape (n,).
        numbers: Shape (n,).
        count: How many the provider's policy has.

    Returns:
        Those of the provider's policy, shape (n, count), of the user's, shape (n,), and of the game, shape (n,).
    """
    provider, user, game = np.empty((seeds.shape[0], count)), np.empty(seeds.shape[0]), np.empty(seeds.shape[0])
    for i in range(seeds.shape[0]):
        key = task_key(seeds[i], numbers[i])
        for k in range(count):
            provider[i, k] = random_number(key, 0 if k < USER_NUMBER else -1 - k // 16, k % 16)
        user[i] = random_number(key, 0, USER_NUMBER)
        game[i] = random_number(key, 0, GAME_NUMBER)
    return provider, user, game


@_compiled
def step(
    tasks: Rows,
    games: Rows,
    encoded_games: Observations,
    actions: FloatArray,
    answers: IntArray,
    routing: int,
    in_turn: bool,
    begins_anew: bool,
    max_passes: int,
    delays: bool,
    observation: Observations,
    final_observation: Observations,
    parts: FloatArray,
    rewards: FloatArray,
    ends: BoolArray,
    slots: Slots,
) -> int:
    """One move in each of n tasks that are in play: the provider's where it is to move, elsewhere the user's answer.

    Where the provider routes pass by pass, its action counts for the pass that a re-prompt asks for, or with `in_turn`
    it is to move after the re-prompt.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        encoded_games: Shape (m, ...).
        actions: The providers', as numbers in [0, 1], shape (n, k).
        answers: The users', shape (n,).
        routing: `CASCADE`, `LOTTERY` or `PASS`.
        in_turn: Whether a step is one player's move, where the provider routes pass by pass.
        begins_anew: Whether slots whose task ends begin their next one.
        max_passes: After this many passes a re-prompt truncates a task.
        delays: Whether commitments can have delays.
        observation: Shape (n, width): updated where it changes.
        final_observation: The same shape: rows whose task ended are written where slots begin anew.
        parts: Parts of the rewards, shape (n, 4): written.
        rewards: Of the providers and of the users, shape (2, n): written.
        ends: Whether each task has terminated, and whether it was truncated, shape (2, n): written.
        slots: Scratch, shape (4, n + 1); in the end its last row begins with the slots whose task is over, ascending.

    Returns:
        The number of slots whose task is over; or with nothing changed, -1 - i for the first slot i that was given an
        action that is not allowed, whether or not its player is to move.
    """
    for i in range(tasks.shape[0]):
        allowed = (answers[i] == RE_PROMPT) | (answers[i] == ABANDON)
        for k in range(actions.shape[1]):
            allowed &= (actions[i, k] >= 0.0) & (actions[i, k] <= 1.0)
        if not allowed:
            return -1 - i
    parts[:] = 0.0
    ended = 0
    commits = re_prompts = abandons = 0
    # Lists instead of branches: who moves and how are coin flips that no processor predicts.
    for i in range(tasks.shape[0]):
        plays, provider_moves = tasks[i].end == IN_PLAY, tasks[i].provider_moves == 1
        slots[0, commits] = i
        slots[1, re_prompts] = i
        slots[2, abandons] = i
        commits += plays & provider_moves
        re_prompts += plays & (not provider_moves) & (answers[i] == RE_PROMPT)
        abandons += plays & (not provider_moves) & (answers[i] == ABANDON)
    for j in range(commits):
        i = slots[0, j]
        task = tasks[i]
        game = games[task.game]
        commit(task, decode(actions, i, game.value, routing, task.transition, task.delay))
        serve(task, game, parts, i)
        encode_commitment(task, game.value, routing, delays, observation, i)
        encode_history(task, observation, i)
    for j in range(re_prompts):
        i = slots[1, j]
        task = tasks[i]
        game = games[task.game]
        if task.passes >= max_passes:
            task.end = TRUNCATED
            continue
        if routing != PASS:
            move_on(task)
        elif in_turn:
            task.provider_moves = 1
            continue
        else:
            commit(task, decode(actions, i, game.value, routing, task.transition, task.delay))
        serve(task, game, parts, i)
        encode_history(task, observation, i)
    for j in range(abandons):
        i = slots[2, j]
        tasks[i].end = ABANDONED
        parts[i, CHURN_PENALTY] = games[tasks[i].game].churn_penalty
    for i in range(tasks.shape[0]):
        end = tasks[i].end
        slots[3, ended] = i
        ended += end != IN_PLAY
        ends[0, i] = (end == SOLVED) | (end == ABANDONED)
        ends[1, i] = end == TRUNCATED
        rewards[0, i] = -(parts[i, SERVICE_COST] + parts[i, CHURN_PENALTY])
        rewards[1, i] = parts[i, VALUE] - parts[i, LATENCY]
    for j in range(ended if begins_anew else 0):
        i = slots[3, j]
        task = tasks[i]
        for k in range(observation.shape[1]):
            final_observation[i, k] = observation[i, k]
        begin(task, task.number + 1, games)
        encode_new_task(task, encoded_games, observation, i)
    return ended


@_compiled
def answers_of(tasks: Rows, patience: FloatArray, answers: IntArray) -> None:
    """The answers of users of a patience after a failure on each model, shape (n, models); writes `answers`."""
    for i in range(tasks.shape[0]):
        stays = user_stays(tasks[i].key, tasks[i].passes, patience[i, tasks[i].model])
        answers[i] = RE_PROMPT if stays else ABANDON


@_compiled
def begin_after_failure(
    tasks: Rows,
    games: Rows,
    encoded_games: Observations,
    first_ahead: IntArray,
    stride: int,
    game: IntArray,
    start: FloatArray,
    transition: FloatArray,
    delay: FloatArray,
    routing: int,
    observation: Observations,
    first_parts: FloatArray,
    slots: Slots,
    count: int,
) -> int:
    """Let slots begin their next task, whose first pass has failed, as far as commitments are known ahead.

    Attempts are independent, so that a first pass which is known to have failed tells nothing about later ones.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        encoded_games: Shape (m, ...).
        first_ahead: The number of the first task of each slot whose commitment is known, shape (n,).
        stride: By how much the numbers of a slot's tasks differ.
        game: The rows of these tasks' games, shape (n, k).
        start: The start of their commitments, shape (n, k, models).
        transition: Their transitions, shape (n, k, models, models).
        delay: Their delays, shape (n, k, models).
        routing: `CASCADE` or `LOTTERY`.
        observation: Shape (n, width): rows that begin are written.
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
        ahead = (task.number + stride - first_ahead[i]) // stride
        if ahead >= game.shape[1]:
            slots[needy] = i
            needy += 1
            continue
        begin(task, task.number + stride, games)
        task.game = game[i, ahead]
        commit_to(task, start[i, ahead], transition[i, ahead], delay[i, ahead])
        first_parts[i, :] = 0.0
        serve(task, games[task.game], first_parts, i)
        task.end = IN_PLAY
        first_parts[i, VALUE] = 0.0
        encode_new_task(task, encoded_games, observation, i)
        encode_commitment(task, games[task.game].value, routing, True, observation, i)
        encode_history(task, observation, i)
    return needy


@_compiled
def serve_first(
    tasks: Rows,
    games: Rows,
    actions: FloatArray,
    observation: Observations,
    first_parts: FloatArray,
    slots: Slots,
    count: int,
) -> int:
    """Serve the first pass of tasks that have begun, by actions of a provider that routes pass by pass.

    Args:
        tasks: Shape (n,): updated in place.
        games: Shape (m,).
        actions: The providers', as numbers in [0, 1], shape (n, k).
        observation: Shape (n, width): updated where it changes.
        first_parts: The parts of the rewards of the first pass, shape (n, 4): written.
        slots: The slots of these tasks, shape (n,): begins afterwards with those whose task is solved.
        count: How many there are.

    Returns:
        How many are solved.
    """
    solved = 0
    for j in range(count):
        i = slots[j]
        task = tasks[i]
        game = games[task.game]
        first_parts[i, :] = 0.0
        commit(task, decode(actions, i, game.value, PASS, task.transition, task.delay))
        serve(task, game, first_parts, i)
        encode_history(task, observation, i)
        slots[solved] = i
        solved += task.end == SOLVED
    return solved


@_compiled
def roll_out(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    games: Rows,
    task_row: Rows,
    game: IntArray,
    start: FloatArray,
    transition: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """Play many tasks to their end under each of n commitments, with users of fixed patience.

    Args:
        seeds: The seed of each commitment's random numbers, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        games: Shape (m,).
        task_row: A task of the right number of models, shape (1,): scratch.
        game: The row of each commitment's game, shape (n,).
        start: Shape (n, models).
        transition: Shape (n, models, models).
        delay: Utility, shape (n, models).
        patience: After a failed pass on each model, shape (n, models).
        max_passes: After this many passes a task is truncated.

    Returns:
        Means over the tasks, shape (n, 7): the parts of the rewards, passes, share solved, share abandoned.
    """
    totals = np.zeros((seeds.shape[0], 7))
    task = task_row[0]
    for i in range(seeds.shape[0]):
        task.seed = seeds[i]
        row = games[game[i]]
        for j in range(tasks):
            begin(task, first_task[i] + j, games)
            commit_to(task, start[i], transition[i], delay[i])
            serve(task, row, totals, i)
            finish(task, row, patience, max_passes, totals, i)
            totals[i, PASSES] += task.passes
            totals[i, SOLVED_SHARE] += task.end == SOLVED
            totals[i, ABANDONED_SHARE] += task.end == ABANDONED
    return totals / tasks


@_compiled
def compare_patiences(
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    games: Rows,
    task_row: Rows,
    game: IntArray,
    start: FloatArray,
    transition: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    max_passes: int,
) -> FloatArray:
    """What patiences are worth to the user after a failed first pass, over many tasks under each of n commitments.

    The user's own random numbers are averaged out: a task is played on until it is solved, and the k-th re-prompt
    counts with weight r^k, the probability that a user of patience r makes it. So all patiences are compared on the
    same tasks.

    Args:
        seeds: The seed of each commitment's random numbers, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        games: Shape (m,).
        task_row: A task of the right number of models, shape (1,): scratch.
        game: The row of each commitment's game, shape (n,).
        start: Shape (n, models).
        transition: Shape (n, models, models).
        delay: Utility, shape (n, models).
        patience: The patiences to compare under each commitment, shape (n, k).
        max_passes: After this many passes a task is truncated.

    Returns:
        Mean utility after the first failure, shape (n, k).
    """
    compared = patience.shape[1]
    utility = np.zeros((seeds.shape[0], compared))
    weight = np.empty(compared)
    parts = np.empty((1, 4))
    task = task_row[0]
    for i in range(seeds.shape[0]):
        task.seed = seeds[i]
        row = games[game[i]]
        for j in range(tasks):
            begin(task, first_task[i] + j, games)
            commit_to(task, start[i], transition[i], delay[i])
            task.passes = 1
            largest = 0.0
            for k in range(compared):
                weight[k] = patience[i, k]
                largest = max(largest, weight[k])
            while largest > 0.0 and task.end == IN_PLAY and task.passes < max_passes:
                move_on(task)
                parts[:] = 0.0
                serve(task, row, parts, 0)
                gained = parts[0, VALUE] - parts[0, LATENCY]
                largest = 0.0
                for k in range(compared):
                    utility[i, k] += weight[k] * gained
                    weight[k] *= patience[i, k]
                    largest = max(largest, weight[k])
    return utility / tasks
