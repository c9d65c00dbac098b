"""What the results of a benchmark say about cascades, throttling and users: the tables of docs/findings.md.

Intervals are of 95 %: by bootstrap within each task for means, exact (Clopper and Pearson) for shares of runs.

Run: python benchmarks/findings.py benchmarks/standard
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from scipy.stats import binomtest

from stackroute.training.benchmark.statistics import estimate, interquartile_mean
from stackroute.training.output import markdown_table

Row = dict[str, Any]

FAR = 0.5
"""A regret above it is that of another model than the best, or of a commitment far beyond the user's threshold."""

GIVEN = ("exact", "grid_search", "best_static")
"""References that know the game, or never delay."""


def by_task(rows: list[Row], metric: str) -> np.ndarray:
    """A metric of one algorithm's runs, shape (seeds, tasks)."""
    tasks = sorted({row["task"] for row in rows})
    return np.array([[row[metric] for row in rows if row["task"] == task] for task in tasks]).T


def percent(rows: list[Row], metric: str, statistic: Callable[..., float], most: float = np.inf) -> str:
    """A statistic in percent with its interval."""
    found = estimate([np.minimum(by_task(rows, metric), most)], lambda scores: float(statistic(scores[0])))
    return f"{100 * found.value:.3g} [{100 * found.low:.3g}, {100 * found.high:.3g}]"


def share(true: Iterable[bool]) -> str:
    """How many of how many, with the interval of the share."""
    cases = list(true)
    interval = binomtest(sum(cases), len(cases)).proportion_ci()
    return f"{sum(cases)} of {len(cases)} [{interval.low:.0%}, {interval.high:.0%}]"


def cascades(rows: list[Row], groups: list[str]) -> tuple[str, ...]:
    """Regret, and how often it is small or large, by group."""
    cells = []
    for group in groups:
        mine = [row for row in rows if row["group"] == group]
        cells += [
            percent(mine, "provider_regret", interquartile_mean, most=1.0),
            share(row["provider_regret"] <= 0.01 for row in mine),
            share(row["provider_regret"] > FAR for row in mine),
        ]
    return tuple(cells)


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a folder of stackroute benchmark")
    folder = parser.parse_args().results
    rows = pyarrow.parquet.read_table(folder / "results.parquet").to_pylist()
    algorithms = {
        name: [row for row in rows if row["algorithm"] == name] for name in dict.fromkeys(r["algorithm"] for r in rows)
    }
    groups = sorted({row["group"] for row in rows if row["group"].startswith("cascade")})
    ranked = sorted(
        algorithms, key=lambda name: interquartile_mean(np.minimum(by_task(algorithms[name], "provider_regret"), 1))
    )
    print("## Cascades: regret in percent, interquartile mean; runs within 1 %; runs above 50 %\n")
    columns = [f"{group}{what}" for group in groups for what in (", regret", ", within 1 %", ", above 50 %")]
    print(markdown_table(("algorithm", *columns), [(name, *cascades(algorithms[name], groups)) for name in ranked]))
    print("\n## Throttling: runs in which the provider throttles exactly if it pays\n")
    delays = [group for group in ("throttling", "no-throttling") if any(row["group"] == group for row in rows)]
    table = [
        (
            name,
            *(share(r["throttling_right"] == 1 for r in algorithms[name] if r["group"] == group) for group in delays),
        )
        for name in ranked
        if name not in GIVEN
    ]
    print(markdown_table(("algorithm", *delays), table))
    print("\n## Users: losses in percent of max(|xi1|, |xi2|, V p2), means\n")
    metrics = ("misalignment_equilibrium", "misalignment", "user_loss", "user_regret", "exploitation")
    table = [(name, *(percent(algorithms[name], metric, np.mean) for metric in metrics)) for name in ranked]
    print(markdown_table(("algorithm", *(metric.replace("_", " ") for metric in metrics)), table))


if __name__ == "__main__":
    main()
