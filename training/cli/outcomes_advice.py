"""Advice on measured outcomes by task, where attempts are not independent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from stackroute.analytic import Ladders, Traffic, counting_response, solve, solve_traffic, solved_share
from stackroute.analytic.ladders import MOST_MODELS
from stackroute.configs import ConfigError
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.text import some_of
from stackroute.training.cli.display import in_per_cent
from stackroute.training.cli.measured import (
    MeasuredAnswer,
    answer_in_words,
    answer_measured,
    ladders_of,
    measured_game,
    outcomes_of,
    reasons_in_words,
    record_measured,
    serving_of_ladders,
    stops_in_words,
)
from stackroute.training.cli.quantities import with_units
from stackroute.training.cli.table_advice_in_words import limits_in_words, more_than, some
from stackroute.training.market.alternatives import dominated, never_needed
from stackroute.training.market.market import SECONDS_PER_HOUR, currency
from stackroute.training.market.redrawing import redrawn
from stackroute.training.market.report import Report
from stackroute.training.market.thresholds import Serving, Thresholds, nearest_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from stackroute.analytic import Game, TrafficEquilibrium
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.games import DisplayUnits
    from stackroute.configs.outcomes import Outcomes
    from stackroute.training.market.market import Scenario

_FACTORS = np.array([2.0, 4.0, 8.0, 16.0])
_EXACT = 0.01
_DRAWS = 20
_MOST_SEGMENTS = 40
_SAVES = 1e-6


class Draws(NamedTuple):
    """What comes of other draws of the tasks: how often the same models serve and users stop or go on, and the cost."""

    same: float
    cost: tuple[float, float]


@dataclass(frozen=True, eq=False)
class OutcomesAdvice:
    """Advice on measured outcomes.

    Attributes:
        game: Models on the measured tasks, in a scenario.
        scenario: What users and provider are like.
        column: The feature of tasks whose values are segments; None: none.
    """

    game: MeasuredGame
    scenario: Scenario
    column: str | None

    @cached_property
    def found(self) -> MeasuredAnswer:
        """The answer."""
        return answer_measured(self.game, throttling=False)

    @property
    def leave(self) -> float:
        """The share of tasks that are abandoned."""
        return 1.0 - self.found.solved(self.found.best.policy, self.found.stop)

    @cached_property
    def limits(self) -> list[Thresholds]:
        """Within which the answer is the same, to one per cent."""

        def served(name: str) -> Any:
            def several(at: FloatArray) -> Iterator[Serving]:
                for factor in at.tolist():
                    field = "latency" if name == "waiting_cost" else name
                    games = self.game.traffic.games
                    changed = games.with_valid(**{field: getattr(games, field) * factor})
                    yield self._serving(_with_games(self.game.traffic, changed))

            return several

        return [
            Thresholds(
                name,
                1.0,
                nearest_change(served(name), 1.0, 1.0 / _FACTORS, each_round=1, exact=_EXACT),
                nearest_change(served(name), 1.0, _FACTORS, each_round=1, exact=_EXACT),
                float(1.0 / _FACTORS[-1]),
                float(_FACTORS[-1]),
            )
            for name in ("value", "waiting_cost", "churn_penalty")
            if name != "churn_penalty" or self.scenario.churn_penalty
        ]

    def _serving(self, traffic: Traffic) -> Serving:
        return _serving_of(solve_traffic(traffic, self.game.horizon))

    @cached_property
    def sure(self) -> Draws:
        """The answers for draws of the tasks with replacement, each fitted anew: a bootstrap (Efron 1979)."""
        usual, generator = _serving_of(self.found.best), np.random.default_rng(0)
        best = [solve_traffic(redrawn(self.game, generator).traffic, self.game.horizon) for _ in range(_DRAWS)]
        low, high = np.quantile([float(one.provider_cost[0]) for one in best], [0.05, 0.95]).tolist()
        return Draws(sum(_serving_of(one) == usual for one in best) / _DRAWS, (low, high))

    @cached_property
    def segments(self) -> tuple[Traffic, TrafficEquilibrium] | None:
        """The tasks by the feature, which provider and users see, and the optimum for each of its values."""
        if self.column is None:
            return None
        seen = self.game.traffic_by(self.column)
        if len(seen.contexts) > _MOST_SEGMENTS:
            few = f"expected a column with at most {_MOST_SEGMENTS} values"
            raise ConfigError(f"segment: {self.column!r} has {len(seen.contexts)} values; {few}")
        traffic = Traffic(seen.games, seen.weight, group=np.array(seen.contexts)[seen.context])
        return traffic, solve_traffic(traffic, self.game.horizon)


def _with_games(traffic: Traffic, games: Game) -> Traffic:
    return Traffic(games, traffic.weight)


def _serving_of(best: TrafficEquilibrium) -> Serving:
    """Who serves the first attempt and later ones, and whether users make any."""
    stop, drawn = int(best.stop[0]), ladders_of(best)
    first = {int(models[0]) for models, _ in drawn}
    later = {int(k) for models, _ in drawn for k in models[1:stop]}
    return Serving(tuple(sorted(first)), tuple(sorted(later)), (stop > 1,))


def advise_on_outcomes(
    name: str, scenario: Scenario, given: Mapping[str, Any], reading: Mapping[str, Any], money: str | None = None
) -> Report:
    """Advice on measured outcomes in words and numbers.

    Args:
        name: As of `read_outcomes`.
        scenario: What users and provider are like.
        given: The options of outcomes that are given, by what they are called.
        reading: As of `read_outcomes`.
        money: The currency, by default what the file says, or USD.

    Raises:
        ConfigError: The outcomes cannot be read, or an option is missing or not allowed.
    """
    outcomes = outcomes_of(name, given, reading)
    _check_segment(outcomes, given.get("segment"))
    outcomes = replace(outcomes, money=currency(outcomes.name, money, outcomes.money))
    economy = {
        "value": f"{scenario.value!r}",
        "churn-penalty": f"{scenario.churn_penalty!r}",
        "second-price": f"{scenario.waiting_cost / SECONDS_PER_HOUR!r}",
    }
    options = {option: value for option, value in given.items() if option not in ("segment", "features")} | economy
    if "models" not in options:
        options["models"] = ",".join(_useful(outcomes, name, options))
    advice = OutcomesAdvice(measured_game(outcomes, name, options), scenario, given.get("segment"))
    return _report_on(advice)


def _check_segment(outcomes: Outcomes, segment: str | None) -> None:
    """Raise an error unless it is a feature of the tasks, or none."""
    columns = ["task", *([] if outcomes.features is None else outcomes.features)]
    if segment is not None and segment not in columns:
        raise ConfigError(
            f"segment: {segment!r} is not a feature of {outcomes.name}; expected one of {some_of(columns)}, or "
            "--features FILE with a column task and others (a log itself will do)"
        )


def _useful(outcomes: Outcomes, name: str, options: Mapping[str, Any]) -> list[str]:
    """Up to four models: those that serve if attempts are independent, then of those that might the cheapest."""
    for option in ("cost", "latency"):
        if option in options:
            raise ConfigError(f"models: missing; needed with {option}, whose numbers are theirs")
    if len(outcomes.models) <= MOST_MODELS:
        return list(outcomes.models)
    game = measured_game(outcomes, name, {**options, "models": ",".join(outcomes.models)}).mean.game
    commitment = solve(game, "free").commitment
    served = np.flatnonzero(commitment.start + commitment.transition[commitment.first_model])
    useful = np.flatnonzero(~never_needed(game))
    others = useful[np.argsort(game.cost_of_pass[useful], kind="stable")]
    return [outcomes.models[k] for k in list(dict.fromkeys([*served.tolist(), *others.tolist()]))[:MOST_MODELS]]


def _report_on(advice: OutcomesAdvice) -> Report:
    game, found, unit = advice.game, advice.found, advice.game.unit
    by = {game.labels[k]: game.labels[other] for k, other in dominated(game.mean.game).items()}
    useless = "Dominated on average, as another model succeeds as often, costs no more and takes no longer: "
    useless += some([f"{label} (by {other})" for label, other in by.items()]) + "."
    sections = [
        ("The answer", [*answer_in_words(found), useless if by else "No model is dominated on average."]),
        ("By segment", _segments(advice)),
        ("What would change it", _limits(advice)),
        ("What users would choose, and slowing down", _users_and_speed(advice)),
        ("How attempts depend, and simpler policies", reasons_in_words(found)),
        (
            "How sure it is",
            [_certainty(advice)],
        ),
    ]
    money = unit.money
    understood = game.outcomes.understood.replace(" in money", f" in {money}")
    introduction = [
        f"{', '.join(game.labels)} on {len(game.outcomes.tasks)} measured tasks. Source: {game.outcomes.source}.",
        f"Understood: {understood}.",
        f"Scenario, assumed and not measured: a solved task is worth {advice.scenario.value:g} {money} to users, an "
        f"hour of waiting costs them {advice.scenario.waiting_cost:g} {money}, and an abandoned task costs you "
        f"{advice.scenario.churn_penalty:g} {money}.",
    ]
    return Report(
        f"Advice on {game.name}",
        introduction,
        [(heading, sentences) for heading, sentences in sections if sentences],
        _policies(advice),
        with_units(unit, _contents(advice, by)),
        [game.mean],
        partial(_draw, game),
    )


def _certainty(advice: OutcomesAdvice) -> str:
    """What is the same on other draws of the tasks, and what a task then costs."""
    (low, high), stop = map(advice.game.unit.in_money, advice.sure.cost), advice.found.stop
    users = "go on after a failure" if stop > 1 else "give up after the first failed answer"
    return (
        f"Of {_DRAWS} draws of the tasks with replacement, each fitted anew, in {in_per_cent(advice.sure.same)} the "
        f"same models serve first and later attempts, and users {users}; how often each model serves, and how long "
        f"users go on, may differ. At the best of each draw a task costs you {low} to {high} (in nine of ten draws)."
    )


def _draw(game: MeasuredGame) -> dict[str, Figure]:
    """Pictures of the answer."""
    from stackroute.training.figures.measured import attempts_picture, ladder_picture

    return {"ladder": ladder_picture(game), "attempts": attempts_picture(game)}


def _limits(advice: OutcomesAdvice) -> list[str]:
    texts = []
    for limits in advice.limits:
        now = getattr(advice.scenario, limits.name)
        texts.append(limits_in_words(limits, advice.game.labels, None, partial(_times, advice.game.unit, now)))
    return texts


def _times(unit: DisplayUnits, now: float, factor: float) -> str:
    return unit.in_money(now * factor)


def _segments(advice: OutcomesAdvice) -> list[str]:
    """The answer for each segment, its share, and what it saves to know it."""
    if advice.segments is None:
        return []
    (traffic, best), game = advice.segments, advice.game
    cost = float(traffic.group_weight @ best.provider_cost)
    alike = float(advice.found.best.provider_cost[0])
    texts = [
        f"Answered by {advice.column}, a task costs you {game.unit.in_money(cost)}; with one answer for all "
        f"{more_than(alike, cost)}. Users see it too, and answer it."
    ]
    return texts + [
        f"{traffic.groups[k]} ({in_per_cent(float(traffic.group_weight[k]))} of tasks): "
        f"{serving_of_ladders(best, game.labels, game.unit, k, 2)} Users "
        f"{stops_in_words(int(best.stop[k]), game.horizon)}; a task costs you "
        f"{game.unit.in_money(float(best.provider_cost[k]))} and is worth "
        f"{game.unit.in_utility(float(best.user_utility[k]))} to them."
        for k in np.argsort(-traffic.group_weight, kind="stable").tolist()
    ]


def _single_models(advice: OutcomesAdvice) -> list[dict[str, float]]:
    """What each model alone costs and gives, and how many tasks it leaves unsolved."""
    traffic, horizon, rows = advice.game.traffic, advice.game.horizon, []
    for k in range(traffic.models):
        (stop,), worth = counting_response(traffic, Ladders.static(k), horizon)
        rows.append(
            {
                "cost": float(worth.provider_cost[0, stop - 1]),
                "user_utility": float(worth.user_utility[0, stop - 1]),
                "leave": 1.0 - float(solved_share(traffic, Ladders.static(k), horizon)[0, stop - 1]),
            }
        )
    return rows


def _users_and_speed(advice: OutcomesAdvice) -> list[str]:
    game, best = advice.game, advice.found.best
    alone = _single_models(advice)
    liked = int(np.argmax([one["user_utility"] for one in alone]))
    gap = alone[liked]["user_utility"] - float(best.user_utility[0])
    gained = f"Users would rather be served by {game.labels[liked]} at every attempt: worth "
    gained += f"{game.unit.in_utility(gap)} a task more to them."
    slow = float(solve_traffic(game.traffic, game.horizon, throttling=True).provider_cost[0])
    saved = float(best.provider_cost[0]) - slow
    pays = saved > _SAVES * float(best.provider_cost[0])
    return [
        gained if gap > _SAVES * game.value else "Users would like no single model better.",
        f"Slowing down pays: it saves you {game.unit.in_money(saved)} a task."
        if pays
        else "Slowing down would not pay.",
    ]


def _contents(advice: OutcomesAdvice, by: dict[str, str]) -> dict[str, Any]:
    """The advice for programs."""
    found, game = advice.found, advice.game
    shares = _shares(advice)
    contents: dict[str, Any] = {
        "table": game.name,
        "scenario": {name: number for name, number in advice.scenario._asdict().items() if name != "money"},
        "first": next(iter(shares[0])) if len(shares[0]) == 1 else shares[0],
        "retries": shares[1],
        "cost": float(found.best.provider_cost[0]),
        "user_utility": float(found.best.user_utility[0]),
        "leave": advice.leave,
        "dominated": by,
        "thresholds": {
            one.name: {
                end: None if at is None else at * getattr(advice.scenario, one.name)
                for end, at in (
                    ("now", 1.0),
                    ("low", one.low and one.low.at),
                    ("high", one.high and one.high.at),
                )
            }
            for one in advice.limits
        },
        "certainty": {
            "draws": _DRAWS,
            "same": advice.sure.same,
            "cost": dict(zip(("low", "high"), advice.sure.cost, strict=True)),
        },
    }
    if advice.segments is not None:
        traffic, best = advice.segments
        contents["segments"] = {
            label: {
                "share": float(traffic.group_weight[k]),
                "cost": float(best.provider_cost[k]),
                "user_utility": float(best.user_utility[k]),
                "stop": int(best.stop[k]),
            }
            for k, label in enumerate(traffic.groups)
        }
    return contents | {"answer": record_measured(found)}


def _shares(advice: OutcomesAdvice) -> tuple[dict[str, float], dict[str, float]]:
    """Who serves first attempts, and of the retries that are made each model's share."""
    games, weight, stop = advice.game.traffic.games, advice.game.traffic.weight, advice.found.stop
    first, later = np.zeros(games.models), np.zeros(games.models)
    for models, chance in advice.found.ladders:
        first[models[0]] += chance
        left = np.cumprod(1.0 - games.success[:, models[: stop - 1]], axis=1)
        np.add.at(later, models[1:stop], chance * (weight @ left))
    whole = later.sum() or 1.0
    return tuple(  # type: ignore[return-value]
        {label: float(one) for label, one in zip(advice.game.labels, shares, strict=True) if one > _SAVES}
        for shares in (first, later / whole)
    )


def _policies(advice: OutcomesAdvice) -> pd.DataFrame:
    """The answer and each model alone, as a table."""
    money = advice.game.unit.money or "money"
    names = {
        "cost": f"cost of a task ({money})",
        "user_utility": f"utility of a task ({money})",
        "leave": "tasks abandoned (share)",
    }
    best = advice.found.best
    mine = {"cost": float(best.provider_cost[0]), "user_utility": float(best.user_utility[0]), "leave": advice.leave}
    rows = [{"policy": "the answer"} | mine]
    rows += [{"policy": label} | one for label, one in zip(advice.game.labels, _single_models(advice), strict=True)]
    return pd.DataFrame(rows).sort_values("cost", kind="stable", ignore_index=True).rename(columns=names)
