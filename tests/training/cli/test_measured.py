from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from stackroute import read_outcomes
from stackroute.analytic import Game, Ladders, Traffic, counting_response, solve, solve_traffic, solved_share
from stackroute.configs.games import DisplayUnits
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.outcome_files import is_outcomes
from stackroute.training.cli.measured import answer_measured, explain_measured, record_measured
from stackroute.training.cli.quantities import as_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Stackroute = Callable[..., tuple[int, str, str]]

PAIR = "--models GPT-4o,o1 --value 30 --churn-penalty 40 --cost 1,5 --latency 1,3"
TASKS = "task,model,attempts,successes,cost,seconds\n" + "".join(
    f"t{k},{model},4,{solved},{cost},{seconds}\n"
    for k, each in enumerate([(4, 4), (0, 3), (1, 4), (0, 0), (3, 4)])
    for model, solved, cost, seconds in (("quick", each[0], 0.02, 5), ("careful", each[1], 0.1, 30))
)


def metr(**changes: Any) -> MeasuredGame:
    labels = ("GPT-4o", "o1")
    cost, latency = {"GPT-4o": 1.0, "o1": 5.0}, {"GPT-4o": 1.0, "o1": 3.0}
    given: dict[str, Any] = {"value": 30.0, "churn_penalty": 40.0, "cost": cost, "latency": latency}
    return MeasuredGame(read_outcomes("metr"), labels, **(given | changes))


def attempt_by_attempt(traffic: Traffic, ladders: list[tuple[Any, float]], stop: int) -> tuple[float, float, float]:
    """The cost, the utility and the share solved of a mixture of ladders, added up without the package's formulas."""
    games = traffic.games
    cost = utility = solved = 0.0
    for models, chance in ladders:
        left = traffic.weight * chance
        for k in models[:stop]:
            cost += left @ games.cost[:, k]
            utility += left @ (games.success[:, k] * games.value - games.latency[:, k])
            solved += left @ games.success[:, k]
            left = left * (1 - games.success[:, k])
        cost += left @ games.churn_penalty
    return cost, utility, solved


def test_the_answer_is_what_comes_of_the_ladders_that_are_shown() -> None:
    # The second one keeps users by a mixture of ladders.
    labels = ("Llama-3.1-8B-Instruct", "Llama-3.1-Nemotron-70B-Instruct-HF")
    cost, latency = (dict(zip(labels, numbers, strict=True)) for numbers in ((1.0, 3.0), (1.0, 2.0)))
    mixed = MeasuredGame(read_outcomes("evalperf"), labels, 6.0, 30.0, cost, latency, horizon=6)
    for game in (metr(), mixed):
        found = answer_measured(game, throttling=False)
        contents = record_measured(found)
        played = attempt_by_attempt(game.traffic, found.ladders, found.stop)
        named = (contents["provider_cost"], contents["user_utility"], contents["solved"])
        assert named == pytest.approx(played, rel=1e-6)
        assert sum(contents["ladders"].values()) == pytest.approx(1)
        static = contents["static"]
        alone = Ladders.static(game.labels.index(static["policy"]))
        stop, payoffs = counting_response(game.traffic, alone, game.horizon)
        assert static["stop"] == stop[0]
        assert static["provider_cost"] == pytest.approx(payoffs.provider_cost[0, stop[0] - 1])
        assert static["loss"] == pytest.approx(static["provider_cost"] / contents["provider_cost"] - 1)
        assert contents["independent"]["predicted_cost"] == float(solve(game.traffic.mean, "free").provider_cost[0])
    assert len(found.ladders) > 1
    assert contents["price_of_staying"] > 0
    assert any("the price of their patience" in sentence for sentence in explain_measured(found))


def test_solved_tasks_are_those_that_did_not_fail_in_every_attempt() -> None:
    random = np.random.default_rng(0)
    success = random.uniform(0, 1, (5, 2))
    traffic = Traffic(Game(success, [1, 2], [1, 2], 5, 3), random.uniform(0.1, 1, 5))
    failed = (1 - success[:, 0]) ** 2 * (1 - success[:, 1]) ** np.array([[0], [1], [2]])
    shares = solved_share(traffic, Ladders.switch(0, 1, after=2), 4)
    assert shares[0, 1:] == pytest.approx(1 - failed @ traffic.weight)


def test_json_and_csv_are_the_python_api(stackroute: Stackroute) -> None:
    code, shown, errors = stackroute("solve", "metr", *PAIR.split(), "--json")
    assert (code, errors) == (0, "")
    contents = json.loads(shown)
    exact = solve_traffic(metr().traffic)
    assert (contents["provider_cost"], contents["stop"]) == (float(exact.provider_cost[0]), int(exact.stop[0]))
    assert contents["ladders"] == {"3 x GPT-4o, 2 x o1, 7 x GPT-4o": 1.0}
    units = contents.pop("units")
    for name, value in pd.json_normalize(contents).iloc[0].items():
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
            assert any(part in units for part in str(name).split(".")), name
    table = pd.read_csv(io.StringIO(as_csv([(DisplayUnits(), contents)])))
    assert table["provider_cost (money per task)"].tolist() == exact.provider_cost.tolist()
    assert table["memoryless_cascade.loss (share of the optimum's cost)"].item() > 0


def test_words_come_before_numbers(stackroute: Stackroute) -> None:
    code, shown, errors = stackroute("solve", "metr", *PAIR.split())
    assert (code, errors) == (0, "")
    words = " ".join(shown.split())
    for sentence in (
        "Serve in turn 3 x GPT-4o, 2 x o1.",
        "Users stop after 5 failures;",
        "after a failure of GPT-4o, o1 succeeds 0.64 times as often as otherwise (69 tasks).",
        "Numbers of attempts are taken as fixed beforehand",
        "At most 12 attempts at a task are looked at (--horizon).",
        "Simpler: the best single model (o1) costs 1.12 times as much",
        'If attempts were independent: "Serve GPT-4o to every prompt.',
    ):
        assert sentence in words
    assert words.index("Serve in turn") < words.index("provider's cost of a task")


def test_time_has_a_price_in_money(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with gzip.open(tmp_path / "mine" / "outcomes.csv.gz", "wt") as file:
        file.write(TASKS.replace("cost,", "cost (USD),", 1))
    options = "--models quick,careful --value 1 --churn-penalty 2 --second-price 0.005 --throttling --json"
    code, shown, errors = stackroute("solve", "mine", *options.split())
    assert (code, errors) == (0, "")
    contents = json.loads(shown)
    assert contents["units"]["user_utility"] == "USD per task"
    cost = dict.fromkeys(("quick", "careful"), 0.02) | {"careful": 0.1}
    latency = {"quick": 0.025, "careful": 0.15}
    traffic = read_outcomes("mine").traffic(["quick", "careful"], 1, 2, cost=cost, latency=latency)
    assert contents["provider_cost"] == pytest.approx(float(solve_traffic(traffic, throttling=True).provider_cost[0]))


def test_delays_that_make_users_leave_are_named() -> None:
    latency, cost = {"GPT-4o": 1.0, "o1": 3.0}, {"GPT-4o": 1.0, "o1": 6.0}
    found = answer_measured(metr(value=20.0, churn_penalty=1.5, cost=cost, latency=latency), throttling=True)
    assert record_measured(found)["stop"] == 1
    assert record_measured(found)["delay"]["of attempt 2"] == found.best.policy.delay[0, 1] > 0
    serving, users, *_ = explain_measured(found)
    assert "Slow attempt 2 down by" in serving
    assert users.startswith("Users give up after the first failed answer")


def test_what_is_assumed_is_said(stackroute: Stackroute) -> None:
    options = "--models gpt-4o-mini --value 1 --churn-penalty 1 --second-price .01 --correlation .7 --horizon 3"
    code, shown, errors = stackroute("solve", "bfcl", *options.split())
    assert (code, errors) == (0, "")
    words = " ".join(shown.split())
    assert "one attempt a task" in words
    assert "that a retry succeeds 0.3 times as often is assumed (a correlation of 0.7)" in words


def test_outcomes_games_and_tables_are_told_apart_by_their_header(tmp_path: Path) -> None:
    files = {
        "outcomes.csv": TASKS,
        "table.csv": "model,success,cost,latency\na,0.5,1,1\n",
        "german.csv": TASKS.replace("task", "Aufgabe", 1).replace(",", ";"),
        "empty.csv": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "g1").mkdir()
    (tmp_path / "broken.csv").write_bytes(b"\x1f\x8bnot gzip")
    found = {path.name: is_outcomes(path) for path in tmp_path.iterdir()}
    assert {name for name, is_one in found.items() if is_one} == {"outcomes.csv"}
    assert is_outcomes(tmp_path)
    assert is_outcomes(tmp_path / "german.csv", {"task": "Aufgabe"})
    assert is_outcomes("metr")
    assert not is_outcomes("g1")
    assert not is_outcomes(tmp_path / "absent.csv")


def test_a_log_with_prices_is_solved_like_its_outcomes(stackroute: Stackroute, tmp_path: Path) -> None:
    requests = [(task, model, task != "t2" or model == "b") for task in ("t1", "t2") for model in ("a", "b")] * 2
    log = "question;model;grade;prompt_tokens;completion_tokens;seconds\n"
    log += "".join(f"{task};{model};{ok};1000;100;2\n" for task, model, ok in requests)
    (tmp_path / "log.csv").write_text(log)
    counts = "task,model,attempts,successes,cost,seconds\n"
    counts += "t1,a,2,2,0.003,2\nt1,b,2,2,0.03,2\nt2,a,2,0,0.003,2\nt2,b,2,2,0.03,2\n"
    (tmp_path / "counts.csv").write_text(counts)
    each = {"a": 2e-6, "b": 2e-5}
    prices = {name: {"input_cost_per_token": p, "output_cost_per_token": 5 * p} for name, p in each.items()}
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    options = ["--models", "a,b", "--value", "1", "--churn-penalty", "0.1", "--second-price", "0.01", "--json"]
    of_log = ["--columns", "task=question,ok=grade", "--prices", str(tmp_path / "prices.json")]
    code, shown, errors = stackroute("solve", str(tmp_path / "log.csv"), *of_log, *options)
    assert (code, errors) == (0, "")
    expected = json.loads(stackroute("solve", str(tmp_path / "counts.csv"), *options, "--horizon", "4")[1])
    found = json.loads(shown)
    assert found["ladders"] == expected["ladders"]
    assert found["provider_cost"] == pytest.approx(expected["provider_cost"])


def test_a_log_until_success_says_what_it_shows(stackroute: Stackroute, tmp_path: Path) -> None:
    rows = [f"t{k},large,{k % 4 > 0:d},9\nt{k},small,0,1" if k % 3 else f"t{k},small,1,1" for k in range(60)]
    # The newest first: the order is that of the times.
    lines = [f"{row},{-number}" for number, row in enumerate("\n".join(rows).split("\n"))]
    (tmp_path / "log.csv").write_text("\n".join(["task,model,ok,cost,time", *lines]))
    options = ["--models", "large,small", "--value", "30", "--churn-penalty", "20", "--latency", "1,1"]
    code, shown, errors = stackroute("solve", "log.csv", *options)
    assert (code, errors) == (0, "")
    for sentence in (
        "Your log tries large only after failures of other models, so that its success as a first answer is not known",
        "after a failure of small, large succeeds at 75 % of the tasks (40 tasks).",
        "At most 2 attempts at a task are looked at (--horizon); the most that a task of your log has is 2.",
    ):
        assert sentence in shown
    assert "after a failure of large" not in shown
    assert "fixed beforehand" not in shown
    assert json.loads(stackroute("solve", "log.csv", *options, "--json")[1])["escalation"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("solve metr --prices prices.json", "prices: is for logs of requests with tokens; 'metr' holds outcomes by"),
        ("solve g1 --prices prices.json", "prices: is for measured outcomes; 'g1' is a game"),
        ("solve g1 --unit cost=usd", "unit: is for measured outcomes; 'g1' is a game"),
        ("solve metr", "models: missing; needed for metr: --models A,B, some of Claude 3 Opus"),
        ("solve metr --models GPT-4o,o1 --churn-penalty 1", "value: missing"),
        (
            "solve metr --models GPT-4o,o1 --value 1 --churn-penalty 1",
            "cost: metr has none of GPT-4o, o1; expected what",
        ),
        (f"solve metr {PAIR} --cost 1", "cost: 1 is not allowed; expected 2 numbers, by model"),
        (f"solve metr {PAIR} --cost a,b", "cost: 'a,b' is not allowed"),
        (f"solve metr {PAIR} --models GPT-4o,o3", "models: 'o3' is not in metr"),
        (f"solve metr {PAIR} --second-price 0", "second-price: 0 is not allowed; expected a number > 0"),
        (f"solve metr {PAIR} --value 0", "value: 0.0 is not allowed"),
        (f"solve metr {PAIR} --correlation 1", "correlation: 1.0 is not allowed"),
        (f"solve metr {PAIR} --price 1", "price: is for games; 'metr' holds measured outcomes"),
        (f"solve metr {PAIR} --set value=3", "set: is for games; 'metr' holds measured outcomes"),
        (f"solve metr {PAIR} --routing free", "routing: is for games"),
        ("solve g1 --value 3", "value: is for measured outcomes; 'g1' is a game; change it by --set value="),
        ("solve g1 --horizon 3", "horizon: is for measured outcomes; 'g1' is a game"),
        ("figures --game g1 --models a,b", "models: is for measured outcomes; 'g1' is a game"),
        ("figures frontier --game metr " + PAIR, "frontier: cannot be drawn for metr, of 2 models: its attempts"),
        ("figures ladder --game g1", "ladder: cannot be drawn for g1, of 2 models: it needs measured outcomes"),
        ("figures --horizon 3", "horizon: change a game; expected --game GAME with them"),
    ],
)
def test_bad_options_are_one_error(stackroute: Stackroute, arguments: str, message: str) -> None:
    code, shown, errors = stackroute(*arguments.split())
    assert (code, shown, errors.count("\n")) == (2, "", 1)
    assert message in errors
