"""Routers against users who react: fitted on a part of a workload, the knob chosen on another, judged on the last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.agents.routers import (
    ROUTERS,
    OnlineRouter,
    OracleRouter,
    Prediction,
    Predictor,
    RouterProvider,
    UserAware,
    cross_predicted,
)
from stackroute.agents.routers.provider import reprompting
from stackroute.analytic import Traffic, counting_response, solve_traffic, solved_share, stationary_response
from stackroute.training.routers.metrics import KNOBS, single_answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from stackroute.agents.routers import Router
    from stackroute.agents.routers.provider import Reprompt
    from stackroute.analytic import Commitment, Ladders, TrafficEquilibrium
    from stackroute.training.routers.workload import Parts, Workload

    Rule = Literal["own", "user-aware", "user-aware lottery"]
    Knows = Literal["estimated", "true"]
    ChosenBy = Literal["cost", "single answers"]
    Policy = Ladders | Commitment

ORACLE = "oracle"
"""The router that knows the success of every task."""


_FEWER = 4


class Answered(NamedTuple):
    """How users who react answer a policy.

    Attributes:
        provider_cost: The provider's expected cost of a task where users count failures, money.
        user_utility: The expected utility of a task of users who do.
        leave: The share of tasks that they abandon.
        stop: After how many failures.
        first_success: The share of first answers that are right.
        stationary_cost: The provider's expected cost where users have the same patience after every failure, money.
        stationary_utility: The expected utility of such users.
        patience: Their probability of re-prompting.
    """

    provider_cost: float
    user_utility: float
    leave: float
    stop: int
    first_success: float
    stationary_cost: float
    stationary_utility: float
    patience: float


def answered(traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12) -> Answered:
    """How users answer a policy on tasks, exactly.

    Args:
        traffic: The tasks.
        policy: What the provider does in each context.
        horizon: The most attempts.
    """
    (stop,), found = counting_response(traffic, policy, horizon)
    solved = solved_share(traffic, policy, horizon)[0]
    stationary = stationary_response(traffic, policy, horizon)
    return Answered(
        float(found.provider_cost[0, stop - 1]),
        float(found.user_utility[0, stop - 1]),
        1.0 - float(solved[stop - 1]),
        int(stop),
        float(solved[0]),
        float(stationary.provider_cost[0]),
        float(stationary.user_utility[0]),
        float(stationary.patience[0]),
    )


class Judged(NamedTuple):
    """A way to route, its knob chosen, on the tasks that it has not seen.

    Attributes:
        name: The router.
        rule: Whether it goes by its own rule, or what it expects is used by the user-aware rule.
        knows: Whether success is what the router expects or what is true of each task: what wrong estimates cost.
        chosen_by: Whether the knob is that of the least provider's cost with users who react, or that of the
            literature: the cheapest that answers as well as the best single model.
        knob: The knob; for the user-aware rule what is added to the price of patience (`UserAware.price_`).
        reprompt: What serves re-prompts, where the rule itself does not say.
        validation_cost: The provider's expected cost of a task on the part on which knobs are chosen, money.
        answer: How users answer on the last part.
        aware: The user-aware rule, fitted.
    """

    name: str
    rule: Rule
    knows: Knows
    chosen_by: ChosenBy
    knob: float
    reprompt: Reprompt | None
    validation_cost: float
    answer: Answered
    aware: UserAware | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A router that has learned from the first part of a workload.

    Attributes:
        name: Its name.
        router: The router.
        expected: What it expects of the tasks that it learned from, each from the others; None: it does not predict.
    """

    name: str
    router: Router
    expected: Prediction | None


def fit_router(name: str, parts: Parts, seed: int) -> Fitted:
    """Fit a router on the first part of a workload.

    Args:
        name: One of `stackroute.agents.routers.ROUTERS`, or "oracle".
        parts: The workload.
        seed: Of the random numbers.
    """
    log, rng = parts.train.log(parts.features[0]), np.random.default_rng(seed)
    if name == ORACLE:
        return Fitted(name, OracleRouter(parts.train.truth).fit(log, rng), None)
    router = ROUTERS[name]().fit(log, rng)
    expected = cross_predicted(lambda: _predictor(name), log, rng) if isinstance(router, Predictor) else None
    return Fitted(name, router, expected)


def _predictor(name: str) -> Predictor:
    made = ROUTERS[name]()
    assert isinstance(made, Predictor)
    return made


def with_economics(parts: Parts, value: float, churn_penalty: float) -> Parts:
    """The same tasks in another economy."""

    def changed(workload: Workload) -> Workload:
        games = workload.traffic.games
        priced = type(games)(games.success, games.cost, games.latency, value, churn_penalty)
        return replace(workload, traffic=Traffic(priced, workload.traffic.weight, workload.traffic.context))

    train, validation, test = map(changed, parts[:3])
    return parts._replace(train=train, validation=validation, test=test)


def judge(fitted: Fitted, parts: Parts, seed: int, horizon: int = 12, for_use: bool = False) -> list[Judged]:
    """All ways to route by a router: its own rule with either knob, and where it predicts the user-aware ones.

    Where it predicts, its own rule is also given the true success of every task in place of what it expects. What the
    user-aware rule makes of the truth, of the types of every task, is what the oracle makes.

    Args:
        fitted: The router.
        parts: The workload.
        seed: Of the random numbers.
        horizon: The most attempts.
        for_use: Only the ways that may be used: by ladders or its own rule, on what it expects, the knob by cost.
    """
    router, oracle = fitted.router, fitted.name == ORACLE
    extended = [workload.extended(router) for workload in parts[:3]]
    true = [workload.truth for workload in extended]
    train, validation, test = (workload.traffic for workload in extended)
    order = extended[0].order

    usual: list[Reprompt] = ["redraw", "escalate"]

    def judged(
        rule: Rule,
        knows: Knows,
        chosen_by: ChosenBy,
        knob: float,
        reprompt: Reprompt | None,
        policy: Callable[[int], Policy],
        aware: UserAware | None = None,
    ) -> Judged:
        cost, answer = _cost(validation, policy(1), horizon), answered(test, policy(2), horizon)
        return Judged(fitted.name, rule, knows, chosen_by, knob, reprompt, cost, answer, aware)

    def by_truth(part: int, knob: float, reprompt: Reprompt) -> Policy:
        assert isinstance(router, Predictor)
        return reprompting(router.choose(true[part], knob), reprompt, order)

    def by_router(part: int, knob: float, reprompt: Reprompt) -> Policy:
        return RouterProvider(router, knob, parts.features[part], reprompt, order).policy

    def own(knows: Knows, policy: Callable[[int, float, Reprompt], Policy], online: bool = False) -> Judged:
        tried = list(product(KNOBS.tolist(), usual))
        if online:
            # What it learns is followed task by task, which takes long.
            tried += [(knob, "update") for knob in KNOBS[::_FEWER].tolist()]
        costs = [_cost(validation, policy(1, *one), horizon) for one in tried]
        knob, reprompt = tried[int(np.argmin(costs))]
        return judged("own", knows, "cost", knob, reprompt, lambda part: policy(part, knob, reprompt))

    def aware(rule: Rule, knows: Knows, expected: list[Prediction]) -> Judged:
        made = UserAware(horizon=horizon, rule="lottery" if rule == "user-aware lottery" else "ladders")
        made.fit(expected[0].success, train, np.random.default_rng(seed))
        made.tune(expected[1].success, validation, types_known=oracle)
        price = float(made.price_)

        def policy(part: int) -> Policy:
            return made.policy(expected[part].success, extended[part].traffic if oracle else None)

        return judged(rule, knows, "cost", price, None, policy, made)

    if oracle:
        return [own("true", by_truth), aware("user-aware", "true", true)]
    found = [own("estimated", by_router, isinstance(router, OnlineRouter))]
    if not for_use:
        once = single_answers(router, parts.features[1], true[1]).knob
        by_literature = partial(by_router, knob=once, reprompt="redraw")
        found.insert(0, judged("own", "estimated", "single answers", once, "redraw", by_literature))
    if fitted.expected is not None and isinstance(router, Predictor):
        expected = [fitted.expected, *(router.predict(features) for features in parts.features[1:])]
        found.append(aware("user-aware", "estimated", expected))
        if not for_use:
            found.insert(2, own("true", by_truth))
            found.append(aware("user-aware lottery", "estimated", expected))
    return found


def _cost(traffic: Traffic, policy: Ladders | Commitment, horizon: int) -> float:
    (stop,), found = counting_response(traffic, policy, horizon)
    return float(found.provider_cost[0, stop - 1])


def least_cost(workload: Workload, horizon: int = 12) -> TrafficEquilibrium:
    """The optimum of a provider that knows the types of every task, and only not which of them it is: a lower bound.

    Args:
        workload: The tasks, of up to 4 models.
        horizon: The most attempts.
    """
    return solve_traffic(workload.traffic, horizon)
