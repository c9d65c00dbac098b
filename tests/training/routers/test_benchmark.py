"""Suites of workloads: their units, and the report of what routers cost where users react."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stackroute.configs import ConfigError
from stackroute.configs.benchmarks import Suite, load_suite
from stackroute.configs.loading import validated
from stackroute.training.benchmark.report import write_report
from stackroute.training.benchmark.results import UNITS, Plan, Result, read_plan
from stackroute.training.benchmark.running import run_suite, units_of
from stackroute.training.learn.session import derived_seed
from stackroute.training.output import RunError
from stackroute.training.routers import units
from stackroute.training.routers.comparison import answered, fit_router, judge, least_cost, with_economics
from stackroute.training.routers.metrics import single_answers
from stackroute.training.routers.pictures import _frontier
from stackroute.training.routers.report import as_markdown, losses_of
from stackroute.training.routers.workload import divided, synthetic_workload

TINY = Path(__file__).with_name("tiny.yaml")
ECONOMICS = {"leaving": (2.0, 4.0), "staying": (30.0, 30.0)}
Change = Callable[..., Suite]


def here(calls: list[Callable[[], object]], *_: object) -> Iterator[tuple[int, object]]:
    """As in processes, each of which would load scikit-learn."""
    return ((number, call()) for number, call in enumerate(calls))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackroute.training.benchmark.running.in_processes", here)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny suite, run."""
    out = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stackroute.training.benchmark.running.in_processes", here)
        run_suite(load_suite(TINY), out)
    return out


@pytest.fixture
def results(folder: Path) -> list[Result]:
    return run_suite(load_suite(TINY), folder, resume=True)


@pytest.fixture
def changed() -> Change:
    def made(**changes: object) -> Suite:
        return validated(load_suite(TINY).model_dump() | changes, "suite", Suite)

    return made


def workload(**changes: object) -> dict[str, Any]:
    return load_suite(TINY).model_dump()["workloads"][0] | changes


def test_results_are_those_of_the_judge(results: list[Result]) -> None:
    table = losses_of(results).set_index(["algorithm", "seed", "economy", "rule", "knows", "chosen_by"]).sort_index()
    seed, name = 1, "logistic regression"
    whole = synthetic_workload(60, 2, 2, *ECONOMICS["leaving"])
    parts = divided(whole, np.random.default_rng(derived_seed(seed, "tiny")))
    for economy, numbers in ECONOMICS.items():
        priced = with_economics(parts, *numbers)
        best = least_cost(priced.test, 4)
        for one in judge(fit_router(name, priced, seed), priced, seed, 4):
            row = table.loc[(name, seed, economy, one.rule, one.knows, one.chosen_by)]
            assert row["provider_cost"] == pytest.approx(one.answer.provider_cost)
            assert row["leave"] == pytest.approx(one.answer.leave)
            assert row["knob"] == one.knob
            assert row["loss"] == pytest.approx(one.answer.provider_cost / best.provider_cost[0] - 1)
        bound = table.loc[("optimum", seed, economy)].iloc[0]
        assert bound["loss"] == 0
        assert bound["stop"] == answered(priced.test.traffic, best.policy, 4).stop == best.stop[0]
    literature = single_answers(fit_router(name, parts, seed).router, parts.features[2], parts.test.truth)
    row = table.loc[(name, seed)].iloc[0]
    assert row["improvement"] == pytest.approx(literature.improvement)
    assert row["strong_share"] in literature.strong_share
    assert (table["loss"] > -1e-9).all()


def test_a_router_is_fitted_once_for_all_economies(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[str] = []

    def counted(name: str, *arguments: Any) -> Any:
        fitted.append(name)
        return fit_router(name, *arguments)

    monkeypatch.setattr(units, "fit_router", counted)
    unit = next(unit for unit in units_of(load_suite(TINY)) if unit.entrant.name == "best single model")
    assert {units.Way.named(group).economy for group in unit.measured()["groups"]} == set(ECONOMICS)
    assert fitted == ["best single model"]


def test_what_is_done_is_not_done_again(changed: Change, tmp_path: Path) -> None:
    suite = changed(algorithms=["optimum", "best single model"], seeds=[0])
    before = run_suite(suite, tmp_path)
    first, second = sorted((tmp_path / UNITS).iterdir())
    stamp = second.stat().st_mtime_ns
    first.unlink()
    after = run_suite(suite, tmp_path, resume=True)
    assert [one.groups for one in after] == [one.groups for one in before]
    assert second.stat().st_mtime_ns == stamp
    # A workload that is changed is run again.
    economics = [{"name": "leaving", "value": 3, "churn_penalty": 4}]
    for other in (workload(economics=economics), workload(synthetic=workload()["synthetic"] | {"seed": 1})):
        again = units_of(changed(workloads=[other]))
        assert not {unit.fingerprint for unit in again} & {one.fingerprint for one in before}


def test_the_frontier_is_below_what_users_and_provider_get(results: list[Result]) -> None:
    found = losses_of(results)
    for result in results:
        for economy, line in result.lines.items():
            if result.algorithm == "optimum":
                utility, cost = _frontier([line])
                assert (np.diff(cost) >= -1e-9).all()
                mine = found[(found["economy"] == economy) & (found["seed"] == result.seed)]
                least = np.interp(mine["user_utility"], utility, cost)
                reachable = mine["user_utility"] <= utility[-1]
                assert (mine["provider_cost"] >= least - 1e-6)[reachable].all()
                # One attempt of the better model at each task is all that users who leave can get, at the least cost.
                assert (cost[-1] > cost[0]) == (economy == "staying")


def test_the_report_says_what_was_judged(folder: Path, results: list[Result], tmp_path: Path) -> None:
    written = write_report(folder, tmp_path)
    pictures = [path for path in written if path.suffix == ".png"]
    assert [path.name for path in pictures] == ["cost-and-utility-tiny.png", "first-answers-tiny.png"]
    for path in pictures:
        assert np.asarray(Image.open(path).convert("L")).std() > 10
    table = pd.read_parquet(tmp_path / "results.parquet")
    text = (tmp_path / "report.md").read_text()
    words = " ".join(text.split())
    assert "8 of 8 runs are finished, 0 failed" in words
    assert "without intervals and tiers, for which 3 seeds are the least and 2 too few" in words
    row = next(line for line in text.splitlines() if line.startswith("|") and "| logistic regression" in line)
    for way, cell in zip(
        ("own rule, literature's knob", "own rule, knob by cost", "user-aware rule"),
        row.split("|")[3:6],
        strict=True,
    ):
        mine = table[(table["algorithm"] == "logistic regression") & (table["way"] == way)]["loss"].sort_values()
        # The middle half of four.
        assert float(cell) == pytest.approx(100 * mine.iloc[1:3].mean(), abs=0.051)
    assert "nan" not in words
    assert set(table["task"]) == {"tiny"}
    assert len(pd.read_parquet(tmp_path / "curves.parquet")) == 2 * 2 * 21


def test_what_is_missing_counts_as_the_worst(folder: Path, results: list[Result]) -> None:
    plan = read_plan(folder)
    left = [one for one in results if (one.algorithm, one.seed) != ("best single model", 0)]
    text = as_markdown(Plan(**plan.model_dump()), left)
    assert "A run that failed or is missing counts as the worst loss of its column." in " ".join(text.split())
    with pytest.raises(RunError, match="optimum: no run has finished"):
        as_markdown(plan, [one for one in results if one.algorithm != "optimum"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"held_out": {"count": 6, "seed": 0, "throttling": False}}, "groups or held_out or workloads"),
        ({"horizon": 13}, "horizon: 13 is not allowed; expected at most 12 attempts"),
        ({"algorithms": ["optimum", "RouteLLM"]}, "algorithms: 'RouteLLM' is not allowed; expected one of random, "),
        ({"workloads": [workload(outcomes="bfcl")]}, "workloads.0: outcomes: expected either outcomes or synthetic"),
        ({"workloads": [workload(models=["a"])]}, "workloads.0: models: expected with outcomes"),
        ({"workloads": [workload(second_price=1.0)]}, "workloads.0: second_price: is not allowed"),
        (
            {"workloads": [workload(synthetic=None, outcomes="metr", models=["o1"], cost={"o2": 1.0})]},
            "workloads.0: cost.o2: is not allowed; expected one of the models",
        ),
        (
            {"workloads": [workload(synthetic=None, outcomes="metr", models=["o1"], latency={"o1": 1.0})]},
            "workloads: tiny: ",
        ),
        ({"workloads": [workload(), workload()]}, "workloads: ['tiny', 'tiny'] are not allowed"),
        ({"workloads": [workload(economics=workload()["economics"] * 2)]}, "economics of tiny: "),
        ({"workloads": [workload(kinds=2)]}, "workloads.0.kinds: unknown key"),
    ],
)
def test_suites_that_are_not_allowed(changed: Change, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        units_of(changed(**changes))
    assert message in str(caught.value)


def test_the_suite_and_its_routers_are_listed(stackroute: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = stackroute("benchmark", "--list")
    assert code == 0
    assert "│ routers │ Published routers" in out
    for name in load_suite("routers").algorithms:
        assert f"│ {name} │ " in out
