"""Advice on a table of models: one answer, what would change it, what users lose by it, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from stackroute.analytic import (
    Commitment,
    Population,
    solve,
    solve_population,
    success_probability,
)
from stackroute.configs.games import DisplayUnits
from stackroute.training.cli.answers import Answer, Question, answer
from stackroute.training.cli.quantities import record, units
from stackroute.training.market.alternatives import best_cascade, dominated, never_needed, single_models
from stackroute.training.market.market import config_of
from stackroute.training.market.robustness import certainty
from stackroute.training.market.second_tries import CORRELATION, correlated
from stackroute.training.market.thresholds import retries_of, serving_in_words, servings, thresholds

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.configs import GameConfig
    from stackroute.configs.tables import ModelTable
    from stackroute.training.market.alternatives import Cascade, SingleModels
    from stackroute.training.market.market import Scenario
    from stackroute.training.market.robustness import Certainty
    from stackroute.training.market.second_tries import Correlated
    from stackroute.training.market.thresholds import Serving, Thresholds

SAME = 1e-9
"""Amounts that differ by less than this share are the same."""


class UserType(NamedTuple):
    """A type of users: its name, its share, and what it is like."""

    name: str
    share: float
    scenario: Scenario


class _Optimum(NamedTuple):
    """What is committed to, and what comes of it for each type of users, arrays of shape (m,)."""

    commitment: Commitment
    patience: FloatArray
    provider_cost: float
    user_utility: FloatArray


@dataclass(frozen=True, eq=False)
class TableAdvice:
    """Advice on a table of models in a scenario.

    Attributes:
        table: The models.
        scenario: What users and provider are like.
        routing: What the provider may commit to.
        users: Types of users, in the place of the scenario's.
    """

    table: ModelTable
    scenario: Scenario
    routing: Routing = "free"
    users: tuple[UserType, ...] = ()

    @cached_property
    def config(self) -> GameConfig:
        """The models as a game in the scenario."""
        return config_of(self.table.name, self.table.models, self.table, self.scenario)

    @cached_property
    def game(self) -> Game:
        """The game itself."""
        return self.config.game

    @property
    def unit(self) -> DisplayUnits:
        """Its units."""
        return DisplayUnits.of(self.config)

    @cached_property
    def population(self) -> Population | None:
        """The types of users; a unit of the game's latency is what waiting costs users of the scenario."""
        if not self.users:
            return None
        waiting, value, penalty, _ = zip(*(one.scenario for one in self.users), strict=True)
        return Population(
            value, np.array(waiting) / self.scenario.waiting_cost, penalty, [one.share for one in self.users]
        )

    @cached_property
    def by_type(self) -> tuple[Game, FloatArray]:
        """What the game is to each type of users, shape (m,), and their shares."""
        if self.population is None:
            return self.game[None], np.ones(1)
        return self.population.games(self.game), self.population.share

    @cached_property
    def found(self) -> Answer:
        """The answer for the users of the scenario."""
        return answer(self.config, Question(self.routing))

    @cached_property
    def optimum(self) -> _Optimum:
        """The answer for all users."""
        if self.population is None:
            best = self.found.equilibrium
            return _Optimum(best.commitment, best.patience[None], self.found.provider_cost, best.user_utility[None])
        several = solve_population(self.game, self.population)
        return _Optimum(several.commitment, several.stays.astype(float), several.provider_cost, several.user_utility)

    @cached_property
    def serving(self) -> Serving:
        """Who serves and who stays."""
        made = self.optimum.commitment[None]
        return servings(made.start, retries_of(made), self.optimum.patience[None] > 0.0)[0]

    @cached_property
    def leave(self) -> float:
        """The share of tasks that are abandoned."""
        games, share = self.by_type
        solved = success_probability(games, self.optimum.commitment, self.optimum.patience)
        # Who re-prompts until the end loses no task but to rounding.
        lost: float = float(share @ np.where(self.optimum.patience == 1.0, 0.0, 1.0 - solved))
        return lost

    @cached_property
    def limits(self) -> list[Thresholds]:
        """Within which the answer is the same."""
        return thresholds(self.game, self.routing, self.population)

    @cached_property
    def dominated(self) -> dict[str, str]:
        """Dominated models, and by which."""
        return {self.labels[k]: self.labels[by] for k, by in dominated(self.game).items()}

    @cached_property
    def never_needed(self) -> list[str]:
        """Models that serve nobody, whatever users are like."""
        never: BoolArray = never_needed(self.game)
        return [label for label, off in zip(self.labels, never, strict=True) if off]

    @cached_property
    def hull(self) -> list[str]:
        """Models that may serve retries of users who stay."""
        kept = solve(self.game, "free").hull.tolist()
        return [label for label, on in zip(self.labels, kept, strict=True) if on]

    @property
    def labels(self) -> tuple[str, ...]:
        """The models."""
        return self.config.labels

    @property
    def retries(self) -> dict[str, float]:
        """By whom retries are served, with their shares, if any are made."""
        if not any(self.serving.stays):
            return {}
        commitment = self.optimum.commitment
        moves = commitment.transition[commitment.first_model].tolist()
        return {label: share for label, share in zip(self.labels, moves, strict=True) if share > SAME}

    @cached_property
    def singles(self) -> SingleModels:
        """Each model alone."""
        return single_models(*self.by_type)

    @property
    def is_single(self) -> bool:
        """Whether one model serves everything."""
        first, retries, _ = self.serving
        return len(first) == 1 and retries in (first, ())

    @property
    def other_single(self) -> int | None:
        """The best single model that is not the answer, None where there is no other."""
        cost = self.singles.provider_cost.copy()
        if self.is_single:
            cost[self.serving.first[0]] = np.inf
        return int(cost.argmin()) if np.isfinite(cost).any() else None

    @cached_property
    def cascade(self) -> Cascade | None:
        """The best cascade of two, None where there is none or there are types of users."""
        return None if self.users else best_cascade(self.game)

    @cached_property
    def certainty(self) -> Certainty | None:
        """How sure the answer is, None where that is not known."""
        return certainty(self.table.models, self.config, self.routing, self.population)

    @cached_property
    def correlated(self) -> Correlated | None:
        """What is best if attempts depend on each other, None where there are types of users."""
        return None if self.users else correlated(self.game, self.optimum.commitment)

    @property
    def second_ratios(self) -> FloatArray | None:
        """How much more often second tries succeed, by model, shape (n,); None where none was measured.

        A model without has the median of the others.
        """
        both = [(model.second_success, model.success) for model in self.table.models]
        ratios = np.array([np.nan if second is None else second / first for second, first in both])
        if np.isnan(ratios).all():
            return None
        return np.where(np.isnan(ratios), np.nanmedian(ratios), ratios)


def contents_of(advice: TableAdvice) -> dict[str, Any]:
    """The advice for programs."""
    best, labels, share = advice.optimum, advice.labels, advice.by_type[1]
    other, cascade, sure, correlation = advice.other_single, advice.cascade, advice.certainty, advice.correlated
    contents: dict[str, Any] = {
        "table": advice.table.name,
        "routing": advice.routing,
        "scenario": _numbers(advice.scenario),
        "first": labels[best.commitment.first_model],
        "retries": advice.retries,
        "cost": best.provider_cost,
        "user_utility": float(share @ best.user_utility),
        "leave": advice.leave,
        "dominated": advice.dominated,
        "hull": advice.hull,
        "never_needed": advice.never_needed,
        "second_best": {
            "single_model": other
            if other is None
            else {"model": labels[other], "cost": float(advice.singles.provider_cost[other])},
            "cascade": cascade
            and {
                "model": labels[cascade.first],
                "then": labels[cascade.then],
                "cascade": cascade.probability,
                "cost": cascade.provider_cost,
            },
        },
        "thresholds": {one.name: _limits(one, advice) for one in advice.limits},
        "certainty": sure and {"draws": sure.draws, "in_order": sure.in_order, "same": sure.same},
    }
    if advice.users:
        contents["users"] = {
            one.name: _numbers(one.scenario)
            | {"share": one.share, "stays": bool(patience), "user_utility": float(utility)}
            for one, patience, utility in zip(advice.users, best.patience, best.user_utility, strict=True)
        }
    else:
        whole = record(advice.found)
        contents |= {name: whole[name] for name in ("misalignment", "throttling_gain", "driving_off")}
    if correlation is not None:
        contents["correlated"] = {
            "correlation": CORRELATION,
            "stop": int(correlation.best.stop[0]),
            "cost": float(correlation.best.provider_cost[0]),
            "leave": correlation.abandoned,
            "answer": {"cost": correlation.cost_of_independent, "leave": correlation.abandoned_by_independent},
        }
    return contents | {"understood": advice.table.understood, "rejected": [vars(row) for row in advice.table.rejected]}


def _numbers(scenario: Scenario) -> dict[str, float]:
    return {name: number for name, number in scenario._asdict().items() if name != "money"}


def _limits(limits: Thresholds, advice: TableAdvice) -> dict[str, float | None]:
    factor = advice.scenario.waiting_cost if limits.name == "waiting_cost" and not advice.users else 1.0
    ends = {"now": limits.now, "low": limits.low and limits.low.at, "high": limits.high and limits.high.at}
    # As accurate as they were searched for.
    return {name: None if end is None else float(f"{end * factor:.9g}") for name, end in ends.items()}


def policies_of(advice: TableAdvice) -> pd.DataFrame:
    """The answer, the best cascade, and each model alone, as a table."""
    share, best = advice.by_type[1], advice.optimum
    money, singles = advice.unit.money or "money", advice.singles
    cost, worth, left = f"cost of a task ({money})", f"utility of a task ({money})", "tasks abandoned (share)"
    rows: list[dict[str, Any]] = [
        {
            "policy": serving_in_words(advice.serving, advice.labels),
            "kind": "the answer",
            cost: best.provider_cost,
            worth: float(share @ best.user_utility),
            left: advice.leave,
        }
    ]
    for k, model in enumerate(advice.table.models):
        rows.append(
            {
                "policy": model.label,
                "kind": "single model",
                cost: float(singles.provider_cost[k]),
                worth: float(singles.user_utility[k]),
                left: float((1.0 - singles.stays[k]) * (1.0 - model.success)),
                "success of a pass (share)": model.success,
                f"cost of a pass ({money})": model.cost,
                "latency of a pass (s)": model.latency,
                "dominated by": advice.dominated.get(model.label, ""),
            }
        )
    table = pd.DataFrame(rows)
    return table.sort_values([cost, "kind"], ascending=[True, False], kind="stable", ignore_index=True).fillna(
        {"dominated by": ""}
    )


def thresholds_of(advice: TableAdvice) -> pd.DataFrame:
    """Within which limits the answer is the same, P* and the misalignment gap, as a table."""
    contents = contents_of(advice)
    unit = units(advice.unit, contents)
    factor = "times as given" if advice.users else ""
    rows: list[dict[str, Any]] = []
    for limits in advice.limits:
        ends = contents["thresholds"][limits.name]
        row = {"quantity": limits.name, "unit": factor or unit[limits.name], "now": ends["now"]}
        for side, change in (("below", limits.low), ("above", limits.high)):
            row[side] = ends["low" if side == "below" else "high"]
            row[f"answer {side}"] = serving_in_words(change.serving, advice.labels) if change else "no change"
        rows.append(row)
    if not advice.users:
        driven = contents["driving_off"]
        rows.append(
            {
                "quantity": "churn_penalty, P*",
                "unit": unit["churn_penalty"],
                "now": advice.scenario.churn_penalty,
                "below": driven and driven["churn_penalty_high"],
                "answer below": "users are driven off" if driven else "no change",
            }
        )
        gap = contents["misalignment"]
        rows.append({"quantity": "misalignment gap", "unit": unit["gap"], "now": gap["gap"]})
    return pd.DataFrame(rows)


def configs_of(advice: TableAdvice) -> list[GameConfig]:
    """The models as a game, or one for each type of users."""
    if not advice.users:
        return [advice.config]
    return [config_of(one.name, advice.table.models, advice.table, one.scenario) for one in advice.users]
