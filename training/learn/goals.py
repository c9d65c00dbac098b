"""Routing pass by pass towards goals: what one network learns, and which of the ladders it knows are the best.

A goal is the number of failures after which users are to stop and the price of patience, what a unit of the user's
utility is worth to the provider. The multipliers of the exact optimum are such prices (beyond the paper).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from gymnasium import spaces
from scipy.optimize import linprog
from stable_baselines3.common.vec_env import VecEnvWrapper

from stackroute.agents import CountingUser
from stackroute.analytic import Ladders
from stackroute.envs import ProviderVectorEnv, Variant, rules
from stackroute.envs.observations import encode_labels, unit_of_money
from stackroute.envs.sb3 import VecEnv
from stackroute.envs.tasks import Tasks
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

    from stackroute.analytic import Traffic
    from stackroute.analytic.game import FloatArray, IntArray

_SLOTS = 2_048
_LEAST_SHARE = 0.05
_NEGLIGIBLE = 1e-9


class Goals(NamedTuple):
    """Goals, each of them one that the network is given with its observation.

    Attributes:
        share: The weight of the user's utility, in units of the value, beside that of the cost, in units of the largest
            cost plus the churn penalty, 1 - share; in [0, 1].
        stop: The number of failures after which users are to stop.
    """

    share: FloatArray
    stop: IntArray

    @classmethod
    def all(cls, prices: int, horizon: int) -> Goals:
        """Evenly spaced shares with every stop."""
        share, stop = np.meshgrid(np.linspace(0.0, 1.0, prices), np.arange(1, horizon + 1), indexing="ij")
        return cls(share.ravel(), stop.ravel())

    def shown(self, passes: IntArray, horizon: int) -> FloatArray:
        """What the network sees of them before the pass that follows so many, shape (k, 3)."""
        left = self.stop - passes
        return np.stack([2.0 * self.share - 1.0, np.clip(left, -1, None) / horizon, np.where(left > 0, 1.0, -1.0)], -1)


class GoalView(VecEnvWrapper):
    """Tasks that are routed pass by pass, each with a random goal that the learner sees and is paid for.

    Up to the goal's stop a pass earns minus its net cost and, at the price, the user's utility; after it, where users
    are to be gone, it earns minus the user's utility. Users stay up to the horizon, so that all is seen.

    Args:
        traffic: The tasks.
        size: Tasks in play.
        horizon: The most attempts.
    """

    def __init__(self, traffic: Traffic, size: int, horizon: int) -> None:
        env = ProviderVectorEnv(size, traffic, CountingUser(horizon), routing="pass", throttling=False, action="grid")
        self._tasks, self._traffic, self._horizon = env.tasks, traffic, horizon
        self._money = float(unit_of_money(traffic.games).max())
        self._value = float(traffic.games.value.max())
        self._random = np.random.default_rng()
        self._goals = Goals(np.zeros(size), np.ones(size, dtype=np.int64))
        venv = VecEnv(env)
        assert isinstance(venv.observation_space, spaces.Box)
        self._scale = _Scale(venv.observation_space)
        width = len(venv.observation_space.low) + 3
        super().__init__(venv, spaces.Box(-1.0, 1.0, (width,), dtype=np.float32))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Of the tasks and of the goals."""
        self._random = np.random.default_rng(seed)
        return self.venv.seed(seed)

    def reset(self) -> np.ndarray:
        """The first observations."""
        observation = np.asarray(self.venv.reset())
        self._draw(np.arange(self.num_envs))
        return self._shown(observation)

    def step_wait(self) -> VecEnvStepReturn:
        """The step, with the goal's reward."""
        passes, games = self._tasks.rows["passes"].astype(np.int64), self._tasks.rows["game"].copy()
        observation, _, dones, infos = self.venv.step_wait()
        parts = self.venv.env.step_infos  # type: ignore[attr-defined]
        solved = parts["value"] > 0.0
        cost = (parts["service_cost"] - np.where(solved, self._traffic.games.churn_penalty[games], 0.0)) / self._money
        utility = (parts["value"] - parts["latency"]) / self._value
        share = self._goals.share
        kept = (share * utility) - (1.0 - share) * cost
        rewards = np.where(passes < self._goals.stop, kept, -np.maximum(share, _LEAST_SHARE) * utility)
        ended = np.flatnonzero(dones)
        if len(ended):
            # No reward follows, so that what is seen at the end does not matter.
            for slot in ended:
                infos[slot]["terminal_observation"] = np.zeros(self.observation_space.shape or (), dtype=np.float32)
            self._draw(ended)
        return self._shown(np.asarray(observation)), rewards.astype(np.float32), dones, infos

    def _draw(self, slots: IntArray) -> None:
        self._goals.share[slots] = self._random.random(len(slots))
        self._goals.stop[slots] = self._random.integers(1, self._horizon + 1, len(slots))

    def _shown(self, observation: np.ndarray) -> np.ndarray:
        goals = self._goals.shown(self._tasks.rows["passes"].astype(np.int64), self._horizon)
        return np.concatenate([self._scale(observation), goals], axis=1).astype(np.float32)


class _Scale:
    """From a space to [-1, 1]."""

    def __init__(self, space: spaces.Box) -> None:
        self._low = space.low.astype(np.float64)
        self._span = np.where(space.high > space.low, space.high - self._low, 1.0)

    def __call__(self, observation: np.ndarray) -> FloatArray:
        scaled: FloatArray = 2.0 * (observation - self._low) / self._span - 1.0
        return scaled


def ladders_of(policy: BasePolicy, traffic: Traffic, goals: Goals, horizon: int) -> IntArray:
    """The models that a network chooses for each attempt where all before have failed, shape (k, G, C, N)."""
    variant = Variant.of(traffic, routing="pass", throttling=False)
    scale, models = _Scale(variant.observation_space("provider")), traffic.models
    # What is shown of labels, for all groups and contexts, whether or not a type has both.
    context, group = encode_labels(traffic)
    by_context = np.zeros((len(traffic.contexts), context.shape[1]))
    by_context[traffic.context] = context
    by_group = np.zeros((len(traffic.groups), group.shape[1]))
    by_group[traffic.group] = group
    k, g, c = (index.ravel() for index in np.indices((len(goals.stop), len(traffic.groups), len(traffic.contexts))))
    labels = np.concatenate([by_context[c], by_group[g]], axis=1)
    each = Goals(goals.share[k], goals.stop[k])
    ladders = np.empty((len(k), horizon), dtype=np.int64)
    last = np.zeros((len(k), models - 1))
    for passes in range(horizon):
        history = np.c_[last, np.full(len(k), passes / (passes + rules.HALF_PASSES))]
        shown = np.concatenate([scale(np.c_[history, labels]), each.shown(np.full(len(k), passes), horizon)], axis=1)
        ladders[:, passes], _ = policy.predict(shown.astype(np.float32), deterministic=True)
        last = np.eye(models)[ladders[:, passes]][:, 1:]
    return ladders.reshape(len(goals.stop), len(traffic.groups), len(traffic.contexts), horizon)


@dataclass(frozen=True, eq=False)
class Played:
    """What sampled play gives ladders, for every number of failures n after which users may stop.

    Attributes:
        utility: Shape (k, G, N).
        cost: Money, shape (k, G, N).
        error: The standard error of U(n) - U(n'), shape (k, G, N, N).
    """

    utility: FloatArray
    cost: FloatArray
    error: FloatArray

    def of(self, ladders: IntArray) -> Played:
        """Of some of the ladders."""
        return Played(self.utility[ladders], self.cost[ladders], self.error[ladders])


def play(traffic: Traffic, ladders: IntArray, tasks: int, seed: int) -> Played:
    """Play tasks to the horizon, the same ones by all ladders.

    Args:
        traffic: The tasks.
        ladders: The model of each attempt by group and context, shape (k, G, C, N).
        tasks: How many, for each of the ladders.
        seed: Of the random numbers.
    """
    horizon, groups = ladders.shape[-1], len(traffic.groups)
    variant = Variant.of(traffic, routing="pass", throttling=False, max_passes=horizon + 1)
    slots = min(tasks, _SLOTS)
    engine, models, goes_on = Tasks(variant, slots, in_turn=True), variant.actions.grid, np.zeros(slots, dtype=np.int64)
    by_attempt = np.ascontiguousarray(np.moveaxis(ladders, -1, 1))
    utility, cost = np.zeros((2, len(ladders), groups, horizon))
    squares = np.zeros((len(ladders), groups, horizon, horizon))
    counted = np.zeros((groups, 1))
    for part in range(max(tasks // slots, 1)):
        for number in range(len(ladders)):
            engine.seed(derived_seed(seed, part))
            engine.begin()
            games = engine.rows["game"]
            group = traffic.group[games]
            served = by_attempt[number][:, group, traffic.context[games]]
            penalty = traffic.games.churn_penalty[games]
            gained, spent = np.zeros((2, horizon, slots))
            spent[0] = penalty
            for attempt in range(horizon):
                engine.step(actions=models[served[attempt]])
                gained[attempt] = engine.rewards[1]
                spent[attempt] -= engine.rewards[0] + penalty * (engine.parts[:, rules.VALUE] > 0.0)
                engine.step(answers=goes_on)
                if len(engine.over) == slots:
                    break
            gained, spent = np.cumsum(gained, axis=0), np.cumsum(spent, axis=0)
            for of in range(groups):
                mine = group == of
                utility[number, of] += gained @ mine
                cost[number, of] += spent @ mine
                squares[number, of] += (gained * mine) @ gained.T
                counted[of] += mine.sum() * (number == 0)
    utility, cost, squares = utility / counted, cost / counted, squares / counted[..., None]
    own = np.einsum("...nn->...n", squares)
    second = own[..., :, None] + own[..., None, :] - 2.0 * squares
    variance = second - (utility[..., :, None] - utility[..., None, :]) ** 2
    return Played(utility, cost, np.sqrt(np.maximum(variance, 0.0) / counted[..., None]))


class Choice(NamedTuple):
    """A mixture of ladders by group: their shares, shape (G, k), the stop of users and the cost, both (G,)."""

    shares: FloatArray
    stop: IntArray
    cost: FloatArray


def choose(played: Played, standard_errors: float) -> Choice:
    """The mixture of ladders of least sampled cost at which users are sure to stop as they are meant to.

    For each stop n it is a linear program: sum z_k J_k(n) is least, subject to sum z_k (U_k(n) - U_k(n')) being above 0
    by so many standard errors for all n' (Conitzer and Sandholm 2006). Where play cannot tell for any n, none counts.
    """
    groups = range(played.cost.shape[1])
    best = [(_by_cost(played, group, standard_errors) or _by_cost(played, group, 0.0))[0] for group in groups]
    cost, stop, shares = (np.array(part) for part in zip(*best, strict=True))
    return Choice(shares, stop, cost)


def contenders(played: Played, standard_errors: float) -> IntArray:
    """The ladders of mixtures that could cost less than the best sure one if play were sure of them, ascending."""
    used = np.zeros(len(played.cost), dtype=bool)
    for group in range(played.cost.shape[1]):
        sure = _by_cost(played, group, standard_errors)
        likely = _by_cost(played, group, 0.0)
        for cost, _, shares in [*sure[:1], *likely]:
            if not sure or cost <= sure[0][0]:
                used |= shares > 0.0
    found: IntArray = np.flatnonzero(used)
    return found


def _by_cost(played: Played, group: int, errors: float) -> list[tuple[float, int, FloatArray]]:
    """For each stop the least cost and the shares of the mixture, in the order of the costs."""
    utility, cost, error = (array[:, group] for array in (played.utility, played.cost, played.error))
    ladders, horizon = utility.shape
    solved = []
    for n in range(horizon):
        sure = utility[:, n, None] - utility - errors * error[:, n]
        found = linprog(cost[:, n], A_ub=-sure.T, b_ub=np.zeros(horizon), A_eq=np.ones((1, ladders)), b_eq=[1.0])
        if found.x is not None and found.fun is not None:
            shares = np.where(found.x > _NEGLIGIBLE, found.x, 0.0)
            solved.append((float(found.fun), n + 1, shares / shares.sum()))
    return sorted(solved, key=lambda one: one[:2])


def mixture(ladders: IntArray, shares: FloatArray) -> Ladders:
    """Ladders by group and context, shape (k, G, C, N), mixed by shares of shape (G, k), as a policy."""
    count, groups, contexts, horizon = ladders.shape
    models, row = np.unique(ladders.reshape(-1, horizon), axis=0, return_inverse=True)
    probability = np.zeros((groups, contexts, len(models)))
    of = np.indices((count, groups, contexts))
    np.add.at(probability, (of[1], of[2], row.reshape(count, groups, contexts)), shares.T[:, :, None])
    used = probability.any(axis=(0, 1))
    return Ladders(models[used], probability[..., used])
