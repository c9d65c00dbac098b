"""The same seed and actions give the same episode in every API.

Each API is compared move by move with a player in plain Python and exact integers, which is written from the
documentation and shares no code with the rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Game
from stackroute.envs import (
    ABANDON,
    PATIENCE_LEVELS,
    RE_PROMPT,
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserEnv,
    UserVectorEnv,
    parallel_env,
    raw_env,
)
from stackroute.envs.sb3 import VecEnv
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute import Commitment
    from stackroute.envs import Outcome, Seen

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
SUCCESS, ROUTE, STAYS = 0, 1, 2
SERVICE_COST, CHURN_PENALTY, LATENCY, VALUE = range(4)
PARTS = ("service_cost", "churn_penalty", "latency", "value")
PROVIDER, USER = "provider_0", "user_0"
BLOCKS = ("game", "commitment", "history")

Floats = tuple[float, ...]
Numbers = tuple[Floats, Floats, Floats, float, float]
"""Success, cost and latency of the models, the value and the churn penalty."""


class Promise(NamedTuple):
    """A commitment: the start model, where each model's failures go, the delays."""

    start: int
    moves: list[list[float]]
    delay: list[float]


def splitmix64(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@dataclass(frozen=True)
class World:
    """What an environment is given: the numbers of its games, and options."""

    numbers: tuple[Numbers, ...]
    options: dict[str, Any]

    @cached_property
    def game(self) -> Game:
        return Game(*zip(*self.numbers, strict=True))

    @cached_property
    def played(self) -> list[Numbers]:
        """The games in the unit of the rewards."""
        if self.options.get("reward_unit") != "relative":
            return list(self.numbers)
        scaled = []
        for success, cost, latency, value, penalty in self.numbers:
            money = max(cost) + penalty or 1.0
            costs, waits = tuple(c / money for c in cost), tuple(t / value for t in latency)
            scaled.append((success, costs, waits, 1.0, penalty / money))
        return scaled

    @property
    def models(self) -> int:
        return len(self.numbers[0][0])

    @property
    def routing(self) -> str:
        return self.options.get("routing", "cascade")

    @property
    def by_pass(self) -> bool:
        return self.routing == "pass"

    @property
    def max_passes(self) -> int:
        return self.options.get("max_passes", 1000)

    def blocks(self, player: str) -> Sequence[str]:
        standard = {"provider": ["game"], "user": ["game", "commitment"]}
        return {**standard, **self.options.get("observe", {})}[player[:-2]]

    @cached_property
    def grid(self) -> list[list[float]] | None:
        grid = self.options.get("action") == "grid"
        return Variant.of(self.game, **self.options).actions.grid.tolist() if grid else None

    @property
    def width(self) -> int:
        delays = self.options.get("throttling", True)
        routed = {"cascade": self.models, "lottery": self.models + 1, "pass": 1}[self.routing]
        return routed + delays * (1 if self.by_pass else self.models)

    def action(self, random: Random) -> Any:
        """A provider's action, exact 0, 1/2 and 1 included."""
        if self.grid is not None:
            return random.randrange(len(self.grid))
        return np.array([some_share(random) for _ in range(self.width)])

    def promise(self, game: Numbers, action: Any) -> Promise:
        """What an action of the provider commits to."""
        n, value = self.models, game[3]
        start, *rest = self.grid[action] if np.ndim(action) == 0 else [float(number) for number in action]
        model = min(math.floor(start * n), n - 1)
        if self.by_pass:
            return Promise(model, [], [(rest[0] if rest else 0.0) * value] * n)
        if self.routing == "cascade":
            shares = [*rest[: n - 1], 0.0]
            moves = [[1.0 - s if j == k else s * (j == k + 1) for j in range(n)] for k, s in enumerate(shares)]
        else:
            total = 0.0
            for weight in rest[:n]:
                total += weight
            moves = [[weight / total if total else 1 / n for weight in rest[:n]]] * n
        delays = rest[n - 1 if self.routing == "cascade" else n :] or [0.0] * n
        return Promise(model, moves, [share * value for share in delays])


class Move(NamedTuple):
    """What follows from a move: the task's last pass, the parts of the rewards, and how it stands."""

    passes: int
    model: int
    parts: Floats
    provider: float
    user: float
    terminated: bool
    truncated: bool


class Reference:
    """A task, played as the documentation says."""

    def __init__(self, world: World, seed: int, number: int) -> None:
        self.world, self.seed, self.number = world, seed, number
        self.key = splitmix64(splitmix64((seed + GOLDEN) & MASK) ^ ((number * GOLDEN) & MASK)) >> 1
        self.game = world.played[math.floor(self.coin(0, 5) * len(world.played))]
        self.promise: Promise | None = None
        self.passes = self.model = 0
        self.end = ""

    def coin(self, pass_index: int, stream: int) -> float:
        word = splitmix64((self.key + (16 * pass_index + stream + 1) * GOLDEN) & MASK)
        return (word >> 11) / 2**53

    def following(self, by: int = 1) -> Reference:
        return Reference(self.world, self.seed, self.number + by)

    def commit(self, promise: Promise) -> Move:
        self.promise = promise
        self.model = promise.start
        return self._moved(self._pass())

    def random_action(self) -> Floats:
        """What the random provider does."""
        return tuple(self.coin(0, k) if k < 4 else self.coin(-1 - k // 16, k % 16) for k in range(self.world.width))

    def fail(self) -> Move:
        """The random provider commits, and the first pass fails."""
        world, games, shown = self.world, self.world.played, self.world.blocks(USER)
        candidates, drawn = [self.game] if "game" in shown else games, self
        for attempt in range(1 if {"game", "commitment"} <= set(shown) else 1000):
            drawn = Reference(world, self.seed, self.number + attempt * 2**40)
            failures = [1 - game[0][world.promise(game, drawn.random_action()).start] for game in candidates]
            if drawn.coin(0, 4) * sum(1 - min(game[0]) for game in candidates) < sum(failures):
                break
        below, reached = drawn.coin(0, 5) * sum(failures), 0.0
        for game, failure in zip(candidates, failures, strict=True):
            self.game, reached = game, reached + failure
            if below < reached:
                break
        self.promise = world.promise(self.game, drawn.random_action())
        self.model = self.promise.start
        self._pass()
        self.end = ""
        return self._moved([0.0, 0.0, self.game[2][self.model] + self.promise.delay[self.model], 0.0])

    def answer(self, action: int, *, route: bool = True) -> Move:
        parts = [0.0] * 4
        if action == ABANDON:
            self.end = "abandoned"
            parts[CHURN_PENALTY] = self.game[4]
        elif self.passes >= self.world.max_passes:
            self.end = "truncated"
        elif route:
            number, reached = self.coin(self.passes, ROUTE), 0.0
            for model, share in reversed(list(enumerate(self.promise.moves[self.model]))):
                reached += share
                if number < reached:
                    self.model = model
                    break
            parts = self._pass()
        return self._moved(parts)

    def stays(self, patience: float) -> int:
        return RE_PROMPT if self.coin(self.passes, STAYS) < patience else ABANDON

    def both(self, action: Any, answer: int) -> Move:
        """A move of the parallel environment."""
        promise = self.world.promise(self.game, action)
        if self.passes == 0:
            return self.commit(promise)
        move = self.answer(answer, route=not self.world.by_pass)
        return self.commit(promise) if self.world.by_pass and not self.end else move

    def observation(self, player: str, blocks: Sequence[str] = ()) -> Floats:
        success, cost, latency, value, penalty = self.game
        n, shown = self.world.models, blocks or self.world.blocks(player)
        money = max(cost) + penalty or 1.0
        relative = [t / value for t in latency]
        game = [*success, *(t if t <= 1 else 2 - 1 / t for t in relative), *(c / money for c in cost), penalty / money]
        commitment, history = [0.0] * (3 * n - 2), [0.0] * n
        if self.promise is not None and not self.world.by_pass:
            start, moves, delay = self.promise
            routed = [moves[k][k + 1] if self.world.routing == "cascade" else moves[0][k + 1] for k in range(n - 1)]
            delays = [min(d / value, 1.0) for d in delay]
            commitment = [*(float(start == k) for k in range(1, n)), *routed, *(9 * x / (8 * x + 1) for x in delays)]
        if self.passes:
            history = [*(float(self.model == k) for k in range(1, n)), self.passes / (self.passes + 5)]
        parts = {"game": game, "commitment": commitment, "history": history}
        entries = [entry for block in BLOCKS if block in shown for entry in parts[block]]
        return tuple(np.array(entries, dtype=np.float32).tolist())

    def _pass(self) -> list[float]:
        success, cost, latency, value, _ = self.game
        self.passes += 1
        solved = self.coin(self.passes, SUCCESS) < success[self.model]
        self.end = "solved" if solved else ""
        return [cost[self.model], 0.0, latency[self.model] + self.promise.delay[self.model], value if solved else 0.0]

    def _moved(self, parts: Sequence[float]) -> Move:
        return Move(
            self.passes,
            self.model,
            tuple(parts),
            -(parts[SERVICE_COST] + parts[CHURN_PENALTY]),
            parts[VALUE] - parts[LATENCY],
            self.end in ("solved", "abandoned"),
            self.end == "truncated",
        )


def seen(observation: np.ndarray) -> Any:
    assert observation.dtype == np.float32
    # The commitment's delays are rounded in another order here.
    return pytest.approx(tuple(observation.tolist()), rel=2e-7, abs=1e-44)


def some_answer(random: Random) -> int:
    return ABANDON if random.random() < 0.2 else RE_PROMPT


def some_share(random: Random) -> float:
    return random.choice((0.0, 0.5, 1.0, *(random.random() for _ in range(5))))


def resets(random: Random) -> bool:
    """Now and then a task is left in the middle."""
    return random.random() < 0.04


class Stationary:
    """A random user that tells the models apart."""

    def patience_by_model(self, game: Game, commitment: Commitment | None, random_numbers: np.ndarray) -> np.ndarray:
        return (random_numbers[..., None] + 0.3 * np.arange(game.models)) % 1

    def reference(self, task: Reference, number: float) -> float:
        return (number + 0.3 * task.model) % 1


class Moody:
    """A user whose patience depends on what it waited for, and how often."""

    def begin(self, seen: Seen, random_numbers: np.ndarray) -> np.ndarray:
        return np.stack([random_numbers, np.zeros_like(random_numbers)], axis=-1)

    def update(self, state: np.ndarray, outcome: Outcome) -> np.ndarray:
        return np.stack([state[:, 0], state[:, 1] + outcome.waiting * (1 + outcome.model)], axis=-1)

    def stay(self, state: np.ndarray, seen: Seen) -> np.ndarray:
        return (state.sum(axis=-1) + 0.3 * seen.passes) % 1

    def reference(self, task: Reference, number: float) -> float:
        task.waited = getattr(task, "waited", 0.0)  # type: ignore[attr-defined]
        task.waited += (task.game[2][task.model] + task.promise.delay[task.model]) * (1 + task.model)
        return (number + task.waited + 0.3 * task.passes) % 1


def moved_by_info(rewards: dict[str, float], ended: bool, truncated: bool, infos: dict[str, Any]) -> Move:
    provider, user = infos[PROVIDER], infos[USER]
    parts = (provider["service_cost"], provider["churn_penalty"], user["latency"], user["value"])
    assert (provider["pass"], provider["model"]) == (user["pass"], user["model"])
    return Move(user["pass"], user["model"], parts, rewards[PROVIDER], rewards[USER], ended, truncated)


def play_aec(world: World, seed: int, random: Random) -> None:
    env = raw_env(world.game, **world.options)
    for number in range(6):
        env.reset(seed=seed if number == 0 else None)
        task = Reference(world, seed, number)
        assert env.infos[USER]["model"] == -1
        mover = PROVIDER
        earned, found = dict.fromkeys((PROVIDER, USER), 0.0), dict.fromkeys((PROVIDER, USER), 0.0)
        for agent in env.agent_iter():
            sight, reward, terminated, truncated, _ = env.last()
            found[agent] += reward
            assert task.observation(agent) == seen(sight)
            assert task.observation(agent, BLOCKS) == seen(env.state())
            if terminated or truncated:
                assert task.end
                env.step(None)
                continue
            assert agent == mover
            if agent == PROVIDER:
                action = world.action(random)
                move = task.commit(world.promise(task.game, action))
                mover = USER
            else:
                action = some_answer(random)
                move = task.answer(action, route=not world.by_pass)
                mover = PROVIDER if world.by_pass else USER
            env.step(action)
            assert len(set(env.terminations.values())) == len(set(env.truncations.values())) == 1
            assert moved_by_info(env.rewards, env.terminations[USER], env.truncations[USER], env.infos) == move
            earned = {PROVIDER: earned[PROVIDER] + move.provider, USER: earned[USER] + move.user}
            if resets(random):
                break
        else:
            assert task.end
            assert found == pytest.approx(earned, rel=1e-12, abs=1e-12)


def play_parallel(world: World, seed: int, random: Random) -> None:
    env = parallel_env(world.game, **world.options)
    for number in range(6):
        observations, _ = env.reset(seed=seed if number == 0 else None)
        task = Reference(world, seed, number)
        while True:
            assert all(task.observation(agent) == seen(sight) for agent, sight in observations.items())
            assert task.observation(USER, BLOCKS) == seen(env.state())
            if task.end or resets(random):
                break
            action, answer = world.action(random), some_answer(random)
            move = task.both(action, answer)
            observations, rewards, ended, truncated, infos = env.step({PROVIDER: action, USER: answer})
            assert (ended[PROVIDER], truncated[PROVIDER]) == (ended[USER], truncated[USER])
            assert moved_by_info(rewards, ended[USER], truncated[USER], infos) == move


def play_batch(world: World, seed: int, random: Random) -> None:
    columns = Variant.of(world.game, **world.options).columns
    for size in (1, 4):
        batch = RoutingBatch(world.game, size, seed=seed, **world.options)
        tasks = [Reference(world, seed + slot, 0) for slot in range(size)]
        for _ in range(25):
            if resets(random):
                batch.reset()
                tasks = [task.following() for task in tasks]
            assert batch.awaits_commitment.tolist() == [task.passes == 0 for task in tasks]
            actions, answers = [world.action(random) for _ in tasks], [some_answer(random) for _ in tasks]
            after = batch.step(np.array(actions), np.array(answers))
            for slot, task in enumerate(tasks):
                move = task.both(actions[slot], answers[slot])
                assert tuple(batch.tasks.parts[slot].tolist()) == move.parts
                assert (after.provider_reward[slot], after.user_reward[slot]) == (move.provider, move.user)
                assert (after.terminated[slot], after.truncated[slot]) == (move.terminated, move.truncated)
                if task.end:
                    last = batch.tasks.final_observation[slot]
                    assert task.observation(USER) == seen(last[columns["user"]])
                    tasks[slot] = task.following()
                assert tasks[slot].observation(PROVIDER) == seen(after.provider_observation[slot])
                assert tasks[slot].observation(USER) == seen(after.user_observation[slot])


class Reply(NamedTuple):
    """What n slots answer to a step: what is seen of the next task where one ended, and what was seen last."""

    observation: np.ndarray
    last: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    infos: dict[str, Any]


class Slots:
    """The slots of an API of one player; a single environment is one slot that is reset when its task ends."""

    def __init__(self, api: str, size: int, player: str, *args: Any, **options: Any) -> None:
        single, vector = (ProviderEnv, ProviderVectorEnv) if player == PROVIDER else (UserEnv, UserVectorEnv)
        self.env: Any = single(*args, **options) if api == "single" else vector(size, *args, **options)
        self.api, self.adapter = api, VecEnv(self.env) if api == "sb3" else None
        self.symmetric = self.adapter is not None and isinstance(self.adapter.action_space, gymnasium.spaces.Box)
        # Of a provider's numbers the last ones are delays: of the pass, or of each model.
        delays = 1 if options.get("routing") == "pass" else len(np.atleast_1d(args[0].success).T) if args else 0
        self.delays = delays if player == PROVIDER and options.get("throttling", True) else 0

    def meant(self, action: Any) -> Any:
        """What an action means: stable-baselines3 is given numbers from -1.1 to 1.1, with dead zones at the ends.

        Delays grow with the cube from a tenth above the centre to a tenth below 1.
        """
        if not self.symmetric:
            return action
        given = 2.2 * action - 1.1
        numbers = np.clip(0.5 + 0.5 * given / 0.9, 0, 1)
        for place in range(len(given) - self.delays, len(given)):
            numbers[place] = min(max((given[place] - 0.1) / 0.8, 0), 1) ** 3
        return numbers

    def reset(self, seed: int | None = None) -> np.ndarray:
        if self.adapter is not None:
            self.adapter.seed(seed) if seed is not None else None
            return self.adapter.reset()
        observation, _ = self.env.reset(seed=seed)
        return observation[None] if self.api == "single" else observation

    def step(self, actions: list[Any]) -> Reply:
        if self.api == "single":
            last, reward, terminated, truncated, info = self.env.step(actions[0])
            observation = self.reset() if terminated or truncated else last[None]
            ends = np.array([terminated]), np.array([truncated])
            infos = {name: [entry] for name, entry in info.items()}
            return Reply(observation, last[None], np.array([reward]), *ends, infos)
        given = np.array(actions)
        if self.adapter is None:
            observation, rewards, terminated, truncated, _ = self.env.step(given)
            over, last = (terminated | truncated)[:, None], self.env.final_observation
            return Reply(
                observation, np.where(over, last, observation), rewards, terminated, truncated, self.env.step_infos
            )
        observation, rewards, over, infos = self.adapter.step(2.2 * given - 1.1 if self.symmetric else given)
        last = np.stack([info.get("terminal_observation", observation[k]) for k, info in enumerate(infos)])
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        return Reply(observation, last, rewards, over & ~truncated, truncated, self.env.step_infos)


def matches(reply: Reply, slot: int, reward: float, infos: dict[str, float]) -> bool:
    """Whether a slot earned a reward, in single precision for stable-baselines3, and names its parts."""
    tolerance = 1e-6 if reply.rewards.dtype == np.float32 else 1e-12
    found = {name: reply.infos[name][slot] for name in infos}
    return found == pytest.approx(infos, rel=1e-12, abs=1e-12) and reply.rewards[slot] == pytest.approx(
        reward, rel=tolerance, abs=1e-12
    )


def play_provider(api: str, world: World, seed: int, random: Random) -> None:
    for size in (1,) if api == "single" else (1, 4):
        each = 1 if world.by_pass else random.choice((1, 3))
        user = random.choice((Stationary(), Moody()))
        slots = Slots(api, size, PROVIDER, world.game, user, tasks_per_commitment=each, **world.options)
        observation = slots.reset(seed)
        tasks = [Reference(world, seed + slot, 0) for slot in range(size)]
        for _ in range(12 if world.by_pass else 4):
            if resets(random):
                observation = slots.reset()
                tasks = [task.following(each) for task in tasks]
            assert all(task.observation(PROVIDER) == seen(row) for task, row in zip(tasks, observation, strict=True))
            actions = [world.action(random) for _ in tasks]
            reply = slots.step(actions)
            observation = reply.observation
            for slot, task in enumerate(tasks):
                serve = choose if world.by_pass else served
                infos = serve(task, slots.meant(actions[slot]), user, each)
                assert matches(reply, slot, -(infos["service_cost"] + infos["churn_penalty"]), infos)
                terminated = task.end in ("solved", "abandoned") or not world.by_pass
                assert (reply.terminated[slot], reply.truncated[slot]) == (terminated, task.end == "truncated")
                assert task.observation(PROVIDER) == seen(reply.last[slot])
                if terminated or task.end:
                    tasks[slot] = task.following(each)


def served(leader: Reference, action: Any, user: Any, each: int) -> dict[str, float]:
    """The means over several tasks of one commitment."""
    totals = [0.0] * 7
    for number in range(each):
        task = leader.following(number)
        task.game = leader.game
        moves = [task.commit(task.world.promise(leader.game, action))]
        while not task.end:
            moves.append(task.answer(task.stays(user.reference(task, leader.coin(0, 4)))))
        sums = [sum(move.parts[k] for move in moves) for k in range(4)]
        counted = (*sums, task.passes, task.end == "solved", task.end == "abandoned")
        totals = [total + count for total, count in zip(totals, counted, strict=True)]
    return {name: total / each for name, total in zip((*PARTS, "passes", "solved", "abandoned"), totals, strict=True)}


def choose(task: Reference, action: Any, user: Any, each: int) -> dict[str, float]:
    """A pass that the provider chooses alone, and the user's answer to it."""
    parts = task.commit(task.world.promise(task.game, action)).parts
    if not task.end:
        then = task.answer(task.stays(user.reference(task, task.coin(0, 4))), route=False)
        parts = tuple(one + two for one, two in zip(parts, then.parts, strict=True))
    return {**dict(zip(PARTS, parts, strict=True)), "pass": task.passes, "model": task.model}


def play_user(api: str, world: World, seed: int, random: Random) -> None:
    if world.by_pass:
        with pytest.raises(ValueError, match="routing: 'pass' is not allowed"):
            UserEnv(world.game, **world.options)
        return
    for size in (1,) if api == "single" else (1, 4):
        decision = random.choice(("pass", "task"))
        each = random.choice((1, 3)) if decision == "task" else 1
        options = {**world.options, **({} if api == "single" else {"lookahead": random.choice((1, 3, 16))})}
        slots = Slots(api, size, USER, world.game, "random", decision=decision, tasks_per_commitment=each, **options)
        tasks = [Reference(world, seed + slot, 0) for slot in range(size)]
        observation = slots.reset(seed)
        waited = [task.fail().parts[LATENCY] for task in tasks]
        for _ in range(12):
            if resets(random):
                observation = slots.reset()
                tasks = [task.following(each) for task in tasks]
                waited = [task.fail().parts[LATENCY] for task in tasks]
            assert slots.env.tasks.first_latency.tolist() == waited
            assert all(task.observation(USER) == seen(row) for task, row in zip(tasks, observation, strict=True))
            actions: list[Any] = [some_answer(random) for _ in tasks]
            if decision == "task":
                grid = world.grid is not None
                actions = [random.randrange(10) if grid else np.array([some_share(random)]) for _ in tasks]
            reply = slots.step(actions)
            observation = reply.observation
            for slot, task in enumerate(tasks):
                if decision == "pass":
                    move = task.answer(actions[slot])
                    infos = {"latency": move.parts[LATENCY], "value": move.parts[VALUE]}
                    infos |= {"pass": move.passes, "model": move.model}
                    reward, ends = move.user, (move.terminated, move.truncated)
                else:
                    patience = PATIENCE_LEVELS[actions[slot]] if grid else float(slots.meant(actions[slot])[0])
                    reward, ends = gained(task, patience, each), (True, False)
                    infos = {"utility": reward, "utility_of_staying": gained(task, 1.0, each)}
                assert matches(reply, slot, reward, infos)
                assert (reply.terminated[slot], reply.truncated[slot]) == ends
                assert task.observation(USER) == seen(reply.last[slot])
                if any(ends):
                    tasks[slot] = task.following(each)
                    waited[slot] = tasks[slot].fail().parts[LATENCY]


def gained(leader: Reference, patience: float, each: int) -> float:
    """The mean utility after the failure of the first pass, the user's own random numbers averaged out."""
    total = 0.0
    for number in range(each):
        task, weight = leader.following(number), 1.0
        task.game, task.promise, task.model, task.passes = leader.game, leader.promise, leader.promise.start, 1
        while not task.end and weight > 0:
            weight *= patience
            total += weight * task.answer(RE_PROMPT).user
    return total / each


APIS: dict[str, Callable[[World, int, Random], None]] = {
    "aec": play_aec,
    "parallel": play_parallel,
    "batch": play_batch,
    **{f"provider, {api}": partial(play_provider, api) for api in ("single", "vector", "sb3")},
    **{f"user, {api}": partial(play_user, api) for api in ("single", "vector", "sb3")},
}

ONE: Numbers = ((0.3, 0.6), (0.1, 0.8), (0.65, 0.7), 1.1, 5.0)
HOPELESS: Numbers = ((1e-9, 2e-9), (0.1, 0.8), (0.65, 0.7), 1.1, 5.0)
SEVERAL: tuple[Numbers, ...] = (
    ONE,
    ((0.2, 0.7), (0.0, 30.0), (0.04, 7.0), 0.64, 0.0),
    ((0.5, 0.9), (1.0, 2.0), (0.0, 1.0), 2.0, 3.0),
)
ALONE: tuple[Numbers, ...] = (((0.3,), (0.1,), (0.2,), 1.1, 2.0),)
THREE: tuple[Numbers, ...] = (
    ((0.3, 0.6, 0.5), (0.1, 0.8, 0.0), (0.65, 0.2, 0.7), 1.1, 5.0),
    ((0.1, 0.3, 0.9), (0.0, 0.0, 0.0), (0.0, 3.0, 0.1), 2.0, 0.0),
)
FIVE: tuple[Numbers, ...] = (
    ((0.3, 0.6, 0.5, 0.2, 0.7), (0.1, 0.8, 0.0, 0.4, 0.9), (0.7, 0.2, 0.5, 0.1, 0.3), 1.1, 5.0),
)
EVERYTHING = {"provider": BLOCKS, "user": ["history", "game", "commitment"]}
WORLDS: dict[str, World] = {
    "plain": World((ONE,), {"throttling": False}),
    "delays": World((ONE,), {"observe": EVERYTHING}),
    "pass": World((ONE,), {"routing": "pass", "throttling": False}),
    "pass, delays, history": World((ONE,), {"routing": "pass", "observe": EVERYTHING, "max_passes": 5}),
    "several games": World(SEVERAL, {}),
    "relative": World(SEVERAL, {"reward_unit": "relative"}),
    "hidden games": World(SEVERAL, {"observe": {"user": ["commitment"]}}),
    "hidden commitments": World(SEVERAL, {"observe": {"user": ["history", "game"], "provider": ["commitment"]}}),
    "only history": World(SEVERAL, {"observe": {"user": ["history"]}, "routing": "lottery"}),
    "one pass": World((ONE,), {"max_passes": 1, "observe": EVERYTHING}),
    "three passes": World((HOPELESS,), {"max_passes": 3}),
    "three passes, pass": World((HOPELESS,), {"routing": "pass", "max_passes": 3}),
    "grid": World(SEVERAL, {"action": "grid"}),
    "grid, pass": World((ONE,), {"action": "grid", "routing": "pass"}),
    "lottery": World((ONE,), {"routing": "lottery"}),
    "one model": World(ALONE, {"observe": EVERYTHING}),
    "one model, lottery": World(ALONE, {"routing": "lottery", "throttling": False}),
    "one model, pass": World(ALONE, {"routing": "pass"}),
    "three models": World(THREE, {"observe": EVERYTHING}),
    "three models, lottery": World(THREE, {"routing": "lottery", "observe": EVERYTHING, "reward_unit": "relative"}),
    "three models, pass": World(THREE, {"routing": "pass", "observe": EVERYTHING, "max_passes": 4}),
    "five models": World(FIVE, {"observe": EVERYTHING}),
    "five models, lottery": World(FIVE, {"routing": "lottery", "observe": EVERYTHING}),
    "five models, pass": World(FIVE, {"routing": "pass", "observe": EVERYTHING, "max_passes": 4}),
    "three models, grid": World(THREE, {"action": "grid", "routing": "lottery"}),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_api_plays_the_game_of_the_documentation(api: str, world: str) -> None:
    for turn in range(3):
        APIS[api](WORLDS[world], 100, Random(f"{api} {world} {turn}"))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    models = draw(st.integers(1, 3))

    def each(low: float, high: float) -> st.SearchStrategy[Floats]:
        return st.tuples(*[st.floats(low, high)] * models)

    numbers = st.tuples(each(0.1, 0.95), each(0, 1e3), each(0, 1e3), st.floats(1e-3, 1e3), st.floats(0, 1e3))
    games = draw(st.lists(numbers, min_size=1, max_size=3, unique=True))
    blocks = st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=3, unique=True)
    options = st.fixed_dictionaries(
        {"routing": st.sampled_from(["cascade", "lottery", "pass"])},
        optional={
            "throttling": st.booleans(),
            "observe": st.fixed_dictionaries({}, optional={"provider": blocks, "user": blocks}),
            "action": st.sampled_from(["box", "grid"]),
            "max_passes": st.integers(1, 12),
            "reward_unit": st.sampled_from(["game", "relative"]),
        },
    )
    return World(tuple(games), draw(options))


@pytest.mark.parametrize("api", APIS)
@settings(derandomize=True, deadline=None, max_examples=20)
@given(world=worlds(), seed=st.integers(0, 2**63 - 10), random=st.integers(0, 2**32))
def test_every_api_plays_random_games_and_options_as_documented(api: str, world: World, seed: int, random: int) -> None:
    APIS[api](world, seed, Random(random))


def test_users_with_one_seed_answer_one_commitment_on_the_same_tasks() -> None:
    env = UserVectorEnv(6, World(SEVERAL, {}).game, decision="task", tasks_per_commitment=20)
    observation, _ = env.reset(seed=[7, 7, 7, 8, 8, 8])
    patience = np.array([[0.0], [0.5], [1.0]] * 2)
    for _ in range(3):
        assert [len(np.unique(group, axis=0)) for group in (observation[:3], observation)] == [1, 2]
        observation, rewards, *_ = env.step(patience)
        staying = env.step_infos["utility_of_staying"]
        assert (staying == np.repeat(rewards[[2, 5]], 3)).all()
        assert (rewards[[0, 3]] == 0).all()
