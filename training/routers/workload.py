"""Tasks to be routed: what routers see of them, what is true of them, and the game that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.agents.routers import ExtendingRouter, Outcomes, Prediction
from stackroute.agents.routers.features import FeatureEncoder
from stackroute.analytic import Game, Traffic
from stackroute.configs import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from stackroute.agents.routers import Router
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.measured import MeasuredGame

SHARES = (0.6, 0.2, 0.2)
"""Of the tasks that routers learn from, that knobs are chosen on, and that routers are compared on."""


@dataclass(frozen=True, eq=False)
class Workload:
    """Tasks, of which row i of everything is the context i of the traffic.

    Attributes:
        labels: The names of the models, M.
        quality: How often each model was right, in [0, 1], NaN where it was not asked, shape (N, M).
        truth: The mean success, cost and latency of each model on each task, shape (N, M).
        traffic: The tasks as types.
        features: What is known of each task beforehand; None: nothing.
    """

    labels: tuple[str, ...]
    quality: FloatArray
    truth: Prediction
    traffic: Traffic
    features: pd.DataFrame | None

    def __len__(self) -> int:
        return len(self.quality)

    @property
    def order(self) -> list[int]:
        """The models from the worst to the best, by their mean success."""
        found: list[int] = np.argsort(self.truth.success.mean(axis=0), kind="stable").tolist()
        return found

    def take(self, tasks: IntArray) -> Workload:
        """Some of the tasks, by their rows, ascending."""
        row = np.full(len(self), -1)
        row[tasks] = np.arange(len(tasks))
        context = row[self.traffic.context]
        mine = context >= 0
        traffic = Traffic(self.traffic.games[mine], self.traffic.weight[mine], context[mine])
        known = None if self.features is None else self.features.iloc[tasks]
        truth = Prediction(*(array[tasks] for array in self.truth))
        return Workload(self.labels, self.quality[tasks], truth, traffic, known)

    def extended(self, router: Router) -> Workload:
        """The same tasks with all that a router serves by as models."""
        if not isinstance(router, ExtendingRouter):
            return self
        traffic = Traffic(router.extended(self.traffic.games), self.traffic.weight, self.traffic.context)
        return replace(self, traffic=traffic, truth=_means(traffic))

    def log(self, features: FloatArray) -> Outcomes:
        """What a router learns from, with features that are encoded."""
        return Outcomes(features, self.quality, self.truth.cost, self.truth.latency)


class Parts(NamedTuple):
    """The same workload in three parts, with the features of each encoded as the first's are.

    Attributes:
        train: The tasks that routers learn from.
        validation: The tasks on which knobs are chosen.
        test: The tasks on which routers are compared.
        features: Those of the tasks of each part, shape (N, F).
        encoder: What encodes features.
    """

    train: Workload
    validation: Workload
    test: Workload
    features: tuple[FloatArray, FloatArray, FloatArray]
    encoder: FeatureEncoder


def measured_workload(game: MeasuredGame, *, draws: int = 3, seed: int = 0) -> Workload:
    """The measured tasks of a game.

    Args:
        game: The game.
        draws: Types a task: its success is drawn from what its outcomes say, as of `Outcomes.traffic`.
        seed: Of the random numbers.

    Raises:
        ConfigError: As of `MeasuredGame.traffic`.
    """
    outcomes = game.outcomes
    traffic = game.traffic_by("task", draws=draws, seed=seed)
    places = [outcomes.models.index(label) for label in game.labels]
    attempts, successes = outcomes.attempts[:, places], outcomes.successes[:, places]
    used = np.flatnonzero((attempts > 0).any(axis=1))
    # Contexts are sorted by their labels.
    used = used[np.argsort(np.array(outcomes.tasks)[used], kind="stable")]
    quality = np.where(attempts > 0, successes / np.maximum(attempts, 1), np.nan)[used]
    known = None if outcomes.features is None else outcomes.features.iloc[used]
    return Workload(game.labels, quality, _means(traffic), traffic, known)


def _means(traffic: Traffic) -> Prediction:
    """The mean of each context."""
    share = (np.arange(len(traffic.contexts))[:, None] == traffic.context) * traffic.weight
    share /= share.sum(axis=1, keepdims=True)
    games = traffic.games
    return Prediction(*(share @ array for array in (games.success, games.cost, games.latency)))


def synthetic_workload(
    tasks: int, kinds: int, models: int, value: float, churn_penalty: float, noise: float = 0.5, seed: int = 0
) -> Workload:
    """Tasks of known types: each kind of task has models that are good at it, and hard tasks among easy ones.

    Half of the tasks of each kind are hard: all models succeed .3 times as often. Features tell the kind, with noise,
    and nothing of what is hard. Costs range from 1 to 10 over the models, latencies from 1 to 4.

    Args:
        tasks: N.
        kinds: The number of kinds.
        models: M.
        value: Of a solved task to the user, where the fastest model's latency is 1.
        churn_penalty: The provider's, where the cheapest model costs 1.
        noise: Of the features.
        seed: Of the random numbers.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    kind, hard = rng.integers(kinds, size=tasks), rng.random(tasks) < 0.5
    usual = np.clip(rng.beta(0.8, 0.8, (kinds, models)) * 0.7 + np.linspace(0.05, 0.28, models), 0.02, 0.98)
    success = usual[kind] * np.where(hard, 0.3, 1.0)[:, None]
    cost = np.broadcast_to(np.geomspace(1, 10, models), success.shape)
    latency = np.broadcast_to(np.geomspace(1, 4, models), success.shape)
    traffic = Traffic(Game(success, cost, latency, value, churn_penalty), context=np.arange(tasks))
    answers = (rng.random(success.shape) < success).astype(np.float64)
    centres = rng.normal(0, 1, (kinds, 6))
    known = pd.DataFrame(centres[kind] + rng.normal(0, noise, (tasks, 6)), columns=[f"x{k}" for k in range(6)])
    labels = tuple(f"model {k + 1}" for k in range(models))
    return Workload(labels, answers, Prediction(success, cost, latency), traffic, known)


def divided(workload: Workload, rng: np.random.Generator) -> Parts:
    """A workload in three parts at random, by task.

    Raises:
        ConfigError: There are fewer than 5 tasks.
    """
    if len(workload) < len(SHARES) + 2:
        raise ConfigError(f"tasks: {len(workload)} are not allowed; expected at least {len(SHARES) + 2} to divide")
    order = rng.permutation(len(workload))
    ends = np.cumsum(np.round(np.array(SHARES[:2]) * len(order)).astype(int))
    train, validation, test = (workload.take(np.sort(rows)) for rows in np.split(order, ends))
    encoder = FeatureEncoder().fit(train.features, rng)
    features = (_encoded(encoder, train), _encoded(encoder, validation), _encoded(encoder, test))
    return Parts(train, validation, test, features, encoder)


def _encoded(encoder: FeatureEncoder, workload: Workload) -> FloatArray:
    if workload.features is None:
        return np.repeat(encoder.encode(None), len(workload), axis=0)
    return encoder.encode(workload.features)
