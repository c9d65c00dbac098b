from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy
from numpy.typing import NDArray

from stackroute.agents.routers import OmniRouter, Outcomes, Prediction

Array = NDArray[np.float64]
KNOBS = np.linspace(0, 1, 11)


def expected(tasks: int, models: int, seed: int) -> Prediction:
    rng = np.random.default_rng(seed)
    cost = np.geomspace(1, 30, models) * rng.uniform(0.7, 1.3, (tasks, models))
    return Prediction(rng.random((tasks, models)), cost, cost)


def mean(rows: Array, values: Array) -> float:
    return float((rows * values).sum(axis=1).mean())


def least(cost: Array, success: Array, alpha: float, loads: tuple[float, ...]) -> float:
    """The least mean cost by the linear program over all tasks and models."""
    tasks, models = cost.shape
    each_model = np.kron(np.ones((1, tasks)), np.eye(models)) / tasks
    found = scipy.optimize.linprog(
        cost.ravel() / tasks,
        A_ub=np.vstack([-success.ravel() / tasks, each_model]),
        b_ub=np.r_[-alpha, loads or [1.0] * models],
        A_eq=scipy.sparse.kron(scipy.sparse.eye(tasks), np.ones((1, models))),
        b_eq=np.ones(tasks),
    )
    return float(found.fun) if found.status == 0 else np.inf


@pytest.mark.parametrize("loads", [(), (0.3, 0.4, 0.3, 0.2), (0.0, 0.5, 0.5, 0.5)])
@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("knob", [0.0, 0.4, 0.99])
def test_the_dual_keeps_its_constraints_for_the_least_cost(
    loads: tuple[float, ...], attempts: int, knob: float
) -> None:
    tasks = expected(60, 4, seed=attempts)
    eventual = 1 - (1 - tasks.success) ** attempts
    spent = tasks.cost * eventual / tasks.success
    router = OmniRouter(loads=loads, attempts=attempts)
    cheapest, rows, best = (router.choose(tasks, place) for place in (0.0, knob, 1.0))
    alpha = (1 - knob) * mean(cheapest, eventual) + knob * mean(best, eventual)
    assert mean(rows, eventual) >= alpha - 1e-8
    if loads:
        assert (rows.mean(axis=0) <= np.array(loads) + 1e-8).all()
    assert mean(rows, spent) == pytest.approx(least(spent, eventual, alpha, loads), rel=1e-5)
    assert mean(cheapest, spent) == pytest.approx(least(spent, eventual, 0.0, loads), rel=1e-5)
    assert least(spent, eventual, mean(best, eventual) + 1e-4, loads) == np.inf


def test_choosing_for_all_tasks_at_once_costs_less_than_a_threshold_for_each() -> None:
    tasks = expected(400, 4, seed=5)
    enough = np.where(tasks.success >= 0.8, tasks.cost, np.inf)
    each = np.where(np.isfinite(enough).any(axis=1), enough.argmin(axis=1), tasks.success.argmax(axis=1))
    greedy = np.eye(4)[each]
    router = OmniRouter()
    low, high = (mean(router.choose(tasks, knob), tasks.success) for knob in (0.0, 1.0))
    rows = router.choose(tasks, (mean(greedy, tasks.success) - low) / (high - low))
    assert mean(rows, tasks.success) == pytest.approx(mean(greedy, tasks.success), abs=1e-8)
    assert mean(rows, tasks.cost) < 0.9 * mean(greedy, tasks.cost)


def test_few_tasks_are_served_by_chance() -> None:
    rows = OmniRouter(loads=(0.3, 0.4, 0.3, 0.2)).choose(expected(400, 4, seed=6), 0.5)
    assert ((rows > 1e-9).sum(axis=1) > 1).mean() < 0.1


def test_success_by_knob_is_a_straight_line(make_log: Any) -> None:
    log, _ = make_log(tasks=200)
    router = OmniRouter().fit(log, np.random.default_rng(0))
    known = router.predict(log.features)
    success = np.array([mean(router.choose(known, knob), known.success) for knob in KNOBS])
    cost = [mean(router.choose(known, knob), known.cost) for knob in KNOBS]
    np.testing.assert_allclose(success, success[0] + KNOBS * (success[-1] - success[0]), atol=1e-6)
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(cost))


def test_features_that_decide_beat_every_mix(reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    cost, quality = reached(OmniRouter().fit(log, np.random.default_rng(0)), truth, 0.8)
    assert quality > mixed(log, truth, cost) + 0.05


@pytest.mark.parametrize("loads", [(0.5, 0.5), (0.1, 0.2, 0.3, 0.3), (-0.1, 0.5, 0.5, 0.5)])
def test_loads_that_cannot_be_are_named(loads: tuple[float, ...]) -> None:
    log = Outcomes(np.ones((2, 1)), *np.ones((3, 2, 4)))
    with pytest.raises(ValueError, match=r"loads: .* is not allowed; expected 4 shares"):
        OmniRouter(loads=loads).fit(log, np.random.default_rng(0))
