"""The same seed and actions give the same episode in every face.

Each face is compared move by move with a player in plain Python and exact integers, which is written from the
documentation and shares no code with the rules.
"""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Game
from stackroute.agents import FixedPatienceUser, RandomProvider
from stackroute.envs import (
    ABANDON,
    PATIENCE_LEVELS,
    RE_PROMPT,
    PassBatch,
    PatienceBatch,
    ProviderBatch,
    ProviderEnv,
    RoutingBatch,
    UserBatch,
    UserEnv,
    parallel_env,
    raw_env,
)
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute import Commitment

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
SUCCESS, ROUTE, STAYS = 0, 1, 2
SERVICE_COST, CHURN_PENALTY, LATENCY, VALUE = range(4)
PROVIDER, USER = "provider_0", "user_0"

Numbers = tuple[tuple[float, float], tuple[float, float], tuple[float, float], float, float]
"""Success, cost and latency of the two models, the value and the churn penalty."""

Promise = tuple[int, float, float, float]
"""A commitment: start model, cascade probability and the two delays."""


def splitmix64(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@dataclass(frozen=True)
class World:
    """What an environment is given: the numbers of its games, and options."""

    numbers: tuple[Numbers, ...]
    options: dict[str, Any]

    def having(self, **options: Any) -> World:
        return replace(self, options={**self.options, **options})

    @cached_property
    def game(self) -> Game:
        success, cost, latency, value, penalty = zip(*self.numbers, strict=True)
        return Game(success, cost, latency, value, penalty)

    @cached_property
    def played(self) -> list[Numbers]:
        """The games in the unit of the rewards."""
        if self.options.get("reward_unit") != "relative":
            return list(self.numbers)
        scaled = []
        for success, cost, latency, value, penalty in self.numbers:
            money = max(cost) + penalty
            one, two = (c / money for c in cost)
            scaled.append((success, (one, two), (latency[0] / value, latency[1] / value), 1.0, penalty / money))
        return scaled

    @property
    def per_pass(self) -> bool:
        return self.options.get("commitment") == "pass"

    @property
    def history(self) -> bool:
        return self.options.get("observe") == "history"

    @property
    def max_passes(self) -> int:
        return self.options.get("max_passes", 1000)

    @cached_property
    def grid(self) -> list[list[float]] | None:
        return Variant.of(self.game, **self.options).grid.tolist() if self.options.get("action") == "grid" else None

    def action(self, random: Random) -> Any:
        """A provider's action, exact 0, 1/2 and 1 included."""
        if self.grid is not None:
            return random.randrange(len(self.grid))
        width = (1 if self.per_pass else 2) * (2 if self.options.get("throttling") else 1)
        return np.array([random.choice((0.0, 0.5, 1.0, *(random.random() for _ in range(5)))) for _ in range(width)])

    def promise(self, game: Numbers, action: Any) -> Promise:
        """What an action of the provider commits to."""
        box = self.grid[action] if self.grid is not None else action.tolist()
        model, value = 2 if box[0] >= 0.5 else 1, game[3]
        if self.per_pass:
            delay = box[1] * value if len(box) == 2 else 0.0
            return model, 0.0, delay, delay
        return model, box[1], *((box[2] * value, box[3] * value) if len(box) == 4 else (0.0, 0.0))


class Move(NamedTuple):
    """What follows from a move: the task's last pass, the parts of the rewards, how it stands, what is seen."""

    passes: int
    model: int
    parts: tuple[float, ...]
    provider: float
    user: float
    terminated: bool
    truncated: bool
    observation: tuple[float, ...]


class Reference:
    """A task, played as the documentation says."""

    def __init__(self, world: World, seed: int, number: int) -> None:
        self.world, self.seed, self.number = world, seed, number
        self.key = splitmix64(splitmix64((seed + GOLDEN) & MASK) ^ ((number * GOLDEN) & MASK)) >> 1
        self.game = world.played[math.floor(self.coin(0, 5) * len(world.played))]
        self.promise: Promise = (0, 0.0, 0.0, 0.0)
        self.passes = self.model = 0
        self.end = ""

    def coin(self, pass_index: int, stream: int) -> float:
        word = splitmix64((self.key + (16 * pass_index + stream + 1) * GOLDEN) & MASK)
        return (word >> 11) / 2**53

    def following(self) -> Reference:
        return Reference(self.world, self.seed, self.number + 1)

    def stays(self, patience: tuple[float, float]) -> int:
        """The answer of a user with a patience for each model."""
        return RE_PROMPT if self.coin(self.passes, STAYS) < patience[self.model - 1] else ABANDON

    def commit(self, promise: Promise) -> Move:
        self.promise = promise
        self.model = promise[0]
        return self._moved(self._pass())

    def commit_at_random(self) -> Move:
        model, value = 2 if self.coin(0, 0) >= 0.5 else 1, self.game[3]
        return self.commit((model, self.coin(0, 1), self.coin(0, 2) * value, self.coin(0, 3) * value))

    def answer(self, action: int, *, route: bool = True) -> Move:
        parts = [0.0] * 4
        if action == ABANDON:
            self.end = "abandoned"
            parts[CHURN_PENALTY] = self.game[4]
        elif self.passes >= self.world.max_passes:
            self.end = "truncated"
        elif route:
            if self.model == 1 and self.coin(self.passes, ROUTE) < self.promise[1]:
                self.model = 2
            parts = self._pass()
        return self._moved(parts)

    def both(self, action: Any, answer: int) -> Move:
        """A move of the parallel environment."""
        promise = self.world.promise(self.game, action)
        if self.passes == 0:
            return self.commit(promise)
        move = self.answer(answer, route=not self.world.per_pass)
        return self.commit(promise) if self.world.per_pass and not self.end else move

    def play_out(self, patience: tuple[float, float]) -> tuple[list[float], Move]:
        """Play on to the end; the sums of the parts."""
        parts = [0.0] * 4
        move = self._moved(parts)
        while not self.end:
            move = self.answer(self.stays(patience))
            parts = [total + part for total, part in zip(parts, move.parts, strict=True)]
        return parts, move

    def observation(self) -> tuple[float, ...]:
        return self._encoded(self.world.per_pass, self.world.history)

    def state(self) -> tuple[float, ...]:
        return self._encoded(hidden=False, history=True)

    def _pass(self) -> list[float]:
        success, cost, latency, value, _ = self.game
        self.passes += 1
        served = self.model - 1
        solved = self.coin(self.passes, SUCCESS) < success[served]
        self.end = "solved" if solved else ""
        return [cost[served], 0.0, latency[served] + self.promise[2 + served], value if solved else 0.0]

    def _moved(self, parts: list[float]) -> Move:
        return Move(
            self.passes,
            self.model,
            tuple(parts),
            -(parts[SERVICE_COST] + parts[CHURN_PENALTY]),
            parts[VALUE] - parts[LATENCY],
            self.end in ("solved", "abandoned"),
            self.end == "truncated",
            self.observation(),
        )

    def _encoded(self, hidden: bool, history: bool) -> tuple[float, ...]:
        success, cost, latency, value, penalty = self.game
        money = max(cost) + penalty
        relative = [t / value for t in latency]
        entries = [*success, *(t if t <= 1 else 2 - 1 / t for t in relative), *(c / money for c in cost)]
        entries.append(penalty / money)
        start, cascade, *delays = self.promise
        shown = [float(start == 2), cascade, *(math.log1p(50 * min(d / value, 1)) / math.log1p(50) for d in delays)]
        entries += [0.0] * 4 if hidden else shown
        if history:
            entries += [float(self.model == 2), math.log1p(self.passes) / math.log1p(self.world.max_passes)]
        return tuple(np.array(entries, dtype=np.float32).tolist())


def seen(observation: np.ndarray) -> tuple[float, ...]:
    assert observation.dtype == np.float32
    return tuple(observation.tolist())


def some_answer(random: Random) -> int:
    return ABANDON if random.random() < 0.2 else RE_PROMPT


def resets(random: Random) -> bool:
    """Now and then a task is left in the middle."""
    return random.random() < 0.04


class TwoFaced:
    """A random user that tells the models apart."""

    def patience_by_model(self, game: Game, commitment: Commitment | None, draws: np.ndarray) -> np.ndarray:
        return np.stack([draws, 1 - draws], axis=-1)


def two_faced(task: Reference) -> tuple[float, float]:
    return task.coin(0, 4), 1 - task.coin(0, 4)


def moved_by_info(env: Any, rewards: dict[str, float], ended: bool, truncated: bool, infos: dict[str, Any]) -> Move:
    provider, user = infos[PROVIDER], infos[USER]
    parts = (provider["service_cost"], provider["churn_penalty"], user["latency"], user["value"])
    assert (provider["pass"], provider["model"]) == (user["pass"], user["model"])
    sight = env.task.observe()
    return Move(user["pass"], user["model"], parts, rewards[PROVIDER], rewards[USER], ended, truncated, seen(sight))


def play_aec(world: World, seed: int, random: Random) -> None:
    env = raw_env(world.game, **world.options)
    for number in range(6):
        env.reset(seed=seed if number == 0 else None)
        task = Reference(world, seed, number)
        mover = PROVIDER
        earned, found = dict.fromkeys((PROVIDER, USER), 0.0), dict.fromkeys((PROVIDER, USER), 0.0)
        for agent in env.agent_iter():
            sight, reward, terminated, truncated, _ = env.last()
            found[agent] += reward
            assert seen(sight) == task.observation()
            assert seen(env.state()) == task.state()
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
                move = task.answer(action, route=not world.per_pass)
                mover = PROVIDER if world.per_pass else USER
            env.step(action)
            assert len(set(env.terminations.values())) == len(set(env.truncations.values())) == 1
            assert moved_by_info(env, env.rewards, env.terminations[USER], env.truncations[USER], env.infos) == move
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
        assert seen(observations[PROVIDER]) == seen(observations[USER]) == task.observation()
        while not task.end and not resets(random):
            action, answer = world.action(random), some_answer(random)
            move = task.both(action, answer)
            observations, rewards, ended, truncated, infos = env.step({PROVIDER: action, USER: answer})
            assert seen(observations[PROVIDER]) == seen(observations[USER]) == move.observation
            assert (ended[PROVIDER], truncated[PROVIDER]) == (ended[USER], truncated[USER])
            assert moved_by_info(env, rewards, ended[USER], truncated[USER], infos) == move
            assert seen(env.state()) == task.state()


def play_routing_batch(world: World, seed: int, random: Random) -> None:
    for size in (1, 4):
        batch = RoutingBatch(world.game, size, seed=seed, **world.options)
        tasks = [Reference(world, seed + slot, 0) for slot in range(size)]
        for _ in range(25):
            if resets(random):
                batch.reset()
                tasks = [task.following() for task in tasks]
            assert [seen(row) for row in batch.observation] == [task.observation() for task in tasks]
            assert batch.awaits_commitment.tolist() == [task.passes == 0 for task in tasks]
            actions, answers = [world.action(random) for _ in tasks], [some_answer(random) for _ in tasks]
            after = batch.step(np.array(actions), np.array(answers))
            for slot, task in enumerate(tasks):
                move = task.both(actions[slot], answers[slot])
                assert tuple(batch.parts[slot].tolist()) == move.parts
                assert (after.provider_reward[slot], after.user_reward[slot]) == (move.provider, move.user)
                assert (after.terminated[slot], after.truncated[slot]) == (move.terminated, move.truncated)
                if task.end:
                    assert seen(batch.final_observation[slot]) == move.observation
                    tasks[slot] = task.following()
                assert seen(after.observation[slot]) == tasks[slot].observation()


def served(world: World, seed: int, first: int, tasks: int, action: Any) -> dict[str, float]:
    """The means over several tasks of one commitment to a two-faced user."""
    leader = Reference(world, seed, first)
    totals = [0.0] * 7
    for number in range(first, first + tasks):
        task = Reference(world, seed, number)
        task.game = leader.game
        moves = [task.commit(world.promise(leader.game, action))]
        while not task.end:
            moves.append(task.answer(task.stays(two_faced(leader))))
        for move in moves:
            for k, part in enumerate(move.parts):
                totals[k] += part
        for k, count in enumerate((task.passes, task.end == "solved", task.end == "abandoned")):
            totals[4 + k] += count
    names = ("service_cost", "churn_penalty", "latency", "value", "passes", "solved", "abandoned")
    return {name: total / tasks for name, total in zip(names, totals, strict=True)}


def play_provider_env(world: World, seed: int, random: Random) -> None:
    world = world.having(commitment="task")
    for tasks in (1, 3):
        env = ProviderEnv(world.game, TwoFaced(), tasks_per_commitment=tasks, **world.options)
        for episode in range(4):
            before, _ = env.reset(seed=seed if episode == 0 else None)
            assert seen(before) == Reference(world, seed, episode * tasks).observation()
            action = world.action(random)
            expected = served(world, seed, episode * tasks, tasks, action)
            after, reward, terminated, truncated, info = env.step(action)
            assert info == expected
            assert reward == -(expected["service_cost"] + expected["churn_penalty"])
            assert (terminated, truncated, seen(after)) == (True, False, seen(before))


def play_provider_batch(world: World, seed: int, random: Random) -> None:
    world = world.having(commitment="task")
    for size, tasks in ((1, 1), (4, 3)):
        batch = ProviderBatch(world.game, TwoFaced(), size, tasks_per_commitment=tasks, seed=seed, **world.options)
        for episode in range(4):
            leaders = [Reference(world, seed + slot, episode * tasks) for slot in range(size)]
            assert [seen(row) for row in batch.observation] == [leader.observation() for leader in leaders]
            if resets(random):
                batch.reset()
                return
            actions = [world.action(random) for _ in range(size)]
            means = batch.step(np.array(actions))
            for slot in range(size):
                expected = served(world, seed + slot, episode * tasks, tasks, actions[slot])
                assert {name: mean[slot] for name, mean in means.items()} == expected


def serve_and_answer(task: Reference, action: Any) -> Move:
    """A move of a provider that chooses before every pass, with a two-faced user."""
    move = task.commit(task.world.promise(task.game, action))
    if task.end:
        return move
    then = task.answer(task.stays(two_faced(task)), route=False)
    parts = tuple(one + two for one, two in zip(move.parts, then.parts, strict=True))
    return then._replace(
        parts=parts,
        provider=-(parts[SERVICE_COST] + parts[CHURN_PENALTY]),
        user=parts[VALUE] - parts[LATENCY],
    )


def play_provider_env_by_pass(world: World, seed: int, random: Random) -> None:
    world = world.having(commitment="pass")
    env = ProviderEnv(world.game, TwoFaced(), **world.options)
    for number in range(6):
        sight, _ = env.reset(seed=seed if number == 0 else None)
        task = Reference(world, seed, number)
        assert seen(sight) == task.observation()
        while not task.end and not resets(random):
            action = world.action(random)
            move = serve_and_answer(task, action)
            sight, reward, terminated, truncated, info = env.step(action)
            parts = tuple(info[name] for name in ("service_cost", "churn_penalty", "latency", "value"))
            found = (info["pass"], info["model"], parts, reward, move.user, terminated, truncated, seen(sight))
            assert found == move


def play_pass_batch(world: World, seed: int, random: Random) -> None:
    world = world.having(commitment="pass")
    for size in (1, 4):
        batch = PassBatch(world.game, TwoFaced(), size, seed=seed, **world.options)
        tasks = [Reference(world, seed + slot, 0) for slot in range(size)]
        for _ in range(20):
            if resets(random):
                batch.reset()
                tasks = [task.following() for task in tasks]
            assert [seen(row) for row in batch.observation] == [task.observation() for task in tasks]
            actions = [world.action(random) for _ in tasks]
            rewards, terminated, truncated = batch.step(np.array(actions))
            for slot, task in enumerate(tasks):
                move = serve_and_answer(task, actions[slot])
                where, parts = batch.where, tuple(batch.parts[slot].tolist())
                found = (where["pass"][slot], where["model"][slot], parts, rewards[slot], move.user)
                assert (*found, terminated[slot], truncated[slot], seen(batch.final_observation[slot])) == move
                if task.end:
                    tasks[slot] = task.following()


def first_failure(task: Reference) -> tuple[Reference, Move, int]:
    """The task itself or the first after it whose first pass fails, that pass, and how many were passed over."""
    passed_over = 0
    while (move := task.commit_at_random()).terminated:
        task, passed_over = task.following(), passed_over + 1
    return task, move, passed_over


def play_user_env(world: World, seed: int, random: Random) -> None:
    for decision in ("pass", "task"):
        env = UserEnv(world.game, RandomProvider(throttling=True), decision=decision, **world.options)
        number = -1
        for episode in range(6):
            sight, info = env.reset(seed=seed if episode == 0 else None)
            task, first, passed_over = first_failure(Reference(world, seed, number + 1))
            number = task.number
            assert info == {"first_latency": first.parts[LATENCY], "passed_over": passed_over, "declared": False}
            assert seen(sight) == first.observation
            while not task.end and not resets(random):
                action: Any = some_answer(random)
                if decision == "pass":
                    move = task.answer(action)
                    parts = list(move.parts)
                else:
                    action, patience = some_patience(world, random)
                    parts, move = task.play_out((patience, patience))
                sight, reward, terminated, truncated, info = env.step(action)
                assert (info["latency"], info["value"]) == (parts[LATENCY], parts[VALUE])
                assert reward == parts[VALUE] - parts[LATENCY]
                found = (info["pass"], info["model"], move.parts, move.provider, move.user)
                assert (*found, terminated, truncated, seen(sight)) == move


def some_patience(world: World, random: Random) -> tuple[Any, float]:
    """An action of a user that decides once, and the patience that it means."""
    if world.grid is not None:
        level = random.randrange(len(PATIENCE_LEVELS))
        return level, PATIENCE_LEVELS[level]
    patience = random.choice((0.0, 1.0, random.random(), random.random()))
    return np.array([patience]), patience


def play_user_batch(world: World, seed: int, random: Random) -> None:
    for size, lookahead in ((1, 1), (4, 3), (3, 16)):
        provider = RandomProvider(throttling=True)
        batch = UserBatch(world.game, provider, size, seed=seed, lookahead=lookahead, **world.options)
        started = [first_failure(Reference(world, seed + slot, 0)) for slot in range(size)]
        for _ in range(15):
            if resets(random):
                batch.reset()
                started = [first_failure(task.following()) for task, _, _ in started]
            assert [seen(row) for row in batch.observation] == [task.observation() for task, _, _ in started]
            assert batch.first_latency.tolist() == [first.parts[LATENCY] for _, first, _ in started]
            assert batch.passed_over.tolist() == [passed_over for _, _, passed_over in started]
            assert not batch.declared.any()
            at_once = random.random() < 0.2
            answers = [some_answer(random) for _ in started]
            patience = [random.random() for _ in started]
            played = batch.play_out(patience) if at_once else batch.step(answers)
            rewards, terminated, truncated = played
            for slot, (task, _, _) in enumerate(started):
                if at_once:
                    parts, move = task.play_out((patience[slot], patience[slot]))
                else:
                    move = task.answer(answers[slot])
                    parts = list(move.parts)
                assert batch.parts[slot].tolist() == parts
                assert rewards[slot] == parts[VALUE] - parts[LATENCY]
                found = (batch.where["pass"][slot], batch.where["model"][slot], move.parts, move.provider, move.user)
                assert (*found, terminated[slot], truncated[slot], seen(batch.final_observation[slot])) == move
                if task.end:
                    started[slot] = first_failure(task.following())


def play_patience_batch(world: World, seed: int, random: Random) -> None:
    for size, tasks in ((1, 1), (4, 3)):
        provider = RandomProvider(throttling=True)
        batch = PatienceBatch(world.game, provider, size, tasks_per_commitment=tasks, seed=seed, **world.options)
        for episode in range(4):
            patience = np.array([random.choice((0.0, 1.0, random.random())) for _ in range(size)])
            expected = []
            for slot in range(size):
                leader = Reference(world, seed + slot, episode * tasks)
                leader.commit_at_random()
                fresh = copy.copy(leader)
                fresh.passes, fresh.model = 1, leader.promise[0]
                # What is seen is what follows a failed first pass.
                assert seen(batch.observation[slot]) == fresh.observation()
                assert batch.value[slot] == leader.game[3]
                gains = []
                for number in range(episode * tasks, (episode + 1) * tasks):
                    task = Reference(world, seed + slot, number)
                    task.game = leader.game
                    if task.commit(leader.promise).terminated:
                        continue
                    weight, gain = 1.0, 0.0
                    while not task.end:
                        weight *= patience[slot]
                        gain += weight * task.answer(RE_PROMPT).user
                    gains.append(gain)
                expected.append(sum(gains) / len(gains) if gains else 0.0)
            assert batch.step(patience) == pytest.approx(expected, rel=1e-12, abs=1e-12)


FACES: dict[str, Callable[[World, int, Random], None]] = {
    "aec": play_aec,
    "parallel": play_parallel,
    "routing batch": play_routing_batch,
    "provider": play_provider_env,
    "provider batch": play_provider_batch,
    "provider by pass": play_provider_env_by_pass,
    "pass batch": play_pass_batch,
    "user": play_user_env,
    "user batch": play_user_batch,
    "patience batch": play_patience_batch,
}

ONE: Numbers = ((0.3, 0.6), (0.1, 0.8), (0.65, 0.7), 1.1, 5.0)
SEVERAL: tuple[Numbers, ...] = (
    ONE,
    ((0.2, 0.7), (0.0, 30.0), (0.04, 7.0), 0.64, 0.0),
    ((0.5, 0.9), (1.0, 2.0), (0.0, 1.0), 2.0, 3.0),
)
VARIANTS: dict[str, World] = {
    "plain": World((ONE,), {}),
    "throttling": World((ONE,), {"throttling": True}),
    "history": World((ONE,), {"observe": "history"}),
    "pass": World((ONE,), {"commitment": "pass"}),
    "pass, throttling, history": World(
        (ONE,), {"commitment": "pass", "throttling": True, "observe": "history", "max_passes": 5}
    ),
    "several games": World(SEVERAL, {"throttling": True}),
    "relative": World(SEVERAL, {"reward_unit": "relative", "throttling": True}),
    "one pass": World((ONE,), {"max_passes": 1, "observe": "history"}),
    "three passes": World((ONE,), {"max_passes": 3}),
    "grid": World((ONE,), {"action": "grid"}),
    "grid, throttling": World(SEVERAL, {"action": "grid", "throttling": True}),
    "grid, pass": World((ONE,), {"action": "grid", "commitment": "pass", "throttling": True}),
    "all": World(
        SEVERAL,
        {
            "throttling": True,
            "observe": "history",
            "commitment": "pass",
            "action": "grid",
            "max_passes": 4,
            "reward_unit": "relative",
        },
    ),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_face_plays_the_game_of_the_documentation(face: str, variant: str) -> None:
    FACES[face](VARIANTS[variant], 100, Random(f"{face} {variant}"))


def ordered(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    pair = st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda two: (min(two), max(two)))
    return pair.filter(lambda two: two[0] < two[1])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    numbers = st.tuples(ordered(0.1, 0.95), ordered(0, 1e3), ordered(0, 1e3), st.floats(1e-3, 1e3), st.floats(0, 1e3))
    games = draw(st.lists(numbers, min_size=1, max_size=3))
    options = st.fixed_dictionaries(
        {},
        optional={
            "throttling": st.booleans(),
            "observe": st.sampled_from(["commitment", "history"]),
            "commitment": st.sampled_from(["task", "pass"]),
            "action": st.sampled_from(["box", "grid"]),
            "max_passes": st.integers(1, 12),
            "reward_unit": st.sampled_from(["game", "relative"]),
        },
    )
    return World(tuple(games), draw(options))


@pytest.mark.parametrize("face", FACES)
@settings(derandomize=True, deadline=None, max_examples=15)
@given(world=worlds(), seed=st.integers(0, 2**63 - 10), random=st.integers(0, 2**32))
def test_every_face_plays_random_games_and_options_as_documented(
    face: str, world: World, seed: int, random: int
) -> None:
    FACES[face](world, seed, Random(random))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_slot_plays_its_own_seed_wherever_it_is(variant: str) -> None:
    world, random = VARIANTS[variant], Random(5)
    seeds = [7, 3, 3, 2**40]
    batch = RoutingBatch(world.game, len(seeds), seed=1, **world.options)
    batch.step(np.array([world.action(random) for _ in seeds]), np.zeros(len(seeds), dtype=int))
    batch.reset(seeds)
    alone = [RoutingBatch(world.game, 1, seed=seed, **world.options) for seed in seeds]
    for _ in range(30):
        actions, answers = (
            np.array([world.action(random) for _ in seeds]),
            np.array([some_answer(random) for _ in seeds]),
        )
        together = batch.step(actions, answers)
        for slot, single in enumerate(alone):
            for one, all_of_them in zip(single.step(actions[[slot]], answers[[slot]]), together, strict=True):
                np.testing.assert_array_equal(one[0], all_of_them[slot])


def test_a_slot_of_a_batch_does_not_depend_on_the_batch_size(cascade_game: Game) -> None:
    action = np.array([0.0, 0.35])
    user = FixedPatienceUser(0.5)
    large = ProviderBatch(cascade_game, user, 8, tasks_per_commitment=50, seed=3).step(np.tile(action, (8, 1)))
    small = ProviderBatch(cascade_game, user, 2, tasks_per_commitment=50, seed=7).step(np.tile(action, (2, 1)))
    for name, mean in small.items():
        np.testing.assert_array_equal(mean, large[name][4:6])


def test_environments_are_copied_and_pickled_mid_episode(cascade_game: Game) -> None:
    env = raw_env(game=cascade_game, throttling=True)
    env.reset(seed=5)
    env.step(np.array([0.0, 0.3, 0.0, 0.1]))
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        original = copy.deepcopy(env)
        for side in (twin, original):
            side.step(RE_PROMPT)
        assert twin.rewards == original.rewards
        assert twin.infos == original.infos
