"""The command that calibrates, as a user calls it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stackroute import load_game, misalignment, solve, throttling_gain

Stackroute = Callable[..., tuple[int, str, str]]


def test_the_packaged_table(stackroute: Stackroute, tmp_path: Path) -> None:
    code, shown, errors = stackroute("calibrate", "aider", "--pair", "gpt-4.1:o3", "--value", "1:15:3", "--draws", "50")
    assert (code, errors) == (0, "")
    assert "aider: 51 models, 1 pairs" in shown
    assert (tmp_path / "market" / "market.png").read_bytes().startswith(b"\x89PNG")
    assert "V = 8" in (tmp_path / "market" / "report.md").read_text()
    config = load_game(tmp_path / "market" / "games" / "gpt-4.1-o3.yaml")
    assert config.value == 8
    assert float(solve(config.game).provider_cost) > 0
    assert json.loads((tmp_path / "market" / "report.json").read_text())["pairs"] == 1


def test_every_combination_of_the_ranges_is_in_the_table(stackroute: Stackroute, tmp_path: Path) -> None:
    options = ["--waiting-cost", "6, 64", "--value", "0.5,5", "--churn-penalty", "0.05,0.1", "--draws", "50"]
    assert stackroute("calibrate", "aider", "--pair", "gpt-4.1:o3", *options)[0] == 0
    report = (tmp_path / "market" / "report.md").read_text()
    rows = [row for row in report.splitlines() if re.match(r"\| gpt-4.1 / o3 +\| (6|64) +\|", row)]
    config = load_game("gpt-4.1-o3-dev")
    found = 0
    for row in rows:
        _, hour, penalty, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        for value, cell in zip((0.5, 5.0), cells, strict=True):
            changes = {"waiting_cost_per_hour": float(hour), "churn_penalty": float(penalty), "value": value}
            game = config.model_copy(update=changes).game
            assert cell[0] == "SR"[solve(game).commitment.first_model.item()]
            assert ("-" in cell) == (solve(game).patience.item() == 0)
            assert ("!" in cell) == (misalignment(game).gap.item() > 1e-9)
            assert ("t" in cell) == (throttling_gain(game).pays.item())
            found += 1
    assert found == 8


def test_rejected_rows_are_listed(stackroute: Stackroute, tmp_path: Path) -> None:
    rows = ["who,p,usd,s", "small,0.3,0.01,5", "big,0.6,0.05,30", "broken,1.5,1,1"]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    columns = "model=who,success=p,cost=usd,latency=s"
    share = ["--unit", "success=share"]
    code, shown, _ = stackroute("calibrate", "mine.csv", "--columns", columns, "--churn-penalty", "0.1,1", *share)
    assert code == 0
    assert "1 rows were not used" in shown
    assert "line 4, broken: success: 1.5 is not allowed" in shown
    assert "## Rows that were not used" in (tmp_path / "market" / "report.md").read_text()
    code, shown, _ = stackroute("calibrate", "mine.csv", "--columns", columns, "--json", *share)
    assert json.loads(shown)["rejected"][0]["label"] == "broken"


def test_units_are_said_and_odd_numbers_warned_of(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("model,success,cost,latency\na,41.2,€21.7,14800\nb,56,€30,20000\n")
    units = ["--unit", "success=percent", "--unit", "cost=/1k,latency=ms"]
    code, shown, errors = stackroute("calibrate", "mine.csv", *units)
    assert (code, errors) == (0, "")
    assert "Understood: success in percent, cost in EUR for 1,000 passes, latency in milliseconds" in shown
    assert load_game(tmp_path / "market" / "games" / "a-b.yaml").units.money == "EUR"
    code, shown, errors = stackroute("calibrate", "mine.csv", "--unit", "success=percent", "--json")
    assert errors.startswith("warning: latency: the median is 17400 seconds")
    assert "warning: cost: a pass of b costs 30" in errors
    assert len(json.loads(shown)["warnings"]) == 2
    code, _, errors = stackroute("calibrate", "mine.csv", *units, "--money", "USD")
    assert (code, errors) == (2, "error: money: 'USD' is not allowed; the costs of mine are in EUR\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "error: nowhere.csv: no such file; expected a CSV file"),
        (["aider", "--value", "0"], "error: value: '0' is not allowed; expected a number > 0, several as in 1,5,15"),
        (["aider", "--value", "5.0,1"], "error: value: '5.0,1' is not allowed"),
        (["aider", "--value", "1e308"], "error: value: '1e308' is not allowed"),
        (["aider", "--value", "1:2:1000000000"], "error: value: '1:2:1000000000' is not allowed"),
        (["aider", "--draws", "10000000000"], "error: draws: 10,000,000,000 are not allowed with 12 pairs"),
        (
            ["aider", "--churn-penalty", "0,5"],
            "error: churn-penalty: '0,5' may be 0.5 or two numbers; say 0.5 or '0, 5'",
        ),
        (["aider", "--waiting-cost", "12,64"], "error: waiting-cost: '12,64' may be 12.64 or two numbers"),
        (["aider", "--unit", "success"], "error: unit: 'success' is not allowed; expected COLUMN=NAME"),
        (["aider", "--unit", "price=usd"], "error: unit: 'price' is not allowed; expected one of success"),
        (["aider", "--churn-penalty", "-1"], "error: churn-penalty: '-1' is not allowed; expected a number >= 0"),
        (["aider", "--waiting-cost", "ten"], "error: waiting-cost: 'ten' is not allowed"),
        (
            ["aider", "--money", "gold"],
            "error: calibrate: money: 'gold' is not allowed; expected USD, EUR, GBP or abstract",
        ),
        (["aider", "--columns", "success"], "error: columns: 'success' is not allowed; expected COLUMN=NAME"),
        (["aider", "--pair", "o3:gpt-4.1"], "error: pair: 'o3:gpt-4.1' is not allowed"),
    ],
)
def test_errors_are_one_line(stackroute: Stackroute, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, errors = stackroute("calibrate", *arguments)
    assert code == 2
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    assert not (tmp_path / "market").exists()
