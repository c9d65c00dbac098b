"""What the results of a benchmark say about cascades, throttling and users: the tables of docs/findings.md.

Intervals are of 95 %: by bootstrap within each task for means, exact (Clopper and Pearson) for shares of runs.

Run: python benchmarks/findings.py benchmarks/standard
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from stackroute.training.benchmark.statistics import estimate, interquartile_mean

FAR = 0.5
"""A regret above it is that of another model than the best, or of a commitment far beyond the user's threshold."""

GIVEN = ("exact", "grid_search", "best_static")
"""References that know the game, or never delay."""


def by_task(runs: pd.DataFrame, metric: str, most: float = np.inf) -> np.ndarray:
    """A metric of one algorithm's runs, cut off, shape (seeds, tasks)."""
    return runs.pivot(index="seed", columns="task", values=metric).clip(upper=most).to_numpy()


def mean(scores: np.ndarray) -> np.ndarray:
    """Over runs and tasks."""
    return scores.mean(axis=(-2, -1))


def percent(runs: pd.DataFrame, metric: str, statistic: Callable[..., np.ndarray], most: float = np.inf) -> str:
    """A statistic in percent with its interval."""
    found = estimate(statistic, by_task(runs, metric, most))
    interval = "" if np.isnan(found.low) else f" [{100 * found.low:.3g}, {100 * found.high:.3g}]"
    return f"{100 * found.value:.3g}{interval}"


def share(true: pd.Series) -> str:
    """How many of how many, with the interval of the share."""
    interval = binomtest(int(true.sum()), len(true)).proportion_ci()
    return f"{true.sum()} of {len(true)} [{interval.low:.0%}, {interval.high:.0%}]"


def cascades(runs: pd.DataFrame, groups: list[str]) -> dict[str, str]:
    """Regret, and how often it is small or large, by group."""
    cells = {}
    for group in groups:
        mine = runs[runs["group"] == group]
        cells[f"{group}, regret"] = percent(mine, "provider_regret", interquartile_mean, most=1.0)
        cells[f"{group}, within 1 %"] = share(mine["provider_regret"] <= 0.01)
        cells[f"{group}, above 50 %"] = share(mine["provider_regret"] > FAR)
    return cells


def show(title: str, rows: dict[str, dict[str, str]]) -> None:
    """Print a table with a row for each algorithm."""
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("algorithm").reset_index()
    print(f"## {title}\n\n{table.to_markdown(index=False, disable_numparse=True)}\n")


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a folder of stackroute benchmark")
    table = pd.read_parquet(parser.parse_args().results / "results.parquet")
    algorithms = dict(list(table.groupby("algorithm", sort=False)))
    groups = sorted(group for group in table["group"].unique() if group.startswith("cascade"))
    ranked = sorted(
        algorithms, key=lambda name: float(interquartile_mean(by_task(algorithms[name], "provider_regret", 1)))
    )
    show(
        "Cascades: regret in percent, interquartile mean; runs within 1 %; runs above 50 %",
        {name: cascades(algorithms[name], groups) for name in ranked},
    )
    delays = [group for group in ("throttling", "no-throttling") if (table["group"] == group).any()]
    show(
        "Throttling: runs in which the provider throttles exactly if it pays",
        {
            name: {group: share(runs.loc[runs["group"] == group, "throttling_right"] == 1) for group in delays}
            for name, runs in ((name, algorithms[name]) for name in ranked if name not in GIVEN)
        },
    )
    metrics = ("misalignment_equilibrium", "misalignment", "user_loss", "user_regret", "exploitation")
    show(
        "Users: losses in percent of max(|xi1|, |xi2|, V p2), means",
        {
            name: {metric.replace("_", " "): percent(algorithms[name], metric, mean) for metric in metrics}
            for name in ranked
        },
    )


if __name__ == "__main__":
    main()
