"""Logs of routers with a known truth."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import ExtendingRouter, MixedModelRouter, OnlineRouter, Outcomes, Router
from stackroute.analytic import Game

MakeLog = Callable[..., tuple[Outcomes, Outcomes]]


@pytest.fixture
def make_log() -> MakeLog:
    """A log of single answers, and the truth about the same tasks: their qualities are probabilities."""

    def make(
        tasks: int = 600, models: int = 4, kinds: int = 4, noise: float = 0.3, observed: float = 1.0, seed: int = 0
    ) -> tuple[Outcomes, Outcomes]:
        """Each kind of task has models that are good at it; features are the kind's centre with noise.

        Later models are dearer, slower and better on average.
        """
        rng = np.random.default_rng(seed)
        kind = rng.integers(kinds, size=tasks)
        centres = rng.normal(0, 2, (kinds, 5))
        success = np.clip(rng.beta(0.7, 0.7, (kinds, models)) * 0.8 + np.linspace(0, 0.25, models), 0.02, 0.98)
        cost = np.geomspace(1, 10, models) * rng.uniform(0.8, 1.2, (kinds, models))
        latency = np.geomspace(1, 4, models) * rng.uniform(0.8, 1.2, (kinds, models))
        features = centres[kind] + rng.normal(0, noise, (tasks, 5))
        truth = Outcomes(features, success[kind], cost[kind], latency[kind])
        answers = (rng.random((tasks, models)) < truth.quality).astype(np.float64)
        answers[rng.random((tasks, models)) >= observed] = np.nan
        return truth._replace(quality=answers), truth

    return make


@pytest.fixture
def served() -> Callable[[Router, Outcomes], Outcomes]:
    """The truth about all that a router serves by, in the order of its rows."""

    def of(router: Router, truth: Outcomes) -> Outcomes:
        if not isinstance(router, ExtendingRouter):
            return truth
        games = router.extended(Game(truth.quality, truth.cost, truth.latency, value=1, churn_penalty=0))
        return Outcomes(truth.features, games.success, games.cost, games.latency)

    return of


@pytest.fixture
def reached(served: Callable[[Router, Outcomes], Outcomes]) -> Callable[[Router, Outcomes, float], tuple[float, float]]:
    """The mean cost and the mean quality of what a router chooses at a knob."""

    def costs_and_quality(router: Router, truth: Outcomes, knob: float) -> tuple[float, float]:
        rows = router.route(truth.features, knob)
        found = served(router, truth)
        return tuple(float((rows * each).sum(axis=1).mean()) for each in (found.cost, found.quality))  # type: ignore[return-value]

    return costs_and_quality


@pytest.fixture
def mixed(reached: Callable[[Router, Outcomes, float], tuple[float, float]]) -> Callable[..., float]:
    """The most quality of a mix of single models, fitted to a log, at no more than a cost."""

    def quality(log: Outcomes, truth: Outcomes, cost: float) -> float:
        mix = MixedModelRouter().fit(log, np.random.default_rng(0))
        points = [reached(mix, truth, knob) for knob in np.linspace(0, 1, 401)]
        return max(found for spent, found in points if spent <= max(cost, points[0][0]))

    return quality


@pytest.fixture
def regret() -> Callable[..., NDArray[np.float64]]:
    """What a router that learns online loses by each task, against the best model, where success is linear."""

    def lost(router: OnlineRouter, known: int, tasks: int = 1500, seed: int = 0) -> NDArray[np.float64]:
        """The log has this many tasks with answers, and one without."""
        rng = np.random.default_rng(seed)
        slope = rng.normal(0, 0.12, (4, 5))
        features = rng.normal(size=(known + tasks + 1, 5))
        success = np.clip(0.5 + features @ slope.T, 0, 1)
        answers = (rng.random(success.shape) < success) * 1.0
        answers[known] = np.nan
        begin = slice(0, known + 1)
        router.fit(Outcomes(features[begin], answers[begin], *np.ones((2, known + 1, 4))), rng)
        loss = []
        for task in range(known + 1, len(features)):
            model = int(router.route(features[task : task + 1], 1.0)[0].argmax())
            router.update(features[task], model, answers[task, model], np.nan, np.nan)
            loss.append(success[task].max() - success[task, model])
        return np.array(loss)

    return lost
