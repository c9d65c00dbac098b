from typing import Any

import numpy as np
import pytest

from stackroute import read_outcomes
from stackroute.agents.routers import ROUTERS, ExtendingRouter
from stackroute.configs import ConfigError
from stackroute.configs.measured import MeasuredGame
from stackroute.training.routers.comparison import fit_router, judge, least_cost, with_economics
from stackroute.training.routers.workload import divided, measured_workload, synthetic_workload

RNG = np.random.default_rng
HORIZON = 4


@pytest.fixture(scope="module")
def parts() -> Any:
    return divided(synthetic_workload(120, kinds=3, models=3, value=8, churn_penalty=10, seed=1), RNG(0))


def test_a_workload_is_divided_by_task(parts: Any) -> None:
    assert [len(one) for one in parts[:3]] == [72, 24, 24]
    seen = np.concatenate([one.truth.success for one in parts[:3]])
    whole = synthetic_workload(120, kinds=3, models=3, value=8, churn_penalty=10, seed=1)
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(whole.truth.success, axis=0))
    for one in parts[:3]:
        np.testing.assert_array_equal(one.traffic.games.success, one.truth.success)
        assert one.traffic.context.tolist() == list(range(len(one)))
    again = divided(whole, RNG(0))
    np.testing.assert_array_equal(parts.features[2], again.features[2])


def test_a_measured_workload_has_the_outcomes_of_each_task() -> None:
    outcomes = read_outcomes("metr")
    models = ("GPT-4o", "o1")
    game = MeasuredGame(outcomes, models, 20, 10, cost={"GPT-4o": 1, "o1": 6}, latency={"GPT-4o": 1, "o1": 3})
    workload = measured_workload(game)
    assert workload.features is not None
    rows = [outcomes.tasks.index(task) for task in workload.features.index]
    columns = [outcomes.models.index(model) for model in models]
    tried, right = (array[np.ix_(rows, columns)] for array in (outcomes.attempts, outcomes.successes))
    np.testing.assert_array_equal(workload.quality, np.where(tried > 0, right / np.maximum(tried, 1), np.nan))
    # Three draws a task, whose mean is what the types say.
    np.testing.assert_allclose(workload.truth.success, workload.traffic.games.success.reshape(-1, 3, 2).mean(axis=1))
    np.testing.assert_allclose(workload.truth.cost, np.tile([1.0, 6.0], (len(workload), 1)))
    known = ~np.isnan(workload.quality).any(axis=1)
    assert np.corrcoef(workload.quality[known, 0], workload.truth.success[known, 0])[0, 1] > 0.95


@pytest.mark.parametrize("name", [*ROUTERS, "oracle"])
def test_no_router_beats_the_optimum(name: str, parts: Any) -> None:
    bound = least_cost(parts.test, HORIZON).provider_cost[0]
    fitted = fit_router(name, parts, seed=0)
    for one in judge(fitted, parts, seed=0, horizon=HORIZON):
        assert one.name == name
        assert 0 <= one.answer.leave <= 1
        assert 1 <= one.answer.stop <= HORIZON
        # With more than the models of the log more can be reached.
        assert isinstance(fitted.router, ExtendingRouter) or one.answer.provider_cost >= bound - 1e-9


def test_the_users_reaction_counts() -> None:
    parts = divided(synthetic_workload(300, kinds=3, models=3, value=8, churn_penalty=10, seed=3), RNG(1))
    found = judge(fit_router("logistic regression", parts, 0), parts, seed=0, horizon=8)
    costs = {(one.rule, one.knows, one.chosen_by): one.answer.provider_cost for one in found}
    assert list(costs) == [
        ("own", "estimated", "single answers"),
        ("own", "estimated", "cost"),
        ("own", "true", "cost"),
        ("user-aware", "estimated", "cost"),
        ("user-aware lottery", "estimated", "cost"),
    ]
    assert costs["user-aware", "estimated", "cost"] < costs["own", "estimated", "single answers"]
    oracle = {one.rule: one.answer.provider_cost for one in judge(fit_router("oracle", parts, 0), parts, 0, 8)}
    assert oracle["user-aware"] < costs["user-aware", "estimated", "cost"]


def test_another_economy_keeps_the_tasks(parts: Any) -> None:
    other = with_economics(parts, value=3, churn_penalty=1)
    np.testing.assert_array_equal(other.test.traffic.games.success, parts.test.traffic.games.success)
    assert (other.test.traffic.games.value == 3).all()
    assert (other.train.traffic.games.churn_penalty == 1).all()


def test_too_few_tasks_are_named() -> None:
    with pytest.raises(ConfigError, match="tasks: 4 are not allowed; expected at least 5"):
        divided(synthetic_workload(4, 1, 2, 4, 4), RNG(0))
