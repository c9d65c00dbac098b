"""The report of a benchmark: Markdown tables and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stackroute.training.benchmark.algorithms import REGRET
from stackroute.training.benchmark.results import as_table, read_plan, read_results, write_files, write_tables
from stackroute.training.benchmark.statistics import LEAST_RUNS, by_group, ranking, regrets_of
from stackroute.training.benchmark.tasks import HELD_OUT
from stackroute.training.learn.evaluation import NO_EVIDENCE, RIGHT
from stackroute.training.output import RunError, escaped, markdown, number, output_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from stackroute.training.benchmark.results import Plan, Result
    from stackroute.training.benchmark.statistics import Ranked

REPORT = "report.md"
RANKING = "ranking.csv"
"""The first table of a report on algorithms."""

_MILLION = 1e6
_INNER = 1e-9


def write_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Write the tables, the pictures and the report of the results so far, to `out` or the same folder.

    Raises:
        RunError: The folder holds no results, or only failures.
        OutputError: A file cannot be written.
    """
    plan = read_plan(folder)
    results = read_results(plan, folder)
    errors = [result.error for result in results if result.error is not None]
    if len(errors) == len(results):
        raise RunError(f"{folder}: no run has finished" + (f"; the first failed: {errors[0]}" if errors else ""))
    target = output_folder(out or folder)
    return (_write_regrets if plan.suite.workloads is None else _write_routers)(plan, results, target)


def _write_routers(plan: Plan, results: list[Result], target: Path) -> list[Path]:
    from stackroute.training.routers.pictures import draw
    from stackroute.training.routers.report import as_markdown, tables_of

    written = write_tables(tables_of(results), target)
    pictures = draw(plan.suite, results, target)
    write_text(target / REPORT, as_markdown(plan, results, [path.name for path in pictures]))
    return [target / REPORT, *pictures, *written]


def _write_regrets(plan: Plan, results: list[Result], target: Path) -> list[Path]:
    from stackroute.training.benchmark.plots import draw

    files = write_files(results, target)
    regrets = regrets_of(plan.suite, as_table(results))
    ranked = ranking(regrets, together=plan.suite.held_out is not None)
    pictures = draw(plan.suite, [one.algorithm for one in ranked], regrets, results, target)
    write_text(target / REPORT, as_markdown(plan, ranked, regrets, results, [path.name for path in pictures]))
    write_text(target / RANKING, _performance(ranked, regrets, as_table(results)).to_csv(index=False))
    return [target / REPORT, target / RANKING, *pictures, *files]


def as_markdown(
    plan: Plan, ranked: list[Ranked], regrets: pd.DataFrame, results: list[Result], pictures: Iterable[str] = ()
) -> str:
    """The report as Markdown, with the names of pictures beside it."""
    table, order = as_table(results), [one.algorithm for one in ranked]
    planned, failed = len(plan.units), [result for result in results if result.error is not None]
    missing = "A run that failed or is missing counts as a regret of 100 %. "
    summaries = {result.algorithm: result.summary for result in results}
    parts = (
        f"{plan.suite.summary} {len(results) - len(failed)} of {planned} runs are finished, {len(failed)} failed. "
        f"{missing if planned > len(results) or failed else ''}Seeds {', '.join(map(str, plan.suite.seeds))}.",
        _performance(ranked, regrets, table),
        "Regret is the provider's exact relative excess cost against the exact best response, in percent, cut off at "
        f"100 but for the worst. IQM: the interquartile mean over all runs, {_uncertainty(plan)} P(better): how likely "
        "a run beats one of the next algorithm on the same task.",
        *(_of_tasks(table) if plan.suite.traffic else _of_games(order, regrets, table)),
        "\n".join(f"![{name.rpartition('.')[0]}]({name})" for name in pictures),
        "\n".join(f"- `{name}`: {summaries.get(name, '')}" for name in order),
        "\n".join(escaped(f"- failed: {one.algorithm}, {one.task}, seed {one.seed}: {one.error}") for one in failed),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in plan.versions.items()) + ".",
    )
    return markdown(parts)


def _uncertainty(plan: Plan) -> str:
    seeds = len(plan.suite.seeds)
    if seeds < LEAST_RUNS:
        return f"without intervals and tiers, for which {LEAST_RUNS} seeds are the least and {seeds} too few."
    return (
        "with a 95 % interval by bootstrap within each task. A tier ends where an algorithm's interval lies wholly "
        "above that of the tier's first."
    )


def _performance(ranked: list[Ranked], regrets: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """How good the algorithms are."""
    rows = []
    for one in ranked:
        regret, mine = regrets.loc[one.algorithm].to_numpy(), table[table["algorithm"] == one.algorithm]
        played = mine["tasks"].median() / _MILLION
        rows.append(
            {
                "tier": "" if one.tier is None else str(one.tier),
                "algorithm": one.algorithm,
                "regret, IQM [95 %]": one.regret.written(_percent),
                "median": _percent(float(np.median(regret))),
                "worst": _percent(mine["provider_regret"].max()),
                "within 1 %": f"{(regret <= RIGHT).mean():.0%}",
                "P(better than next)": one.better_than_next.written("{:.2f}".format) if one.better_than_next else "",
                **({"area": number(mine["area"].mean(), ".3f")} if "area" in mine else {}),
                "tasks played, millions": number(played, ".3g") if played else "none",
                "processor seconds": number(mine["seconds"].median(), ".0f"),
            }
        )
    return pd.DataFrame(rows)


def _of_tasks(table: pd.DataFrame) -> list[str | pd.DataFrame]:
    """What is reported of measured tasks."""
    from stackroute.training.benchmark.traffic import by_tasks

    by_chance = table.groupby("task", sort=False)["random_regret"].first()
    medians = ", ".join(f"{task} {_percent(regret)} %" for task, regret in by_chance.items())
    return [
        by_tasks(table, _percent),
        "Seed by seed, or what all of them have in common. Users stop after so many failures: as they have learned, as "
        "is best for them, and at the optimum. User's regret: what the learned stop loses, in percent of the value.",
        f"Random ladders, the median of 100: {medians}. {_by_chance(table, 'ladders', 'tasks')}",
    ]


def _of_games(order: list[str], regrets: pd.DataFrame, table: pd.DataFrame) -> list[str | pd.DataFrame]:
    """What is reported of games."""
    return [
        _behaviour(order, regrets, table),
        "Means over finished runs but for the last three columns. On path: the regret with the learned answer in place "
        "of the exact one; exploitation is the difference. User loss: what the user gets less than at the equilibrium, "
        "and misalignment less than under the route that it would choose itself, in percent of the largest of |xi1|, "
        "|xi2| and V p2. Tasks (prompts played) to a regret that stays at or below the target: the median of the runs "
        "that reach it, with their share.",
        by_group(regrets).loc[order].map(_percent).rename_axis(columns=None).reset_index(),
        f"Median regret in percent. {_by_chance(table)}",
        *_schemes(table),
    ]


def _behaviour(order: list[str], regrets: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """How the algorithms and their users play."""
    means = {
        "regret, ties against it": "provider_regret_pessimistic",
        "on path": "on_path_regret",
        **{name.replace("_", " "): name for name in ("exploitation", "user_regret", "user_loss", "misalignment")},
    }
    rows = []
    for name in order:
        mine = table[table["algorithm"] == name]
        reached = {}
        for title, target in (("million tasks to 5 %", "5%"), ("to 1 %", "1%")):
            tasks = mine[f"tasks_to_{target}"]
            share = tasks.count() / regrets.loc[name].size
            reached[title] = f"{tasks.median() / _MILLION:.3g} ({share:.0%})" if share else "never"
        rows.append(
            {
                "algorithm": name,
                **{title: _percent(mine[metric].mean()) for title, metric in means.items()},
                "regime right": number(mine["regime_right"].mean(), ".0%"),
                "throttling right": number(mine["throttling_right"].mean(), ".0%"),
                **reached,
                "seconds to 1 %": number(mine["seconds_to_1%"].median(), ".0f") or "never",
            }
        )
    return pd.DataFrame(rows)


def _schemes(table: pd.DataFrame) -> list[str | pd.DataFrame]:
    """A table by game of the algorithms that record what they have reached after each stage."""
    stages = [column for column in table.columns if column.startswith(REGRET)]
    learned = table[table[stages].notna().any(axis=1)]
    if learned.empty:
        return []
    games = learned.groupby(["algorithm", "group", "game", "penalty_ratio"], dropna=False, sort=False)
    by_game = pd.DataFrame(
        {
            "algorithm": name,
            "group": group,
            "game": game,
            "P / P*": number(ratio, "g"),
            "s - s*": _distance(runs),
            "random commitments, %": _percent(runs["random_regret"].iloc[0]),
            "of them within 1 %": f"{runs['random_right'].iloc[0]:.1%}",
            **{stage.replace("_", " ") + ", %": _spread(runs[stage], _percent) for stage in stages},
            "user's regret, %": _spread(runs["user_regret"], _percent),
            "start right": f"{runs['start_model_right'].sum():.0f} of {len(runs)}",
            "throttling right": f"{runs['throttling_right'].sum():.0f} of {len(runs)}",
            "processor seconds": _spread(runs["seconds"], "{:.0f}".format),
        }
        for (name, group, game, ratio), runs in games
    )
    return [
        by_game.loc[:, (by_game != "").any()],
        "Schemes of training by game: the median over the seeds, and the worst. Random commitments: the median of "
        "1,000. s - s* is the distance of the learned cascade probability from a true cascade of the "
        "equilibrium, or that of the share of the later model in a lottery of two.",
    ]


def _by_chance(table: pd.DataFrame, drawn: str = "commitments", of: str = "games") -> str:
    """In which games a right choice says nothing about an algorithm."""
    share = table.groupby(["task", "group"], sort=False)["random_right"].first()
    share.index = [group if task == HELD_OUT else task for task, group in share.index]
    where = ", ".join(f"{name} ({right:.0%})" for name, right in share[share > NO_EVIDENCE].items())
    return (
        f"More than 10 % of random {drawn} are right (within 1 %), so that a right choice is no evidence of "
        f"learning, in {where or f'none of these {of}'}."
    )


def _distance(runs: pd.DataFrame) -> str:
    """The range of s - s*, where both have an effect and s* is a true cascade."""
    inner = runs[runs["routing_error"].notna() & runs["exact_share"].between(_INNER, 1 - _INNER)]
    distance = inner["learned_share"] - inner["exact_share"]
    ends = dict.fromkeys(f"{end:+.4f}" for end in (distance.min(), distance.max()))
    return "" if inner.empty else " to ".join(ends)


def _spread(values: pd.Series, text: Callable[[float], str]) -> str:
    known = values.dropna()
    ends = [known.median(), known.max()] if len(known) > 1 else known
    return ", ".join(text(float(value)) for value in ends)


def _percent(share: float) -> str:
    # What rounding leaves of an exact zero is none.
    return "0" if abs(share) < 1e-8 else number(100 * share, ".2f")
