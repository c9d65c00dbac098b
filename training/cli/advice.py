"""What `stackroute route` says: which router to use, what it saves, and how sure that is."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stackroute.analytic import Ladders
from stackroute.training.cli.display import percent, table_of

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
    rivals = {"best single model": advice.single} | ({"today": advice.current} if advice.current else {})
    fits = game.outcomes.fit(game.labels, game.correlation)
    return {
        "best": best.name,
        **{name: value for name, value in _entry(best).items() if name != "name"},
        "routers": [_entry(one) for one in advice.judged],
        "savings": {
            name: {
                "model": rival.name if rival is advice.single else None,
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
    """Which router to use, what it costs and saves, and how sure that is."""
    best, answer, unit = advice.best, advice.best.answer, game.unit
    if best.rule == "user-aware":
        rule = f"the user-aware rule on what it expects, {best.knob:g} added to the price of patience"
    else:
        rule = f"its own rule, its knob at {best.knob:g}"
    stops = f"who stop after {answer.stop} failures" if answer.stop > 1 else "who stop after the first failure"
    if answer.stop == game.horizon > 1:
        stops = f"who go on for all {answer.stop} attempts"
    return [
        f"Use {best.name} with {rule}{_REPROMPTS[best.reprompt]}.",
        f"A task then costs you {unit.in_money(answer.provider_cost)}. Users, {stops}, abandon "
        f"{percent(answer.leave, 1)} of the tasks; a task is worth {unit.in_utility(answer.user_utility)} to them.",
        *(_saving(game, rival, advice) for rival in (advice.single, advice.current) if rival),
        *_caveats(game, advice),
    ]


def _saving(game: MeasuredGame, rival: Rival, advice: Advice) -> str:
    """What is saved against what else might serve, and what that does to users."""
    name = "what serves today" if rival is advice.current else f"the best single model, {rival.name}"
    if abs(rival.saved) <= _NOTHING * rival.answer.provider_cost:
        return f"That saves nothing against {name}: it costs as much."
    amount = game.unit.in_money(abs(rival.saved))
    share = "" if rival.share is None else f" ({percent(abs(rival.share), 1)})"
    error = "" if rival.error is None else f", ± {game.unit.in_money(_SURE * rival.error)}"
    text = f"That {'saves you' if rival.saved >= 0.0 else 'costs you'} {amount} a task{share}{error}"
    text += f" {'' if rival.saved >= 0.0 else 'more '}against {name}, with which users abandon "
    text += f"{percent(rival.answer.leave, 1)}."
    if rival.error is None or abs(rival.saved) <= _SURE * rival.error:
        text += " So few tasks do not show which of them costs less"
        text += "." if rival is advice.current else f": to serve {rival.name} alone is the simpler choice."
    return text


def _caveats(game: MeasuredGame, advice: Advice) -> list[str]:
    """On what tasks the numbers are, what is assumed, and what was not used."""
    parts, unit = advice.parts, game.unit
    sizes = [len(part) for part in parts[:3]]
    few = " That is few: other tasks may answer differently." if sizes[2] < _FEW else ""
    known = parts.encoder.columns
    sentences = [
        f"Scenario: a solved task is worth {unit.in_money(game.value)} to users, an hour of waiting costs them "
        f"{unit.in_money(_waiting_cost(game))}, an abandoned task costs you {unit.in_money(game.churn_penalty)}.",
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


def table_of_routers(game: MeasuredGame, advice: Advice) -> Table:
    """All routers by what they cost, the cheapest first, with the best single model and what serves today."""
    money = f" ({game.unit.money})" if game.unit.money else ""
    rows: list[tuple[Answered, str, str, str]] = [
        (one.answer, f"{one.name}{'*' if one.name in _ASSUMED else ''}", one.rule, f"{one.knob:g}")
        for one in advice.judged
    ]
    rows.append((advice.single.answer, f"only {advice.single.name}", "", ""))
    rows += [(advice.current.answer, "today", "", "")] if advice.current else []
    shown = [
        (name, rule, knob, f"{answer.provider_cost:.4g}", f"{answer.user_utility:.4g}", percent(answer.leave, 1))
        for answer, name, rule, knob in sorted(rows, key=lambda row: row[0].provider_cost)
    ]
    columns = ("router", "rule", "knob", f"cost of a task{money}", f"worth to users{money}", "abandoned")
    table = table_of(columns, shown, "On the tasks that no choice has seen", numbers=True)
    table.columns[1].justify = "left"
    assumed = [f"{name}: {what}" for name, what in _ASSUMED.items() if name in {one.name for one in advice.judged}]
    if assumed:
        ask = "" if advice.best.name in _ASSUMED else ", so not the router to use unless --routers names it"
        table.caption = f"* assumed, not in the outcomes{ask}: {'; '.join(assumed)}."
    return table


def served(saved: SavedRouter, tasks: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Which model serves each new task, drawn where a router draws, and what serves its re-prompts."""
    policy, names = saved.policy(tasks), saved.served_by
    if isinstance(policy, Ladders):
        chances = np.broadcast_to(policy.probability, (len(tasks), len(policy.models)))
        ladders = policy.models[_drawn(chances, rng)]
        first, later = ladders[:, 0], [_in_turn(names, ladder) for ladder in ladders]
    else:
        first = _drawn(policy.start, rng)
        later = [_lottery(names, moves[model]) for moves, model in zip(policy.transition, first, strict=True)]
    return pd.DataFrame({"task": tasks.index, "model": [names[model] for model in first], "reprompts": later})


def _drawn(chances: FloatArray, rng: np.random.Generator) -> IntArray:
    """One of the columns of each row, shape (N,)."""
    ends = np.cumsum(chances, axis=1)[:, :-1]
    drawn: IntArray = (rng.random((len(chances), 1)) >= ends).sum(axis=1)
    return drawn


def _in_turn(names: Sequence[str], ladder: IntArray) -> str:
    """Who serves the attempts after the first one; the last one serves all that follow."""
    later = ladder[1:] if len(ladder) > 1 else ladder
    runs = [(names[model], len(list(run))) for model, run in groupby(later.tolist())]
    return ", ".join([*(f"{count} x {name}" for name, count in runs[:-1]), f"{'then ' * (len(runs) > 1)}{runs[-1][0]}"])


def _lottery(names: Sequence[str], chances: FloatArray) -> str:
    """Who serves a re-prompt, by how likely it is."""
    likely = np.argsort(-chances, kind="stable")
    return ", ".join(
        names[k] if chances[k] == 1.0 else f"{percent(chances[k], 0)} {names[k]}" for k in likely if chances[k] > 0.0
    )
