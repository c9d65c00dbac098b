from typing import Any

import numpy as np
import pytest
import scipy
from numpy.typing import NDArray

from stackroute.agents.routers import PILOT, Outcomes, Prediction, RouterProvider

Array = NDArray[np.float64]


def fit(log: Outcomes, **settings: Any) -> PILOT:
    return PILOT(**settings).fit(log, np.random.default_rng(0))


def mean(rows: Array, values: Array) -> float:
    return float((rows * values).sum(axis=1).mean())


def expected(tasks: int, seed: int) -> Prediction:
    """Dearer models are better on average."""
    rng = np.random.default_rng(seed)
    cost = np.geomspace(1, 10, 4) * rng.uniform(0.7, 1.3, (tasks, 4))
    return Prediction(np.clip(rng.random((tasks, 4)) * 0.7 + [0, 0.1, 0.2, 0.3], 0.01, 1), cost, cost)


def log_of(tasks: Prediction) -> Outcomes:
    return Outcomes(np.zeros((len(tasks.cost), 1)), *tasks)


def test_regret_grows_sublinearly_and_is_less_with_a_prior(regret: Any) -> None:
    runs = [[regret(PILOT(exploration=1.0), known, seed=seed) for seed in range(2)] for known in (0, 100)]
    without, with_log = np.mean(runs, axis=1).reshape(2, 3, -1).sum(axis=2)
    for third in (without, with_log):
        assert third[1] < 0.7 * third[0]
        assert third[2] < 0.6 * third[0]
    assert with_log.sum() < 0.6 * without.sum()


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_failures_lower_the_success_like_a_beta_belief(failures: int, make_log: Any) -> None:
    log, _ = make_log(tasks=100)
    router = fit(log, prior=3.0)
    known = router.predict(log.features).success.mean(axis=0)
    np.testing.assert_allclose(known, np.nanmean(log.quality, axis=0), atol=0.05)
    task = log.features[:1]
    before = router.predict(task).success
    for _ in range(failures):
        router.update(task[0], 1, 0.0, np.nan, np.nan)
    after = router.predict(task).success
    assert after[0, 1] == pytest.approx(before[0, 1] * 3 / (3 + failures))
    np.testing.assert_array_equal(after[0, [0, 2, 3]], before[0, [0, 2, 3]])


def test_reprompts_escalate_by_themselves(make_log: Any) -> None:
    """Where the log counts for more than any number of failures, they do not."""
    log, _ = make_log(tasks=200)
    router = fit(log, prior=1.0)
    policy = RouterProvider(router, 1.0, log.features[:20], "update").policy
    ladders = policy.until(12)[policy.probability.argmax(axis=-1)]  # type: ignore[union-attr]
    first = router.route(log.features[:20], 1.0).argmax(axis=1)
    np.testing.assert_array_equal(ladders[:, 0], first)
    assert (ladders != first[:, None]).any(axis=1).all()
    stubborn = fit(log, prior=1e9)
    kept = RouterProvider(stubborn, 1.0, log.features[:20], "update").policy
    assert (kept.models == kept.models[:, :1]).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("knob", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_no_more_than_the_budget_is_spent(knob: float) -> None:
    tasks = expected(200, seed=1)
    rows = fit(log_of(tasks)).choose(tasks, knob)
    best = np.eye(4)[tasks.success.argmax(axis=1)]
    cheapest = tasks.cost.min(axis=1).mean()
    budget = cheapest + knob / (1 - knob) * (mean(best, tasks.cost) - cheapest)
    assert mean(rows, tasks.cost) <= budget + 1e-9
    assert mean(rows, tasks.cost) > 0.95 * min(0.7 * budget, mean(best, tasks.cost))


@pytest.mark.parametrize("seed", range(5))
def test_the_knapsack_is_near_the_best_that_knows_all_tasks(seed: int) -> None:
    """The bound of Chakrabarty et al. for small items, ln(U / L) + 2; the best is a linear program."""
    tasks = expected(300, seed)
    router = fit(log_of(tasks))
    rows = router.choose(tasks, 0.3)
    cheapest = tasks.cost.min(axis=1).mean()
    budget = cheapest + 3 / 7 * (mean(np.eye(4)[tasks.success.argmax(axis=1)], tasks.cost) - cheapest)
    best = scipy.optimize.linprog(
        -tasks.success.ravel() / 300,
        A_ub=tasks.cost.reshape(1, -1) / 300,
        b_ub=[budget],
        A_eq=scipy.sparse.kron(scipy.sparse.eye(300), np.ones((1, 4))),
        b_eq=np.ones(300),
    )
    least, most = router.ratio_
    assert -best.fun >= mean(rows, tasks.success) >= -best.fun / (np.log(most / least) + 2)
    assert mean(rows, tasks.success) > tasks.success[:, 0].mean() + 0.1


def test_the_more_is_spent_the_more_a_model_has_to_be_worth() -> None:
    one = Prediction(np.array([[0.3, 0.9]]), np.array([[1.0, 5.0]]), np.ones((1, 2)))
    many = Prediction(*(np.repeat(array, 100, axis=0) for array in one))
    rows = fit(log_of(many)).choose(many, 0.45)
    # U / L is 0.3 / 0.18, so that (U e / L)^z L / e exceeds 0.18 from this share z of the budget.
    share = 1 / np.log(0.3 * np.e / 0.18)
    budget = 100 + 0.45 / 0.55 * 400
    np.testing.assert_array_equal(rows[:, 1], 5 * np.arange(100) <= share * budget)


def test_features_that_decide_beat_every_mix(reached: Any, mixed: Any, make_log: Any) -> None:
    log, truth = make_log()
    cost, quality = reached(fit(log), truth, 0.8)
    assert quality > mixed(log, truth, cost) + 0.05
    shuffled = log._replace(features=np.random.default_rng(1).permutation(log.features))
    cost, quality = reached(fit(shuffled), truth, 0.8)
    assert quality <= mixed(log, truth, cost + 0.05) + 0.02
