"""The report of a benchmark: Markdown tables and pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.results import read_plan, read_units, units_of, write_files
from stackroute.training.benchmark.summary import by_group, ranking, scores_of
from stackroute.training.output import RunError, markdown_table, output_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stackroute.training.benchmark.results import Plan
    from stackroute.training.benchmark.statistics import Estimate
    from stackroute.training.benchmark.summary import Ranked

    Row = dict[str, Any]

REPORT = "report.md"
_MILLION = 1e6


def write_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Write the tables, the pictures and the report of the results so far.

    Args:
        folder: The folder of a benchmark.
        out: Where the report and its pictures go; the same folder if not given.

    Returns:
        The files.

    Raises:
        RunError: The folder holds no results, or only failures.
        OutputError: A file cannot be written.
    """
    from stackroute.training.benchmark.plots import draw

    plan = read_plan(folder)
    results = read_units(plan.suite, folder)
    errors = [result["error"] for result in results if result["error"] is not None]
    if len(errors) == len(results):
        raise RunError(f"{folder}: no run has finished" + (f"; the first failed: {errors[0]}" if errors else ""))
    target = output_folder(out if out is not None else folder)
    files = write_files(results, target)
    ranked = ranking(scores_of(plan.suite, results))
    pictures = draw(plan.suite, [one.scores for one in ranked], results, target)
    write_text(target / REPORT, as_markdown(plan, ranked, results, [path.name for path in pictures]))
    return [target / REPORT, *pictures, *files]


def as_markdown(plan: Plan, ranked: list[Ranked], results: list[Row], pictures: Iterable[str] = ()) -> str:
    """The report as Markdown.

    Args:
        plan: What the results are of.
        ranked: The algorithms in order.
        results: The results of the units.
        pictures: The names of pictures beside the report.
    """
    planned, failed = len(units_of(plan.suite)), [result for result in results if result["error"] is not None]
    missing = (
        "A run that failed or is missing counts as a regret of 100 %. " if planned > len(results) or failed else ""
    )
    parts = [
        f"{plan.suite.summary} {len(results) - len(failed)} of {planned} runs are finished, {len(failed)} failed. "
        f"{missing}Seeds {', '.join(map(str, plan.suite.seeds))}.",
        _main_table(ranked),
        "Regret is the provider's exact relative excess cost against the exact best response, in percent, cut off at "
        "100 but for the worst. IQM: the interquartile mean over all runs, with a 95 % interval by bootstrap within "
        "each task. A tier ends where an algorithm's interval lies wholly above that of the tier's first. P(better): "
        "how likely a run beats one of the next algorithm on the same task.",
        _behaviour_table(ranked),
        "Means over finished runs but for the last three columns. On path: the regret with the learned answer in place "
        "of the exact one; exploitation is the difference. User loss: what the user gets less than at the equilibrium, "
        "and misalignment less than under the route that it would choose itself, in percent of the largest of |xi1|, "
        "|xi2| and V p2. Tasks (prompts played) to a regret that stays at or below the target: the median of the runs "
        "that reach it, with their share.",
        _group_table(ranked),
        "Median regret in percent.",
        "\n".join(f"![{name.rpartition('.')[0]}]({name})" for name in pictures),
        "\n".join(_algorithm_list(ranked)),
    ]
    if failed:
        parts.append(
            "\n".join(
                f"- failed: {one['algorithm']}, {one['task']}, seed {one['seed']}: {one['error']}" for one in failed
            )
        )
    parts.append("Versions: " + ", ".join(f"{name} {version}" for name, version in plan.versions.items()) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"


def _main_table(ranked: list[Ranked]) -> str:
    rows = [
        (
            str(one.tier),
            one.scores.algorithm,
            _interval(one.regret),
            _percent(float(np.median(one.scores.regret))),
            _percent(max((row["provider_regret"] for row in one.scores.rows), default=math.nan)),
            f"{one.scores.near:.0%}",
            "" if one.better_than_next is None else _probability(one.better_than_next),
            _number(one.scores.mean("area"), ".3f"),
            _number(one.scores.median("tasks") / _MILLION, ".3g"),
            _number(one.scores.median("seconds"), ".0f"),
        )
        for one in ranked
    ]
    names = ("tier", "algorithm", "regret, IQM [95 %]", "median", "worst", "within 1 %", "P(better than next)", "area")
    return markdown_table((*names, "tasks played, millions", "processor seconds"), rows)


def _behaviour_table(ranked: list[Ranked]) -> str:
    rows = []
    for one in (entry.scores for entry in ranked):
        to_targets = [
            f"{one.median(f'tasks_to_{t}') / _MILLION:.3g} ({one.share(f'tasks_to_{t}'):.0%})" for t in ("5%", "1%")
        ]
        means = (
            "provider_regret_pessimistic",
            "on_path_regret",
            "exploitation",
            "user_regret",
            "user_loss",
            "misalignment",
        )
        rows.append(
            (
                one.algorithm,
                *(_percent(one.mean(name)) for name in means),
                *(_number(one.mean(name), ".0%") for name in ("regime_right", "throttling_right")),
                *(text.replace("nan (0%)", "never") for text in to_targets),
                f"{one.median('seconds_to_1%'):.0f}".replace("nan", "never"),
            )
        )
    names = (
        "algorithm",
        "regret, ties against it",
        "on path",
        "exploitation",
        "user regret",
        "user loss",
        "misalignment",
        "regime right",
        "throttling right",
        "million tasks to 5 %",
        "to 1 %",
        "seconds to 1 %",
    )
    return markdown_table(names, rows)


def _group_table(ranked: list[Ranked]) -> str:
    groups, table = by_group([one.scores for one in ranked])
    rows = [
        (one.scores.algorithm, *(_percent(value) for value in values))
        for one, values in zip(ranked, table, strict=True)
    ]
    return markdown_table(("algorithm", *groups), rows)


def _algorithm_list(ranked: list[Ranked]) -> list[str]:
    return [f"- `{one.scores.algorithm}`: {one.scores.summary}" for one in ranked]


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def _percent(share: float) -> str:
    if math.isnan(share):
        return ""
    # What rounding leaves of an exact zero is none.
    return "0" if abs(share) < 1e-8 else f"{100 * share:.2f}"


def _interval(one: Estimate) -> str:
    return f"{_percent(one.value)} [{_percent(one.low)}, {_percent(one.high)}]"


def _probability(one: Estimate) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
