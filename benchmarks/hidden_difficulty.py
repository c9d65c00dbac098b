"""How far from independent measured attempts are, and what that changes: the tables of docs/hidden-difficulty.md.

Economics are drawn at random: c2/c1 from 2 to 10, t2/t1 from 1.5 to 6, V/t1 and P/c1 from 1.5 to 60, each log-uniform.

Run: OMP_NUM_THREADS=1 python benchmarks/hidden_difficulty.py
"""

import argparse
import json
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from stackroute import read_outcomes, solve
from stackroute.analytic import Traffic, compare_policies, solve_traffic, solved_share
from stackroute.configs.difficulty import BetaFit
from stackroute.configs.outcomes import Outcomes
from stackroute.configs.tables import read_models

PAIRS = {
    "metr": [
        ("GPT-4o", "o1"),
        ("GPT-4o", "o1-preview"),
        ("GPT-4 Turbo", "GPT-4o"),
        ("Claude 3 Opus", "Claude 3.5 Sonnet (Old)"),
        ("Claude 3 Opus", "Claude 3.5 Sonnet (New)"),
    ],
    "evalperf": [
        ("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"),
        ("gemini-1.5-flash-002", "gemini-1.5-pro-002"),
        ("gemma-2-9b-it", "gemma-2-27b-it"),
        ("Llama-3.1-8B-Instruct", "Llama-3.1-70B-Instruct"),
        ("Mistral-Small-Instruct-2409", "Mistral-Large-Instruct-2407"),
        ("Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct"),
    ],
}
"""Two models of one maker, the second the better and dearer one."""

PRICED = [
    ("metr", {"GPT-4o": "gpt-4o-2024-08-06", "o1": "o1-2024-12-17 (high)"}),
    ("metr", {"Claude 3.5 Sonnet (New)": "claude-3-5-sonnet-20241022", "o1": "o1-2024-12-17 (high)"}),
    ("evalperf", {name: name for name in ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")}),
    ("evalperf", {name: name for name in ("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12")}),
]
"""Pairs whose cost and seconds of an attempt the table `aider` has, with their names there."""

VALUES, PENALTIES, HOUR = (1, 5, 15), (0.05, 0.1, 1), 64
HORIZON = 12
FEWEST = 20
"""Tasks that a model must have attempted to be compared."""

NOTHING = 1e-6
"""A share of the cost that is rounding."""

Row = dict[str, float]


def fitted(outcomes: Outcomes, samples: int, seed: int = 0) -> pd.DataFrame:
    """How success differs from task to task, by model, with 95 % intervals; those of what is measured by bootstrap."""
    random, rows = np.random.default_rng(seed), {}
    for fit in outcomes.fit().values():
        if fit.note or len(fit.attempts) < FEWEST:
            continue
        drawn = random.integers(len(fit.attempts), size=(samples, len(fit.attempts)))
        low, high = np.nanquantile([retry_ratio(fit, tasks) for tasks in drawn], [0.025, 0.975])
        rows[fit.model] = {
            "success": f"{fit.success:.2f}",
            "a": around(fit.a, fit.a_error),
            "b": around(fit.b, fit.b_error),
            "retry ratio": around(fit.retry_ratio, fit.retry_ratio_error),
            "retry ratio, measured": f"{retry_ratio(fit, slice(None)):.2f} [{low:.2f}, {high:.2f}]",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def retry_ratio(fit: BetaFit, tasks: np.ndarray | slice) -> float:
    """How often an attempt after one failure succeeds, as a share of first attempts, as measured on some tasks."""
    sample = replace(fit, attempts=fit.attempts[tasks], successes=fit.successes[tasks])
    first, second = sample.measured_curve(2)
    return float(second / first)


def around(value: float, error: float) -> str:
    """An estimate with its interval."""
    return f"{value:.2f} [{max(value - 1.96 * error, 0):.2f}, {value + 1.96 * error:.2f}]"


def escalations(outcomes: Outcomes) -> np.ndarray:
    """What the second model keeps of its success after the first failed once, for all pairs whose second is better."""
    success = {fit.model: fit.success for fit in outcomes.fit().values() if not fit.note}
    better = [pair for pair in permutations(success, 2) if success[pair[0]] < success[pair[1]]]
    return np.array([outcomes.escalation(*pair) for pair in better])


def economics(count: int, seed: int = 0) -> np.ndarray:
    """c2/c1, t2/t1, V/t1 and P/c1 in columns."""
    low, high = np.log([2, 1.5, 1.5, 1.5]), np.log([10, 6, 60, 60])
    return np.exp(np.random.default_rng(seed).uniform(low, high, (count, 4)))


def measured(traffic: Traffic) -> Row:
    """What is optimal for a pair of models in one economy, and what other policies and theories make of it."""
    best, slowed = (solve_traffic(traffic, HORIZON, throttling) for throttling in (False, True))
    (compared,) = compare_policies(traffic, HORIZON)
    expected, expected_slowed = (solve(traffic.mean, "free", throttling) for throttling in (False, True))
    stop = int(best.stop[0])
    played = best.policy.until(HORIZON)[best.policy.probability.reshape(-1) > NOTHING, :stop]
    independent, optimum = compared.independent, compared.optimum
    price = best.multipliers[0] * (np.arange(1, HORIZON + 1) != stop)
    saved = 1 - float(slowed.provider_cost[0]) / optimum
    return {
        "stop": stop,
        "cascade": bool((played != played[:, :1]).any()),
        "mixture": len(np.unique(played, axis=0)) > 1,
        "static": compared.static.provider_cost / optimum - 1,
        "switch": compared.switch.provider_cost / optimum - 1,
        "memoryless": compared.cascade.provider_cost / optimum - 1,
        "independent": independent.provider_cost / optimum - 1,
        "predicted share of cost": compared.predicted_cost / independent.provider_cost,
        "predicted to leave": float(1 - expected.patience[0])
        * float(1 - traffic.mean.success[0] @ expected.commitment.start[0]),
        "leave": 1 - float(solved_share(traffic, independent.policy, HORIZON)[0, int(independent.stop) - 1]),
        "leave at the optimum": 1 - float(solved_share(traffic, best.policy, HORIZON)[0, stop - 1]),
        "throttling pays": saved > NOTHING,
        "throttling saves": saved,
        "throttling costs users": float(best.user_utility[0] - slowed.user_utility[0]) / float(traffic.mean.value[0]),
        "throttling predicted": bool(expected_slowed.commitment.delay.any()),
        "price of patience": float(price[: stop - 1].sum()),
        "price of leaving": float(price[stop:].sum()),
    }


def over_economics(outcomes: Outcomes, pair: tuple[str, str], count: int, draws: int) -> pd.DataFrame:
    """A row for each economy, in units of the first model's cost and latency."""
    rows = []
    for dearer, slower, value, penalty in economics(count).tolist():
        cost, latency = dict(zip(pair, (1, dearer), strict=True)), dict(zip(pair, (1, slower), strict=True))
        rows.append(measured(outcomes.traffic(pair, value, penalty, draws=draws, cost=cost, latency=latency)))
    return pd.DataFrame(rows)


def at_list_prices(outcomes: Outcomes, names: dict[str, str], draws: int, most: int | None = None) -> pd.DataFrame:
    """A row for each value and churn penalty, in USD, with the cost and the seconds of the table `aider`."""
    scenarios = list(product(VALUES, PENALTIES))[:most]
    table = {model.label: model for model in read_models("aider").models}
    cost = {name: table[of].cost for name, of in names.items()}
    latency = {name: table[of].latency * HOUR / 3600 for name, of in names.items()}
    return pd.DataFrame(
        measured(outcomes.traffic(list(names), *scenario, draws=draws, cost=cost, latency=latency))
        for scenario in scenarios
    )


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * max(share, 0.0):.1f} %"


def share_of(true: pd.Series) -> str:
    """A share with its exact interval; without, where economics count several times, once for each pair."""
    if true.index.has_duplicates:
        return f"{true.mean():.0%}"
    interval = binomtest(int(true.sum()), len(true)).proportion_ci()
    return f"{true.mean():.0%} [{interval.low:.0%}, {interval.high:.0%}]"


def lost(losses: pd.Series) -> str:
    """The mean and the largest."""
    return f"{percent(losses.mean())}, {percent(losses.max())}"


def routing_cells(rows: pd.DataFrame) -> dict[str, str]:
    """How often cascades are optimal, and what simpler policies lose."""
    return {
        "a cascade is optimal": share_of(rows["cascade"]),
        "best single model loses": lost(rows["static"]),
        "best switch after m": lost(rows["switch"]),
        "best memoryless cascade": lost(rows["memoryless"]),
    }


def theory_cells(rows: pd.DataFrame) -> dict[str, str]:
    """What the theory of independent attempts gets wrong."""
    return {
        "its policy loses": lost(rows["independent"]),
        "cost, predicted / true": f"{rows['predicted share of cost'].median():.2f}",
        "leave, predicted": percent(rows["predicted to leave"].mean()),
        "leave, true": percent(rows["leave"].mean()),
        "leave at the optimum": percent(rows["leave at the optimum"].mean()),
        "stop at the optimum": f"{rows['stop'].median():g}",
    }


def patience_cells(rows: pd.DataFrame) -> dict[str, str]:
    """When delays pay, and what a unit of users' patience is worth."""
    pays, predicted = rows["throttling pays"], rows["throttling predicted"]
    cells = {
        "throttling pays": share_of(pays),
        "independent theory": share_of(predicted),
        "both": f"{(pays & predicted).mean():.0%}",
        "it saves, where it pays": lost(rows.loc[pays, "throttling saves"]) if pays.any() else "",
    }
    for name, words in {"price of patience": "staying has a price", "price of leaving": "leaving has a price"}.items():
        priced = rows.loc[rows[name] > NOTHING, name]
        median = f", median {priced.median():.2g}" if len(priced) else ""
        cells[words] = f"{len(priced) / len(rows):.0%}{median}"
    none = (rows[["price of patience", "price of leaving"]] <= NOTHING).all(axis=1)
    return cells | {"neither has": f"{none.mean():.0%}"}


def show(title: str, rows: dict[str, dict[str, str]] | pd.DataFrame) -> None:
    """Print a table with a row for each model or pair."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_dict(rows, orient="index")
    printed = table.rename_axis("").reset_index().to_markdown(index=False, disable_numparse=True)
    print(f"## {title}\n\n{printed}\n")


def main() -> None:
    """Print the tables in Markdown, or the numbers of the random economics as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--economics", type=int, default=40, help="random economics for each pair")
    parser.add_argument("--quick", action="store_true", help="one pair of each set, and a game a task in place of 3")
    parser.add_argument("--json", action="store_true", help="only the random economics, one by one")
    asked = parser.parse_args()
    draws, first = (1, 1) if asked.quick else (3, None)
    outcomes = {name: read_outcomes(name) for name in PAIRS}
    drawn = {
        f"{name}: {' → '.join(pair)}": over_economics(outcomes[name], pair, asked.economics, draws)
        for name, pairs in PAIRS.items()
        for pair in pairs[:first]
    }
    if asked.json:
        print(json.dumps({pair: rows.to_dict("list") for pair, rows in drawn.items()}))
        return
    for name, one in outcomes.items():
        show(f"{name}: Beta distributions of success over tasks", fitted(one, 10 if asked.quick else 400))
        kept = np.quantile(escalations(one), [0, 0.25, 0.5, 0.75, 1])
        print(f"{name}, {len(escalations(one))} pairs: escalation keeps (least, quartiles, most) {kept.round(2)}\n")
    priced = {
        f"{name}: {' → '.join(names)}": at_list_prices(outcomes[name], names, draws, first)
        for name, names in PRICED[:first]
    }
    drawn["all pairs"] = pd.concat(drawn.values())
    for kind, tables in {"random economics": drawn, "list prices": priced}.items():
        show(f"Routing, {kind}: mean and worst loss", {pair: routing_cells(rows) for pair, rows in tables.items()})
        show(f"The independent theory, {kind}", {pair: theory_cells(rows) for pair, rows in tables.items()})
        show(f"Throttling and patience, {kind}", {pair: patience_cells(rows) for pair, rows in tables.items()})


if __name__ == "__main__":
    main()
