"""Logs of requests and prices of tokens: sums against pandas and by hand, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stackroute.configs import ConfigError, read_outcomes
from stackroute.configs.logs import is_log
from stackroute.configs.outcome_files import is_outcomes
from stackroute.configs.prices import read_prices

PRICES = {
    "quick": {"input_cost_per_token": 2e-6, "output_cost_per_token": 1e-5, "mode": "chat"},
    "painter": {"output_cost_per_image": 0.04},
    "careful": {"input_cost_per_token": 1e-5, "output_cost_per_token": 4e-5},
}


def written(tmp_path: Path, text: str, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def priced(tmp_path: Path, text: str = json.dumps(PRICES)) -> Path:
    return written(tmp_path, text, "prices.json")


def test_a_log_is_summed_up_as_pandas_does(tmp_path: Path) -> None:
    random, size = np.random.default_rng(0), 500
    log = pd.DataFrame(
        {
            "task": random.integers(0, 40, size).astype(str),
            "model": random.choice(["a", "b", "c"], size),
            "ok": random.random(size) < 0.4,
            "cost": np.where(random.random(size) < 0.3, np.nan, random.random(size)),
            "latency_ms": random.integers(100, 9_000, size),
        }
    )
    path = tmp_path / "log.csv"
    log.to_csv(path, index=False)
    assert is_outcomes(path)
    outcomes = read_outcomes(path)
    groups = log.groupby(["task", "model"])
    expected = {
        "attempts": groups.size(),
        "successes": groups["ok"].sum(),
        "cost": groups["cost"].mean(),
        "seconds": groups["latency_ms"].mean() / 1_000,
    }
    for name, series in expected.items():
        table = series.unstack().reindex(index=outcomes.tasks, columns=outcomes.models)
        counted = name in ("attempts", "successes")
        np.testing.assert_allclose(getattr(outcomes, name), table.fillna(0) if counted else table, rtol=1e-12)
    assert not outcomes.rejected
    assert "latency ('latency_ms') in milliseconds" in outcomes.understood
    assert outcomes.understood.endswith("500 requests in the order of rows")


def test_prices_times_tokens_where_there_is_no_cost(tmp_path: Path) -> None:
    text = (
        "task_id,model,success,prompt_tokens,completion_tokens,cost\n"
        "t1,quick,yes,1000,200,\nt1,quick,no,3000,0,\nt1,careful,true,100,50,0.5\nt2,careful,0,,50,\n"
    )
    path = written(tmp_path, text)
    outcomes = read_outcomes(path, prices=priced(tmp_path))
    np.testing.assert_allclose(outcomes.cost, [[(0.002 + 0.002 + 0.006) / 2, 0.5], [np.nan, np.nan]])
    assert outcomes.attempts.tolist() == [[2, 1], [0, 1]]
    assert outcomes.successes.tolist() == [[1, 1], [0, 0]]
    assert outcomes.money == "USD"
    assert outcomes.understood.endswith(
        "4 requests in the order of rows; 2 costs are prices of " + str(priced(tmp_path)) + " x tokens"
    )
    unpriced = read_outcomes(path)
    np.testing.assert_array_equal(unpriced.cost, [[np.nan, 0.5], [np.nan, np.nan]])
    assert unpriced.money is None


def test_broken_requests_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    rows = [
        ("t,a,1,.1,2", ""),
        ("t,a,maybe,.1,2", "ok: maybe is not allowed; expected 1 or 0, true or false, yes or no"),
        ("t,a,,.1,2", "ok: is empty"),
        ("t,a,0.5,.1,2", "ok: 0.5 is not allowed"),
        (",a,1,.1,2", "task: is empty"),
        ("t,,1,.1,2", "model: is empty"),
        ("t,a,1,-1,2", "cost: -1 is not allowed; expected a number of at least 0, or nothing"),
        ("t,a,1,.1,soon", "latency: soon is not"),
        ("t,a,1,.1,2,3", "6 cells are not allowed; expected 5"),
        ("t,a,1.0,,", ""),
    ]
    path = written(tmp_path, "task,model,ok,cost,latency\n" + "\n".join(row for row, _ in rows))
    outcomes = read_outcomes(path)
    assert (outcomes.attempts.item(), outcomes.successes.item(), outcomes.cost.item()) == (2, 2, 0.1)
    expected = [(line, reason) for line, (_, reason) in enumerate(rows, start=2) if reason]
    assert [rejected.line for rejected in outcomes.rejected] == [line for line, _ in expected]
    for rejected, (_, reason) in zip(outcomes.rejected, expected, strict=True):
        assert rejected.reason.startswith(reason)


def test_features_stand_beside_a_log(tmp_path: Path) -> None:
    written(tmp_path, "task,model,ok\nt1,a,1\nt2,a,0\n", "outcomes.csv")
    written(tmp_path, "task,length\nt2,7\nt1,3\n", "features.csv")
    outcomes = read_outcomes(tmp_path)
    assert outcomes.features is not None
    assert outcomes.features["length"].tolist() == [3, 7]
    assert outcomes.name == tmp_path.name


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (["task", "model", "ok"], {}, True),
        (["Task ID", "Model", "Passed"], {}, True),
        (["question", "model", "grade"], {"task": "question", "ok": "grade"}, True),
        (["question", "model", "grade"], {"task": "question", "ok": "mark"}, False),
        (["task", "model", "attempts", "successes", "ok"], {}, False),
        (["model", "success", "cost", "latency"], {}, False),
    ],
)
def test_logs_are_known_by_their_header(header: list[str], columns: dict[str, str], expected: bool) -> None:
    assert is_log(header, columns) is expected


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({}, "has no 'quick'; expected an entry"),
        ({"quick-2": PRICES["quick"]}, "has no 'quick'; did you mean 'quick-2'"),
        ({"quick": {"input_cost_per_token": 1e-6}}, "quick.output_cost_per_token: missing key"),
        ({"quick": PRICES["quick"] | {"input_cost_per_token": "2e-6"}}, "input_cost_per_token: '2e-6' is not allowed"),
        ({"quick": PRICES["quick"] | {"input_cost_per_token": -1}}, "-1 is not allowed; expected dollars for one tok"),
        ({"quick": PRICES["quick"] | {"output_cost_per_token": 2.5}}, "2.5 is not allowed; expected dollars for one"),
        ({"quick": PRICES["quick"] | {"output_cost_per_token": True}}, "True is not allowed"),
        ({"quick": 3}, "quick: 3 is not allowed; expected keys and values"),
        ('{"quick": {}, "quick": {}}', "has 2 entries 'quick'"),
        ('{"quick": {"input_cost_per_token": 0, "input_cost_per_token": 0}}', "input_cost_per_token: stands there twi"),
        ("[]", "list is not allowed; expected prices by the names of models"),
        ('{"quick": {"input_cost_per_token": NaN}}', "not valid JSON: NaN is not allowed"),
        ('{"quick": ', "not valid JSON: .*line 1"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_prices_that_cannot_be_used(tmp_path: Path, prices: object, message: str) -> None:
    text = prices if isinstance(prices, str) else json.dumps(prices)
    log = written(tmp_path, "task,model,ok,tokens_in,tokens_out\nt,quick,1,10,20\n")
    with pytest.raises(ConfigError, match=message):
        read_outcomes(log, prices=priced(tmp_path, text))


def test_prices_that_are_not_needed_are_not_looked_at(tmp_path: Path) -> None:
    found = read_prices(priced(tmp_path)).of(["careful", "quick"])
    assert found.tolist() == [[1e-5, 4e-5], [2e-6, 1e-5]]
    with pytest.raises(ConfigError, match=r"painter.input_cost_per_token: missing key"):
        read_prices(priced(tmp_path)).of(["painter"])
    log = written(tmp_path, "task,model,ok,cost,tokens_in,tokens_out\nt,own,1,0.1,10,20\n")
    assert read_outcomes(log, prices=priced(tmp_path)).cost.item() == 0.1


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("task,model,ok,cost\nt,quick,1,\n", "has no column tokens_in, tokens_out; it has task, model, ok, cost"),
        ("task,model,attempts,successes\nt,quick,1,1\n", "prices: is for logs of requests with tokens"),
        ("task,model,ok,cost,tokens_in,tokens_out\nt,quick,1,,1,1\nt,quick,1,1 €,1,1\n", "in EUR and prices in USD"),
        ("task,model,ok\nt,quick,perhaps\n", "no row can be used; the first: line 2, t, quick: ok: perhaps"),
    ],
)
def test_logs_that_cannot_be_used(tmp_path: Path, log: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_outcomes(written(tmp_path, log), prices=priced(tmp_path))
    with pytest.raises(ConfigError, match="no such file"):
        read_prices(tmp_path / "none.json")


def tried(stops: bool) -> str:
    """A log of 4,000 tasks that begin with a or b, three tries each; those after a success only if it does not stop."""
    random = np.random.default_rng(4)
    easy = random.random(4_000)
    chances = {"a": easy**0.7, "b": np.minimum(easy + 0.3, 0.95)}
    lines = ["task,model,ok"]
    for task in range(4_000):
        for model in "aaabbb" if task % 4 else "bbbaaa":
            solved = random.random() < chances[model][task]
            lines.append(f"t{task},{model},{solved:d}")
            if solved and stops:
                break
    return "\n".join(lines)


def test_a_log_that_stops_at_success_shows_what_one_that_goes_on_shows(tmp_path: Path) -> None:
    panel, log = (read_outcomes(written(tmp_path, tried(stops), f"{stops}.csv")) for stops in (False, True))
    # b is also tried after failures of a, which are on hard tasks; a only seldom after those of b.
    for a, b in zip(panel.fit().values(), log.fit().values(), strict=True):
        opened = 3_000 if a.model == "a" else 1_000
        left = opened * np.cumprod(np.append(1.0, 1.0 - a.measured_curve(2)))
        if a.model == "a":
            np.testing.assert_array_less(abs(b.measured_curve(3) - a.measured_curve(3)), 3 * 0.5 / np.sqrt(left))
            np.testing.assert_allclose(b.curve(3), a.curve(3), atol=0.03)
        assert np.isnan(b.measured_curve(5)[3:]).all()
    easy = (np.arange(100_000) + 0.5) / 100_000
    a, b = easy**0.7, np.minimum(easy + 0.3, 0.95)
    kept = ((1 - a) @ b / (1 - a).sum(), ((1 - a) ** 3 @ b) / ((1 - a) ** 3).sum())
    assert panel.escalation("a", "b") == pytest.approx(kept[0] / b.mean(), abs=0.02)
    # The log has moved on after three failures.
    assert log.step("a", "b").after == pytest.approx(kept[1], abs=0.08)
    assert log.step("a", "b").anyway == pytest.approx(b.mean(), abs=0.04)
    left = ((1 - a) ** 3).mean()
    assert (panel.first_answers("b"), log.first_answers("b")) == (1.0, pytest.approx(1 / (1 + 3 * left), abs=0.03))


def test_the_order_is_that_of_time_where_it_is_understood(tmp_path: Path) -> None:
    rows = ["t,m,1,{}", "t,m,0,{}", "u,m,0,{}"]
    for times, first, words in (
        (("10", "9", "8"), 0, "in the order of time"),
        (("2026-01-01T10:00:00", "2026-01-01 09:00:00Z", "2026-01-01"), 0, "in the order of time"),
        (("noon", "9", "8"), 1, "in the order of rows, as not all times are numbers or like"),
    ):
        text = "\n".join(["task,model,ok,timestamp", *(row.format(at) for row, at in zip(rows, times, strict=True))])
        outcomes = read_outcomes(written(tmp_path, text))
        assert words in outcomes.understood
        assert outcomes.fit()["m"].measured_curve(1)[0] == pytest.approx(first / 2)


def test_a_model_that_is_tried_only_after_failures_is_known_as_such(tmp_path: Path) -> None:
    rows = [f"t{k},a,0\nt{k},b,{k % 2}" for k in range(20)] + [f"u{k},a,1" for k in range(20)]
    outcomes = read_outcomes(written(tmp_path, "\n".join(["task,model,ok", *rows])))
    assert (outcomes.first_answers("a"), outcomes.first_answers("b")) == (1.0, 0.0)
    assert outcomes.step("a", "b")[:2] == (20, 0.5)
    assert np.isnan(outcomes.step("a", "b").anyway)
    assert np.isnan(outcomes.escalation("a", "b"))
    assert outcomes.step("b", "a").tasks == 0
