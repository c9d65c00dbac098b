"""Routers in the benchmark: each is fitted once to a workload that a seed divides, and judged in every economy."""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stackroute.agents.routers import ROUTERS
from stackroute.analytic import Pricing, traffic_payoffs
from stackroute.analytic.traffic import Ladders
from stackroute.configs import ConfigError
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.outcome_files import read_outcomes
from stackroute.training.benchmark.running import Unit
from stackroute.training.learn.session import derived_seed
from stackroute.training.routers.comparison import ORACLE, answered, fit_router, judge, least_cost, with_economics
from stackroute.training.routers.metrics import KNOBS, single_answers
from stackroute.training.routers.workload import divided, measured_workload, synthetic_workload

if TYPE_CHECKING:
    from stackroute.configs.benchmarks import Economy, RoutedTasks, Suite
    from stackroute.training.routers.comparison import Answered, Fitted, Judged
    from stackroute.training.routers.workload import Parts, Workload

OPTIMUM = "optimum"
"""A provider that knows the types of every task: a lower bound, from which losses are counted."""

SINGLE_ANSWERS = "single answers"
"""The line of what single answers cost, by knob."""

_SUMMARIES = {
    ORACLE: "Knows how often each model is right on each task.",
    OPTIMUM: "The least cost of a provider that knows the types of every task, and the price of users' patience.",
}
_PRELOAD = ("stackroute.training.routers.units", "torch._dynamo")
_STOPS = (1, 2, 3, 4, 6, 8, 12)
_UTILITY_PRICES = (0.0, *np.geomspace(0.01, 30.0, 10).tolist())
"""At which the frontier is found, in units of P / V."""


class Way(NamedTuple):
    """A way to route in an economy, as groups of results are named.

    Attributes:
        economy: The economy.
        rule: As of `Judged`; "optimum" for the lower bound.
        knows: As there.
        chosen_by: As there.
    """

    economy: str
    rule: str
    knows: str
    chosen_by: str

    @classmethod
    def named(cls, group: str) -> Way:
        """That of a group."""
        return cls(*group.split("/"))

    @property
    def group(self) -> str:
        """The name of its group."""
        return "/".join(self)


@dataclass(frozen=True)
class Entry:
    """A router, the oracle or the optimum, and what it is in a line."""

    name: str
    summary: str


@dataclass(frozen=True, eq=False)
class RoutingTask:
    """A workload in several economies."""

    name: str
    workload: Workload
    economics: tuple[Economy, ...]
    penalty_ratio: float | None = None

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    @functools.cached_property
    def content(self) -> Any:
        """Its tasks as a hash, and its economics."""
        made, found = self.workload, hashlib.sha256()
        games = made.traffic.games
        arrays = (made.quality, games.success, games.cost, games.latency, made.traffic.weight, made.traffic.context)
        for array in (*arrays, *made.truth):
            found.update(np.ascontiguousarray(array).tobytes())
        known = "" if made.features is None else made.features.to_csv()
        return found.hexdigest(), known, made.labels, [economy.model_dump() for economy in self.economics]


@dataclass(frozen=True)
class RouterUnit(Unit):
    """A router, a workload, the seed that divides it and of which the router learns, and the most attempts."""

    entrant: Entry
    task: RoutingTask

    @property
    def content(self) -> Any:
        """Tasks, economics and router."""
        return self.task.name, self.task.content, self.entrant.name

    @property
    def preload(self) -> tuple[str, ...]:
        """What nearly all routers import, for seconds."""
        return _PRELOAD

    def measured(self) -> dict[str, Any]:
        """The router learns here."""
        begun = time.process_time()
        parts = divided(self.task.workload, np.random.default_rng(derived_seed(self.seed, self.task.name)))
        measure = self._optimum if self.entrant.name == OPTIMUM else self._judged
        found = measure(parts)
        found["totals"]["seconds"] = time.process_time() - begun
        return found

    def _judged(self, parts: Parts) -> dict[str, Any]:
        fitted = fit_router(self.entrant.name, parts, self.seed)
        groups, knob = {}, math.nan
        for economy in self.task.economics:
            priced = with_economics(parts, economy.value, economy.churn_penalty)
            for one in judge(fitted, priced, self.seed, self.horizon):
                groups[Way(economy.name, one.rule, one.knows, one.chosen_by).group] = _metrics(one)
                knob = one.knob if one.chosen_by == SINGLE_ANSWERS else knob
        if self.entrant.name == ORACLE:
            return {"groups": groups, "totals": {}}
        return {"groups": groups, **_single_answers(fitted, parts, knob)}

    def _optimum(self, parts: Parts) -> dict[str, Any]:
        groups, lines = {}, {}
        for economy in self.task.economics:
            test = with_economics(parts, economy.value, economy.churn_penalty).test
            found = least_cost(test, self.horizon)
            answer = answered(test.traffic, found.policy, self.horizon)
            # Users may be indifferent, which rounding must not decide.
            exact = {"provider_cost": float(found.provider_cost[0]), "user_utility": float(found.user_utility[0])}
            groups[Way(economy.name, OPTIMUM, "true", "cost").group] = _numbers(answer) | exact
            lines[economy.name] = _frontier(test, self.horizon, economy)
        return {"groups": groups, "totals": {}, "lines": lines}


def _numbers(answer: Answered) -> dict[str, float]:
    return {name: float(value) for name, value in answer._asdict().items()}


def _metrics(one: Judged) -> dict[str, float]:
    return {**_numbers(one.answer), "validation_cost": one.validation_cost, "knob": one.knob}


def _single_answers(fitted: Fitted, parts: Parts, knob: float) -> dict[str, Any]:
    """The literature's metrics on the test part, the share of the strong model at a knob, and the curve."""
    test = parts.test.extended(fitted.router)
    found = single_answers(fitted.router, parts.features[2], test.truth)
    at = int(np.abs(KNOBS - knob).argmin())
    totals = {
        "improvement": found.improvement,
        "relative_cost": None if math.isnan(found.relative_cost) else found.relative_cost,
        "deferral_area": found.deferral_area,
        "strong_share": float(found.strong_share[at]),
    }
    curve = {"knob": KNOBS, "cost": found.cost, "quality": found.quality, "strong_share": found.strong_share}
    return {"totals": totals, "lines": {SINGLE_ANSWERS: {name: array.tolist() for name, array in curve.items()}}}


def _frontier(test: Workload, horizon: int, economy: Economy) -> dict[str, list[float]]:
    """What the ladders of least J(n) - mu U(n) are worth to both players, over n and mu, the stop n being given."""
    pricing, unit = Pricing(test.traffic, horizon), economy.churn_penalty / economy.value
    rows = []
    for stop in (n for n in _STOPS if n <= horizon):
        for price in _UTILITY_PRICES:
            chosen = pricing.ladders(stop, np.zeros(horizon), price * unit)
            ladders, ladder = np.unique(chosen, axis=0, return_inverse=True)
            policy = Ladders(ladders, np.eye(len(ladders))[ladder.reshape(-1)])
            worth = traffic_payoffs(test.traffic, policy, horizon)
            rows.append((stop, price, worth.user_utility[0, stop - 1], worth.provider_cost[0, stop - 1]))
    columns = ("stop", "utility_price", "user_utility", "provider_cost")
    return {name: [float(row[k]) for row in rows] for k, name in enumerate(columns)}


def entries() -> dict[str, Entry]:
    """All that can enter, by name."""
    described = {name: (inspect.getdoc(made) or "").split("\n")[0] for name, made in ROUTERS.items()}
    return {name: Entry(name, summary) for name, summary in {**described, **_SUMMARIES}.items()}


def router_units(suite: Suite) -> list[RouterUnit]:
    """All units of a suite of workloads.

    Raises:
        ConfigError: Outcomes, models or a router do not exist, or there are too few tasks.
    """
    known = entries()
    for name in suite.algorithms:
        if name not in known:
            raise ConfigError(f"algorithms: {name!r} is not allowed; expected one of {', '.join(known)}")
    tasks = [RoutingTask(one.name, _workload(one), tuple(one.economics)) for one in suite.workloads or ()]
    return [
        RouterUnit(known[name], task, seed, suite.horizon)
        for seed in suite.seeds
        for task in tasks
        for name in suite.algorithms
    ]


def _workload(asked: RoutedTasks) -> Workload:
    economy = asked.economics[0]
    if asked.synthetic is not None:
        made = asked.synthetic
        return synthetic_workload(
            made.tasks, made.kinds, made.models, economy.value, economy.churn_penalty, made.noise, made.seed
        )
    assert asked.outcomes is not None
    assert asked.models is not None
    outcomes = read_outcomes(asked.outcomes)
    try:
        return measured_workload(
            MeasuredGame(
                outcomes,
                tuple(asked.models),
                economy.value,
                economy.churn_penalty,
                cost=asked.cost,
                latency=asked.latency,
                second_price=asked.second_price,
            )
        )
    except ConfigError as error:
        raise ConfigError(f"workloads: {asked.name}: {error}") from None
