"""Advice on a table of models in words and money."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import solve, solve_population
from stackroute.configs.games import DisplayUnits
from stackroute.training.cli.answers import driving_off
from stackroute.training.cli.display import percent
from stackroute.training.cli.explanation import explain
from stackroute.training.cli.measured import serving_of_ladders, stops_in_words
from stackroute.training.cli.quantities import differ, with_units
from stackroute.training.cli.table_advice import SAME, configs_of, contents_of, policies_of, thresholds_of
from stackroute.training.market.report import Report
from stackroute.training.market.second_tries import CORRELATION, HORIZON, MEASURED_RATIOS, retries_differ
from stackroute.training.market.thresholds import answers, serving_in_words, servings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig
    from stackroute.training.cli.table_advice import TableAdvice
    from stackroute.training.market.market import Scenario
    from stackroute.training.market.thresholds import Thresholds

_LISTED, _LADDERS = 6, 3
_TWICE, _MANY = 2.0, 1_000_000
_ALIKE = 1e-6
_QUANTITIES = {
    "value": "Value of a solved task",
    "waiting_cost": "An hour of waiting",
    "churn_penalty": "An abandoned task",
    "retry_ratio": "Second tries",
}


def report_on(advice: TableAdvice) -> Report:
    """The advice in words and numbers."""
    sections = [(heading, sentences()) for heading, sentences in sections_of(advice).items()]
    introduction = [
        f"{len(advice.table.models)} models. Source: {advice.table.source}.",
        f"Understood: {advice.table.understood}." if advice.table.understood else "",
        f"Scenario, assumed and not measured: {scenario_in_words(advice)}",
    ]
    if advice.table.rejected:
        sections.append(("Rows that were not used", [str(row) for row in advice.table.rejected]))
    return Report(
        f"Advice on {advice.table.name}",
        [text for text in introduction if text],
        [(heading, sentences) for heading, sentences in sections if sentences],
        policies_of(advice),
        with_units(advice.unit, contents_of(advice)),
        configs_of(advice),
        partial(_draw, advice),
        {"thresholds": thresholds_of(advice)},
    )


def sections_of(advice: TableAdvice) -> dict[str, Callable[[], list[str]]]:
    """The advice in words by its headings, the answer first; what writes the sentences, as some take their time."""
    return {
        "The answer": lambda: [*_answer(advice), *_second_best(advice), *_useless(advice)],
        "What would change it": lambda: [_limits(one, advice) for one in advice.limits],
        "What users would choose, and slowing down": lambda: _users_and_speed(advice),
        "How sure it is": lambda: [*_certainty(advice), *_second_tries(advice), *_correlated(advice)],
    }


def _draw(advice: TableAdvice) -> dict[str, Figure]:
    """Pictures of the answer."""
    from stackroute.training.figures.frontier import frontier_picture
    from stackroute.training.figures.plane import plane_picture

    if advice.population is not None:
        from stackroute.training.figures.population import population_picture

        names = [one.name for one in advice.users]
        waits = bool((advice.game.latency > 0).all())
        return {"population": population_picture(advice.config, advice.population, names)} if waits else {}
    plane = {"plane": plane_picture(advice.config, advice.routing)}
    return plane if advice.routing == "cascade" else {"frontier": frontier_picture(advice.config)} | plane


def scenario_in_words(advice: TableAdvice) -> str:
    """What users and the provider are like."""
    routed = (
        "cascades, in which a failed task moves to the second model with some probability"
        if advice.routing == "cascade"
        else "any lottery of models for retries"
    )
    over = f"You may commit to {routed}; attempts are taken for independent."
    if not advice.users:
        return f"{_of(advice.scenario)} {over}"
    return " ".join([*(f"{one.name} ({percent(one.share, 0)}): {_of(one.scenario)}" for one in advice.users), over])


def _of(scenario: Scenario) -> str:
    money = scenario.money.replace("abstract", "").strip()
    value, waiting, penalty = (
        f"{amount:g} {money}".strip() for amount in (scenario.value, scenario.waiting_cost, scenario.churn_penalty)
    )
    return (
        f"a solved task is worth {value} to users, an hour of waiting costs them {waiting}, and an abandoned task "
        f"costs you {penalty}."
    )


def _answer(advice: TableAdvice) -> list[str]:
    """Who serves, what it costs, what users get and who leaves."""
    unit = advice.unit
    lost = f"{percent(advice.leave, 1)} of the tasks are abandoned." if advice.leave else "No task is abandoned."
    if advice.population is None:
        return [*explain(advice.found)[:2], lost]
    best = advice.optimum
    first = advice.labels[best.commitment.first_model]
    retries = f"; retries: {_shares(advice.retries)}" if advice.retries else ""
    served = f"Serve {first} to every prompt." if [*advice.retries] == [first] else f"First answer by {first}{retries}."
    cost = f"A task then costs you {unit.in_money(best.provider_cost)} on average."
    texts = [f"{served} {cost}"]
    for one, patience, worth in zip(advice.users, best.patience, best.user_utility.tolist(), strict=True):
        does = "re-prompt until the task is solved" if patience else "give up after the first failed answer"
        amount = f"a task is worth {unit.in_utility(worth)} to them"
        texts.append(f"{one.name} ({percent(one.share, 0)} of users) will {does}; {amount}.")
    apart, costs = answers(advice.by_type[0])
    named = zip(advice.users, apart, strict=True)
    each = "; ".join(f"{one.name}: {serving_in_words(serving, advice.labels)}" for one, serving in named)
    together = unit.in_money(float(advice.by_type[1] @ costs))
    return [*texts, lost, f"If you could tell users apart, a task would cost {together}: {each}."]


def _shares(shares: dict[str, float]) -> str:
    """Who serves, with shares in per cent where there are several, the greatest first."""
    ordered = sorted(shares.items(), key=lambda one: -one[1])
    return ", ".join(f"{100 * share:.4g} % {label}" if len(ordered) > 1 else label for label, share in ordered)


def more_than(cost: float, least: float) -> str:
    """How much dearer one policy is than another."""
    if least <= 0.0 or abs(cost / least - 1.0) <= _ALIKE:
        return "more" if least <= 0.0 < cost else "as much"
    factor = cost / least
    if factor > _MANY:
        return f"more than {_MANY:,} times as much"
    if factor > _TWICE:
        return f"{factor:.3g} times as much"
    return f"{100.0 * abs(factor - 1.0):.2g} % {'more' if factor > 1.0 else 'less'}"


def _second_best(advice: TableAdvice) -> list[str]:
    """The best single model but the answer itself, and the best cascade of two."""
    unit, least, other, cascade = advice.unit, advice.optimum.provider_cost, advice.other_single, advice.cascade
    if len(advice.labels) == 1:
        return ["There is no other model."]
    texts = []
    if other is not None:
        cost, stays = float(advice.singles.provider_cost[other]), float(advice.singles.stays[other])
        leaves = {1.0: "", 0.0: "; users would leave after a failure"}.get(stays, "; some users would leave")
        which = "next best" if advice.is_single else "best"
        amount = f"{unit.in_money(cost)} a task, {more_than(cost, least)}{leaves}"
        texts.append(f"The {which} single model, {advice.labels[other]}, would cost {amount}.")
    if cascade is not None:
        first, then = advice.labels[cascade.first], advice.labels[cascade.then]
        amount = f"{unit.in_money(cascade.provider_cost)} a task, {more_than(cascade.provider_cost, least)}"
        moves = f"after each failure {then} with probability {cascade.probability:.3g}"
        texts.append(f"The best cascade of two, {first} and {moves}, would cost {amount}.")
    elif not advice.users:
        texts.append("No cascade from one model to another costs less than the best single model.")
    return texts


def _useless(advice: TableAdvice) -> list[str]:
    """Which models are dominated or never needed, and which may serve retries."""
    texts = []
    if advice.dominated:
        listed = some([f"{label} (by {by})" for label, by in advice.dominated.items()])
        texts.append(f"Dominated, as another model succeeds as often, costs no more and takes no longer: {listed}.")
    never = [label for label in advice.never_needed if label not in advice.dominated]
    if never:
        texts.append(
            "Never needed, though not dominated: other models together serve at less cost, whatever users are like: "
            f"{some(never)}."
        )
    texts = texts or (["No model is dominated or never needed."] if len(advice.labels) > 1 else [])
    others = [label for label in advice.labels if label not in (*advice.hull, *advice.never_needed)]
    if others:
        texts.append(
            f"Whatever users are like, retries of those who stay are only ever served by {some(advice.hull)} (the "
            f"hull); off it, and never needed but for first answers: {some(others)}."
        )
    return texts


def some(texts: list[str]) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(texts[:_LISTED]) + (f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else "")


def _limits(limits: Thresholds, advice: TableAdvice) -> str:
    """Within which limits of a quantity the answer is the same, and what it is beyond."""
    if advice.users:
        return limits_in_words(limits, advice.labels, "as given for all users", "{:.4g} times as much".format)
    return limits_of_game(limits, advice.config, advice.routing)


def limits_of_game(limits: Thresholds, config: GameConfig, routing: Routing) -> str:
    """The same for the users of a game, in its units."""
    hours = config.waiting_cost_per_hour
    if limits.name == "retry_ratio":
        now = "taken to succeed as often as first ones"
        now += ", over any lottery of models for retries" if routing == "cascade" else ""
        return limits_in_words(limits, config.labels, now, "{:.3g} times".format)
    if limits.name == "waiting_cost" and hours is None:
        return limits_in_words(limits, config.labels, "as given", "{:.4g} times as much".format)
    driven = driving_off(solve(config.game, routing)) if limits.name == "churn_penalty" else None
    factor, unit = hours if limits.name == "waiting_cost" and hours else 1.0, DisplayUnits.of(config)

    def written(number: float) -> str:
        named = driven is not None and not differ(number, driven.churn_penalty_high)
        return f"{'P* = ' if named else ''}{unit.in_money(number * factor)}"

    return limits_in_words(limits, config.labels, None, written)


def limits_in_words(limits: Thresholds, labels: Sequence[str], now: str | None, written: Callable[[float], str]) -> str:
    """The same with how a number of the quantity is written, and in words what it is now."""
    parts = []
    for change, side, way, end in (
        (limits.low, "below", "down to", limits.least),
        (limits.high, "above", "up to", limits.most),
    ):
        if change is None and end == limits.now:
            continue
        if change is None:
            parts.append(f"{way} {written(end)} no change")
        else:
            parts.append(f"{side} {written(change.at)}: {serving_in_words(change.serving, labels)}")
    return f"{_QUANTITIES[limits.name]} ({now or f'now {written(limits.now)}'}): {'; '.join(parts)}."


def _users_and_speed(advice: TableAdvice) -> list[str]:
    """Misalignment and throttling."""
    if advice.population is None:
        return explain(advice.found)[2:]
    games, unit, texts = advice.by_type[0], advice.unit, []
    for k, one in enumerate(advice.users):
        worth = np.where(games.net_value[k] > 0.0, games.net_value[k] / games.success[k], games.net_value[k])
        gap = float(worth.max() - advice.optimum.user_utility[k])
        rather = f"would rather be served by {advice.labels[int(worth.argmax())]} at every prompt: worth"
        more = f"{rather} {unit.in_utility(gap)} a task more to them."
        texts.append(f"{one.name} {more if gap > SAME * one.scenario.value else 'would choose the same.'}")
    slow = solve_population(advice.game, advice.population, throttling=True).provider_cost
    saved = advice.optimum.provider_cost - slow
    pays = saved > SAME * advice.optimum.provider_cost
    texts.append(
        f"Slowing down pays: it saves you {unit.in_money(saved)} a task." if pays else "Slowing down would not pay."
    )
    return texts


def _certainty(advice: TableAdvice) -> list[str]:
    """In how many draws of the measured numbers the answer is the same."""
    sure = advice.certainty
    if sure is None:
        return ["Errors of measurement: not known, as the table has neither counts nor standard errors."]
    low, high = map(advice.unit.in_money, sure.cost)
    order = ""
    if sure.in_order < 1:
        order = f"the second model is better, dearer and slower in {percent(sure.in_order, 0)}; of these, "
    if not sure.in_order:
        return [
            f"Errors of measurement: in none of {sure.draws:,} draws is the second model better, dearer and slower."
        ]
    return [
        f"Errors of measurement: of {sure.draws:,} draws from what the counts and standard errors allow, {order}the "
        f"answer is the same in {percent(sure.same, 0)}, the first answer in {percent(sure.first, 0)}, and whether "
        f"users stay in {percent(sure.stays, 0)}; a task costs you {low} to {high} in nine of ten."
    ]


def _second_tries(advice: TableAdvice) -> list[str]:
    """What the measured second tries would change."""
    ratios = advice.second_ratios
    if ratios is None or advice.users:
        return []
    found = retries_differ(advice.game, ratios[None])
    (serving,) = servings(found.start, found.lottery, found.stays[:, None])
    (usual,), _ = answers(advice.game[None])
    cost, words = advice.unit.in_money(float(found.provider_cost[0])), serving_in_words(serving, advice.labels)
    change = "the answer would stay the same" if serving == usual else f"the answer would be another, {words}"
    change += ", over any lottery of models for retries" if advice.routing == "cascade" else ""
    return [
        f"Second tries were measured: they succeed {np.median(ratios):.3g} times as often as first ones (median). If "
        f"all later ones do as in the table, {change}; a task would cost you {cost}."
    ]


def _correlated(advice: TableAdvice) -> list[str]:
    """What would change if attempts were as dependent as measured elsewhere."""
    low, high = MEASURED_RATIOS
    elsewhere = (
        "Attempts are assumed to be independent, as the table has no repeated attempts at a task. In measured outcomes "
        f"(METR, EvalPerf) a retry succeeds only {low:g} to {high:g} times as often as a first attempt."
    )
    found = advice.correlated
    if found is None:
        return [elsewhere]
    unit, labels = advice.unit, [advice.labels[k] for k in found.models]
    cost, otherwise = float(found.best.provider_cost[0]), found.cost_of_independent
    served = serving_of_ladders(found.best, labels, unit, most=_LADDERS)
    return [
        elsewhere,
        f"With half as often (an intra-class correlation of {CORRELATION:g}), of {some(labels)} this is best: "
        f"{served} Users {stops_in_words(int(found.best.stop[0]), HORIZON)}; a task costs you {unit.in_money(cost)}, "
        f"and {percent(found.abandoned, 0)} of the tasks are abandoned. The answer above would then cost "
        f"{unit.in_money(otherwise)}, {more_than(otherwise, cost)}, with {percent(found.abandoned_by_independent, 0)} "
        "abandoned.",
    ]
