"""What `stackroute route` says: which router to use, what it saves, and how sure that is."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stackroute.analytic import Ladders
from stackroute.configs.text import some_of
from stackroute.training.cli.display import in_per_cent, table_of
from stackroute.training.market.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from stackroute.agents.routers.saving import SavedRouter
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.measured import MeasuredGame
    from stackroute.training.routers.advice import Advice, Rival
    from stackroute.training.routers.comparison import Answered, Judged

_HOUR = 3600.0
_FEW = 30
_NOTHING = 1e-9
_RARE, _MOST = 0.005, 4
_SURE = 2.0
"""Standard errors."""

_REPROMPTS = {
    "redraw": ", re-prompts drawn again",
    "stick": ", re-prompts by the same model",
    "escalate": ", re-prompts by the next better model",
    "update": ", re-prompts by what it has learned from the failure",
    None: "",
}
_ASSUMED = {
    "iServe": "each model in serving configurations of other cost and speed",
    "RouteMoA": "pairs of models, of whose answers a judge chooses",
}
"""What routers serve by that the outcomes do not say, in words."""


def record_advice(game: MeasuredGame, advice: Advice) -> dict[str, Any]:
    """An advice as JSON, with the units of its numbers; all on the tasks that no choice has seen."""
    best, parts = advice.best, advice.parts
    rivals = {"best single model": advice.single, "best fixed ladder": advice.fixed}
    rivals |= {"today": advice.current} if advice.current else {}
    fits = game.outcomes.fit(game.labels, game.correlation)
    return {
        "best": best.name,
        **{name: value for name, value in _entry(best).items() if name != "name"},
        "served": [
            {name: share for name, share in zip(advice.saved.served_by, shares, strict=True) if share}
            for shares in advice.served.tolist()
        ],
        "routers": [_entry(one) for one in advice.judged],
        "savings": {
            name: {
                "model": rival.name if rival is advice.single else None,
                "ladder": list(rival.models) or None,
                "validation_cost": rival.validation_cost,
                "cost": rival.answer.provider_cost,
                "user_utility": rival.answer.user_utility,
                "leave": rival.answer.leave,
                "saved": rival.saved,
                "saved_error": rival.error,
                "share": rival.share,
            }
            for name, rival in rivals.items()
        },
        "scenario": {
            "value": game.value,
            "waiting_cost": _waiting_cost(game),
            "churn_penalty": game.churn_penalty,
            "models": list(game.labels),
            "correlation": game.correlation if any(fit.assumed for fit in fits.values()) else None,
            "horizon": game.horizon,
        },
        "tasks": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        "features": parts.encoder.columns,
        "units": _units(game),
    }


def _entry(one: Judged) -> dict[str, Any]:
    answer = one.answer
    return {
        "name": one.name,
        "knob": one.knob,
        "rule": one.rule,
        "reprompts": one.reprompt,
        "cost": answer.provider_cost,
        "user_utility": answer.user_utility,
        "leave": answer.leave,
        "stop": answer.stop,
        "first_success": answer.first_success,
        "validation_cost": one.validation_cost,
    }


def _units(game: MeasuredGame) -> dict[str, str]:
    money = game.unit.money or "money"
    return {
        "cost": f"{money} per task",
        "validation_cost": f"{money} per task",
        "saved": f"{money} per task",
        "saved_error": f"{money} per task, standard error over test tasks",
        "share": "share of what the other costs",
        "user_utility": f"{money} per task",
        "leave": "share of tasks that users abandon",
        "stop": "failures after which users stop",
        "first_success": "probability, first attempt",
        "served": "share of the first, second ... attempts",
        "ladder": "who serves the first, second ... attempt; the last one all that follow",
        "knob": "quality against cost, in [0, 1]; user-aware: added to the price of patience",
        "value": f"{money} per solved task",
        "waiting_cost": f"{money} per hour",
        "churn_penalty": f"{money} per abandoned task",
    }


def as_rows(game: MeasuredGame, advice: Advice) -> str:
    """A row of CSV for each router and rule, with units in brackets."""
    unit = _units(game)
    rows = pd.DataFrame([_entry(one) for one in advice.judged])
    return str(rows.rename(columns=lambda name: f"{name} ({unit[name]})" if name in unit else name).to_csv(index=False))


def explain_advice(game: MeasuredGame, advice: Advice) -> list[str]:
    """What a task costs and what knowing it brings, who serves what, which router does so, and how sure that is."""
    rivals = [advice.single, advice.fixed, advice.current]
    return [
        _headline(game, advice),
        _scenario(game),
        _serving(game, advice),
        _router(advice),
        *(_saving(game, rival, advice) for rival in rivals if rival),
        *_caveats(game, advice),
    ]


def _headline(game: MeasuredGame, advice: Advice) -> str:
    """What the best router makes tasks cost, beside the best single model and the best fixed ladder."""
    unit, single, fixed = game.unit, advice.single, advice.fixed
    alone = f"the best single model, {single.name} ({unit.in_money(single.answer.provider_cost)})"
    ladder = "the best fixed ladder, which serves all tasks alike: "
    ladder += f"{_in_turn(fixed.models)} ({unit.in_money(fixed.answer.provider_cost)})"
    text = (
        f"With the best router, {advice.best.name}, a task costs you {unit.in_money(advice.best.answer.provider_cost)}"
    )
    text += f": {_less(single)} {alone}, and {_less(fixed)} {ladder}."
    if not _sure(fixed):
        return f"{text} Knowing the task brings nothing measurable over that ladder, which is the simpler choice."
    if fixed.saved < 0.0:
        return f"{text} Serve all tasks by that ladder: it is simpler and costs less."
    return f"{text} The last is what knowing the task brings."


def _less(rival: Rival) -> str:
    """By how much the best router costs less than something else, to be followed by what."""
    share = rival.share or 0.0
    if abs(share) <= _NOTHING:
        return "as much as with"
    text = f"{in_per_cent(abs(share), 1)} {'less' if share > 0.0 else 'more'}"
    return f"{text} than with" if _sure(rival) else f"{text}, no more than the error, than with"


def _sure(rival: Rival) -> bool:
    """Whether what is saved is more than chance."""
    least = _NOTHING * rival.answer.provider_cost
    return rival.error is not None and abs(rival.saved) > max(_SURE * rival.error, least)


def _scenario(game: MeasuredGame) -> str:
    unit = game.unit
    return (
        f"Scenario, assumed and not in the log: a solved task is worth {unit.in_money(game.value)} to users, an hour "
        f"of waiting costs them {unit.in_money(_waiting_cost(game))}, an abandoned task costs you "
        f"{unit.in_money(game.churn_penalty)}."
    )


def _serving(game: MeasuredGame, advice: Advice) -> str:
    """Who serves first answers and most often the next ones, and who leaves."""
    names, answer, (first, *later) = advice.saved.served_by, advice.best.answer, advice.served
    order = [k for k in np.argsort(-first, kind="stable").tolist() if first[k] >= _RARE]
    text = "First answers: " + ", ".join(f"{in_per_cent(first[k], 1)} by {names[k]}" for k in order[:_MOST])
    text += f", {in_per_cent(1.0 - first[order[:_MOST]].sum(), 1)} by others." if len(order) > _MOST else "."
    often = [f"by {names[share.argmax()]} ({in_per_cent(share.max(), 1)})" for share in later[:2]]
    text += f" Second attempts are most often {', third ones '.join(often)}." if often else ""
    stops = f"who stop after {answer.stop} failures" if answer.stop > 1 else "who stop after the first failure"
    if answer.stop == game.horizon > 1:
        stops = f"who go on for all {answer.stop} attempts"
    text += f" Users, {stops}, abandon {in_per_cent(answer.leave, 1)} of the tasks; a task is worth "
    return text + f"{game.unit.in_utility(answer.user_utility)} to them."


def _router(advice: Advice) -> str:
    """Which router serves so, by which rule, and its knob."""
    best = advice.best
    if best.rule == "own":
        knob = f"its knob, quality against cost, at {best.knob:g}"
        return f"The router, {best.name}, serves so by its own rule, {knob}{_REPROMPTS[best.reprompt]}."
    return (
        f"The router, {best.name}, serves so by the user-aware rule: it predicts how likely each model solves a "
        "task, and the rule takes for each task the ladder (who serves the first, second ... attempt) that costs you "
        "least when what users gain by staying is counted at a price, the price of patience. The knob is what is added "
        f"to the price that suits the tasks learned from: {best.knob:g}, in units of what an abandoned task costs over "
        "what a solved one is worth."
    )


def _saving(game: MeasuredGame, rival: Rival, advice: Advice) -> str:
    """What is saved against what else might serve, and what that does to users."""
    name = f"the best single model, {rival.name}" if rival is advice.single else rival.name
    name = {"today": "what serves today", "best fixed ladder": "the best fixed ladder"}.get(rival.name, name)
    if abs(rival.saved) <= _NOTHING * rival.answer.provider_cost:
        return f"The router saves nothing against {name}: it costs as much."
    unit, saved = game.unit, abs(rival.saved)
    size = [] if rival.share is None else [in_per_cent(abs(rival.share), 1)]
    size += [] if rival.error is None else [f"± {unit.in_money(_SURE * rival.error)}"]
    of = f"a task ({', '.join(size)})" if size else "a task"
    amount = unit.in_money(saved)
    text = f"saves you {amount} {of} against" if rival.saved >= 0.0 else f"costs you {amount} more {of} than"
    text = f"The router {text} {name}, with which users abandon {in_per_cent(rival.answer.leave, 1)}."
    if rival.error is None or not _sure(rival):
        text += " So few tasks do not show which of them costs less"
        return text + (f": to serve {rival.name} alone is simpler." if rival is advice.single else ".")
    if _SURE * rival.error > saved / 2.0:
        text += (
            f" That is little more than its error: it may be anything from {unit.in_money(saved - _SURE * rival.error)}"
        )
        text += f" to {unit.in_money(saved + _SURE * rival.error)}."
    return text


def _caveats(game: MeasuredGame, advice: Advice) -> list[str]:
    """On what tasks the numbers are, what is assumed, and what was not used."""
    parts = advice.parts
    sizes = [len(part) for part in parts[:3]]
    few = " That is few: other tasks may answer differently." if sizes[2] < _FEW else ""
    known = parts.encoder.columns
    sentences = [
        f"Routers learned from {sizes[0]} tasks, knobs and router were chosen on {sizes[1]}, all numbers are exact for "
        f"{sizes[2]} others; ± is {_SURE:g} standard errors over these.{few}",
        f"Features: {len(known)} columns." if known else "Features: none, so that all tasks look alike to routers.",
    ]
    if advice.best.name in _ASSUMED:
        sentences.append(f"{advice.best.name} serves by {_ASSUMED[advice.best.name]}: assumed, not in the outcomes.")
    if any(fit.assumed for fit in game.outcomes.fit(game.labels, game.correlation).values()):
        sentences.append(
            f"A correlation of {game.correlation:g} between attempts at a task is assumed (--correlation): single "
            "attempts do not show how often a retry succeeds."
        )
    rejected = game.outcomes.rejected
    if rejected:
        sentences.append(f"{len(rejected)} rows were not used; the first: {rejected[0]}")
    return sentences


def _waiting_cost(game: MeasuredGame) -> float:
    assert game.second_price is not None
    return game.second_price * _HOUR


def compared(game: MeasuredGame, advice: Advice) -> pd.DataFrame:
    """All ways to serve by what they cost where the router was chosen, the cheapest first."""
    ways: list[tuple[float, Answered, str, str, str]] = [
        (one.validation_cost, one.answer, f"{one.name}{'*' if one.name in _ASSUMED else ''}", one.rule, f"{one.knob:g}")
        for one in advice.judged
    ]
    for rival in (advice.single, advice.fixed, advice.current):
        if rival is not None:
            name = f"only {rival.name}" if rival is advice.single else rival.name
            ways.append((rival.validation_cost, rival.answer, name, "", ""))
    columns = ("router", "rule", "knob", "cost (choice)", "cost (test)", "utility", "leave")
    rows = [
        (name, rule, knob, chosen, answer.provider_cost, answer.user_utility, in_per_cent(answer.leave, 1))
        for chosen, answer, name, rule, knob in sorted(ways, key=lambda way: way[0])
    ]
    return pd.DataFrame(rows, columns=columns)


def notes_on_table(game: MeasuredGame, advice: Advice) -> str:
    """How the table is sorted, what its columns are, and what a star means."""
    money = f" ({game.unit.money})" if game.unit.money else ""
    text = (
        f"Sorted by the choice: what a task costs{money} where the router was chosen. The columns after it are for the "
        "tasks of the test, which no choice has seen; the least cost there may be luck. Utility: of a task to users; "
        "leave: tasks that they abandon. Knob: quality against cost, 0 to 1; user-aware: added to the price of "
        "patience."
    )
    if any(one.name == "best single model" for one in advice.judged):
        text += ' The router "best single model" may serve re-prompts by other models.'
    assumed = [f"{name}: {what}" for name, what in _ASSUMED.items() if name in {one.name for one in advice.judged}]
    if assumed:
        ask = "" if advice.best.name in _ASSUMED else ", so not the router to use unless --routers names it"
        text += f" * assumed, not in the outcomes{ask}: {'; '.join(assumed)}."
    return text


def table_of_routers(game: MeasuredGame, advice: Advice) -> Table:
    """`compared` for the terminal."""
    rows = compared(game, advice)
    shown = [[one if isinstance(one, str) else f"{one:.3g}" for one in row] for row in rows.to_numpy().tolist()]
    table = table_of(rows.columns, shown, "All ways to serve", numbers=True)
    table.columns[0].min_width, table.columns[1].justify, table.columns[1].no_wrap = 10, "left", True
    table.caption = notes_on_table(game, advice)
    return table


def report_on(game: MeasuredGame, advice: Advice) -> Report:
    """The advice as a report."""
    from stackroute.training.routers.pictures import draw_advice

    return Report(
        f"Routers for {game.name}",
        [f"{len(game.outcomes.tasks)} measured tasks. Source: {game.outcomes.source}."],
        [("The answer", explain_advice(game, advice)), ("The table", [notes_on_table(game, advice)])],
        compared(game, advice),
        record_advice(game, advice),
        [],
        lambda: {"routers": draw_advice(game, advice)},
    )


def unknown_categories(saved: SavedRouter, tasks: pd.DataFrame) -> str | None:
    """How many new tasks have categories that a router did not learn from, in a line; None: none."""
    unknown = saved.encoder.unknown(tasks)
    count = int(unknown.any(axis="columns").sum())
    if not count:
        return None
    examples = some_of([f"{name} {tasks[name][rows].iloc[0]!r}" for name, rows in unknown.items() if rows.any()])
    return (
        f"{count} of {len(tasks)} tasks have categories that the router did not learn from, of which it knows nothing: "
        f"{examples}"
    )


def served(saved: SavedRouter, tasks: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Which model serves each new task, drawn where a router draws, and what serves its re-prompts."""
    policy, names = saved.policy(tasks), saved.served_by
    if isinstance(policy, Ladders):
        chances = np.broadcast_to(policy.probability, (len(tasks), len(policy.models)))
        ladders = policy.models[_drawn(chances, rng)]
        first, later = (
            ladders[:, 0],
            [_in_turn([names[model] for model in ladder[min(1, len(ladder) - 1) :]]) for ladder in ladders],
        )
    else:
        first = _drawn(policy.start, rng)
        later = [_lottery(names, moves[model]) for moves, model in zip(policy.transition, first, strict=True)]
    return pd.DataFrame({"task": tasks.index, "model": [names[model] for model in first], "reprompts": later})


def _drawn(chances: FloatArray, rng: np.random.Generator) -> IntArray:
    """One of the columns of each row, shape (N,)."""
    ends = np.cumsum(chances, axis=1)[:, :-1]
    drawn: IntArray = (rng.random((len(chances), 1)) >= ends).sum(axis=1)
    return drawn


def _in_turn(models: Sequence[str]) -> str:
    """Who serves attempts in their order; the last one serves all that follow."""
    runs = [(name, len(list(run))) for name, run in groupby(models)]
    return ", ".join([*(f"{count} x {name}" for name, count in runs[:-1]), f"{'then ' * (len(runs) > 1)}{runs[-1][0]}"])


def _lottery(names: Sequence[str], chances: FloatArray) -> str:
    """Who serves a re-prompt, by how likely it is."""
    likely = np.argsort(-chances, kind="stable")
    return ", ".join(
        names[k] if chances[k] == 1.0 else f"{in_per_cent(chances[k])} {names[k]}" for k in likely if chances[k] > 0.0
    )
