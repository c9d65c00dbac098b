"""Algorithms of one's own file in the benchmark: found, run in other processes, made again when the file changes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stackroute.configs import ConfigError
from stackroute.configs.benchmarks import Suite
from stackroute.configs.loading import validated
from stackroute.training.benchmark.algorithms import enter_file, find_algorithm
from stackroute.training.benchmark.results import read_plan, read_results
from stackroute.training.benchmark.running import run_suite, units_of
from stackroute.training.own_code import OwnCode, is_own_code

Stackroute = Callable[..., tuple[int, str, str]]

MINE = '''
from __future__ import annotations

from dataclasses import dataclass

from beside import MODEL
from stackroute import Commitment
from stackroute.training import Problem, Solution

RAISE = 0


@dataclass(frozen=True)
class Choice:
    model: int = MODEL

    @property
    def commitment(self) -> Commitment:
        return Commitment.static([self.model])


def one_model(problem: Problem) -> Solution:
    """Always the same model."""
    if RAISE:
        raise RuntimeError("stopped")
    made = Choice().commitment
    play = problem.sampled("one model")
    return Solution(made, play.answer(made, 1_000))


count = 3
'''

SUITE = {
    "summary": "Small.",
    "groups": [{"name": "static", "games": ["g1"], "throttling": False}],
    "algorithms": ["exact"],
    "seeds": [0],
    "horizon": 1_000,
}


@pytest.fixture
def folder(tmp_path: Path, registry: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside.py").write_text("MODEL = 1\n")
    (tmp_path / "suite.yaml").write_text(json.dumps(SUITE))
    return tmp_path


def test_a_file_takes_part_beside_packaged_names(folder: Path, stackroute: Stackroute) -> None:
    suite = validated(SUITE | {"algorithms": ["mine.py:one_model", "exact"]}, "suite", Suite)
    (folder / "mine.py").write_text(MINE.replace("RAISE = 0", "RAISE = 1"))
    enter_file("mine.py:one_model")
    failed, exact = run_suite(suite, folder / "out")
    assert (failed.error, exact.error) == ("RuntimeError: stopped", None)
    (path,) = (folder / "out" / "units").glob("*exact*.json")
    stamp = path.stat().st_mtime_ns

    (folder / "mine.py").write_text(MINE)
    command = ("benchmark", "suite.yaml", "--algorithms", "mine.py:one_model,exact", "--out", "out", "--resume")
    code, _, errors = stackroute(*command, "--jobs", "2")
    assert (code, errors) == (0, "")
    assert stamp == path.stat().st_mtime_ns
    plan = read_plan(folder / "out")
    mine, _ = read_results(plan, folder / "out")
    assert (mine.error, mine.summary) == (None, "Always the same model.")
    assert mine.groups["static"]["learned_first_model"] == 1
    assert "mine.py:one_model" in (folder / "out" / "report.md").read_text()

    assert {unit.name: unit.fingerprint for unit in units_of(suite)} == plan.units
    (folder / "mine.py").write_text(MINE + "# changed\n")
    enter_file("mine.py:one_model")
    changed = [unit.name for unit in units_of(suite) if unit.fingerprint != plan.units[unit.name]]
    assert changed == ["static-g1--mine.py:one_model--seed0"]


def test_a_suite_runs_no_file(folder: Path, stackroute: Stackroute) -> None:
    (folder / "suite.yaml").write_text(json.dumps(SUITE | {"algorithms": ["mine.py:one_model"]}))
    code, _, errors = stackroute("benchmark", "suite.yaml", "--out", "out")
    assert code == 2
    assert "'mine.py:one_model' is only run where the command names it: --algorithms mine.py:one_model" in errors
    with pytest.raises(ConfigError, match="is only run where the command names it"):
        find_algorithm("mine.py:one_model")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (MINE, "absent.py:one_model", "absent.py: no such file"),
        (MINE, "mine.py:two_models", "mine.py: has no 'two_models'; it has annotations, dataclass, MODEL"),
        (MINE, "mine.py:count", "mine.py:count: 3 is not allowed; expected a function of a problem"),
        ("a = 1\nb = a / 0\n", "mine.py:b", "mine.py: cannot be run at line 2 (ZeroDivisionError: division by zero)"),
        ("def f(:\n", "mine.py:f", "mine.py: cannot be run (SyntaxError: "),
        ("raise SystemExit(3)\n", "mine.py:f", "mine.py: cannot be run at line 1 (SystemExit: 3)"),
    ],
)
def test_files_that_cannot_be_used(folder: Path, stackroute: Stackroute, text: str, name: str, message: str) -> None:
    (folder / "mine.py").write_text(text)
    code, shown, errors = stackroute("benchmark", "suite.yaml", "--algorithms", name)
    assert (code, shown, errors.count("\n")) == (2, "", 1)
    assert message in errors


def test_places_of_own_code() -> None:
    assert is_own_code("folder/mine.py:One")
    assert not any(map(is_own_code, ("mine.py", "mine:one", "mine.yaml", "mine.py:", "mine.py:1", "exact")))
    with pytest.raises(ConfigError, match=r"'mine\.py' is not allowed; expected FILE\.py:NAME"):
        OwnCode.read("mine.py")
