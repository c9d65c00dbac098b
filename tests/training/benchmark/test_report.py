"""Reports, and the commands that make them."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stackroute import Commitment
from stackroute.configs.benchmarks import Suite, load_suite
from stackroute.training import Problem, Solution, register_algorithm
from stackroute.training.benchmark import algorithms
from stackroute.training.benchmark.metrics import measure
from stackroute.training.benchmark.plots import _curves, _heat_map, _throttling
from stackroute.training.benchmark.problem import Record
from stackroute.training.benchmark.report import as_markdown, write_report
from stackroute.training.benchmark.results import (
    PLAN,
    DamagedResultWarning,
    Plan,
    Result,
    as_table,
    marl_eval,
    read_plan,
    read_results,
)
from stackroute.training.benchmark.running import run_suite
from stackroute.training.benchmark.statistics import by_group, interquartile_mean, median_curves, ranking, regrets_of
from stackroute.training.benchmark.tasks import tasks_of
from stackroute.training.figures.style import BLUE
from stackroute.training.output import RunError

SmallSuite = Callable[..., Suite]
Stackroute = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("registry")
METRICS = list(measure(tasks_of(load_suite("quick"))[0], Solution(Commitment.static(0), 1.0)))
ROOT = Path(__file__).parents[3]


def result(task: str, algorithm: str, seed: int, regret: float, **changes: object) -> Result:
    """A unit's result, made up."""
    content = {
        "fingerprint": "",
        "task": task,
        "game": task,
        "penalty_ratio": None,
        "algorithm": algorithm,
        "summary": f"About {algorithm}.",
        "seed": seed,
        "groups": {task[0]: dict.fromkeys(METRICS, 0.0) | {"games": 1, "provider_regret": regret}},
        "totals": {
            "tasks": 1_000,
            "seconds": 1.0,
            "area": regret,
            "tasks_to_5%": 7e6 if regret < 0.05 else None,
            "tasks_to_1%": None,
            "seconds_to_1%": None,
        },
        "curve": {"tasks": [10, 1_000], "seconds": [0.1, 1.0], "regret": [1.0, regret]},
    }
    return Result.model_validate(content | changes)


REGRETS = {
    "poor": [0.5, 0.6, 0.55, 0.7, 3.0, 0.8],
    "good": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "fair": [0.02, 0.01, 0.015, 0.0, 0.03, 0.02],
}


def made_up(regrets: dict[str, list[float]] = REGRETS) -> list[Result]:
    """Results on the tasks "a" and "b" with seeds 0, 1 and 2: the regrets in the order a0, a1, a2, b0, b1, b2."""
    return [
        result(task, algorithm, seed, values[3 * k + seed])
        for algorithm, values in regrets.items()
        for k, task in enumerate("ab")
        for seed in range(3)
    ]


@pytest.fixture
def suite(small_suite: SmallSuite) -> Suite:
    return small_suite(algorithms=list(REGRETS), seeds=[0, 1, 2])


def test_algorithms_are_ranked_in_tiers(suite: Suite) -> None:
    regrets = regrets_of(suite, as_table(made_up()))
    # A regret counts as 1 at most.
    assert regrets.loc["poor"].to_numpy().tolist() == [[0.5, 0.7], [0.6, 1.0], [0.55, 0.8]]
    ranked = ranking(regrets, together=False)
    assert [one.algorithm for one in ranked] == ["good", "fair", "poor"]
    poor = ranked[2]
    assert poor.regret.value == interquartile_mean([[0.5, 0.6, 0.55], [0.7, 1.0, 0.8]])
    assert 0.5 <= poor.regret.low <= poor.regret.value <= poor.regret.high <= 1
    assert poor.tier == ranked[1].tier + 1
    assert ranked[0].better_than_next is not None
    # All of good's zeros beat fair but for the tie with its zero: on task b 1/3 of 3 x 3 pairs are ties.
    assert ranked[0].better_than_next.value == pytest.approx((1 + (0.5 + 2) / 3) / 2)
    assert ranked[2].better_than_next is None


def test_a_failed_run_counts_as_the_worst(suite: Suite) -> None:
    results = made_up()
    results[6] = result("a", "good", 0, 0.0, error="it failed", groups={}, curve={})
    regrets = regrets_of(suite, as_table(results))
    assert sorted(regrets.loc["good"].to_numpy().ravel()) == [0, 0, 0, 0, 0, 1]
    assert by_group(regrets).loc["good"].tolist() == [0.0, 0.0]
    assert median_curves(results[6:7], np.array([2_000.0]))["good"].tolist() == [1.0]


def test_groups_and_curves(suite: Suite) -> None:
    medians = by_group(regrets_of(suite, as_table(made_up())))
    assert medians.columns.tolist() == ["a", "b"]
    np.testing.assert_allclose(medians.loc[list(REGRETS)], [[0.55, 0.8], [0, 0], [0.015, 0.02]])
    curves = median_curves(made_up(), np.array([1.0, 10.0, 999.0, 1_000.0, 1e6]))
    np.testing.assert_allclose(curves["fair"], [1, 1, 1, 0.0175, 0.0175])


def test_the_report_says_what_was_measured(suite: Suite) -> None:
    results = made_up({"exact": REGRETS["good"], "random": REGRETS["poor"]})
    results[10] = result("b", "random", 1, 0.0, error="OverflowError: <too>\nmuch", groups={}, curve={})
    asked = suite.model_copy(update={"algorithms": ["exact", "random"]})
    plan = Plan(suite=asked, versions={"python": "3.99"}, units=dict.fromkeys("abcdefghijkl", ""))
    regrets = regrets_of(asked, as_table(results))
    text = as_markdown(plan, ranking(regrets, together=False), regrets, results, ["heat-map.png"])
    words = " ".join(text.split())
    assert "11 of 12 runs are finished, 1 failed" in words
    assert "| 1 | exact | 0 [0, 0] | 0 | 0 | 100% |" in words
    assert "| 7 (100%) | never |" in words
    assert "with a 95 % interval" in words
    assert "- failed: random, b, seed 1: OverflowError: &lt;too&gt; much" in words
    assert "![heat-map](heat-map.png)" in words
    assert "A run that failed or is missing counts as a regret of 100 %." in words
    assert "- `random`: About random." in words
    assert "Versions: python 3.99." in words
    assert "no evidence of learning, in none of these games." in words
    for one in results[::3]:
        for metrics in one.groups.values():
            metrics["random_right"] = 0.34 if one.task == "b" else 0.09
    again = " ".join(as_markdown(plan, ranking(regrets, together=False), regrets, results).split())
    assert "no evidence of learning, in b (34%)." in again
    assert "nan" not in words


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_no_intervals_and_no_tiers(suite: Suite, seeds: int) -> None:
    results = [one for one in made_up() if one.seed < seeds]
    asked = suite.model_copy(update={"seeds": list(range(seeds))})
    regrets = regrets_of(asked, as_table(results))
    ranked = ranking(regrets, together=False)
    assert [one.tier for one in ranked] == [None] * 3
    text = as_markdown(Plan(suite=asked, versions={}, units={}), ranked, regrets, results)
    assert f"without intervals and tiers, for which 3 seeds are the least and {seeds} too few" in text
    assert "[0" not in text
    assert "nan" not in text


def test_curves_go_as_far_as_the_longest_and_say_what_was_not_counted(suite: Suite) -> None:
    results = [
        result(task, algorithm, 0, 0.1, totals={"tasks": played}, curve=Record([played], [1.0], [0.1]))
        for task, algorithm, played in (("a", "long", 10**7), ("b", "long", 10**5), ("a", "given", 0))
    ]
    figure = _curves(suite, ["long", "given"], results)
    for axes, name in zip(figure.axes, ("long", "given", ""), strict=True):
        assert axes.get_title() == name
        if name:
            # Its own curve is over all.
            assert [len(axes.lines), axes.lines[-1].get_color()] == [3, BLUE]
            assert axes.lines[-1].get_xdata().max() == pytest.approx(10**7)
    assert any("No tasks counted: given." in text.get_text() for text in figure.texts)


def test_the_heat_map_says_where_a_regret_may_be_greater(suite: Suite) -> None:
    medians = pd.DataFrame({"a": [0.0, 1.0], "b": [5e-5, 0.5]}, index=["good", "poor"])
    texts = [text.get_text() for text in _heat_map(suite, medians).axes[0].texts]
    assert texts == ["0", "< 0.01", "\u2265 100", "50"]


def test_games_are_told_apart_where_all_throttle_or_none(suite: Suite) -> None:
    ratios = (0.5, 0.98, 1.02, 2.0)
    runs = [
        {"algorithm": "good", "game": game, "penalty_ratio": ratio, "learned_throttled": ratio < 1}
        for game in ("g7", "g8")
        for ratio in ratios
    ]
    (axes,) = _throttling(suite, ["good"], pd.DataFrame(runs)).axes
    theory, *games = axes.lines
    assert theory.get_xdata()[1] == pytest.approx(1.5, abs=0.01)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.5", "0.98", "1.02", "2"]
    for line, left in zip(games, (True, False), strict=True):
        assert list(line.get_ydata()) == [1, 1, 0, 0]
        assert (np.asarray(line.get_xdata()) < np.arange(4)).all() == left


def test_marl_eval_has_its_layout() -> None:
    content = marl_eval(made_up())
    assert list(content) == ["stackroute"]
    assert set(content["stackroute"]) == {"a", "b"}
    run = content["stackroute"]["b"]["fair"]["seed_1"]
    assert run["step_0"] == {"step_count": 10, "elapsed_time": 0.1, "provider_regret": [1.0]}
    assert run["step_1"]["step_count"] == 1_000
    assert run["absolute_metrics"]["provider_regret"] == [0.03]
    many = result("held-out", "good", 0, 0.0)
    assert set(marl_eval([many])["stackroute"]) == {"h"}
    assert set(marl_eval([many])["stackroute"]["h"]["good"]["seed_0"]) == {"absolute_metrics"}


def test_a_report_without_a_finished_run_is_refused(small_suite: SmallSuite, tmp_path: Path) -> None:
    def broken(problem: Problem) -> Solution:
        raise FloatingPointError("it diverged")

    register_algorithm("broken", broken)
    run_suite(small_suite(algorithms=["broken"]), tmp_path)
    with pytest.raises(RunError, match="no run has finished; the first failed: FloatingPointError: it diverged"):
        write_report(tmp_path)
    (tmp_path / "benchmark.json").write_text('{"tasks": 3}')
    with pytest.raises(RunError, match=r"benchmark.json: cannot be used \(damaged, or changed"):
        write_report(tmp_path)


def changed(content: Any) -> Iterator[Any]:
    """JSON with one value changed, in every way."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            for other in changed(value):
                copy = content.copy()
                copy[key] = other
                yield copy
        if content:
            copy = content.copy()
            copy.pop(next(iter(copy)) if isinstance(copy, dict) else 0)
            yield copy
    for other in (None, -1, "x", [], {}):
        if other != content:
            yield other


@pytest.mark.parametrize("name", ["benchmark.json", "units/static-g1--exact--seed0.json"])
def test_what_was_changed_in_a_folder_of_results_is_not_used(
    small_suite: SmallSuite, tmp_path: Path, name: str
) -> None:
    run_suite(small_suite(algorithms=["exact"], seeds=[0]), tmp_path)
    path = tmp_path / name
    written, plan = json.loads(path.read_text()), read_plan(tmp_path)
    for content in changed(written):
        path.write_text(json.dumps(content))
        if name == PLAN:
            with pytest.raises(RunError, match="damaged, or changed"):
                read_plan(tmp_path)
        else:
            with pytest.warns(DamagedResultWarning):
                assert len(read_results(plan, tmp_path)) == 1
    with pytest.warns(DamagedResultWarning) if name != PLAN else pytest.raises(RunError):
        assert "1 of 2 runs are finished" in write_report(tmp_path)[0].read_text()


def test_a_report_needs_no_algorithm(small_suite: SmallSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_suite(small_suite(), tmp_path)
    kept = {name: one for name, one in algorithms._REGISTERED.items() if name != "guess"}
    monkeypatch.setattr(algorithms, "_REGISTERED", kept)
    assert "`guess`: The best in play of five commitments drawn at random." in write_report(tmp_path)[0].read_text()


def test_the_commands(small_suite: SmallSuite, tmp_path: Path, stackroute: Stackroute) -> None:
    path, folder = tmp_path / "mine.yaml", tmp_path / "benchmarks" / "mine"
    path.write_text(json.dumps(small_suite().model_dump(exclude_none=True)))
    command = ["benchmark", str(path), "--algorithms", "exact, guess", "--seeds", "1"]
    code, shown, errors = stackroute(*command)
    assert (code, errors) == (0, "")
    pictures = ["profiles.png", "regret-curves.png", "heat-map.png"]
    assert "│ exact │ 0 │ 100% │" in shown
    ranking = pd.read_csv(folder / "ranking.csv", dtype=str, keep_default_na=False)
    assert list(ranking["algorithm"]) == ["exact", "guess"]
    for name in ("report.md", "ranking.csv", *pictures, "results.parquet", "curves.parquet", "marl-eval.json"):
        assert f"Wrote benchmarks/mine/{name}" in shown
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    text = " ".join((folder / "report.md").read_text().split())
    assert "| | exact | 0 |" in text
    assert "4 of 4 runs are finished" in text
    assert set(json.loads((folder / "marl-eval.json").read_text())["stackroute"]["static-g1"]["guess"]) == {"seed_0"}
    code, _, errors = stackroute(*command)
    assert code == 2
    assert "holds results already; go on with --resume" in errors
    assert stackroute(*command, "--resume")[0] == 0
    assert stackroute("report", "benchmarks/mine", "--out", "again")[0] == 0
    assert (tmp_path / "again" / "report.md").read_text() == (folder / "report.md").read_text()


def test_the_commands_errors_and_lists(stackroute: Stackroute) -> None:
    code, shown, _ = stackroute("benchmark", "--list")
    assert code == 0
    for entry in ("│ quick │ Four games", "│ cma_es │ CMA-ES", "│ BaRP │"):
        assert entry in shown
    for arguments, message in (
        (["benchmark"], "SUITE: missing; expected a .yaml file or one of amortised, convergence, free, full,"),
        (["benchmark", "throtling"], "did you mean 'throttling'?"),
        (["benchmark", "absent.yaml"], "absent.yaml: no such file"),
        (["benchmark", "quick", "--algorithms", "exact,exact"], "are not allowed; expected different ones"),
        (["benchmark", "quick", "--seeds", "9"], "seeds: 9 is not allowed; quick has 3"),
        (["benchmark", "quick", "--algorithms", "sarsa"], "algorithms: 'sarsa' is not allowed"),
        (
            ["report", "nowhere"],
            "nowhere/benchmark.json: no such file; expected the folder of a 'stackroute benchmark'",
        ),
    ):
        code, _, errors = stackroute(*arguments)
        assert code == 2
        assert message in errors


def test_the_example_of_an_algorithm_of_ones_own(small_suite: SmallSuite, tmp_path: Path) -> None:
    path = ROOT / "docs" / "examples" / "benchmark_algorithm.py"
    assert len(path.read_text().splitlines()) < 60
    example = runpy.run_path(str(path))
    text = example["compare"](small_suite(seeds=[0]), tmp_path)
    assert "`hill_climber`: Hill climbing from a random commitment" in text
    results = pd.read_parquet(tmp_path / "results.parquet").set_index(["algorithm", "task"])
    # A commitment at random has 20 to 60 % here.
    assert results.loc[("hill_climber", "static-g1"), "provider_regret"] < 0.05


def test_the_tables_of_the_findings(tmp_path: Path) -> None:
    suite = load_suite("quick").model_copy(update={"algorithms": ["exact", "best_static"], "seeds": [0, 1]})
    run_suite(suite, tmp_path)
    write_report(tmp_path)
    script = ROOT / "benchmarks" / "findings.py"
    printed = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True).stdout
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in printed.splitlines()
        if line.startswith("| best_static")
    ]
    table = pd.read_parquet(tmp_path / "results.parquet").set_index(["algorithm", "game"])
    excess = f"{100 * table.loc[('best_static', 'g5b'), 'provider_regret'].iloc[0]:.3g}"
    assert rows[0][4] == excess
    # Two of two: the lower end is that of Clopper and Pearson, (0.025)^(1/2).
    assert rows[0][3] == "2 of 2 [16%, 100%]"
