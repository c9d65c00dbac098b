"""The report of a benchmark of routers: what each costs where users react, beside the literature's metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from stackroute.agents.routers import ROUTERS, ExtendingRouter
from stackroute.training.benchmark.results import CURVES, RESULTS, as_table
from stackroute.training.benchmark.statistics import LEAST_RUNS, ranking
from stackroute.training.output import RunError, escaped, markdown, number
from stackroute.training.routers.comparison import ORACLE
from stackroute.training.routers.units import OPTIMUM, SINGLE_ANSWERS, Way

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackroute.training.benchmark.results import Plan, Result
    from stackroute.training.benchmark.statistics import Ranked

    WayKey = tuple[str, str, str]

WAYS: dict[WayKey, str] = {
    ("own", "estimated", SINGLE_ANSWERS): "own rule, literature's knob",
    ("own", "estimated", "cost"): "own rule, knob by cost",
    ("user-aware", "estimated", "cost"): "user-aware rule",
    ("user-aware lottery", "estimated", "cost"): "user-aware lottery",
    ("own", "true", "cost"): "own rule, true success",
    ("user-aware", "true", "cost"): "user-aware rule, true success",
}
"""The ways to route as in the report."""

_BY_COST, _AWARE, _OWN_TRUE, _AWARE_TRUE = (
    "own rule, knob by cost",
    "user-aware rule",
    "own rule, true success",
    "user-aware rule, true success",
)
_SHOWN = [*WAYS.values()][:4]
_OF_USERS = {"leave": "leave, %", "worth": "utility, %", "stationary": "loss if stationary, %"}
_LITERATURE = {
    "improvement": "AIQ",
    "deferral_area": "area under the deferral curve",
    "relative_cost": "QNC",
    "strong_share": "strong share",
}


def tables_of(results: list[Result]) -> dict[str, pd.DataFrame]:
    """The results as tables by the name of their file: a row for each way to route, and the curves over knobs."""
    curves = [
        pd.DataFrame(
            {"task": one.task, "algorithm": one.algorithm, "seed": one.seed, **one.lines[SINGLE_ANSWERS]},
        )
        for one in results
        if SINGLE_ANSWERS in one.lines
    ]
    columns = ["task", "algorithm", "seed", "knob", "cost", "quality", "strong_share"]
    return {RESULTS: losses_of(results), CURVES: pd.concat(curves) if curves else pd.DataFrame(columns=columns)}


def losses_of(results: list[Result]) -> pd.DataFrame:
    """A row for each unit, economy and way to route, with its loss: the provider's cost / that of the optimum - 1.

    The optimum is that of the same test part; where it is missing so is the loss.

    Raises:
        RunError: No optimum is finished, so that nothing can be compared.
    """
    table = as_table(results).drop(columns=["game", "penalty_ratio"])
    ways = pd.DataFrame([Way.named(group) for group in table["group"]], index=table.index)
    table = pd.concat([table.drop(columns="group"), ways], axis=1)
    table["way"] = [
        WAYS.get(key, OPTIMUM) for key in zip(table["rule"], table["knows"], table["chosen_by"], strict=True)
    ]
    cell = ["task", "seed", "economy"]
    best = table[table["algorithm"] == OPTIMUM].set_index(cell)
    if best.empty:
        raise RunError(f"{OPTIMUM}: no run has finished; routers are compared with it")
    table["optimum"] = table.set_index(cell).index.map(best["provider_cost"])
    return table.assign(loss=table["provider_cost"] / table["optimum"] - 1.0)


def as_markdown(plan: Plan, results: list[Result], pictures: Iterable[str] = ()) -> str:
    """The report as Markdown, with the names of pictures beside it."""
    suite, table = plan.suite, losses_of(results)
    assert suite.workloads is not None
    failed = [one for one in results if one.error is not None]
    summaries = {one.algorithm: one.summary for one in results}
    ranked = {way: _ranked(plan, table, way) for way in WAYS.values()}
    order = [one.algorithm for one in ranked[_BY_COST]]
    missing = (
        "A run that failed or is missing counts as the worst loss of its column. "
        if len(plan.units) > len(results) or failed
        else ""
    )
    parts: list[str | pd.DataFrame] = [
        f"{suite.summary} {len(results) - len(failed)} of {len(plan.units)} runs are finished, {len(failed)} failed. "
        f"{missing}Seeds {', '.join(map(str, suite.seeds))}; up to {suite.horizon} attempts at a task.",
        "## Routers",
        _losses(ranked, order),
        "Loss: the provider's expected cost of a task where users count their failures, over that of the optimum on "
        "the same test tasks, minus 1, in percent: the interquartile mean over all workloads, economies and seeds, "
        f"{_uncertainty(plan)} The literature's knob is the cheapest that answers as well as the best single model; "
        "the knob by cost is that of the least cost with users who react. The user-aware rule goes by what the router "
        f"predicts, where it does. The optimum knows all types of a task. {_extending(order)}",
        _users(plan, table, order),
        "Means over workloads, economies and seeds. Utility in percent of the value of a solved task. Stationary: the "
        "median loss where users re-prompt with the same probability after every failure, the best for them.",
        "## Wrong estimates, and users' reaction ignored",
        _two_by_two(ranked, order),
        "Loss as above, in percent: the rule that is used, and whether success is what the router predicts or true of "
        "each task. The user-aware rule with true success is the oracle's. Wrong estimates: what the user-aware rule "
        "loses by predictions; reaction ignored: what a router's own rule loses against the user-aware one, with its "
        "predictions and with true success.",
        "## Workloads and economies",
        _economies(plan, table),
        "The optimum: the least cost, how many failures users stop after, and the share of tasks that they leave.",
    ]
    for workload in suite.workloads:
        parts += [
            f"Median loss in percent on `{workload.name}`: {_named(_SHOWN[:3])}.",
            _by_economy(table, workload.name),
        ]
    parts += [
        "## The literature's metrics",
        _literature(table, order),
        "Means over workloads and seeds, single answers on the test part. AIQ: average improvement in quality, the "
        "mean success under the upper hull over costs; area under the deferral curve: the same without the hull; QNC: "
        "the cost at which success is that of the best single model, as a share of that model's, over the runs that "
        "reach it; strong share: of tasks that the best single model answers at the literature's knob.",
        "\n".join(f"![{name.rpartition('.')[0]}]({name})" for name in pictures),
        "\n".join(f"- `{name}`: {summaries.get(name, '')}" for name in [OPTIMUM, ORACLE, *order] if name in summaries),
        "\n".join(escaped(f"- failed: {one.algorithm}, {one.task}, seed {one.seed}: {one.error}") for one in failed),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in plan.versions.items()) + ".",
    ]
    return markdown(parts)


def _uncertainty(plan: Plan) -> str:
    seeds = len(plan.suite.seeds)
    if seeds < LEAST_RUNS:
        return f"without intervals and tiers, for which {LEAST_RUNS} seeds are the least and {seeds} too few."
    return (
        "with a 95 % interval by bootstrap of the seeds. A tier ends where a router's interval lies wholly above that "
        "of the tier's first, each by its own rule with the knob by cost."
    )


def _extending(order: list[str]) -> str:
    more = [name for name in order if isinstance(ROUTERS[name](), ExtendingRouter)]
    return f"{' and '.join(more)}, by more than the models themselves, can do better than the optimum." if more else ""


def _named(ways: list[str]) -> str:
    return " / ".join(ways)


def _ranked(plan: Plan, table: pd.DataFrame, way: str) -> list[Ranked]:
    """The routers from the least loss to the largest in one way to route."""
    mine = table[(table["way"] == way) & table["loss"].notna()]
    names = [name for name in plan.suite.algorithms if (mine["algorithm"] == name).any()]
    if not names:
        return []
    wide = mine.pivot(index=["algorithm", "seed"], columns=["task", "economy"], values="loss")
    runs = pd.MultiIndex.from_product([names, plan.suite.seeds], names=["algorithm", "seed"])
    wide = wide.reindex(index=runs)
    # The economies of a run are judged on the same tasks.
    return ranking(wide.fillna(wide.max()), together=True)


def _losses(ranked: dict[str, list[Ranked]], order: list[str]) -> pd.DataFrame:
    """The loss of each router in each way, the best by its own rule first, and then the oracle."""
    found = {way: {one.algorithm: one for one in all_of} for way, all_of in ranked.items()}
    rows = []
    for name in order:
        by_cost = found[_BY_COST][name]
        cells = {f"{way}, IQM": _interval(found[way].get(name)) for way in _SHOWN}
        rows.append({"tier": "" if by_cost.tier is None else str(by_cost.tier), "router": name, **cells})
    for way, title in ((_OWN_TRUE, _SHOWN[1]), (_AWARE_TRUE, _SHOWN[2])):
        if ORACLE in found[way]:
            rows.append({"router": f"{ORACLE}, {title}", f"{title}, IQM": _interval(found[way][ORACLE])})
    return pd.DataFrame(rows).fillna("")


def _users(plan: Plan, table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """What becomes of users: who leaves, and what a task is worth to them."""
    values = {
        (workload.name, economy.name): economy.value
        for workload in plan.suite.workloads or ()
        for economy in workload.economics
    }
    worth = table["user_utility"] / [values[cell] for cell in zip(table["task"], table["economy"], strict=True)]
    stationary = table["stationary_cost"] / table["optimum"] - 1.0
    runs = table.assign(worth=worth, stationary=stationary).groupby(["algorithm", "way"])
    means = runs[["leave", "worth"]].mean().assign(stationary=runs["stationary"].median())
    rows = [
        {
            "router": name,
            **{
                f"{title}: {way}": _percent(means[metric].get((name, way), math.nan))
                for metric, title in _OF_USERS.items()
                for way in _SHOWN[:3]
            },
        }
        for name in order
    ]
    best = means.loc[(OPTIMUM, OPTIMUM)]
    rows.append(
        {
            "router": OPTIMUM,
            **{f"{title}: {_SHOWN[2]}": _percent(best[metric]) for metric, title in _OF_USERS.items()},
        }
    )
    return pd.DataFrame(rows).fillna("")


def _two_by_two(ranked: dict[str, list[Ranked]], order: list[str]) -> pd.DataFrame:
    """Own or user-aware rule by estimated or true success, and what is lost by either."""
    iqm = {way: {one.algorithm: float(one.regret.value) for one in all_of} for way, all_of in ranked.items()}
    best = iqm[_AWARE_TRUE].get(ORACLE, math.nan)
    rows = []
    for name in (name for name in order if name in iqm[_AWARE]):
        own, aware, own_true = iqm[_BY_COST][name], iqm[_AWARE][name], iqm[_OWN_TRUE].get(name, math.nan)
        rows.append(
            {
                "router": name,
                "own, estimated": _percent(own),
                "user-aware, estimated": _percent(aware),
                "own, true": _percent(own_true),
                "user-aware, true": _percent(best),
                "lost by wrong estimates": _percent(aware - best),
                "by reaction ignored, estimated": _percent(own - aware),
                "by reaction ignored, true": _percent(own_true - best),
            }
        )
    return pd.DataFrame(rows)


def _economies(plan: Plan, table: pd.DataFrame) -> pd.DataFrame:
    """The economies of each workload, with the optimum of each."""
    best = table[table["algorithm"] == OPTIMUM].groupby(["task", "economy"])
    means = best[["provider_cost", "user_utility", "stop", "leave"]].mean()
    return pd.DataFrame(
        {
            "workload": workload.name,
            "economy": economy.name,
            "value": f"{economy.value:g}",
            "churn penalty": f"{economy.churn_penalty:g}",
            "money": workload.money,
            "least cost": number(means["provider_cost"].get((workload.name, economy.name), math.nan), ".3g"),
            "users' utility": number(means["user_utility"].get((workload.name, economy.name), math.nan), ".3g"),
            "stop after": number(means["stop"].get((workload.name, economy.name), math.nan), ".2g"),
            "leave, %": _percent(means["leave"].get((workload.name, economy.name), math.nan)),
        }
        for workload in plan.suite.workloads or ()
        for economy in workload.economics
    )


def _by_economy(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The median loss of each router in each economy of a workload."""
    mine = table[(table["task"] == task) & (table["algorithm"] != OPTIMUM)]
    # The oracle's predictions are true.
    shown = mine["way"].where(mine["algorithm"] != ORACLE, mine["way"].str.removesuffix(", true success"))
    shown = shown.where(shown != "own rule", _BY_COST)
    medians = mine.assign(way=shown).groupby(["algorithm", "way", "economy"], sort=False)["loss"].median()
    return pd.DataFrame(
        {
            "router": name,
            **{
                economy: _named([_percent(medians.get((name, way, economy), math.nan)) or "-" for way in _SHOWN[:3]])
                for economy in mine["economy"].unique()
            },
        }
        for name in mine["algorithm"].unique()
    )


def _literature(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """The metrics of single answers, one of each unit."""
    units = table.drop_duplicates(["task", "algorithm", "seed"]).groupby("algorithm")
    means, reached = units[[*_LITERATURE]].mean(), units["relative_cost"].count() / units.size()
    return pd.DataFrame(
        {
            "router": name,
            **{title: number(means.loc[name, metric], ".3f") for metric, title in _LITERATURE.items()},
            "QNC reached, %": _percent(reached[name]),
        }
        for name in order
    )


def _interval(one: Ranked | None) -> str:
    return one.regret.written(_percent) if one else ""


def _percent(share: float) -> str:
    # Without the sign of what rounding makes zero.
    return number(round(100.0 * share, 1) + 0.0, ".1f")
