"""Suites and their tasks, and what schemes of training record in them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from stackroute import load_game, solve
from stackroute.analytic import Stratum, strata, throttling_gain
from stackroute.configs import ConfigError
from stackroute.configs.benchmarks import StratumName, Suite, load_suite, suite_names
from stackroute.training.benchmark.report import write_report
from stackroute.training.benchmark.results import as_table
from stackroute.training.benchmark.running import run_suite, units_of
from stackroute.training.benchmark.tasks import Task, tasks_of

SmallSuite = Callable[..., Suite]
TinyContent = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def tasks(small_suite: SmallSuite) -> Callable[..., list[Task]]:
    """The tasks of a suite with one group."""

    def made(**group: object) -> list[Task]:
        return tasks_of(small_suite(groups=[{"name": "a", "throttling": False} | group]))

    return made


def test_penalty_ratios_are_multiples_of_the_throttling_threshold(tasks: Callable[..., list[Task]]) -> None:
    found = tasks(games=["g7", "g8"], throttling=True, penalty_ratios=[0.5, 0.99, 1.01, 4])
    assert [task.name for task in found[:3]] == ["a-g7-0.5", "a-g7-0.99", "a-g7-1.01"]
    assert len({task.name for task in found}) == len(found) == 8
    for task in found:
        threshold = float(throttling_gain(load_game(task.label).game).churn_penalty_high)
        assert task.penalty_ratio is not None
        assert task.game.churn_penalty[0] == pytest.approx(task.penalty_ratio * threshold, rel=1e-12)
        without, with_delays = (float(solve(task.game[0], throttling=delays).provider_cost) for delays in (False, True))
        assert (with_delays < without * (1 - 1e-9)) is (task.penalty_ratio < 1)


@pytest.mark.parametrize("stratum", get_args(StratumName))
def test_random_games_lie_in_their_stratum(tasks: Callable[..., list[Task]], stratum: str) -> None:
    asked = {"stratum": stratum, "count": 4, "seed": 6}
    found, same, other = (tasks(random_games=asked | {"seed": seed}) for seed in (6, 6, 7))
    assert [task.name for task in found] == [f"a-random{k}" for k in range(4)]
    assert {Stratum(int(strata(task.game[0]))).name.lower() for task in found} == {stratum}
    values, again, others = ([float(task.game.value[0]) for task in made] for made in (found, same, other))
    assert values == again != others


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({}, "groups.0: games: expected either games or random_games"),
        ({"name": "a b", "games": ["g1"]}, "groups.0.name: 'a b' is not allowed"),
        ({"games": []}, "groups.0.games: "),
        ({"games": ["g1"], "penalty_ratios": [0.0]}, "groups.0.penalty_ratios.0: 0.0 is not allowed"),
        ({"games": ["g1"], "seed": 1}, "groups.0.seed: unknown key"),
        ({"random_games": {"stratum": "all", "count": 1, "seed": 0}}, "random_games.stratum: 'all'"),
        ({"games": ["g1", "g1"]}, "2 tasks are called 'a-g1'"),
        ({"games": ["g3"], "penalty_ratios": [1.0]}, "penalty_ratios: throttling never pays in g3"),
    ],
)
def test_groups_that_are_not_allowed(tasks: Callable[..., list[Task]], group: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tasks(**group)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": None}, "groups: expected either groups or held_out"),
        ({"algorithms": ["exact", "exact"]}, "are not allowed; expected different ones"),
        ({"seeds": [-1]}, "seeds.0: -1 is not allowed"),
        ({"seeds": []}, "seeds: "),
    ],
)
def test_suites_that_are_not_allowed(small_suite: SmallSuite, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small_suite(**changes)


def test_every_suite_can_be_used() -> None:
    units = {name: units_of(load_suite(name)) for name in suite_names()}
    assert {name: len(units[name]) for name in ("convergence", "free", "random_cascades", "throttling", "traffic")} == {
        "convergence": 75,
        "free": 18 + 3,
        "random_cascades": 40,
        "throttling": 200,
        "traffic": 45,
    }
    seeds = {name: len({unit.seed for unit in made}) for name, made in units.items()}
    assert seeds | {"quick": 3, "full": 10} == seeds
    assert set(seeds) >= {"standard", "amortised", "threshold"}


def test_games_of_more_than_two_models_have_no_cascades(tasks: Callable[..., list[Task]], tmp_path: Path) -> None:
    content = load_game("g1").model_dump(exclude_none=True)
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(content | {"models": [*content["models"], content["models"][1] | {"label": "third"}]}))
    assert tasks(games=[str(path)])[0].routing == "free"
    with pytest.raises(ConfigError, match="has 3 models; expected one or two, for routing: cascade"):
        tasks(games=[str(path)], routing="cascade")


def test_what_a_scheme_of_training_has_learned_is_recorded_and_drawn(
    small_suite: SmallSuite, tiny_content: TinyContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("settings.yaml").write_text(json.dumps(tiny_content()))
    Path("tiny.yaml").write_text(json.dumps({"summary": "Tiny.", "settings": "settings.yaml"}))
    groups = [
        {"name": "plain", "games": ["g4b"], "throttling": False},
        {"name": "swept", "games": ["g7"], "throttling": True, "penalty_ratios": [0.5, 2.0]},
    ]
    suite = small_suite(groups=groups, algorithms=["tiny.yaml", "exact"], seeds=[0])

    def here(calls: list[Callable[[], object]], *_: object) -> Iterator[tuple[int, object]]:
        """As in processes, each of which would load PyTorch."""
        return ((number, call()) for number, call in enumerate(calls))

    monkeypatch.setattr("stackroute.training.benchmark.running.in_processes", here)
    results = run_suite(suite, tmp_path / "out")
    assert not [result.error for result in results if result.error]
    table = as_table(results)
    learned = table[table["algorithm"] == "tiny.yaml"]
    # The provider's stage is the last one here.
    assert (learned["regret_after_provider"] == learned["provider_regret"]).all()
    assert learned["certified"].isna().all()
    for row in table.itertuples():
        game = next(task.game[0] for task in tasks_of(suite) if task.name == row.task)
        exact = solve(game, throttling=row.group == "swept")
        assert row.exact_provider_cost == pytest.approx(float(exact.provider_cost))
        assert row.learned_provider_cost == pytest.approx(row.exact_provider_cost * (1 + row.on_path_regret))
        assert row.exact_throttled == (row.penalty_ratio == 0.5)
    pictures = [path.name for path in write_report(tmp_path / "out") if path.suffix == ".png"]
    assert pictures == ["profiles.png", "regret-curves.png", "heat-map.png", "throttling.png"]
    text = " ".join((tmp_path / "out" / "report.md").read_text().split())
    assert "| P / P* |" in text
    assert "| g7 | 0.5 |" in text
    assert "| regret after provider, % |" in text
