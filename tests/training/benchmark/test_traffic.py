"""Measured tasks in the benchmark: what enters is judged exactly, and reported task by task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackroute.analytic import solve_traffic
from stackroute.configs import ConfigError
from stackroute.configs.benchmarks import Suite
from stackroute.configs.loading import validated
from stackroute.configs.traffic import load_traffic_settings
from stackroute.training.benchmark.report import write_report
from stackroute.training.benchmark.results import as_table
from stackroute.training.benchmark.running import run_suite, units_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stackroute.analytic import Traffic

TINY = Path(__file__).parents[1] / "tiny_shadow_price.yaml"
SMALL: dict[str, Any] = {
    "summary": "Small.",
    "traffic": ["mine.yaml"],
    "algorithms": ["exact", "best_static", "random", "tiny.yaml"],
    "seeds": [0, 1, 2],
    "horizon": 3,
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TINY, "tiny.yaml")
    Path("mine.yaml").write_text(json.dumps(load_traffic_settings("metr").model_dump() | {"churn_penalty": 6.0}))

    def here(calls: list[Callable[[], object]], *_: object) -> Iterator[tuple[int, object]]:
        return ((number, call()) for number, call in enumerate(calls))

    monkeypatch.setattr("stackroute.training.benchmark.running.in_processes", here)
    return validated(SMALL, "suite", Suite)


def tasks() -> Traffic:
    return load_traffic_settings("mine.yaml").traffic()


def static_costs(horizon: int) -> list[float]:
    """What each model alone costs with users who stop where it is best for them, summed up attempt by attempt."""
    traffic = tasks()
    games, costs = traffic.games, []
    for k in range(2):
        left, cost, utility, each = traffic.weight, 0.0, 0.0, []
        for _ in range(horizon):
            cost += left @ games.cost[:, k]
            utility += left @ (games.success[:, k] * games.value - games.latency[:, k])
            left = left * (1 - games.success[:, k])
            each.append((utility, cost + left @ games.churn_penalty))
        costs.append(max(each)[1])
    return costs


def test_what_enters_is_judged_exactly_and_reported(small: Suite, tmp_path: Path) -> None:
    results = run_suite(small, tmp_path / "out")
    assert not [result.error for result in results if result.error]
    table = as_table(results).set_index(["algorithm", "seed"]).sort_index()
    regret, least = table["provider_regret"], float(solve_traffic(tasks(), 3).provider_cost[0])
    assert (regret["exact"] < 1e-6).all()
    assert regret["best_static"].to_numpy() == pytest.approx(min(static_costs(3)) / least - 1)
    assert (regret["random"] > 0).all()
    assert len(set(regret["random"])) > 1
    assert (regret["tiny.yaml"] >= 0).all()
    assert (table.loc["exact", "learned_stop"] == table.loc["exact", "optimal_stop"]).all()
    assert table.loc["tiny.yaml", "tasks"].min() > 4096
    assert (table.loc["exact", "tasks"] == 0).all()
    pictures = [path.name for path in write_report(tmp_path / "out") if path.suffix == ".png"]
    assert pictures == ["profiles.png", "heat-map.png"]
    text = " ".join((tmp_path / "out" / "report.md").read_text().split())
    assert "| mine.yaml | best_static |" in text
    assert "Random ladders, the median of 100: mine.yaml" in text
    assert (tmp_path / "out" / "ranking.csv").read_text().splitlines()[1].startswith("1,exact,")


def test_settings_tasks_and_horizons_tell_units_apart(small: Suite) -> None:
    def fingerprints(**changes: Any) -> set[str]:
        return {unit.fingerprint for unit in units_of(small.model_copy(update=changes))}

    own = fingerprints()
    assert len(own) == 12
    assert not own & fingerprints(horizon=4)
    assert not own & fingerprints(traffic=["metr"])
    Path("tiny.yaml").write_text(TINY.read_text().replace("prices: 3", "prices: 4"))
    assert len(own & fingerprints()) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithms": ["ppo"]}, "algorithms: 'ppo' is not a packaged name"),
        ({"algorithms": ["follower_first"]}, "scheme: 'follower_first' is for games"),
        ({"traffic": ["chess"]}, "'chess' is not a packaged name"),
        ({"traffic": ["metr", "metr"]}, "are not allowed; expected different ones"),
        ({"horizon": 13}, "horizon: 13 is not allowed; expected at most 12 attempts"),
    ],
)
def test_suites_that_are_not_allowed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        units_of(validated(SMALL | {"traffic": ["metr"], "algorithms": ["exact"]} | changes, "suite", Suite))
