from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ANALYTIC = Path(__file__).parents[1] / "benchmarks" / "analytic.py"
TINY = ["--games", "600", "--generic-games", "2", "--repeats", "1", "--memory-games", "50", "100"]


def run(*options: str) -> str:
    return subprocess.run(
        [sys.executable, str(ANALYTIC), *TINY, *options], capture_output=True, text=True, check=True
    ).stdout


def test_json_has_speed_beside_accuracy() -> None:
    results = json.loads(run("--json"))
    assert (results["games"], results["generic_games"], results["repeats"]) == (600, 2, 1)
    *exact, generic = results["rows"]
    assert [row["name"] for row in exact] == [
        "solve, without throttling",
        "solve, with throttling",
        "best_response",
        "solve one by one, with throttling",
    ]
    assert generic["name"] == "generic bilevel solution"
    assert generic["ratio_to_generic"] == 1
    for row in exact:
        assert row["games_per_second"] > 0
        assert row["ratio_to_generic"] == pytest.approx(row["games_per_second"] / generic["games_per_second"])
        assert row["max_relative_error"] < 1e-12
        assert row["share_accurate"] == 1
    assert 0 <= generic["share_accurate"] <= 1
    assert list(results["extra_memory"]) == ["50", "100"]
    assert max(results["extra_memory"].values()) < 200
    assert 0.9 < results["static_share"] <= 1
    assert 0 <= results["median_saving"] < 1


def test_tables_name_every_way_to_solve() -> None:
    printed = run()
    for words in ("games/s", "generic bilevel", "best_response", "MB beyond inputs and outputs", "Static optima"):
        assert words in printed
