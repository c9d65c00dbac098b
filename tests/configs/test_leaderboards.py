"""Leaderboards: attempts by hand, which run is used, and what is refused."""

from pathlib import Path

import pytest

from stackroute.configs import ConfigError
from stackroute.configs.leaderboards import is_leaderboard
from stackroute.configs.tables import is_table, read_models

RUN = {
    "dirname": "2025-01-31--quick",
    "test_cases": "200",
    "model": "quick (high)",
    "commit_hash": "0123456",
    "pass_rate_1": "25.0",
    "pass_rate_2": "62.5",
    "date": "2025-01-31",
    "seconds_per_case": "35.0",
    "total_cost": "7.0",
}


def entry(**changes: str | None) -> str:
    content = {key: value for key, value in (RUN | changes).items() if value is not None}
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in content.items()) + "\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "board.yml"
    path.write_text(text)
    return path


def test_attempts_of_a_run(tmp_path: Path) -> None:
    table = read_models(written(tmp_path, "# runs\n\n" + entry()))
    (model,) = table.models
    # 200 tasks, of which 150 have a second attempt, and 75 of these are solved by it.
    assert (model.label, model.success, model.second_success, model.count) == ("quick (high)", 0.25, 75 / 150, 200)
    assert model.cost == pytest.approx(7.0 / 350)
    assert model.latency == pytest.approx(35.0 * 200 / 350)
    assert model.success_error == pytest.approx((0.25 * 0.75 / 200) ** 0.5)
    assert (table.name, table.money, table.rejected) == ("board", "USD", ())
    assert "quick (high) has success 0.25, cost 0.02 and latency 20 s" in table.understood


def test_the_packaged_table_was_made_so(tmp_path: Path) -> None:
    packaged = {model.label: model for model in read_models("aider").models}["gpt-4o-2024-11-20"]
    numbers = {"test_cases": "225", "pass_rate_1": "4.9", "pass_rate_2": "18.2"}
    money = {"total_cost": "6.7351", "seconds_per_case": "12.1"}
    (model,) = read_models(written(tmp_path, entry(**numbers, **money))).models
    for name in ("success", "second_success", "cost", "latency", "success_error"):
        assert getattr(model, name) == pytest.approx(getattr(packaged, name), rel=0.02)


@pytest.mark.parametrize(
    ("dates", "used"),
    [
        (("2025-01-01", "2025-02-01", "2024-12-31"), 1),
        (("2025-01-01", "2025-01-01", "2024-12-31"), 1),
        ((None, "2024-12-31", None), 1),
        ((None, None, None), 2),
    ],
)
def test_of_several_runs_the_latest_is_used(tmp_path: Path, dates: tuple[str | None, ...], used: int) -> None:
    runs = [entry(date=date, test_cases=str(100 + k)) for k, date in enumerate(dates)]
    table = read_models(written(tmp_path, "".join(runs)))
    assert [model.count for model in table.models] == [100 + used]
    lines = [1 + sum(run.count("\n") for run in runs[:k]) for k in range(3)]
    assert [row.line for row in table.rejected] == [line for k, line in enumerate(lines) if k != used]
    assert all(row.reason.startswith("model: has several runs; the one of ") for row in table.rejected)


def test_runs_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    broken = [
        ({"total_cost": "0.0000"}, "total_cost: 0.0000 is not allowed; expected greater than 0, as 0 may mean that"),
        ({"total_cost": None}, "total_cost: missing key"),
        ({"pass_rate_1": "0.0"}, "pass_rate_1: 0.0 is not allowed; expected greater than 0"),
        ({"pass_rate_1": "nan"}, "pass_rate_1: nan is not allowed"),
        ({"pass_rate_2": "20"}, "pass_rate_2: 20.0 is not allowed; expected at least pass_rate_1"),
        ({"test_cases": "some"}, "test_cases: some is not allowed"),
        ({"seconds_per_case": "-1"}, "seconds_per_case: -1 is not allowed"),
        ({"date": "soon"}, "date: soon is not allowed"),
        ({"pass_rate_2": "62.5\n  date: 2025-01-01"}, "date: stands in the entry twice, also on line"),
    ]
    table = read_models(written(tmp_path, "".join([entry(**changes) for changes, _ in broken] + [entry()])))
    assert len(table.models) == 1
    assert len(table.rejected) == len(broken)
    for row, (_, reason) in zip(table.rejected, broken, strict=True):
        assert row.reason.startswith(reason)
        assert row.label == "quick (high)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry(total_cost="0"), "no row can be used; the first: line 1, quick .high.: total_cost: 0 is not allowed"),
        (entry(model="&a quick"), "not valid YAML at line 3, column 10: anchors, aliases"),
        (entry() + "other: 1\n", "not valid YAML at line 10"),
    ],
)
def test_leaderboards_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_models(written(tmp_path, text))


def test_leaderboards_are_known_by_their_content(tmp_path: Path) -> None:
    assert is_table(str(written(tmp_path, entry())))
    with pytest.raises(ConfigError, match="columns, units, decimal: are for CSV"):
        read_models(written(tmp_path, entry()), decimal="point")
    assert is_table("aider")
    assert not is_table("g1")
    assert not is_table(str(written(tmp_path, "name: mine\nmodels:\n  - {label: a}\n")))
    assert not is_leaderboard(b"model,success,cost,latency\na,0.5,1,1\n")
    assert not is_leaderboard(b"- label: a\n  success: 0.5\n")
