import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from stackroute.agents.routers import ROUTERS, ExtendingRouter, UserAware
from stackroute.agents.routers.saving import load_router, save_router
from stackroute.analytic import Commitment, Ladders, counting_response
from stackroute.configs import ConfigError
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.outcomes import Outcomes
from stackroute.training.cli.advice import _ASSUMED
from stackroute.training.routers import advice as of_routers
from stackroute.training.routers.advice import advise
from stackroute.training.routers.comparison import Answered, answered, judge

MODELS = ("quick", "careful", "other")
FAST = ["best single model", "nearest neighbours", "logistic regression"]


def measured(tasks: int = 100, seed: int = 0, **changes: Any) -> MeasuredGame:
    """Half of the tasks are solved by the quick model only, half by the careful one only; features tell them apart."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=tasks)
    success = np.where(kind[:, None] == 0, [0.9, 0.1, 0.3], [0.1, 0.9, 0.3])
    attempts = np.full((tasks, 3), 8)
    known = pd.DataFrame({"kind": np.array(["sum", "proof"])[kind], "size": rng.normal(size=tasks)})
    known["served_by"] = np.array(MODELS)[rng.integers(3, size=tasks)]
    names = tuple(f"t{k:03}" for k in rng.permutation(tasks))
    known.index = pd.Index(names)
    cost = np.broadcast_to([0.1, 0.3, 0.2], (tasks, 3)) * rng.uniform(0.8, 1.2, (tasks, 1))
    seconds = np.broadcast_to([5.0, 20.0, 10.0], (tasks, 3))
    outcomes = Outcomes(
        "log", "here", names, MODELS, attempts, rng.binomial(8, success), cost, seconds, known, (), "USD", ""
    )
    return MeasuredGame(replace(outcomes, **changes), MODELS, 2.0, 1.5, second_price=0.02, horizon=4)


@pytest.fixture(scope="module")
def advice() -> Any:
    return advise(measured(), FAST, "served_by")


def _names(test: Any) -> Any:
    return test.features.index


def costs_by_hand(test: Any, models: Any, stop: int) -> Any:
    """What each test task costs when one model serves all attempts until users stop, added up attempt by attempt."""
    games, found = test.traffic.games, np.zeros(len(test))
    for kind, task in enumerate(test.traffic.context):
        left, model = 1.0, models[task]
        for _ in range(stop):
            found[task] += left * games.cost[kind, model] / 3
            left *= 1 - games.success[kind, model]
        found[task] += left * games.churn_penalty[kind] / 3
    return found


def test_the_best_is_chosen_where_knobs_are(advice: Any) -> None:
    assert {(one.name, one.rule) for one in advice.judged} == {
        ("best single model", "own"),
        *((name, rule) for name in FAST[1:] for rule in ("own", "user-aware")),
    }
    assert all((one.knows, one.chosen_by) == ("estimated", "cost") for one in advice.judged)
    assert advice.best.validation_cost == min(one.validation_cost for one in advice.judged)
    assert advice.best.name in FAST[1:]


def test_what_is_saved_is_what_was_judged(advice: Any, tmp_path: Any) -> None:
    save_router(advice.saved, tmp_path / "router.npz")
    for saved in (advice.saved, load_router(tmp_path / "router.npz")):
        table = advice.parts.test.features.astype(str)
        assert answered(advice.parts.test.traffic, saved.policy(table), 4) == advice.best.answer
    assert isinstance(advice.saved.aware, UserAware) == (advice.best.rule == "user-aware")


def test_own_rules_are_saved_as_judged() -> None:
    game = measured(40)
    for name in ("random", "RouteMoA"):
        found = advise(game, [name], seed=2)
        own = next(one for one in found.judged if one.rule == "own")
        saved = replace(found.saved, aware=None, knob=own.knob, reprompt=own.reprompt)
        test = found.parts.test.extended(saved.router)
        assert answered(test.traffic, saved.policy(test.features), 4) == own.answer


def test_what_serves_today_and_the_best_single_model_are_evaluated_exactly(advice: Any) -> None:
    test = advice.parts.test
    served = measured().outcomes.features
    assert served is not None
    today = [MODELS.index(name) for name in served["served_by"].loc[_names(test)]]
    assert len(set(today)) == 3
    single = [MODELS.index(advice.single.name)] * len(test)
    own = answered(test.traffic, advice.saved.policy(test.features), 4)
    (stop,), payoffs = counting_response(test.traffic, advice.saved.policy(test.features), 4)
    assert payoffs.provider_cost[0, stop - 1] == own.provider_cost
    for models, rival in ((today, advice.current), (single, advice.single)):
        costs = costs_by_hand(test, models, rival.answer.stop)
        assert rival.answer.provider_cost == pytest.approx(costs.mean())
        assert rival.saved == pytest.approx(costs.mean() - own.provider_cost)
        assert rival.share == pytest.approx(rival.saved / costs.mean())
        assert rival.saved > 2 * rival.error > 0


def payoff_by_hand(traffic: Any, models: Any, stop: int) -> tuple[float, float]:
    """What a ladder, the same for all tasks, costs and is worth to users, added up attempt by attempt."""
    games, left, cost, utility = traffic.games, np.ones(len(traffic)), 0.0, 0.0
    for attempt in range(stop):
        model = models[min(attempt, len(models) - 1)]
        p = games.success[:, model]
        cost += traffic.weight @ (left * games.cost[:, model])
        utility += traffic.weight @ (left * (games.value * p - games.latency[:, model]))
        left = left * (1 - p)
    return float(cost + traffic.weight @ (left * games.churn_penalty)), float(utility)


def cost_by_hand(traffic: Any, models: Any) -> float:
    """What it costs where users stop when that is worth most to them; ties are for the provider."""
    worth = [payoff_by_hand(traffic, models, stop) for stop in range(1, 5)]
    best = max(utility for _, utility in worth)
    return min(cost for cost, utility in worth if utility >= best - 1e-12)


def test_the_best_fixed_ladder_is_the_best_of_all_and_judged_on_other_tasks() -> None:
    game = measured(200)
    found = advise(game, FAST[:1])
    fixed, parts = found.fixed, found.parts
    models = [MODELS.index(name) for name in fixed.models]
    assert len(set(models)) > 1
    assert fixed.answer.provider_cost == pytest.approx(cost_by_hand(parts.test.traffic, models))
    assert fixed.validation_cost == pytest.approx(cost_by_hand(parts.validation.traffic, models))
    every = [cost_by_hand(parts.validation.traffic, ladder) for ladder in product(range(3), repeat=4)]
    assert fixed.validation_cost == pytest.approx(min(every))
    # One model, as the only router here serves, costs more than two in turn.
    assert fixed.saved < -2 * fixed.error


def test_knowing_the_task_brings_nothing_where_features_say_nothing() -> None:
    game = measured(200)
    known = pd.DataFrame({"size": np.random.default_rng(1).normal(size=200)}, index=list(game.outcomes.tasks))
    found = advise(measured(200, features=known), FAST)
    assert found.single.saved > 2 * found.single.error
    assert abs(found.fixed.saved) <= 2 * found.fixed.error
    told = advise(game, FAST)
    assert told.fixed.saved > 2 * told.fixed.error


def test_who_serves_which_attempt_is_counted_over_tasks_and_ladders(advice: Any) -> None:
    test = advice.parts.test
    policy, games = advice.saved.policy(test.features), test.traffic.games
    assert isinstance(policy, Commitment)
    made = np.zeros((advice.best.answer.stop, 3))
    for kind, task in enumerate(test.traffic.context):
        asked = policy.start[task]
        for attempt in made:
            attempt += asked
            asked = (asked * (1 - games.success[kind])) @ policy.transition[task]
    np.testing.assert_allclose(advice.served, made / made.sum(axis=1, keepdims=True), atol=1e-12)
    assert 0 < advice.served[0].max() < 1
    in_turn = of_routers._served(test, Ladders.switch(0, 2, 1), 3)
    np.testing.assert_allclose(in_turn, np.eye(3)[[0, 2, 2]], atol=1e-12)


def test_the_error_is_that_of_the_mean_over_tasks() -> None:
    # With a single attempt the best router is the best single model, whatever would serve re-prompts.
    game = replace(measured(), horizon=1)
    found = advise(game, ["best single model"], "served_by")
    test, served = found.parts.test, game.outcomes.features
    assert served is not None
    assert found.current is not None
    single = costs_by_hand(test, [MODELS.index(found.single.name)] * len(test), 1)
    today = [MODELS.index(name) for name in served["served_by"].loc[_names(test)]]
    less = costs_by_hand(test, today, 1) - single
    assert found.single.saved == pytest.approx(0, abs=1e-12)
    assert found.current.saved == pytest.approx(less.mean())
    assert found.current.error == pytest.approx(np.std(less, ddof=1) / np.sqrt(len(less)))


def test_routers_do_not_see_what_serves_today(advice: Any) -> None:
    assert advice.saved.encoder.columns == ["size", "kind"]
    assert advise(measured(40), FAST[:1]).saved.encoder.columns == ["size", "kind", "served_by"]
    known = measured(40).outcomes.features
    assert known is not None
    alone = advise(measured(40, features=known[["served_by"]]), FAST[:1], "served_by")
    assert alone.saved.encoder.columns == []
    assert alone.current is not None


def test_what_is_assumed_is_the_best_only_if_it_is_asked_for() -> None:
    assert {name for name in ROUTERS if isinstance(ROUTERS[name](), ExtendingRouter)} == set(_ASSUMED)
    game = replace(measured(20), horizon=2)
    two = ["random", "RouteMoA"]
    assert advise(game, two).best.name == "RouteMoA"
    assert advise(game, two, assuming=False).best.name == "random"
    assert advise(game, two[1:], assuming=False).best.name == "RouteMoA"


def test_progress_is_told() -> None:
    told: list[Any] = []
    advise(measured(10), FAST[:2], progress=lambda *one: told.append(one))
    assert told == [(0, 2, FAST[0]), (1, 2, FAST[1]), (2, 2, "")]


def test_five_tasks_are_enough_and_have_no_error() -> None:
    found = advise(measured(5), FAST[:1])
    assert isinstance(found.single.answer, Answered)
    assert found.single.error is None
    with pytest.raises(ConfigError, match="tasks: 4 are not allowed; expected at least 5"):
        advise(measured(4), FAST[:1])


@pytest.mark.parametrize(
    ("column", "names", "message"),
    [
        ("model", None, "current: 'model' is not a column of the features; expected one of kind, size, served_by"),
        ("served_by", "gpt-9", "current: served_by of task t.*: 'gpt-9' is no model; expected one of quick, careful"),
        ("served_by", "unknown", "current: served_by of task t.*: 'unknown' is no model"),
    ],
)
def test_a_current_column_names_models(column: str, names: str | None, message: str) -> None:
    known = measured(10).outcomes.features
    assert known is not None
    if names:
        known["served_by"] = names
    with pytest.raises(ConfigError, match=message):
        advise(measured(10, features=known), FAST[:1], column)


def test_features_and_two_models_are_needed() -> None:
    with pytest.raises(ConfigError, match="current: 'served_by' is not a column of the features; expected features"):
        advise(measured(10, features=None), FAST[:1], "served_by")
    with pytest.raises(ConfigError, match="models: quick is not allowed; expected at least 2"):
        advise(replace(measured(10), labels=("quick",)), FAST[:1])


def test_that_there_are_fewer_groups_of_tasks_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(*given: Any, **named: Any) -> Any:
        warnings.warn("5 distinct clusters, smaller than n_clusters (7)", ConvergenceWarning, stacklevel=2)
        return judge(*given, **named)

    monkeypatch.setattr(of_routers, "judge", warned)
    # A warning that is not caught is an error in all tests.
    assert advise(measured(10), FAST[:1]).judged
